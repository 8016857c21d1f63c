/*
 * tests/support/http_script.c - see http_script.h. One thread accepts, one serves each connection; one lock
 * for what they count.
 */
#include "http_script.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 512
#define REQUEST_MAX (64u << 10) /* of a header */
#define CHUNKED_MAX (1u << 20)
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
#define PIECE (64u << 10)
#define TICK_MS 5

typedef struct connection {
    script *script;
    pthread_t thread;
    int fd;
    SSL *tls;
    const script_row *counted; /* its group counts the request under way */
} connection;

typedef struct slot {
    script_row row;
    char *texts[4], *body; /* the row's, copied */
    unsigned used;
} slot;

struct script {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slot **slots;
    size_t slot_count;
    int listener;
    char host[32];
    pthread_t acceptor;
    SSL_CTX *tls;
    unsigned handshake_delay_ms;
    bool stopping, released;
    connection *connections[CONNECTIONS_MAX];
    size_t connection_count;
    char **requests;
    size_t request_count;
    unsigned left_early, greetings;
    unsigned running[SCRIPT_GROUPS], peak[SCRIPT_GROUPS];
    uint64_t sent[SCRIPT_GROUPS];
};

static void *must(void *p)
{
    if (!p) {
        perror("http_script");
        abort();
    }
    return p;
}

static bool is_stopping(script *s)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

