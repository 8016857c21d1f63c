/* distribution/layer_body.c - see layer_body.h. */
#include "distribution/layer_body.h"

#include "archive/compress.h"
#include "oci/media_type.h"
#include "util/hash.h"
#include "util/str.h"

#include <string.h>

#define INPUT (64u << 10)
#define AHEAD (512u << 10) /* bytes that wait for the loop, before the worker stops */

typedef struct piece {
    dv_node node;
    uint64_t position; /* of the layer's stream, behind this piece */
    bool is_end;
    davit_error *err; /* of the end */
    size_t size, used;
    char bytes[];
} piece;

typedef struct layer_body {
    dv_body body; /* first */
    dv_node gone;
    dv_layer_source *source;
    dv_queue *pieces; /* from the worker to the loop */
    piece *current;
    uint64_t skip; /* bytes that were sent before: read again, not given */
    uint64_t position;
    davit_digest digest; /* of all bytes, once they ended */
    bool ended, restart, closed;

    /* The worker's, while one runs. */
    dv_work pump;
    bool pumping; /* the loop's word for it */
    dv_task pumped;
    _Atomic int64_t ready; /* bytes in pieces */
    davit_layer_stream stream;
    dv_deflate *deflate;
    dv_sink sink; /* behind the codec */
    dv_hash *plain_hash, *hash;
    uint64_t read;
    bool finished, failed; /* failed: without a last piece */
    davit_digest told;
} layer_body;

/* --- the worker's side ----------------------------------------------------------------------------------------------- */

static piece *piece_new(const layer_body *b, const void *bytes, size_t size)
{
    piece *p = dv_calloc(1, sizeof(*p) + size);
    if (!p)
        return NULL;
    p->position = b->read;
    p->size = size;
    if (size > 0)
        memcpy(p->bytes, bytes, size);
    return p;
}

static int sink_write(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    layer_body *b = (layer_body *)((char *)sink - offsetof(layer_body, sink));
    piece *p = size > 0 ? piece_new(b, bytes, size) : NULL;
    if (size == 0)
        return 0;
    if (!p)
        return dv_error_oom(err);
    dv_hash_update(b->hash, bytes, size);
    atomic_fetch_add(&b->ready, (int64_t)size);
    dv_queue_push(b->pieces, &p->node);
    return 0;
}

static int sink_finish(dv_sink *sink, davit_error **err)
{
    return 0;
}

static void close_stream(layer_body *b)
{
    davit_layer_stream_clear(&b->stream);
    dv_deflate_free(DV_STEAL(b->deflate));
    dv_hash_free(DV_STEAL(b->plain_hash));
    dv_hash_free(DV_STEAL(b->hash));
}

static int open_stream(layer_body *b, davit_error **err)
{
    const davit_push_layer *layer = b->source->layer;
    close_stream(b);
    b->read = 0;
    b->finished = b->failed = false;
    b->plain_hash = dv_hash_new(DAVIT_SHA256);
    b->hash = dv_hash_new(DAVIT_SHA256);
    if (!b->plain_hash || !b->hash)
        return dv_error_oom(err);
    int r = dv_deflate_new(b->source->compresses ? DV_COMPRESSION_GZIP : DV_COMPRESSION_NONE, /* level= */ 0,
                           &b->sink, &b->deflate, err);
    return r < 0 ? r : layer->open(layer->user_data, &b->stream, err);
}

/* A plain stream is held against its diff_id. */
static int finish(layer_body *b, davit_error **err)
{
    const davit_push_layer *layer = b->source->layer;
    dv_sink *sink = dv_deflate_sink(b->deflate);
    davit_digest plain;
    int r = sink->finish(sink, err);
    if (r < 0)
        return r;
    dv_hash_final(b->plain_hash, &plain);
    dv_hash_final(b->hash, &b->told);
    if (b->source->compresses && layer->diff_id.algorithm == DAVIT_SHA256 &&
        !davit_digest_equal(&plain, &layer->diff_id))
        return dv_error_set(err, DAVIT_EDIGEST, "layer %s: what is read of it is %s", layer->diff_id.text,
                            plain.text);
    b->finished = true;
    return 0;
}

