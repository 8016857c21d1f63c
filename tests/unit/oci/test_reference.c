/* Unit tests of oci/reference.c and oci/reference_match.c: the tables of reference.md. */
#include "oci/reference.h"

#include "util/buf.h"
#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HEX16 "0123456789abcdef"
#define HEX64 HEX16 HEX16 HEX16 HEX16
#define D "sha256:" HEX64
#define X16 "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A255 A64 A64 A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define F32 "ffffffffffffffffffffffffffffffff"

static const char err_format[] = "invalid reference format";
static const char err_tag[] = "invalid tag format";
static const char err_upper[] = "repository name must be lowercase";
static const char err_empty[] = "repository name must have at least one component";
static const char err_long[] = "repository name must not be more than 255 characters";
static const char err_canonical[] = "repository name must be canonical";

typedef int (*parser)(const char *text, davit_reference **out, davit_error **err);

/* error NULL: the parts are expected; NULL domain: "docker.io"; NULL familiar: not looked at. */
typedef struct row {
    const char *input, *error;
    const char *domain, *path, *tag, *digest, *familiar_name;
} row;

static const char *or_none(const char *s)
{
    return s ? s : "(none)";
}

static void expect_text(const char *input, const char *what, const char *expected, const char *got)
{
    if (strcmp(or_none(expected), or_none(got)) != 0)
        fail_msg("%s: %s: expected %s, got %s", input, what, or_none(expected), or_none(got));
}

static void check_row(parser parse, const row *r)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    int code = parse(r->input, &ref, &err);
    if ((code < 0) != (r->error != NULL))
        fail_msg("%s: expected %s, got %s", r->input, or_none(r->error), davit_error_message(err));
    if (r->error) {
        assert_int_equal(code, DAVIT_EINVAL);
        assert_null(ref);
        expect_text(r->input, "error", r->error, davit_error_message(err));
        return;
    }
    DV_AUTO(dv_buf) name = DV_BUF_INIT(4096);
    const char *domain = r->domain ? r->domain : "docker.io";
    dv_buf_printf(&name, "%s%s%s", domain, *domain ? "/" : "", r->path);
    expect_text(r->input, "domain", domain, davit_reference_domain(ref));
    expect_text(r->input, "path", r->path, davit_reference_path(ref));
    expect_text(r->input, "name", dv_buf_text(&name), davit_reference_name(ref));
    expect_text(r->input, "tag", r->tag, davit_reference_tag(ref));
    expect_text(r->input, "digest", r->digest, davit_reference_digest_text(ref));
    if (r->familiar_name)
        expect_text(r->input, "familiar name", r->familiar_name, davit_reference_familiar_name(ref));
    DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
    dv_buf_printf(&text, "%s%s%s%s%s", dv_buf_text(&name), r->tag ? ":" : "", r->tag ? r->tag : "",
                  r->digest && name.size ? "@" : "", r->digest ? r->digest : "");
    expect_text(r->input, "text", dv_buf_text(&text), davit_reference_text(ref));
    assert_int_equal(davit_reference_is_name_only(ref), !r->tag && !r->digest);
}

static void check_rows(parser parse, const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(parse, &rows[i]);
}

