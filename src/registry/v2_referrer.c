/* registry/v2_referrer.c - see v2_referrer.h. */
#include "registry/v2_referrer.h"

#include "net/url.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "registry/call.h"
#include "registry/page_walk.h"
#include "registry/v2_manifest.h"
#include "util/str.h"

#include <string.h>

#define ALGORITHM_MAX 32
#define ENCODED_MAX 64

static char tag_char(char c)
{
    return dv_char_is_alnum(c) || c == '.' || c == '_' || c == '-' ? c : '-';
}

void dv_referrer_tag(const davit_digest *subject, char out[DV_REFERRER_TAG_MAX + 1])
{
    const char *colon = strchr(subject->text, ':');
    size_t n = 0;
    for (const char *c = subject->text; *c != ':' && n < ALGORITHM_MAX; c++)
        out[n++] = tag_char(*c);
    out[n++] = '-';
    for (size_t i = 1; colon[i] && i <= ENCODED_MAX; i++)
        out[n++] = tag_char(colon[i]);
    out[n] = '\0';
}

/* --- listing -------------------------------------------------------------------------------------------------------- */

typedef struct listing {
    const char *artifact_type;
    dv_referrer_fn fn;
    void *user_data;
    size_t count;
    bool stop;
} listing;

static int give_entry(listing *l, const dv_json *entry, davit_error **err)
{
    DV_AUTO(dv_text_pool) pool = DV_TEXT_POOL_INIT;
    davit_descriptor d;
    int r = dv_descriptor_parse(entry, "referrer", /* with_platform= */ true, &pool, &d, err);
    if (r < 0)
        return r;
    if (l->artifact_type && !dv_str_equal(d.artifact_type, l->artifact_type))
        return 0;
    if (++l->count > DV_REFERRERS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %d referrers", DV_REFERRERS_MAX);
    l->stop = l->fn(&d, entry, l->user_data) != 0;
    return 0;
}

static int give_index(listing *l, const dv_json *index, davit_error **err)
{
    const dv_json *entries = dv_json_get(index, "manifests");
    if (!dv_json_is(index, DV_JSON_OBJECT) ||
        (entries && !dv_json_is(entries, DV_JSON_ARRAY) && !dv_json_is(entries, DV_JSON_NULL)))
        return dv_error_set(err, DAVIT_EFORMAT, "referrers: not an index");
    int r = 0;
    for (size_t i = 0; r == 0 && !l->stop && i < dv_json_count(entries); i++)
        r = give_entry(l, dv_json_at(entries, i), err);
    return r;
}

static int parse_index(const dv_buf *bytes, dv_json **out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX, .any_number = true};
    int r = dv_json_parse(dv_buf_text(bytes), bytes->size, &limits, NULL, out, err);
    return r < 0 ? dv_error_wrap(err, r, "referrers") : 0;
}

/* The list under the tag. 1: there and an index; 0: nothing of that name. DAVIT_ECONFLICT: something else. */
static int get_fallback(dv_registry *reg, const davit_digest *subject, dv_manifest_answer *answer,
                        dv_json **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    char tag[DV_REFERRER_TAG_MAX + 1];
    dv_referrer_tag(subject, tag);
    int r = dv_v2_manifest_get(reg, tag, NULL, answer, &why);
    if (r < 0)
        return davit_error_http_status(why) == 404 ? 0 : dv_error_move(err, &why, r);
    const char *type = answer->media_type;
    if (*type && strcmp(type, DV_MEDIA_TYPE_OCI_INDEX) != 0 && strcmp(type, "application/json") != 0)
        return dv_error_set(err, DAVIT_ECONFLICT, "tag %s is no list of referrers but %.100s", tag, type);
    r = parse_index(&answer->bytes, out, err);
    return r < 0 ? r : 1;
}

static int list_fallback(dv_registry *reg, const davit_digest *subject, listing *l, davit_error **err)
{
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    DV_AUTOPTR(dv_json) index = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = get_fallback(reg, subject, &answer, &index, &why);
    if (r == DAVIT_ECONFLICT || r == 0)
        return 0; /* not an index: no referrers */
    return r < 0 ? dv_error_move(err, &why, r) : give_index(l, index, err);
}

