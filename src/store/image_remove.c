/*
 * store/image_remove.c - see image_remove.h, and the removals of davit/store.h.
 *
 * Decides by store.md 8 which references and images go. Every removal of rows is one transaction, on disk before a blob is
 * unlinked; what the blobs were named by is gone then, so a crash in between leaves blobs that the next prune finds. Images have no
 * parents here (only builders make them), so there are no children in the way.
 */
#include "store/image_remove.h"

#include "oci/reference.h"
#include "store/db.h"
#include "store/gc.h"
#include "store/image_find.h"
#include "store/ingest_sweep.h"
#include "store/reference_store.h"
#include "store/store_private.h"
#include "util/clock.h"
#include "util/str.h"

#include <string.h>

#define SHORT_ID 12

/* --- references ------------------------------------------------------------------------------------------------------ */

static bool is_digest_reference(const char *reference)
{
    return strchr(reference, '@') != NULL;
}

/* The length of the repository's name in a stored reference. */
static size_t name_size(const char *reference)
{
    const char *end = strchr(reference, '@');
    return end ? (size_t)(end - reference) : (size_t)(strrchr(reference, ':') - reference);
}

static bool same_repository(const char *a, const char *b)
{
    return name_size(a) == name_size(b) && strncmp(a, b, name_size(a)) == 0;
}

/* "Untagged: ..." shows the familiar form. */
static int untag(dv_store *s, const char *reference, dv_removals *list, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = dv_reference_store_delete_row(s, reference, err);
    if (r < 0)
        return r;
    bool parsed = davit_reference_parse(reference, &ref, NULL) == 0;
    return dv_removals_add(list, DAVIT_REMOVAL_UNTAGGED, parsed ? davit_reference_familiar(ref) : reference,
                           0, err);
}

static int untag_all(dv_store *s, const dv_reference_rows *rows, dv_removals *list, dv_image_digests *dropped,
                     davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < rows->count; i++) {
        r = untag(s, rows->items[i].reference, list, err);
        if (r == 0)
            r = dv_image_digests_add(dropped, &rows->items[i].digest, err);
    }
    return r;
}

static int forget_image(dv_store *s, const davit_digest *config, dv_removals *list, dv_image_digests *dropped,
                        dv_image_digests *deleted, davit_error **err)
{
    int r = dv_image_store_delete(s, config, dropped, err);
    if (r == 0)
        r = dv_removals_add(list, DAVIT_REMOVAL_DELETED, config->text, 0, err);
    return r < 0 ? r : dv_image_digests_add(deleted, config, err);
}

/* --- by reference ---------------------------------------------------------------------------------------------------- */

typedef struct removal {
    dv_store *store;
    dv_removals *list;
    dv_image_digests *dropped, *deleted;
} removal;

/* A tag went: when its repository has only digest references left for this image, they go too. */
static int untag_digests(removal *m, const char *tag, const davit_digest *config, davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    int r = dv_reference_store_by_image(m->store, config, &rows, err);
    for (size_t i = 0; r == 0 && i < rows.count; i++)
        if (!is_digest_reference(rows.items[i].reference) && same_repository(rows.items[i].reference, tag))
            return 0;
    for (size_t i = 0; r == 0 && i < rows.count; i++)
        if (same_repository(rows.items[i].reference, tag)) {
            r = untag(m->store, rows.items[i].reference, m->list, err);
            if (r == 0)
                r = dv_image_digests_add(m->dropped, &rows.items[i].digest, err);
        }
    return r;
}

static int forget_unreferenced(removal *m, const davit_digest *config, davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    int r = dv_reference_store_by_image(m->store, config, &rows, err);
    if (r < 0 || rows.count > 0)
        return r;
    return forget_image(m->store, config, m->list, m->dropped, m->deleted, err);
}

static int remove_reference(removal *m, const dv_reference_row *row, davit_error **err)
{
    DV_AUTO(dv_image_digests) ids = {0};
    int r = dv_image_store_ids(m->store, &row->digest, &ids, err);
    if (r == 0)
        r = untag(m->store, row->reference, m->list, err);
    for (size_t i = 0; r == 0 && i < ids.count && !is_digest_reference(row->reference); i++)
        r = untag_digests(m, row->reference, &ids.items[i], err);
    for (size_t i = 0; r == 0 && i < ids.count; i++)
        r = forget_unreferenced(m, &ids.items[i], err);
    if (r == 0)
        r = dv_image_store_drop_index(m->store, &row->digest, err);
    return r < 0 ? r : dv_image_digests_add(m->dropped, &row->digest, err);
}

