/*
 * net/tls.c - see tls.h.
 *
 * libcurl's pool of connections, and its cache of TLS sessions, compare the options that libcurl knows, not what a callback
 * did to an SSL_CTX. A connection opened under one configuration must not serve another: it would be trusted by roots that
 * are not the other's, and speak for a client certificate that the other does not show. So every exchange names its
 * configuration in CURLOPT_CAPATH, which libcurl does compare: a path that cannot exist, of the hash of what the configuration
 * holds and of whether client certificates may be shown. libcurl then loads nothing, and the store of roots is ours; were the
 * callback ever not called, no certificate would be trusted.
 *
 * Our stores are also read once for each client, where libcurl reads the system's bundle again for each connection (25 ms).
 */
#include "net/tls.h"

#include "util/error.h"
#include "util/hex.h"

#include <curl/curl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define IDENTITY_SIZE 32 /* bytes, SHA-256 */
#define ROOTS_KEPT 16    /* stores a client keeps: each is the system's bundle in memory, about 1 MiB */
#define NO_PATH "/dev/null/davit-tls/" /* never exists */

/* service.md 12: TLS 1.2, ECDHE with AES-GCM first, then the AES-CBC-SHA suites. */
static const char ciphers[] =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:"
    "ECDHE-RSA-AES128-SHA";

typedef struct client_certificate {
    char *name; /* of its file */
    X509 *leaf;
    STACK_OF(X509) * chain; /* behind the leaf */
    EVP_PKEY *key;
} client_certificate;

struct davit_tls_config {
    atomic_uint references;
    bool insecure, has_roots;
    char *directory; /* NULL: none */
    STACK_OF(X509) * roots;
    client_certificate *clients;
    size_t client_count;
    unsigned char identity[IDENTITY_SIZE]; /* of what was added, in order; zeros: nothing */
};

struct dv_tls_roots {
    dv_tls_roots *next;
    unsigned char identity[IDENTITY_SIZE];
    X509_STORE *store;
};

struct dv_tls_session {
    unsigned references; /* the exchange's and the SSL_CTX's */
    davit_tls_config *config;
    const char *ca_file;
    dv_tls_roots **roots;
    dv_tls_shown shown;
};

/* --- a configuration --------------------------------------------------------------------------------------------- */

int dv_tls_config_new(bool insecure, davit_tls_config **out, davit_error **err)
{
    DV_AUTOPTR(davit_tls_config) tls = dv_new(davit_tls_config);
    if (!tls)
        return dv_error_oom(err);
    atomic_init(&tls->references, 1);
    tls->insecure = insecure;
    tls->roots = sk_X509_new_null();
    if (!tls->roots)
        return dv_error_oom(err);
    *out = DV_STEAL(tls);
    return 0;
}

int davit_tls_config_new(davit_tls_config **out, davit_error **err)
{
    return dv_tls_config_new(/* insecure= */ false, out, err);
}

davit_tls_config *dv_tls_config_ref(davit_tls_config *tls)
{
    if (tls)
        atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
    return tls;
}

static void client_clear(client_certificate *c)
{
    free(c->name);
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key); /* wipes it */
}
DV_DEFINE_AUTO(client_certificate, client_clear)

void davit_tls_config_free(davit_tls_config *tls)
{
    if (!tls || atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < tls->client_count; i++)
        client_clear(&tls->clients[i]);
    free(tls->clients);
    sk_X509_pop_free(tls->roots, X509_free);
    free(tls->directory);
    free(tls);
}

bool davit_tls_config_is_insecure(const davit_tls_config *tls)
{
    return tls->insecure;
}

bool davit_tls_config_has_roots(const davit_tls_config *tls)
{
    return tls->has_roots;
}

size_t davit_tls_config_root_count(const davit_tls_config *tls)
{
    return (size_t)sk_X509_num(tls->roots);
}

size_t davit_tls_config_client_certificate_count(const davit_tls_config *tls)
{
    return tls->client_count;
}

int dv_tls_config_set_directory(davit_tls_config *tls, const char *directory, davit_error **err)
{
    char *copy = dv_strdup(directory);
    if (!copy)
        return dv_error_oom(err);
    free(tls->directory);
    tls->directory = copy;
    return 0;
}

void dv_tls_config_want_roots(davit_tls_config *tls)
{
    tls->has_roots = true;
}

static const unsigned char no_identity[IDENTITY_SIZE];

