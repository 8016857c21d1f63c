/*
 * distribution/source_registry.c - a repository of a registry. The endpoint that knows the name (mirrors first, as in a pull) is asked for
 * everything else as well.
 *
 * Mirrors that serve bytes only are left out: a copy asks one place for tag and content.
 */
#include "distribution/source.h"

#include "distribution/blob_stream.h"
#include "distribution/document.h"
#include "distribution/endpoint_loop.h"
#include "distribution/fallback.h"
#include "oci/media_type.h"
#include "registry/v2_referrer.h"
#include "registry/v2_tag.h"
#include "util/log.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

typedef struct registry_source {
    dv_source source;
    dv_registry *registry; /* the one that answered; NULL: nobody was asked yet */
    dv_text_pool texts;
} registry_source;

static void registry_close(dv_source *s)
{
    registry_source *q = (registry_source *)s;
    dv_registry_close(q->registry);
    dv_text_pool_clear(&q->texts);
    free(q);
}

/* --- what a name is ---------------------------------------------------------------------------------------------------------------- */

static int ask(registry_source *q, dv_registry *reg, const char *name, davit_descriptor *out,
               davit_error **err)
{
    const davit_reference *ref = q->source.place->reference;
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    davit_digest storage;
    const davit_digest *expected = NULL;
    int r = name ? 0 : dv_document_pinned(ref, &storage, &expected, err);
    if (r == 0)
        r = dv_v2_manifest_resolve(reg, name ? name : dv_document_name(ref), &answer, err);
    if (r == 0 && expected && !davit_digest_equal(expected, &answer.digest))
        r = dv_error_set(err, DAVIT_EDIGEST, "manifest verification failed for digest %s", expected->text);
    if (r < 0)
        return r;
    const char *type = dv_text_pool_media_type(&q->texts, answer.media_type);
    if (!type)
        return dv_error_oom(err);
    *out = (davit_descriptor){.media_type = type, .digest = answer.digest, .size = answer.size};
    return 0;
}

static int first_of(registry_source *q, const dv_endpoints *endpoints, const char *name,
                    davit_descriptor *out, davit_error **err)
{
    const davit_reference *ref = q->source.place->reference;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_error_set(&why, DAVIT_ENOTFOUND, "no endpoints found for %s", davit_reference_familiar(ref));
    for (size_t i = 0; i < endpoints->count; i++) {
        const dv_endpoint *endpoint = &endpoints->items[i];
        DV_AUTOPTR(dv_registry) reg = NULL;
        if (endpoint->digest_only)
            continue;
        r = dv_client_check_cancelled(q->source.client, &why);
        if (r == 0)
            r = dv_registry_open(q->source.client, endpoint, davit_reference_domain(ref),
                                 davit_reference_path(ref), /* credentials= */ NULL, &reg, &why);
        if (r == 0)
            r = ask(q, reg, name, out, &why);
        if (r == 0) {
            q->registry = q->source.registry = DV_STEAL(reg);
            return 0;
        }
        if (!dv_fallback_continue(why, endpoint->mirror))
            break;
        dv_log(DAVIT_LOG_INFO, "%s: %s; trying the next endpoint", endpoint->url.host,
               davit_error_message(why));
    }
    r = dv_fallback_translate(&why, ref);
    return dv_error_move(err, &why, r);
}

static int registry_resolve(dv_source *s, const char *name, davit_descriptor *out, davit_error **err)
{
    registry_source *q = (registry_source *)s;
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    if (!q->registry) {
        int r = dv_endpoint_list(s->client, s->place->reference, &endpoints, err);
        return r < 0 ? r : first_of(q, &endpoints, name, out, err);
    }
    int r = ask(q, q->registry, name, out, &why);
    if (r < 0) {
        r = dv_fallback_translate(&why, s->place->reference);
        dv_error_move(err, &why, r);
    }
    return r;
}

/* --- content -------------------------------------------------------------------------------------------------------------------------- */

