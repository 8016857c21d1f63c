/* Unit tests of registry/search.c and v1_session.c against a scripted index: search.md 1, 3-8, 11. */
#include "registry_test.h"

#include "davit/search.h"
#include "registry/search_result.h"

#include "util/base64.h"

#define PING "GET /v1/_ping HTTP"
#define SEARCH "GET /v1/search?q=term&n=25 HTTP"
#define ANSWER "{\"query\":\"term\",\"num_results\":1,\"results\":[{\"name\":\"n\",\"star_count\":3}]}"

/* --- what an index saw ------------------------------------------------------------------------------------------- */

/* A header of a request, NULL when it has none. New text. */
static char *header_of(const char *request, const char *name)
{
    char start[64];
    snprintf(start, sizeof(start), "\r\n%s: ", name);
    const char *head_end = strstr(request, "\r\n\r\n"), *at = strstr(request, start);
    if (!at || at > head_end)
        return NULL;
    at += strlen(start);
    return dv_strndup(at, strcspn(at, "\r\n"));
}

/* One request as a line: method, path, and of its header what decides. */
static void describe_request(const char *request, dv_buf *out)
{
    static const char *const names[] = {"X-Docker-Token", "Authorization", "Cookie", "X-Meta-Who"};
    const char *end = strstr(request, " HTTP/"), *body = strstr(request, "\r\n\r\n");
    dv_buf_append(out, request, (size_t)(end - request));
    for (size_t i = 0; i < DV_COUNT(names); i++) {
        DV_AUTOFREE char *value = header_of(request, names[i]);
        if (value)
            dv_buf_printf(out, " [%s: %s]", names[i], value);
    }
    dv_buf_printf(out, "%s%s\n", body[4] ? " " : "", body + 4);
}

/* All requests, a line each. New text. */
static char *transcript(script *s)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1u << 16);
    char *request;
    for (unsigned n = 0; (request = script_request(s, "", n)); n++) {
        describe_request(request, &text);
        free(request);
    }
    return dv_strdup(dv_buf_text(&text));
}

static void assert_transcript(const char *what, script *s, const char *expected)
{
    DV_AUTOFREE char *got = transcript(s);
    if (strcmp(got, expected) != 0)
        fail_msg("%s: expected\n%sgot\n%s", what, expected, got);
}

/* Names, stars and flags, in order: "n*3 m*0!" */
static char *found_text(const davit_search_results *results)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1u << 16);
    for (size_t i = 0; i < results->count; i++) {
        const davit_search_result *r = &results->items[i];
        dv_buf_printf(&text, "%s%s*%lld%s%s", i ? " " : "", r->name, (long long)r->star_count,
                      r->is_official ? "!" : "", r->is_automated ? "~" : "");
    }
    return dv_strdup(dv_buf_text(&text));
}

static char *auth_header(const char *json)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
    dv_base64_encode(&text, json, strlen(json), /* url_alphabet= */ true);
    return dv_buf_take(&text);
}

/* --- a search and what is expected of it ----------------------------------------------------------------------------- */

typedef struct search_row {
    const char *what;
    bool tls;
    const char *host; /* in place of 127.0.0.1: "registry.localhost" counts as secure */
    script_row rows[6];
    const char *auth;     /* JSON of an AuthConfig; NULL: not given */
    const char *raw_auth; /* the header's value as it is */
    const char *remote;   /* NULL: "term" */
    const char *headers[3];
    const char *filters[4];
    int64_t limit;
    uint32_t flags;
    int code;
    int status;        /* of the error */
    const char *words; /* the whole error; %s once or more is the host */
    const char *part;  /* a part of it */
    const char *found;
    const char *transcript; /* NULL: any */
} search_row;

/* The host in place of each "%s". New text. */
static char *with_host(const char *text, const char *host)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1u << 16);
    for (const char *at; (at = strstr(text, "%s")); text = at + 2) {
        dv_buf_append(&out, text, (size_t)(at - text));
        dv_buf_puts(&out, host);
    }
    dv_buf_puts(&out, text);
    return dv_strdup(dv_buf_text(&out));
}

static char *host_of(const search_row *row, script *s)
{
    char text[128];
    const char *port = strrchr(script_host(s), ':');
    snprintf(text, sizeof(text), "%s%s", row->host ? row->host : "127.0.0.1", port);
    return dv_strdup(text);
}

static int run_search(fixture *f, const search_row *row, const char *host, davit_search_results **out,
                      davit_error **err)
{
    char term[256];
    davit_search_options options = DAVIT_SEARCH_OPTIONS_INIT;
    davit_search_filters *filters = NULL;
    DV_AUTOFREE char *auth = row->auth ? auth_header(row->auth) : NULL;
    snprintf(term, sizeof(term), "%s/%s", host, row->remote ? row->remote : "term");
    assert_int_equal(davit_search_filters_new(row->filters, &filters, NULL), 0);
    options.registry_auth = auth ? auth : row->raw_auth;
    options.headers = row->headers;
    options.filters = filters;
    options.limit = row->limit;
    options.flags = row->flags;
    int r = davit_service_search(f->client, term, &options, out, err);
    davit_search_filters_free(filters);
    return r;
}

