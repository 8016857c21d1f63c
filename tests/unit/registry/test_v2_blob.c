/* Unit tests of registry/v2_blob.c: registry-v2.md 5. */
#include "registry_test.h"

#include "registry/v2_blob.h"

#define BYTES "the bytes of a blob"
#define SIZE (sizeof(BYTES) - 1)

typedef struct download {
    dv_task start, resume, cancel;
    dv_registry *registry;
    davit_digest digest;
    uint64_t size;
    bool document;
    dv_blob_range range;
    dv_blob_get *get;
    dv_range_answer answer;
    uint64_t length;
    unsigned pauses; /* before each of the first pieces */
    bool refuse;     /* in on_answer */
    dv_buf bytes;
    int result;
    bool refused;
    davit_error *err;
    dv_queue *ended;
    dv_node paused, end;
} download;

static int on_answer(void *user, dv_range_answer answer, uint64_t length, davit_error **err)
{
    download *d = user;
    d->answer = answer;
    d->length = length;
    return d->refuse ? dv_error_set(err, DAVIT_EDIGEST, "not wanted") : 0;
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    download *d = user;
    if (d->pauses > 0) {
        d->pauses--;
        dv_queue_push(d->ended, &d->paused);
        return DV_HTTP_PAUSE;
    }
    dv_buf_append(&d->bytes, bytes, size);
    return 0;
}

static void on_done(void *user, int r, bool refused, davit_error *err)
{
    download *d = user;
    d->get = NULL;
    d->result = r;
    d->refused = refused;
    d->err = err;
    dv_queue_push(d->ended, &d->end);
}

static void run_start(dv_task *task)
{
    static const dv_blob_handler handler = {on_answer, on_body, on_done};
    download *d = (download *)task;
    int r = dv_blob_get_start(d->registry, &d->digest, d->size, d->document, &d->range, &handler, d, &d->get,
                              &d->err);
    if (r < 0)
        on_done(d, r, false, d->err);
}

static void run_resume(dv_task *task)
{
    download *d = (download *)((char *)task - offsetof(download, resume));
    if (d->get)
        dv_blob_get_resume(d->get);
}

static void run_cancel(dv_task *task)
{
    download *d = (download *)((char *)task - offsetof(download, cancel));
    dv_blob_get_cancel(DV_STEAL(d->get));
}

static void download_begin(fixture *f, download *d, const script *s)
{
    d->start.run = run_start;
    d->resume.run = run_resume;
    d->cancel.run = run_cancel;
    d->registry = open_plain(f, s);
    d->size = SIZE;
    d->bytes = (dv_buf)DV_BUF_INIT(1u << 20);
    d->ended = dv_queue_new();
    assert_int_equal(davit_digest_of(DAVIT_SHA256, BYTES, SIZE, &d->digest, NULL), 0);
    assert_int_equal(dv_loop_post(f->client->loop, &d->start, NULL), 0);
}

static void download_end(fixture *f, download *d)
{
    dv_buf_clear(&d->bytes);
    davit_error_free(d->err);
    dv_queue_free(d->ended);
    dv_registry_close(DV_STEAL(f->registry));
}

#define FROM(first_)                                                 \
    {                                                                \
        .asked = true, .first = (first_), .last = DAVIT_SIZE_UNKNOWN \
    }

