/* Unit tests of cli/credential_davit.c and cli/keyring.c: the protocol over this kernel's keyring, where there is one. */
#include "cli/credential_davit.h"

#include "cli/keyring.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#define SERVER "https://davit-unit-test.example/v1/"
#define NOT_FOUND "credentials not found in native keychain\n"

static int status; /* of the last run */

/* What a verb prints. Good until the next call. */
static const char *run(const char *verb, const char *input)
{
    static char text[200000];
    DV_AUTO(dv_buf) out = {.max = sizeof(text) - 1, .secret = true};
    char *argv[] = {(char *)DV_CREDENTIAL_DAVIT, (char *)verb, NULL};
    status = dv_credential_davit_run(verb ? 2 : 1, argv, input, strlen(input), &out);
    memcpy(text, dv_buf_text(&out), out.size + 1);
    return text;
}

#define need_keyring()                                                        \
    do {                                                                      \
        if (strstr(run("get", "x"), "cannot be used here")) {                 \
            print_message("no keyring on this machine: %s", run("get", "x")); \
            skip();                                                           \
        }                                                                     \
    } while (0)

static void credential_davit__is_known_by_its_name(void **state)
{
    static const struct {
        const char *argv0;
        bool meant;
    } rows[] = {
        {"docker-credential-davit", true},
        {"/usr/bin/docker-credential-davit", true},
        {"./docker-credential-davit", true},
        {"davit", false},
        {"docker-credential-davit2", false},
        {"x-docker-credential-davit", false},
        {"docker-credential-davit/davit", false},
        {"", false},
        {NULL, false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_credential_davit_is_meant(rows[i].argv0) != rows[i].meant)
            fail_msg("%s", rows[i].argv0 ? rows[i].argv0 : "NULL");
}

static void credential_davit__texts_of_the_protocol(void **state)
{
    static const struct {
        const char *verb, *input, *expected;
        int status;
    } rows[] = {
        {NULL, "", "Usage: docker-credential-davit <store|get|erase|list|version>\n", 1},
        {"--help", "", "Usage: docker-credential-davit <store|get|erase|list|version>\n", 0},
        {"version", "", "docker-credential-davit (davit) " DAVIT_VERSION "\n", 0},
        {"--version", "", "docker-credential-davit (davit) " DAVIT_VERSION "\n", 0},
        {"put", "", "docker-credential-davit: unknown action: put\n", 1},
        {"\x1b[2J", "", "docker-credential-davit: unknown action: \\x1B[2J\n", 1},
        {"get", "", "no credentials server URL\n", 1},
        {"get", " \r\n", "no credentials server URL\n", 1},
        {"erase", "\n", "no credentials server URL\n", 1},
        {"get", "a\nb", "the server URL is more than one line\n", 1},
        {"store", "{\"Username\":\"u\",\"Secret\":\"s\"}", "no credentials server URL\n", 1},
        {"store", "{\"ServerURL\":\"\",\"Username\":\"u\"}", "no credentials server URL\n", 1},
        {"store", "{\"ServerURL\":\"s\",\"Secret\":\"s\"}", "no credentials username\n", 1},
        {"store", "{\"ServerURL\":5}", "\"ServerURL\" is not a string\n", 1},
        {"store", "", "malformed JSON at byte 0: it ends too early\n", 1},
        {"store", "[]", "not a JSON object\n", 1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *got = run(rows[i].verb, rows[i].input);
        if (strcmp(got, rows[i].expected) != 0 || status != rows[i].status)
            fail_msg("%s \"%s\": got %d %s", rows[i].verb ? rows[i].verb : "", rows[i].input, status, got);
    }
}

static void credential_davit__keeps_and_forgets(void **state)
{
    need_keyring();
    run("erase", SERVER);
    assert_string_equal(run("get", SERVER), NOT_FOUND);
    assert_int_equal(status, 1);
    assert_string_equal(
        run("store", "{\"ServerURL\":\"" SERVER "\",\"Username\":\"u\",\"Secret\":\"p\\\"w:\\u00e9\"}\n"), "");
    assert_int_equal(status, 0);
    assert_string_equal(run("get", SERVER "\n"),
                        "{\"ServerURL\":\"" SERVER "\",\"Username\":\"u\",\"Secret\":\"p\\\"w:\xc3\xa9\"}\n");
    assert_int_equal(status, 0);
    assert_non_null(strstr(run("list", ""), "\"" SERVER "\":\"u\""));
    assert_int_equal(run("list", "")[0], '{');
    assert_string_equal(run("store", "{\"ServerURL\":\"" SERVER "\",\"Username\":\"v\",\"Secret\":\"\"}"), "");
    assert_string_equal(run("get", SERVER),
                        "{\"ServerURL\":\"" SERVER "\",\"Username\":\"v\",\"Secret\":\"\"}\n");
    assert_string_equal(run("get", SERVER "x"), NOT_FOUND);
    assert_string_equal(run("erase", SERVER), "");
    assert_int_equal(status, 0);
    assert_string_equal(run("get", SERVER), NOT_FOUND);
    assert_string_equal(run("erase", SERVER), "");
    assert_int_equal(status, 0);
    assert_null(strstr(run("list", ""), SERVER));
}

/* The point of KEY_PERMISSIONS: a process whose session does not lead to the user keyring. */
static void credential_davit__another_session_of_the_user_can_read_it(void **state)
{
    need_keyring();
    run("store", "{\"ServerURL\":\"" SERVER "\",\"Username\":\"u\",\"Secret\":\"p\"}");
    assert_int_equal(status, 0);
    pid_t pid = fork();
    if (pid == 0) {
        syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
        bool same = strstr(run("get", SERVER), "\"Secret\":\"p\"") && strstr(run("list", ""), SERVER);
        _exit(same ? 0 : 1);
    }
    int result;
    waitpid(pid, &result, 0);
    run("erase", SERVER);
    assert_int_equal(result, 0);
}

static void credential_davit__a_long_secret_is_refused_with_the_limit(void **state)
{
    DV_AUTO(dv_buf) input = DV_BUF_INIT(100000);
    need_keyring();
    for (int extra = 0; extra < 2; extra++) {
        dv_buf_reset(&input);
        dv_buf_puts(&input, "{\"ServerURL\":\"" SERVER "\",\"Username\":\"u\",\"Secret\":\"");
        for (int i = 0; i < DV_KEYRING_PAYLOAD_MAX - 2 + extra; i++)
            dv_buf_putc(&input, 's');
        dv_buf_puts(&input, "\"}");
        const char *got = run("store", dv_buf_text(&input));
        assert_string_equal(
            got, extra ? "user name and secret have 32767 bytes together; the kernel's keyring takes 32766\n"
                       : "");
        if (!extra)
            assert_true(strlen(run("get", SERVER)) > 32000);
    }
    run("erase", SERVER);
}

/* As in a container: the system calls are forbidden. */
static void credential_davit__without_a_keyring_says_what_to_do(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_keyctl, 1, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_add_key, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1 /* EPERM */),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = {DV_COUNT(filter), filter};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
            _exit(2);
        static const char expected[] = "the kernel's keyring cannot be used here; in a container, allow the "
                                       "system calls add_key and keyctl, or take "
                                       "another credsStore: Operation not permitted\n";
        bool same = strcmp(run("get", SERVER), expected) == 0 && status == 1 &&
                    strcmp(run("store", "{\"ServerURL\":\"s\",\"Username\":\"u\",\"Secret\":\"s\"}"),
                           expected) == 0 &&
                    strcmp(run("erase", SERVER), expected) == 0 && strcmp(run("list", ""), expected) == 0;
        _exit(same ? 0 : 1);
    }
    int result;
    waitpid(pid, &result, 0);
    if (WIFEXITED(result) && WEXITSTATUS(result) == 2) {
        print_message("no seccomp filters on this machine\n");
        skip();
    }
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credential_davit__is_known_by_its_name),
        cmocka_unit_test(credential_davit__texts_of_the_protocol),
        cmocka_unit_test(credential_davit__keeps_and_forgets),
        cmocka_unit_test(credential_davit__another_session_of_the_user_can_read_it),
        cmocka_unit_test(credential_davit__a_long_secret_is_refused_with_the_limit),
        cmocka_unit_test(credential_davit__without_a_keyring_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
