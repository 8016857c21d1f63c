/* auth/realm.c - see realm.h. The only door to libpsl, whose built-in list is used: no file, no network. */
#include "auth/realm.h"

#include "net/address.h"
#include "util/str.h"

#include <libpsl.h>
#include <string.h>

/*
 * Registries whose token server has another name; needed only where the registrable domains differ or must
 * not be asked.
 */
static const struct {
    const char *registry;
    const char *realm;
} pairs[] = {
    {"registry-1.docker.io", "auth.docker.io"},
};

static bool is_https(const dv_url *u)
{
    return strcmp(u->scheme, "https") == 0;
}

static bool is_pair(const dv_url *origin, const dv_url *realm)
{
    for (size_t i = 0; i < DV_COUNT(pairs); i++)
        if (strcmp(pairs[i].registry, origin->host) == 0 && strcmp(pairs[i].realm, realm->host) == 0)
            return is_https(origin) && is_https(realm);
    return false;
}

/* A trusted entry, "host" or "host:port", as a URL: the scheme only gives it a URL's shape. */
static int parse_entry(const char *entry, dv_url *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    bool bare_ipv6 = strchr(entry, ':') != strrchr(entry, ':') && entry[0] != '[';
    dv_buf_printf(&text, bare_ipv6 ? "http://[%s]" : "http://%s", entry);
    int r = text.failed ? text.failed : dv_url_parse(dv_buf_text(&text), out, NULL);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0 || strcspn(entry, "/?#") != strlen(entry))
        return dv_error_set(err, DAVIT_EINVAL, "trusted realm \"%.300s\" is not a host or host:port", entry);
    return 0;
}

static bool entry_matches(const char *entry, const dv_url *realm)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    return parse_entry(entry, &url, NULL) == 0 && strcmp(url.host, realm->host) == 0 &&
           (!url.explicit_port || url.port == realm->port);
}

int dv_realm_trusted_check(const char *const *trusted, davit_error **err)
{
    for (size_t i = 0; trusted && trusted[i]; i++) {
        DV_AUTO(dv_url) url = DV_URL_INIT;
        int r = parse_entry(trusted[i], &url, err);
        if (r < 0)
            return r;
    }
    return 0;
}

bool dv_realm_is_configured(const dv_realm_question *q)
{
    for (size_t i = 0; q->trusted && q->trusted[i]; i++)
        if (entry_matches(q->trusted[i], q->realm))
            return true;
    return false;
}

/*
 * libpsl takes "2.3" for the domain of "10.1.2.3", and a single label for a suffix of its own: neither is
 * asked.
 */
static bool same_registrable_domain(const char *a, const char *b)
{
    if (dv_host_is_literal(a) || dv_host_is_literal(b) || dv_host_is_single_label(a) ||
        dv_host_is_single_label(b))
        return false;
    const psl_ctx_t *list = psl_builtin();
    const char *domain_a = list ? psl_registrable_domain(list, a) : NULL;
    const char *domain_b = list ? psl_registrable_domain(list, b) : NULL;
    return domain_a && domain_b && strcmp(domain_a, domain_b) == 0;
}

static bool origin_may_be_private(const dv_realm_question *q)
{
    return q->origin_private || dv_host_is_private(q->origin->host) ||
           dv_host_is_single_label(q->origin->host);
}

dv_realm_trust dv_realm_judge(const dv_realm_question *q, const char **out_why)
{
    bool same_host = strcmp(q->origin->host, q->realm->host) == 0;
    bool trusted = dv_realm_is_configured(q);
    const char *why = NULL;
    if (is_https(q->origin) && !is_https(q->realm))
        why = "plain http";
    else if (!same_host && !trusted && dv_host_is_private(q->realm->host) && !origin_may_be_private(q))
        why = "a private address";
    if (why) {
        if (out_why)
            *out_why = why;
        return DV_REALM_REFUSED;
    }
    if (same_host || trusted || is_pair(q->origin, q->realm))
        return DV_REALM_TRUSTED;
    return is_https(q->origin) && is_https(q->realm) &&
                   same_registrable_domain(q->origin->host, q->realm->host)
               ? DV_REALM_TRUSTED
               : DV_REALM_ANONYMOUS_ONLY;
}