static void reference_parse_exact__table_of_section_3(void **state)
{
    static const row rows[] = {
        {"test_com", NULL, "", "test_com"},
        {"test.com:5000", NULL, "", "test.com", "5000"},
        {"test.com:tag", NULL, "", "test.com", "tag"},
        {"test:5000/repo", NULL, "test:5000", "repo"},
        {"test:5000/repo:tag@" D, NULL, "test:5000", "repo", "tag", D},
        {"test:5000/repo@" D, NULL, "test:5000", "repo", NULL, D},
        {"simple/name", NULL, "simple", "name"},
        {"do__cker/docker", NULL, "", "do__cker/docker"},
        {"", err_empty},
        {":justtag", err_format},
        {"@" D, err_format},
        {"repo@sha256:" F32 "ff", "invalid checksum digest length"},
        {"validname@invaliddigest:" F32 F32 F32 F32, "unsupported digest algorithm"},
        {"repo@sha256:" HEX16 HEX16 HEX16 "0123456789ABCDEF", "invalid checksum digest format"},
        {"repo@sha256:" HEX16, err_format},
        {"repo@" D "@" D, err_format},
        {"repo@", err_format},
        {"repo:", err_format},
        {"repo:@" D, err_format},
        {"Uppercase:tag", err_upper},
        {"lowercase:Uppercase", NULL, "", "lowercase", "Uppercase"},
        {"Uppercase/lowercase:tag", NULL, "Uppercase", "lowercase", "tag"},
        {"test:5000/Uppercase/lowercase:tag", err_upper},
        {"re\xe2\x84\xaaord", err_upper},
        {"re\xc4\xb0n", err_upper},
        {"re\xc3\x84n", err_format},
        {"domain/" A255 ":tag", NULL, "domain", A255, "tag"},
        {"domain/a" A255 ":tag", err_long},
        {A255 "a", err_long},
        {"aa/asdf$$^/aa", err_format},
        {"sub-dom1.foo.com/bar/baz/quux", NULL, "sub-dom1.foo.com", "bar/baz/quux"},
        {"sub-dom1.foo.com/bar/baz/quux:some-long-tag", NULL, "sub-dom1.foo.com", "bar/baz/quux",
         "some-long-tag"},
        {"b.gcr.io/test.example.com/my-app:test.example.com", NULL, "b.gcr.io", "test.example.com/my-app",
         "test.example.com"},
        {"xn--n3h.com/myimage:xn--n3h.com@" D, NULL, "xn--n3h.com", "myimage", "xn--n3h.com", D},
        {"foo_bar.com:8080", NULL, "", "foo_bar.com", "8080"},
        {"foo/foo_bar.com:8080", NULL, "foo", "foo_bar.com", "8080"},
        {"192.168.1.1:75050/repo", NULL, "192.168.1.1:75050", "repo"},
        {"300.1.1.1/repo", NULL, "300.1.1.1", "repo"},
        {"[2001:db8::1]", err_format},
        {"[2001:db8::1]/repo", NULL, "[2001:db8::1]", "repo"},
        {"[2001:db8::1]:5000/repo:tag", NULL, "[2001:db8::1]:5000", "repo", "tag"},
        {"[1:2]/x", NULL, "[1:2]", "x"},
        {"[]/x", err_format},
        {"[fe80::1%eth0]:5000/repo", err_format},
        {"[fe80::1.2]:5000/repo", err_format},
        {"repo\n", err_format},
        {"repo ", err_format},
        {"repo:tag\n", err_format},
        {"repo:" X128, NULL, "", "repo", X128},
        {"repo:x" X128, err_format},
    };
    check_rows(davit_reference_parse_exact, rows, DV_COUNT(rows));
}

static void reference_parse_exact__separators_are_one_item(void **state)
{
    static const char *const good[] = {"a.b", "a_b", "a__b", "a-b", "a---b", "a.b_c-d", "a/b.c/d"};
    static const char *const bad[] = {"a..b", "a._b", "a-.b", "a___b", "a_-b", "a--_b", "a.",  "_a",
                                      "a-",   "a/",   "/a",   "a//b",  "a/-b", "a/_b",  "a b", "a/b."};
    for (size_t i = 0; i < DV_COUNT(good); i++)
        check_row(davit_reference_parse_exact, &(row){good[i], NULL, strchr(good[i], '/') ? "a" : "",
                                                      strchr(good[i], '/') ? good[i] + 2 : good[i]});
    for (size_t i = 0; i < DV_COUNT(bad); i++)
        check_row(davit_reference_parse_exact, &(row){bad[i], err_format});
}

