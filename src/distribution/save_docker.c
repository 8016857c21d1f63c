/*
 * distribution/save_docker.c - images as `docker save` writes them (store.md 10). A header needs a layer's inflated size, so each compressed layer
 * is inflated twice: first for its size and diff_id, on all processors, then into the archive. Layers that are stored plain pass once.
 */
#include "distribution/save_private.h"

#include "archive/docker_archive.h"
#include "archive/oci_layout.h"
#include "davit/image_config.h"
#include "distribution/layer_read.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "store/content_store.h"
#include "util/clock.h"

#include <string.h>

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

#define DOCUMENTS_MAX (32u << 20) /* bytes of all configs, v1 json and manifests in one archive */

/* A stored layer; by several images perhaps. */
typedef struct layer {
    dv_work work;
    dv_node done; /* into the queue of whoever waits */
    const dv_save *save;
    dv_queue *ended;
    davit_descriptor blob; /* media type "" */
    davit_digest diff_id;  /* what the config says */
    dv_layer_facts facts;
    int result;
    davit_error *err;
} layer;

typedef struct image {
    davit_image_config *config;
    size_t *layers; /* numbers, bottom first */
    size_t layer_count;
    char **tags;
    size_t tag_count;
    int64_t created_s;
} image;

typedef struct docker {
    const dv_save *save;
    image *images;
    size_t image_count;
    layer **layers;
    size_t layer_count;
    dv_save_list list;
    uint64_t documents; /* bytes in list */
} docker;

static void image_clear(image *i)
{
    davit_image_config_free(i->config);
    for (size_t k = 0; k < i->tag_count; k++)
        free(i->tags[k]);
    free(i->tags);
    free(i->layers);
}

static void docker_clear(docker *d)
{
    for (size_t i = 0; i < d->image_count; i++)
        image_clear(&d->images[i]);
    for (size_t i = 0; i < d->layer_count; i++) {
        davit_error_free(d->layers[i]->err);
        free(d->layers[i]);
    }
    free(d->images);
    free(d->layers);
    dv_save_list_clear(&d->list);
}
DV_DEFINE_AUTO(docker, docker_clear)

/* --- which images ------------------------------------------------------------------------------------------------------------------- */

static bool is_host(const davit_platform *p)
{
    davit_platform host;
    davit_platform_host(&host);
    return strcmp(p->os, host.os) == 0 && strcmp(p->architecture, host.architecture) == 0;
}

/* The asked platform's; else the host's, else the first pulled (DESIGN 6). NULL: not there. */
static const dv_image_row *choose(const dv_save *s, const dv_image_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        if (s->options->platform ? dv_save_is_platform(s, &rows->items[i].platform)
                                 : is_host(&rows->items[i].platform))
            return &rows->items[i];
    return s->options->platform ? NULL : &rows->items[0];
}

/* Whether the layer is stored, of its size. */
static int check_stored(const dv_save *s, const davit_descriptor *blob, davit_error **err)
{
    int r = dv_content_has(s->store, &blob->digest, blob->size, err);
    return r == 0  ? dv_error_set(err, DAVIT_ENOTFOUND, "layer %s is not in the store; pull the image again",
                                  blob->digest.text)
           : r < 0 ? r
                   : 0;
}

static int add_layer(docker *d, const davit_descriptor *blob, const davit_digest *diff_id, size_t *out,
                     davit_error **err)
{
    for (size_t i = 0; i < d->layer_count; i++) {
        if (davit_digest_equal(&d->layers[i]->blob.digest, &blob->digest) &&
            davit_digest_equal(&d->layers[i]->diff_id, diff_id)) {
            *out = i;
            return 0;
        }
    }
    int r = check_stored(d->save, blob, err);
    if (r < 0)
        return r;
    layer **grown = dv_realloc_array(d->layers, d->layer_count + 1, sizeof(*grown));
    layer *made = grown ? dv_new(layer) : NULL;
    if (grown)
        d->layers = grown;
    if (!made)
        return dv_error_oom(err);
    *made = (layer){.save = d->save,
                    .blob = {.media_type = "", .digest = blob->digest, .size = blob->size},
                    .diff_id = *diff_id};
    *out = d->layer_count;
    d->layers[d->layer_count++] = made;
    return 0;
}

