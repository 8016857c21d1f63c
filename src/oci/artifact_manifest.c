/*
 * oci/artifact_manifest.c - see artifact_manifest.h. The keys stand in the order in which the usual clients write them, so that the same
 * artifact is the same bytes; nothing of the time or the machine goes in.
 */
#include "oci/artifact_manifest.h"

#include "oci/artifact_title.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "util/str.h"

#include <string.h>

#define MEDIA_TYPE_PART_MAX 127 /* bytes (RFC 6838, 4.2) */

/* --- checks ------------------------------------------------------------------------------------------ */

static size_t name_length(const char *s)
{
    size_t n = 0;
    while (dv_char_is_alnum(s[n]) || (n > 0 && s[n] && strchr("!#$&-^_.+", s[n])))
        n++;
    return n;
}

bool dv_media_type_is_valid(const char *type)
{
    size_t n = name_length(type);
    if (n == 0 || n > MEDIA_TYPE_PART_MAX || type[n] != '/')
        return false;
    size_t sub = name_length(type + n + 1);
    return sub > 0 && sub <= MEDIA_TYPE_PART_MAX && !type[n + 1 + sub];
}

static int check_type(const char *type, const char *what, davit_error **err)
{
    if (type && dv_media_type_is_valid(type))
        return 0;
    return dv_error_set(err, DAVIT_EINVAL, "%s '%s' is not a media type", what, type ? type : "");
}

static int check_texts(const dv_artifact *a, davit_error **err)
{
    for (size_t i = 0; i < a->layer_count; i++) {
        const dv_artifact_layer *layer = &a->layers[i];
        int r = check_type(layer->descriptor.media_type, "the type of a file,", err);
        if (r < 0)
            return r;
        if (layer->title && !dv_utf8_is_valid(layer->title))
            return dv_error_set(err, DAVIT_EINVAL, "the name of file %zu is not UTF-8", i + 1);
    }
    return check_type(a->artifact_type, "artifact type", err);
}

/* --- building ---------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const davit_annotation *)a)->key, ((const davit_annotation *)b)->key);
}

int dv_annotations_build(const davit_annotation *annotations, size_t count, dv_json **out, davit_error **err)
{
    DV_AUTOPTR(dv_json) object = dv_json_object_new();
    DV_AUTOFREE davit_annotation *sorted = dv_new_array(davit_annotation, count + 1);
    if (!object || !sorted)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = annotations[i];
        if (!*sorted[i].key || !dv_utf8_is_valid(sorted[i].key) || !dv_utf8_is_valid(sorted[i].value))
            return dv_error_set(err, DAVIT_EINVAL, "annotation %zu: not a key and a value in UTF-8", i + 1);
    }
    qsort(sorted, count, sizeof(*sorted), by_key);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(sorted[i - 1].key, sorted[i].key) == 0)
            return dv_error_set(err, DAVIT_EINVAL, "annotation %s is given twice", sorted[i].key);
        if (!dv_json_set_string(object, sorted[i].key, sorted[i].value))
            return dv_error_oom(err);
    }
    *out = DV_STEAL(object);
    return 0;
}

static dv_json *build_descriptor(const char *type, const char *digest, uint64_t size)
{
    DV_AUTOPTR(dv_json) d = dv_json_object_new();
    if (!d || !dv_json_set_string(d, "mediaType", type) || !dv_json_set_string(d, "digest", digest) ||
        !dv_json_set_integer(d, "size", (int64_t)size))
        return NULL;
    return DV_STEAL(d);
}

static dv_json *build_empty(void)
{
    DV_AUTOPTR(dv_json) d = build_descriptor(DV_MEDIA_TYPE_OCI_EMPTY, DV_EMPTY_DIGEST, strlen(DV_EMPTY_JSON));
    if (!d || !dv_json_set_string(d, "data", "e30=")) /* the bytes themselves, in base64 */
        return NULL;
    return DV_STEAL(d);
}

