/*
 * examples/own_store.c - pull and push with stores of one's own: a directory of plain files in place of the library's store.
 *
 *     own_store DIR pull REF      fetch an image
 *     own_store DIR tag REF NEW   give it another name
 *     own_store DIR push REF      send it
 *
 * Built with nothing but the public headers: cc own_store.c $(pkg-config --cflags --libs davit). What lies in DIR:
 *
 *     blobs/sha256:...     manifests and layers, each under its digest once it is whole
 *     ingest/KEY           what is being fetched; a pull that was cut short goes on with it
 *     images/sha256:...    image configs by image id; beside each, sha256:....manifest says which manifest it came with
 *     refs/NAME            an image id for each reference, its slashes written as +
 *     known/SPACE+KEY      what the library remembers of layers elsewhere
 */
#include <davit/davit.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *root; /* DIR */

/* --- files ---------------------------------------------------------------------------------------------------------- */

/* "DIR/folder/name": what the library calls things is safe but for slashes, which become +. */
static const char *path_of(char path[PATH_MAX], const char *folder, const char *name, const char *behind)
{
    int at = snprintf(path, PATH_MAX, "%s/%s/", root, folder);
    snprintf(path + at, (size_t)(PATH_MAX - at), "%s%s", name, behind);
    for (char *c = path + at; *c; c++)
        if (*c == '/')
            *c = '+';
    return path;
}

static int fail(davit_error **err, const char *path)
{
    char text[PATH_MAX + 200];
    int code = errno == ENOENT ? DAVIT_ENOTFOUND : errno == ENOSPC ? DAVIT_ENOSPACE : DAVIT_EIO;
    snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
    return davit_error_set(err, code, text);
}

/* A file gets its name when all of it is on disk. */
static int publish(int fd, const char *from, const char *to, davit_error **err)
{
    if (fsync(fd) < 0 || rename(from, to) < 0)
        return fail(err, to);
    return 0;
}

static int write_all(int fd, const void *bytes, size_t size, const char *path, davit_error **err)
{
    for (const char *at = bytes; size > 0;) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno != EINTR)
            return fail(err, path);
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int write_file(const char *path, const void *bytes, size_t size, davit_error **err)
{
    char temporary[PATH_MAX + 8];
    snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    int fd = mkstemp(temporary);
    if (fd < 0)
        return fail(err, temporary);
    int r = write_all(fd, bytes, size, temporary, err);
    if (r == 0)
        r = publish(fd, temporary, path, err);
    if (r < 0)
        unlink(temporary);
    close(fd);
    return r;
}

/* Gives the bytes as davit_write_fn wants them. */
static int give_file(const char *path, davit_write_fn give, void *give_data, davit_error **err)
{
    char bytes[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, path);
    ssize_t n;
    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        if (give(bytes, (size_t)n, give_data) != 0)
            break; /* it knows why */
    int r = n < 0 ? fail(err, path) : 0;
    close(fd);
    return r;
}

/* A short text. */
static int read_text(const char *path, char *text, size_t size, davit_error **err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    int r = n < 0 ? fail(err, path) : 0;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return r;
}

static void make_folders(void)
{
    static const char *const folders[] = {"blobs", "ingest", "images", "refs", "known"};
    char path[PATH_MAX];
    mkdir(root, 0777);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
        mkdir(path, 0777);
    }
}

/* --- content store -------------------------------------------------------------------------------------------------- */

static int content_info(void *user_data, const davit_digest *digest, uint64_t *out_size, davit_error **err)
{
    char path[PATH_MAX];
    struct stat st;
    (void)user_data;
    if (stat(path_of(path, "blobs", digest->text, ""), &st) < 0)
        return fail(err, path);
    *out_size = (uint64_t)st.st_size;
    return 0;
}

static int file_read(void *user_data, void *bytes, size_t size, size_t *out_size, davit_error **err)
{
    ssize_t n = read(*(int *)user_data, bytes, size);
    if (n < 0)
        return fail(err, "a blob");
    *out_size = (size_t)n;
    return 0;
}

