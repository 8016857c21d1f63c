/* oci/schema1.c - see schema1.h. Nothing of such a manifest is read. */
#include "oci/schema1.h"

#include "oci/media_type.h"
#include "util/str.h"

#include <string.h>

bool dv_schema1_is(const dv_json *document)
{
    const char *type = dv_json_string(dv_json_get(document, "mediaType"), NULL);
    if (type && (strcmp(type, DV_MEDIA_TYPE_SCHEMA1) == 0 || strcmp(type, DV_MEDIA_TYPE_SCHEMA1_SIGNED) == 0))
        return true;
    return dv_json_is(dv_json_get(document, "fsLayers"), DV_JSON_ARRAY) && !dv_json_get(document, "config") &&
           !dv_json_get(document, "layers") && !dv_json_get(document, "manifests");
}

#define REFUSAL \
    "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed."

int dv_schema1_refuse(const char *ref_text, davit_error **err)
{
    DV_AUTO(dv_buf) advice = DV_BUF_INIT(8u << 10);
    if (ref_text)
        dv_buf_printf(
            &advice,
            " Suggest the author of %s to upgrade the image to the OCI Format or Docker Image manifest v2, "
            "schema 2.",
            ref_text);
    return dv_error_set(err, DAVIT_EUNSUPPORTED,
                        REFUSAL "%s More information at https://docs.docker.com/go/deprecated-image-specs/",
                        advice.failed ? "" : dv_buf_text(&advice));
}

bool dv_schema1_is_refusal(const davit_error *err)
{
    return err && dv_str_starts(err->message, REFUSAL);
}
