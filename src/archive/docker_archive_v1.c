/*
 * archive/docker_archive_v1.c - see docker_archive.h: images of archives older than Docker 1.10, where each layer is an image of its own
 * with a v1 JSON. What becomes of them is one config with rootfs and history.
 */
#include "archive/docker_archive.h"

#include "util/hex.h"
#include "util/json.h"
#include "util/str.h"

#include <string.h>

#define CONFIG_JSON_MAX DAVIT_IMAGE_CONFIG_MAX

static int parse_v1(const void *bytes, size_t size, dv_json **out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DV_DOCKER_MANIFEST_MAX};
    int r = dv_json_parse(bytes, size, &limits, NULL, out, err);
    if (r == 0 && !dv_json_is(*out, DV_JSON_OBJECT))
        r = dv_error_set(err, DAVIT_EFORMAT, "not an object");
    return r < 0 ? dv_error_wrap(err, r, "json of a v1 image") : 0;
}

int dv_v1_image_parent(const void *bytes, size_t size, char out[DV_V1_ID_SIZE + 1], davit_error **err)
{
    DV_AUTOPTR(dv_json) document = NULL;
    uint8_t id[DV_V1_ID_SIZE / 2];
    size_t length = 0;
    int r = parse_v1(bytes, size, &document, err);
    if (r < 0)
        return r;
    const char *parent = dv_json_string(dv_json_get(document, "parent"), &length);
    if (!parent || length == 0) {
        *out = '\0';
        return 0;
    }
    if (length != DV_V1_ID_SIZE || !dv_hex_decode(parent, id, sizeof(id)))
        return dv_error_set(err, DAVIT_EFORMAT, "json of a v1 image: its parent is no image id");
    memcpy(out, parent, DV_V1_ID_SIZE + 1);
    return 0;
}

/* --- history --------------------------------------------------------------------------------------------------------------- */

static bool set_text(dv_json *to, const char *to_key, const dv_json *from, const char *key)
{
    const char *text = dv_json_string(dv_json_get(from, key), NULL);
    return !text || !*text || dv_json_set_string(to, to_key, text);
}

/* The words of container_config.Cmd with spaces between. */
static bool set_created_by(dv_json *to, const dv_json *from)
{
    const dv_json *command = dv_json_get(dv_json_get(from, "container_config"), "Cmd");
    DV_AUTO(dv_buf) text = DV_BUF_INIT(CONFIG_JSON_MAX);
    for (size_t i = 0; i < dv_json_count(command); i++) {
        const char *word = dv_json_string(dv_json_at(command, i), NULL);
        dv_buf_puts(&text, i ? " " : "");
        dv_buf_puts(&text, word ? word : "");
    }
    return !text.failed && (text.size == 0 || dv_json_set_string(to, "created_by", dv_buf_text(&text)));
}

static bool append_history(dv_json *history, const dv_json *v1)
{
    dv_json *entry = dv_json_object_new();
    bool ok = entry && set_text(entry, "created", v1, "created") && set_text(entry, "author", v1, "author") &&
              set_created_by(entry, v1) && set_text(entry, "comment", v1, "comment");
    return dv_json_append(history, entry) && ok;
}

static bool append_diff_id(dv_json *rootfs, const davit_digest *diff_id)
{
    return dv_json_append_string(rootfs, diff_id->text);
}

/* --- members, sorted --------------------------------------------------------------------------------------------------------- */

static bool is_dropped(const char *key)
{
    static const char *const dropped[] = {"id",       "parent",    "Size",   "parent_id",
                                          "layer_id", "throwaway", "rootfs", "history"};
    for (size_t i = 0; i < DV_COUNT(dropped); i++)
        if (strcmp(key, dropped[i]) == 0)
            return true;
    return false;
}

typedef struct member {
    const char *key;
    const dv_json *value;
} member;

static int by_key(const void *a, const void *b)
{
    return strcmp(((const member *)a)->key, ((const member *)b)->key);
}

static dv_json *sorted(member *members, size_t count)
{
    dv_json *object = dv_json_object_new();
    bool ok = object != NULL;
    qsort(members, count, sizeof(*members), by_key);
    for (size_t i = 0; ok && i < count; i++)
        ok = dv_json_set(object, members[i].key, dv_json_copy(members[i].value));
    if (ok)
        return object;
    dv_json_free(object);
    return NULL;
}

static dv_json *make_config(const dv_json *v1, const dv_json *rootfs, const dv_json *history)
{
    DV_AUTOFREE member *members = dv_new_array(member, dv_json_count(v1) + 2);
    size_t count = 0;
    void *iter = NULL;
    const char *key;
    const dv_json *value;
    if (!members)
        return NULL;
    while (dv_json_next(v1, &iter, &key, &value))
        if (!is_dropped(key))
            members[count++] = (member){key, value};
    members[count++] = (member){"rootfs", rootfs};
    members[count++] = (member){"history", history};
    return sorted(members, count);
}

int dv_v1_images_to_config(const dv_v1_image *images, size_t count, dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(dv_json) history = dv_json_array_new();
    DV_AUTOPTR(dv_json) rootfs = dv_json_object_new();
    DV_AUTOPTR(dv_json) last = NULL;
    dv_json *diff_ids = dv_json_array_new();
    bool ok = history && rootfs && diff_ids;
    int r = 0;
    for (size_t i = 0; ok && r == 0 && i < count; i++) {
        DV_AUTOPTR(dv_json) v1 = NULL;
        r = parse_v1(images[i].bytes, images[i].size, &v1, err);
        ok = r < 0 || (append_history(history, v1) && append_diff_id(diff_ids, &images[i].diff_id));
        if (r == 0 && i + 1 == count)
            last = DV_STEAL(v1);
    }
    ok = ok && r == 0 && dv_json_set_string(rootfs, "type", "layers");
    if (ok)
        ok = dv_json_set(rootfs, "diff_ids", DV_STEAL(diff_ids));
    dv_json_free(diff_ids);
    DV_AUTOPTR(dv_json) config = ok ? make_config(last, rootfs, history) : NULL;
    if (r < 0)
        return r;
    if (!config)
        return dv_error_oom(err);
    dv_json_format(config, 0, /* html_safe= */ true, out);
    return out->failed ? dv_error_set(err, out->failed, "no room for an image configuration") : 0;
}
