/*
 * store/layer_sweep.c - see layer_store.h: the end of layers, whether they were released, left behind by a process that died, or not needed any
 * more. A directory is renamed within the transaction that deletes its row, and removed after it.
 */
#include "store/layer_store.h"

#include "archive/staging.h"
#include "store/db.h"
#include "store/removal_list.h"
#include "store/store_private.h"
#include "util/file.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define FOLDER "layers/"
#define CHAIN_DIGITS 64
#define LEASE_DIGITS 32
#define RANDOM_BYTES 8
#define REMOVING "-removing"
#define STAGED "new-"

/* --- names ----------------------------------------------------------------------------------------------------------- */

/* What is behind that many lower-case hexadecimal digits and no more; NULL when they are not there. */
static const char *behind_hex(const char *text, size_t digits)
{
    size_t size = strspn(text, "0123456789abcdef");
    return size == digits ? text + size : NULL;
}

static bool chain_of(const char *name, davit_digest *out)
{
    char text[DAVIT_DIGEST_TEXT_MAX];
    snprintf(text, sizeof(text), "sha256:%.*s", CHAIN_DIGITS, name);
    return davit_digest_parse(text, out, NULL) == 0;
}

static bool is_removing(const char *name)
{
    const char *rest = behind_hex(name, CHAIN_DIGITS);
    rest = rest && *rest == '-' ? behind_hex(rest + 1, 2 * RANDOM_BYTES) : NULL;
    return rest && strcmp(rest, REMOVING) == 0;
}

static bool is_staged(const char *name)
{
    uint64_t number;
    const char *rest = dv_str_starts(name, STAGED) ? behind_hex(name + strlen(STAGED), LEASE_DIGITS) : NULL;
    return rest && *rest == '-' && dv_str_to_u64(rest + 1, &number);
}

static bool is_chain(const char *name, davit_digest *out)
{
    const char *rest = behind_hex(name, CHAIN_DIGITS);
    return rest && *rest == '\0' && chain_of(name, out);
}

static bool owner_lives(const dv_store *s, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "leases/%.*s", LEASE_DIGITS, name + strlen(STAGED));
    return dv_store_is_locked(s, path);
}

/* --- doomed ---------------------------------------------------------------------------------------------------------- */

void dv_layer_doomed_clear(dv_layer_doomed *d)
{
    free(d->names);
    *d = (dv_layer_doomed){0};
}

static int add_doomed(dv_layer_doomed *d, const char *name, davit_error **err)
{
    char *place = dv_list_place(&d->names, d->count, sizeof(d->names[0]));
    if (!place)
        return dv_error_oom(err);
    snprintf(place, DV_LAYER_NAME_MAX, "%s", name);
    d->count++;
    return 0;
}

void dv_layer_doomed_finish(dv_store *s, dv_layer_doomed *d)
{
    for (size_t i = 0; i < d->count; i++) {
        DV_AUTOPTR(davit_error) why = NULL;
        if (dv_remove_tree(s->dirfd, d->names[i], &why) < 0)
            dv_warn("%s in store %s cannot be removed: %s", d->names[i], s->path, davit_error_message(why));
    }
    dv_layer_doomed_clear(d);
}

/* Where somebody was faster there is a layer by now, and this one is a leftover for the sweep. */
void dv_layer_doomed_undo(dv_store *s, dv_layer_doomed *d)
{
    for (size_t i = 0; i < d->count; i++) {
        char name[DV_LAYER_NAME_MAX];
        snprintf(name, sizeof(name), FOLDER "%.*s", CHAIN_DIGITS, d->names[i] + strlen(FOLDER));
        if (renameat(s->dirfd, d->names[i], s->dirfd, name) < 0)
            dv_warn("%s in store %s: %s", d->names[i], s->path, strerror(errno));
    }
    dv_layer_doomed_clear(d);
}

int dv_layer_is_needed(dv_store *s, const davit_digest *chain, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(
        s->db,
        "SELECT 1 FROM layer WHERE parent = ?1 UNION ALL SELECT 1 FROM layer_reference WHERE chain = ?1"
        " LIMIT 1",
        &DV_TEXT(chain->text), 1, &rows, err);
    return r < 0 ? r : dv_rows_next(rows, err);
}

