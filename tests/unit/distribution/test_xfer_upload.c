/* Unit tests of distribution/xfer_upload.c and xfer_send.c: merging, leaving, limits, what is asked (push.md 4 to 8, DESIGN 5). */
#include "pull_test.h"

#include "distribution/xfer_upload.h"
#include "store/metadata_store.h"
#include "store/upload_session.h"

#define KIB ((size_t)1 << 10)
#define BLOBS_MAX 40

/* Bytes in memory, and how often they were opened and closed. */
typedef struct memory_source {
    dv_blob_source source;
    const blob *blob;
    atomic_uint opened, closed;
    bool refuses;
} memory_source;

typedef struct pusher {
    dv_uploads *uploads;
    dv_registry *registry;
    dv_queue *events;
    dv_upload_watch watches[BLOBS_MAX];
    memory_source sources[BLOBS_MAX];
    size_t count, ended;
    dv_upload_state last[BLOBS_MAX];
    unsigned told[BLOBS_MAX][DV_UP_FAILED + 1];
} pusher;

static int open_memory(void *user, dv_body **out, davit_error **err)
{
    memory_source *s = user;
    dv_memory_body *body = s->refuses ? NULL : dv_new(dv_memory_body);
    if (s->refuses)
        return dv_error_set(err, DAVIT_EIO, "not today");
    if (!body)
        return dv_error_oom(err);
    dv_memory_body_init(body, s->blob->bytes, s->blob->descriptor.size);
    atomic_fetch_add(&s->opened, 1);
    *out = &body->body;
    return 0;
}

static void close_memory(void *user, dv_body *body)
{
    memory_source *s = user;
    atomic_fetch_add(&s->closed, 1);
    free(body);
}

static pusher *pusher_new(fixture *f)
{
    pusher *p = dv_new(pusher);
    dv_endpoint endpoint = {.insecure = true};
    char text[64];
    snprintf(text, sizeof(text), "http://%s/", script_host(f->script));
    assert_int_equal(dv_url_parse(text, &endpoint.url, NULL), 0);
    assert_int_equal(dv_uploads_get(f->client, &p->uploads, NULL), 0);
    assert_int_equal(
        dv_registry_open(f->client, &endpoint, script_host(f->script), "app", NULL, &p->registry, NULL), 0);
    assert_int_equal(dv_registry_set_actions(p->registry, "push,pull", NULL), 0);
    dv_url_clear(&endpoint.url);
    p->events = dv_queue_new();
    return p;
}

static void pusher_free(pusher *p)
{
    if (!p)
        return;
    for (dv_node *node; (node = dv_queue_pop(p->events, 0));) {
        dv_upload_event unused;
        dv_upload_event_read((dv_upload_event *)node, &unused);
    }
    for (size_t i = 0; i < p->count; i++)
        dv_upload_watch_clear(&p->watches[i]);
    dv_queue_free(p->events);
    dv_registry_close(p->registry);
    free(p);
}
DV_DEFINE_AUTOPTR(pusher, pusher_free)

/* how: what differs from the usual wish; NULL: nothing. */
static void pusher_start(pusher *p, const blob *blobs, size_t count, const dv_upload_watch *how)
{
    for (size_t i = 0; i < count; i++) {
        memory_source *s = &p->sources[p->count];
        s->blob = &blobs[i];
        s->source = (dv_blob_source){.open = open_memory, .close = close_memory, .user = s};
        dv_upload_watch *w = &p->watches[p->count++];
        *w = how ? *how : (dv_upload_watch){0};
        w->events = p->events;
        w->registry = p->registry;
        w->repository = "example.com/app";
        w->digest = blobs[i].descriptor.digest;
        w->size = w->total = blobs[i].descriptor.size;
        w->source = &s->source;
    }
    assert_int_equal(dv_upload_watches_start(p->uploads, p->watches, p->count, NULL), 0);
}

static bool pusher_wait(pusher *p, unsigned timeout_ms)
{
    uint64_t until = dv_clock_ms() + timeout_ms;
    while (p->ended < p->count) {
        uint64_t now = dv_clock_ms();
        dv_node *node = now < until ? dv_queue_pop(p->events, (int)(until - now)) : NULL;
        dv_upload_event e;
        if (!node)
            return false;
        dv_upload_event_read((dv_upload_event *)node, &e);
        size_t i = (size_t)(e.watch - p->watches);
        p->told[i][e.state]++;
        p->last[i] = e.state;
        p->ended += e.state >= DV_UP_EXISTS;
    }
    return true;
}

