/* Unit tests of registry/v2_upload.c: which requests an upload makes of which answers (registry-v2.md 6, quirks.md, threats A5). */
#include "registry_test.h"

#include "net/file_body.h"
#include "net/pipe_body.h"
#include "registry/upload_bytes.h"
#include "registry/v2_upload.h"

#define MIB (1u << 20)
#define ROWS_MAX 10

/* One upload of the loop, started from here. */
typedef struct sending {
    dv_task start, cancel;
    dv_queue *queue;
    dv_node done, noted;
    dv_registry *registry;
    dv_upload_spec spec;
    davit_digest digest;
    dv_memory_body memory;
    dv_upload *upload;
    int result;
    uint64_t size, progress, session_at;
    unsigned retries, sessions;
    bool session_open;
    davit_error *err;
} sending;

static void on_progress(void *user, uint64_t at)
{
    ((sending *)user)->progress = at;
}

static void on_session(void *user, const dv_upload_session *session)
{
    sending *s = user;
    s->sessions += session->url && session->at == 0;
    s->session_open = session->url != NULL;
    s->session_at = session->at;
}

static void on_retry(void *user, uint32_t delay_ms, const davit_error *err)
{
    ((sending *)user)->retries++;
}

static int on_digest(void *user, davit_digest *out, davit_error **err)
{
    *out = ((sending *)user)->digest;
    return 0;
}

static void on_done(void *user, int r, uint64_t size, davit_error *err)
{
    sending *s = user;
    s->upload = NULL;
    s->result = r;
    s->size = size;
    s->err = err;
    dv_queue_push(s->queue, &s->done);
}

static const dv_upload_handler handler = {on_progress, on_session, on_retry, on_digest, on_done};

static void run_start(dv_task *task)
{
    sending *s = (sending *)((char *)task - offsetof(sending, start));
    davit_error *err = NULL;
    int r = dv_upload_start(s->registry, &s->spec, &s->upload, &err);
    if (r < 0)
        on_done(s, r, 0, err);
}

static void run_cancel(dv_task *task)
{
    sending *s = (sending *)((char *)task - offsetof(sending, cancel));
    dv_upload_cancel(s->upload);
    s->upload = NULL;
    dv_queue_push(s->queue, &s->done);
}

static void sending_init(sending *s, dv_registry *reg, const void *bytes, size_t size)
{
    *s = (sending){.registry = reg, .start.run = run_start, .cancel.run = run_cancel};
    s->queue = dv_queue_new();
    dv_memory_body_init(&s->memory, bytes, size);
    assert_int_equal(davit_digest_of(DAVIT_SHA256, bytes, size, &s->digest, NULL), 0);
    s->spec = (dv_upload_spec){
        .digest = &s->digest, .size = size, .body = &s->memory.body, .handler = &handler, .user = s};
}

static void sending_begin(sending *s)
{
    assert_int_equal(dv_loop_post(s->registry->client->loop, &s->start, NULL), 0);
}

static void sending_wait(sending *s)
{
    assert_non_null(dv_queue_pop(s->queue, 20000));
}

static void sending_clear(sending *s)
{
    davit_error_free(s->err);
    dv_queue_free(s->queue);
}

/* "POST PATCH 0-9 PATCH 10-19 PUT": the methods of all requests in order, with their Content-Range. */
static char *told(script *s)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(4096);
    for (unsigned i = 0;; i++) {
        DV_AUTOFREE char *request = script_request(s, "", i);
        if (!request)
            return dv_buf_take(&out);
        const char *range = strstr(request, "\r\nContent-Range: ");
        const char *end = strstr(request, "\r\n\r\n");
        dv_buf_printf(&out, "%s%.*s", i ? " " : "", (int)strcspn(request, " "), request);
        if (range && range < end)
            dv_buf_printf(&out, " %.*s", (int)strcspn(range + 17, "\r"), range + 17);
    }
}

static char *make_bytes(size_t size)
{
    char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + (i / 4096 + i) % 26);
    bytes[size] = '\0';
    return bytes;
}

#define AT(n) "Location: /u" #n "?state=x%2Fy\r\n"
#define POST                                               \
    {                                                      \
        .request = "POST", .status = 202, .headers = AT(0) \
    }
#define CREATED                         \
    {                                   \
        .request = "PUT", .status = 201 \
    }
#define UNKNOWN_SESSION             \
    .status = 404, .headers = JSON, \
    .body = "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\",\"message\":\"no such\"}]}"

typedef struct scenario {
    const char *what;
    size_t size;
    script_row rows[ROWS_MAX];
    const char *requests;
    int code;
    const char *words;
    unsigned retries;
} scenario;

static size_t count_rows(const script_row *rows)
{
    size_t n = 0;
    while (n < ROWS_MAX && (rows[n].request || rows[n].status))
        n++;
    return n;
}