static void reference_parse_exact__domain_grammar(void **state)
{
    static const struct {
        const char *domain;
        bool good;
    } rows[] = {
        {"localhost:8080", true},
        {"a.b", true},
        {"a-b.com", true},
        {"0101.com", true},
        {"192.168.1.1:75050", true},
        {"[fd00123123123]:75050", true},
        {"a--b.com", true},
        {"A.B", true},
        {"localhost:99999999999999999999", true},
        {"test.com:http", false},
        {"ab-.com", false},
        {"ab.-com", false},
        {"[fd00:1:2::3]::75050", false},
        {"-a.com", false},
        {"a.com-", false},
        {".a", false},
        {"a.", false},
        {"a:", false},
        {":80", false},
        {"a:80:80", false},
        {"[::1", false},
        {"[fd00:1:2::3]80", false},
        {"[fd00:1:2::3]:", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(256);
        dv_buf_printf(&text, "%s/x", rows[i].domain);
        DV_AUTOPTR(davit_reference) ref = NULL;
        int r = davit_reference_parse_exact(dv_buf_text(&text), &ref, NULL);
        if ((r == 0) != rows[i].good)
            fail_msg("%s: expected %d, got %d", rows[i].domain, rows[i].good, r == 0);
        if (r == 0)
            assert_string_equal(davit_reference_domain(ref), rows[i].domain);
    }
}

static void reference_parse__table_of_section_11(void **state)
{
    static const row rows[] = {
        {"docker/docker", NULL, NULL, "docker/docker", NULL, NULL, "docker/docker"},
        {"debian", NULL, NULL, "library/debian", NULL, NULL, "debian"},
        {"docker.io/debian", NULL, NULL, "library/debian", NULL, NULL, "debian"},
        {"docker.io/docker/docker", NULL, NULL, "docker/docker", NULL, NULL, "docker/docker"},
        {"index.docker.io/library/debian", NULL, NULL, "library/debian", NULL, NULL, "debian"},
        {"index.docker.io/debian", NULL, NULL, "library/debian", NULL, NULL, "debian"},
        {"localhost/debian", NULL, "localhost", "debian", NULL, NULL, "localhost/debian"},
        {"LOCALDOMAIN/debian", NULL, "LOCALDOMAIN", "debian", NULL, NULL, "LOCALDOMAIN/debian"},
        {"127.0.0.1:5000/debian", NULL, "127.0.0.1:5000", "debian", NULL, NULL, "127.0.0.1:5000/debian"},
        {"192.168.0.1", NULL, NULL, "library/192.168.0.1", NULL, NULL, "192.168.0.1"},
        {"192.168.0.1:80", NULL, NULL, "library/192.168.0.1", "80", NULL, "192.168.0.1"},
        {"[fc00::1]:5000/docker", NULL, "[fc00::1]:5000", "docker", NULL, NULL, "[fc00::1]:5000/docker"},
        {"docker.io/" HEX64, NULL, NULL, "library/" HEX64, NULL, NULL, HEX64},
        {"Docker/docker", NULL, "Docker", "docker", NULL, NULL, "Docker/docker"},
        {"docker---rules/docker", NULL, NULL, "docker---rules/docker", NULL, NULL, "docker---rules/docker"},
        {"dock__er/docker", NULL, NULL, "dock__er/docker", NULL, NULL, "dock__er/docker"},
        {"foo/bar:tag@" D, NULL, NULL, "foo/bar", "tag", D, "foo/bar"},
        {"busybox:latest@" D, NULL, NULL, "library/busybox", "latest", D, "busybox"},
        {"localhost", NULL, NULL, "library/localhost", NULL, NULL, "localhost"},
        {"example.com", NULL, NULL, "library/example.com", NULL, NULL, "example.com"},
        {"library/a/b", NULL, NULL, "library/a/b", NULL, NULL, "library/a/b"},
        {"other.host/x", NULL, "other.host", "x", NULL, NULL, "other.host/x"},
        {"other.host/library/x", NULL, "other.host", "library/x", NULL, NULL, "other.host/library/x"},
        {"registry-1.docker.io/x", NULL, "registry-1.docker.io", "x", NULL, NULL, "registry-1.docker.io/x"},
        {"x_y.io/z", NULL, "", "x_y.io/z", NULL, NULL, "x_y.io/z"},
        {"a" HEX64, NULL, NULL, "library/a" HEX64, NULL, NULL, "a" HEX64},
        {HEX64 ":tag", NULL, NULL, "library/" HEX64, "tag", NULL, HEX64},
        {"x/" HEX64, NULL, NULL, "x/" HEX64, NULL, NULL, "x/" HEX64},
        {"", err_format},
        {"docker/", err_format},
        {"ubuntu:", err_format},
        {"a:b:c", err_format},
        {"-docker", err_format},
        {"docker///docker", err_format},
        {"docker-/docker", err_format},
        {"dock..er/docker", err_format},
        {"[fc00::1]:5000", err_format},
        {"fc00::1:5000/debian", err_format},
        {"-docker.io/x", err_format},
        {"docker/Docker", "invalid reference format: repository name (docker/Docker) must be lowercase"},
        {"Ubuntu", "invalid reference format: repository name (library/Ubuntu) must be lowercase"},
        {"UPPER/foo/Bar", "invalid reference format: repository name (foo/Bar) must be lowercase"},
        {"Docker.io/x", NULL, "Docker.io", "x", NULL, NULL, "Docker.io/x"},
        {"Localhost/x", NULL, "Localhost", "x", NULL, NULL, "Localhost/x"},
        {"foo@SHA256:" HEX64,
         "invalid reference format: repository name (library/foo@SHA256) must be lowercase"},
        {"foo:tag@SHA256:" HEX64, "invalid checksum digest format"},
        {"caf\xc3\x89", "invalid reference format: repository name (library/caf\xc3\x89) must be lowercase"},
        {"caf\xc3\xa9", err_format},
        {"\xd0\x96/\xd0\x96", "invalid reference format: repository name (\xd0\x96) must be lowercase"},
        {"a\xff", "invalid reference format: repository name (library/a\\xFF) must be lowercase"},
        {HEX64, "invalid repository name (" HEX64 "), cannot specify 64-byte hexadecimal strings"},
        {"docker.io/a" A255, err_long},
        {"a/" A255, err_long},
        {"foo@sha256:" F32, "invalid checksum digest length"},
    };
    check_rows(davit_reference_parse, rows, DV_COUNT(rows));
}

static void reference_parse__port_is_not_a_tag(void **state)
{
    static const row rows[] = {
        {"localhost:5000/x", NULL, "localhost:5000", "x"},
        {"localhost:5000", NULL, NULL, "library/localhost", "5000"},
        {"host:5000/x:1", NULL, "host:5000", "x", "1"},
    };
    check_rows(davit_reference_parse, rows, DV_COUNT(rows));
}

static void reference_parse__long_input_still_has_a_message(void **state)
{
    enum { SIZE = 100000 };
    DV_AUTOFREE char *text = malloc(SIZE + 1);
    memset(text, 'A', SIZE);
    text[SIZE] = '\0';
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(davit_reference_parse(text, &ref, &err), DAVIT_EINVAL);
    assert_non_null(strstr(davit_error_message(err), "must be lowercase"));
}

static void reference_parse_named__only_the_normal_form(void **state)
{
    static const row rows[] = {
        {"test.com/foo", NULL, "test.com", "foo"},
        {"docker.io/library/foo:1", NULL, NULL, "library/foo", "1"},
        {"test_com/foo", err_canonical},
        {"docker.io/foo", err_canonical},
        {"foo", err_canonical},
        {"index.docker.io/library/foo", err_canonical},
        {"test.com/Foo", "invalid reference format: repository name (Foo) must be lowercase"},
    };
    check_rows(davit_reference_parse_named, rows, DV_COUNT(rows));
}

static void reference_parse_any__identifiers_and_digests(void **state)
{
    static const row rows[] = {
        {"redis", NULL, NULL, "library/redis", NULL, NULL, "redis"},
        {"dbcc1", NULL, NULL, "library/dbcc1"},
        {HEX64, NULL, "", "", NULL, D, ""},
        {D, NULL, "", "", NULL, D, ""},
        {"sha512:" HEX64 HEX64, NULL, "", "", NULL, "sha512:" HEX64 HEX64},
        {"sha256:" HEX16, NULL, NULL, "library/sha256", HEX16},
        {"sha256:" HEX64 "0", NULL, NULL, "library/sha256", HEX64 "0"},
        {"foo@" D, NULL, NULL, "library/foo", NULL, D},
    };
    check_rows(davit_reference_parse_any, rows, DV_COUNT(rows));
}

static void reference_parse_docker__digest_beats_tag(void **state)
{
    static const row rows[] = {
        {"busybox", NULL, NULL, "library/busybox", "latest"},
        {"busybox:1", NULL, NULL, "library/busybox", "1"},
        {"busybox@" D, NULL, NULL, "library/busybox", NULL, D},
        {"gcr.io/library/busybox:latest@" D, NULL, "gcr.io", "library/busybox", NULL, D},
        {"Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"},
    };
    check_rows(davit_reference_parse_docker, rows, DV_COUNT(rows));
}

static void reference_with_name__grammar_only(void **state)
{
    static const row rows[] = {
        {"", err_format},
        {"example.com/repo:tag", err_format},
        {"foo@" D, err_format},
        {"Foo", err_format},
        {"test:8080/foo", NULL, "test:8080", "foo"},
        {"foo", NULL, "", "foo"},
        {"a/" A255, NULL, "a", A255},
        {"a/a" A255, err_long},
        {A255 "a", err_long},
    };
    check_rows(davit_reference_with_name, rows, DV_COUNT(rows));
}

typedef struct compose_row {
    const char *ref, *part, *text, *error;
} compose_row;

typedef int (*composer)(const davit_reference *ref, const char *part, davit_reference **out,
                        davit_error **err);

static void check_composed(composer compose, const compose_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        DV_AUTOPTR(davit_reference) out = NULL;
        DV_AUTOPTR(davit_reference) from = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        /* A short digest can only be put on, never parsed. */
        char *at = strchr(rows[i].ref, '@');
        DV_AUTOFREE char *name =
            dv_strndup(rows[i].ref, at ? (size_t)(at - rows[i].ref) : strlen(rows[i].ref));
        if (!*name)
            assert_int_equal(davit_reference_parse_any(at + 1, &ref, NULL), 0);
        else
            assert_int_equal(davit_reference_parse_exact(name, &from, NULL), 0);
        if (*name && at)
            assert_int_equal(davit_reference_with_digest(from, at + 1, &ref, NULL), 0);
        else if (*name)
            ref = davit_reference_ref(from);
        int r = compose(ref, rows[i].part, &out, &err);
        expect_text(rows[i].ref, "error", rows[i].error, r < 0 ? davit_error_message(err) : NULL);
        expect_text(rows[i].ref, "text", rows[i].text, r < 0 ? NULL : davit_reference_text(out));
    }
}

