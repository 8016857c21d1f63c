/*
 * store/db.c - see db.h. Decides how SQLite is opened, what its errors mean to us, and the schema; what the rows mean is
 * for the files beside it.
 *
 * WAL, so that readers never wait. A transaction is synchronous=FULL unless it says otherwise. The version of the schema is
 * user_version; a database of an older one, 0 when it is new, takes the steps that it lacks in one transaction. It counts apart from
 * the version of the layout, which is the directories'.
 */
#include "store/db.h"

#include "store/store_private.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <errno.h>

#define DB_NAME "davit.db"
#define DB_PATH_MAX (64u << 10) /* bytes of an escaped URI */

/*
 * reference: one row for each stored reference. image: one for each (manifest, index it came by), in the order they were
 * pulled; index_digest is '' without one. blob_source: repositories that hold a blob, newest last. diff_id: only from
 * code that inflated that very blob here. lease, lease_blob: what running processes want kept. blob_access: when a blob
 * was last used.
 */
static const char schema_1[] =
    "CREATE TABLE reference (reference TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, media_type TEXT NOT "
    "NULL,"
    " digest TEXT NOT NULL, size INTEGER NOT NULL, updated_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX reference_name ON reference (name);"
    "CREATE INDEX reference_digest ON reference (digest);"
    "CREATE TABLE image (id INTEGER PRIMARY KEY, manifest TEXT NOT NULL, config TEXT NOT NULL,"
    " index_digest TEXT NOT NULL, os TEXT NOT NULL, architecture TEXT NOT NULL, variant TEXT NOT NULL,"
    " os_version TEXT NOT NULL, size INTEGER NOT NULL, pulled_at INTEGER NOT NULL,"
    " UNIQUE (manifest, index_digest));"
    "CREATE INDEX image_index ON image (index_digest);"
    "CREATE INDEX image_config ON image (config);"
    "CREATE TABLE blob_source (id INTEGER PRIMARY KEY, blob TEXT NOT NULL, repository TEXT NOT NULL,"
    " UNIQUE (blob, repository));"
    "CREATE TABLE diff_id (blob TEXT NOT NULL PRIMARY KEY, diff_id TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE lease (name TEXT NOT NULL PRIMARY KEY, created_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE lease_blob (lease TEXT NOT NULL, blob TEXT NOT NULL, PRIMARY KEY (lease, blob)) WITHOUT "
    "ROWID;"
    "CREATE INDEX lease_blob_blob ON lease_blob (blob);"
    "CREATE TABLE blob_access (blob TEXT NOT NULL PRIMARY KEY, accessed_at INTEGER NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

/*
 * blob_source gets the HMAC that tells whose credentials saw it (push.md 5), '' for nobody's. layer: unpacked layers, each with the
 * blob that it was made from; size: of the tar's files; disk_size: bytes that the tree takes. layer_reference: who holds
 * one: a lease. upload_session: uploads that were begun and not ended; sent: bytes that the registry has acknowledged.
 */
static const char schema_2[] =
    "CREATE TABLE blob_source_2 (id INTEGER PRIMARY KEY, blob TEXT NOT NULL, repository TEXT NOT NULL,"
    " hmac TEXT NOT NULL DEFAULT '', UNIQUE (blob, repository, hmac));"
    "INSERT INTO blob_source_2 (id, blob, repository) SELECT id, blob, repository FROM blob_source;"
    "DROP TABLE blob_source;"
    "ALTER TABLE blob_source_2 RENAME TO blob_source;"
    "CREATE INDEX diff_id_diff_id ON diff_id (diff_id);"
    "CREATE TABLE layer (chain TEXT NOT NULL PRIMARY KEY, parent TEXT NOT NULL, diff_id TEXT NOT NULL,"
    " blob TEXT NOT NULL, media_type TEXT NOT NULL, descriptor TEXT NOT NULL, depth INTEGER NOT NULL,"
    " size INTEGER NOT NULL, disk_size INTEGER NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX layer_parent ON layer (parent);"
    "CREATE TABLE layer_reference (lease TEXT NOT NULL, chain TEXT NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY (lease, chain)) WITHOUT ROWID;"
    "CREATE TABLE upload_session (repository TEXT NOT NULL, blob TEXT NOT NULL, url TEXT NOT NULL,"
    " sent INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (repository, blob)) WITHOUT ROWID;"
    "PRAGMA user_version = 2;";

