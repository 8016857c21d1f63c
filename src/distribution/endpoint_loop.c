/* distribution/endpoint_loop.c - see endpoint_loop.h. */
#include "distribution/endpoint_loop.h"

#include "distribution/fallback.h"
#include "util/log.h"

#include <string.h>

static int ask_one(davit_client *c, const davit_reference *ref, const davit_auth_config *credentials,
                   const dv_endpoint *endpoint, int (*ask)(dv_registry *, void *, davit_error **), void *user,
                   davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    int r = dv_registry_open(c, endpoint, davit_reference_domain(ref), davit_reference_path(ref), credentials,
                             &reg, err);
    return r < 0 ? r : ask(reg, user, err);
}

/* A later endpoint that merely lacks it does not hide why an earlier one could not be reached. */
static bool hides(const davit_error *first, const davit_error *later)
{
    return first && first->kind == DV_ERROR_TRANSPORT && later && later->code == DAVIT_ENOTFOUND;
}

int dv_endpoint_loop(davit_client *c, const davit_reference *ref, const davit_auth_config *credentials,
                     int (*ask)(dv_registry *, void *, davit_error **), void *user, davit_error **err)
{
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(c->service);
    int r = dv_endpoints_for_pull(config, davit_reference_domain(ref), &endpoints, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(davit_error) last = NULL;
    for (size_t i = 0; i < endpoints.count; i++) {
        const dv_endpoint *endpoint = &endpoints.items[i];
        davit_error *why = NULL;
        r = dv_client_check_cancelled(c, &why);
        if (r == 0)
            r = ask_one(c, ref, credentials, endpoint, ask, user, &why);
        if (r == 0)
            return 0;
        bool more = i + 1 < endpoints.count && dv_fallback_continue(why, endpoint->mirror);
        if (more)
            dv_log(DAVIT_LOG_INFO, "%s: %s; trying the next endpoint", endpoint->url.host,
                   davit_error_message(why));
        if (hides(last, why))
            dv_error_wrap(&why, r, "%s; then", davit_error_message(last));
        davit_error_free(last);
        last = why;
        if (!more)
            break;
    }
    if (!last)
        return dv_error_set(err, DAVIT_ENOTFOUND, "no endpoints found for %s", davit_reference_familiar(ref));
    r = dv_fallback_translate(&last, ref);
    return dv_error_move(err, &last, r);
}