static int read_some(layer_body *b, davit_error **err)
{
    char bytes[INPUT];
    dv_sink *sink = dv_deflate_sink(b->deflate);
    size_t size = 0;
    int r = b->stream.read(b->stream.user_data, bytes, sizeof(bytes), &size, err);
    if (r < 0)
        return r;
    if (size == 0)
        return finish(b, err);
    b->read += size;
    dv_hash_update(b->plain_hash, bytes, size);
    return sink->write(sink, bytes, size, err);
}

/* Threads: worker. Fills up what the loop may take, and goes. */
static void run_pump(dv_work *work)
{
    layer_body *b = (layer_body *)((char *)work - offsetof(layer_body, pump));
    davit_error *err = NULL;
    int r = b->deflate ? 0 : open_stream(b, &err);
    while (r == 0 && !b->finished && atomic_load(&b->ready) < AHEAD)
        r = read_some(b, &err);
    if (r < 0 || b->finished) {
        piece *end = piece_new(b, NULL, 0);
        if (end) {
            end->is_end = true;
            end->err = err;
            dv_queue_push(b->pieces, &end->node);
        } else {
            davit_error_free(err);
        }
        b->finished = true;
        b->failed = !end;
        close_stream(b);
    }
    dv_loop_post_again(b->source->client->loop, &b->pumped);
}

/* --- the loop's side ------------------------------------------------------------------------------------------------- */

static void piece_free(piece *p)
{
    if (p)
        davit_error_free(p->err);
    free(p);
}

static void drop_pieces(layer_body *b)
{
    dv_node *node;
    piece_free(DV_STEAL(b->current));
    while ((node = dv_queue_pop(b->pieces, 0)))
        piece_free((piece *)node);
    atomic_store(&b->ready, 0);
}

static void start_pump(layer_body *b)
{
    b->pumping = true;
    dv_workpool_submit(b->source->client->pool, &b->pump);
}

/* The last that is heard of it. */
static void body_free(layer_body *b)
{
    dv_layer_source *source = b->source;
    drop_pieces(b);
    close_stream(b);
    dv_queue_free(b->pieces);
    dv_queue_push(source->gone, &b->gone); /* freed by who takes it off */
}

static void on_pumped(dv_task *task)
{
    layer_body *b = (layer_body *)((char *)task - offsetof(layer_body, pumped));
    b->pumping = false;
    if (b->closed) {
        body_free(b);
        return;
    }
    if (b->restart) {
        b->restart = false;
        drop_pieces(b);
        close_stream(b);
        start_pump(b);
        return;
    }
    dv_body_wake(&b->body);
}

/* The piece that bytes are left of; NULL: none yet. */
static piece *current_piece(layer_body *b)
{
    while (!b->current || b->current->used == b->current->size) {
        if (b->current && b->current->is_end)
            return b->current;
        piece_free(DV_STEAL(b->current));
        b->current = (piece *)dv_queue_pop(b->pieces, 0);
        if (!b->current)
            return NULL;
        uint64_t skipped = b->skip < b->current->size ? b->skip : b->current->size;
        b->skip -= skipped;
        b->current->used = (size_t)skipped;
        atomic_fetch_sub(&b->ready, (int64_t)b->current->size);
        b->position = b->current->position;
    }
    return b->current;
}

static int64_t layer_read(dv_body *body, void *into, size_t max, davit_error **err)
{
    layer_body *b = (layer_body *)body;
    if (b->ended)
        return 0;
    piece *p = b->restart ? NULL : current_piece(b);
    if (!b->pumping && !(p && p->is_end) && atomic_load(&b->ready) < AHEAD / 2) {
        if (!b->finished)
            start_pump(b);
    }
    if (!p && !b->pumping && b->failed) /* the worker's, while it pumps */
        return dv_error_oom(err);       /* not even the end could be told */
    if (!p)
        return DV_BODY_LATER;
    if (p->is_end && p->err)
        return dv_error_move(err, &p->err, davit_error_code(p->err));
    if (p->is_end) {
        b->ended = true;
        b->digest = b->told;
        return 0;
    }
    size_t n = p->size - p->used < max ? p->size - p->used : max;
    memcpy(into, p->bytes + p->used, n);
    p->used += n;
    return (int64_t)n;
}

