/* net/resolve.h - addresses of a name, from the system's name service. Callers take the function as an argument, tests give theirs. */
#ifndef DV_NET_RESOLVE_H
#define DV_NET_RESOLVE_H

#include <stddef.h>
#include <sys/socket.h>

#define DV_RESOLVE_MAX 32 /* addresses of one name that are looked at */

/*
 * Addresses of a name (A and AAAA): fill at most max, return their number; 0 or negative when there are none. May block.
 */
typedef int dv_resolve_fn(const char *host, struct sockaddr_storage *out, size_t max, void *user_data);

/* getaddrinfo(). Threads: any; blocks. */
int dv_resolve(const char *host, struct sockaddr_storage *out, size_t max, void *user_data);

#endif
