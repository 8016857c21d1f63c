/*
 * Any bytes as the headers of a v1 registry or index that are more than text, one a line: "X-Docker-Token: ...". A token is sent where a
 * registry may be, under the scheme and the path of the question, and changes no other part of the request.
 */
#include "oci/v1_image.h"
#include "registry/v1_answer.h"
#include "registry/v1_auth.h"
#include "registry/v1_endpoint.h"

#include <assert.h>
#include <string.h>

#define PATH "/v1/images/0123456789abcdef/json"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_line_safe(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static void read_lines(char *text, dv_headers *out)
{
    for (char *next; text; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        char *colon = strchr(text, ':');
        if (!colon)
            continue;
        *colon = '\0';
        dv_headers_add(out, text, colon + 1, 0, NULL);
    }
}

static void apply_token(const dv_headers *h)
{
    DV_AUTOPTR(davit_v1_auth) auth = NULL;
    DV_AUTO(dv_url) from = DV_URL_INIT, to = DV_URL_INIT;
    DV_AUTO(dv_secret) value = DV_SECRET_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    int r = dv_url_parse("https://index.example" PATH, &from, NULL);
    assert(r == 0);
    r = dv_v1_auth_from_index(h, DAVIT_V1_ACCESS_READ, /* index_private= */ false, &auth, &err);
    if (r < 0) {
        assert(r == DAVIT_EINVAL && davit_error_message(err)[0]);
        return;
    }
    assert(dv_v1_auth_is_of_public_index(auth));
    r = dv_v1_auth_apply(auth, &from, &to, &value, &err);
    if (r < 0) {
        assert(r == DAVIT_EPROTOCOL && davit_error_message(err)[0]);
        return;
    }
    assert(strcmp(to.scheme, "https") == 0 && strcmp(to.path, PATH) == 0 && !to.query);
    assert(*to.host && !strpbrk(to.host, "/?#@\\ "));
    assert(strncmp(value.text, "Token ", strlen("Token ")) == 0 && is_line_safe(value.text));
}

static void read_layer(const dv_headers *h)
{
    DV_AUTO(davit_v1_texts) sums = {.items = NULL};
    uint64_t size, first, last, total;
    int r = dv_v1_answer_layer(h, &size, &sums, NULL);
    assert(r == 0);
    for (size_t i = 0; i < sums.count; i++)
        assert(*sums.items[i] && !strpbrk(sums.items[i], ", \t"));
    const davit_digest nothing = {.algorithm = DAVIT_SHA256};
    r = dv_v1_checksum_check(&sums, &nothing, "0123456789abcdef", NULL);
    assert(r == 0 || r == DAVIT_EDIGEST);
    assert(r == 0 || dv_v1_checksum_is_known(&sums));
    if (dv_v1_answer_range(h, &first, &last, &total))
        assert(first <= last && last < total && total != DAVIT_SIZE_UNKNOWN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    assert(text);
    read_lines(text, &h);
    apply_token(&h);
    read_layer(&h);
    dv_v1_ping_standalone(&h, "", 0);
    char *token = dv_v1_token_of(&h);
    assert(!token || !strpbrk(token, "\r\n")); /* a tab is a blank there */
    davit_secret_free(token);
    return 0;
}
