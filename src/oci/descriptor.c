/*
 * oci/descriptor.c - see descriptor.h. One descriptor is judged alone; whether its type fits where it
 * stands is for the document around it. annotations, urls and data are left in the bytes.
 */
#include "oci/descriptor.h"

#include "oci/media_type.h"
#include "util/str.h"

#include <string.h>

#define DIGEST_SHOWN_MAX 256 /* bytes of a bad digest that a message repeats */

struct dv_pooled_text {
    struct dv_pooled_text *next;
    char text[];
};

void dv_text_pool_clear(dv_text_pool *pool)
{
    while (pool->first) {
        struct dv_pooled_text *next = pool->first->next;
        free(pool->first);
        pool->first = next;
    }
}

const char *dv_text_pool_media_type(dv_text_pool *pool, const char *type)
{
    const char *shared = dv_media_type_intern(type);
    if (shared)
        return shared;
    size_t size = strlen(type) + 1;
    struct dv_pooled_text *t = malloc(sizeof(*t) + size);
    if (!t)
        return NULL;
    memcpy(t->text, type, size);
    t->next = pool->first;
    pool->first = t;
    return t->text;
}

typedef struct platform_fields {
    const char *os, *architecture, *variant, *os_version;
} platform_fields;

static const dv_json_field platform_table[] = {
    {"os", DV_FIELD_STRING, offsetof(platform_fields, os), false},
    {"architecture", DV_FIELD_STRING, offsetof(platform_fields, architecture), false},
    {"variant", DV_FIELD_STRING, offsetof(platform_fields, variant), false},
    {"os.version", DV_FIELD_STRING, offsetof(platform_fields, os_version), false},
    {0},
};

static int copy_part(char to[DAVIT_PLATFORM_PART_MAX], const char *from, davit_error **err)
{
    size_t size = strlen(from) + 1;
    if (size > DAVIT_PLATFORM_PART_MAX)
        return dv_error_set(err, DAVIT_EFORMAT,
                            "a part of the platform has %zu bytes, at most %d are allowed", size - 1,
                            DAVIT_PLATFORM_PART_MAX - 1);
    memcpy(to, from, size);
    return 0;
}

static int parse_platform(const dv_json *object, davit_platform *out, davit_error **err)
{
    platform_fields f = {.os = "", .architecture = "", .variant = "", .os_version = ""};
    int r = dv_json_decode(object, platform_table, &f, err);
    if (r == 0)
        r = copy_part(out->os, f.os, err);
    if (r == 0)
        r = copy_part(out->architecture, f.architecture, err);
    if (r == 0)
        r = copy_part(out->variant, f.variant, err);
    if (r == 0)
        r = copy_part(out->os_version, f.os_version, err);
    return r;
}

typedef struct descriptor_fields {
    const char *media_type, *digest, *artifact_type;
    int64_t size;
    const dv_json *platform;
} descriptor_fields;

static const dv_json_field descriptor_table[] = {
    {"mediaType", DV_FIELD_STRING, offsetof(descriptor_fields, media_type), false},
    {"digest", DV_FIELD_STRING, offsetof(descriptor_fields, digest), true},
    {"size", DV_FIELD_INT64, offsetof(descriptor_fields, size), true},
    {"artifactType", DV_FIELD_STRING, offsetof(descriptor_fields, artifact_type), false},
    {"platform", DV_FIELD_VALUE, offsetof(descriptor_fields, platform), false},
    {0},
};

static int refuse_digest(const char *label, const char *digest, const davit_error *why, davit_error **err)
{
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(8 * DIGEST_SHOWN_MAX);
    size_t n = strlen(digest);
    dv_str_escape(&shown, digest, n < DIGEST_SHOWN_MAX ? n : DIGEST_SHOWN_MAX, /* keep_newlines= */ false);
    return dv_error_set(err, DAVIT_EFORMAT, "could not validate %s digest \"%s\": %s", label,
                        dv_buf_text(&shown), davit_error_message(why));
}

int dv_descriptor_parse(const dv_json *object, const char *label, bool with_platform, dv_text_pool *pool,
                        davit_descriptor *out, davit_error **err)
{
    descriptor_fields f = {.media_type = ""};
    davit_descriptor d = {.size = 0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_json_decode(object, descriptor_table, &f, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s descriptor", label);
    if (davit_digest_parse(f.digest, &d.digest, &why) < 0)
        return refuse_digest(label, f.digest, why, err);
    if (f.size < 0)
        return dv_error_set(err, DAVIT_EFORMAT, "%s descriptor: negative size", label);
    if (with_platform && f.platform) {
        r = parse_platform(f.platform, &d.platform, err);
        if (r < 0)
            return dv_error_wrap(err, r, "%s descriptor: platform", label);
        d.has_platform = true;
    }
    d.size = (uint64_t)f.size;
    d.media_type = dv_text_pool_media_type(pool, f.media_type);
    d.artifact_type = f.artifact_type ? dv_text_pool_media_type(pool, f.artifact_type) : NULL;
    if (!d.media_type || (f.artifact_type && !d.artifact_type))
        return dv_error_oom(err);
    *out = d;
    return 0;
}
