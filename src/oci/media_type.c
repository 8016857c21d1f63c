/* oci/media_type.c - see media_type.h. Only texts are judged here; documents are manifest.c's. */
#include "oci/media_type.h"

#include "util/str.h"

#include <string.h>

#define SHOWN_MAX 256 /* bytes of a foreign type that a message repeats */

/* The last two are asked for so that a schema 1 image yields its own error instead of a 404. */
const char *const dv_manifest_accept[] = {
    DV_MEDIA_TYPE_DOCKER_MANIFEST,
    DV_MEDIA_TYPE_DOCKER_LIST,
    DV_MEDIA_TYPE_OCI_MANIFEST,
    DV_MEDIA_TYPE_OCI_INDEX,
    DV_MEDIA_TYPE_SCHEMA1_SIGNED,
    "application/json",
    NULL,
};

static const struct {
    const char *type;
    dv_media_kind kind;
} known[] = {
    {"", DV_MEDIA_UNKNOWN},
    {DV_MEDIA_TYPE_DOCKER_MANIFEST, DV_MEDIA_MANIFEST},
    {DV_MEDIA_TYPE_OCI_MANIFEST, DV_MEDIA_MANIFEST},
    {DV_MEDIA_TYPE_DOCKER_LIST, DV_MEDIA_INDEX},
    {DV_MEDIA_TYPE_OCI_INDEX, DV_MEDIA_INDEX},
    {DV_MEDIA_TYPE_DOCKER_CONFIG, DV_MEDIA_CONFIG},
    {DV_MEDIA_TYPE_OCI_CONFIG, DV_MEDIA_CONFIG},
    {DV_MEDIA_TYPE_DOCKER_LAYER, DV_MEDIA_LAYER},
    {DV_MEDIA_TYPE_DOCKER_LAYER_GZIP, DV_MEDIA_LAYER},
    {DV_MEDIA_TYPE_DOCKER_LAYER_ZSTD, DV_MEDIA_LAYER},
    {DV_MEDIA_TYPE_DOCKER_FOREIGN, DV_MEDIA_LAYER},
    {DV_MEDIA_TYPE_DOCKER_FOREIGN_GZIP, DV_MEDIA_LAYER},
    {DV_MEDIA_TYPE_OCI_LAYER, DV_MEDIA_LAYER},
    {DV_MEDIA_TYPE_OCI_LAYER_GZIP, DV_MEDIA_LAYER},
    {DV_MEDIA_TYPE_OCI_LAYER_ZSTD, DV_MEDIA_LAYER},
    {DV_MEDIA_TYPE_IN_TOTO, DV_MEDIA_ATTESTATION},
    {DV_MEDIA_TYPE_SCHEMA1_SIGNED, DV_MEDIA_UNKNOWN},
    {DV_MEDIA_TYPE_SCHEMA1, DV_MEDIA_UNKNOWN},
    {DV_MEDIA_TYPE_DOCKER_PLUGIN, DV_MEDIA_UNKNOWN},
    {DV_MEDIA_TYPE_OCI_EMPTY, DV_MEDIA_UNKNOWN},
};

dv_media_kind dv_media_type_kind(const char *type)
{
    for (size_t i = 0; i < DV_COUNT(known); i++)
        if (strcmp(known[i].type, type) == 0)
            return known[i].kind;
    return dv_str_starts(type, "application/vnd.oci.image.layer.") ? DV_MEDIA_LAYER : DV_MEDIA_UNKNOWN;
}

const char *dv_media_kind_name(dv_media_kind kind)
{
    switch (kind) {
    case DV_MEDIA_MANIFEST:
        return "manifest";
    case DV_MEDIA_INDEX:
        return "index";
    case DV_MEDIA_LAYER:
        return "layer";
    case DV_MEDIA_CONFIG:
        return "config";
    case DV_MEDIA_ATTESTATION:
        return "attestation";
    case DV_MEDIA_UNKNOWN:
        break;
    }
    return "unknown";
}

char *dv_media_type_base(const char *content_type)
{
    const char *start = content_type ? content_type : "";
    start += strspn(start, " \t");
    size_t size = strcspn(start, ";");
    while (size > 0 && strchr(" \t", start[size - 1]))
        size--;
    char *base = dv_strndup(start, size);
    if (base)
        dv_str_lower(base);
    return base;
}

const char *dv_media_type_intern(const char *type)
{
    for (size_t i = 0; i < DV_COUNT(known); i++)
        if (strcmp(known[i].type, type) == 0)
            return known[i].type;
    return NULL;
}

bool dv_media_type_is_ai_model(const char *type)
{
    return dv_str_starts_nocase(type, "application/vnd.docker.ai.");
}

static void show(dv_buf *out, const char *type)
{
    size_t n = strlen(type);
    dv_str_escape(out, type, n < SHOWN_MAX ? n : SHOWN_MAX, /* keep_newlines= */ false);
}

/*
 * Equal to prefix, or prefix and a dot and more. The empty prefix counts too, as in the reference
 * implementation.
 */
static bool is_in_family(const char *type, const char *prefix)
{
    size_t n = strlen(prefix);
    return dv_str_starts_nocase(type, prefix) && (type[n] == '\0' || type[n] == '.');
}

static int refuse_ai_model(davit_error **err)
{
    int r = dv_error_set(
        err, DAVIT_EUNSUPPORTED,
        "AI models are not yet supported by the Engine, please use \"docker model pull/run\" instead");
    if (davit_error_code(err ? *err : NULL) == r)
        (*err)->kind = DV_ERROR_AI_MODEL;
    return r;
}

int dv_media_type_acceptable(const char *type, davit_error **err)
{
    static const char *const families[] = {"application/vnd.oci.image",
                                           "application/vnd.docker",
                                           "application/octet-stream",
                                           "application/json",
                                           "text/html",
                                           ""};
    if (dv_media_type_is_ai_model(type))
        return refuse_ai_model(err);
    for (size_t i = 0; i < DV_COUNT(families); i++)
        if (is_in_family(type, families[i]))
            return 0;
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(8 * SHOWN_MAX);
    show(&shown, type);
    int r = dv_error_set(err, DAVIT_EUNSUPPORTED, "unsupported media type %s", dv_buf_text(&shown));
    if (davit_error_code(err ? *err : NULL) == r)
        (*err)->kind = DV_ERROR_MEDIA_TYPE;
    return r;
}

static const char *config_class(const char *type)
{
    static const char *const images[] = {DV_MEDIA_TYPE_DOCKER_CONFIG,
                                         DV_MEDIA_TYPE_OCI_CONFIG,
                                         "application/octet-stream",
                                         "application/json",
                                         "text/html",
                                         ""};
    for (size_t i = 0; i < DV_COUNT(images); i++)
        if (strcmp(images[i], type) == 0)
            return "image";
    return strcmp(type, DV_MEDIA_TYPE_DOCKER_PLUGIN) == 0 ? "plugin" : "unknown";
}

int dv_media_type_check_config(const char *type, const char *const *accepted, davit_error **err)
{
    const char *class = config_class(type);
    bool found = !accepted && strcmp(class, "image") == 0; /* the default list is what counts as an image */
    for (; accepted && *accepted && !found; accepted++)
        found = strcmp(*accepted, type) == 0;
    if (found)
        return 0;
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(8 * SHOWN_MAX);
    show(&shown, type);
    return dv_error_set(err, DAVIT_EUNSUPPORTED, "Encountered remote \"%s\"(%s) when fetching",
                        dv_buf_text(&shown), class);
}
