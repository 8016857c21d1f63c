/* registry/v2_tag.h - the tags of a repository, page by page. Spec: registry-v2.md 7. Threads: a caller's; blocks. */
#ifndef DV_REGISTRY_V2_TAG_H
#define DV_REGISTRY_V2_TAG_H

#include "davit/registry.h"
#include "registry/v2_page.h"

int dv_v2_tag_list(dv_registry *reg, davit_tag_fn fn, void *user_data, davit_error **err);
/* The same of a part of the list, also where the registry gives all of it. */
int dv_v2_tag_list_part(dv_registry *reg, const dv_page_part *part, davit_tag_fn fn, void *user_data,
                        davit_error **err);

#endif
