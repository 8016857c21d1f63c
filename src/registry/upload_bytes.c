/* registry/upload_bytes.c - see upload_bytes.h. */
#include "registry/upload_bytes.h"

#include "registry/v2_upload.h"

typedef struct bytes_upload {
    dv_task task, cancel;
    dv_node done;
    dv_queue *queue;
    dv_registry *registry;
    const davit_digest *digest;
    dv_memory_body body;
    dv_upload *upload;
    dv_upload_session session; /* that is open */
    int result;
    davit_error *err;
} bytes_upload;

static void bytes_done(void *user, int r, uint64_t size, davit_error *err)
{
    bytes_upload *b = user;
    b->upload = NULL;
    b->result = r;
    b->err = err;
    dv_queue_push(b->queue, &b->done);
}

static void bytes_session(void *user, const dv_upload_session *session)
{
    bytes_upload *b = user;
    dv_upload_session_clear(&b->session);
    b->session.url = dv_strdup(session->url);
}

static const dv_upload_handler bytes_handler = {.on_session = bytes_session, .on_done = bytes_done};

static void bytes_start(dv_task *task)
{
    bytes_upload *b = (bytes_upload *)task;
    davit_error *err = NULL;
    int r = dv_upload_start(b->registry,
                            &(dv_upload_spec){.digest = b->digest,
                                              .size = b->body.body.size,
                                              .body = &b->body.body,
                                              .handler = &bytes_handler,
                                              .user = b},
                            &b->upload, &err);
    if (r < 0)
        bytes_done(b, r, 0, err);
}

static void bytes_cancel(dv_task *task)
{
    bytes_upload *b = (bytes_upload *)((char *)task - offsetof(bytes_upload, cancel));
    davit_error *err = NULL;
    if (!b->upload)
        return;
    dv_upload_cancel(b->upload);
    int r = dv_error_set(&err, DAVIT_ECANCELLED, "cancelled");
    bytes_done(b, r, 0, err);
}

int dv_v2_upload_bytes(dv_registry *reg, const davit_digest *digest, const void *bytes, size_t size,
                       davit_error **err)
{
    davit_client *client = reg->client;
    bytes_upload b = {.task.run = bytes_start, .cancel.run = bytes_cancel, .registry = reg, .digest = digest};
    int r = dv_client_check_cancelled(client, err);
    if (r < 0)
        return r;
    dv_memory_body_init(&b.body, bytes, size);
    b.queue = dv_queue_new();
    if (!b.queue)
        return dv_error_oom(err);
    r = dv_loop_post(client->loop, &b.task, err);
    if (r == 0) {
        bool cancelling = false;
        while (!dv_queue_pop(b.queue, cancelling ? -1 : 100)) {
            if (!atomic_load(&client->cancelled))
                continue;
            cancelling = true;
            dv_loop_post_again(client->loop, &b.cancel);
        }
        if (cancelling)
            dv_loop_barrier(client->loop);
        if (b.session.url && b.result < 0 && davit_error_http_status(b.err) > 0)
            dv_upload_discard(reg, &b.session, NULL); /* nobody goes on with it */
        r = dv_error_move(err, &b.err, b.result);
    }
    dv_upload_session_clear(&b.session);
    dv_queue_free(b.queue);
    return r < 0 ? dv_error_wrap(err, r, "blob %s", digest->text) : 0;
}
