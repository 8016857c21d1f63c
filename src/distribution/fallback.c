/* distribution/fallback.c - see fallback.h. */
#include "distribution/fallback.h"

#include <string.h>

bool dv_fallback_continue(const davit_error *err, bool mirror)
{
    switch (err->code) {
    case DAVIT_ECANCELLED:
    case DAVIT_ENOMEM:
    case DAVIT_ENOSPACE: /* ours, not the endpoint's: another one would meet the same disk */
    case DAVIT_ESTORE:
    case DAVIT_EIO:
    case DAVIT_ECONFIG: /* a credential helper, a credential file: threats A9, an error and no reason to try elsewhere */
        return false;
    default:
        break;
    }
    if (err->code == DAVIT_ETIMEOUT && err->kind == DV_ERROR_PLAIN)
        return false; /* the token request's 15 s (pull.md 2.2) */
    switch (err->kind) {
    case DV_ERROR_REGISTRY_FULL:
    case DV_ERROR_CONFIG_PULL:
        return mirror;
    case DV_ERROR_MEDIA_TYPE:
    case DV_ERROR_VETO:
        return false;
    case DV_ERROR_PLAIN:
    case DV_ERROR_AI_MODEL:
    case DV_ERROR_REGISTRY_BARE:
    case DV_ERROR_UNEXPECTED:
    case DV_ERROR_TRANSPORT:
    case DV_ERROR_PING_RESPONSE:
    case DV_ERROR_V1_REGISTRY:
        break;
    }
    return !strstr(davit_error_message(err), "no such process");
}

int dv_fallback_translate(davit_error **err, const davit_reference *ref)
{
    davit_error *e = *err;
    if (!e)
        return 0;
    if (e->kind != DV_ERROR_REGISTRY_FULL)
        return e->code;
    const char *name = davit_reference_familiar_name(ref);
    if (strcmp(e->registry_code, "DENIED") == 0)
        return dv_error_wrap(
            err, e->code,
            "pull access denied for %s, repository does not exist or may require 'docker login'", name);
    if (strcmp(e->registry_code, "MANIFEST_UNKNOWN") == 0)
        return dv_error_wrap(err, e->code, "manifest for %s not found", davit_reference_familiar(ref));
    if (strcmp(e->registry_code, "NAME_UNKNOWN") == 0)
        return dv_error_wrap(err, e->code, "repository %s not found", name);
    return e->code;
}
