/*
 * distribution/target_registry.c - into a repository of a registry. Blobs go through the upload manager (copy_uploads.c); here are names and
 * documents.
 */
#include "distribution/target.h"

#include "distribution/document.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "registry/v2_blob.h"
#include "registry/v2_manifest.h"
#include "registry/v2_referrer.h"
#include "util/str.h"

#include <string.h>

static void registry_close(dv_target *t)
{
    dv_registry_close(t->registry);
    free(t);
}

static const char *tag_of(const dv_target *t, const char *name)
{
    return name ? name : dv_document_name(t->place->reference);
}

static int registry_resolve(dv_target *t, const char *name, davit_digest *out, davit_error **err)
{
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_v2_manifest_resolve(t->registry, tag_of(t, name), &answer, &why);
    if (r < 0 && davit_error_http_status(why) == 404)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    *out = answer.digest;
    return 1;
}

static int registry_has_document(dv_target *t, const davit_descriptor *document, davit_error **err)
{
    return dv_v2_manifest_exists(t->registry, document->digest.text, err);
}

static int registry_has_blob(dv_target *t, const davit_descriptor *blob, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    uint64_t size;
    int r = dv_v2_blob_head(t->registry, &blob->digest, &size, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    return r < 0 ? dv_error_move(err, &why, r) : 1;
}

static int registry_begin(dv_target *t, const dv_copy_plan *plan, const char *name, bool alone,
                          davit_error **err)
{
    (void)t, (void)plan, (void)name, (void)alone, (void)err;
    return 0;
}

static int put(dv_target *t, const char *name, const dv_copy_document *d, davit_error **err)
{
    dv_manifest_put answer;
    size_t size = (size_t)d->descriptor.size;
    int r = dv_v2_manifest_put(t->registry, name, d->descriptor.media_type, d->bytes, size, &answer, err);
    if (r == 0 && d->manifest && davit_manifest_subject(d->manifest) && !answer.subject_known)
        r = dv_v2_referrer_add(t->registry, d->bytes, size, d->descriptor.media_type, err);
    return r < 0 ? dv_error_wrap(err, r, "manifest %s", d->descriptor.digest.text) : 0;
}

/* What has a name is put under it, and needs no request of its own. */
static int registry_put_document(dv_target *t, const dv_copy_document *d, davit_error **err)
{
    return d->is_child ? put(t, d->descriptor.digest.text, d, err) : 0;
}

static int registry_tag(dv_target *t, const dv_copy_plan *plan, const char *name, davit_error **err)
{
    return put(t, tag_of(t, name), dv_copy_plan_root(plan), err);
}

static int registry_finish(dv_target *t, davit_error **err)
{
    (void)t, (void)err;
    return 0;
}

static const dv_target_ops registry_ops = {
    .resolve = registry_resolve,
    .has_document = registry_has_document,
    .has_blob = registry_has_blob,
    .begin = registry_begin,
    .put_document = registry_put_document,
    .tag = registry_tag,
    .finish = registry_finish,
    .close = registry_close,
};

static int open_endpoint(davit_client *c, const davit_reference *ref, dv_registry **out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(c->service);
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(dv_registry) reg = NULL;
    int r = dv_endpoints_for_push(config, davit_reference_domain(ref), &endpoints, err);
    if (r == 0 && endpoints.count == 0)
        r = dv_error_set(err, DAVIT_ENOTFOUND, "no endpoints found for %s", davit_reference_familiar(ref));
    if (r == 0)
        r = dv_registry_open(c, &endpoints.items[0], davit_reference_domain(ref), davit_reference_path(ref),
                             /* credentials= */ NULL, &reg, err);
    if (r == 0)
        r = dv_registry_set_actions(reg, "pull,push", err);
    if (r == 0)
        *out = DV_STEAL(reg);
    return r;
}

int dv_target_registry_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err)
{
    dv_target *t = dv_new(dv_target);
    if (!t)
        return dv_error_oom(err);
    *t = (dv_target){.ops = &registry_ops, .client = c, .place = place, .keeps_referrers = true};
    int r = open_endpoint(c, place->reference, &t->registry, err);
    if (r < 0) {
        free(t);
        return r;
    }
    *out = t;
    return 0;
}
