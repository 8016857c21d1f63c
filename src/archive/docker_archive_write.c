/*
 * archive/docker_archive_write.c - see docker_archive.h: the documents that `docker save` writes, in its forms: members in the order of its
 * structs, maps sorted by key, text escaped for HTML.
 */
#include "archive/docker_archive.h"

#include "archive/oci_layout.h"
#include "oci/media_type.h"
#include "util/json.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define EPOCH "1970-01-01T00:00:00Z"
/* A container configuration with nothing in it, as the reference implementation writes it. */
#define EMPTY_CONTAINER_CONFIG                                                                             \
    "{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false,\"AttachStdout\":false,"   \
    "\"AttachStderr\":false,\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":null,\"Cmd\":"   \
    "null,"                                                                                                \
    "\"Image\":\"\",\"Volumes\":null,\"WorkingDir\":\"\",\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":" \
    "null}"

static int write_out(const dv_json *document, const char *end, dv_buf *out, davit_error **err)
{
    if (!document)
        return dv_error_oom(err);
    dv_json_format(document, 0, /* html_safe= */ true, out);
    dv_buf_puts(out, end);
    return out->failed ? dv_error_set(err, out->failed, "the archive's documents are too long") : 0;
}

/* NULL unless ok; frees what is not given. */
static dv_json *give(dv_json *v, bool ok)
{
    if (ok)
        return v;
    dv_json_free(v);
    return NULL;
}

static dv_json *descriptor_to_json(const char *media_type, uint64_t size, const davit_digest *digest)
{
    dv_json *object = dv_json_object_new();
    return give(object, object && dv_json_set_string(object, "mediaType", media_type) &&
                            dv_json_set_integer(object, "size", (int64_t)size) &&
                            dv_json_set_string(object, "digest", digest->text));
}

/* --- manifest.json ----------------------------------------------------------------------------------------------------------- */

static dv_json *tags_to_json(const dv_docker_image *image)
{
    dv_json *tags = dv_json_array_new();
    bool ok = tags != NULL;
    for (size_t i = 0; ok && i < image->tag_count; i++)
        ok = dv_json_append_string(tags, image->tags[i]);
    return give(tags, ok);
}

static dv_json *layers_to_json(const dv_docker_image *image)
{
    char path[DV_OCI_BLOB_PATH_MAX];
    dv_json *layers = dv_json_array_new();
    bool ok = layers != NULL;
    for (size_t i = 0; ok && i < image->layer_count; i++)
        ok = dv_json_append_string(layers, dv_oci_blob_path(&image->layers[i].diff_id, path));
    return give(layers, ok);
}

static int by_diff_id(const void *a, const void *b)
{
    const dv_docker_layer *const *x = a, *const *y = b;
    return strcmp((*x)->diff_id.text, (*y)->diff_id.text);
}

/* A map, so sorted; a layer that comes twice has one member. */
static dv_json *sources_to_json(const dv_docker_image *image)
{
    DV_AUTOFREE const dv_docker_layer **sorted = dv_new_array(const dv_docker_layer *, image->layer_count);
    dv_json *sources = dv_json_object_new();
    bool ok = sorted && sources;
    for (size_t i = 0; ok && i < image->layer_count; i++)
        sorted[i] = &image->layers[i];
    if (ok)
        qsort(sorted, image->layer_count, sizeof(*sorted), by_diff_id);
    for (size_t i = 0; ok && i < image->layer_count; i++)
        ok = dv_json_set(sources, sorted[i]->diff_id.text,
                         descriptor_to_json(DV_MEDIA_TYPE_OCI_LAYER, sorted[i]->size, &sorted[i]->diff_id));
    return give(sources, ok);
}

static dv_json *item_to_json(const dv_docker_image *image)
{
    char path[DV_OCI_BLOB_PATH_MAX];
    dv_json *item = dv_json_object_new();
    bool ok = item && dv_json_set_string(item, "Config",
                                         dv_oci_blob_path(davit_image_config_id(image->config), path));
    if (ok)
        ok = image->tag_count ? dv_json_set(item, "RepoTags", tags_to_json(image))
                              : dv_json_set_null(item, "RepoTags");
    ok = ok && dv_json_set(item, "Layers", layers_to_json(image)) &&
         dv_json_set(item, "LayerSources", sources_to_json(image));
    return give(item, ok);
}

int dv_docker_manifest_format(const dv_docker_image *images, size_t count, dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(dv_json) array = dv_json_array_new();
    bool ok = array != NULL;
    for (size_t i = 0; ok && i < count; i++)
        ok = dv_json_append(array, item_to_json(&images[i]));
    return write_out(ok ? array : NULL, "\n", out, err);
}

