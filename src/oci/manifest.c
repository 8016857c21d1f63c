/*
 * oci/manifest.c - see davit/manifest.h. From bytes and a claimed type to a checked document.
 *
 * Decides what kind of document it is: by the type it came with, or by the document itself when that
 * type says nothing (registry-v2.md 4.3, pull.md 4.2, threats B3). A document that could be read as
 * another kind too is refused. The lists of an index are index.c's; whether the bytes have the wanted
 * digest, and whether an image can be used, are the caller's.
 */
#include "oci/manifest.h"

#include "oci/media_type.h"
#include "oci/schema1.h"
#include "util/str.h"

#include <string.h>

#define TYPE_SHOWN_MAX 256 /* bytes of a foreign type that a message repeats */

/* Keys that decide what image this is: once, and in this spelling only (threats B4). */
static const char *const document_keys[] = {"schemaVersion", "mediaType", "artifactType", "config",
                                            "layers",        "manifests", "fsLayers",     "subject",
                                            "annotations",   NULL};
static const char *const descriptor_keys[] = {"mediaType", "digest",       "size",     "urls", "annotations",
                                              "data",      "artifactType", "platform", NULL};
static const char *const platform_keys[] = {"os",          "architecture", "variant", "os.version",
                                            "os.features", "features",     NULL};
static const dv_json_known manifest_known[] = {
    {"", document_keys},
    {"config", descriptor_keys},
    {"layers[]", descriptor_keys},
    {"manifests[]", descriptor_keys},
    {"manifests[].platform", platform_keys},
    {"subject", descriptor_keys},
    {NULL, NULL},
};

static const struct {
    davit_manifest_kind kind;
    const char *type;
    bool is_oci;
    const char *noun; /* in the text about a wrong mediaType */
} kinds[] = {
    {DAVIT_MANIFEST_DOCKER, DV_MEDIA_TYPE_DOCKER_MANIFEST, false, "manifest"},
    {DAVIT_MANIFEST_LIST, DV_MEDIA_TYPE_DOCKER_LIST, false, "manifest list"},
    {DAVIT_MANIFEST_OCI, DV_MEDIA_TYPE_OCI_MANIFEST, true, "manifest"},
    {DAVIT_MANIFEST_INDEX, DV_MEDIA_TYPE_OCI_INDEX, true, "image index"},
};

static const size_t no_kind = DV_COUNT(kinds);

static size_t find_kind(const char *type)
{
    size_t i = 0;
    while (i < DV_COUNT(kinds) && strcmp(kinds[i].type, type) != 0)
        i++;
    return i;
}

static bool is_index_kind(davit_manifest_kind kind)
{
    return kind == DAVIT_MANIFEST_LIST || kind == DAVIT_MANIFEST_INDEX;
}

static bool has(const dv_json *document, const char *key)
{
    return dv_json_get(document, key) != NULL;
}

static bool has_value(const dv_json *document, const char *key)
{
    const dv_json *v = dv_json_get(document, key);
    return v && !dv_json_is(v, DV_JSON_NULL);
}

/* --- what it is ------------------------------------------------------------------------------------ */

static int refuse_mixture(const char *type, bool is_index, davit_error **err)
{
    return dv_error_set(err, DAVIT_EFORMAT, "media-type: \"%s\" should not have %s", type,
                        is_index ? "\"config\", \"layers\", or \"fsLayers\""
                                 : "\"manifests\" or \"fsLayers\"");
}

static int detect_untyped(const dv_json *document, const char **out, davit_error **err)
{
    bool image = has(document, "config") || has(document, "layers");
    bool index = has(document, "manifests"), schema1 = has(document, "fsLayers");
    if (schema1 && !image && !index)
        return dv_schema1_refuse(NULL, err);
    if (image && !index && !schema1)
        *out = DV_MEDIA_TYPE_OCI_MANIFEST;
    else if (!image && !schema1)
        *out = DV_MEDIA_TYPE_OCI_INDEX;
    else
        return dv_error_set(err, DAVIT_EFORMAT, "media-type: cannot determine");
    return 0;
}

/* Presence is syntactic here: "config": null counts. The checks of check_kind() are laxer. */
int dv_manifest_detect(const dv_json *document, const char **out, davit_error **err)
{
    if (!dv_json_is(document, DV_JSON_OBJECT))
        return dv_error_set(err, DAVIT_EFORMAT, "manifest: not a JSON object");
    size_t size = 0;
    const char *type = dv_json_string(dv_json_get(document, "mediaType"), &size);
    if ((has_value(document, "mediaType") && !type) || (type && strlen(type) != size))
        return dv_error_set(err, DAVIT_EFORMAT, "manifest: \"mediaType\" is not a string");
    if (!type || !*type)
        return detect_untyped(document, out, err);
    if (strcmp(type, DV_MEDIA_TYPE_SCHEMA1) == 0)
        return dv_schema1_refuse(NULL, err);
    size_t k = find_kind(type);
    if (k != no_kind) {
        bool is_index = is_index_kind(kinds[k].kind);
        bool image = has(document, "config") || has(document, "layers");
        if (has(document, "fsLayers") || (is_index ? image : has(document, "manifests")))
            return refuse_mixture(type, is_index, err);
    }
    *out = type;
    return 0;
}

