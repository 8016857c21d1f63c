/*
 * registry/v2_upload.c - see v2_upload.h.
 *
 * Leaves to others: how a session is opened (upload_session.c).
 *
 * States of an upload: opening a session, asking an old one where it is, sending (PATCH or the one PUT), finishing (PUT without a
 * body), looking whether the blob is there after all, waiting to go on. What comes next is upload_plan.c's decision.
 */
#include "registry/v2_upload.h"

#include "net/retry.h"
#include "registry/upload_plan.h"
#include "registry/v2_blob.h"
#include "util/hex.h"
#include "util/log.h"

#include <string.h>

#define OCTETS "application/octet-stream"
/* A registry reads the whole blob again, or moves it, before it answers the last request: time for that, at 8 MiB/s. */
#define FINISH_BYTES_PER_MS 8192
#define FINISH_MAX_MS (30u * 60 * 1000)
#define ASKS_MAX 2 /* that one session is asked where it is, without progress */

struct dv_upload {
    dv_registry *registry;
    const dv_upload_handler *handler;
    void *user;
    davit_digest digest;
    bool has_digest;
    dv_upload_plan plan;
    dv_upload_session session;
    dv_url url; /* of the session */
    bool old;   /* the session is of another run: whatever is wrong with it, there can be a new one */
    bool ended; /* a stream of unknown size was sent */
    dv_body *body;
    dv_body meter;     /* the body, with what went out of it counted */
    dv_body_part part; /* the piece under way, of the meter */
    dv_upload_piece piece;
    dv_upload_open *open;
    dv_blob_head *head;
    dv_call *call;
    dv_timer timer;
    void (*after)(dv_upload *u); /* the timer */
    uint32_t attempts, attempt, starts, asks;
    uint64_t reset_at; /* acknowledged bytes when the attempts were counted from 1 last */
    davit_error *why;  /* the failure that is being repaired */
};

static void upload_open(dv_upload *u);
static void upload_open_again(dv_upload *u);
static void upload_ask(dv_upload *u);
static void upload_send(dv_upload *u);
static void upload_look(dv_upload *u);

static void upload_free(dv_upload *u)
{
    dv_timer_stop(&u->timer);
    if (u->call)
        dv_call_cancel(u->call);
    if (u->head)
        dv_blob_head_cancel(u->head);
    if (u->open)
        dv_upload_open_cancel(u->open);
    if (u->body)
        u->body->on_wake = NULL;
    dv_upload_session_clear(&u->session);
    dv_url_clear(&u->url);
    davit_error_free(u->why);
    free(u);
}

void dv_upload_cancel(dv_upload *u)
{
    upload_free(u);
}

static void upload_end(dv_upload *u, int r, davit_error *err)
{
    const dv_upload_handler *handler = u->handler;
    void *user = u->user;
    uint64_t size = u->plan.size == DAVIT_SIZE_UNKNOWN ? u->meter.at : u->plan.size;
    upload_free(u);
    handler->on_done(user, r, size, err);
}

static void upload_done(dv_upload *u)
{
    dv_upload_session_clear(&u->session);
    if (u->handler->on_session)
        u->handler->on_session(u->user, &u->session);
    upload_end(u, 0, NULL);
}

static int64_t meter_read(dv_body *b, void *into, size_t max, davit_error **err)
{
    dv_upload *u = (dv_upload *)((char *)b - offsetof(dv_upload, meter));
    int64_t n = dv_body_read(u->body, into, max, err);
    if (n == 0 && u->plan.size == DAVIT_SIZE_UNKNOWN)
        u->ended = true;
    if (n > 0 && n != DV_BODY_LATER && u->handler->on_progress)
        u->handler->on_progress(u->user, b->at + (uint64_t)n);
    return n;
}

static int meter_seek(dv_body *b, uint64_t offset, davit_error **err)
{
    dv_upload *u = (dv_upload *)((char *)b - offsetof(dv_upload, meter));
    int r = dv_body_seek(u->body, offset, err);
    if (r == 0 && u->handler->on_progress)
        u->handler->on_progress(u->user, offset);
    return r;
}

