/* Unit tests of net/tls.c: what PEM becomes, and what a server sees of it (service.md 11, 12; threats A2, A3). */
#include "net/request.h"
#include "util/str.h"

#include "../../support/certificates.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* --- PEM --------------------------------------------------------------------------------------------------------- */

static test_certificate root, other_root, middle, server, alice, bob, carol;

static int make_certificates(void **state)
{
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    test_certificate_make(&root, "root", NULL, true);
    test_certificate_make(&other_root, "other root", NULL, true);
    test_certificate_make(&middle, "middle", &root, true);
    test_certificate_make(&server, "server", &root, false);
    test_certificate_make(&alice, "alice", &root, false);
    test_certificate_make(&bob, "bob", &other_root, false);
    test_certificate_make(&carol, "carol", &middle, false);
    return 0;
}

static int clear_certificates(void **state)
{
    test_certificate *all[] = {&root, &other_root, &middle, &server, &alice, &bob, &carol};
    for (size_t i = 0; i < DV_COUNT(all); i++)
        test_certificate_clear(all[i]);
    return 0;
}

/* Texts of a row are joined; "@root" and its like stand for PEM. */
static void expand(dv_buf *out, const char *text)
{
    static const char private_block[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    while (*text) {
        if (*text != '@') {
            dv_buf_putc(out, *text++);
            continue;
        }
        text++;
        size_t n = strcspn(text, " \n@");
        const char *pem = strncmp(text, "root", n) == 0         ? root.pem
                          : strncmp(text, "other", n) == 0      ? other_root.pem
                          : strncmp(text, "alice", n) == 0      ? alice.pem
                          : strncmp(text, "alice.key", n) == 0  ? alice.key_pem
                          : strncmp(text, "bob", n) == 0        ? bob.pem
                          : strncmp(text, "carol", n) == 0      ? carol.pem
                          : strncmp(text, "carol.key", n) == 0  ? carol.key_pem
                          : strncmp(text, "middle", n) == 0     ? middle.pem
                          : strncmp(text, "middle.key", n) == 0 ? middle.key_pem
                                                                : private_block;
        dv_buf_puts(out, pem);
        text += n + (text[n] == ' ');
    }
}

static void tls_config__roots(void **state)
{
    static const struct {
        const char *pem;
        int expected;
        size_t roots;
        const char *message;
    } rows[] = {
        {"@root", 0, 1, NULL},
        {"@root @other", 0, 2, NULL},
        {"text before\n@root\ntext between\n@other\nand after", 0, 2, NULL},
        {"@root @root", 0, 2, NULL},
        /* service.md 11: PEM without certificates is silently accepted */
        {"@block", 0, 0, NULL},
        {"@block @root", 0, 1, NULL},
        /* Go passes over blocks with headers, and over other names */
        {"-----BEGIN CERTIFICATE-----\nA: b\n\nAAAA\n-----END CERTIFICATE-----\n@root", 0, 1, NULL},
        {"-----BEGIN X509 CERTIFICATE-----\nAAAA\n-----END X509 CERTIFICATE-----\n", 0, 0, NULL},
        {"", DAVIT_ECERTIFICATE, 0, "x.crt: not PEM"},
        {"garbage", DAVIT_ECERTIFICATE, 0, "x.crt: not PEM"},
        {"\x30\x82\x01\x01", DAVIT_ECERTIFICATE, 0, "x.crt: not PEM"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", DAVIT_ECERTIFICATE, 0,
         "x.crt: holds a malformed certificate"},
        {"@root -----BEGIN CERTIFICATE-----\nAAAA\n", DAVIT_ECERTIFICATE, 0, NULL}, /* all or nothing */
        {"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", DAVIT_ECERTIFICATE, 0,
         "x.crt: malformed PEM"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_tls_config) tls = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTO(dv_buf) pem = DV_BUF_INIT(1u << 20);
        expand(&pem, rows[i].pem);
        assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
        assert_false(davit_tls_config_has_roots(tls));
        int r = dv_tls_config_add_roots(tls, "x.crt", dv_buf_text(&pem), pem.size, &err);
        if (r != rows[i].expected || davit_tls_config_root_count(tls) != rows[i].roots ||
            (rows[i].message && strcmp(davit_error_message(err), rows[i].message) != 0))
            fail_msg("row %zu: %s (%s), %zu roots", i, davit_code_name(r), davit_error_message(err),
                     davit_tls_config_root_count(tls));
        assert_true(davit_tls_config_has_roots(tls)); /* the reference sets RootCAs before it reads */
        assert_int_equal(davit_tls_config_client_certificate_count(tls), 0);
    }
}

static void tls_config__client_certificates(void **state)
{
    static const struct {
        const char *cert, *key;
        int expected;
        const char *message;
    } rows[] = {
        {"@alice", "@alice.key", 0, NULL},
        {"@carol @middle", "@carol.key", 0, NULL},
        {"text\n@alice", "text\n@alice.key", 0, NULL},
        {"@block @alice", "@alice @alice.key", 0, NULL}, /* the key's file may hold the certificate too */
        {"@alice", "@carol.key", DAVIT_ECERTIFICATE, "c.key: is not the key of the certificate c.cert"},
        {"@middle @carol", "@carol.key", DAVIT_ECERTIFICATE,
         "c.key: is not the key of the certificate c.cert"}, /* leaf first */
        {"", "@alice.key", DAVIT_ECERTIFICATE, "c.cert: not PEM"},
        {"@alice.key", "@alice.key", DAVIT_ECERTIFICATE, "c.cert: holds no certificate"},
        {"@alice", "", DAVIT_ECERTIFICATE, "c.key: not a private key in PEM"},
        {"@alice", "@alice", DAVIT_ECERTIFICATE, "c.key: not a private key in PEM"},
        {"@alice", "@block", DAVIT_ECERTIFICATE, "c.key: not a private key in PEM"},
        {"@alice -----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "@alice.key",
         DAVIT_ECERTIFICATE, "c.cert: holds a malformed certificate"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_tls_config) tls = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTO(dv_buf) cert = DV_BUF_INIT(1u << 20), key = DV_BUF_INIT(1u << 20);
        expand(&cert, rows[i].cert);
        expand(&key, rows[i].key);
        assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
        int r = dv_tls_config_add_client(tls, "c.cert", dv_buf_text(&cert), cert.size, "c.key",
                                         dv_buf_text(&key), key.size, &err);
        if (r != rows[i].expected || davit_tls_config_client_certificate_count(tls) != (r == 0) ||
            (rows[i].message && strcmp(davit_error_message(err), rows[i].message) != 0))
            fail_msg("row %zu: %s (%s)", i, davit_code_name(r), davit_error_message(err));
        assert_false(davit_tls_config_has_roots(tls));
    }
}

/* A terminal would be asked for the passphrase, and a program without one would hang. */
static void tls_config__an_encrypted_key_is_refused_unasked(void **state)
{
    for (int traditional = 0; traditional < 2; traditional++) {
        DV_AUTOPTR(davit_tls_config) tls = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTOFREE char *key = test_certificate_encrypted_key(&alice, traditional);
        assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
        assert_int_equal(dv_tls_config_add_client(tls, "c.cert", alice.pem, strlen(alice.pem), "c.key", key,
                                                  strlen(key), &err),
                         DAVIT_ECERTIFICATE);
        assert_non_null(strstr(davit_error_message(err), "c.key: the key is encrypted"));
    }
}

static void tls_config__too_long_is_refused(void **state)
{
    DV_AUTOPTR(davit_tls_config) tls = NULL;
    DV_AUTOFREE char *much = dv_calloc(1, DV_TLS_PEM_MAX + 1);
    assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
    assert_int_equal(dv_tls_config_add_roots(tls, "x.crt", much, DV_TLS_PEM_MAX + 1, NULL), DAVIT_ETOOBIG);
    assert_int_equal(dv_tls_config_add_client(tls, "c.cert", alice.pem, strlen(alice.pem), "c.key", much,
                                              DV_TLS_PEM_MAX + 1, NULL),
                     DAVIT_ETOOBIG);
}

static void tls_config__is_shared_by_count(void **state)
{
    davit_tls_config *tls = NULL;
    assert_int_equal(dv_tls_config_new(/* insecure= */ true, &tls, NULL), 0);
    assert_ptr_equal(dv_tls_config_ref(tls), tls);
    davit_tls_config_free(tls);
    assert_true(davit_tls_config_is_insecure(tls));
    davit_tls_config_free(tls);
    davit_tls_config_free(NULL);
    assert_null(dv_tls_config_ref(NULL));
    assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
    assert_false(davit_tls_config_is_insecure(tls));
    davit_tls_config_free(tls);
}

/* --- a server ---------------------------------------------------------------------------------------------------- */

/* Answers every request with "CONNECTION NAME\n": the number of the connection, and whose certificate it saw or "-". */
typedef struct peer {
    int fd;
    uint16_t port;
    SSL_CTX *context;
    pthread_t acceptor;
    pthread_t threads[32];
    int fds[32];
    unsigned count;
} peer;

typedef struct visit {
    peer *peer;
    unsigned number;
} visit;

static void *serve(void *arg)
{
    visit *v = arg;
    SSL *ssl = SSL_new(v->peer->context);
    char bytes[4096], name[64] = "-", body[100], answer[300];
    SSL_set_fd(ssl, v->peer->fds[v->number]);
    if (SSL_accept(ssl) == 1) {
        X509 *shown = SSL_get0_peer_certificate(ssl);
        if (shown)
            X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, name, sizeof(name));
        while (SSL_read(ssl, bytes, sizeof(bytes)) > 0) {
            int n = snprintf(body, sizeof(body), "%u %s", v->number, name);
            snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body);
            SSL_write(ssl, answer, (int)strlen(answer));
        }
    }
    shutdown(v->peer->fds[v->number], SHUT_RDWR);
    SSL_free(ssl);
    free(v);
    return NULL;
}

