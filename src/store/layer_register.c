/*
 * store/layer_register.c - see layer_store.h: a stream of bytes becomes a layer.
 *
 * States: the parent is held; bytes go through the codec and the diff_id into a staged directory, and as they are into an ingest (unless they are a
 * blob of the store already); directory and blob are on disk; one transaction gives the directory its name and the layer its row. Whatever
 * fails, what was made so far goes, and so does the hold on the parent.
 */
#include "archive/compress.h"
#include "archive/diff_id.h"
#include "archive/staging.h"
#include "archive/unpack.h"
#include "davit/image_config.h"
#include "oci/media_type.h"
#include "store/content_store.h"
#include "store/db.h"
#include "store/ingest.h"
#include "store/layer_store.h"
#include "store/metadata_store.h"
#include "store/store_private.h"
#include "store/tree_compare.h"
#include "store/tree_size.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define READ_SIZE (256u << 10) /* bytes at once */

typedef struct registration {
    davit_layer_store *layers;
    dv_store *store;
    const davit_layer_descriptor *descriptor;
    davit_layer *parent;               /* held; NULL at the bottom */
    int lowers[DAVIT_LAYER_DEPTH_MAX]; /* the nearest first */
    size_t lower_count;
    char staged[DV_LAYER_NAME_MAX]; /* "" until it is made, and when it has its name */
    int diff_fd;
    dv_unpack *unpack;
    dv_diff_id_sink diff_id;
    dv_inflate *codec;
    dv_ingest *ingest; /* NULL for a blob of the store */
    davit_digest blob, diff_digest, chain;
    dv_tree_size size;
} registration;

/* A failed one gives everything back. */
static void registration_clear(registration *g)
{
    dv_inflate_free(g->codec);
    dv_diff_id_sink_auto(&g->diff_id);
    dv_unpack_free(g->unpack);
    dv_ingest_abort(g->ingest);
    dv_close(&g->diff_fd);
    for (size_t i = 0; i < g->lower_count; i++)
        dv_close(&g->lowers[i]);
    if (g->staged[0]) {
        DV_AUTOPTR(davit_error) why = NULL;
        if (dv_remove_tree(g->store->dirfd, g->staged, &why) < 0)
            dv_warn("%s in store %s cannot be removed: %s", g->staged, g->store->path,
                    davit_error_message(why));
    }
    if (g->parent && atomic_load(&g->parent->held)) {
        /* A parent that nobody held before was there all the same: that a layer on it failed is no reason to remove it. */
        DV_AUTOPTR(davit_error) why = NULL;
        if (dv_lease_drop_layer(g->layers->lease, &g->parent->info.chain_id, &why) < 0)
            dv_warn("%s", davit_error_message(why));
    }
    davit_layer_free(g->parent);
}
DV_DEFINE_AUTO(registration, registration_clear)

/* --- what is below --------------------------------------------------------------------------------------------------- */

static int hold_parent(registration *g, const davit_digest *parent, davit_error **err)
{
    if (!parent || parent->algorithm == DAVIT_DIGEST_NONE)
        return 0;
    int r = davit_layer_store_get(g->layers, parent, &g->parent, err);
    if (r == 0 && g->parent->depth >= DAVIT_LAYER_DEPTH_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "max depth exceeded");
    return r;
}

