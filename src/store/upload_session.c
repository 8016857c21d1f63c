/* store/upload_session.c - see upload_session.h. */
#include "store/upload_session.h"

#include "store/db.h"
#include "store/store_private.h"
#include "util/clock.h"

#include <string.h>

void dv_stored_upload_clear(dv_stored_upload *u)
{
    if (u->url)
        explicit_bzero(u->url, strlen(u->url));
    free(u->url);
    *u = (dv_stored_upload)DV_STORED_UPLOAD_INIT;
}

static int64_t oldest(void)
{
    return dv_wall_time_s() - (int64_t)DV_UPLOAD_SESSION_DAYS * 24 * 60 * 60;
}

int dv_upload_session_get(dv_store *s, const char *repository, const davit_digest *blob,
                          dv_stored_upload *out, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(
        s->db, "SELECT url, sent FROM upload_session WHERE repository = ?1 AND blob = ?2 AND updated_at > ?3",
        (dv_db_value[]){DV_TEXT(repository), DV_TEXT(blob->text), DV_INTEGER(oldest())}, 3, &rows, err);
    if (r == 0)
        r = dv_rows_next(rows, err);
    if (r < 0)
        return r;
    int64_t sent = r > 0 ? dv_rows_integer(rows, 1) : -1;
    if (sent < 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "no upload of %s to %s was begun", blob->text, repository);
    char *url = dv_strdup(dv_rows_text(rows, 0));
    if (!url)
        return dv_error_oom(err);
    *out = (dv_stored_upload){.url = url, .sent = (uint64_t)sent};
    return 0;
}

int dv_upload_session_put(dv_store *s, const char *repository, const davit_digest *blob, const char *url,
                          uint64_t sent, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(s->db,
                      "INSERT OR REPLACE INTO upload_session (repository, blob, url, sent, updated_at)"
                      " VALUES (?1, ?2, ?3, ?4, ?5)",
                      (dv_db_value[]){DV_TEXT(repository), DV_TEXT(blob->text), DV_TEXT(url),
                                      DV_INTEGER(sent), DV_INTEGER(dv_wall_time_s())},
                      5, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

int dv_upload_session_delete(dv_store *s, const char *repository, const davit_digest *blob, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(s->db, "DELETE FROM upload_session WHERE repository = ?1 AND blob = ?2",
                      (dv_db_value[]){DV_TEXT(repository), DV_TEXT(blob->text)}, 2, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

int dv_upload_session_expire(dv_store *s, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(s->db, DV_DB_WRITE_RELAXED, &tx, err);
    if (r == 0)
        r = dv_db_run(s->db, "DELETE FROM upload_session WHERE updated_at <= ?1",
                      (dv_db_value[]){DV_INTEGER(oldest())}, 1, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}
