/*
 * distribution/export.c - davit_export(): an image's layers, read twice from the store, become one tar (archive/flatten.h).
 *
 * Nothing is written before each layer has been read whole and is what the config says. The second reading hashes again: a blob that changed
 * in between is noticed, at its end at the latest. Spec: DESIGN 3, 9.
 */
#include "archive/compress.h"
#include "archive/diff_id.h"
#include "archive/flatten.h"
#include "davit/pull.h"
#include "davit/store.h"
#include "davit/unpack.h"
#include "distribution/stored_layers.h"
#include "store/content_store.h"
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define PIECE (256u << 10)

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)
DV_DEFINE_AUTOPTR(davit_image_list, davit_image_list_free)
DV_DEFINE_AUTOPTR(davit_manifest, davit_manifest_free)
DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)

/* The step behind everything: small pieces become large ones. */
typedef struct output {
    dv_sink sink;
    davit_write_fn write;
    void *user_data;
    size_t size;
    uint8_t bytes[PIECE];
} output;

typedef struct exporting {
    davit_client *client;
    const davit_export_options *options;
    davit_store *store;
    dv_lease *lease;
    davit_manifest *manifest;
    davit_image_config *config;
    const davit_descriptor *layers;
    const davit_digest *diff_ids;
    size_t count;
    dv_flatten *flatten;
    output *output;
    uint8_t *piece;
} exporting;

static dv_store *inner(const exporting *x)
{
    return (dv_store *)x->store; /* that is what one is: store/image_list.c */
}

static void exporting_clear(exporting *x)
{
    dv_flatten_free(x->flatten);
    free(x->output);
    free(x->piece);
    davit_image_config_free(x->config);
    davit_manifest_free(x->manifest);
    dv_lease_release(x->lease);
    davit_store_free(x->store);
}
DV_DEFINE_AUTO(exporting, exporting_clear)

static int check_options(const davit_client *c, const davit_export_options *o, davit_error **err)
{
    if (o->version != DAVIT_EXPORT_OPTIONS_VERSION || o->flags || o->pull < DAVIT_PULL_MISSING ||
        o->pull > DAVIT_PULL_NEVER)
        return dv_error_set(err, DAVIT_EINVAL, "unknown export options (version %u, flags 0x%x)", o->version,
                            o->flags);
    if (o->zstd_window_bytes > DAVIT_ZSTD_WINDOW_MAX ||
        (o->zstd_window_bytes && o->zstd_window_bytes < DAVIT_ZSTD_WINDOW_MIN))
        return dv_error_set(err, DAVIT_EINVAL, "a zstd window of %u bytes: it may be %u to %u",
                            o->zstd_window_bytes, DAVIT_ZSTD_WINDOW_MIN, DAVIT_ZSTD_WINDOW_MAX);
    return c->store_dir ? 0 : dv_error_set(err, DAVIT_EINVAL, "the client has no store");
}

/* --- which image ----------------------------------------------------------------------------------------------------- */

