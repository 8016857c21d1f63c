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

/* Whether an end of a socket, as getsockname() or getpeername() told it, is this. */
static bool is_at(const struct sockaddr_storage *end, const char *address, int port)
{
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)end;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)end;
    bool is_v6 = end->ss_family == AF_INET6;
    if (!is_v6 && end->ss_family != AF_INET)
        return false;
    const void *number = is_v6 ? (const void *)&v6->sin6_addr : &v4->sin_addr;
    return ntohs(is_v6 ? v6->sin6_port : v4->sin_port) == port &&
           inet_ntop(end->ss_family, number, text, sizeof(text)) && strcmp(text, address) == 0;
}

static bool is_of(int fd, const char *local, int local_port, const char *remote, int remote_port)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof(at);
    if (getsockname(fd, (struct sockaddr *)&at, &size) < 0 || !is_at(&at, local, local_port))
        return false;
    size = sizeof(at);
    return getpeername(fd, (struct sockaddr *)&at, &size) == 0 && is_at(&at, remote, remote_port);
}

int dv_socket_set_find(const dv_socket_set *s, const char *local, int local_port, const char *remote,
                       int remote_port)
{
    for (size_t i = 0; i < s->count; i++)
        if (is_of(s->fds[i], local, local_port, remote, remote_port))
            return s->fds[i];
    return -1;
}

int64_t dv_socket_held(int fd)
{
    int held;
    return ioctl(fd, SIOCOUTQ, &held) < 0 ? -1 : held;
}