/* That of NULL is that of a configuration to which nothing was added. */
static const unsigned char *identity_of(const davit_tls_config *tls)
{
    return tls ? tls->identity : no_identity;
}

/* --- PEM --------------------------------------------------------------------------------------------------------- */

static void free_certificates(STACK_OF(X509) * *certificates)
{
    sk_X509_pop_free(*certificates, X509_free);
}
#define AUTO_CERTIFICATES __attribute__((cleanup(free_certificates))) STACK_OF(X509) *

static int add_der(const char *name, const unsigned char *der, long size, STACK_OF(X509) * to,
                   davit_error **err)
{
    X509 *certificate = d2i_X509(NULL, &der, size);
    if (!certificate)
        return dv_error_set(err, DAVIT_ECERTIFICATE, "%s: holds a malformed certificate", name);
    if (sk_X509_push(to, certificate))
        return 0;
    X509_free(certificate);
    return dv_error_oom(err);
}

/* The next block: 1, 0 at the end, or an error. Blocks of other kinds and those with headers are passed over, as Go does. */
static int read_block(const char *name, BIO *bio, STACK_OF(X509) * to, davit_error **err)
{
    char *kind = NULL, *header = NULL;
    unsigned char *der = NULL;
    long size = 0;
    if (!PEM_read_bio(bio, &kind, &header, &der, &size)) {
        int reason = ERR_GET_REASON(ERR_peek_last_error());
        if (reason == PEM_R_NO_START_LINE)
            return 0;
        return reason == ERR_R_MALLOC_FAILURE
                   ? dv_error_oom(err)
                   : dv_error_set(err, DAVIT_ECERTIFICATE, "%s: malformed PEM", name);
    }
    int r = 0;
    if (strcmp(kind, PEM_STRING_X509) == 0 && !header[0])
        r = add_der(name, der, size, to, err);
    OPENSSL_free(kind);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)size); /* it may be a key */
    return r < 0 ? r : 1;
}

static int read_certificates(const char *name, const void *pem, size_t size, STACK_OF(X509) * to,
                             davit_error **err)
{
    if (size > DV_TLS_PEM_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "%s is longer than %u bytes", name, DV_TLS_PEM_MAX);
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    if (!bio)
        return dv_error_oom(err);
    size_t blocks = 0;
    int r;
    while ((r = read_block(name, bio, to, err)) > 0)
        blocks++;
    BIO_free(bio);
    ERR_clear_error(); /* libcurl would take what is left for its own */
    if (r == 0 && blocks == 0)
        return dv_error_set(err, DAVIT_ECERTIFICATE, "%s: not PEM", name);
    return r;
}

/* Without a callback of ours OpenSSL would ask on the terminal. */
static int refuse_passphrase(char *buffer, int size, int writing, void *user)
{
    *(bool *)user = true;
    return -1;
}

static int read_key(const char *name, const void *pem, size_t size, EVP_PKEY **out, davit_error **err)
{
    if (size > DV_TLS_PEM_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "%s is longer than %u bytes", name, DV_TLS_PEM_MAX);
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    if (!bio)
        return dv_error_oom(err);
    bool encrypted = false;
    *out = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &encrypted);
    BIO_free(bio);
    ERR_clear_error();
    if (*out)
        return 0;
    if (encrypted)
        return dv_error_set(err, DAVIT_ECERTIFICATE,
                            "%s: the key is encrypted, and no passphrase is ever asked for; decrypt it "
                            "(openssl pkey)",
                            name);
    return dv_error_set(err, DAVIT_ECERTIFICATE, "%s: not a private key in PEM", name);
}

/* --- adding ------------------------------------------------------------------------------------------------------ */

/* Make the identity that of what it stood for and these certificates, added as this kind. */
static bool mix(unsigned char identity[IDENTITY_SIZE], char kind, const STACK_OF(X509) * certificates)
{
    unsigned char next[IDENTITY_SIZE + 1 + IDENTITY_SIZE];
    for (int i = 0; i < sk_X509_num(certificates); i++) {
        unsigned size = 0;
        memcpy(next, identity, IDENTITY_SIZE);
        next[IDENTITY_SIZE] = (unsigned char)kind;
        if (!X509_digest(sk_X509_value(certificates, i), EVP_sha256(), next + IDENTITY_SIZE + 1, &size) ||
            !EVP_Digest(next, sizeof(next), identity, &size, EVP_sha256(), NULL))
            return false;
        kind = '+'; /* belongs to the one before */
    }
    return true;
}