#define TAKEN_FOR_NOTHING                                                                                \
    "POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT HEAD GET PUT HEAD GET PUT " \
    "HEAD"

static const scenario scenarios[] = {
    {"a small blob is one PUT", 1000, {POST, CREATED}, "POST PUT", 0, "", 0},
    {"an empty blob too", 0, {POST, CREATED}, "POST PUT", 0, "", 0},
    {"a large one goes in pieces, each to the newest Location",
     20 * MIB,
     {POST,
      {.request = "PATCH /u0?state=x%2Fy ", .status = 202, .headers = AT(1) "Range: 0-8388607\r\n"},
      {.request = "PATCH /u1?state=x%2Fy ", .status = 202, .headers = AT(2) "Range: 0-16777215\r\n"},
      {.request = "PATCH /u2?state=x%2Fy ", .status = 202, .headers = AT(3) "Range: 0-20971519\r\n"},
      {.request = "PUT /u3?state=x%2Fy&digest=sha256%3A", .status = 201}},
     "POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-20971519 PUT",
     0,
     "",
     0},
    {"OCI-Chunk-Min-Length",
     20 * MIB,
     {{.request = "POST", .status = 202, .headers = AT(0) "OCI-Chunk-Min-Length: 12582912\r\n"},
      {.request = "PATCH", .status = 202},
      CREATED},
     "POST PATCH 0-12582911 PATCH 12582912-20971519 PUT",
     0,
     "",
     0},
    {"PATCH is answered 201, without Location and Range (ECR)",
     17 * MIB,
     {POST, {.request = "PATCH", .status = 201}, CREATED},
     "POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT",
     0,
     "",
     0},
    {"a Range that is stuck (ECR)",
     17 * MIB,
     {POST, {.request = "PATCH", .status = 202, .headers = "Range: 0-8388607\r\n"}, CREATED},
     "POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT",
     0,
     "",
     0},
    {"it took a part of a piece",
     17 * MIB,
     {POST,
      {.request = "PATCH", .times = 1, .status = 202, .headers = "Range: 0-4194303\r\n"},
      {.request = "PATCH", .status = 202},
      CREATED},
     "POST PATCH 0-8388607 PATCH 4194304-12582911 PATCH 12582912-17825791 PUT",
     0,
     "",
     0},
    {"it has more than was sent",
     17 * MIB,
     {POST, {.request = "PATCH", .status = 202, .headers = "Range: 0-8388608\r\n"}},
     "POST PATCH 0-8388607 POST PATCH 0-8388607 POST PATCH 0-8388607 POST PATCH 0-8388607 POST PATCH "
     "0-8388607",
     DAVIT_EPROTOCOL,
     "the registry has 8388609 bytes of 8388608 that were sent",
     0},
    {"somebody else wrote into the session: one of its own",
     17 * MIB,
     {{.request = "POST", .times = 1, .status = 202, .headers = AT(0)},
      {.request = "POST", .status = 202, .headers = AT(1)},
      {.request = "PATCH /u0", .status = 202, .headers = "Range: 0-16777215\r\n"},
      {.request = "PATCH /u1", .status = 202},
      {.request = "PUT /u1", .status = 201}},
     "POST PATCH 0-8388607 POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT",
     0,
     "",
     0},
    {"no PATCH here",
     17 * MIB,
     {POST, {.request = "PATCH", .status = 405}, CREATED},
     "POST PATCH 0-8388607 POST PUT",
     0,
     "",
     0},
    {"one PUT is too large: pieces",
     3 * MIB,
     {POST, {.request = "PUT", .times = 1, .status = 413}, {.request = "PATCH", .status = 202}, CREATED},
     "POST PUT POST PATCH 0-1572863 PATCH 1572864-3145727 PUT",
     0,
     "",
     0},
    {"every piece is too large",
     3 * MIB,
     {POST, {.request = "GET", .status = 204}, {.status = 413}},
     "POST PUT POST PATCH 0-1572863 GET PATCH 0-1048575",
     DAVIT_EREGISTRY,
     "client_max_body_size",
     0},
    {"too large, and no smaller ones to be had",
     1000,
     {POST, {.request = "PUT", .status = 413}},
     "POST PUT",
     DAVIT_EREGISTRY,
     "client_max_body_size",
     0},
    {"a piece is refused for now: asked, and gone on with",
     17 * MIB,
     {POST,
      {.request = "PATCH", .times = 1, .status = 503},
      {.request = "GET /u0", .status = 204, .headers = AT(7) "Range: 0-1048575\r\n"},
      {.request = "PATCH /u7", .status = 202},
      CREATED},
     "POST PATCH 0-8388607 GET PATCH 1048576-9437183 PATCH 9437184-17825791 PUT",
     0,
     "",
     1},
    {"a reset in a piece, and nothing has arrived",
     17 * MIB,
     {POST,
      {.request = "PATCH", .times = 1, .status = SCRIPT_SILENT, .then = SCRIPT_RESET},
      {.request = "GET", .status = 204, .headers = "Range: 0-0\r\n"},
      {.request = "PATCH", .status = 202},
      CREATED},
     "POST PATCH 0-8388607 GET PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT",
     0,
     "",
     1},
    {"429 with a wait",
     1000,
     {POST, {.request = "PUT", .times = 1, .status = 429, .headers = "Retry-After: 0\r\n"}, CREATED},
     "POST PUT HEAD POST PUT",
     0,
     "",
     1},
    {"the session is gone, and the blob not there: a new one",
     17 * MIB,
     {{.request = "POST", .times = 1, .status = 202, .headers = AT(0)},
      {.request = "POST", .status = 202, .headers = AT(1)},
      {.request = "PATCH /u0", UNKNOWN_SESSION},
      {.request = "PATCH /u1", .status = 202},
      CREATED},
     "POST PATCH 0-8388607 HEAD POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT",
     0,
     "",
     0},
    {"the session is always gone",
     1000,
     {POST, {.request = "PUT", UNKNOWN_SESSION}},
     "POST PUT HEAD POST PUT HEAD POST PUT HEAD POST PUT HEAD POST PUT HEAD",
     DAVIT_ENOTFOUND,
     "blob upload unknown: no such",
     0},
    {"the last answer was lost, and the blob is there",
     1000,
     {POST,
      {.request = "PUT", .status = SCRIPT_SILENT, .then = SCRIPT_CLOSE},
      {.request = "HEAD /v2/app/blobs/sha256:", .headers = "Content-Length: 1000\r\n"}},
     "POST PUT HEAD",
     0,
     "",
     1},
    {"... and it is not",
     1000,
     {POST, {.request = "PUT", .times = 2, .status = SCRIPT_SILENT, .then = SCRIPT_RESET}, CREATED},
     "POST PUT HEAD POST PUT HEAD POST PUT",
     0,
     "",
     2},
    {"416 to the last PUT: asked, and gone on with",
     17 * MIB,
     {POST,
      {.request = "PATCH", .status = 202},
      {.request = "PUT", .times = 1, .status = 416},
      {.request = "GET", .status = 204, .headers = "Range: 0-17825791\r\n"},
      CREATED},
     "POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT GET PUT",
     0,
     "",
     0},
    {"416 for ever",
     1000,
     {POST, {.request = "PUT", .status = 416}, {.request = "GET", .status = 204}},
     "POST PUT GET PUT GET PUT POST PUT GET PUT GET PUT POST PUT GET PUT GET PUT POST PUT GET PUT GET PUT "
     "POST "
     "PUT GET PUT GET PUT",
     DAVIT_EREGISTRY,
     "416",
     0},
    {"the last PUT is taken each time, and the blob never there",
     17 * MIB,
     {POST,
      {.request = "PATCH", .status = 202},
      {.request = "PUT", .status = 202},
      {.request = "GET", .status = 204}},
     TAKEN_FOR_NOTHING " " TAKEN_FOR_NOTHING " " TAKEN_FOR_NOTHING " " TAKEN_FOR_NOTHING " " TAKEN_FOR_NOTHING,
     DAVIT_EPROTOCOL,
     "the registry has taken the blob, but has none",
     0},
    {"asked, it says now less and now more",
     17 * MIB,
     {POST,
      {.request = "PATCH", .times = 1, .status = 202, .headers = "Range: 0-8388607\r\n"},
      {.request = "PATCH", .times = 3, .status = 416},
      {.request = "GET", .times = 1, .status = 204, .headers = "Range: 0-9\r\n"},
      {.request = "GET", .status = 204, .headers = "Range: 0-8388607\r\n"},
      {.request = "PATCH", .status = 202},
      CREATED},
     "POST PATCH 0-8388607 PATCH 8388608-16777215 GET PATCH 10-8388617 GET PATCH 8388608-16777215 POST PATCH "
     "0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT",
     0,
     "",
     0},
    {"five times and no more",
     1000,
     {POST, {.request = "PUT", .status = 503}},
     "POST PUT HEAD POST PUT HEAD POST PUT HEAD POST PUT HEAD POST PUT",
     DAVIT_EUNAVAILABLE,
     "503",
     4},
    {"denied",
     1000,
     {POST,
      {.request = "PUT",
       .status = 403,
       .headers = JSON,
       .body = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"}]}"}},
     "POST PUT",
     DAVIT_EDENIED,
     "denied: no",
     0},
    {"denied from the start", 1000, {{.status = 403}}, "POST", DAVIT_EDENIED, "", 0},
    {"the POST is repeated",
     1000,
     {{.request = "POST", .times = 2, .status = 503}, POST, CREATED},
     "POST POST POST PUT",
     0,
     "",
     2},
    {"the POST is repeated, and not for ever",
     1000,
     {{.status = 503}},
     "POST POST POST POST POST",
     DAVIT_EUNAVAILABLE,
     "503",
     4},
    {"a wait that is too long is said once",
     1000,
     {POST, {.request = "PUT", .status = 503, .headers = "Retry-After: 100\r\n"}},
     "POST PUT",
     DAVIT_EUNAVAILABLE,
     "100 s, longer than 60 s: received unexpected HTTP status",
     0},
    {"other bytes were stored",
     1000,
     {POST,
      {.request = "PUT",
       .status = 201,
       .headers = "Docker-Content-Digest: "
                  "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n"}},
     "POST PUT",
     DAVIT_EDIGEST,
     "the registry stored sha256:e3b0",
     0},
    {"204 in place of 201: looked for",
     1000,
     {POST, {.request = "PUT", .status = 204}, {.request = "HEAD", .headers = "Content-Length: 1000\r\n"}},
     "POST PUT HEAD",
     0,
     "",
     0},
    {"no Location",
     1000,
     {{.request = "POST", .status = 202}},
     "POST",
     DAVIT_EPROTOCOL,
     "without a Location",
     0},
    {"200 opens nothing", 1000, {{.request = "POST", .headers = AT(0)}}, "POST", DAVIT_EPROTOCOL, "200", 0},
    {"201 without a mount",
     1000,
     {{.request = "POST", .status = 201, .headers = AT(0)}},
     "POST",
     DAVIT_EPROTOCOL,
     "201",
     0},
    {"a redirect that would make it a GET",
     1000,
     {POST, {.request = "PUT", .status = 302, .headers = "Location: /there\r\n"}, {.request = "GET"}},
     "POST PUT",
     DAVIT_EPROTOCOL,
     "redirect (302) of a PUT",
     0},
    {"307: with its body, again",
     1000,
     {POST,
      {.request = "PUT /u0", .status = 307, .headers = "Location: /there\r\n"},
      {.request = "PUT /there", .status = 201}},
     "POST PUT PUT",
     0,
     "",
     0},
};

