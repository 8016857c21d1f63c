/*
 * registry/request_stream.c - see request_stream.h. Pieces go to and fro between the two threads: whoever holds one owns it.
 *
 * States: the request is under way; it has ended, and the pieces that are still out come back. Only the loop knows which: a piece that
 * comes too late is given back unused.
 */
#include "registry/request_stream.h"

#include "net/pipe_body.h"

#include <string.h>

#define PIECE_BYTES (128u << 10)
#define SENT_BYTES (DV_PIPE_BODY_ROOM_SMALL / 2) /* of a piece that is sent: it fits any pipe */
#define PIECES 4
#define WAIT_MS 100

typedef struct stream stream;

typedef struct piece {
    dv_task task; /* first: a piece is queued by its node */
    stream *stream;
    struct piece *next;
    size_t size;
    char bytes[PIECE_BYTES];
} piece;

struct stream {
    davit_client *client;
    dv_request_spec spec;
    dv_stream_ends *ends;
    dv_queue *events; /* pieces and the end, to the caller */
    dv_task start, cancel;
    dv_node end;

    /* Caller's. */
    unsigned made, out; /* pieces made; pieces that are to come back */
    piece *idle;
    uint64_t sent;
    bool input_done, cancelling;

    /* Loop's. */
    dv_request *request;
    dv_pipe_body *pipe;
    piece *room; /* receiving: empty ones */
    piece *held; /* sending: what the pipe has no room for, the oldest first */
    piece *fill; /* receiving: not full yet */
    bool paused, ended;

    /* The loop's until the end, then the caller's. */
    int result;
    dv_response response;
    davit_error *err;
};

/* --- loop: the body of the answer ------------------------------------------------------------------------------------- */

static int on_head(void *user, const dv_response *head, davit_error **err)
{
    stream *s = user;
    if (head->status >= 300 || !s->ends->write)
        return 0;
    int r = s->ends->on_head ? s->ends->on_head(s->ends->user, head, err) : 0;
    return r < 0 ? r : 1;
}

static void hand_over(stream *s)
{
    if (s->fill)
        dv_queue_push(s->events, &DV_STEAL(s->fill)->task.node);
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    stream *s = user;
    if (size > PIECE_BYTES)
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: a piece of %zu bytes", s->spec.url->host, size);
    if (s->fill && PIECE_BYTES - s->fill->size < size)
        hand_over(s);
    if (!s->fill && s->room) {
        s->fill = s->room;
        s->room = s->fill->next;
        s->fill->size = 0;
    }
    if (!s->fill) {
        s->paused = true;
        return DV_HTTP_PAUSE;
    }
    memcpy(s->fill->bytes + s->fill->size, bytes, size);
    s->fill->size += size;
    return 0;
}

static void run_room(dv_task *task)
{
    piece *p = (piece *)task;
    stream *s = p->stream;
    p->next = s->room;
    s->room = p;
    if (s->paused && s->request) {
        s->paused = false;
        dv_request_resume(s->request);
    }
}

/* --- loop: what is sent ------------------------------------------------------------------------------------------------ */

static void give_back(stream *s, piece *p)
{
    dv_queue_push(s->events, &p->task.node);
}

/* As much of what is held as the pipe has room for. */
static void send_held(void *user)
{
    stream *s = user;
    while (s->held && !s->ended) {
        piece *p = s->held;
        if (p->size == 0)
            dv_pipe_body_end(s->pipe);
        else if (dv_pipe_body_write(s->pipe, p->bytes, p->size) == DV_HTTP_PAUSE)
            return;
        s->held = p->next;
        give_back(s, p);
    }
}

static void run_send(dv_task *task)
{
    piece *p = (piece *)task;
    stream *s = p->stream;
    piece **last = &s->held;
    if (s->ended) {
        give_back(s, p);
        return;
    }
    while (*last)
        last = &(*last)->next;
    p->next = NULL;
    *last = p;
    if (s->held == p)
        send_held(s);
}

/* --- loop: beginning and end -------------------------------------------------------------------------------------------- */

static void finish(stream *s, int r, dv_response *response, davit_error *err)
{
    s->request = NULL;
    s->ended = true;
    s->result = r;
    s->err = err;
    if (response) {
        s->response = *response;
        *response = (dv_response)DV_RESPONSE_INIT;
    }
    dv_pipe_body_free(DV_STEAL(s->pipe));
    for (piece *p; (p = s->held);) {
        s->held = p->next;
        give_back(s, p);
    }
    hand_over(s);
    dv_queue_push(s->events, &s->end);
}

static void on_done(void *user, int r, dv_response *response, davit_error *err)
{
    finish(user, r, response, err);
}

static const dv_request_handler request_handler = {.on_head = on_head, .on_body = on_body, .on_done = on_done};
static const dv_pipe_body_handler pipe_handler = {.on_space = send_held};

static void run_start(dv_task *task)
{
    stream *s = (stream *)((char *)task - offsetof(stream, start));
    davit_error *err = NULL;
    int r = s->ends->read
                ? dv_pipe_body_new(s->client->loop, s->ends->read_size, &pipe_handler, s, &s->pipe, &err)
                : 0;
    s->spec.handler = &request_handler;
    s->spec.user = s;
    if (s->pipe)
        s->spec.source = dv_pipe_body_body(s->pipe);
    if (r == 0)
        r = dv_request_start(&s->client->http, &s->spec, &s->request, &err);
    if (r < 0)
        finish(s, r, NULL, err);
}