static int add_layers(docker *d, image *i, const davit_manifest *m, davit_error **err)
{
    size_t count, expected;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    const davit_digest *diff_ids = davit_image_config_diff_ids(i->config, &expected);
    if (expected == 0)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "empty export - not implemented");
    if (count != expected)
        return dv_error_set(err, DAVIT_EFORMAT, "layers from manifest don't match image configuration");
    i->layers = dv_new_array(size_t, count);
    i->layer_count = count;
    int r = i->layers ? 0 : dv_error_oom(err);
    for (size_t k = 0; r == 0 && k < count; k++)
        r = add_layer(d, &layers[k], &diff_ids[k], &i->layers[k], err);
    return r;
}

static int read_config(const dv_save *s, const davit_digest *id, davit_image_config **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    int r = dv_content_read(s->store, id, DAVIT_IMAGE_CONFIG_MAX, &bytes, err);
    return r < 0 ? r : davit_image_config_parse(dv_buf_text(&bytes), bytes.size, out, err);
}

static image *find_image(docker *d, const davit_digest *id)
{
    for (size_t i = 0; i < d->image_count; i++)
        if (davit_digest_equal(davit_image_config_id(d->images[i].config), id))
            return &d->images[i];
    return NULL;
}

static int make_image(docker *d, const dv_image_row *row, image *i, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    int r = dv_save_manifest(d->save, &row->manifest, NULL, &m, err);
    if (r == 0 && !davit_manifest_config(m))
        r = dv_error_set(err, DAVIT_EFORMAT, "manifest %s is none of an image", row->manifest.text);
    if (r == 0)
        r = read_config(d->save, &row->config, &i->config, err);
    if (r == 0)
        r = add_layers(d, i, m, err);
    if (r == 0 && dv_time_parse_rfc3339(davit_image_config_created(i->config), &i->created_s) < 0)
        i->created_s = 0;
    return r;
}

