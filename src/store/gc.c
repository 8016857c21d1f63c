/*
 * store/gc.c - see gc.h.
 *
 * Manifests are read before the write lock is taken; a manifest never changes, so under the lock only the rows are read again, and
 * what is new to us. Unlinking thousands of blobs is one transaction, cut into turns of DV_GC_TURN_MS so that nobody waits too long.
 */
#include "store/gc.h"

#include "store/content_store.h"
#include "store/db.h"
#include "store/store_private.h"
#include "util/clock.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEASE_PATH_MAX 64 /* bytes of "leases/" and a name */

/* --- what is needed ------------------------------------------------------------------------------------------------- */

typedef struct roots {
    uint32_t *nodes;
    size_t count, capacity;
} roots;

static void roots_clear(roots *list)
{
    free(list->nodes);
}
DV_DEFINE_AUTO(roots, roots_clear)

static int push_root(roots *list, uint32_t node, davit_error **err)
{
    if (list->count == list->capacity) {
        size_t wanted = list->capacity ? 2 * list->capacity : 64;
        uint32_t *grown = dv_realloc_array(list->nodes, wanted, sizeof(*grown));
        if (!grown)
            return dv_error_oom(err);
        list->nodes = grown;
        list->capacity = wanted;
    }
    list->nodes[list->count++] = node;
    return 0;
}

static int add_root(dv_content_graph *g, const dv_rows *row, roots *list, davit_error **err)
{
    davit_digest digest;
    uint32_t node;
    int r = dv_rows_digest(row, 0, &digest, err);
    if (r < 0 || digest.algorithm == DAVIT_DIGEST_NONE)
        return r;
    r = dv_rows_integer(row, 2) ? dv_content_graph_add_document(g, &digest, dv_rows_text(row, 1), &node, err)
                                : dv_content_graph_add_blob(g, &digest, &node, err);
    return r < 0 ? r : push_root(list, node, err);
}

