/* Unit tests of registry/v1_open.c: registry-v1.md 1, 6, 13; threats A1, A9. */
#include "v1_test.h"

#define ALONE "X-Docker-Registry-Standalone: True\r\n"
#define BOUND "X-Docker-Registry-Standalone: False\r\n"

/* "127.0.0.1:PORT/foo/bar", and the base URL there. */
static const char *name_of(const script *s, char out[128])
{
    snprintf(out, 128, "%s/foo/bar", script_host(s));
    return out;
}

static const char *url_of(const script *s, char out[128])
{
    snprintf(out, 128, "http://%s/v1/", script_host(s));
    return out;
}

/* What an index says with a token for a script. */
static const char *token_for(const script *s, char out[256])
{
    snprintf(out, 256, "X-Docker-Token: " TOKEN "\r\nX-Docker-Endpoints: %s\r\n", script_host(s));
    return out;
}

static int ask_id(const davit_v1_repository *rep, davit_error **err)
{
    DV_AUTOFREE char *id = NULL;
    return davit_v1_repository_get_image_id(davit_v1_repository_registry(rep), davit_v1_repository_path(rep),
                                            "1.0", davit_v1_repository_auth(rep), &id, err);
}

static void davit_v1_repository_open__a_registry_that_stands_alone_is_asked_itself(void **state)
{
    v1_fixture *f = *state;
    char name[128];
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    f->base.one =
        script_start(ROWS({"GET /v1/_ping", .headers = ALONE, .body = "{}"}, {NULL, .body = "\"" ID "\""}));
    assert_ok(davit_v1_repository_open(f->base.client, name_of(f->base.one, name), DAVIT_V1_ACCESS_READ, NULL,
                                       0, NULL, &rep, &err));
    assert_string_equal(davit_v1_repository_path(rep), "foo/bar");
    assert_null(davit_v1_repository_index(rep));
    assert_null(davit_v1_repository_auth(rep));
    assert_ok(ask_id(rep, &err));
    assert_request(f->base.one, 0, "GET /v1/_ping");
    assert_request(f->base.one, 1, "GET /v1/repositories/foo/bar/tags/1.0");
}

static void davit_v1_repository_open__another_gives_a_token_for_its_registry(void **state)
{
    v1_fixture *f = *state;
    char name[128], gives[256];
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    f->base.two = script_start(ROWS({NULL, .body = "\"" ID "\""}));
    f->base.one = script_start(ROWS({"GET /v1/_ping", .headers = BOUND, .body = "{}"},
                                    {NULL, .headers = token_for(f->base.two, gives), .body = "[]"}));
    use_credentials(&f->base, f->base.one, "\"auth\":\"dTpw\"");
    assert_ok(davit_v1_repository_open(f->base.client, name_of(f->base.one, name), DAVIT_V1_ACCESS_READ, NULL,
                                       0, NULL, &rep, &err));
    assert_ok(ask_id(rep, &err));
    assert_request(f->base.one, 1,
                   "GET /v1/repositories/foo/bar/images [Authorization: Basic dTpw] [X-Docker-Token: true]");
    assert_request(f->base.two, 0, "GET /v1/repositories/foo/bar/tags/1.0 [Authorization: Token " TOKEN "]");
    assert_non_null(davit_v1_repository_index(rep));
    assert_non_null(davit_v1_repository_index_auth(rep));
}

static void davit_v1_repository_open__the_options_registry_gets_the_token(void **state)
{
    v1_fixture *f = *state;
    char index[128], registry[128];
    davit_v1_open_options options = DAVIT_V1_OPEN_OPTIONS_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    f->base.two = script_start(ROWS({NULL, .body = "\"" ID "\""}));
    f->base.one =
        script_start(ROWS({NULL, .headers = "X-Docker-Token: t\r\nX-Docker-Endpoints: other.example\r\n"}));
    options.index = url_of(f->base.one, index);
    options.registry = url_of(f->base.two, registry);
    options.username = "u";
    options.password = "p";
    assert_ok(davit_v1_repository_open(f->base.client, "foo/bar", DAVIT_V1_ACCESS_WRITE, NULL, 0, &options,
                                       &rep, &err));
    assert_ok(ask_id(rep, &err));
    assert_request(f->base.one, 0,
                   "PUT /v1/repositories/foo/bar/ [Authorization: Basic dTpw] [X-Docker-Token: true] []\n");
    assert_request(f->base.two, 0, "GET /v1/repositories/foo/bar/tags/1.0 [Authorization: Token t]");
}

