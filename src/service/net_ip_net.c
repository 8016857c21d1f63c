/*
 * service/net_ip_net.c - see net_ip_net.h. Texts are as Go writes them, which inet_ntop() does not: "::1.2.3.4" is "::102:304".
 */
#include "service/net_ip_net.h"

#include "util/json.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define JSON_MAX 4096 /* bytes of a network in JSON; fewer than 100 are in use */

/* --- addresses ------------------------------------------------------------------------------------------------- */

static bool is_mapped(const uint8_t bytes[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

static void set_ip(dv_ip *ip, const void *bytes, uint8_t size)
{
    const uint8_t *from = bytes;
    bool mapped = size == 16 && is_mapped(from);
    *ip = (dv_ip){.size = mapped ? 4 : size};
    memcpy(ip->bytes, mapped ? from + 12 : from, ip->size);
}

/* What stands there, IPv4-mapped or not: 4 or 16 bytes, 0 when it is no address. */
static uint8_t parse_bytes(const char *text, size_t size, uint8_t out[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (size >= sizeof(copy) || memchr(text, '\0', size))
        return 0;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return inet_pton(AF_INET, copy, out) == 1 ? 4 : inet_pton(AF_INET6, copy, out) == 1 ? 16 : 0;
}

bool dv_ip_parse(const char *text, size_t size, dv_ip *out)
{
    uint8_t bytes[16];
    uint8_t n = parse_bytes(text, size, bytes);
    if (n == 0)
        return false;
    set_ip(out, bytes, n);
    return true;
}

bool dv_ip_from_socket(const struct sockaddr_storage *address, dv_ip *out)
{
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    switch (address->ss_family) {
    case AF_INET:
        memcpy(&four, address, sizeof(four));
        set_ip(out, &four.sin_addr, 4);
        return true;
    case AF_INET6:
        memcpy(&six, address, sizeof(six));
        set_ip(out, &six.sin6_addr, 16);
        return true;
    default:
        return false;
    }
}

/* --- networks -------------------------------------------------------------------------------------------------- */

/* A network of this prefix length; bits behind it become 0. */
static void set_network(davit_net_ip_net *net, const uint8_t *bytes, uint8_t size, unsigned bits)
{
    *net = (davit_net_ip_net){.size = size};
    for (unsigned i = 0; i < size; i++) {
        unsigned here = bits > i * 8 ? bits - i * 8 : 0;
        net->mask[i] = here >= 8 ? 0xff : (uint8_t)(0xff00 >> here);
        net->address[i] = bytes[i] & net->mask[i];
    }
}

bool dv_net_ip_net_from_cidr(const char *text, davit_net_ip_net *out)
{
    uint8_t bytes[16];
    uint64_t bits;
    const char *slash = strchr(text, '/');
    uint8_t size = slash ? parse_bytes(text, (size_t)(slash - text), bytes) : 0;
    if (size == 0 || !dv_str_to_u64(slash + 1, &bits) || bits > size * 8u)
        return false;
    if (size == 16 && is_mapped(bytes) && bits >= 96) /* all of "::ffff:" stays */
        set_network(out, bytes + 12, 4, (unsigned)bits - 96);
    else
        set_network(out, bytes, size, (unsigned)bits);
    return true;
}

bool dv_net_ip_net_contains(const davit_net_ip_net *net, const dv_ip *ip)
{
    if (net->size != ip->size)
        return false;
    for (unsigned i = 0; i < net->size; i++)
        if ((net->address[i] ^ ip->bytes[i]) & net->mask[i])
            return false;
    return true;
}

bool dv_net_ip_net_equal(const davit_net_ip_net *a, const davit_net_ip_net *b)
{
    return a->size == b->size && memcmp(a->address, b->address, a->size) == 0 &&
           memcmp(a->mask, b->mask, a->size) == 0;
}

/* --- text ------------------------------------------------------------------------------------------------------ */

/* The length of a prefix; -1 for a mask with holes. */
static int prefix_length(const uint8_t *mask, unsigned size)
{
    unsigned bits = 0;
    while (bits < size * 8 && mask[bits / 8] & 0x80 >> bits % 8)
        bits++;
    for (unsigned i = bits; i < size * 8; i++)
        if (mask[i / 8] & 0x80 >> i % 8)
            return -1;
    return (int)bits;
}

/* Text in the caller's array; the longest, 39 bytes of address, "/" and 32 of mask, fits with room to spare. */
typedef struct writer {
    char *at, *end;
} writer;

static void __attribute__((format(printf, 2, 3))) put(writer *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(w->at, (size_t)(w->end - w->at), fmt, ap);
    va_end(ap);
    w->at += n < w->end - w->at ? n : 0;
}

static void put_ipv6(writer *w, const uint8_t a[16])
{
    unsigned first = 8,
             length = 1; /* the longest run of zeros, of at least two groups; of equal ones the first */
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = 0;
        while (i + n < 8 && a[2 * (i + n)] == 0 && a[2 * (i + n) + 1] == 0)
            n++;
        if (n > length) {
            first = i;
            length = n;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i == first) {
            put(w, "::");
            i += length - 1;
        } else {
            const char *colon = i > 0 && i != first + length ? ":" : "";
            put(w, "%s%x", colon, (unsigned)a[2 * i] << 8 | a[2 * i + 1]);
        }
    }
}

static void put_mask(writer *w, const uint8_t *mask, unsigned size)
{
    int length = prefix_length(mask, size);
    if (length >= 0) {
        put(w, "/%d", length);
        return;
    }
    put(w, "/");
    for (unsigned i = 0; i < size; i++)
        put(w, "%02x", mask[i]);
}

const char *davit_net_ip_net_text(const davit_net_ip_net *net, char out[DAVIT_NET_IP_NET_TEXT_MAX])
{
    writer w = {out, out + DAVIT_NET_IP_NET_TEXT_MAX};
    bool mapped = net->size == 16 && is_mapped(net->address);
    const uint8_t *address = net->address + (mapped ? 12 : 0);
    const uint8_t *mask = net->mask + (mapped ? 12 : 0);
    if (net->size == 4 || mapped) {
        put(&w, "%u.%u.%u.%u", address[0], address[1], address[2], address[3]);
        put_mask(&w, mask, 4);
    } else if (net->size == 16) {
        put_ipv6(&w, address);
        put_mask(&w, mask, 16);
    } else {
        put(&w, "<nil>");
    }
    return out;
}

/* --- JSON ------------------------------------------------------------------------------------------------------ */

int davit_net_ip_net_format(const davit_net_ip_net *net, char **out, davit_error **err)
{
    char text[DAVIT_NET_IP_NET_TEXT_MAX];
    DV_AUTO(dv_buf) json = DV_BUF_INIT(JSON_MAX);
    davit_net_ip_net_text(net, text);
    /* "<nil>" is the only text with something to escape. */
    dv_buf_printf(&json, "\"%s\"", text[0] == '<' ? "\\u003cnil\\u003e" : text);
    char *made = dv_buf_take(&json);
    if (!made)
        return dv_error_oom(err);
    *out = made;
    return 0;
}

int davit_net_ip_net_parse(const char *json, size_t size, davit_net_ip_net *out, davit_error **err)
{
    DV_AUTOPTR(dv_json) value = NULL;
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(4 * JSON_MAX);
    int r = dv_json_parse(json, size, &(dv_json_limits){.max_bytes = JSON_MAX}, NULL, &value, err);
    if (r < 0)
        return r;
    size_t length;
    const char *text = dv_json_string(value, &length);
    if (!text)
        return dv_error_set(err, DAVIT_EINVAL, "an IP network must be a JSON string");
    if (strlen(text) == length && dv_net_ip_net_from_cidr(text, out))
        return 0;
    dv_str_escape(&shown, text, length, false);
    return dv_error_set(err, DAVIT_EINVAL, "invalid CIDR address: %s", dv_buf_text(&shown));
}