static void assert_ends(pusher *p, dv_upload_state state)
{
    if (!pusher_wait(p, 8000))
        fail_msg("%zu of %zu ended", p->ended, p->count);
    for (size_t i = 0; i < p->count; i++) {
        if (p->last[i] != state)
            fail_msg("%s: ended as %d: %s", p->watches[i].digest.text, (int)p->last[i],
                     davit_error_message(p->watches[i].err));
        assert_int_equal(p->sources[i].opened, p->sources[i].closed);
    }
}

static void add(fixture *f, script_row row)
{
    script_add(f->script, &row);
}

/* Sessions are opened and blobs taken; what is asked for is not there before, and is behind. */
static void serve_uploads(fixture *f, script_row put)
{
    put.request = "PUT /v2/app/blobs/uploads/";
    put.status = put.status ? put.status : 201;
    put.headers = "Location: /v2/app/blobs/x\r\n";
    add(f, (script_row){.request = "POST /v2/app/blobs/uploads/",
                        .status = 202,
                        .headers = "Location: /v2/app/blobs/uploads/1\r\n"});
    add(f, put);
}

static void xfer_upload__equal_blobs_are_sent_once(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 1);
    DV_AUTOPTR(pusher) one = pusher_new(f);
    DV_AUTOPTR(pusher) two = pusher_new(f);
    serve_uploads(f, (script_row){.times = 1, .status = SCRIPT_SILENT, .then = SCRIPT_HOLD});
    serve_uploads(f, (script_row){0});
    pusher_start(one, &b, 1, NULL);
    assert_true(script_wait(f->script, "PUT", 1, 4000));
    pusher_start(two, &b, 1, NULL);
    assert_false(pusher_wait(two, 50));
    script_release(f->script);
    assert_ends(one, DV_UP_PUSHED);
    assert_ends(two, DV_UP_PUSHED);
    assert_int_equal(two->sources[0].opened, 0);
    assert_int_equal(two->watches[0].sent_size, 30 * KIB);
    assert_string_equal(two->watches[0].sent_digest.text, b.descriptor.digest.text);
    blob_clear(&b);
}

static void xfer_upload__is_taken_over_when_its_beginner_leaves(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 2);
    DV_AUTOPTR(pusher) one = pusher_new(f);
    DV_AUTOPTR(pusher) two = pusher_new(f);
    serve_uploads(f, (script_row){.times = 1, .status = SCRIPT_SILENT, .then = SCRIPT_HOLD});
    serve_uploads(f, (script_row){0});
    pusher_start(one, &b, 1, NULL);
    pusher_start(two, &b, 1, NULL);
    assert_true(script_wait(f->script, "PUT", 1, 4000));
    dv_upload_watches_detach(one->uploads, one->watches, one->count);
    assert_int_equal(one->sources[0].opened, 1);
    assert_int_equal(one->sources[0].closed, 1);
    dv_registry_close(one->registry);
    one->registry = NULL;
    assert_ends(two, DV_UP_PUSHED);
    assert_int_equal(two->sources[0].opened, 1);
    script_release(f->script);
    blob_clear(&b);
}

/* When detach is over, nothing of the watch, its source or its registry is used: whatever the upload was doing. */
static void xfer_upload__leaving_is_clean_at_any_time(void **state)
{
    fixture *f = *state;
    blob blobs[8];
    for (unsigned i = 0; i < 8; i++)
        blobs[i] = blob_make((20 + i) * KIB, 20 + i);
    add(f, (script_row){.request = "HEAD", .status = 404, .delay_ms = 10});
    serve_uploads(f, (script_row){.delay_ms = 10});
    for (unsigned round = 0; round < 25; round++) {
        pusher *p = pusher_new(f);
        pusher_start(p, blobs, 8, NULL);
        dv_sleep_ms(2 * round);
        dv_upload_watches_detach(p->uploads, p->watches, p->count);
        for (size_t i = 0; i < 8; i++) {
            assert_true(p->watches[i].ended);
            assert_int_equal(p->sources[i].opened, p->sources[i].closed);
        }
        pusher_free(p);
    }
    for (unsigned i = 0; i < 8; i++)
        blob_clear(&blobs[i]);
}

