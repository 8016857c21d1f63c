/*
 * distribution/load_content.c - one file of an archive while its bytes pass: where they go, and what is learnt of them.
 *
 * Small files and documents stay in memory, as far as there is room; a blob that the store has is only hashed; everything else is written to
 * an ingest. A compressed stream is inflated beside it for its diff_id. What xz or bzip2 made is kept inflated: no media type stands for it.
 */
#include "distribution/load_private.h"

#include "archive/diff_id.h"
#include "archive/oci_layout.h"
#include "store/content_store.h"
#include "store/metadata_store.h"
#include "util/hash.h"

#include <string.h>

#define TELL_EVERY (4u << 20) /* bytes between two counts of the progress */

typedef enum place { PLACE_MEMORY, PLACE_STORE, PLACE_INGEST } place;

typedef struct ingest_sink {
    dv_sink sink;
    dv_ingest **ingest;
} ingest_sink;

struct dv_load_entry {
    dv_load *load;
    davit_digest named;  /* what its path says; algorithm NONE: nothing */
    uint64_t size, seen; /* bytes: of its header, and so far */
    char id[16];         /* for the progress */
    uint64_t told;
    uint8_t head[DV_COMPRESSION_MAGIC];
    size_t head_size;
    bool begun;
    place place;
    dv_compression compression;
    dv_buf memory;
    dv_hash *hash; /* of what is in the store already */
    dv_ingest *ingest;
    ingest_sink into_ingest;
    bool keep_inflated;
    bool replaying;      /* its ingest has these bytes */
    dv_inflate *inflate; /* NULL: nothing to inflate, or given up */
    dv_diff_id_sink diff_id;
    bool knows_diff_id;
    davit_digest known_diff_id;
    davit_error *damage;
};

/* --- contents --------------------------------------------------------------------------------------------------------------- */

dv_load_content *dv_load_content_ref(dv_load_content *c)
{
    c->refs++;
    return c;
}

static void close_ingest(dv_load_content *c)
{
    if (c->ingest)
        c->load->open_count--;
    c->ingest = NULL;
}

void dv_load_content_unref(void *content)
{
    dv_load_content *c = content;
    if (!c || --c->refs > 0)
        return;
    dv_ingest_abort(c->ingest);
    close_ingest(c);
    if (c->bytes)
        c->load->memory -= (size_t)c->size;
    free(c->bytes);
    davit_error_free(c->damage);
    free(c);
}

int dv_load_content_publish(dv_load_content *c, davit_error **err)
{
    const davit_descriptor desc = {.media_type = "", .digest = c->digest, .size = c->size};
    int r = 0;
    if (c->ingest) {
        r = dv_ingest_commit(c->ingest, err);
        close_ingest(c);
    } else if (!c->stored) {
        r = c->bytes ? dv_content_put(c->load->store, &desc, c->bytes, err)
                     : dv_error_set(err, DAVIT_EDIGEST, "blob %s was not read whole", c->digest.text);
    }
    c->stored = c->stored || r == 0;
    return r;
}

int dv_load_content_read(dv_load_content *c, size_t max, dv_buf *out, davit_error **err)
{
    if (c->ingest)
        return dv_ingest_read(c->ingest, max, out, err);
    if (c->stored)
        return dv_content_read(c->load->store, &c->digest, max, out, err);
    if (!c->bytes)
        return dv_error_set(err, DAVIT_EDIGEST, "its bytes are not what its name says");
    if (c->size > max)
        return dv_error_set(err, DAVIT_ETOOBIG, "a document of %llu bytes, at most %zu are allowed",
                            (unsigned long long)c->size, max);
    dv_buf_reset(out);
    dv_buf_append(out, c->bytes, (size_t)c->size);
    return out->failed ? dv_error_oom(err) : 0;
}

/* --- progress --------------------------------------------------------------------------------------------------------------- */

/* The short digest of a blob, or the first letters of what tells one file from another: "<id>/layer.tar", "<hex>.tar". */
static void name_entry(dv_load_entry *e, const char *path)
{
    const char *from = e->named.algorithm ? davit_digest_hex(&e->named) : path;
    for (size_t i = 0; i < 12 && from[i] && from[i] != '/' && from[i] != '.'; i++)
        e->id[i] = from[i];
}