/*
 * v1_image: images of registries of the first version, each with its json as it came and, once it was fetched, the blob that its layer is
 * here. registry: base URL of whoever was asked for it.
 */
static const char schema_3[] =
    "CREATE TABLE v1_image (registry TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, json TEXT NOT "
    "NULL,"
    " checksums TEXT NOT NULL, layer TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0,"
    " media_type TEXT NOT NULL DEFAULT '', diff_id TEXT NOT NULL DEFAULT '', updated_at INTEGER NOT NULL,"
    " PRIMARY KEY (registry, id));"
    "PRAGMA user_version = 3;";

static const char *const schema_steps[] = {schema_1, schema_2, schema_3};
#define SCHEMA_VERSION ((int)(sizeof(schema_steps) / sizeof(schema_steps[0])))

struct dv_rows {
    dv_rows *next;
    dv_db *db;
    const char *sql; /* by address */
    sqlite3_stmt *statement;
    bool running;
};

struct dv_db {
    pthread_mutex_t lock; /* recursive; guards everything below */
    char *store_path;
    bool read_only, read_only_mount;
    sqlite3 *sqlite; /* NULL until first use */
    dv_rows *statements;
    bool in_transaction, doomed;
    int synchronous; /* what the connection is set to: 1 NORMAL, 2 FULL, 0 not set yet */
};

dv_db *dv_db_new(const char *store_path, bool read_only, bool read_only_mount)
{
    dv_db *db = dv_new(dv_db);
    char *path = dv_strdup(store_path);
    if (!db || !path) {
        free(db);
        free(path);
        return NULL;
    }
    db->store_path = path;
    db->read_only = read_only;
    db->read_only_mount = read_only_mount;
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&db->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    return db;
}

static void close_connection(dv_db *db)
{
    while (db->statements) {
        dv_rows *rows = db->statements;
        db->statements = rows->next;
        sqlite3_finalize(rows->statement);
        free(rows);
    }
    sqlite3_close(db->sqlite);
    db->sqlite = NULL;
    db->synchronous = 0;
}

void dv_db_free(dv_db *db)
{
    if (!db)
        return;
    close_connection(db);
    pthread_mutex_destroy(&db->lock);
    free(db->store_path);
    free(db);
}

