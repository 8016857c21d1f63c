/* net/proxy.c - see proxy.h. */
#include "net/proxy.h"

#include "util/str.h"

#include <arpa/inet.h>
#include <string.h>

/* One entry of NO_PROXY. */
typedef struct no_proxy {
    enum { NAME, NETWORK } kind;
    char *suffix; /* NAME: ".example.com" */
    bool itself;  /* NAME: "example.com" too */
    int family;   /* NETWORK: AF_INET or AF_INET6 */
    uint8_t bytes[16];
    unsigned bits;
    uint32_t port; /* 0: any */
} no_proxy;

struct dv_proxy_config {
    char *http; /* proxy URL for http, NULL when there is none */
    char *https;
    bool none; /* NO_PROXY has "*" */
    no_proxy *exceptions;
    size_t exception_count;
};

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void dv_proxy_config_free(dv_proxy_config *c)
{
    if (!c)
        return;
    wipe(c->http);
    wipe(c->https);
    for (size_t i = 0; i < c->exception_count; i++)
        free(c->exceptions[i].suffix);
    free(c->exceptions);
    free(c);
}

/* The value of a variable in either spelling, NULL when neither holds anything. */
static const char *either(dv_getenv_fn *get, const char *upper, const char *lower)
{
    const char *value = get(upper);
    if (!value || !*value)
        value = get(lower);
    return value && *value ? value : NULL;
}

static bool is_proxy_url(const char *url)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return false;
    for (size_t i = 0; i < DV_COUNT(schemes); i++)
        if (dv_str_starts_nocase(url, schemes[i])) {
            const char *host = url + strlen(schemes[i]);
            size_t size = strcspn(host, "/?#");
            const char *at = memrchr(host, '@', size);
            size_t before = at ? (size_t)(at + 1 - host) : 0;
            return size > before && host[before] != ':';
        }
    return false;
}