static void tell(dv_load_entry *e, bool end)
{
    const davit_load_options *o = e->load->options;
    if (!o->progress || e->place == PLACE_MEMORY || (!end && e->seen - e->told < TELL_EVERY))
        return;
    e->told = e->seen;
    o->progress(&(davit_progress){.kind = DAVIT_PROGRESS_LAYER,
                                  .id = e->id,
                                  .action = "Loading layer",
                                  .current = e->seen,
                                  .total = e->size == DAVIT_SIZE_UNKNOWN ? 0 : e->size,
                                  .has_counts = true},
                o->user_data);
}

/* --- where bytes go ----------------------------------------------------------------------------------------------------------- */

static davit_digest_algorithm algorithm_of(const dv_load_entry *e)
{
    return e->named.algorithm ? e->named.algorithm : DAVIT_SHA256;
}

static bool looks_like_a_document(const dv_load_entry *e)
{
    size_t i = 0;
    while (i < e->head_size && memchr(" \t\r\n", e->head[i], 4))
        i++;
    return i < e->head_size && (e->head[i] == '{' || e->head[i] == '[');
}

static bool fits_memory(const dv_load_entry *e)
{
    bool wanted = e->size <= DV_LOAD_SMALL || (e->size <= DV_LOAD_DOCUMENT_MAX && looks_like_a_document(e));
    return wanted && e->load->memory + e->size <= DV_LOAD_MEMORY_MAX && !e->keep_inflated;
}

/* 1: the store has what the path says, of this size, and keeps it for us. */
static int is_stored(dv_load_entry *e, davit_error **err)
{
    dv_load *l = e->load;
    if (!e->named.algorithm)
        return 0;
    int r = dv_content_has(l->store, &e->named, e->size, err);
    if (r != 1)
        return r;
    r = dv_lease_add(l->lease, &e->named, 1, err); /* and once more, now that nobody collects it */
    return r < 0 ? r : dv_content_has(l->store, &e->named, e->size, err);
}

static int write_ingest(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    return dv_ingest_write(*((ingest_sink *)s)->ingest, bytes, size, err);
}

static int finish_ingest(dv_sink *s, davit_error **err)
{
    (void)s, (void)err;
    return 0;
}

static int choose_place(dv_load_entry *e, davit_error **err)
{
    if (fits_memory(e)) {
        e->place = PLACE_MEMORY;
        e->memory.max = (size_t)e->size;
        return 0;
    }
    int r = is_stored(e, err);
    if (r < 0)
        return r;
    if (e->ingest && !e->keep_inflated) { /* by a key */
        e->place = PLACE_INGEST;
        return 0;
    }
    if (e->replaying)
        return dv_error_set(err, DAVIT_EFORMAT, "what was kept of it is nothing of ours");
    dv_ingest_abort(DV_STEAL(e->ingest));
    e->place = r ? PLACE_STORE : PLACE_INGEST;
    if (r) {
        e->hash = dv_hash_new(e->named.algorithm);
        return e->hash ? 0 : dv_error_oom(err);
    }
    uint64_t size = e->keep_inflated ? DAVIT_SIZE_UNKNOWN : e->size;
    return dv_ingest_open_unknown(e->load->store, algorithm_of(e), size, &e->ingest, err);
}

/* A plain stream by sha256 is its own diff_id; what was inflated here before is remembered. */
static int choose_inflate(dv_load_entry *e, davit_error **err)
{
    const dv_inflate_options options = {.allow_old = true};
    if (e->compression == DV_COMPRESSION_NONE && algorithm_of(e) == DAVIT_SHA256)
        return 0;
    if (e->place == PLACE_STORE &&
        dv_metadata_get_diff_id(e->load->store, &e->named, &e->known_diff_id, NULL) == 0) {
        e->knows_diff_id = true;
        return 0;
    }
    e->into_ingest =
        (ingest_sink){.sink = {.write = write_ingest, .finish = finish_ingest}, .ingest = &e->ingest};
    int r = dv_diff_id_init(&e->diff_id, e->keep_inflated ? &e->into_ingest.sink : NULL, err);
    return r < 0 ? r : dv_inflate_new(&options, &e->diff_id.sink, &e->inflate, err);
}

