/* service/insecure.c - see insecure.h. */
#include "service/insecure.h"

#include "util/log.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define ENTRY_MAX 4096 /* bytes; names are far shorter */

void dv_insecure_set_clear(dv_insecure_set *s)
{
    for (size_t i = 0; i < s->name_count; i++)
        free(s->names[i]);
    free(s->names);
    free(s->networks);
    *s = (dv_insecure_set)DV_INSECURE_SET_INIT;
}

/* --- host:port (service.md 5) ---------------------------------------------------------------------------------- */

/* Go's net.SplitHostPort. False: it does not split. host and port are borrowed pieces of text. */
static bool split_host_port(const char *text, const char **host, size_t *host_size, const char **port)
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

/* IPv4 or IPv6 without brackets or zone; an IPv4-mapped one is IPv4. */
static bool parse_address(const char *text, dv_network *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *out = (dv_network){.family = AF_INET, .bits = 32};
    if (inet_pton(AF_INET, text, out->bytes) == 1)
        return true;
    if (inet_pton(AF_INET6, text, out->bytes) != 1)
        return false;
    if (memcmp(out->bytes, mapped, sizeof(mapped)) == 0) {
        memmove(out->bytes, out->bytes + 12, 4);
        return true;
    }
    out->family = AF_INET6;
    out->bits = 128;
    return true;
}

/* The same for text that goes on behind the address. */
static bool parse_address_of(const char *text, size_t size, dv_network *out)
{
    char address[INET6_ADDRSTRLEN];
    if (size >= sizeof(address))
        return false;
    memcpy(address, text, size);
    address[size] = '\0';
    return parse_address(address, out);
}

static bool is_literal(const char *host, size_t size)
{
    dv_network ignored;
    return parse_address_of(host, size, &ignored);
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
static int check_host_port(const char *text, davit_error **err)
{
    const char *host = text, *port = "";
    size_t host_size = strlen(text);
    split_host_port(text, &host, &host_size, &port);
    DV_AUTO(dv_buf) quoted = DV_BUF_INIT(8 * ENTRY_MAX);
    const char *prefix = "insecure registry";
    if (!is_domain(text) && !is_literal(host, host_size)) {
        dv_str_quote(&quoted, host, host_size);
        return dv_error_set(err, DAVIT_EINVAL, "%s %s is not valid: invalid host %s", prefix, text,
                            dv_buf_text(&quoted));
    }
    if (!*port)
        return 0;
    bool invalid;
    const char *problem = port_problem(port, &invalid);
    dv_str_quote(&quoted, port, strlen(port));
    if (problem)
        return dv_error_set(err, DAVIT_EINVAL, "%s %s is not valid: strconv.Atoi: parsing %s: %s", prefix,
                            text, dv_buf_text(&quoted), problem);
    if (invalid)
        return dv_error_set(err, DAVIT_EINVAL, "%s %s is not valid: invalid port %s", prefix, text,
                            dv_buf_text(&quoted));
    return 0;
}

/* --- the set --------------------------------------------------------------------------------------------------- */

/* Bits behind the prefix become 0. */
static void clear_host_bits(dv_network *n)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned first = i * 8;
        if (n->bits <= first)
            n->bytes[i] = 0;
        else if (n->bits < first + 8)
            n->bytes[i] &= (uint8_t)(0xff << (first + 8 - n->bits));
    }
}

/* "ip/len". */
static bool parse_network(const char *text, dv_network *out)
{
    const char *slash = strchr(text, '/');
    uint64_t bits;
    if (!slash || !dv_str_to_u64(slash + 1, &bits))
        return false;
    size_t size = (size_t)(slash - text);
    if (!parse_address_of(text, size, out))
        return false;
    unsigned max = memchr(text, ':', size) ? 128 : 32;
    if (bits > max)
        return false;
    if (out->family == AF_INET && max == 128) { /* IPv4-mapped: 96 of the bits are the prefix of all of them */
        if (bits < 96)
            return false;
        bits -= 96;
    }
    out->bits = (unsigned)bits;
    clear_host_bits(out);
    return true;
}