/* What SQLite says, as one of our codes. */
static int failure(const dv_db *db, int result, davit_error **err)
{
    const char *path = db->store_path;
    int system = db->sqlite ? sqlite3_system_errno(db->sqlite) : 0;
    switch (result & 0xff) {
    case SQLITE_NOMEM:
        return dv_error_oom(err);
    case SQLITE_FULL:
        return dv_error_file(err, ENOSPC, "cannot write %s/" DB_NAME, path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return dv_error_set(err, DAVIT_ESTORE,
                            "%s/" DB_NAME " has been locked by another process for %d seconds", path,
                            DV_STORE_WAIT_MS / 1000);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return dv_error_set(err, DAVIT_ESTORE, "%s/" DB_NAME " is damaged: %s", path, sqlite3_errstr(result));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (system == ENOSPC || system == EDQUOT)
            return dv_error_file(err, system, "cannot write %s/" DB_NAME, path);
        break;
    default:
        break;
    }
    return dv_error_set(err, DAVIT_ESTORE, "%s/" DB_NAME ": %s", path,
                        db->sqlite ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(result));
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static void put_escaped(dv_buf *uri, const char *path)
{
    for (; *path; path++) {
        if (*path == '%' || *path == '?' || *path == '#' || *path == '&')
            dv_buf_printf(uri, "%%%02x", (unsigned char)*path);
        else
            dv_buf_putc(uri, *path);
    }
}

/* The database's files get the mode of `lock`, 0600, whatever the umask (threats D13). */
static int connect_file(dv_db *db, int flags, bool immutable, davit_error **err)
{
    DV_AUTO(dv_buf) uri = DV_BUF_INIT(DB_PATH_MAX);
    dv_buf_puts(&uri, "file://");
    put_escaped(&uri, db->store_path);
    dv_buf_puts(&uri, "/" DB_NAME "?modeof=");
    put_escaped(&uri, db->store_path);
    dv_buf_puts(&uri, immutable ? "/lock&immutable=1" : "/lock");
    if (uri.failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (uri.failed)
        return dv_error_set(err, DAVIT_ESTORE, "the path of store %s is too long", db->store_path);
    int result = sqlite3_open_v2(dv_buf_text(&uri), &db->sqlite,
                                 flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_busy_timeout(db->sqlite, DV_STORE_WAIT_MS);
    return result == SQLITE_OK ? 0 : failure(db, result, err);
}

static int read_user_version(dv_db *db, int *out, davit_error **err)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db->sqlite, "PRAGMA user_version", -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *out = sqlite3_column_int(statement, 0);
    int r = result == SQLITE_ROW ? 0 : failure(db, result, err);
    sqlite3_finalize(statement);
    return r;
}

static int execute(dv_db *db, const char *sql, davit_error **err)
{
    int result = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? 0 : failure(db, result, err);
}

/* SQLite does not wait when two processes change a new database to WAL at once: one is told to come back. */
static int make_wal(dv_db *db, davit_error **err)
{
    uint64_t start = dv_clock_ms();
    int result;
    while (((result = sqlite3_exec(db->sqlite, "PRAGMA journal_mode = WAL", NULL, NULL, NULL)) & 0xff) ==
               SQLITE_BUSY &&
           dv_clock_ms() - start < DV_STORE_WAIT_MS)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    return result == SQLITE_OK ? 0 : failure(db, result, err);
}

/* From this version to ours. */
static int take_steps(dv_db *db, int version, davit_error **err)
{
    int r = 0;
    for (int i = version; r == 0 && i < SCHEMA_VERSION; i++)
        r = execute(db, schema_steps[i], err);
    return r;
}

/* Several processes may arrive here at once: the first one makes it, the others see the version under the lock. */
static int make_schema(dv_db *db, int version, davit_error **err)
{
    int r = version == 0 ? make_wal(db, err) : 0;
    if (r == 0)
        r = execute(db, "BEGIN IMMEDIATE", err);
    if (r < 0)
        return r;
    r = read_user_version(db, &version, err);
    if (r == 0)
        r = take_steps(db, version, err);
    if (r == 0)
        return execute(db, "COMMIT", err);
    execute(db, "ROLLBACK", NULL);
    return r;
}

static int open_memory(dv_db *db, davit_error **err)
{
    close_connection(db);
    int result = sqlite3_open_v2(":memory:", &db->sqlite,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    return result == SQLITE_OK ? take_steps(db, 0, err) : failure(db, result, err);
}

static int check_schema(dv_db *db, bool may_make, davit_error **err)
{
    int version = 0;
    int r = read_user_version(db, &version, err);
    if (r == 0 && version < SCHEMA_VERSION && may_make) {
        r = make_schema(db, version, err);
        if (r == 0)
            r = read_user_version(db, &version, err);
    }
    if (r < 0)
        return r;
    if (version == 0 && !may_make)
        return open_memory(db, err); /* its maker has not come to the schema yet: nothing was recorded */
    if (version > SCHEMA_VERSION)
        return dv_error_set(err, DAVIT_ESTORE, "%s/" DB_NAME " has version %d, made by a newer davit",
                            db->store_path, version);
    if (version < SCHEMA_VERSION) /* nothing may be written here */
        return dv_error_set(err, DAVIT_ESTORE,
                            "%s/" DB_NAME " has version %d, made by an older davit: a command that may write "
                            "there, such as \"davit tag\", brings it up to date",
                            db->store_path, version);
    return 0;
}

/* 0 when there is no such file. */
static int file_size(const dv_db *db, const char *name, uint64_t *out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DB_PATH_MAX);
    dv_buf_printf(&path, "%s/%s", db->store_path, name);
    struct stat st;
    if (path.failed == DAVIT_ENOMEM) /* not the same as an empty store */
        return dv_error_oom(err);
    *out = !path.failed && stat(dv_buf_text(&path), &st) == 0 ? (uint64_t)st.st_size : 0;
    return 0;
}

/*
 * Reading only. A store where nothing was ever recorded is an empty one. Rows that only the WAL has are lost to an
 * immutable connection, so where there is one the ordinary way is tried first.
 */
static int open_for_reading(dv_db *db, davit_error **err)
{
    uint64_t size = 0, wal = 0;
    int r = file_size(db, DB_NAME, &size, err);
    if (r == 0)
        r = file_size(db, DB_NAME "-wal", &wal, err);
    if (r < 0)
        return r;
    if (size == 0)
        return open_memory(db, err);
    bool has_wal = wal > 0;
    if (!db->read_only_mount || has_wal) {
        DV_AUTOPTR(davit_error) why = NULL;
        r = connect_file(db, SQLITE_OPEN_READONLY, /* immutable= */ false, &why);
        if (r == 0)
            r = check_schema(db, /* may_make= */ false, &why);
        int result = db->sqlite ? sqlite3_errcode(db->sqlite) & 0xff : SQLITE_NOMEM;
        if (r == 0 || (result != SQLITE_CANTOPEN && result != SQLITE_READONLY && result != SQLITE_IOERR))
            return r < 0 ? dv_error_move(err, &why, r) : 0;
        close_connection(db);
        if (has_wal)
            dv_warn("%s/" DB_NAME "-wal cannot be read here: the latest images may be missing",
                    db->store_path);
    }
    r = connect_file(db, SQLITE_OPEN_READONLY, /* immutable= */ true, err);
    return r < 0 ? r : check_schema(db, /* may_make= */ false, err);
}

/* Mutex held. */
static int open_locked(dv_db *db, davit_error **err)
{
    if (db->sqlite)
        return 0;
    int r;
    if (db->read_only) {
        r = open_for_reading(db, err);
    } else {
        r = connect_file(db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, /* immutable= */ false, err);
        if (r == 0)
            r = check_schema(db, /* may_make= */ true, err);
    }
    if (r < 0)
        close_connection(db);
    return r;
}

int dv_db_open(dv_db *db, davit_error **err)
{
    pthread_mutex_lock(&db->lock);
    int r = open_locked(db, err);
    pthread_mutex_unlock(&db->lock);
    return r;
}

/* --- transactions --------------------------------------------------------------------------------------------------- */

static int prepare(dv_db *db, const char *sql, dv_rows **out, davit_error **err);

static const char rollback[] = "ROLLBACK";

static int begin_writing(dv_db *db, dv_db_mode mode, davit_error **err)
{
    if (db->read_only)
        return dv_error_set(err, DAVIT_ESTORE, "store %s is open for reading only", db->store_path);
    int synchronous = mode == DV_DB_WRITE ? 2 : 1;
    int r = 0;
    if (db->synchronous != synchronous)
        r = execute(db, synchronous == 2 ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", err);
    if (r < 0)
        return r;
    db->synchronous = synchronous;
    /* Prepared before there is anything to roll back: want of memory may be the reason, and an open transaction would take in what follows. */
    dv_rows *prepared;
    r = prepare(db, rollback, &prepared, err);
    if (r == 0)
        r = dv_db_run(db, "BEGIN IMMEDIATE", NULL, 0, err);
    if (r == 0) {
        db->in_transaction = true;
        db->doomed = false;
    }
    return r;
}

int dv_db_begin(dv_db *db, dv_db_mode mode, dv_db_tx *tx, davit_error **err)
{
    pthread_mutex_lock(&db->lock);
    bool owner = mode != DV_DB_READ && !db->in_transaction;
    int r = open_locked(db, err);
    if (r == 0 && owner)
        r = begin_writing(db, mode, err);
    if (r < 0) {
        pthread_mutex_unlock(&db->lock);
        return r;
    }
    *tx = (dv_db_tx){.db = db, .owner = owner, .committed = mode == DV_DB_READ};
    return 0;
}

/* SQLite itself rolls back after some failures (full disk, I/O error). */
static void roll_back(dv_db *db)
{
    if (!sqlite3_get_autocommit(db->sqlite))
        dv_db_run(db, rollback, NULL, 0, NULL);
    db->in_transaction = false;
}

int dv_db_commit(dv_db_tx *tx, davit_error **err)
{
    dv_db *db = tx->db;
    int r = 0;
    if (tx->owner && db->doomed)
        r = dv_error_set(err, DAVIT_ESTORE, "part of a transaction on %s/" DB_NAME " failed", db->store_path);
    else if (tx->owner)
        r = dv_db_run(db, "COMMIT", NULL, 0, err);
    if (r < 0)
        return r;
    if (tx->owner)
        db->in_transaction = false;
    tx->committed = true;
    return 0;
}

void dv_db_tx_clear(dv_db_tx *tx)
{
    dv_db *db = tx->db;
    if (!db)
        return;
    tx->db = NULL;
    if (!tx->committed && tx->owner)
        roll_back(db);
    else if (!tx->committed)
        db->doomed = true;
    pthread_mutex_unlock(&db->lock);
}

/* --- statements ------------------------------------------------------------------------------------------------------ */

static int prepare(dv_db *db, const char *sql, dv_rows **out, davit_error **err)
{
    for (dv_rows *rows = db->statements; rows; rows = rows->next) {
        if (rows->sql == sql) {
            assert(!rows->running);
            *out = rows;
            return 0;
        }
    }
    dv_rows *rows = dv_new(dv_rows);
    if (!rows)
        return dv_error_oom(err);
    int result = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &rows->statement, NULL);
    if (result != SQLITE_OK) {
        free(rows);
        return failure(db, result, err);
    }
    *rows = (dv_rows){.next = db->statements, .db = db, .sql = sql, .statement = rows->statement};
    db->statements = rows;
    *out = rows;
    return 0;
}

int dv_db_query(dv_db *db, const char *sql, const dv_db_value *values, size_t count, dv_rows **out,
                davit_error **err)
{
    dv_rows *rows = NULL;
    int r = prepare(db, sql, &rows, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        int result = values[i].text
                         ? sqlite3_bind_text(rows->statement, (int)i + 1, values[i].text, -1, SQLITE_STATIC)
                         : sqlite3_bind_int64(rows->statement, (int)i + 1, values[i].integer);
        if (result != SQLITE_OK) {
            dv_rows_end(rows);
            return failure(db, result, err);
        }
    }
    rows->running = true;
    *out = rows;
    return 0;
}

int dv_rows_next(dv_rows *rows, davit_error **err)
{
    int result = sqlite3_step(rows->statement);
    if (result == SQLITE_ROW)
        return 1;
    return result == SQLITE_DONE ? 0 : failure(rows->db, result, err);
}

void dv_rows_end(dv_rows *rows)
{
    if (!rows)
        return;
    sqlite3_reset(rows->statement);
    sqlite3_clear_bindings(rows->statement);
    rows->running = false;
}

int dv_db_run(dv_db *db, const char *sql, const dv_db_value *values, size_t count, davit_error **err)
{
    DV_AUTOPTR(dv_rows) rows = NULL;
    int r = dv_db_query(db, sql, values, count, &rows, err);
    return r < 0 ? r : dv_rows_next(rows, err);
}

const char *dv_rows_text(const dv_rows *rows, int column)
{
    const char *text = (const char *)sqlite3_column_text(rows->statement, column);
    return text ? text : "";
}

int64_t dv_rows_integer(const dv_rows *rows, int column)
{
    return sqlite3_column_int64(rows->statement, column);
}

int dv_rows_digest(const dv_rows *rows, int column, davit_digest *out, davit_error **err)
{
    const char *text = dv_rows_text(rows, column);
    if (!text[0]) {
        *out = (davit_digest){.algorithm = DAVIT_DIGEST_NONE};
        return 0;
    }
    if (davit_digest_parse(text, out, NULL) < 0)
        return dv_error_set(err, DAVIT_ESTORE, "%s/" DB_NAME " holds \"%.80s\" for a digest",
                            rows->db->store_path, text);
    return 0;
}

int64_t dv_db_changes(const dv_db *db)
{
    return sqlite3_changes64(db->sqlite);
}
