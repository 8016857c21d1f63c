/*
 * archive/oci_layout.c - see oci_layout.h. Decides which layouts are read and what name an entry has; an annotation never names a file
 * (threats B2).
 */
#include "archive/oci_layout.h"

#include "oci/media_type.h"
#include "oci/reference.h"
#include "util/json.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define IMAGE_NAME "io.containerd.image.name"
#define REF_NAME "org.opencontainers.image.ref.name"

/* --- oci-layout ---------------------------------------------------------------------------------------------------------- */

int dv_oci_layout_check(const void *bytes, size_t size, davit_error **err)
{
    static const char *const keys[] = {"imageLayoutVersion", NULL};
    static const dv_json_known known[] = {{"", keys}, {NULL, NULL}};
    static const dv_json_field fields[] = {{"imageLayoutVersion", DV_FIELD_STRING, 0, true}, {0}};
    const dv_json_limits limits = {.max_bytes = DV_OCI_LAYOUT_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    const char *version = NULL;
    int r = dv_json_parse(bytes, size, &limits, known, &document, err);
    if (r == 0)
        r = dv_json_decode(document, fields, &version, err);
    if (r < 0)
        return dv_error_wrap(err, r, DV_OCI_LAYOUT_FILE);
    if (strcmp(version, "1") == 0 || dv_str_starts(version, "1."))
        return 0;
    return dv_error_set(err, DAVIT_EUNSUPPORTED,
                        DV_OCI_LAYOUT_FILE ": layout version \"%.40s\" is not supported", version);
}

/* --- index.json ---------------------------------------------------------------------------------------------------------- */

static const char *const index_keys[] = {"schemaVersion", "mediaType", "manifests", "annotations", NULL};
static const char *const entry_keys[] = {"mediaType",   "digest",       "size", "platform",
                                         "annotations", "artifactType", NULL};
static const char *const name_keys[] = {IMAGE_NAME, REF_NAME, NULL};
static const dv_json_known index_known[] = {
    {"", index_keys},
    {"manifests[]", entry_keys},
    {"manifests[].annotations", name_keys},
    {NULL, NULL},
};

void dv_oci_layout_index_clear(dv_oci_layout_index *index)
{
    free(index->entries);
    dv_text_pool_clear(&index->texts);
    *index = (dv_oci_layout_index){0};
}

typedef struct names {
    const char *image_name, *ref_name;
} names;

static const dv_json_field names_table[] = {
    {IMAGE_NAME, DV_FIELD_STRING, offsetof(names, image_name), false},
    {REF_NAME, DV_FIELD_STRING, offsetof(names, ref_name), false},
    {0},
};

static const char *keep(dv_text_pool *pool, const char *text, bool *failed)
{
    const char *kept = text ? dv_text_pool_media_type(pool, text) : NULL;
    *failed = *failed || (text && !kept);
    return kept;
}

static int parse_entry(const dv_json *object, dv_text_pool *pool, dv_oci_layout_entry *out, davit_error **err)
{
    static const dv_json_field fields[] = {{"annotations", DV_FIELD_OBJECT, 0, false}, {0}};
    const dv_json *annotations = NULL;
    names n = {0};
    bool failed = false;
    int r = dv_descriptor_parse(object, "manifest", /* with_platform= */ true, pool, &out->descriptor, err);
    if (r == 0)
        r = dv_json_decode(object, fields, &annotations, err);
    if (r == 0 && annotations)
        r = dv_json_decode(annotations, names_table, &n, err);
    if (r < 0)
        return r;
    out->image_name = keep(pool, n.image_name, &failed);
    out->ref_name = keep(pool, n.ref_name, &failed);
    return failed ? dv_error_oom(err) : 0;
}

static int parse_entries(const dv_json *array, dv_oci_layout_index *out, davit_error **err)
{
    size_t count = dv_json_count(array);
    if (count > DAVIT_MANIFEST_LAYERS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "%zu entries, at most %d are allowed", count,
                            DAVIT_MANIFEST_LAYERS_MAX);
    out->entries = dv_new_array(dv_oci_layout_entry, count);
    if (!out->entries)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        int r = parse_entry(dv_json_at(array, i), &out->texts, &out->entries[i], err);
        if (r < 0)
            return r;
        out->count++;
    }
    return 0;
}

typedef struct index_fields {
    int64_t version;
    const char *media_type;
    const dv_json *manifests;
} index_fields;

static const dv_json_field index_table[] = {
    {"schemaVersion", DV_FIELD_INT64, offsetof(index_fields, version), false},
    {"mediaType", DV_FIELD_STRING, offsetof(index_fields, media_type), false},
    {"manifests", DV_FIELD_ARRAY, offsetof(index_fields, manifests), true},
    {0},
};

int dv_oci_layout_index_parse(const void *bytes, size_t size, dv_oci_layout_index *out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTO(dv_oci_layout_index) index = {0};
    index_fields f = {.version = 2, .media_type = ""};
    int r = dv_json_parse(bytes, size, &limits, index_known, &document, err);
    if (r == 0)
        r = dv_json_decode(document, index_table, &f, err);
    if (r == 0 && (f.version != 2 || (*f.media_type && strcmp(f.media_type, DV_MEDIA_TYPE_OCI_INDEX) != 0)))
        r = dv_error_set(err, DAVIT_EFORMAT, "not an OCI index");
    if (r == 0)
        r = parse_entries(f.manifests, &index, err);
    if (r < 0)
        return dv_error_wrap(err, r, DV_OCI_INDEX_FILE);
    *out = index;
    index = (dv_oci_layout_index){0};
    return 0;
}

