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
    r = dv_db_query(s->db, "SELECT repository FROM blob_source WHERE blob = ?1 ORDER BY id DESC",
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

/* *out is true when this repository is the newest source already: the common case, which writes nothing. */
static int is_newest(dv_store *s, const char *blob, const char *repository, bool *out, davit_error **err)
{
    DV_AUTOPTR(dv_rows) rows = NULL;
    int r = dv_db_query(s->db, "SELECT repository FROM blob_source WHERE blob = ?1 ORDER BY id DESC LIMIT 1",
                        &DV_TEXT(blob), 1, &rows, err);
    if (r == 0)
        r = dv_rows_next(rows, err);
    if (r < 0)
        return r;
    *out = r == 1 && strcmp(dv_rows_text(rows, 0), repository) == 0;
    return 0;
}

static int add_source(dv_store *s, const char *blob, const char *repository, davit_error **err)
{
    const dv_db_value values[] = {DV_TEXT(blob), DV_TEXT(repository)};
    bool newest = false;
    int r = is_newest(s, blob, repository, &newest, err);
    if (r < 0 || newest)
        return r;
    /* Replacing takes the row away and gives the new one the highest id. */
    r = dv_db_run(s->db, "INSERT OR REPLACE INTO blob_source (blob, repository) VALUES (?1, ?2)", values, 2,
                  err);
    if (r < 0)
        return r;
    return dv_db_run(
        s->db,
        "DELETE FROM blob_source WHERE blob = ?1 AND id <= (SELECT id FROM blob_source WHERE blob = ?1"
        " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        (dv_db_value[]){DV_TEXT(blob), DV_INTEGER(DV_METADATA_SOURCES_MAX)}, 2, err);
}

int dv_metadata_add_sources(dv_store *s, const char *repository, const davit_digest *blobs, size_t count,
                            davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_source(s, blobs[i].text, repository, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

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