static void xfer_upload__the_users_number_is_a_hard_limit(void **state)
{
    fixture *f = *state;
    blob blobs[8];
    davit_client_options options = quick_options(f);
    options.max_concurrent_uploads = 2;
    use_options(f, &options);
    for (unsigned i = 0; i < 8; i++)
        blobs[i] = blob_make(20 * KIB, 40 + i);
    add(f, (script_row){.request = "HEAD", .status = 404, .delay_ms = 5});
    serve_uploads(f, (script_row){.delay_ms = 20});
    DV_AUTOPTR(pusher) p = pusher_new(f);
    pusher_start(p, blobs, 8, NULL);
    assert_ends(p, DV_UP_PUSHED);
    assert_true(script_peak(f->script, 0) <= 2);
    unsigned waited = 0;
    for (size_t i = 0; i < 8; i++)
        waited += p->told[i][DV_UP_WAITING] > 0;
    assert_true(waited >= 6);
    for (unsigned i = 0; i < 8; i++)
        blob_clear(&blobs[i]);
}

static void xfer_upload__questions_are_asked_all_at_once(void **state)
{
    fixture *f = *state;
    blob blobs[BLOBS_MAX];
    for (unsigned i = 0; i < BLOBS_MAX; i++)
        blobs[i] = blob_make(KIB, 60 + i);
    add(f, (script_row){.request = "HEAD", .headers = "Content-Length: 1024\r\n", .delay_ms = 200});
    DV_AUTOPTR(pusher) p = pusher_new(f);
    pusher_start(p, blobs, BLOBS_MAX, NULL);
    assert_ends(p, DV_UP_EXISTS);
    assert_true(script_peak(f->script, 0) > 16);
    assert_int_equal(script_count(f->script, "POST", NULL), 0);
    for (unsigned i = 0; i < BLOBS_MAX; i++)
        blob_clear(&blobs[i]);
}

static void xfer_upload__a_mount_that_the_caller_names_is_the_only_question(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 110);
    add(f, (script_row){.request = "POST /v2/app/blobs/uploads/?",
                        .with = "from=other",
                        .status = 201,
                        .headers = "Location: /v2/app/blobs/x\r\n"});
    add(f, (script_row){.request = "HEAD", .headers = "Content-Length: 30720\r\n"});
    DV_AUTOPTR(pusher) p = pusher_new(f);
    pusher_start(p, &b, 1, &(dv_upload_watch){.mount_from = "other"});
    assert_ends(p, DV_UP_MOUNTED);
    assert_string_equal(p->watches[0].mounted_from, "other");
    assert_int_equal(p->sources[0].opened, 0);
    blob_clear(&b);
}

static void xfer_upload__a_mount_that_is_declined_gives_the_session(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 111);
    serve_uploads(f, (script_row){0});
    DV_AUTOPTR(pusher) p = pusher_new(f);
    pusher_start(p, &b, 1, &(dv_upload_watch){.mount_from = "other", .no_questions = true});
    assert_ends(p, DV_UP_PUSHED);
    assert_int_equal(script_count(f->script, "POST", NULL), 1);
    blob_clear(&b);
}

static void xfer_upload__what_was_learnt_is_remembered(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 112);
    DV_AUTOPTR(dv_store) store = NULL;
    DV_AUTO(dv_metadata_entries) known = {0};
    davit_error *err = NULL;
    assert_int_equal(dv_store_open(f->dir, DV_STORE_CREATE, &store, &err), 0);
    assert_int_equal(dv_metadata_add(store, &b.descriptor.digest, NULL, "example.com/wrong", "", &err), 0);
    serve_uploads(f, (script_row){0});
    DV_AUTOPTR(pusher) p = pusher_new(f);
    pusher_start(p, &b, 1, &(dv_upload_watch){.store = store});
    assert_ends(p, DV_UP_PUSHED); /* one mount was declined: the first session is used, the entry forgotten */
    assert_int_equal(dv_metadata_by_blob(store, &b.descriptor.digest, &known, &err), 0);
    assert_int_equal(known.count, 1);
    assert_string_equal(known.items[0].repository, "example.com/app");
    blob_clear(&b);
}

#define SESSION "DELETE /v2/app/blobs/uploads/1 "

/* What the registry has under the digest is not that blob: the bytes go there. */
static void xfer_upload__a_mount_of_another_size_is_none(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 117);
    add(f, (script_row){.request = "POST", .times = 1, .status = 201});
    add(f, (script_row){.request = "HEAD", .headers = "Content-Length: 30719\r\n"});
    serve_uploads(f, (script_row){0});
    DV_AUTOPTR(pusher) p = pusher_new(f);
    pusher_start(p, &b, 1, &(dv_upload_watch){.mount_from = "other", .no_questions = true});
    assert_ends(p, DV_UP_PUSHED);
    assert_int_equal(script_count(f->script, "PUT", NULL), 1);
    blob_clear(&b);
}