static int first_page(dv_registry *reg, const davit_digest *subject, const char *artifact_type, char **path,
                      char **query, davit_error **err)
{
    DV_AUTO(dv_buf) p = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTO(dv_buf) q = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&p, "v2/%s/referrers/%s", reg->path, subject->text);
    if (artifact_type) {
        dv_buf_puts(&q, "artifactType=");
        dv_url_escape(&q, artifact_type, /* form= */ true);
    }
    *path = dv_buf_take(&p);
    *query = dv_buf_take(&q);
    return *path && *query ? 0 : dv_error_oom(err);
}

int dv_v2_referrer_list(dv_registry *reg, const davit_digest *subject, const char *artifact_type,
                        dv_referrer_fn fn, void *user_data, bool *out_fallback, davit_error **err)
{
    static const char *const accept[] = {DV_MEDIA_TYPE_OCI_INDEX, NULL};
    listing l = {.artifact_type = artifact_type, .fn = fn, .user_data = user_data};
    DV_AUTO(dv_page_walk) walk = DV_PAGE_WALK_INIT;
    walk.what = "referrers";
    int r = first_page(reg, subject, artifact_type, &walk.path, &walk.query, err);
    for (bool first = true; r == 0 && walk.path && !l.stop; first = false) {
        DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
        DV_AUTOPTR(dv_json) index = NULL;
        DV_AUTOPTR(davit_error) why = NULL;
        r = dv_call_wait(reg,
                         &(dv_call_spec){.method = "GET",
                                         .path = walk.path,
                                         .query = *walk.query ? walk.query : NULL,
                                         .accept = accept,
                                         .body_max = DAVIT_MANIFEST_MAX},
                         &res, &why);
        int status = davit_error_http_status(why);
        if (r < 0 && first && (status == 404 || status == 405 || status == 501)) {
            if (out_fallback)
                *out_fallback = true;
            return list_fallback(reg, subject, &l, err);
        }
        if (r < 0)
            return dv_error_move(err, &why, r);
        r = parse_index(&res.body, &index, err);
        if (r == 0)
            r = give_index(&l, index, err);
        if (r == 0 && !l.stop)
            r = dv_page_walk_next(&walk, reg, &res, /* go_on= */ NULL, err);
    }
    if (r == 0 && out_fallback)
        *out_fallback = false;
    return r;
}

/* --- the list under the tag ---------------------------------------------------------------------------------------------- */

static bool names(const dv_json *entry, const davit_digest *digest)
{
    return dv_str_equal(dv_json_string(dv_json_get(entry, "digest"), NULL), digest->text);
}

static int put_list(dv_registry *reg, const davit_digest *subject, const dv_json *index, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    char tag[DV_REFERRER_TAG_MAX + 1];
    dv_manifest_put put;
    dv_referrer_tag(subject, tag);
    dv_json_format(index, 0, /* html_safe= */ false, &bytes);
    if (bytes.failed)
        return bytes.failed == DAVIT_ETOOBIG
                   ? dv_error_set(err, DAVIT_ETOOBIG, "too many referrers for tag %s", tag)
                   : dv_error_oom(err);
    return dv_v2_manifest_put(reg, tag, DV_MEDIA_TYPE_OCI_INDEX, dv_buf_text(&bytes), bytes.size, &put, err);
}

/* The document as it is, with these entries. NULL: no memory. */
static dv_json *with_entries(const dv_json *index, dv_json *entries)
{
    DV_AUTOPTR(dv_json) out = dv_json_object_new();
    bool ok = out && dv_json_set_integer(out, "schemaVersion", 2) &&
              dv_json_set_string(out, "mediaType", DV_MEDIA_TYPE_OCI_INDEX);
    void *iter = NULL;
    const char *key;
    const dv_json *value;
    if (!dv_json_set(ok ? out : NULL, "manifests", entries))
        return NULL;
    while (index && dv_json_next(index, &iter, &key, &value))
        if (strcmp(key, "manifests") != 0 && strcmp(key, "schemaVersion") != 0 &&
            strcmp(key, "mediaType") != 0 && !dv_json_set(out, key, dv_json_copy(value)))
            return NULL;
    return DV_STEAL(out);
}