static int put(dv_load_entry *e, const void *bytes, size_t size, davit_error **err)
{
    if (e->replaying)
        return 0;
    switch (e->place) {
    case PLACE_MEMORY:
        dv_buf_append(&e->memory, bytes, size);
        return e->memory.failed ? dv_error_set(err, e->memory.failed, "no room for a file of the archive")
                                : 0;
    case PLACE_STORE:
        dv_hash_update(e->hash, bytes, size);
        return 0;
    case PLACE_INGEST:
        break;
    }
    return e->keep_inflated ? 0 : dv_ingest_write(e->ingest, bytes, size, err);
}

/* What the stream's maker did is remembered; what happened here ends the load. */
static int note_damage(dv_load_entry *e, int r, davit_error **why, davit_error **err)
{
    if (r != DAVIT_EFORMAT && r != DAVIT_ETOOBIG && r != DAVIT_EUNSUPPORTED)
        return dv_error_move(err, why, r);
    e->damage = DV_STEAL(*why);
    dv_inflate_free(e->inflate);
    e->inflate = NULL;
    return 0;
}

static int inflate(dv_load_entry *e, const void *bytes, size_t size, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = e->inflate ? dv_sink_write(dv_inflate_sink(e->inflate), bytes, size, &why) : 0;
    return r < 0 ? note_damage(e, r, &why, err) : 0;
}

static int pass(dv_load_entry *e, const void *bytes, size_t size, davit_error **err)
{
    int r = put(e, bytes, size, err);
    if (r == 0)
        r = inflate(e, bytes, size, err);
    e->seen += size;
    if (r == 0)
        tell(e, /* end= */ false);
    return r;
}

/* The bytes that decide are there. */
static int begin(dv_load_entry *e, davit_error **err)
{
    e->begun = true;
    e->compression = dv_compression_detect(e->head, e->head_size);
    bool old = e->compression == DV_COMPRESSION_XZ || e->compression == DV_COMPRESSION_BZIP2;
    e->keep_inflated = old && !e->named.algorithm;
    int r = choose_place(e, err);
    if (r == 0)
        r = choose_inflate(e, err);
    return r < 0 ? r : pass(e, e->head, e->head_size, err);
}

/* --- an entry --------------------------------------------------------------------------------------------------------------- */

int dv_load_entry_new(dv_load *l, const char *path, uint64_t size, dv_load_entry **out, davit_error **err)
{
    dv_load_entry *e = dv_new(dv_load_entry);
    if (!e)
        return dv_error_oom(err);
    e->load = l;
    e->size = size;
    if (!dv_oci_blob_path_parse(path, &e->named) || e->named.algorithm == DAVIT_SHA384)
        e->named.algorithm = DAVIT_DIGEST_NONE;
    name_entry(e, path);
    *out = e;
    return 0;
}

void dv_load_entry_free(dv_load_entry *e)
{
    if (!e)
        return;
    dv_ingest_abort(e->ingest);
    dv_inflate_free(e->inflate);
    dv_diff_id_clear(&e->diff_id);
    dv_hash_free(e->hash);
    dv_buf_clear(&e->memory);
    davit_error_free(e->damage);
    free(e);
}

int dv_load_entry_write(dv_load_entry *e, const void *bytes, size_t size, davit_error **err)
{
    const uint8_t *p = bytes;
    if (!e->begun) {
        size_t missing = sizeof(e->head) - e->head_size, part = size < missing ? size : missing;
        memcpy(e->head + e->head_size, p, part);
        e->head_size += part;
        p += part;
        size -= part;
        int r = e->head_size == sizeof(e->head) ? begin(e, err) : 0;
        if (r < 0)
            return r;
    }
    return size ? pass(e, p, size, err) : 0;
}

/* --- what an earlier life has written --------------------------------------------------------------------------------------- */

typedef struct replay {
    dv_load_entry *entry;
    dv_ingest_see *see;
    void *user;
} replay;

