/* distribution/endpoint_loop.c - see endpoint_loop.h. */
#include "distribution/endpoint_loop.h"

#include "distribution/fallback.h"
#include "util/log.h"

#include <string.h>

#define CAUSE_MAX 500         /* bytes of what one endpoint said */
#define CAUSES_MAX (8u << 10) /* of all together */

static int ask_one(davit_client *c, const davit_reference *ref, const davit_auth_config *credentials,
                   const dv_endpoint *endpoint, dv_ask_fn *ask, void *user, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    int r = dv_client_check_cancelled(c, err);
    if (r == 0)
        r = dv_registry_open(c, endpoint, davit_reference_domain(ref), davit_reference_path(ref), credentials,
                             &reg, err);
    return r < 0 ? r : ask(reg, user, err);
}

/* --- what the endpoints said that were asked in vain ----------------------------------------------------------------- */

static void note_cause(dv_buf *causes, const dv_endpoint *endpoint, const davit_error *why)
{
    dv_log(DAVIT_LOG_INFO, "%s: %s; trying the next endpoint", endpoint->url.host, davit_error_message(why));
    if (causes->size > CAUSES_MAX - 2 * CAUSE_MAX)
        return;
    dv_buf_printf(causes, "%s%s ", causes->size ? "; " : "", endpoint->mirror ? "mirror" : "endpoint");
    if (!strstr(davit_error_message(why), endpoint->url.host)) {
        dv_url_origin_text(&endpoint->url, causes);
        dv_buf_puts(causes, ": ");
    }
    dv_buf_printf(causes, "%.*s", CAUSE_MAX, davit_error_message(why));
}

/* Before the error that remains, whose code counts. */
static int add_causes(davit_error **err, int r, const dv_buf *causes)
{
    if (causes->size > 0 && !causes->failed && r != DAVIT_ECANCELLED)
        dv_error_wrap(err, r, "%s; then", dv_buf_text(causes));
    return r;
}

/* --- the loops -------------------------------------------------------------------------------------------------------- */

int dv_endpoint_list(davit_client *c, const davit_reference *ref, dv_endpoints *out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(c->service);
    return dv_endpoints_for_pull(config, davit_reference_domain(ref), out, err);
}

/* The next that may be asked, at or behind i. */
static size_t next_asked(const dv_endpoints *endpoints, size_t i, dv_ask_by by)
{
    while (i < endpoints->count && by == DV_ASK_BY_TAG && endpoints->items[i].digest_only)
        i++;
    return i;
}

static int loop(davit_client *c, const dv_endpoints *endpoints, const davit_reference *ref, dv_ask_by by,
                bool translated, const davit_auth_config *credentials, dv_ask_fn *ask, void *user,
                davit_error **err)
{
    DV_AUTO(dv_buf) causes = DV_BUF_INIT(CAUSES_MAX);
    for (size_t i = next_asked(endpoints, 0, by), next; i < endpoints->count; i = next) {
        const dv_endpoint *endpoint = &endpoints->items[i];
        DV_AUTOPTR(davit_error) why = NULL;
        int r = ask_one(c, ref, credentials, endpoint, ask, user, &why);
        if (r == 0)
            return 0;
        next = next_asked(endpoints, i + 1, by);
        if (next < endpoints->count && dv_fallback_continue(why, endpoint->mirror)) {
            note_cause(&causes, endpoint, why);
            continue;
        }
        if (translated)
            r = dv_fallback_translate(&why, ref);
        return dv_error_move(err, &why, add_causes(&why, r, &causes));
    }
    return dv_error_set(err, DAVIT_ENOTFOUND, "no endpoints found for %s",
                        translated ? davit_reference_familiar(ref) : davit_reference_name(ref));
}

int dv_endpoint_loop_over(davit_client *c, const dv_endpoints *endpoints, const davit_reference *ref,
                          dv_ask_by by, const davit_auth_config *credentials, dv_ask_fn *ask, void *user,
                          davit_error **err)
{
    return loop(c, endpoints, ref, by, /* translated= */ true, credentials, ask, user, err);
}

int dv_endpoint_list_push(davit_client *c, const davit_reference *ref, dv_endpoints *out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(c->service);
    return dv_endpoints_for_push(config, davit_reference_domain(ref), out, err);
}

int dv_endpoint_loop_push(davit_client *c, const dv_endpoints *endpoints, const davit_reference *ref,
                          const davit_auth_config *credentials, dv_ask_fn *ask, void *user, davit_error **err)
{
    return loop(c, endpoints, ref, DV_ASK_BY_TAG, /* translated= */ false, credentials, ask, user, err);
}

int dv_endpoint_loop(davit_client *c, const davit_reference *ref, dv_ask_by by,
                     const davit_auth_config *credentials, dv_ask_fn *ask, void *user, davit_error **err)
{
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    int r = dv_endpoint_list(c, ref, &endpoints, err);
    return r < 0 ? r : dv_endpoint_loop_over(c, &endpoints, ref, by, credentials, ask, user, err);
}

/* The first digest-only mirror at or behind i that comes before reg; NULL: none. */
static const dv_endpoint *content_mirror(const dv_endpoints *endpoints, size_t *i, const dv_registry *reg)
{
    for (; *i < endpoints->count; ++*i) {
        const dv_endpoint *endpoint = &endpoints->items[*i];
        if (endpoint->digest_only)
            return endpoint;
        if (strcmp(endpoint->url.text, reg->endpoint.url.text) == 0)
            return NULL;
    }
    return NULL;
}

bool dv_content_has_mirrors(const dv_endpoints *endpoints, const dv_registry *reg)
{
    size_t i = 0;
    return content_mirror(endpoints, &i, reg) != NULL;
}

int dv_content_loop(const dv_endpoints *endpoints, dv_registry *reg, const davit_reference *ref,
                    dv_ask_fn *ask, void *user, davit_error **err)
{
    DV_AUTO(dv_buf) causes = DV_BUF_INIT(CAUSES_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    size_t i = 0;
    for (const dv_endpoint *mirror; (mirror = content_mirror(endpoints, &i, reg)); i++) {
        int r = ask_one(reg->client, ref, /* credentials= */ NULL, mirror, ask, user, &why);
        if (r == 0)
            return 0;
        if (!dv_fallback_continue(why, /* mirror= */ true))
            return dv_error_move(err, &why, r);
        note_cause(&causes, mirror, why);
        davit_error_free(DV_STEAL(why));
    }
    int r = ask(reg, user, &why);
    return r < 0 ? dv_error_move(err, &why, add_causes(&why, r, &causes)) : 0;
}