static int add_roots(dv_content_graph *g, roots *list, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(g->store->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(g->store->db,
                    "SELECT digest, media_type, 1 FROM reference UNION SELECT manifest, '', 1 FROM image"
                    " UNION SELECT index_digest, '', 1 FROM image UNION SELECT config, '', 0 FROM image"
                    " UNION SELECT blob, '', 0 FROM layer",
                    NULL, 0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1)
        r = add_root(g, rows, list, err);
    return r;
}

int dv_gc_mark_rows(dv_content_graph *g, dv_content_marks *m, const dv_content_node **out_damaged,
                    davit_error **err)
{
    DV_AUTO(roots) list = {0};
    int r = add_roots(g, &list, err);
    if (r == 0)
        r = dv_content_marks_reset(m, g, err);
    for (size_t i = 0; r == 0 && i < list.count; i++)
        r = dv_content_graph_mark(g, m, list.nodes[i], out_damaged, err);
    return r;
}

/* Rows of the dead stay until somebody sweeps them, which those who only look do not. */
static bool is_live(const dv_store *s, const char *lease)
{
    char path[LEASE_PATH_MAX];
    int n = snprintf(path, sizeof(path), "leases/%s", lease);
    return n < 0 || (size_t)n >= sizeof(path) || strchr(lease, '/') || dv_store_is_locked(s, path);
}

static int add_leased(dv_content_graph *g, roots *list, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    char last[LEASE_PATH_MAX] = "";
    bool live = false;
    int r = dv_db_begin(g->store->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(g->store->db, "SELECT blob, lease FROM lease_blob ORDER BY lease", NULL, 0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1) {
        davit_digest digest;
        uint32_t node;
        const char *lease = dv_rows_text(rows, 1);
        if (strcmp(lease, last) != 0) {
            live = is_live(g->store, lease);
            snprintf(last, sizeof(last), "%s", lease);
        }
        r = 0;
        if (!live || davit_digest_parse(dv_rows_text(rows, 0), &digest, NULL) < 0)
            continue; /* nobody's, or it names no blob */
        r = dv_content_graph_add_blob(g, &digest, &node, err);
        if (r == 0)
            r = push_root(list, node, err);
    }
    return r;
}

/* What was marked before keeps its marks where the graph grows. */
static int grow_marks(dv_content_marks *m, const dv_content_graph *g, davit_error **err)
{
    uint32_t before = m->capacity, count = g->digests.count;
    if (count <= before)
        return 0;
    uint8_t *grown = dv_realloc_array(m->of, count, 1);
    if (!grown)
        return dv_error_oom(err);
    memset(grown + before, 0, count - before);
    m->of = grown;
    m->capacity = count;
    return 0;
}

int dv_gc_mark_leases(dv_content_graph *g, dv_content_marks *m, davit_error **err)
{
    DV_AUTO(roots) list = {0};
    int r = add_leased(g, &list, err);
    if (r == 0)
        r = grow_marks(m, g, err);
    for (size_t i = 0; r == 0 && i < list.count; i++)
        if (!m->of[list.nodes[i]])
            m->of[list.nodes[i]] = DV_GC_LEASED;
    return r;
}

/* --- removing ------------------------------------------------------------------------------------------------------- */

typedef struct collection {
    dv_store *store;
    dv_content_graph graph;
    dv_content_marks marks;
    dv_digest_set all; /* every blob, when there are no candidates */
    const dv_digest_set *candidates;
    uint32_t next;
    bool dry;
    dv_gc_result *result;
} collection;

static void collection_clear(collection *c)
{
    dv_content_graph_clear(&c->graph);
    dv_content_marks_clear(&c->marks);
    dv_digest_set_clear(&c->all);
}
DV_DEFINE_AUTO(collection, collection_clear)

static int add_candidate(dv_store *s, const davit_digest *digest, const struct stat *st, void *user_data,
                         davit_error **err)
{
    int r = dv_digest_set_add(user_data, digest, NULL, err);
    return r < 0 ? r : 0;
}

static int refuse_damaged(collection *c, const dv_content_node *damaged, davit_error **err)
{
    davit_digest digest;
    dv_digest_set_get(&c->graph.digests, dv_content_graph_number(&c->graph, damaged), &digest);
    return dv_error_set(
        err, DAVIT_ESTORE,
        "no blob of store %s can be removed, since manifest %s is damaged and what it needs is "
        "not known: run 'davit fsck --repair'",
        c->store->path, digest.text);
}

static int mark_all(collection *c, davit_error **err)
{
    const dv_content_node *damaged = NULL;
    int r = dv_content_graph_refresh(&c->graph, err);
    if (r == 0)
        r = dv_gc_mark_rows(&c->graph, &c->marks, &damaged, err);
    if (r == 0 && damaged)
        r = refuse_damaged(c, damaged, err);
    return r < 0 ? r : dv_gc_mark_leases(&c->graph, &c->marks, err);
}

static int forget_caches(const dv_store *s, const char *blob, davit_error **err)
{
    int r = dv_db_run(s->db, "DELETE FROM diff_id WHERE blob = ?1", &DV_TEXT(blob), 1, err);
    if (r == 0)
        r = dv_db_run(s->db, "DELETE FROM blob_source WHERE blob = ?1", &DV_TEXT(blob), 1, err);
    if (r == 0)
        r = dv_db_run(s->db, "DELETE FROM blob_access WHERE blob = ?1", &DV_TEXT(blob), 1, err);
    return r;
}

static int remove_blob(collection *c, const davit_digest *digest, davit_error **err)
{
    char name[DV_CONTENT_NAME_MAX];
    struct stat st;
    const dv_store *s = c->store;
    if (dv_content_name(digest, name, NULL) < 0 || fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode))
        return 0; /* not here; what is no file is fsck's */
    int r = c->dry ? 0 : forget_caches(s, digest->text, err);
    if (r == 0 && !c->dry && unlinkat(s->dirfd, name, 0) < 0 && errno != ENOENT)
        r = dv_store_error(s, errno, "remove", name, err);
    if (r < 0)
        return r;
    dv_trace(STORE, "%s %s", c->dry ? "would collect" : "collected", digest->text);
    c->result->blobs++;
    c->result->bytes += (uint64_t)st.st_size;
    return 0;
}

/* One transaction: see what is needed, and remove candidates until the turn is over. */
static int take_turn(collection *c, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    /* What it writes are caches: a power cut may bring them back. */
    int r = dv_db_begin(c->store->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = mark_all(c, err);
    uint64_t start = dv_clock_ms();
    for (; r == 0 && c->next < c->candidates->count; c->next++) {
        davit_digest digest;
        uint32_t node;
        if (!c->dry && dv_clock_ms() - start > DV_GC_TURN_MS)
            break;
        dv_digest_set_get(c->candidates, c->next, &digest);
        if (!dv_digest_set_has(&c->graph.digests, &digest, &node) || !c->marks.of[node])
            r = remove_blob(c, &digest, err);
    }
    return r < 0 ? r : dv_db_commit(&tx, err);
}

int dv_gc_collect(dv_store *s, const dv_digest_set *candidates, bool dry, dv_gc_result *out, davit_error **err)
{
    DV_AUTO(collection)
    c = {.store = s, .graph = {.store = s}, .candidates = candidates, .dry = dry, .result = out};
    *out = (dv_gc_result){0};
    int r = dv_store_check_writable(s, err);
    if (r == 0 && !dry)
        r = dv_lease_sweep(s, NULL, err);
    if (r == 0 && !candidates) {
        c.candidates = &c.all;
        r = dv_content_walk(s, add_candidate, &c.all, err);
    }
    if (r == 0 && c.candidates->count > 0)
        r = dv_gc_mark_rows(&c.graph, &c.marks, NULL,
                            err); /* reads most manifests before anybody has to wait */
    while (r == 0 && c.next < c.candidates->count)
        r = take_turn(&c, err);
    return r;
}
