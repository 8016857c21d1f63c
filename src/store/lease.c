/*
 * store/lease.c - leases: what running processes want kept, see store.h.
 *
 * A lease is a file leases/<32 hex digits> that its owner holds locked, and rows naming blobs. Who can lock the file of
 * another lease has proved its owner dead: rows go first, then the file. Rows without a file are dead too. Rows may be
 * lost in a power cut: so is every process that they served.
 */
#include "store/db.h"
#include "store/store_private.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/hex.h"
#include "util/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_BYTES 16
#define NAME_SIZE (2 * NAME_BYTES + 1)
#define FOLDER "leases/"
#define PATH_SIZE (sizeof(FOLDER) - 1 + NAME_SIZE)

struct dv_lease {
    dv_store *store;
    char name[NAME_SIZE];
    int fd;
    bool has_rows;
};

static void lease_path(const char name[NAME_SIZE], char out[PATH_SIZE])
{
    memcpy(out, FOLDER, sizeof(FOLDER) - 1);
    memcpy(out + sizeof(FOLDER) - 1, name, NAME_SIZE);
}

/* --- the dead -------------------------------------------------------------------------------------------------------- */

typedef struct dead_lease {
    char name[NAME_SIZE];
    int fd; /* locked by us, so that nobody else buries it */
} dead_lease;

static bool is_lease_name(const char *name)
{
    uint8_t bytes[NAME_BYTES];
    return strlen(name) == NAME_SIZE - 1 && dv_hex_decode(name, bytes, NAME_BYTES);
}

/* True when its owner is dead; the lock is ours then. */
static bool lock_dead(const dv_store *s, const char *name, dead_lease *out)
{
    char path[PATH_SIZE];
    lease_path(name, path);
    DV_AUTOCLOSE fd = openat(s->dirfd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0 || dv_try_lock(fd) != 1)
        return false;
    *out = (dead_lease){.fd = fd};
    memcpy(out->name, name, NAME_SIZE);
    fd = -1;
    return true;
}

/* Up to max dead leases, locked. Having no directory is having none. */
static int find_dead(const dv_store *s, dead_lease *out, size_t max, size_t *out_count, davit_error **err)
{
    size_t count = 0;
    int fd = openat(s->dirfd, "leases", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int errnum = errno;
        dv_close(&fd);
        *out_count = 0;
        return errnum == ENOENT ? 0 : dv_store_error(s, errnum, "read", "leases", err);
    }
    const struct dirent *entry;
    while (count < max && (entry = readdir(dir)))
        if (is_lease_name(entry->d_name) && lock_dead(s, entry->d_name, &out[count]))
            count++;
    closedir(dir);
    *out_count = count;
    return 0;
}

static int delete_rows(dv_store *s, const char *name, davit_error **err)
{
    int r = dv_db_run(s->db, "DELETE FROM lease_blob WHERE lease = ?1", &DV_TEXT(name), 1, err);
    if (r == 0)
        r = dv_db_run(s->db, "DELETE FROM layer_reference WHERE lease = ?1", &DV_TEXT(name), 1, err);
    return r < 0 ? r : dv_db_run(s->db, "DELETE FROM lease WHERE name = ?1", &DV_TEXT(name), 1, err);
}

