/*
 * store/image_store.c - see image_store.h.
 *
 * There is a row for each pair of a manifest and the index it came by; readers see one row for each manifest: the last
 * recorded of those that fit the question. Rows are numbered in the order they were recorded.
 */
#include "store/image_store.h"

#include "oci/reference.h"
#include "store/content_store.h"
#include "store/db.h"
#include "store/metadata_store.h"
#include "store/reference_store.h"
#include "store/store_private.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define ID_PREFIX_MAX 128 /* hex digits of the longest digest */

/* max(id): the other columns are of that row (SQLite's rule for bare columns). */
#define SELECT_IMAGES                                                                                 \
    "SELECT manifest, config, index_digest, os, architecture, variant, os_version, size, pulled_at, " \
    "max(id) AS last"                                                                                 \
    " FROM image"
#define ONE_EACH " GROUP BY manifest ORDER BY last"

void dv_image_rows_clear(dv_image_rows *rows)
{
    free(rows->items);
    *rows = (dv_image_rows){0};
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static void load_part(const dv_rows *rows, int column, char out[DAVIT_PLATFORM_PART_MAX])
{
    snprintf(out, DAVIT_PLATFORM_PART_MAX, "%s", dv_rows_text(rows, column));
}

static int load_row(const dv_rows *rows, dv_image_row *out, davit_error **err)
{
    dv_image_row row = {.size = (uint64_t)dv_rows_integer(rows, 7), .pulled_at_s = dv_rows_integer(rows, 8)};
    load_part(rows, 3, row.platform.os);
    load_part(rows, 4, row.platform.architecture);
    load_part(rows, 5, row.platform.variant);
    load_part(rows, 6, row.platform.os_version);
    int r = dv_rows_digest(rows, 0, &row.manifest, err);
    if (r == 0)
        r = dv_rows_digest(rows, 1, &row.config, err);
    if (r == 0)
        r = dv_rows_digest(rows, 2, &row.index, err);
    if (r == 0)
        *out = row;
    return r;
}

static int append_row(dv_image_rows *list, const dv_rows *rows, davit_error **err)
{
    dv_image_row *row = dv_list_place(&list->items, list->count, sizeof(*row));
    if (!row)
        return dv_error_oom(err);
    int r = load_row(rows, row, err);
    list->count += r == 0;
    return r;
}

static int select_rows(dv_store *s, const char *sql, const char *key, dv_image_rows *out, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    DV_AUTO(dv_image_rows) list = {0};
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(s->db, sql, &DV_TEXT(key), key ? 1 : 0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1)
        r = append_row(&list, rows, err);
    if (r < 0)
        return r;
    *out = list;
    list = (dv_image_rows){0};
    return 0;
}

int dv_image_store_list(dv_store *s, dv_image_rows *out, davit_error **err)
{
    return select_rows(s, SELECT_IMAGES ONE_EACH, NULL, out, err);
}

int dv_image_store_by_digest(dv_store *s, const davit_digest *digest, dv_image_rows *out, davit_error **err)
{
    return select_rows(s, SELECT_IMAGES " WHERE manifest = ?1 OR index_digest = ?1" ONE_EACH, digest->text,
                       out, err);
}

int dv_image_store_by_id(dv_store *s, const char *hex_prefix, dv_image_rows *out, davit_error **err)
{
    size_t size = strspn(hex_prefix, "0123456789abcdef");
    if (size == 0 || size > ID_PREFIX_MAX || hex_prefix[size] != '\0') {
        *out = (dv_image_rows){0}; /* what is no prefix of an id fits none */
        return 0;
    }
    return select_rows(
        s, SELECT_IMAGES " WHERE substr(config, instr(config, ':') + 1, length(?1)) = ?1" ONE_EACH,
        hex_prefix, out, err);
}

/* --- forgetting ------------------------------------------------------------------------------------------------------ */

void dv_image_digests_clear(dv_image_digests *list)
{
    free(list->items);
    *list = (dv_image_digests){0};
}

int dv_image_digests_add(dv_image_digests *list, const davit_digest *digest, davit_error **err)
{
    davit_digest *item = dv_list_place(&list->items, list->count, sizeof(*item));
    if (!item)
        return dv_error_oom(err);
    *item = *digest;
    list->count++;
    return 0;
}

/* The digests in every column of what a statement gives; empty ones are none. */
static int select_digests(dv_store *s, const char *sql, int columns, const char *key, dv_image_digests *out,
                          davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(s->db, sql, &DV_TEXT(key), key ? 1 : 0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1) {
        r = 0;
        for (int column = 0; r == 0 && column < columns; column++) {
            davit_digest digest;
            r = dv_rows_digest(rows, column, &digest, err);
            if (r == 0 && digest.algorithm != DAVIT_DIGEST_NONE)
                r = dv_image_digests_add(out, &digest, err);
        }
    }
    return r;
}

int dv_image_store_ids(dv_store *s, const davit_digest *target, dv_image_digests *out, davit_error **err)
{
    DV_AUTO(dv_image_digests) list = {0};
    int r =
        target
            ? select_digests(s,
                             "SELECT config, min(id) AS first FROM image WHERE manifest = ?1 OR"
                             " index_digest = ?1 GROUP BY config ORDER BY first",
                             1, target->text, &list, err)
            : select_digests(s, "SELECT config, min(id) AS first FROM image GROUP BY config ORDER BY first",
                             1, NULL, &list, err);
    if (r < 0)
        return r;
    *out = list;
    list = (dv_image_digests){0};
    return 0;
}

int dv_image_store_delete(dv_store *s, const davit_digest *config, dv_image_digests *dropped,
                          davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
    if (r == 0)
        r = select_digests(s, "SELECT manifest, index_digest FROM image WHERE config = ?1", 2, config->text,
                           dropped, err);
    if (r == 0)
        r = dv_image_digests_add(dropped, config, err);
    if (r == 0)
        r = dv_db_run(s->db, "DELETE FROM image WHERE config = ?1", &DV_TEXT(config->text), 1, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

int dv_image_store_drop_index(dv_store *s, const davit_digest *index, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
    if (r == 0)
        r = dv_db_run(s->db,
                      "DELETE FROM image WHERE index_digest = ?1"
                      " AND NOT EXISTS (SELECT 1 FROM reference WHERE digest = ?1)"
                      " AND EXISTS (SELECT 1 FROM image AS other WHERE other.manifest = image.manifest"
                      " AND other.index_digest <> ?1)",
                      &DV_TEXT(index->text), 1, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

/* --- recording -------------------------------------------------------------------------------------------------------- */

/* *out is true when this very pair is the last that was recorded of its manifest. */
static int is_last(dv_store *s, const dv_image_row *row, bool *out, davit_error **err)
{
    DV_AUTOPTR(dv_rows) rows = NULL;
    int r = dv_db_query(s->db, "SELECT index_digest FROM image WHERE manifest = ?1 ORDER BY id DESC LIMIT 1",
                        &DV_TEXT(row->manifest.text), 1, &rows, err);
    if (r == 0)
        r = dv_rows_next(rows, err);
    if (r < 0)
        return r;
    *out = r == 1 && strcmp(dv_rows_text(rows, 0), row->index.text) == 0;
    return 0;
}

static int record_image(dv_store *s, const dv_image_row *row, davit_error **err)
{
    bool last = false;
    int r = is_last(s, row, &last, err);
    if (r < 0 || last)
        return r;
    const dv_db_value values[] = {
        DV_TEXT(row->manifest.text),
        DV_TEXT(row->config.text),
        DV_TEXT(row->index.text),
        DV_TEXT(row->platform.os),
        DV_TEXT(row->platform.architecture),
        DV_TEXT(row->platform.variant),
        DV_TEXT(row->platform.os_version),
        DV_INTEGER(row->size),
        DV_INTEGER(dv_wall_time_s()),
    };
    /* Replacing takes an older row of the same pair away and gives the new one the highest id. */
    return dv_db_run(
        s->db,
        "INSERT OR REPLACE INTO image (manifest, config, index_digest, os, architecture, variant,"
        " os_version, size, pulled_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        values, DV_COUNT(values), err);
}

/* Beside a tag there is name@digest; one that names something else is kept (pull.md 9). */
static int record_digest_reference(dv_store *s, const dv_pull_record *record, davit_error **err)
{
    DV_AUTOPTR(davit_reference) name = NULL;
    DV_AUTOPTR(davit_reference) ref = NULL;
    davit_error *why = NULL;
    bool changed;
    int r = davit_reference_trim(record->reference, &name, err);
    if (r == 0)
        r = davit_reference_with_digest(name, record->target.digest.text, &ref, err);
    if (r < 0)
        return r;
    r = dv_reference_store_add_digest(s, ref, &record->target, &changed, &why);
    if (r == DAVIT_ECONFLICT) {
        dv_warn("%s is kept: %s", davit_reference_familiar(ref), davit_error_message(why));
        davit_error_free(why);
        return 0;
    }
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

static int record_reference(dv_store *s, const dv_pull_record *record, bool *out_updated, davit_error **err)
{
    if (davit_reference_digest_text(record->reference))
        return dv_reference_store_add_digest(s, record->reference, &record->target, out_updated, err);
    int r = record->tag_only ? 0 : record_digest_reference(s, record, err);
    if (r < 0)
        return r;
    return dv_reference_store_add_tag(s, record->reference, &record->target, /* force= */ true, out_updated,
                                      err);
}

int dv_image_store_record(dv_store *s, const dv_pull_record *record, bool *out_updated, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    bool updated = false;
    int r = dv_content_sync(s, err); /* no row before the names it needs are on disk */
    if (r == 0)
        r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
    for (size_t i = 0; r == 0 && i < record->image_count; i++)
        r = record_image(s, &record->images[i], err);
    if (r == 0 && record->repository)
        r = dv_metadata_add_sources(s, record->repository, record->hmac_key ? record->hmac_key : "",
                                    record->blobs, record->blob_count, err);
    if (r == 0 && record->reference)
        r = record_reference(s, record, &updated, err);
    if (r == 0)
        r = dv_db_commit(&tx, err);
    if (r == 0)
        *out_updated = updated;
    return r;
}