static void blob_get__answers(void **state)
{
    static const struct {
        const char *what;
        dv_blob_range range;
        script_row row;
        int code;
        bool refused;
        dv_range_answer answer;
        const char *bytes, *words;
    } rows[] = {
        {"whole", {0}, {.body = BYTES}, 0, false, DV_RANGE_WHOLE, BYTES, ""},
        {"a part", FROM(4), {.body = BYTES, .ranges = true}, 0, false, DV_RANGE_PART, BYTES + 4, ""},
        {"a middle part", {true, 4, 8}, {.body = BYTES, .ranges = true}, 0, false, DV_RANGE_PART, "bytes", ""},
        {"ignored", FROM(4), {.body = BYTES}, 0, false, DV_RANGE_WHOLE, BYTES, ""},
        {"416", FROM(4), {.status = 416}, DAVIT_EREGISTRY, true, 0, "", ""},
        {"400", FROM(4), {.status = 400}, DAVIT_EREGISTRY, true, 0, "", ""},
        {"400 without a range", {0}, {.status = 400}, DAVIT_EREGISTRY, false, 0, "", ""},
        {"a wrong 206",
         FROM(4),
         {.status = 206, .headers = "Content-Range: bytes 0-18/19\r\n", .body = BYTES},
         DAVIT_EPROTOCOL,
         true,
         0,
         "",
         "received Content-Range starting at offset 0 instead of requested 4"},
        {"206 without Content-Range",
         FROM(4),
         {.status = 206, .body = BYTES},
         DAVIT_EPROTOCOL,
         true,
         0,
         "",
         "no Content-Range header found in HTTP 206 response"},
        {"404", {0}, {.status = 404}, DAVIT_ENOTFOUND, false, 0, "", "unknown blob"},
        {"404 for a range", FROM(4), {.status = 404}, DAVIT_ENOTFOUND, false, 0, "", "unknown blob"},
        {"503 is asked once", {0}, {.status = 503}, DAVIT_EUNAVAILABLE, false, 0, "", "503"},
        {"cut",
         {0},
         {.body = BYTES, .cut = 5, .then = SCRIPT_CLOSE},
         DAVIT_ENETWORK,
         false,
         DV_RANGE_WHOLE,
         "the b",
         ""},
        {"moby/moby#17595: never decoded",
         {0},
         {.headers = "Content-Encoding: x-gzip\r\n", .body = BYTES},
         0,
         false,
         DV_RANGE_WHOLE,
         BYTES,
         ""},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        download d = {.range = rows[i].range};
        script *s = script_start(&rows[i].row, 1);
        download_begin(f, &d, s);
        assert_non_null(dv_queue_pop(d.ended, 4000));
        unsigned asked =
            script_count(s, "GET /v2/app/blobs/sha256:", rows[i].range.asked ? "\r\nRange: bytes=4-" : NULL);
        script_stop(s);
        if (d.result != rows[i].code || d.refused != rows[i].refused || asked != 1 ||
            strcmp(dv_buf_text(&d.bytes), rows[i].bytes) != 0 ||
            (*rows[i].bytes && d.answer != rows[i].answer) ||
            !strstr(d.result < 0 ? davit_error_message(d.err) : "", rows[i].words))
            fail_msg("%s: expected %s, refused %d, \"%s\"; got %s (%s), refused %d, \"%s\", %u requests",
                     rows[i].what, davit_code_name(rows[i].code), rows[i].refused, rows[i].bytes,
                     davit_code_name(d.result), davit_error_message(d.err), d.refused, dv_buf_text(&d.bytes),
                     asked);
        download_end(f, &d);
    }
}

static void blob_get__without_range_header_unless_asked(void **state)
{
    fixture *f = *state;
    download d = {0};
    f->one = script_start(ROWS({.body = BYTES}));
    download_begin(f, &d, f->one);
    assert_non_null(dv_queue_pop(d.ended, 4000));
    assert_int_equal(d.length, SIZE);
    assert_int_equal(script_count(f->one, "GET", "Range"), 0);
    download_end(f, &d);
}

static void blob_get__the_receiver_may_refuse(void **state)
{
    fixture *f = *state;
    download d = {.refuse = true};
    f->one = script_start(ROWS({.body = BYTES}));
    download_begin(f, &d, f->one);
    assert_non_null(dv_queue_pop(d.ended, 4000));
    assert_int_equal(d.result, DAVIT_EDIGEST);
    assert_string_equal(davit_error_message(d.err), "not wanted");
    assert_int_equal(d.bytes.size, 0);
    download_end(f, &d);
}

