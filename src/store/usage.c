/*
 * store/usage.c - davit_store_get_usage(): what takes room.
 *
 * Decides what is counted as what: a blob is an image's when a row needs it, as for collection (gc.h); it is reclaimable when only
 * dangling images need it, or nothing.
 */
#include "davit/store.h"

#include "store/content_store.h"
#include "store/db.h"
#include "store/gc.h"
#include "store/ingest_sweep.h"
#include "store/layer_store.h"
#include "store/store_private.h"
#include "util/clock.h"
#include "util/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TREE_DEPTH_MAX \
    4096 /* directories within each other in an unpacked layer; what is deeper is not counted */

struct davit_usage {
    davit_image_list *list;
    davit_usage_image *images;
    size_t image_count;
    davit_usage_part parts[DAVIT_USAGE_KINDS];
};

void davit_usage_free(davit_usage *usage)
{
    if (!usage)
        return;
    davit_image_list_free(usage->list);
    free(usage->images);
    free(usage);
}
DV_DEFINE_AUTOPTR(davit_usage, davit_usage_free)

const davit_usage_part *davit_usage_get_part(const davit_usage *usage, davit_usage_kind kind)
{
    return (unsigned)kind < DAVIT_USAGE_KINDS ? &usage->parts[kind] : NULL;
}

size_t davit_usage_image_count(const davit_usage *usage)
{
    return usage->image_count;
}

const davit_usage_image *davit_usage_image_at(const davit_usage *usage, size_t index)
{
    return index < usage->image_count ? &usage->images[index] : NULL;
}

/* --- blobs ----------------------------------------------------------------------------------------------------------- */

typedef struct blob_facts {
    uint64_t size, disk_size;
    uint32_t images; /* how many have it */
    uint32_t last;   /* 1 + the image that was counted last */
} blob_facts;

typedef struct survey {
    dv_store *store;
    davit_usage *usage;
    dv_content_graph graph;
    dv_content_marks needed, kept; /* by rows; by what prune leaves */
    blob_facts *blobs;             /* by node */
    dv_digest_set unneeded;        /* chains of unpacked layers */
    int64_t now_s;
} survey;

static void survey_clear(survey *v)
{
    dv_content_graph_clear(&v->graph);
    dv_content_marks_clear(&v->needed);
    dv_content_marks_clear(&v->kept);
    dv_digest_set_clear(&v->unneeded);
    free(v->blobs);
}
DV_DEFINE_AUTO(survey, survey_clear)

static void count_file(davit_usage_part *part, uint64_t size, uint64_t disk_size, bool reclaimable)
{
    part->count++;
    part->size += size;
    part->disk_size += disk_size;
    part->reclaimable += reclaimable ? size : 0;
}

/* Everything that is left when dangling images are gone: of tags, of images that have one, and of unpacked layers. */
static const char kept_roots[] =
    "WITH tagged AS (SELECT config FROM reference JOIN image ON manifest = digest WHERE instr(reference, "
    "'@') = 0"
    " UNION SELECT config FROM reference JOIN image ON index_digest = digest WHERE instr(reference, '@') = 0)"
    " SELECT digest FROM reference WHERE instr(reference, '@') = 0"
    " UNION SELECT manifest FROM image WHERE config IN tagged"
    " UNION SELECT index_digest FROM image WHERE config IN tagged"
    " UNION SELECT config FROM image WHERE config IN tagged"
    " UNION SELECT blob FROM layer";

