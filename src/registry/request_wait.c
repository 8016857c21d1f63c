/* registry/request_wait.c - see request_wait.h. */
#include "registry/request_wait.h"

#include "util/clock.h"
#include "util/hex.h"

typedef struct waiter {
    dv_task task, cancel;
    dv_node done;
    dv_queue *queue;
    davit_client *client;
    dv_request_spec spec;
    dv_request_wait_options options;
    dv_request *request;
    dv_timer limit;
    dv_response head; /* status, header and the body so far, when the header is enough */
    int result;
    dv_response response;
    davit_error *err;
    bool has_head, ended;
} waiter;

static void wake(waiter *w)
{
    dv_timer_stop(&w->limit);
    w->ended = true;
    w->request = NULL;
    dv_queue_push(w->queue, &w->done);
}

static int on_head(void *user, const dv_response *response, davit_error **err)
{
    waiter *w = user;
    dv_response *head = &w->head;
    if (!w->options.head_is_enough)
        return 0;
    *head = *response;
    head->headers = (dv_headers)DV_HEADERS_INIT;
    head->url = (dv_url)DV_URL_INIT;
    head->body = (dv_buf)DV_BUF_INIT(w->spec.body_max);
    int r = dv_headers_copy(&response->headers, &head->headers, err);
    if (r == 0)
        r = dv_url_copy(&response->url, &head->url, err);
    w->has_head = r == 0;
    return r < 0 ? r : 1;
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    waiter *w = user;
    dv_buf *body = &w->head.body;
    if (size > body->max - body->size)
        size = body->max - body->size;
    dv_buf_append(body, bytes, size);
    if (body->failed)
        return dv_error_oom(err);
    return body->size == body->max ? dv_error_set(err, DAVIT_ETOOBIG, "%s: long answer", w->spec.url->host)
                                   : 0;
}

static void on_done(void *user, int r, dv_response *response, davit_error *err)
{
    waiter *w = user;
    if (w->has_head && r != DAVIT_ENOMEM) {
        davit_error_free(err);
        w->response = w->head;
        w->head = (dv_response)DV_RESPONSE_INIT;
    } else {
        w->result = r;
        w->err = err;
        w->response = *response;
        *response = (dv_response)DV_RESPONSE_INIT;
    }
    wake(w);
}

static void stop(waiter *w, int r)
{
    if (w->request)
        dv_request_cancel(w->request);
    w->result = r;
    wake(w);
}

static void on_limit(dv_timer *timer)
{
    waiter *w = (waiter *)((char *)timer - offsetof(waiter, limit));
    stop(w, dv_error_set(&w->err, DAVIT_ETIMEOUT, "%s: no answer within %u s", w->spec.url->host,
                         w->options.limit_ms / 1000));
}

static void run_cancel(dv_task *task)
{
    waiter *w = (waiter *)((char *)task - offsetof(waiter, cancel));
    if (!w->ended)
        stop(w, dv_error_set(&w->err, DAVIT_ECANCELLED, "cancelled"));
}

static void run_start(dv_task *task)
{
    static const dv_request_handler handler = {.on_head = on_head, .on_body = on_body, .on_done = on_done};
    waiter *w = (waiter *)task;
    w->spec.handler = &handler;
    w->spec.user = w;
    if (w->options.limit_ms)
        dv_timer_start(w->client->loop, &w->limit, w->options.limit_ms);
    int r = dv_request_start(&w->client->http, &w->spec, &w->request, &w->err);
    if (r < 0)
        stop(w, r);
}

int dv_request_wait(davit_client *c, const dv_request_spec *spec, const dv_request_wait_options *options,
                    dv_response *out, davit_error **err)
{
    int r = dv_client_check_cancelled(c, err);
    if (r < 0)
        return r;
    waiter w = {.task.run = run_start, .cancel.run = run_cancel, .client = c, .spec = *spec};
    w.limit.fire = on_limit;
    if (options)
        w.options = *options;
    w.queue = dv_queue_new();
    if (!w.queue)
        return dv_error_oom(err);
    r = dv_loop_post(c->loop, &w.task, err);
    if (r == 0) {
        bool cancelling = false;
        while (!dv_queue_pop(w.queue, cancelling ? -1 : 100)) {
            if (!atomic_load(&c->cancelled))
                continue;
            cancelling = true;
            dv_loop_post_again(c->loop, &w.cancel);
        }
        /* A cancellation that came too late is still queued at the loop: let it pass before w goes. */
        if (cancelling)
            dv_loop_barrier(c->loop);
        r = w.result;
        if (r == 0)
            *out = w.response;
        else
            dv_response_clear(&w.response);
        if (r < 0)
            dv_error_move(err, &w.err, r);
    }
    dv_response_clear(&w.head);
    dv_queue_free(w.queue);
    return r;
}

bool dv_request_wait_again(davit_client *c, uint32_t next, const davit_error *why)
{
    uint32_t jitter;
    dv_random_bytes(&jitter, sizeof(jitter));
    int64_t delay = why ? dv_retry_delay_ms(&c->retry, next, why, jitter) : -1;
    if (delay < 0)
        return false;
    uint64_t until = dv_clock_ms() + (uint64_t)delay, now;
    while ((now = dv_clock_ms()) < until && !atomic_load(&c->cancelled))
        dv_sleep_ms(until - now < 100 ? (unsigned)(until - now) : 100);
    return true;
}
