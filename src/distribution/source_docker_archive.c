/*
 * distribution/source_docker_archive.c - one image of a docker-archive (store.md 10). Its layers are given as they lie in the archive, plain as a rule:
 * nothing is compressed on the way, so config and diff_ids stay what they are.
 *
 * The manifest is the archive's own where index.json names one for the same config; else it is made here, and always the same.
 */
#include "distribution/source.h"

#include "archive/archive_file.h"
#include "archive/compress.h"
#include "archive/docker_archive.h"
#include "davit/image_config.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/reference.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MANIFEST_FILE "manifest.json"
#define READ_SIZE (128u << 10) /* bytes at once */
#define SHOWN_NAMES 10         /* in a message */

/* A blob and where it lies. */
typedef struct part {
    davit_descriptor descriptor;
    dv_archive_range range;
} part;

typedef struct docker_source {
    dv_source source;
    dv_archive_file *file;
    dv_docker_manifest list;
    part *parts; /* config, then layers */
    size_t part_count;
    dv_buf manifest; /* made here; empty when the archive has its own */
    davit_descriptor target;
    bool chosen;
} docker_source;

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

static void docker_close(dv_source *s)
{
    docker_source *d = (docker_source *)s;
    dv_archive_file_close(d->file);
    dv_docker_manifest_clear(&d->list);
    dv_buf_clear(&d->manifest);
    free(d->parts);
    free(d);
}

/* --- which image ------------------------------------------------------------------------------------------------------------------ */

static bool has_tag(const dv_docker_item *item, const davit_reference *ref)
{
    for (size_t i = 0; i < item->tags.count; i++) {
        DV_AUTOPTR(davit_reference) tag = NULL;
        if (davit_reference_parse(item->tags.items[i], &tag, NULL) == 0 &&
            strcmp(davit_reference_text(tag), davit_reference_text(ref)) == 0)
            return true;
    }
    return false;
}

static int say_names(const docker_source *d, davit_error **err)
{
    DV_AUTO(dv_buf) names = DV_BUF_INIT(4096);
    const dv_place *place = d->source.place;
    size_t shown = 0;
    for (size_t i = 0; i < d->list.count; i++)
        for (size_t k = 0; k < d->list.items[i].tags.count && shown < SHOWN_NAMES; k++)
            dv_buf_printf(&names, "%s%.100s", shown++ ? ", " : "", d->list.items[i].tags.items[k]);
    if (place->reference)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s: no image \"%s\" there; it has: %s", place->path,
                            place->name, shown ? dv_buf_text(&names) : "none with a name");
    return dv_error_set(err, DAVIT_EINVAL, "%s has %zu images, name one: %s", place->path, d->list.count,
                        shown ? dv_buf_text(&names) : "none has a name");
}

static int find_item(const docker_source *d, const dv_docker_item **out, davit_error **err)
{
    const dv_place *place = d->source.place;
    DV_AUTOPTR(davit_reference) wanted = NULL;
    if (place->reference && davit_reference_tag_name_only(place->reference, &wanted, err) < 0)
        return davit_error_code(err ? *err : NULL) ? davit_error_code(*err) : DAVIT_ENOMEM;
    for (size_t i = 0; wanted && i < d->list.count; i++) {
        if (has_tag(&d->list.items[i], wanted)) {
            *out = &d->list.items[i];
            return 0;
        }
    }
    if (wanted || d->list.count != 1)
        return say_names(d, err);
    *out = &d->list.items[0];
    return 0;
}

/* --- its parts ------------------------------------------------------------------------------------------------------------------- */

static int hash_range(const docker_source *d, const dv_archive_range *range, davit_digest *out,
                      davit_error **err)
{
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(DAVIT_SHA256);
    DV_AUTOFREE char *bytes = malloc(READ_SIZE);
    if (!hash || !bytes)
        return dv_error_oom(err);
    for (uint64_t at = 0; at < range->size;) {
        size_t wanted = range->size - at < READ_SIZE ? (size_t)(range->size - at) : READ_SIZE;
        ssize_t n = dv_pread_all(dv_archive_file_fd(d->file), bytes, wanted, range->first + at);
        int r = dv_client_check_cancelled(d->source.client, err);
        if (r < 0)
            return r;
        if (n <= 0)
            return dv_error_file(err, n < 0 ? (int)-n : EIO, "cannot read %s", d->source.place->path);
        dv_hash_update(hash, bytes, (size_t)n);
        at += (uint64_t)n;
    }
    dv_hash_final(hash, out);
    return 0;
}

