/*
 * distribution/own_metadata.c - what is known of layers, in an embedder's table of texts: the reference's two maps, in its JSON.
 * Spec: store.md 6, push.md 5.
 */
#include "distribution/own_stores.h"

#include "util/json.h"

#include <stdio.h>
#include <string.h>

#define BY_DIFF_ID "v2metadata-by-diffid"
#define BY_DIGEST "diffid-by-digest"
#define ENTRIES_MAX 50
#define TEXT_MAX (64u << 10) /* bytes: 50 entries of digest, repository and HMAC */
#define WHAT "metadata store"

static void make_key(const davit_digest *digest, char out[DAVIT_DIGEST_TEXT_MAX])
{
    snprintf(out, DAVIT_DIGEST_TEXT_MAX, "%s/%s", davit_digest_algorithm_name(digest->algorithm),
             davit_digest_hex(digest));
}

/* 1: the text is there; 0: nothing is known. */
static int get_text(const davit_metadata_store *m, const char *space, const davit_digest *digest, dv_buf *out,
                    davit_error **err)
{
    char key[DAVIT_DIGEST_TEXT_MAX];
    DV_AUTOPTR(davit_error) why = NULL;
    if (!m->get)
        return 0;
    make_key(digest, key);
    int r = m->get(m->user_data, space, key, dv_own_collect, out, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    r = dv_own_collected(r, out, WHAT, &why);
    return r < 0 ? dv_error_move(err, &why, r) : out->size > 0;
}

static int set_text(const davit_metadata_store *m, const char *space, const davit_digest *digest,
                    const char *text, size_t size, davit_error **err)
{
    char key[DAVIT_DIGEST_TEXT_MAX];
    if (!m->set)
        return 0;
    make_key(digest, key);
    return dv_own_result(m->set(m->user_data, space, key, text, size, err), WHAT, err);
}

/* An entry that makes no sense is left out: it is a cache. */
static int read_entry(const dv_json *v, dv_metadata_entries *out, davit_error **err)
{
    size_t unused;
    davit_digest digest;
    const char *text = dv_json_string(dv_json_get(v, "Digest"), &unused);
    const char *repository = dv_json_string(dv_json_get(v, "SourceRepository"), &unused);
    const char *hmac = dv_json_string(dv_json_get(v, "HMAC"), &unused);
    if (!text || davit_digest_parse(text, &digest, NULL) < 0 || (hmac && strlen(hmac) >= DV_METADATA_HMAC_MAX))
        return 0;
    return dv_metadata_entries_add(out, &digest, repository ? repository : "", hmac, err);
}

int dv_own_metadata_by_diff_id(const davit_metadata_store *m, const davit_digest *diff_id,
                               dv_metadata_entries *out, davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = TEXT_MAX};
    DV_AUTO(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    DV_AUTOPTR(dv_json) list = NULL;
    DV_AUTO(dv_metadata_entries) entries = {0};
    int r = get_text(m, BY_DIFF_ID, diff_id, &text, err);
    if (r <= 0 || dv_json_parse(dv_buf_text(&text), text.size, &limits, NULL, &list, NULL) < 0)
        return r < 0 ? r : 0;
    for (size_t i = 0, n = dv_json_count(list); i < n; i++)
        if ((r = read_entry(dv_json_at(list, i), &entries, err)) < 0)
            return r;
    *out = entries;
    entries = (dv_metadata_entries){0};
    return 0;
}

static int write_entries(const davit_metadata_store *m, const davit_digest *diff_id,
                         const dv_metadata_entries *entries, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    dv_buf_putc(&text, '[');
    for (size_t i = 0; i < entries->count; i++) {
        const dv_metadata_entry *e = &entries->items[i];
        dv_buf_printf(&text, "%s{\"Digest\":\"%s\",\"SourceRepository\":", i ? "," : "", e->digest.text);
        dv_json_write_string(&text, e->repository);
        dv_buf_printf(&text, ",\"HMAC\":\"%s\"}", e->hmac);
    }
    dv_buf_putc(&text, ']');
    if (text.failed)
        return text.failed == DAVIT_ENOMEM ? dv_error_oom(err)
                                           : dv_error_set(err, text.failed, WHAT ": too many entries");
    return set_text(m, BY_DIFF_ID, diff_id, dv_buf_text(&text), text.size, err);
}

static bool is_same(const dv_metadata_entry *e, const davit_digest *digest, const char *repository,
                    const char *hmac)
{
    return davit_digest_equal(&e->digest, digest) && strcmp(e->repository, repository) == 0 &&
           strcmp(e->hmac, hmac) == 0;
}

static void drop_equal(dv_metadata_entries *entries, const davit_digest *digest, const char *repository,
                       const char *hmac)
{
    for (size_t i = entries->count; i > 0; i--)
        if (is_same(&entries->items[i - 1], digest, repository, hmac))
            dv_metadata_entries_drop(entries, i - 1);
}

int dv_own_metadata_add(const davit_metadata_store *m, const davit_digest *blob, const davit_digest *diff_id,
                        const char *repository, const char *key, davit_error **err)
{
    DV_AUTO(dv_metadata_entries) entries = {0};
    char hmac[DV_METADATA_HMAC_MAX];
    int r = dv_metadata_sign(key, blob, repository, hmac, err);
    if (r == 0)
        r = dv_own_metadata_by_diff_id(m, diff_id, &entries, err);
    if (r < 0)
        return r;
    drop_equal(&entries, blob, repository, hmac);
    r = dv_metadata_entries_add(&entries, blob, repository, hmac, err);
    while (entries.count > ENTRIES_MAX)
        dv_metadata_entries_drop(&entries, 0);
    if (r == 0)
        r = write_entries(m, diff_id, &entries, err);
    return r < 0 ? r : set_text(m, BY_DIGEST, blob, diff_id->text, strlen(diff_id->text), err);
}

int dv_own_metadata_get_diff_id(const davit_metadata_store *m, const davit_digest *blob, davit_digest *out,
                                davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_DIGEST_TEXT_MAX);
    int r = get_text(m, BY_DIGEST, blob, &text, err);
    if (r < 0)
        return r;
    if (r == 0 || davit_digest_parse(dv_buf_text(&text), out, NULL) < 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, WHAT ": it does not know the diff_id of %s", blob->text);
    return 0;
}

int dv_own_metadata_remove(const davit_metadata_store *m, const dv_metadata_entry *entry, davit_error **err)
{
    DV_AUTO(dv_metadata_entries) entries = {0};
    davit_digest diff_id;
    char key[DAVIT_DIGEST_TEXT_MAX];
    int r = dv_own_metadata_get_diff_id(m, &entry->digest, &diff_id, err);
    if (r == 0)
        r = dv_own_metadata_by_diff_id(m, &diff_id, &entries, err);
    if (r < 0)
        return r;
    drop_equal(&entries, &entry->digest, entry->repository, entry->hmac);
    if (entries.count > 0)
        return write_entries(m, &diff_id, &entries, err);
    if (!m->remove)
        return 0;
    make_key(&diff_id, key);
    return dv_own_result(m->remove(m->user_data, BY_DIFF_ID, key, err), WHAT, err);
}
