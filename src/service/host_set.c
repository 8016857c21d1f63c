/* service/host_set.c - see host_set.h. */
#include "service/host_set.h"

#include "service/text_list.h"
#include "util/str.h"

#include <string.h>

void dv_host_set_clear(dv_host_set *s)
{
    dv_text_list_free(s->names);
    free(s->networks);
    *s = (dv_host_set)DV_HOST_SET_INIT;
}

/* --- host:port (service.md 5) ---------------------------------------------------------------------------------- */

bool dv_host_port_split(const char *text, const char **host, size_t *host_size, const char **port)
{
    const char *colon = strrchr(text, ':');
    const char *close = text[0] == '[' ? strchr(text, ']') : NULL;
    if (!colon)
        return false;
    if (text[0] == '[') {
        if (!close || close + 1 != colon || strchr(text + 1, '[') || strchr(colon, ']'))
            return false;
        *host = text + 1;
        *host_size = (size_t)(close - text - 1);
    } else {
        if (strchr(text, ':') != colon || strpbrk(text, "[]"))
            return false;
        *host = text;
        *host_size = (size_t)(colon - text);
    }
    *port = colon + 1;
    return true;
}

/* "label(.label)*" at s, of the reference grammar; its length, 0 when there is none. */
static size_t dns_name_length(const char *s)
{
    size_t n = 0;
    for (;;) {
        size_t label = 0;
        while (dv_char_is_alnum(s[n + label]) || s[n + label] == '-')
            label++;
        if (label == 0 || s[n] == '-' || s[n + label - 1] == '-')
            return 0;
        n += label;
        if (s[n] != '.')
            return n;
        n++;
    }
}

/* The whole text is a domain of the reference grammar (reference.md 1). */
static bool is_domain(const char *s)
{
    size_t n;
    if (s[0] == '[') {
        n = 1 + strspn(s + 1, "0123456789abcdefABCDEF:");
        if (n == 1 || s[n] != ']')
            return false;
        n++;
    } else {
        n = dns_name_length(s);
    }
    if (n == 0)
        return false;
    if (s[n] == ':')
        return s[n + 1] && s[n + 1 + strspn(s + n + 1, "0123456789")] == '\0';
    return s[n] == '\0';
}

/* What Go's strconv.Atoi says of a port, in a message. NULL when it is one. */
static const char *port_problem(const char *port, bool *invalid)
{
    const char *digits = port + (*port == '+' || *port == '-');
    uint64_t value;
    *invalid = false;
    if (!*digits || strspn(digits, "0123456789") != strlen(digits))
        return "invalid syntax";
    if (!dv_str_to_u64(digits, &value) || value > INT64_MAX)
        return "value out of range";
    *invalid = value > UINT16_MAX || (*port == '-' && value > 0);
    return NULL;
}

/* The check of section 5; text without a scheme. */
static int check_host_port(const char *text, const char *what, davit_error **err)
{
    const char *host = text, *port = "";
    size_t host_size = strlen(text);
    bool invalid;
    dv_ip ignored;
    DV_AUTO(dv_buf) quoted = DV_BUF_INIT(8 * DV_HOST_SET_TEXT_MAX);
    dv_host_port_split(text, &host, &host_size, &port);
    if (!is_domain(text) && !dv_ip_parse(host, host_size, &ignored)) {
        dv_str_quote(&quoted, host, host_size);
        return dv_error_set(err, DAVIT_EINVAL, "%s %s is not valid: invalid host %s", what, text,
                            dv_buf_text(&quoted));
    }
    if (!*port)
        return 0;
    const char *problem = port_problem(port, &invalid);
    dv_str_quote(&quoted, port, strlen(port));
    if (problem)
        return dv_error_set(err, DAVIT_EINVAL, "%s %s is not valid: strconv.Atoi: parsing %s: %s", what, text,
                            dv_buf_text(&quoted), problem);
    if (invalid)
        return dv_error_set(err, DAVIT_EINVAL, "%s %s is not valid: invalid port %s", what, text,
                            dv_buf_text(&quoted));
    return 0;
}

/* --- entries --------------------------------------------------------------------------------------------------- */

int dv_host_set_add_network(dv_host_set *s, const davit_net_ip_net *net, davit_error **err)
{
    for (size_t i = 0; i < s->network_count; i++)
        if (dv_net_ip_net_equal(&s->networks[i], net))
            return 0;
    davit_net_ip_net *more = dv_realloc_array(s->networks, s->network_count + 1, sizeof(*more));
    if (!more)
        return dv_error_oom(err);
    s->networks = more;
    s->networks[s->network_count++] = *net;
    return 0;
}

static int add_name(dv_host_set *s, const char *name, davit_error **err)
{
    if (dv_host_set_names(s, name))
        return 0;
    int r = dv_text_list_append(&s->names, dv_strdup(name), err);
    s->name_count += r == 0;
    return r;
}

int dv_host_set_add(dv_host_set *s, const char *text, const char *what, davit_error **err)
{
    davit_net_ip_net net;
    if (s->name_count + s->network_count >= DV_HOST_SET_MAX)
        return dv_error_set(err, DAVIT_EINVAL, "more than %d entries for %s", DV_HOST_SET_MAX, what);
    if (strnlen(text, DV_HOST_SET_TEXT_MAX) == DV_HOST_SET_TEXT_MAX)
        return dv_error_set(err, DAVIT_EINVAL, "%s is longer than %d bytes", what, DV_HOST_SET_TEXT_MAX);
    if (dv_net_ip_net_from_cidr(text, &net))
        return dv_host_set_add_network(s, &net, err);
    int r = check_host_port(text, what, err);
    return r < 0 ? r : add_name(s, text, err);
}

/* --- asking ---------------------------------------------------------------------------------------------------- */

bool dv_host_set_names(const dv_host_set *s, const char *host)
{
    return dv_text_list_has(s->names, host);
}

static bool contains(const dv_host_set *s, const dv_ip *ip)
{
    for (size_t i = 0; i < s->network_count; i++)
        if (dv_net_ip_net_contains(&s->networks[i], ip))
            return true;
    return false;
}

/* Whether one of a name's addresses is inside; out_found says whether it has any. */
static bool resolves_inside(const dv_host_set *s, const char *host, const dv_lookup *lookup, bool *out_found)
{
    struct sockaddr_storage found[DV_RESOLVE_MAX];
    dv_ip ip;
    int count = lookup->resolve ? lookup->resolve(host, found, DV_RESOLVE_MAX, lookup->user_data) : 0;
    *out_found = count > 0;
    for (int i = 0; i < count && i < DV_RESOLVE_MAX; i++)
        if (dv_ip_from_socket(&found[i], &ip) && contains(s, &ip))
            return true;
    return false;
}

bool dv_host_set_covers(const dv_host_set *s, const char *host, const dv_lookup *lookup)
{
    const char *name = host, *port;
    size_t size = strlen(host);
    dv_ip ip;
    bool found = false;
    if (s->network_count == 0)
        return false;
    dv_host_port_split(host, &name, &size, &port);
    DV_AUTOFREE char *bare = dv_strndup(name, size);
    if (!bare)
        return false;
    bool literal = dv_ip_parse(bare, size, &ip);
    if (literal && !lookup->first)
        return contains(s, &ip);
    bool inside = resolves_inside(s, bare, lookup, &found);
    return found ? inside : literal && contains(s, &ip);
}