static void check_error(const search_row *row, const char *host, int r, const davit_error *err)
{
    const char *got = davit_error_message(err);
    DV_AUTOFREE char *words = row->words ? with_host(row->words, host) : NULL;
    DV_AUTOFREE char *part = row->part ? with_host(row->part, host) : NULL;
    if (r != row->code || (words && strcmp(got, words) != 0) || (part && !strstr(got, part)) ||
        (row->status && davit_error_http_status(err) != row->status))
        fail_msg("%s: expected %s %d\n\"%s\", got %s %d\n\"%s\"", row->what, davit_code_name(row->code),
                 row->status,
                 words  ? words
                 : part ? part
                        : "",
                 davit_code_name(r), davit_error_http_status(err), got);
}

static void check(fixture *f, const search_row *row)
{
    DV_AUTOPTR(davit_search_results) results = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    size_t count = 0;
    while (count < DV_COUNT(row->rows) && row->rows[count].request)
        count++;
    script *s = row->tls ? script_start_tls(row->rows, count, 0) : script_start(row->rows, count);
    DV_AUTOFREE char *host = host_of(row, s);
    int r = run_search(f, row, host, &results, &err);
    check_error(row, host, r, err);
    if (row->found) {
        DV_AUTOFREE char *found = found_text(results);
        assert_true(results->has_results && !results->query && results->num_results == 0);
        if (strcmp(found, row->found) != 0)
            fail_msg("%s: expected \"%s\", got \"%s\"", row->what, row->found, found);
    }
    if (row->transcript)
        assert_transcript(row->what, s, row->transcript);
    script_stop(s);
}

static void check_all(fixture *f, const search_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(f, &rows[i]);
}

/* --- before the network ------------------------------------------------------------------------------------------- */

