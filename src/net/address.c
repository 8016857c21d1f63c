/*
 * net/address.c - see address.h. The tables are IANA's special-purpose registries (RFC 6890), what is not
 * reachable globally.
 */
#include "net/address.h"

#include "util/alloc.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static bool ipv4_is_private(uint32_t a)
{
    static const struct {
        uint32_t network;
        unsigned bits;
    } ranges[] = {
        {0x00000000, 8},  /* this network, unspecified */
        {0x0a000000, 8},  /* RFC 1918 */
        {0x64400000, 10}, /* shared, CGNAT; also cloud metadata (100.100.100.200) */
        {0x7f000000, 8},  /* loopback */
        {0xa9fe0000, 16}, /* link-local, metadata */
        {0xac100000, 12}, /* RFC 1918 */
        {0xc0000000, 24}, /* IETF protocol assignments */
        {0xc0a80000, 16}, /* RFC 1918 */
        {0xc6120000, 15}, /* benchmarks */
        {0xe0000000, 4},  /* multicast */
        {0xf0000000, 4},  /* reserved, broadcast */
    };
    for (size_t i = 0; i < DV_COUNT(ranges); i++)
        if ((a ^ ranges[i].network) >> (32 - ranges[i].bits) == 0)
            return true;
    return false;
}

static uint32_t ipv4_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool ipv6_is_private(const uint8_t *a)
{
    static const uint8_t zero[12];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t local_nat64[6] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
    if (memcmp(a, zero, 12) == 0 || memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
        return ipv4_is_private(ipv4_at(a + 12)); /* "::" and "::1" are in 0.0.0.0/8 */
    if (a[0] == 0x20 && a[1] == 0x02)            /* 6to4 */
        return ipv4_is_private(ipv4_at(a + 2));
    return (a[0] & 0xfe) == 0xfc                      /* unique local */
           || (a[0] == 0xfe && (a[1] & 0x80) == 0x80) /* link-local, site-local */
           || a[0] == 0xff                            /* multicast */
           || memcmp(a, local_nat64, sizeof(local_nat64)) == 0;
}

bool dv_address_is_private(const struct sockaddr *address)
{
    switch (address->sa_family) {
    case AF_INET:
        return ipv4_is_private(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    case AF_INET6:
        return ipv6_is_private(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
    default:
        return true;
    }
}

bool dv_host_is_private(const char *host)
{
    char inner[INET6_ADDRSTRLEN];
    struct in_addr four;
    struct in6_addr six;
    size_t n = strlen(host);
    bool brackets = n > 2 && host[0] == '[' && host[n - 1] == ']';
    if (dv_str_equal_nocase(host, "localhost") ||
        (n > 10 && dv_str_equal_nocase(host + n - 10, ".localhost")))
        return true;
    n -= brackets ? 2 : 0;
    if (n >= sizeof(inner))
        return false;
    memcpy(inner, host + (brackets ? 1 : 0), n);
    inner[n] = '\0';
    if (inet_pton(AF_INET, inner, &four) == 1)
        return ipv4_is_private(ntohl(four.s_addr));
    return inet_pton(AF_INET6, inner, &six) == 1 && ipv6_is_private(six.s6_addr);
}
