/* Output: what reaches a terminal, one-line messages, exit statuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* An output into memory. */
typedef struct sheet {
    dv_output out;
    char text[200000];
    size_t size;
} sheet;

static void sheet_open(sheet *s, bool terminal)
{
    dv_output_init(&s->out, memfd_create("output", MFD_CLOEXEC));
    assert_true(s->out.fd >= 0);
    s->out.terminal = terminal;
}

static const char *sheet_close(sheet *s)
{
    assert_int_equal(dv_output_finish(&s->out, NULL), 0);
    ssize_t n = pread(s->out.fd, s->text, sizeof(s->text) - 1, 0);
    assert_true(n >= 0);
    s->size = (size_t)n;
    s->text[n] = '\0';
    close(s->out.fd);
    dv_output_clear(&s->out);
    return s->text;
}

static void message_format__is_one_safe_line(void **state)
{
    /* threat C11 */
    static const struct {
        const char *message, *expected;
    } rows[] = {
        {"plain", "plain"},
        {"one\ntwo", "one; two"},
        {"one\r\ntwo\n", "one; two"},
        {"one\n\n\ntwo", "one; two"},
        {"\nlead", "lead"},
        {"a\tb", "a b"},
        {"a\rb", "a b"},
        {"", ""},
        {"red \x1b[31m", "red \\x1B[31m"},
        {"csi \xc2\x9b"
         "31m",
         "csi \\xC2\\x9B31m"},
        {"bidi \xe2\x80\xae", "bidi \\xE2\\x80\\xAE"},
        {"broken \xff", "broken \\xFF"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) got = DV_BUF_INIT(DV_LINE_MAX);
        dv_message_format(&got, rows[i].message);
        if (strcmp(dv_buf_text(&got), rows[i].expected) != 0)
            print_error("row %zu: expected '%s', got '%s'\n", i, rows[i].expected, dv_buf_text(&got));
        assert_string_equal(dv_buf_text(&got), rows[i].expected);
    }
}

static void message_write__long_ones_are_cut_and_not_lost(void **state)
{
    DV_AUTOFREE char *message = malloc((1 << 20) + 1);
    memset(message, '\x01', 1 << 20);
    message[1 << 20] = '\0';
    int fd = memfd_create("message", MFD_CLOEXEC);
    dv_message_write(fd, "davit", message);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_int_equal(size, strlen("davit: ") + 4 * DV_MESSAGE_MAX + 1);
    close(fd);
}

static void output_raw__is_exact_without_a_terminal(void **state)
{
    static const char bytes[] = "\x00\x1b[31m\n\xff\xc2\x9b";
    sheet s;
    sheet_open(&s, /* terminal= */ false);
    dv_output_raw(&s.out, bytes, sizeof(bytes));
    sheet_close(&s);
    assert_int_equal(s.size, sizeof(bytes));
    assert_memory_equal(s.text, bytes, sizeof(bytes));
}

static void output_raw__is_escaped_on_a_terminal(void **state)
{
    /* threat C11 */
    sheet s;
    sheet_open(&s, /* terminal= */ true);
    static const char bytes[] = "{\n\t\"a\":\"\x1b[2J\xc2\x9b\"\n}";
    dv_output_raw(&s.out, bytes, strlen(bytes));
    assert_string_equal(sheet_close(&s), "{\n\t\"a\":\"\\x1B[2J\\xC2\\x9B\"\n}");
}

static void output_raw__characters_are_not_cut_in_two(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(100000);
    sheet s;
    for (int i = 0; i < 9000; i++)
        dv_buf_puts(&text, i % 3 ? "\xe2\x82\xac" : "x");
    sheet_open(&s, /* terminal= */ true);
    dv_output_raw(&s.out, text.data, text.size);
    assert_string_equal(sheet_close(&s), text.data);
}

static void output_text__is_escaped_always(void **state)
{
    /* threat C11 */
    sheet s;
    sheet_open(&s, /* terminal= */ false);
    dv_output_text(&s.out, "a\nb\x1b");
    assert_string_equal(sheet_close(&s), "a\\x0Ab\\x1B");
}

static void output_bytes__small_and_large_pieces_keep_their_order(void **state)
{
    static char large[60000];
    sheet s;
    memset(large, 'L', sizeof(large));
    sheet_open(&s, false);
    dv_output_printf(&s.out, "%d", 1);
    dv_output_bytes(&s.out, large, sizeof(large));
    for (int i = 0; i < 1000; i++)
        dv_output_bytes(&s.out, "0123456789012345678901234567890123456789", 40);
    const char *got = sheet_close(&s);
    assert_int_equal(s.size, 1 + sizeof(large) + 40000);
    assert_memory_equal(got, "1L", 2);
    assert_memory_equal(got + 1 + sizeof(large), "0123", 4);
}