/* For reading; a store that cannot be written is fine. */
static int open_store(exporting *x, davit_error **err)
{
    const char *dir = x->client->store_dir;
    DV_AUTOPTR(davit_error) why = NULL;
    uint32_t flags = x->client->flags & DAVIT_CLIENT_STORE_READ_ONLY ? DAVIT_STORE_READ_ONLY : 0;
    if (x->store)
        return 0;
    int r = davit_store_open(dir, flags, &x->store, &why);
    if (r == DAVIT_ESTORE && !flags && davit_store_open(dir, DAVIT_STORE_READ_ONLY, &x->store, NULL) == 0)
        return 0;
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

static int read_manifest(exporting *x, const davit_digest *digest, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = davit_store_get_manifest(x->store, digest, &x->manifest, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_ESTORE, "manifest %s is missing in store %s: pull the image again",
                            digest->text, dv_store_path(inner(x)));
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

/* DAVIT_ENOTFOUND: the store has no such name; everything else is final. */
static int find(exporting *x, const char *name, davit_error **err)
{
    DV_AUTOPTR(davit_image_list) list = NULL;
    int r = open_store(x, err);
    if (r == 0)
        r = davit_store_find(x->store, name, x->options->platform, &list, err);
    return r < 0 ? r : read_manifest(x, &davit_image_list_at(list, 0)->manifest, err);
}

static int pull(const exporting *x, const char *name, davit_error **err)
{
    const davit_export_options *o = x->options;
    DV_AUTOPTR(davit_reference) given = NULL;
    DV_AUTOPTR(davit_reference) ref = NULL;
    davit_pull_options options = DAVIT_PULL_OPTIONS_INIT;
    options.platform = o->platform;
    options.progress = o->progress;
    options.user_data = o->user_data;
    options.verify = o->verify;
    options.auth = o->auth;
    options.request_auth_config = o->request_auth_config;
    int r = davit_reference_parse(name, &given, err);
    if (r == 0)
        r = davit_reference_tag_name_only(given, &ref, err);
    return r < 0 ? r : davit_pull(x->client, ref, &options, /* out= */ NULL, err);
}

static int find_or_pull(exporting *x, const char *name, bool *from_store, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = DAVIT_ENOTFOUND;
    if (x->options->pull != DAVIT_PULL_ALWAYS)
        r = find(x, name, &why);
    *from_store = r != DAVIT_ENOTFOUND;
    if (r == DAVIT_ENOTFOUND && x->options->pull != DAVIT_PULL_NEVER) {
        r = pull(x, name, err);
        return r < 0 ? r : find(x, name, err);
    }
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

/* --- what it consists of --------------------------------------------------------------------------------------------- */

/* Keep config and layers while they are used; a store that nobody can write loses nothing. */
static int lease_blobs(exporting *x, davit_error **err)
{
    if (dv_store_is_read_only(inner(x)))
        return 0;
    DV_AUTOFREE davit_digest *digests = dv_new_array(davit_digest, x->count + 2);
    if (!digests)
        return dv_error_oom(err);
    digests[0] = *davit_manifest_digest(x->manifest);
    digests[1] = davit_manifest_config(x->manifest)->digest;
    for (size_t i = 0; i < x->count; i++)
        digests[i + 2] = x->layers[i].digest;
    int r = dv_lease_open(inner(x), &x->lease, err);
    return r < 0 ? r : dv_lease_add(x->lease, digests, x->count + 2, err);
}

static int read_config(exporting *x, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    const davit_descriptor *blob = davit_manifest_config(x->manifest);
    size_t diff_id_count = 0;
    int r = davit_store_get_config(x->store, &blob->digest, &x->config, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_ESTORE, "image config %s is missing in store %s: pull the image again",
                            blob->digest.text, dv_store_path(inner(x)));
    if (r < 0)
        return dv_error_move(err, &why, r);
    x->diff_ids = davit_image_config_diff_ids(x->config, &diff_id_count);
    return diff_id_count == x->count
               ? 0
               : dv_error_set(err, DAVIT_EFORMAT, "layers from manifest don't match image configuration");
}

static int check_layers(const exporting *x, davit_error **err)
{
    for (size_t i = 0; i < x->count; i++) {
        const davit_descriptor *blob = &x->layers[i];
        int r = dv_content_has(inner(x), &blob->digest, blob->size, err);
        if (r == 0)
            r = dv_stored_layer_examine(inner(x), blob, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int open_image(exporting *x, davit_error **err)
{
    x->layers = davit_manifest_layers(x->manifest, &x->count);
    int r = lease_blobs(x, err);
    if (r == 0)
        r = read_config(x, err);
    return r < 0 ? r : check_layers(x, err);
}

/* --- output ---------------------------------------------------------------------------------------------------------- */

static int flush(output *o, davit_error **err)
{
    int r = o->size ? o->write(o->bytes, o->size, o->user_data) : 0;
    o->size = 0;
    return r == 0 ? 0 : dv_error_set(err, r < 0 ? r : DAVIT_EIO, "the archive cannot be written");
}

static int output_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    output *o = (output *)s;
    for (const uint8_t *from = bytes; size > 0;) {
        size_t room = PIECE - o->size, n = size < room ? size : room;
        memcpy(o->bytes + o->size, from, n);
        o->size += n;
        from += n;
        size -= n;
        int r = o->size == PIECE ? flush(o, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int output_finish(dv_sink *s, davit_error **err)
{
    return flush((output *)s, err);
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static dv_inflate_options inflate_options(const davit_export_options *o)
{
    unsigned log = 0;
    while (o->zstd_window_bytes >> (log + 1))
        log++;
    return (dv_inflate_options){
        .max_output = o->max_size_bytes ? o->max_size_bytes : DAVIT_UNPACK_SIZE_MAX,
        .zstd_window_log = log,
        .allow_old = true,
    };
}

static int pour(exporting *x, int fd, dv_sink *to, davit_error **err)
{
    for (;;) {
        int r = dv_client_check_cancelled(x->client, err);
        if (r < 0)
            return r;
        ssize_t n = read(fd, x->piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return dv_error_file(err, errno, "cannot read it from store %s", dv_store_path(inner(x)));
        if (n == 0)
            return dv_sink_finish(to, err);
        r = dv_sink_write(to, x->piece, (size_t)n, err);
        if (r < 0)
            return r;
    }
}

/* One layer through inflate and hash to where its tar goes. */
static int read_layer(exporting *x, size_t layer, dv_sink *tar, davit_error **err)
{
    const davit_descriptor *blob = &x->layers[layer];
    const dv_inflate_options options = inflate_options(x->options);
    DV_AUTO(dv_diff_id_sink) hash = DV_DIFF_ID_INIT;
    DV_AUTOPTR(dv_inflate) inflate = NULL;
    DV_AUTOCLOSE fd = -1;
    uint64_t size;
    int r = dv_content_open(inner(x), &blob->digest, blob->size, &fd, &size, err);
    if (r == 0)
        r = dv_diff_id_init(&hash, tar, err);
    if (r == 0)
        r = dv_inflate_new(&options, &hash.sink, &inflate, err);
    if (r < 0)
        return r;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    r = pour(x, fd, dv_inflate_sink(inflate), err);
    return r < 0 ? r : dv_diff_id_check(&hash, &x->diff_ids[layer], blob->digest.text, err);
}

/* What a damaged blob can look like to those who read it. */
static bool may_be_damage(int code)
{
    return code == DAVIT_EFORMAT || code == DAVIT_EDIGEST || code == DAVIT_ETOOBIG ||
           code == DAVIT_EUNSUPPORTED;
}

static int explain(const exporting *x, int r, size_t layer, davit_error **from, davit_error **err)
{
    const davit_descriptor *blob = &x->layers[layer];
    DV_AUTOPTR(davit_error) damage = NULL;
    int examined = may_be_damage(r) ? dv_stored_layer_examine(inner(x), blob, &damage) : 0;
    if (examined < 0)
        return dv_error_move(err, &damage, examined);
    bool names_it = strstr(davit_error_message(*from), blob->digest.text);
    if (r != DAVIT_ECANCELLED && r != DAVIT_ENOMEM && r != DAVIT_EIO && !names_it)
        r = dv_error_wrap(from, r, "layer %s", blob->digest.text);
    return dv_error_move(err, from, r);
}

static int read_layers(exporting *x, bool again, davit_error **err)
{
    for (size_t i = 0; i < x->count; i++) {
        const char *what = x->layers[i].digest.text;
        DV_AUTOPTR(davit_error) why = NULL;
        dv_sink *tar;
        if (again && !dv_flatten_wants(x->flatten, i))
            continue;
        int r = again ? dv_flatten_write(x->flatten, i, what, &tar, &why)
                      : dv_flatten_read(x->flatten, what, &tar, &why);
        if (r == 0)
            r = read_layer(x, i, tar, &why);
        if (r < 0)
            return explain(x, r, i, &why, err);
    }
    return 0;
}

static int run(exporting *x, davit_write_fn write, davit_error **err)
{
    const dv_flatten_options options = {.max_bytes = x->options->max_size_bytes};
    x->piece = malloc(PIECE);
    x->output = malloc(sizeof(*x->output));
    if (!x->piece || !x->output)
        return dv_error_oom(err);
    x->output->sink = (dv_sink){.write = output_write, .finish = output_finish};
    x->output->write = write;
    x->output->user_data = x->options->user_data;
    x->output->size = 0;
    int r = dv_flatten_new(&options, &x->flatten, err);
    if (r == 0)
        r = read_layers(x, /* again= */ false, err);
    if (r == 0)
        r = dv_flatten_begin(x->flatten, &x->output->sink, err);
    if (r == 0)
        r = read_layers(x, /* again= */ true, err);
    return r < 0 ? r : dv_flatten_finish(x->flatten, err);
}

int davit_export(davit_client *client, const char *name, const davit_export_options *options,
                 davit_write_fn write, davit_export_result *out, davit_error **err)
{
    static const davit_export_options defaults = DAVIT_EXPORT_OPTIONS_INIT;
    const davit_export_options *o = options ? options : &defaults;
    DV_AUTO(exporting) x = {.client = client, .options = o};
    bool from_store = false;
    int r = check_options(client, o, err);
    if (r == 0)
        r = find_or_pull(&x, name, &from_store, err);
    if (r == 0)
        r = open_image(&x, err);
    if (r == 0)
        r = run(&x, write, err);
    if (r < 0 || !out)
        return r;
    const dv_flatten_report *report = dv_flatten_get_report(x.flatten);
    *out = (davit_export_result){
        .manifest = *davit_manifest_digest(x.manifest),
        .config = *davit_image_config_id(x.config),
        .from_store = from_store,
        .layer_count = (uint32_t)x.count,
        .entry_count = report->entries,
        .bytes = report->bytes,
        .xattrs_left_out = report->xattrs_left_out,
    };
    return 0;
}
