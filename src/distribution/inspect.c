/*
 * distribution/inspect.c - davit_registry_inspect(): the descriptor of a reference, and which platforms stand behind it. Spec:
 * engine-api.md 10.
 *
 * One question is enough: the manifest, whose bytes give digest and size. Platforms are told as the documents spell them.
 */
#include "davit/registry.h"

#include "distribution/document.h"
#include "distribution/endpoint_loop.h"
#include "util/json.h"

#include <string.h>

DV_DEFINE_AUTOPTR(davit_distribution_inspect, davit_distribution_inspect_free)

static void free_texts(char **texts)
{
    for (char **text = texts; text && *text; text++)
        free(*text);
    free(texts);
}

void davit_distribution_inspect_free(davit_distribution_inspect *inspect)
{
    if (!inspect)
        return;
    for (size_t i = 0; i < inspect->platform_count; i++)
        free_texts(inspect->platforms[i].os_features);
    free(inspect->platforms);
    free(inspect->media_type);
    free(inspect);
}

/* --- platforms -------------------------------------------------------------------------------------------------------- */

static int copy_features(const dv_json *array, char ***out, davit_error **err)
{
    size_t count = dv_json_count(array);
    if (count == 0)
        return 0;
    char **texts = dv_new_array(char *, count + 1);
    for (size_t i = 0; texts && i < count; i++) {
        size_t size = 0;
        const char *text = dv_json_string(dv_json_at(array, i), &size);
        if (text && strlen(text) != size)
            text = NULL;
        if (text && (texts[i] = dv_strdup(text)))
            continue;
        free_texts(texts);
        return text ? dv_error_oom(err)
                    : dv_error_set(err, DAVIT_EFORMAT, "platform: \"os.features\" is not a list of texts");
    }
    if (!texts)
        return dv_error_oom(err);
    *out = texts;
    return 0;
}

static bool copy_part(char to[DAVIT_PLATFORM_PART_MAX], const char *from)
{
    size_t size = strlen(from) + 1;
    if (size <= DAVIT_PLATFORM_PART_MAX)
        memcpy(to, from, size);
    return size <= DAVIT_PLATFORM_PART_MAX;
}

/* From a platform object, or an image config, which has the same members. out is empty before. */
static int read_platform(const dv_json *object, davit_inspect_platform *out, davit_error **err)
{
    typedef struct fields {
        const char *os, *architecture, *variant, *os_version;
        const dv_json *os_features;
    } fields;
    static const dv_json_field table[] = {
        {"os", DV_FIELD_STRING, offsetof(fields, os), false},
        {"architecture", DV_FIELD_STRING, offsetof(fields, architecture), false},
        {"variant", DV_FIELD_STRING, offsetof(fields, variant), false},
        {"os.version", DV_FIELD_STRING, offsetof(fields, os_version), false},
        {"os.features", DV_FIELD_ARRAY, offsetof(fields, os_features), false},
        {0},
    };
    fields f = {"", "", "", "", NULL};
    int r = dv_json_decode(object, table, &f, err);
    if (r < 0)
        return dv_error_wrap(err, r, "platform");
    davit_platform *p = &out->platform;
    if (!copy_part(p->os, f.os) || !copy_part(p->architecture, f.architecture) ||
        !copy_part(p->variant, f.variant) || !copy_part(p->os_version, f.os_version))
        return dv_error_set(err, DAVIT_EFORMAT, "platform: a part of more than %d bytes",
                            DAVIT_PLATFORM_PART_MAX - 1);
    return copy_features(f.os_features, &out->os_features, err);
}

static int make_room(davit_distribution_inspect *inspect, size_t count, davit_error **err)
{
    if (count == 0)
        return 0;
    inspect->platforms = dv_new_array(davit_inspect_platform, count);
    return inspect->platforms ? 0 : dv_error_oom(err);
}

/* One for each entry, in order. The document has passed the parser of manifests. */
static int read_index(const davit_manifest *m, davit_distribution_inspect *inspect, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    size_t size;
    const void *bytes = davit_manifest_bytes(m, &size);
    int r = dv_json_parse(bytes, size, &limits, NULL, &document, err);
    if (r < 0)
        return r;
    const dv_json *entries = dv_json_get(document, "manifests");
    size_t count = dv_json_count(entries);
    r = make_room(inspect, count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const dv_json *platform = dv_json_get(dv_json_at(entries, i), "platform");
        inspect->platform_count++;
        if (dv_json_is(platform, DV_JSON_OBJECT))
            r = read_platform(platform, &inspect->platforms[i], err);
    }
    return r;
}

/* Of a Docker image, when its config says. A config that cannot be had or read says nothing; that is no error. */
static int read_config(dv_registry *reg, const davit_manifest *m, davit_distribution_inspect *inspect,
                       davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_IMAGE_CONFIG_MAX};
    DV_AUTO(dv_buf) bytes = {0};
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = make_room(inspect, 1, &why);
    if (r == 0)
        r = dv_document_fetch_config(reg, davit_manifest_config(m), &bytes, &why);
    if (r == 0)
        r = dv_json_parse(dv_buf_text(&bytes), bytes.size, &limits, NULL, &document, &why);
    if (r == 0)
        r = read_platform(document, &inspect->platforms[0], &why);
    if (r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED)
        return dv_error_move(err, &why, r);
    const davit_platform *p = &inspect->platforms[0].platform;
    if (r == 0 && (*p->os || *p->architecture)) {
        inspect->platform_count = 1;
        return 0;
    }
    free_texts(inspect->platforms[0].os_features);
    free(DV_STEAL(inspect->platforms));
    return 0;
}

