/* tests/unit/registry/v1_test.h - a v1 client of a scripted registry, and what that saw, as text. */
#ifndef DV_TEST_V1_TEST_H
#define DV_TEST_V1_TEST_H

#include "registry_test.h"

#include "oci/v1_image.h"
#include "registry/v1_client.h"

#define ID "00112233445566aa"
#define TOKEN "signature=S1,repository=\"foo/bar\",access=read"

typedef struct v1_fixture {
    fixture base;
    davit_v1_client *v1;
    davit_v1_auth *auth; /* Basic u:p */
} v1_fixture;

UNUSED static int v1_set_up(void **state)
{
    const davit_client_options options = quick_options();
    v1_fixture *f = dv_new(v1_fixture);
    *state = f;
    if (!f || davit_client_new(&options, &f->base.client, NULL) < 0)
        return -1;
    return davit_v1_basic_auth("u", "p", &f->auth, NULL);
}

UNUSED static int v1_tear_down(void **state)
{
    v1_fixture *f = *state;
    davit_v1_auth_free(f->auth);
    davit_v1_client_free(f->v1);
    davit_client_free(f->base.client);
    script_stop(f->base.one);
    script_stop(f->base.two);
    free(f);
    return 0;
}

#define v1_test(name) cmocka_unit_test_setup_teardown(name, v1_set_up, v1_tear_down)

/* The fixture's registry is this script from now on. */
UNUSED static davit_v1_client *v1_open(v1_fixture *f, const script_row *rows, size_t count)
{
    char base[128];
    davit_v1_client_free(f->v1);
    script_stop(f->base.one);
    f->v1 = NULL;
    f->base.one = script_start(rows, count);
    snprintf(base, sizeof(base), "http://%s/v1/", script_host(f->base.one));
    assert_int_equal(davit_v1_client_new(f->base.client, base, &f->v1, NULL), 0);
    return f->v1;
}

/* A header of a request, NULL when it has none. New text. */
UNUSED static char *v1_header(const char *request, const char *name)
{
    char start[64];
    snprintf(start, sizeof(start), "\r\n%s: ", name);
    const char *head_end = strstr(request, "\r\n\r\n"), *at = strstr(request, start);
    if (!at || at > head_end)
        return NULL;
    at += strlen(start);
    return dv_strndup(at, strcspn(at, "\r\n"));
}

/* The request line without the version, the headers that mean something here, and the body. */
UNUSED static char *v1_describe(const char *request)
{
    static const char *const names[] = {"Authorization", "X-Docker-Token", "X-Docker-Endpoints",
                                        "Content-Type",  "Range",          "X-Docker-Checksum-Payload",
                                        "Cookie",        "Expect",         "X-Who"};
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1u << 16);
    const char *end = strstr(request, " HTTP/"), *body = strstr(request, "\r\n\r\n");
    dv_buf_append(&out, request, (size_t)(end - request));
    for (size_t i = 0; i < DV_COUNT(names); i++) {
        DV_AUTOFREE char *value = v1_header(request, names[i]);
        if (value)
            dv_buf_printf(&out, " [%s: %s]", names[i], value);
    }
    dv_buf_printf(&out, "%s%s", body[4] ? " " : "", body + 4);
    return dv_buf_take(&out);
}

/* The nth request that a script saw. */
UNUSED static void assert_request(script *s, unsigned n, const char *expected)
{
    DV_AUTOFREE char *request = script_request(s, "", n);
    if (!request)
        fail_msg("no request %u: %s", n, expected);
    DV_AUTOFREE char *got = v1_describe(request);
    if (strcmp(got, expected) != 0)
        fail_msg("request %u: expected\n%s\ngot\n%s", n, expected, got);
}

/* A refusal with everything that is known of it. */
UNUSED static void assert_refused(v1_fixture *f, int r, davit_error **err, const char *method,
                                  const char *path, int status, const char *detail)
{
    char url[256], text[512];
    snprintf(url, sizeof(url), "http://%s%s", script_host(f->base.one), path);
    snprintf(text, sizeof(text), "%s %s returned %d", method, url, status);
    const char *got_detail = davit_v1_error_detail(*err);
    if (r >= 0 || !davit_error_is_v1_registry(*err) || strcmp(davit_error_message(*err), text) != 0 ||
        davit_error_http_status(*err) != status || strcmp(davit_v1_error_method(*err), method) != 0 ||
        strcmp(davit_v1_error_url(*err), url) != 0 || !detail != !got_detail ||
        (detail && strcmp(detail, got_detail) != 0))
        fail_msg("expected \"%s\" (%s), got %d \"%s\" (%s)", text, detail ? detail : "", r,
                 davit_error_message(*err), got_detail ? got_detail : "");
    davit_error_free(*err);
    *err = NULL;
}

#endif
