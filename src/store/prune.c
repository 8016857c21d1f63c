/*
 * store/prune.c - davit_store_remove() and davit_store_prune(): rows first, then the blobs that nothing needs any more.
 *
 * A dry run does all of it inside a transaction that is never committed.
 */
#include "store/db.h"
#include "store/gc.h"
#include "store/image_remove.h"
#include "store/ingest_sweep.h"
#include "store/upload_session.h"
#include "store/v1_image_store.h"
#include "store/layer_store.h"
#include "store/content_store.h"
#include "store/store_private.h"
#include "util/clock.h"

#include <string.h>

DV_DEFINE_AUTOPTR(davit_removal_list, davit_removal_list_free)
DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

static dv_store *inner(davit_store *s)
{
    return (dv_store *)s;
}

static int start(dv_store *s, davit_removal_list **out, davit_error **err)
{
    int r = dv_store_check_writable(s, err);
    if (r < 0)
        return r;
    *out = dv_new(davit_removal_list);
    return *out ? 0 : dv_error_oom(err);
}

/* --- remove ----------------------------------------------------------------------------------------------------------- */

/* What the dropped manifests and indexes list. */
static int find_candidates(const dv_image_digests *dropped, dv_content_graph *g, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < dropped->count; i++) {
        uint32_t node;
        r = dv_content_graph_add_document(g, &dropped->items[i], NULL, &node, err);
    }
    return r;
}

static int collect_dropped(dv_store *s, const dv_image_digests *dropped, davit_removal_list *list,
                           davit_error **err)
{
    DV_AUTO(dv_content_graph) g = DV_CONTENT_GRAPH_INIT(s);
    dv_gc_result result = {0};
    if (dropped->count == 0)
        return 0;
    int r = find_candidates(dropped, &g, err);
    if (r == 0)
        r = dv_gc_collect(s, &g.digests, /* dry= */ false, &result, err);
    list->reclaimed.blobs = result.blobs;
    list->reclaimed.blob_bytes = result.bytes;
    return r;
}

/* A failure becomes a step. */
static int add_failure(davit_removal_list *list, int code, const davit_error *why, davit_error **err)
{
    if (code == DAVIT_ENOMEM)
        return dv_error_oom(err);
    return dv_removals_add(&list->removals, DAVIT_REMOVAL_FAILED, davit_error_message(why), code, err);
}

/* One name; its layers are told from those of all images that are left. */
static int remove_one(dv_store *s, const char *name, bool force, dv_chain_counts *counts,
                      dv_image_digests *dropped, davit_removal_list *list, davit_error **err)
{
    DV_AUTO(dv_removals) steps = {0};
    DV_AUTO(dv_image_digests) deleted = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_image_remove(s, name, force, &steps, dropped, &deleted, &why);
    if (r < 0)
        return add_failure(list, r, why, err);
    r = dv_removals_add_layers(s, counts, &deleted, &steps, err);
    for (size_t i = 0; r == 0 && i < steps.count; i++)
        r = dv_removals_add(&list->removals, steps.items[i].kind, steps.items[i].text, 0, err);
    return r;
}

