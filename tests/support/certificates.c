/* tests/support/certificates.c - see certificates.h. */
#include "certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define must(condition)                                                           \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fprintf(stderr, "certificates: %s, line %d\n", #condition, __LINE__); \
            abort();                                                              \
        }                                                                         \
    } while (0)

static char *take_text(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    char *text = dv_strndup(data, (size_t)size);
    must(text);
    BIO_free(bio);
    return text;
}

static void add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension && X509_add_ext(x, extension, -1));
    X509_EXTENSION_free(extension);
}

void test_certificate_make(test_certificate *out, const char *name, const test_certificate *issuer, bool is_ca)
{
    static long serial = 1;
    X509 *x = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    must(x && key);
    must(X509_set_version(x, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(x), serial++));
    must(X509_gmtime_adj(X509_getm_notBefore(x), -3600) && X509_gmtime_adj(X509_getm_notAfter(x), 86400));
    must(X509_set_pubkey(x, key));
    must(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name,
                                    -1, -1, 0));
    must(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer->x509) : X509_get_subject_name(x)));
    add_extension(x, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!is_ca)
        add_extension(x, NID_subject_alt_name, "IP:127.0.0.1");
    must(X509_sign(x, issuer ? issuer->key : key, EVP_sha256()));
    BIO *pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
    must(pem && key_pem && PEM_write_bio_X509(pem, x));
    must(PEM_write_bio_PKCS8PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL));
    *out = (test_certificate){.x509 = x, .key = key, .pem = take_text(pem), .key_pem = take_text(key_pem)};
}

void test_certificate_clear(test_certificate *c)
{
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
    free(c->pem);
    free(c->key_pem);
}

char *test_certificate_encrypted_key(const test_certificate *c, bool traditional)
{
    static const char pass[] = "secret";
    BIO *pem = BIO_new(BIO_s_mem());
    must(pem);
    if (traditional)
        must(PEM_write_bio_PrivateKey_traditional(pem, c->key, EVP_aes_128_cbc(), (const unsigned char *)pass,
                                                  sizeof(pass) - 1, NULL, NULL));
    else
        must(PEM_write_bio_PKCS8PrivateKey(pem, c->key, EVP_aes_128_cbc(), pass, sizeof(pass) - 1, NULL,
                                           NULL));
    return take_text(pem);
}