static void blob_get__pauses_lose_nothing(void **state)
{
    fixture *f = *state;
    download d = {.pauses = 3};
    f->one = script_start(ROWS({.body = BYTES, .drip_ms = 1, .drip_size = 3}));
    download_begin(f, &d, f->one);
    for (dv_node *node; (node = dv_queue_pop(d.ended, 4000)) != &d.end;) {
        assert_ptr_equal(node, &d.paused);
        dv_loop_post_again(f->client->loop, &d.resume);
        dv_loop_barrier(f->client->loop);
    }
    assert_int_equal(d.result, 0);
    assert_string_equal(dv_buf_text(&d.bytes), BYTES);
    download_end(f, &d);
}

static void blob_get_cancel__closes_the_connection(void **state)
{
    fixture *f = *state;
    download d = {0};
    f->one = script_start(ROWS({.body = BYTES, .cut = 5, .then = SCRIPT_HOLD}));
    download_begin(f, &d, f->one);
    assert_true(script_wait(f->one, "GET", 1, 4000));
    dv_loop_post_again(f->client->loop, &d.cancel);
    dv_loop_barrier(f->client->loop);
    assert_null(dv_queue_pop(d.ended, 20));
    for (unsigned i = 0; i < 400 && script_left_early(f->one) == 0; i++)
        dv_sleep_ms(5);
    assert_int_equal(script_left_early(f->one), 1);
    download_end(f, &d);
}

/* A small blob whole: repeated as any question, and no longer than asked for. */
static void blob_read__whole_and_bounded(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest digest;
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT, more = DV_RESPONSE_INIT;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, BYTES, SIZE, &digest, NULL), 0);
    f->one = script_start(ROWS({.times = 2, .status = 503}, {.body = BYTES}));
    open_plain(f, f->one);
    assert_ok(dv_v2_blob_read(f->registry, &digest, SIZE, &res, &err));
    assert_string_equal(dv_buf_text(&res.body), BYTES);
    assert_int_equal(script_count(f->one, "GET /v2/app/blobs/sha256:", NULL), 3);
    assert_int_equal(dv_v2_blob_read(f->registry, &digest, SIZE - 1, &more, &err), DAVIT_ETOOBIG);
    davit_error_free(err);
}

static void blob_head_and_delete__answers(void **state)
{
    static const struct {
        script_row row;
        int head, removed; /* codes */
        uint64_t size;
        const char *words;
    } rows[] = {
        {{.request = "HEAD", .headers = "Content-Length: 77\r\n"}, 0, DAVIT_ENOTFOUND, 77, ""},
        {{.request = "DELETE", .status = 202}, DAVIT_ENOTFOUND, 0, 0, "unknown blob"},
        {{.status = 404}, DAVIT_ENOTFOUND, DAVIT_ENOTFOUND, 0, "unknown blob"},
        {{.status = 403}, DAVIT_EDENIED, DAVIT_EDENIED, 0, ""},
        {{.status = 405}, DAVIT_EREGISTRY, DAVIT_EUNSUPPORTED, 0, ""},
    };
    fixture *f = *state;
    davit_digest digest;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, BYTES, SIZE, &digest, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        uint64_t size = 0;
        f->one = script_start(&rows[i].row, 1);
        open_plain(f, f->one);
        int removed = dv_v2_blob_delete(f->registry, &digest, NULL);
        int head = dv_v2_blob_head(f->registry, &digest, &size, &err);
        if (head != rows[i].head || removed != rows[i].removed || size != rows[i].size ||
            (err && !strstr(davit_error_message(err), rows[i].words)))
            fail_msg("row %zu: %s \"%s\", %s, %llu", i, davit_code_name(head), davit_error_message(err),
                     davit_code_name(removed), (unsigned long long)size);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(blob_get__answers),
        client_test(blob_get__without_range_header_unless_asked),
        client_test(blob_get__the_receiver_may_refuse),
        client_test(blob_get__pauses_lose_nothing),
        client_test(blob_get_cancel__closes_the_connection),
        client_test(blob_read__whole_and_bounded),
        client_test(blob_head_and_delete__answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