static int take_proxy(const char *name, const char *value, char **out, davit_error **err)
{
    if (!value)
        return 0;
    DV_AUTO(dv_buf) url = {.max = DV_URL_MAX, .secret = true};
    dv_buf_printf(&url, "%s%s", strstr(value, "://") ? "" : "http://", value);
    if (url.failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (url.failed || !is_proxy_url(dv_buf_text(&url)))
        return dv_error_set(err, DAVIT_ECONFIG, "%s: not a proxy URL", name);
    *out = dv_buf_take(&url);
    return *out ? 0 : dv_error_oom(err);
}

/* An address without brackets into family and bytes; an IPv4-mapped one is IPv4. False when it is none. */
static bool parse_address(const char *text, int *family, uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *family = AF_INET;
    if (inet_pton(AF_INET, text, bytes) == 1)
        return true;
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return false;
    if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
        memmove(bytes, bytes + 12, 4);
    else
        *family = AF_INET6;
    return true;
}

/* The same for a host that may have brackets. */
static bool parse_host_address(const char *host, int *family, uint8_t bytes[16])
{
    char inner[INET6_ADDRSTRLEN];
    size_t n = strlen(host);
    if (n < 2 || host[0] != '[' || host[n - 1] != ']')
        return parse_address(host, family, bytes);
    if (n - 2 >= sizeof(inner))
        return false;
    memcpy(inner, host + 1, n - 2);
    inner[n - 2] = '\0';
    return parse_address(inner, family, bytes);
}

static bool in_network(const no_proxy *e, int family, const uint8_t *bytes)
{
    if (e->family != family)
        return false;
    size_t whole = e->bits / 8;
    unsigned rest = e->bits % 8;
    return memcmp(e->bytes, bytes, whole) == 0 &&
           (rest == 0 || (e->bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0);
}

/* "ip/bits". */
static bool parse_network(char *text, no_proxy *e)
{
    char *slash = strchr(text, '/');
    uint64_t bits;
    if (!slash || !dv_str_to_u64(slash + 1, &bits))
        return false;
    *slash = '\0';
    bool ok = parse_address(text, &e->family, e->bytes) && bits <= (e->family == AF_INET ? 32u : 128u);
    *slash = '/';
    e->kind = NETWORK;
    e->bits = (unsigned)bits;
    return ok;
}

/* Cut ":port" off; one colon, or one behind brackets. False for an entry that means nothing. */
static bool split_port(char *text, uint32_t *port)
{
    char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[';
    *port = 0;
    if (!colon || (brackets ? colon[-1] != ']' : strchr(text, ':') != colon))
        return true;
    uint64_t number;
    if (colon[1] && (!dv_str_to_u64(colon + 1, &number) || number == 0 || number > UINT16_MAX))
        return false;
    if (colon[1])
        *port = (uint32_t)number;
    *colon = '\0';
    return colon != text;
}

/* One trimmed, lower-cased entry. 1: e was filled, 0: the entry means nothing and is skipped. */
static int parse_exception(char *text, no_proxy *e, davit_error **err)
{
    if (parse_network(text, e))
        return 1;
    *e = (no_proxy){0};
    if (!split_port(text, &e->port) || !*text)
        return 0;
    if (parse_host_address(text, &e->family, e->bytes)) {
        e->kind = NETWORK;
        e->bits = e->family == AF_INET ? 32 : 128;
        return 1;
    }
    if (dv_str_starts(text, "*."))
        text++;
    DV_AUTO(dv_buf) suffix = DV_BUF_INIT(DV_URL_MAX);
    e->kind = NAME;
    e->itself = text[0] != '.';
    dv_buf_printf(&suffix, "%s%s", e->itself ? "." : "", text);
    e->suffix = dv_buf_take(&suffix);
    return e->suffix ? 1 : dv_error_oom(err);
}

static int add_exception(dv_proxy_config *c, char *text, davit_error **err)
{
    no_proxy one = {0};
    int r = parse_exception(text, &one, err);
    if (r <= 0)
        return r;
    no_proxy *more = dv_realloc_array(c->exceptions, c->exception_count + 1, sizeof(*more));
    if (!more || c->exception_count >= DV_NO_PROXY_MAX) {
        c->exceptions = more ? more : c->exceptions;
        free(one.suffix);
        return more ? dv_error_set(err, DAVIT_ECONFIG, "NO_PROXY: more than %d entries", DV_NO_PROXY_MAX)
                    : dv_error_oom(err);
    }
    c->exceptions = more;
    c->exceptions[c->exception_count++] = one;
    return 0;
}

static int take_exceptions(dv_proxy_config *c, const char *list, davit_error **err)
{
    while (list && *list) {
        size_t n = strcspn(list, ",");
        size_t blanks = strspn(list, " \t\r\n");
        const char *start = blanks < n ? list + blanks : list + n;
        const char *end = list + n;
        while (end > start && strchr(" \t\r\n", end[-1]))
            end--;
        DV_AUTOFREE char *entry = dv_strndup(start, (size_t)(end - start));
        if (!entry)
            return dv_error_oom(err);
        dv_str_lower(entry);
        if (strcmp(entry, "*") == 0)
            c->none = true;
        else if (*entry) {
            int r = add_exception(c, entry, err);
            if (r < 0)
                return r;
        }
        list += n + (list[n] == ',');
    }
    return 0;
}

int dv_proxy_config_from_environment(dv_getenv_fn *get, dv_proxy_config **out, davit_error **err)
{
    DV_AUTOPTR(dv_proxy_config) c = dv_new(dv_proxy_config);
    if (!c)
        return dv_error_oom(err);
    const char *method = get("REQUEST_METHOD");
    const char *http = method && *method ? NULL : either(get, "HTTP_PROXY", "http_proxy");
    int r = take_proxy("HTTP_PROXY", http, &c->http, err);
    if (r == 0)
        r = take_proxy("HTTPS_PROXY", either(get, "HTTPS_PROXY", "https_proxy"), &c->https, err);
    if (r == 0)
        r = take_exceptions(c, either(get, "NO_PROXY", "no_proxy"), err);
    if (r < 0)
        return r;
    *out = DV_STEAL(c);
    return 0;
}

static bool is_loopback(int family, const uint8_t *bytes)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    return family == AF_INET ? bytes[0] == 127 : memcmp(bytes, loopback6, 16) == 0;
}

static bool excepts(const no_proxy *e, const dv_url *url, bool literal, int family, const uint8_t *bytes)
{
    if (e->port && e->port != url->port)
        return false;
    if (e->kind == NETWORK)
        return literal && in_network(e, family, bytes);
    return dv_str_ends(url->host, e->suffix) || (e->itself && dv_str_equal(url->host, e->suffix + 1));
}

const char *dv_proxy_for(const dv_proxy_config *c, const dv_url *url)
{
    const char *proxy = !c ? NULL : dv_str_equal(url->scheme, "https") ? c->https : c->http;
    uint8_t bytes[16] = {0};
    int family = AF_UNSPEC;
    if (!proxy || c->none || dv_str_equal(url->host, "localhost"))
        return NULL;
    bool literal = parse_host_address(url->host, &family, bytes);
    if (literal && is_loopback(family, bytes))
        return NULL;
    for (size_t i = 0; i < c->exception_count; i++)
        if (excepts(&c->exceptions[i], url, literal, family, bytes))
            return NULL;
    return proxy;
}
