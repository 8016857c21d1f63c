/*
 * Unit test of distribution/xfer_send.c: each allocation on the loop thread fails once, and the watch ends: well, or with a reason.
 */
#include "../../support/failing_malloc.h"
#include "pull_test.h"

#include "distribution/xfer_upload.h"

#define SIZE ((size_t)30 << 10)

/* A number for the loop thread, from here. */
typedef struct order {
    dv_task task;
    unsigned countdown;
} order;

static void run_order(dv_task *task)
{
    fail_allocation(((order *)task)->countdown);
}

static void set_countdown(fixture *f, unsigned n)
{
    order o = {.task.run = run_order, .countdown = n};
    assert_int_equal(dv_loop_post(f->client->loop, &o.task, NULL), 0);
    dv_loop_barrier(f->client->loop);
}

typedef struct memory_source {
    dv_blob_source source;
    const blob *blob;
} memory_source;

static int open_memory(void *user, dv_body **out, davit_error **err)
{
    dv_memory_body *body = dv_new(dv_memory_body);
    if (!body)
        return dv_error_oom(err);
    dv_memory_body_init(body, ((memory_source *)user)->blob->bytes, SIZE);
    *out = &body->body;
    return 0;
}

static void close_memory(void *user, dv_body *body)
{
    free(body);
}

static int open_registry(fixture *f, dv_registry **out)
{
    dv_endpoint endpoint = {.insecure = true};
    char text[64];
    snprintf(text, sizeof(text), "http://%s/", script_host(f->script));
    assert_int_equal(dv_url_parse(text, &endpoint.url, NULL), 0);
    int r = dv_registry_open(f->client, &endpoint, script_host(f->script), "app", NULL, out, NULL);
    dv_url_clear(&endpoint.url);
    return r;
}

/* One upload, mounted when the registry does, in which the nth allocation fails. False: there was none. */
static bool upload(fixture *f, const blob *b, unsigned n, dv_upload_state *out_state)
{
    memory_source s = {.source = {.open = open_memory, .close = close_memory, .user = &s}, .blob = b};
    DV_AUTOPTR(dv_registry) registry = NULL;
    dv_queue *events = dv_queue_new();
    dv_uploads *uploads;
    dv_upload_event e = {.state = DV_UP_WAITING};
    assert_int_equal(open_registry(f, &registry), 0);
    assert_int_equal(dv_uploads_get(f->client, &uploads, NULL), 0);
    dv_upload_watch w = {.events = events,
                         .registry = registry,
                         .repository = "example.com/app",
                         .digest = b->descriptor.digest,
                         .size = SIZE,
                         .total = SIZE,
                         .source = &s.source,
                         .mount_from = "other"};
    set_countdown(f, n);
    assert_int_equal(dv_upload_watches_start(uploads, &w, 1, NULL), 0);
    while (e.state < DV_UP_EXISTS) {
        dv_node *node = dv_queue_pop(events, 8000);
        if (!node)
            fail_msg("allocation %u: no end", n);
        dv_upload_event_read((dv_upload_event *)node, &e);
    }
    set_countdown(f, 0);
    if (e.state == DV_UP_FAILED && davit_error_code(w.err) == 0)
        fail_msg("allocation %u: failed, and nobody knows why", n);
    *out_state = e.state;
    dv_upload_watch_clear(&w);
    dv_queue_free(events);
    return allocation_failed();
}

static void every_allocation(fixture *f, dv_upload_state usual)
{
    dv_upload_state state = DV_UP_FAILED;
    blob b = blob_make(SIZE, 1);
    unsigned n = 1;
    while (upload(f, &b, n, &state) && n < 3000)
        n++;
    assert_in_range(n, 20, 2999);
    assert_int_equal(state, usual);
    blob_clear(&b);
}

static void xfer_upload__a_mount_without_memory_has_a_reason(void **state)
{
    fixture *f = *state;
    script_add(f->script, &(script_row){.request = "POST", .status = 201});
    script_add(f->script, &(script_row){.request = "HEAD", .headers = "Content-Length: 30720\r\n"});
    every_allocation(f, DV_UP_MOUNTED);
}

static void xfer_upload__a_send_without_memory_has_a_reason(void **state)
{
    fixture *f = *state;
    script_add(f->script, &(script_row){.request = "POST", .status = 202, .headers = "Location: /u\r\n"});
    script_add(f->script, &(script_row){.request = "PUT", .status = 201});
    every_allocation(f, DV_UP_PUSHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(xfer_upload__a_mount_without_memory_has_a_reason),
        pull_test(xfer_upload__a_send_without_memory_has_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
