/* distribution/own_blob.c - see own_blob.h. Spec: store.md 7, pull.md 4.1, 7.3; threats B7. */
#include "distribution/own_blob.h"

#include "archive/compress.h"
#include "archive/diff_id.h"
#include "distribution/blob_stream.h"
#include "oci/media_type.h"
#include "util/clock.h"
#include "util/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PIECE (64u << 10)
#define TELL_MS 100
#define KEY_MAX 160
#define LABELS_MAX (64u << 10) /* bytes of one label */
#define WHAT "content store"

/* --- reading ---------------------------------------------------------------------------------------------------------- */

int dv_own_content_has(const davit_content_store *c, const davit_digest *digest, uint64_t size,
                       davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    uint64_t have = DAVIT_SIZE_UNKNOWN;
    int r = c->info(c->user_data, digest, &have, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    r = dv_own_result(r, WHAT, &why);
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (size == DAVIT_SIZE_UNKNOWN || have == size)
        return 1;
    dv_warn(WHAT ": %s has %" PRIu64 " bytes and not %" PRIu64, digest->text, have, size);
    return 0;
}

static int read_stream(davit_layer_stream *stream, dv_buf *out, davit_error **err)
{
    DV_AUTOFREE char *piece = malloc(PIECE);
    if (!piece)
        return dv_error_oom(err);
    for (size_t n = 1; n > 0;) {
        n = 0;
        int r = dv_own_result(stream->read(stream->user_data, piece, PIECE, &n, err), WHAT, err);
        if (r < 0)
            return r;
        dv_buf_append(out, piece, n < PIECE ? n : PIECE);
        if (out->failed == DAVIT_ENOMEM)
            return dv_error_oom(err);
        if (out->failed)
            return 1; /* longer than it can be */
    }
    return 0;
}

int dv_own_content_read(const davit_content_store *c, const davit_digest *digest, size_t max, dv_buf *out,
                        davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(max);
    davit_layer_stream stream = DAVIT_LAYER_STREAM_INIT;
    davit_digest got;
    int r = dv_own_content_has(c, digest, DAVIT_SIZE_UNKNOWN, err);
    if (r <= 0)
        return r;
    r = dv_own_result(c->open(c->user_data, digest, &stream, err), WHAT, err);
    if (r == 0 && !stream.read)
        r = dv_own_result(dv_error_set(err, DAVIT_ESTORE, "it opened nothing"), WHAT, err);
    if (r == 0)
        r = read_stream(&stream, &bytes, err);
    davit_layer_stream_clear(&stream);
    if (r < 0)
        return r;
    if (r == 0)
        r = davit_digest_of(digest->algorithm, dv_buf_text(&bytes), bytes.size, &got, err);
    if (r < 0)
        return r;
    if (r > 0 || !davit_digest_equal(&got, digest)) {
        dv_warn(WHAT ": the bytes of %s are others, and it is fetched again", digest->text);
        return 0;
    }
    *out = bytes;
    bytes = (dv_buf){0};
    return 1;
}

/* --- writers ---------------------------------------------------------------------------------------------------------- */

static void make_key(const davit_descriptor *descriptor, dv_media_kind fallback, char out[KEY_MAX])
{
    dv_media_kind kind = dv_media_type_kind(descriptor->media_type);
    snprintf(out, KEY_MAX, "%s-%s", dv_media_kind_name(kind == DV_MEDIA_UNKNOWN ? fallback : kind),
             descriptor->digest.text);
}

static void close_writer(davit_content_writer *w)
{
    if (w->close)
        w->close(w->user_data);
    *w = (davit_content_writer){0};
}

/* 1: the store has the blob already. */
static int open_writer(const davit_content_store *c, const char *key, const davit_descriptor *descriptor,
                       davit_content_writer *out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = c->writer(c->user_data, key, descriptor, out, &why);
    if (r == DAVIT_EEXIST)
        return 1;
    r = dv_own_result(r, WHAT, &why);
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (out->write && out->commit)
        return 0;
    close_writer(out);
    return dv_own_result(dv_error_set(err, DAVIT_EINVAL, "its writer lacks a function"), WHAT, err);
}

static int restart_writer(davit_content_writer *w, davit_error **err)
{
    if (!w->restart)
        return dv_own_result(dv_error_set(err, DAVIT_EUNSUPPORTED, "a blob cannot be begun anew"), WHAT, err);
    return dv_own_result(w->restart(w->user_data, err), WHAT, err);
}

static int commit(davit_content_writer *w, const davit_descriptor *d, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = w->commit(w->user_data, &d->digest, d->size, &why);
    if (r == DAVIT_EEXIST)
        return 0; /* another one was quicker, with the same bytes */
    r = dv_own_result(r, WHAT, &why);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

int dv_own_content_put(const davit_content_store *c, const davit_descriptor *descriptor, const void *bytes,
                       davit_error **err)
{
    davit_content_writer w = DAVIT_CONTENT_WRITER_INIT;
    char key[KEY_MAX];
    make_key(descriptor, DV_MEDIA_CONFIG, key);
    int r = open_writer(c, key, descriptor, &w, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (w.offset > 0)
        r = restart_writer(&w, err);
    if (r == 0)
        r = dv_own_result(w.write(w.user_data, bytes, (size_t)descriptor->size, err), WHAT, err);
    if (r == 0)
        r = commit(&w, descriptor, err);
    close_writer(&w);
    return r;
}

/* --- labels ------------------------------------------------------------------------------------------------------------ */

static void label_of(const davit_reference *ref, dv_buf *out)
{
    dv_buf_printf(out, "containerd.io/distribution.source.%s", davit_reference_domain(ref));
}

static int get_sources(const davit_content_store *c, const davit_digest *digest, const char *label,
                       dv_buf *out)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = c->get_label(c->user_data, digest, label, dv_own_collect, out, &why);
    r = r == DAVIT_ENOTFOUND ? 0 : dv_own_collected(r, out, WHAT, &why);
    if (r < 0)
        dv_warn("label %s of %s: %s", label, digest->text, davit_error_message(why));
    return r;
}

/* Where a path is in a comma list, or belongs; whether it is there. */
static bool find_path(const char *list, const char *path, size_t *out_at)
{
    const char *at = list;
    while (*at) {
        size_t n = strcspn(at, ",");
        int order = strncmp(at, path, n);
        if (order == 0 && path[n])
            order = -1;
        if (order >= 0) {
            *out_at = (size_t)(at - list);
            return order == 0;
        }
        at += n + (at[n] == ',');
    }
    *out_at = (size_t)(at - list);
    return false;
}

bool dv_own_content_has_source(const davit_content_store *c, const davit_digest *digest,
                               const davit_reference *ref)
{
    DV_AUTO(dv_buf) label = DV_BUF_INIT(512), list = DV_BUF_INIT(LABELS_MAX);
    size_t unused;
    label_of(ref, &label);
    return c->get_label && !label.failed && get_sources(c, digest, dv_buf_text(&label), &list) == 0 &&
           find_path(dv_buf_text(&list), davit_reference_path(ref), &unused);
}

void dv_own_content_add_source(const davit_content_store *c, const davit_digest *digest,
                               const davit_reference *ref)
{
    DV_AUTO(dv_buf) label = DV_BUF_INIT(512), list = DV_BUF_INIT(LABELS_MAX), grown = DV_BUF_INIT(LABELS_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    const char *path = davit_reference_path(ref);
    size_t at;
    label_of(ref, &label);
    if (!c->get_label || !c->set_label || label.failed ||
        get_sources(c, digest, dv_buf_text(&label), &list) < 0 || find_path(dv_buf_text(&list), path, &at))
        return;
    const char *text = dv_buf_text(&list);
    bool behind = !text[at] && at > 0 && text[at - 1] != ',';
    dv_buf_printf(&grown, "%.*s%s%s%s%s", (int)at, text, behind ? "," : "", path, text[at] ? "," : "",
                  text + at);
    if (grown.failed)
        return;
    int r = dv_own_result(c->set_label(c->user_data, digest, dv_buf_text(&label), dv_buf_text(&grown), &why),
                          WHAT, &why);
    if (r < 0)
        dv_warn("label %s of %s: %s", dv_buf_text(&label), digest->text, davit_error_message(why));
}

/* --- a layer ----------------------------------------------------------------------------------------------------------- */

typedef struct own_layer {
    dv_own_fetch *fetch;
    davit_content_writer writer;
    dv_hash *hash;
    dv_inflate *inflate; /* NULL: not inflated */
    dv_diff_id_sink diff_id;
    int inflated; /* 0, or what stopped it */
    davit_error *not_inflated;
    uint64_t at;      /* bytes that the writer has, all of them hashed */
    uint64_t told_ms; /* when the last count was told */
    bool ours;        /* why is about our side, or about the bytes: the stream's own error is not */
    davit_error *why;
} own_layer;

static void own_layer_clear(own_layer *l)
{
    close_writer(&l->writer);
    dv_hash_free(l->hash);
    dv_inflate_free(l->inflate);
    dv_diff_id_clear(&l->diff_id);
    davit_error_free(l->not_inflated);
    davit_error_free(l->why);
}
DV_DEFINE_AUTO(own_layer, own_layer_clear)

/* From the first byte. */
static int begin(own_layer *l, davit_error **err)
{
    l->at = 0;
    l->inflated = 0;
    davit_error_free(DV_STEAL(l->not_inflated));
    dv_hash_reset(l->hash);
    dv_inflate_free(DV_STEAL(l->inflate));
    dv_diff_id_clear(&l->diff_id);
    l->diff_id = (dv_diff_id_sink)DV_DIFF_ID_INIT;
    if (!l->fetch->diff_id)
        return 0;
    int r = dv_diff_id_init(&l->diff_id, /* next= */ NULL, err);
    return r < 0 ? r : dv_inflate_new(/* options= */ NULL, &l->diff_id.sink, &l->inflate, err);
}

/* What it cannot inflate is an error only when the digest turns out to be right: else these are other bytes, and that is to be told. */
static void inflate(own_layer *l, const void *bytes, size_t size)
{
    if (l->inflate && l->inflated == 0)
        l->inflated = dv_sink_write(dv_inflate_sink(l->inflate), bytes, size, &l->not_inflated);
}

/* What is there of an earlier attempt, through the same checks. */
static int read_back(own_layer *l, davit_error **err)
{
    const davit_content_writer *w = &l->writer;
    DV_AUTOFREE char *piece = malloc(PIECE);
    if (!piece)
        return dv_error_oom(err);
    while (l->at < w->offset) {
        size_t n = 0, most = w->offset - l->at < PIECE ? (size_t)(w->offset - l->at) : PIECE;
        int r = dv_own_result(w->read_back(w->user_data, l->at, piece, most, &n, err), WHAT, err);
        if (r == 0 && (n == 0 || n > most))
            r = dv_own_result(dv_error_set(err, DAVIT_ESTORE, "it has less of a blob than it said"), WHAT,
                              err);
        if (r < 0)
            return r;
        inflate(l, piece, n);
        dv_hash_update(l->hash, piece, n);
        l->at += n;
    }
    return 0;
}

static void tell(own_layer *l)
{
    uint64_t now = dv_clock_ms(), size = l->fetch->layer->size;
    if (l->told_ms && now - l->told_ms < TELL_MS && l->at < size)
        return;
    l->told_ms = now;
    l->fetch->tell(l->fetch->user, l->at, size);
}

static int on_bytes(const void *bytes, size_t size, void *user)
{
    own_layer *l = user;
    const davit_descriptor *d = l->fetch->layer;
    int r = 0;
    if (size > d->size - l->at)
        r = dv_error_set(&l->why, DAVIT_EDIGEST, "it is longer than the %" PRIu64 " bytes of its descriptor",
                         d->size);
    if (r == 0)
        r = dv_own_result(l->writer.write(l->writer.user_data, bytes, size, &l->why), WHAT, &l->why);
    l->ours = r < 0;
    if (r < 0)
        return r;
    inflate(l, bytes, size);
    l->at += size;
    l->fetch->fetched += size;
    tell(l);
    return 0;
}

static void on_retrying(void *user, unsigned seconds)
{
    const dv_own_fetch *f = ((const own_layer *)user)->fetch;
    f->retrying(f->user, seconds);
}

static int on_restart(void *user)
{
    own_layer *l = user;
    int r = restart_writer(&l->writer, &l->why);
    if (r == 0)
        r = begin(l, &l->why);
    l->ours = r < 0;
    return r;
}

static int take_over(own_layer *l, davit_error **err)
{
    const davit_content_writer *w = &l->writer;
    int r = begin(l, err);
    if (r < 0 || w->offset == 0)
        return r;
    if (!w->read_back || w->offset > l->fetch->layer->size)
        return restart_writer(&l->writer, err);
    return read_back(l, err);
}

/* All of it from the registry, and its digest. */
static int stream(own_layer *l, dv_registry *reg, davit_error **err)
{
    const davit_descriptor *d = l->fetch->layer;
    const dv_blob_resume resume = {
        .hash = l->hash, .at = l->at, .restart = on_restart, .retrying = on_retrying, .user = l};
    uint64_t passed;
    davit_digest got;
    if (l->at == d->size && l->at > 0) {
        dv_hash_final(l->hash, &got);
        return davit_digest_equal(&got, &d->digest)
                   ? 0
                   : dv_error_set(err, DAVIT_EDIGEST, "what was there of it is not it");
    }
    int r = dv_blob_stream_on(reg, &d->digest, &resume, on_bytes, l, &passed, err);
    return r < 0 && l->ours ? dv_error_move(err, &l->why, davit_error_code(l->why)) : r;
}

static int check_end(own_layer *l, davit_error **err)
{
    const davit_descriptor *d = l->fetch->layer;
    if (l->at != d->size)
        return dv_error_set(err, DAVIT_EDIGEST, "it has %" PRIu64 " bytes where its descriptor says %" PRIu64,
                            l->at, d->size);
    if (!l->inflate)
        return 0;
    if (l->inflated < 0)
        return dv_error_move(err, &l->not_inflated, l->inflated);
    int r = dv_sink_finish(dv_inflate_sink(l->inflate), err);
    return r < 0 ? r : dv_diff_id_check(&l->diff_id, l->fetch->diff_id, d->digest.text, err);
}

static int fetch_and_commit(own_layer *l, dv_registry *reg, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = take_over(l, &why);
    bool resumed = l->at > 0;
    if (r == 0)
        r = stream(l, reg, &why);
    if (r == DAVIT_EDIGEST && resumed && l->writer.restart && !l->ours) {
        dv_log(DAVIT_LOG_INFO, "%s: what was there of it is not it; once more", l->fetch->layer->digest.text);
        davit_error_free(DV_STEAL(why));
        r = on_restart(l) < 0 ? dv_error_move(&why, &l->why, davit_error_code(l->why)) : stream(l, reg, &why);
    }
    if (r == 0)
        l->fetch->verifying(l->fetch->user);
    if (r == 0)
        r = check_end(l, &why);
    if (r == 0)
        r = commit(&l->writer, l->fetch->layer, &why);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

/* Wrong bytes must not be gone on with. */
static void drop(own_layer *l, const char *key, int r, const davit_error *why)
{
    const davit_content_store *c = l->fetch->content;
    bool wrong = r == DAVIT_EDIGEST || r == DAVIT_EFORMAT || r == DAVIT_ETOOBIG;
    close_writer(&l->writer);
    if (!wrong || !c->abort || (why && why->kind == DV_ERROR_VETO))
        return;
    DV_AUTOPTR(davit_error) unused = NULL;
    if (dv_own_result(c->abort(c->user_data, key, &unused), WHAT, &unused) < 0)
        dv_warn("%s: %s", key, davit_error_message(unused));
}

int dv_own_blob_fetch(dv_own_fetch *f, dv_registry *reg, davit_error **err)
{
    DV_AUTO(own_layer) l = {.fetch = f, .hash = dv_hash_new(f->layer->digest.algorithm)};
    DV_AUTOPTR(davit_error) why = NULL;
    char key[KEY_MAX];
    if (!l.hash)
        return dv_error_oom(err);
    make_key(f->layer, DV_MEDIA_LAYER, key);
    f->fetched = 0;
    int r = open_writer(f->content, key, f->layer, &l.writer, err);
    f->present = r > 0;
    if (r != 0)
        return r < 0 ? r : 0;
    r = fetch_and_commit(&l, reg, &why);
    if (r == 0)
        return 0;
    drop(&l, key, r, why);
    return dv_error_move(err, &why, r);
}