static void upload__requests_and_answers(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(scenarios); i++) {
        const scenario *c = &scenarios[i];
        DV_AUTOFREE char *bytes = make_bytes(c->size);
        sending s;
        f->one = script_start(c->rows, count_rows(c->rows));
        sending_init(&s, open_plain(f, f->one), bytes, c->size);
        sending_begin(&s);
        sending_wait(&s);
        DV_AUTOFREE char *requests = told(f->one);
        if (s.result != c->code || strcmp(requests, c->requests) != 0 || s.retries != c->retries ||
            !strstr(davit_error_message(s.err), c->words))
            fail_msg("%s: %s \"%s\" after %u retries\nexpected %s\n     got %s", c->what,
                     davit_code_name(s.result), davit_error_message(s.err), s.retries, c->requests, requests);
        if (s.result == 0 && (s.size != c->size || s.session_open || s.progress != c->size))
            fail_msg("%s: %llu bytes, progress %llu, session %d", c->what, (unsigned long long)s.size,
                     (unsigned long long)s.progress, s.session_open);
        sending_clear(&s);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
}

/* What goes out, to the byte: no form, no wait for 100, the length known, the query kept. */
static void upload__headers_and_bytes(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest digest;
    char line[64];
    f->one = script_start(ROWS(POST, CREATED));
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "hello", 5, &digest, NULL), 0);
    assert_ok(dv_v2_upload_bytes(open_plain(f, f->one), &digest, "hello", 5, &err));
    DV_AUTOFREE char *post = script_request(f->one, "POST /v2/app/blobs/uploads/ HTTP/1.1\r\n", 0);
    DV_AUTOFREE char *put = script_request(f->one, "PUT /u0?state=x%2Fy&digest=sha256%3A2cf24dba5fb0a30e", 0);
    assert_non_null(post);
    assert_non_null(put);
    assert_non_null(strstr(post, "\r\nContent-Length: 0\r\n"));
    assert_null(strstr(post, "Content-Type"));
    assert_non_null(strstr(put, "\r\nContent-Length: 5\r\n"));
    assert_non_null(strstr(put, "\r\nContent-Type: application/octet-stream\r\n"));
    assert_null(strstr(put, "Expect"));
    snprintf(line, sizeof(line), "\r\n\r\nhello");
    assert_non_null(strstr(put, line));
}