#define SHORT "sha256:1234567890098765432112345667890098765"

static void reference_with_tag__keeps_a_digest(void **state)
{
    static const compose_row rows[] = {
        {"test.com/foo", "tag", "test.com/foo:tag"},
        {"foo:1", "2", "foo:2"},
        {"test.com:8000/foo@" SHORT, "TAG5", "test.com:8000/foo:TAG5@" SHORT},
        {"busybox", "latest", "busybox:latest"},
        {"busybox", "v1.0", "busybox:v1.0"},
        {"busybox", "_x", "busybox:_x"},
        {"busybox", X128, "busybox:" X128},
        {"busybox", "-foo", NULL, err_tag},
        {"busybox", ".foo", NULL, err_tag},
        {"busybox", "", NULL, err_tag},
        {"busybox", "a:b", NULL, err_tag},
        {"busybox", "a/b", NULL, err_tag},
        {"busybox", "x" X128, NULL, err_tag},
        {"busybox", "a\n", NULL, err_tag},
        {"@" D, "tag", NULL, err_empty},
    };
    check_composed(davit_reference_with_tag, rows, DV_COUNT(rows));
}

static void reference_with_digest__only_the_reference_grammar(void **state)
{
    static const compose_row rows[] = {
        {"test.com/foo", SHORT, "test.com/foo@" SHORT},
        {"foo:1", D, "foo:1@" D},
        {"foo@" D, SHORT, "foo@" SHORT},
        {"foo", "any+algo.X1:" F32, "foo@any+algo.X1:" F32},
        {"foo", "x:ABCDEF" F32, "foo@x:ABCDEF" F32},
        {"busybox", "foo", NULL, "invalid digest format"},
        {"busybox", "", NULL, "invalid digest format"},
        {"busybox", "sha256:", NULL, "invalid digest format"},
        {"busybox", ":" F32, NULL, "invalid digest format"},
        {"busybox", "1a:" F32, NULL, "invalid digest format"},
        {"busybox", "a++b:" F32, NULL, "invalid digest format"},
        {"busybox", "a+:" F32, NULL, "invalid digest format"},
        {"busybox", "a+1:" F32, NULL, "invalid digest format"},
        {"busybox", "a:fffffffffffffffffffffffffffffff", NULL, "invalid digest format"},
        {"busybox", "a:g" F32, NULL, "invalid digest format"},
        {"@" D, D, NULL, err_empty},
    };
    check_composed(davit_reference_with_digest, rows, DV_COUNT(rows));
}

