/* registry/v2_catalog.c - see v2_catalog.h. The pages are v2_page.c's. */
#include "registry/v2_catalog.h"

#include "auth/scope.h"
#include "service/service.h"
#include "util/str.h"

/*
 * Whether an answer means that the registry does not list, to whomever. Docker Hub asks everybody for a token that it never gives;
 * elsewhere a 401 or 403 is about who asks.
 */
static bool is_unsupported(const dv_registry *reg, const davit_error *why)
{
    int status = davit_error_http_status(why);
    bool refused = status == 401 || status == 403;
    return status == 404 || status == 405 || status == 501 || (refused && reg->endpoint.official) ||
           dv_str_equal(davit_error_registry_code(why), "UNSUPPORTED");
}

int dv_v2_catalog_list(dv_registry *reg, const dv_page_part *part, davit_repository_fn fn, void *user_data,
                       davit_error **err)
{
    const dv_page_list list = {
        .path = "v2/_catalog", .key = "repositories", .what = "catalogue", .part = *part};
    DV_AUTO(dv_buf) scope = DV_BUF_INIT(DV_SCOPES_TEXT_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    dv_scope_registry(&scope, "catalog", "*");
    free(reg->scope);
    reg->scope = dv_buf_take(&scope);
    if (!reg->scope)
        return dv_error_oom(err);
    int r = dv_v2_page_list(reg, &list, fn, user_data, &why);
    if (r == 0)
        return 0;
    if (r == DAVIT_ENOMEM || !is_unsupported(reg, why))
        return dv_error_move(err, &why, r);
    return dv_error_set(err, DAVIT_EUNSUPPORTED, "%s does not list its repositories: %s", reg->domain,
                        davit_error_message(why));
}

int davit_registry_catalog(davit_client *client, const char *host, davit_repository_fn fn, void *user_data,
                           davit_error **err)
{
    return davit_registry_list_repositories(client, host, NULL, fn, user_data, err);
}

int davit_registry_list_repositories(davit_client *client, const char *host,
                                     const davit_list_options *options, davit_repository_fn fn,
                                     void *user_data, davit_error **err)
{
    dv_page_part part;
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(dv_registry) reg = NULL;
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(client->service);
    int r = dv_page_part_read(options, &part, err);
    if (r == 0)
        r = dv_endpoints_for_push(config, host, &endpoints, err);
    if (r < 0)
        return r;
    if (endpoints.count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "%s is not a registry host", host);
    r = dv_registry_open(client, &endpoints.items[0], host, "", /* credentials= */ NULL, &reg, err);
    return r < 0 ? r : dv_v2_catalog_list(reg, &part, fn, user_data, err);
}