int dv_tls_config_add_roots(davit_tls_config *tls, const char *name, const void *pem, size_t size,
                            davit_error **err)
{
    unsigned char identity[IDENTITY_SIZE];
    dv_tls_config_want_roots(tls);
    AUTO_CERTIFICATES more = sk_X509_new_null();
    if (!more)
        return dv_error_oom(err);
    int r = read_certificates(name, pem, size, more, err);
    if (r < 0)
        return r;
    memcpy(identity, tls->identity, IDENTITY_SIZE);
    if (!mix(identity, 'r', more) || !sk_X509_reserve(tls->roots, sk_X509_num(more)))
        return dv_error_oom(err);
    while (sk_X509_num(more) > 0)
        sk_X509_push(tls->roots, sk_X509_shift(more));
    memcpy(tls->identity, identity, IDENTITY_SIZE);
    return 0;
}

int dv_tls_config_add_client(davit_tls_config *tls, const char *cert_name, const void *cert, size_t cert_size,
                             const char *key_name, const void *key, size_t key_size, davit_error **err)
{
    DV_AUTO(client_certificate) c = {.name = dv_strdup(cert_name), .chain = sk_X509_new_null()};
    unsigned char identity[IDENTITY_SIZE];
    if (!c.name || !c.chain)
        return dv_error_oom(err);
    int r = read_certificates(cert_name, cert, cert_size, c.chain, err);
    if (r == 0 && sk_X509_num(c.chain) == 0)
        r = dv_error_set(err, DAVIT_ECERTIFICATE, "%s: holds no certificate", cert_name);
    if (r == 0)
        r = read_key(key_name, key, key_size, &c.key, err);
    if (r < 0)
        return r;
    memcpy(identity, tls->identity, IDENTITY_SIZE);
    if (!mix(identity, 'c', c.chain))
        return dv_error_oom(err);
    c.leaf = sk_X509_shift(c.chain);
    if (X509_check_private_key(c.leaf, c.key) != 1) {
        ERR_clear_error();
        return dv_error_set(err, DAVIT_ECERTIFICATE, "%s: is not the key of the certificate %s", key_name,
                            cert_name);
    }
    client_certificate *more = dv_realloc_array(tls->clients, tls->client_count + 1, sizeof(*more));
    if (!more)
        return dv_error_oom(err);
    tls->clients = more;
    tls->clients[tls->client_count++] = c;
    c = (client_certificate){0}; /* moved */
    memcpy(tls->identity, identity, IDENTITY_SIZE);
    return 0;
}

/* --- roots ------------------------------------------------------------------------------------------------------- */

void dv_tls_roots_free(dv_tls_roots *roots)
{
    while (roots) {
        dv_tls_roots *next = roots->next;
        X509_STORE_free(roots->store);
        free(roots);
        roots = next;
    }
}

/* A bundle that was named must be readable; the system's own may be missing where we have roots of our own. */
static bool load_system_roots(X509_STORE *store, const dv_tls_session *session, CURL *easy)
{
    const char *file = NULL, *path = NULL;
    if (session->ca_file)
        return X509_STORE_load_file(store, session->ca_file);
    curl_easy_getinfo(easy, CURLINFO_CAINFO, &file);
    curl_easy_getinfo(easy, CURLINFO_CAPATH, &path);
    bool loaded = !file || X509_STORE_load_file(store, file);
    loaded = (!path || X509_STORE_load_path(store, path)) && loaded;
    return loaded || (session->config && session->config->has_roots);
}

static X509_STORE *make_store(const dv_tls_session *session, CURL *easy)
{
    X509_STORE *store = X509_STORE_new();
    if (!store)
        return NULL;
    bool ok = load_system_roots(store, session, easy);
    const davit_tls_config *config = session->config;
    for (int i = 0; ok && config && i < sk_X509_num(config->roots); i++)
        ok = X509_STORE_add_cert(store, sk_X509_value(config->roots, i));
    /* As libcurl has it and as Go does: what stands in the list is trusted, be it an intermediate or the server's own. */
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    ERR_clear_error();
    if (ok)
        return store;
    X509_STORE_free(store);
    return NULL;
}

/* The last of them goes when there are too many; a connection that uses it keeps it alive. */
static void keep(dv_tls_roots **list, dv_tls_roots *r)
{
    r->next = *list;
    *list = r;
    for (unsigned kept = 1; r; r = r->next, kept++)
        if (kept == ROOTS_KEPT) {
            dv_tls_roots_free(r->next);
            r->next = NULL;
        }
}