static void run_cancel(dv_task *task)
{
    stream *s = (stream *)((char *)task - offsetof(stream, cancel));
    davit_error *err = NULL;
    if (s->ended)
        return;
    dv_request_cancel(s->request);
    int r = dv_error_set(&err, DAVIT_ECANCELLED, "cancelled");
    finish(s, r, NULL, err);
}

/* --- calling thread ------------------------------------------------------------------------------------------------------ */

/* Whoever reads or writes has a reason that no repeating mends. */
static int refuse_end(int r, const char *what, davit_error **err)
{
    dv_error_set(err, r, "%s failed", what);
    if (davit_error_code(*err) == r && r != DAVIT_ENOMEM)
        (*err)->final = true;
    return r;
}

static int pass_on(stream *s, piece *p, davit_error **err)
{
    int r = s->ends->write(p->bytes, p->size, s->ends->write_data);
    s->ends->passed += p->size;
    return r < 0 ? refuse_end(r, "writing what came", err) : 0;
}

/* Fill a piece from read; an empty one is the end. */
static int take_input(stream *s, piece *p, davit_error **err)
{
    p->size = 0;
    int r = s->ends->read(p->bytes, SENT_BYTES, &p->size, s->ends->read_data);
    if (r < 0)
        return refuse_end(r, "reading what is to be sent", err);
    s->sent += p->size;
    s->input_done = p->size == 0;
    uint64_t wanted = s->ends->read_size;
    if (wanted == DAVIT_SIZE_UNKNOWN || (s->input_done ? s->sent == wanted : s->sent <= wanted))
        return 0;
    r = dv_error_set(err, DAVIT_EIO, "what is to be sent has %s bytes than the %llu it should have",
                     s->input_done ? "fewer" : "more", (unsigned long long)wanted);
    if (davit_error_code(*err) == r)
        (*err)->final = true;
    return r;
}

static int send_more(stream *s, davit_error **err)
{
    while (s->idle && !s->input_done) {
        piece *p = s->idle;
        int r = take_input(s, p, err);
        if (r < 0)
            return r;
        s->idle = p->next;
        p->task.run = run_send;
        s->out++;
        dv_loop_post_again(s->client->loop, &p->task);
    }
    return 0;
}

static void stop(stream *s)
{
    if (!s->cancelling)
        dv_loop_post_again(s->client->loop, &s->cancel);
    s->cancelling = true;
}

static int on_piece(stream *s, piece *p, int r, davit_error **err)
{
    if (s->ends->read) {
        s->out--;
        p->next = s->idle;
        s->idle = p;
        return 0;
    }
    if (r == 0 && p->size > 0)
        r = pass_on(s, p, err);
    p->task.run = run_room;
    dv_loop_post_again(s->client->loop, &p->task);
    return r;
}

/* Until the request has ended and every piece is back. */
static int run(stream *s, davit_error **err)
{
    bool ended = false;
    int r = 0;
    while (!ended || s->out > 0) {
        if (r == 0 && !ended)
            r = dv_client_check_cancelled(s->client, err);
        if (s->ends->read && r == 0 && !ended)
            r = send_more(s, err);
        if (r < 0)
            stop(s);
        dv_node *node = dv_queue_pop(s->events, WAIT_MS);
        if (node == &s->end) {
            ended = true;
        } else if (node) {
            int now = on_piece(s, (piece *)node, r, err);
            r = r < 0 ? r : now;
        }
    }
    return r;
}

static bool make_pieces(stream *s)
{
    for (; s->made < PIECES; s->made++) {
        piece *p = malloc(sizeof(*p)); /* the bytes need not be zeroed */
        if (!p)
            return false;
        memset(p, 0, offsetof(piece, bytes));
        p->stream = s;
        piece **list = s->ends->read ? &s->idle : &s->room;
        p->next = *list;
        *list = p;
    }
    return true;
}

static void free_pieces(piece *p)
{
    for (piece *next; p; p = next) {
        next = p->next;
        free(p);
    }
}

static int start_and_run(stream *s, dv_response *out, davit_error **err)
{
    int r = dv_loop_post(s->client->loop, &s->start, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(davit_error) why = NULL;
    r = run(s, &why);
    dv_loop_barrier(s->client->loop); /* pieces that went back, and a cancellation that came too late */
    if (r < 0)
        dv_error_move(err, &why, r);
    else
        r = dv_error_move(err, &s->err, s->result);
    if (r < 0)
        return r;
    *out = s->response;
    s->response = (dv_response)DV_RESPONSE_INIT;
    return 0;
}

int dv_request_stream(davit_client *c, const dv_request_spec *spec, dv_stream_ends *ends, dv_response *out,
                      davit_error **err)
{
    int r = dv_client_check_cancelled(c, err);
    if (r < 0)
        return r;
    stream s = {.client = c, .spec = *spec, .ends = ends, .start.run = run_start, .cancel.run = run_cancel};
    s.events = dv_queue_new();
    r = s.events && make_pieces(&s) ? start_and_run(&s, out, err) : dv_error_oom(err);
    dv_response_clear(&s.response);
    davit_error_free(s.err);
    free_pieces(s.idle);
    free_pieces(s.room);
    dv_queue_free(s.events);
    return r;
}