static int mark_kept(survey *v, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(v->store->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(v->store->db, kept_roots, NULL, 0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1) {
        davit_digest digest;
        uint32_t node;
        r = dv_rows_digest(rows, 0, &digest, err);
        if (r == 0 && dv_digest_set_has(&v->graph.digests, &digest, &node))
            r = dv_content_graph_mark(&v->graph, &v->kept, node, NULL, err);
    }
    return r;
}

static int add_blob(dv_store *s, const davit_digest *digest, const struct stat *st, void *user_data,
                    davit_error **err)
{
    survey *v = user_data;
    davit_usage_part *parts = v->usage->parts;
    uint64_t size = (uint64_t)st->st_size, disk_size = (uint64_t)st->st_blocks * 512;
    uint32_t node = 0;
    bool known = dv_digest_set_has(&v->graph.digests, digest, &node);
    uint8_t mark = known ? v->needed.of[node] : 0;
    if (known) {
        v->blobs[node].size = size;
        v->blobs[node].disk_size = disk_size;
    }
    bool reclaimable = !mark || (mark == DV_GC_NEEDED && !v->kept.of[node]);
    count_file(&parts[mark == DV_GC_NEEDED ? DAVIT_USAGE_IMAGES : DAVIT_USAGE_UNNEEDED], size, disk_size,
               reclaimable);
    count_file(&parts[DAVIT_USAGE_TOTAL], size, disk_size, reclaimable);
    return 0;
}

/* --- images ---------------------------------------------------------------------------------------------------------- */

static void count_image(survey *v, uint32_t index)
{
    uint32_t manifest;
    if (!dv_digest_set_has(&v->graph.digests, &v->usage->images[index].image->manifest, &manifest))
        return;
    v->blobs[manifest].images++;
    const dv_content_node *node = &v->graph.nodes[manifest];
    for (uint32_t i = 0; i < node->edge_count; i++) {
        blob_facts *blob = &v->blobs[v->graph.edges[node->first_edge + i]];
        blob->images += blob->last != index + 1; /* a layer may be listed twice */
        blob->last = index + 1;
    }
}

static void add_size(davit_usage_image *image, const blob_facts *blob)
{
    image->size += blob->size;
    image->shared_size += blob->images > 1 ? blob->size : 0;
}

static void size_image(survey *v, uint32_t index)
{
    davit_usage_image *image = &v->usage->images[index];
    uint32_t manifest;
    if (!dv_digest_set_has(&v->graph.digests, &image->image->manifest, &manifest))
        return;
    const dv_content_node *node = &v->graph.nodes[manifest];
    add_size(image, &v->blobs[manifest]);
    for (uint32_t i = 0; i < node->edge_count; i++)
        v->blobs[v->graph.edges[node->first_edge + i]].last = 0;
    for (uint32_t i = 0; i < node->edge_count; i++) {
        blob_facts *blob = &v->blobs[v->graph.edges[node->first_edge + i]];
        if (blob->last != index + 1)
            add_size(image, blob);
        blob->last = index + 1;
    }
}

static void count_layers(survey *v)
{
    for (uint32_t i = 0; i < v->graph.digests.count; i++) {
        const blob_facts *blob = &v->blobs[i];
        if (!v->graph.nodes[i].is_layer || !blob->size)
            continue;
        count_file(&v->usage->parts[DAVIT_USAGE_LAYERS], blob->size, blob->disk_size, !v->kept.of[i]);
        if (blob->images > 1)
            count_file(&v->usage->parts[DAVIT_USAGE_SHARED_LAYERS], blob->size, blob->disk_size,
                       !v->kept.of[i]);
    }
}

static int survey_blobs(survey *v, davit_error **err)
{
    davit_usage *u = v->usage;
    int r = dv_gc_mark_rows(&v->graph, &v->needed, NULL, err);
    if (r == 0)
        r = dv_gc_mark_leases(&v->graph, &v->needed, err);
    if (r == 0)
        r = dv_content_marks_reset(&v->kept, &v->graph, err);
    if (r == 0)
        r = mark_kept(v, err);
    if (r < 0)
        return r;
    v->blobs = dv_new_array(blob_facts, (size_t)v->graph.digests.count + 1);
    if (!v->blobs)
        return dv_error_oom(err);
    r = dv_content_walk(v->store, add_blob, v, err);
    for (uint32_t i = 0; i < u->image_count; i++)
        count_image(v, i);
    for (uint32_t i = 0; i < u->image_count; i++)
        size_image(v, i);
    count_layers(v);
    u->parts[DAVIT_USAGE_IMAGES].count = u->image_count;
    return r;
}

/* --- everything else --------------------------------------------------------------------------------------------------- */

static void count_stat(survey *v, davit_usage_kind kind, const struct stat *st, bool reclaimable)
{
    uint64_t disk_size = (uint64_t)st->st_blocks * 512;
    count_file(&v->usage->parts[kind], (uint64_t)st->st_size, disk_size, reclaimable);
    count_file(&v->usage->parts[DAVIT_USAGE_TOTAL], (uint64_t)st->st_size, disk_size, reclaimable);
}

static int add_ingest(dv_store *s, const dv_ingest_file *file, void *user_data, davit_error **err)
{
    survey *v = user_data;
    count_stat(v, DAVIT_USAGE_INGESTS, &file->st, file->removable);
    if (file->kind == DV_INGEST_JOURNAL)
        v->usage->parts[DAVIT_USAGE_INGESTS].count--; /* part of its ingest */
    return 0;
}

static void count_database(survey *v)
{
    static const char *const names[] = {"davit.db", "davit.db-wal", "davit.db-shm"};
    struct stat st;
    for (size_t i = 0; i < DV_COUNT(names); i++)
        if (fstatat(v->store->dirfd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            count_stat(v, DAVIT_USAGE_DATABASE, &st, false);
}

/* By the name of a layer's directory: what prune would remove. */
static bool is_unneeded(const survey *v, const char *name)
{
    char text[DAVIT_DIGEST_TEXT_MAX];
    davit_digest chain;
    int n = snprintf(text, sizeof(text), "sha256:%s", name);
    return n > 0 && (size_t)n < sizeof(text) && davit_digest_parse(text, &chain, NULL) == 0 &&
           dv_digest_set_has(&v->unneeded, &chain, NULL);
}

/* Takes dirfd over. Files that go away meanwhile, and what may not be read, do not count. */
static void count_tree(survey *v, int dirfd, unsigned depth, bool reclaimable)
{
    DIR *dir = fdopendir(dirfd);
    if (!dir) {
        dv_close(&dirfd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        bool goes = depth == 0 ? is_unneeded(v, entry->d_name) : reclaimable;
        count_stat(v, DAVIT_USAGE_UNPACKED, &st, goes);
        int below = S_ISDIR(st.st_mode) && depth < TREE_DEPTH_MAX
                        ? openat(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
                        : -1;
        if (below >= 0)
            count_tree(v, below, depth + 1, goes);
    }
    closedir(dir);
}

static void count_unpacked(survey *v)
{
    int dirfd = openat(v->store->dirfd, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dirfd >= 0)
        count_tree(v, dirfd, 0, /* reclaimable= */ false);
}

static int list_images(davit_store *store, davit_usage *u, davit_error **err)
{
    int r = davit_store_images(store, &u->list, err);
    if (r < 0)
        return r;
    size_t count = davit_image_list_count(u->list);
    u->images = dv_new_array(davit_usage_image, count + 1);
    if (!u->images)
        return dv_error_oom(err);
    for (; u->image_count < count; u->image_count++)
        u->images[u->image_count].image = davit_image_list_at(u->list, u->image_count);
    return 0;
}

int davit_store_get_usage(davit_store *store, davit_usage **out, davit_error **err)
{
    dv_store *s = (dv_store *)store;
    DV_AUTOPTR(davit_usage) usage = dv_new(davit_usage);
    if (!usage)
        return dv_error_oom(err);
    DV_AUTO(survey) v = {.store = s, .usage = usage, .graph = {.store = s}, .now_s = dv_wall_time_s()};
    int r = list_images(store, usage, err);
    if (r == 0)
        r = survey_blobs(&v, err);
    if (r == 0)
        r = dv_ingest_walk(s, v.now_s, add_ingest, &v, err);
    if (r == 0)
        r = dv_layer_unneeded(s, &v.unneeded, err);
    if (r < 0)
        return r;
    count_database(&v);
    count_unpacked(&v);
    *out = DV_STEAL(usage);
    return 0;
}
