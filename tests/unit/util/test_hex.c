/* Unit tests of util/hex.c. */
#include "util/hex.h"

#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void hex__there_and_back(void **state)
{
    uint8_t bytes[256], back[256];
    char text[513];
    for (size_t i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    dv_hex_encode(bytes, 256, text);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102030405060708090a0b", 24);
    assert_true(dv_hex_decode(text, back, 256));
    assert_memory_equal(bytes, back, 256);
    dv_hex_encode(bytes, 0, text);
    assert_string_equal(text, "");
    assert_true(dv_hex_decode("", back, 0));
}

static void hex_decode__exact_length_and_lower_case(void **state)
{
    static const char *const bad[] = {"", "0", "00", "000", "00000", "0g00", "00AB", "0x00", " 000", "00-1"};
    uint8_t out[2];
    for (size_t i = 0; i < DV_COUNT(bad); i++)
        if (dv_hex_decode(bad[i], out, 2))
            fail_msg("%s was accepted", bad[i]);
}

static void random_bytes__differ(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};
    dv_random_bytes(a, sizeof(a));
    dv_random_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    dv_random_bytes(a, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex__there_and_back),
        cmocka_unit_test(hex_decode__exact_length_and_lower_case),
        cmocka_unit_test(random_bytes__differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
