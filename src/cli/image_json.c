/*
 * cli/image_json.c - see image_json.h.
 *
 * Decides which member of the image config becomes which key. The texts are copied as they are: dv_output_json() makes them safe.
 */
#include "cli/image_json.h"

#include "cli/cli.h"
#include "util/clock.h"

#include <string.h>

static int parse_config(const davit_image_config *config, dv_json **out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_IMAGE_CONFIG_MAX};
    size_t size;
    const void *bytes = davit_image_config_bytes(config, &size);
    int r = dv_json_parse(bytes, size, &limits, NULL, out, err);
    return r < 0 ? dv_error_wrap(err, r, "image config %s", davit_image_config_id(config)->text) : 0;
}

int64_t dv_image_created_s(const davit_image_config *config)
{
    int64_t seconds = 0;
    if (!config || dv_time_parse_rfc3339(davit_image_config_created(config), &seconds) < 0)
        return 0;
    return seconds;
}

static dv_json *familiar_list(const char *const *references, size_t count)
{
    dv_json *list = dv_json_array_new();
    for (size_t i = 0; list && i < count; i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        const char *text = references[i];
        if (davit_reference_parse(text, &ref, NULL) == 0)
            text = davit_reference_familiar(ref);
        if (!dv_json_append_string(list, text)) {
            dv_json_free(list);
            return NULL;
        }
    }
    return list;
}

/* A text member of the config; "" when it has none, or not at all when it may be left out. */
static bool set_text(dv_json *to, const char *key, const dv_json *config, const char *member, bool may_lack)
{
    const char *text = dv_json_string(dv_json_get(config, member), NULL);
    if (may_lack && (!text || !*text))
        return true;
    return dv_json_set_string(to, key, text ? text : "");
}

/* "comment", else that of the last history entry. */
static bool set_comment(dv_json *to, const dv_json *config)
{
    const dv_json *history = dv_json_get(config, "history");
    const char *text = dv_json_string(dv_json_get(config, "comment"), NULL);
    size_t count = dv_json_count(history);
    if ((!text || !*text) && dv_json_is(history, DV_JSON_ARRAY) && count)
        text = dv_json_string(dv_json_get(dv_json_at(history, count - 1), "comment"), NULL);
    return dv_json_set_string(to, "Comment", text ? text : "");
}

static bool set_rootfs(dv_json *to, const davit_image_config *config)
{
    size_t count;
    const davit_digest *diff_ids = davit_image_config_diff_ids(config, &count);
    dv_json *layers = dv_json_array_new(), *rootfs = dv_json_object_new();
    bool ok = layers && rootfs;
    for (size_t i = 0; ok && i < count; i++)
        ok = dv_json_append_string(layers, diff_ids[i].text);
    ok = ok && dv_json_set_string(rootfs, "Type", "layers");
    if (!ok)
        dv_json_free(layers);
    if (!ok || !dv_json_set(rootfs, "Layers", layers)) {
        dv_json_free(rootfs);
        return false;
    }
    return dv_json_set(to, "RootFS", rootfs);
}

static bool set_metadata(dv_json *to, int64_t tagged_at_s)
{
    char when[32] = "0001-01-01T00:00:00Z";
    if (tagged_at_s)
        dv_time_format(tagged_at_s, when);
    dv_json *metadata = dv_json_object_new();
    if (!metadata || !dv_json_set_string(metadata, "LastTagTime", when)) {
        dv_json_free(metadata);
        return false;
    }
    return dv_json_set(to, "Metadata", metadata);
}

static bool set_descriptor(dv_json *to, const dv_image_facts *f)
{
    if (!f->descriptor_type)
        return true;
    dv_json *descriptor = dv_json_object_new();
    if (!descriptor || !dv_json_set_string(descriptor, "mediaType", f->descriptor_type) ||
        !dv_json_set_string(descriptor, "digest", f->descriptor_digest->text) ||
        !dv_json_set_integer(descriptor, "size", (int64_t)f->descriptor_size)) {
        dv_json_free(descriptor);
        return false;
    }
    return dv_json_set(to, "Descriptor", descriptor);
}