static void file_close(void *user_data)
{
    close(*(int *)user_data);
    free(user_data);
}

static int content_open(void *user_data, const davit_digest *digest, davit_layer_stream *out,
                        davit_error **err)
{
    char path[PATH_MAX];
    int *fd = malloc(sizeof(*fd));
    (void)user_data;
    if (!fd)
        return DAVIT_ENOMEM;
    *fd = open(path_of(path, "blobs", digest->text, ""), O_RDONLY | O_CLOEXEC);
    if (*fd < 0) {
        free(fd);
        return fail(err, path);
    }
    *out = (davit_layer_stream){sizeof(*out), fd, file_read, file_close};
    return 0;
}

typedef struct ingest {
    int fd;
    char path[PATH_MAX];
} ingest;

static int ingest_read_back(void *user_data, uint64_t at, void *bytes, size_t size, size_t *out_size,
                            davit_error **err)
{
    const ingest *i = user_data;
    ssize_t n = pread(i->fd, bytes, size, (off_t)at);
    if (n < 0)
        return fail(err, i->path);
    *out_size = (size_t)n;
    return 0;
}

static int ingest_write(void *user_data, const void *bytes, size_t size, davit_error **err)
{
    const ingest *i = user_data;
    return write_all(i->fd, bytes, size, i->path, err);
}

static int ingest_restart(void *user_data, davit_error **err)
{
    const ingest *i = user_data;
    return ftruncate(i->fd, 0) < 0 ? fail(err, i->path) : 0;
}

/* The library has checked every byte that it wrote and read back. */
static int ingest_commit(void *user_data, const davit_digest *digest, uint64_t size, davit_error **err)
{
    const ingest *i = user_data;
    char path[PATH_MAX];
    (void)size;
    return publish(i->fd, i->path, path_of(path, "blobs", digest->text, ""), err);
}

static void ingest_close(void *user_data)
{
    ingest *i = user_data;
    close(i->fd);
    free(i);
}