static int check_media_type(const dv_json *document, size_t k, davit_error **err)
{
    size_t size = 0;
    const char *got = dv_json_string(dv_json_get(document, "mediaType"), &size);
    if (has_value(document, "mediaType") && (!got || strlen(got) != size))
        return dv_error_set(err, DAVIT_EFORMAT, "manifest: \"mediaType\" is not a string");
    got = got ? got : "";
    if ((kinds[k].is_oci && !*got) || strcmp(got, kinds[k].type) == 0)
        return 0;
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(8 * TYPE_SHOWN_MAX);
    size = strlen(got);
    dv_str_escape(&shown, got, size < TYPE_SHOWN_MAX ? size : TYPE_SHOWN_MAX, /* keep_newlines= */ false);
    return dv_error_set(err, DAVIT_EFORMAT, "%smediaType in %s should be '%s' not '%s'",
                        kinds[k].is_oci ? "if present, " : "", kinds[k].noun, kinds[k].type,
                        dv_buf_text(&shown));
}

/* The document against the kind it is said to be: CVE-2021-41190, threats B3. */
static int check_kind(const dv_json *document, size_t k, davit_error **err)
{
    bool is_index = is_index_kind(kinds[k].kind);
    bool image = has_value(document, "config") || has_value(document, "layers");
    if (kinds[k].is_oci && is_index && image)
        return dv_error_set(err, DAVIT_EFORMAT, "index: expected index but found manifest");
    if (kinds[k].is_oci && !is_index && has_value(document, "manifests"))
        return dv_error_set(err, DAVIT_EFORMAT, "ocimanifest: expected manifest but found index");
    int r = check_media_type(document, k, err);
    if (r < 0)
        return r;
    if (has_value(document, "fsLayers") || (is_index ? image : has_value(document, "manifests")))
        return refuse_mixture(kinds[k].type, is_index, err);
    return 0;
}

/* Types that say nothing of the content: then the document says what it is. */
static bool says_nothing(const char *type)
{
    return !*type || strcmp(type, "application/json") == 0 || strcmp(type, "text/plain") == 0 ||
           strcmp(type, "application/octet-stream") == 0;
}

static int refuse_type(const dv_json *document, const char *type, davit_error **err)
{
    if (dv_media_type_is_ai_model(type))
        return dv_media_type_acceptable(type, err);
    if (dv_schema1_is(document))
        return dv_schema1_refuse(NULL, err);
    return dv_error_set(err, DAVIT_EUNSUPPORTED, "unsupported manifest format");
}

/* *out: position in kinds. */
static int decide_kind(const dv_json *document, const char *type, size_t *out, davit_error **err)
{
    if (says_nothing(type)) {
        int r = dv_manifest_detect(document, &type, err);
        if (r < 0)
            return r;
    }
    size_t k = find_kind(type);
    if (k == no_kind)
        return refuse_type(document, type, err);
    int r = check_kind(document, k, err);
    if (r == 0)
        *out = k;
    return r;
}

/* --- what it holds --------------------------------------------------------------------------------- */

typedef struct document_fields {
    int64_t schema_version;
    const char *artifact_type;
    const dv_json *config, *layers, *subject;
} document_fields;

static const dv_json_field document_table[] = {
    {"schemaVersion", DV_FIELD_INT64, offsetof(document_fields, schema_version), false},
    {"artifactType", DV_FIELD_STRING, offsetof(document_fields, artifact_type), false},
    {"config", DV_FIELD_OBJECT, offsetof(document_fields, config), false},
    {"layers", DV_FIELD_ARRAY, offsetof(document_fields, layers), false},
    {"subject", DV_FIELD_OBJECT, offsetof(document_fields, subject), false},
    {0},
};

static int parse_one(davit_manifest *m, const dv_json *object, const char *label, davit_descriptor **out,
                     davit_error **err)
{
    DV_AUTOFREE davit_descriptor *d = dv_new(davit_descriptor);
    if (!d)
        return dv_error_oom(err);
    int r = dv_descriptor_parse(object, label, /* with_platform= */ false, &m->texts, d, err);
    if (r == 0)
        *out = DV_STEAL(d);
    return r;
}