static bool set_names(dv_json *to, const dv_image_facts *f)
{
    return dv_json_set(to, "RepoTags", familiar_list(f->tags, f->tag_count)) &&
           dv_json_set(to, "RepoDigests", familiar_list(f->digests, f->digest_count));
}

static bool set_config(dv_json *to, const dv_json *config)
{
    const dv_json *run = dv_json_get(config, "config");
    return dv_json_is(run, DV_JSON_OBJECT) ? dv_json_set(to, "Config", dv_json_copy(run))
                                           : dv_json_set_null(to, "Config");
}

int dv_image_json_inspect(const dv_image_facts *f, dv_json **out, davit_error **err)
{
    DV_AUTOPTR(dv_json) config = NULL;
    int r = parse_config(f->config, &config, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_json) o = dv_json_object_new();
    bool ok = o && dv_json_set_string(o, "Id", f->id->text) && set_names(o, f) &&
              dv_json_set_string(o, "Parent", "") && set_comment(o, config) &&
              set_text(o, "Created", config, "created", /* may_lack= */ true) &&
              set_text(o, "DockerVersion", config, "docker_version", /* may_lack= */ false) &&
              set_text(o, "Author", config, "author", /* may_lack= */ false) && set_config(o, config) &&
              set_text(o, "Architecture", config, "architecture", /* may_lack= */ false) &&
              set_text(o, "Variant", config, "variant", /* may_lack= */ true) &&
              set_text(o, "Os", config, "os", /* may_lack= */ false) &&
              set_text(o, "OsVersion", config, "os.version", /* may_lack= */ true) &&
              dv_json_set_integer(o, "Size", (int64_t)f->size) && set_rootfs(o, f->config) &&
              set_metadata(o, f->tagged_at_s) && set_descriptor(o, f);
    if (!ok)
        return dv_error_oom(err);
    *out = DV_STEAL(o);
    return 0;
}

int dv_image_has_label(const davit_image_config *config, const char *label, davit_error **err)
{
    DV_AUTOPTR(dv_json) document = NULL;
    const char *value = strchr(label, '=');
    DV_AUTO(dv_buf) key = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    dv_buf_append(&key, label, value ? (size_t)(value - label) : strlen(label));
    if (key.failed)
        return dv_error_oom(err);
    int r = parse_config(config, &document, err);
    if (r < 0)
        return r;
    const dv_json *labels = dv_json_get(dv_json_get(document, "config"), "Labels");
    const char *got = dv_json_string(dv_json_get(labels, dv_buf_text(&key)), NULL);
    return got && (!value || strcmp(got, value + 1) == 0);
}

static bool set_labels(dv_json *to, const dv_json *config)
{
    const dv_json *labels = dv_json_get(dv_json_get(config, "config"), "Labels");
    return dv_json_is(labels, DV_JSON_OBJECT) ? dv_json_set(to, "Labels", dv_json_copy(labels))
                                              : dv_json_set_null(to, "Labels");
}

int dv_image_json_summary(const dv_image_facts *f, dv_json **out, davit_error **err)
{
    DV_AUTOPTR(dv_json) config = NULL;
    int r = f->config ? parse_config(f->config, &config, err) : 0;
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_json) o = dv_json_object_new();
    bool ok = o && dv_json_set_string(o, "Id", f->id->text) && dv_json_set_string(o, "ParentId", "") &&
              set_names(o, f) && dv_json_set_integer(o, "Created", dv_image_created_s(f->config)) &&
              dv_json_set_integer(o, "Size", (int64_t)f->size) && dv_json_set_integer(o, "SharedSize", -1) &&
              set_labels(o, config) && dv_json_set_integer(o, "Containers", -1);
    if (!ok)
        return dv_error_oom(err);
    *out = DV_STEAL(o);
    return 0;
}