static void meter_wake(void *user)
{
    dv_body_wake(&((dv_upload *)user)->meter);
}

static void on_timer(dv_timer *timer)
{
    dv_upload *u = (dv_upload *)((char *)timer - offsetof(dv_upload, timer));
    u->after(u);
}

static bool can_go_on_from(const dv_upload *u, uint64_t at)
{
    return u->body->seek || u->body->at == at;
}

/* The session, as the journal wants it. */
static void note_session(dv_upload *u)
{
    if (u->handler->on_session)
        u->handler->on_session(u->user, &u->session);
}

static int keep_url(dv_upload *u, dv_url *url, davit_error **err)
{
    char *text = dv_strdup(url->text);
    if (!text)
        return dv_error_oom(err);
    free(u->session.url);
    u->session.url = text;
    dv_url_clear(&u->url);
    u->url = *url;
    *url = (dv_url)DV_URL_INIT;
    return 0;
}

/* A new session, from the first byte, unless there were too many of them already. err: what made it necessary. */
static void start_over(dv_upload *u, int r, davit_error *err)
{
    if (u->starts >= DV_UPLOAD_STARTS_MAX || !can_go_on_from(u, 0)) {
        upload_end(u, r, err);
        return;
    }
    dv_trace(XFER, "%s: a new upload: %s", u->registry->path, davit_error_message(err));
    davit_error_free(u->why);
    u->why = err;
    u->session.at = 0;
    u->ended = false;
    upload_open(u);
}

/* Repeat after a while, in the way `after` says; or end. */
static void later(dv_upload *u, int r, davit_error *err, void (*after)(dv_upload *u))
{
    dv_retry_policy policy = u->registry->client->retry;
    uint32_t jitter;
    if (u->attempts)
        policy.attempts = u->attempts;
    dv_random_bytes(&jitter, sizeof(jitter));
    int64_t delay = r == DAVIT_ENOMEM ? -1 : dv_retry_delay_ms(&policy, u->attempt + 1, err, jitter);
    if (delay < 0) {
        upload_end(u, r, err);
        return;
    }
    u->attempt++;
    u->after = after;
    if (u->handler->on_retry)
        u->handler->on_retry(u->user, (uint32_t)delay, err);
    davit_error_free(u->why);
    u->why = err;
    dv_timer_start(u->registry->client->loop, &u->timer, (uint64_t)delay);
}

/* What to say when a size is refused: whom to ask, and what for. */
static void explain(davit_error **err, int r)
{
    if (davit_error_http_status(*err) == 413)
        dv_error_wrap(err, r,
                      "the registry, or a proxy before it, takes no piece that small (for nginx raise "
                      "client_max_body_size)");
}

/* A request that carried bytes, or the last one, failed. */
static void send_failed(dv_upload *u, int r, davit_error *err)
{
    dv_upload_turn turn =
        r == DAVIT_ENOMEM ? DV_UPLOAD_FAIL : dv_upload_plan_failed(&u->plan, &u->piece, err);
    if (turn == DV_UPLOAD_ASK && ++u->asks > ASKS_MAX)
        turn = DV_UPLOAD_AGAIN; /* it does not take what it asks for */
    if (turn == DV_UPLOAD_FAIL && u->old && r != DAVIT_ENOMEM)
        turn = DV_UPLOAD_AGAIN;
    bool stream = u->plan.size == DAVIT_SIZE_UNKNOWN;
    switch (turn) {
    case DV_UPLOAD_FAIL:
        explain(&err, r);
        upload_end(u, r, err);
        break;
    case DV_UPLOAD_LATER:
        if (stream && !can_go_on_from(u, 0))
            upload_end(u, r, err);
        else
            later(u, r, err, u->piece.method == DV_UPLOAD_PATCH && !stream ? upload_ask : upload_look);
        break;
    case DV_UPLOAD_ASK:
        davit_error_free(u->why);
        u->why = err;
        upload_ask(u);
        break;
    case DV_UPLOAD_AGAIN:
        start_over(u, r, err);
        break;
    case DV_UPLOAD_RESTART:
        davit_error_free(u->why);
        u->why = err;
        upload_look(u);
        break;
    }
}