/* --- repositories ------------------------------------------------------------------------------------------------------------ */

typedef struct tag_row {
    const char *name;
    size_t name_size;
    const char *tag;
    const davit_digest *top;
    size_t order;
} tag_row;

static int compare_bytes(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int r = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return r ? r : (a_size > b_size) - (a_size < b_size);
}

static int by_name_and_tag(const void *a, const void *b)
{
    const tag_row *x = a, *y = b;
    int r = compare_bytes(x->name, x->name_size, y->name, y->name_size);
    if (r == 0)
        r = strcmp(x->tag, y->tag);
    return r ? r : (x->order > y->order) - (x->order < y->order);
}

static size_t collect_tags(const dv_docker_image *images, size_t count, tag_row *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < images[i].tag_count; k++) {
            const char *tag = images[i].tags[k], *colon = strrchr(tag, ':');
            if (!rows || !colon)
                n++;
            else
                rows[n] = (tag_row){tag, (size_t)(colon - tag), colon + 1,
                                    &images[i].layers[images[i].layer_count - 1].diff_id, n},
                n++;
        }
    }
    return n;
}

/* The rows of one name, sorted by tag; of equal tags the last image's stays. */
static dv_json *repository_to_json(const tag_row *rows, size_t count)
{
    dv_json *object = dv_json_object_new();
    bool ok = object != NULL;
    for (size_t i = 0; ok && i < count; i++)
        ok = dv_json_set_string(object, rows[i].tag, davit_digest_hex(rows[i].top));
    return give(object, ok);
}

static bool set_repository(dv_json *document, const tag_row *rows, size_t count)
{
    DV_AUTOFREE char *name = dv_strndup(rows->name, rows->name_size);
    return name && dv_json_set(document, name, repository_to_json(rows, count));
}

int dv_docker_repositories_format(const dv_docker_image *images, size_t count, dv_buf *out, davit_error **err)
{
    size_t n = collect_tags(images, count, NULL);
    if (n == 0)
        return 0;
    DV_AUTOFREE tag_row *rows = dv_new_array(tag_row, n);
    DV_AUTOPTR(dv_json) document = dv_json_object_new();
    if (!rows || !document)
        return dv_error_oom(err);
    collect_tags(images, count, rows);
    qsort(rows, n, sizeof(*rows), by_name_and_tag);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && compare_bytes(rows[i].name, rows[i].name_size, rows[end].name,
                                                   rows[end].name_size) == 0;)
            end++;
        if (!set_repository(document, &rows[i], end - i))
            return dv_error_oom(err);
    }
    return write_out(document, "\n", out, err);
}

/* --- the OCI manifest ---------------------------------------------------------------------------------------------------------- */

int dv_docker_oci_manifest_format(const dv_docker_image *image, dv_buf *out, davit_error **err)
{
    size_t size;
    davit_image_config_bytes(image->config, &size);
    const davit_descriptor config = {.media_type = DV_MEDIA_TYPE_OCI_CONFIG,
                                     .digest = *davit_image_config_id(image->config),
                                     .size = size};
    DV_AUTOFREE davit_descriptor *layers = dv_new_array(davit_descriptor, image->layer_count);
    if (!layers)
        return dv_error_oom(err);
    for (size_t i = 0; i < image->layer_count; i++)
        layers[i] = (davit_descriptor){.media_type = DV_MEDIA_TYPE_OCI_LAYER,
                                       .digest = image->layers[i].diff_id,
                                       .size = image->layers[i].size};
    return dv_oci_manifest_format(&config, layers, image->layer_count, out, err);
}

/* --- v1 JSON --------------------------------------------------------------------------------------------------------------------- */

/* The members that a v1 image has, in the order of the reference's struct; those between id and parent are from the config. */
static const char *const v1_members[] = {"comment",        "created", "container", "container_config",
                                         "docker_version", "author",  "config",    "architecture",
                                         "variant",        "os"};

static bool copy_member(dv_json *to, const char *key, const dv_json *config)
{
    const dv_json *value = dv_json_get(config, key);
    size_t size = 0;
    const char *text = dv_json_string(value, &size);
    if (!value || dv_json_is(value, DV_JSON_NULL) || (text && size == 0))
        return true;
    return dv_json_set(to, key, dv_json_copy(value));
}

static bool set_empty_container(dv_json *to)
{
    const dv_json_limits limits = {.max_bytes = sizeof(EMPTY_CONTAINER_CONFIG)};
    dv_json *empty = NULL;
    return dv_json_parse(EMPTY_CONTAINER_CONFIG, sizeof(EMPTY_CONTAINER_CONFIG) - 1, &limits, NULL, &empty,
                         NULL) == 0 &&
           dv_json_set(to, "container_config", empty);
}

