/*
 * Any bytes as a credential file that gets an entry and loses it again: the result can be read, the entry is found, every other
 * entry is what it was, and after the removal the registry has none.
 */
#include "auth/auth_config.h"
#include "auth/config_edit.h"
#include "auth/config_file.h"
#include "util/json.h"
#include "util/str.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define DOMAIN "h:5000"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static dv_json *parse(const void *bytes, size_t size)
{
    const dv_json_limits limits = {.max_bytes = DV_CONFIG_FILE_MAX};
    dv_json *v = NULL;
    dv_json_parse(bytes, size, &limits, NULL, &v, NULL);
    return v;
}

static bool same(const dv_json *a, const dv_json *b)
{
    dv_buf x = DV_BUF_INIT(DV_CONFIG_FILE_MAX), y = DV_BUF_INIT(DV_CONFIG_FILE_MAX);
    if (a)
        dv_json_format(a, 0, false, &x);
    if (b)
        dv_json_format(b, 0, false, &y);
    bool equal = strcmp(dv_buf_text(&x), dv_buf_text(&y)) == 0;
    dv_buf_clear(&x);
    dv_buf_clear(&y);
    return equal;
}

/* Every member of the one is in the other, apart from "auths" and what names the registry. */
static void assert_kept(const dv_json *from, const dv_json *in)
{
    const char *key;
    const dv_json *value;
    void *iter = NULL;
    while (from && dv_json_next(from, &iter, &key, &value))
        if (strcmp(key, "auths") != 0)
            assert(same(value, dv_json_get(in, key)));
    iter = NULL;
    const dv_json *auths = from ? dv_json_get(from, "auths") : NULL;
    while (auths && dv_json_next(auths, &iter, &key, &value))
        if (!dv_credential_key_names(key, DOMAIN))
            assert(same(value, dv_json_get(dv_json_get(in, "auths"), key)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const davit_auth_config auth = {
        .username = (char *)"u", .password = (char *)"p", .identitytoken = (char *)"T\""};
    dv_config_file *before = NULL, *after = NULL;
    dv_buf with = {.max = DV_CONFIG_FILE_MAX}, without = {.max = DV_CONFIG_FILE_MAX};
    if (dv_config_file_parse("c", data, size, &before, NULL) == 0 &&
        dv_config_edit_put(data, size, DOMAIN, &auth, &with, NULL) == 0) {
        assert(dv_config_file_parse("c", dv_buf_text(&with), with.size, &after, NULL) == 0);
        const davit_auth_config *found = dv_config_file_exact(after, DOMAIN);
        assert(found && strcmp(found->identitytoken, "T\"") == 0 && strcmp(found->username, "u") == 0);
        dv_json *old = parse(data, size), *new = parse(dv_buf_text(&with), with.size);
        assert_kept(old, new);
        dv_config_file_free(after);
        after = NULL;
        assert(dv_config_edit_remove(dv_buf_text(&with), with.size, DOMAIN, &without, NULL) > 0);
        assert(dv_config_file_parse("c", dv_buf_text(&without), without.size, &after, NULL) == 0);
        assert(!dv_config_file_find(after, DOMAIN, NULL));
        dv_json *last = parse(dv_buf_text(&without), without.size);
        assert_kept(old, last);
        dv_json_free(old);
        dv_json_free(new);
        dv_json_free(last);
    }
    dv_config_file_free(before);
    dv_config_file_free(after);
    dv_buf_clear(&with);
    dv_buf_clear(&without);
    return 0;
}
