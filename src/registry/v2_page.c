/* registry/v2_page.c - see v2_page.h. */
#include "registry/v2_page.h"

#include "registry/call.h"
#include "util/json.h"

#include <string.h>

static int give_page(const dv_page_list *list, const dv_response *res, dv_page_fn fn, void *user_data,
                     bool *out_stop, davit_error **err)
{
    DV_AUTOPTR(dv_json) page = NULL;
    const dv_json_limits limits = {.max_bytes = DV_PAGE_MAX, .max_values = DV_PAGE_VALUES_MAX};
    int r = dv_json_parse(dv_buf_text(&res->body), res->body.size, &limits, NULL, &page, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", list->what);
    const dv_json *names = dv_json_get(page, list->key);
    if (names && !dv_json_is(names, DV_JSON_ARRAY) && !dv_json_is(names, DV_JSON_NULL))
        return dv_error_set(err, DAVIT_EFORMAT, "%s: \"%s\" is not an array", list->what, list->key);
    for (size_t i = 0; i < dv_json_count(names) && !*out_stop; i++) {
        size_t size = 0;
        const char *name = dv_json_string(dv_json_at(names, i), &size);
        if (name && strlen(name) == size) /* some registries list null */
            *out_stop = fn(name, user_data) != 0;
    }
    return 0;
}

/* The next page's path and query; both NULL at the end. */
static int next_page(dv_registry *reg, const dv_page_list *list, const dv_response *res, char **path,
                     char **query, davit_error **err)
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
        return dv_error_wrap(err, r, "%s: next page", list->what);
    const char *base = reg->endpoint.url.path;
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (strncmp(url.path, base, n) != 0 || url.path[n] != '/')
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: the next page is outside of the registry", list->what);
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

int dv_v2_page_list(dv_registry *reg, const dv_page_list *list, dv_page_fn fn, void *user_data,
                    davit_error **err)
{
    DV_AUTOFREE char *path = dv_strdup(list->path);
    DV_AUTOFREE char *query = NULL;
    DV_AUTOFREE char *marked_path = NULL;
    DV_AUTOFREE char *marked_query = NULL;
    bool stop = false;
    if (!path)
        return dv_error_oom(err);
    for (unsigned page = 0; path && !stop; page++) {
        DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
        if (page == DV_PAGES_MAX)
            return dv_error_set(err, DAVIT_EPROTOCOL, "%s: more than %d pages", list->what, DV_PAGES_MAX);
        int r = dv_call_wait(reg,
                             &(dv_call_spec){.method = "GET",
                                             .path = path,
                                             .query = query && *query ? query : NULL,
                                             .body_max = DV_PAGE_MAX},
                             &res, err);
        if (r == 0)
            r = give_page(list, &res, fn, user_data, &stop, err);
        if (r == 0 && !stop)
            r = mark_page(&marked_path, &marked_query, page, path, query, err);
        if (r == 0 && !stop)
            r = next_page(reg, list, &res, &path, &query, err);
        if (r < 0)
            return r;
        if (!stop && path && strcmp(marked_path, path) == 0 && strcmp(marked_query, query) == 0)
            return dv_error_set(err, DAVIT_EPROTOCOL, "%s: the registry repeats a page", list->what);
    }
    return 0;
}