/* Nobody goes on with the session of a small blob: who leaves ends it, as push.md 8 wants it. */
static void xfer_upload__leaving_ends_a_session_that_nobody_goes_on_with(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 114);
    DV_AUTOPTR(pusher) p = pusher_new(f);
    add(f, (script_row){.request = SESSION, .status = 204});
    serve_uploads(f, (script_row){.status = SCRIPT_SILENT, .then = SCRIPT_HOLD});
    pusher_start(p, &b, 1, NULL);
    assert_true(script_wait(f->script, "PUT", 1, 4000));
    dv_upload_watches_detach(p->uploads, p->watches, p->count);
    assert_int_equal(script_count(f->script, SESSION, NULL), 1);
    script_release(f->script);
    blob_clear(&b);
}

static void xfer_upload__a_declined_mount_leaves_no_session_behind(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 115);
    add(f, (script_row){.request = SESSION, .status = 204});
    serve_uploads(f, (script_row){.status = 403});
    for (int i = 0; i < 2; i++) {
        DV_AUTOPTR(pusher) p = pusher_new(f);
        p->sources[0].refuses = i == 1;
        pusher_start(p, &b, 1, &(dv_upload_watch){.mount_from = "other", .no_questions = true});
        assert_ends(p, DV_UP_FAILED);
        assert_int_equal(davit_error_code(p->watches[0].err), i ? DAVIT_EIO : DAVIT_EDENIED);
        assert_int_equal(script_count(f->script, SESSION, NULL), i + 1);
    }
    blob_clear(&b);
}

static void xfer_upload__what_is_there_after_all_ends_the_old_session(void **state)
{
    fixture *f = *state;
    blob b = blob_make(17 << 20, 116);
    char url[96], length[64];
    dv_stored_upload stored;
    DV_AUTOPTR(dv_store) store = NULL;
    davit_error *err = NULL;
    assert_int_equal(dv_store_open(f->dir, DV_STORE_CREATE, &store, &err), 0);
    snprintf(url, sizeof(url), "http://%s/v2/app/blobs/uploads/1", script_host(f->script));
    snprintf(length, sizeof(length), "Content-Length: %u\r\n", 17u << 20);
    assert_int_equal(
        dv_upload_session_put(store, "example.com/app", &b.descriptor.digest, url, 8 << 20, &err), 0);
    add(f, (script_row){.request = "HEAD", .headers = length});
    add(f, (script_row){.request = SESSION, .status = 204});
    DV_AUTOPTR(pusher) p = pusher_new(f);
    pusher_start(p, &b, 1, &(dv_upload_watch){.journal = store});
    assert_ends(p, DV_UP_EXISTS);
    assert_int_equal(script_count(f->script, SESSION, NULL), 1);
    assert_int_equal(dv_upload_session_get(store, "example.com/app", &b.descriptor.digest, &stored, NULL),
                     DAVIT_ENOTFOUND);
    blob_clear(&b);
}

static void xfer_upload__a_refusal_is_told_with_the_registrys_words(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 113);
    add(f, (script_row){.request = "POST",
                        .status = 403,
                        .headers = "Content-Type: application/json\r\n",
                        .body = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not you\"}]}"});
    DV_AUTOPTR(pusher) p = pusher_new(f);
    pusher_start(p, &b, 1, NULL);
    assert_ends(p, DV_UP_FAILED);
    assert_string_equal(davit_error_message(p->watches[0].err), "denied: not you");
    blob_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(xfer_upload__equal_blobs_are_sent_once),
        pull_test(xfer_upload__is_taken_over_when_its_beginner_leaves),
        pull_test(xfer_upload__leaving_is_clean_at_any_time),
        pull_test(xfer_upload__the_users_number_is_a_hard_limit),
        pull_test(xfer_upload__questions_are_asked_all_at_once),
        pull_test(xfer_upload__a_mount_that_the_caller_names_is_the_only_question),
        pull_test(xfer_upload__a_mount_that_is_declined_gives_the_session),
        pull_test(xfer_upload__what_was_learnt_is_remembered),
        pull_test(xfer_upload__a_mount_of_another_size_is_none),
        pull_test(xfer_upload__leaving_ends_a_session_that_nobody_goes_on_with),
        pull_test(xfer_upload__a_declined_mount_leaves_no_session_behind),
        pull_test(xfer_upload__what_is_there_after_all_ends_the_old_session),
        pull_test(xfer_upload__a_refusal_is_told_with_the_registrys_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
