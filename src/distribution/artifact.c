/*
 * distribution/artifact.c - davit_artifact_push() and davit_artifact_attach(): files and the empty config, several at once, then the manifest, which is
 * what makes them visible. Spec: OCI image-spec 1.1, artifacts; registry-v2.md 6, 8.
 */
#include "davit/artifact.h"

#include "distribution/blob_upload.h"
#include "distribution/document.h"
#include "distribution/file_uploads.h"
#include "distribution/registry_write.h"
#include "oci/artifact_manifest.h"
#include "oci/artifact_title.h"
#include "oci/manifest.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* --- files -------------------------------------------------------------------------------------------------------------- */

/* What is open stays open: the bytes that were hashed are those that are sent. */
typedef struct local_file {
    const char *path;
    int fd;
    char *title;
} local_file;

typedef struct local_files {
    local_file *items;
    dv_artifact_layer *layers;
    size_t count;
} local_files;

static void local_files_clear(local_files *f)
{
    for (size_t i = 0; i < f->count; i++) {
        dv_close(&f->items[i].fd);
        free(f->items[i].title);
    }
    free(f->items);
    free(f->layers);
}
DV_DEFINE_AUTO(local_files, local_files_clear)

static int open_regular(const char *path, int *out, davit_error **err)
{
    struct stat st;
    DV_AUTOCLOSE fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0 || fstat(fd, &st) < 0)
        return errno == ENOENT ? dv_error_set(err, DAVIT_ENOTFOUND, "there is no file %s", path)
                               : dv_error_file(err, errno, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return dv_error_set(err, DAVIT_EIO, "%s is no regular file", path);
    *out = fd;
    fd = -1;
    return 0;
}

static int take_file(const davit_artifact_file *from, local_file *to, dv_artifact_layer *layer,
                     davit_error **err)
{
    davit_descriptor d = {.media_type = from->media_type ? from->media_type : DV_ARTIFACT_FILE_TYPE};
    to->path = from->path;
    int r = open_regular(from->path, &to->fd, err);
    if (r == 0)
        r = dv_artifact_title_of_path(from->path, &to->title, err);
    if (r == 0)
        r = dv_file_digest(to->fd, from->path, DAVIT_SHA256, &d.digest, &d.size, err);
    *layer = (dv_artifact_layer){.descriptor = d, .title = to->title};
    return r;
}

static int check_titles(const local_files *f, davit_error **err)
{
    for (size_t i = 0; i < f->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(f->items[i].title, f->items[k].title) == 0)
                return dv_error_set(err, DAVIT_EINVAL, "%s and %s would both be called %s", f->items[k].path,
                                    f->items[i].path, f->items[i].title);
    return 0;
}

static int open_files(const davit_artifact_options *o, local_files *f, davit_error **err)
{
    if (o->file_count > DAVIT_MANIFEST_LAYERS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "%zu files are too many, at most %d are allowed",
                            o->file_count, DAVIT_MANIFEST_LAYERS_MAX);
    f->items = dv_new_array(local_file, o->file_count + 1);
    f->layers = dv_new_array(dv_artifact_layer, o->file_count + 1);
    if (!f->items || !f->layers)
        return dv_error_oom(err);
    for (size_t i = 0; i < o->file_count; i++) {
        f->items[i].fd = -1;
        f->count = i + 1;
        int r = take_file(&o->files[i], &f->items[i], &f->layers[i], err);
        if (r < 0)
            return r;
    }
    return check_titles(f, err);
}

/* --- sending ------------------------------------------------------------------------------------------------------------ */

/* The files and the empty config. */
static int list_uploads(const local_files *f, dv_file_upload *out, davit_error **err)
{
    for (size_t i = 0; i < f->count; i++) {
        const davit_descriptor *d = &f->layers[i].descriptor;
        out[i] = (dv_file_upload){
            .name = f->items[i].path, .fd = f->items[i].fd, .digest = d->digest, .size = d->size};
    }
    dv_file_upload *empty = &out[f->count];
    *empty = (dv_file_upload){.fd = -1, .bytes = DV_EMPTY_JSON, .size = strlen(DV_EMPTY_JSON)};
    return davit_digest_parse(DV_EMPTY_DIGEST, &empty->digest, err);
}

static bool misses_a_blob(const davit_error *why)
{
    return davit_error_http_status(why) >= 400 && davit_error_http_status(why) < 500 &&
           (dv_str_equal(davit_error_registry_code(why), "MANIFEST_BLOB_UNKNOWN") ||
            strstr(davit_error_message(why), "blob unknown"));
}

/*
 * Blobs, then the manifest. Docker's registry 2 may say that it has a blob, and a moment later that it has not, when others push the same
 * one (the empty one, mostly): then all go again, once.
 */
