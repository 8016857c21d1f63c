/* registry/v2_catalog.h - the repositories of a registry, page by page. Spec: registry-v2.md 7. Threads: a caller's; blocks. */
#ifndef DV_REGISTRY_V2_CATALOG_H
#define DV_REGISTRY_V2_CATALOG_H

#include "davit/search.h"
#include "registry/v2_page.h"

/*
 * reg: of the registry as such, path "", used for nothing else. Many registries have no catalogue, or one for nobody:
 * DAVIT_EUNSUPPORTED then, unless other credentials might help.
 */
int dv_v2_catalog_list(dv_registry *reg, const dv_page_part *part, davit_repository_fn fn, void *user_data,
                       davit_error **err);

#endif
