/*
 * oci/image_config.c - see davit/image_config.h (store.md 1, pull.md 6). Reads what a client needs of an
 * image config; what the image runs stays in the bytes. Whether the layers fit the manifest, and the OS
 * this machine, is the caller's.
 */
#include "oci/image_config.h"

#include "util/json.h"
#include "util/str.h"

#include <string.h>

#define DIFF_IDS_MAX 4096 /* as many as a manifest may have layers (threats C3) */

/* Keys that may stand once and in this spelling only (threats B4). */
static const char *const config_keys[] = {"architecture", "variant", "os",     "os.version",
                                          "os.features",  "created", "author", "config",
                                          "rootfs",       "history", "parent", NULL};
static const char *const rootfs_keys[] = {"type", "diff_ids", NULL};
static const char *const run_keys[] = {"User",   "ExposedPorts", "Env",         "Entrypoint",  "Cmd",
                                       "Labels", "Volumes",      "WorkingDir",  "ArgsEscaped", "StopSignal",
                                       "Shell",  "OnBuild",      "Healthcheck", NULL};
static const dv_json_known config_known[] = {
    {"", config_keys},
    {"rootfs", rootfs_keys},
    {"config", run_keys},
    {NULL, NULL},
};

struct davit_image_config {
    void *bytes;
    size_t size;
    davit_digest id;
    davit_platform platform;
    davit_digest *diff_ids;
    size_t diff_id_count;
    char *created;
    davit_history_entry *history; /* texts are parts of history_texts */
    size_t history_count;
    char *history_texts;
};

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

typedef struct config_fields {
    const char *os, *architecture, *variant, *os_version, *created;
    const dv_json *rootfs, *config, *history;
} config_fields;

static const dv_json_field config_table[] = {
    {"os", DV_FIELD_STRING, offsetof(config_fields, os), false},
    {"architecture", DV_FIELD_STRING, offsetof(config_fields, architecture), false},
    {"variant", DV_FIELD_STRING, offsetof(config_fields, variant), false},
    {"os.version", DV_FIELD_STRING, offsetof(config_fields, os_version), false},
    {"created", DV_FIELD_STRING, offsetof(config_fields, created), false},
    {"rootfs", DV_FIELD_OBJECT, offsetof(config_fields, rootfs), false},
    {"config", DV_FIELD_OBJECT, offsetof(config_fields, config), false},
    {"history", DV_FIELD_VALUE, offsetof(config_fields, history), false},
    {0},
};

typedef struct rootfs_fields {
    const char *type;
    const dv_json *diff_ids;
} rootfs_fields;

static const dv_json_field rootfs_table[] = {
    {"type", DV_FIELD_STRING, offsetof(rootfs_fields, type), false},
    {"diff_ids", DV_FIELD_ARRAY, offsetof(rootfs_fields, diff_ids), false},
    {0},
};

static int parse_diff_id(const dv_json *v, davit_digest *out, davit_error **err)
{
    size_t size = 0;
    const char *text = dv_json_string(v, &size);
    DV_AUTOPTR(davit_error) why = NULL;
    if (!text)
        return dv_error_set(err, DAVIT_EFORMAT, "image configuration: a diff_id is not a string");
    if (strlen(text) == size && davit_digest_parse(text, out, &why) == 0)
        return 0;
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(1024);
    dv_str_escape(&shown, text, size < 200 ? size : 200, /* keep_newlines= */ false);
    return dv_error_set(err, DAVIT_EFORMAT, "image configuration: invalid diff_id \"%s\": %s",
                        dv_buf_text(&shown),
                        why ? davit_error_message(why) : "invalid checksum digest format");
}

static int parse_rootfs(davit_image_config *c, const dv_json *rootfs, davit_error **err)
{
    rootfs_fields f = {.type = ""};
    int r = dv_json_decode(rootfs, rootfs_table, &f, err);
    if (r < 0)
        return dv_error_wrap(err, r, "image configuration: rootfs");
    size_t count = dv_json_count(f.diff_ids);
    if (count > DIFF_IDS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "image configuration: %zu diff_ids, at most %d are allowed",
                            count, DIFF_IDS_MAX);
    c->diff_ids = dv_new_array(davit_digest, count);
    if (!c->diff_ids)
        return dv_error_oom(err);
    for (size_t i = 0; i < count && r == 0; i++)
        r = parse_diff_id(dv_json_at(f.diff_ids, i), &c->diff_ids[i], err);
    c->diff_id_count = count;
    return r;
}

