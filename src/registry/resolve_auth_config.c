/* registry/resolve_auth_config.c - which of an embedder's credentials are a repository's: auth/ chooses, service/ names the index. */
#include "davit/service.h"

#include "service/index_name.h"
#include "util/error.h"

#include <string.h>

int davit_service_resolve_auth_config(davit_service *service, const davit_auth_entry *entries, size_t count,
                                      const davit_reference *ref, const davit_auth_config **out,
                                      davit_error **err)
{
    /* Of an index, credentials depend on the name alone; whatever is configured, only Docker Hub is official. */
    DV_AUTOFREE char *name = dv_strdup(dv_index_name_normal(davit_reference_domain(ref)));
    if (!name)
        return dv_error_oom(err);
    davit_index_info index = {.name = name, .official = strcmp(name, DAVIT_INDEX_NAME) == 0};
    *out = davit_resolve_auth_config(entries, count, &index);
    return 0;
}
