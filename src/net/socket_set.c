/* net/socket_set.c - see socket_set.h. */
#include "net/socket_set.h"

#include "util/alloc.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

void dv_socket_set_clear(dv_socket_set *s)
{
    free(s->fds);
    *s = (dv_socket_set){.fds = NULL};
}

void dv_socket_set_add(dv_socket_set *s, int fd)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->fds[i] == fd)
            return;
    int *grown = dv_realloc_array(s->fds, s->count + 1, sizeof(*grown));
    if (!grown)
        return;
    s->fds = grown;
    grown[s->count++] = fd;
}

static bool is_bound_to(int fd, const char *address, int port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    char text[INET6_ADDRSTRLEN];
    socklen_t size = sizeof(at);
    memset(&at, 0, sizeof(at));
    if (getsockname(fd, &at.any, &size) < 0)
        return false;
    bool v6 = at.any.sa_family == AF_INET6;
    if (!v6 && at.any.sa_family != AF_INET)
        return false;
    const void *number = v6 ? (const void *)&at.v6.sin6_addr : &at.v4.sin_addr;
    return ntohs(v6 ? at.v6.sin6_port : at.v4.sin_port) == port &&
           inet_ntop(at.any.sa_family, number, text, sizeof(text)) && strcmp(text, address) == 0;
}

int dv_socket_set_find(const dv_socket_set *s, const char *address, int port)
{
    for (size_t i = 0; i < s->count; i++)
        if (is_bound_to(s->fds[i], address, port))
            return s->fds[i];
    return -1;
}

int64_t dv_socket_held(int fd)
{
    int held;
    return ioctl(fd, SIOCOUTQ, &held) < 0 ? -1 : held;
}
