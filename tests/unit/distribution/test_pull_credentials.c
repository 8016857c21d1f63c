/* Unit tests of distribution/pull.c: the credentials of one pull, and asking for others after a refusal. */
#include "pull_test.h"

#define SIZES(...) ((const size_t[]){__VA_ARGS__, 0})
#define S(text) ((char *)(text))
#define BASIC "WWW-Authenticate: Basic realm=\"r\"\r\n"
#define RIGHT_HEADER "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InAifQ==" /* u, p */
#define WRONG_HEADER "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6IngifQ==" /* u, x */

typedef struct asked {
    const char *header;
    int r;
    unsigned times;
    pthread_t thread;
} asked;

static int give_header(void *user_data, char **out_header, davit_error **err)
{
    asked *a = user_data;
    a->times++;
    a->thread = pthread_self();
    if (a->r == 0)
        *out_header = dv_strdup(a->header);
    return a->r;
}

static int pull(fixture *f, const davit_auth_config *auth, asked *a, davit_pull_result *out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = reference(f, ":1.0");
    const davit_request_auth_config_fn request = a ? give_header : NULL;
    const davit_pull_options options = {
        .version = DAVIT_PULL_OPTIONS_VERSION, .auth = auth, .request_auth_config = request, .user_data = a};
    return davit_pull(f->client, ref, &options, out, err);
}

/* Who does not show u:p is asked to. */
static void guard(script *s)
{
    script_add(
        s, &(script_row){.without = "\r\nAuthorization: Basic dTpw\r\n", .status = 401, .headers = BASIC});
}

static void pull__with_credentials_of_its_own(void **state)
{
    static const struct {
        davit_auth_config auth;
        int code;
    } rows[] = {
        {{.username = S("u"), .password = S("x")}, DAVIT_EUNAUTHORIZED},
        {{NULL}, DAVIT_EUNAUTHORIZED},
        {{.username = S("u"), .password = S("p")}, 0},
    };
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    guard(f->script);
    serve_image(f->script, &i, "1.0", (script_row){0});
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        DV_AUTOPTR(davit_error) err = NULL;
        int r = pull(f, &rows[k].auth, NULL, NULL, &err);
        if (r != rows[k].code)
            fail_msg("row %zu: expected %s, got %s: %s", k, davit_code_name(rows[k].code), davit_code_name(r),
                     davit_error_message(err));
        assert_int_equal(is_stored(f, ":1.0"), r == 0);
    }
}

static void pull__asks_once_for_others_after_a_refusal(void **state)
{
    static const struct {
        const char *name;
        davit_auth_config auth;
        asked asked;
        int code;
        unsigned times;
        const char *words;
    } rows[] = {
        {"refused by the user",
         {NULL},
         {.r = DAVIT_ECANCELLED},
         DAVIT_ECANCELLED,
         1,
         "no other credentials were given"},
        {"no header",
         {NULL},
         {.header = "e"},
         DAVIT_EINVAL,
         1,
         "invalid X-Registry-Auth header: unexpected EOF"},
        {"refused again", {NULL}, {.header = WRONG_HEADER}, DAVIT_EUNAUTHORIZED, 1, ""},
        {"empty", {NULL}, {.header = ""}, DAVIT_EUNAUTHORIZED, 1, "no basic auth credentials"},
        {"right after wrong", {S("u"), S("x")}, {.header = RIGHT_HEADER}, 0, 1, "no error"},
        {"right at once", {S("u"), S("p")}, {.header = WRONG_HEADER}, 0, 0, "no error"},
    };
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(4096, 5000), 1);
    guard(f->script);
    serve_image(f->script, &i, "1.0", (script_row){0});
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        DV_AUTOPTR(davit_error) err = NULL;
        asked a = rows[k].asked;
        davit_pull_result result = {0};
        int r = pull(f, &rows[k].auth, &a, &result, &err);
        if (r != rows[k].code || a.times != rows[k].times || !strstr(davit_error_message(err), rows[k].words))
            fail_msg("%s: expected %s and %u questions, got %s and %u: %s", rows[k].name,
                     davit_code_name(rows[k].code), rows[k].times, davit_code_name(r), a.times,
                     davit_error_message(err));
        if (a.times)
            assert_true(pthread_equal(a.thread, pthread_self()));
        if (r == 0)
            assert_int_equal(result.tag_count, 1);
        assert_null(strstr(davit_error_message(err), "eyJ")); /* no header in a message */
    }
}

static void pull__other_errors_ask_nobody(void **state)
{
    static const int statuses[] = {404, 403, 400};
    fixture *f = *state;
    for (size_t k = 0; k < DV_COUNT(statuses); k++) {
        DV_AUTOPTR(davit_error) err = NULL;
        asked a = {.header = RIGHT_HEADER};
        script_add(f->script, &(script_row){.status = statuses[k], .times = 2});
        int r = pull(f, NULL, &a, NULL, &err);
        if (a.times > 0 || r == 0 || r == DAVIT_EUNAUTHORIZED)
            fail_msg("%d: %s, asked %u times", statuses[k], davit_code_name(r), a.times);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(pull__with_credentials_of_its_own),
        pull_test(pull__asks_once_for_others_after_a_refusal),
        pull_test(pull__other_errors_ask_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