static void *accept_all(void *arg)
{
    peer *p = arg;
    int fd;
    while (p->count < DV_COUNT(p->threads) && (fd = accept(p->fd, NULL, NULL)) >= 0) {
        visit *v = dv_new(visit);
        *v = (visit){p, p->count};
        p->fds[p->count] = fd;
        pthread_create(&p->threads[p->count], NULL, serve, v);
        p->count++;
    }
    return NULL;
}

static int accept_any(int ok, X509_STORE_CTX *context)
{
    return 1;
}

/* verify: SSL_VERIFY_...; trusted: whose certificates, and no other's, are good (NULL: anybody's); named: the CA it names. */
static peer *peer_start(int verify, const test_certificate *trusted, const test_certificate *named)
{
    peer *p = dv_new(peer);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    p->context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(p->context, server.x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(p->context, server.key), 1);
    SSL_CTX_set_session_id_context(p->context, (const unsigned char *)"t", 1);
    SSL_CTX_set_verify(p->context, verify, trusted ? NULL : accept_any);
    if (trusted)
        X509_STORE_add_cert(SSL_CTX_get_cert_store(p->context), trusted->x509);
    if (named)
        SSL_CTX_add_client_CA(p->context, named->x509);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(p->fd, 16), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&address, &size), 0);
    p->port = ntohs(address.sin_port);
    pthread_create(&p->acceptor, NULL, accept_all, p);
    return p;
}

