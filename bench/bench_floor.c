/* bench/bench_floor.c - the least that fetching a blob can cost: recv, SHA-256, write, two threads.
 *
 *     bench_floor [--no-sync] HOST PORT PATH FILE
 *
 * One thread receives a plain HTTP body and writes it to FILE, the other hashes; they share a ring of
 * buffers. Ends with fdatasync, which davit and skopeo do too. Prints the digest. No TLS, no retries,
 * no limits, no chunked bodies: it is what `davit pull` is measured against, not a client. */
#include <fcntl.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOTS = 8, SLOT_SIZE = 256 * 1024, HEAD_MAX = 16 * 1024 };

struct ring {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned filled, hashed; /* slots, counted since the start */
    bool ended;
    size_t used[SLOTS];
    unsigned char slot[SLOTS][SLOT_SIZE];
};

static struct ring ring = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *hash_all(void *digest)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
        exit(1);
    for (;;) {
        pthread_mutex_lock(&ring.lock);
        while (ring.filled == ring.hashed && !ring.ended)
            pthread_cond_wait(&ring.changed, &ring.lock);
        bool done = ring.filled == ring.hashed;
        pthread_mutex_unlock(&ring.lock);
        if (done)
            break;
        unsigned i = ring.hashed % SLOTS;
        EVP_DigestUpdate(ctx, ring.slot[i], ring.used[i]);
        pthread_mutex_lock(&ring.lock);
        ring.hashed++;
        pthread_cond_signal(&ring.changed);
        pthread_mutex_unlock(&ring.lock);
    }
    EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    return NULL;
}

static int connect_to(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        die("getaddrinfo");
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        die("connect");
    freeaddrinfo(found);
    return fd;
}

/* Reads the head of the answer; what came after it goes to the first slot. Gives the body's length. */
static size_t read_head(int fd, size_t *body_begun)
{
    static char head[HEAD_MAX + 1];
    size_t size = 0;
    char *end = NULL;
    while (!end) {
        ssize_t n = recv(fd, head + size, HEAD_MAX - size, 0);
        if (n <= 0)
            die("head");
        size += (size_t)n;
        head[size] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    char *length = strcasestr(head, "\r\ncontent-length:");
    if (strncmp(head + 8, " 200 ", 5) != 0 || !length || length > end) {
        fprintf(stderr, "bench_floor: %.60s\n", head);
        exit(1);
    }
    *body_begun = size - (size_t)(end + 4 - head);
    memcpy(ring.slot[0], end + 4, *body_begun);
    return strtoull(length + 17, NULL, 10);
}

static void write_all(int fd, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n <= 0)
            die("write");
        bytes += n;
        size -= (size_t)n;
    }
}

static void receive(int sock, int file, size_t left, size_t begun)
{
    for (unsigned n = 0; left > 0; n++) {
        pthread_mutex_lock(&ring.lock);
        while (ring.filled - ring.hashed == SLOTS)
            pthread_cond_wait(&ring.changed, &ring.lock);
        pthread_mutex_unlock(&ring.lock);
        unsigned char *slot = ring.slot[n % SLOTS];
        size_t want = left < SLOT_SIZE ? left : SLOT_SIZE;
        size_t have = begun;
        begun = 0;
        while (have < want) {
            ssize_t got = recv(sock, slot + have, want - have, 0);
            if (got <= 0)
                die("recv");
            have += (size_t)got;
        }
        ring.used[n % SLOTS] = have;
        left -= have;
        pthread_mutex_lock(&ring.lock);
        ring.filled++;
        ring.ended = left == 0;
        pthread_cond_signal(&ring.changed);
        pthread_mutex_unlock(&ring.lock);
        write_all(file, slot, have);
    }
}

int main(int argc, char **argv)
{
    bool sync = !(argc > 1 && strcmp(argv[1], "--no-sync") == 0);
    char **arg = argv + (sync ? 1 : 2);
    if (argv + argc - arg != 4) {
        fprintf(stderr, "usage: bench_floor [--no-sync] HOST PORT PATH FILE\n");
        return 2;
    }
    int sock = connect_to(arg[0], arg[1]);
    dprintf(sock, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n", arg[2], arg[0], arg[1]);
    size_t begun = 0;
    size_t size = read_head(sock, &begun);
    int file = open(arg[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        die(arg[3]);

    unsigned char digest[32];
    pthread_t hasher;
    if (pthread_create(&hasher, NULL, hash_all, digest) != 0)
        die("pthread_create");
    receive(sock, file, size, begun);
    if (sync && fdatasync(file) < 0)
        die("fdatasync");
    pthread_join(hasher, NULL);
    printf("sha256:");
    for (size_t i = 0; i < sizeof digest; i++)
        printf("%02x", digest[i]);
    printf("\n");
    return close(file) == 0 ? 0 : 1;
}
