/* net/resolve.c - see resolve.h. */
#include "net/resolve.h"

#include <netdb.h>
#include <string.h>

int dv_resolve(const char *host, struct sockaddr_storage *out, size_t max, void *user_data)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return 0;
    int count = 0;
    for (struct addrinfo *a = found; a && (size_t)count < max; a = a->ai_next)
        if (a->ai_addrlen <= sizeof(out[count]))
            memcpy(&out[count++], a->ai_addr, a->ai_addrlen);
    freeaddrinfo(found);
    return count;
}