/* From the layer's first byte on, and what was sent is left out. */
static int layer_seek(dv_body *body, uint64_t offset, davit_error **err)
{
    layer_body *b = (layer_body *)body;
    b->skip = offset;
    b->ended = false;
    if (b->pumping) {
        b->restart = true;
        return 0;
    }
    drop_pieces(b);
    close_stream(b);
    b->finished = b->failed = false;
    start_pump(b);
    return 0;
}

/* --- the source ------------------------------------------------------------------------------------------------------ */

/* Threads: worker. */
static int source_open(void *user, dv_body **out, davit_error **err)
{
    dv_layer_source *s = user;
    layer_body *b = dv_new(layer_body);
    if (b)
        b->pieces = dv_queue_new();
    if (!b || !b->pieces) {
        free(b);
        return dv_error_oom(err);
    }
    b->source = s;
    b->body = (dv_body){.size = DAVIT_SIZE_UNKNOWN, .read = layer_read, .seek = layer_seek};
    if (s->layer->blob.algorithm)
        b->body.size = s->layer->size_bytes;
    b->pump.run = run_pump;
    b->pumped.run = on_pumped;
    b->sink = (dv_sink){.write = sink_write, .finish = sink_finish};
    atomic_fetch_add(&s->open, 1);
    *out = &b->body;
    return 0;
}

static void source_close(void *user, dv_body *body)
{
    layer_body *b = (layer_body *)body;
    b->closed = true;
    if (!b->pumping)
        body_free(b);
}

static uint64_t source_position(void *user, const dv_body *body)
{
    return ((const layer_body *)body)->position;
}

static int source_digest(void *user, const dv_body *body, davit_digest *out, davit_error **err)
{
    const layer_body *b = (const layer_body *)body;
    if (!b->ended)
        return dv_error_set(err, DAVIT_EIO, "the layer has not ended");
    *out = b->digest;
    return 0;
}

static bool is_among(const char *type, const char *const *types)
{
    for (; *types; types++)
        if (strcmp(type, *types) == 0)
            return true;
    return false;
}

int dv_layer_source_init(dv_layer_source *s, davit_client *client, const davit_push_layer *layer,
                         davit_error **err)
{
    static const char *const plain[] = {DV_MEDIA_TYPE_DOCKER_LAYER, DV_MEDIA_TYPE_OCI_LAYER,
                                        DV_MEDIA_TYPE_DOCKER_FOREIGN, NULL};
    static const char *const gzip[] = {DV_MEDIA_TYPE_DOCKER_LAYER_GZIP, DV_MEDIA_TYPE_OCI_LAYER_GZIP,
                                       DV_MEDIA_TYPE_DOCKER_FOREIGN_GZIP, NULL};
    const char *type = layer->media_type ? layer->media_type : "";
    *s = (dv_layer_source){.client = client, .layer = layer, .compresses = is_among(type, plain)};
    if (!s->compresses && !is_among(type, gzip)) {
        int r = dv_error_set(err, DAVIT_EUNSUPPORTED, "unsupported layer media type %s", type);
        if (err && *err && davit_error_code(*err) != DAVIT_ENOMEM)
            (*err)->final = true;
        return r;
    }
    s->gone = dv_queue_new();
    if (!s->gone)
        return dv_error_oom(err);
    s->source = (dv_blob_source){.open = source_open,
                                 .close = source_close,
                                 .position = s->compresses ? source_position : NULL,
                                 .digest = source_digest,
                                 .user = s};
    return 0;
}

void dv_layer_source_clear(dv_layer_source *s)
{
    for (unsigned left = atomic_load(&s->open); left > 0; left--)
        free((char *)dv_queue_pop(s->gone, -1) - offsetof(layer_body, gone));
    dv_queue_free(s->gone);
    s->gone = NULL;
}
