/*
 * distribution/target_docker_archive.c - one image into a docker-archive (store.md 10). Layers are inflated on the way and checked against the
 * config; how long one is is known at its end, so its header is written then, into the room that was left for it.
 */
#include "distribution/target_archive.h"

#include "archive/compress.h"
#include "archive/diff_id.h"
#include "archive/docker_archive.h"
#include "archive/oci_layout.h"
#include "archive/tar.h"
#include "davit/image_config.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/reference.h"
#include "util/file.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

#define HEADER_SIZE 512 /* what a name of ours and a size of less than 8 GiB need */

/* What a blob turned out to be. */
typedef struct written_layer {
    davit_digest blob;
    dv_docker_layer layer;
} written_layer;

typedef struct docker_target {
    dv_target_archive archive; /* first */
    davit_digest config_digest;
    dv_buf config;
    written_layer *layers;
    size_t layer_count;
} docker_target;

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

static void docker_close(dv_target *t)
{
    docker_target *d = (docker_target *)t;
    dv_target_archive_clear(&d->archive);
    dv_buf_clear(&d->config);
    free(d->layers);
    free(d);
}

static int docker_begin(dv_target *t, const dv_copy_plan *plan, const char *name, bool alone,
                        davit_error **err)
{
    docker_target *d = (docker_target *)t;
    const davit_manifest *m = dv_copy_plan_root(plan)->manifest;
    size_t count;
    (void)name, (void)alone;
    if (!m || davit_manifest_is_index(m) ||
        dv_media_type_check_config(davit_manifest_config(m)->media_type, NULL, NULL) < 0)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "a docker archive holds images only, and %s is none",
                            dv_copy_plan_root(plan)->descriptor.digest.text);
    davit_manifest_layers(m, &count);
    d->config_digest = davit_manifest_config(m)->digest;
    d->layers = dv_new_array(written_layer, plan->blob_count);
    if (!d->layers)
        return dv_error_oom(err);
    return dv_target_archive_begin(&d->archive, err);
}

/* --- the config, which is kept in memory ---------------------------------------------------------------------------------------------- */

typedef struct docker_blob {
    dv_sink sink;
    docker_target *to;
    davit_digest digest;
    dv_sink *first; /* of the chain; NULL: the config */
    dv_inflate *inflate;
    dv_diff_id_sink diff_id;
    dv_sink out; /* the end of the chain */
    uint64_t header_at;
} docker_blob;

static int blob_write(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    docker_blob *b = (docker_blob *)sink;
    if (b->first)
        return dv_sink_write(b->first, bytes, size, err);
    dv_buf_append(&b->to->config, bytes, size);
    return b->to->config.failed
               ? dv_error_set(err, b->to->config.failed, "the image configuration is too long")
               : 0;
}

static int blob_finish(dv_sink *sink, davit_error **err)
{
    (void)sink, (void)err;
    return 0;
}

/* --- layers ------------------------------------------------------------------------------------------------------------------------------ */

static int out_write(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    docker_blob *b = (docker_blob *)((char *)sink - offsetof(docker_blob, out));
    return dv_sink_write(&b->to->archive.file.sink, bytes, size, err);
}

static int open_layer(docker_blob *b, davit_error **err)
{
    static const char room[HEADER_SIZE];
    const dv_inflate_options options = {.allow_old = true};
    b->out = (dv_sink){.write = out_write, .finish = blob_finish};
    b->header_at = b->to->archive.file.size;
    int r = dv_diff_id_init(&b->diff_id, &b->out, err);
    if (r == 0)
        r = dv_inflate_new(&options, &b->diff_id.sink, &b->inflate, err);
    if (r == 0)
        r = dv_sink_write(&b->to->archive.file.sink, room, sizeof(room), err);
    if (r == 0)
        b->first = dv_inflate_sink(b->inflate);
    return r;
}

static void blob_free(docker_blob *b)
{
    dv_inflate_free(b->inflate);
    dv_diff_id_clear(&b->diff_id);
    free(b);
}

