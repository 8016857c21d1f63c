/*
 * Any bytes as a URL and as a reference: what is parsed parses again to the same, and no byte that ends a
 * header survives.
 */
#include "net/url.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const dv_url *u)
{
    DV_AUTO(dv_url) again = DV_URL_INIT;
    int r = dv_url_parse(u->text, &again, NULL);
    if (r < 0) /* encoding bytes above 0x7f can make it longer than the ceiling, never invalid */
        assert(strlen(u->text) > DV_URL_MAX);
    else
        assert(strcmp(again.text, u->text) == 0 && dv_url_same_origin(&again, u));
    assert(u->path[0] == '/' && !strchr(u->host, '@') && !strchr(u->host, '/'));
    for (const char *p = u->text; *p; p++)
        assert(*p > 0x20 && *p < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    DV_AUTO(dv_url) u = DV_URL_INIT;
    DV_AUTO(dv_url) base = DV_URL_INIT;
    DV_AUTO(dv_url) resolved = DV_URL_INIT;
    assert(text);
    if (dv_url_parse(text, &u, NULL) == 0)
        check(&u);
    int r = dv_url_parse("https://reg.example.com:5000/v2/a/blobs/x?y", &base, NULL);
    assert(r == 0);
    if (dv_url_resolve(&base, text, &resolved, NULL) == 0)
        check(&resolved);
    dv_host_is_literal(text);
    dv_host_is_single_label(text);
    return 0;
}
