/* Unit tests of registry/v2_catalog.c: registry-v2.md 7, threats A8, C4. Pages as such are in test_v2_tag.c. */
#include "registry_test.h"

#include "davit/search.h"

typedef struct taker {
    dv_buf text;
    unsigned count, stop_at; /* 0: never */
} taker;

static int take(const char *name, void *user_data)
{
    taker *t = user_data;
    dv_buf_printf(&t->text, "%s%s", t->count++ ? " " : "", name);
    return t->count == t->stop_at;
}

#define FIRST "GET /v2/_catalog HTTP"
#define PAGE(names) "{\"repositories\":" names "}"
#define UNKNOWN "{\"errors\":[{\"code\":\"UNSUPPORTED\",\"message\":\"no catalogue here\"}]}"

typedef struct catalog_row {
    const char *what;
    script_row pages[4];
    unsigned stop_at;
    const char *expected;
    int code;
    const char *words; /* of the error; %s is the host */
} catalog_row;

static void check(fixture *f, const catalog_row *row)
{
    taker t = {.text = DV_BUF_INIT(1u << 16), .stop_at = row->stop_at};
    DV_AUTOPTR(davit_error) err = NULL;
    char words[256] = "";
    size_t count = 0;
    while (count < DV_COUNT(row->pages) && row->pages[count].request)
        count++;
    script *s = script_start(row->pages, count);
    const char *at = row->words ? strstr(row->words, "%s") : NULL;
    if (row->words)
        snprintf(words, sizeof(words), "%.*s%s%s", at ? (int)(at - row->words) : 0, row->words,
                 at ? script_host(s) : "", at ? at + 2 : row->words);
    int r = davit_registry_catalog(f->client, script_host(s), take, &t, &err);
    script_stop(s);
    if (r != row->code || (row->expected && strcmp(dv_buf_text(&t.text), row->expected) != 0) ||
        (r < 0 && !strstr(davit_error_message(err), words)))
        fail_msg("%s: expected %s \"%s\" [%s], got %s \"%s\" [%s]", row->what, davit_code_name(row->code),
                 words, row->expected ? row->expected : "any", davit_code_name(r), davit_error_message(err),
                 dv_buf_text(&t.text));
    dv_buf_clear(&t.text);
}

static void catalog__pages(void **state)
{
    static const catalog_row rows[] = {
        {"one", {{.request = FIRST, .body = PAGE("[\"b\",\"a/c\"]")}}, .expected = "b a/c"},
        {"none", {{.request = FIRST, .body = PAGE("[]")}}, .expected = ""},
        {"null", {{.request = FIRST, .body = PAGE("null")}}, .expected = ""},
        {"null entries", {{.request = FIRST, .body = PAGE("[null,\"a\",7]")}}, .expected = "a"},
        {"two",
         {{.request = FIRST,
           .headers = "Link: </v2/_catalog?last=b&n=2>; rel=\"next\"\r\n",
           .body = PAGE("[\"a\",\"b\"]")},
          {.request = "GET /v2/_catalog?last=b&n=2 HTTP", .body = PAGE("[\"c\"]")}},
         .expected = "a b c"},
        {"a link to another host",
         {{.request = FIRST,
           .headers = "Link: <https://evil.example/v2/_catalog?last=a>\r\n",
           .body = PAGE("[\"a\"]")},
          {.request = "GET /v2/_catalog?last=a HTTP", .with = "\r\nHost: 127.0.0.1:", .body = PAGE("[\"b\"]")}},
         .expected = "a b"},
        {"stopped",
         {{.request = FIRST, .headers = "Link: <?last=b>\r\n", .body = PAGE("[\"a\",\"b\"]")}},
         .stop_at = 1,
         .expected = "a"},
        {"itself again",
         {{.request = FIRST, .headers = "Link: </v2/_catalog>\r\n", .body = PAGE("[\"a\"]")}},
         .expected = "a",
         .code = DAVIT_EPROTOCOL,
         .words = "catalogue: the registry repeats a page"},
        {"no array",
         {{.request = FIRST, .body = PAGE("{}")}},
         .code = DAVIT_EFORMAT,
         .words = "catalogue: \"repositories\" is not an array"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check(*state, &rows[i]);
}

static void catalog__who_does_not_list(void **state)
{
    static const catalog_row rows[] = {
        {"404",
         {{.request = FIRST, .status = 404}},
         .code = DAVIT_EUNSUPPORTED,
         .words = "%s does not list its repositories: "},
        {"405",
         {{.request = FIRST, .status = 405, .headers = JSON, .body = UNKNOWN}},
         .code = DAVIT_EUNSUPPORTED,
         .words = "%s does not list its repositories: "},
        {"an error that says so",
         {{.request = FIRST, .status = 400, .headers = JSON, .body = UNKNOWN}},
         .code = DAVIT_EUNSUPPORTED,
         .words = "no catalogue here"},
        {"nobody is asked for",
         {{.request = FIRST, .status = 401, .headers = "WWW-Authenticate: Basic realm=\"x\"\r\n"}},
         .code = DAVIT_EUNAUTHORIZED,
         .words = "no basic auth credentials"},
        {"denied",
         {{.request = FIRST,
           .status = 403,
           .headers = JSON,
           .body = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not you\"}]}"}},
         .code = DAVIT_EDENIED,
         .words = "not you"},
        {"broken", {{.request = FIRST, .status = 500}}, .code = DAVIT_EUNAVAILABLE, .words = ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check(*state, &rows[i]);
}

static void catalog__the_scope_of_its_token(void **state)
{
    fixture *f = *state;
    taker t = {.text = DV_BUF_INIT(999)};
    DV_AUTOPTR(davit_error) err = NULL;
    char challenge[256];
    f->one = script_start(NULL, 0);
    snprintf(challenge, sizeof(challenge),
             "WWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"s\","
             "scope=\"registry:catalog:*\"\r\n",
             script_host(f->one));
    script_add(f->one, &(script_row){.request = FIRST, .with = "Bearer T\r\n", .body = PAGE("[\"a\"]")});
    script_add(f->one, &(script_row){.request = FIRST, .status = 401, .headers = challenge});
    script_add(f->one, &(script_row){.request = "GET /token?scope=registry%3Acatalog%3A%2A&service=s HTTP",
                                     .body = "{\"token\":\"T\"}"});
    assert_ok(davit_registry_catalog(f->client, script_host(f->one), take, &t, &err));
    assert_string_equal(dv_buf_text(&t.text), "a");
    dv_buf_clear(&t.text);
}

static void catalog__not_a_host(void **state)
{
    fixture *f = *state;
    taker t = {.text = DV_BUF_INIT(99)};
    assert_int_equal(davit_registry_catalog(f->client, "a b", take, &t, NULL), DAVIT_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(catalog__pages),
        client_test(catalog__who_does_not_list),
        client_test(catalog__the_scope_of_its_token),
        client_test(catalog__not_a_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
