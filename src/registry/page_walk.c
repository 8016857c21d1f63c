/* registry/page_walk.c - see page_walk.h. */
#include "registry/page_walk.h"

#include <string.h>

void dv_page_walk_clear(dv_page_walk *w)
{
    free(w->path);
    free(w->query);
    free(w->marked_path);
    free(w->marked_query);
    *w = (dv_page_walk)DV_PAGE_WALK_INIT;
}

/* The next page's path and query; both NULL at the end. */
static int follow_link(dv_page_walk *w, dv_registry *reg, const dv_response *answer, char **go_on,
                       davit_error **err)
{
    DV_AUTOFREE char *link = dv_header_link_next(&answer->headers);
    free(w->query);
    w->query = NULL;
    if (!link && *go_on) {
        w->query = DV_STEAL(*go_on);
        return 0;
    }
    free(w->path);
    w->path = NULL;
    if (!link)
        return 0;
    DV_AUTO(dv_url) url = DV_URL_INIT;
    int r = dv_url_resolve(&answer->url, link, &url, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s: next page", w->what);
    const char *base = reg->endpoint.url.path;
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (strncmp(url.path, base, n) != 0 || url.path[n] != '/')
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: the next page is outside of the registry", w->what);
    w->path = dv_strdup(url.path + n + 1);
    w->query = dv_strdup(url.query ? url.query : "");
    return w->path && w->query ? 0 : dv_error_oom(err);
}

/*
 * Remember pages 1, 2, 4, 8, ...: whoever leads in a circle, however long, comes by the one that was remembered last (Brent).
 */
static int mark_page(dv_page_walk *w, davit_error **err)
{
    if (w->page & (w->page + 1))
        return 0;
    free(w->marked_path);
    free(w->marked_query);
    w->marked_path = dv_strdup(w->path);
    w->marked_query = dv_strdup(w->query);
    return w->marked_path && w->marked_query ? 0 : dv_error_oom(err);
}

int dv_page_walk_next(dv_page_walk *w, dv_registry *reg, const dv_response *answer, char *go_on,
                      davit_error **err)
{
    DV_AUTOFREE char *own = go_on;
    int r = mark_page(w, err);
    if (r == 0)
        r = follow_link(w, reg, answer, &own, err);
    if (r < 0 || !w->path)
        return r;
    if (strcmp(w->marked_path, w->path) == 0 && strcmp(w->marked_query, w->query) == 0)
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: the registry repeats a page", w->what);
    if (++w->page == DV_PAGES_MAX)
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: more than %d pages", w->what, DV_PAGES_MAX);
    return 0;
}