static int content_writer(void *user_data, const char *key, const davit_descriptor *descriptor,
                          davit_content_writer *out, davit_error **err)
{
    char path[PATH_MAX];
    struct stat st;
    (void)user_data;
    if (access(path_of(path, "blobs", descriptor->digest.text, ""), F_OK) == 0)
        return DAVIT_EEXIST;
    ingest *i = malloc(sizeof(*i));
    if (!i)
        return DAVIT_ENOMEM;
    i->fd = open(path_of(i->path, "ingest", key, ""), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (i->fd < 0 || fstat(i->fd, &st) < 0) {
        int r = fail(err, i->path);
        ingest_close(i);
        return r;
    }
    *out = (davit_content_writer){.size = sizeof(*out),
                                  .user_data = i,
                                  .offset = (uint64_t)st.st_size,
                                  .read_back = ingest_read_back,
                                  .write = ingest_write,
                                  .restart = ingest_restart,
                                  .commit = ingest_commit,
                                  .close = ingest_close};
    return 0;
}

static int content_abort(void *user_data, const char *key, davit_error **err)
{
    char path[PATH_MAX];
    (void)user_data;
    return unlink(path_of(path, "ingest", key, "")) < 0 ? fail(err, path) : 0;
}

/* --- image configs ---------------------------------------------------------------------------------------------------- */

static int images_put(void *user_data, const davit_digest *id, const void *bytes, size_t size,
                      davit_error **err)
{
    char path[PATH_MAX];
    (void)user_data;
    return write_file(path_of(path, "images", id->text, ""), bytes, size, err);
}

static int images_get(void *user_data, const davit_digest *id, davit_write_fn give, void *give_data,
                      davit_error **err)
{
    char path[PATH_MAX];
    (void)user_data;
    return give_file(path_of(path, "images", id->text, ""), give, give_data, err);
}

/* --- references ------------------------------------------------------------------------------------------------------- */

static int references_get(void *user_data, const davit_reference *ref, davit_digest *out_id, davit_error **err)
{
    char path[PATH_MAX], text[DAVIT_DIGEST_TEXT_MAX];
    (void)user_data;
    int r = read_text(path_of(path, "refs", davit_reference_text(ref), ""), text, sizeof(text), err);
    return r < 0 ? r : davit_digest_parse(text, out_id, err);
}

static int references_by_name(void *user_data, const davit_reference *name, davit_association_fn give,
                              void *give_data, davit_error **err)
{
    char path[PATH_MAX];
    DIR *dir = opendir(path_of(path, "refs", "", ""));
    if (!dir)
        return fail(err, path);
    int done = 0;
    for (const struct dirent *entry; !done && (entry = readdir(dir));) {
        char text[sizeof(entry->d_name)];
        davit_reference *ref = NULL;
        davit_digest id;
        snprintf(text, sizeof(text), "%s", entry->d_name);
        for (char *c = text; *c; c++)
            if (*c == '+')
                *c = '/';
        if (davit_reference_parse(text, &ref, NULL) == 0 &&
            strcmp(davit_reference_name(ref), davit_reference_name(name)) == 0 &&
            references_get(user_data, ref, &id, NULL) == 0)
            done = give(ref, &id, give_data);
        davit_reference_free(ref);
    }
    closedir(dir);
    return 0;
}

static int references_add_tag(void *user_data, const davit_reference *ref, const davit_digest *id, bool force,
                              davit_error **err)
{
    char path[PATH_MAX];
    davit_digest old;
    if (!force && references_get(user_data, ref, &old, NULL) == 0 && !davit_digest_equal(&old, id))
        return davit_error_set(err, DAVIT_ECONFLICT, "the tag names another image");
    return write_file(path_of(path, "refs", davit_reference_text(ref), ""), id->text, strlen(id->text), err);
}

static int references_add_digest(void *user_data, const davit_reference *ref, const davit_digest *id,
                                 bool force, davit_error **err)
{
    (void)force; /* what a digest names does not change */
    return references_add_tag(user_data, ref, id, /* force= */ false, err);
}

/* --- what is known of layers elsewhere: called from threads of the library, too ----------------------------------------- */

static void known_path(char path[PATH_MAX], const char *space, const char *key)
{
    char name[400];
    snprintf(name, sizeof(name), "%s+%s", space, key);
    path_of(path, "known", name, "");
}

static int known_get(void *user_data, const char *space, const char *key, davit_write_fn give,
                     void *give_data, davit_error **err)
{
    char path[PATH_MAX];
    (void)user_data;
    known_path(path, space, key);
    return give_file(path, give, give_data, err);
}

static int known_set(void *user_data, const char *space, const char *key, const void *bytes, size_t size,
                     davit_error **err)
{
    char path[PATH_MAX];
    (void)user_data;
    known_path(path, space, key);
    return write_file(path, bytes, size, err);
}

static int known_remove(void *user_data, const char *space, const char *key, davit_error **err)
{
    char path[PATH_MAX];
    (void)user_data;
    known_path(path, space, key);
    return unlink(path) < 0 && errno != ENOENT ? fail(err, path) : 0;
}

/* --- layers for a push -------------------------------------------------------------------------------------------------- */

typedef struct collected {
    char *bytes;
    size_t size;
} collected;

static int collect(const void *bytes, size_t size, void *user_data)
{
    collected *c = user_data;
    char *grown = c->size + size <= DAVIT_MANIFEST_MAX ? realloc(c->bytes, c->size + size) : NULL;
    if (!grown)
        return DAVIT_ETOOBIG;
    memcpy(grown + c->size, bytes, size);
    c->bytes = grown;
    c->size += size;
    return 0;
}

/* The manifest that an image came with. */
static int read_manifest(const char *id, davit_manifest **out, davit_error **err)
{
    char path[PATH_MAX], digest[DAVIT_DIGEST_TEXT_MAX];
    collected c = {0};
    int r = read_text(path_of(path, "images", id, ".manifest"), digest, sizeof(digest), err);
    if (r == 0)
        r = give_file(path_of(path, "blobs", digest, ""), collect, &c, err);
    if (r == 0)
        r = davit_manifest_parse(c.bytes, c.size, NULL, out, err);
    free(c.bytes);
    return r;
}

static int layer_open(void *user_data, davit_layer_stream *out, davit_error **err)
{
    return content_open(NULL, user_data, out, err);
}

static int fill_layer(const davit_digest *chain, const davit_digest *diff_id, const davit_descriptor *blob,
                      davit_push_layer *out)
{
    bool plain = strcmp(blob->media_type + strlen(blob->media_type) - 4, ".tar") == 0;
    davit_digest *digest = malloc(sizeof(*digest));
    if (!digest)
        return DAVIT_ENOMEM;
    *digest = blob->digest;
    *out = (davit_push_layer){
        .size = sizeof(*out),
        .user_data = digest,
        .chain_id = *chain,
        .diff_id = *diff_id,
        .size_bytes = blob->size,
        /* A compressed layer goes as it is, and its digest is known; a plain one is compressed on the way. */
        .media_type = plain ? "application/vnd.docker.image.rootfs.diff.tar"
                            : "application/vnd.docker.image.rootfs.diff.tar.gzip",
        .open = layer_open,
        .release = free,
    };
    if (!plain)
        out->blob = blob->digest;
    return 0;
}

/* The layer of this image that has the chain id; DAVIT_ENOTFOUND: none. */
static int find_layer(const char *id, const davit_digest *chain, davit_push_layer *out, davit_error **err)
{
    char path[PATH_MAX];
    collected c = {0};
    davit_image_config *config = NULL;
    davit_manifest *manifest = NULL;
    size_t count = 0, layer_count = 0;
    int r = give_file(path_of(path, "images", id, ""), collect, &c, err);
    if (r == 0)
        r = davit_image_config_parse(c.bytes, c.size, &config, err);
    if (r == 0)
        r = read_manifest(id, &manifest, err);
    if (r == 0) {
        const davit_digest *diff_ids = davit_image_config_diff_ids(config, &count);
        const davit_descriptor *layers = davit_manifest_layers(manifest, &layer_count);
        davit_digest have;
        r = DAVIT_ENOTFOUND;
        for (size_t i = 0; r == DAVIT_ENOTFOUND && i < count && i < layer_count; i++)
            if (davit_chain_id(diff_ids, i + 1, &have, NULL) == 0 && davit_digest_equal(&have, chain))
                r = fill_layer(chain, &diff_ids[i], &layers[i], out);
    }
    davit_manifest_free(manifest);
    davit_image_config_free(config);
    free(c.bytes);
    return r;
}

static int layers_get(void *user_data, const davit_digest *chain, davit_push_layer *out, davit_error **err)
{
    char path[PATH_MAX];
    DIR *dir = opendir(path_of(path, "images", "", ""));
    int r = DAVIT_ENOTFOUND;
    (void)user_data;
    if (!dir)
        return fail(err, path);
    for (const struct dirent *entry; r == DAVIT_ENOTFOUND && (entry = readdir(dir));) {
        davit_digest id;
        if (davit_digest_parse(entry->d_name, &id, NULL) == 0)
            r = find_layer(entry->d_name, chain, out, NULL);
    }
    closedir(dir);
    return r == DAVIT_ENOTFOUND ? davit_error_set(err, r, "layer does not exist") : r;
}

/* --- our own progress --------------------------------------------------------------------------------------------------- */

static void on_progress(const davit_progress *event, void *user_data)
{
    (void)user_data;
    if (event->kind == DAVIT_PROGRESS_LAYER && event->has_counts)
        fprintf(stderr, "  %s %3.0f %%\n", event->id,
                event->total ? 100.0 * (double)event->current / (double)event->total : 0.0);
    else if (event->kind == DAVIT_PROGRESS_LAYER)
        fprintf(stderr, "  %s %s\n", event->id, event->action);
    else if (event->kind != DAVIT_PROGRESS_AUX)
        fprintf(stderr, "* %s\n", event->action);
}

/* Called when the manifest is known and before anything is fetched: the place to check signatures. Here we note what it is for. */
static int on_manifest(const davit_reference *ref, const davit_manifest *manifest, void *user_data)
{
    char path[PATH_MAX];
    const char *digest = davit_manifest_digest(manifest)->text;
    (void)ref;
    (void)user_data;
    path_of(path, "images", davit_manifest_config(manifest)->digest.text, ".manifest");
    return write_file(path, digest, strlen(digest), NULL);
}

/* --- the program ---------------------------------------------------------------------------------------------------------- */

static const davit_content_store content = {sizeof(content), NULL,          content_info, content_open,
                                            content_writer,  content_abort, NULL,         NULL};
static const davit_image_config_store images = {sizeof(images), NULL, images_put, images_get};
static const davit_reference_store references = {
    sizeof(references), NULL, references_get, references_by_name, references_add_tag, references_add_digest};
static const davit_metadata_store metadata = {sizeof(metadata), NULL, known_get, known_set, known_remove};
static const davit_layer_provider layers = {sizeof(layers), NULL, layers_get, NULL};

static int transfer(const char *verb, const davit_reference *ref, davit_error **err)
{
    davit_distribution_config config = DAVIT_DISTRIBUTION_CONFIG_INIT;
    davit_client_options options = DAVIT_CLIENT_OPTIONS_INIT; /* no store_dir: the library needs none */
    davit_client *client = NULL;
    davit_pull_result pulled;
    davit_push_result pushed;
    config.progress = on_progress;
    config.images = &images;
    config.references = &references;
    config.metadata = &metadata;
    int r = davit_client_new(&options, &client, err);
    if (r == 0 && strcmp(verb, "pull") == 0) {
        davit_image_pull_config pull = DAVIT_IMAGE_PULL_CONFIG_INIT;
        pull.config = &config;
        pull.verify = on_manifest;
        r = davit_distribution_pull(client, ref, &pull, &content, &pulled, err);
        if (r == 0)
            printf("%s\n", pulled.digest.text);
    } else if (r == 0) {
        davit_image_push_config push = DAVIT_IMAGE_PUSH_CONFIG_INIT;
        push.config = &config;
        push.layers = &layers;
        r = davit_distribution_push(client, ref, &push, &pushed, err);
        if (r == 0)
            printf("%s\n", pushed.digest.text);
    }
    davit_client_free(client);
    return r;
}

static int tag(const davit_reference *ref, const char *target, davit_error **err)
{
    davit_reference *to = NULL;
    davit_digest id;
    int r = davit_reference_parse(target, &to, err);
    if (r == 0)
        r = references_get(NULL, ref, &id, err);
    if (r == 0)
        r = references_add_tag(NULL, to, &id, /* force= */ true, err);
    davit_reference_free(to);
    return r;
}

int main(int argc, char **argv)
{
    davit_error *err = NULL;
    davit_reference *ref = NULL;
    bool tags = argc == 5 && strcmp(argv[2], "tag") == 0;
    if (!tags && (argc != 4 || (strcmp(argv[2], "pull") != 0 && strcmp(argv[2], "push") != 0))) {
        fprintf(stderr, "usage: own_store DIR pull|push REF, own_store DIR tag REF NEW\n");
        return 2;
    }
    root = argv[1];
    make_folders();
    int r = davit_reference_parse(argv[3], &ref, &err);
    if (r == 0)
        r = tags ? tag(ref, argv[4], &err) : transfer(argv[2], ref, &err);
    if (r < 0)
        fprintf(stderr, "own_store: %s\n", err ? davit_error_message(err) : davit_code_text(r));
    davit_reference_free(ref);
    davit_error_free(err);
    return r < 0 ? 1 : 0;
}
