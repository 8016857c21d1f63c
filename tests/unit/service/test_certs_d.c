/* Unit tests of service/certs_d.c: where certificates are looked for and what a directory means (service.md 11; threat C9). */
#include "service/certs_d.h"
#include "util/file.h"

#include "../../support/certificates.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

/* --- the process's directory --------------------------------------------------------------------------------------- */

/* What is decided is decided for the process, so each case has one of its own: 0 when it returns true. */
static void in_child(bool (*fn)(const void *row), const void *row, size_t n)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn(row) ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("row %zu", n);
}

static void set_environment(const char *rootless, const char *home, const char *config)
{
    const char *const names[] = {"ROOTLESSKIT_STATE_DIR", "HOME", "XDG_CONFIG_HOME"};
    const char *const values[] = {rootless, home, config};
    for (size_t i = 0; i < DV_COUNT(names); i++)
        if (values[i])
            setenv(names[i], values[i], 1);
        else
            unsetenv(names[i]);
}

typedef struct process_row {
    const char *rootless, *home, *config;
    const char *first, *second; /* davit_set_certs_dir(), in this order; NULL: not called */
    const char *certs_dir;
    const char *host, *host_dir;
} process_row;

static bool check_process_row(const void *data)
{
    const process_row *row = data;
    DV_AUTOFREE char *host_dir = NULL;
    set_environment(row->rootless, row->home, row->config);
    if (row->first && davit_set_certs_dir(row->first, NULL) != 0)
        return false;
    const char *before = davit_certs_dir();
    if (row->second && davit_set_certs_dir(row->second, NULL) != 0)
        return false;
    set_environment("/run/other", "/home/other", "/etc/other"); /* decided is decided */
    if (davit_host_certs_dir(row->host, &host_dir, NULL) != 0)
        return false;
    if (strcmp(davit_certs_dir(), row->certs_dir) == 0 && davit_certs_dir() == before &&
        strcmp(host_dir, row->host_dir) == 0)
        return true;
    fprintf(stderr, "expected %s, %s; got %s, %s\n", row->certs_dir, row->host_dir, davit_certs_dir(),
            host_dir);
    return false;
}

