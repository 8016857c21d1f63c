/* service/endpoint.c - see endpoint.h. */
#include "service/endpoint.h"

#include "util/str.h"

#include <string.h>

#define HUB_URL "https://registry-1.docker.io"

void dv_endpoints_clear(dv_endpoints *e)
{
    for (size_t i = 0; i < e->count; i++) {
        dv_url_clear(&e->items[i].url);
        davit_tls_config_free(e->items[i].tls);
    }
    free(e->items);
    *e = (dv_endpoints)DV_ENDPOINTS_INIT;
}

/* Append an endpoint at prefix + rest, with the flags of kind. */
static int add(dv_endpoints *e, const char *prefix, const char *rest, const dv_endpoint *kind,
               davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
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
    e->count++;
    return 0;
}

/* host[:port] of a mirror, as it was written, for the question whether it is insecure. */
static bool mirror_is_insecure(const dv_service_config *config, const char *prefix, const char *mirror)
{
    const char *host = *prefix ? mirror : strstr(mirror, "://") + 3;
    DV_AUTOFREE char *name = dv_strndup(host, strcspn(host, "/"));
    return name && dv_service_config_is_insecure(config, name);
}

static int add_mirrors(const dv_service_config *config, dv_endpoints *e, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < config->mirror_count; i++) {
        const char *mirror = config->mirrors[i];
        bool has_scheme = dv_str_starts(mirror, "http://") || dv_str_starts(mirror, "https://");
        const char *prefix = has_scheme ? "" : "https://";
        dv_endpoint kind = {.mirror = true, .insecure = mirror_is_insecure(config, prefix, mirror)};
        r = add(e, prefix, mirror, &kind, err);
    }
    return r;
}

static int endpoints_for(const dv_service_config *config, const char *domain, bool with_mirrors,
                         dv_endpoints *out, davit_error **err)
{
    DV_AUTO(dv_endpoints) e = DV_ENDPOINTS_INIT;
    int r = 0;
    if (strcmp(domain, "docker.io") == 0 || strcmp(domain, "index.docker.io") == 0) {
        dv_endpoint kind = {.official = true};
        if (with_mirrors)
            r = add_mirrors(config, &e, err);
        if (r == 0)
            r = add(&e, HUB_URL, "", &kind, err);
    } else {
        dv_endpoint kind = {.insecure = dv_service_config_is_insecure(config, domain)};
        r = add(&e, "https://", domain, &kind, err);
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