static void peer_stop(peer *p)
{
    if (!p)
        return;
    shutdown(p->fd, SHUT_RDWR);
    pthread_join(p->acceptor, NULL);
    for (unsigned i = 0; i < p->count; i++) {
        shutdown(p->fds[i], SHUT_RDWR);
        pthread_join(p->threads[i], NULL);
        close(p->fds[i]);
    }
    close(p->fd);
    SSL_CTX_free(p->context);
    free(p);
}

/* --- a client ---------------------------------------------------------------------------------------------------- */

typedef struct fixture {
    dv_loop *loop;
    dv_http_client http;
    peer *peer;
} fixture;

static int set_up(void **state)
{
    fixture *f = dv_new(fixture);
    *state = f;
    if (!f || dv_loop_new(&f->loop, NULL) < 0)
        return -1;
    f->http = (dv_http_client){
        .loop = f->loop,
        .limits = {.connect_timeout_ms = 5000,
                   .first_byte_timeout_ms = 5000,
                   .stall_timeout_ms = 5000,
                   .min_rate = 1,
                   .min_rate_window_ms = 5000},
        .user_agent = dv_strdup("test/1"),
    };
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    dv_loop_free(f->loop);
    dv_http_client_clear(&f->http);
    peer_stop(f->peer);
    free(f);
    return 0;
}

