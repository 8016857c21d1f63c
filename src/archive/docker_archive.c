/*
 * archive/docker_archive.c - see docker_archive.h: reading manifest.json and repositories. Keys are taken in exactly their spelling and
 * once (threats B4); what is unknown is skipped.
 */
#include "archive/docker_archive.h"

#include "util/clock.h"
#include "util/json.h"
#include "util/str.h"

#include <string.h>

/* --- lists of text --------------------------------------------------------------------------------------------------------- */

void dv_text_list_clear(dv_text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (dv_text_list){0};
}

static int parse_texts(const dv_json *array, const char *key, size_t max, dv_text_list *out, davit_error **err)
{
    size_t count = dv_json_count(array);
    if (count > max)
        return dv_error_set(err, DAVIT_ETOOBIG, "\"%s\" has %zu elements, at most %zu are allowed", key,
                            count, max);
    out->items = dv_new_array(char *, count);
    if (!out->items)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        const char *text = dv_json_string(dv_json_at(array, i), &size);
        if (!text || strlen(text) != size)
            return dv_error_set(err, DAVIT_EFORMAT, "\"%s\": an element is no text", key);
        out->items[i] = dv_strdup(text);
        if (!out->items[i])
            return dv_error_oom(err);
        out->count++;
    }
    return 0;
}

/* --- manifest.json ------------------------------------------------------------------------------------------------------- */

static const char *const item_keys[] = {"Config", "RepoTags", "Layers", "Parent", "LayerSources", NULL};
static const dv_json_known manifest_known[] = {{"[]", item_keys}, {NULL, NULL}};

typedef struct item_fields {
    const char *config, *parent;
    const dv_json *tags, *layers;
} item_fields;

static const dv_json_field item_table[] = {
    {"Config", DV_FIELD_STRING, offsetof(item_fields, config), true},
    {"Parent", DV_FIELD_STRING, offsetof(item_fields, parent), false},
    {"RepoTags", DV_FIELD_ARRAY, offsetof(item_fields, tags), false},
    {"Layers", DV_FIELD_ARRAY, offsetof(item_fields, layers), false},
    {0},
};

static void item_clear(dv_docker_item *item)
{
    free(item->config);
    free(item->parent);
    dv_text_list_clear(&item->tags);
    dv_text_list_clear(&item->layers);
}

void dv_docker_manifest_clear(dv_docker_manifest *m)
{
    for (size_t i = 0; i < m->count; i++)
        item_clear(&m->items[i]);
    free(m->items);
    *m = (dv_docker_manifest){0};
}

static int parse_item(const dv_json *object, dv_docker_item *out, davit_error **err)
{
    item_fields f = {0};
    int r = dv_json_decode(object, item_table, &f, err);
    if (r == 0)
        r = parse_texts(f.tags, "RepoTags", DV_DOCKER_TAGS_MAX, &out->tags, err);
    if (r == 0)
        r = parse_texts(f.layers, "Layers", DV_DOCKER_LAYERS_MAX, &out->layers, err);
    if (r < 0)
        return r;
    out->config = dv_strdup(f.config);
    if (f.parent && *f.parent)
        out->parent = dv_strdup(f.parent);
    return out->config && (!f.parent || !*f.parent || out->parent) ? 0 : dv_error_oom(err);
}

