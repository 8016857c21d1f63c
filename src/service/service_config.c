/* service/service_config.c - see service_config.h. */
#include "service/service_config.h"

#include "service/mirror.h"
#include "service/text_list.h"
#include "util/str.h"

#include <string.h>

dv_service_config *dv_service_config_ref(dv_service_config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void dv_service_config_unref(dv_service_config *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < c->mirror_count; i++)
        free(c->mirrors[i]);
    free(c->mirrors);
    dv_text_list_free(c->digest_only_mirrors);
    free(c->certs_dir);
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

/* One of the mirrors that serves bytes only. */
static int add_digest_only(dv_service_config *c, const char *text, davit_error **err)
{
    DV_AUTOFREE char *normal = NULL;
    int r = dv_mirror_validate(text, &normal, err);
    if (r < 0)
        return r;
    bool known = false;
    for (size_t i = 0; i < c->mirror_count; i++)
        known = known || strcmp(c->mirrors[i], normal) == 0;
    if (!known)
        return dv_error_set(err, DAVIT_EINVAL, "mirror-by-digest-only %s is none of the registry mirrors",
                            text);
    if (dv_text_list_has(c->digest_only_mirrors, normal))
        return 0;
    return dv_text_list_append(&c->digest_only_mirrors, DV_STEAL(normal), err);
}

int dv_service_config_new(const dv_service_options *options, dv_service_config **out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) c = dv_new(dv_service_config);
    if (!c)
        return dv_error_oom(err);
    atomic_init(&c->refs, 1);
    c->skip_tls_verify = options->skip_tls_verify;
    c->resolve = options->resolve;
    c->resolve_data = options->resolve_data;
    c->digest_only_mirrors = dv_new_array(char *, 1);
    c->certs_dir = dv_strdup(options->certs_dir);
    if (!c->digest_only_mirrors || (options->certs_dir && !c->certs_dir))
        return dv_error_oom(err);
    int r = 0;
    for (size_t i = 0; r == 0 && options->mirrors && options->mirrors[i]; i++)
        r = add_mirror(c, options->mirrors[i], err);
    for (const char *const *m = options->digest_only_mirrors; r == 0 && m && *m; m++)
        r = add_digest_only(c, *m, err);
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

bool dv_service_config_mirror_is_digest_only(const dv_service_config *c, const char *normal_mirror)
{
    return dv_text_list_has(c->digest_only_mirrors, normal_mirror);
}
