/*
 * distribution/artifact_pull.c - davit_artifact_pull(): an artifact's layers become files with the names that it gives them. Spec: threats
 * B2, B6.
 *
 * Titles come from the registry: they are checked as text first (oci/artifact_title.c), then every directory on the way is opened beneath the
 * last one and through no link. A file is written under a name of ours and gets its own when it was right.
 */
#include "davit/artifact.h"

#include "oci/artifact_manifest.h"
#include "oci/artifact_title.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "util/file.h"
#include "util/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MODE 0644

typedef struct pull {
    davit_client *client;
    const davit_reference *ref;
    const davit_artifact_pull_options *options;
    davit_manifest *manifest;
    dv_json *document;
    const char **titles; /* of the layers, in the document */
    const davit_descriptor *layers;
    size_t count;
    const char *directory;
    int root_fd;
    mode_t file_mode, directory_mode;
} pull;

static void pull_clear(pull *p)
{
    davit_manifest_free(p->manifest);
    dv_json_free(p->document);
    free(p->titles);
    dv_close(&p->root_fd);
}
DV_DEFINE_AUTO(pull, pull_clear)

/* --- what there is --------------------------------------------------------------------------------------------------- */

static int check_options(const davit_artifact_pull_options *o, davit_error **err)
{
    if (o->version != DAVIT_ARTIFACT_PULL_OPTIONS_VERSION)
        return dv_error_set(err, DAVIT_EINVAL, "artifact pull options of version %u", o->version);
    if (o->flags & ~DAVIT_ARTIFACT_PULL_FORCE)
        return dv_error_set(err, DAVIT_EINVAL, "unknown artifact pull flags %#x", o->flags);
    if (o->file_mode & ~0777u)
        return dv_error_set(err, DAVIT_EINVAL, "%#o is no mode of a file", o->file_mode);
    return 0;
}

static int fetch_manifest(pull *p, davit_error **err)
{
    int r = davit_registry_get_manifest(p->client, p->ref, p->options->platform, &p->manifest, err);
    if (r < 0)
        return r;
    if (davit_manifest_is_index(p->manifest))
        return dv_error_set(err, DAVIT_EUNSUPPORTED,
                            "%s is an index: name one of its manifests by digest, or a platform",
                            davit_reference_familiar(p->ref));
    p->layers = davit_manifest_layers(p->manifest, &p->count);
    return dv_artifact_titles(p->manifest, &p->document, &p->titles, err);
}

static int check_titles(const pull *p, davit_error **err)
{
    size_t named = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (!p->titles[i])
            continue;
        named++;
        int r = dv_artifact_title_check(p->titles[i], err);
        if (r < 0)
            return dv_error_wrap(err, r, "%s", davit_reference_familiar(p->ref));
        for (size_t k = 0; k < i; k++)
            if (p->titles[k] && strcmp(p->titles[k], p->titles[i]) == 0)
                return dv_error_set(err, DAVIT_EFORMAT, "%s: two layers have the title %s",
                                    davit_reference_familiar(p->ref), p->titles[i]);
    }
    if (named == 0)
        return dv_error_set(err, DAVIT_EUNSUPPORTED,
                            "%s: none of its layers has a title, so there is no file to write",
                            davit_reference_familiar(p->ref));
    return 0;
}

/* --- where it goes ----------------------------------------------------------------------------------------------------- */