static int parse_items(const dv_json *array, dv_docker_manifest *m, davit_error **err)
{
    size_t count = dv_json_count(array);
    if (count > DV_DOCKER_IMAGES_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "%zu images, at most %d are allowed", count,
                            DV_DOCKER_IMAGES_MAX);
    m->items = dv_new_array(dv_docker_item, count);
    if (!m->items)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        m->count++;
        int r = parse_item(dv_json_at(array, i), &m->items[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_docker_manifest_parse(const void *bytes, size_t size, dv_docker_manifest *out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DV_DOCKER_MANIFEST_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTO(dv_docker_manifest) m = {0};
    int r = dv_json_parse(bytes, size, &limits, manifest_known, &document, err);
    if (r == 0 && dv_json_is(document, DV_JSON_NULL))
        return dv_error_set(err, DAVIT_EFORMAT, "invalid manifest, manifest cannot be null (but can be [])");
    if (r == 0 && !dv_json_is(document, DV_JSON_ARRAY))
        r = dv_error_set(err, DAVIT_EFORMAT, "not a list of images");
    if (r == 0)
        r = parse_items(document, &m, err);
    if (r < 0)
        return dv_error_wrap(err, r, "manifest.json");
    *out = m;
    m = (dv_docker_manifest){0};
    return 0;
}

/* --- repositories -------------------------------------------------------------------------------------------------------- */

void dv_docker_repositories_clear(dv_docker_repositories *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->items[i].reference);
        free(r->items[i].id);
    }
    free(r->items);
    *r = (dv_docker_repositories){0};
}

static int add_repository_tag(dv_docker_repositories *list, const char *name, const char *tag,
                              const dv_json *id, davit_error **err)
{
    size_t size = 0;
    const char *text = dv_json_string(id, &size);
    if (!text || strlen(text) != size)
        return dv_error_set(err, DAVIT_EFORMAT, "a tag names no text");
    if (list->count >= DV_DOCKER_TAGS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %d tags", DV_DOCKER_TAGS_MAX);
    dv_docker_repository_tag *grown = dv_realloc_array(list->items, list->count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(err);
    list->items = grown;
    DV_AUTO(dv_buf) reference = DV_BUF_INIT(DV_DOCKER_MANIFEST_MAX);
    dv_buf_printf(&reference, "%s:%s", name, tag);
    dv_docker_repository_tag made = {.reference = dv_buf_take(&reference), .id = dv_strdup(text)};
    list->items[list->count++] = made;
    return made.reference && made.id ? 0 : dv_error_oom(err);
}

static int parse_repository(dv_docker_repositories *list, const char *name, const dv_json *tags,
                            davit_error **err)
{
    void *iter = NULL;
    const char *tag;
    const dv_json *id;
    int r =
        dv_json_is(tags, DV_JSON_OBJECT) ? 0 : dv_error_set(err, DAVIT_EFORMAT, "a repository is no object");
    while (r == 0 && dv_json_next(tags, &iter, &tag, &id))
        r = add_repository_tag(list, name, tag, id, err);
    return r;
}

int dv_docker_repositories_parse(const void *bytes, size_t size, dv_docker_repositories *out,
                                 davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DV_DOCKER_MANIFEST_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTO(dv_docker_repositories) list = {0};
    void *iter = NULL;
    const char *name;
    const dv_json *tags;
    int r = dv_json_parse(bytes, size, &limits, NULL, &document, err);
    if (r == 0 && !dv_json_is(document, DV_JSON_OBJECT))
        r = dv_error_set(err, DAVIT_EFORMAT, "not an object");
    while (r == 0 && dv_json_next(document, &iter, &name, &tags))
        r = parse_repository(&list, name, tags, err);
    if (r < 0)
        return dv_error_wrap(err, r, "repositories");
    *out = list;
    list = (dv_docker_repositories){0};
    return 0;
}

/* --- parents --------------------------------------------------------------------------------------------------------------- */

typedef struct history_fields {
    const char *created, *author, *created_by, *comment;
    bool empty_layer;
} history_fields;

static const dv_json_field history_table[] = {
    {"created", DV_FIELD_STRING, offsetof(history_fields, created), false},
    {"author", DV_FIELD_STRING, offsetof(history_fields, author), false},
    {"created_by", DV_FIELD_STRING, offsetof(history_fields, created_by), false},
    {"comment", DV_FIELD_STRING, offsetof(history_fields, comment), false},
    {"empty_layer", DV_FIELD_BOOL, offsetof(history_fields, empty_layer), false},
    {0},
};

static bool same_time(const char *a, const char *b)
{
    int64_t x, y;
    if (strcmp(a, b) == 0)
        return true;
    /* Only another spelling of the same time is the same: fractions count, and are not in the numbers. */
    return strchr(a, '.') == NULL && strchr(b, '.') == NULL && dv_time_parse_rfc3339(a, &x) == 0 &&
           dv_time_parse_rfc3339(b, &y) == 0 && x == y;
}

static int same_entry(const dv_json *a, const dv_json *b, bool *out, davit_error **err)
{
    history_fields x = {"", "", "", "", false}, y = x;
    int r = dv_json_decode(a, history_table, &x, err);
    if (r == 0)
        r = dv_json_decode(b, history_table, &y, err);
    if (r == 0)
        *out = same_time(x.created, y.created) && strcmp(x.author, y.author) == 0 &&
               strcmp(x.created_by, y.created_by) == 0 && strcmp(x.comment, y.comment) == 0 &&
               x.empty_layer == y.empty_layer;
    return r < 0 ? dv_error_wrap(err, r, "image configuration: history") : 0;
}

static int parse_history(const davit_image_config *config, dv_json **document, const dv_json **out,
                         davit_error **err)
{
    static const dv_json_field fields[] = {{"history", DV_FIELD_ARRAY, 0, false}, {0}};
    const dv_json_limits limits = {.max_bytes = DAVIT_IMAGE_CONFIG_MAX};
    size_t size;
    const void *bytes = davit_image_config_bytes(config, &size);
    int r = dv_json_parse(bytes, size, &limits, NULL, document, err);
    if (r == 0)
        r = dv_json_decode(*document, fields, out, err);
    return r < 0 ? dv_error_wrap(err, r, "image configuration") : 0;
}

int dv_docker_parent_is_valid(const davit_image_config *child, const davit_image_config *parent, bool *out,
                              davit_error **err)
{
    DV_AUTOPTR(dv_json) child_json = NULL;
    DV_AUTOPTR(dv_json) parent_json = NULL;
    const dv_json *a = NULL, *b = NULL;
    int r = parse_history(child, &child_json, &a, err);
    if (r == 0)
        r = parse_history(parent, &parent_json, &b, err);
    if (r < 0)
        return r;
    size_t count = dv_json_count(b);
    bool valid = dv_json_count(a) == count + 1;
    for (size_t i = 0; r == 0 && valid && i < count; i++)
        r = same_entry(dv_json_at(a, i), dv_json_at(b, i), &valid, err);
    if (r == 0)
        *out = valid || (count == 0 && dv_json_count(a) == 0);
    return r;
}
