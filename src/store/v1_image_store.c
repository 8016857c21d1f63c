/* store/v1_image_store.c - see v1_image_store.h. */
#include "store/v1_image_store.h"

#include "oci/media_type.h"
#include "store/db.h"
#include "store/store_private.h"
#include "util/clock.h"

#include <string.h>

void dv_v1_image_row_clear(dv_v1_image_row *row)
{
    free(row->parent);
    free(row->json);
    free(row->checksums);
    *row = (dv_v1_image_row)DV_V1_IMAGE_ROW_INIT;
}

static int read_row(const dv_rows *rows, dv_v1_image_row *row, davit_error **err)
{
    const char *type = dv_media_type_intern(dv_rows_text(rows, 5));
    row->parent = dv_strdup(dv_rows_text(rows, 0));
    row->json = dv_strdup(dv_rows_text(rows, 1));
    row->checksums = dv_strdup(dv_rows_text(rows, 2));
    row->layer =
        (davit_descriptor){.media_type = type ? type : "", .size = (uint64_t)dv_rows_integer(rows, 4)};
    if (!row->parent || !row->json || !row->checksums)
        return dv_error_oom(err);
    int r = dv_rows_digest(rows, 3, &row->layer.digest, err);
    return r < 0 ? r : dv_rows_digest(rows, 6, &row->diff_id, err);
}

int dv_v1_image_store_get(dv_store *s, const char *registry, const char *id, dv_v1_image_row *out,
                          davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    DV_AUTO(dv_v1_image_row) row = DV_V1_IMAGE_ROW_INIT;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(s->db,
                    "SELECT parent, json, checksums, layer, size, media_type, diff_id FROM v1_image"
                    " WHERE registry = ?1 AND id = ?2",
                    (dv_db_value[]){DV_TEXT(registry), DV_TEXT(id)}, 2, &rows, err);
    if (r == 0)
        r = dv_rows_next(rows, err);
    if (r == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "nothing is known of image %s of %s", id, registry);
    if (r > 0)
        r = read_row(rows, &row, err);
    if (r < 0)
        return r;
    *out = row;
    row = (dv_v1_image_row)DV_V1_IMAGE_ROW_INIT; /* moved */
    return 0;
}

int dv_v1_image_store_put(dv_store *s, const char *registry, const char *id, const char *parent,
                          const char *json, const char *checksums, uint64_t layer_size, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(
            s->db,
            "INSERT INTO v1_image (registry, id, parent, json, checksums, size, updated_at)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            " ON CONFLICT (registry, id) DO UPDATE SET parent = ?3, json = ?4, checksums = ?5,"
            " layer = '', diff_id = '', size = ?6 WHERE json != ?4 OR checksums != ?5 OR parent != ?3",
            (dv_db_value[]){DV_TEXT(registry), DV_TEXT(id), DV_TEXT(parent), DV_TEXT(json),
                            DV_TEXT(checksums), DV_INTEGER(layer_size), DV_INTEGER(dv_wall_time_s())},
            7, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

int dv_v1_image_store_put_layer(dv_store *s, const char *registry, const char *id,
                                const davit_descriptor *layer, const davit_digest *diff_id, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(
            s->db,
            "UPDATE v1_image SET layer = ?3, size = ?4, media_type = ?5, diff_id = ?6, updated_at = ?7"
            " WHERE registry = ?1 AND id = ?2",
            (dv_db_value[]){DV_TEXT(registry), DV_TEXT(id), DV_TEXT(layer->digest.text),
                            DV_INTEGER(layer->size), DV_TEXT(layer->media_type), DV_TEXT(diff_id->text),
                            DV_INTEGER(dv_wall_time_s())},
            7, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

int dv_v1_image_store_delete(dv_store *s, const char *registry, const char *id, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(s->db, "DELETE FROM v1_image WHERE registry = ?1 AND id = ?2",
                      (dv_db_value[]){DV_TEXT(registry), DV_TEXT(id)}, 2, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

int dv_v1_image_store_expire(dv_store *s, davit_error **err)
{
    const int64_t oldest = dv_wall_time_s() - (int64_t)DV_V1_IMAGE_DAYS * 24 * 60 * 60;
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(s->db, "DELETE FROM v1_image WHERE updated_at <= ?1",
                      (dv_db_value[]){DV_INTEGER(oldest)}, 1, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}
