/* A name service that needs no network, and counts what it is asked. */
#ifndef DV_TESTS_FAKE_RESOLVER_H
#define DV_TESTS_FAKE_RESOLVER_H

#include "net/resolve.h"
#include "util/alloc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static int fake_lookups;

static int fake_address(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    four->sin_family = AF_INET;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1)
        return 1;
    six->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, text, &six->sin6_addr) == 1;
}

/* Knows a few names; literal addresses are themselves, as the system's name service says. */
static int fake_resolve(const char *host, struct sockaddr_storage *out, size_t max, void *user_data)
{
    static const struct {
        const char *host, *addresses[2];
    } known[] = {
        {"example.com", {"42.42.42.42", "2001:db8::42"}},
        {"mapped.example.com", {"::ffff:42.42.42.42"}},
        {"loopback.example.com", {"10.9.8.7", "127.0.0.5"}},
        {"loopback6.example.com", {"::1"}},
        {"localhost", {"127.0.0.1"}},
    };
    fake_lookups++;
    for (size_t i = 0; i < DV_COUNT(known); i++)
        if (strcmp(host, known[i].host) == 0)
            return fake_address(known[i].addresses[0], out) +
                   (known[i].addresses[1] ? fake_address(known[i].addresses[1], out + 1) : 0);
    return fake_address(host, out) ? 1 : -1;
}

#endif