static int delete_dead_rows(dv_store *s, const dead_lease *dead, size_t count, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = delete_rows(s, dead[i].name, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

static int sweep_files(dv_store *s, size_t *out_removed, davit_error **err)
{
    dead_lease dead[DV_LEASE_SWEEP_MAX];
    size_t count = 0;
    int r = find_dead(s, dead, DV_LEASE_SWEEP_MAX, &count, err);
    if (r == 0 && count > 0)
        r = delete_dead_rows(s, dead, count, err);
    for (size_t i = 0; i < count; i++) {
        char path[PATH_SIZE];
        lease_path(dead[i].name, path);
        if (r == 0)
            unlinkat(s->dirfd, path, 0);
        dv_close(&dead[i].fd);
    }
    if (r == 0)
        *out_removed = count;
    return r;
}

/* One name of a row whose file is missing, or "" in out. */
static int find_orphan(dv_store *s, char out[NAME_SIZE], davit_error **err)
{
    memset(out, 0, NAME_SIZE);
    DV_AUTOPTR(dv_rows) rows = NULL;
    int r = dv_db_query(s->db,
                        "SELECT name FROM lease UNION SELECT DISTINCT lease FROM lease_blob"
                        " UNION SELECT DISTINCT lease FROM layer_reference",
                        NULL, 0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1) {
        char path[PATH_SIZE];
        snprintf(out, NAME_SIZE, "%s", dv_rows_text(rows, 0));
        lease_path(out, path);
        if (faccessat(s->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
            return 0;
        r = 0;
    }
    out[0] = '\0';
    return r;
}

static int sweep_orphans(dv_store *s, size_t *removed, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    char name[NAME_SIZE], last[NAME_SIZE] = "";
    while (r == 0) {
        r = find_orphan(s, name, err);
        if (r < 0 || !name[0])
            break;
        if (strcmp(name, last) == 0) /* no name of ours: it cannot be told apart */
            return dv_error_set(err, DAVIT_ESTORE, "a lease in the database of store %s has a strange name",
                                s->path);
        memcpy(last, name, NAME_SIZE);
        r = delete_rows(s, name, err);
        *removed += r == 0;
    }
    return r < 0 ? r : dv_db_commit(&tx, err);
}

void dv_lease_sweep_some(dv_store *s)
{
    size_t removed = 0;
    davit_error *err = NULL;
    if (sweep_files(s, &removed, &err) < 0)
        dv_warn("%s", davit_error_message(err));
    davit_error_free(err);
}

int dv_lease_sweep(dv_store *s, size_t *out_removed, davit_error **err)
{
    size_t total = 0, removed = 0;
    int r = dv_store_check_writable(s, err);
    do {
        if (r == 0)
            r = sweep_files(s, &removed, err);
        if (r == 0)
            total += removed;
    } while (r == 0 && removed == DV_LEASE_SWEEP_MAX);
    if (r == 0)
        r = sweep_orphans(s, &total, err);
    if (r == 0 && out_removed)
        *out_removed = total;
    return r;
}

/* --- the living ------------------------------------------------------------------------------------------------------- */

/* A new name, locked. A sweep may find the file before we have the lock, so we look whether it still has its name. */
static int create_file(dv_lease *l, davit_error **err)
{
    dv_store *s = l->store;
    for (;;) {
        uint8_t random[NAME_BYTES];
        char path[PATH_SIZE];
        dv_random_bytes(random, sizeof(random));
        dv_hex_encode(random, sizeof(random), l->name);
        lease_path(l->name, path);
        DV_AUTOCLOSE fd = openat(s->dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 && errno == ENOENT && dv_store_make_directory(s, "leases") == 0)
            fd = openat(s->dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return dv_store_error(s, errno, "make", path, err);
        struct stat st;
        int r = dv_try_lock(fd);
        if (r < 0 || fstat(fd, &st) < 0) {
            unlinkat(s->dirfd, path, 0);
            return dv_store_error(s, r < 0 ? -r : errno, "lock", path, err);
        }
        if (r == 0 || st.st_nlink == 0)
            continue;
        l->fd = fd;
        fd = -1;
        return 0;
    }
}

int dv_lease_open(dv_store *s, dv_lease **out, davit_error **err)
{
    int r = dv_store_check_writable(s, err);
    if (r < 0)
        return r;
    size_t removed = 0;
    r = sweep_files(s, &removed, err);
    if (r < 0)
        return r;
    dv_lease *l = dv_new(dv_lease);
    if (!l)
        return dv_error_oom(err);
    *l = (dv_lease){.store = dv_store_ref(s), .fd = -1};
    r = create_file(l, err);
    if (r < 0) {
        dv_store_unref(l->store);
        free(l);
        return r;
    }
    *out = l;
    return 0;
}

const char *dv_lease_name(const dv_lease *l)
{
    return l->name;
}

static int make_row(dv_lease *l, davit_error **err)
{
    if (l->has_rows)
        return 0;
    return dv_db_run(l->store->db, "INSERT OR IGNORE INTO lease (name, created_at) VALUES (?1, ?2)",
                     (dv_db_value[]){DV_TEXT(l->name), DV_INTEGER(dv_wall_time_s())}, 2, err);
}

int dv_lease_hold_layer(dv_lease *l, const davit_digest *chain, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    dv_db *db = l->store->db;
    int r = dv_db_begin(db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = make_row(l, err);
    if (r == 0)
        r = dv_db_run(db,
                      "INSERT INTO layer_reference (lease, chain, count) VALUES (?1, ?2, 1)"
                      " ON CONFLICT (lease, chain) DO UPDATE SET count = count + 1",
                      (dv_db_value[]){DV_TEXT(l->name), DV_TEXT(chain->text)}, 2, err);
    if (r == 0)
        r = dv_db_commit(&tx, err);
    if (r == 0)
        l->has_rows = true; /* even when the transaction that it joined fails */
    return r;
}

int dv_lease_drop_layer(dv_lease *l, const davit_digest *chain, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    dv_db *db = l->store->db;
    const dv_db_value values[] = {DV_TEXT(l->name), DV_TEXT(chain->text)};
    int r = dv_db_begin(db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(db, "UPDATE layer_reference SET count = count - 1 WHERE lease = ?1 AND chain = ?2",
                      values, 2, err);
    if (r < 0)
        return r;
    bool held = dv_db_changes(db) > 0;
    r = dv_db_run(db, "DELETE FROM layer_reference WHERE lease = ?1 AND chain = ?2 AND count <= 0", values, 2,
                  err);
    if (r == 0)
        r = dv_db_commit(&tx, err);
    return r < 0 ? r : held;
}

int dv_lease_add(dv_lease *l, const davit_digest *digests, size_t count, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    dv_db *db = l->store->db;
    int r = dv_db_begin(db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = make_row(l, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = dv_db_run(db, "INSERT OR IGNORE INTO lease_blob (lease, blob) VALUES (?1, ?2)",
                      (dv_db_value[]){DV_TEXT(l->name), DV_TEXT(digests[i].text)}, 2, err);
    if (r == 0)
        r = dv_db_commit(&tx, err);
    if (r == 0)
        l->has_rows = true;
    return r;
}

void dv_lease_release(dv_lease *l)
{
    if (!l)
        return;
    dv_store *s = l->store;
    dead_lease self = {.fd = -1};
    memcpy(self.name, l->name, NAME_SIZE);
    if (l->has_rows)
        delete_dead_rows(s, &self, 1, NULL); /* on failure they are rows without a file: dead */
    char path[PATH_SIZE];
    lease_path(l->name, path);
    unlinkat(s->dirfd, path, 0);
    dv_close(&l->fd);
    dv_lease_sweep_some(s); /* of those that died meanwhile, so that the last to leave leaves nothing */
    dv_store_unref(s);
    free(l);
}
