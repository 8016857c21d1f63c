/* registry/v2_tag.h - the tags of a repository, page by page. Spec: registry-v2.md 7. Threads: a caller's; blocks. */
#ifndef DV_REGISTRY_V2_TAG_H
#define DV_REGISTRY_V2_TAG_H

#include "davit/registry.h"
#include "registry/registry.h"

#define DV_TAG_PAGE_MAX (8u << 20) /* bytes (threats C1) */
#define DV_TAG_VALUES_MAX 200000   /* JSON values of a page (threats C2) */
#define DV_TAG_PAGES_MAX 10000     /* (threats C4) */

int dv_v2_tag_list(dv_registry *reg, davit_tag_fn fn, void *user_data, davit_error **err);

#endif
