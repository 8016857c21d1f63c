/*
 * store/image_tag.c - davit_store_tag(): another name for what a name means. Looked up and set in one transaction, so that the
 * image cannot go in between.
 */
#include "davit/store.h"

#include "oci/reference.h"
#include "store/content_store.h"
#include "store/db.h"
#include "store/image_find.h"
#include "store/store_private.h"

DV_DEFINE_AUTOPTR(davit_manifest, davit_manifest_free)

static int tag_reference(dv_store *s, const davit_reference *target, const dv_reference_row *source,
                         bool replace, davit_error **err)
{
    bool changed;
    const davit_descriptor desc = {
        .media_type = source->media_type, .digest = source->digest, .size = source->size};
    return dv_reference_store_add_tag(s, target, &desc, replace, &changed, err);
}

/* The descriptor of a manifest is made from its bytes. */
static int tag_image(dv_store *s, const davit_reference *target, const dv_image_row *source, bool replace,
                     davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_manifest) m = NULL;
    bool changed;
    int r = dv_content_read(s, &source->manifest, DAVIT_MANIFEST_MAX, &bytes, err);
    if (r == 0)
        r = davit_manifest_parse(dv_buf_text(&bytes), bytes.size, NULL, &m, err);
    if (r < 0)
        return r;
    const davit_descriptor desc = {
        .media_type = davit_manifest_media_type(m), .digest = source->manifest, .size = bytes.size};
    return dv_reference_store_add_tag(s, target, &desc, replace, &changed, err);
}

static int tag_name(dv_store *s, const char *source, const davit_reference *target, bool replace,
                    davit_error **err)
{
    DV_AUTO(dv_reference_rows) references = {0};
    DV_AUTO(dv_image_rows) images = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_image_find_reference(s, source, &references, &why);
    if (r == 0)
        return tag_reference(s, target, &references.items[0], replace, err);
    if (r != DAVIT_ENOTFOUND)
        return dv_error_move(err, &why, r);
    r = dv_image_find_by_id(s, source, &images, err);
    return r < 0 ? r : tag_image(s, target, &images.items[images.count - 1], replace, err);
}

int davit_store_tag(davit_store *store, const char *source, const char *target, uint32_t flags,
                    davit_error **err)
{
    dv_store *s = (dv_store *)store;
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    DV_AUTOPTR(davit_reference) ref = NULL;
    if (flags & ~DAVIT_TAG_NO_REPLACE)
        return dv_error_set(err, DAVIT_EINVAL, "unknown tag flags 0x%x", flags);
    int r = dv_store_check_writable(s, err);
    if (r == 0)
        r = davit_reference_parse(target, &ref, err);
    if (r == 0)
        r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
    if (r == 0)
        r = tag_name(s, source, ref, !(flags & DAVIT_TAG_NO_REPLACE), err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}