static void search__refused_before_any_request(void **state)
{
    static const search_row rows[] = {
        {"unknown key", .filters = {"type=x"}, .code = DAVIT_EINVAL, .words = "invalid filter 'type'"},
        {"bad boolean", .filters = {"is-official=x"}, .code = DAVIT_EINVAL,
         .words = "invalid filter 'is-official=[x]'"},
        {"bad stars", .filters = {"stars=x"}, .code = DAVIT_EINVAL,
         .words = "invalid filter 'stars=x': strconv.Atoi: parsing \"x\": invalid syntax"},
        {"a filter goes before the term", .filters = {"stars=x"}, .remote = "http://x", .code = DAVIT_EINVAL,
         .words = "invalid filter 'stars=x': strconv.Atoi: parsing \"x\": invalid syntax"},
        {"scheme in the term", .remote = "http://x", .code = DAVIT_EINVAL,
         .words = "invalid repository name: repository name (%s/http://x) should not have a scheme"},
        {"automated: nothing, whatever else is wrong", .filters = {"is-automated=true", "stars=x"},
         .remote = "http://x", .limit = 101, .found = ""},
        {"unknown flags", .flags = 1u << 7, .code = DAVIT_EINVAL, .words = "unknown search flags 0x80"},
        {"a header of ours", .headers = {"Authorization: x"}, .code = DAVIT_EINVAL,
         .words = "header Authorization cannot be set"},
        {"not a header", .headers = {"x"}, .code = DAVIT_EINVAL,
         .words = "header \"x\" is not of the form \"Name: value\""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        search_row row = rows[i];
        row.transcript = "";
        check(*state, &row);
    }
}

static void search__options_of_another_version(void **state)
{
    fixture *f = *state;
    davit_search_options options = DAVIT_SEARCH_OPTIONS_INIT;
    davit_search_results *results = NULL;
    options.version = 7;
    assert_int_equal(davit_service_search(f->client, "x", &options, &results, NULL), DAVIT_EINVAL);
    assert_null(results);
}

/* --- terms, limits, results ------------------------------------------------------------------------------------------ */

static void search__term_and_limit_in_the_request(void **state)
{
    static const struct {
        const char *remote;
        int64_t limit;
        const char *request; /* NULL: none but the ping */
        const char *words;
    } rows[] = {
        {"term", 0, "GET /v1/search?q=term&n=25", NULL},
        {"term", 1, "GET /v1/search?q=term&n=1", NULL},
        {"term", 100, "GET /v1/search?q=term&n=100", NULL},
        {"", 0, "GET /v1/search?q=&n=25", NULL},
        {"a/b", 0, "GET /v1/search?q=a%2Fb&n=25", NULL},
        {"a b+c&d=e~f.g_h-i%?#", 0, "GET /v1/search?q=a+b%2Bc%26d%3De~f.g_h-i%25%3F%23&n=25", NULL},
        {"\xc3\xa4", 0, "GET /v1/search?q=%C3%A4&n=25", NULL},
        /* only the official index forgets it */
        {"library/foo", 0, "GET /v1/search?q=library%2Ffoo&n=25", NULL},
        {"term", 101, NULL, "limit 101 is outside the range of [1, 100]"},
        {"term", -1, NULL, "limit -1 is outside the range of [1, 100]"},
        {"term", INT64_MIN, NULL, "limit -9223372036854775808 is outside the range of [1, 100]"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char expected[256];
        snprintf(expected, sizeof(expected), "GET /v1/_ping\n%s%s", rows[i].request ? rows[i].request : "",
                 rows[i].request ? " [X-Docker-Token: true]\n" : "");
        const search_row row = {rows[i].remote,
                                .rows = {{.request = "GET /v1/search", .body = ANSWER}},
                                .remote = rows[i].remote,
                                .limit = rows[i].limit,
                                .code = rows[i].words ? DAVIT_EINVAL : 0,
                                .words = rows[i].words,
                                .found = rows[i].words ? NULL : "n*3",
                                .transcript = expected};
        check(*state, &row);
    }
}

#define MANY                                                                                      \
    "{\"results\":[{\"name\":\"zero\"},{\"name\":\"one\",\"star_count\":1,\"is_official\":true}," \
    "{\"name\":\"two\",\"star_count\":2,\"is_automated\":true}]}"

static void search__results_are_filtered_here(void **state)
{
    static const struct {
        const char *filters[4];
        uint32_t flags;
        const char *found;
    } rows[] = {
        {{NULL}, 0, "zero*0 one*1! two*2"},
        {{NULL}, DAVIT_SEARCH_V25, "zero*0 one*1! two*2~"},
        {{"stars=1"}, 0, "one*1! two*2"},
        {{"stars=0", "stars=2"}, 0, "two*2"},
        {{"stars=3"}, 0, ""},
        {{"is-official=true"}, 0, "one*1!"},
        {{"is-official=false"}, 0, "zero*0 two*2"},
        {{"is-official=false", "stars=1"}, 0, "two*2"},
        {{"is-automated=false"}, 0, "zero*0 one*1! two*2"},
        {{"is-automated=false"}, DAVIT_SEARCH_V25, "zero*0 one*1!"},
        {{"is-automated=true"}, DAVIT_SEARCH_V25, "two*2~"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        search_row row = {rows[i].filters[0] ? rows[i].filters[0] : "none",
                          .rows = {{.request = "GET /v1/search", .body = MANY}}, .flags = rows[i].flags,
                          .found = rows[i].found};
        memcpy(row.filters, rows[i].filters, sizeof(row.filters));
        check(*state, &row);
    }
}

static void search__null_results_are_an_empty_list(void **state)
{
    static const search_row rows[] = {
        {"null", .rows = {{.request = SEARCH, .body = "{\"results\":null}"}}, .found = ""},
        {"absent", .rows = {{.request = SEARCH, .body = "{\"query\":\"x\",\"num_results\":9}"}}, .found = ""},
    };
    check_all(*state, rows, DV_COUNT(rows));
}

/* --- the endpoint ---------------------------------------------------------------------------------------------------- */

#define ASK "GET /v1/search?q=term&n=25 [X-Docker-Token: true]\n"
#define TLS_ASK "TLS GET /v1/search?q=term&n=25 [X-Docker-Token: true]\n"
#define TLS_PINGS "TLS GET /v1/_ping\nTLS GET /v1/_ping\n"
#define HINT(host)                                                                                        \
    ". If this private registry supports only HTTP or HTTPS with an unknown CA certificate, please add "  \
    "`--insecure-registry " host "` to the daemon's arguments. In the case of HTTPS, if you have access " \
    "to the registry's CA certificate, no need for the flag; simply place the CA certificate at "         \
    "/etc/docker/certs.d/" host "/ca.crt"

static void search__where_the_endpoint_is(void **state)
{
    static const search_row rows[] = {
        {"plain (search.md 11)",
         .rows = {{.request = PING, .body = "true"}, {.request = SEARCH, .body = ANSWER}}, .found = "n*3",
         .transcript = "GET /v1/_ping\n" ASK},
        {"TLS: two pings", .tls = true,
         .rows = {{.request = PING, .body = "true"}, {.request = SEARCH, .body = ANSWER}}, .found = "n*3",
         .transcript = TLS_PINGS TLS_ASK},
        {"any status is an answer to a ping", .tls = true,
         .rows = {{.request = PING, .status = 404}, {.request = SEARCH, .body = ANSWER}}, .found = "n*3",
         .transcript = TLS_PINGS TLS_ASK},
        {"also 401",
         .rows = {{.request = PING, .status = 401, .headers = "WWW-Authenticate: Basic realm=\"x\"\r\n"},
                  {.request = SEARCH, .body = ANSWER}},
         .found = "n*3", .transcript = "GET /v1/_ping\n" ASK},
        {"also 500", .rows = {{.request = PING, .status = 500}, {.request = SEARCH, .body = ANSWER}},
         .found = "n*3", .transcript = "GET /v1/_ping\n" ASK},
        {"also one that is endless",
         .rows = {{.request = PING, .body = "true", .endless = true}, {.request = SEARCH, .body = ANSWER}},
         .found = "n*3", .transcript = "GET /v1/_ping\n" ASK},
        {"also one whose body is lost",
         .rows = {{.request = PING, .body = "true", .cut = 2, .then = SCRIPT_RESET},
                  {.request = SEARCH, .body = ANSWER}},
         .found = "n*3", .transcript = "GET /v1/_ping\n" ASK},
        {"secure and not TLS", .host = "registry.localhost", .code = DAVIT_ETLS, .part = HINT("%s"),
         .transcript = ""},
        {"secure and not trusted", .tls = true, .host = "registry.localhost", .code = DAVIT_ECERTIFICATE,
         .part = HINT("%s"), .transcript = ""},
        {"neither", .rows = {{.status = SCRIPT_SILENT, .then = SCRIPT_RESET, .request = "GET"}},
         .code = DAVIT_ENETWORK, .part = ". HTTP attempt: Get \"http://%s/v1/_ping\": "},
    };
    check_all(*state, rows, DV_COUNT(rows));
}

static void search__an_endpoint_that_fails_is_named_first(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_error) secure = NULL;
    DV_AUTOPTR(davit_error) insecure = NULL;
    davit_search_results *results = NULL;
    int r = davit_service_search(f->client, "registry.localhost:1/x", NULL, &results, &secure);
    assert_int_equal(r, DAVIT_ENETWORK);
    assert_ptr_equal(strstr(davit_error_message(secure),
                            "invalid registry endpoint https://registry.localhost:1/v1/: Get "
                            "\"https://registry.localhost:1/v1/_ping\": "),
                     davit_error_message(secure));
    r = davit_service_search(f->client, "127.0.0.1:1/x", NULL, &results, &insecure);
    assert_int_equal(r, DAVIT_ENETWORK);
    assert_ptr_equal(strstr(davit_error_message(insecure),
                            "invalid registry endpoint \"http://127.0.0.1:1/v1/\". HTTPS attempt: Get "
                            "\"https://127.0.0.1:1/v1/_ping\": "),
                     davit_error_message(insecure));
    assert_null(results);
}

static void search__hosts_no_url_can_be_made_of(void **state)
{
    static const char *const terms[] = {"a:b:c/x", "host:99999/x", "ho st.example/x", "u@example.com/x"};
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(terms); i++) {
        davit_search_results *results = NULL;
        if (davit_service_search(f->client, terms[i], NULL, &results, NULL) != DAVIT_EINVAL)
            fail_msg("%s: expected EINVAL", terms[i]);
    }
}

/* --- who asks -------------------------------------------------------------------------------------------------------- */

#define WHO "{\"username\":\"u\",\"password\":\"p\"}"
#define U_P "Basic dTpw"
#define WITH_BASIC " [X-Docker-Token: true] [Authorization: Basic dTpw]\n"
#define OF_NOBODY " [X-Docker-Token: true] [Authorization: Basic Og==]\n"
#define STANDALONE(value) "X-Docker-Registry-Standalone: " value "\r\n"

static void search__who_asks_over_tls(void **state)
{
    static const struct {
        const char *what, *headers, *body, *auth, *raw_auth, *line;
    } rows[] = {
        {"standalone", NULL, "true", WHO, NULL, WITH_BASIC},
        {"standalone and nobody given", NULL, "true", NULL, NULL, " [X-Docker-Token: true]\n"},
        {"standalone and an empty one", NULL, "true", "{}", NULL, OF_NOBODY},
        {"standalone and an empty header", NULL, "true", NULL, "", OF_NOBODY},
        {"standalone and a header that cannot be read", NULL, "true", NULL, "%%%", OF_NOBODY},
        {"standalone by header", STANDALONE("1"), "{\"standalone\":false}", "{}", NULL, OF_NOBODY},
        {"standalone by header, other case", STANDALONE("True"), "", "{}", NULL, OF_NOBODY},
        {"standalone by body", NULL, "{\"standalone\":true}", "{}", NULL, OF_NOBODY},
        {"not standalone by header", STANDALONE("0"), "true", "{}", NULL, " [X-Docker-Token: true]\n"},
        {"not standalone by body", NULL, "{\"standalone\":false}", "{}", NULL, " [X-Docker-Token: true]\n"},
        {"not standalone, somebody", STANDALONE("false"), "true", WHO, NULL, WITH_BASIC},
        {"an identity token without a user is none", NULL, "true", "{\"identitytoken\":\"t\"}", NULL,
         OF_NOBODY},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char expected[512];
        snprintf(expected, sizeof(expected), TLS_PINGS "TLS GET /v1/search?q=term&n=25%s", rows[i].line);
        const search_row row = {
            rows[i].what,
            .tls = true,
            .rows = {{.request = "TLS " PING, .headers = rows[i].headers, .body = rows[i].body},
                     {.request = PING, .headers = rows[i].headers, .body = rows[i].body},
                     {.request = "GET /v1/search", .body = ANSWER}},
            .auth = rows[i].auth,
            .raw_auth = rows[i].raw_auth,
            .found = "n*3",
            .transcript = expected};
        check(*state, &row);
    }
}

static void search__who_asks_over_plain_http(void **state)
{
    static const search_row rows[] = {
        {"somebody", .rows = {{.request = PING, .body = "true"}, {.request = SEARCH, .body = ANSWER}},
         .auth = WHO, .transcript = "GET /v1/_ping\nGET /v1/search?q=term&n=25" WITH_BASIC},
        {"nobody", .rows = {{.request = PING, .body = "true"}, {.request = SEARCH, .body = ANSWER}},
         .auth = "{}", .transcript = "GET /v1/_ping\n" ASK},
        {"a token that was given",
         .rows = {{.request = PING, .headers = "X-Docker-Token: a\r\nX-Docker-Token: b,c\r\n"},
                  {.request = SEARCH, .body = ANSWER}},
         .auth = "{}",
         .transcript = "GET /v1/_ping\nGET /v1/search?q=term&n=25 [X-Docker-Token: true] [Authorization: "
                       "Token a,b,c]\n"},
        {"a user goes before a token",
         .rows = {{.request = PING, .headers = "X-Docker-Token: a\r\n"}, {.request = SEARCH, .body = ANSWER}},
         .auth = WHO, .transcript = "GET /v1/_ping\nGET /v1/search?q=term&n=25" WITH_BASIC},
        {"a token and a cookie of an answer, for the repetition",
         .rows = {{.request = PING, .body = "true"},
                  {.request = SEARCH,
                   .times = 1,
                   .status = 503,
                   .headers = "X-Docker-Token: t\r\nSet-Cookie: sid=1; Path=/v1/\r\n"},
                  {.request = SEARCH, .body = ANSWER}},
         .auth = "{}",
         .transcript = "GET /v1/_ping\n" ASK
                       "GET /v1/search?q=term&n=25 [X-Docker-Token: true] [Authorization: Token t] [Cookie: "
                       "sid=1]\n"},
    };
    check_all(*state, rows, DV_COUNT(rows));
}

/* Cookies and tokens end with their search; pings neither send nor keep cookies. */
static void search__nothing_is_kept_for_the_next_one(void **state)
{
    fixture *f = *state;
    char term[128];
    f->one = script_start(
        ROWS({.request = PING, .headers = "Set-Cookie: ping=1\r\n"},
             {.request = SEARCH, .headers = "Set-Cookie: sid=1\r\nX-Docker-Token: t\r\n", .body = ANSWER}));
    snprintf(term, sizeof(term), "%s/term", script_host(f->one));
    for (int i = 0; i < 2; i++) {
        DV_AUTOPTR(davit_search_results) results = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        assert_ok(davit_service_search(f->client, term, NULL, &results, &err));
    }
    assert_transcript("twice", f->one, "GET /v1/_ping\n" ASK "GET /v1/_ping\n" ASK);
}

static void search__stored_credentials_are_used(void **state)
{
    fixture *f = *state;
    char term[128];
    DV_AUTOPTR(davit_search_results) results = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    f->one = script_start(ROWS({.request = PING}, {.request = SEARCH, .body = ANSWER}));
    use_credentials(f, f->one, "\"auth\":\"dTpw\"");
    snprintf(term, sizeof(term), "%s/term", script_host(f->one));
    assert_ok(davit_service_search(f->client, term, NULL, &results, &err));
    assert_transcript("stored", f->one, "GET /v1/_ping\nGET /v1/search?q=term&n=25" WITH_BASIC);
}

/* threats A4: the user's headers go to the registry itself; over plain http once it is known to be plain. */
static void search__headers_of_the_user(void **state)
{
    static const search_row rows[] = {
        {"TLS", .tls = true, .rows = {{.request = "GET /v1/search", .body = ANSWER}},
         .headers = {"X-Meta-Who: me"},
         .transcript = "TLS GET /v1/_ping [X-Meta-Who: me]\nTLS GET /v1/_ping [X-Meta-Who: me]\n"
                       "TLS GET /v1/search?q=term&n=25 [X-Docker-Token: true] [X-Meta-Who: me]\n"},
        {"plain", .rows = {{.request = "GET /v1/search", .body = ANSWER}}, .headers = {"X-Meta-Who: me"},
         .transcript = "GET /v1/_ping\nGET /v1/search?q=term&n=25 [X-Docker-Token: true] [X-Meta-Who: me]\n"},
    };
    check_all(*state, rows, DV_COUNT(rows));
}

/* --- redirects (threats A3, A4) ---------------------------------------------------------------------------------------- */

static void search__a_redirect_on_the_same_origin_keeps_everything(void **state)
{
    static const search_row row = {
        "same origin",
        .rows = {{.request = PING},
                 {.request = "GET /v1/search",
                  .status = 302,
                  .headers = "Location: /other?x=1\r\nSet-Cookie: sid=1; Path=/\r\n"},
                 {.request = "GET /other?x=1", .body = ANSWER}},
        .auth = WHO,
        .headers = {"X-Meta-Who: me"},
        .found = "n*3",
        .transcript = "GET /v1/_ping\nGET /v1/search?q=term&n=25 [X-Docker-Token: true] [Authorization: "
                      "Basic dTpw] [X-Meta-Who: me]\nGET /other?x=1 [X-Docker-Token: true] [Authorization: "
                      "Basic dTpw] [Cookie: sid=1] [X-Meta-Who: me]\n"};
    check(*state, &row);
}

static void search__another_origin_gets_no_credentials(void **state)
{
    fixture *f = *state;
    char location[256], back[256];
    f->two = script_start(NULL, 0);
    snprintf(location, sizeof(location),
             "Location: http://%s/there\r\nSet-Cookie: sid=1; Path=/\r\nX-Docker-Token: t\r\n",
             script_host(f->two));
    f->one = script_start(ROWS({.request = PING},
                               {.request = "GET /v1/search", .status = 307, .headers = location},
                               {.request = "GET /back", .body = ANSWER}));
    snprintf(back, sizeof(back), "Location: http://%s/back\r\n", script_host(f->one));
    script_add(f->two, &(script_row){.request = "GET /there", .status = 302, .headers = back});
    const search_row row = {"to another port and back", .auth = WHO, .headers = {"X-Meta-Who: me"}};
    DV_AUTOPTR(davit_search_results) results = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_ok(run_search(f, &row, script_host(f->one), &results, &err));
    assert_transcript("there", f->two, "GET /there [X-Docker-Token: true]\n");
    assert_transcript("back", f->one,
                      "GET /v1/_ping\nGET /v1/search?q=term&n=25 [X-Docker-Token: true] [Authorization: "
                      "Basic dTpw] [X-Meta-Who: me]\nGET /back [X-Docker-Token: true]\n");
}

static void search__https_never_becomes_http(void **state)
{
    static const search_row row = {
        "downgrade",
        .tls = true,
        .rows = {{.request = PING},
                 {.request = "GET /v1/search", .status = 302, .headers = "Location: http://x.example/\r\n"}},
        .auth = WHO,
        .code = DAVIT_EPROTOCOL,
        .part = "redirect from https to http on x.example refused"};
    check(*state, &row);
}

/* --- identity tokens --------------------------------------------------------------------------------------------------- */

#define IDENTITY "{\"username\":\"u\",\"identitytoken\":\"IT\"}"

/* An index whose v2 side asks for a token of /token, which answers so. */
static script *bearer_index(const script_row *token, int ping_status)
{
    char challenge[256];
    script *s = script_start(NULL, 0);
    snprintf(challenge, sizeof(challenge),
             "WWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"reg.test\"\r\n", script_host(s));
    script_add(s, &(script_row){.request = PING, .body = "true"});
    script_add(s, &(script_row){.request = "GET /v2/ HTTP",
                                .status = ping_status,
                                .headers = ping_status == 401 ? challenge : ""});
    script_add(s, token);
    script_add(s, &(script_row){.request = SEARCH, .with = "Bearer T\r\n", .body = ANSWER});
    script_add(s, &(script_row){.request = SEARCH, .status = 401, .headers = challenge});
    return s;
}

#define TOKEN_POST                                                                                    \
    "POST /token client_id=docker&grant_type=refresh_token&refresh_token=IT&scope=registry%3Acatalog" \
    "%3Asearch&service=reg.test\n"

static void search__identity_token(void **state)
{
    static const struct {
        const char *what;
        int ping_status;
        script_row token;
        int64_t limit;
        int code;
        const char *words, *transcript;
    } rows[] = {
        {"search.md 11",
         401,
         {.request = "POST /token", .body = "{\"access_token\":\"T\"}"},
         0,
         0,
         NULL,
         "GET /v1/_ping\nGET /v2/\n" TOKEN_POST
         "GET /v1/search?q=term&n=25 [X-Docker-Token: true] [Authorization: Bearer T]\n"},
        {"the token is refused",
         401,
         {.request = "POST /token",
          .status = 401,
          .headers = JSON,
          .body = "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"expired\"}]}"},
         0,
         DAVIT_EUNAUTHORIZED,
         "Get \"http://%s/v1/search?q=term&n=25\": unauthorized: expired",
         "GET /v1/_ping\nGET /v2/\n" TOKEN_POST},
        {"a bad limit costs no token",
         401,
         {.request = "POST /token", .body = "{\"access_token\":\"T\"}"},
         101,
         DAVIT_EINVAL,
         "limit 101 is outside the range of [1, 100]",
         "GET /v1/_ping\nGET /v2/\n"},
        {"nothing is asked for",
         200,
         {.request = "POST /token"},
         0,
         DAVIT_EUNAUTHORIZED,
         "Unexpected status code 401",
         "GET /v1/_ping\nGET /v2/\n" ASK},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        fixture *f = *state;
        script *s = bearer_index(&rows[i].token, rows[i].ping_status);
        const search_row row = {rows[i].what, .auth = IDENTITY, .limit = rows[i].limit, .code = rows[i].code,
                                .words = rows[i].words};
        DV_AUTOPTR(davit_search_results) results = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = run_search(f, &row, script_host(s), &results, &err);
        check_error(&row, script_host(s), r, err);
        assert_transcript(rows[i].what, s, rows[i].transcript);
        script_stop(s);
    }
}

static void search__identity_token_and_other_challenges(void **state)
{
    static const search_row rows[] = {
        {"Basic with a password",
         .rows = {{.request = PING},
                  {.request = "GET /v2/ HTTP", .status = 401, .headers = "WWW-Authenticate: Basic\r\n"},
                  {.request = SEARCH, .with = U_P, .body = ANSWER}},
         .auth = "{\"username\":\"u\",\"password\":\"p\",\"identitytoken\":\"IT\"}", .found = "n*3",
         .transcript = "GET /v1/_ping\nGET /v2/\nGET /v1/search?q=term&n=25" WITH_BASIC},
        {"Basic without one",
         .rows = {{.request = PING},
                  {.request = "GET /v2/ HTTP", .status = 401, .headers = "WWW-Authenticate: Basic\r\n"}},
         .auth = IDENTITY, .code = DAVIT_EUNAUTHORIZED,
         .words = "Get \"http://%s/v1/search?q=term&n=25\": no basic auth credentials",
         .transcript = "GET /v1/_ping\nGET /v2/\n"},
        {"no v2 side", .rows = {{.request = PING}, {.request = SEARCH, .body = ANSWER}}, .auth = IDENTITY,
         .found = "n*3", .transcript = "GET /v1/_ping\nGET /v2/\n" ASK},
        {"a v2 side that breaks",
         .rows = {{.request = PING}, {.request = "GET /v2/", .status = SCRIPT_SILENT, .then = SCRIPT_RESET}},
         .auth = IDENTITY, .code = DAVIT_ENETWORK, .part = "Get \"http://%s/v2/\": "},
        /* threats A1, A3 */
        {"a realm that is not theirs", .tls = true,
         .rows = {{.request = "GET /v2/ HTTP",
                   .status = 401,
                   .headers = "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/token\"\r\n"}},
         .auth = IDENTITY, .code = DAVIT_EUNAUTHORIZED, .part = "over plain http: refused"},
    };
    check_all(*state, rows, DV_COUNT(rows));
}

/* --- asking for other credentials ---------------------------------------------------------------------------------------- */

typedef struct asked {
    unsigned times;
    int code;           /* what it returns */
    const char *header; /* what it gives */
} asked;

static int give_auth(void *user_data, char **out_header, davit_error **err)
{
    asked *a = user_data;
    a->times++;
    if (a->code < 0)
        return dv_error_set(err, a->code, "nobody is there to ask");
    *out_header = auth_header(a->header);
    return 0;
}

static void search__other_credentials_after_a_refusal(void **state)
{
    static const struct {
        const char *what;
        int status; /* for others than u:p */
        asked asked;
        int code;
        const char *words;
        unsigned times;
        unsigned searches;
    } rows[] = {
        {"the right ones", 401, {.header = WHO}, 0, NULL, 1, 2},
        {"wrong ones",
         401,
         {.header = "{\"username\":\"x\",\"password\":\"y\"}"},
         DAVIT_EUNAUTHORIZED,
         "Unexpected status code 401",
         1,
         2},
        {"none", 401, {.code = DAVIT_ECANCELLED}, DAVIT_ECANCELLED, "nobody is there to ask", 1, 1},
        {"a denial is no question", 403, {.header = WHO}, DAVIT_EDENIED, "Unexpected status code 403", 0, 1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        fixture *f = *state;
        char term[128];
        asked a = rows[i].asked;
        davit_search_options options = DAVIT_SEARCH_OPTIONS_INIT;
        DV_AUTOPTR(davit_search_results) results = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        script *s = script_start(ROWS({.request = PING}, {.request = SEARCH, .with = U_P, .body = ANSWER},
                                      {.request = SEARCH, .status = rows[i].status}));
        snprintf(term, sizeof(term), "%s/term", script_host(s));
        options.request_auth_config = give_auth;
        options.request_auth_config_data = &a;
        int r = davit_service_search(f->client, term, &options, &results, &err);
        unsigned searches = script_count(s, SEARCH, NULL);
        script_stop(s);
        if (r != rows[i].code || a.times != rows[i].times || searches != rows[i].searches ||
            (r < 0 && strcmp(davit_error_message(err), rows[i].words) != 0))
            fail_msg("%s: got %s \"%s\", asked %u times, %u searches", rows[i].what, davit_code_name(r),
                     davit_error_message(err), a.times, searches);
    }
}

/* --- answers that are none ----------------------------------------------------------------------------------------------- */

static void search__statuses(void **state)
{
    static const struct {
        int status, code;
        const char *headers;
        unsigned searches; /* repetitions included; 0: 1 */
    } rows[] = {
        {201, DAVIT_EREGISTRY, NULL, 0},     {204, DAVIT_EREGISTRY, NULL, 0},
        {304, DAVIT_EREGISTRY, NULL, 0},     {400, DAVIT_EREGISTRY, NULL, 0},
        {401, DAVIT_EUNAUTHORIZED, NULL, 0}, {403, DAVIT_EDENIED, NULL, 0},
        {404, DAVIT_ENOTFOUND, NULL, 0},     {405, DAVIT_EREGISTRY, NULL, 0},
        {429, DAVIT_ERATELIMIT, NULL, 5},    {500, DAVIT_EUNAVAILABLE, NULL, 5},
        {501, DAVIT_EUNSUPPORTED, NULL, 0},  {503, DAVIT_EUNAVAILABLE, NULL, 5},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char words[64], expected[1024] = "GET /v1/_ping\n";
        snprintf(words, sizeof(words), "Unexpected status code %d", rows[i].status);
        for (unsigned n = 0; n < (rows[i].searches ? rows[i].searches : 1); n++)
            strcat(expected, ASK);
        const search_row row = {words,
                                .rows = {{.request = PING},
                                         {.request = SEARCH,
                                          .status = rows[i].status,
                                          .body = rows[i].status == 204 || rows[i].status == 304 ? "" : "x"}},
                                .code = rows[i].code,
                                .status = rows[i].status,
                                .words = words,
                                .transcript = expected};
        check(*state, &row);
    }
}

static void search__what_is_no_answer(void **state)
{
    static const search_row rows[] = {
        {"longer than we would wait",
         .rows = {{.request = PING}, {.request = SEARCH, .status = 429, .headers = "Retry-After: 120\r\n"}},
         .code = DAVIT_ERATELIMIT,
         .words = "the registry asks to wait 120 s, longer than 60 s: Unexpected status code 429",
         .transcript = "GET /v1/_ping\n" ASK},
        {"no JSON", .rows = {{.request = PING}, {.request = SEARCH, .body = "<html>"}}, .code = DAVIT_EFORMAT,
         .part = "error decoding registry search results: "},
        {"another JSON", .rows = {{.request = PING}, {.request = SEARCH, .body = "{\"results\":{}}"}},
         .code = DAVIT_EFORMAT,
         .words = "error decoding registry search results: \"results\" is not an array"},
        {"an endless one", .rows = {{.request = PING}, {.request = SEARCH, .body = "     ", .endless = true}},
         .code = DAVIT_ETOOBIG, .part = "Get \"http://%s/v1/search?q=term&n=25\": "},
        {"a connection that breaks",
         .rows = {{.request = PING}, {.request = SEARCH, .status = SCRIPT_SILENT, .then = SCRIPT_RESET}},
         .code = DAVIT_ENETWORK, .part = "Get \"http://%s/v1/search?q=term&n=25\": "},
        {"one that breaks once",
         .rows = {{.request = PING},
                  {.request = SEARCH, .times = 1, .status = SCRIPT_SILENT, .then = SCRIPT_RESET},
                  {.request = SEARCH, .body = ANSWER}},
         .found = "n*3"},
        {"cut in the middle",
         .rows = {{.request = PING}, {.request = SEARCH, .body = ANSWER, .cut = 9, .then = SCRIPT_CLOSE}},
         .code = DAVIT_ENETWORK, .part = "Get \"http://%s/v1/search?q=term&n=25\": "},
    };
    check_all(*state, rows, DV_COUNT(rows));
}

static void search__silence_has_a_limit(void **state)
{
    fixture *f = *state;
    davit_client_options options = quick_options();
    static const search_row row = {
        "silence",
        .rows = {{.request = PING}, {.request = SEARCH, .status = SCRIPT_SILENT, .then = SCRIPT_HOLD}},
        .code = DAVIT_ETIMEOUT, .part = "no answer within 0.2 s"};
    options.first_byte_timeout_ms = 200;
    options.max_download_attempts = 1;
    use_options(f, &options);
    check(f, &row);
}

static void *cancel_later(void *arg)
{
    fixture *f = arg;
    script_wait(f->one, f->two ? PING : SEARCH, 1, 5000);
    davit_client_cancel(f->client);
    return NULL;
}

static void cancel_while(fixture *f, const char *held)
{
    char term[128];
    pthread_t thread;
    DV_AUTOPTR(davit_error) err = NULL;
    davit_search_results *results = NULL;
    f->one = script_start(ROWS({.request = held, .status = SCRIPT_SILENT, .then = SCRIPT_HOLD}));
    snprintf(term, sizeof(term), "%s/term", script_host(f->one));
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, f), 0);
    uint64_t before = dv_clock_ms();
    int r = davit_service_search(f->client, term, NULL, &results, &err);
    uint64_t took = dv_clock_ms() - before;
    pthread_join(thread, NULL);
    assert_int_equal(r, DAVIT_ECANCELLED);
    assert_string_equal(davit_error_message(err), "cancelled");
    assert_true(took < 1000);
}

