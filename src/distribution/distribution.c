/*
 * distribution/distribution.c - davit_distribution_pull(): an embedder's tables and configuration as the terms of a pull. Push is push_own.c,
 * tags and repositories are repositories.c. Spec: pull.md 1.
 */
#include "distribution/distribution.h"

#include "auth/auth_config.h"
#include "distribution/pull_private.h"
#include "oci/schema1.h"
#include "util/str.h"

bool davit_error_is_deprecated_schema1_image(const davit_error *err)
{
    return err && dv_schema1_is_refusal(err);
}

bool davit_error_is_ai_model_not_supported(const davit_error *err)
{
    return err && err->code == DAVIT_EUNSUPPORTED && err->kind == DV_ERROR_AI_MODEL;
}

/* --- what is given ------------------------------------------------------------------------------------------------------ */

int dv_distribution_init(dv_distribution *d, const davit_distribution_config *config,
                         const davit_content_store *content, const davit_layer_provider *layers,
                         const davit_reference *ref, davit_error **err)
{
    *d = (dv_distribution){.config = DAVIT_DISTRIBUTION_CONFIG_INIT, .resolved = DAVIT_AUTH_CONFIG_INIT};
    if (config)
        d->config = *config;
    int r = dv_own_stores_init(&d->own, config, content, layers, err);
    if (r < 0)
        return r;
    const davit_registry_resolver *resolver = &d->own.resolver;
    d->auth = d->config.auth;
    if (d->auth || !resolver->resolve_auth_config)
        return 0;
    r = dv_own_result(resolver->resolve_auth_config(resolver->user_data, ref, &d->resolved, err),
                      "registry resolver", err);
    if (r == 0 && !davit_auth_config_is_anonymous(&d->resolved))
        d->auth = &d->resolved;
    return r;
}

void dv_distribution_clear(dv_distribution *d)
{
    davit_auth_config_clear(&d->resolved);
}

void dv_distribution_log(const dv_distribution *d, const char *event, const davit_reference *ref)
{
    if (d->config.log_image_event)
        d->config.log_image_event(event, davit_reference_familiar(ref), davit_reference_familiar_name(ref),
                                  d->config.user_data);
}

/* --- pull ---------------------------------------------------------------------------------------------------------------- */

static int check_pull(const davit_image_pull_config *c, const dv_own_stores *own, davit_error **err)
{
    bool others = own->has_images || own->has_references || own->has_metadata;
    if (c->version != DAVIT_IMAGE_PULL_CONFIG_VERSION || c->flags & ~DAVIT_IMAGE_PULL_NO_LAYERS)
        return dv_error_set(err, DAVIT_EINVAL, "unknown pull config (version %u, flags 0x%x)", c->version,
                            c->flags);
    if (!own->has_content && others)
        return dv_error_set(err, DAVIT_EINVAL,
                            "stores of one's own need a content store: the client's store has its own");
    if (!own->has_content && c->flags & DAVIT_IMAGE_PULL_NO_LAYERS)
        return dv_error_set(err, DAVIT_EUNSUPPORTED,
                            "an image without layers goes only into a content store of one's own");
    return 0;
}

int davit_distribution_pull(davit_client *client, const davit_reference *ref,
                            const davit_image_pull_config *config, const davit_content_store *content,
                            davit_pull_result *out, davit_error **err)
{
    static const davit_image_pull_config defaults = DAVIT_IMAGE_PULL_CONFIG_INIT;
    const davit_image_pull_config *c = config ? config : &defaults;
    DV_AUTO(dv_distribution) d;
    int r = dv_distribution_init(&d, c->config, content, /* layers= */ NULL, ref, err);
    if (r == 0)
        r = check_pull(c, &d.own, err);
    if (r < 0)
        return r;
    davit_pull_options options = DAVIT_PULL_OPTIONS_INIT;
    options.flags = davit_reference_is_name_only(ref) ? DAVIT_PULL_ALL_TAGS : 0;
    options.platform = c->platform;
    options.progress = d.config.progress;
    options.user_data = d.config.user_data;
    options.verify = c->verify;
    options.auth = d.auth;
    options.request_auth_config = d.config.request_auth_config;
    const dv_pull_terms terms = {
        .own = &d.own,
        .meta_headers = d.config.meta_headers,
        .config_types = c->config_types,
        .no_layers = c->flags & DAVIT_IMAGE_PULL_NO_LAYERS,
    };
    r = dv_pull_on(client, ref, &options, &terms, out, err);
    if (r == 0)
        dv_distribution_log(&d, "pull", ref);
    return r;
}