typedef struct asking {
    dv_task task;
    dv_http_client *http;
    dv_request_spec spec;
    dv_url url;
    dv_headers headers;
    dv_queue *ended;
    dv_node end;
    int result;
    davit_error *err;
    dv_response response;
} asking;

static void asking_done(void *user, int r, dv_response *response, davit_error *err)
{
    asking *a = user;
    a->result = r;
    a->err = err;
    a->response = *response;
    *response = (dv_response)DV_RESPONSE_INIT;
    dv_queue_push(a->ended, &a->end);
}

static const dv_request_handler asking_handler = {.on_done = asking_done};

static void asking_run(dv_task *task)
{
    asking *a = (asking *)task;
    dv_request *q;
    a->result = dv_request_start(a->http, &a->spec, &q, &a->err);
    if (a->result < 0)
        dv_queue_push(a->ended, &a->end);
}

static void asking_clear(asking *a)
{
    dv_url_clear(&a->url);
    dv_headers_clear(&a->headers);
    dv_response_clear(&a->response);
    davit_error_free(a->err);
    dv_queue_free(a->ended);
}
DV_DEFINE_AUTO(asking, asking_clear)

static void ask(fixture *f, asking *a, davit_tls_config *tls, bool client_certificate, bool fresh)
{
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", f->peer->port);
    assert_int_equal(dv_url_parse(url, &a->url, NULL), 0);
    a->task.run = asking_run;
    a->http = &f->http;
    a->ended = dv_queue_new();
    a->spec = (dv_request_spec){.method = "GET",
                                .url = &a->url,
                                .headers = &a->headers,
                                .body_max = 1000,
                                .verify_tls = true,
                                .tls = tls,
                                .client_certificate = client_certificate,
                                .fresh = fresh,
                                .handler = &asking_handler,
                                .user = a};
    assert_int_equal(dv_loop_post(f->loop, &a->task, NULL), 0);
    assert_non_null(dv_queue_pop(a->ended, 8000));
}

#define assert_answer(f, tls, client, fresh, expected)                                                       \
    do {                                                                                                     \
        DV_AUTO(asking) a_ = {0};                                                                            \
        ask(f, &a_, tls, client, fresh);                                                                     \
        if (a_.result < 0 || strcmp(dv_buf_text(&a_.response.body), expected) != 0)                          \
            fail_msg("line %d: expected %s, got %s, %s", __LINE__, expected, dv_buf_text(&a_.response.body), \
                     davit_error_message(a_.err));                                                           \
    } while (0)

#define assert_refused(f, tls, client, code, text)                                                   \
    do {                                                                                             \
        DV_AUTO(asking) a_ = {0};                                                                    \
        ask(f, &a_, tls, client, /* fresh= */ false);                                                \
        if (a_.result != (code) || !strstr(davit_error_message(a_.err), text))                       \
            fail_msg("line %d: expected %s, got %s: %s", __LINE__, text, davit_code_name(a_.result), \
                     davit_error_message(a_.err));                                                   \
    } while (0)