static CURLcode find_store(const dv_tls_session *session, CURL *easy, X509_STORE **out)
{
    const unsigned char *identity = identity_of(session->config);
    for (dv_tls_roots *r = *session->roots; r; r = r->next)
        if (memcmp(r->identity, identity, IDENTITY_SIZE) == 0) {
            *out = r->store;
            return CURLE_OK;
        }
    dv_tls_roots *r = dv_new(dv_tls_roots);
    if (!r)
        return CURLE_OUT_OF_MEMORY;
    r->store = make_store(session, easy);
    if (!r->store) {
        free(r);
        return CURLE_SSL_CACERT_BADFILE;
    }
    memcpy(r->identity, identity, IDENTITY_SIZE);
    keep(session->roots, r);
    *out = r->store;
    return CURLE_OK;
}

/* --- the handshake ----------------------------------------------------------------------------------------------- */

void dv_tls_session_unref(dv_tls_session *session)
{
    if (!session || --session->references > 0)
        return;
    davit_tls_config_free(session->config);
    free(session);
}

static void session_forgotten(void *parent, void *session, CRYPTO_EX_DATA *data, int index, long argl,
                              void *argp)
{
    dv_tls_session_unref(session);
}

static int session_index = -1;

static void make_session_index(void)
{
    session_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, session_forgotten);
}

/* Whether a certificate comes from one of these issuers, or an issuer of its chain does (Go's SupportsCertificate). */
static bool issuer_fits(const client_certificate *c, const STACK_OF(X509_NAME) * issuers)
{
    for (int i = 0; i < sk_X509_NAME_num(issuers); i++) {
        const X509_NAME *wanted = sk_X509_NAME_value(issuers, i);
        if (X509_NAME_cmp(X509_get_issuer_name(c->leaf), wanted) == 0)
            return true;
        for (int j = 0; j < sk_X509_num(c->chain); j++)
            if (X509_NAME_cmp(X509_get_issuer_name(sk_X509_value(c->chain, j)), wanted) == 0)
                return true;
    }
    return false;
}

/* The server asks for a client certificate: the first that fits is shown; where it names no issuers, the first. */
static int on_certificate_request(SSL *ssl, void *user)
{
    dv_tls_session *session = user;
    const davit_tls_config *config = session->config;
    const STACK_OF(X509_NAME) *issuers = SSL_get_client_CA_list(ssl);
    session->shown.asked = true;
    session->shown.shown = 0;
    for (size_t i = 0; config && session->shown.allowed && i < config->client_count; i++) {
        const client_certificate *c = &config->clients[i];
        if (sk_X509_NAME_num(issuers) > 0 && !issuer_fits(c, issuers))
            continue;
        session->shown.shown = (unsigned)i + 1;
        return SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, /* override= */ 1);
    }
    return 1; /* none: the server decides whether it goes on */
}

/* A proxy that speaks TLS has an SSL_CTX too; only the registry's has the limit that dv_tls_apply() set. */
static bool is_proxys(SSL_CTX *context)
{
    return SSL_CTX_get_max_proto_version(context) != TLS1_3_VERSION;
}

static CURLcode on_context(CURL *easy, void *ssl_context, void *user)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SSL_CTX *context = ssl_context;
    dv_tls_session *session = user;
    if (is_proxys(context))
        return CURLE_OK;
    pthread_once(&once, make_session_index);
    if (session_index < 0 || SSL_CTX_set_ex_data(context, session_index, session) != 1)
        return CURLE_OUT_OF_MEMORY;
    session->references++;
    session->shown = (dv_tls_shown){.allowed = session->shown.allowed};
    SSL_CTX_set_cert_cb(context, on_certificate_request, session);
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN); /* what stands in the file, no more */
    X509_STORE *store = NULL;
    CURLcode result = find_store(session, easy, &store);
    if (result == CURLE_OK)
        SSL_CTX_set1_cert_store(context, store);
    return result;
}