/* A dv_ingest_see. */
static int replay_piece(void *user, const void *bytes, size_t size, davit_error **err)
{
    const replay *p = user;
    int r = p->see(p->user, bytes, size, err);
    return r < 0 ? r : dv_load_entry_write(p->entry, bytes, size, err);
}

int dv_load_entry_resume(dv_load_entry *e, const davit_digest *key, dv_ingest_see *see, void *user,
                         uint64_t *out_size, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    *out_size = 0;
    int r = dv_ingest_open_keyed(e->load->store, key, &e->ingest, &why);
    if (r == DAVIT_EBUSY)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (dv_ingest_offset(e->ingest) < sizeof(e->head)) /* what decides would be written twice */
        return dv_ingest_reset(e->ingest, err);
    e->replaying = true;
    r = dv_ingest_replay(e->ingest, replay_piece, &(replay){.entry = e, .see = see, .user = user}, err);
    e->replaying = false;
    if (r == 0)
        *out_size = e->seen;
    return r;
}

void dv_load_entry_suspend(dv_load_entry *e)
{
    if (e)
        dv_ingest_close(DV_STEAL(e->ingest));
    dv_load_entry_free(e);
}

static int finish_inflate(dv_load_entry *e, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = e->inflate ? dv_sink_finish(dv_inflate_sink(e->inflate), &why) : 0;
    return r < 0 ? note_damage(e, r, &why, err) : 0;
}

static int take_bytes(dv_load_entry *e, dv_load_content *c, davit_error **err)
{
    switch (e->place) {
    case PLACE_MEMORY:
        c->size = e->memory.size;
        c->bytes = dv_buf_take(&e->memory);
        if (!c->bytes)
            return dv_error_oom(err);
        e->load->memory += (size_t)c->size;
        return davit_digest_of(algorithm_of(e), c->bytes, (size_t)c->size, &c->digest, err);
    case PLACE_STORE:
        c->size = e->seen;
        dv_hash_final(e->hash, &c->digest);
        c->stored = davit_digest_equal(&c->digest, &e->named);
        return 0;
    case PLACE_INGEST:
        break;
    }
    c->size = dv_ingest_offset(e->ingest);
    int r = dv_ingest_digest(e->ingest, &c->digest, err);
    if (r < 0)
        return r;
    c->ingest = DV_STEAL(e->ingest);
    e->load->open_count++;
    return 0;
}

/* What was inflated here, of this very blob, may be written down (DESIGN 5). */
static void take_diff_id(dv_load_entry *e, dv_load_content *c)
{
    c->compression = e->keep_inflated ? DV_COMPRESSION_NONE : e->compression;
    c->damage = DV_STEAL(e->damage);
    if (c->damage)
        return;
    if (e->knows_diff_id)
        c->diff_id = e->known_diff_id;
    else if (e->inflate)
        dv_diff_id_get(&e->diff_id, &c->diff_id);
    else
        c->diff_id = c->digest;
}

/* So that an archive of very many blobs needs no more open files than one of a few. */
static int limit_open(dv_load_content *c, davit_error **err)
{
    if (!c->ingest || c->load->open_count <= DV_LOAD_OPEN_MAX)
        return 0;
    int r = dv_lease_add(c->load->lease, &c->digest, 1, err);
    return r < 0 ? r : dv_load_content_publish(c, err);
}

int dv_load_entry_finish(dv_load_entry *entry, dv_load_content **out, davit_error **err)
{
    DV_AUTOPTR(dv_load_entry) e = entry;
    dv_load_content *c = dv_new(dv_load_content);
    if (!c)
        return dv_error_oom(err);
    *c = (dv_load_content){.refs = 1, .load = e->load};
    int r = e->begun ? 0 : begin(e, err);
    if (r == 0)
        r = finish_inflate(e, err);
    if (r == 0)
        r = take_bytes(e, c, err);
    if (r == 0) {
        take_diff_id(e, c);
        tell(e, /* end= */ true);
        r = limit_open(c, err);
    }
    if (r < 0)
        dv_load_content_unref(c);
    else
        *out = c;
    return r;
}
