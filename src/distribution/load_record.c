/*
 * distribution/load_record.c - the end of a load: blobs get their names under a lease, rows are written in one transaction, and then it is
 * told what was loaded (store.md 10, load 4).
 */
#include "distribution/load_private.h"

#include "registry/client.h"
#include "store/content_store.h"
#include "store/db.h"
#include "store/metadata_store.h"
#include "store/reference_store.h"

#include <string.h>

/* --- blobs ---------------------------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const davit_digest *)a)->text, ((const davit_digest *)b)->text);
}

static int lease_all(dv_load *l, davit_error **err)
{
    size_t count = 0, n = l->loaded->blob_count;
    DV_AUTOFREE davit_digest *digests = dv_new_array(davit_digest, n);
    if (!digests)
        return dv_error_oom(err);
    for (size_t i = 0; i < n; i++)
        digests[i] = l->loaded->blobs[i].descriptor.digest;
    qsort(digests, n, sizeof(*digests), by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !davit_digest_equal(&digests[i], &digests[count - 1]))
            digests[count++] = digests[i];
    return count ? dv_lease_add(l->lease, digests, count, err) : 0;
}

/* What was inflated and hashed here; a cache (DESIGN 5). */
static void note_diff_id(dv_load *l, const dv_load_content *c)
{
    if (c->compression != DV_COMPRESSION_NONE && !c->damage && c->diff_id.algorithm)
        dv_metadata_put_diff_id(l->store, &c->digest, &c->diff_id, NULL);
}

static int publish(dv_load *l, const dv_load_blob *b, davit_error **err)
{
    int r = dv_client_check_cancelled(l->client, err);
    if (r < 0)
        return r;
    if (b->content) {
        r = dv_load_content_publish(b->content, err);
        if (r == 0)
            note_diff_id(l, b->content);
        return r;
    }
    if (b->bytes)
        return dv_content_put(l->store, &b->descriptor, b->bytes, err);
    r = dv_content_has(l->store, &b->descriptor.digest, b->descriptor.size, err);
    if (r == 0)
        r = dv_error_set(err, DAVIT_ESTORE, "blob %s went away while the image was loaded; run it again",
                         b->descriptor.digest.text);
    return r < 0 ? r : 0;
}

static int publish_all(dv_load *l, davit_error **err)
{
    int r = lease_all(l, err);
    for (size_t i = 0; r == 0 && i < l->loaded->blob_count; i++)
        r = publish(l, &l->loaded->blobs[i], err);
    return r == 0 ? dv_content_sync(l->store, err) : r;
}

/* --- rows ----------------------------------------------------------------------------------------------------------------------- */

/* The image that a tag names until now; algorithm NONE: there is no such tag, it names what it will name, or no image is behind it. */
static int tagged_image(dv_load *l, const davit_reference *ref, const davit_digest *target, davit_digest *out,
                        davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    DV_AUTO(dv_image_rows) images = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    *out = (davit_digest){.algorithm = DAVIT_DIGEST_NONE};
    int r = dv_reference_store_get(l->store, ref, &rows, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (davit_digest_equal(&rows.items[0].digest, target))
        return 0;
    r = dv_image_store_by_digest(l->store, &rows.items[0].digest, &images, err);
    if (r == 0 && images.count > 0)
        *out = images.items[0].config;
    return r;
}

static int record_target(dv_load *l, const dv_load_target *t, davit_digest *out_old, davit_error **err)
{
    DV_AUTOFREE dv_image_row *rows = dv_new_array(dv_image_row, t->row_count);
    bool updated;
    if (!rows)
        return dv_error_oom(err);
    for (size_t i = 0; i < t->row_count; i++)
        rows[i] = t->rows[i].image;
    int r = t->reference ? tagged_image(l, t->reference, &t->target.digest, out_old, err) : 0;
    if (r < 0)
        return r;
    return dv_image_store_record(l->store,
                                 &(dv_pull_record){.reference = t->reference,
                                                   .tag_only = true,
                                                   .target = t->target,
                                                   .images = rows,
                                                   .image_count = t->row_count},
                                 &updated, err);
}

static int record_all(dv_load *l, davit_digest *old, davit_error **err)
{
    struct dv_db *db = NULL;
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_store_db(l->store, &db, err);
    if (r == 0)
        r = dv_db_begin(db, DV_DB_WRITE, &tx, err);
    for (size_t i = 0; r == 0 && i < l->loaded->target_count; i++)
        if (!l->loaded->targets[i].replaced)
            r = record_target(l, &l->loaded->targets[i], &old[i], err);
    return r == 0 ? dv_db_commit(&tx, err) : r;
}

/* --- what is told --------------------------------------------------------------------------------------------------------------- */

static void tell_target(dv_load *l, const dv_load_target *t, const davit_digest *old)
{
    if (t->told_by_id)
        dv_load_message(l, "Loaded image ID: %s", t->image_id.text);
    if (!t->reference || t->replaced)
        return;
    const char *name = davit_reference_familiar(t->reference);
    if (old->algorithm && !davit_digest_equal(old, &t->image_id))
        dv_load_message(l, "The image %s already exists, renaming the old one with ID %s to empty string",
                        name, old->text);
    dv_load_message(l, "Loaded image: %s", name);
    l->result.tag_count++;
}

static bool is_first(const dv_loaded *loaded, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (davit_digest_equal(&loaded->ids[k], &loaded->ids[i]))
            return false;
    return true;
}

static void tell(dv_load *l, const davit_digest *old)
{
    const dv_loaded *loaded = l->loaded;
    for (size_t i = 0; i < loaded->target_count; i++)
        tell_target(l, &loaded->targets[i], &old[i]);
    for (size_t i = 0; i < loaded->id_count; i++) {
        if (!is_first(loaded, i))
            continue;
        l->result.image_count++;
        if (loaded->last_tags == 0)
            dv_load_message(l, "Loaded image ID: %s", loaded->ids[i].text);
    }
    if (loaded->target_count == 0)
        dv_load_warn(l, l->options->platform
                            ? "nothing was loaded: no image in the archive is of that platform"
                            : "nothing was loaded: the archive lists no image");
}

int dv_load_record(dv_load *l, davit_error **err)
{
    DV_AUTOFREE davit_digest *old = dv_new_array(davit_digest, l->loaded->target_count);
    if (!old)
        return dv_error_oom(err);
    int r = publish_all(l, err);
    if (r == 0)
        r = record_all(l, old, err);
    if (r == 0)
        tell(l, old);
    return r;
}