/* --- its requests --- */

static void upload_opened(void *user, int r, bool mounted, uint64_t size, dv_upload_session *session,
                          davit_error *err)
{
    dv_upload *u = user;
    DV_AUTO(dv_url) url = DV_URL_INIT;
    u->open = NULL;
    if (r == 0)
        r = dv_url_parse(session->url, &url, &err);
    if (r == 0)
        r = keep_url(u, &url, &err);
    if (r < 0) {
        later(u, r, err, upload_open_again);
        return;
    }
    u->old = false;
    u->session.at = 0;
    u->session.chunk_min = session->chunk_min;
    if (u->plan.piece < session->chunk_min)
        u->plan.piece = session->chunk_min;
    u->plan.chunk_min = session->chunk_min;
    u->plan.doubtful = false;
    u->reset_at = 0;
    note_session(u);
    upload_send(u);
}

/* One attempt: what comes of a failure is told as any other is. */
static void upload_open_again(dv_upload *u)
{
    davit_error *err = NULL;
    int r =
        dv_upload_open_start(u->registry, NULL, NULL, /* attempts= */ 1, upload_opened, u, &u->open, &err);
    if (r < 0)
        upload_end(u, r, err);
}

static void upload_open(dv_upload *u)
{
    u->starts++;
    u->asks = 0;
    if (u->plan.size <= DV_UPLOAD_WHOLE_MAX && u->plan.piece >= u->plan.size)
        u->plan.whole = true;
    upload_open_again(u);
}

static void upload_looked(void *user, int r, uint64_t size, davit_error *err)
{
    dv_upload *u = user;
    u->head = NULL;
    bool there = r == 0 && (u->plan.size == DAVIT_SIZE_UNKNOWN || size == u->plan.size);
    if (there) {
        upload_done(u);
        return;
    }
    if (r < 0 && r != DAVIT_ENOTFOUND) {
        upload_end(u, r, err);
        return;
    }
    davit_error_free(err);
    err = DV_STEAL(u->why);
    r = err ? davit_error_code(err)
            : dv_error_set(&err, DAVIT_EPROTOCOL, "the registry has taken the blob, but has none");
    bool lost = davit_error_http_status(err) == 404;
    bool asks = u->piece.method == DV_UPLOAD_FINISH && !lost && u->plan.size != DAVIT_SIZE_UNKNOWN;
    if (asks && ++u->asks <= ASKS_MAX) {
        u->why = err;
        upload_ask(u);
    } else {
        start_over(u, r, err);
    }
}

/* Is it there? A last answer may have been lost. */
static void upload_look(dv_upload *u)
{
    davit_error *err = NULL;
    if (!u->has_digest) {
        err = DV_STEAL(u->why);
        start_over(u, err ? davit_error_code(err) : DAVIT_ENETWORK, err);
        return;
    }
    int r = dv_blob_head_start(u->registry, &u->digest, upload_looked, u, &u->head, &err);
    if (r < 0)
        upload_end(u, r, err);
}

static void take_progress(dv_upload *u, uint64_t at)
{
    if (at >= u->reset_at + DV_RETRY_PROGRESS_BYTES) {
        u->reset_at = at;
        u->attempt = 1;
        u->asks = 0; /* news only: a registry may say now less and now more, for ever */
    }
    u->session.at = at;
}

/* Where the answer says that the session is now, if it does, with that many bytes. */
static int go_on_from(dv_upload *u, const dv_response *answer, uint64_t at, davit_error **err)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    int r = 0;
    if (dv_headers_get(&answer->headers, "Location"))
        r = dv_upload_take_location(u->registry, answer, &url, err);
    if (r == 0 && url.text)
        r = keep_url(u, &url, err);
    if (r == 0)
        take_progress(u, at);
    return r;
}

static int asked(dv_upload *u, const dv_response *answer, davit_error **err)
{
    uint64_t at;
    int r = dv_upload_asked(&u->plan, &answer->headers, u->session.at, &at, err);
    if (r == 0 && !can_go_on_from(u, at))
        r = dv_error_set(err, DAVIT_EUNSUPPORTED, "what was sent cannot be sent again");
    return r < 0 ? r : go_on_from(u, answer, at, err);
}

