/* Unit tests of registry/registry.c: whose credentials the requests to an endpoint carry (threats A15). */
#include "registry_test.h"

#define S(text) ((char *)(text))
#define BASIC "WWW-Authenticate: Basic realm=\"r\"\r\n"

static void registry_open__whose_credentials_are_used(void **state)
{
    static const struct {
        bool mirror, given, stored;
        const davit_auth_config credentials;
        const char *sent; /* NULL: none */
    } rows[] = {
        {.stored = true, .sent = "\r\nAuthorization: Basic dTpw\r\n"},
        {.sent = NULL},
        {.given = true, .credentials = {.username = S("g"), .password = S("h")}, .sent = "Basic Zzpo\r\n"},
        {.given = true,
         .stored = true,
         .credentials = {.username = S("g"), .password = S("h")},
         .sent = "Basic Zzpo\r\n"},
        {.given = true, .stored = true, .sent = NULL}, /* empty ones are none, not the stored ones */
        {.mirror = true, .given = true, .credentials = {.username = S("g"), .password = S("h")}, .sent = NULL},
        {.mirror = true, /* its own, which are stored */
         .given = true,
         .stored = true,
         .credentials = {.username = S("g"), .password = S("h")},
         .sent = "Basic dTpw\r\n"},
    };
    static const script_row answers[] = {{.with = "Authorization: Basic", .body = "here"},
                                         {.status = 401, .headers = BASIC}};
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        const davit_client_options options = quick_options();
        dv_endpoint endpoint = {.insecure = true, .mirror = rows[i].mirror};
        char text[128];
        script *s = script_start(answers, DV_COUNT(answers));
        if (rows[i].stored)
            use_credentials(f, s, "\"username\":\"u\",\"password\":\"p\"");
        else
            use_options(f, &options);
        snprintf(text, sizeof(text), "http://%s/", script_host(s));
        assert_int_equal(dv_url_parse(text, &endpoint.url, NULL), 0);
        assert_ok(dv_registry_open(f->client, &endpoint, script_host(s), "app",
                                   rows[i].given ? &rows[i].credentials : NULL, &f->registry, &err));
        DV_AUTOFREE char *answer = ask_text(f->registry, "v2/app/x", &err);
        unsigned with = script_count(s, "GET", "uthorization"),
                 right = rows[i].sent ? script_count(s, "GET", rows[i].sent) : 0;
        if ((answer != NULL) != (rows[i].sent != NULL) || with != right || with != (rows[i].sent != NULL))
            fail_msg("row %zu: answer %s, %u with credentials, %u with the right ones; %s", i,
                     answer ? answer : "none", with, right, davit_error_message(err));
        dv_url_clear(&endpoint.url);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        if (f->authfile[0])
            unlink(f->authfile);
        f->authfile[0] = '\0';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(registry_open__whose_credentials_are_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