static int trim(const davit_reference *ref, const char *part, davit_reference **out, davit_error **err)
{
    return davit_reference_trim(ref, out, err);
}

static int tag_name_only(const davit_reference *ref, const char *part, davit_reference **out,
                         davit_error **err)
{
    return davit_reference_tag_name_only(ref, out, err);
}

static void reference_trim__drops_tag_and_digest(void **state)
{
    static const compose_row rows[] = {
        {"foo:1@" D, NULL, "foo"},
        {"a.b:1/foo@" D, NULL, "a.b:1/foo"},
        {"foo", NULL, "foo"},
        {"@" D, NULL, NULL, err_empty},
    };
    check_composed(trim, rows, DV_COUNT(rows));
}

static void reference_tag_name_only__adds_latest_to_bare_names(void **state)
{
    static const compose_row rows[] = {
        {"ubuntu", NULL, "ubuntu:latest"},
        {"ubuntu:1", NULL, "ubuntu:1"},
        {"ubuntu@" D, NULL, "ubuntu@" D},
        {"ubuntu:1@" D, NULL, "ubuntu:1@" D},
        {"@" D, NULL, D},
    };
    check_composed(tag_name_only, rows, DV_COUNT(rows));
}

static void reference_digest__is_checked_when_asked_for(void **state)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOPTR(davit_reference) digested = NULL;
    davit_digest digest = {.algorithm = DAVIT_DIGEST_NONE};
    assert_int_equal(davit_reference_parse("foo", &ref, NULL), 0);
    assert_int_equal(davit_reference_digest(ref, &digest, NULL), DAVIT_ENOTFOUND);
    assert_int_equal(davit_reference_with_digest(ref, SHORT, &digested, NULL), 0);
    assert_int_equal(davit_reference_digest(digested, &digest, NULL), DAVIT_EINVAL);
    assert_int_equal(digest.algorithm, DAVIT_DIGEST_NONE);
    davit_reference_free(DV_STEAL(digested));
    assert_int_equal(davit_reference_with_digest(ref, D, &digested, NULL), 0);
    assert_int_equal(davit_reference_digest(digested, &digest, NULL), 0);
    assert_string_equal(digest.text, D);
}

