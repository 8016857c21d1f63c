/*
 * distribution/load_images.c - what the documents of an archive add up to: blobs that are needed, and names with the images behind them. How
 * an image without a manifest gets one.
 */
#include "distribution/load_private.h"

#include "archive/oci_layout.h"
#include "distribution/layer_read.h"
#include "oci/media_type.h"
#include "oci/platform.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "util/file.h"
#include "util/str.h"

#include <string.h>

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

void dv_loaded_clear(dv_loaded *l)
{
    for (size_t i = 0; i < l->blob_count; i++) {
        dv_load_content_unref(l->blobs[i].content);
        free(l->blobs[i].bytes);
    }
    for (size_t i = 0; i < l->target_count; i++) {
        davit_reference_free(l->targets[i].reference);
        free(l->targets[i].rows);
    }
    free(l->blobs);
    free(l->targets);
    free(l->ids);
    free(l->seen);
    *l = (dv_loaded){0};
}

/* --- lists ---------------------------------------------------------------------------------------------------------------------- */

/* Room for one more. NULL: no memory. */
static void *room(void *list, size_t count, size_t size)
{
    void *item = dv_list_place(list, count, size);
    return item ? memset(item, 0, size) : NULL;
}

int dv_load_need(dv_load *l, const davit_descriptor *blob, dv_load_content *content, const void *bytes,
                 davit_error **err)
{
    dv_loaded *loaded = l->loaded;
    dv_load_blob *b = room(&loaded->blobs, loaded->blob_count, sizeof(*b));
    if (!b)
        return dv_error_oom(err);
    b->descriptor = (davit_descriptor){.media_type = "", .digest = blob->digest, .size = blob->size};
    b->bytes = bytes ? dv_memdup(bytes, (size_t)blob->size) : NULL;
    if (bytes && !b->bytes)
        return dv_error_oom(err);
    b->content = content ? dv_load_content_ref(content) : NULL;
    loaded->blob_count++;
    return 0;
}

int dv_load_add_target(dv_load *l, dv_load_target **out, davit_error **err)
{
    dv_loaded *loaded = l->loaded;
    dv_load_target *t = room(&loaded->targets, loaded->target_count, sizeof(*t));
    if (!t)
        return dv_error_oom(err);
    loaded->target_count++;
    *out = t;
    return 0;
}

int dv_load_add_digest(davit_digest **list, size_t *count, const davit_digest *digest, davit_error **err)
{
    davit_digest *item = room((void **)list, *count, sizeof(*item));
    if (!item)
        return dv_error_oom(err);
    *item = *digest;
    (*count)++;
    return 0;
}

int dv_load_add_id(dv_load *l, const davit_digest *id, davit_error **err)
{
    return dv_load_add_digest(&l->loaded->ids, &l->loaded->id_count, id, err);
}

int dv_load_add_row(dv_load_target *t, const dv_load_row *row, davit_error **err)
{
    dv_load_row *item = room(&t->rows, t->row_count, sizeof(*item));
    if (!item)
        return dv_error_oom(err);
    *item = *row;
    t->row_count++;
    return 0;
}

/* --- blobs ---------------------------------------------------------------------------------------------------------------------- */

static int check_content(const davit_descriptor *blob, const dv_load_content *c, davit_error **err)
{
    if (!davit_digest_equal(&c->digest, &blob->digest))
        return dv_error_set(err, DAVIT_EDIGEST, "blob %s: its bytes in the archive are %s", blob->digest.text,
                            c->digest.text);
    if (blob->size != DAVIT_SIZE_UNKNOWN && c->size != blob->size)
        return dv_error_set(err, DAVIT_EDIGEST,
                            "blob %s has %llu bytes in the archive, and its descriptor says %llu",
                            blob->digest.text, (unsigned long long)c->size, (unsigned long long)blob->size);
    return 0;
}

/* The lease comes first: what is found then stays. */
static int is_stored(dv_load *l, const davit_descriptor *blob, davit_error **err)
{
    int r = dv_content_has(l->store, &blob->digest, blob->size, err);
    if (r == 1)
        r = dv_lease_add(l->lease, &blob->digest, 1, err);
    else
        return r;
    return r < 0 ? r : dv_content_has(l->store, &blob->digest, blob->size, err);
}