static int docker_blob_open(dv_target *t, const davit_descriptor *blob, dv_sink **out, davit_error **err)
{
    docker_blob *b = dv_new(docker_blob);
    if (!b)
        return dv_error_oom(err);
    *b = (docker_blob){.sink = {.write = blob_write, .finish = blob_finish},
                       .to = (docker_target *)t,
                       .digest = blob->digest};
    int r = davit_digest_equal(&blob->digest, &b->to->config_digest) ? 0 : open_layer(b, err);
    if (r < 0) {
        blob_free(b);
        return r;
    }
    *out = &b->sink;
    return 0;
}

typedef struct memory_sink {
    dv_sink sink;
    dv_buf bytes;
} memory_sink;

static int memory_write(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    memory_sink *m = (memory_sink *)sink;
    dv_buf_append(&m->bytes, bytes, size);
    return m->bytes.failed
               ? dv_error_set(err, DAVIT_EUNSUPPORTED,
                              "a layer of 8 GiB and more does not go into a docker archive on the way; "
                              "pull the image and save it")
               : 0;
}

/* Into the room that was left. */
static int write_header(docker_blob *b, const written_layer *w, davit_error **err)
{
    memory_sink memory = {.sink = {.write = memory_write, .finish = blob_finish},
                          .bytes = DV_BUF_INIT(HEADER_SIZE)};
    char path[DV_OCI_BLOB_PATH_MAX];
    const dv_tar_entry header = {.type = DV_TAR_FILE,
                                 .name = dv_oci_blob_path(&w->layer.diff_id, path),
                                 .link = "",
                                 .size = w->layer.size,
                                 .mode = 0644,
                                 .mtime = {.s = 0, .set = true}};
    int r = dv_tar_write_header(&memory.sink, &header, err);
    if (r == 0) {
        int written =
            dv_pwrite_all(b->to->archive.file.fd, memory.bytes.data, memory.bytes.size, b->header_at);
        r = written < 0 ? dv_error_file(err, -written, "cannot write %s", b->to->archive.target.place->path)
                        : 0;
    }
    dv_buf_clear(&memory.bytes);
    return r;
}

static int end_layer(docker_blob *b, davit_error **err)
{
    docker_target *d = b->to;
    written_layer *w = &d->layers[d->layer_count];
    int r = dv_sink_finish(b->first, err);
    if (r < 0)
        return dv_error_wrap(err, r, "layer %s", b->digest.text);
    w->blob = b->digest;
    w->layer.size = b->diff_id.size;
    dv_diff_id_get(&b->diff_id, &w->layer.diff_id);
    r = dv_tar_write_padding(&d->archive.file.sink, w->layer.size, err);
    if (r == 0)
        r = write_header(b, w, err);
    d->layer_count += r == 0;
    return r;
}

static int docker_blob_end(dv_target *t, dv_sink *sink, bool good, davit_error **err)
{
    docker_blob *b = (docker_blob *)sink;
    int r = good && b->first ? end_layer(b, err) : 0;
    if (good && r == 0)
        r = dv_digest_set_add(&((docker_target *)t)->archive.written, &b->digest, NULL, err);
    blob_free(b);
    return r < 0 ? r : 0;
}

static int docker_put_document(dv_target *t, const dv_copy_document *d, davit_error **err)
{
    (void)t, (void)d, (void)err;
    return 0; /* a docker archive has a list of its own */
}

/* --- the list ------------------------------------------------------------------------------------------------------------------------------ */

static const dv_docker_layer *find_layer(const docker_target *d, const davit_digest *blob)
{
    for (size_t i = 0; i < d->layer_count; i++)
        if (davit_digest_equal(&d->layers[i].blob, blob))
            return &d->layers[i].layer;
    return NULL;
}