/* --- the question ----------------------------------------------------------------------------------------------------- */

typedef struct question {
    const davit_reference *ref;
    davit_distribution_inspect *out;
} question;

static int ask_inspect(dv_registry *reg, void *user, davit_error **err)
{
    question *q = user;
    DV_AUTOPTR(davit_distribution_inspect) inspect = dv_new(davit_distribution_inspect);
    if (!inspect)
        return dv_error_oom(err);
    davit_manifest *m = NULL;
    int r = dv_document_ask(reg, q->ref, &m, &inspect->digest, err);
    if (r < 0)
        return r;
    size_t size;
    davit_manifest_bytes(m, &size);
    inspect->size = size;
    inspect->media_type = dv_strdup(davit_manifest_media_type(m));
    if (!inspect->media_type)
        r = dv_error_oom(err);
    else if (davit_manifest_is_index(m))
        r = read_index(m, inspect, err);
    else if (davit_manifest_get_kind(m) == DAVIT_MANIFEST_DOCKER)
        r = read_config(reg, m, inspect, err);
    davit_manifest_free(m);
    if (r == 0)
        q->out = DV_STEAL(inspect);
    return r;
}

int davit_registry_inspect(davit_client *client, const davit_reference *ref, const davit_auth_config *auth,
                           davit_distribution_inspect **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL; /* the loop decides by it, so it is always made */
    dv_ask_by by = davit_reference_digest_text(ref) ? DV_ASK_BY_DIGEST : DV_ASK_BY_TAG;
    question q = {.ref = ref};
    if (strcmp(davit_reference_familiar_name(ref), "scratch") == 0)
        return dv_error_set(err, DAVIT_EINVAL, "'scratch' is a reserved name");
    int r = dv_endpoint_loop(client, ref, by, auth, ask_inspect, &q, &why);
    if (r < 0)
        return dv_error_move(err, &why, r);
    *out = q.out;
    return 0;
}

/* --- JSON ------------------------------------------------------------------------------------------------------------- */

static dv_json *features_json(char *const *features)
{
    dv_json *array = dv_json_array_new();
    bool ok = array;
    for (; ok && *features; features++)
        ok = dv_json_append_string(array, *features);
    if (ok)
        return array;
    dv_json_free(array);
    return NULL;
}

static dv_json *platform_json(const davit_inspect_platform *from)
{
    const davit_platform *p = &from->platform;
    dv_json *object = dv_json_object_new();
    bool ok = object && dv_json_set_string(object, "architecture", p->architecture) &&
              dv_json_set_string(object, "os", p->os);
    if (ok && *p->os_version)
        ok = dv_json_set_string(object, "os.version", p->os_version);
    if (ok && from->os_features && *from->os_features)
        ok = dv_json_set(object, "os.features", features_json(from->os_features));
    if (ok && *p->variant)
        ok = dv_json_set_string(object, "variant", p->variant);
    if (ok)
        return object;
    dv_json_free(object);
    return NULL;
}

static bool set_descriptor(dv_json *document, const davit_distribution_inspect *inspect)
{
    dv_json *object = dv_json_object_new();
    bool ok = object &&
              dv_json_set_string(object, "mediaType", inspect->media_type ? inspect->media_type : "") &&
              dv_json_set_string(object, "digest", inspect->digest.text) &&
              dv_json_set_integer(object, "size", (int64_t)inspect->size);
    if (ok)
        return dv_json_set(document, "Descriptor", object);
    dv_json_free(object);
    return false;
}

static bool set_platforms(dv_json *document, const davit_distribution_inspect *inspect)
{
    if (inspect->platform_count == 0)
        return dv_json_set_null(document, "Platforms");
    dv_json *array = dv_json_array_new();
    bool ok = array;
    for (size_t i = 0; ok && i < inspect->platform_count; i++)
        ok = dv_json_append(array, platform_json(&inspect->platforms[i]));
    if (ok)
        return dv_json_set(document, "Platforms", array);
    dv_json_free(array);
    return false;
}

int davit_distribution_inspect_format(const davit_distribution_inspect *inspect, char **out, davit_error **err)
{
    DV_AUTOPTR(dv_json) document = dv_json_object_new();
    DV_AUTO(dv_buf) text = DV_BUF_INIT(4 * DAVIT_MANIFEST_MAX); /* escapes make a platform longer */
    if (!document || !set_descriptor(document, inspect) || !set_platforms(document, inspect))
        return dv_error_oom(err);
    dv_json_format(document, /* indent= */ 0, /* html_safe= */ false, &text);
    char *taken = dv_buf_take(&text);
    if (!taken)
        return dv_error_oom(err);
    *out = taken;
    return 0;
}
