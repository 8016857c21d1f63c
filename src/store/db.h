/*
 * store/db.h - the only door to SQLite.
 *
 * One connection for each store, opened on first use, behind one recursive mutex: a thread holds it from dv_db_begin() to
 * the end of its dv_db_tx, and what the same thread begins inside joins it. Statements are prepared once; the SQL texts
 * are string literals.
 */
#ifndef DV_STORE_DB_H
#define DV_STORE_DB_H

#include "davit/digest.h"
#include "util/error.h"

#include <stdbool.h>

typedef struct dv_db dv_db;

/* Nothing is opened yet. NULL: no memory. A read_only_mount has no room for locks and is opened immutable. */
dv_db *dv_db_new(const char *store_path, bool read_only, bool read_only_mount);
void dv_db_free(dv_db *db);
/* Open it now, make or check the schema. Errors: DAVIT_ESTORE (damaged, newer, locked too long), DAVIT_ENOSPACE. */
int dv_db_open(dv_db *db, davit_error **err);

typedef enum dv_db_mode {
    DV_DB_READ,          /* single statements */
    DV_DB_WRITE,         /* BEGIN IMMEDIATE; on disk when dv_db_commit() returns */
    DV_DB_WRITE_RELAXED, /* the same, for what a power cut may take back: leases */
} dv_db_mode;

/* A turn at the database. Ends with its scope; what was not committed is rolled back. */
typedef struct dv_db_tx {
    dv_db *db;
    bool owner; /* began the transaction, so ends it */
    bool committed;
} dv_db_tx;
#define DV_DB_TX_INIT \
    {                 \
        0             \
    }

int dv_db_begin(dv_db *db, dv_db_mode mode, dv_db_tx *tx, davit_error **err);
/* A joined transaction is committed by whoever began it. */
int dv_db_commit(dv_db_tx *tx, davit_error **err);
void dv_db_tx_clear(dv_db_tx *tx);
DV_DEFINE_AUTO(dv_db_tx, dv_db_tx_clear)

/* What is bound to ?1, ?2, ... Texts are borrowed until the statement has run. */
typedef struct dv_db_value {
    const char *text; /* NULL: the integer counts */
    int64_t integer;
} dv_db_value;
#define DV_TEXT(value) ((dv_db_value){.text = (value)})
#define DV_INTEGER(value) ((dv_db_value){.integer = (int64_t)(value)})

/* A running query. */
typedef struct dv_rows dv_rows;

/* Run a statement without rows. sql is a literal: statements are found by its address. */
int dv_db_run(dv_db *db, const char *sql, const dv_db_value *values, size_t count, davit_error **err);
int dv_db_query(dv_db *db, const char *sql, const dv_db_value *values, size_t count, dv_rows **out,
                davit_error **err);
/* 1: a row; 0: no more; < 0. */
int dv_rows_next(dv_rows *rows, davit_error **err);
void dv_rows_end(dv_rows *rows); /* before the dv_db_tx ends; NULL is fine */
DV_DEFINE_AUTOPTR(dv_rows, dv_rows_end)

/* Columns of the current row. Texts are borrowed until the next row. */
const char *dv_rows_text(const dv_rows *rows, int column);
int64_t dv_rows_integer(const dv_rows *rows, int column);
/* "" is DAVIT_DIGEST_NONE; anything that is no digest is DAVIT_ESTORE. */
int dv_rows_digest(const dv_rows *rows, int column, davit_digest *out, davit_error **err);

/* Rows that the last statement changed. */
int64_t dv_db_changes(const dv_db *db);

#endif