int dv_load_locate(dv_load *l, const davit_descriptor *blob, dv_load_content **out, davit_error **err)
{
    char path[DV_OCI_BLOB_PATH_MAX];
    dv_load_content *c = NULL;
    if (blob->digest.algorithm == DAVIT_SHA384)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "digest algorithm sha384 is not supported");
    int r = 0;
    if (l->layout_fd >= 0) { /* what the store has need not be read */
        r = is_stored(l, blob, err);
        if (r != 0)
            return r < 0 ? r : DV_LOAD_STORED;
    }
    r = dv_load_find(l, dv_oci_blob_path(&blob->digest, path), &c, err);
    if (r == 0 && c)
        r = check_content(blob, c, err);
    if (r < 0)
        return r;
    *out = c;
    if (c)
        return DV_LOAD_CONTENT;
    r = is_stored(l, blob, err);
    return r < 0 ? r : r ? DV_LOAD_STORED : DV_LOAD_MISSING;
}

int dv_load_diff_id(dv_load *l, const davit_descriptor *layer, const dv_load_content *content,
                    davit_digest *out, davit_error **err)
{
    if (!content)
        return dv_layer_diff_id(l->client, l->store, layer, out, err);
    if (content->damage) {
        davit_error *copy = dv_error_copy(content->damage);
        if (!copy)
            return dv_error_oom(err);
        return dv_error_move(err, &copy, davit_error_code(content->damage));
    }
    *out = content->diff_id;
    return 0;
}

int dv_load_layer_mismatch(size_t index, const davit_digest *expected, const davit_digest *got,
                           davit_error **err)
{
    return dv_error_set(err, DAVIT_EDIGEST, "invalid diffID for layer %zu: expected \"%s\", got \"%s\"",
                        index, expected->text, got->text);
}

/* --- platforms -------------------------------------------------------------------------------------------------------------------- */

bool dv_load_platform_fits(const dv_load *l, const davit_platform *platform)
{
    davit_platform host;
    dv_platform_vector vector;
    if (!l->options->platform)
        return true;
    davit_platform_host(&host);
    dv_platform_vector_init(&vector, l->options->platform, &host);
    int rank = dv_platform_rank(&vector, platform);
    return rank >= 0 && (size_t)rank < vector.count;
}

int dv_load_check_system(const dv_load *l, const davit_platform *platform, davit_error **err)
{
    davit_platform host;
    davit_platform_host(&host);
    if (l->options->platform || !*platform->os || dv_str_equal_nocase(platform->os, host.os))
        return 0;
    return dv_error_set(err, DAVIT_EUNSUPPORTED, "cannot load %s image on %s", platform->os, host.os);
}

/* --- images without a manifest of their own ------------------------------------------------------------------------------------- */

const char *dv_load_layer_type(const dv_load_content *c)
{
    static const char *const types[] = {[DV_COMPRESSION_GZIP] = DV_MEDIA_TYPE_OCI_LAYER_GZIP,
                                        [DV_COMPRESSION_ZSTD] = DV_MEDIA_TYPE_OCI_LAYER_ZSTD};
    bool known = c->compression < DV_COUNT(types) && types[c->compression];
    return known ? types[c->compression] : DV_MEDIA_TYPE_OCI_LAYER;
}

static davit_descriptor layer_descriptor(const dv_load_image *image, size_t i)
{
    size_t count;
    const dv_load_content *c = image->layers[i];
    davit_descriptor d = {.media_type = DV_MEDIA_TYPE_OCI_LAYER, .size = DAVIT_SIZE_UNKNOWN};
    if (!c) {
        d.digest = davit_image_config_diff_ids(image->config, &count)[i];
        return d;
    }
    d.digest = c->digest;
    d.size = c->size;
    d.media_type = dv_load_layer_type(c);
    return d;
}

static int stored_size(dv_load *l, davit_descriptor *blob, davit_error **err)
{
    int fd = -1;
    int r = dv_content_open(l->store, &blob->digest, DAVIT_SIZE_UNKNOWN, &fd, &blob->size, err);
    if (r == 0)
        dv_close(&fd);
    return r;
}

static int need_layers(dv_load *l, const dv_load_image *image, davit_descriptor *layers, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < image->layer_count; i++) {
        layers[i] = layer_descriptor(image, i);
        if (layers[i].size == DAVIT_SIZE_UNKNOWN)
            r = stored_size(l, &layers[i], err);
        if (r == 0)
            r = dv_load_need(l, &layers[i], image->layers[i], NULL, err);
    }
    return r;
}

