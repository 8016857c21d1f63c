/* Unit tests of service/index_info.c (service.md 8). */
#include "service/index_info.h"

#include "service/service.h"

#include "fake_resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)

static dv_service_config *config_of(const char *insecure, bool v27)
{
    static const char *const mirrors[] = {"https://m1", "http://m2/", NULL};
    const char *list[] = {insecure, NULL};
    dv_service_config *c = NULL;
    dv_service_options options = {
        .mirrors = mirrors, .insecure_registries = list, .v27 = v27, .resolve = fake_resolve};
    assert_int_equal(dv_service_config_new(&options, &c, NULL), 0);
    return c;
}

static void check_index(const davit_index_info *index, const char *name, bool secure, const char *what)
{
    bool official = strcmp(name, "docker.io") == 0;
    if (strcmp(index->name, name) != 0 || index->secure != secure || index->official != official)
        fail_msg("%s: got %s, secure %d, official %d", what, index->name, index->secure, index->official);
}

static void repository_info__names(void **state)
{
    static const struct {
        const char *text, *index, *remote, *familiar, *canonical;
        bool official, insecure;
        bool v27_secure; /* as the built-in networks of v27 have it */
    } rows[] = {
        /* service.md 8 */
        {"ubuntu", "docker.io", "library/ubuntu", "ubuntu", "docker.io/library/ubuntu", true},
        {"library/ubuntu", "docker.io", "library/ubuntu", "ubuntu", "docker.io/library/ubuntu", true},
        {"other/library", "docker.io", "other/library", "other/library", "docker.io/other/library", false},
        {"docker.io/ubuntu-12.04-base", "docker.io", "library/ubuntu-12.04-base", "ubuntu-12.04-base",
         "docker.io/library/ubuntu-12.04-base", true},
        {"index.docker.io/public/moonbase", "docker.io", "public/moonbase", "public/moonbase",
         "docker.io/public/moonbase", false},
        {"127.0.0.1:8000/privatebase", "127.0.0.1:8000", "privatebase", "127.0.0.1:8000/privatebase",
         "127.0.0.1:8000/privatebase", false, true},
        {"[::1]:8000/private/moonbase", "[::1]:8000", "private/moonbase", "[::1]:8000/private/moonbase",
         "[::1]:8000/private/moonbase", false, true, .v27_secure = true},
        {"[::2]:8000/privatebase", "[::2]:8000", "privatebase", "[::2]:8000/privatebase",
         "[::2]:8000/privatebase", false, false},
        {"localhost:8000/privatebase", "localhost:8000", "privatebase", "localhost:8000/privatebase",
         "localhost:8000/privatebase", false, true},
        {"localhost/private/moonbase", "localhost", "private/moonbase", "localhost/private/moonbase",
         "localhost/private/moonbase", false, true},
        {"example.com/private/moonbase", "example.com", "private/moonbase", "example.com/private/moonbase",
         "example.com/private/moonbase", false, false},
        {"example.com:8000/privatebase", "example.com:8000", "privatebase", "example.com:8000/privatebase",
         "example.com:8000/privatebase", false, false},
        /* tag and digest go; official names keep their port */
        {"ubuntu:22.04", "docker.io", "library/ubuntu", "ubuntu", "docker.io/library/ubuntu", true},
        {"index.docker.io:443/ubuntu", "index.docker.io:443", "ubuntu", "index.docker.io:443/ubuntu",
         "index.docker.io:443/ubuntu", false, false},
    };
    DV_AUTOPTR(dv_service_config) v28 = config_of(NULL, false);
    DV_AUTOPTR(dv_service_config) v27 = config_of(NULL, true);
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        for (int way = 0; way < 3; way++) { /* with a configuration, with v27's, without one */
            DV_AUTOPTR(davit_reference) ref = NULL;
            DV_AUTO(davit_repository_info) info = DAVIT_REPOSITORY_INFO_INIT;
            assert_int_equal(davit_reference_parse(rows[i].text, &ref, NULL), 0);
            int r = way == 2 ? dv_repository_info_without_config(ref, &(dv_lookup){fake_resolve}, &info, NULL)
                             : dv_repository_info_of(way ? v27 : v28, ref, &info, NULL);
            assert_int_equal(r, 0);
            bool secure = way == 1 ? !rows[i].insecure || rows[i].v27_secure : !rows[i].insecure;
            check_index(&info.index, rows[i].index, secure, rows[i].text);
            assert_string_equal(davit_reference_path(info.name), rows[i].remote);
            assert_string_equal(davit_reference_familiar(info.name), rows[i].familiar);
            assert_string_equal(davit_reference_text(info.name), rows[i].canonical);
            assert_int_equal(info.official, rows[i].official);
            assert_string_equal(info.repository_class, "");
            assert_int_equal(info.index.mirrors != NULL, info.index.official && way < 2);
        }
}

static void repository_info__an_empty_domain_is_official_for_v27_only(void **state)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    assert_int_equal(davit_reference_with_name("ubuntu", &ref, NULL), 0);
    for (int v27 = 0; v27 < 2; v27++) {
        DV_AUTOPTR(dv_service_config) c = config_of(NULL, v27);
        DV_AUTO(davit_repository_info) info = DAVIT_REPOSITORY_INFO_INIT;
        assert_int_equal(dv_repository_info_of(c, ref, &info, NULL), 0);
        assert_string_equal(info.index.name, "");
        assert_int_equal(info.official, v27);
    }
}