static void davit_v1_repository_open__a_registry_alone_gets_the_user(void **state)
{
    v1_fixture *f = *state;
    char registry[128];
    davit_v1_open_options options = DAVIT_V1_OPEN_OPTIONS_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    f->base.one = script_start(ROWS({NULL, .body = "\"" ID "\""}));
    options.registry = url_of(f->base.one, registry);
    options.username = "u";
    options.password = "p";
    assert_ok(davit_v1_repository_open(f->base.client, "foo/bar", DAVIT_V1_ACCESS_READ, NULL, 0, &options,
                                       &rep, &err));
    assert_ok(ask_id(rep, &err));
    assert_request(f->base.one, 0, "GET /v1/repositories/foo/bar/tags/1.0 [Authorization: Basic dTpw]");
}

/* Asking it for a token would delete everything. */
static void davit_v1_repository_open__asks_no_standalone_registry_for_a_token_to_delete(void **state)
{
    v1_fixture *f = *state;
    char index[128];
    davit_v1_open_options options = DAVIT_V1_OPEN_OPTIONS_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    f->base.one = script_start(ROWS({NULL, .headers = ALONE, .body = "{}"}));
    options.index = url_of(f->base.one, index);
    assert_int_equal(davit_v1_repository_open(f->base.client, "foo/bar", DAVIT_V1_ACCESS_DELETE, NULL, 0,
                                              &options, &rep, &err),
                     DAVIT_EINVAL);
    assert_int_equal(script_count(f->base.one, "DELETE", NULL), 0);
    assert_null(rep);
}

static void davit_v1_repository_open__an_index_that_refuses_is_a_registry_error(void **state)
{
    v1_fixture *f = *state;
    char index[128];
    davit_v1_open_options options = DAVIT_V1_OPEN_OPTIONS_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    f->base.one = script_start(ROWS({NULL, .status = 404, .body = "{\"error\":\"images not found\"}"}));
    options.index = url_of(f->base.one, index);
    int r = davit_v1_repository_open(f->base.client, "foo/bar", DAVIT_V1_ACCESS_READ, NULL, 0, &options, &rep,
                                     &err);
    assert_refused(f, r, &err, "GET", "/v1/repositories/foo/bar/images", 404, "images not found");
}

static void davit_v1_repository_open__checks_its_options(void **state)
{
    v1_fixture *f = *state;
    const davit_v1_open_options rows[] = {{.version = 9},
                                          {.version = 1, .flags = 1},
                                          {.version = 1, .username = "u"},
                                          {.version = 1, .registry = "x"}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_v1_repository *rep = NULL;
        assert_int_equal(davit_v1_repository_open(f->base.client, "foo/bar", DAVIT_V1_ACCESS_READ, NULL, 0,
                                                  &rows[i], &rep, NULL),
                         DAVIT_EINVAL);
    }
}

static void davit_v1_client_find__the_names_host_or_the_options(void **state)
{
    v1_fixture *f = *state;
    char name[128], url[128];
    DV_AUTOPTR(davit_error) err = NULL;
    f->base.one = script_start(ROWS({NULL, .headers = BOUND, .body = "{}"}));
    assert_ok(davit_v1_client_find(f->base.client, name_of(f->base.one, name), NULL, &f->v1, &err));
    assert_string_equal(davit_v1_client_base_url(f->v1), url_of(f->base.one, url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        v1_test(davit_v1_repository_open__a_registry_that_stands_alone_is_asked_itself),
        v1_test(davit_v1_repository_open__another_gives_a_token_for_its_registry),
        v1_test(davit_v1_repository_open__the_options_registry_gets_the_token),
        v1_test(davit_v1_repository_open__a_registry_alone_gets_the_user),
        v1_test(davit_v1_repository_open__asks_no_standalone_registry_for_a_token_to_delete),
        v1_test(davit_v1_repository_open__an_index_that_refuses_is_a_registry_error),
        v1_test(davit_v1_repository_open__checks_its_options),
        v1_test(davit_v1_client_find__the_names_host_or_the_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