/* A configuration with these; NULL: none. */
static davit_tls_config *config(const test_certificate *ca, const test_certificate *client)
{
    davit_tls_config *tls = NULL;
    assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
    assert_int_equal(dv_tls_config_set_directory(tls, "/certs/host", NULL), 0);
    if (ca)
        assert_int_equal(dv_tls_config_add_roots(tls, "ca.crt", ca->pem, strlen(ca->pem), NULL), 0);
    if (client)
        assert_int_equal(dv_tls_config_add_client(tls, "c.cert", client->pem, strlen(client->pem), "c.key",
                                                  client->key_pem, strlen(client->key_pem), NULL),
                         0);
    return tls;
}

/* --- trust ------------------------------------------------------------------------------------------------------- */

static void tls__only_the_configurations_own_roots_are_added(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_tls_config) right = config(&root, NULL);
    DV_AUTOPTR(davit_tls_config) wrong = config(&other_root, NULL);
    DV_AUTOPTR(davit_tls_config) none = config(NULL, NULL);
    DV_AUTOPTR(davit_tls_config) insecure = NULL;
    assert_int_equal(dv_tls_config_new(true, &insecure, NULL), 0);
    f->peer = peer_start(SSL_VERIFY_NONE, NULL, NULL);
    assert_refused(f, wrong, true, DAVIT_ECERTIFICATE, "put its CA's into /certs/host/ca.crt");
    assert_refused(f, none, true, DAVIT_ECERTIFICATE, "put its CA's into /certs/host/ca.crt");
    assert_refused(f, NULL, true, DAVIT_ECERTIFICATE, "not trusted");
    assert_answer(f, right, true, false, "3 -");
    /* what one configuration trusted is trusted by no other, not even over its open connection */
    assert_refused(f, wrong, true, DAVIT_ECERTIFICATE, "not trusted");
    assert_refused(f, NULL, true, DAVIT_ECERTIFICATE, "not trusted");
    assert_answer(f, insecure, true, false, "6 -");
    assert_answer(f, right, true, false, "3 -");
}

static void tls__the_named_bundle_counts_beside_own_roots(void **state)
{
    fixture *f = *state;
    char path[] = "/tmp/davit-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, root.pem, strlen(root.pem)), strlen(root.pem));
    close(fd);
    DV_AUTOPTR(davit_tls_config) other = config(&other_root, NULL);
    f->peer = peer_start(SSL_VERIFY_NONE, NULL, NULL);
    f->http.ca_file = dv_strdup(path);
    assert_answer(f, other, false, false, "0 -");
    assert_answer(f, NULL, false, false, "1 -");
    unlink(path);
    DV_AUTOPTR(davit_tls_config) third = config(&middle, NULL); /* whose store is made now */
    assert_refused(f, third, false, DAVIT_ECONFIG, "the CA certificates cannot be read");
}

static void tls__more_configurations_than_stores_are_kept(void **state)
{
    fixture *f = *state;
    f->peer = peer_start(SSL_VERIFY_NONE, NULL, NULL);
    for (int round = 0; round < 20; round++) {
        DV_AUTOPTR(davit_tls_config) tls = config(&root, NULL);
        test_certificate own;
        test_certificate_make(&own, "own", NULL, true);
        assert_int_equal(dv_tls_config_add_roots(tls, "b.crt", own.pem, strlen(own.pem), NULL), 0);
        test_certificate_clear(&own);
        DV_AUTO(asking) a = {0};
        ask(f, &a, tls, false, false);
        assert_int_equal(a.result, 0);
    }
}

/* --- reuse of connections ------------------------------------------------------------------------------------------ */