static int need_config(dv_load *l, const davit_image_config *config, davit_descriptor *out, davit_error **err)
{
    size_t size;
    const void *bytes = davit_image_config_bytes(config, &size);
    *out = (davit_descriptor){
        .media_type = DV_MEDIA_TYPE_OCI_CONFIG, .digest = *davit_image_config_id(config), .size = size};
    return dv_load_need(l, out, NULL, bytes, err);
}

/* What a config does not say is the host's (store.md 1). */
static void platform_of(const davit_image_config *config, davit_platform *out)
{
    davit_platform host;
    davit_platform_host(&host);
    *out = *davit_image_config_platform(config);
    if (!*out->os)
        memcpy(out->os, host.os, sizeof(out->os));
    if (!*out->architecture)
        memcpy(out->architecture, host.architecture, sizeof(out->architecture));
}

/* The same image always gets the same manifest, and it is the one that save writes of plain layers. */
static int make_manifest(dv_load *l, const dv_load_image *image, dv_load_row *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOFREE davit_descriptor *layers = dv_new_array(davit_descriptor, image->layer_count);
    davit_descriptor config;
    if (!layers)
        return dv_error_oom(err);
    int r = need_layers(l, image, layers, err);
    if (r == 0)
        r = need_config(l, image->config, &config, err);
    if (r == 0)
        r = dv_oci_manifest_format(&config, layers, image->layer_count, &text, err);
    out->manifest = (davit_descriptor){.media_type = DV_MEDIA_TYPE_OCI_MANIFEST, .size = text.size};
    if (r == 0)
        r = davit_digest_of(DAVIT_SHA256, dv_buf_text(&text), text.size, &out->manifest.digest, err);
    if (r == 0)
        r = dv_load_need(l, &out->manifest, NULL, dv_buf_text(&text), err);
    if (r < 0)
        return r;
    out->image =
        (dv_image_row){.manifest = out->manifest.digest, .config = config.digest, .size = config.size};
    platform_of(image->config, &out->image.platform);
    for (size_t i = 0; i < image->layer_count; i++)
        out->image.size += layers[i].size;
    return 0;
}

/* 1: every layer of a stored manifest is there and is what the config says. */
static int layers_agree(dv_load *l, const davit_manifest *m, const davit_image_config *config,
                        davit_error **err)
{
    size_t count, diff_id_count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    const davit_digest *diff_ids = davit_image_config_diff_ids(config, &diff_id_count);
    int r = count == diff_id_count;
    for (size_t i = 0; r == 1 && i < count; i++) {
        davit_digest got;
        r = is_stored(l, &layers[i], err);
        if (r == 1)
            r = dv_layer_diff_id(l->client, l->store, &layers[i], &got, NULL) < 0
                    ? 0
                    : davit_digest_equal(&got, &diff_ids[i]);
    }
    return r;
}

/* 1: this row of the store has it whole. */
static int try_stored(dv_load *l, const dv_image_row *row, const davit_image_config *config, dv_load_row *out,
                      davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_manifest) m = NULL;
    const davit_descriptor manifest = {.media_type = "", .digest = row->manifest, .size = DAVIT_SIZE_UNKNOWN};
    const davit_descriptor id = {.media_type = "", .digest = row->config, .size = DAVIT_SIZE_UNKNOWN};
    int r = is_stored(l, &manifest, err);
    if (r == 1)
        r = is_stored(l, &id, err);
    if (r < 1)
        return r;
    if (dv_content_read(l->store, &row->manifest, DAVIT_MANIFEST_MAX, &bytes, NULL) < 0 ||
        davit_manifest_parse(dv_buf_text(&bytes), bytes.size, NULL, &m, NULL) < 0)
        return 0;
    r = layers_agree(l, m, config, err);
    if (r < 1)
        return r;
    out->image = *row;
    out->image.index = (davit_digest){.algorithm = DAVIT_DIGEST_NONE};
    out->manifest = (davit_descriptor){.media_type = dv_media_type_intern(davit_manifest_media_type(m)),
                                       .digest = row->manifest,
                                       .size = bytes.size};
    return out->manifest.media_type != NULL;
}