static int registry_document(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err)
{
    registry_source *q = (registry_source *)s;
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    int r = dv_v2_manifest_get(q->registry, desc->digest.text, &desc->digest, &answer, err);
    if (r < 0)
        return r;
    const char *told = answer.media_type;
    if (*desc->media_type && dv_media_type_kind(told) != DV_MEDIA_UNKNOWN &&
        strcmp(told, desc->media_type) != 0) /* threats B3 */
        return dv_error_set(err, DAVIT_EFORMAT, "manifest %s is %s where its descriptor says %s",
                            desc->digest.text, told, desc->media_type);
    dv_buf_append(out, dv_buf_text(&answer.bytes), answer.bytes.size);
    return out->failed ? dv_error_oom(err) : 0;
}

typedef struct stream {
    const davit_descriptor *blob;
    dv_sink *to;
    uint64_t size;
    davit_error *err; /* why it was not taken */
} stream;

static int pass_on(const void *bytes, size_t size, void *user)
{
    stream *s = user;
    s->size += size;
    if (s->size > s->blob->size) /* also of an unknown one: that is the largest number */
        return dv_error_set(&s->err, DAVIT_EDIGEST, "blob %s is longer than its %" PRIu64 " bytes",
                            s->blob->digest.text, s->blob->size);
    return dv_sink_write(s->to, bytes, size, &s->err);
}

static int registry_read(dv_source *source, const davit_descriptor *blob, dv_sink *to, davit_error **err)
{
    stream s = {.blob = blob, .to = to};
    uint64_t passed = 0;
    int r = dv_blob_stream(((registry_source *)source)->registry, &blob->digest, pass_on, &s, &passed, err);
    if (s.err)
        return dv_error_move(err, &s.err, davit_error_code(s.err));
    if (r == 0 && blob->size != DAVIT_SIZE_UNKNOWN && passed != blob->size)
        r = dv_error_set(err, DAVIT_EDIGEST,
                         "blob %s is %" PRIu64 " bytes long where its descriptor says %" PRIu64,
                         blob->digest.text, passed, blob->size);
    return r < 0 && r != DAVIT_EDIGEST ? dv_error_wrap(err, r, "blob %s", blob->digest.text) : r;
}

/* --- referrers ------------------------------------------------------------------------------------------------------------------------- */

typedef struct referring {
    dv_source_referrer_fn fn;
    void *user;
    int result;
    davit_error *err;
} referring;

static int give_referrer(const davit_descriptor *referrer, const dv_json *entry, void *user)
{
    referring *g = user;
    (void)entry;
    g->result = g->fn(g->user, referrer, &g->err);
    return g->result < 0;
}

static int registry_referrers(dv_source *s, const davit_digest *subject, dv_source_referrer_fn fn, void *user,
                              davit_error **err)
{
    referring g = {.fn = fn, .user = user};
    int r = dv_v2_referrer_list(((registry_source *)s)->registry, subject, /* artifact_type= */ NULL,
                                give_referrer, &g, /* out_fallback= */ NULL, err);
    return g.result < 0 ? dv_error_move(err, &g.err, g.result) : r;
}

/* --- names ------------------------------------------------------------------------------------------------------------------------------ */

typedef struct naming {
    dv_name_fn fn;
    void *user;
} naming;

static int give_name(const char *tag, void *user)
{
    naming *n = user;
    return n->fn(n->user, tag);
}

static int list_names(dv_registry *reg, void *user, davit_error **err)
{
    return dv_v2_tag_list(reg, give_name, user, err);
}

static int registry_names(dv_source *s, dv_name_fn fn, void *user, davit_error **err)
{
    naming n = {fn, user};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_endpoint_loop(s->client, s->place->reference, DV_ASK_BY_TAG, /* credentials= */ NULL,
                             list_names, &n, &why);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

static const dv_source_ops registry_ops = {
    .resolve = registry_resolve,
    .document = registry_document,
    .read = registry_read,
    .names = registry_names,
    .referrers = registry_referrers,
    .close = registry_close,
};

int dv_source_registry_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err)
{
    registry_source *q = dv_new(registry_source);
    if (!q)
        return dv_error_oom(err);
    q->source = (dv_source){.ops = &registry_ops, .client = c, .place = place};
    *out = &q->source;
    return 0;
}