static void search__cancelled_in_the_question(void **state)
{
    cancel_while(*state, SEARCH);
}

static void search__cancelled_in_the_ping(void **state)
{
    fixture *f = *state;
    f->two = script_start(NULL, 0); /* says which request is waited for */
    cancel_while(f, PING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(search__refused_before_any_request),
        client_test(search__options_of_another_version),
        client_test(search__term_and_limit_in_the_request),
        client_test(search__results_are_filtered_here),
        client_test(search__null_results_are_an_empty_list),
        client_test(search__where_the_endpoint_is),
        client_test(search__an_endpoint_that_fails_is_named_first),
        client_test(search__hosts_no_url_can_be_made_of),
        client_test(search__who_asks_over_tls),
        client_test(search__who_asks_over_plain_http),
        client_test(search__nothing_is_kept_for_the_next_one),
        client_test(search__stored_credentials_are_used),
        client_test(search__headers_of_the_user),
        client_test(search__a_redirect_on_the_same_origin_keeps_everything),
        client_test(search__another_origin_gets_no_credentials),
        client_test(search__https_never_becomes_http),
        client_test(search__identity_token),
        client_test(search__identity_token_and_other_challenges),
        client_test(search__other_credentials_after_a_refusal),
        client_test(search__statuses),
        client_test(search__what_is_no_answer),
        client_test(search__silence_has_a_limit),
        client_test(search__cancelled_in_the_question),
        client_test(search__cancelled_in_the_ping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