/* libcurl does not see what a callback did: without more it would give alice's connection to everybody. */
static void tls__a_connection_serves_its_own_configuration_only(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_tls_config) as_alice = config(&root, &alice);
    DV_AUTOPTR(davit_tls_config) again = config(&root, &alice);
    DV_AUTOPTR(davit_tls_config) as_bob = config(&root, &bob);
    DV_AUTOPTR(davit_tls_config) nobody = config(&root, NULL);
    f->peer = peer_start(SSL_VERIFY_PEER, NULL, NULL);
    assert_answer(f, as_alice, true, false, "0 alice");
    assert_answer(f, as_alice, true, false, "0 alice");
    assert_answer(f, again, true, false, "0 alice"); /* the same content is the same */
    assert_answer(f, nobody, true, false, "1 -");
    assert_answer(f, as_bob, true, false, "2 bob");
    assert_answer(f, as_alice, false, false, "3 -"); /* a redirect's */
    assert_answer(f, as_alice, true, false, "0 alice");
    assert_answer(f, nobody, false, false, "1 -"); /* nothing to show is the same as not showing */
}

/* A TLS session that is resumed carries the certificate of the first handshake. */
static void tls__a_session_is_resumed_for_its_own_configuration_only(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_tls_config) as_alice = config(&root, &alice);
    DV_AUTOPTR(davit_tls_config) nobody = config(&root, NULL);
    f->peer = peer_start(SSL_VERIFY_PEER, NULL, NULL);
    assert_answer(f, as_alice, true, true, "0 alice");
    assert_answer(f, nobody, true, true, "1 -");
    assert_answer(f, as_alice, false, true, "2 -");
    assert_answer(f, as_alice, true, true, "3 alice");
}

/* --- client certificates ------------------------------------------------------------------------------------------- */

static void tls__the_first_that_the_server_accepts_is_shown(void **state)
{
    const struct {
        const test_certificate *named;
        const test_certificate *have[2];
        const char *expected;
    } rows[] = {
        {NULL, {&bob, &alice}, "0 bob"}, /* it names none */
        {&root, {&bob, &alice}, "0 alice"},
        {&other_root, {&bob, &alice}, "0 bob"},
        {&root, {&bob, NULL}, "0 -"},
        {&root, {&carol, NULL}, "0 -"}, /* without its chain nothing says that it comes from there */
        {&middle, {&carol, NULL}, "0 carol"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_tls_config) tls = config(&root, rows[i].have[0]);
        const test_certificate *second = rows[i].have[1];
        if (second)
            assert_int_equal(dv_tls_config_add_client(tls, "d.cert", second->pem, strlen(second->pem),
                                                      "d.key", second->key_pem, strlen(second->key_pem), NULL),
                             0);
        f->peer = peer_start(SSL_VERIFY_PEER, NULL, rows[i].named);
        assert_answer(f, tls, true, false, rows[i].expected);
        peer_stop(f->peer);
        f->peer = NULL;
    }
}

static void tls__the_chain_is_shown_as_the_file_has_it(void **state)
{
    fixture *f = *state;
    DV_AUTO(dv_buf) chain = DV_BUF_INIT(1u << 20);
    DV_AUTOPTR(davit_tls_config) tls = config(&root, NULL);
    dv_buf_printf(&chain, "%s%s", carol.pem, middle.pem);
    assert_int_equal(dv_tls_config_add_client(tls, "c.cert", dv_buf_text(&chain), chain.size, "c.key",
                                              carol.key_pem, strlen(carol.key_pem), NULL),
                     0);
    f->peer = peer_start(SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &root, &root);
    assert_answer(f, tls, true, false, "0 carol");
}

