/* registry/v2_ping.c - see v2_ping.h. Every HTTP answer is an answer; only a transport failure is an error. */
#include "registry/v2_ping.h"

#include "auth/challenge.h"
#include "registry/call.h"

#include <stdio.h>
#include <string.h>

static void list_schemes(int status, const dv_headers *headers, char *out, size_t size)
{
    DV_AUTO(dv_challenges) challenges = DV_CHALLENGES_INIT;
    size_t used = 0;
    out[0] = '\0';
    if (dv_challenges_parse(status, headers, &challenges, NULL) < 0)
        return;
    for (size_t i = 0; i < challenges.count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", challenges.items[i].scheme);
}

int dv_v2_ping(dv_registry *reg, davit_ping_result *out, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    int r = dv_call_wait(reg,
                         &(dv_call_spec){.method = "GET",
                                         .path = "v2/",
                                         .body_max = DV_ERROR_BODY_MAX,
                                         .any_status = true,
                                         .without_scope = true},
                         &res, err);
    if (r < 0)
        return r;
    *out = (davit_ping_result){.status = res.status, .tls = strcmp(res.url.scheme, "https") == 0};
    out->authenticated = res.status == 200 && reg->challenged;
    list_schemes(res.status, &res.headers, out->challenge, sizeof(out->challenge));
    snprintf(out->url, sizeof(out->url), "%s", res.url.query ? "" : res.url.text);
    return 0;
}