/* False when the script ends meanwhile. */
static bool wait_ms(script *s, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while (!s->stopping && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
        ;
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return !stopping;
}

/* --- bytes ----------------------------------------------------------------------------------------------- */

static bool send_all(connection *c, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t n = c->tls ? SSL_write(c->tls, from, size < PIECE ? (int)size : (int)PIECE)
                           : send(c->fd, from, size < PIECE ? size : PIECE, MSG_NOSIGNAL);
        if (n <= 0 && !c->tls && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        size -= (size_t)n;
    }
    return true;
}

static ssize_t receive(connection *c, void *bytes, size_t size)
{
    return c->tls ? SSL_read(c->tls, bytes, (int)size) : recv(c->fd, bytes, size, 0);
}

/* Whether the peer closed its side. Looks only. */
static bool peer_left(const connection *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN | POLLRDHUP};
    char byte;
    if (poll(&p, 1, 0) <= 0)
        return false;
    return (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) ||
           recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Bytes of the body that a header announces; SIZE_MAX: it comes in chunks. */
static size_t body_size(const char *head)
{
    const char *length = strcasestr(head, "\r\nContent-Length:");
    return strcasestr(head, "\r\nTransfer-Encoding: chunked") ? SIZE_MAX
           : length                                           ? strtoul(length + 17, NULL, 10)
                                                              : 0;
}

/* A request with its body, that of chunks as they came; NULL when the connection ended. */
static char *read_request(connection *c)
{
    size_t size = 0, whole = 0, room = REQUEST_MAX;
    char *text = must(calloc(1, room + 1));
    while (!whole || size < whole) {
        ssize_t n = size < room ? receive(c, text + size, whole && whole != SIZE_MAX ? whole - size : 1) : -1;
        if (n <= 0) {
            free(text);
            return NULL;
        }
        size += (size_t)n;
        text[size] = '\0';
        if (whole == SIZE_MAX && size >= 7 && memcmp(text + size - 7, "\r\n0\r\n\r\n", 7) == 0)
            return text;
        if (whole || size < 4 || memcmp(text + size - 4, "\r\n\r\n", 4) != 0)
            continue;
        size_t body = body_size(text);
        whole = body == SIZE_MAX ? SIZE_MAX : size + body;
        room = body == SIZE_MAX ? CHUNKED_MAX : whole > room ? whole : room;
        text = must(realloc(text, room + 1));
        if (strcasestr(text, "\r\nExpect: 100-continue") && !send_all(c, CONTINUE, strlen(CONTINUE))) {
            free(text);
            return NULL;
        }
    }
    return text;
}

/* --- answering ------------------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *prefix)
{
    return !prefix || strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool fits(const connection *c, const script_row *row, const char *request)
{
    return begins(request, row->request) && (!row->with || strstr(request, row->with)) &&
           (!row->without || !strstr(request, row->without)) &&
           (row->over == SCRIPT_EITHER || (row->over == SCRIPT_OVER_TLS) == (c->tls != NULL));
}

/* Remember the request, choose its row. NULL: none fits. */
static const script_row *choose(connection *c, const char *request)
{
    script *s = c->script;
    const script_row *found = NULL;
    char *kept;
    if (asprintf(&kept, "%s%s", c->tls ? "TLS " : "", request) < 0)
        abort();
    pthread_mutex_lock(&s->lock);
    s->requests = must(realloc(s->requests, (s->request_count + 1) * sizeof(*s->requests)));
    s->requests[s->request_count++] = kept;
    for (size_t i = 0; i < s->slot_count && !found; i++) {
        const script_row *row = &s->slots[i]->row;
        if ((row->times && s->slots[i]->used >= row->times) || !fits(c, row, request))
            continue;
        found = row;
        s->slots[i]->used++;
        c->counted = row;
        if (++s->running[row->group] > s->peak[row->group])
            s->peak[row->group] = s->running[row->group];
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* A request is over before its last byte goes out: with that byte the client may send the next. */
static void count_out(connection *c)
{
    script *s = c->script;
    pthread_mutex_lock(&s->lock);
    if (c->counted)
        s->running[c->counted->group]--;
    c->counted = NULL;
    pthread_mutex_unlock(&s->lock);
}

static void note_sent(script *s, const script_row *row, size_t size)
{
    pthread_mutex_lock(&s->lock);
    s->sent[row->group] += size;
    pthread_mutex_unlock(&s->lock);
}

/* The part of the body that a Range asks for; false when it cannot be had. */
static bool find_range(const char *request, size_t size, size_t *first, size_t *last)
{
    const char *range = strcasestr(request, "\r\nRange: bytes=");
    char *end;
    *first = strtoul(range + 15, &end, 10);
    *last = end[1] >= '0' && end[1] <= '9' ? strtoul(end + 1, NULL, 10) : size - 1;
    if (*last >= size)
        *last = size - 1;
    return *first < size && *first <= *last;
}

static bool send_body(connection *c, const script_row *row, const char *body, size_t size, bool last)
{
    size_t piece = row->drip_ms ? (row->drip_size ? row->drip_size : 1) : PIECE;
    for (size_t done = 0; done < size;) {
        size_t n = size - done < piece ? size - done : piece;
        if (row->drip_ms && !wait_ms(c->script, row->drip_ms))
            return false;
        if (last && done + n == size)
            count_out(c);
        if (!send_all(c, body + done, n))
            return false;
        note_sent(c->script, row, n);
        done += n;
    }
    return true;
}

/* The body again and again until the peer leaves; without drip_ms in large pieces. */
static void send_endlessly(connection *c, const script_row *row, const char *body, size_t size)
{
    size_t times = row->drip_ms || size > PIECE ? 1 : PIECE / size;
    char *many = must(malloc(times * size));
    for (size_t i = 0; i < times; i++)
        memcpy(many + i * size, body, size);
    while (send_body(c, row, many, times * size, false) && !is_stopping(c->script))
        ;
    free(many);
}

static bool hold(connection *c)
{
    script *s = c->script;
    for (;;) {
        pthread_mutex_lock(&s->lock);
        bool released = s->released, stopping = s->stopping;
        pthread_mutex_unlock(&s->lock);
        if (released || stopping)
            return released && !stopping;
        if (peer_left(c))
            return false;
        wait_ms(s, TICK_MS);
    }
}

static bool end_with(connection *c, script_then then)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (then == SCRIPT_RESET)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    return then == SCRIPT_KEEP;
}

/* True: the connection takes another request. */
static bool answer(connection *c, const script_row *row, const char *request)
{
    static const script_row nothing = {.status = 404, .body = ""};
    if (!row)
        row = &nothing;
    const char *body = row->body ? row->body : "";
    size_t size = row->size, first = 0, last = 0, whole = size;
    int status = row->status ? row->status : 200;
    char line[128] = "";
    if (row->delay_ms && !wait_ms(c->script, row->delay_ms))
        return false;
    if (status == SCRIPT_SILENT)
        return row->then == SCRIPT_HOLD ? hold(c) && false : end_with(c, row->then);
    if (row->ranges && strcasestr(request, "\r\nRange: bytes=")) {
        bool ok = find_range(request, size, &first, &last);
        status = ok ? 206 : 416;
        body += ok ? first : 0;
        size = ok ? last - first + 1 : 0;
        if (ok)
            snprintf(line, sizeof(line), "Content-Range: bytes %zu-%zu/%zu\r\n", first, last, whole);
    }
    char length[64] = "";
    if (!row->endless && (!row->headers || !strcasestr(row->headers, "Content-Length:")))
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", size);
    char *head;
    int n = asprintf(&head, "HTTP/1.1 %d Scripted\r\n%s%s%s\r\n", status, row->headers ? row->headers : "",
                     line, length);
    bool ok = n >= 0 && (row->raw || send_all(c, head, (size_t)n));
    free(head);
    if (begins(request, "HEAD "))
        return ok && end_with(c, row->then);
    size_t cut = row->cut == SCRIPT_CUT_HEAD ? 0 : row->cut && row->cut < size ? row->cut : size;
    if (ok && row->endless && size > 0)
        send_endlessly(c, row, body, size);
    ok = ok && !row->endless && send_body(c, row, body, cut, cut == size);
    if (ok && row->then == SCRIPT_HOLD)
        return hold(c) && send_body(c, row, body + cut, size - cut, true);
    return ok && end_with(c, row->then);
}

static bool serve_one(connection *c)
{
    script *s = c->script;
    char *request = read_request(c);
    if (!request)
        return false;
    const script_row *row = choose(c, request);
    bool again = answer(c, row, request);
    bool left = !again && peer_left(c);
    count_out(c);
    pthread_mutex_lock(&s->lock);
    s->left_early += left && !s->stopping;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    free(request);
    return again;
}

/* The first byte tells a TLS greeting from a request. False: not to be served. */
static bool greet(connection *c)
{
    script *s = c->script;
    unsigned char first;
    if (recv(c->fd, &first, 1, MSG_PEEK) != 1)
        return false;
    if (first != 0x16)
        return true;
    pthread_mutex_lock(&s->lock);
    s->greetings++;
    pthread_mutex_unlock(&s->lock);
    if (!s->tls || !wait_ms(s, s->handshake_delay_ms))
        return false;
    c->tls = must(SSL_new(s->tls));
    SSL_set_fd(c->tls, c->fd);
    return SSL_accept(c->tls) == 1;
}

static void *serve(void *arg)
{
    connection *c = arg;
    sigset_t all;
    sigfillset(&all); /* SIGPIPE above all: OpenSSL writes without MSG_NOSIGNAL */
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (greet(c))
        while (serve_one(c))
            ;
    if (c->tls)
        SSL_free(c->tls);
    c->tls = NULL;
    pthread_mutex_lock(&c->script->lock); /* script_stop() may be shutting it down */
    close(c->fd);
    c->fd = -1;
    pthread_mutex_unlock(&c->script->lock);
    return NULL;
}

static void *accept_all(void *arg)
{
    script *s = arg;
    for (;;) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_mutex_lock(&s->lock);
        if (s->stopping || fd < 0 || s->connection_count == CONNECTIONS_MAX) {
            bool end = s->stopping || fd < 0;
            pthread_mutex_unlock(&s->lock);
            if (fd >= 0)
                close(fd);
            if (end)
                return NULL;
            continue;
        }
        connection *c = must(calloc(1, sizeof(*c)));
        c->script = s;
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (pthread_create(&c->thread, NULL, serve, c) != 0)
            abort();
        s->connections[s->connection_count++] = c;
        pthread_mutex_unlock(&s->lock);
    }
}

/* --- beginning and end ----------------------------------------------------------------------------------- */

static SSL_CTX *make_tls(void)
{
    SSL_CTX *context = must(SSL_CTX_new(TLS_server_method()));
    EVP_PKEY *key = must(EVP_EC_gen("P-256"));
    X509 *certificate = must(X509_new());
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"127.0.0.1", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    if (!X509_sign(certificate, key, EVP_sha256()) || SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1)
        abort();
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

void script_add(script *s, const script_row *row)
{
    pthread_mutex_lock(&s->lock);
    s->slots = must(realloc(s->slots, (s->slot_count + 1) * sizeof(*s->slots)));
    slot *added = s->slots[s->slot_count++] = must(calloc(1, sizeof(*added)));
    added->row = *row;
    const char **texts[] = {&added->row.request, &added->row.with, &added->row.without, &added->row.headers};
    for (size_t i = 0; i < 4; i++)
        if (*texts[i])
            *texts[i] = added->texts[i] = must(strdup(*texts[i]));
    size_t size = row->size || !row->body ? row->size : strlen(row->body);
    added->body = must(calloc(1, size + 1));
    if (row->body)
        memcpy(added->body, row->body, size);
    added->row.body = added->body;
    added->row.size = row->body ? size : 0;
    pthread_mutex_unlock(&s->lock);
}

static script *start(const script_row *rows, size_t count, SSL_CTX *tls, unsigned handshake_delay_ms)
{
    script *s = must(calloc(1, sizeof(*s)));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    for (size_t i = 0; i < count; i++)
        script_add(s, &rows[i]);
    s->tls = tls;
    s->handshake_delay_ms = handshake_delay_ms;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&address, size) < 0 ||
        listen(s->listener, 128) < 0 || getsockname(s->listener, (struct sockaddr *)&address, &size) < 0)
        must(NULL);
    snprintf(s->host, sizeof(s->host), "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    if (pthread_create(&s->acceptor, NULL, accept_all, s) != 0)
        abort();
    return s;
}

script *script_start(const script_row *rows, size_t count)
{
    return start(rows, count, NULL, 0);
}

script *script_start_tls(const script_row *rows, size_t count, unsigned handshake_delay_ms)
{
    return start(rows, count, make_tls(), handshake_delay_ms);
}

void script_stop(script *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->changed);
    shutdown(s->listener, SHUT_RDWR);
    for (size_t i = 0; i < s->connection_count; i++)
        if (s->connections[i]->fd >= 0)
            shutdown(s->connections[i]->fd, SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->acceptor, NULL);
    for (size_t i = 0; i < s->connection_count; i++) {
        pthread_join(s->connections[i]->thread, NULL);
        free(s->connections[i]);
    }
    close(s->listener);
    for (size_t i = 0; i < s->request_count; i++)
        free(s->requests[i]);
    free(s->requests);
    for (size_t i = 0; i < s->slot_count; i++) {
        for (size_t k = 0; k < 4; k++)
            free(s->slots[i]->texts[k]);
        free(s->slots[i]->body);
        free(s->slots[i]);
    }
    free(s->slots);
    SSL_CTX_free(s->tls);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
}