/* A plain layer is called by its diff_id, which whoever reads it checks; of a compressed one the digest is learnt now. */
static int describe_layer(const docker_source *d, const davit_digest *diff_id, part *p, davit_error **err)
{
    char magic[DV_COMPRESSION_MAGIC];
    size_t size = p->range.size < sizeof(magic) ? (size_t)p->range.size : sizeof(magic);
    ssize_t n = dv_pread_all(dv_archive_file_fd(d->file), magic, size, p->range.first);
    if (n < 0)
        return dv_error_file(err, (int)-n, "cannot read %s", d->source.place->path);
    p->descriptor = (davit_descriptor){.digest = *diff_id, .size = p->range.size};
    switch (dv_compression_detect(magic, (size_t)n)) {
    case DV_COMPRESSION_NONE:
        p->descriptor.media_type = DV_MEDIA_TYPE_OCI_LAYER;
        return 0;
    case DV_COMPRESSION_GZIP:
        p->descriptor.media_type = DV_MEDIA_TYPE_OCI_LAYER_GZIP;
        return hash_range(d, &p->range, &p->descriptor.digest, err);
    case DV_COMPRESSION_ZSTD:
        p->descriptor.media_type = DV_MEDIA_TYPE_OCI_LAYER_ZSTD;
        return hash_range(d, &p->range, &p->descriptor.digest, err);
    default:
        return dv_error_set(err, DAVIT_EUNSUPPORTED,
                            "a layer packed as %s has no place in a manifest: load it",
                            dv_compression_name(dv_compression_detect(magic, (size_t)n)));
    }
}

static int find_part(const docker_source *d, const char *path, part *out, davit_error **err)
{
    int r = dv_archive_file_find(d->file, path, &out->range, err);
    if (r == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, MANIFEST_FILE ": the archive has no file \"%.200s\"", path);
    return r < 0 ? r : 0;
}

static int read_config(docker_source *d, const dv_docker_item *item, davit_image_config **out,
                       davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    int r = find_part(d, item->config, &d->parts[0], err);
    if (r == 0)
        r = dv_archive_file_read(d->file, item->config, DAVIT_IMAGE_CONFIG_MAX, &bytes, err);
    if (r == 0)
        r = davit_image_config_parse(dv_buf_text(&bytes), bytes.size, out, err);
    if (r < 0)
        return r;
    d->parts[0].descriptor = (davit_descriptor){
        .media_type = DV_MEDIA_TYPE_OCI_CONFIG, .digest = *davit_image_config_id(*out), .size = bytes.size};
    return 0;
}

static int read_parts(docker_source *d, const dv_docker_item *item, davit_error **err)
{
    DV_AUTOPTR(davit_image_config) config = NULL;
    size_t count;
    d->parts = dv_new_array(part, item->layers.count + 1);
    if (!d->parts)
        return dv_error_oom(err);
    int r = read_config(d, item, &config, err);
    if (r < 0)
        return r;
    const davit_digest *diff_ids = davit_image_config_diff_ids(config, &count);
    if (count != item->layers.count)
        return dv_error_set(err, DAVIT_EFORMAT,
                            "invalid manifest, layers length mismatch: expected %zu, got %zu",
                            item->layers.count, count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = find_part(d, item->layers.items[i], &d->parts[i + 1], err);
        if (r == 0)
            r = describe_layer(d, &diff_ids[i], &d->parts[i + 1], err);
    }
    d->part_count = count + 1;
    return r;
}

/* --- its manifest ------------------------------------------------------------------------------------------------------------------ */

static const part *find_blob(const docker_source *d, const davit_digest *digest)
{
    for (size_t i = 0; i < d->part_count; i++)
        if (davit_digest_equal(&d->parts[i].descriptor.digest, digest))
            return &d->parts[i];
    return NULL;
}

static bool is_of_parts(const docker_source *d, const davit_manifest *m)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    if (davit_manifest_is_index(m) || count + 1 != d->part_count ||
        !davit_digest_equal(&davit_manifest_config(m)->digest, &d->parts[0].descriptor.digest))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!davit_digest_equal(&layers[i].digest, &d->parts[i + 1].descriptor.digest) ||
            layers[i].size != d->parts[i + 1].descriptor.size)
            return false;
    return true;
}

/* Whether this entry of index.json is a manifest of just these parts. */
static bool is_own_manifest(docker_source *d, const davit_descriptor *entry)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_manifest) m = NULL;
    char path[DV_OCI_BLOB_PATH_MAX];
    if (dv_archive_file_read(d->file, dv_oci_blob_path(&entry->digest, path), DAVIT_MANIFEST_MAX, &bytes,
                             NULL) < 0 ||
        davit_manifest_parse(dv_buf_text(&bytes), bytes.size, entry->media_type, &m, NULL) < 0 ||
        !davit_digest_equal(davit_manifest_digest(m), &entry->digest) || !is_of_parts(d, m))
        return false;
    d->target = (davit_descriptor){
        .media_type = davit_manifest_media_type(m), .digest = entry->digest, .size = bytes.size};
    return true;
}

