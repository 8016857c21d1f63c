/* store/metadata_store.c - see metadata_store.h. Both tables are caches: losing them costs transfers, never correctness. */
#include "store/metadata_store.h"

#include "store/db.h"
#include "store/store_private.h"

#include <string.h>

void dv_metadata_sources_free(char **sources, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(sources[i]);
    free(sources);
}

int dv_metadata_sources(dv_store *s, const davit_digest *blob, char ***out, size_t *out_count,
                        davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    char **sources = dv_new_array(char *, DV_METADATA_SOURCES_MAX);
    size_t count = 0;
    if (!sources)
        return dv_error_oom(err);
    r = dv_db_query(
        s->db, "SELECT repository FROM blob_source WHERE blob = ?1 GROUP BY repository ORDER BY max(id) DESC",
        &DV_TEXT(blob->text), 1, &rows, err);
    while (r == 0 && count < DV_METADATA_SOURCES_MAX && (r = dv_rows_next(rows, err)) == 1) {
        sources[count] = dv_strdup(dv_rows_text(rows, 0));
        r = sources[count] ? 0 : dv_error_oom(err);
        count += r == 0;
    }
    if (r < 0) {
        dv_metadata_sources_free(sources, count);
        return r;
    }
    *out = sources;
    *out_count = count;
    return 0;
}

/* *out is true when this is the newest entry already: the common case, which writes nothing. */
static int is_newest(dv_store *s, const char *blob, const char *repository, const char *hmac, bool *out,
                     davit_error **err)
{
    DV_AUTOPTR(dv_rows) rows = NULL;
    int r = dv_db_query(s->db,
                        "SELECT repository, hmac FROM blob_source WHERE blob = ?1 ORDER BY id DESC LIMIT 1",
                        &DV_TEXT(blob), 1, &rows, err);
    if (r == 0)
        r = dv_rows_next(rows, err);
    if (r < 0)
        return r;
    *out =
        r == 1 && strcmp(dv_rows_text(rows, 0), repository) == 0 && strcmp(dv_rows_text(rows, 1), hmac) == 0;
    return 0;
}

static int add_source(dv_store *s, const char *blob, const char *repository, const char *hmac,
                      davit_error **err)
{
    const dv_db_value values[] = {DV_TEXT(blob), DV_TEXT(repository), DV_TEXT(hmac)};
    bool newest = false;
    int r = is_newest(s, blob, repository, hmac, &newest, err);
    if (r < 0 || newest)
        return r;
    /* Replacing takes the row away and gives the new one the highest id. */
    r = dv_db_run(s->db, "INSERT OR REPLACE INTO blob_source (blob, repository, hmac) VALUES (?1, ?2, ?3)",
                  values, 3, err);
    if (r < 0)
        return r;
    return dv_db_run(
        s->db,
        "DELETE FROM blob_source WHERE blob = ?1 AND id <= (SELECT id FROM blob_source WHERE blob = ?1"
        " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        (dv_db_value[]){DV_TEXT(blob), DV_INTEGER(DV_METADATA_SOURCES_MAX)}, 2, err);
}

int dv_metadata_add_sources(dv_store *s, const char *repository, const char *key, const davit_digest *blobs,
                            size_t count, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    char hmac[DV_METADATA_HMAC_MAX];
    int r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = dv_metadata_sign(key, &blobs[i], repository, hmac, err);
        if (r == 0)
            r = add_source(s, blobs[i].text, repository, hmac, err);
    }
    return r < 0 ? r : dv_db_commit(&tx, err);
}

/* --- entries --------------------------------------------------------------------------------------------------------- */

static int read_entries(dv_store *s, const char *sql, const davit_digest *digest, dv_metadata_entries *out,
                        davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    DV_AUTO(dv_metadata_entries) list = {0};
    DV_AUTOPTR(dv_rows) rows = NULL;
    davit_digest blob;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r == 0)
        r = dv_db_query(s->db, sql,
                        (dv_db_value[]){DV_TEXT(digest->text), DV_INTEGER(DV_METADATA_SOURCES_MAX)}, 2, &rows,
                        err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1) {
        r = dv_rows_digest(rows, 0, &blob, err);
        if (r == 0)
            r = dv_metadata_entries_add(&list, &blob, dv_rows_text(rows, 1), dv_rows_text(rows, 2), err);
    }
    dv_rows_end(DV_STEAL(rows));
    if (r < 0)
        return r;
    *out = list;
    list = (dv_metadata_entries){0};
    return 0;
}

int dv_metadata_by_blob(dv_store *s, const davit_digest *blob, dv_metadata_entries *out, davit_error **err)
{
    return read_entries(s,
                        "SELECT blob, repository, hmac FROM (SELECT * FROM blob_source WHERE blob = ?1"
                        " ORDER BY id DESC LIMIT ?2) ORDER BY id",
                        blob, out, err);
}

int dv_metadata_by_diff_id(dv_store *s, const davit_digest *diff_id, dv_metadata_entries *out,
                           davit_error **err)
{
    return read_entries(
        s,
        "SELECT blob, repository, hmac FROM (SELECT blob_source.* FROM blob_source JOIN diff_id"
        " USING (blob) WHERE diff_id.diff_id = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id",
        diff_id, out, err);
}

int dv_metadata_add(dv_store *s, const davit_digest *blob, const davit_digest *diff_id,
                    const char *repository, const char *key, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    char hmac[DV_METADATA_HMAC_MAX];
    int r = dv_metadata_sign(key, blob, repository, hmac, err);
    if (r == 0)
        r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = add_source(s, blob->text, repository, hmac, err);
    if (r == 0 && diff_id)
        r = dv_metadata_put_diff_id(s, blob, diff_id, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

int dv_metadata_remove(dv_store *s, const dv_metadata_entry *entry, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(
            s->db, "DELETE FROM blob_source WHERE blob = ?1 AND repository = ?2 AND hmac = ?3",
            (dv_db_value[]){DV_TEXT(entry->digest.text), DV_TEXT(entry->repository), DV_TEXT(entry->hmac)}, 3,
            err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

/* --- diff_ids ---------------------------------------------------------------------------------------------------------- */

int dv_metadata_get_diff_id(dv_store *s, const davit_digest *blob, davit_digest *out, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(s->db, "SELECT diff_id FROM diff_id WHERE blob = ?1", &DV_TEXT(blob->text), 1, &rows, err);
    if (r == 0)
        r = dv_rows_next(rows, err);
    if (r == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "diff_id of blob %s is not known", blob->text);
    return r < 0 ? r : dv_rows_digest(rows, 0, out, err);
}

int dv_metadata_put_diff_id(dv_store *s, const davit_digest *blob, const davit_digest *diff_id,
                            davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(s->db, "INSERT OR REPLACE INTO diff_id (blob, diff_id) VALUES (?1, ?2)",
                      (dv_db_value[]){DV_TEXT(blob->text), DV_TEXT(diff_id->text)}, 2, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}
