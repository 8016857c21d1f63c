/* service/service_config.c - see service_config.h. */
#include "service/service_config.h"

#include "service/index_name.h"
#include "service/insecure.h"
#include "service/mirror.h"
#include "service/text_list.h"

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
    dv_text_list_free(c->mirrors);
    dv_text_list_free(c->digest_only_mirrors);
    dv_host_set_clear(&c->insecure);
    dv_host_set_clear(&c->nondistributable);
    free(c->certs_dir);
    free(c);
}

/* --- entries --------------------------------------------------------------------------------------------------- */

static int add_mirror(dv_service_config *c, const char *text, davit_error **err)
{
    DV_AUTOFREE char *normal = NULL;
    int r = dv_mirror_validate(text, c->v27, &normal, err);
    if (r < 0 || dv_text_list_has(c->mirrors, normal))
        return r;
    if (c->mirror_count >= DV_MIRRORS_MAX)
        return dv_error_set(err, DAVIT_EINVAL, "more than %d registry mirrors", DV_MIRRORS_MAX);
    r = dv_text_list_append(&c->mirrors, DV_STEAL(normal), err);
    c->mirror_count += r == 0;
    return r;
}

/* One of the mirrors that serves bytes only. */
static int add_digest_only(dv_service_config *c, const char *text, davit_error **err)
{
    DV_AUTOFREE char *normal = NULL;
    int r = dv_mirror_validate(text, c->v27, &normal, err);
    if (r < 0 || dv_text_list_has(c->digest_only_mirrors, normal))
        return r;
    if (!dv_text_list_has(c->mirrors, normal))
        return dv_error_set(err, DAVIT_EINVAL, "mirror-by-digest-only %s is none of the registry mirrors",
                            text);
    return dv_text_list_append(&c->digest_only_mirrors, DV_STEAL(normal), err);
}

static int add_insecure(dv_service_config *c, const char *text, davit_error **err)
{
    return dv_insecure_add(&c->insecure, text, err);
}

static int add_nondistributable(dv_service_config *c, const char *text, davit_error **err)
{
    static const char what[] = "allow-nondistributable-artifacts registry";
    int r = dv_index_name_check(dv_index_name_normal(text), err);
    if (r < 0)
        return r;
    if (strstr(text, "://"))
        return dv_error_set(err, DAVIT_EINVAL, "%s %s should not contain '://'", what, text);
    return dv_host_set_add(&c->nondistributable, text, what, err);
}

static int add_all(dv_service_config *c, const char *const *list,
                   int (*add)(dv_service_config *, const char *, davit_error **), davit_error **err)
{
    int r = 0;
    for (; r == 0 && list && *list; list++)
        r = add(c, *list, err);
    return r;
}

int dv_service_config_new(const dv_service_options *options, dv_service_config **out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) c = dv_new(dv_service_config);
    if (!c)
        return dv_error_oom(err);
    atomic_init(&c->refs, 1);
    c->v27 = options->v27;
    c->skip_tls_verify = options->skip_tls_verify;
    c->lookup = (dv_lookup){options->resolve, options->resolve_data, .first = options->v27};
    c->environment = options->environment;
    c->certs_dir = dv_strdup(options->certs_dir);
    if (options->certs_dir && !c->certs_dir)
        return dv_error_oom(err);
    int r = c->v27 ? add_all(c, options->allow_nondistributable_artifacts, add_nondistributable, err) : 0;
    if (r == 0)
        r = add_all(c, options->mirrors, add_mirror, err);
    if (r == 0)
        r = add_all(c, options->digest_only_mirrors, add_digest_only, err);
    if (r == 0)
        r = add_all(c, options->insecure_registries, add_insecure, err);
    if (r == 0)
        r = dv_insecure_add_built_in(&c->insecure, c->v27, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(c);
    return 0;
}

/* --- questions ------------------------------------------------------------------------------------------------- */

bool dv_service_config_mirror_is_digest_only(const dv_service_config *c, const char *normal_mirror)
{
    return dv_text_list_has(c->digest_only_mirrors, normal_mirror);
}

bool dv_service_config_is_insecure(const dv_service_config *c, const char *host)
{
    if (strcmp(host, DAVIT_INDEX_NAME) == 0)
        return false;
    return c->skip_tls_verify || dv_insecure_has(&c->insecure, host, &c->lookup);
}

bool dv_service_config_allows_nondistributable(const dv_service_config *c, const char *host)
{
    return dv_host_set_names(&c->nondistributable, host) ||
           dv_host_set_covers(&c->nondistributable, host, &c->lookup);
}
