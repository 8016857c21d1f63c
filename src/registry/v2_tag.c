/*
 * registry/v2_tag.c - see v2_tag.h. Of a Link only path and query count, joined to our own origin (threats A8); a page that
 * comes twice ends the listing with an error (threats C4).
 */
#include "registry/v2_tag.h"

#include "registry/call.h"
#include "util/json.h"

#include <string.h>

static int give_page(const dv_response *res, davit_tag_fn fn, void *user_data, bool *out_stop,
                     davit_error **err)
{
    DV_AUTOPTR(dv_json) page = NULL;
    const dv_json_limits limits = {.max_bytes = DV_TAG_PAGE_MAX, .max_values = DV_TAG_VALUES_MAX};
    int r = dv_json_parse(dv_buf_text(&res->body), res->body.size, &limits, NULL, &page, err);
    if (r < 0)
        return dv_error_wrap(err, r, "tag list");
    const dv_json *tags = dv_json_get(page, "tags");
    if (tags && !dv_json_is(tags, DV_JSON_ARRAY) && !dv_json_is(tags, DV_JSON_NULL))
        return dv_error_set(err, DAVIT_EFORMAT, "tag list: \"tags\" is not an array");
    for (size_t i = 0; i < dv_json_count(tags) && !*out_stop; i++) {
        size_t size = 0;
        const char *tag = dv_json_string(dv_json_at(tags, i), &size);
        if (tag && strlen(tag) == size) /* some registries list null */
            *out_stop = fn(tag, user_data) != 0;
    }
    return 0;
}

/* The next page's path and query; both NULL at the end. */
static int next_page(dv_registry *reg, const dv_response *res, char **path, char **query, davit_error **err)
{
    DV_AUTOFREE char *link = dv_header_link_next(&res->headers);
    free(*query);
    free(*path);
    *path = *query = NULL;
    if (!link)
        return 0;
    DV_AUTO(dv_url) url = DV_URL_INIT;
    int r = dv_url_resolve(&res->url, link, &url, err);
    if (r < 0)
        return dv_error_wrap(err, r, "tag list: next page");
    const char *base = reg->endpoint.url.path;
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (strncmp(url.path, base, n) != 0 || url.path[n] != '/')
        return dv_error_set(err, DAVIT_EPROTOCOL, "tag list: the next page is outside of the registry");
    *path = dv_strdup(url.path + n + 1);
    *query = dv_strdup(url.query ? url.query : "");
    return *path && *query ? 0 : dv_error_oom(err);
}

/*
 * Remember pages 1, 2, 4, 8, ...: whoever leads in a circle, however long, comes by the one that was remembered last (Brent).
 */
static int mark_page(char **marked_path, char **marked_query, unsigned page, const char *path,
                     const char *query, davit_error **err)
{
    if (page & (page + 1))
        return 0;
    free(*marked_path);
    free(*marked_query);
    *marked_path = dv_strdup(path);
    *marked_query = dv_strdup(query ? query : "");
    return *marked_path && *marked_query ? 0 : dv_error_oom(err);
}

int dv_v2_tag_list(dv_registry *reg, davit_tag_fn fn, void *user_data, davit_error **err)
{
    DV_AUTO(dv_buf) first = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&first, "v2/%s/tags/list", reg->path);
    DV_AUTOFREE char *path = dv_buf_take(&first);
    DV_AUTOFREE char *query = NULL;
    DV_AUTOFREE char *marked_path = NULL;
    DV_AUTOFREE char *marked_query = NULL;
    bool stop = false;
    if (!path)
        return dv_error_oom(err);
    for (unsigned page = 0; path && !stop; page++) {
        DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
        if (page == DV_TAG_PAGES_MAX)
            return dv_error_set(err, DAVIT_EPROTOCOL, "tag list: more than %d pages", DV_TAG_PAGES_MAX);
        int r = dv_call_wait(reg,
                             &(dv_call_spec){.method = "GET",
                                             .path = path,
                                             .query = query && *query ? query : NULL,
                                             .body_max = DV_TAG_PAGE_MAX},
                             &res, err);
        if (r == 0)
            r = give_page(&res, fn, user_data, &stop, err);
        if (r == 0 && !stop)
            r = mark_page(&marked_path, &marked_query, page, path, query, err);
        if (r == 0 && !stop)
            r = next_page(reg, &res, &path, &query, err);
        if (r < 0)
            return r;
        if (!stop && path && strcmp(marked_path, path) == 0 && strcmp(marked_query, query) == 0)
            return dv_error_set(err, DAVIT_EPROTOCOL, "tag list: the registry repeats a page");
    }
    return 0;
}