int dv_layer_doom_directory(dv_store *s, const davit_digest *chain, dv_layer_doomed *d, davit_error **err)
{
    uint8_t random[RANDOM_BYTES];
    char hex[2 * RANDOM_BYTES + 1], from[DV_LAYER_NAME_MAX], to[DV_LAYER_NAME_MAX];
    dv_random_bytes(random, sizeof(random));
    dv_hex_encode(random, sizeof(random), hex);
    dv_layer_name(chain, /* diff= */ false, from);
    snprintf(to, sizeof(to), FOLDER "%s-%s" REMOVING, davit_digest_hex(chain), hex);
    int r = add_doomed(d, to, err);
    if (r < 0 || renameat(s->dirfd, from, s->dirfd, to) == 0)
        return r;
    d->count--;
    return errno == ENOENT ? 0 : dv_store_error(s, errno, "rename", from, err);
}

int dv_layer_doom(dv_store *s, const davit_digest *chain, bool dry, dv_layer_doomed *d, davit_error **err)
{
    int r = dv_db_run(s->db, "DELETE FROM layer WHERE chain = ?1", &DV_TEXT(chain->text), 1, err);
    return r < 0 || dry ? r : dv_layer_doom_directory(s, chain, d, err);
}

/* --- what the dead left ---------------------------------------------------------------------------------------------- */

static int has_row(dv_store *s, const davit_digest *chain, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(s->db, "SELECT 1 FROM layer WHERE chain = ?1", &DV_TEXT(chain->text), 1, &rows, err);
    return r < 0 ? r : dv_rows_next(rows, err);
}

int dv_layer_judge(dv_store *s, const char *name, dv_layer_entry *out, davit_error **err)
{
    davit_digest chain;
    int r = 0;
    if (is_staged(name)) {
        *out = owner_lives(s, name) ? DV_LAYER_ENTRY_STAGED : DV_LAYER_ENTRY_LEFTOVER;
    } else if (is_removing(name)) {
        *out = DV_LAYER_ENTRY_LEFTOVER;
    } else if (!is_chain(name, &chain)) {
        *out = DV_LAYER_ENTRY_STRAY;
    } else {
        r = has_row(s, &chain, err);
        if (r >= 0)
            *out = r == 1 ? DV_LAYER_ENTRY_LAYER : DV_LAYER_ENTRY_LEFTOVER;
    }
    return r < 0 ? r : 0;
}

/* Under the lock that makers and removers hold while they rename: what has no row then is nobody's. */
static int doom_leftover(dv_store *s, const char *name, dv_layer_doomed *doomed, davit_error **err)
{
    davit_digest chain;
    char path[DV_LAYER_NAME_MAX];
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    dv_layer_entry entry;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_layer_judge(s, name, &entry, err);
    if (r < 0 || entry != DV_LAYER_ENTRY_LEFTOVER)
        return r;
    if (is_staged(name) || is_removing(name)) {
        snprintf(path, sizeof(path), FOLDER "%s", name);
        r = add_doomed(doomed, path, err);
    } else if (is_chain(name, &chain)) {
        r = dv_layer_doom_directory(s, &chain, doomed, err);
    }
    return r < 0 ? r : dv_db_commit(&tx, err);
}

/* Rows whose directory is gone: a removal that was cut short, and whatever stands on it. */
static int delete_lost_rows(dv_store *s, davit_error **err)
{
    bool again = true;
    int r = 0;
    while (r == 0 && again) {
        davit_digest chain, lost = {0};
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        again = false;
        r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
        if (r < 0)
            return r;
        {
            DV_AUTOPTR(dv_rows) rows = NULL;
            r = dv_db_query(s->db,
                            "SELECT chain, parent = '' OR parent IN (SELECT chain FROM layer) FROM layer",
                            NULL, 0, &rows, err);
            while (r == 0 && !again && (r = dv_rows_next(rows, err)) == 1) {
                char name[DV_LAYER_NAME_MAX];
                r = 0;
                if (davit_digest_parse(dv_rows_text(rows, 0), &chain, NULL) < 0)
                    continue; /* fsck's */
                dv_layer_name(&chain, /* diff= */ true, name);
                bool gone = faccessat(s->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
                again = gone || !dv_rows_integer(rows, 1);
                lost = chain;
            }
        }
        if (r == 0 && again)
            r = dv_db_run(s->db, "DELETE FROM layer WHERE chain = ?1", &DV_TEXT(lost.text), 1, err);
        if (r == 0)
            r = dv_db_commit(&tx, err);
    }
    return r;
}

static int find_leftovers(dv_store *s, dv_layer_doomed *doomed, davit_error **err)
{
    int fd = openat(s->dirfd, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int errnum = errno;
        dv_close(&fd);
        return errnum == ENOENT ? 0 : dv_store_error(s, errnum, "read", "layers", err);
    }
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(dir))) {
        dv_layer_entry kind;
        r = dv_layer_judge(s, entry->d_name, &kind, err);
        if (r == 0 && kind == DV_LAYER_ENTRY_LEFTOVER)
            r = doom_leftover(s, entry->d_name, doomed, err);
    }
    closedir(dir);
    return r;
}

