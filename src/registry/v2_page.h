/*
 * registry/v2_page.h - lists of names that come page by page: tags, and the catalogue. Spec: registry-v2.md 7.
 *
 * Of a Link only path and query count, joined to our own origin (threats A8); a page that comes twice ends the listing with an error
 * (threats C4).
 */
#ifndef DV_REGISTRY_V2_PAGE_H
#define DV_REGISTRY_V2_PAGE_H

#include "davit/registry.h"
#include "registry/registry.h"

#define DV_PAGE_MAX (8u << 20)    /* bytes (threats C1) */
#define DV_PAGE_VALUES_MAX 200000 /* JSON values of a page (threats C2) */

#define DV_PAGE_NAMES_ASKED \
    1000 /* of one page at most: for more some registries give an error (quirks.md: ECR) */

/* Which part of a list is wanted. Zero is all of it. */
typedef struct dv_page_part {
    uint64_t limit;   /* names, 0: all */
    const char *last; /* only what comes behind this name; NULL: from the beginning */
} dv_page_part;

typedef struct dv_page_list {
    const char *path; /* of the first page, behind the endpoint's own: "v2/_catalog" */
    const char *key;  /* of the array in a page: "tags" */
    const char *what; /* in messages: "tag list" */
    dv_page_part part;
    bool goes_on; /* a full page without a Link may be followed by more, behind its last name */
} dv_page_list;

/* Of public options, NULL: all. DAVIT_EINVAL for a version or flags that we do not know. */
int dv_page_part_read(const davit_list_options *options, dv_page_part *out, davit_error **err);

/* Takes one name, in the registry's order; a non-zero answer ends the listing without an error. */
typedef int (*dv_page_fn)(const char *name, void *user_data);

/* Threads: a caller's; blocks; fn runs there. */
int dv_v2_page_list(dv_registry *reg, const dv_page_list *list, dv_page_fn fn, void *user_data,
                    davit_error **err);

#endif