int davit_store_remove(davit_store *store, const char *const *names, size_t count, uint32_t flags,
                       davit_removal_list **out, davit_error **err)
{
    dv_store *s = inner(store);
    DV_AUTOPTR(davit_removal_list) list = NULL;
    DV_AUTO(dv_chain_counts) counts = {0};
    DV_AUTO(dv_image_digests) dropped = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    if (flags & ~(DAVIT_REMOVE_FORCE | DAVIT_REMOVE_KEEP_BLOBS))
        return dv_error_set(err, DAVIT_EINVAL, "unknown remove flags 0x%x", flags);
    int r = start(s, &list, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = remove_one(s, names[i], flags & DAVIT_REMOVE_FORCE, &counts, &dropped, list, err);
    if (r < 0)
        return r;
    if (!(flags & DAVIT_REMOVE_KEEP_BLOBS))
        r = collect_dropped(s, &dropped, list, &why);
    if (r < 0) /* the images are gone all the same */
        r = add_failure(list, r, why, err);
    if (r == 0)
        *out = DV_STEAL(list);
    return r;
}

/* --- prune ------------------------------------------------------------------------------------------------------------ */

typedef struct prune {
    dv_store *store;
    const davit_prune_options *options;
    dv_image_digests candidates;
    dv_digest_set may_go; /* the same */
    davit_removal_list *list;
} prune;

static void prune_clear(prune *p)
{
    dv_image_digests_clear(&p->candidates);
    dv_digest_set_clear(&p->may_go);
}
DV_DEFINE_AUTO(prune, prune_clear)

/* One that does not say when it was made is older than anything; one that cannot be read is left for fsck to tell of. */
static int is_old_enough(const prune *p, const davit_digest *id, bool *out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTOPTR(davit_image_config) config = NULL;
    int64_t created_s = INT64_MIN;
    *out = p->options->until_s == 0;
    if (*out)
        return 0;
    int r = dv_content_read(p->store, id, DAVIT_IMAGE_CONFIG_MAX, &bytes, NULL);
    if (r == 0)
        r = davit_image_config_parse(dv_buf_text(&bytes), bytes.size, &config, NULL);
    if (r < 0)
        return r == DAVIT_ENOMEM ? dv_error_oom(err) : 0;
    (void)dv_time_parse_rfc3339(davit_image_config_created(config), &created_s);
    *out = created_s < p->options->until_s;
    return 0;
}

/* Configs are read before anybody has to wait. */
static int choose_candidates(prune *p, davit_error **err)
{
    DV_AUTO(dv_image_digests) ids = {0};
    int r = dv_image_store_ids(p->store, NULL, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.count; i++) {
        bool old_enough = false;
        r = is_old_enough(p, &ids.items[i], &old_enough, err);
        if (r == 0 && old_enough)
            r = dv_image_digests_add(&p->candidates, &ids.items[i], err);
        if (r == 0 && old_enough)
            r = dv_digest_set_add(&p->may_go, &ids.items[i], NULL, err);
        r = r < 0 ? r : 0;
    }
    return r;
}

/* One transaction for all images. */
static int forget_candidates(prune *p, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    DV_AUTO(dv_image_digests) dropped = {0}; /* prune looks at every blob anyway */
    DV_AUTO(dv_image_digests) deleted = {0};
    DV_AUTO(dv_chain_counts) counts = {0};
    bool only_dangling = !(p->options->flags & DAVIT_PRUNE_ALL);
    int r = dv_db_begin(p->store->db, DV_DB_WRITE, &tx, err);
    for (size_t i = 0; r == 0 && i < p->candidates.count; i++)
        r = dv_image_remove_unused(p->store, &p->candidates.items[i], only_dangling,
                                   p->options->until_s ? &p->may_go : NULL, &p->list->removals, &dropped,
                                   &deleted, err);
    if (r == 0)
        r = dv_db_commit(&tx, err);
    return r < 0 ? r : dv_removals_add_layers(p->store, &counts, &deleted, &p->list->removals, err);
}

static int collect_all(prune *p, davit_error **err)
{
    bool dry = p->options->flags & DAVIT_PRUNE_DRY_RUN;
    dv_gc_result blobs = {0};
    dv_ingest_sweep_result ingests = {0};
    dv_layer_sweep_result layers = {0};
    int r = dv_layer_prune(p->store, dry, &layers, err); /* their blobs go then */
    if (r == 0)
        r = dv_gc_collect(p->store, NULL, dry, &blobs, err);
    if (r == 0)
        r = dv_ingest_sweep(p->store, dv_wall_time_s(), dry, &ingests, err);
    if (r == 0 && !dry)
        r = dv_upload_session_expire(p->store, err);
    if (r == 0 && !dry)
        r = dv_v1_image_store_expire(p->store, err);
    p->list->reclaimed = (davit_reclaimed){.blobs = blobs.blobs,
                                           .blob_bytes = blobs.bytes,
                                           .ingests = ingests.ingests,
                                           .ingest_bytes = ingests.bytes,
                                           .layers = layers.layers,
                                           .layer_bytes = layers.bytes};
    return r;
}

static int prune_now(prune *p, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = p->candidates.count > 0 ? forget_candidates(p, err) : 0;
    if (r < 0)
        return r;
    r = collect_all(p, &why);
    return r < 0 ? add_failure(p->list, r, why, err) : 0; /* the images are gone all the same */
}

static int prune_dry(prune *p, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT; /* never committed */
    int r = dv_db_begin(p->store->db, DV_DB_WRITE, &tx, err);
    return r < 0 ? r : prune_now(p, err);
}

int davit_store_prune(davit_store *store, const davit_prune_options *options, davit_removal_list **out,
                      davit_error **err)
{
    static const davit_prune_options defaults = DAVIT_PRUNE_OPTIONS_INIT;
    const davit_prune_options *o = options ? options : &defaults;
    DV_AUTOPTR(davit_removal_list) list = NULL;
    if (o->version != DAVIT_PRUNE_OPTIONS_VERSION || o->flags & ~(DAVIT_PRUNE_ALL | DAVIT_PRUNE_DRY_RUN))
        return dv_error_set(err, DAVIT_EINVAL, "unknown prune options (version %u, flags 0x%x)", o->version,
                            o->flags);
    DV_AUTO(prune) p = {.store = inner(store), .options = o};
    int r = start(p.store, &list, err);
    p.list = list;
    if (r == 0)
        r = choose_candidates(&p, err);
    if (r == 0)
        r = o->flags & DAVIT_PRUNE_DRY_RUN ? prune_dry(&p, err) : prune_now(&p, err);
    if (r == 0)
        *out = DV_STEAL(list);
    return r;
}
