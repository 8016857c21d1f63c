/*
 * store/fsck_images.c - see fsck.h: which images lack something, and how to get it.
 *
 * Other processes remove and pull images meanwhile. What seems to be missing is looked for once more under the write lock, where no
 * row changes and nothing is collected; a store that is open for reading only is simply looked at twice.
 */
#include "store/fsck.h"

#include "davit/platform.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "store/db.h"
#include "store/gc.h"
#include "store/image_store.h"
#include "store/metadata_store.h"
#include "store/reference_store.h"
#include "store/store_private.h"

#include <stdio.h>
#include <string.h>

#define REMEDY_MAX 8192 /* bytes */

typedef struct lack {
    size_t count;
    const char *what, *state; /* of the first */
    davit_digest first;
} lack;

static void note(lack *l, const char *what, const char *state, const davit_digest *digest)
{
    if (l->count++ > 0)
        return;
    l->what = what;
    l->state = state;
    l->first = *digest;
}

/* A blob that is there and wrong counts as not there. */
static int check_node(dv_fsck *f, uint32_t node, const char *what, lack *l, davit_error **err)
{
    davit_digest digest;
    const dv_content_node *n = &f->graph.nodes[node];
    dv_digest_set_get(&f->graph.digests, node, &digest);
    int r = n->is_foreign || digest.algorithm == DAVIT_SHA384
                ? 1
                : dv_content_has(f->store, &digest, n->size, err);
    if (r < 0)
        return r;
    if (r == 0)
        note(l, what, "missing", &digest);
    else if (dv_digest_set_has(&f->bad, &digest, NULL))
        note(l, what, "damaged", &digest);
    return 0;
}

static int check_document(dv_fsck *f, const davit_digest *digest, const char *what, uint32_t *out_node,
                          lack *l, davit_error **err)
{
    int r = dv_content_graph_add_document(&f->graph, digest, NULL, out_node, err);
    if (r < 0)
        return r;
    if (f->graph.nodes[*out_node].state == DV_CONTENT_ABSENT)
        note(l, what, "missing", digest);
    else if (f->graph.nodes[*out_node].state == DV_CONTENT_DAMAGED)
        note(l, what, "damaged", digest);
    return 0;
}

static int check_image(dv_fsck *f, const dv_image_row *row, lack *l, davit_error **err)
{
    uint32_t manifest, index;
    int r = check_document(f, &row->manifest, "manifest", &manifest, l, err);
    if (r == 0 && row->index.algorithm != DAVIT_DIGEST_NONE)
        r = check_document(f, &row->index, "index", &index, l, err);
    if (r < 0)
        return r;
    uint32_t first = f->graph.nodes[manifest].first_edge, count = f->graph.nodes[manifest].edge_count;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        uint32_t node = f->graph.edges[first + i];
        r = check_node(f, node, f->graph.nodes[node].is_layer ? "layer" : "config", l, err);
    }
    return r;
}

/* --- what to do ------------------------------------------------------------------------------------------------------- */

static bool is_host(const davit_platform *platform)
{
    davit_platform host;
    davit_platform_host(&host);
    return strcmp(host.os, platform->os) == 0 && strcmp(host.architecture, platform->architecture) == 0;
}

static void put_pull(dv_buf *out, const char *reference, const davit_platform *platform)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    char text[DAVIT_PLATFORM_TEXT_MAX];
    bool parsed = davit_reference_parse(reference, &ref, NULL) == 0;
    dv_buf_puts(out, "davit pull ");
    if (platform && platform->os[0] && !is_host(platform))
        dv_buf_printf(out, "--platform %s ", davit_platform_format(platform, text));
    dv_buf_puts(out, parsed ? davit_reference_familiar(ref) : reference);
}

/* By a repository that is known to hold the manifest. */
static int put_source(dv_fsck *f, const dv_image_row *row, dv_buf *out, davit_error **err)
{
    char **sources = NULL;
    size_t count = 0;
    int r = dv_metadata_sources(f->store, &row->manifest, &sources, &count, err);
    if (r < 0)
        return r;
    DV_AUTO(dv_buf) reference = DV_BUF_INIT(REMEDY_MAX);
    if (count > 0)
        dv_buf_printf(&reference, "%s@%s", sources[0], row->manifest.text);
    if (count > 0 && !reference.failed)
        put_pull(out, dv_buf_text(&reference), NULL);
    else
        dv_buf_printf(out, "davit rmi -f %s", row->config.text);
    dv_metadata_sources_free(sources, count);
    return 0;
}

