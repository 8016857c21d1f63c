/*
 * distribution/unpack.c - davit_unpack(): where the image comes from, where it goes, and the end, at which everything agrees or nothing is seen.
 *
 * Leaves to others: one image's layers (unpack_image.c), fetching them (unpack_pull.c, unpack_stream.c), reading them elsewhere (unpack_place.c), files (archive/unpack.h), putting them
 * in place (archive/staging.h). Spec: DESIGN 3, 7.
 */
#include "distribution/stored_image.h"
#include "distribution/unpack_private.h"
#include "distribution/xfer.h"
#include "store/db.h"
#include "store/metadata_store.h"
#include "util/file.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define BUNDLE_MODE 0700 /* what stands in a root file system may be setuid (threats D13) */
#define BUNDLE_ROOT "rootfs"
#define PARENTS_MAX 4096 /* of a directory */

DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)
DV_DEFINE_AUTOPTR(davit_manifest, davit_manifest_free)

static void unpacking_clear(dv_unpacking *u)
{
    dv_unpacking_clear_image(u);
    dv_source_layers_free(u->placed_layers);
    dv_placed_image_clear(&u->placed);
    dv_close(&u->bundle_fd);
    dv_staging_abort(u->staging);
    dv_lease_release(u->lease);
    dv_store_unref(u->store);
}
DV_DEFINE_AUTO(dv_unpacking, unpacking_clear)

/* --- arguments ------------------------------------------------------------------------------------------------------- */

static int check_options(const davit_client *c, const davit_unpack_options *o, const dv_image_name *name,
                         davit_error **err)
{
    const uint32_t known =
        DAVIT_UNPACK_ROOTLESS | DAVIT_UNPACK_FORCE | DAVIT_UNPACK_BUNDLE | DAVIT_UNPACK_NO_STORE;
    if (o->version != DAVIT_UNPACK_OPTIONS_VERSION || o->flags & ~known || o->pull < DAVIT_PULL_MISSING ||
        o->pull > DAVIT_PULL_NEVER || o->devices < DAVIT_DEVICES_KEEP || o->devices > DAVIT_DEVICES_REJECT)
        return dv_error_set(err, DAVIT_EINVAL, "unknown unpack options (version %u, flags 0x%x)", o->version,
                            o->flags);
    if (o->flags & DAVIT_UNPACK_NO_STORE && name->pull == DAVIT_PULL_NEVER && !name->of_files)
        return dv_error_set(err, DAVIT_EINVAL, "without the store and without a registry there is no image");
    if (!c->store_dir && !(o->flags & DAVIT_UNPACK_NO_STORE) && !name->of_files)
        return dv_error_set(err, DAVIT_EINVAL, "the client has no store");
    return dv_layer_limits_check(o->zstd_window_bytes, err);
}

static int parse_name(const char *name, davit_reference **out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) given = NULL;
    int r = davit_reference_parse(name, &given, err);
    return r < 0 ? r : davit_reference_tag_name_only(given, out, err);
}

/* --- the target ------------------------------------------------------------------------------------------------------ */

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* Whether dirfd is that directory or stands somewhere below it. */
static bool is_within(int dirfd, const struct stat *directory)
{
    DV_AUTOCLOSE at = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat here, before = {0};
    for (unsigned i = 0; i < PARENTS_MAX && at >= 0 && fstat(at, &here) == 0; i++) {
        if (same(&here, directory))
            return true;
        if (i > 0 && same(&here, &before))
            return false; /* the root is its own parent */
        before = here;
        int above = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        dv_close(&at);
        at = above;
    }
    return false;
}

