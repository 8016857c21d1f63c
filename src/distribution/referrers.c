/*
 * distribution/referrers.c - davit_registry_referrers(): what refers to a manifest, with its annotations. Spec: registry-v2.md 8.
 *
 * The registry itself is asked: a mirror without the API would answer that there are none.
 */
#include "davit/registry.h"

#include "distribution/document.h"
#include "distribution/fallback.h"
#include "distribution/registry_write.h"
#include "oci/artifact_manifest.h"
#include "registry/v2_referrer.h"

typedef struct referrers_question {
    const davit_reference *ref;
    const char *artifact_type;
    davit_referrer_fn fn;
    void *user_data;
    davit_digest subject;
    int failure; /* of ours: no memory */
} referrers_question;

/* Values that are no texts are left out. */
static davit_annotation *read_annotations(const dv_json *entry, size_t *out_count)
{
    const dv_json *object = dv_json_annotations(entry);
    davit_annotation *all = dv_new_array(davit_annotation, dv_json_count(object) + 1);
    void *iter = NULL;
    davit_annotation one;
    const dv_json *value;
    *out_count = 0;
    while (all && dv_json_next(object, &iter, &one.key, &value))
        if ((one.value = dv_json_string(value, NULL)))
            all[(*out_count)++] = one;
    return all;
}

/* A dv_referrer_fn. */
static int tell(const davit_descriptor *descriptor, const dv_json *entry, void *user_data)
{
    referrers_question *q = user_data;
    davit_referrer referrer = {.descriptor = *descriptor};
    DV_AUTOFREE davit_annotation *annotations = read_annotations(entry, &referrer.annotation_count);
    if (!annotations) {
        q->failure = DAVIT_ENOMEM;
        return 1;
    }
    referrer.annotations = annotations;
    return q->fn(&referrer, q->user_data);
}

static int find_subject(dv_registry *reg, referrers_question *q, davit_error **err)
{
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    davit_digest storage;
    const davit_digest *pinned;
    int r = dv_document_pinned(q->ref, &storage, &pinned, err);
    if (r == 0 && pinned) {
        q->subject = *pinned;
        return 0;
    }
    if (r == 0)
        r = dv_v2_manifest_resolve(reg, dv_document_name(q->ref), &answer, err);
    if (r == 0)
        q->subject = answer.digest;
    return r;
}

int davit_registry_referrers(davit_client *client, const davit_reference *ref, const char *artifact_type,
                             davit_referrer_fn fn, void *user_data, davit_digest *out_subject,
                             davit_error **err)
{
    referrers_question q = {.ref = ref, .artifact_type = artifact_type, .fn = fn, .user_data = user_data};
    DV_AUTOPTR(dv_registry) reg = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_registry_open_itself(client, ref, /* actions= */ NULL, &reg, err);
    if (r < 0)
        return r;
    r = find_subject(reg, &q, &why);
    if (r == 0)
        r = dv_v2_referrer_list(reg, &q.subject, q.artifact_type, tell, &q, /* out_fallback= */ NULL, &why);
    if (r == 0 && q.failure < 0)
        return dv_error_oom(err);
    if (r < 0)
        return dv_error_move(err, &why, dv_fallback_translate(&why, ref));
    if (out_subject)
        *out_subject = q.subject;
    return 0;
}