/* --- by id ------------------------------------------------------------------------------------------------------------ */

/* All in one repository, with one tag at most. */
static bool is_single(const dv_reference_rows *rows)
{
    size_t tags = 0;
    for (size_t i = 0; i < rows->count; i++) {
        tags += !is_digest_reference(rows->items[i].reference);
        if (!same_repository(rows->items[i].reference, rows->items[0].reference))
            return false;
    }
    return tags <= 1;
}

static int remove_id(removal *m, const davit_digest *config, bool force, davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    int r = dv_reference_store_by_image(m->store, config, &rows, err);
    if (r == 0 && !force && !is_single(&rows))
        return dv_error_set(
            err, DAVIT_ECONFLICT,
            "conflict: unable to delete %.*s (must be forced) - image is referenced in multiple repositories",
            SHORT_ID, davit_digest_hex(config));
    if (r == 0)
        r = untag_all(m->store, &rows, m->list, m->dropped, err);
    return r < 0 ? r : forget_image(m->store, config, m->list, m->dropped, m->deleted, err);
}

static int remove_name(removal *m, const char *name, bool force, davit_error **err)
{
    DV_AUTO(dv_reference_rows) references = {0};
    DV_AUTO(dv_image_rows) images = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_image_find_reference(m->store, name, &references, &why);
    if (r == 0)
        return remove_reference(m, &references.items[0], err);
    if (r != DAVIT_ENOTFOUND)
        return dv_error_move(err, &why, r);
    r = dv_image_find_by_id(m->store, name, &images, err);
    return r < 0 ? r : remove_id(m, &images.items[0].config, force, err);
}

int dv_image_remove(dv_store *s, const char *name, bool force, dv_removals *list, dv_image_digests *dropped,
                    dv_image_digests *deleted, davit_error **err)
{
    if (!name || !*name)
        return dv_error_set(err, DAVIT_EINVAL, "image name cannot be blank");
    removal m = {.store = s, .list = list, .dropped = dropped, .deleted = deleted};
    size_t records = list->count, digests = dropped->count, images = deleted->count;
    int r;
    {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
        if (r == 0)
            r = remove_name(&m, name, force, err);
        if (r == 0)
            r = dv_db_commit(&tx, err);
    }
    if (r < 0) { /* none of it happened */
        dv_removals_cut(list, records);
        dropped->count = digests;
        deleted->count = images;
    }
    return r;
}

/* --- what nothing refers to ------------------------------------------------------------------------------------------- */

static bool has_tag(const dv_reference_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        if (!is_digest_reference(rows->items[i].reference))
            return true;
    return false;
}

/* A reference to an index means all its images: it goes with the last of them. < 0: an error. */
static int all_may_go(dv_store *s, const dv_reference_rows *rows, const dv_digest_set *may_go,
                      davit_error **err)
{
    for (size_t i = 0; may_go && i < rows->count; i++) {
        DV_AUTO(dv_image_digests) ids = {0};
        int r = dv_image_store_ids(s, &rows->items[i].digest, &ids, err);
        if (r < 0)
            return r;
        for (size_t k = 0; k < ids.count; k++)
            if (!dv_digest_set_has(may_go, &ids.items[k], NULL))
                return 0;
    }
    return 1;
}

int dv_image_remove_unused(dv_store *s, const davit_digest *config, bool only_dangling,
                           const dv_digest_set *may_go, dv_removals *list, dv_image_digests *dropped,
                           dv_image_digests *deleted, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    DV_AUTO(dv_reference_rows) rows = {0};
    int r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
    if (r == 0)
        r = dv_reference_store_by_image(s, config, &rows, err);
    bool goes = r == 0 && !(only_dangling && has_tag(&rows));
    if (goes) {
        r = all_may_go(s, &rows, may_go, err);
        goes = r == 1;
        r = r < 0 ? r : 0;
    }
    if (r == 0 && goes)
        r = untag_all(s, &rows, list, dropped, err);
    if (r == 0 && goes)
        r = forget_image(s, config, list, dropped, deleted, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}
