/* Unit tests of net/socket_set.c: sockets by their own address, and what they hold. */
#include "net/socket_set.h"

#include "util/clock.h"
#include "util/file.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int listener_open(int family, const char *address, int *out_port)
{
    struct sockaddr_storage at = {.ss_family = (sa_family_t)family};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
    socklen_t size = family == AF_INET ? sizeof(*v4) : sizeof(*v6);
    inet_pton(family, address, family == AF_INET ? (void *)&v4->sin_addr : &v6->sin6_addr);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0) {
        dv_close(&fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *out_port = ntohs(family == AF_INET ? v4->sin_port : v6->sin6_port);
    return fd;
}

/* From a port that several may share, as the kernel lets connections do whose peers differ. */
static int connected(int family, const char *address, int from, int to)
{
    struct sockaddr_storage at = {.ss_family = (sa_family_t)family};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
    socklen_t size = family == AF_INET ? sizeof(*v4) : sizeof(*v6);
    in_port_t *port = family == AF_INET ? &v4->sin_port : &v6->sin6_port;
    inet_pton(family, address, family == AF_INET ? (void *)&v4->sin_addr : &v6->sin6_addr);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    *port = htons((uint16_t)from);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    *port = htons((uint16_t)to);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, size), 0);
    return fd;
}

static int local_port(int fd)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof(at);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                          : ((struct sockaddr_in *)&at)->sin_port);
}

static void socket_set__finds_by_both_ends(void **state)
{
    static const struct {
        int family;
        const char *address, *other;
    } rows[] = {{AF_INET, "127.0.0.1", "127.0.0.2"}, {AF_INET6, "::1", "::2"}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_socket_set) set = {.fds = NULL};
        const char *address = rows[i].address, *other = rows[i].other;
        int ports[3], fds[3];
        DV_AUTOCLOSE first = listener_open(rows[i].family, address, &ports[0]);
        DV_AUTOCLOSE second = first < 0 ? -1 : listener_open(rows[i].family, address, &ports[1]);
        if (second < 0)
            continue; /* no IPv6 here */
        fds[0] = connected(rows[i].family, address, 0, ports[0]);
        int from = local_port(fds[0]);
        fds[1] = connected(rows[i].family, address, from, ports[1]);
        fds[2] = connected(rows[i].family, address, 0, ports[1]);
        for (size_t k = 0; k < 3; k++) {
            dv_socket_set_add(&set, fds[k]);
            dv_socket_set_add(&set, fds[k]);
        }
        assert_int_equal(set.count, 3);
        assert_int_equal(dv_socket_set_find(&set, address, from, address, ports[0]), fds[0]);
        assert_int_equal(dv_socket_set_find(&set, address, from, address, ports[1]), fds[1]);
        assert_int_equal(dv_socket_set_find(&set, address, local_port(fds[2]), address, ports[1]), fds[2]);
        assert_int_equal(dv_socket_set_find(&set, other, from, address, ports[0]), -1);
        assert_int_equal(dv_socket_set_find(&set, address, from, other, ports[0]), -1);
        close(fds[1]);
        assert_int_equal(dv_socket_set_find(&set, address, from, address, ports[1]), -1);
        assert_int_equal(dv_socket_set_find(&set, address, from, address, ports[0]), fds[0]);
        close(fds[0]);
        close(fds[2]);
    }
}

static void socket_held__what_the_peer_has_not_taken(void **state)
{
    int port;
    DV_AUTOCLOSE listener = listener_open(AF_INET, "127.0.0.1", &port);
    DV_AUTOCLOSE fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static char bytes[64 << 10];
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    DV_AUTOCLOSE peer = accept(listener, NULL, NULL);
    assert_true(dv_socket_held(fd) == 0);
    ssize_t sent = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    int64_t held = dv_socket_held(fd);
    assert_true(held > 0 && held <= sent);
    for (int i = 0; i < 1000 && dv_socket_held(fd) > 0; i++)
        if (recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
            dv_sleep_ms(2);
    assert_true(dv_socket_held(fd) == 0);
    assert_true(dv_socket_held(-1) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socket_set__finds_by_both_ends),
        cmocka_unit_test(socket_held__what_the_peer_has_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
