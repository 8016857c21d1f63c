/*
 * distribution/save_oci.c - images as a tar of an OCI layout (store.md 11): every byte as it is stored, and what becomes of an index of which
 * not everything is here (DESIGN 6).
 */
#include "distribution/save_private.h"

#include "archive/oci_layout.h"
#include "distribution/layer_read.h"
#include "distribution/stored_tree.h"
#include "oci/media_type.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "util/file.h"
#include "util/str.h"

#include <string.h>

typedef struct oci {
    const dv_save *save;
    dv_save_list list;
    dv_oci_layout_entry *entries; /* of index.json; they borrow from the save's references */
    size_t entry_count;
    dv_stored_tree tree;
} oci;

static void oci_clear(oci *o)
{
    dv_save_list_clear(&o->list);
    free(o->entries);
}
DV_DEFINE_AUTO(oci, oci_clear)

/* --- what goes in ------------------------------------------------------------------------------------------------------------------- */

static int add_blob(oci *o, const davit_descriptor *blob, davit_error **err)
{
    char path[DV_OCI_BLOB_PATH_MAX];
    DV_AUTOCLOSE fd = -1;
    uint64_t size = 0;
    int r = dv_content_open(o->save->store, &blob->digest, blob->size, &fd, &size, err);
    if (r < 0)
        return r;
    dv_oci_blob_path(&blob->digest, path);
    const dv_save_entry e = {.size = size, .blob = blob->digest, .blob_size = size};
    return dv_save_list_add(&o->list, path, /* bytes= */ NULL, &e, err);
}

static int add_document(oci *o, const davit_descriptor *desc, unsigned depth, davit_error **err);

static int add_image(oci *o, const davit_manifest *m, davit_error **err)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    int r = add_blob(o, davit_manifest_config(m), err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = dv_stored_has(&o->tree, &layers[i], err);
        if (r == 1 || (r == 0 && !dv_layer_is_foreign(layers[i].media_type)))
            r = add_blob(o, &layers[i], err);
    }
    return r;
}

/* Those children that are here whole. */
static int add_children(oci *o, const davit_manifest *m, unsigned depth, davit_error **err)
{
    size_t count;
    const davit_descriptor *entries = davit_manifest_entries(m, &count);
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (dv_stored_is_followed(&entries[i]))
            r = dv_stored_is_complete(&o->tree, &entries[i], depth + 1, err);
        else
            r = dv_stored_has(&o->tree, &entries[i], err);
        if (r == 1)
            r = dv_stored_is_followed(&entries[i]) ? add_document(o, &entries[i], depth + 1, err)
                                                   : add_blob(o, &entries[i], err);
    }
    return r;
}

static int add_document(oci *o, const davit_descriptor *desc, unsigned depth, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    int r = dv_stored_follow(&o->tree, depth, err);
    if (r == 0)
        r = dv_save_manifest(o->save, &desc->digest, desc->media_type, &m, err);
    if (r == 0)
        r = add_blob(o, desc, err);
    if (r < 0)
        return r;
    return davit_manifest_is_index(m) ? add_children(o, m, depth, err) : add_image(o, m, err);
}

