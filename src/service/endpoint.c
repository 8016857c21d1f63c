/* service/endpoint.c - see endpoint.h. */
#include "service/endpoint.h"

#include "service/certs_d.h"
#include "util/str.h"

#include <string.h>

void dv_endpoints_clear(dv_endpoints *e)
{
    for (size_t i = 0; i < e->count; i++) {
        dv_url_clear(&e->items[i].url);
        davit_tls_config_free(e->items[i].tls);
    }
    free(e->items);
    *e = (dv_endpoints)DV_ENDPOINTS_INIT;
}

/* What TLS demands of a host: its own certificates when it is secure, and only then (service.md 12). */
static int make_tls(const dv_service_config *config, const char *host, bool insecure, davit_tls_config **out,
                    davit_error **err)
{
    DV_AUTOPTR(davit_tls_config) tls = NULL;
    const dv_certs_rule rule = {.certs_dir = config->certs_dir, .environment = config->environment};
    int r = dv_tls_config_new(insecure, &tls, err);
    if (r == 0 && !insecure)
        r = dv_certs_d_load(&rule, host, tls, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(tls);
    return 0;
}

/* Append an endpoint at prefix + rest, with the flags of kind, whose tls is consumed whatever happens. */
static int add(dv_endpoints *e, const char *prefix, const char *rest, const dv_endpoint *kind,
               davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTOPTR(davit_tls_config) tls = kind->tls;
    dv_buf_printf(&text, "%s%s", prefix, rest);
    if (text.failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    dv_endpoint *more = dv_realloc_array(e->items, e->count + 1, sizeof(*more));
    if (!more)
        return dv_error_oom(err);
    e->items = more;
    more[e->count] = *kind;
    more[e->count].url = (dv_url)DV_URL_INIT;
    int r = text.failed ? dv_error_set(&why, DAVIT_EINVAL, "too long")
                        : dv_url_parse(dv_buf_text(&text), &more[e->count].url, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0)
        return dv_error_set(err, DAVIT_EINVAL, "%.300s: %s", rest, davit_error_message(why));
    more[e->count++].tls = DV_STEAL(tls);
    return 0;
}

/* A mirror's host[:port] as it was written decides whether it is insecure, and which certificates are its own. */
static int add_mirror(const dv_service_config *config, const char *mirror, dv_endpoints *e, davit_error **err)
{
    bool has_scheme = dv_str_starts(mirror, "http://") || dv_str_starts(mirror, "https://");
    const char *prefix = has_scheme ? "" : "https://";
    const char *rest = has_scheme ? strstr(mirror, "://") + 3 : mirror;
    DV_AUTOFREE char *host = dv_strndup(rest, strcspn(rest, "/"));
    if (!host)
        return dv_error_oom(err);
    dv_endpoint kind = {
        .mirror = true,
        .insecure = dv_service_config_is_insecure(config, host),
        .digest_only = dv_service_config_mirror_is_digest_only(config, mirror),
    };
    int r = make_tls(config, host, kind.insecure, &kind.tls, err);
    return r < 0 ? r : add(e, prefix, mirror, &kind, err);
}

/* What somebody typed becomes the name of a directory and a part of a URL: it must not lead elsewhere in either. */
static int check_host(const char *host, davit_error **err)
{
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(DV_URL_MAX);
    bool bad = !host[strspn(host, ".")] || strpbrk(host, "/\\?#@");
    for (const char *p = host; *p; p++)
        bad |= (unsigned char)*p <= ' ' || *p == 0x7f;
    if (!bad)
        return 0;
    dv_str_quote(&shown, host, strnlen(host, 200));
    return dv_error_set(err, DAVIT_EINVAL, "%s is no registry's host: HOST or HOST:PORT, and nothing else",
                        dv_buf_text(&shown));
}

static int add_host(const dv_service_config *config, const char *host, dv_endpoints *e, davit_error **err)
{
    int r = check_host(host, err);
    if (r < 0)
        return r;
    dv_endpoint kind = {
        .insecure = dv_service_config_is_insecure(config, host),
        .allow_nondistributable_artifacts = dv_service_config_allows_nondistributable(config, host),
    };
    r = make_tls(config, host, kind.insecure, &kind.tls, err);
    return r < 0 ? r : add(e, "https://", host, &kind, err);
}

static int endpoints_for(const dv_service_config *config, const char *domain, bool with_mirrors,
                         dv_endpoints *out, davit_error **err)
{
    DV_AUTO(dv_endpoints) e = DV_ENDPOINTS_INIT;
    int r = 0;
    if (strcmp(domain, DAVIT_INDEX_NAME) == 0 || strcmp(domain, DAVIT_INDEX_HOSTNAME) == 0) {
        dv_endpoint hub = {.official = true,
                           .allow_nondistributable_artifacts =
                               dv_service_config_allows_nondistributable(config, domain)};
        for (size_t i = 0; r == 0 && with_mirrors && i < config->mirror_count; i++)
            r = add_mirror(config, config->mirrors[i], &e, err);
        if (r == 0)
            r = add(&e, DAVIT_DEFAULT_V2_REGISTRY, "", &hub, err);
    } else {
        r = add_host(config, domain, &e, err);
    }
    if (r < 0)
        return r;
    *out = e;
    e = (dv_endpoints)DV_ENDPOINTS_INIT; /* moved */
    return 0;
}

int dv_endpoints_for_pull(const dv_service_config *config, const char *domain, dv_endpoints *out,
                          davit_error **err)
{
    return endpoints_for(config, domain, /* with_mirrors= */ true, out, err);
}

int dv_endpoints_for_push(const dv_service_config *config, const char *domain, dv_endpoints *out,
                          davit_error **err)
{
    return endpoints_for(config, domain, /* with_mirrors= */ false, out, err);
}
