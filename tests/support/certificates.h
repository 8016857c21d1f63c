/* tests/support/certificates.h - CAs, servers and users for C tests, made as they are needed. Aborts where OpenSSL cannot. */
#ifndef DV_TEST_CERTIFICATES_H
#define DV_TEST_CERTIFICATES_H

#include "util/alloc.h"

#include <openssl/x509.h>
#include <stdbool.h>

typedef struct test_certificate {
    X509 *x509;
    EVP_PKEY *key;
    char *pem;     /* the certificate alone */
    char *key_pem; /* PKCS #8 */
} test_certificate;

/* Named CN=name, signed by issuer (NULL: by itself), good for 127.0.0.1. */
void test_certificate_make(test_certificate *out, const char *name, const test_certificate *issuer,
                           bool is_ca);
void test_certificate_clear(test_certificate *c);
DV_DEFINE_AUTO(test_certificate, test_certificate_clear)

/* The key encrypted with a passphrase: "traditional" PEM with its headers, else PKCS #8. Free with free(). */
char *test_certificate_encrypted_key(const test_certificate *c, bool traditional);

#endif