static dv_json *build_layer(const dv_artifact_layer *layer)
{
    const davit_descriptor *from = &layer->descriptor;
    DV_AUTOPTR(dv_json) d = build_descriptor(from->media_type, from->digest.text, from->size);
    if (!d || !layer->title)
        return DV_STEAL(d);
    dv_json *annotations = dv_json_object_new();
    if (!annotations || !dv_json_set_string(annotations, DV_ANNOTATION_TITLE, layer->title)) {
        dv_json_free(annotations);
        return NULL;
    }
    return dv_json_set(d, "annotations", annotations) ? DV_STEAL(d) : NULL;
}

static dv_json *build_layers(const dv_artifact *a)
{
    DV_AUTOPTR(dv_json) layers = dv_json_array_new();
    bool ok = layers != NULL;
    for (size_t i = 0; ok && i < a->layer_count; i++)
        ok = dv_json_append(layers, build_layer(&a->layers[i]));
    if (ok && a->layer_count == 0)
        ok = dv_json_append(layers, build_empty());
    return ok ? DV_STEAL(layers) : NULL;
}

static int build_document(const dv_artifact *a, dv_json **out, davit_error **err)
{
    DV_AUTOPTR(dv_json) document = dv_json_object_new();
    bool ok = document && dv_json_set_integer(document, "schemaVersion", 2) &&
              dv_json_set_string(document, "mediaType", DV_MEDIA_TYPE_OCI_MANIFEST) &&
              dv_json_set_string(document, "artifactType", a->artifact_type) &&
              dv_json_set(document, "config", build_empty()) &&
              dv_json_set(document, "layers", build_layers(a));
    if (ok && a->subject)
        ok = dv_json_set(document, "subject",
                         build_descriptor(a->subject->media_type, a->subject->digest.text, a->subject->size));
    if (!ok)
        return dv_error_oom(err);
    if (a->annotation_count > 0) {
        dv_json *annotations = NULL;
        int r = dv_annotations_build(a->annotations, a->annotation_count, &annotations, err);
        if (r < 0)
            return r;
        if (!dv_json_set(document, "annotations", annotations))
            return dv_error_oom(err);
    }
    *out = DV_STEAL(document);
    return 0;
}

int dv_artifact_manifest_build(const dv_artifact *a, davit_manifest **out, davit_error **err)
{
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = check_texts(a, err);
    if (r == 0)
        r = build_document(a, &document, err);
    if (r < 0)
        return r;
    dv_json_format(document, /* indent= */ 0, /* html_safe= */ true, &bytes);
    if (bytes.failed)
        return bytes.failed == DAVIT_ENOMEM
                   ? dv_error_oom(err)
                   : dv_error_set(err, DAVIT_ETOOBIG, "the manifest would be longer than %u bytes",
                                  DAVIT_MANIFEST_MAX);
    return davit_manifest_parse(dv_buf_text(&bytes), bytes.size, DV_MEDIA_TYPE_OCI_MANIFEST, out, err);
}

/* --- reading ------------------------------------------------------------------------------------------- */

const dv_json *dv_json_annotations(const dv_json *document)
{
    const dv_json *annotations = dv_json_get(document, "annotations");
    return dv_json_is(annotations, DV_JSON_OBJECT) ? annotations : NULL;
}

int dv_artifact_titles(const davit_manifest *m, dv_json **out_document, const char ***out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    int r = dv_json_parse(m->bytes, m->size, &limits, NULL, &document, err);
    if (r < 0)
        return dv_error_wrap(err, r, "manifest");
    const dv_json *layers = dv_json_get(document, "layers");
    DV_AUTOFREE const char **titles = dv_new_array(const char *, m->item_count + 1);
    if (!titles)
        return dv_error_oom(err);
    for (size_t i = 0; i < m->item_count; i++) {
        const dv_json *title = dv_json_get(dv_json_annotations(dv_json_at(layers, i)), DV_ANNOTATION_TITLE);
        size_t size = 0;
        if (!title || dv_json_is(title, DV_JSON_NULL))
            continue;
        titles[i] = dv_json_string(title, &size);
        if (!titles[i] || strlen(titles[i]) != size)
            return dv_error_set(err, DAVIT_EFORMAT, "manifest: the title of layer %zu is not a text", i + 1);
    }
    *out_document = DV_STEAL(document);
    *out = DV_STEAL(titles);
    return 0;
}
