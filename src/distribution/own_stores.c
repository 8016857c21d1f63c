/* distribution/own_stores.c - see own_stores.h. */
#include "distribution/own_stores.h"

#include "util/error.h"

#include <string.h>

/* --- taking tables over ---------------------------------------------------------------------------------------------- */

/* The part of a table that its maker knew. */
static int take(const void *table, void *copy, size_t copy_size, bool *out_has, const char *what,
                davit_error **err)
{
    size_t size;
    if (!table)
        return 0;
    memcpy(&size, table, sizeof(size));
    if (size < sizeof(size_t) + sizeof(void *))
        return dv_error_set(err, DAVIT_EINVAL, "%s: its size is not set", what);
    memcpy(copy, table, size < copy_size ? size : copy_size);
    *out_has = true;
    return 0;
}

static int check(bool has, bool complete, const char *what, davit_error **err)
{
    return has && !complete ? dv_error_set(err, DAVIT_EINVAL, "%s: it lacks a function", what) : 0;
}

int dv_own_stores_init(dv_own_stores *o, const davit_distribution_config *config,
                       const davit_content_store *content, const davit_layer_provider *layers,
                       davit_error **err)
{
    static const davit_distribution_config defaults = DAVIT_DISTRIBUTION_CONFIG_INIT;
    const davit_distribution_config *c = config ? config : &defaults;
    *o = (dv_own_stores){0};
    if (c->version != DAVIT_DISTRIBUTION_CONFIG_VERSION || c->flags)
        return dv_error_set(err, DAVIT_EINVAL, "unknown distribution config (version %u, flags 0x%x)",
                            c->version, c->flags);
    int r = take(content, &o->content, sizeof(o->content), &o->has_content, "content store", err);
    if (r == 0)
        r = take(c->images, &o->images, sizeof(o->images), &o->has_images, "image config store", err);
    if (r == 0)
        r = take(c->references, &o->references, sizeof(o->references), &o->has_references, "reference store",
                 err);
    if (r == 0)
        r = take(c->metadata, &o->metadata, sizeof(o->metadata), &o->has_metadata, "metadata store", err);
    if (r == 0)
        r = take(c->resolver, &o->resolver, sizeof(o->resolver), &o->has_resolver, "registry resolver", err);
    if (r == 0)
        r = take(layers, &o->layers, sizeof(o->layers), &o->has_layers, "layer provider", err);
    if (r == 0)
        r = check(o->has_content, o->content.info && o->content.open && o->content.writer, "content store",
                  err);
    if (r == 0)
        r = check(o->has_references, o->references.get != NULL, "reference store", err);
    if (r == 0)
        r = check(o->has_layers, o->layers.get != NULL, "layer provider", err);
    return r;
}

/* --- asking ---------------------------------------------------------------------------------------------------------- */

int dv_own_result(int r, const char *what, davit_error **err)
{
    if (r == 0)
        return 0;
    if (r > 0)
        r = dv_error_set(err, DAVIT_ESTORE, "%s: it returned %d, which is no error code", what, r);
    else if (!err || !*err)
        dv_error_set(err, r, "%s: %s", what, davit_code_text(r));
    else
        dv_error_wrap(err, r, "%s", what);
    if (err && r != DAVIT_ENOMEM && davit_error_code(*err) != DAVIT_ENOMEM) {
        (*err)->code = r;
        (*err)->kind = DV_ERROR_VETO;
        (*err)->final = true;
    }
    return r;
}

int dv_own_collect(const void *bytes, size_t size, void *buf)
{
    dv_buf_append(buf, bytes, size);
    return ((const dv_buf *)buf)->failed;
}

int dv_own_collected(int r, const dv_buf *buf, const char *what, davit_error **err)
{
    if (buf->failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (buf->failed)
        return dv_own_result(dv_error_set(err, buf->failed, "it gave more than %zu bytes", buf->max), what,
                             err);
    return dv_own_result(r, what, err);
}