int dv_layer_sweep(dv_store *s, davit_error **err)
{
    DV_AUTO(dv_layer_doomed) doomed = {0};
    int r = delete_lost_rows(s, err);
    if (r == 0)
        r = find_leftovers(s, &doomed, err);
    dv_layer_doomed_finish(s, &doomed);
    return r;
}

/* --- what nobody needs ------------------------------------------------------------------------------------------------ */

/* Those on top come first, so that whoever is needed can speak for what is below. */
int dv_layer_unneeded(dv_store *s, dv_digest_set *out, davit_error **err)
{
    DV_AUTO(dv_chain_counts) images = {0};
    DV_AUTO(dv_digest_set) needed = {0};
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r == 0)
        r = dv_chain_counts_fill(s, &images, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(s->db,
                    "SELECT chain, parent, chain IN (SELECT chain FROM layer_reference) FROM layer"
                    " ORDER BY depth DESC",
                    NULL, 0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1) {
        davit_digest chain, parent;
        r = dv_rows_digest(rows, 0, &chain, err);
        if (r == 0)
            r = dv_rows_digest(rows, 1, &parent, err);
        if (r < 0)
            return r;
        bool stays = dv_rows_integer(rows, 2) || dv_digest_set_has(&images.chains, &chain, NULL) ||
                     dv_digest_set_has(&needed, &chain, NULL);
        if (!stays)
            r = dv_digest_set_add(out, &chain, NULL, err);
        else if (parent.algorithm != DAVIT_DIGEST_NONE)
            r = dv_digest_set_add(&needed, &parent, NULL, err);
        r = r < 0 ? r : 0;
    }
    return r;
}

static int disk_size_of(dv_store *s, const davit_digest *chain, uint64_t *out, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(s->db, "SELECT disk_size FROM layer WHERE chain = ?1", &DV_TEXT(chain->text), 1, &rows,
                    err);
    if (r == 0)
        r = dv_rows_next(rows, err);
    *out = r == 1 ? (uint64_t)dv_rows_integer(rows, 0) : 0;
    return r < 0 ? r : 0;
}

int dv_layer_prune(dv_store *s, bool dry, dv_layer_sweep_result *out, davit_error **err)
{
    DV_AUTO(dv_digest_set) unneeded = {0};
    DV_AUTO(dv_layer_doomed) doomed = {0};
    *out = (dv_layer_sweep_result){0};
    int r = dry ? 0 : dv_lease_sweep(s, NULL, err);
    if (r == 0 && !dry)
        r = dv_layer_sweep(s, err);
    if (r < 0)
        return r;
    {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
        if (r == 0)
            r = dv_layer_unneeded(s, &unneeded, err);
        for (uint32_t i = 0; r == 0 && i < unneeded.count; i++) {
            davit_digest chain;
            uint64_t bytes = 0;
            dv_digest_set_get(&unneeded, i, &chain);
            r = disk_size_of(s, &chain, &bytes, err);
            if (r == 0)
                r = dv_layer_doom(s, &chain, dry, &doomed, err);
            out->layers++;
            out->bytes += bytes;
        }
        if (r == 0)
            r = dv_db_commit(&tx, err);
        if (r < 0)
            dv_layer_doomed_undo(s, &doomed);
    }
    dv_layer_doomed_finish(s, &doomed);
    return r;
}