/* The layers in order, each what the config says (threats B7). */
static int order_layers(const docker_target *d, const davit_manifest *m, const davit_image_config *config,
                        dv_docker_layer *out, davit_error **err)
{
    size_t count, expected_count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    const davit_digest *expected = davit_image_config_diff_ids(config, &expected_count);
    if (count != expected_count)
        return dv_error_set(err, DAVIT_EFORMAT, "layers from manifest don't match image configuration");
    for (size_t i = 0; i < count; i++) {
        const dv_docker_layer *layer = find_layer(d, &layers[i].digest);
        if (!layer)
            return dv_error_set(err, DAVIT_ENOTFOUND, "layer %s is not there, and a docker archive needs it",
                                layers[i].digest.text);
        if (!davit_digest_equal(&layer->diff_id, &expected[i]))
            return dv_error_set(err, DAVIT_EDIGEST, "layer %s: its content is %s, and the image says %s",
                                layers[i].digest.text, layer->diff_id.text, expected[i].text);
        out[i] = *layer;
    }
    return 0;
}

static int put_list(docker_target *d, const dv_docker_image *image, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_DOCKER_MANIFEST_MAX);
    DV_AUTO(dv_buf) repositories = DV_BUF_INIT(DV_DOCKER_MANIFEST_MAX);
    char path[DV_OCI_BLOB_PATH_MAX];
    int r = dv_docker_manifest_format(image, 1, &text, err);
    if (r == 0)
        r = dv_docker_repositories_format(image, 1, &repositories, err);
    if (r == 0)
        r = dv_target_archive_put(&d->archive, dv_oci_blob_path(&d->config_digest, path),
                                  dv_buf_text(&d->config), d->config.size, err);
    if (r == 0)
        r = dv_target_archive_put(&d->archive, "manifest.json", dv_buf_text(&text), text.size, err);
    if (r == 0 && repositories.size > 0)
        r = dv_target_archive_put(&d->archive, "repositories", dv_buf_text(&repositories), repositories.size,
                                  err);
    return r;
}

static int docker_tag(dv_target *t, const dv_copy_plan *plan, const char *name, davit_error **err)
{
    docker_target *d = (docker_target *)t;
    const davit_manifest *m = dv_copy_plan_root(plan)->manifest;
    DV_AUTOPTR(davit_image_config) config = NULL;
    DV_AUTOPTR(davit_reference) tagged = NULL;
    size_t count;
    (void)name;
    davit_manifest_layers(m, &count);
    DV_AUTOFREE dv_docker_layer *layers = dv_new_array(dv_docker_layer, count);
    if (!layers)
        return dv_error_oom(err);
    int r = davit_image_config_parse(dv_buf_text(&d->config), d->config.size, &config, err);
    if (r == 0)
        r = order_layers(d, m, config, layers, err);
    if (r == 0 && t->place->reference)
        r = davit_reference_tag_name_only(t->place->reference, &tagged, err);
    if (r < 0)
        return r;
    const char *tag = tagged ? davit_reference_familiar(tagged) : NULL;
    return put_list(
        d,
        &(dv_docker_image){
            .config = config, .layers = layers, .layer_count = count, .tags = &tag, .tag_count = tag != NULL},
        err);
}

static int docker_finish(dv_target *t, davit_error **err)
{
    docker_target *d = (docker_target *)t;
    return d->archive.begun ? dv_target_archive_finish(&d->archive, err) : 0;
}

static const dv_target_ops docker_ops = {
    .resolve = dv_target_archive_resolve,
    .has_blob = dv_target_archive_has_blob,
    .begin = docker_begin,
    .blob_open = docker_blob_open,
    .blob_end = docker_blob_end,
    .put_document = docker_put_document,
    .tag = docker_tag,
    .finish = docker_finish,
    .close = docker_close,
};

int dv_target_docker_archive_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err)
{
    if (place->reference && davit_reference_digest_text(place->reference))
        return dv_error_set(err, DAVIT_EINVAL, "%s: a name is written, not a digest", place->path);
    docker_target *d = dv_new(docker_target);
    if (!d)
        return dv_error_oom(err);
    d->config = (dv_buf)DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    int r = dv_target_archive_init(&d->archive, &docker_ops, c, place, err);
    d->archive.target.one_image = d->archive.target.one_name = true;
    if (r < 0) {
        docker_close(&d->archive.target);
        return r;
    }
    *out = &d->archive.target;
    return 0;
}