static bool find_own_manifest(docker_source *d)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTO(dv_oci_layout_index) index = {0};
    if (dv_archive_file_read(d->file, DV_OCI_INDEX_FILE, DAVIT_MANIFEST_MAX, &text, NULL) < 0 ||
        dv_oci_layout_index_parse(dv_buf_text(&text), text.size, &index, NULL) < 0)
        return false;
    for (size_t i = 0; i < index.count; i++)
        if (is_own_manifest(d, &index.entries[i].descriptor))
            return true;
    return false;
}

static int make_manifest(docker_source *d, davit_error **err)
{
    DV_AUTOFREE davit_descriptor *layers = dv_new_array(davit_descriptor, d->part_count);
    if (!layers)
        return dv_error_oom(err);
    for (size_t i = 1; i < d->part_count; i++)
        layers[i - 1] = d->parts[i].descriptor;
    int r = dv_oci_manifest_format(&d->parts[0].descriptor, layers, d->part_count - 1, &d->manifest, err);
    if (r < 0)
        return r;
    d->target.media_type = DV_MEDIA_TYPE_OCI_MANIFEST;
    d->target.size = d->manifest.size;
    return davit_digest_of(DAVIT_SHA256, dv_buf_text(&d->manifest), d->manifest.size, &d->target.digest, err);
}

/* --- the table ----------------------------------------------------------------------------------------------------------------------- */

static int docker_resolve(dv_source *s, const char *name, davit_descriptor *out, davit_error **err)
{
    docker_source *d = (docker_source *)s;
    const dv_docker_item *item;
    if (name)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s: no image \"%s\" there", s->place->path, name);
    int r = d->chosen ? 0 : find_item(d, &item, err);
    if (r == 0 && !d->chosen)
        r = read_parts(d, item, err);
    if (r == 0 && !d->chosen && !find_own_manifest(d))
        r = make_manifest(d, err);
    if (r < 0)
        return dv_str_starts(davit_error_message(err ? *err : NULL), s->place->path)
                   ? r
                   : dv_error_wrap(err, r, "%s", s->place->path);
    d->chosen = true;
    *out = d->target;
    return 0;
}

static int docker_document(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err)
{
    docker_source *d = (docker_source *)s;
    char path[DV_OCI_BLOB_PATH_MAX];
    if (d->manifest.size == 0 || !davit_digest_equal(&desc->digest, &d->target.digest))
        return dv_archive_file_read(d->file, dv_oci_blob_path(&desc->digest, path), DAVIT_MANIFEST_MAX, out,
                                    err);
    dv_buf_append(out, dv_buf_text(&d->manifest), d->manifest.size);
    return out->failed ? dv_error_oom(err) : 0;
}

static int docker_has_blob(dv_source *s, const davit_descriptor *blob, davit_error **err)
{
    (void)err;
    return find_blob((docker_source *)s, &blob->digest) != NULL;
}

static int docker_open_blob(dv_source *s, const davit_descriptor *blob, int *out_fd, uint64_t *out_first,
                            uint64_t *out_size, davit_error **err)
{
    const docker_source *d = (docker_source *)s;
    const part *p = find_blob(d, &blob->digest);
    if (!p)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s has no blob %s", s->place->path, blob->digest.text);
    int fd = fcntl(dv_archive_file_fd(d->file), F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot read %s", s->place->path);
    *out_fd = fd;
    *out_first = p->range.first;
    *out_size = p->range.size;
    return 0;
}

static const dv_source_ops docker_ops = {
    .resolve = docker_resolve,
    .document = docker_document,
    .has_blob = docker_has_blob,
    .open_blob = docker_open_blob,
    .close = docker_close,
};

static int check_cancelled(void *user, davit_error **err)
{
    return dv_client_check_cancelled(user, err);
}

static int read_list(docker_source *d, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_DOCKER_MANIFEST_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_archive_file_read(d->file, MANIFEST_FILE, DV_DOCKER_MANIFEST_MAX, &text, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_EFORMAT,
                            "%s is no docker archive with a " MANIFEST_FILE "; davit load reads older ones",
                            d->source.place->path);
    if (r == 0)
        r = dv_docker_manifest_parse(dv_buf_text(&text), text.size, &d->list, &why);
    if (r < 0)
        dv_error_wrap(&why, r, "%s", d->source.place->path);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

int dv_source_docker_archive_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err)
{
    docker_source *d = dv_new(docker_source);
    if (!d)
        return dv_error_oom(err);
    d->source = (dv_source){.ops = &docker_ops, .client = c, .place = place};
    d->manifest = (dv_buf)DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = dv_archive_file_open(place->path, check_cancelled, c, &d->file, err);
    if (r == 0)
        r = read_list(d, err);
    if (r < 0) {
        docker_close(&d->source);
        return r;
    }
    *out = &d->source;
    return 0;
}