/* A tag when there is one, else a digest, else where its manifest came from; else it can only be removed. */
static int put_remedy(dv_fsck *f, const dv_image_row *row, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    int r = dv_reference_store_by_image(f->store, &row->config, &rows, err);
    if (r < 0)
        return r;
    const char *chosen = rows.count > 0 ? rows.items[0].reference : NULL;
    for (size_t i = rows.count; i-- > 0;)
        if (!strchr(rows.items[i].reference, '@'))
            chosen = rows.items[i].reference;
    if (!chosen)
        return put_source(f, row, out, err);
    put_pull(out, chosen, row->index.algorithm != DAVIT_DIGEST_NONE ? &row->platform : NULL);
    return 0;
}

static int tell_image(dv_fsck *f, const dv_image_row *row, const lack *l, davit_error **err)
{
    DV_AUTO(dv_buf) remedy = DV_BUF_INIT(REMEDY_MAX);
    int r = put_remedy(f, row, &remedy, err);
    if (r < 0)
        return r;
    const dv_fsck_about about = {.kind = DAVIT_FSCK_IMAGE,
                                 .damage = true,
                                 .subject = row->config.text,
                                 .remedy = remedy.failed ? "" : dv_buf_text(&remedy)};
    if (l->count == 1)
        return dv_fsck_add(f, &about, err, "cannot be used: %s %s is %s", l->what, l->first.text, l->state);
    return dv_fsck_add(f, &about, err, "cannot be used: %s %s is %s, and %zu more", l->what, l->first.text,
                       l->state, l->count - 1);
}

/* --- all of them ------------------------------------------------------------------------------------------------------ */

/* A reference whose digest is no image's: nobody can use it. */
static int check_references(dv_fsck *f, bool tells, size_t *lacking, davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    int r = dv_reference_store_list(f->store, &rows, err);
    for (size_t i = 0; r == 0 && i < rows.count; i++) {
        DV_AUTO(dv_image_digests) ids = {0};
        r = dv_image_store_ids(f->store, &rows.items[i].digest, &ids, err);
        if (r < 0 || ids.count > 0)
            continue;
        DV_AUTO(dv_buf) remedy = DV_BUF_INIT(REMEDY_MAX);
        put_pull(&remedy, rows.items[i].reference, NULL);
        ++*lacking;
        const dv_fsck_about about = {.kind = DAVIT_FSCK_IMAGE,
                                     .damage = true,
                                     .subject = rows.items[i].reference,
                                     .remedy = remedy.failed ? "" : dv_buf_text(&remedy)};
        if (tells)
            r = dv_fsck_add(f, &about, err, "names %s, which no image has", rows.items[i].digest.text);
    }
    return r;
}

/* *lacking: how many images and references lack something. */
static int check_all(dv_fsck *f, bool tells, size_t *lacking, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    int r = dv_image_store_list(f->store, &rows, err);
    dv_fsck_counts(f)->images = rows.count;
    for (size_t i = 0; r == 0 && i < rows.count; i++) {
        lack l = {0};
        r = check_image(f, &rows.items[i], &l, err);
        *lacking += l.count > 0;
        if (r == 0 && l.count > 0 && tells)
            r = tell_image(f, &rows.items[i], &l, err);
    }
    return r < 0 ? r : check_references(f, tells, lacking, err);
}

int dv_fsck_images(dv_fsck *f, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    size_t lacking = 0;
    int r = check_all(f, /* tells= */ false, &lacking, err);
    if (r < 0 || lacking == 0)
        return r;
    if (!f->store->read_only)
        r = dv_db_begin(f->store->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_content_graph_refresh(&f->graph, err);
    return r < 0 ? r : check_all(f, /* tells= */ true, &lacking, err);
}