/* Name the configuration where libcurl looks for differences (see above). */
static bool set_identity(CURL *easy, const davit_tls_config *config, bool show_client)
{
    char hex[2 * IDENTITY_SIZE + 1], path[sizeof(NO_PATH) + sizeof(hex) + 8];
    dv_hex_encode(identity_of(config), IDENTITY_SIZE, hex);
    const char *suffix = show_client && config && config->client_count > 0 ? "/shown" : "";
    snprintf(path, sizeof(path), NO_PATH "%s%s", hex, suffix);
    return curl_easy_setopt(easy, CURLOPT_CAPATH, path) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK;
}

/* libcurl has another TLS library: the system's roots, or the bundle that was named, as it loads them itself. */
static int use_plain_defaults(CURL *easy, const dv_tls *tls, davit_error **err)
{
    if (memcmp(identity_of(tls->config), no_identity, IDENTITY_SIZE) != 0)
        return dv_error_set(err, DAVIT_ETLS, "certificates of a host of its own need a libcurl with OpenSSL");
    if (tls->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    return 0;
}

/* Make the session that on_context() gets; *out stays NULL where libcurl has another TLS library. */
static int make_session(CURL *easy, const dv_tls *tls, dv_tls_session **out, davit_error **err)
{
    if (curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context) != CURLE_OK)
        return use_plain_defaults(easy, tls, err);
    dv_tls_session *session = dv_new(dv_tls_session);
    if (!session || !set_identity(easy, tls->config, tls->show_client)) {
        free(session);
        return dv_error_oom(err);
    }
    session->references = 1;
    session->config = dv_tls_config_ref(tls->config);
    session->ca_file = tls->ca_file;
    session->roots = tls->roots;
    session->shown.allowed = tls->show_client;
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, session);
    *out = session;
    return 0;
}

int dv_tls_apply(void *easy, const dv_tls *tls, dv_tls_session **out, davit_error **err)
{
    bool verify = tls->verify && !(tls->config && tls->config->insecure);
    *out = NULL;
    /* The upper limit says nothing new; is_proxys() looks at it. */
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_3);
    curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, ciphers);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    if (verify)
        return make_session(easy, tls, out, err);
    /* libcurl reads the bundle even when nothing is verified. */
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    return 0;
}

dv_tls_shown dv_tls_session_shown(const dv_tls_session *session, void *easy)
{
    struct curl_tlssessioninfo *info = NULL;
    if (session_index >= 0 && curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &info) == CURLE_OK && info &&
        info->backend == CURLSSLBACKEND_OPENSSL && info->internals) {
        SSL *ssl = info->internals;
        const dv_tls_session *opener = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), session_index);
        if (opener)
            return opener->shown;
    }
    return session ? session->shown : (dv_tls_shown){0};
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

static bool is_unknown_issuer(long result)
{
    switch (result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return true;
    default:
        return false;
    }
}

int dv_tls_untrusted(const davit_tls_config *tls, void *easy, const char *host, const char *why,
                     davit_error **err)
{
    long result = X509_V_OK;
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
    if (tls && tls->directory && is_unknown_issuer(result))
        return dv_error_set(
            err, DAVIT_ECERTIFICATE,
            "%s: the certificate is not trusted: %s; if it should be, put its CA's into %s/ca.crt", host, why,
            tls->directory);
    return dv_error_set(err, DAVIT_ECERTIFICATE, "%s: the certificate is not trusted: %s", host, why);
}

int dv_tls_refused(const davit_tls_config *tls, const char *host, const dv_tls_shown *shown, const char *why,
                   davit_error **err)
{
    const char *directory = tls->directory ? tls->directory : "its TLS configuration";
    int r;
    if (shown->shown > 0 && shown->shown <= tls->client_count)
        r = dv_error_set(err, DAVIT_ETLS, "%s: refuses the client certificate %s of %s: %s", host,
                         tls->clients[shown->shown - 1].name, directory, why);
    else if (tls->client_count == 0)
        r = dv_error_set(
            err, DAVIT_ETLS,
            "%s: wants a client certificate; put one and its key into %s/client.cert and client.key", host,
            directory);
    else if (!shown->allowed)
        r = dv_error_set(err, DAVIT_ETLS,
                         "%s: wants a client certificate; those of %s are for the registry itself and for a "
                         "token server that may be given its credentials",
                         host, directory);
    else
        r = dv_error_set(err, DAVIT_ETLS,
                         "%s: wants a client certificate of an issuer that none of those of %s has", host,
                         directory);
    if (err && davit_error_code(*err) != DAVIT_ENOMEM) {
        (*err)->final = true;
        (*err)->kind = DV_ERROR_TRANSPORT;
    }
    return r;
}
