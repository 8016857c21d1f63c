/*
 * distribution/own_resolver.c - the endpoints that an embedder's resolver gives, as the endpoint loop takes them. Spec: service.md 9, pull.md 2.
 */
#include "distribution/own_stores.h"

#include "util/str.h"

#include <string.h>

#define ENDPOINTS_MAX 64
#define WHAT "registry resolver"

typedef struct taking {
    const davit_registry_resolver *resolver;
    bool push;
    dv_endpoints all;
    int r;
    davit_error *why;
} taking;

static bool is_plain(const dv_url *url)
{
    return strcmp(url->scheme, "http") == 0;
}

/* The plain half of an endpoint that is in the list: both are tried at once. */
static bool is_twin(const taking *t, const dv_url *url)
{
    const dv_endpoint *last = t->all.count ? &t->all.items[t->all.count - 1] : NULL;
    return last && !last->mirror && is_plain(url) && !is_plain(&last->url) &&
           strcmp(last->url.host, url->host) == 0 && last->url.explicit_port == url->explicit_port &&
           (!url->explicit_port || last->url.port == url->port);
}

static int take(taking *t, const davit_api_endpoint *from)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    if (t->all.count == ENDPOINTS_MAX)
        return dv_error_set(&t->why, DAVIT_ETOOBIG, "more than %d endpoints", ENDPOINTS_MAX);
    int r = from->url ? dv_url_parse(from->url, &url, &t->why)
                      : dv_error_set(&t->why, DAVIT_EINVAL, "an endpoint without a URL");
    if (r < 0)
        return r;
    bool insecure = from->tls_config && davit_tls_config_is_insecure(from->tls_config);
    if (t->resolver->is_insecure_registry)
        insecure = t->resolver->is_insecure_registry(t->resolver->user_data, url.host);
    if (!from->mirror && is_twin(t, &url)) {
        t->all.items[t->all.count - 1].insecure = true;
        return 0;
    }
    dv_endpoint *grown = dv_realloc_array(t->all.items, t->all.count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(&t->why);
    t->all.items = grown;
    grown[t->all.count++] = (dv_endpoint){
        .url = url,
        .mirror = from->mirror,
        .official = from->official,
        .insecure = insecure || (is_plain(&url) && !from->mirror),
        .allow_nondistributable_artifacts = from->allow_nondistributable_artifacts,
        .tls = dv_tls_config_ref(from->tls_config),
    };
    url = (dv_url)DV_URL_INIT;
    return 0;
}

static int on_endpoint(const davit_api_endpoint *endpoint, void *give_data)
{
    taking *t = give_data;
    if (t->r == 0 && !(t->push && endpoint->mirror))
        t->r = take(t, endpoint);
    return t->r;
}

int dv_own_endpoints(const davit_registry_resolver *resolver, const char *domain, bool push,
                     dv_endpoints *out, davit_error **err)
{
    taking t = {.resolver = resolver, .push = push};
    DV_AUTOPTR(davit_error) why = NULL;
    int (*lookup)(void *, const char *, davit_api_endpoint_fn, void *, davit_error **) =
        push ? resolver->lookup_push_endpoints : resolver->lookup_pull_endpoints;
    if (!lookup)
        return 1;
    int r = lookup(resolver->user_data, domain, on_endpoint, &t, &why);
    if (t.r < 0)
        r = dv_own_result(dv_error_move(&why, &t.why, t.r), WHAT, &why);
    else
        r = dv_own_result(r, WHAT, &why);
    if (r < 0) {
        dv_endpoints_clear(&t.all);
        return dv_error_move(err, &why, r);
    }
    *out = t.all;
    return 0;
}