static void certs_dir__is_decided_once(void **state)
{
    static const process_row rows[] = {
        /* service.md 11 */
        {NULL, NULL, NULL, NULL, NULL, "/etc/docker/certs.d", "reg.example.com:5000",
         "/etc/docker/certs.d/reg.example.com:5000"},
        {NULL, NULL, NULL, "/x/certs", NULL, "/x/certs", "a", "/x/certs/a"},
        {"/run/rk", "/home/u", NULL, NULL, NULL, "/home/u/.config/docker/certs.d", "a",
         "/home/u/.config/docker/certs.d/a"},
        /* the first call counts, of either */
        {NULL, NULL, NULL, "/x/certs", "/y/certs", "/x/certs", "a", "/x/certs/a"},
        {NULL, NULL, NULL, NULL, "/y/certs", "/etc/docker/certs.d", "a", "/etc/docker/certs.d/a"},
        {NULL, NULL, NULL, "", "/y/certs", "/etc/docker/certs.d", "a", "/etc/docker/certs.d/a"},
        {"/run/rk", "/home/u", NULL, "", "/y", "/home/u/.config/docker/certs.d", "a",
         "/home/u/.config/docker/certs.d/a"},
        {"/run/rk", "/home/u", NULL, "/x/certs", NULL, "/x/certs", "a", "/x/certs/a"},
        /* the config home */
        {"/run/rk", "/home/u", "/conf", NULL, NULL, "/conf/docker/certs.d", "a", "/conf/docker/certs.d/a"},
        {"/run/rk", "/home/u", "", NULL, NULL, "/home/u/.config/docker/certs.d", "a",
         "/home/u/.config/docker/certs.d/a"},
        {"", "/home/u", NULL, NULL, NULL, "/etc/docker/certs.d", "a", "/etc/docker/certs.d/a"},
        {NULL, "/home/u", "/conf", NULL, NULL, "/etc/docker/certs.d", "a", "/etc/docker/certs.d/a"},
        /* paths are cleaned */
        {NULL, NULL, NULL, "/x//certs/./", NULL, "/x//certs/./", "a", "/x/certs/a"},
        {NULL, NULL, NULL, "/x", NULL, "/x", "", "/x"},
        {NULL, NULL, NULL, "/x", NULL, "/x", "..", "/"},
        {NULL, NULL, NULL, "/x", NULL, "/x", "../../../y", "/y"},
        {NULL, NULL, NULL, "/x", NULL, "/x", "a/../b//c/.", "/x/b/c"},
        {NULL, NULL, NULL, "/x", NULL, "/x", "a...b", "/x/a...b"},
        {NULL, NULL, NULL, "x", NULL, "x", "a", "x/a"},
        {NULL, NULL, NULL, "x", NULL, "x", "..", "."},
        {NULL, NULL, NULL, "x", NULL, "x", "../..", ".."},
        {NULL, NULL, NULL, "..", NULL, "..", "../a", "../../a"},
        {NULL, NULL, NULL, "/", NULL, "/", "a", "/a"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        in_child(check_process_row, &rows[i], i);
}

/* --- whose directory ------------------------------------------------------------------------------------------------ */

static const char *fake_rootless, *fake_home, *fake_config;

static char *fake_environment(const char *name)
{
    const char *value = strcmp(name, "ROOTLESSKIT_STATE_DIR") == 0 ? fake_rootless
                        : strcmp(name, "HOME") == 0                ? fake_home
                        : strcmp(name, "XDG_CONFIG_HOME") == 0     ? fake_config
                                                                   : NULL;
    return (char *)(uintptr_t)value;
}

typedef struct rule_row {
    bool root;             /* run as root, else as some user */
    const char *certs_dir; /* of the options */
    const char *set;       /* davit_set_certs_dir() */
    const char *rootless, *home, *config;
    bool client;
    const char *expected; /* for host "h:1"; TMP stands for a directory with docker/certs.d/h:1 */
} rule_row;

static char there[] = "/tmp/davit-certs-XXXXXX";

static void expand(dv_buf *out, const char *text)
{
    const char *mark = text ? strstr(text, "TMP") : NULL;
    if (mark)
        dv_buf_printf(out, "%.*s%s%s", (int)(mark - text), text, there, mark + 3);
    else if (text)
        dv_buf_puts(out, text);
}

static bool check_rule_row(const void *data)
{
    const rule_row *row = data;
    DV_AUTO(dv_buf) home = DV_BUF_INIT(1000);
    DV_AUTO(dv_buf) config = DV_BUF_INIT(1000);
    DV_AUTO(dv_buf) expected = DV_BUF_INIT(1000);
    DV_AUTOFREE char *got = NULL;
    expand(&home, row->home);
    expand(&config, row->config);
    expand(&expected, row->expected);
    fake_rootless = row->rootless;
    fake_home = dv_buf_text(&home);
    fake_config = dv_buf_text(&config);
    set_environment(NULL, "/real", "/real"); /* a client's is what it was given, and nothing else */
    if (!row->root && geteuid() == 0 && seteuid(65534) < 0)
        return false;
    if (row->set && davit_set_certs_dir(row->set, NULL) != 0)
        return false;
    const dv_certs_rule rule = {.certs_dir = row->certs_dir,
                                .environment = row->client ? fake_environment : NULL};
    if (dv_certs_d_directory(&rule, "h:1", &got, NULL) == 0 && strcmp(got, dv_buf_text(&expected)) == 0)
        return true;
    fprintf(stderr, "expected %s, got %s\n", dv_buf_text(&expected), got ? got : "nothing");
    return false;
}

/* DESIGN section 4; DAVIT_CLIENT_NO_ENVIRONMENT is an environment without anything. */
static void certs_d__directory_of_a_host(void **state)
{
    static const rule_row rows[] = {
        {true, "/given", NULL, NULL, "TMP", NULL, true, "/given/h:1"},
        {true, "/given", "/set", "/run/rk", "TMP", "TMP", true, "/given/h:1"},
        {false, "/given", "/set", "/run/rk", "TMP", "TMP", true, "/given/h:1"},
        {true, "/given", NULL, NULL, NULL, NULL, false, "/given/h:1"},
        {true, "", NULL, NULL, NULL, NULL, false, "/etc/docker/certs.d/h:1"},
        {true, NULL, "/set", "/run/rk", "TMP", "TMP", true, "/set/h:1"},
        {false, NULL, "/set", NULL, "TMP", "TMP", true, "/set/h:1"},
        {true, NULL, "/set", NULL, NULL, NULL, false, "/set/h:1"},
        {true, NULL, NULL, NULL, "/home/u", NULL, true, "/etc/docker/certs.d/h:1"},
        {true, NULL, NULL, NULL, NULL, "TMP", true,
         "/etc/docker/certs.d/h:1"}, /* there, but root's is the system's */
        {true, NULL, NULL, "/run/rk", "/home/u", NULL, true, "/home/u/.config/docker/certs.d/h:1"},
        {true, NULL, NULL, "/run/rk", "/home/u", "TMP", true, "TMP/docker/certs.d/h:1"},
        {false, NULL, NULL, NULL, "/home/u", "TMP", true, "TMP/docker/certs.d/h:1"},
        /* neither is there: the user's is where one could be put */
        {false, NULL, NULL, NULL, "/home/u", NULL, true, "/home/u/.config/docker/certs.d/h:1"},
        /* without a client, davit_certs_dir() alone */
        {false, NULL, NULL, "/run/rk", "/home/u", "TMP", false, "/etc/docker/certs.d/h:1"},
    };
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        in_child(check_rule_row, &rows[i], i);
}

/* --- one directory -------------------------------------------------------------------------------------------------- */

static test_certificate ca, other_ca, user, other_user;
static char *locked_key;

typedef struct file_row {
    const char *name;
    const char *content; /* NULL: a directory; "|": a FIFO; "->": a link to nowhere; '@': a certificate below */
} file_row;

typedef struct directory_row {
    file_row files[6];
    int expected;
    const char *message; /* word for word, or a part of it when it begins with "~" */
    bool has_roots;
    size_t roots, clients;
} directory_row;

static const char *content_of(const char *mark)
{
    static const struct {
        const char *mark;
        char *const *pem;
    } all[] = {
        {"@ca", &ca.pem},
        {"@other_ca", &other_ca.pem},
        {"@user", &user.pem},
        {"@user.key", &user.key_pem},
        {"@other", &other_user.pem},
        {"@other.key", &other_user.key_pem},
        {"@locked", &locked_key},
    };
    for (size_t i = 0; i < DV_COUNT(all); i++)
        if (strcmp(all[i].mark, mark) == 0)
            return *all[i].pem;
    return mark;
}

static void make_file(int dir, const file_row *row)
{
    if (!row->content)
        assert_int_equal(mkdirat(dir, row->name, 0700), 0);
    else if (strcmp(row->content, "|") == 0)
        assert_int_equal(mkfifoat(dir, row->name, 0600), 0);
    else if (strcmp(row->content, "->") == 0)
        assert_int_equal(symlinkat("nowhere", dir, row->name), 0);
    else {
        const char *text = content_of(row->content);
        DV_AUTOCLOSE fd = openat(dir, row->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && dv_write_all(fd, text, strlen(text)) == 0);
    }
}

static void remove_all(const char *path, int dir, const file_row *files, size_t count)
{
    for (size_t i = 0; i < count && files[i].name; i++)
        unlinkat(dir, files[i].name, files[i].content ? 0 : AT_REMOVEDIR);
    rmdir(path);
}

static void check_directory(const directory_row *row, size_t n)
{
    char path[] = "/tmp/davit-certs-XXXXXX";
    assert_non_null(mkdtemp(path));
    DV_AUTOCLOSE dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DV_AUTOPTR(davit_tls_config) tls = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    for (size_t i = 0; i < DV_COUNT(row->files) && row->files[i].name; i++)
        make_file(dir, &row->files[i]);
    assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
    int r = davit_read_certs_directory(tls, path, &err);
    remove_all(path, dir, row->files, DV_COUNT(row->files));
    bool part = row->message && row->message[0] == '~';
    const char *message = davit_error_message(err);
    bool told = !row->message ||
                (part ? strstr(message, row->message + 1) != NULL : strcmp(message, row->message) == 0);
    if (r != row->expected || !told || davit_tls_config_has_roots(tls) != row->has_roots ||
        davit_tls_config_root_count(tls) != row->roots ||
        davit_tls_config_client_certificate_count(tls) != row->clients)
        fail_msg("row %zu: %s (%s), roots %d %zu, clients %zu", n, davit_code_name(r), message,
                 davit_tls_config_has_roots(tls), davit_tls_config_root_count(tls),
                 davit_tls_config_client_certificate_count(tls));
}

static void read_certs_directory__rows(void **state)
{
    static const directory_row rows[] = {
        /* service.md 11 */
        {{{NULL, NULL}}, 0, NULL, false, 0, 0},
        {{{"ca.crt", "@ca"}}, 0, NULL, true, 1, 0},
        {{{"client.cert", "@user"}, {"client.key", "@user.key"}}, 0, NULL, false, 0, 1},
        {{{"client.cert", "@user"}},
         DAVIT_EINVAL,
         "missing key client.key for client certificate client.cert. CA certificates must use the extension "
         ".crt",
         false,
         0,
         0},
        {{{"client.key", "@user.key"}},
         DAVIT_EINVAL,
         "missing client certificate client.cert for key client.key",
         false,
         0,
         0},
        /* everything at once; others are none of ours; suffixes are exact */
        {{{"a.crt", "@ca"},
          {"b.crt", "@other_ca"},
          {"c.cert", "@user"},
          {"c.key", "@user.key"},
          {"d.cert", "@other"},
          {"d.key", "@other.key"}},
         0,
         NULL,
         true,
         2,
         2},
        {{{"README", "x"},
          {"ca.pem", "x"},
          {"CA.CRT", "x"},
          {"old.crt~", "x"},
          {"crt", "x"},
          {"x.key.pub", "x"}},
         0,
         NULL,
         false,
         0,
         0},
        {{{".crt", "@ca"}, {".cert", "@user"}, {".key", "@user.key"}}, 0, NULL, true, 1, 1},
        /* byte order: upper case first; the first error ends it, and what was loaded stays */
        {{{"Z.crt", "@ca"}, {"a.crt", "garbage"}, {"b.crt", "@other_ca"}},
         DAVIT_ECERTIFICATE,
         "a.crt: not PEM",
         true,
         1,
         0},
        {{{"a.cert", "@user"}, {"a.key", "@user.key"}, {"b.key", "x"}, {"c.crt", "@ca"}},
         DAVIT_EINVAL,
         "missing client certificate b.cert for key b.key",
         false,
         0,
         1},
        {{{"a.crt", "@ca"}, {"client.cert", "@user"}}, DAVIT_EINVAL, "~missing key client.key", true, 1, 0},
        /* "a-b.crt" < "a.crt" < "a.key" */
        {{{"a.key", "x"}, {"a-b.crt", "garbage"}}, DAVIT_ECERTIFICATE, "a-b.crt: not PEM", true, 0, 0},
        /* PEM without certificates is silently accepted, and the root set is there */
        {{{"ca.crt", "@user.key"}}, 0, NULL, true, 0, 0},
        /* bad files */
        {{{"ca.crt", ""}}, DAVIT_ECERTIFICATE, "ca.crt: not PEM", true, 0, 0},
        {{{"ca.crt", NULL}}, DAVIT_EIO, "cannot read ca.crt: not a regular file", true, 0, 0},
        {{{"ca.crt", "|"}}, DAVIT_EIO, "cannot read ca.crt: not a regular file", true, 0, 0},
        {{{"ca.crt", "->"}}, DAVIT_EIO, "~ca.crt", true, 0, 0},
        {{{"client.cert", "|"}, {"client.key", "@user.key"}}, DAVIT_EIO, "~client.cert", false, 0, 0},
        {{{"client.cert", "@user"}, {"client.key", "|"}}, DAVIT_EIO, "~client.key", false, 0, 0},
        {{{"client.cert", "@user"}, {"client.key", NULL}}, DAVIT_EIO, "~client.key", false, 0, 0},
        {{{"client.cert", "x"}, {"client.key", "@user.key"}},
         DAVIT_ECERTIFICATE,
         "client.cert: not PEM",
         false,
         0,
         0},
        {{{"client.cert", "@user"}, {"client.key", "x"}},
         DAVIT_ECERTIFICATE,
         "client.key: not a private key in PEM",
         false,
         0,
         0},
        {{{"client.cert", "@user"}, {"client.key", "@other.key"}},
         DAVIT_ECERTIFICATE,
         "client.key: is not the key of the certificate client.cert",
         false,
         0,
         0},
        {{{"client.cert", "@user"}, {"client.key", "@locked"}},
         DAVIT_ECERTIFICATE,
         "~client.key: the key is encrypted",
         false,
         0,
         0},
        /* presence is checked by name only, and a directory has a name */
        {{{"client.key", "x"}, {"client.cert", NULL}}, DAVIT_EIO, "~client.cert", false, 0, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_directory(&rows[i], i);
}

static void read_certs_directory__missing_is_fine(void **state)
{
    DV_AUTOPTR(davit_tls_config) tls = NULL;
    assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
    assert_int_equal(davit_read_certs_directory(tls, "/nonexistent/certs.d/host", NULL), 0);
    assert_false(davit_tls_config_has_roots(tls));
}

static void read_certs_directory__a_file_is_refused(void **state)
{
    DV_AUTOPTR(davit_tls_config) tls = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
    assert_int_equal(davit_read_certs_directory(tls, "/etc/passwd", &err), DAVIT_EINVAL);
    assert_non_null(strstr(davit_error_message(err), strerror(ENOTDIR)));
    assert_int_equal(davit_read_certs_directory(tls, "/etc/passwd/host", NULL), DAVIT_EINVAL);
}

static void read_certs_directory__limits(void **state)
{
    char path[] = "/tmp/davit-certs-XXXXXX", name[20];
    assert_non_null(mkdtemp(path));
    DV_AUTOCLOSE dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DV_AUTOPTR(davit_tls_config) tls = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
    for (int i = 0; i <= DV_CERTS_ENTRIES_MAX; i++) {
        snprintf(name, sizeof(name), "%d", i);
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_int_equal(davit_read_certs_directory(tls, path, &err), DAVIT_ETOOBIG);
    assert_string_equal(davit_error_message(err), "more than 1000 files");
    unlinkat(dir, "0", 0);
    assert_int_equal(davit_read_certs_directory(tls, path, NULL), 0);
    for (int i = 0; i <= DV_CERTS_ENTRIES_MAX; i++) {
        snprintf(name, sizeof(name), "%d", i);
        unlinkat(dir, name, 0);
    }
    int fd = openat(dir, "long.crt", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, DV_TLS_PEM_MAX + 1), 0);
    close(fd);
    davit_error_free(DV_STEAL(err));
    assert_int_equal(davit_read_certs_directory(tls, path, &err), DAVIT_ETOOBIG);
    assert_non_null(strstr(davit_error_message(err), "long.crt"));
    unlinkat(dir, "long.crt", 0);
    rmdir(path);
}

/* Of a host: the directory stands before what is wrong in it. */
static void certs_d__load_names_the_directory(void **state)
{
    char path[] = "/tmp/davit-certs-XXXXXX";
    assert_non_null(mkdtemp(path));
    DV_AUTO(dv_buf) expected = DV_BUF_INIT(1000);
    DV_AUTOPTR(davit_tls_config) tls = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOCLOSE dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(dir, "h:1", 0700), 0);
    DV_AUTOCLOSE host = openat(dir, "h:1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_file(host, &(file_row){"x.key", "x"});
    assert_int_equal(davit_tls_config_new(&tls, NULL), 0);
    const dv_certs_rule rule = {.certs_dir = path};
    assert_int_equal(dv_certs_d_load(&rule, "h:1", tls, &err), DAVIT_EINVAL);
    dv_buf_printf(&expected, "certificates in %s/h:1: missing client certificate x.cert for key x.key", path);
    assert_string_equal(davit_error_message(err), dv_buf_text(&expected));
    assert_int_equal(dv_certs_d_load(&rule, "h", tls, NULL), 0); /* the port is part of the name */
    assert_int_equal(dv_certs_d_load(&rule, "H:1", tls, NULL), 0);
    unlinkat(host, "x.key", 0);
    unlinkat(dir, "h:1", AT_REMOVEDIR);
    rmdir(path);
}

/* --- all ------------------------------------------------------------------------------------------------------------ */

static int set_up(void **state)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(1000);
    test_certificate_make(&ca, "ca", NULL, true);
    test_certificate_make(&other_ca, "other", NULL, true);
    test_certificate_make(&user, "user", &ca, false);
    test_certificate_make(&other_user, "other user", &ca, false);
    locked_key = test_certificate_encrypted_key(&user, false);
    if (!mkdtemp(there) || chmod(there, 0755) < 0)
        return -1;
    dv_buf_printf(&path, "%s/docker/certs.d/h:1", there);
    return dv_make_directories(dv_buf_text(&path), 0755, NULL);
}

static int tear_down(void **state)
{
    static const char *const parts[] = {"/docker/certs.d/h:1", "/docker/certs.d", "/docker", ""};
    for (size_t i = 0; i < DV_COUNT(parts); i++) {
        DV_AUTO(dv_buf) path = DV_BUF_INIT(1000);
        dv_buf_printf(&path, "%s%s", there, parts[i]);
        rmdir(dv_buf_text(&path));
    }
    test_certificate *all[] = {&ca, &other_ca, &user, &other_user};
    for (size_t i = 0; i < DV_COUNT(all); i++)
        test_certificate_clear(all[i]);
    free(locked_key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certs_dir__is_decided_once),
        cmocka_unit_test(certs_d__directory_of_a_host),
        cmocka_unit_test(read_certs_directory__rows),
        cmocka_unit_test(read_certs_directory__missing_is_fine),
        cmocka_unit_test(read_certs_directory__a_file_is_refused),
        cmocka_unit_test(read_certs_directory__limits),
        cmocka_unit_test(certs_d__load_names_the_directory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