static void upload_asked(void *user, int r, dv_response *answer, davit_error *err)
{
    dv_upload *u = user;
    u->call = NULL;
    if (r == 0)
        r = asked(u, answer, &err);
    if (r == 0) {
        note_session(u);
        upload_send(u);
        return;
    }
    bool lost = davit_error_http_status(err) == 404;
    if (r == DAVIT_ENOMEM || (!lost && !u->old && r != DAVIT_EPROTOCOL)) {
        upload_end(u, r, err);
        return;
    }
    if (lost && !u->old) {
        davit_error_free(u->why);
        u->why = err;
        upload_look(u);
        return;
    }
    start_over(u, r, err);
}

static const dv_call_handler ask_handler = {.on_done = upload_asked};

static void upload_ask(dv_upload *u)
{
    davit_error *err = NULL;
    int r = dv_call_start(u->registry,
                          &(dv_call_spec){.method = "GET",
                                          .url = &u->url,
                                          .blob = true,
                                          .fresh = true,
                                          .body_max = DV_UPLOAD_ANSWER_MAX,
                                          .handler = &ask_handler,
                                          .user = u},
                          &u->call, &err);
    if (r < 0)
        upload_end(u, r, err);
}

static int patched(dv_upload *u, const dv_response *answer, davit_error **err)
{
    uint64_t at, sent = u->meter.at - u->piece.first;
    int r = dv_upload_patched(&u->plan, &answer->headers, u->piece.first, sent, &at, err);
    if (r == 0 && !can_go_on_from(u, at))
        r = dv_error_set(err, DAVIT_EPROTOCOL, "the registry has %llu bytes of %llu that were sent",
                         (unsigned long long)at, (unsigned long long)u->meter.at);
    return r < 0 ? r : go_on_from(u, answer, at, err);
}

static int check_told_digest(const dv_upload *u, const dv_response *answer, davit_error **err)
{
    const char *text = dv_headers_get(&answer->headers, "Docker-Content-Digest");
    davit_digest told;
    if (!text || davit_digest_parse(text, &told, NULL) < 0 || told.algorithm != u->digest.algorithm ||
        davit_digest_equal(&told, &u->digest))
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "the registry stored %s in place of %s", told.text,
                        u->digest.text);
}

static void upload_sent(void *user, int r, dv_response *answer, davit_error *err)
{
    dv_upload *u = user;
    u->call = NULL;
    if (r < 0) {
        send_failed(u, r, err);
        return;
    }
    if (u->piece.method == DV_UPLOAD_PATCH) {
        r = patched(u, answer, &err);
        if (r == 0)
            note_session(u);
        if (r == 0)
            upload_send(u);
        else if (r == DAVIT_EPROTOCOL && u->plan.doubtful)
            start_over(u, r, err); /* bytes of another: of a dead writer, or of one who takes us for dead */
        else
            upload_end(u, r, err);
        return;
    }
    r = check_told_digest(u, answer, &err);
    if (r < 0) {
        upload_end(u, r, err);
    } else if (answer->status == 201) {
        upload_done(u);
    } else { /* not what the specification says: see for ourselves */
        davit_error_free(DV_STEAL(u->why));
        upload_look(u);
    }
}

static const dv_call_handler send_handler = {.on_done = upload_sent};

static int send_patch(dv_upload *u, davit_error **err)
{
    DV_AUTO(dv_buf) range = DV_BUF_INIT(64);
    const dv_upload_piece *p = &u->piece;
    bool sized = p->size != DAVIT_SIZE_UNKNOWN;
    if (sized)
        dv_buf_printf(&range, "%llu-%llu", (unsigned long long)p->first,
                      (unsigned long long)(p->first + p->size - 1));
    const dv_call_header headers[] = {{"Content-Type", OCTETS}, {"Content-Range", dv_buf_text(&range)}};
    return dv_call_start(u->registry,
                         &(dv_call_spec){.method = "PATCH",
                                         .url = &u->url,
                                         .headers = headers,
                                         .header_count = sized ? 2 : 1,
                                         .body = &u->part.body,
                                         .blob = true,
                                         .body_max = DV_UPLOAD_ANSWER_MAX,
                                         .handler = &send_handler,
                                         .user = u},
                         &u->call, err);
}