static int open_directory(pull *p, davit_error **err)
{
    int r = dv_make_directories(p->directory, p->directory_mode, err);
    if (r < 0)
        return r;
    p->root_fd = open(p->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return p->root_fd < 0 ? dv_error_file(err, errno, "cannot open directory %s", p->directory) : 0;
}

static int open_beneath(int dirfd, const char *name)
{
    return dv_openat2(dirfd, name, O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* fd or -errno: the directory of this name, made if need be and wanted. */
static int enter(const pull *p, int dirfd, const char *name, bool make)
{
    bool made = make && mkdirat(dirfd, name, 0700) == 0;
    if (make && !made && errno != EEXIST)
        return -errno;
    int fd = open_beneath(dirfd, name);
    if (fd >= 0 && made && fchmod(fd, p->directory_mode) < 0) {
        int why = errno;
        close(fd);
        return -why;
    }
    return fd;
}

/* The directory that a title's file is in. *out_base: where the last component starts. fd or -errno. */
static int enter_parent(const pull *p, const char *title, bool make, const char **out_base)
{
    DV_AUTOCLOSE fd = dup(p->root_fd);
    const char *slash;
    while (fd >= 0 && (slash = strchr(title, '/'))) {
        DV_AUTOFREE char *name = dv_strndup(title, (size_t)(slash - title));
        int next = name ? enter(p, fd, name, make) : -ENOMEM;
        if (next < 0)
            return next;
        close(fd);
        fd = next;
        title = slash + 1;
    }
    if (fd < 0)
        return -errno;
    *out_base = title;
    int out = fd;
    fd = -1;
    return out;
}

static int refuse_place(const pull *p, int errnum, const char *title, davit_error **err)
{
    switch (errnum) {
    case EEXIST:
        return dv_error_set(err, DAVIT_EEXIST, "%s/%s is there already", p->directory, title);
    case ELOOP:
    case ENOTDIR:
    case EXDEV:
        return dv_error_set(err, DAVIT_EEXIST, "%s/%s: on the way to it is something that is no directory",
                            p->directory, title);
    case ENOSYS:
    case EPERM:
        return dv_error_set(
            err, DAVIT_EUNSUPPORTED,
            "cannot write %s/%s safely: the system call openat2 is missing or forbidden here (Linux "
            "5.6 or newer has it)",
            p->directory, title);
    default:
        return dv_error_file(err, errnum, "cannot write %s/%s", p->directory, title);
    }
}

/* Nothing is made when some file would be in the way. */
static int check_places(const pull *p, davit_error **err)
{
    if (p->options->flags & DAVIT_ARTIFACT_PULL_FORCE)
        return 0;
    for (size_t i = 0; i < p->count; i++) {
        const char *base = NULL;
        struct stat st;
        if (!p->titles[i])
            continue;
        DV_AUTOCLOSE fd = enter_parent(p, p->titles[i], /* make= */ false, &base);
        if (fd < 0 && fd != -ENOENT)
            return refuse_place(p, -fd, p->titles[i], err);
        if (fd >= 0 && fstatat(fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return refuse_place(p, EEXIST, p->titles[i], err);
    }
    return 0;
}

/* --- one file ------------------------------------------------------------------------------------------------------------ */

typedef struct target {
    const pull *pull;
    const char *title;
    uint64_t size, written;
    int directory_fd, fd;
    char temporary[32]; /* "": none */
    davit_error *err;
} target;

static void target_clear(target *t)
{
    if (t->temporary[0])
        unlinkat(t->directory_fd, t->temporary, 0);
    dv_close(&t->fd);
    dv_close(&t->directory_fd);
    davit_error_free(t->err);
}
DV_DEFINE_AUTO(target, target_clear)

/* A davit_write_fn. */
static int write_piece(const void *bytes, size_t size, void *user_data)
{
    target *t = user_data;
    if (size > t->size - t->written)
        return dv_error_set(&t->err, DAVIT_EDIGEST,
                            "%s: the blob is longer than the %" PRIu64 " bytes that its descriptor says",
                            t->title, t->size);
    int r = dv_write_all(t->fd, bytes, size);
    if (r < 0)
        return refuse_place(t->pull, -r, t->title, &t->err);
    t->written += size;
    return 0;
}

static int open_temporary(target *t, davit_error **err)
{
    uint8_t random[8];
    char hex[2 * sizeof(random) + 1], name[sizeof(t->temporary)];
    dv_random_bytes(random, sizeof(random));
    dv_hex_encode(random, sizeof(random), hex);
    snprintf(name, sizeof(name), ".davit-%s", hex);
    t->fd = openat(t->directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (t->fd < 0)
        return refuse_place(t->pull, errno, t->title, err);
    memcpy(t->temporary, name, sizeof(name));
    return 0;
}

static int publish(target *t, const char *base, davit_error **err)
{
    bool force = t->pull->options->flags & DAVIT_ARTIFACT_PULL_FORCE;
    if (fchmod(t->fd, t->pull->file_mode) < 0 || fdatasync(t->fd) < 0 ||
        renameat2(t->directory_fd, t->temporary, t->directory_fd, base, force ? 0 : RENAME_NOREPLACE) < 0)
        return refuse_place(t->pull, errno, t->title, err);
    t->temporary[0] = '\0';
    return 0;
}

static int pull_layer(const pull *p, const davit_descriptor *layer, const char *title, davit_error **err)
{
    const char *base = NULL;
    DV_AUTO(target) t = {.pull = p, .title = title, .size = layer->size, .fd = -1};
    t.directory_fd = enter_parent(p, title, /* make= */ true, &base);
    if (t.directory_fd < 0)
        return refuse_place(p, -t.directory_fd, title, err);
    int r = open_temporary(&t, err);
    if (r == 0)
        r = davit_registry_get_blob(p->client, p->ref, &layer->digest, write_piece, &t, NULL, err);
    if (t.err) /* says more than that the writing failed */
        return dv_error_move(err, &t.err, r);
    if (r == 0 && t.written != t.size)
        r = dv_error_set(err, DAVIT_EDIGEST,
                         "%s: the blob has %" PRIu64 " bytes where its descriptor says %" PRIu64, title,
                         t.written, t.size);
    return r < 0 ? dv_error_wrap(err, r, "%s", title) : publish(&t, base, err);
}

static bool is_empty_stand_in(const davit_descriptor *layer)
{
    return strcmp(layer->media_type, DV_MEDIA_TYPE_OCI_EMPTY) == 0;
}

int davit_artifact_pull(davit_client *client, const davit_reference *ref,
                        const davit_artifact_pull_options *options, davit_error **err)
{
    const davit_artifact_pull_options defaults = DAVIT_ARTIFACT_PULL_OPTIONS_INIT;
    const davit_artifact_pull_options *o = options ? options : &defaults;
    DV_AUTO(pull) p = {.client = client, .ref = ref, .options = o, .root_fd = -1};
    p.directory = o->directory ? o->directory : ".";
    p.file_mode = o->file_mode ? o->file_mode : FILE_MODE;
    p.directory_mode = p.file_mode | 0700 | (p.file_mode & 0044) >> 2;
    int r = check_options(o, err);
    if (r == 0)
        r = fetch_manifest(&p, err);
    if (r == 0)
        r = check_titles(&p, err);
    if (r == 0)
        r = open_directory(&p, err);
    if (r == 0)
        r = check_places(&p, err);
    for (size_t i = 0; r == 0 && i < p.count; i++) {
        if (!p.titles[i] && is_empty_stand_in(&p.layers[i]))
            continue;
        if (p.titles[i])
            r = pull_layer(&p, &p.layers[i], p.titles[i], err);
        if (r == 0 && o->pulled)
            o->pulled(&(davit_artifact_pulled){.title = p.titles[i], .descriptor = p.layers[i]}, o->user_data);
    }
    return r;
}