/* The directory that is, or would hold, the target. */
static int open_near(const char *target)
{
    int fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
    size_t size = strlen(target);
    while (size > 0 && target[size - 1] == '/')
        size--;
    while (size > 0 && target[size - 1] != '/')
        size--;
    if (fd >= 0)
        return fd;
    DV_AUTOFREE char *above = size ? dv_strndup(target, size) : dv_strdup(".");
    return above ? open(above, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* Whether the target is the store or one of the two stands in the other; store_fd is borrowed. */
static int check_store(const dv_unpacking *u, int store_fd, const char *store_path, davit_error **err)
{
    struct stat store, target;
    DV_AUTOCLOSE near = open_near(u->target);
    if (near < 0 || fstat(store_fd, &store) < 0)
        return 0; /* staging says what is wrong with it */
    bool holds = stat(u->target, &target) == 0 && is_within(store_fd, &target);
    if (!holds && !is_within(near, &store))
        return 0;
    return dv_error_set(err, DAVIT_EINVAL, "cannot unpack to %s: it %s the store %s", u->target,
                        !holds                  ? "is in"
                        : same(&store, &target) ? "is"
                                                : "holds",
                        store_path);
}

int dv_unpacking_check_target(const dv_unpacking *u, davit_error **err)
{
    return check_store(u, dv_store_dirfd(u->store), dv_store_path(u->store), err);
}

int dv_unpacking_check_target_of_files(const dv_unpacking *u, davit_error **err)
{
    const char *store_dir = u->client->store_dir, *path = u->placed.place.path;
    struct stat target;
    char real[PATH_MAX];
    DV_AUTOCLOSE image = open_near(realpath(path, real) ? real : path); /* it may be behind a link */
    DV_AUTOCLOSE store = store_dir ? open(store_dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (image >= 0 && stat(u->target, &target) == 0 && is_within(image, &target))
        return dv_error_set(err, DAVIT_EINVAL, "cannot unpack to %s: the image comes from there, %s",
                            u->target, path);
    return store < 0 ? 0 : check_store(u, store, store_dir, err);
}

static int make_bundle_root(dv_unpacking *u, davit_error **err)
{
    int fd = dv_staging_fd(u->staging);
    if (mkdirat(fd, BUNDLE_ROOT, 0700) == 0)
        u->bundle_fd = openat(fd, BUNDLE_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return u->bundle_fd < 0 ? dv_error_file(err, errno, "cannot make %s/%s", u->target, BUNDLE_ROOT) : 0;
}

int dv_unpacking_stage(dv_unpacking *u, davit_error **err)
{
    dv_close(&u->bundle_fd);
    dv_staging_abort(u->staging);
    u->staging = NULL;
    u->dirty = false;
    unsigned flags = u->options->flags & DAVIT_UNPACK_FORCE ? DV_STAGING_FORCE : 0;
    int r = dv_staging_open(u->target, flags, &u->staging, err);
    return r < 0 || !(u->options->flags & DAVIT_UNPACK_BUNDLE) ? r : make_bundle_root(u, err);
}

static int finish_bundle(dv_unpacking *u, davit_error **err)
{
    int fd = dv_staging_fd(u->staging);
    int r = dv_bundle_write(fd, u->bundle_fd, u->config, u->rootless, err);
    if (r == 0 && fchmod(u->bundle_fd, dv_pipeline_root_mode(u->pipeline)) < 0)
        r = dv_error_file(err, errno, "cannot set the mode of %s/%s", u->target, BUNDLE_ROOT);
    dv_staging_set_mode(u->staging, BUNDLE_MODE);
    return r;
}

/* Everything agrees. */
static int put_in_place(dv_unpacking *u, davit_error **err)
{
    if (u->bundle_fd >= 0) {
        int r = finish_bundle(u, err);
        if (r < 0)
            return r;
    } else {
        dv_staging_set_mode(u->staging, dv_pipeline_root_mode(u->pipeline));
    }
    return dv_staging_commit(DV_STEAL(u->staging), err);
}

/* --- where from ------------------------------------------------------------------------------------------------------ */

/* 1: the store has it, *out is set; 0: a registry must be asked. */
static int look_in_store(dv_unpacking *u, davit_manifest **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    if (u->options->flags & DAVIT_UNPACK_NO_STORE || u->name.pull == DAVIT_PULL_ALWAYS)
        return 0;
    int r = dv_stored_image_open_store(u->client, &u->store, &why);
    if (r == 0)
        r = dv_stored_image_find(u->store, u->name.text, u->options->platform, out, &why);
    if (r == DAVIT_ENOTFOUND && u->name.pull == DAVIT_PULL_MISSING) {
        dv_store_unref(u->store);
        u->store = NULL;
        return 0;
    }
    return r < 0 ? dv_error_move(err, &why, r) : 1;
}

static int unpack_stored(dv_unpacking *u, const davit_manifest *manifest, davit_error **err)
{
    int r = dv_unpacking_check_target(u, err);
    if (r == 0)
        r = dv_unpacking_set_manifest(u, manifest, err);
    if (r == 0)
        r = dv_unpacking_read_config(u, err);
    if (r == 0)
        r = dv_stored_image_check_layers(u->store, u->layers, u->count, err);
    if (r == 0)
        r = dv_unpacking_stage(u, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < u->count; i++)
        dv_stored_layers_arrived(u->stored, &u->layers[i].digest);
    const dv_layer_input input = dv_stored_layers_input(u->stored);
    r = dv_unpacking_start(u, &input, err);
    return r < 0 ? r : dv_unpacking_wait(u, err);
}

static int unpack_remote(dv_unpacking *u, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    dv_transfers *transfers;
    int r = parse_name(u->name.text, &ref, err);
    if (r == 0 && !(u->options->flags & DAVIT_UNPACK_NO_STORE)) {
        r = dv_transfers_get(u->client, &transfers, err);
        if (r == 0)
            u->store = dv_store_ref(dv_transfers_store(transfers));
        if (r == 0)
            r = dv_unpacking_check_target(u, err);
    }
    if (r == 0)
        r = dv_unpacking_stage(u, err);
    if (r < 0)
        return r;
    return u->store ? dv_unpacking_pull(u, ref, err) : dv_unpacking_stream(u, ref, err);
}

/* --- what was done --------------------------------------------------------------------------------------------------- */

static bool all_recorded(const dv_unpacking *u, const davit_digest *diff_ids)
{
    davit_digest known;
    for (size_t i = 0; i < u->count; i++)
        if (dv_metadata_get_diff_id(u->store, &u->layers[i].digest, &known, NULL) < 0 ||
            !davit_digest_equal(&known, &diff_ids[i]))
            return false;
    return true;
}

/* Each blob was inflated and hashed here. A cache: what cannot be written is no failure. */
static int record_diff_ids(const dv_unpacking *u, davit_error **err)
{
    struct dv_db *db;
    size_t unused;
    const davit_digest *diff_ids = davit_image_config_diff_ids(u->config, &unused);
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    if (!u->store || dv_store_is_read_only(u->store))
        return 0;
    int r = dv_store_db(u->store, &db, err);
    if (r < 0 || all_recorded(u, diff_ids))
        return r;
    r = dv_db_begin(db, DV_DB_WRITE_RELAXED, &tx, err);
    for (size_t i = 0; r == 0 && i < u->count; i++)
        r = dv_metadata_put_diff_id(u->store, &u->layers[i].digest, &diff_ids[i], err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

void davit_unpack_result_free(davit_unpack_result *result)
{
    if (!result)
        return;
    for (size_t i = 0; i < result->skip_count; i++) {
        free((char *)(uintptr_t)result->skips[i].path);
        free((char *)(uintptr_t)result->skips[i].reason);
    }
    free((void *)(uintptr_t)result->skips);
    free(result);
}
DV_DEFINE_AUTOPTR(davit_unpack_result, davit_unpack_result_free)

static int copy_skips(const dv_unpack_report *report, davit_unpack_result *result, davit_error **err)
{
    davit_unpack_skip *skips = dv_new_array(davit_unpack_skip, report->skip_count + 1);
    if (!skips)
        return dv_error_oom(err);
    result->skips = skips;
    for (size_t i = 0; i < report->skip_count; i++) {
        skips[i].path = dv_strdup(report->skips[i].path);
        skips[i].reason = dv_strdup(report->skips[i].reason);
        result->skip_count++;
        if (!skips[i].path || !skips[i].reason)
            return dv_error_oom(err);
    }
    return 0;
}

static int make_result(const dv_unpacking *u, bool from_store, davit_unpack_result **out, davit_error **err)
{
    const dv_unpack_report *report = dv_pipeline_report(u->pipeline);
    DV_AUTOPTR(davit_unpack_result) result = dv_new(davit_unpack_result);
    if (!result)
        return dv_error_oom(err);
    *result = (davit_unpack_result){
        .manifest = *davit_manifest_digest(u->manifest),
        .config = *davit_image_config_id(u->config),
        .from_store = from_store,
        .layer_count = (uint32_t)u->count,
        .file_count = report->files,
        .directory_count = report->directories,
        .symlink_count = report->symlinks,
        .hardlink_count = report->hardlinks,
        .device_count = report->devices,
        .whiteout_count = report->whiteouts,
        .bytes = report->bytes,
        .skips_total = report->skips_total,
    };
    int r = copy_skips(report, result, err);
    if (r == 0)
        *out = DV_STEAL(result);
    return r;
}

int davit_unpack(davit_client *client, const char *name, const char *target,
                 const davit_unpack_options *options, davit_unpack_result **out, davit_error **err)
{
    static const davit_unpack_options defaults = DAVIT_UNPACK_OPTIONS_INIT;
    const davit_unpack_options *o = options ? options : &defaults;
    DV_AUTO(dv_unpacking) u = {.client = client, .options = o, .target = target, .bundle_fd = -1};
    DV_AUTOPTR(davit_manifest) stored = NULL;
    DV_AUTOPTR(davit_unpack_result) result = NULL;
    DV_AUTOPTR(davit_error) unrecorded = NULL;
    u.rootless = o->flags & DAVIT_UNPACK_ROOTLESS || geteuid() != 0;
    int r = dv_image_name_read(name, o->pull, &u.name, err);
    if (r == 0)
        r = check_options(client, o, &u.name, err);
    if (r == 0 && !u.name.of_files)
        r = look_in_store(&u, &stored, err);
    if (r < 0)
        return r;
    r = u.name.of_files ? dv_unpacking_place(&u, err)
        : stored        ? unpack_stored(&u, stored, err)
                        : unpack_remote(&u, err);
    if (r == 0)
        r = make_result(&u, stored != NULL, &result, err);
    if (r == 0)
        r = put_in_place(&u, err);
    if (r < 0)
        return r;
    if (record_diff_ids(&u, &unrecorded) < 0)
        dv_log(DAVIT_LOG_INFO, "diff_ids are not recorded: %s", davit_error_message(unrecorded));
    if (out)
        *out = DV_STEAL(result);
    return 0;
}