static int send_put(dv_upload *u, davit_error **err)
{
    static const dv_call_header type[] = {{"Content-Type", OCTETS}};
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTO(dv_url) url = DV_URL_INIT;
    bool whole = u->piece.method == DV_UPLOAD_PUT;
    uint64_t size = u->plan.size == DAVIT_SIZE_UNKNOWN ? u->meter.at : u->plan.size;
    uint64_t more = size / FINISH_BYTES_PER_MS;
    int r = 0;
    if (!u->has_digest) {
        r = u->handler->on_digest(u->user, &u->digest, err);
        u->has_digest = r == 0;
    }
    if (r < 0)
        return r;
    dv_upload_with_digest(&u->url, &u->digest, &text);
    if (text.failed)
        return text.failed == DAVIT_ETOOBIG
                   ? dv_error_set(err, DAVIT_EPROTOCOL, "the upload's URL is too long")
                   : dv_error_oom(err);
    r = dv_url_parse(dv_buf_text(&text), &url, err);
    if (r < 0)
        return r;
    return dv_call_start(u->registry,
                         &(dv_call_spec){.method = "PUT",
                                         .url = &url,
                                         .headers = type,
                                         .header_count = 1,
                                         .body = whole && size > 0 ? &u->part.body : NULL,
                                         .more_time_ms = more < FINISH_MAX_MS ? (uint32_t)more : FINISH_MAX_MS,
                                         .blob = true,
                                         .attempts = 1,
                                         .body_max = DV_UPLOAD_ANSWER_MAX,
                                         .handler = &send_handler,
                                         .user = u},
                         &u->call, err);
}

/* The next request, by the plan. */
static void upload_send(dv_upload *u)
{
    davit_error *err = NULL;
    u->piece = dv_upload_plan_next(&u->plan, u->session.at, u->ended);
    dv_body_part_init(&u->part, &u->meter, u->piece.first, u->piece.size);
    int r = u->piece.method == DV_UPLOAD_PATCH ? send_patch(u, &err) : send_put(u, &err);
    if (r < 0)
        upload_end(u, r, err);
}

/* --- beginning --- */

static int take_session(dv_upload *u, const dv_upload_session *session, davit_error **err)
{
    u->session = (dv_upload_session){dv_strdup(session->url), session->at, session->chunk_min};
    if (!u->session.url)
        return dv_error_oom(err);
    if (u->plan.piece < session->chunk_min)
        u->plan.piece = session->chunk_min;
    u->plan.chunk_min = session->chunk_min;
    u->starts = 1;
    return dv_url_parse(session->url, &u->url, err);
}

int dv_upload_start(dv_registry *reg, const dv_upload_spec *spec, dv_upload **out, davit_error **err)
{
    const dv_upload_session *session = spec->session;
    dv_upload *u = dv_new(dv_upload);
    int r = 0;
    if (!u)
        return dv_error_oom(err);
    u->registry = reg;
    u->handler = spec->handler;
    u->user = spec->user;
    u->has_digest = spec->digest != NULL;
    if (spec->digest)
        u->digest = *spec->digest;
    u->body = spec->body;
    u->body->on_wake = meter_wake;
    u->body->wake_user = u;
    u->meter = (dv_body){.size = spec->size,
                         .at = spec->body->at,
                         .read = meter_read,
                         .seek = spec->body->seek ? meter_seek : NULL};
    u->attempts = spec->attempts;
    u->attempt = 1;
    u->timer.fire = on_timer;
    u->old = session && spec->session_is_old;
    dv_upload_plan_init(&u->plan, spec->size, u->old || (session && session->at > 0));
    u->plan.ranged = u->old; /* nobody else knows */
    u->after = u->old ? upload_ask : session ? upload_send : upload_open;
    if (session)
        r = take_session(u, session, err);
    if (r < 0) {
        upload_free(u);
        return r;
    }
    dv_timer_start(reg->client->loop, &u->timer, 0);
    *out = u;
    return 0;
}
