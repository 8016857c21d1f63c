/* service/insecure.c - see insecure.h. */
#include "service/insecure.h"

#include "service/index_name.h"
#include "util/log.h"
#include "util/str.h"

#include <string.h>

static const davit_net_ip_net loopback[] = {
    {16,
     {[15] = 1},
     {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
    {4, {127}, {0xff}},
};

int dv_insecure_add(dv_host_set *s, const char *text, davit_error **err)
{
    int r = dv_index_name_check(dv_index_name_normal(text), err);
    if (r < 0)
        return r;
    bool https = dv_str_starts_nocase(text, "https://");
    if (https || dv_str_starts_nocase(text, "http://")) {
        dv_warn("insecure registry %s should not contain 'http://' or 'https://'; it is left out", text);
        text += https ? 8 : 7;
    } else if (strstr(text, "://")) {
        return dv_error_set(err, DAVIT_EINVAL, "insecure registry %s should not contain '://'", text);
    }
    return dv_host_set_add(s, text, "insecure registry", err);
}

int dv_insecure_add_built_in(dv_host_set *s, bool v27, davit_error **err)
{
    int r = 0;
    for (size_t i = v27 ? 1 : 0; r == 0 && i < DV_COUNT(loopback); i++)
        r = dv_host_set_add_network(s, &loopback[i], err);
    return r;
}

/* The host is one that needs no look at its addresses. */
static bool is_localhost(const char *host)
{
    const char *name = host, *port;
    size_t size = strlen(host);
    dv_host_port_split(host, &name, &size, &port);
    return size == 9 && dv_str_starts_nocase(name, "localhost");
}

static bool goes_beyond_loopback(const dv_host_set *s)
{
    for (size_t i = 0; i < s->network_count; i++)
        if (!dv_net_ip_net_equal(&s->networks[i], &loopback[0]) &&
            !dv_net_ip_net_equal(&s->networks[i], &loopback[1]))
            return true;
    return false;
}

bool dv_insecure_has(const dv_host_set *s, const char *host, const dv_lookup *lookup)
{
    static const dv_lookup nobody;
    if (strcmp(host, DAVIT_INDEX_NAME) == 0)
        return false;
    if (dv_host_set_names(s, host) || is_localhost(host))
        return true;
    return dv_host_set_covers(s, host, goes_beyond_loopback(s) ? lookup : &nobody);
}

bool dv_insecure_without_config(const char *host, const dv_lookup *lookup)
{
    const dv_host_set set = {.networks = (davit_net_ip_net *)loopback, .network_count = DV_COUNT(loopback)};
    return is_localhost(host) || dv_host_set_covers(&set, host, lookup);
}