static void index_info__of_a_name(void **state)
{
    static const struct {
        const char *name, *insecure, *index;
        bool secure;
    } rows[] = {
        {"docker.io", NULL, "docker.io", true},
        {"index.docker.io", NULL, "docker.io", true},
        {"index.docker.io", "index.docker.io", "docker.io", true},
        {"docker.io", "docker.io", "docker.io", true},
        {"reg.example.com", "reg.example.com", "reg.example.com", false},
        {"reg.example.com:5000", "reg.example.com", "reg.example.com:5000", true},
        {"example.com", "42.42.0.0/16", "example.com", false},
        {"127.0.0.1", NULL, "127.0.0.1", false},
        {"", NULL, "", true},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_service_config) c = config_of(rows[i].insecure, false);
        DV_AUTO(davit_index_info) index = DAVIT_INDEX_INFO_INIT;
        assert_int_equal(dv_index_info_of_name(c, rows[i].name, &index, NULL), 0);
        check_index(&index, rows[i].index, rows[i].secure, rows[i].name);
        if (index.official) {
            assert_string_equal(index.mirrors[0], "https://m1/");
            assert_string_equal(index.mirrors[1], "http://m2/");
            assert_null(index.mirrors[2]);
        } else {
            assert_null(index.mirrors);
        }
    }
}

static void index_info__a_hyphen_is_an_error_for_v27_only(void **state)
{
    DV_AUTOPTR(dv_service_config) v28 = config_of(NULL, false);
    DV_AUTOPTR(dv_service_config) v27 = config_of(NULL, true);
    DV_AUTO(davit_index_info) index = DAVIT_INDEX_INFO_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_index_info_of_name(v27, "reg.example-", &index, &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err),
                        "invalid index name (reg.example-). Cannot begin or end with a hyphen");
    assert_null(index.name);
    assert_int_equal(dv_index_info_of_name(v28, "reg.example-", &index, NULL), 0);
    check_index(&index, "reg.example-", true, "reg.example-");
}

static void search_term__splits(void **state)
{
    static const struct {
        const char *term, *index, *remote;
        bool insecure;
    } rows[] = {
        /* service.md 8 */
        {"ubuntu", "docker.io", "ubuntu"},
        {"foo:5000", "docker.io", "foo:5000"},
        {"Foo/bar", "docker.io", "Foo/bar"},
        {"index.docker.io/x", "docker.io", "x"},
        {"localhost/foo", "localhost", "foo", true},
        /* search.md 3 */
        {"samalba/hipache", "docker.io", "samalba/hipache"},
        {"example.com:5000/a/b", "example.com:5000", "a/b"},
        /* the same by its other edges */
        {"", "docker.io", ""},
        {"foo/bar", "docker.io", "foo/bar"},
        {"Localhost/foo", "docker.io", "Localhost/foo"},
        {"localhosts/foo", "docker.io", "localhosts/foo"},
        {"localhost", "docker.io", "localhost"},
        {"reg.example.com/foo/bar", "reg.example.com", "foo/bar"},
        {"reg:5000/", "reg:5000", ""},
        {"127.0.0.1:5000/foo", "127.0.0.1:5000", "foo", true},
        {"reg.example-/foo", "reg.example-", "foo"},
        {"/foo", "docker.io", "/foo"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *name = NULL;
        const char *remote;
        DV_AUTO(davit_index_info) index = DAVIT_INDEX_INFO_INIT;
        assert_int_equal(dv_search_term_split(rows[i].term, &name, &remote, NULL), 0);
        assert_string_equal(remote, rows[i].remote);
        assert_int_equal(dv_index_info_without_config(name, &(dv_lookup){fake_resolve}, &index, NULL), 0);
        check_index(&index, rows[i].index, !rows[i].insecure, rows[i].term);
        assert_null(index.mirrors);
    }
}

static void public_functions__need_no_network_for_what_is_known(void **state)
{
    static const char *const terms[] = {"ubuntu", "localhost/foo"};
    for (size_t i = 0; i < DV_COUNT(terms); i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        DV_AUTO(davit_index_info) index = DAVIT_INDEX_INFO_INIT;
        DV_AUTO(davit_repository_info) info = DAVIT_REPOSITORY_INFO_INIT;
        assert_int_equal(davit_reference_parse(terms[i], &ref, NULL), 0);
        assert_int_equal(davit_parse_search_index_info(terms[i], &index, NULL), 0);
        check_index(&index, i ? "localhost" : "docker.io", !i, terms[i]);
        assert_int_equal(davit_parse_repository_info(ref, &info, NULL), 0);
        check_index(&info.index, i ? "localhost" : "docker.io", !i, terms[i]);
    }
}

static void clearing__nothing_is_fine(void **state)
{
    davit_index_info_clear(NULL);
    davit_repository_info_clear(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repository_info__names),
        cmocka_unit_test(repository_info__an_empty_domain_is_official_for_v27_only),
        cmocka_unit_test(index_info__of_a_name),
        cmocka_unit_test(index_info__a_hyphen_is_an_error_for_v27_only),
        cmocka_unit_test(search_term__splits),
        cmocka_unit_test(public_functions__need_no_network_for_what_is_known),
        cmocka_unit_test(clearing__nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
