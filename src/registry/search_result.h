/* registry/search_result.h - the answer of an index as a value, both ways. Spec: search.md 9. */
#ifndef DV_REGISTRY_SEARCH_RESULT_H
#define DV_REGISTRY_SEARCH_RESULT_H

#include "davit/search.h"
#include "util/error.h"

#define DV_SEARCH_ANSWER_MAX (4u << 20) /* bytes (threats C1) */

DV_DEFINE_AUTOPTR(davit_search_results, davit_search_results_free)

void dv_search_result_clear(davit_search_result *result);

#endif