/* 1: the store has this image already, perhaps as a registry gave it: its layers here would be a second copy. */
static int find_stored(dv_load *l, const davit_image_config *config, dv_load_row *out, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    const davit_digest *id = davit_image_config_id(config);
    int r = dv_image_store_by_id(l->store, davit_digest_hex(id), &rows, err);
    for (size_t i = 0; r == 0 && i < rows.count; i++)
        if (davit_digest_equal(&rows.items[i].config, id))
            r = try_stored(l, &rows.items[i], config, out, err);
    return r;
}

/* 1: the archive has a manifest of it. */
static int find_in_archive(const dv_load *l, const davit_digest *id, dv_load_row *out)
{
    for (size_t i = 0; i < l->loaded->target_count; i++) {
        const dv_load_target *t = &l->loaded->targets[i];
        for (size_t k = 0; k < t->row_count; k++) {
            if (davit_digest_equal(&t->rows[k].image.config, id)) {
                *out = t->rows[k];
                out->image.index = (davit_digest){.algorithm = DAVIT_DIGEST_NONE};
                return 1;
            }
        }
    }
    return 0;
}

/* The OCI part's own target of this name, an index perhaps, when this image is in it. */
static const dv_load_target *find_named(const dv_load *l, const char *reference, const davit_digest *id)
{
    for (size_t i = 0; i < l->loaded->target_count; i++) {
        const dv_load_target *t = &l->loaded->targets[i];
        if (!t->reference || strcmp(davit_reference_text(t->reference), reference) != 0)
            continue;
        for (size_t k = 0; k < t->row_count; k++)
            if (davit_digest_equal(&t->rows[k].image.config, id))
                return t;
    }
    return NULL;
}

/* What the OCI part says of this image is said by manifest.json now. */
static void replace(dv_load *l, const davit_digest *id, size_t until)
{
    for (size_t i = 0; i < until; i++)
        for (size_t k = 0; k < l->loaded->targets[i].row_count; k++)
            if (davit_digest_equal(&l->loaded->targets[i].rows[k].image.config, id))
                l->loaded->targets[i].replaced = true;
}

static int parse_tag(const char *text, davit_reference **out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = davit_reference_parse(text, &ref, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r == 0 && davit_reference_tag(ref) && !davit_reference_digest_text(ref)) {
        *out = DV_STEAL(ref);
        return 0;
    }
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(4096);
    dv_str_quote(&shown, text, strnlen(text, 512));
    return dv_error_set(err, DAVIT_EFORMAT, "invalid tag %s%s%s", dv_buf_text(&shown), why ? ": " : "",
                        why ? davit_error_message(why) : "");
}

static int add_one(dv_load *l, const char *tag, const dv_load_row *chosen, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    dv_load_target *t = NULL;
    int r = tag ? parse_tag(tag, &ref, err) : 0;
    if (r == 0)
        r = dv_load_add_target(l, &t, err);
    if (r < 0)
        return r;
    const dv_load_target *named =
        ref ? find_named(l, davit_reference_text(ref), &chosen->image.config) : NULL;
    t->reference = DV_STEAL(ref);
    t->image_id = chosen->image.config;
    t->target = named ? named->target : chosen->manifest;
    if (!named)
        return dv_load_add_row(t, chosen, err);
    for (size_t k = 0; r == 0 && k < named->row_count; k++)
        r = dv_load_add_row(t, &named->rows[k], err);
    return r;
}

int dv_load_add_image(dv_load *l, const dv_load_image *image, davit_error **err)
{
    dv_load_row chosen = {0};
    const davit_digest *id = davit_image_config_id(image->config);
    size_t before = l->loaded->target_count;
    int r = find_in_archive(l, id, &chosen);
    if (r == 0)
        r = find_stored(l, image->config, &chosen, err);
    if (r == 0)
        r = make_manifest(l, image, &chosen, err);
    for (size_t i = 0; r >= 0 && i < image->tag_count; i++)
        r = add_one(l, image->tags[i], &chosen, err);
    if (r >= 0 && image->tag_count == 0)
        r = add_one(l, NULL, &chosen, err);
    if (r < 0)
        return r;
    replace(l, id, before);
    l->loaded->last_tags = image->tag_count;
    return dv_load_add_id(l, id, err);
}
