/* cli/registry_arg.c - see registry_arg.h. What the library thinks of a host is its business; here a slip is said early. */
#include "cli/registry_arg.h"

#include "util/str.h"

#include <string.h>

#define HUB "docker.io"

static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!dv_char_is_alnum(s[i]) && !strchr("-_.", s[i]))
            return false;
    return n > 0 && dv_char_is_alnum(s[0]);
}

static bool is_ipv6(const char *s, size_t n)
{
    if (n < 4 || s[0] != '[' || s[n - 1] != ']')
        return false;
    return strspn(s + 1, "0123456789abcdefABCDEF:.") == n - 2;
}

static bool is_port(const char *s)
{
    uint64_t port;
    return dv_str_to_u64(s, &port) && port >= 1 && port <= 65535;
}

static bool is_host(const char *s)
{
    const char *end = *s == '[' ? strchr(s, ']') : NULL;
    size_t n = end ? (size_t)(end + 1 - s) : strcspn(s, ":");
    if (s[n] && (s[n] != ':' || !is_port(s + n + 1)))
        return false;
    return is_name(s, n) || is_ipv6(s, n);
}

int dv_registry_arg_parse(const char *text, char **out_host, davit_error **err)
{
    const char *host = text ? text : HUB;
    bool url = dv_str_starts_nocase(host, "https://") || dv_str_starts_nocase(host, "http://");
    if (url)
        host = strstr(host, "://") + 3;
    DV_AUTOFREE char *name = dv_strndup(host, url ? strcspn(host, "/?#") : strlen(host));
    if (!name)
        return dv_error_oom(err);
    if (strchr(name, '@'))
        return dv_error_set(err, DAVIT_EINVAL, "the registry's address must not hold a user name or password");
    if (!is_host(name))
        return dv_error_set(err, DAVIT_EINVAL,
                            "'%s' is no registry: give HOST[:PORT], or a URL such as https://HOST", text);
    bool hub = dv_str_equal(name, HUB) || dv_str_equal(name, "index.docker.io");
    char *out = hub ? dv_strdup(HUB) : DV_STEAL(name);
    if (!out)
        return dv_error_oom(err);
    *out_host = out;
    return 0;
}
