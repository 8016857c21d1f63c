/*
 * net/address.h - which addresses a public registry may not send us to (threats A2, A7). Values only;
 * whoever opens a socket asks here with the very address it is about to connect to.
 */
#ifndef DV_NET_ADDRESS_H
#define DV_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * Loopback, unspecified, link-local (metadata services), private, shared (CGNAT), unique-local, multicast
 * and reserved addresses, also inside IPv4-mapped, -compatible, NAT64 and 6to4 ones. A family other than
 * IPv4 and IPv6 is private.
 */
bool dv_address_is_private(const struct sockaddr *address);

/*
 * The same for the text of a host: an IP literal (brackets are fine), "localhost" or a name below it. False
 * for other names.
 */
bool dv_host_is_private(const char *host);

#endif
