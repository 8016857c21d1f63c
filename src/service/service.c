/*
 * service/service.c - the registry service: a configuration that is swapped as a whole while others read it.
 *
 * A dv_service_config never changes; replacing one makes another, and the mutex here guards only the pointer to the one in
 * force. Readers take a reference and go on without the lock, so that looking a name up holds up nobody (service.md 10).
 */
#include "service/service.h"

#include "service/config_view.h"
#include "service/index_info.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct davit_service {
    atomic_size_t refs;
    dv_resolve_fn *resolve;
    void *resolve_data;
    dv_getenv_fn *environment;
    pthread_mutex_t lock;
    dv_service_config *config; /* in force; guarded by lock */
};

struct davit_service_commit {
    davit_service *service;
    dv_service_config *config;
};

/* --- making it ------------------------------------------------------------------------------------------------- */

int dv_service_new(const dv_service_options *options, davit_service **out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) config = NULL;
    int r = dv_service_config_new(options, &config, err);
    if (r < 0)
        return r;
    davit_service *s = dv_new(davit_service);
    if (!s)
        return dv_error_oom(err);
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    s->resolve = options->resolve;
    s->resolve_data = options->resolve_data;
    s->environment = options->environment;
    s->config = DV_STEAL(config);
    *out = s;
    return 0;
}

/* The options of an embedder, checked, as ours. Borrows their lists. */
static int read_options(const davit_service_options *o, dv_service_options *out, davit_error **err)
{
    static const davit_service_options defaults = DAVIT_SERVICE_OPTIONS_INIT;
    const uint32_t known = DAVIT_SERVICE_V27 | DAVIT_SERVICE_SKIP_TLS_VERIFY;
    o = o ? o : &defaults;
    if (o->version != DAVIT_SERVICE_OPTIONS_VERSION)
        return dv_error_set(err, DAVIT_EINVAL, "davit_service_options of version %u", o->version);
    if (o->flags & ~known)
        return dv_error_set(err, DAVIT_EINVAL, "unknown service flags 0x%x", o->flags & ~known);
    *out = (dv_service_options){
        .mirrors = o->mirrors,
        .insecure_registries = o->insecure_registries,
        .allow_nondistributable_artifacts = o->allow_nondistributable_artifacts,
        .digest_only_mirrors = o->digest_only_mirrors,
        .certs_dir = o->certs_dir,
        .v27 = o->flags & DAVIT_SERVICE_V27,
        .skip_tls_verify = o->flags & DAVIT_SERVICE_SKIP_TLS_VERIFY,
    };
    return 0;
}

int davit_service_new(const davit_service_options *options, davit_service **out, davit_error **err)
{
    dv_service_options checked;
    int r = read_options(options, &checked, err);
    checked.resolve = dv_resolve;
    return r < 0 ? r : dv_service_new(&checked, out, err);
}

davit_service *davit_service_ref(davit_service *service)
{
    atomic_fetch_add_explicit(&service->refs, 1, memory_order_relaxed);
    return service;
}

void davit_service_unref(davit_service *service)
{
    if (!service || atomic_fetch_sub_explicit(&service->refs, 1, memory_order_acq_rel) > 1)
        return;
    dv_service_config_unref(service->config);
    pthread_mutex_destroy(&service->lock);
    free(service);
}

dv_service_config *dv_service_snapshot(davit_service *service)
{
    pthread_mutex_lock(&service->lock);
    dv_service_config *config = dv_service_config_ref(service->config);
    pthread_mutex_unlock(&service->lock);
    return config;
}

/* --- replacing what is in force -------------------------------------------------------------------------------- */

int davit_service_replace_config(davit_service *service, const davit_service_options *options,
                                 davit_service_commit **out, davit_error **err)
{
    DV_AUTOPTR(davit_service_commit) commit = NULL;
    dv_service_options checked;
    int r = read_options(options, &checked, err);
    if (r < 0)
        return r;
    checked.resolve = service->resolve;
    checked.resolve_data = service->resolve_data;
    checked.environment = service->environment;
    commit = dv_new(davit_service_commit);
    if (!commit)
        return dv_error_oom(err);
    commit->service = davit_service_ref(service);
    r = dv_service_config_new(&checked, &commit->config, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(commit);
    return 0;
}

void davit_service_commit_run(davit_service_commit *commit)
{
    davit_service *s = commit->service;
    dv_service_config *next = dv_service_config_ref(commit->config);
    pthread_mutex_lock(&s->lock);
    dv_service_config *last = s->config;
    s->config = next;
    pthread_mutex_unlock(&s->lock);
    dv_service_config_unref(last);
}

void davit_service_commit_free(davit_service_commit *commit)
{
    if (!commit)
        return;
    davit_service_unref(commit->service);
    dv_service_config_unref(commit->config);
    free(commit);
}

/* --- questions ------------------------------------------------------------------------------------------------- */

bool davit_service_is_insecure_registry(davit_service *service, const char *host)
{
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(service);
    return dv_service_config_is_insecure(config, host);
}

int davit_service_get_config(davit_service *service, davit_service_config *out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(service);
    return dv_config_view_make(config, out, err);
}

int davit_service_resolve_repository(davit_service *service, const davit_reference *ref,
                                     davit_repository_info *out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(service);
    return dv_repository_info_of(config, ref, out, err);
}