static int add_target(oci *o, const dv_save_name *name, const davit_manifest *m, const davit_digest *digest,
                      davit_error **err)
{
    size_t size;
    davit_manifest_bytes(m, &size);
    davit_descriptor desc = {
        .media_type = dv_media_type_intern(davit_manifest_media_type(m)), .digest = *digest, .size = size};
    dv_oci_layout_entry *grown = dv_realloc_array(o->entries, o->entry_count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(err);
    o->entries = grown;
    o->entries[o->entry_count] = (dv_oci_layout_entry){.descriptor = desc};
    if (name->reference) {
        o->entries[o->entry_count].image_name = davit_reference_text(name->reference);
        o->entries[o->entry_count].ref_name = davit_reference_tag(name->reference);
    }
    o->entry_count++;
    return add_document(o, &desc, /* depth= */ 0, err);
}

/* --- an index of which not everything is here ------------------------------------------------------------------------------------- */

static int add_child(oci *o, const dv_save_name *name, const davit_descriptor *child, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    int r = dv_save_manifest(o->save, &child->digest, child->media_type, &m, err);
    return r < 0 ? r : add_target(o, name, m, &child->digest, err);
}

/* The image of the platform that is asked for, here whole. */
static int add_platform(oci *o, const dv_save_name *name, const davit_manifest *index, davit_error **err)
{
    size_t count;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    for (size_t i = 0; i < count; i++) {
        if (!dv_stored_is_followed(&entries[i]) || !entries[i].has_platform ||
            !dv_save_is_platform(o->save, &entries[i].platform))
            continue;
        int r = dv_stored_is_complete(&o->tree, &entries[i], /* depth= */ 1, err);
        if (r < 0)
            return r;
        if (r == 1)
            return add_child(o, name, &entries[i], err);
    }
    return dv_save_no_platform(o->save, err);
}

static int several(const dv_save_name *name, size_t here, size_t all, davit_error **err)
{
    if (here == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s: none of the images of its index is in the store",
                            dv_save_what(name));
    return dv_error_set(
        err, DAVIT_EPLATFORM,
        "%s: %zu of the %zu images of its index are in the store: choose one with a platform, or save the "
        "index sparse",
        dv_save_what(name), here, all);
}

/* The one that is here, under the index's name (DESIGN 6). */
static int add_present(oci *o, const dv_save_name *name, const davit_manifest *index, davit_error **err)
{
    char text[DAVIT_PLATFORM_TEXT_MAX] = "one image";
    size_t count, here = 0, all = 0, found = 0;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    for (size_t i = 0; i < count; i++) {
        if (!dv_stored_is_image(&entries[i]))
            continue;
        int r = dv_stored_is_complete(&o->tree, &entries[i], /* depth= */ 1, err);
        if (r < 0)
            return r;
        all++;
        here += (size_t)r;
        found = r ? i : found;
    }
    if (here != 1)
        return several(name, here, all, err);
    if (entries[found].has_platform)
        davit_platform_format(&entries[found].platform, text);
    dv_save_warn(o->save, "%s: only %s of its index is in the store, and is saved without the index",
                 dv_save_what(name), text);
    return add_child(o, name, &entries[found], err);
}

static int add_index(oci *o, const dv_save_name *name, const davit_manifest *index,
                     const davit_digest *digest, davit_error **err)
{
    const davit_save_options *options = o->save->options;
    if (options->platform)
        return add_platform(o, name, index, err);
    int r = options->flags & DAVIT_SAVE_SPARSE
                ? 1
                : dv_stored_index_is_complete(&o->tree, index, /* depth= */ 0, err);
    if (r == 1)
        return add_target(o, name, index, digest, err);
    if (r == 0 && options->flags & DAVIT_SAVE_ALL_PLATFORMS)
        return dv_error_set(
            err, DAVIT_ENOTFOUND,
            "%s: not all images of its index are in the store: pull all platforms, or save it sparse",
            dv_save_what(name));
    return r < 0 ? r : add_present(o, name, index, err);
}

/* --- the whole ---------------------------------------------------------------------------------------------------------------------- */

/* An image by itself has the platform that its row says. */
static int check_platform(const oci *o, const dv_save_name *name, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    int r = o->save->options->platform ? dv_save_rows(o->save, name, &rows, err) : 0;
    for (size_t i = 0; r == 0 && i < rows.count; i++)
        if (dv_save_is_platform(o->save, &rows.items[i].platform))
            return 0;
    return r < 0 || !o->save->options->platform ? r : dv_save_no_platform(o->save, err);
}

static int add_name(oci *o, const dv_save_name *name, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    DV_AUTOPTR(davit_manifest) m = NULL;
    davit_digest digest = name->target;
    int r = name->id.algorithm ? dv_save_rows(o->save, name, &rows, err) : 0;
    if (r == 0 && name->id.algorithm)
        digest = rows.items[0].manifest;
    if (r == 0)
        r = dv_save_manifest(o->save, &digest, NULL, &m, err);
    if (r < 0)
        return r;
    if (davit_manifest_is_index(m))
        return add_index(o, name, m, &digest, err);
    r = check_platform(o, name, err);
    return r < 0 ? r : add_target(o, name, m, &digest, err);
}

static int add_bytes(dv_save_list *list, const char *name, const char *bytes, size_t size, davit_error **err)
{
    return dv_save_list_add(list, name, bytes, &(dv_save_entry){.size = size}, err);
}

/* oci-layout and index.json come first, so that readers can stream. */
static int add_heads(const oci *o, dv_save_list *list, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = dv_oci_layout_index_format(o->entries, o->entry_count, &text, err);
    if (r == 0)
        r = add_bytes(list, DV_OCI_LAYOUT_FILE, DV_OCI_LAYOUT_TEXT, strlen(DV_OCI_LAYOUT_TEXT), err);
    if (r == 0)
        r = add_bytes(list, DV_OCI_INDEX_FILE, dv_buf_text(&text), text.size, err);
    return r;
}

static int by_order(const void *a, const void *b)
{
    const dv_save_entry *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static int write_archive(oci *o, davit_error **err)
{
    DV_AUTO(dv_save_list) list = {0};
    dv_save_list_sort(&o->list); /* each blob once, where it came first */
    if (o->list.count > 0)
        qsort(o->list.items, o->list.count, sizeof(*o->list.items), by_order);
    int r = add_heads(o, &list, err);
    for (size_t i = 0; r == 0 && i < o->list.count; i++)
        r = dv_save_list_add(&list, o->list.items[i].name, /* bytes= */ NULL, &o->list.items[i], err);
    return r < 0 ? r : dv_save_write(o->save, &list, err);
}

int dv_save_oci(const dv_save *s, davit_error **err)
{
    DV_AUTO(oci) o = {.save = s, .tree = {.store = s->store}};
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->name_count; i++)
        r = add_name(&o, &s->names[i], err);
    return r < 0 ? r : write_archive(&o, err);
}