/* --- questions ------------------------------------------------------------------------------------------- */

const char *script_host(const script *s)
{
    return s->host;
}

void script_release(script *s)
{
    pthread_mutex_lock(&s->lock);
    s->released = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Locked. */
static unsigned count_requests(const script *s, const char *prefix, const char *with)
{
    unsigned count = 0;
    for (size_t i = 0; i < s->request_count; i++)
        count += begins(s->requests[i], prefix) && (!with || strstr(s->requests[i], with));
    return count;
}

unsigned script_count(script *s, const char *prefix, const char *with)
{
    pthread_mutex_lock(&s->lock);
    unsigned count = count_requests(s, prefix, with);
    pthread_mutex_unlock(&s->lock);
    return count;
}

bool script_wait(script *s, const char *prefix, unsigned count, unsigned timeout_ms)
{
    for (unsigned waited = 0; script_count(s, prefix, NULL) < count; waited += TICK_MS) {
        if (waited >= timeout_ms)
            return false;
        wait_ms(s, TICK_MS);
    }
    return true;
}

char *script_request(script *s, const char *prefix, unsigned n)
{
    char *text = NULL;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->request_count && !text; i++)
        if (begins(s->requests[i], prefix) && n-- == 0)
            text = must(strdup(s->requests[i]));
    pthread_mutex_unlock(&s->lock);
    return text;
}

unsigned script_peak(script *s, unsigned group)
{
    pthread_mutex_lock(&s->lock);
    unsigned peak = s->peak[group];
    pthread_mutex_unlock(&s->lock);
    return peak;
}

unsigned script_left_early(script *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned count = s->left_early;
    pthread_mutex_unlock(&s->lock);
    return count;
}

uint64_t script_sent(script *s, unsigned group)
{
    pthread_mutex_lock(&s->lock);
    uint64_t sent = s->sent[group];
    pthread_mutex_unlock(&s->lock);
    return sent;
}

unsigned script_greetings(script *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned count = s->greetings;
    pthread_mutex_unlock(&s->lock);
    return count;
}