int dv_manifest_parse_items(davit_manifest *m, const dv_json *array, const char *label, davit_error **err)
{
    size_t count = dv_json_count(array);
    if (count > DAVIT_MANIFEST_LAYERS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "%zu %s descriptors, at most %d are allowed", count, label,
                            DAVIT_MANIFEST_LAYERS_MAX);
    m->items = dv_new_array(davit_descriptor, count);
    if (!m->items)
        return dv_error_oom(err);
    bool with_platform = is_index_kind(m->kind);
    for (size_t i = 0; i < count; i++) {
        int r = dv_descriptor_parse(dv_json_at(array, i), label, with_platform, &m->texts, &m->items[i], err);
        if (r < 0)
            return r;
    }
    m->item_count = count;
    return 0;
}

static int parse_document(davit_manifest *m, const dv_json *document, davit_error **err)
{
    document_fields f = {.config = NULL};
    int r = dv_json_decode(document, document_table, &f, err);
    if (r < 0)
        return dv_error_wrap(err, r, "manifest");
    if (f.subject)
        r = parse_one(m, f.subject, "subject", &m->subject, err);
    if (r == 0 && f.artifact_type) {
        m->artifact_type = dv_text_pool_media_type(&m->texts, f.artifact_type);
        r = m->artifact_type ? 0 : dv_error_oom(err);
    }
    if (r < 0 || is_index_kind(m->kind))
        return r < 0 ? r : dv_index_parse(m, document, err);
    if (!f.config)
        return dv_error_set(err, DAVIT_EFORMAT, "manifest: \"config\" is missing");
    r = parse_one(m, f.config, "config", &m->config, err);
    return r < 0 ? r : dv_manifest_parse_items(m, f.layers, "layer", err);
}

/* The JSON, or an error; a type that is none of ours outranks bytes that are no JSON. */
static int load(const void *bytes, size_t size, const char *type, dv_json **out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX};
    int r = dv_json_parse(bytes, size, &limits, manifest_known, out, err);
    if (r == DAVIT_EFORMAT && !says_nothing(type) && find_kind(type) == no_kind)
        return refuse_type(NULL, type, err);
    return r < 0 ? dv_error_wrap(err, r, "manifest") : 0;
}

int davit_manifest_parse(const void *bytes, size_t size, const char *media_type, davit_manifest **out,
                         davit_error **err)
{
    DV_AUTOFREE char *type = dv_media_type_base(media_type);
    if (!type)
        return dv_error_oom(err);
    DV_AUTOPTR(dv_json) document = NULL;
    size_t k = 0;
    int r = load(bytes, size, type, &document, err);
    if (r == 0)
        r = decide_kind(document, type, &k, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(davit_manifest) m = dv_new(davit_manifest);
    if (!m)
        return dv_error_oom(err);
    atomic_init(&m->refs, 1);
    m->kind = kinds[k].kind;
    r = parse_document(m, document, err);
    if (r < 0)
        return r;
    m->bytes = dv_memdup(bytes, size);
    m->size = size;
    if (!m->bytes)
        return dv_error_oom(err);
    r = davit_digest_of(DAVIT_SHA256, bytes, size, &m->digest, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(m);
    return 0;
}

davit_manifest *davit_manifest_ref(davit_manifest *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void davit_manifest_free(davit_manifest *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    dv_text_pool_clear(&m->texts);
    free(m->config);
    free(m->items);
    free(m->subject);
    free(m->bytes);
    free(m);
}

/* --- questions ------------------------------------------------------------------------------------- */

davit_manifest_kind davit_manifest_get_kind(const davit_manifest *m)
{
    return m->kind;
}

bool davit_manifest_is_index(const davit_manifest *m)
{
    return is_index_kind(m->kind);
}

const char *davit_manifest_media_type(const davit_manifest *m)
{
    for (size_t i = 0; i < DV_COUNT(kinds); i++)
        if (kinds[i].kind == m->kind)
            return kinds[i].type;
    return "";
}

const void *davit_manifest_bytes(const davit_manifest *m, size_t *out_size)
{
    *out_size = m->size;
    return m->bytes;
}

const davit_digest *davit_manifest_digest(const davit_manifest *m)
{
    return &m->digest;
}

const davit_descriptor *davit_manifest_config(const davit_manifest *m)
{
    return m->config;
}

const davit_descriptor *davit_manifest_layers(const davit_manifest *m, size_t *out_count)
{
    *out_count = is_index_kind(m->kind) ? 0 : m->item_count;
    return m->items;
}

const davit_descriptor *davit_manifest_entries(const davit_manifest *m, size_t *out_count)
{
    *out_count = is_index_kind(m->kind) ? m->item_count : 0;
    return m->items;
}

const davit_descriptor *davit_manifest_subject(const davit_manifest *m)
{
    return m->subject;
}

const char *davit_manifest_artifact_type(const davit_manifest *m)
{
    return m->artifact_type;
}