static dv_json *descriptor_to_json(const davit_descriptor *d)
{
    dv_json *object = dv_json_object_new();
    if (object && dv_json_set_string(object, "mediaType", d->media_type) &&
        dv_json_set_string(object, "digest", d->digest.text) &&
        dv_json_set_integer(object, "size", (int64_t)d->size))
        return object;
    dv_json_free(object);
    return NULL;
}

static dv_json *entry_to_json(const dv_oci_layout_entry *e)
{
    dv_json *object = descriptor_to_json(&e->descriptor);
    bool ok = object != NULL;
    if (ok && (e->image_name || e->ref_name)) {
        dv_json *annotations = dv_json_object_new();
        ok = annotations && (!e->image_name || dv_json_set_string(annotations, IMAGE_NAME, e->image_name)) &&
             (!e->ref_name || dv_json_set_string(annotations, REF_NAME, e->ref_name));
        ok = dv_json_set(object, "annotations", annotations) && ok;
    }
    if (ok)
        return object;
    dv_json_free(object);
    return NULL;
}

int dv_oci_manifest_format(const davit_descriptor *config, const davit_descriptor *layers, size_t count,
                           dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(dv_json) manifest = dv_json_object_new();
    dv_json *array = dv_json_array_new();
    bool ok = manifest && array && dv_json_set_integer(manifest, "schemaVersion", 2) &&
              dv_json_set_string(manifest, "mediaType", DV_MEDIA_TYPE_OCI_MANIFEST) &&
              dv_json_set(manifest, "config", descriptor_to_json(config));
    for (size_t i = 0; ok && i < count; i++)
        ok = dv_json_append(array, descriptor_to_json(&layers[i]));
    if (ok)
        ok = dv_json_set(manifest, "layers", DV_STEAL(array));
    dv_json_free(array);
    if (!ok)
        return dv_error_oom(err);
    dv_json_format(manifest, 0, /* html_safe= */ true, out);
    return out->failed ? dv_error_set(err, out->failed, "a manifest of %zu layers is too long", count) : 0;
}

int dv_oci_layout_index_format(const dv_oci_layout_entry *entries, size_t count, dv_buf *out,
                               davit_error **err)
{
    DV_AUTOPTR(dv_json) index = dv_json_object_new();
    dv_json *array = dv_json_array_new();
    bool ok = index && array;
    for (size_t i = 0; ok && i < count; i++)
        ok = dv_json_append(array, entry_to_json(&entries[i]));
    ok = ok && dv_json_set_integer(index, "schemaVersion", 2) &&
         dv_json_set_string(index, "mediaType", DV_MEDIA_TYPE_OCI_INDEX);
    if (ok)
        ok = dv_json_set(index, "manifests", DV_STEAL(array));
    dv_json_free(array);
    if (!ok)
        return dv_error_oom(err);
    dv_json_format(index, 0, /* html_safe= */ true, out);
    return out->failed ? dv_error_set(err, out->failed, "no room for " DV_OCI_INDEX_FILE) : 0;
}

/* --- names --------------------------------------------------------------------------------------------------------------- */

static int tagged(const char *name, davit_reference **out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) given = NULL;
    int r = davit_reference_parse(name, &given, err);
    if (r < 0)
        return r;
    if (davit_reference_digest_text(given) && !davit_reference_tag(given))
        return 0;
    if (!davit_reference_digest_text(given))
        return davit_reference_tag_name_only(given, out, err);
    DV_AUTOPTR(davit_reference) name_only = NULL;
    r = davit_reference_trim(given, &name_only, err);
    return r < 0 ? r : davit_reference_with_tag(name_only, davit_reference_tag(given), out, err);
}

/* Not ours to judge: a name in a grammar of its own is no reference. */
static int tagged_if_it_can(const char *name, davit_reference **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = tagged(name, out, &why);
    return r == DAVIT_EINVAL || r == 0 ? 0 : dv_error_move(err, &why, r);
}

static int refuse_name(const char *name, davit_error **err)
{
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(4096);
    dv_str_quote(&shown, name, strnlen(name, 512));
    return dv_error_set(err, DAVIT_EFORMAT, "invalid tag %s", dv_buf_text(&shown));
}

int dv_oci_layout_reference(const dv_oci_layout_entry *entry, davit_reference **out, davit_error **err)
{
    davit_reference *ref = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = entry->image_name ? tagged(entry->image_name, &ref, &why) : 0;
    if (r == DAVIT_EINVAL)
        return refuse_name(entry->image_name, err);
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (!ref && entry->ref_name && strpbrk(entry->ref_name, ":/"))
        r = tagged_if_it_can(entry->ref_name, &ref, err);
    if (r == 0)
        *out = ref;
    return r;
}

/* --- paths --------------------------------------------------------------------------------------------------------------- */

const char *dv_oci_blob_path(const davit_digest *digest, char out[DV_OCI_BLOB_PATH_MAX])
{
    snprintf(out, DV_OCI_BLOB_PATH_MAX, "blobs/%s/%s", davit_digest_algorithm_name(digest->algorithm),
             davit_digest_hex(digest));
    return out;
}

bool dv_oci_blob_path_parse(const char *path, davit_digest *out)
{
    char text[DAVIT_DIGEST_TEXT_MAX];
    if (!dv_str_starts(path, "blobs/"))
        return false;
    const char *algorithm = path + strlen("blobs/"), *slash = strchr(algorithm, '/');
    int n =
        slash ? snprintf(text, sizeof(text), "%.*s:%s", (int)(slash - algorithm), algorithm, slash + 1) : -1;
    return n > 0 && (size_t)n < sizeof(text) && davit_digest_parse(text, out, NULL) == 0;
}