/* All of them stay as long as the parent does. */
static int open_lowers(registration *g, davit_error **err)
{
    davit_digest next = g->parent ? g->parent->info.chain_id : (davit_digest){0};
    while (next.algorithm != DAVIT_DIGEST_NONE && g->lower_count < DAVIT_LAYER_DEPTH_MAX) {
        DV_AUTOPTR(davit_layer) layer = NULL;
        char name[DV_LAYER_NAME_MAX];
        int r = dv_layer_load(g->layers, &next, &layer, err);
        if (r < 0)
            return r;
        dv_layer_name(&next, /* diff= */ true, name);
        int fd = openat(g->store->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return dv_store_error(g->store, errno, "open", name, err);
        g->lowers[g->lower_count++] = fd;
        next = layer->info.parent;
    }
    return 0;
}

/* --- the stages ------------------------------------------------------------------------------------------------------ */

static int make_staged(registration *g, davit_error **err)
{
    char diff[DV_LAYER_NAME_MAX + 8], name[DV_LAYER_NAME_MAX];
    dv_store *s = g->store;
    int r = dv_store_make_directory(s, "layers");
    if (r < 0)
        return dv_store_error(s, -r, "make", "layers", err);
    snprintf(name, sizeof(name), "layers/new-%s-%u", dv_lease_name(g->layers->lease),
             atomic_fetch_add(&g->layers->staged, 1));
    if (mkdirat(s->dirfd, name, 0700) < 0)
        return dv_store_error(s, errno, "make", name, err);
    memcpy(g->staged, name, sizeof(name));
    snprintf(diff, sizeof(diff), "%s/diff", name);
    if (mkdirat(s->dirfd, diff, 0700) < 0)
        return dv_store_error(s, errno, "make", diff, err);
    g->diff_fd = openat(s->dirfd, diff, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return g->diff_fd < 0 ? dv_store_error(s, errno, "open", diff, err) : 0;
}

static int make_chain(registration *g, davit_error **err)
{
    const dv_unpack_options options = {
        .root_name = g->store->path,
        .rootless = geteuid() != 0,
        .overlay = true,
        .lowers = g->lowers,
        .lower_count = g->lower_count,
    };
    const dv_inflate_options inflate = {.allow_old = true};
    const char *what = g->descriptor ? g->descriptor->blob.digest.text : "to register";
    dv_sink *unpack;
    int r = dv_unpack_new(g->diff_fd, &options, &g->unpack, err);
    if (r == 0)
        r = dv_unpack_layer(g->unpack, what, &unpack, err);
    if (r == 0)
        r = dv_diff_id_init(&g->diff_id, unpack, err);
    if (r == 0)
        r = dv_inflate_new(&inflate, &g->diff_id.sink, &g->codec, err);
    return r;
}

static int prepare(registration *g, const davit_digest *parent, davit_error **err)
{
    int r = dv_store_check_writable(g->store, err);
    if (r == 0)
        r = hold_parent(g, parent, err);
    if (r == 0)
        r = open_lowers(g, err);
    if (r == 0)
        r = make_staged(g, err);
    return r < 0 ? r : make_chain(g, err);
}

/* All bytes have passed. */
static int finish_tree(registration *g, davit_error **err)
{
    int r = dv_sink_finish(dv_inflate_sink(g->codec), err);
    if (r == 0)
        r = dv_unpack_finish(g->unpack, err);
    if (r < 0)
        return r;
    dv_diff_id_get(&g->diff_id, &g->diff_digest);
    const davit_digest two[] = {g->parent ? g->parent->info.chain_id : g->diff_digest, g->diff_digest};
    r = davit_chain_id(two, g->parent ? 2 : 1, &g->chain, err);
    if (r == 0)
        r = dv_tree_measure(g->diff_fd, &g->size, err);
    if (r == 0 && fchmod(g->diff_fd, dv_unpack_root_mode(g->unpack)) < 0)
        r = dv_store_error(g->store, errno, "set the mode of", g->staged, err);
    return r;
}

static int publish_blob(registration *g, davit_error **err)
{
    int r = g->ingest ? dv_ingest_digest(g->ingest, &g->blob, err) : 0;
    if (r == 0)
        r = dv_lease_add(g->layers->lease, &g->blob, 1, err);
    if (r == 0 && g->ingest)
        r = dv_ingest_commit(DV_STEAL(g->ingest), err);
    return r < 0 ? r : dv_content_sync(g->store, err);
}

/* --- the row --------------------------------------------------------------------------------------------------------- */

static int insert_row(registration *g, davit_error **err)
{
    DV_AUTOFREE char *descriptor = NULL;
    int r = dv_layer_descriptor_format(g->descriptor, &descriptor, err);
    if (r < 0)
        return r;
    const dv_db_value values[] = {
        DV_TEXT(g->chain.text),
        DV_TEXT(g->parent ? g->parent->info.chain_id.text : ""),
        DV_TEXT(g->diff_digest.text),
        DV_TEXT(g->blob.text),
        DV_TEXT(DV_MEDIA_TYPE_DOCKER_LAYER),
        DV_TEXT(descriptor),
        DV_INTEGER(g->parent ? g->parent->depth + 1 : 1),
        DV_INTEGER(g->size.size),
        DV_INTEGER(g->size.disk_size),
        DV_INTEGER(dv_wall_time_s()),
    };
    return dv_db_run(g->store->db,
                     "INSERT INTO layer (chain, parent, diff_id, blob, media_type, descriptor, depth, size,"
                     " disk_size, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                     values, DV_COUNT(values), err);
}

static int sync_folder(const dv_store *s, davit_error **err)
{
    DV_AUTOCLOSE fd = openat(s->dirfd, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 || fsync(s->dirfd) < 0 ? dv_store_error(s, errno, "sync", "layers", err)
                                                          : 0;
}

static int take_name(registration *g, dv_layer_doomed *doomed, davit_error **err)
{
    char name[DV_LAYER_NAME_MAX];
    dv_store *s = g->store;
    dv_layer_name(&g->chain, /* diff= */ false, name);
    int r = dv_layer_doom_directory(s, &g->chain, doomed, err); /* of a maker who died */
    if (r == 0 && renameat(s->dirfd, g->staged, s->dirfd, name) < 0)
        r = dv_store_error(s, errno, "rename", g->staged, err);
    return r < 0 ? r : sync_folder(s, err);
}

/* In the transaction: the layer that is there, or this one. Holds it. */
static int record(registration *g, dv_layer_doomed *doomed, davit_layer **out, davit_error **err)
{
    DV_AUTOPTR(davit_layer) there = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    char name[DV_LAYER_NAME_MAX];
    dv_layer_name(&g->chain, /* diff= */ true, name);
    int r = dv_layer_load(g->layers, &g->chain, &there, &why);
    bool lost = r == 0 && faccessat(g->store->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
    if (r < 0 && r != DAVIT_ENOTFOUND)
        return dv_error_move(err, &why, r);
    if (lost) { /* of a remover who died */
        davit_layer_free(DV_STEAL(there));
        r = dv_layer_doom(g->store, &g->chain, /* dry= */ true, doomed, err);
        if (r < 0)
            return r;
    }
    if (!there) {
        r = insert_row(g, err);
        if (r == 0)
            r = take_name(g, doomed, err);
        if (r == 0)
            r = dv_layer_load(g->layers, &g->chain, &there, err);
        if (r < 0)
            return r;
    }
    r = dv_lease_hold_layer(g->layers->lease, &g->chain, err);
    if (r == 0 && g->parent) {
        r = dv_lease_drop_layer(g->layers->lease, &g->parent->info.chain_id, err);
        r = r < 0 ? r : 0;
    }
    if (r == 0)
        *out = DV_STEAL(there);
    return r;
}

static int commit(registration *g, davit_layer **out, davit_error **err)
{
    DV_AUTO(dv_layer_doomed) doomed = {0};
    DV_AUTOPTR(davit_layer) layer = NULL;
    int r = 0;
    {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        r = dv_db_begin(g->store->db, DV_DB_WRITE, &tx, err);
        if (r == 0)
            r = record(g, &doomed, &layer, err);
        if (r == 0)
            r = dv_db_commit(&tx, err);
    }
    if (r < 0) {
        dv_layer_sweep(g->store, NULL); /* a directory may have its name by now, and no row */
        return r;
    }
    if (g->parent)
        atomic_store(&g->parent->held, false);
    dv_layer_doomed_finish(g->store, &doomed);
    atomic_store(&layer->held, true);
    *out = DV_STEAL(layer);
    return 0;
}

static int finish(registration *g, davit_layer **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = finish_tree(g, err);
    if (r < 0)
        return r;
    /* The usual reason to throw new data away; the transaction asks again. */
    r = davit_layer_store_get(g->layers, &g->chain, out, &why);
    if (r != DAVIT_ENOTFOUND)
        return r < 0 ? dv_error_move(err, &why, r) : 0;
    if (syncfs(g->diff_fd) < 0)
        return dv_store_error(g->store, errno, "sync", g->staged, err);
    r = publish_blob(g, err);
    if (r == 0)
        r = dv_metadata_put_diff_id(g->store, &g->blob, &g->diff_digest, err);
    return r < 0 ? r : commit(g, out, err);
}

/* --- where the bytes come from --------------------------------------------------------------------------------------- */

static int pass(registration *g, const void *bytes, size_t size, davit_error **err)
{
    int r = g->ingest ? dv_ingest_write(g->ingest, bytes, size, err) : 0;
    return r < 0 ? r : dv_sink_write(dv_inflate_sink(g->codec), bytes, size, err);
}

static int pass_stream(registration *g, davit_read_fn read, void *read_data, davit_error **err)
{
    DV_AUTOFREE char *bytes = malloc(READ_SIZE);
    size_t size = 1;
    if (!bytes)
        return dv_error_oom(err);
    int r = dv_ingest_open_unknown(g->store, DAVIT_SHA256, DAVIT_SIZE_UNKNOWN, &g->ingest, err);
    while (r == 0 && size > 0) {
        r = read(bytes, READ_SIZE, &size, read_data);
        if (r < 0)
            return dv_error_set(err, r, "the layer cannot be read to its end");
        r = pass(g, bytes, size, err);
    }
    return r;
}

static int pass_blob(registration *g, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    DV_AUTOFREE char *bytes = malloc(READ_SIZE);
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(g->blob.algorithm);
    uint64_t size;
    davit_digest got;
    ssize_t n = 1;
    if (!bytes || !hash)
        return dv_error_oom(err);
    int r = dv_lease_add(g->layers->lease, &g->blob, 1, err); /* before anybody looks for it (DESIGN 6) */
    if (r == 0)
        r = dv_content_open(g->store, &g->blob, DAVIT_SIZE_UNKNOWN, &fd, &size, err);
    for (uint64_t at = 0; r == 0 && n > 0; at += (uint64_t)n) {
        n = dv_pread_all(fd, bytes, READ_SIZE, at);
        if (n < 0)
            return dv_error_file(err, (int)-n, "cannot read blob %s", g->blob.text);
        dv_hash_update(hash, bytes, (size_t)n);
        r = pass(g, bytes, (size_t)n, err);
    }
    if (r < 0)
        return r;
    dv_hash_final(hash, &got);
    return davit_digest_equal(&got, &g->blob)
               ? 0
               : dv_error_set(err, DAVIT_EDIGEST, "stored blob %s is damaged: its bytes are %s", g->blob.text,
                              got.text);
}

static const davit_layer_descriptor *with_digest(const davit_layer_descriptor *d)
{
    return d && d->blob.digest.algorithm != DAVIT_DIGEST_NONE ? d : NULL;
}

int davit_layer_store_register(davit_layer_store *layers, davit_read_fn read, void *read_data,
                               const davit_digest *parent, const davit_layer_descriptor *descriptor,
                               davit_layer **out, davit_error **err)
{
    DV_AUTO(registration)
    g = {.layers = layers, .store = layers->store, .descriptor = with_digest(descriptor), .diff_fd = -1};
    int r = prepare(&g, parent, err);
    if (r == 0)
        r = pass_stream(&g, read, read_data, err);
    return r < 0 ? r : finish(&g, out, err);
}

int davit_layer_store_register_blob(davit_layer_store *layers, const davit_digest *blob,
                                    const davit_digest *parent, const davit_layer_descriptor *descriptor,
                                    davit_layer **out, davit_error **err)
{
    DV_AUTO(registration)
    g = {.layers = layers,
         .store = layers->store,
         .descriptor = with_digest(descriptor),
         .diff_fd = -1,
         .blob = *blob};
    int r = prepare(&g, parent, err);
    if (r == 0)
        r = pass_blob(&g, err);
    return r < 0 ? r : finish(&g, out, err);
}

/* --- once more, to compare ------------------------------------------------------------------------------------------- */

static int compare(registration *g, const davit_layer *layer, int there, dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = pass_blob(g, &why);
    if (r == 0)
        r = finish_tree(g, &why);
    if (r < 0 && r != DAVIT_EDIGEST && r != DAVIT_EFORMAT)
        return dv_error_move(err, &why, r);
    if (r < 0 || !davit_digest_equal(&g->diff_digest, &layer->info.diff_id)) {
        dv_buf_printf(out, "its blob %s makes another layer", layer->blob.text);
        return 0;
    }
    return dv_tree_compare(g->diff_fd, there, out, err);
}

static int verify(registration *g, const davit_layer *layer, dv_buf *out, davit_error **err)
{
    struct stat st;
    DV_AUTOCLOSE there = open(layer->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (there < 0 || fstat(there, &st) < 0)
        return dv_error_file(err, errno, "cannot open %s", layer->path);
    if (st.st_uid != geteuid())
        return 1;
    int r = prepare(g, &layer->info.parent, err);
    return r < 0 ? r : compare(g, layer, there, out, err);
}

int dv_layer_verify(davit_layer_store *l, const davit_digest *chain, dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(davit_layer) layer = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = davit_layer_store_get(l, chain, &layer, &why);
    if (r < 0)
        return r == DAVIT_ENOTFOUND ? 1 : dv_error_move(err, &why, r);
    {
        DV_AUTO(registration) g = {.layers = l, .store = l->store, .diff_fd = -1, .blob = layer->blob};
        r = verify(&g, layer, out, err);
    }
    dv_lease_drop_layer(l->lease, chain, NULL); /* else it goes with the lease */
    return r;
}
