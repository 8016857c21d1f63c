/* Unit tests of oci/platform.c, platform_match.c and platform_host.c: pull.md 5.1-5.3. */
#include "oci/platform.h"

#include "util/buf.h"
#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const davit_platform amd64_host = {"linux", "amd64", "v3", ""};
static const davit_platform arm_host = {"linux", "arm", "v6", ""};
static const davit_platform arm7_host = {"linux", "arm", "v7", ""};
static const davit_platform arm64_host = {"linux", "arm64", "", ""};

static davit_platform platform(const char *os, const char *architecture, const char *variant)
{
    davit_platform p = {.os = ""};
    snprintf(p.os, sizeof(p.os), "%s", os);
    snprintf(p.architecture, sizeof(p.architecture), "%s", architecture);
    snprintf(p.variant, sizeof(p.variant), "%s", variant);
    return p;
}

static void platform_normalize__table_of_section_5_1(void **state)
{
    static const struct {
        const char *os, *architecture, *variant, *expected;
    } rows[] = {
        {"", "amd64", "", "linux/amd64"},
        {"LINUX", "AMD64", "V2", "linux/amd64/v2"},
        {"macOS", "arm64", "v8", "darwin/arm64"},
        {"linux", "i386", "v9", "linux/386"},
        {"linux", "386", "x", "linux/386/x"},
        {"linux", "x86_64", "", "linux/amd64"},
        {"linux", "x86-64", "v1", "linux/amd64"},
        {"linux", "amd64", "v1", "linux/amd64"},
        {"linux", "x86_64", "v3", "linux/amd64/v3"},
        {"linux", "aarch64", "", "linux/arm64"},
        {"linux", "aarch64", "8", "linux/arm64"},
        {"linux", "arm64", "v8", "linux/arm64"},
        {"linux", "arm64", "v8.0", "linux/arm64"},
        {"linux", "arm64", "9", "linux/arm64/v9"},
        {"linux", "arm64", "9.0", "linux/arm64/v9"},
        {"linux", "aarch64", "v9.0", "linux/arm64/v9"},
        {"linux", "arm64", "v8.2", "linux/arm64/v8.2"},
        {"linux", "armhf", "", "linux/arm/v7"},
        {"linux", "armel", "v5", "linux/arm/v6"},
        {"linux", "arm", "", "linux/arm/v7"},
        {"linux", "arm", "7", "linux/arm/v7"},
        {"linux", "arm", "5", "linux/arm/v5"},
        {"linux", "arm", "6", "linux/arm/v6"},
        {"linux", "arm", "8", "linux/arm/v8"},
        {"linux", "arm", "v6", "linux/arm/v6"},
        {"linux", "S390X", "", "linux/s390x"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_platform p = platform(rows[i].os, rows[i].architecture, rows[i].variant);
        char text[DAVIT_PLATFORM_TEXT_MAX];
        dv_platform_normalize_for(&p, &amd64_host);
        davit_platform_format(&p, text);
        if (strcmp(text, rows[i].expected) != 0)
            fail_msg("%s %s %s: expected %s, got %s", rows[i].os, rows[i].architecture, rows[i].variant,
                     rows[i].expected, text);
    }
}

static void platform_parse__parts_and_defaults(void **state)
{
    static const struct {
        const char *text;
        const davit_platform *host;
        const char *expected; /* NULL: refused */
    } rows[] = {
        {"linux", &amd64_host, "linux/amd64"},
        {"windows", &amd64_host, "windows/amd64"},
        {"windows(10.0.17763)", &amd64_host, "windows(10.0.17763)/amd64"},
        {"windows()", &amd64_host, "windows/amd64"},
        {"macos", &amd64_host, "darwin/amd64"},
        {"linux", &arm_host, "linux/arm/v6"},
        {"linux", &arm7_host, "linux/arm"},
        {"linux", &arm64_host, "linux/arm64"},
        {"amd64", &arm_host, "linux/amd64"},
        {"x86_64", &arm_host, "linux/amd64"},
        {"i386", &amd64_host, "linux/386"},
        {"arm", &amd64_host, "linux/arm"},
        {"armhf", &amd64_host, "linux/arm"},
        {"armel", &amd64_host, "linux/arm/v6"},
        {"ARM64", &amd64_host, "linux/arm64"},
        {"linux/amd64", &arm_host, "linux/amd64"},
        {"Linux/X86_64", &arm_host, "linux/amd64"},
        {"linux/arm", &amd64_host, "linux/arm"},
        {"linux/armel", &amd64_host, "linux/arm/v6"},
        {"linux/arm64", &amd64_host, "linux/arm64"},
        {"any/thing", &amd64_host, "any/thing"},
        {"linux/arm/v7", &amd64_host, "linux/arm/v7"},
        {"linux/arm/7", &amd64_host, "linux/arm/v7"},
        {"linux/arm/v6", &amd64_host, "linux/arm/v6"},
        {"linux/arm64/v8", &amd64_host, "linux/arm64/v8"},
        {"linux/aarch64/8", &amd64_host, "linux/arm64/v8"},
        {"linux/arm64/v9", &amd64_host, "linux/arm64/v9"},
        {"linux/amd64/v1", &amd64_host, "linux/amd64"},
        {"linux/amd64/v2", &amd64_host, "linux/amd64/v2"},
        {"windows(10.0)/amd64", &amd64_host, "windows(10.0)/amd64"},
        {"", &amd64_host, NULL},
        {"what", &amd64_host, NULL},
        {"amd64(1)", &amd64_host, NULL},
        {"*", &amd64_host, NULL},
        {"linux/*", &amd64_host, NULL},
        {"linux/", &amd64_host, NULL},
        {"/amd64", &amd64_host, NULL},
        {"linux//v7", &amd64_host, NULL},
        {"linux/arm/v7/x", &amd64_host, NULL},
        {"linux/arm/v7/", &amd64_host, NULL},
        {"li.nux/arm", &amd64_host, NULL},
        {"linux/a b", &amd64_host, NULL},
        {"linux(1", &amd64_host, NULL},
        {"linux(", &amd64_host, NULL},
        {"linux)1(", &amd64_host, NULL},
        {"linux(a b)/arm", &amd64_host, NULL},
        {"(1)/arm", &amd64_host, NULL},
        {"linux(1)x/arm", &amd64_host, NULL},
        {"linux/amd64\n", &amd64_host, NULL},
        {"linux/0123456789012345678901234567890123456789012345678901234567890123", &amd64_host, NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_platform p = {.os = "before"};
        DV_AUTOPTR(davit_error) err = NULL;
        char text[DAVIT_PLATFORM_TEXT_MAX];
        int r = dv_platform_parse_for(rows[i].text, rows[i].host, &p, &err);
        const char *got = r < 0 ? davit_error_message(err) : davit_platform_format(&p, text);
        if (rows[i].expected ? strcmp(rows[i].expected, got) != 0 : r != DAVIT_EINVAL)
            fail_msg("%s: expected %s, got %s", rows[i].text,
                     rows[i].expected ? rows[i].expected : "an error", got);
        if (r < 0)
            assert_string_equal(p.os, "before");
        if (r < 0 && strchr(rows[i].text, '*'))
            assert_non_null(strstr(got, "wildcards not yet supported"));
    }
}

static void platform_format__empty_parts_are_dropped(void **state)
{
    static const struct {
        davit_platform p;
        const char *expected;
    } rows[] = {
        {{"linux", "amd64", "", ""}, "linux/amd64"},
        {{"linux", "arm", "v7", ""}, "linux/arm/v7"},
        {{"windows", "amd64", "", "10.0.1"}, "windows(10.0.1)/amd64"},
        {{"linux", "", "", ""}, "linux"},
        {{"linux", "", "v7", ""}, "linux/v7"},
        {{"", "amd64", "", ""}, "unknown"},
        {{"", "", "", ""}, "unknown"},
    };
    char text[DAVIT_PLATFORM_TEXT_MAX];
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        assert_string_equal(davit_platform_format(&rows[i].p, text), rows[i].expected);
    davit_platform longest;
    memset(&longest, 'x', sizeof(longest));
    longest.os[63] = longest.architecture[63] = longest.variant[63] = longest.os_version[63] = '\0';
    assert_int_equal(strlen(davit_platform_format(&longest, text)), 4 * 63 + 4);
}

static void platform_vector__table_of_section_5_2(void **state)
{
    static const struct {
        const char *wanted[3];
        const davit_platform *host;
        const char *expected;
    } rows[] = {
        {{"", "", ""}, &amd64_host, "amd64/v3 amd64/v2 amd64 386"},
        {{"", "", "v4"}, &amd64_host, "amd64/v3 amd64/v2 amd64 386"},
        {{"linux", "amd64", ""}, &amd64_host, "amd64 386"},
        {{"linux", "amd64", "v1"}, &amd64_host, "amd64 386"},
        {{"linux", "x86_64", "v4"}, &amd64_host, "amd64/v4 amd64/v3 amd64/v2 amd64 386"},
        {{"linux", "amd64", "odd"}, &amd64_host, "amd64/odd 386"},
        {{"linux", "386", ""}, &amd64_host, "386"},
        {{"", "", ""}, &arm_host, "arm/v6 arm/v5"},
        {{"linux", "arm", ""}, &amd64_host, "arm/v7 arm/v6 arm/v5"},
        {{"linux", "arm", "v8"}, &amd64_host, "arm/v8 arm/v7 arm/v6 arm/v5"},
        {{"linux", "arm", "v5"}, &amd64_host, "arm/v5"},
        {{"linux", "arm", "v4"}, &amd64_host, "arm/v4"},
        {{"linux", "arm", "odd"}, &amd64_host, "arm/odd"},
        {{"", "", ""}, &arm64_host, "arm64 arm/v8 arm/v7 arm/v6 arm/v5"},
        {{"linux", "arm64", "v8"}, &amd64_host, "arm64 arm/v8 arm/v7 arm/v6 arm/v5"},
        {{"linux", "arm64", "v8.2"}, &amd64_host, "arm64/v8.2 arm64/v8.1 arm64 arm/v8 arm/v7 arm/v6 arm/v5"},
        {{"linux", "arm64", "v8.9"},
         &amd64_host,
         "arm64/v8.9 arm64/v8.8 arm64/v8.7 arm64/v8.6 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 arm64/v8.1 "
         "arm64 "
         "arm/v8 arm/v7 arm/v6 arm/v5"},
        {{"linux", "arm64", "v9"},
         &amd64_host,
         "arm64/v9 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 arm64/v8.1 arm64 arm/v8 arm/v7 arm/v6 arm/v5"},
        {{"linux", "arm64", "v9.1"},
         &amd64_host,
         "arm64/v9.1 arm64/v9 arm64/v8.6 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 arm64/v8.1 arm64 arm/v8 "
         "arm/v7 "
         "arm/v6 arm/v5"},
        {{"linux", "arm64", "v9.7"},
         &amd64_host,
         "arm64/v9.7 arm64/v9.6 arm64/v9.5 arm64/v9.4 arm64/v9.3 arm64/v9.2 arm64/v9.1 arm64/v9 arm64/v8.9 "
         "arm64/v8.8 "
         "arm64/v8.7 arm64/v8.6 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 arm64/v8.1 arm64 arm/v8 arm/v7 "
         "arm/v6 "
         "arm/v5"},
        {{"linux", "arm64", "v9.8"}, &amd64_host, ""},
        {{"linux", "arm64", "v8.10"}, &amd64_host, ""},
        {{"linux", "arm64", "v7"}, &amd64_host, ""},
        {{"linux", "arm64", "odd"}, &amd64_host, ""},
        {{"linux", "riscv64", ""}, &amd64_host, "riscv64"},
        {{"linux", "ppc64le", "power9"}, &amd64_host, "ppc64le/power9"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_platform wanted = platform(rows[i].wanted[0], rows[i].wanted[1], rows[i].wanted[2]);
        dv_platform_vector v;
        DV_AUTO(dv_buf) got = DV_BUF_INIT(4096);
        dv_platform_vector_init(&v, &wanted, rows[i].host);
        for (size_t n = 0; n < v.count; n++)
            dv_buf_printf(&got, "%s%s%s%s", n ? " " : "", v.places[n].architecture,
                          *v.places[n].variant ? "/" : "", v.places[n].variant);
        if (strcmp(dv_buf_text(&got), rows[i].expected) != 0)
            fail_msg("%s/%s/%s: expected %s, got %s", wanted.os, wanted.architecture, wanted.variant,
                     rows[i].expected, dv_buf_text(&got));
    }
}

static void platform_vector__silly_levels_stay_small(void **state)
{
    static const char *const variants[] = {"v64", "v65", "v4294967295", "99999999999999999999"};
    for (size_t i = 0; i < DV_COUNT(variants); i++) {
        davit_platform wanted = platform("linux", i % 2 ? "arm" : "amd64", variants[i]);
        dv_platform_vector v;
        dv_platform_vector_init(&v, &wanted, &amd64_host);
        assert_true(v.count >= 1 && v.count <= DV_PLATFORM_VECTOR_MAX);
        assert_string_equal(v.places[0].variant, variants[i]);
    }
}

static void platform_rank__entries_of_an_index(void **state)
{
    static const struct {
        const char *wanted[4];
        davit_platform entry;
        int expected; /* 100: behind everything */
    } rows[] = {
        {{"linux", "amd64", "v2", ""}, {"linux", "amd64", "v2", ""}, 0},
        {{"linux", "amd64", "v2", ""}, {"linux", "amd64", "", ""}, 1},
        {{"linux", "amd64", "v2", ""}, {"Linux", "X86_64", "v1", ""}, 1},
        {{"linux", "amd64", "v2", ""}, {"", "amd64", "", ""}, 1},
        {{"linux", "amd64", "v2", ""}, {"linux", "386", "", ""}, 2},
        {{"linux", "amd64", "v2", ""}, {"linux", "amd64", "v3", ""}, -1},
        {{"linux", "amd64", "v2", ""}, {"linux", "arm64", "", ""}, -1},
        {{"linux", "amd64", "v2", ""}, {"windows", "amd64", "", ""}, -1},
        {{"linux", "amd64", "v2", ""}, {"unknown", "unknown", "", ""}, -1},
        {{"unknown", "unknown", "", ""}, {"unknown", "unknown", "", ""}, -1},
        {{"linux", "amd64", "v2", ""}, {"", "", "", ""}, 100},
        {{"linux", "arm64", "odd", ""}, {"linux", "arm64", "odd", ""}, -1},
        {{"linux", "arm64", "v8", ""}, {"linux", "arm64", "v8", ""}, 0},
        {{"linux", "arm64", "v8", ""}, {"linux", "arm", "", ""}, 2},
        {{"linux", "amd64", "", "5.1"}, {"linux", "amd64", "", "6.2"}, 0},
        {{"windows", "amd64", "", ""}, {"windows", "amd64", "", "10.0.17763.1"}, 0},
        {{"windows", "amd64", "", "10.0"}, {"windows", "amd64", "", "10.0.17763.1"}, 0},
        {{"windows", "amd64", "", "10.0.17763"}, {"windows", "amd64", "", ""}, 0},
        {{"windows", "amd64", "", "10.0.17763"}, {"windows", "amd64", "", "10.0.17763.4"}, 0},
        {{"windows", "amd64", "", "10.0.17763"}, {"windows", "amd64", "", "10.0.17764"}, -1},
        {{"windows", "amd64", "", "10.0.17763"}, {"windows", "amd64", "", "10.x.17763"}, -1},
        {{"windows", "amd64", "", "10.0.17763"}, {"windows", "amd64", "", "10.0"}, -1},
        {{"windows", "amd64", "", "10.0.20348"}, {"windows", "amd64", "", "10.0.20348"}, 0},
        {{"windows", "amd64", "", "10.0.22621"}, {"windows", "amd64", "", "10.0.20348"}, 0},
        {{"windows", "amd64", "", "10.0.22621"}, {"windows", "amd64", "", "10.0.20347"}, -1},
        {{"windows", "amd64", "", "10.0.22621"}, {"windows", "amd64", "", "10.0.22622"}, -1},
        {{"windows", "amd64", "", "10.0.22621"}, {"windows", "amd64", "", "10.1.22621"}, -1},
        {{"windows", "amd64", "", "10.0.22621"}, {"windows", "amd64", "", "11.0.22621"}, -1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_platform wanted = platform(rows[i].wanted[0], rows[i].wanted[1], rows[i].wanted[2]);
        char text[DAVIT_PLATFORM_TEXT_MAX];
        dv_platform_vector v;
        snprintf(wanted.os_version, sizeof(wanted.os_version), "%s", rows[i].wanted[3]);
        dv_platform_vector_init(&v, &wanted, &amd64_host);
        int got = dv_platform_rank(&v, &rows[i].entry);
        int expected = rows[i].expected == 100 ? (int)v.count : rows[i].expected;
        if (got != expected)
            fail_msg("row %zu, entry %s: expected %d, got %d", i, davit_platform_format(&rows[i].entry, text),
                     expected, got);
    }
    dv_platform_vector v;
    dv_platform_vector_init(&v, NULL, &amd64_host);
    assert_int_equal(dv_platform_rank(&v, NULL), v.count);
}

#define LEAF1_V2 (1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23)
#define LEAF1_V3 (LEAF1_V2 | 1u << 12 | 1u << 22 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 29)
#define LEAF7_V3 (1u << 3 | 1u << 5 | 1u << 8)
#define LEAF7_V4 (LEAF7_V3 | 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31)

static void platform_amd64_level__needs_every_bit(void **state)
{
    static const dv_cpuid full = {7, LEAF1_V3, LEAF7_V4, 1u << 0 | 1u << 5, 0xe6};
    static const struct {
        dv_cpuid cpu;
        int expected;
    } rows[] = {
        {{7, LEAF1_V3, LEAF7_V4, 0x21, 0xe6}, 4}, {{6, LEAF1_V3, LEAF7_V4, 0x21, 0xe6}, 1},
        {{7, LEAF1_V3, LEAF7_V4, 0x21, 0xa6}, 3}, {{7, LEAF1_V3, LEAF7_V4, 0x21, 0x06}, 3},
        {{7, LEAF1_V3, LEAF7_V4, 0x21, 0x02}, 2}, {{7, LEAF1_V3, LEAF7_V4, 0x21, 0}, 2},
        {{7, LEAF1_V3, LEAF7_V3, 0x21, 0xe6}, 3}, {{7, LEAF1_V3, 0, 0x21, 0xe6}, 2},
        {{7, LEAF1_V3, LEAF7_V4, 0x01, 0xe6}, 2}, {{7, LEAF1_V3, LEAF7_V4, 0x20, 0xe6}, 1},
        {{7, LEAF1_V2, LEAF7_V4, 0x21, 0xe6}, 2}, {{7, 0, LEAF7_V4, 0x21, 0xe6}, 1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_platform_amd64_level(&rows[i].cpu) != rows[i].expected)
            fail_msg("row %zu: expected %d, got %d", i, rows[i].expected,
                     dv_platform_amd64_level(&rows[i].cpu));
    for (unsigned bit = 0; bit < 32; bit++) {
        dv_cpuid cpu = full;
        cpu.leaf1_ecx &= ~(1u << bit);
        int expected = LEAF1_V2 & 1u << bit ? 1 : LEAF1_V3 & 1u << bit ? 2 : 4;
        assert_int_equal(dv_platform_amd64_level(&cpu), expected);
        cpu = full;
        cpu.leaf7_ebx &= ~(1u << bit);
        expected = LEAF7_V3 & 1u << bit ? 2 : LEAF7_V4 & 1u << bit ? 3 : 4;
        assert_int_equal(dv_platform_amd64_level(&cpu), expected);
    }
}

static void platform_arm_variant__cpuinfo_then_machine(void **state)
{
    static const char *const rows[][3] = {
        {"processor\t: 0\nCPU architecture: 8\n", "aarch64", "v8"},
        {"CPU architecture\t: AArch64\n", "aarch64", "v8"},
        {"CPU architecture: 7\nmodel name\t: ARMv7 Processor rev 4\n", "armv7l", "v7"},
        {"model name\t: ARMv6-compatible processor rev 7\nCPU architecture: 7", "armv6l", "v6"},
        {"CPU architecture: 5TEJ\n", "armv5tejl", "v5"},
        {"CPU architecture: ?(13)\n", "", "v7"},
        {"CPU architecture: what\n", "armv7l", "v7"},
        {"CPU architecture 7\n", "armv6l", "v6"},
        {"", "armv8l", "v8"},
        {"", "aarch64", "v8"},
        {"", "x86_64", ""},
        {"no colon here", "", ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *got = dv_platform_arm_variant(rows[i][0], rows[i][1]);
        if (strcmp(got, rows[i][2]) != 0)
            fail_msg("row %zu: expected %s, got %s", i, rows[i][2], got);
    }
}

static void platform_host__is_in_normal_form(void **state)
{
    davit_platform host, again;
    davit_platform_host(&host);
    again = host;
    davit_platform_normalize(&again);
    assert_string_equal(host.os, "linux");
    assert_true(*host.architecture);
    assert_memory_equal(&host, &again, sizeof(host));
    davit_platform parsed;
    assert_int_equal(davit_platform_parse("linux", &parsed, NULL), 0);
    assert_string_equal(parsed.architecture, host.architecture);
    assert_false(davit_platform_is_empty(&host));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(platform_normalize__table_of_section_5_1),
        cmocka_unit_test(platform_parse__parts_and_defaults),
        cmocka_unit_test(platform_format__empty_parts_are_dropped),
        cmocka_unit_test(platform_vector__table_of_section_5_2),
        cmocka_unit_test(platform_vector__silly_levels_stay_small),
        cmocka_unit_test(platform_rank__entries_of_an_index),
        cmocka_unit_test(platform_amd64_level__needs_every_bit),
        cmocka_unit_test(platform_arm_variant__cpuinfo_then_machine),
        cmocka_unit_test(platform_host__is_in_normal_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
