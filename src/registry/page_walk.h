/*
 * registry/page_walk.h - from page to page of a list, whatever is on them. Spec: registry-v2.md 7, 8.
 *
 * Of a Link only path and query count, joined to our own origin (threats A8); a page that comes twice ends the listing with an error
 * (threats C4).
 */
#ifndef DV_REGISTRY_PAGE_WALK_H
#define DV_REGISTRY_PAGE_WALK_H

#include "net/request.h"
#include "registry/registry.h"

#define DV_PAGES_MAX 10000 /* (threats C4) */

typedef struct dv_page_walk {
    const char *what;   /* in messages: "tag list" */
    char *path, *query; /* of the page to ask for, query "" for none; path NULL: there is no more */
    char *marked_path, *marked_query;
    unsigned page;
} dv_page_walk;

#define DV_PAGE_WALK_INIT \
    {                     \
        0                 \
    }
void dv_page_walk_clear(dv_page_walk *w);
DV_DEFINE_AUTO(dv_page_walk, dv_page_walk_clear)

/*
 * The page was read: on to the next that the answer links. go_on: the query to go on with where there is no Link, taken over; NULL: that is
 * the end. DAVIT_EPROTOCOL: outside of the registry, too many, one came twice.
 */
int dv_page_walk_next(dv_page_walk *w, dv_registry *reg, const dv_response *answer, char *go_on,
                      davit_error **err);

#endif