/* --- history ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *key;
    size_t offset;
} history_texts[] = {
    {"created", offsetof(davit_history_entry, created)},
    {"created_by", offsetof(davit_history_entry, created_by)},
    {"author", offsetof(davit_history_entry, author)},
    {"comment", offsetof(davit_history_entry, comment)},
};

static const char *history_text(const dv_json *entry, size_t k)
{
    const char *text = dv_json_string(dv_json_get(entry, history_texts[k].key), NULL);
    return text ? text : "";
}

static size_t history_size(const dv_json *history, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < DV_COUNT(history_texts); k++)
            size += strlen(history_text(dv_json_at(history, i), k)) + 1;
    return size;
}

/* Gives the end of what it wrote. */
static char *copy_entry(const dv_json *entry, davit_history_entry *to, char *end)
{
    to->empty_layer = dv_json_bool(dv_json_get(entry, "empty_layer"));
    for (size_t k = 0; k < DV_COUNT(history_texts); k++) {
        const char *text = history_text(entry, k);
        size_t size = strlen(text) + 1;
        *(const char **)(void *)((char *)to + history_texts[k].offset) = memcpy(end, text, size);
        end += size;
    }
    return end;
}

static int parse_history(davit_image_config *c, const dv_json *history, davit_error **err)
{
    size_t count = dv_json_is(history, DV_JSON_ARRAY) ? dv_json_count(history) : 0;
    if (count == 0)
        return 0;
    c->history = dv_new_array(davit_history_entry, count);
    c->history_texts = malloc(history_size(history, count));
    if (!c->history || !c->history_texts)
        return dv_error_oom(err);
    char *end = c->history_texts;
    for (size_t i = 0; i < count; i++)
        end = copy_entry(dv_json_at(history, i), &c->history[i], end);
    c->history_count = count;
    return 0;
}

static int copy_part(char to[DAVIT_PLATFORM_PART_MAX], const char *from, const char *key, davit_error **err)
{
    size_t size = strlen(from) + 1;
    if (size > DAVIT_PLATFORM_PART_MAX)
        return dv_error_set(err, DAVIT_EFORMAT,
                            "image configuration: \"%s\" has %zu bytes, at most %d are allowed", key,
                            size - 1, DAVIT_PLATFORM_PART_MAX - 1);
    memcpy(to, from, size);
    return 0;
}

static int parse_document(davit_image_config *c, const dv_json *document, davit_error **err)
{
    config_fields f = {.os = "", .architecture = "", .variant = "", .os_version = "", .created = ""};
    int r = dv_json_decode(document, config_table, &f, err);
    if (r < 0)
        return dv_error_wrap(err, r, "image configuration");
    if (!f.rootfs)
        return dv_error_set(err, DAVIT_EFORMAT, "invalid rootfs in image configuration");
    r = copy_part(c->platform.os, f.os, "os", err);
    if (r == 0)
        r = copy_part(c->platform.architecture, f.architecture, "architecture", err);
    if (r == 0)
        r = copy_part(c->platform.variant, f.variant, "variant", err);
    if (r == 0)
        r = copy_part(c->platform.os_version, f.os_version, "os.version", err);
    if (r < 0)
        return r;
    c->created = dv_strdup(f.created);
    if (!c->created)
        return dv_error_oom(err);
    r = parse_history(c, f.history, err);
    return r < 0 ? r : parse_rootfs(c, f.rootfs, err);
}

int davit_image_config_parse(const void *bytes, size_t size, davit_image_config **out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_IMAGE_CONFIG_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    int r = dv_json_parse(bytes, size, &limits, config_known, &document, err);
    if (r < 0)
        return dv_error_wrap(err, r, "image configuration");
    DV_AUTOPTR(davit_image_config) c = dv_new(davit_image_config);
    if (!c)
        return dv_error_oom(err);
    r = parse_document(c, document, err);
    if (r < 0)
        return r;
    c->bytes = dv_memdup(bytes, size);
    c->size = size;
    if (!c->bytes)
        return dv_error_oom(err);
    r = davit_digest_of(DAVIT_SHA256, bytes, size, &c->id, err);
    if (r == 0)
        *out = DV_STEAL(c);
    return r;
}

void davit_image_config_free(davit_image_config *config)
{
    if (!config)
        return;
    free(config->bytes);
    free(config->diff_ids);
    free(config->created);
    free(config->history);
    free(config->history_texts);
    free(config);
}

const void *davit_image_config_bytes(const davit_image_config *config, size_t *out_size)
{
    *out_size = config->size;
    return config->bytes;
}

const davit_digest *davit_image_config_id(const davit_image_config *config)
{
    return &config->id;
}

const davit_platform *davit_image_config_platform(const davit_image_config *config)
{
    return &config->platform;
}

const davit_digest *davit_image_config_diff_ids(const davit_image_config *config, size_t *out_count)
{
    *out_count = config->diff_id_count;
    return config->diff_ids;
}

const char *davit_image_config_created(const davit_image_config *config)
{
    return config->created;
}

const davit_history_entry *davit_image_config_history(const davit_image_config *config, size_t *out_count)
{
    *out_count = config->history_count;
    return config->history;
}

int dv_image_config_check_history(const davit_image_config *config, davit_error **err)
{
    size_t made = 0;
    for (size_t i = 0; i < config->history_count; i++)
        made += !config->history[i].empty_layer;
    if (made > config->diff_id_count)
        return dv_error_set(err, DAVIT_EFORMAT, "too many non-empty layers in History section");
    return 0;
}
