/* registry/search_filter.h - what a search keeps, and what the filters' texts mean. Pure. Spec: search.md 2. */
#ifndef DV_REGISTRY_SEARCH_FILTER_H
#define DV_REGISTRY_SEARCH_FILTER_H

#include "davit/search.h"
#include "util/error.h"

#define DV_SEARCH_FILTERS_MAX (64u << 10) /* bytes of the JSON */
#define DV_SEARCH_FILTER_VALUES_MAX 1024  /* of one key */

DV_DEFINE_AUTOPTR(davit_search_filters, davit_search_filters_free)

/* The filters understood. */
typedef struct dv_search_wish {
    bool automated_given, automated;
    bool official_given, official;
    bool stars_given;
    int64_t stars; /* at least so many */
} dv_search_wish;

/*
 * Check every key and value, in the order of search.md 1. filters may be NULL. An is-automated that means no results ends the
 * reading there, as the reference does, unless v25. DAVIT_EINVAL "invalid filter ...".
 */
int dv_search_filters_read(const davit_search_filters *filters, bool v25, dv_search_wish *out,
                           davit_error **err);
bool dv_search_wish_keeps(const dv_search_wish *wish, bool v25, const davit_search_result *result);

#endif
