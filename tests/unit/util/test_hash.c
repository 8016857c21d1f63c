/* Unit tests of util/hash.c. */
#include "util/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void hash__pieces_give_the_digest_of_the_whole(void **state)
{
    static const struct {
        davit_digest_algorithm algorithm;
        const char *expected;
    } rows[] = {
        {DAVIT_SHA256, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {DAVIT_SHA384, "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                       "8086072ba1e7cc2358baeca134c825a7"},
        {DAVIT_SHA512, "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_hash) h = dv_hash_new(rows[i].algorithm);
        davit_digest d;
        dv_hash_update(h, "wrong", 5);
        dv_hash_reset(h);
        dv_hash_update(h, "a", 1);
        dv_hash_update(h, "", 0);
        dv_hash_update(h, "bc", 2);
        dv_hash_final(h, &d);
        assert_string_equal(d.text, rows[i].expected);
        assert_int_equal(d.algorithm, rows[i].algorithm);
    }
}

static void hash_new__unknown_algorithm(void **state)
{
    assert_null(dv_hash_new(DAVIT_DIGEST_NONE));
    assert_null(dv_hash_new((davit_digest_algorithm)9));
    dv_hash_free(NULL);
}

static void digest_from_bytes__clears_what_does_not_count(void **state)
{
    davit_digest d;
    uint8_t bytes[32] = {0xab};
    memset(&d, 0xff, sizeof(d));
    dv_digest_from_bytes(DAVIT_SHA256, bytes, &d);
    assert_memory_equal(d.text, "sha256:ab00", 11);
    assert_int_equal(strlen(d.text), 71);
    for (size_t i = 32; i < DAVIT_DIGEST_BYTES_MAX; i++)
        assert_int_equal(d.bytes[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__pieces_give_the_digest_of_the_whole),
        cmocka_unit_test(hash_new__unknown_algorithm),
        cmocka_unit_test(digest_from_bytes__clears_what_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