static bool same_network(const dv_network *a, const dv_network *b)
{
    return a->family == b->family && a->bits == b->bits && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static int add_network(dv_insecure_set *s, const dv_network *n, davit_error **err)
{
    for (size_t i = 0; i < s->network_count; i++)
        if (same_network(&s->networks[i], n))
            return 0;
    dv_network *more = dv_realloc_array(s->networks, s->network_count + 1, sizeof(*more));
    if (!more)
        return dv_error_oom(err);
    s->networks = more;
    s->networks[s->network_count++] = *n;
    return 0;
}

static int add_name(dv_insecure_set *s, const char *name, davit_error **err)
{
    char **more = dv_realloc_array(s->names, s->name_count + 1, sizeof(*more));
    if (!more)
        return dv_error_oom(err);
    s->names = more;
    more[s->name_count] = dv_strdup(name);
    if (!more[s->name_count])
        return dv_error_oom(err);
    s->name_count++;
    return 0;
}

/* ValidateIndexName, for its error only (service.md 4). */
static int check_index_name(const char *text, davit_error **err)
{
    size_t n = strlen(text);
    if (n > 0 && (text[0] == '-' || text[n - 1] == '-'))
        return dv_error_set(err, DAVIT_EINVAL, "invalid index name (%s). Cannot begin or end with a hyphen",
                            text);
    return 0;
}

int dv_insecure_set_add(dv_insecure_set *s, const char *text, davit_error **err)
{
    dv_network network;
    if (strnlen(text, ENTRY_MAX) == ENTRY_MAX)
        return dv_error_set(err, DAVIT_EINVAL, "insecure registry is longer than %d bytes", ENTRY_MAX);
    int r = check_index_name(text, err);
    if (r < 0)
        return r;
    bool https = dv_str_starts_nocase(text, "https://");
    if (https || dv_str_starts_nocase(text, "http://")) {
        dv_warn("insecure registry %s should not contain 'http://' or 'https://'; it is left out", text);
        text += https ? 8 : 7;
    } else if (strstr(text, "://")) {
        return dv_error_set(err, DAVIT_EINVAL, "insecure registry %s should not contain '://'", text);
    }
    if (parse_network(text, &network))
        return add_network(s, &network, err);
    r = check_host_port(text, err);
    return r < 0 ? r : add_name(s, text, err);
}

/* --- asking ---------------------------------------------------------------------------------------------------- */

static bool contains(const dv_network *n, const dv_network *address)
{
    dv_network cut = *address;
    if (n->family != address->family)
        return false;
    cut.bits = n->bits;
    clear_host_bits(&cut);
    return memcmp(cut.bytes, n->bytes, sizeof(cut.bytes)) == 0;
}

static bool any_contains(const dv_insecure_set *s, const dv_network *address)
{
    static const dv_network built_in[] = {{AF_INET, {127}, 8}, {AF_INET6, {[15] = 1}, 128}};
    for (size_t i = 0; i < DV_COUNT(built_in); i++)
        if (contains(&built_in[i], address))
            return true;
    for (size_t i = 0; i < s->network_count; i++)
        if (contains(&s->networks[i], address))
            return true;
    return false;
}

static bool network_of(const struct sockaddr_storage *address, dv_network *out)
{
    char text[INET6_ADDRSTRLEN];
    const void *bytes = address->ss_family == AF_INET
                            ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
    return (address->ss_family == AF_INET || address->ss_family == AF_INET6) &&
           inet_ntop(address->ss_family, bytes, text, sizeof(text)) && parse_address(text, out);
}

static bool resolves_inside(const dv_insecure_set *s, const char *host, dv_resolve_fn *resolve,
                            void *user_data)
{
    struct sockaddr_storage found[DV_RESOLVE_MAX];
    int count = resolve(host, found, DV_RESOLVE_MAX, user_data);
    for (int i = 0; i < count && i < DV_RESOLVE_MAX; i++) {
        dv_network address;
        if (network_of(&found[i], &address) && any_contains(s, &address))
            return true;
    }
    return false;
}

bool dv_insecure_set_has(const dv_insecure_set *s, const char *host, dv_resolve_fn *resolve, void *user_data)
{
    if (strcmp(host, "docker.io") == 0)
        return false;
    for (size_t i = 0; i < s->name_count; i++)
        if (strcmp(s->names[i], host) == 0)
            return true;
    const char *name = host, *port;
    size_t size = strlen(host);
    split_host_port(host, &name, &size, &port);
    DV_AUTOFREE char *bare = dv_strndup(name, size);
    dv_network address;
    if (!bare)
        return false;
    if (dv_str_equal_nocase(bare, "localhost"))
        return true;
    if (parse_address(bare, &address))
        return any_contains(s, &address);
    return resolve && s->network_count > 0 && resolves_inside(s, bare, resolve, user_data);
}
