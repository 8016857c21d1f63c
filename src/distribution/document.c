/* distribution/document.c - see document.h. */
#include "distribution/document.h"

#include "oci/manifest.h"
#include "oci/schema1.h"
#include "registry/v2_blob.h"

#include "davit/image_config.h"

#include <inttypes.h>
#include <string.h>

static int check_descriptor(const davit_manifest *m, const dv_manifest_answer *answer,
                            const davit_descriptor *desc, davit_error **err)
{
    const char *type = davit_manifest_media_type(m);
    if (desc->size != DAVIT_SIZE_UNKNOWN && desc->size != answer->size)
        return dv_error_set(err, DAVIT_EDIGEST,
                            "manifest %s is %" PRIu64 " bytes long where its descriptor says %" PRIu64,
                            answer->digest.text, answer->size, desc->size);
    if (*desc->media_type && strcmp(desc->media_type, type) != 0)
        return dv_error_set(err, DAVIT_EFORMAT, "manifest %s is %s where its descriptor says %s",
                            answer->digest.text, type, desc->media_type);
    return 0;
}

int dv_document_parse(const dv_manifest_answer *answer, const davit_descriptor *desc, const char *ref_text,
                      davit_manifest **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTOPTR(davit_manifest) m = NULL;
    int r =
        davit_manifest_parse(dv_buf_text(&answer->bytes), answer->bytes.size, answer->media_type, &m, &why);
    if (r == DAVIT_EUNSUPPORTED && ref_text && dv_schema1_is_refusal(why))
        return dv_schema1_refuse(ref_text, err);
    if (r < 0)
        return dv_error_move(err, &why, r);
    r = desc ? check_descriptor(m, answer, desc, err) : 0;
    if (r == 0)
        *out = DV_STEAL(m);
    return r;
}

int dv_document_fetch(dv_registry *reg, const davit_descriptor *desc, const char *ref_text,
                      davit_manifest **out, davit_error **err)
{
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    int r = dv_v2_manifest_get(reg, desc->digest.text, &desc->digest, &answer, err);
    return r < 0 ? r : dv_document_parse(&answer, desc, ref_text, out, err);
}

const char *dv_document_name(const davit_reference *ref)
{
    const char *digest = davit_reference_digest_text(ref), *tag = davit_reference_tag(ref);
    return digest ? digest : tag ? tag : "latest";
}

int dv_document_pinned(const davit_reference *ref, davit_digest *storage, const davit_digest **out,
                       davit_error **err)
{
    *out = NULL;
    if (!davit_reference_digest_text(ref))
        return 0;
    int r = davit_reference_digest(ref, storage, err);
    if (r == 0)
        *out = storage;
    return r;
}

int dv_document_ask(dv_registry *reg, const davit_reference *ref, davit_manifest **out,
                    davit_digest *out_digest, davit_error **err)
{
    davit_digest storage;
    const davit_digest *expected;
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    int r = dv_document_pinned(ref, &storage, &expected, err);
    if (r == 0)
        r = dv_v2_manifest_get(reg, dv_document_name(ref), expected, &answer, err);
    if (r == 0)
        r = dv_document_parse(&answer, NULL, davit_reference_text(ref), out, err);
    if (r == 0 && out_digest)
        *out_digest = answer.digest;
    return r;
}

int dv_document_choose(const davit_manifest *index, const davit_platform *platform, unsigned depth,
                       const davit_descriptor **out, davit_error **err)
{
    DV_AUTOFREE size_t *order = NULL;
    size_t count = 0, entry_count;
    int r = davit_manifest_choose(index, platform, &order, &count, err);
    if (r == 0 && depth > DAVIT_INDEX_DEPTH_MAX)
        r = dv_error_set(err, DAVIT_ETOOBIG, "index within index, more than %d deep", DAVIT_INDEX_DEPTH_MAX);
    if (r == 0 && count == 0)
        r = dv_index_no_match(platform, err);
    if (r == 0)
        *out = &davit_manifest_entries(index, &entry_count)[order[0]];
    return r;
}

int dv_document_narrow(dv_registry *reg, davit_manifest *m, const davit_platform *platform,
                       davit_manifest **out, davit_error **err)
{
    for (unsigned depth = 1; davit_manifest_is_index(m); depth++) {
        const davit_descriptor *chosen;
        davit_manifest *child = NULL;
        int r = dv_document_choose(m, platform, depth, &chosen, err);
        if (r == 0)
            r = dv_document_fetch(reg, chosen, NULL, &child, err);
        davit_manifest_free(m);
        if (r < 0)
            return r;
        m = child;
    }
    *out = m;
    return 0;
}

int dv_document_fetch_config(dv_registry *reg, const davit_descriptor *config, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    davit_digest got;
    if (config->size > DAVIT_IMAGE_CONFIG_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "image configuration of %zu bytes is too long",
                            (size_t)config->size);
    int r = dv_v2_blob_read(reg, &config->digest, DAVIT_IMAGE_CONFIG_MAX, &res, err);
    if (r == 0)
        r = davit_digest_of(config->digest.algorithm, dv_buf_text(&res.body), res.body.size, &got, err);
    if (r == 0 && !davit_digest_equal(&got, &config->digest))
        r = dv_error_set(err, DAVIT_EDIGEST, "image config verification failed for digest %s",
                         config->digest.text);
    if (r < 0)
        return r;
    *out = res.body;
    res.body = (dv_buf){0};
    return 0;
}
