/* Options: what a value may look like, where options may stand, and what is said about wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#define ARGS_MAX 8

typedef struct own {
    bool all;
    davit_platform platform;
    const char *output;
} own;

static const dv_option own_options[] = {
    {"all", 'a', DV_OPTION_FLAG, offsetof(own, all), NULL, ""},
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(own, platform), "P", ""},
    {"output", 'o', DV_OPTION_TEXT, offsetof(own, output), "FILE", ""},
    {NULL},
};

/* Arguments are separated by blanks; they stay allocated, because values are borrowed from them. */
static int parse(const char *line, bool with_own, dv_globals *g, own *o, int *out_first, char **argv,
                 davit_error **err)
{
    static char copy[512];
    int argc = 0;
    snprintf(copy, sizeof(copy), "%s", line);
    argv[argc++] = (char *)"davit";
    for (char *word = strtok(copy, " "); word && argc < ARGS_MAX; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return dv_options_parse(g, with_own ? own_options : NULL, o, argc, argv, out_first, err);
}

static void check_error(const char *line, const char *expected)
{
    DV_AUTO(dv_globals) g;
    DV_AUTOPTR(davit_error) err = NULL;
    own o = {0};
    char *argv[ARGS_MAX + 1];
    int first;
    dv_globals_init(&g);
    int r = parse(line, true, &g, &o, &first, argv, &err);
    const char *got = r < 0 ? davit_error_message(err) : "(accepted)";
    if (r != DAVIT_EINVAL || strcmp(got, expected) != 0)
        print_error("%s\n  expected %s\n  got      %s\n", line, expected, got);
    assert_int_equal(r, DAVIT_EINVAL);
    assert_string_equal(got, expected);
}

static void options_parse__wrong_ones_are_named(void **state)
{
    static const struct {
        const char *line, *expected;
    } rows[] = {
        {"--bogus x", "unknown option '--bogus'"},
        {"--bogus=5", "unknown option '--bogus'"},
        {"-z", "unknown option '-z'"},
        {"-az", "unknown option '-z'"},
        {"x --store", "option '--store' needs a value"},
        {"-o", "option '-o' needs a value"},
        {"--quiet=yes", "option '--quiet' takes no value"},
        {"--store=", "--store: the value is empty"},
        {"--tls-verify=no", "--tls-verify: 'no' is not true or false"},
        {"--progress purple", "--progress: 'purple' is not auto, tty, plain, json or none"},
        {"--progress-fd 99", "--progress-fd: '99' is not a file descriptor that is open for writing"},
        {"--progress-fd -1", "--progress-fd: '-1' is not a file descriptor"},
        {"--max-concurrent-downloads 0", "--max-concurrent-downloads: '0' is not a number of at least 1"},
        {"--max-concurrent-downloads 4294967296",
         "--max-concurrent-downloads: '4294967296' is not a number of at least 1"},
        {"--max-concurrent-uploads 0", "--max-concurrent-uploads: '0' is not a number of at least 1"},
        {"--max-concurrent-uploads -1", "--max-concurrent-uploads: '-1' is not a number of at least 1"},
        {"--config=", "--config: the value is empty"},
        {"--certs-dir", "option '--certs-dir' needs a value"},
        {"--retry-delay soon", "--retry-delay: 'soon' is not a number of seconds, such as 30 or 0.5"},
        {"--min-rate 5G", "--min-rate: '5G' is not bytes a second, such as 1000, 64k or 1M"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_error(rows[i].line, rows[i].expected);
}

static void options_parse__global_ones_stand_before_and_after_the_command(void **state)
{
    static const char *const lines[] = {"--store /s -q -a x y", "x --store=/s y -aq", "x -q y -a --store /s"};
    for (size_t i = 0; i < DV_COUNT(lines); i++) {
        DV_AUTO(dv_globals) g;
        own o = {0};
        char *argv[ARGS_MAX + 1];
        int first;
        dv_globals_init(&g);
        if (parse(lines[i], true, &g, &o, &first, argv, NULL) != 0 || !g.quiet || !o.all)
            print_error("%s: not read\n", lines[i]);
        assert_true(g.quiet && o.all);
        assert_string_equal(g.store, "/s");
        assert_string_equal(argv[first], "x");
        assert_string_equal(argv[first + 1], "y");
        assert_null(argv[first + 2]);
    }
}

static void options_parse__files_and_numbers_of_the_configuration(void **state)
{
    DV_AUTO(dv_globals) g;
    own o = {0};
    char *argv[ARGS_MAX + 1];
    int first;
    dv_globals_init(&g);
    assert_null(g.config);
    assert_null(g.certs_dir);
    assert_int_equal(g.max_concurrent_uploads, 0);
    assert_int_equal(parse("--config /d.json x --certs-dir /certs --max-concurrent-uploads 7", true, &g, &o,
                           &first, argv, NULL),
                     0);
    assert_string_equal(g.config, "/d.json");
    assert_string_equal(g.certs_dir, "/certs");
    assert_int_equal(g.max_concurrent_uploads, 7);
}

static void options_parse__without_a_command_it_stops_at_the_first_word(void **state)
{
    DV_AUTO(dv_globals) g;
    char *argv[ARGS_MAX + 1];
    int first;
    dv_globals_init(&g);
    assert_int_equal(parse("--debug pull --all -q", false, &g, NULL, &first, argv, NULL), 0);
    assert_true(g.debug);
    assert_false(g.quiet);
    assert_string_equal(argv[first], "pull");
    assert_string_equal(argv[first + 1], "--all");
}

static void options_parse__two_dashes_end_options(void **state)
{
    DV_AUTO(dv_globals) g;
    own o = {0};
    char *argv[ARGS_MAX + 1];
    int first;
    dv_globals_init(&g);
    assert_int_equal(parse("-a -- -q", true, &g, &o, &first, argv, NULL), 0);
    assert_false(g.quiet);
    assert_string_equal(argv[first], "-q");
}

static void options_parse__lists_keep_their_order_and_end_with_null(void **state)
{
    DV_AUTO(dv_globals) g;
    own o = {0};
    char *argv[ARGS_MAX + 1];
    int first;
    dv_globals_init(&g);
    assert_int_equal(parse("--header a:1 x --header b:2", true, &g, &o, &first, argv, NULL), 0);
    assert_int_equal(g.headers.count, 2);
    assert_string_equal(g.headers.items[0], "a:1");
    assert_string_equal(g.headers.items[1], "b:2");
    assert_null(g.headers.items[2]);
    assert_null(g.registry_mirrors.items);
}

static void options_parse__seconds_have_fractions_and_are_never_zero(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } rows[] = {
        {"30", 30000},    {"0.5", 500},    {"0.05", 50},
        {".5", 500},      {"1.", 1000},    {"0.0001", 1},
        {"1.0005", 1001}, {"1.000", 1000}, {"1000000", 1000000000},
        {"1000001", -1},  {"0", -1},       {"0.0", -1},
        {"-3", -1},       {"1e3", -1},     {"5s", -1},
        {".", -1},        {" 5", -1},      {"99999999999999999999", -1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_globals) g;
        char *argv[] = {(char *)"davit", (char *)"--stall-timeout", (char *)rows[i].text, NULL};
        int first;
        dv_globals_init(&g);
        int r = dv_options_parse(&g, NULL, NULL, 3, argv, &first, NULL);
        int64_t got = r < 0 ? -1 : (int64_t)g.stall_timeout_ms;
        if (got != rows[i].ms)
            print_error("'%s': expected %lld, got %lld\n", rows[i].text, (long long)rows[i].ms,
                        (long long)got);
        assert_int_equal(got, rows[i].ms);
    }
}

static void options_parse__rates_have_binary_suffixes(void **state)
{
    static const struct {
        const char *text;
        int64_t rate; /* -1: refused */
    } rows[] = {
        {"1000", 1000}, {"1k", 1024}, {"64K", 65536}, {"1M", 1048576}, {"4095M", 4293918720}, {"4096M", -1},
        {"0", -1},      {"0k", -1},   {"k", -1},      {"1kk", -1},     {"1.5k", -1},          {"-1", -1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_globals) g;
        char *argv[] = {(char *)"davit", (char *)"--min-rate", (char *)rows[i].text, NULL};
        int first;
        dv_globals_init(&g);
        int r = dv_options_parse(&g, NULL, NULL, 3, argv, &first, NULL);
        int64_t got = r < 0 ? -1 : (int64_t)g.min_rate;
        if (got != rows[i].rate)
            print_error("'%s': expected %lld, got %lld\n", rows[i].text, (long long)rows[i].rate,
                        (long long)got);
        assert_int_equal(got, rows[i].rate);
    }
}

static void options_parse__tls_is_verified_unless_false(void **state)
{
    static const struct {
        const char *line;
        bool verified;
    } rows[] = {
        {"x", true}, {"--tls-verify", true}, {"--tls-verify=true", true}, {"--tls-verify=false x", false}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_globals) g;
        own o = {0};
        char *argv[ARGS_MAX + 1];
        int first;
        dv_globals_init(&g);
        assert_int_equal(parse(rows[i].line, true, &g, &o, &first, argv, NULL), 0);
        assert_int_equal(g.tls_verify, rows[i].verified);
    }
}

static void options_parse__a_platform_is_parsed_and_a_bad_one_is_not_an_argument(void **state)
{
    DV_AUTO(dv_globals) g;
    own o = {0};
    char *argv[ARGS_MAX + 1];
    int first;
    dv_globals_init(&g);
    assert_int_equal(parse("--platform linux/arm64 x", true, &g, &o, &first, argv, NULL), 0);
    assert_string_equal(o.platform.architecture, "arm64");
    assert_int_equal(parse("--platform linux/arm/v7/x x", true, &g, &o, &first, argv, NULL), DAVIT_EINVAL);
}

static void global_options__every_row_has_help_and_one_name(void **state)
{
    for (const dv_option *a = dv_global_options; a->name; a++) {
        assert_true(a->help && *a->help);
        assert_int_equal(a->value == NULL, a->kind == DV_OPTION_FLAG);
        for (const dv_option *b = a + 1; b->name; b++)
            assert_string_not_equal(a->name, b->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_parse__wrong_ones_are_named),
        cmocka_unit_test(options_parse__global_ones_stand_before_and_after_the_command),
        cmocka_unit_test(options_parse__files_and_numbers_of_the_configuration),
        cmocka_unit_test(options_parse__without_a_command_it_stops_at_the_first_word),
        cmocka_unit_test(options_parse__two_dashes_end_options),
        cmocka_unit_test(options_parse__lists_keep_their_order_and_end_with_null),
        cmocka_unit_test(options_parse__seconds_have_fractions_and_are_never_zero),
        cmocka_unit_test(options_parse__rates_have_binary_suffixes),
        cmocka_unit_test(options_parse__tls_is_verified_unless_false),
        cmocka_unit_test(options_parse__a_platform_is_parsed_and_a_bad_one_is_not_an_argument),
        cmocka_unit_test(global_options__every_row_has_help_and_one_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