static void upload_bytes__a_refusal_ends_the_session(void **state)
{
    fixture *f = *state;
    davit_digest digest;
    f->one =
        script_start(ROWS(POST, {.request = "PUT", .status = 403}, {.request = "DELETE", .status = 204}));
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "hello", 5, &digest, NULL), 0);
    assert_int_equal(dv_v2_upload_bytes(open_plain(f, f->one), &digest, "hello", 5, NULL), DAVIT_EDENIED);
    assert_int_equal(script_count(f->one, "DELETE /u0?state=x%2Fy ", NULL), 1);
}

/* A token that ends in the middle: a new one, and the piece again from its start. */
static void upload__a_401_in_the_middle(void **state)
{
    fixture *f = *state;
    sending s;
    DV_AUTOFREE char *bytes = make_bytes(17 * MIB);
    f->one = script_start(ROWS({.request = "PATCH",
                                .without = "uthorization",
                                .status = 401,
                                .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"},
                               POST, {.request = "PATCH", .status = 202}, CREATED));
    use_credentials(f, f->one, "\"username\":\"u\",\"password\":\"p\"");
    sending_init(&s, open_plain(f, f->one), bytes, 17 * MIB);
    sending_begin(&s);
    sending_wait(&s);
    DV_AUTOFREE char *requests = told(f->one);
    assert_int_equal(s.result, 0);
    assert_string_equal(requests, "POST PATCH 0-8388607 PATCH 0-8388607 PATCH 8388608-16777215 PATCH "
                                  "16777216-17825791 PUT");
    DV_AUTOFREE char *second = script_request(f->one, "PATCH", 1);
    const char *body = strstr(second, "\r\n\r\n") + 4;
    assert_int_equal(strlen(body), 8 * MIB);
    assert_memory_equal(body, bytes, 8 * MIB);
    assert_int_equal(s.retries, 0);
    sending_clear(&s);
}

/* threat A5: another origin gets the bytes and nothing else. A 401 of it is not answered. */
static void upload__a_location_on_another_origin_gets_no_credentials(void **state)
{
    static const char *const headers[] = {"X-Key: secret", NULL};
    fixture *f = *state;
    sending s;
    char line[96];
    davit_client_options options = quick_options();
    f->two = script_start(ROWS({.request = "PUT /there?s=1&digest=", .times = 1, .status = 201},
                               {.status = 401, .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"}));
    snprintf(line, sizeof(line), "Location: http://%s/there?s=1\r\n", script_host(f->two));
    f->one = script_start(
        ROWS({.without = "uthorization", .status = 401, .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"},
             {.request = "POST", .status = 202, .headers = line}));
    use_credentials(f, f->one, "\"username\":\"u\",\"password\":\"p\"");
    options.authfile = f->authfile;
    options.headers = headers;
    use_options(f, &options);
    open_plain(f, f->one);
    for (int i = 0; i < 2; i++) {
        sending_init(&s, f->registry, "hello", 5);
        sending_begin(&s);
        sending_wait(&s);
        assert_int_equal(s.result, i == 0 ? 0 : DAVIT_EUNAUTHORIZED);
        sending_clear(&s);
    }
    assert_int_equal(script_count(f->one, "POST", "\r\nAuthorization: Basic dTpw\r\n"), 2);
    assert_int_equal(script_count(f->one, "POST", "\r\nX-Key: secret\r\n"), 3);
    assert_int_equal(script_count(f->two, "PUT", NULL), 2);
    assert_int_equal(script_count(f->two, "", "uthorization"), 0);
    assert_int_equal(script_count(f->two, "", "X-Key"), 0);
}

/* threat A5: a registry behind a proxy that ends TLS says http; the bytes stay on TLS. Another host over http gets nothing. */
static void upload__a_plain_location_is_upgraded_or_refused(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest digest;
    char line[96];
    f->one = script_start_tls(
        ROWS({.request = "PUT /u?s=1&digest=", .over = SCRIPT_OVER_TLS, .status = 201},
             {.request = "POST /v2/other/", .status = 202, .headers = "Location: http://localhost:1/u\r\n"}),
        0);
    snprintf(line, sizeof(line), "Location: http://%s/u?s=1\r\n", script_host(f->one));
    script_add(
        f->one,
        &(script_row){.request = "POST /v2/app/", .over = SCRIPT_OVER_TLS, .status = 202, .headers = line});
    f->registry = open_at(f, f->one, "https", "/", false);
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "hello", 5, &digest, NULL), 0);
    assert_ok(dv_v2_upload_bytes(f->registry, &digest, "hello", 5, &err));
    assert_int_equal(script_count(f->one, "TLS PUT /u?s=1&digest=", NULL), 1);
    assert_int_equal(script_count(f->one, "PUT", NULL), 0);
    free(f->registry->path);
    f->registry->path = dv_strdup("other");
    assert_int_equal(dv_v2_upload_bytes(f->registry, &digest, "hello", 5, &err), DAVIT_EPROTOCOL);
    assert_non_null(strstr(davit_error_message(err), "from https to http on localhost refused"));
    davit_error_free(err);
}

/* threats A3: a session that was opened over http, before the registry had TLS: begun anew, over TLS. */
static void upload__an_old_session_over_http_is_not_gone_on_with_once_there_is_tls(void **state)
{
    fixture *f = *state;
    sending s;
    char url[96];
    f->one = script_start_tls(ROWS({.request = "POST", .status = 202, .headers = AT(0)},
                                   {.request = "GET", .status = 204, .headers = "Range: 0-8388607\r\n"},
                                   {.request = "PATCH", .status = 202}, CREATED),
                              0);
    snprintf(url, sizeof(url), "http://%s/old?state=1", script_host(f->one));
    const dv_upload_session old = {.url = url, .at = 8 * MIB};
    DV_AUTOFREE char *bytes = make_bytes(17 * MIB);
    sending_init(&s, f->registry = open_at(f, f->one, "https", "/", false), bytes, 17 * MIB);
    s.spec.session = &old;
    s.spec.session_is_old = true;
    sending_begin(&s);
    sending_wait(&s);
    DV_AUTOFREE char *plain = script_request(f->one, "GET /old", 0);
    if (plain)
        fail_msg("%s", plain);
    assert_int_equal(s.result, 0);
    assert_int_equal(script_count(f->one, "TLS POST", NULL), 1);
    assert_int_equal(script_count(f->one, "TLS PATCH", NULL), 3);
    assert_int_equal(script_count(f->one, "TLS PUT", NULL), 1);
    sending_clear(&s);
}

static void upload__locations_in_every_form(void **state)
{
    static const char *const rows[][2] = {
        {"/abs?a=1", "PUT /abs?a=1&digest="},
        {"rel", "PUT /v2/app/blobs/uploads/rel?digest="},
        {"../up/rel?a=1", "PUT /v2/app/blobs/up/rel?a=1&digest="},
        {"?only=query", "PUT /v2/app/blobs/uploads/?only=query&digest="},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char line[96];
        davit_error *err = NULL;
        davit_digest digest;
        snprintf(line, sizeof(line), "Location: %s\r\n", rows[i][0]);
        f->one = script_start(ROWS({.request = "POST", .status = 202, .headers = line}, CREATED));
        assert_int_equal(davit_digest_of(DAVIT_SHA256, "hello", 5, &digest, NULL), 0);
        assert_ok(dv_v2_upload_bytes(open_plain(f, f->one), &digest, "hello", 5, &err));
        if (script_count(f->one, rows[i][1], NULL) != 1)
            fail_msg("Location: %s", rows[i][0]);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
}

/* A session of an earlier run is asked first; whatever is wrong with it, there is a new one. */
static void upload__goes_on_with_an_old_session(void **state)
{
    static const struct {
        const char *what;
        script_row rows[5];
        const char *requests;
    } rows[] = {
        {"further than the journal",
         {{.request = "GET /old", .status = 204, .headers = "Range: 0-12582911\r\n"},
          {.request = "PATCH", .status = 202},
          CREATED},
         "GET PATCH 12582912-17825791 PUT"},
        {"behind the journal",
         {{.request = "GET /old", .status = 204, .headers = "Range: 0-4194303\r\n"},
          {.request = "PATCH", .status = 202},
          CREATED},
         "GET PATCH 4194304-12582911 PATCH 12582912-17825791 PUT"},
        {"all there",
         {{.request = "GET /old", .status = 204, .headers = "Range: 0-17825791\r\n"}, CREATED},
         "GET PUT"},
        {"gone",
         {{.request = "GET /old", UNKNOWN_SESSION}, POST, {.request = "PATCH", .status = 202}, CREATED},
         "GET POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT"},
        {"its URL has expired",
         {{.request = "GET /old", .status = 403}, POST, {.request = "PATCH", .status = 202}, CREATED},
         "GET POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT"},
        {"more than there is",
         {{.request = "GET /old", .status = 204, .headers = "Range: 0-17825792\r\n"},
          POST,
          {.request = "PATCH", .status = 202},
          CREATED},
         "GET POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT"},
        {"it holds something else: once more from the start",
         {{.request = "GET /old", .status = 204, .headers = "Range: 0-17825791\r\n"},
          {.request = "PUT",
           .times = 1,
           .status = 400,
           .headers = JSON,
           .body = "{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"no\"}]}"},
          POST,
          {.request = "PATCH", .status = 202},
          CREATED},
         "GET PUT POST PATCH 0-8388607 PATCH 8388608-16777215 PATCH 16777216-17825791 PUT"},
    };
    fixture *f = *state;
    DV_AUTOFREE char *bytes = make_bytes(17 * MIB);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        sending s;
        char url[96];
        size_t count = 0;
        while (count < DV_COUNT(rows[i].rows) && rows[i].rows[count].request)
            count++;
        f->one = script_start(rows[i].rows, count);
        snprintf(url, sizeof(url), "http://%s/old?state=1", script_host(f->one));
        const dv_upload_session old = {.url = url, .at = 8 * MIB};
        sending_init(&s, open_plain(f, f->one), bytes, 17 * MIB);
        s.spec.session = &old;
        s.spec.session_is_old = true;
        sending_begin(&s);
        sending_wait(&s);
        DV_AUTOFREE char *requests = told(f->one);
        if (s.result != 0 || strcmp(requests, rows[i].requests) != 0)
            fail_msg("%s: %s, \"%s\"\nexpected %s\n     got %s", rows[i].what, davit_code_name(s.result),
                     davit_error_message(s.err), rows[i].requests, requests);
        sending_clear(&s);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
}

/* What on_session told last is enough to go on. */
static void upload__what_failed_can_be_gone_on_with(void **state)
{
    fixture *f = *state;
    sending s;
    DV_AUTOFREE char *bytes = make_bytes(17 * MIB);
    f->one = script_start(ROWS(POST, {.request = "PATCH", .times = 1, .status = 202, .headers = AT(1)},
                               {.request = "PATCH", .status = 403}));
    sending_init(&s, open_plain(f, f->one), bytes, 17 * MIB);
    sending_begin(&s);
    sending_wait(&s);
    assert_int_equal(s.result, DAVIT_EDENIED);
    assert_true(s.session_open);
    assert_int_equal(s.session_at, 8 * MIB);
    assert_int_equal(s.sessions, 1);
    sending_clear(&s);
}

/* --- where the bytes come from ------------------------------------------------------------------------------------ */

/* A body whose size nobody knows: one PATCH in chunks, the digest at the end. */
static void upload__a_stream_of_unknown_size(void **state)
{
    fixture *f = *state;
    sending s;
    dv_body_part part;
    DV_AUTOFREE char *bytes = make_bytes(300000);
    f->one = script_start(
        ROWS(POST, {.request = "PATCH", .status = 202, .headers = AT(1) "Range: 0-299999\r\n"}, CREATED));
    sending_init(&s, open_plain(f, f->one), bytes, 300000);
    dv_body_part_init(&part, &s.memory.body, 0, DAVIT_SIZE_UNKNOWN);
    s.spec.body = &part.body;
    s.spec.digest = NULL;
    s.spec.size = DAVIT_SIZE_UNKNOWN;
    sending_begin(&s);
    sending_wait(&s);
    DV_AUTOFREE char *requests = told(f->one);
    assert_int_equal(s.result, 0);
    assert_int_equal(s.size, 300000);
    assert_string_equal(requests, "POST PATCH PUT");
    assert_int_equal(script_count(f->one, "PATCH", "\r\nTransfer-Encoding: chunked\r\n"), 1);
    sending_clear(&s);
}

static int temporary_file(const void *bytes, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fflush(file), 0);
    int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

static void upload__from_a_file(void **state)
{
    fixture *f = *state;
    sending s;
    DV_AUTOFREE char *bytes = make_bytes(3 * MIB);
    dv_file_body *file = NULL;
    davit_error *err = NULL;
    f->one = script_start(ROWS(POST, CREATED));
    open_plain(f, f->one);
    assert_ok(dv_file_body_new(f->client->loop, f->client->pool, temporary_file(bytes, 3 * MIB), 1000,
                               2 * MIB, &file, &err));
    sending_init(&s, f->registry, bytes + 1000, 2 * MIB);
    s.spec.body = dv_file_body_body(file);
    sending_begin(&s);
    sending_wait(&s);
    assert_int_equal(s.result, 0);
    DV_AUTOFREE char *put = script_request(f->one, "PUT", 0);
    assert_memory_equal(strstr(put, "\r\n\r\n") + 4, bytes + 1000, 2 * MIB);
    dv_loop_barrier(f->client->loop);
    dv_file_body_free(file);
    sending_clear(&s);
}

static void upload__a_file_that_is_too_short(void **state)
{
    fixture *f = *state;
    sending s;
    dv_file_body *file = NULL;
    davit_error *err = NULL;
    f->one = script_start(ROWS(POST, CREATED));
    open_plain(f, f->one);
    assert_ok(
        dv_file_body_new(f->client->loop, f->client->pool, temporary_file("hello", 5), 0, 9, &file, &err));
    sending_init(&s, f->registry, "hello....", 9);
    s.spec.body = dv_file_body_body(file);
    sending_begin(&s);
    sending_wait(&s);
    assert_int_equal(s.result, DAVIT_EIO);
    assert_non_null(strstr(davit_error_message(s.err), "ends 4 bytes early"));
    dv_loop_barrier(f->client->loop);
    dv_file_body_free(file);
    sending_clear(&s);
}

/* A producer on the loop that never has more than the ring takes, as a copy from another registry is. */
typedef struct producer {
    dv_pipe_body *pipe;
    dv_timer timer;
    dv_loop *loop;
    const char *bytes;
    size_t size, at;
    unsigned pauses, seeks;
} producer;

static void produce(dv_timer *timer)
{
    producer *p = (producer *)((char *)timer - offsetof(producer, timer));
    for (int i = 0; i < 40 && p->at < p->size; i++) {
        size_t n = p->size - p->at < 16384 ? p->size - p->at : 16384;
        if (dv_pipe_body_write(p->pipe, p->bytes + p->at, n) == DV_HTTP_PAUSE) {
            p->pauses++;
            return;
        }
        p->at += n;
    }
    if (p->at < p->size)
        dv_timer_start(p->loop, &p->timer, 1);
    else
        dv_pipe_body_end(p->pipe);
}

static void on_space(void *user)
{
    produce(&((producer *)user)->timer);
}

static int on_seek(void *user, uint64_t offset, davit_error **err)
{
    producer *p = user;
    p->seeks++;
    p->at = (size_t)offset;
    dv_timer_start(p->loop, &p->timer, 1);
    return 0;
}

static const dv_pipe_body_handler pipe_handler = {on_space, on_seek};

static void upload__from_a_pipe_that_starts_over(void **state)
{
    fixture *f = *state;
    sending s;
    DV_AUTOFREE char *bytes = make_bytes(5 * MIB);
    producer p = {.loop = f->client->loop, .timer.fire = produce, .bytes = bytes, .size = 5 * MIB};
    davit_error *err = NULL;
    f->one = script_start(
        ROWS(POST, {.request = "PUT", .times = 1, .status = SCRIPT_SILENT, .then = SCRIPT_RESET}, CREATED));
    open_plain(f, f->one);
    assert_ok(dv_pipe_body_new(f->client->loop, 5 * MIB, &pipe_handler, &p, &p.pipe, &err));
    sending_init(&s, f->registry, bytes, 5 * MIB);
    s.spec.body = dv_pipe_body_body(p.pipe);
    s.spec.body->at = 1; /* so that the first read asks for the beginning */
    sending_begin(&s);
    sending_wait(&s);
    assert_int_equal(s.result, 0);
    assert_int_equal(s.retries, 1);
    assert_int_equal(p.seeks, 2);
    assert_true(p.pauses > 0);
    DV_AUTOFREE char *put = script_request(f->one, "PUT", 1);
    assert_memory_equal(strstr(put, "\r\n\r\n") + 4, bytes, 5 * MIB);
    dv_loop_barrier(f->client->loop);
    dv_pipe_body_free(p.pipe);
    sending_clear(&s);
}

static void upload_cancel__from_any_state(void **state)
{
    static const script_row rows[][3] = {
        {{.status = SCRIPT_SILENT, .then = SCRIPT_HOLD}},
        {POST, {.status = SCRIPT_SILENT, .then = SCRIPT_HOLD}},
        {POST, {.request = "PUT", .status = 503}, {.status = SCRIPT_SILENT, .then = SCRIPT_HOLD}},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        sending s;
        f->one = script_start(rows[i], i + 1);
        sending_init(&s, open_plain(f, f->one), "hello", 5);
        sending_begin(&s);
        assert_true(script_wait(f->one, "", (unsigned)i + 1, 5000));
        dv_loop_post_again(f->client->loop, &s.cancel);
        sending_wait(&s);
        assert_null(s.err);
        sending_clear(&s);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(upload__requests_and_answers),
        client_test(upload__headers_and_bytes),
        client_test(upload_bytes__a_refusal_ends_the_session),
        client_test(upload__a_401_in_the_middle),
        client_test(upload__a_location_on_another_origin_gets_no_credentials),
        client_test(upload__a_plain_location_is_upgraded_or_refused),
        client_test(upload__an_old_session_over_http_is_not_gone_on_with_once_there_is_tls),
        client_test(upload__locations_in_every_form),
        client_test(upload__goes_on_with_an_old_session),
        client_test(upload__what_failed_can_be_gone_on_with),
        client_test(upload__a_stream_of_unknown_size),
        client_test(upload__from_a_file),
        client_test(upload__a_file_that_is_too_short),
        client_test(upload__from_a_pipe_that_starts_over),
        client_test(upload_cancel__from_any_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