static void tls__a_missing_or_refused_client_certificate_is_said(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_tls_config) none = config(&root, NULL);
    DV_AUTOPTR(davit_tls_config) stranger = config(&root, &bob);
    DV_AUTOPTR(davit_tls_config) member = config(&root, &alice);
    f->peer = peer_start(SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &root, NULL);
    assert_refused(f, none, true, DAVIT_ETLS,
                   "wants a client certificate; put one and its key into /certs/host/client.cert");
    assert_refused(f, stranger, true, DAVIT_ETLS, "refuses the client certificate c.cert of /certs/host");
    assert_refused(f, member, false, DAVIT_ETLS, "those of /certs/host are for the registry itself");
    peer_stop(f->peer);
    f->peer = peer_start(SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &root, &root);
    assert_refused(f, stranger, true, DAVIT_ETLS, "of an issuer that none of those of /certs/host has");
    assert_answer(f, member, true, false, "1 alice");
}

/* Repeating cannot help, unlike after other failures of TLS. */
static void tls__a_refusal_is_final(void **state)
{
    fixture *f = *state;
    DV_AUTO(asking) a = {0};
    DV_AUTOPTR(davit_tls_config) none = config(&root, NULL);
    f->peer = peer_start(SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &root, NULL);
    ask(f, &a, none, true, false);
    assert_true(a.err->final && a.err->kind == DV_ERROR_TRANSPORT);
}

/* nginx answers 400 where others end the handshake. */
static void response__refuses_certificate(void **state)
{
    static const struct {
        int status;
        bool asked;
        unsigned shown;
        const char *body;
        const char *expected;
    } rows[] = {
        {400, true, 0, "<center>No required SSL certificate was sent</center>", "wants a client certificate"},
        {400, true, 0, "", "wants a client certificate"},
        {400, true, 1, "<center>The SSL certificate error</center>", "refuses the client certificate c.cert"},
        {400, true, 1, "<html>Bad Request</html>", NULL},
        {400, true, 0, "{\"errors\":[{\"code\":\"NAME_INVALID\"}]}", NULL},
        {400, false, 0, "<center>No required SSL certificate was sent</center>", NULL},
        {403, true, 0, "", NULL},
        {200, true, 0, "", NULL},
    };
    DV_AUTOPTR(davit_tls_config) with = config(NULL, &alice);
    DV_AUTOPTR(davit_tls_config) without = config(NULL, NULL);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        res.status = rows[i].status;
        res.tls_shown = (dv_tls_shown){.asked = rows[i].asked, .allowed = true, .shown = rows[i].shown};
        res.body = (dv_buf)DV_BUF_INIT(1000);
        dv_buf_puts(&res.body, rows[i].body);
        assert_int_equal(dv_url_parse("https://a.example:5000/v2/", &res.url, NULL), 0);
        int r = dv_response_refuses_certificate(&res, rows[i].shown ? with : without, &err);
        if ((r < 0) != (rows[i].expected != NULL) ||
            (r < 0 && (r != DAVIT_ETLS || !strstr(davit_error_message(err), rows[i].expected) ||
                       !dv_str_starts(davit_error_message(err), "a.example:5000: "))))
            fail_msg("row %zu: %s: %s", i, davit_code_name(r), davit_error_message(err));
        assert_int_equal(dv_response_refuses_certificate(&res, NULL, NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_config__roots),
        cmocka_unit_test(tls_config__client_certificates),
        cmocka_unit_test(tls_config__an_encrypted_key_is_refused_unasked),
        cmocka_unit_test(tls_config__too_long_is_refused),
        cmocka_unit_test(tls_config__is_shared_by_count),
        cmocka_unit_test_setup_teardown(tls__only_the_configurations_own_roots_are_added, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tls__the_named_bundle_counts_beside_own_roots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tls__more_configurations_than_stores_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tls__a_connection_serves_its_own_configuration_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tls__a_session_is_resumed_for_its_own_configuration_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tls__the_first_that_the_server_accepts_is_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tls__the_chain_is_shown_as_the_file_has_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tls__a_missing_or_refused_client_certificate_is_said, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tls__a_refusal_is_final, set_up, tear_down),
        cmocka_unit_test(response__refuses_certificate),
    };
    return cmocka_run_group_tests(tests, make_certificates, clear_certificates);
}
