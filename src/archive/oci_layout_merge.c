/* archive/oci_layout_merge.c - see oci_layout_merge.h. */
#include "archive/oci_layout_merge.h"

#include "oci/media_type.h"
#include "util/json.h"
#include "util/str.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define EMPTY_INDEX "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[]}"

static const char *name_of(const dv_json *entry)
{
    return dv_json_string(dv_json_get(dv_json_get(entry, "annotations"), REF_NAME), NULL);
}

/* NULL: no memory. */
static dv_json *entry_to_json(const dv_oci_layout_entry *e)
{
    dv_json *object = dv_json_object_new();
    bool ok = object && dv_json_set_string(object, "mediaType", e->descriptor.media_type) &&
              dv_json_set_string(object, "digest", e->descriptor.digest.text) &&
              dv_json_set_integer(object, "size", (int64_t)e->descriptor.size);
    if (ok && e->ref_name) {
        dv_json *annotations = dv_json_object_new();
        ok = annotations && dv_json_set_string(annotations, REF_NAME, e->ref_name);
        ok = dv_json_set(object, "annotations", annotations) && ok;
    }
    if (ok)
        return object;
    dv_json_free(object);
    return NULL;
}

static bool is_replaced(const dv_json *entry, const dv_oci_layout_entry *add)
{
    if (add->ref_name)
        return dv_str_equal(name_of(entry), add->ref_name);
    return dv_str_equal(dv_json_string(dv_json_get(entry, "digest"), NULL), add->descriptor.digest.text);
}

/* The entry that takes the place of one it replaces; whatever else that one says of the same manifest stays. */
static dv_json *replacement(const dv_json *old, const dv_oci_layout_entry *add)
{
    bool same = dv_str_equal(dv_json_string(dv_json_get(old, "digest"), NULL), add->descriptor.digest.text);
    return same ? dv_json_copy(old) : entry_to_json(add);
}

/* NULL: no memory. */
static dv_json *merge(const dv_json *entries, const dv_oci_layout_entry *add)
{
    dv_json *out = dv_json_array_new();
    bool ok = out != NULL, placed = false;
    for (size_t i = 0; ok && i < dv_json_count(entries); i++) {
        const dv_json *entry = dv_json_at(entries, i);
        bool replaced = is_replaced(entry, add);
        if (!replaced || (!add->ref_name && placed))
            ok = dv_json_append(out, dv_json_copy(entry));
        else if (!placed)
            ok = dv_json_append(out, replacement(entry, add));
        placed = placed || replaced;
    }
    if (ok && !placed)
        ok = dv_json_append(out, entry_to_json(add));
    if (ok)
        return out;
    dv_json_free(out);
    return NULL;
}

int dv_oci_layout_index_merge(const void *bytes, size_t size, const dv_oci_layout_entry *add, dv_buf *out,
                              davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX};
    DV_AUTO(dv_oci_layout_index) checked = {0};
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTOPTR(dv_json) made = dv_json_object_new();
    if (size == 0) {
        bytes = EMPTY_INDEX;
        size = sizeof(EMPTY_INDEX) - 1;
    }
    int r = dv_oci_layout_index_parse(bytes, size, &checked, err);
    if (r == 0 && checked.count >= DAVIT_MANIFEST_LAYERS_MAX)
        r = dv_error_set(err, DAVIT_ETOOBIG,
                         DV_OCI_INDEX_FILE ": %zu entries are there already, at most %d fit", checked.count,
                         DAVIT_MANIFEST_LAYERS_MAX);
    if (r == 0)
        r = dv_json_parse(bytes, size, &limits, /* known= */ NULL, &document, err);
    if (r < 0)
        return r;
    const char *key;
    const dv_json *value;
    bool ok = made != NULL;
    for (void *iter = NULL; ok && dv_json_next(document, &iter, &key, &value);)
        ok = dv_json_set(made, key, dv_str_equal(key, "manifests") ? merge(value, add) : dv_json_copy(value));
    if (!ok)
        return dv_error_oom(err);
    dv_json_format(made, 0, /* html_safe= */ false, out);
    return out->failed ? dv_error_set(err, out->failed, "no room for " DV_OCI_INDEX_FILE) : 0;
}
