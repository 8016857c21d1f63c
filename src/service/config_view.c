/* service/config_view.c - see config_view.h. */
#include "service/config_view.h"

#include "service/index_info.h"
#include "service/text_list.h"

#include <string.h>

void davit_service_config_clear(davit_service_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->index_config_count; i++)
        davit_index_info_clear(&config->index_configs[i]);
    free(config->index_configs);
    free(config->allow_nondistributable_artifacts_cidrs);
    dv_text_list_free(config->allow_nondistributable_artifacts_hostnames);
    free(config->insecure_registry_cidrs);
    dv_text_list_free(config->mirrors);
    free(config->extra_fields);
    *config = (davit_service_config)DAVIT_SERVICE_CONFIG_INIT;
}

static int copy_networks(const dv_host_set *set, davit_net_ip_net **out, size_t *out_count, davit_error **err)
{
    if (set->network_count == 0)
        return 0;
    *out = dv_memdup(set->networks, set->network_count * sizeof(**out));
    *out_count = *out ? set->network_count : 0;
    return *out ? 0 : dv_error_oom(err);
}

static int copy_texts(char *const *list, char ***out, davit_error **err)
{
    return list && list[0] ? dv_text_list_copy((const char *const *)list, out, err) : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const davit_index_info *)a)->name, ((const davit_index_info *)b)->name);
}

/* Docker Hub and the insecure names; Docker Hub as an insecure name stays what it is. */
static int list_indexes(const dv_service_config *config, davit_service_config *view, davit_error **err)
{
    view->index_configs = dv_new_array(davit_index_info, config->insecure.name_count + 1);
    if (!view->index_configs)
        return dv_error_oom(err);
    davit_index_info *next = view->index_configs;
    int r = dv_index_info_of_name(config, DAVIT_INDEX_NAME, next, err);
    if (r < 0)
        return r;
    view->index_config_count = 1;
    for (size_t i = 0; i < config->insecure.name_count; i++) {
        if (strcmp(config->insecure.names[i], DAVIT_INDEX_NAME) == 0)
            continue;
        next = &view->index_configs[view->index_config_count];
        next->name = dv_strdup(config->insecure.names[i]);
        if (!next->name)
            return dv_error_oom(err);
        view->index_config_count++;
    }
    qsort(view->index_configs, view->index_config_count, sizeof(*next), by_name);
    return 0;
}

int dv_config_view_make(const dv_service_config *config, davit_service_config *out, davit_error **err)
{
    DV_AUTO(davit_service_config) view = DAVIT_SERVICE_CONFIG_INIT;
    int r = copy_networks(&config->nondistributable, &view.allow_nondistributable_artifacts_cidrs,
                          &view.allow_nondistributable_artifacts_cidr_count, err);
    if (r == 0)
        r = copy_texts(config->nondistributable.names, &view.allow_nondistributable_artifacts_hostnames, err);
    if (r == 0)
        r = copy_networks(&config->insecure, &view.insecure_registry_cidrs,
                          &view.insecure_registry_cidr_count, err);
    if (r == 0)
        r = list_indexes(config, &view, err);
    if (r == 0)
        r = copy_texts(config->mirrors, &view.mirrors, err);
    if (r < 0)
        return r;
    *out = view;
    view = (davit_service_config)DAVIT_SERVICE_CONFIG_INIT; /* moved */
    return 0;
}
