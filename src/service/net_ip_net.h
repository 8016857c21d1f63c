/*
 * service/net_ip_net.h - IP addresses and networks as values (service.md 6, 7, 17). The public functions are in davit/service.h.
 */
#ifndef DV_SERVICE_NET_IP_NET_H
#define DV_SERVICE_NET_IP_NET_H

#include "davit/service.h"

#include <sys/socket.h>

/* An address; an IPv4-mapped IPv6 one is IPv4. */
typedef struct dv_ip {
    uint8_t size; /* 4 or 16 */
    uint8_t bytes[16];
} dv_ip;

/* A literal without brackets or zone. text need not end with NUL. */
bool dv_ip_parse(const char *text, size_t size, dv_ip *out);
bool dv_ip_from_socket(const struct sockaddr_storage *address, dv_ip *out);

/* "ip/len" (Go's net.ParseCIDR); host bits become 0, an IPv4-mapped network IPv4. */
bool dv_net_ip_net_from_cidr(const char *text, davit_net_ip_net *out);
bool dv_net_ip_net_contains(const davit_net_ip_net *net, const dv_ip *ip);
bool dv_net_ip_net_equal(const davit_net_ip_net *a, const davit_net_ip_net *b);

#endif
