/* service/service_config.c - see service_config.h. */
#include "service/service_config.h"

#include "service/mirror.h"
#include "util/str.h"

#include <string.h>

void dv_service_config_free(dv_service_config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->mirror_count; i++)
        free(c->mirrors[i]);
    free(c->mirrors);
    dv_insecure_set_clear(&c->insecure);
    free(c);
}

static int add_mirror(dv_service_config *c, const char *text, davit_error **err)
{
    DV_AUTOFREE char *normal = NULL;
    int r = dv_mirror_validate(text, &normal, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < c->mirror_count; i++)
        if (strcmp(c->mirrors[i], normal) == 0)
            return 0;
    char **more = dv_realloc_array(c->mirrors, c->mirror_count + 1, sizeof(*more));
    if (!more)
        return dv_error_oom(err);
    c->mirrors = more;
    c->mirrors[c->mirror_count++] = DV_STEAL(normal);
    return 0;
}

int dv_service_config_new(const dv_service_options *options, dv_service_config **out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) c = dv_new(dv_service_config);
    if (!c)
        return dv_error_oom(err);
    c->skip_tls_verify = options->skip_tls_verify;
    c->resolve = options->resolve;
    c->resolve_data = options->resolve_data;
    int r = 0;
    for (size_t i = 0; r == 0 && options->mirrors && options->mirrors[i]; i++)
        r = add_mirror(c, options->mirrors[i], err);
    for (size_t i = 0; r == 0 && options->insecure_registries && options->insecure_registries[i]; i++)
        r = dv_insecure_set_add(&c->insecure, options->insecure_registries[i], err);
    if (r < 0)
        return r;
    *out = DV_STEAL(c);
    return 0;
}

bool dv_service_config_is_insecure(const dv_service_config *c, const char *host)
{
    if (strcmp(host, "docker.io") == 0)
        return false;
    return c->skip_tls_verify || dv_insecure_set_has(&c->insecure, host, c->resolve, c->resolve_data);
}