static void output_bytes__no_piece_overtakes_another_of_any_size(void **state)
{
    sheet s;
    static char piece[40000];
    size_t total = 0;
    (void)state;
    for (size_t size = 1; size <= sizeof(piece); size += 4999) {
        sheet_open(&s, false);
        memset(piece, 'b', sizeof(piece));
        assert_int_equal(dv_output_bytes(&s.out, "a", 1), 0);
        assert_int_equal(dv_output_bytes(&s.out, piece, size), 0);
        assert_int_equal(dv_output_bytes(&s.out, "c", 1), 0);
        const char *text = sheet_close(&s);
        total += s.size;
        if (s.size != size + 2 || text[0] != 'a' || text[1] != 'b' || text[size + 1] != 'c')
            fail_msg("%zu bytes: %zu came out, first '%c'", size, s.size, text[0]);
    }
    assert_true(total > sizeof(piece));
}

static void output_json__what_could_steer_a_terminal_is_written_as_u(void **state)
{
    /* threat C11 */
    sheet s;
    DV_AUTOPTR(dv_json) object = dv_json_object_new();
    dv_json_set_string(object, "a", "\x1b \xc2\x9b \x7f \xe2\x80\xae \xc3\xa9 <\n>");
    sheet_open(&s, false);
    assert_int_equal(dv_output_json(&s.out, object, NULL), 0);
    const char *got = sheet_close(&s);
    assert_non_null(strstr(got, "\\u001"));
    assert_non_null(strstr(got, "\\u009b \\u007f \\u202e \xc3\xa9 <\\n>"));
    assert_int_equal(got[s.size - 1], '\n');
}

static void output_json_string__has_its_quotes(void **state)
{
    sheet s;
    sheet_open(&s, false);
    assert_int_equal(dv_output_json_string(&s.out, "a\"b\\\xe2\x80\xae", NULL), 0);
    assert_string_equal(sheet_close(&s), "\"a\\\"b\\\\\\u202e\"");
}

static void output_finish__says_that_the_disk_is_full(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    dv_output out;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    dv_output_init(&out, fd);
    dv_output_printf(&out, "x");
    assert_int_equal(dv_output_finish(&out, &err), DAVIT_ENOSPACE);
    assert_int_equal(out.error, ENOSPC);
    assert_int_equal(dv_output_bytes(&out, "y", 1), DAVIT_ENOSPACE);
    dv_output_clear(&out);
    close(fd);
}

static void exit_status__is_as_the_manual_says(void **state)
{
    static const struct {
        int code, status;
    } rows[] = {
        {0, 0},
        {DAVIT_EINVAL, 2},
        {DAVIT_ENOTFOUND, 3},
        {DAVIT_EPLATFORM, 3},
        {DAVIT_EUNAUTHORIZED, 4},
        {DAVIT_EDENIED, 4},
        {DAVIT_EDIGEST, 5},
        {DAVIT_ECERTIFICATE, 5},
        {DAVIT_ENETWORK, 6},
        {DAVIT_ETIMEOUT, 6},
        {DAVIT_ETLS, 6},
        {DAVIT_EUNAVAILABLE, 6},
        {DAVIT_ERATELIMIT, 6},
        {DAVIT_EIO, 7},
        {DAVIT_ENOSPACE, 7},
        {DAVIT_ESTORE, 7},
        {DAVIT_ECANCELLED, 130},
        {DAVIT_ENOMEM, 1},
        {DAVIT_ETOOBIG, 1},
        {DAVIT_EUNSUPPORTED, 1},
        {DAVIT_EPROTOCOL, 1},
        {DAVIT_EFORMAT, 1},
        {DAVIT_ECONFIG, 1},
        {DAVIT_EFORBIDDEN, 1},
        {-999, 1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        if (dv_exit_status(rows[i].code) != rows[i].status)
            print_error("%s: expected %d, got %d\n", davit_code_name(rows[i].code), rows[i].status,
                        dv_exit_status(rows[i].code));
        assert_int_equal(dv_exit_status(rows[i].code), rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_format__is_one_safe_line),
        cmocka_unit_test(message_write__long_ones_are_cut_and_not_lost),
        cmocka_unit_test(output_raw__is_exact_without_a_terminal),
        cmocka_unit_test(output_raw__is_escaped_on_a_terminal),
        cmocka_unit_test(output_raw__characters_are_not_cut_in_two),
        cmocka_unit_test(output_text__is_escaped_always),
        cmocka_unit_test(output_bytes__small_and_large_pieces_keep_their_order),
        cmocka_unit_test(output_bytes__no_piece_overtakes_another_of_any_size),
        cmocka_unit_test(output_json__what_could_steer_a_terminal_is_written_as_u),
        cmocka_unit_test(output_json_string__has_its_quotes),
        cmocka_unit_test(output_finish__says_that_the_disk_is_full),
        cmocka_unit_test(exit_status__is_as_the_manual_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
