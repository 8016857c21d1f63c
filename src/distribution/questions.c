/*
 * distribution/questions.c - the public davit_registry_*() functions: questions to the endpoints of a reference, nothing
 * stored. Spec: registry-v2.md 3-5, 7; DESIGN 3.
 */
#include "davit/registry.h"

#include "distribution/document.h"
#include "distribution/endpoint_loop.h"
#include "registry/v2_ping.h"
#include "registry/v2_tag.h"

#include <string.h>

/* Every question runs through the loop with an error of its own, since the loop decides by it. */
static int ask(davit_client *c, const davit_reference *ref, int (*fn)(dv_registry *, void *, davit_error **),
               void *user, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    dv_ask_by by = davit_reference_digest_text(ref) ? DV_ASK_BY_DIGEST : DV_ASK_BY_TAG;
    int r = dv_endpoint_loop(c, ref, by, /* credentials= */ NULL, fn, user, &why);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

/* --- manifests ------------------------------------------------------------------------------------------------------- */

typedef struct manifest_question {
    const davit_reference *ref;
    const davit_platform *platform; /* NULL: whatever the name is */
    davit_manifest *out;
} manifest_question;

static int ask_manifest(dv_registry *reg, void *user, davit_error **err)
{
    manifest_question *q = user;
    davit_manifest *m = NULL;
    int r = dv_document_ask(reg, q->ref, &m, /* out_digest= */ NULL, err);
    if (r < 0)
        return r;
    if (q->platform)
        return dv_document_narrow(reg, m, q->platform, &q->out, err);
    q->out = m;
    return 0;
}

int davit_registry_get_manifest(davit_client *client, const davit_reference *ref,
                                const davit_platform *platform, davit_manifest **out, davit_error **err)
{
    manifest_question q = {.ref = ref, .platform = platform};
    int r = ask(client, ref, ask_manifest, &q, err);
    if (r == 0)
        *out = q.out;
    return r;
}

typedef struct resolve_question {
    const davit_reference *ref;
    dv_manifest_answer answer;
} resolve_question;

static int ask_resolve(dv_registry *reg, void *user, davit_error **err)
{
    resolve_question *q = user;
    davit_digest storage;
    const davit_digest *expected;
    int r = dv_document_pinned(q->ref, &storage, &expected, err);
    if (r == 0)
        r = dv_v2_manifest_resolve(reg, dv_document_name(q->ref), &q->answer, err);
    if (r == 0 && expected && !davit_digest_equal(expected, &q->answer.digest)) {
        dv_manifest_answer_clear(&q->answer);
        r = dv_error_set(err, DAVIT_EDIGEST, "manifest verification failed for digest %s", expected->text);
    }
    return r;
}

static int give_target(davit_digest *out_digest, const davit_digest *digest, char **out_media_type,
                       const char *media_type, uint64_t *out_size, uint64_t size, davit_error **err)
{
    char *copy = out_media_type ? dv_strdup(media_type) : NULL;
    if (out_media_type && !copy)
        return dv_error_oom(err);
    *out_digest = *digest;
    if (out_media_type)
        *out_media_type = copy;
    if (out_size)
        *out_size = size;
    return 0;
}

int davit_registry_resolve(davit_client *client, const davit_reference *ref, const davit_platform *platform,
                           davit_digest *out_digest, char **out_media_type, uint64_t *out_size,
                           davit_error **err)
{
    if (platform) {
        davit_manifest *m = NULL;
        size_t size;
        int r = davit_registry_get_manifest(client, ref, platform, &m, err);
        if (r < 0)
            return r;
        davit_manifest_bytes(m, &size);
        r = give_target(out_digest, davit_manifest_digest(m), out_media_type, davit_manifest_media_type(m),
                        out_size, size, err);
        davit_manifest_free(m);
        return r;
    }
    resolve_question q = {.ref = ref, .answer = DV_MANIFEST_ANSWER_INIT};
    int r = ask(client, ref, ask_resolve, &q, err);
    if (r == 0)
        r = give_target(out_digest, &q.answer.digest, out_media_type, q.answer.media_type, out_size,
                        q.answer.size, err);
    dv_manifest_answer_clear(&q.answer);
    return r;
}

/* --- config ------------------------------------------------------------------------------------------------------------ */

typedef struct config_question {
    manifest_question manifest;
    dv_buf bytes;
} config_question;

static int ask_config(dv_registry *reg, void *user, davit_error **err)
{
    config_question *q = user;
    int r = ask_manifest(reg, &q->manifest, err);
    if (r < 0)
        return r;
    davit_descriptor config = *davit_manifest_config(q->manifest.out);
    davit_manifest_free(q->manifest.out);
    q->manifest.out = NULL;
    return dv_document_fetch_config(reg, &config, &q->bytes, err);
}

static int get_config(davit_client *client, const davit_reference *ref, const davit_platform *platform,
                      dv_buf *out, davit_error **err)
{
    davit_platform host;
    davit_platform_host(&host);
    config_question q = {.manifest = {.ref = ref, .platform = platform ? platform : &host}};
    int r = ask(client, ref, ask_config, &q, err);
    if (r == 0)
        *out = q.bytes;
    return r;
}

int davit_registry_get_config_bytes(davit_client *client, const davit_reference *ref,
                                    const davit_platform *platform, void **out_bytes, size_t *out_size,
                                    davit_error **err)
{
    DV_AUTO(dv_buf) bytes = {0};
    int r = get_config(client, ref, platform, &bytes, err);
    if (r < 0)
        return r;
    size_t size = bytes.size;
    char *text = dv_buf_take(&bytes);
    if (!text)
        return dv_error_oom(err);
    *out_bytes = text;
    *out_size = size;
    return 0;
}

int davit_registry_get_config(davit_client *client, const davit_reference *ref,
                              const davit_platform *platform, davit_image_config **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = {0};
    int r = get_config(client, ref, platform, &bytes, err);
    return r < 0 ? r : davit_image_config_parse(dv_buf_text(&bytes), bytes.size, out, err);
}

/* --- tags ------------------------------------------------------------------------------------------------------------- */

typedef struct tags_question {
    dv_page_part part;
    davit_tag_fn fn;
    void *user_data;
    bool told;        /* some tag was passed on: another endpoint must not repeat it */
    davit_error *why; /* so an error after that ends the loop as an answer */
} tags_question;

static int tell_tag(const char *tag, void *user_data)
{
    tags_question *q = user_data;
    q->told = true;
    return q->fn(tag, q->user_data);
}

static int ask_tags(dv_registry *reg, void *user, davit_error **err)
{
    tags_question *q = user;
    int r = dv_v2_tag_list_part(reg, &q->part, tell_tag, q, err);
    if (r == 0 || !q->told)
        return r;
    q->why = DV_STEAL(*err);
    return 0;
}

int davit_registry_tags(davit_client *client, const davit_reference *ref, davit_tag_fn fn, void *user_data,
                        davit_error **err)
{
    return davit_registry_list_tags(client, ref, NULL, fn, user_data, err);
}

int davit_registry_list_tags(davit_client *client, const davit_reference *ref,
                             const davit_list_options *options, davit_tag_fn fn, void *user_data,
                             davit_error **err)
{
    tags_question q = {.fn = fn, .user_data = user_data};
    int r = dv_page_part_read(options, &q.part, err);
    if (r == 0)
        r = ask(client, ref, ask_tags, &q, err);
    return q.why ? dv_error_move(err, &q.why, davit_error_code(q.why)) : r;
}

/* --- ping -------------------------------------------------------------------------------------------------------------- */

int davit_registry_ping(davit_client *client, const char *host, davit_ping_result *out, davit_error **err)
{
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(dv_registry) reg = NULL;
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(client->service);
    int r = dv_endpoints_for_pull(config, host, &endpoints, err);
    if (r < 0)
        return r;
    if (endpoints.count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "%s is not a registry host", host);
    r = dv_registry_open(client, &endpoints.items[endpoints.count - 1], host, "", /* credentials= */ NULL,
                         &reg, err);
    return r < 0 ? r : dv_v2_ping(reg, out, err);
}
