/* Unit tests of oci/digest.c: reference.md 8. */
#include "davit/digest.h"

#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define H32 "0123456789abcdef0123456789abcdef"
#define FORMAT "invalid checksum digest format"
#define LENGTH "invalid checksum digest length"
#define ALGORITHM "unsupported digest algorithm"

/* threats B1, B9 */
static void digest_parse__checks_in_order(void **state)
{
    static const struct {
        const char *text, *error;
        davit_digest_algorithm algorithm;
    } rows[] = {
        {"sha256:" H32 H32, NULL, DAVIT_SHA256},
        {"sha384:" H32 H32 H32, NULL, DAVIT_SHA384},
        {"sha512:" H32 H32 H32 H32, NULL, DAVIT_SHA512},
        {"", FORMAT},
        {"sha256", FORMAT},
        {":" H32 H32, FORMAT},
        {"sha256:", FORMAT},
        {"sha256:" H32, LENGTH},
        {"sha256:" H32 H32 "0", LENGTH},
        {"sha512:" H32 H32, LENGTH},
        {"sha256:zz", LENGTH},
        {"sha256:../../../../etc/passwd", LENGTH},
        {"sha256:" H32 "0123456789abcdef0123456789abcdeF", FORMAT},
        {"sha256:" H32 "0123456789abcdef0123456789abcde/", FORMAT},
        {"sha256:" H32 "0123456789abcdef0123456789abcde\n", FORMAT},
        {"sha256:x:" H32 "0123456789abcdef0123456789abcd", FORMAT},
        {"SHA256:" H32 H32, FORMAT},
        {"sha1:" H32, ALGORITHM},
        {"md5:x", ALGORITHM},
        {"a+b.c_d-e:AZaz09=_-", ALGORITHM},
        {"sha256+b64:abc", ALGORITHM},
        {"a++b:x", FORMAT},
        {"+a:x", FORMAT},
        {"a+:x", FORMAT},
        {"../x:y", FORMAT},
        {"sha1:../x", FORMAT},
        {"sha1:a:b", FORMAT},
        {"sha256 :" H32 H32, FORMAT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        davit_digest d = {.algorithm = DAVIT_DIGEST_NONE};
        int r = davit_digest_parse(rows[i].text, &d, &err);
        const char *got = r < 0 ? davit_error_message(err) : "(none)";
        if (strcmp(rows[i].error ? rows[i].error : "(none)", got) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].text, rows[i].error, got);
        assert_int_equal(r, rows[i].error ? DAVIT_EINVAL : 0);
        assert_int_equal(d.algorithm, rows[i].algorithm);
        assert_string_equal(d.text, rows[i].error ? "" : rows[i].text);
    }
}

static void digest_of__hashes_bytes(void **state)
{
    davit_digest d;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "", 0, &d, NULL), 0);
    assert_string_equal(d.text, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(davit_digest_hex(&d), d.text + 7);
    assert_int_equal(d.bytes[0], 0xe3);
    assert_int_equal(davit_digest_of(DAVIT_SHA512, "abc", 3, &d, NULL), 0);
    assert_string_equal(d.text, "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(davit_digest_of(DAVIT_DIGEST_NONE, "", 0, &d, &err), DAVIT_EUNSUPPORTED);
    assert_int_equal(davit_digest_of((davit_digest_algorithm)9, "", 0, &d, NULL), DAVIT_EUNSUPPORTED);
}

static void digest_equal__compares_algorithm_and_value(void **state)
{
    davit_digest a, b, c, d;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "a", 1, &a, NULL), 0);
    assert_int_equal(davit_digest_parse(a.text, &b, NULL), 0);
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "c", 1, &c, NULL), 0);
    d = a;
    d.algorithm = DAVIT_SHA512;
    assert_true(davit_digest_equal(&a, &b));
    assert_false(davit_digest_equal(&a, &c));
    assert_false(davit_digest_equal(&a, &d));
}

static void digest_algorithm_name__known_and_unknown(void **state)
{
    assert_string_equal(davit_digest_algorithm_name(DAVIT_SHA256), "sha256");
    assert_string_equal(davit_digest_algorithm_name(DAVIT_SHA384), "sha384");
    assert_string_equal(davit_digest_algorithm_name(DAVIT_SHA512), "sha512");
    assert_string_equal(davit_digest_algorithm_name(DAVIT_DIGEST_NONE), "");
    assert_string_equal(davit_digest_algorithm_name((davit_digest_algorithm)77), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_parse__checks_in_order),
        cmocka_unit_test(digest_of__hashes_bytes),
        cmocka_unit_test(digest_equal__compares_algorithm_and_value),
        cmocka_unit_test(digest_algorithm_name__known_and_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
