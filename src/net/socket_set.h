/*
 * net/socket_set.h - the sockets that were opened for libcurl, which does not say over which of them a request goes out (CURLINFO_ACTIVESOCKET
 * is -1 until the transfer is over): found again by the addresses of both ends, and asked what the kernel still holds of what was sent.
 *
 * Both: Linux gives a local port to several connections when their peers differ. A socket that was closed need not be taken out: its number is
 * found no more, or by the addresses of its successor.
 *
 * Threads: loop.
 */
#ifndef DV_NET_SOCKET_SET_H
#define DV_NET_SOCKET_SET_H

#include "util/alloc.h"

#include <stddef.h>
#include <stdint.h>

typedef struct dv_socket_set {
    int *fds; /* each number once */
    size_t count;
} dv_socket_set;

void dv_socket_set_clear(dv_socket_set *s);
DV_DEFINE_AUTO(dv_socket_set, dv_socket_set_clear)
/* Without memory for it, it is not found. */
void dv_socket_set_add(dv_socket_set *s, int fd);
/* The one that is connected from and to these addresses, "192.0.2.1" or "2001:db8::1", and ports; -1: not known. */
int dv_socket_set_find(const dv_socket_set *s, const char *local, int local_port, const char *remote,
                       int remote_port);

/* Bytes that were written to a socket and that the peer has not acknowledged; negative: it cannot be told. */
int64_t dv_socket_held(int fd);

#endif