/* {mediaType, digest, size, artifactType, annotations} of a manifest. */
static dv_json *make_entry(const davit_manifest *m, const dv_json *document, size_t size)
{
    DV_AUTOPTR(dv_json) entry = dv_json_object_new();
    const davit_descriptor *config = davit_manifest_config(m);
    const char *type = davit_manifest_artifact_type(m);
    if ((!type || !*type) && config)
        type = config->media_type;
    const dv_json *annotations = dv_json_get(document, "annotations");
    bool ok = entry && dv_json_set_string(entry, "mediaType", davit_manifest_media_type(m)) &&
              dv_json_set_string(entry, "digest", davit_manifest_digest(m)->text) &&
              dv_json_set_integer(entry, "size", (int64_t)size);
    if (ok && type && *type)
        ok = dv_json_set_string(entry, "artifactType", type);
    if (ok && dv_json_is(annotations, DV_JSON_OBJECT))
        ok = dv_json_set(entry, "annotations", dv_json_copy(annotations));
    return ok ? DV_STEAL(entry) : NULL;
}

/* All entries but the one of this digest. *out_found: it was among them. NULL: no memory. */
static dv_json *copy_entries(const dv_json *index, const davit_digest *but, bool *out_found)
{
    const dv_json *old = dv_json_get(index, "manifests");
    DV_AUTOPTR(dv_json) entries = dv_json_array_new();
    *out_found = false;
    for (size_t i = 0; entries && i < dv_json_count(old); i++) {
        const dv_json *entry = dv_json_at(old, i);
        if (names(entry, but))
            *out_found = true;
        else if (!dv_json_append(entries, dv_json_copy(entry)))
            return NULL;
    }
    return DV_STEAL(entries);
}

int dv_v2_referrer_add(dv_registry *reg, const void *manifest, size_t size, const char *media_type,
                       davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTOPTR(dv_json) index = NULL;
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    const dv_buf bytes = {.data = (char *)manifest, .size = size}; /* a view */
    int r = davit_manifest_parse(manifest, size, media_type, &m, err);
    if (r == 0)
        r = parse_index(&bytes, &document, err);
    if (r < 0)
        return r;
    const davit_descriptor *subject = davit_manifest_subject(m);
    if (!subject)
        return dv_error_set(err, DAVIT_EINVAL, "a manifest without a subject refers to nothing");
    r = get_fallback(reg, &subject->digest, &answer, &index, err);
    if (r < 0)
        return r;
    bool listed;
    dv_json *entries = copy_entries(index, davit_manifest_digest(m), &listed);
    if (listed) {
        dv_json_free(entries);
        return 0;
    }
    if (!entries || !dv_json_append(entries, make_entry(m, document, size))) {
        dv_json_free(entries);
        return dv_error_oom(err);
    }
    DV_AUTOPTR(dv_json) list = with_entries(index, entries);
    return list ? put_list(reg, &subject->digest, list, err) : dv_error_oom(err);
}

int dv_v2_referrer_remove(dv_registry *reg, const davit_digest *subject, const davit_digest *referrer,
                          davit_error **err)
{
    DV_AUTOPTR(dv_json) index = NULL;
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    int r = get_fallback(reg, subject, &answer, &index, err);
    if (r <= 0)
        return r;
    bool listed;
    dv_json *entries = copy_entries(index, referrer, &listed);
    if (!entries)
        return dv_error_oom(err);
    if (!listed) {
        dv_json_free(entries);
        return 0;
    }
    DV_AUTOPTR(dv_json) list = with_entries(index, entries);
    return list ? put_list(reg, subject, list, err) : dv_error_oom(err);
}