/* Below the top there is only a time; the system is the image's. */
static bool set_members(dv_json *to, const dv_json *config, bool top)
{
    bool ok = true;
    for (size_t i = 0; ok && i < DV_COUNT(v1_members); i++) {
        const char *key = v1_members[i];
        if (strcmp(key, "container_config") == 0 && !(top && dv_json_get(config, key)))
            ok = set_empty_container(to);
        else if (strcmp(key, "created") == 0 && !top)
            ok = dv_json_set_string(to, key, EPOCH);
        else if (top || strcmp(key, "os") == 0)
            ok = copy_member(to, key, config);
    }
    return ok;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What the id is the digest of: the members, layer_id and parent, sorted. */
static int v1_id(const dv_json *config, bool top, const davit_digest *chain, const char *parent,
                 char out_id[DV_V1_ID_SIZE + 1], davit_error **err)
{
    const char *keys[DV_COUNT(v1_members) + 2];
    davit_digest id;
    char parent_digest[DAVIT_DIGEST_TEXT_MAX];
    DV_AUTO(dv_buf) text = DV_BUF_INIT(2 * DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTOPTR(dv_json) members = dv_json_object_new();
    DV_AUTOPTR(dv_json) sorted = dv_json_object_new();
    snprintf(parent_digest, sizeof(parent_digest), "sha256:%s", parent);
    bool ok = members && sorted && set_members(members, config, top) &&
              dv_json_set_string(members, "layer_id", chain->text) &&
              (!*parent || dv_json_set_string(members, "parent", parent_digest));
    size_t count = 0;
    void *iter = NULL;
    const dv_json *value;
    while (ok && count < DV_COUNT(keys) && dv_json_next(members, &iter, &keys[count], &value))
        count++;
    qsort(keys, count, sizeof(*keys), by_text);
    for (size_t i = 0; ok && i < count; i++)
        ok = dv_json_set(sorted, keys[i], dv_json_copy(dv_json_get(members, keys[i])));
    int r = write_out(ok ? sorted : NULL, "", &text, err);
    if (r == 0)
        r = davit_digest_of(DAVIT_SHA256, dv_buf_text(&text), text.size, &id, err);
    if (r == 0)
        memcpy(out_id, davit_digest_hex(&id), DV_V1_ID_SIZE + 1);
    return r;
}

/* C(n) = sha256(C(n - 1) " " diff_id) (store.md 1). */
static int next_chain(davit_digest *chain, const davit_digest *diff_id, davit_error **err)
{
    char text[2 * DAVIT_DIGEST_TEXT_MAX];
    if (!chain->algorithm) {
        *chain = *diff_id;
        return 0;
    }
    int n = snprintf(text, sizeof(text), "%s %s", chain->text, diff_id->text);
    return davit_digest_of(DAVIT_SHA256, text, (size_t)n, chain, err);
}

static int format_v1(const dv_json *config, bool top, const char *id, const char *parent, dv_buf *out,
                     davit_error **err)
{
    DV_AUTOPTR(dv_json) v1 = dv_json_object_new();
    bool ok = v1 && dv_json_set_string(v1, "id", id) &&
              (!*parent || dv_json_set_string(v1, "parent", parent)) && set_members(v1, config, top);
    dv_buf_reset(out);
    return write_out(ok ? v1 : NULL, "", out, err);
}

int dv_docker_v1_jsons(const dv_docker_image *image,
                       int (*fn)(void *user, const void *bytes, size_t size, davit_error **err), void *user,
                       davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_IMAGE_CONFIG_MAX};
    size_t size;
    const void *bytes = davit_image_config_bytes(image->config, &size);
    DV_AUTOPTR(dv_json) config = NULL;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(2 * DAVIT_IMAGE_CONFIG_MAX);
    davit_digest chain = {.algorithm = DAVIT_DIGEST_NONE};
    char id[DV_V1_ID_SIZE + 1] = "", parent[DV_V1_ID_SIZE + 1] = "";
    int r = dv_json_parse(bytes, size, &limits, NULL, &config, err);
    for (size_t i = 0; r == 0 && i < image->layer_count; i++) {
        const bool top = i + 1 == image->layer_count;
        r = next_chain(&chain, &image->layers[i].diff_id, err);
        if (r == 0)
            r = v1_id(config, top, &chain, parent, id, err);
        if (r == 0)
            r = format_v1(config, top, id, parent, &text, err);
        if (r == 0)
            r = fn(user, dv_buf_text(&text), text.size, err);
        memcpy(parent, id, sizeof(parent));
    }
    return r;
}
