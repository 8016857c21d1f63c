/*
 * Any lines as entries of a service: "m" before a mirror, "i" an insecure registry, "n" a nondistributable one, and any other
 * as a host that is asked for. What is accepted can be shown as JSON, and answers, without a name service, for every host.
 */
#include "service/config_view.h"
#include "service/index_info.h"
#include "service/service.h"
#include "util/json.h"

#include <assert.h>
#include <string.h>

#define LINES 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int resolve_nothing(const char *host, struct sockaddr_storage *out, size_t max, void *user_data)
{
    return 0;
}

static void show(davit_service *service, davit_service_config_shape shape)
{
    DV_AUTO(davit_service_config) config = DAVIT_SERVICE_CONFIG_INIT;
    DV_AUTOPTR(dv_json) json = NULL;
    DV_AUTOFREE char *text = NULL;
    if (davit_service_get_config(service, &config, NULL) < 0 ||
        davit_service_config_format(&config, shape, &text, NULL) < 0)
        return;
    assert(dv_json_parse(text, strlen(text), &(dv_json_limits){.max_bytes = 1 << 24}, NULL, &json, NULL) == 0);
}

static void ask(davit_service *service, const char *host)
{
    davit_api_endpoints *endpoints = NULL;
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(service);
    DV_AUTO(davit_index_info) index = DAVIT_INDEX_INFO_INIT;
    DV_AUTOFREE char *name = NULL;
    const char *remote;
    if (davit_service_lookup_pull_endpoints(service, host, &endpoints, NULL) == 0)
        assert(endpoints->count > 0 && endpoints->items[0].tls_config);
    davit_api_endpoints_free(endpoints);
    if (dv_index_info_of_name(config, host, &index, NULL) == 0)
        assert(!index.official || strcmp(index.name, "docker.io") == 0);
    if (dv_search_term_split(host, &name, &remote, NULL) == 0)
        assert(strstr(host, remote));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *mirrors[LINES + 1] = {0}, *insecure[LINES + 1] = {0}, *artifacts[LINES + 1] = {0},
                                *hosts[LINES + 1] = {0};
    size_t counts[4] = {0};
    DV_AUTOFREE char *input = dv_strndup((const char *)data, size);
    DV_AUTOPTR(davit_service) service = NULL;
    char *rest = input;
    for (int i = 0; i < LINES && rest && *rest; i++) {
        char *line = strsep(&rest, "\n");
        const char **lists[] = {mirrors, insecure, artifacts, hosts};
        size_t n = *line == 'm' ? 0 : *line == 'i' ? 1 : *line == 'n' ? 2 : 3;
        lists[n][counts[n]++] = n < 3 ? line + 1 : line;
    }
    dv_service_options options = {.mirrors = mirrors,
                                  .insecure_registries = insecure,
                                  .allow_nondistributable_artifacts = artifacts,
                                  .certs_dir = "/nonexistent",
                                  .v27 = size % 2,
                                  .resolve = resolve_nothing};
    if (!input || dv_service_new(&options, &service, NULL) < 0)
        return 0;
    show(service, DAVIT_SERVICE_CONFIG_V28);
    show(service, DAVIT_SERVICE_CONFIG_V25);
    for (size_t i = 0; hosts[i]; i++)
        ask(service, hosts[i]);
    return 0;
}
