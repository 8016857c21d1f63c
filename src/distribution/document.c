/* distribution/document.c - see document.h. */
#include "distribution/document.h"

#include "oci/manifest.h"
#include "oci/schema1.h"

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
