/*
 * service/api_endpoint.c - the endpoints of a registry as embedders see them (service.md 9): what endpoint.c says, with an
 * insecure host's two schemes apart and the texts as the reference writes them.
 */
#include "service/endpoint.h"
#include "service/service.h"
#include "util/str.h"

#include <string.h>

const char *davit_api_version_text(davit_api_version version)
{
    return version == DAVIT_API_VERSION_1 ? "v1" : version == DAVIT_API_VERSION_2 ? "v2" : "";
}

void davit_api_endpoints_free(davit_api_endpoints *endpoints)
{
    if (!endpoints)
        return;
    for (size_t i = 0; i < endpoints->count; i++) {
        free(endpoints->items[i].url);
        davit_tls_config_free(endpoints->items[i].tls_config);
    }
    free(endpoints->items);
    free(endpoints);
}
DV_DEFINE_AUTOPTR(davit_api_endpoints, davit_api_endpoints_free)

typedef struct asked {
    const dv_service_config *config;
    const char *host;
} asked;

static int add(davit_api_endpoints *all, const asked *q, const dv_endpoint *from, const char *scheme,
               davit_tls_config *tls, davit_error **err)
{
    davit_api_endpoint *to = &all->items[all->count];
    DV_AUTO(dv_buf) url = DV_BUF_INIT(DV_URL_MAX + 16);
    if (from->mirror)
        dv_buf_puts(&url, from->url.text);
    else if (from->official)
        dv_buf_puts(&url, DAVIT_DEFAULT_V2_REGISTRY);
    else
        dv_buf_printf(&url, "%s://%s", scheme, q->host);
    *to = (davit_api_endpoint){
        .url = dv_buf_take(&url),
        .mirror = from->mirror,
        .official = from->official,
        .trim_hostname = q->config->v27,
        .allow_nondistributable_artifacts = from->allow_nondistributable_artifacts,
        .api_version = q->config->v27 ? DAVIT_API_VERSION_2 : DAVIT_API_VERSION_NONE,
    };
    if (!to->url)
        return dv_error_oom(err);
    to->tls_config = dv_tls_config_ref(tls);
    all->count++;
    return 0;
}

/* One endpoint, or two with the same TLS settings. */
static int expand(davit_api_endpoints *all, const asked *q, const dv_endpoint *from, davit_error **err)
{
    DV_AUTOPTR(davit_tls_config) tls = dv_tls_config_ref(from->tls);
    int r = tls ? 0 : dv_tls_config_new(from->insecure, &tls, err);
    if (r == 0)
        r = add(all, q, from, "https", tls, err);
    if (r == 0 && from->insecure && !from->mirror)
        r = add(all, q, from, "http", tls, err);
    return r;
}

static int lookup(davit_service *service, const char *host,
                  int (*find)(const dv_service_config *, const char *, dv_endpoints *, davit_error **),
                  davit_api_endpoints **out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(service);
    DV_AUTO(dv_endpoints) found = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(davit_api_endpoints) all = dv_new(davit_api_endpoints);
    if (strpbrk(host, "/?#\\")) /* would be more than the host of a URL, and of a directory's name */
        return dv_error_set(err, DAVIT_EINVAL, "\"%s\" is not a registry host", host);
    int r = all ? find(config, host, &found, err) : dv_error_oom(err);
    if (r < 0)
        return r;
    all->items = dv_new_array(davit_api_endpoint, 2 * found.count);
    if (!all->items)
        return dv_error_oom(err);
    const asked q = {config, host};
    for (size_t i = 0; r == 0 && i < found.count; i++)
        r = expand(all, &q, &found.items[i], err);
    if (r < 0)
        return r;
    *out = DV_STEAL(all);
    return 0;
}

int davit_service_lookup_pull_endpoints(davit_service *service, const char *host, davit_api_endpoints **out,
                                        davit_error **err)
{
    return lookup(service, host, dv_endpoints_for_pull, out, err);
}

int davit_service_lookup_push_endpoints(davit_service *service, const char *host, davit_api_endpoints **out,
                                        davit_error **err)
{
    return lookup(service, host, dv_endpoints_for_push, out, err);
}