static void reference_familiar__table_of_section_7(void **state)
{
    static const char *const rows[][2] = {
        {"docker.io/library/redis:7", "redis:7"},
        {"docker.io/dmcgowan/myapp", "dmcgowan/myapp"},
        {"docker.io/library/a/b", "library/a/b"},
        {"localhost/x", "localhost/x"},
        {"docker.io/library/redis:7@" D, "redis:7@" D},
        {"docker.io/libraryx/y", "libraryx/y"},
        {"x_y.io/z", "x_y.io/z"},
        {D, D},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        assert_int_equal(davit_reference_parse_any(rows[i][0], &ref, NULL), 0);
        expect_text(rows[i][0], "familiar", rows[i][1], davit_reference_familiar(ref));
    }
}

static void reference_is_identifier__exactly_64_lower_hex(void **state)
{
    assert_true(davit_reference_is_identifier(HEX64));
    assert_false(davit_reference_is_identifier(HEX64 "0"));
    assert_false(davit_reference_is_identifier(HEX64 "\n"));
    assert_false(davit_reference_is_identifier(HEX16));
    assert_false(davit_reference_is_identifier(HEX16 HEX16 HEX16 "0123456789ABCDEF"));
    assert_false(davit_reference_is_identifier(""));
}

static void reference_familiar_match__globs(void **state)
{
    static const struct {
        const char *ref, *pattern;
        int expected; /* -1: syntax error */
    } rows[] = {
        {"foo/any/bat", "foo/**/ba[rz]", 0},
        {"foo/a/bar", "foo/**/ba[rz]", 1},
        {"foo/b/baz", "foo/**/ba[rz]", 1},
        {"foo/c/baz:tag", "foo/**/ba[rz]", 1},
        {"foo/c/baz:tag", "foo/*/baz:tag", 1},
        {"foo/c/baz:tag", "foo/c/baz:tag", 1},
        {"example.com/foo/c/baz:tag", "*/foo/c/baz", 1},
        {"example.com/foo/c/baz:tag", "example.com/foo/c/baz", 1},
        {"docker.io/library/redis:7", "redis", 1},
        {"docker.io/library/redis:7", "redis:?", 1},
        {"docker.io/library/redis:7", "library/redis:7", 0},
        {"redis", "*", 1},
        {"foo/redis", "*", 0},
        {"foo/redis", "foo?redis", 0},
        {"foo/redis", "foo[/]redis", 1},
        {"foo/redis", "foo[^a]redis", 1},
        {"redis", "r[!x]dis", 0},
        {"redis", "r[^x]dis", 1},
        {"redis", "r[a-f]dis", 1},
        {"redis", "r[f-z]dis", 0},
        {"redis", "r[^a-f]dis", 0},
        {"redis", "r\\edis", 1},
        {"redis", "r[\\e]dis", 1},
        {"red-is", "red[\\-]is", 1},
        {"redis", "redi", 0},
        {"redis", "redis?", 0},
        {"redis", "*s*", 1},
        {"redis", "r*d*s", 1},
        {"redisdis", "*dis", 1},
        {"redis", "", 0},
        {"redis", "\xc3\xa9*", 0},
        {"bar", "foo[", -1},
        {"redis", "[", -1},
        {"redis", "[]", -1},
        {"redis", "[]a]", -1},
        {"redis", "[^]", -1},
        {"redis", "[-]", -1},
        {"redis", "[a", -1},
        {"redis", "[a-", -1},
        {"redis", "[a-]", -1},
        {"redis", "[-x]", -1},
        {"redis", "[\\", -1},
        {"redis", "[\xff]", -1},
        {"redis", "r\\", -1},
        {"redis", "x*[", -1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        bool matches = false;
        assert_int_equal(davit_reference_parse_any(rows[i].ref, &ref, NULL), 0);
        int r = davit_reference_familiar_match(ref, rows[i].pattern, &matches, &err);
        int got = r < 0 ? -1 : matches;
        if (got != rows[i].expected)
            fail_msg("%s, %s: expected %d, got %d", rows[i].ref, rows[i].pattern, rows[i].expected, got);
        if (r < 0)
            assert_string_equal(davit_error_message(err), "syntax error in pattern");
    }
}

static void reference_sort__by_rank_then_bytes(void **state)
{
    static const char *const in[] = {"redis", "Bad",    D,         "foo:2", "foo:1",
                                     "b@" D,  "z:1@" D, "AAA bad", HEX64,   "a/b"};
    static const char *const expected[] = {
        "docker.io/library/z:1@" D,
        "docker.io/library/foo:1",
        "docker.io/library/foo:2",
        "docker.io/library/b@" D,
        "docker.io/a/b",
        "docker.io/library/redis",
        D,
        D,
        "AAA bad",
        "Bad",
    };
    char **out = NULL;
    assert_int_equal(davit_reference_sort(in, DV_COUNT(in), &out, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(in); i++)
        expect_text("sort", "element", expected[i], out[i]);
    davit_reference_sort_free(out, DV_COUNT(in));
    assert_int_equal(davit_reference_sort(NULL, 0, &out, NULL), 0);
    davit_reference_sort_free(out, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_parse_exact__table_of_section_3),
        cmocka_unit_test(reference_parse_exact__separators_are_one_item),
        cmocka_unit_test(reference_parse_exact__domain_grammar),
        cmocka_unit_test(reference_parse__table_of_section_11),
        cmocka_unit_test(reference_parse__port_is_not_a_tag),
        cmocka_unit_test(reference_parse__long_input_still_has_a_message),
        cmocka_unit_test(reference_parse_named__only_the_normal_form),
        cmocka_unit_test(reference_parse_any__identifiers_and_digests),
        cmocka_unit_test(reference_parse_docker__digest_beats_tag),
        cmocka_unit_test(reference_with_name__grammar_only),
        cmocka_unit_test(reference_with_tag__keeps_a_digest),
        cmocka_unit_test(reference_with_digest__only_the_reference_grammar),
        cmocka_unit_test(reference_trim__drops_tag_and_digest),
        cmocka_unit_test(reference_tag_name_only__adds_latest_to_bare_names),
        cmocka_unit_test(reference_digest__is_checked_when_asked_for),
        cmocka_unit_test(reference_familiar__table_of_section_7),
        cmocka_unit_test(reference_is_identifier__exactly_64_lower_hex),
        cmocka_unit_test(reference_familiar_match__globs),
        cmocka_unit_test(reference_sort__by_rank_then_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