static int add_image(docker *d, const dv_image_row *row, image **out, davit_error **err)
{
    image *known = find_image(d, &row->config);
    image made = {0};
    if (known) {
        *out = known;
        return 0;
    }
    image *grown = dv_realloc_array(d->images, d->image_count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(err);
    d->images = grown;
    int r = make_image(d, row, &made, err);
    if (r < 0) {
        image_clear(&made);
        return r;
    }
    d->images[d->image_count] = made;
    *out = &d->images[d->image_count++];
    return 0;
}

static int add_tag(image *i, const char *tag, davit_error **err)
{
    char **grown = dv_realloc_array(i->tags, i->tag_count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(err);
    i->tags = grown;
    i->tags[i->tag_count] = dv_strdup(tag);
    if (!i->tags[i->tag_count])
        return dv_error_oom(err);
    i->tag_count++;
    return 0;
}

static int add_name(docker *d, const dv_save_name *name, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    image *i = NULL;
    int r = dv_save_rows(d->save, name, &rows, err);
    if (r < 0)
        return r;
    const dv_image_row *row = choose(d->save, &rows);
    if (!row)
        return dv_save_no_platform(d->save, err);
    r = add_image(d, row, &i, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", dv_save_what(name));
    return name->reference ? add_tag(i, davit_reference_familiar(name->reference), err) : 0;
}

/* --- the first pass ---------------------------------------------------------------------------------------------------------------- */

static void measure(dv_work *work)
{
    layer *l = (layer *)work;
    l->result = dv_layer_read(l->save->client, l->save->store, &l->blob, NULL, &l->facts, &l->err);
    dv_queue_push(l->ended, &l->done);
}

/* One that is stored plain needs no look: its digest is its diff_id, and copying checks it. */
static bool is_plain(const layer *l)
{
    return davit_digest_equal(&l->blob.digest, &l->diff_id);
}

static int check_measured(layer *l, davit_error **err)
{
    if (l->result < 0)
        return dv_error_move(err, &l->err, l->result);
    if (davit_digest_equal(&l->facts.diff_id, &l->diff_id))
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "layer %s: its content is %s, and the image says %s",
                        l->blob.digest.text, l->facts.diff_id.text, l->diff_id.text);
}

static int measure_all(docker *d, davit_error **err)
{
    size_t started = 0;
    dv_queue *ended = dv_queue_new();
    if (!ended)
        return dv_error_oom(err);
    for (size_t i = 0; i < d->layer_count; i++) {
        layer *l = d->layers[i];
        l->facts = (dv_layer_facts){.diff_id = l->diff_id, .size = l->blob.size};
        if (is_plain(l))
            continue;
        l->ended = ended;
        l->work.run = measure;
        started++;
        dv_workpool_submit(d->save->client->pool, &l->work);
    }
    for (size_t i = 0; i < started; i++)
        dv_queue_pop(ended, /* timeout_ms= */ -1);
    dv_queue_free(ended);
    int r = 0;
    for (size_t i = 0; r == 0 && i < d->layer_count; i++)
        r = check_measured(d->layers[i], err);
    return r;
}

/* --- the files ---------------------------------------------------------------------------------------------------------------------- */

static int add_bytes(docker *d, const char *name, const void *bytes, size_t size, int64_t mtime_s,
                     davit_error **err)
{
    d->documents += size;
    if (d->documents > DOCUMENTS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %u MiB of configs and manifests for one archive",
                            DOCUMENTS_MAX >> 20);
    const dv_save_entry e = {.size = size, .mtime_s = mtime_s};
    return dv_save_list_add(&d->list, name, bytes, &e, err);
}

static int add_blob(docker *d, const void *bytes, size_t size, int64_t mtime_s, davit_digest *out,
                    davit_error **err)
{
    char path[DV_OCI_BLOB_PATH_MAX];
    int r = davit_digest_of(DAVIT_SHA256, bytes, size, out, err);
    if (r == 0)
        dv_oci_blob_path(out, path);
    return r < 0 ? r : add_bytes(d, path, bytes, size, mtime_s, err);
}

static int add_layer_file(docker *d, const layer *l, int64_t mtime_s, davit_error **err)
{
    char path[DV_OCI_BLOB_PATH_MAX];
    dv_save_entry e = {
        .size = l->facts.size, .mtime_s = mtime_s, .blob = l->blob.digest, .blob_size = l->blob.size};
    dv_oci_blob_path(&l->diff_id, path);
    if (!is_plain(l))
        e.diff_id = l->diff_id;
    return dv_save_list_add(&d->list, path, /* bytes= */ NULL, &e, err);
}

typedef struct v1_user {
    docker *docker;
    int64_t mtime_s;
} v1_user;

static int add_v1(void *user, const void *bytes, size_t size, davit_error **err)
{
    v1_user *u = user;
    davit_digest unused;
    return add_blob(u->docker, bytes, size, u->mtime_s, &unused, err);
}

/* The files of one image, and its manifest for index.json. */
static int add_files(docker *d, const image *i, const dv_docker_image *doc, davit_descriptor *out,
                     davit_error **err)
{
    DV_AUTO(dv_buf) manifest = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    v1_user user = {.docker = d, .mtime_s = i->created_s};
    davit_digest id;
    size_t size;
    const void *bytes = davit_image_config_bytes(i->config, &size);
    int r = add_blob(d, bytes, size, i->created_s, &id, err);
    for (size_t k = 0; r == 0 && k < i->layer_count; k++)
        r = add_layer_file(d, d->layers[i->layers[k]], i->created_s, err);
    if (r == 0)
        r = dv_docker_v1_jsons(doc, add_v1, &user, err);
    if (r == 0)
        r = dv_docker_oci_manifest_format(doc, &manifest, err);
    if (r == 0)
        r = add_blob(d, dv_buf_text(&manifest), manifest.size, /* mtime_s= */ 0, &out->digest, err);
    out->size = manifest.size;
    out->media_type = "application/vnd.oci.image.manifest.v1+json";
    return r;
}

/* --- index.json --------------------------------------------------------------------------------------------------------------------- */

typedef struct entries {
    dv_oci_layout_entry *items;
    davit_reference **references; /* what the items borrow from */
    size_t count;
} entries;

static void entries_clear(entries *e)
{
    for (size_t i = 0; i < e->count; i++)
        davit_reference_free(e->references[i]);
    free(e->references);
    free(e->items);
}
DV_DEFINE_AUTO(entries, entries_clear)

static int entries_init(entries *e, const docker *d, davit_error **err)
{
    size_t most = 1;
    for (size_t i = 0; i < d->image_count; i++)
        most += d->images[i].tag_count;
    e->items = dv_new_array(dv_oci_layout_entry, most);
    e->references = dv_new_array(davit_reference *, most);
    return e->items && e->references ? 0 : dv_error_oom(err);
}

/* One for each tag; an image without any only if nothing was written before it (store.md 10). */
static int add_entries(entries *e, const image *i, const davit_descriptor *manifest, davit_error **err)
{
    if (i->tag_count == 0 && e->count == 0)
        e->items[e->count++] = (dv_oci_layout_entry){.descriptor = *manifest};
    for (size_t k = 0; k < i->tag_count; k++) {
        davit_reference *ref;
        int r = davit_reference_parse(i->tags[k], &ref, err);
        if (r < 0)
            return r;
        e->references[e->count] = ref;
        e->items[e->count++] = (dv_oci_layout_entry){.descriptor = *manifest,
                                                     .image_name = davit_reference_text(ref),
                                                     .ref_name = davit_reference_tag(ref)};
    }
    return 0;
}

/* --- the whole ---------------------------------------------------------------------------------------------------------------------- */

/* The images as their documents want them; everything is borrowed. */
typedef struct documents {
    dv_docker_image *images;
    dv_docker_layer *layers;
} documents;

static void documents_clear(documents *d)
{
    free(d->images);
    free(d->layers);
}
DV_DEFINE_AUTO(documents, documents_clear)

static int documents_init(documents *out, const docker *d, davit_error **err)
{
    size_t count = 0;
    for (size_t i = 0; i < d->image_count; i++)
        count += d->images[i].layer_count;
    out->images = dv_new_array(dv_docker_image, d->image_count);
    out->layers = dv_new_array(dv_docker_layer, count);
    if (!out->images || !out->layers)
        return dv_error_oom(err);
    dv_docker_layer *next = out->layers;
    for (size_t i = 0; i < d->image_count; i++) {
        const image *from = &d->images[i];
        out->images[i] = (dv_docker_image){.config = from->config,
                                           .layers = next,
                                           .layer_count = from->layer_count,
                                           .tags = (const char *const *)from->tags,
                                           .tag_count = from->tag_count};
        for (size_t k = 0; k < from->layer_count; k++) {
            const layer *l = d->layers[from->layers[k]];
            *next++ = (dv_docker_layer){.diff_id = l->diff_id, .size = l->facts.size};
        }
    }
    return 0;
}

static int add_documents(docker *d, const documents *docs, const entries *index, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = dv_docker_manifest_format(docs->images, d->image_count, &text, err);
    if (r == 0)
        r = add_bytes(d, "manifest.json", dv_buf_text(&text), text.size, 0, err);
    dv_buf_reset(&text);
    if (r == 0)
        r = dv_docker_repositories_format(docs->images, d->image_count, &text, err);
    if (r == 0 && text.size > 0)
        r = add_bytes(d, "repositories", dv_buf_text(&text), text.size, 0, err);
    dv_buf_reset(&text);
    if (r == 0)
        r = dv_oci_layout_index_format(index->items, index->count, &text, err);
    if (r == 0)
        r = add_bytes(d, DV_OCI_INDEX_FILE, dv_buf_text(&text), text.size, 0, err);
    if (r == 0)
        r = add_bytes(d, DV_OCI_LAYOUT_FILE, DV_OCI_LAYOUT_TEXT, strlen(DV_OCI_LAYOUT_TEXT), 0, err);
    return r;
}

static int list_files(docker *d, davit_error **err)
{
    DV_AUTO(documents) docs = {0};
    DV_AUTO(entries) index = {0};
    int r = documents_init(&docs, d, err);
    if (r == 0)
        r = entries_init(&index, d, err);
    for (size_t i = 0; r == 0 && i < d->image_count; i++) {
        davit_descriptor manifest = {0};
        r = add_files(d, &d->images[i], &docs.images[i], &manifest, err);
        if (r == 0)
            r = add_entries(&index, &d->images[i], &manifest, err);
    }
    return r < 0 ? r : add_documents(d, &docs, &index, err);
}

int dv_save_docker(const dv_save *s, davit_error **err)
{
    DV_AUTO(docker) d = {.save = s};
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->name_count; i++)
        r = add_name(&d, &s->names[i], err);
    if (r == 0)
        r = measure_all(&d, err);
    if (r == 0)
        r = list_files(&d, err);
    if (r < 0)
        return r;
    dv_save_list_sort(&d.list);
    return dv_save_write(s, &d.list, err);
}
