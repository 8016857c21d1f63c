/*
 * Unit test of registry/v2_upload.c and what it calls: each allocation on the loop thread fails once, and the upload ends, with
 * DAVIT_ENOMEM or whole.
 */
#include "../../support/failing_malloc.h"
#include "registry_test.h"

#include "registry/v2_upload.h"

#define SIZE (64u << 10)

typedef struct sending {
    dv_task start;
    dv_node done;
    dv_queue *queue;
    dv_registry *registry;
    davit_digest digest;
    dv_memory_body body;
    dv_upload_session session;
    dv_upload *upload;
    unsigned fail_at;
    int result;
} sending;

static void on_done(void *user, int r, uint64_t size, davit_error *err)
{
    sending *s = user;
    fail_allocation(0);
    s->result = r;
    davit_error_free(err);
    dv_queue_push(s->queue, &s->done);
}

static const dv_upload_handler handler = {.on_done = on_done};

static void run_start(dv_task *task)
{
    sending *s = (sending *)task;
    davit_error *err = NULL;
    fail_allocation(s->fail_at);
    int r = dv_upload_start(s->registry,
                            &(dv_upload_spec){.digest = &s->digest,
                                              .size = s->body.body.size,
                                              .body = &s->body.body,
                                              .session = &s->session,
                                              .session_is_old = true,
                                              .handler = &handler,
                                              .user = s},
                            &s->upload, &err);
    if (r < 0)
        on_done(s, r, 0, err);
}

static void upload__every_allocation_fails_once(void **state)
{
    /* All of the ways: an old session, pieces, a failure that is asked about, a session that is gone, a new one, the end. */
    static const script_row rows[] = {
        {.request = "GET", .status = 204, .headers = "Location: /v?s=1\r\nRange: 0-99\r\n"},
        {.request = "PATCH", .times = 1, .status = 503},
        {.request = "PATCH", .status = 404},
        {.request = "POST", .status = 202, .headers = "Location: /w\r\nOCI-Chunk-Min-Length: 100\r\n"},
        {.request = "PUT", .status = 201},
    };
    fixture *f = *state;
    DV_AUTOFREE char *bytes = calloc(1, SIZE);
    davit_digest digest;
    unsigned n = 1, ended_well = 0;
    bool hit = true;
    assert_non_null(bytes);
    assert_int_equal(davit_digest_of(DAVIT_SHA256, bytes, SIZE, &digest, NULL), 0);
    for (; hit && n < 5000; n = n < 60 ? n + 1 : n + 3) { /* the later ones are of a kind */
        char url[64];
        sending s = {.start.run = run_start, .digest = digest, .fail_at = n};
        f->one = script_start(rows, DV_COUNT(rows));
        s.registry = open_plain(f, f->one);
        snprintf(url, sizeof(url), "http://%s/old?s=1", script_host(f->one));
        s.session = (dv_upload_session){.url = url, .at = 50};
        s.queue = dv_queue_new();
        dv_memory_body_init(&s.body, bytes, SIZE);
        assert_int_equal(dv_loop_post(f->client->loop, &s.start, NULL), 0);
        if (!dv_queue_pop(s.queue, 20000))
            fail_msg("allocation %u: no end", n);
        dv_loop_barrier(f->client->loop);
        hit = allocation_failed();
        if (!hit)
            assert_int_equal(script_count(f->one, "PUT /w?digest=", NULL), 1); /* it came by all of them */
        if (s.result != 0 && (s.result != DAVIT_ENOMEM || !hit))
            fail_msg("allocation %u: %s", n, davit_code_name(s.result));
        ended_well += hit && s.result == 0;
        dv_queue_free(s.queue);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
    assert_in_range(n, 50, 4999);
    assert_true(ended_well < n / 2); /* mostly it is noticed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {client_test(upload__every_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
