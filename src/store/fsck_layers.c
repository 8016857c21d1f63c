/*
 * store/fsck_layers.c - see fsck.h: unpacked layers. Decides which directory belongs to which row, and where all is asked for, whether it still
 * holds what its blob makes; on a store that cannot be written to it cannot be made again. What a process that died left is no damage.
 */
#include "store/fsck.h"

#include "store/content_store.h"
#include "store/db.h"
#include "store/layer_store.h"
#include "store/store_private.h"
#include "util/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE (16 + NAME_MAX)

static int tell(dv_fsck *f, davit_fsck_kind kind, bool damage, bool repaired, const char *name,
                const char *message, davit_error **err)
{
    return dv_fsck_add(
        f, &(dv_fsck_about){.kind = kind, .damage = damage, .repaired = repaired, .subject = name}, err, "%s",
        message);
}

/* Visits each name in layers/; < 0 from visit ends it. */
typedef int visit_fn(dv_fsck *f, const char *name, void *user_data, davit_error **err);

static int each_name(dv_fsck *f, visit_fn *visit, void *user_data, davit_error **err)
{
    int fd = openat(f->store->dirfd, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int errnum = errno;
        dv_close(&fd);
        return errnum == ENOENT || errnum == ENOTDIR
                   ? 0
                   : dv_store_error(f->store, errnum, "read", "layers", err);
    }
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = visit(f, entry->d_name, user_data, err);
    closedir(dir);
    return r;
}

static int check_name(dv_fsck *f, const char *name, void *user_data, davit_error **err)
{
    char path[NAME_SIZE];
    dv_layer_entry kind;
    size_t *leftovers = user_data;
    int r = dv_layer_judge(f->store, name, &kind, err);
    if (r < 0 || kind == DV_LAYER_ENTRY_LAYER || kind == DV_LAYER_ENTRY_STAGED)
        return r;
    if (kind == DV_LAYER_ENTRY_LEFTOVER) {
        ++*leftovers;
        return 0;
    }
    snprintf(path, sizeof(path), "layers/%s", name);
    return tell(f, DAVIT_FSCK_STRAY, /* damage= */ false, /* repaired= */ false, path, "not davit's", err);
}

/* Whether this name is that of the chain with something behind it: its removal had begun. */
static int find_removal(dv_fsck *f, const char *name, void *user_data, davit_error **err)
{
    const char **hex = user_data;
    if (*hex && strncmp(name, *hex, strlen(*hex)) == 0 && name[strlen(*hex)] == '-')
        *hex = NULL;
    return 0;
}

static int check_directory(dv_fsck *f, const davit_digest *chain, size_t *leftovers, davit_error **err)
{
    char name[DV_LAYER_NAME_MAX];
    const char *hex = davit_digest_hex(chain);
    dv_layer_name(chain, /* diff= */ true, name);
    if (faccessat(f->store->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
        return 0;
    ++*leftovers;
    int r = each_name(f, find_removal, &hex, err);
    return r < 0 || !hex ? r
                         : tell(f, DAVIT_FSCK_ROW, /* damage= */ true, dv_fsck_repairs(f), chain->text,
                                "an unpacked layer has no directory", err);
}

/* 1: it is there. */
static int check_blob(dv_fsck *f, const davit_digest *chain, const davit_digest *blob, davit_error **err)
{
    int r = dv_content_has(f->store, blob, DAVIT_SIZE_UNKNOWN, err);
    if (r != 0)
        return r;
    return dv_fsck_add(f,
                       &(dv_fsck_about){.kind = DAVIT_FSCK_IMAGE,
                                        .damage = true,
                                        .subject = chain->text,
                                        .remedy = "release the layer and register it again"},
                       err, "an unpacked layer lacks its blob %s", blob->text);
}

static int check_rows(dv_fsck *f, dv_digest_set *out_whole, size_t *leftovers, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(f->store->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(f->store->db,
                    "SELECT chain, blob, parent = '' OR parent IN (SELECT chain FROM layer) FROM layer", NULL,
                    0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1) {
        davit_digest chain, blob;
        const size_t before = *leftovers;
        r = dv_rows_digest(rows, 0, &chain, err);
        if (r == 0)
            r = dv_rows_digest(rows, 1, &blob, err);
        if (r == 0)
            r = check_directory(f, &chain, leftovers, err);
        if (r == 0 && !dv_rows_integer(rows, 2)) {
            ++*leftovers;
            r = tell(f, DAVIT_FSCK_ROW, /* damage= */ true, dv_fsck_repairs(f), chain.text,
                     "an unpacked layer has no parent", err);
        }
        if (r == 0)
            r = check_blob(f, &chain, &blob, err);
        if (r == 1 && *leftovers == before && !dv_digest_set_has(&f->bad, &blob, NULL))
            r = dv_digest_set_add(out_whole, &chain, NULL, err);
        r = r < 0 ? r : 0;
    }
    return r;
}

static int tell_tree(dv_fsck *f, const davit_digest *chain, const char *what, const char *how,
                     davit_error **err)
{
    const dv_fsck_about about = {.kind = DAVIT_FSCK_IMAGE,
                                 .damage = true,
                                 .subject = chain->text,
                                 .remedy = "release the layer and register it again"};
    return dv_fsck_add(f, &about, err, "%s: %s", what, how);
}

static int check_tree(dv_fsck *f, davit_layer_store *layers, const davit_digest *chain, davit_error **err)
{
    DV_AUTO(dv_buf) how = DV_BUF_INIT(64u << 10);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_layer_verify(layers, chain, &how, &why);
    if (r == DAVIT_ENOMEM || how.failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r == DAVIT_ENOSPACE) /* that says nothing of the layer */
        return tell(f, DAVIT_FSCK_IMAGE, /* damage= */ false, /* repaired= */ false, chain->text,
                    davit_error_message(why), err);
    if (r < 0)
        return tell_tree(f, chain, "an unpacked layer cannot be compared", davit_error_message(why), err);
    return r == 1
               ? 0
               : tell_tree(f, chain, "an unpacked layer is not what was registered", dv_buf_text(&how), err);
}

/* What rows and names cannot tell. */
static int check_trees(dv_fsck *f, const dv_digest_set *whole, davit_error **err)
{
    DV_AUTOPTR(davit_layer_store) layers = NULL;
    int r = dv_layer_store_open_as_is(f->store, &layers, err);
    for (uint32_t i = 0; r == 0 && i < whole->count; i++) {
        davit_digest chain;
        dv_digest_set_get(whole, i, &chain);
        r = check_tree(f, layers, &chain, err);
    }
    return r;
}

int dv_fsck_layers(dv_fsck *f, davit_error **err)
{
    DV_AUTO(dv_digest_set) whole = {0};
    size_t left = 0, rows = 0;
    int r = each_name(f, check_name, &left, err);
    if (r == 0)
        r = check_rows(f, &whole, &rows, err);
    if (r == 0 && whole.count > 0 && f->flags & DAVIT_FSCK_FULL && !f->store->read_only)
        r = check_trees(f, &whole, err);
    if (r < 0 || left + rows == 0)
        return r;
    bool removed = dv_fsck_repairs(f) && dv_layer_sweep(f->store, NULL) == 0;
    if (left == 0)
        return 0;
    return dv_fsck_add(
        f, &(dv_fsck_about){.kind = DAVIT_FSCK_LEFTOVER, .repaired = removed, .subject = "layers"}, err,
        "%zu unpacked layers that nobody finished or that were being removed", left);
}
