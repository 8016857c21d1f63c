/* oci/manifest_build.c - see manifest_build.h. */
#include "oci/manifest_build.h"

#include "oci/media_type.h"
#include "util/error.h"
#include "util/json.h"

#define INDENT 3

const char *dv_manifest_layer_type(davit_manifest_kind kind, bool zstd)
{
    if (kind == DAVIT_MANIFEST_OCI)
        return zstd ? DV_MEDIA_TYPE_OCI_LAYER_ZSTD : DV_MEDIA_TYPE_OCI_LAYER_GZIP;
    return zstd ? DV_MEDIA_TYPE_DOCKER_LAYER_ZSTD : DV_MEDIA_TYPE_DOCKER_LAYER_GZIP;
}

const char *dv_manifest_config_type(davit_manifest_kind kind)
{
    return kind == DAVIT_MANIFEST_OCI ? DV_MEDIA_TYPE_OCI_CONFIG : DV_MEDIA_TYPE_DOCKER_CONFIG;
}

/* Zero values are left out. */
static dv_json *descriptor(const davit_descriptor *d, const char *const *urls)
{
    dv_json *object = dv_json_object_new();
    bool ok = !*d->media_type || dv_json_set_string(object, "mediaType", d->media_type);
    if (ok && d->size > 0 && d->size != DAVIT_SIZE_UNKNOWN)
        ok = dv_json_set_integer(object, "size", (int64_t)d->size);
    ok = ok && dv_json_set_string(object, "digest", d->digest.text);
    if (ok && urls && *urls) {
        dv_json *list = dv_json_array_new();
        for (const char *const *url = urls; ok && *url; url++)
            ok = dv_json_append_string(list, *url);
        ok = dv_json_set(object, "urls", list) && ok;
    }
    if (ok)
        return object;
    dv_json_free(object);
    return NULL;
}

static dv_json *layers(const dv_manifest_build *b)
{
    dv_json *list = dv_json_array_new();
    for (size_t i = 0; list && i < b->layer_count; i++)
        if (!dv_json_append(list, descriptor(&b->layers[i].descriptor, b->layers[i].urls))) {
            dv_json_free(list);
            return NULL;
        }
    return list;
}

static bool set_annotations(dv_json *document, const char *const *annotations)
{
    if (!annotations || !*annotations)
        return true;
    dv_json *object = dv_json_object_new();
    bool ok = object != NULL;
    for (const char *const *a = annotations; ok && a[0]; a += 2)
        ok = dv_json_set_string(object, a[0], a[1]);
    return dv_json_set(document, "annotations", object) && ok;
}

int dv_manifest_build_format(const dv_manifest_build *b, dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(dv_json) document = dv_json_object_new();
    const char *type =
        b->kind == DAVIT_MANIFEST_OCI ? DV_MEDIA_TYPE_OCI_MANIFEST : DV_MEDIA_TYPE_DOCKER_MANIFEST;
    if (!document || !dv_json_set_integer(document, "schemaVersion", 2) ||
        !dv_json_set_string(document, "mediaType", type) ||
        !dv_json_set(document, "config", descriptor(&b->config, NULL)) ||
        !dv_json_set(document, "layers", layers(b)) || !set_annotations(document, b->annotations))
        return dv_error_oom(err);
    dv_json_format(document, INDENT, /* html_safe= */ true, out);
    if (out->failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "manifest of %zu layers is too long", b->layer_count);
    return out->failed ? dv_error_oom(err) : 0;
}
