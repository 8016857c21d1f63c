/* store/reference_store.c - see reference_store.h. Decides the rules of store.md 5; what a pull records is image_store.c's. */
#include "store/reference_store.h"

#include "store/db.h"
#include "store/store_private.h"
#include "util/clock.h"
#include "util/str.h"

#include <string.h>

#define REFERENCE_TEXT_MAX 4096 /* bytes; the grammar's own limits are far below */
#define COLUMNS "reference, media_type, digest, size, updated_at"

static void row_clear(dv_reference_row *row)
{
    free(row->reference);
    free(row->media_type);
}

void dv_reference_rows_clear(dv_reference_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        row_clear(&rows->items[i]);
    free(rows->items);
    *rows = (dv_reference_rows){0};
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static int load_row(const dv_rows *rows, dv_reference_row *out, davit_error **err)
{
    dv_reference_row row = {
        .reference = dv_strdup(dv_rows_text(rows, 0)),
        .media_type = dv_strdup(dv_rows_text(rows, 1)),
        .size = (uint64_t)dv_rows_integer(rows, 3),
        .updated_at_s = dv_rows_integer(rows, 4),
    };
    int r = row.reference && row.media_type ? dv_rows_digest(rows, 2, &row.digest, err) : dv_error_oom(err);
    if (r < 0)
        row_clear(&row);
    else
        *out = row;
    return r;
}

static int append_row(dv_reference_rows *list, const dv_rows *rows, davit_error **err)
{
    dv_reference_row *row = dv_list_place(&list->items, list->count, sizeof(*row));
    if (!row)
        return dv_error_oom(err);
    int r = load_row(rows, row, err);
    list->count += r == 0;
    return r;
}

static int select_rows(dv_store *s, const char *sql, const char *key, dv_reference_rows *out,
                       davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    DV_AUTO(dv_reference_rows) list = {0};
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
    list = (dv_reference_rows){0};
    return 0;
}

/* The text a reference is stored under. */
static int key_of(const davit_reference *ref, dv_buf *out, davit_error **err)
{
    const char *digest = davit_reference_digest_text(ref), *tag = davit_reference_tag(ref);
    dv_buf_reset(out);
    dv_buf_puts(out, davit_reference_name(ref));
    dv_buf_putc(out, digest ? '@' : ':');
    dv_buf_puts(out, digest ? digest : tag ? tag : "latest");
    return out->failed ? dv_error_set(err, out->failed, "reference is too long") : 0;
}

static int does_not_exist(davit_error **err)
{
    return dv_error_set(err, DAVIT_ENOTFOUND, "reference does not exist");
}

static int get_by_key(dv_store *s, const char *key, dv_reference_rows *out, davit_error **err)
{
    int r = select_rows(s, "SELECT " COLUMNS " FROM reference WHERE reference = ?1", key, out, err);
    return r == 0 && out->count == 0 ? does_not_exist(err) : r;
}

int dv_reference_store_get(dv_store *s, const davit_reference *ref, dv_reference_rows *out, davit_error **err)
{
    DV_AUTO(dv_buf) key = DV_BUF_INIT(REFERENCE_TEXT_MAX);
    int r = key_of(ref, &key, err);
    return r < 0 ? r : get_by_key(s, dv_buf_text(&key), out, err);
}

int dv_reference_store_list(dv_store *s, dv_reference_rows *out, davit_error **err)
{
    return select_rows(s, "SELECT " COLUMNS " FROM reference ORDER BY reference", NULL, out, err);
}

int dv_reference_store_by_digest(dv_store *s, const davit_digest *digest, dv_reference_rows *out,
                                 davit_error **err)
{
    return select_rows(s, "SELECT " COLUMNS " FROM reference WHERE digest = ?1 ORDER BY reference",
                       digest->text, out, err);
}

int dv_reference_store_by_image(dv_store *s, const davit_digest *config, dv_reference_rows *out,
                                davit_error **err)
{
    return select_rows(s,
                       "SELECT " COLUMNS " FROM reference WHERE digest IN (SELECT manifest FROM image WHERE"
                       " config = ?1 UNION SELECT index_digest FROM image WHERE config = ?1)"
                       " ORDER BY reference",
                       config->text, out, err);
}

int dv_reference_store_by_name(dv_store *s, const char *name, dv_reference_rows *out, davit_error **err)
{
    return select_rows(s, "SELECT " COLUMNS " FROM reference WHERE name = ?1 ORDER BY reference", name, out,
                       err);
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static int put(dv_store *s, const char *key, const davit_reference *ref, const davit_descriptor *target,
               davit_error **err)
{
    const dv_db_value values[] = {
        DV_TEXT(key),
        DV_TEXT(davit_reference_name(ref)),
        DV_TEXT(target->media_type ? target->media_type : ""),
        DV_TEXT(target->digest.text),
        DV_INTEGER(target->size),
        DV_INTEGER(dv_wall_time_s()),
    };
    return dv_db_run(
        s->db,
        "INSERT OR REPLACE INTO reference (reference, name, media_type, digest, size, updated_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        values, DV_COUNT(values), err);
}

static int check_name(const davit_reference *ref, davit_error **err)
{
    if (!dv_str_equal(davit_reference_familiar_name(ref), "sha256"))
        return 0;
    return dv_error_set(err, DAVIT_EINVAL,
                        "refusing to create an ambiguous tag using digest algorithm as name");
}

static int refuse_replacing(const davit_reference *ref, const davit_digest *old, davit_error **err)
{
    const char *digest = davit_reference_digest_text(ref);
    if (digest)
        return dv_error_set(err, DAVIT_ECONFLICT, "cannot overwrite digest %s", digest);
    return dv_error_set(err, DAVIT_ECONFLICT,
                        "tag %s%s is already set to image %s, use the force option to replace it",
                        davit_reference_familiar(ref), davit_reference_tag(ref) ? "" : ":latest", old->text);
}

static int add(dv_store *s, const davit_reference *ref, const davit_descriptor *target, bool force,
               bool *out_changed, davit_error **err)
{
    DV_AUTO(dv_buf) key = DV_BUF_INIT(REFERENCE_TEXT_MAX);
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    DV_AUTO(dv_reference_rows) old = {0};
    int r = check_name(ref, err);
    if (r == 0)
        r = key_of(ref, &key, err);
    if (r == 0)
        r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
    if (r < 0)
        return r;
    r = get_by_key(s, dv_buf_text(&key), &old, NULL);
    bool changed =
        r == DAVIT_ENOTFOUND || (r == 0 && !davit_digest_equal(&old.items[0].digest, &target->digest));
    if (r == 0 && changed && !force) {
        dv_db_commit(&tx, NULL); /* nothing was written: whoever joined us may go on */
        return refuse_replacing(ref, &old.items[0].digest, err);
    }
    if (r < 0 && r != DAVIT_ENOTFOUND)
        return dv_error_set(err, r, "cannot look up %s in store %s", dv_buf_text(&key), s->path);
    r = changed ? put(s, dv_buf_text(&key), ref, target, err) : 0;
    if (r == 0)
        r = dv_db_commit(&tx, err);
    if (r == 0)
        *out_changed = changed;
    return r;
}

int dv_reference_store_add_tag(dv_store *s, const davit_reference *ref, const davit_descriptor *target,
                               bool force, bool *out_changed, davit_error **err)
{
    if (davit_reference_digest_text(ref))
        return dv_error_set(err, DAVIT_EINVAL, "refusing to create a tag with a digest reference");
    return add(s, ref, target, force, out_changed, err);
}

int dv_reference_store_add_digest(dv_store *s, const davit_reference *ref, const davit_descriptor *target,
                                  bool *out_changed, davit_error **err)
{
    if (!davit_reference_digest_text(ref))
        return dv_error_set(err, DAVIT_EINVAL, "%s has no digest", davit_reference_text(ref));
    return add(s, ref, target, /* force= */ false, out_changed, err);
}

int dv_reference_store_delete_row(dv_store *s, const char *reference, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE, &tx, err);
    if (r == 0)
        r = dv_db_run(s->db, "DELETE FROM reference WHERE reference = ?1", &DV_TEXT(reference), 1, err);
    if (r == 0 && dv_db_changes(s->db) == 0) {
        dv_db_commit(&tx, NULL); /* nothing was written: whoever joined us may go on */
        return does_not_exist(err);
    }
    return r < 0 ? r : dv_db_commit(&tx, err);
}

int dv_reference_store_delete(dv_store *s, const davit_reference *ref, davit_error **err)
{
    DV_AUTO(dv_buf) key = DV_BUF_INIT(REFERENCE_TEXT_MAX);
    int r = key_of(ref, &key, err);
    return r < 0 ? r : dv_reference_store_delete_row(s, dv_buf_text(&key), err);
}
