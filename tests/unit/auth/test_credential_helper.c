/* Unit tests of auth/credential_helper.c and auth/helper_process.c (auth.md 5; threats A9-A12, D12). The helpers are scripts. */
#include "auth/credential_helper.h"

#include "auth/auth_config.h"
#include "auth/helper_process.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define NOT_FOUND "credentials not found in native keychain"

/* --- names, servers, answers ---------------------------------------------------------------------------------------- */

static void helper_name__is_no_path(void **state)
{
    static const struct {
        const char *name;
        bool valid;
    } rows[] = {
        {"pass", true},   {"secretservice", true}, {"ecr-login", true}, {"a_b.c-1", true}, {"_x", true},
        {"", false},      {"../../tmp/x", false},  {"/tmp/x", false},   {"a/b", false},    {"..", false},
        {".x", false},    {"-x", false},           {"a b", false},      {"a\n", false},    {"a;id", false},
        {"$(id)", false}, {"a\\b", false},         {"é", false},        {"a:b", false},
    };
    char long_name[DV_HELPER_NAME_MAX + 2];
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_helper_name_is_valid(rows[i].name) != rows[i].valid)
            fail_msg("\"%s\"", rows[i].name);
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_false(dv_helper_name_is_valid(long_name));
}

static void helper_server__is_one_line(void **state)
{
    static const struct {
        const char *server;
        bool valid;
    } rows[] = {
        {"https://index.docker.io/v1/", true},
        {"h:5000", true},
        {"[::1]:5", true},
        {"http://h", true},
        {"", false},
        {"h\n", false},
        {"h\nprotocol=https", false},
        {"h\r", false},
        {"h h", false},
        {"-h", false},
        {"h?x", false},
        {"h@x", false},
        {"h%0a", false},
        {"h\x7f", false},
        {"/h", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_helper_server_is_valid(rows[i].server) != rows[i].valid)
            fail_msg("\"%s\"", rows[i].server);
}

/* "user:password", "<identity token>", "" for none, "error ..." */
static const char *show(int r, davit_auth_config *c, const davit_error *err)
{
    static char text[2000];
    if (r < 0)
        snprintf(text, sizeof(text), "error %s", davit_error_message(err));
    else if (r == 0)
        text[0] = '\0';
    else if (c->identitytoken)
        snprintf(text, sizeof(text), "<%s>%s", c->identitytoken, c->username ? c->username : "");
    else
        snprintf(text, sizeof(text), "%s:%s", c->username, c->password);
    return text;
}

static void helper_answer__what_is_believed(void **state)
{
    static const struct {
        const char *answer, *server, *expected;
    } rows[] = {
        {"{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"s\"}", "h", "u:s"},
        {" {\"Secret\":\"s\",\"Username\":\"u\",\"More\":[1]}\n", "h", "u:s"}, /* gcloud says no ServerURL */
        {"{\"ServerURL\":\"\",\"Username\":\"u\",\"Secret\":\"s\"}", "h", "u:s"},
        {"{\"ServerURL\":null,\"Username\":\"u\",\"Secret\":\"s\"}", "h", "u:s"},
        {"{\"ServerURL\":\"https://h\",\"Username\":\"u\",\"Secret\":\"s\"}", "h", "u:s"},
        {"{\"ServerURL\":\"https://h/v1/\",\"Username\":\"u\",\"Secret\":\"s\"}", "h", "u:s"},
        {"{\"ServerURL\":\"h/\",\"Username\":\"u\",\"Secret\":\"s\"}", "h", "u:s"},
        {"{\"ServerURL\":\"https://index.docker.io/v1/\",\"Username\":\"u\",\"Secret\":\"s\"}",
         "https://index.docker.io/v1/", "u:s"},
        {"{\"ServerURL\":\"index.docker.io\",\"Username\":\"u\",\"Secret\":\"s\"}",
         "https://index.docker.io/v1/", "u:s"},
        {"{\"ServerURL\":\"h\",\"Username\":\"<token>\",\"Secret\":\"T\"}", "h", "<T>"},
        {"{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"a:b\\u00e9\"}", "h", "u:a:b\xc3\xa9"},
        /* nothing in it */
        {"{}", "h", ""},
        {"{\"ServerURL\":\"h\",\"Username\":\"\",\"Secret\":\"\"}", "h", ""},
        {"{\"ServerURL\":\"h\",\"Username\":\"<token>\",\"Secret\":\"\"}", "h", ""},
        {"{\"ServerURL\":\"h\",\"Username\":\"u\"}", "h", ""},
        /* threat A10 */
        {"{\"ServerURL\":\"evil\",\"Username\":\"u\",\"Secret\":\"s3cret\"}", "h",
         "error asked for h, it answered for evil"},
        {"{\"ServerURL\":\"h:5000\",\"Username\":\"u\",\"Secret\":\"s3cret\"}", "h",
         "error asked for h, it answered for h:5000"},
        {"{\"ServerURL\":\"docker.io\",\"Username\":\"u\",\"Secret\":\"s3cret\"}",
         "https://index.docker.io/v1/",
         "error asked for https://index.docker.io/v1/, it answered for docker.io"},
        {"{\"ServerURL\":\"e\\u001b[2J\",\"Username\":\"u\",\"Secret\":\"s3cret\"}", "h",
         "error asked for h, it answered for e\\x1B[2J"},
        {"{\"ServerURL\":\"h\",\"Username\":\"u\\r\\nX: y\",\"Secret\":\"s3cret\"}", "h",
         "error a line break in ServerURL, Username or Secret"},
        {"{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"s3cret\\n\"}", "h",
         "error a line break in ServerURL, Username or Secret"},
        {"{\"ServerURL\":\"h\\n\",\"Username\":\"u\",\"Secret\":\"s3cret\"}", "h",
         "error a line break in ServerURL, Username or Secret"},
        {"{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"s3cret\\u0000\"}", "h",
         "error \"Secret\" is not a string"},
        {"{\"ServerURL\":\"h\",\"Username\":5,\"Secret\":\"s3cret\"}", "h",
         "error \"Username\" is not a string"},
        {"[\"s3cret\"]", "h", "error not a JSON object"},
        {"\"s3cret\"", "h", "error not a JSON object"},
        {"", "h", "error malformed JSON at byte 0"},
        {"s3cret", "h", "error malformed JSON at byte 0"},
        {"{\"Secret\":\"s3cret", "h", "error malformed JSON at byte"},
        {"{\"Secret\":\"s3cret\"} {}", "h", "error malformed JSON at byte"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_helper_answer_parse(rows[i].answer, strlen(rows[i].answer), rows[i].server, &c, &err);
        const char *got = show(r, &c, err);
        if ((r < 0 && r != DAVIT_ECONFIG) ||
            (r < 0 ? !dv_str_starts(got, rows[i].expected) : strcmp(got, rows[i].expected) != 0))
            fail_msg("%s for %s: expected \"%s\", got \"%s\"", rows[i].answer, rows[i].server,
                     rows[i].expected, got);
        if (r < 0 && strstr(got, "s3cret"))
            fail_msg("%s: the secret is in the error", rows[i].answer);
        if (r > 0)
            assert_string_equal(c.serveraddress, rows[i].server);
    }
}

/* --- scripts -------------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/davit-helper-XXXXXX";
static char path_variable[400];

static char *get(const char *name)
{
    return strcmp(name, "PATH") == 0 ? path_variable : getenv(name);
}

static int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(path_variable, sizeof(path_variable), "%s:/usr/bin:/bin", folder);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int remove_folder(void **state)
{
    return nftw(folder, remove_entry, 10, FTW_DEPTH | FTW_PHYS);
}

static void below(char out[300], const char *name)
{
    snprintf(out, 300, "%s/%s", folder, name);
}

/* A helper "x" with this body; mode 0: 0755. */
static void script(const char *body, mode_t mode)
{
    char path[300];
    DV_AUTO(dv_buf) text = DV_BUF_INIT(10000);
    below(path, "docker-credential-x");
    dv_buf_printf(&text, "#!/bin/sh\ncd %s\n%s\n", folder, body);
    assert_int_equal(dv_file_replace(AT_FDCWD, path, text.data, text.size, mode ? mode : 0755, NULL), 0);
}

static const char *read_back(const char *name)
{
    static char text[20000];
    char path[300];
    below(path, name);
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(sizeof(text) - 1);
    assert_int_equal(dv_file_read(AT_FDCWD, path, sizeof(text) - 1, &bytes, NULL), 0);
    memcpy(text, dv_buf_text(&bytes), bytes.size + 1);
    return text;
}

static const dv_credential_helper x = {.name = "x", .environment = get, .timeout_ms = 10000};
static int code; /* of the last question */

static const char *ask(const dv_credential_helper *h, const char *server)
{
    DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    code = dv_credential_helper_get(h, server, &c, &err);
    return show(code, &c, err);
}

#define ANSWER "echo '{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"s\"}'"

static void helper_get__what_it_says(void **state)
{
    static const struct {
        const char *body, *expected;
        int code;
    } rows[] = {
        {ANSWER, "u:s", 1},
        {"read s; echo "
         "\"{\\\"ServerURL\\\":\\\"$s\\\",\\\"Username\\\":\\\"$1\\\",\\\"Secret\\\":\\\"$#\\\"}\"",
         "get:1", 1},
        {"echo '" NOT_FOUND "'; exit 1", "", 0},
        {"echo '" NOT_FOUND "'", "", 0},
        {"printf '  " NOT_FOUND "\\n\\n'; exit 7", "", 0},
        {"echo 'no " NOT_FOUND "'; exit 1",
         "error error getting credentials - err: docker-credential-x: exit status 1, out: `no " NOT_FOUND "`",
         DAVIT_ECONFIG},
        {"echo '" NOT_FOUND "' >&2; exit 1",
         "error error getting credentials - err: docker-credential-x: exit status 1, out: ``, stderr: "
         "`" NOT_FOUND "`",
         DAVIT_ECONFIG},
        {"echo ' locked '; echo 'why \033[2J' >&2; exit 3",
         "error error getting credentials - err: docker-credential-x: exit status 3, out: `locked`, stderr: "
         "`why \\x1B[2J`",
         DAVIT_ECONFIG},
        {"kill -9 $$", "error error getting credentials - err: docker-credential-x: signal: Killed, out: ``",
         DAVIT_ECONFIG},
        /* threat A12: an answer with a failure is not repeated */
        {ANSWER "; exit 1",
         "error error getting credentials - err: docker-credential-x: exit status 1, out: `***`",
         DAVIT_ECONFIG},
        {"echo 'my secret is x' >&2; exit 1",
         "error error getting credentials - err: docker-credential-x: exit status 1, out: ``, stderr: `***`",
         DAVIT_ECONFIG},
        {"true",
         "error error getting credentials - err: docker-credential-x: wrong answer: malformed JSON at byte "
         "0: it ends too early",
         DAVIT_ECONFIG},
        {"echo garbage",
         "error error getting credentials - err: docker-credential-x: wrong answer: malformed JSON at byte "
         "0: a value should stand "
         "here",
         DAVIT_ECONFIG},
        {"head -c 2000000 /dev/zero",
         "error error getting credentials - err: docker-credential-x: says more than 1048576 bytes",
         DAVIT_ECONFIG},
        {"yes x", "error error getting credentials - err: docker-credential-x: says more than 1048576 bytes",
         DAVIT_ECONFIG},
        {"yes x >&2",
         "error error getting credentials - err: docker-credential-x: says more than 1048576 bytes",
         DAVIT_ECONFIG},
        {"exec <&-; " ANSWER, "u:s", 1},
        {"head -c 900000 /dev/zero >&2; " ANSWER, "u:s", 1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        script(rows[i].body, 0);
        const char *got = ask(&x, "h");
        if (strcmp(got, rows[i].expected) != 0 && i != 1)
            fail_msg("%s: expected \"%s\", got \"%s\"", rows[i].body, rows[i].expected, got);
        if (code != rows[i].code)
            fail_msg("%s: code %d", rows[i].body, code);
    }
    script(rows[1].body, 0); /* argv is {helper, verb} */
    assert_string_equal(ask(&x, "h"), "get:1");
}

static void helper_get__refuses_names_and_servers_before_anything_runs(void **state)
{
    static const char *const names[] = {"../x", "/x", "", ".x", "-x", "x y", "x\n"};
    script("touch ran; " ANSWER, 0);
    for (size_t i = 0; i < DV_COUNT(names); i++) {
        dv_credential_helper h = x;
        h.name = names[i];
        assert_true(dv_str_starts(ask(&h, "h"),
                                  "error error getting credentials - err: the name of a credential helper"));
        assert_int_equal(code, DAVIT_ECONFIG);
    }
    assert_true(dv_str_starts(ask(&x, "h\nhost=evil"), "error "));
    assert_int_equal(code, DAVIT_EINVAL);
    char ran[300];
    below(ran, "ran");
    assert_int_not_equal(access(ran, F_OK), 0);
}

static void helper_get__searches_absolute_directories_only(void **state)
{
    char before[400], cwd[300], dir[300];
    struct stat st;
    memcpy(before, path_variable, sizeof(before));
    script(ANSWER, 0);
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_int_equal(chdir(folder), 0);
    static const char *const missing[] = {"", ":", ".", "./", ":/usr/bin:", "relative:/usr/bin", "../tmp"};
    for (size_t i = 0; i < DV_COUNT(missing); i++) {
        snprintf(path_variable, sizeof(path_variable), "%s", missing[i]);
        const char *got = ask(&x, "h");
        if (!dv_str_starts(
                got, "error error getting credentials - err: exec: \"docker-credential-x\": executable file "
                     "not found in $PATH"))
            fail_msg("PATH=%s: %s", missing[i], got);
    }
    assert_int_equal(chdir(cwd), 0);
    snprintf(path_variable, sizeof(path_variable), "/nowhere::.:%s", folder);
    assert_string_equal(ask(&x, "h"), "u:s");
    /* A directory of that name, and a file that may not be executed, are passed over. */
    below(dir, "first");
    mkdir(dir, 0755);
    below(dir, "first/docker-credential-x");
    mkdir(dir, 0755);
    snprintf(path_variable, sizeof(path_variable), "%s/first:%s", folder, folder);
    assert_string_equal(ask(&x, "h"), "u:s");
    script(ANSWER, 0644);
    assert_true(dv_str_starts(ask(&x, "h"), "error error getting credentials - err: exec: "));
    /* threat A11: not where everybody may put one */
    script(ANSWER, 0);
    assert_int_equal(stat(folder, &st), 0);
    chmod(folder, 01777);
    assert_true(dv_str_starts(ask(&x, "h"), "error error getting credentials - err: exec: "));
    chmod(folder, st.st_mode & 07777);
    memcpy(path_variable, before, sizeof(before));
}

static void helper_get__no_shell_runs_what_is_no_program(void **state)
{
    char path[300];
    below(path, "docker-credential-x");
    assert_int_equal(dv_file_replace(AT_FDCWD, path, "touch ran\n", 10, 0755, NULL), 0);
    assert_string_equal(
        ask(&x, "h"),
        "error error getting credentials - err: docker-credential-x: cannot be executed: Exec format error");
    assert_int_equal(code, DAVIT_ECONFIG);
}

/* threats A11, D12 */
static void helper_get__runs_in_a_clean_place(void **state)
{
    int open_to_all = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as a host program may have them */
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
    setenv("LD_PRELOAD_X", "1", 1);
    setenv("BASH_ENV", "/tmp/evil", 1);
    setenv("PASSWORD_STORE_DIR", "/p", 1);
    script("env > env; ls /proc/self/fd > fds; pwd -P > /dev/null; readlink /proc/$$/cwd > cwd; "
           "cut -d' ' -f5,6,7 /proc/$$/stat > ids; echo $$ > pid; "
           /* By the shell itself: it blocks signals for a moment around each program that it starts. */
           "while read -r line; do case $line in SigBlk*|SigIgn*) echo \"$line\";; esac; done "
           "< /proc/$$/status > signals; " ANSWER,
           0);
    /* The script itself changes its directory: look at another one's. */
    assert_string_equal(ask(&x, "h"), "u:s");
    close(open_to_all);
    signal(SIGPIPE, pipe_before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    unsetenv("BASH_ENV");
    unsetenv("LD_PRELOAD_X");
    unsetenv("PASSWORD_STORE_DIR");
    const char *env = read_back("env");
    assert_null(strstr(env, "BASH_ENV"));
    assert_null(strstr(env, "LD_PRELOAD"));
    assert_non_null(strstr(env, "PASSWORD_STORE_DIR=/p\n"));
    assert_non_null(strstr(env, "PATH="));
    assert_string_equal(read_back("fds"), "0\n1\n2\n3\n"); /* 3 is the directory that ls reads */
    int group, session, terminal;
    assert_int_equal(sscanf(read_back("ids"), "%d %d %d", &group, &session, &terminal), 3);
    assert_int_equal(group, session);
    assert_int_not_equal(group, getpgrp());
    assert_int_equal(terminal, 0);
    unsigned long mask, ignored;
    assert_int_equal(sscanf(read_back("signals"), "SigBlk: %lx SigIgn: %lx", &mask, &ignored), 2);
    assert_int_equal(mask, 0);
    assert_int_equal(ignored, 0);
}

static bool process_is_gone(const char *file)
{
    int pid = atoi(read_back(file));
    assert_true(pid > 1);
    for (int i = 0; i < 200; i++) {
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return true;
        dv_sleep_ms(10);
    }
    return false;
}

static void helper_get__a_late_one_is_killed_with_its_children(void **state)
{
    dv_credential_helper h = x;
    h.timeout_ms = 400;
    script("echo $$ > pid; sleep 1000 & echo $! > child; wait", 0);
    uint64_t started = dv_clock_ms();
    assert_string_equal(
        ask(&h, "h"), "error error getting credentials - err: docker-credential-x: no answer within 400 ms");
    assert_int_equal(code, DAVIT_ETIMEOUT);
    assert_true(dv_clock_ms() - started < 3000);
    assert_true(process_is_gone("pid"));
    assert_true(process_is_gone("child"));
}

static void helper_get__a_background_child_is_not_waited_for(void **state)
{
    script("sleep 5 & echo $! > child; " ANSWER, 0);
    uint64_t started = dv_clock_ms();
    assert_string_equal(ask(&x, "h"), "u:s");
    assert_true(dv_clock_ms() - started < 3000);
    kill(atoi(read_back("child")), SIGKILL);
}

static void *cancel_soon(void *flag)
{
    dv_sleep_ms(200);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

static void helper_get__is_ended_by_the_clients_cancel(void **state)
{
    atomic_bool cancelled = false;
    dv_credential_helper h = x;
    pthread_t thread;
    h.cancelled = &cancelled;
    script("echo $$ > pid; exec sleep 1000", 0);
    pthread_create(&thread, NULL, cancel_soon, &cancelled);
    uint64_t started = dv_clock_ms();
    assert_string_equal(ask(&h, "h"), "error cancelled");
    assert_int_equal(code, DAVIT_ECANCELLED);
    assert_true(dv_clock_ms() - started < 2000);
    pthread_join(thread, NULL);
    assert_true(process_is_gone("pid"));
}

static volatile sig_atomic_t children;

static void reap_all(int number)
{
    int saved = errno;
    children++;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

static void helper_get__works_however_the_host_treats_children(void **state)
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, reap_all};
    for (size_t i = 0; i < DV_COUNT(handlers); i++) {
        void (*before)(int) = signal(SIGCHLD, handlers[i]);
        script(ANSWER, 0);
        assert_string_equal(ask(&x, "h"), "u:s");
        script("exit 9", 0);
        assert_string_equal(
            ask(&x, "h"),
            "error error getting credentials - err: docker-credential-x: exit status 9, out: ``");
        signal(SIGCHLD, before);
    }
    /* Nobody is left to be waited for. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void helper_get__leaves_no_descriptor(void **state)
{
    script(ANSWER, 0);
    int first = dup(0);
    close(first);
    for (int i = 0; i < 5; i++)
        ask(&x, "h");
    dv_credential_helper h = x;
    h.timeout_ms = 50;
    script("exec sleep 100", 0);
    ask(&h, "h");
    int now = dup(0);
    close(now);
    assert_int_equal(now, first);
}

/* --- store, erase, list --------------------------------------------------------------------------------------------- */

static void helper_store__says_what_it_keeps(void **state)
{
    static const struct {
        davit_auth_config auth;
        const char *expected;
    } rows[] = {
        {{.username = (char *)"u", .password = (char *)"p\"\\"},
         "{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"p\\\"\\\\\"}\n"},
        {{.username = (char *)"u", .password = (char *)"p", .identitytoken = (char *)"T"},
         "{\"ServerURL\":\"h\",\"Username\":\"\\u003ctoken\\u003e\",\"Secret\":\"T\"}\n"},
    };
    script("echo \"$@\" > verb; cat > input", 0);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        if (dv_credential_helper_store(&x, "h", &rows[i].auth, &err) < 0)
            fail_msg("%s", davit_error_message(err));
        assert_string_equal(read_back("input"), rows[i].expected);
        assert_string_equal(read_back("verb"), "store\n");
    }
}

static void helper_store__refuses_what_could_not_be_read_back(void **state)
{
    static const davit_auth_config rows[] = {
        {.username = NULL},
        {.username = (char *)"u"},
        {.password = (char *)"p"},
        {.username = (char *)"u\n", .password = (char *)"p"},
        {.username = (char *)"u", .password = (char *)"p\r"},
        {.username = (char *)"u", .password = (char *)"\xff"},
        {.registrytoken = (char *)"r"},
    };
    script("touch ran", 0);
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        assert_int_equal(dv_credential_helper_store(&x, "h", &rows[i], NULL), DAVIT_EINVAL);
    assert_int_equal(
        dv_credential_helper_store(
            &x, "h h", &(davit_auth_config){.username = (char *)"u", .password = (char *)"p"}, NULL),
        DAVIT_EINVAL);
}

static void helper_store__a_failure_says_why_without_the_secret(void **state)
{
    const davit_auth_config auth = {.username = (char *)"u", .password = (char *)"hunter2"};
    DV_AUTOPTR(davit_error) err = NULL;
    script("echo 'cannot store hunter2'; echo 'is locked' >&2; exit 1", 0);
    assert_int_equal(dv_credential_helper_store(&x, "h", &auth, &err), DAVIT_ECONFIG);
    assert_string_equal(davit_error_message(err),
                        "error storing credentials - err: docker-credential-x: exit status 1, "
                        "out: `***`, stderr: `is locked`");
}

static void helper_store__takes_a_long_token(void **state)
{
    char token[100001];
    memset(token, 't', sizeof(token) - 1);
    token[sizeof(token) - 1] = '\0';
    script("sleep 0.1; wc -c > size", 0);
    assert_int_equal(dv_credential_helper_store(&x, "h", &(davit_auth_config){.identitytoken = token}, NULL),
                     0);
    assert_int_equal(atoi(read_back("size")), 100000 + 61);
}

static void helper_erase__is_told_the_server(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    script("cat > input; echo $1 > verb", 0);
    assert_int_equal(dv_credential_helper_erase(&x, "h:5000", NULL), 1);
    assert_string_equal(read_back("input"), "h:5000\n");
    assert_string_equal(read_back("verb"), "erase\n");
    script("echo '" NOT_FOUND "'; exit 1", 0);
    assert_int_equal(dv_credential_helper_erase(&x, "h", NULL), 0);
    script("echo no; exit 1", 0);
    assert_int_equal(dv_credential_helper_erase(&x, "h", &err), DAVIT_ECONFIG);
    assert_string_equal(davit_error_message(err),
                        "error erasing credentials - err: docker-credential-x: exit status 1, out: `no`");
}

static void helper_list__reads_urls_and_users(void **state)
{
    static const char *const bad[] = {"echo '[]'", "echo '{\"a\":1}'", "echo x", "exit 1", "true"};
    dv_helper_list list = {0};
    script("echo '{\"https://a/\":\"u\",\"b\":\"v\"}'", 0);
    assert_int_equal(dv_credential_helper_list(&x, &list, NULL), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.entries[0].server, "https://a/");
    assert_string_equal(list.entries[1].username, "v");
    dv_helper_list_clear(&list);
    for (size_t i = 0; i < DV_COUNT(bad); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        script(bad[i], 0);
        assert_int_equal(dv_credential_helper_list(&x, &list, &err), DAVIT_ECONFIG);
        assert_true(dv_str_starts(davit_error_message(err),
                                  "error listing credentials - err: docker-credential-x: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(helper_name__is_no_path),
        cmocka_unit_test(helper_server__is_one_line),
        cmocka_unit_test(helper_answer__what_is_believed),
        cmocka_unit_test(helper_get__what_it_says),
        cmocka_unit_test(helper_get__refuses_names_and_servers_before_anything_runs),
        cmocka_unit_test(helper_get__searches_absolute_directories_only),
        cmocka_unit_test(helper_get__no_shell_runs_what_is_no_program),
        cmocka_unit_test(helper_get__runs_in_a_clean_place),
        cmocka_unit_test(helper_get__a_late_one_is_killed_with_its_children),
        cmocka_unit_test(helper_get__a_background_child_is_not_waited_for),
        cmocka_unit_test(helper_get__is_ended_by_the_clients_cancel),
        cmocka_unit_test(helper_get__works_however_the_host_treats_children),
        cmocka_unit_test(helper_get__leaves_no_descriptor),
        cmocka_unit_test(helper_store__says_what_it_keeps),
        cmocka_unit_test(helper_store__refuses_what_could_not_be_read_back),
        cmocka_unit_test(helper_store__a_failure_says_why_without_the_secret),
        cmocka_unit_test(helper_store__takes_a_long_token),
        cmocka_unit_test(helper_erase__is_told_the_server),
        cmocka_unit_test(helper_list__reads_urls_and_users),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
