/*
 * registry/search.c - davit_service_search(): the order of work of search.md 1; what is asked and by whom is v1_session.c's, what
 * filters mean search_filter.c's.
 */
#include "davit/search.h"

#include "auth/auth_config.h"
#include "registry/client.h"
#include "registry/credentials.h"
#include "registry/search_filter.h"
#include "registry/search_result.h"
#include "registry/v1_session.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

#define TERM_MAX 4096 /* bytes */

/* --- the term ------------------------------------------------------------------------------------------------------ */

typedef struct question {
    char *index;
    const char *remote; /* within the term */
    dv_search_wish wish;
    bool v25;
    int64_t limit;
    dv_headers headers;
} question;

static void question_clear(question *q)
{
    free(q->index);
    dv_headers_clear(&q->headers);
}
DV_DEFINE_AUTO(question, question_clear)

/* Whether the text before the first "/" is an index, as search.md 3 says; references have another rule. */
static bool is_index(const char *text, size_t size)
{
    return memchr(text, '.', size) || memchr(text, ':', size) ||
           (size == strlen("localhost") && memcmp(text, "localhost", size) == 0);
}

static int split_term(const char *term, question *q, davit_error **err)
{
    if (strstr(term, "://"))
        return dv_error_set(err, DAVIT_EINVAL,
                            "invalid repository name: repository name (%s) should not have a scheme", term);
    if (strlen(term) > TERM_MAX)
        return dv_error_set(err, DAVIT_EINVAL, "search term of %zu bytes is too long", strlen(term));
    const char *slash = strchr(term, '/');
    bool named = slash && is_index(term, (size_t)(slash - term));
    DV_AUTOFREE char *index = named ? dv_strndup(term, (size_t)(slash - term)) : dv_strdup(DAVIT_INDEX_NAME);
    bool official = dv_str_equal(index, DAVIT_INDEX_NAME) || dv_str_equal(index, DAVIT_INDEX_HOSTNAME);
    q->index = official ? dv_strdup(DAVIT_INDEX_NAME) : DV_STEAL(index);
    q->remote = named ? slash + 1 : term;
    if (official && dv_str_starts(q->remote, "library/"))
        q->remote += strlen("library/");
    return q->index ? 0 : dv_error_oom(err);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static int build_path(const question *q, dv_buf *out, davit_error **err)
{
    int64_t limit = q->limit ? q->limit : DAVIT_SEARCH_LIMIT_DEFAULT;
    if (limit < 1 || limit > DAVIT_SEARCH_LIMIT_MAX)
        return dv_error_set(err, DAVIT_EINVAL, "limit %" PRId64 " is outside the range of [1, %d]", limit,
                            DAVIT_SEARCH_LIMIT_MAX);
    dv_buf_puts(out, "search?q=");
    dv_url_escape(out, q->remote, /* form= */ true);
    dv_buf_printf(out, "&n=%" PRId64, limit);
    return out->failed ? dv_error_oom(err) : 0;
}

/* Keep what was asked for, in the index's order; what else the answer says is dropped. */
static void filter_results(const question *q, davit_search_results *results)
{
    size_t kept = 0;
    for (size_t i = 0; i < results->count; i++) {
        davit_search_result *one = &results->items[i];
        if (!dv_search_wish_keeps(&q->wish, q->v25, one)) {
            dv_search_result_clear(one);
            continue;
        }
        if (!q->v25)
            one->is_automated = false;
        results->items[kept++] = *one;
    }
    results->count = kept;
    results->has_results = true;
    results->num_results = 0;
    free(results->query);
    results->query = NULL;
}

static int search_as(davit_client *c, const question *q, const davit_auth_config *auth,
                     davit_search_results **out, davit_error **err)
{
    DV_AUTOPTR(dv_v1_session) session = NULL;
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    int r = dv_v1_session_open(c, q->index, auth, &q->headers, &session, err);
    if (r == 0)
        r = dv_v1_session_authorize(session, err);
    if (r == 0)
        r = build_path(q, &path, err);
    if (r == 0)
        r = dv_v1_session_get(session, dv_buf_text(&path), DV_SEARCH_ANSWER_MAX, &res, err);
    if (r < 0)
        return r;
    r = davit_search_results_parse(dv_buf_text(&res.body), res.body.size, out, err);
    if (r < 0)
        return r == DAVIT_ENOMEM ? r : dv_error_wrap(err, r, "error decoding registry search results");
    filter_results(q, *out);
    return 0;
}

/* --- the call ------------------------------------------------------------------------------------------------------ */

static int take_headers(davit_client *c, const davit_search_options *o, dv_headers *out, davit_error **err)
{
    int r = dv_headers_copy(&c->extra_headers, out, err);
    for (const char *const *line = o->headers; r == 0 && line && *line; line++)
        r = dv_client_add_header(out, *line, err);
    return r;
}

/* An X-Registry-Auth value that cannot be read counts as an empty AuthConfig, as in the reference. */
static int given_auth(const char *value, davit_auth_config *out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    return davit_auth_config_decode(value, out, &why) == DAVIT_ENOMEM ? dv_error_oom(err) : 0;
}

static int ask(davit_client *c, const question *q, const davit_search_options *o, davit_search_results **out,
               davit_error **err)
{
    DV_AUTO(davit_auth_config) auth = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTO(davit_auth_config) other = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = o->registry_auth ? given_auth(o->registry_auth, &auth, err)
                             : dv_client_find_credentials(c, q->index, NULL, &auth, err);
    if (r < 0)
        return r;
    bool somebody = o->registry_auth || r > 0;
    r = search_as(c, q, somebody ? &auth : NULL, out, &why);
    if (r == DAVIT_EUNAUTHORIZED && o->request_auth_config) {
        davit_error_free(DV_STEAL(why));
        r = dv_auth_config_request(o->request_auth_config, o->request_auth_config_data, &other, &why);
        if (r == 0)
            r = search_as(c, q, &other, out, &why);
    }
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

static int nothing_found(davit_search_results **out, davit_error **err)
{
    davit_search_results *results = dv_new(davit_search_results);
    if (!results)
        return dv_error_oom(err);
    results->has_results = true;
    *out = results;
    return 0;
}

int davit_service_search(davit_client *client, const char *term, const davit_search_options *options,
                         davit_search_results **out, davit_error **err)
{
    static const davit_search_options defaults = DAVIT_SEARCH_OPTIONS_INIT;
    const davit_search_options *o = options ? options : &defaults;
    if (o->version != DAVIT_SEARCH_OPTIONS_VERSION)
        return dv_error_set(err, DAVIT_EINVAL, "davit_search_options of version %u", o->version);
    if (o->flags & ~DAVIT_SEARCH_V25)
        return dv_error_set(err, DAVIT_EINVAL, "unknown search flags 0x%x", o->flags & ~DAVIT_SEARCH_V25);
    DV_AUTO(question) q = {.v25 = o->flags & DAVIT_SEARCH_V25, .limit = o->limit};
    int r = dv_search_filters_read(o->filters, q.v25, &q.wish, err);
    if (r == 0 && q.wish.automated && !q.v25)
        return nothing_found(out, err); /* nothing is automated any more */
    if (r == 0)
        r = split_term(term, &q, err);
    if (r == 0)
        r = take_headers(client, o, &q.headers, err);
    return r < 0 ? r : ask(client, &q, o, out, err);
}
