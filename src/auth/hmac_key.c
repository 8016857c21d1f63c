/*
 * auth/hmac_key.c - see hmac_key.h: sha256 of the credentials as JSON, byte for byte as the reference writes them, so that both would
 * mark alike. Server address and e-mail take no part.
 */
#include "auth/hmac_key.h"

#include "auth/auth_config.h"
#include "util/hash.h"
#include "util/json.h"

#include <string.h>

#define JSON_MAX (4u << 20) /* bytes */

static void add(dv_buf *out, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    dv_buf_putc(out, out->size > 1 ? ',' : '{');
    dv_json_write_string(out, key);
    dv_buf_putc(out, ':');
    dv_json_write_string(out, value);
}

int dv_hmac_key(const davit_auth_config *config, char out[DV_HMAC_KEY_MAX], davit_error **err)
{
    DV_AUTO(dv_buf) text = {.max = JSON_MAX, .secret = true};
    davit_digest digest;
    if (!config) {
        out[0] = '\0';
        return 0;
    }
    add(&text, "username", config->username);
    add(&text, "password", config->password);
    add(&text, "auth", config->auth);
    add(&text, "identitytoken", config->identitytoken);
    add(&text, "registrytoken", config->registrytoken);
    dv_buf_puts(&text, text.size > 0 ? "}" : "{}");
    if (text.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "credentials of more than %u MiB", JSON_MAX >> 20);
    if (text.failed)
        return dv_error_oom(err);
    int r = davit_digest_of(DAVIT_SHA256, dv_buf_text(&text), text.size, &digest, err);
    if (r == 0)
        memcpy(out, digest.text, strlen(digest.text) + 1);
    return r;
}
