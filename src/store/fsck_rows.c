/*
 * store/fsck_rows.c - see fsck.h: the database's own check, and whether every row can be what it says it is.
 */
#include "store/fsck.h"

#include "oci/reference.h"
#include "store/db.h"
#include "store/store_private.h"
#include "util/str.h"

#include <string.h>

#define TOLD_MAX 10 /* of what SQLite says about itself */

static const char database_name[] = "davit.db";
static const char remedy[] =
    "move davit.db and its -wal and -shm files away and pull the images again: the blobs stay";

static int add_database(dv_fsck *f, const char *message, davit_error **err)
{
    return dv_fsck_add(
        f,
        &(dv_fsck_about){
            .kind = DAVIT_FSCK_DATABASE, .damage = true, .subject = database_name, .remedy = remedy},
        err, "%s", message);
}

/* 1: whole; 0: damaged, and told. */
static int check_integrity(dv_fsck *f, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_db_begin(f->store->db, DV_DB_READ, &tx, &why), told = 0;
    if (r < 0)
        return r == DAVIT_ENOMEM ? dv_error_oom(err) : add_database(f, davit_error_message(why), err);
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(f->store->db, "PRAGMA integrity_check", NULL, 0, &rows, &why);
    while (r == 0 && (r = dv_rows_next(rows, &why)) == 1) {
        const char *text = dv_rows_text(rows, 0);
        r = 0;
        if (strcmp(text, "ok") != 0 && told++ < TOLD_MAX)
            r = add_database(f, text, err);
    }
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0 && !told++)
        r = add_database(f, davit_error_message(why), err);
    return r < 0 ? r : told == 0;
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

static bool is_digest(const char *text, bool may_lack)
{
    davit_digest digest;
    return (may_lack && !*text) ||
           (davit_digest_parse(text, &digest, NULL) == 0 && strcmp(digest.text, text) == 0);
}

/* Stored in full form: a tag or a digest, of a repository that is the row's name. < 0: no memory to tell. */
static int is_reference(const char *text, const char *name, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = davit_reference_parse(text, &ref, NULL);
    if (r < 0)
        return r == DAVIT_ENOMEM ? dv_error_oom(err) : 0;
    bool one = !davit_reference_tag(ref) != !davit_reference_digest_text(ref);
    return one && dv_str_equal(davit_reference_text(ref), text) &&
           dv_str_equal(davit_reference_name(ref), name);
}

/* What is wrong with the row: *out stays NULL when it is right. */
typedef int judge_fn(const dv_rows *rows, const char **out, davit_error **err);

static int judge_reference(const dv_rows *rows, const char **out, davit_error **err)
{
    int r = is_reference(dv_rows_text(rows, 0), dv_rows_text(rows, 1), err);
    if (r < 0)
        return r;
    if (r == 0)
        *out = "is no reference";
    else if (!is_digest(dv_rows_text(rows, 2), /* may_lack= */ false))
        *out = "names no digest";
    else if (dv_rows_integer(rows, 3) < 0)
        *out = "has a negative size";
    return 0;
}

static int judge_image(const dv_rows *rows, const char **out, davit_error **err)
{
    if (!is_digest(dv_rows_text(rows, 1), /* may_lack= */ false))
        *out = "an image row has a manifest that is no digest";
    else if (!is_digest(dv_rows_text(rows, 2), /* may_lack= */ false))
        *out = "an image row has a config that is no digest";
    else if (!is_digest(dv_rows_text(rows, 3), /* may_lack= */ true))
        *out = "an image row has an index that is no digest";
    return 0;
}

static int judge_layer(const dv_rows *rows, const char **out, davit_error **err)
{
    if (!is_digest(dv_rows_text(rows, 0), /* may_lack= */ false))
        *out = "the row of an unpacked layer has a chain that is no digest";
    else if (!is_digest(dv_rows_text(rows, 1), /* may_lack= */ true))
        *out = "the row of an unpacked layer has a parent that is no digest";
    else if (!is_digest(dv_rows_text(rows, 2), /* may_lack= */ false) ||
             !is_digest(dv_rows_text(rows, 3), /* may_lack= */ false))
        *out = "the row of an unpacked layer has a diff_id or blob that is no digest";
    return 0;
}

typedef struct table {
    const char *select, *delete_one; /* by its first column, which is the subject */
    judge_fn *judge;
} table;

static const table tables[] = {
    {"SELECT reference, name, digest, size FROM reference", "DELETE FROM reference WHERE reference = ?1",
     judge_reference},
    {"SELECT id, manifest, config, index_digest FROM image", "DELETE FROM image WHERE id = ?1", judge_image},
    {"SELECT chain, parent, diff_id, blob FROM layer", "DELETE FROM layer WHERE chain = ?1", judge_layer},
};

typedef struct bad_row {
    struct bad_row *next;
    char *key;
    const char *flaw;
} bad_row;

static void free_bad_rows(bad_row **list)
{
    while (*list) {
        bad_row *row = *list;
        *list = row->next;
        free(row->key);
        free(row);
    }
}

static int push_bad(bad_row **list, const char *key, const char *flaw, davit_error **err)
{
    bad_row *row = dv_new(bad_row);
    char *copy = dv_strdup(key);
    if (!row || !copy) {
        free(row);
        free(copy);
        return dv_error_oom(err);
    }
    *row = (bad_row){.next = *list, .key = copy, .flaw = flaw};
    *list = row;
    return 0;
}

static int find_bad(dv_fsck *f, const table *t, bad_row **out, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(f->store->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(f->store->db, t->select, NULL, 0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1) {
        const char *flaw = NULL;
        r = t->judge(rows, &flaw, err);
        if (r == 0 && flaw)
            r = push_bad(out, dv_rows_text(rows, 0), flaw, err);
    }
    return r;
}

static int delete_bad(dv_fsck *f, const table *t, const bad_row *list, davit_error **err)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(f->store->db, DV_DB_WRITE, &tx, err);
    for (; r == 0 && list; list = list->next)
        r = dv_db_run(f->store->db, t->delete_one, &DV_TEXT(list->key), 1, err);
    return r < 0 ? r : dv_db_commit(&tx, err);
}

static int check_table(dv_fsck *f, const table *t, bool *readable, davit_error **err)
{
    __attribute__((cleanup(free_bad_rows))) bad_row *list = NULL;
    int r = find_bad(f, t, &list, err);
    if (r == 0 && list && dv_fsck_repairs(f))
        r = delete_bad(f, t, list, err);
    for (const bad_row *row = list; r == 0 && row; row = row->next)
        r = dv_fsck_add(
            f,
            &(dv_fsck_about){
                .kind = DAVIT_FSCK_ROW, .damage = true, .repaired = dv_fsck_repairs(f), .subject = row->key},
            err, "%s", row->flaw);
    if (list && !dv_fsck_repairs(f))
        *readable = false;
    return r;
}

int dv_fsck_rows(dv_fsck *f, bool *out_readable, davit_error **err)
{
    int r = check_integrity(f, err);
    if (r <= 0) {
        *out_readable = false;
        return r;
    }
    *out_readable = true;
    r = 0;
    for (size_t i = 0; r == 0 && i < DV_COUNT(tables); i++)
        r = check_table(f, &tables[i], out_readable, err);
    return r;
}