static int send_all(const dv_file_uploads *blobs, const davit_manifest *m, const char *name,
                    davit_digest *out_digest, davit_error **err)
{
    size_t size;
    const void *bytes = davit_manifest_bytes(m, &size);
    const char *type = davit_manifest_media_type(m);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_file_uploads_run(blobs, err);
    if (r < 0)
        return r;
    r = dv_registry_put_document(blobs->registry, name, m, bytes, size, type, out_digest, &why);
    if (r == 0 || !misses_a_blob(why))
        return dv_error_move(err, &why, r);
    dv_file_uploads again = *blobs;
    again.anew = true;
    r = dv_file_uploads_run(&again, err);
    return r < 0 ? r : dv_registry_put_document(blobs->registry, name, m, bytes, size, type, out_digest, err);
}

static int check_options(const davit_artifact_options *o, davit_error **err)
{
    if (o->version != DAVIT_ARTIFACT_OPTIONS_VERSION)
        return dv_error_set(err, DAVIT_EINVAL, "artifact options of version %u", o->version);
    if (o->flags)
        return dv_error_set(err, DAVIT_EINVAL, "unknown artifact flags %#x", o->flags);
    if (o->file_count == 0 && o->annotation_count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "an artifact needs a file or an annotation");
    return 0;
}

/* name: where the manifest goes; NULL: to its digest. */
static int push(dv_registry *reg, const davit_reference *ref, const davit_artifact_options *o,
                const davit_descriptor *subject, const char *name, davit_digest *out_digest,
                davit_error **err)
{
    DV_AUTO(local_files) files = {.count = 0};
    DV_AUTOPTR(davit_manifest) m = NULL;
    int r = open_files(o, &files, err);
    if (r == 0)
        r = dv_artifact_manifest_build(
            &(dv_artifact){.artifact_type = o->artifact_type ? o->artifact_type : DV_ARTIFACT_TYPE_UNKNOWN,
                           .layers = files.layers,
                           .layer_count = files.count,
                           .subject = subject,
                           .annotations = o->annotations,
                           .annotation_count = o->annotation_count},
            &m, err);
    if (r < 0)
        return r;
    DV_AUTOFREE dv_file_upload *uploads = dv_new_array(dv_file_upload, files.count + 1);
    r = uploads ? list_uploads(&files, uploads, err) : dv_error_oom(err);
    return r < 0 ? r
                 : send_all(&(dv_file_uploads){.registry = reg,
                                               .repository = davit_reference_name(ref),
                                               .files = uploads,
                                               .count = files.count + 1,
                                               .progress = o->progress,
                                               .user_data = o->user_data},
                            m, name ? name : davit_manifest_digest(m)->text, out_digest, err);
}

int davit_artifact_push(davit_client *client, const davit_reference *ref,
                        const davit_artifact_options *options, davit_digest *out_digest, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    int r = check_options(options, err);
    if (r < 0)
        return r;
    if (davit_reference_digest_text(ref))
        return dv_error_set(err, DAVIT_EINVAL, "%s: an artifact is pushed to a tag",
                            davit_reference_familiar(ref));
    r = dv_registry_open_itself(client, ref, "pull,push", &reg, err);
    return r < 0 ? r : push(reg, ref, options, /* subject= */ NULL, dv_document_name(ref), out_digest, err);
}

/* As a descriptor with the digest that the reference has, which need not be a sha256. */
static int find_subject(dv_registry *reg, const davit_reference *ref, const davit_platform *platform,
                        davit_manifest **out_storage, davit_descriptor *out, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    davit_digest pinned;
    size_t size;
    int r = dv_registry_read_document(reg, ref, &m, err);
    bool is_itself = r == 0 && (!platform || !davit_manifest_is_index(m));
    if (r == 0 && !is_itself) {
        davit_manifest *child = NULL;
        r = dv_document_narrow(reg, DV_STEAL(m), platform, &child, err);
        m = child;
    }
    if (r == 0 && is_itself && davit_reference_digest_text(ref))
        r = davit_reference_digest(ref, &pinned, err);
    else if (r == 0)
        pinned = *davit_manifest_digest(m);
    if (r < 0)
        return r;
    davit_manifest_bytes(m, &size);
    *out = (davit_descriptor){.media_type = davit_manifest_media_type(m), .digest = pinned, .size = size};
    *out_storage = DV_STEAL(m);
    return 0;
}

int davit_artifact_attach(davit_client *client, const davit_reference *ref,
                          const davit_artifact_options *options, davit_digest *out_digest, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    DV_AUTOPTR(davit_manifest) storage = NULL;
    davit_descriptor subject;
    int r = check_options(options, err);
    if (r == 0 && !options->artifact_type)
        r = dv_error_set(err, DAVIT_EINVAL, "what is attached needs an artifact type");
    if (r == 0)
        r = dv_registry_open_itself(client, ref, "pull,push", &reg, err);
    if (r == 0)
        r = find_subject(reg, ref, options->platform, &storage, &subject, err);
    return r < 0 ? r : push(reg, ref, options, &subject, /* name= */ NULL, out_digest, err);
}
