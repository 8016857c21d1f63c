/* Unit tests of registry/v1_hub.c: registry-v1.md 5, 6, 8, 10. */
#include "v1_test.h"

#define GIVES "X-Docker-Token: " TOKEN "\r\nX-Docker-Endpoints: reg.example:5000\r\n"
#define ASKED " [X-Docker-Token: true]"
#define AS_USER " [Authorization: Basic dTpw] [X-Docker-Token: true]"

static void assert_token(const davit_v1_auth *token, davit_v1_access access)
{
    assert_string_equal(davit_v1_auth_host(token), "reg.example:5000");
    assert_string_equal(davit_v1_auth_token(token), TOKEN);
    assert_int_equal(davit_v1_auth_access(token), access);
}

static void davit_v1_hub_get_read_token__asks_as_nobody(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    v1_open(f, ROWS({NULL, .headers = JSON GIVES, .body = "[]"}));
    assert_ok(davit_v1_hub_get_read_token(f->v1, "foo/bar", &token, &err));
    assert_request(f->base.one, 0, "GET /v1/repositories/foo/bar/images" ASKED);
    assert_token(token, DAVIT_V1_ACCESS_READ);
}

static void davit_v1_hub_get_read_token_with_auth__asks_as_somebody(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    v1_open(f, ROWS({NULL, .headers = GIVES, .body = "[]"}));
    assert_ok(davit_v1_hub_get_read_token_with_auth(f->v1, "foo/bar", f->auth, &token, &err));
    assert_request(f->base.one, 0, "GET /v1/repositories/foo/bar/images" AS_USER);
    assert_token(token, DAVIT_V1_ACCESS_READ);
}

static void davit_v1_hub_get_write_token__puts_an_empty_list(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    v1_open(f, ROWS({NULL, .headers = GIVES, .body = "\"\""}));
    assert_ok(davit_v1_hub_get_write_token(f->v1, "foo/bar", f->auth, &token, &err));
    assert_request(f->base.one, 0, "PUT /v1/repositories/foo/bar/" AS_USER " []\n");
    assert_token(token, DAVIT_V1_ACCESS_WRITE); /* the method's, whatever the text says */
}

static void davit_v1_hub_get_write_token_for__puts_the_list_of_ids(void **state)
{
    char one[] = ID, two[] = "b<&>";
    const davit_v1_image_entry images[] = {{.id = one, .checksum = one}, {.id = two}};
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    v1_open(f, ROWS({NULL, .headers = GIVES, .body = "\"\""}));
    assert_ok(davit_v1_hub_get_write_token_for(f->v1, "foo/bar", images, 2, f->auth, &token, &err));
    assert_request(f->base.one, 0,
                   "PUT /v1/repositories/foo/bar/" AS_USER " [{\"id\":\"" ID
                   "\"},{\"id\":\"b\\u003c\\u0026\\u003e\"}]\n");
    assert_token(token, DAVIT_V1_ACCESS_WRITE);
}

static void davit_v1_hub_get_delete_token__any_success_will_do(void **state)
{
    static const int statuses[] = {200, 202};
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(statuses); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTOPTR(davit_v1_auth) token = NULL;
        v1_open(f, ROWS({NULL, .status = statuses[i], .headers = GIVES, .body = "true"}));
        assert_ok(davit_v1_hub_get_delete_token(f->v1, "foo/bar", f->auth, &token, &err));
        assert_request(f->base.one, 0, "DELETE /v1/repositories/foo/bar/" AS_USER " []\n");
        assert_token(token, DAVIT_V1_ACCESS_DELETE);
    }
}

/* A standalone registry deletes, and gives nothing. */
static void v1_hub__a_token_without_a_registry_cannot_be_used(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_hub_get_delete_token(f->v1, "foo/bar", f->auth, &token, &err));
    assert_string_equal(davit_v1_auth_host(token), "");
    assert_int_equal(davit_v1_repository_delete(f->v1, "foo/bar", token, &err), DAVIT_EPROTOCOL);
    assert_string_equal(davit_error_message(err),
                        "the index 127.0.0.1 named no registry for its token (X-Docker-Endpoints)");
    assert_int_equal(script_count(f->base.one, "", NULL), 1);
}

static void v1_hub__a_token_asks_the_registry_and_basic_the_index(void **state)
{
    v1_fixture *f = *state;
    char headers[256];
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    char *id = NULL;
    f->base.two = script_start(ROWS({NULL, .body = "\"" ID "\""}));
    snprintf(headers, sizeof(headers), "X-Docker-Token: " TOKEN "\r\nX-Docker-Endpoints: %s, b.example\r\n",
             script_host(f->base.two));
    v1_open(f, ROWS({NULL, .headers = headers, .body = "[]"}));
    assert_ok(davit_v1_hub_get_read_token_with_auth(f->v1, "foo/bar", f->auth, &token, &err));
    assert_ok(davit_v1_repository_get_image_id(f->v1, "foo/bar", "1.0", token, &id, &err));
    assert_string_equal(id, ID);
    assert_request(f->base.two, 0, "GET /v1/repositories/foo/bar/tags/1.0 [Authorization: Token " TOKEN "]");
    assert_int_equal(script_count(f->base.two, "", "Basic"), 0);
    free(id);
}

/* What a host says to which the index sent us is not the index's word. */
static void v1_hub__a_redirect_to_another_host_gives_no_token(void **state)
{
    v1_fixture *f = *state;
    char location[256];
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    f->base.two = script_start(ROWS({NULL, .headers = GIVES, .body = "[]"}));
    snprintf(location, sizeof(location), "Location: http://%s/\r\n", script_host(f->base.two));
    v1_open(f, ROWS({NULL, .status = 302, .headers = location}));
    assert_ok(davit_v1_hub_get_read_token(f->v1, "foo/bar", &token, &err));
    assert_string_equal(davit_v1_auth_token(token), "");
    assert_string_equal(davit_v1_auth_host(token), "");
}

static void v1_hub__a_refusal_is_a_registry_error(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    v1_open(f,
            ROWS({"GET", .status = 404, .body = "{\"error\":\"images not found\"}"}, {NULL, .status = 401}));
    int r = davit_v1_hub_get_read_token(f->v1, "foo/bar", &token, &err);
    assert_refused(f, r, &err, "GET", "/v1/repositories/foo/bar/images", 404, "images not found");
    r = davit_v1_hub_get_write_token(f->v1, "foo/bar", f->auth, &token, &err);
    assert_refused(f, r, &err, "PUT", "/v1/repositories/foo/bar/", 401, NULL);
    r = davit_v1_hub_get_delete_token(f->v1, "foo/bar", f->auth, &token, &err);
    assert_refused(f, r, &err, "DELETE", "/v1/repositories/foo/bar/", 401, NULL);
    assert_null(token);
}

static void davit_v1_hub_list_images__ids_and_checksums(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_image_entries) images = NULL;
    v1_open(f,
            ROWS({NULL, .headers = JSON,
                  .body = "[{\"id\":\"" ID "\",\"checksum\":\"sha256:00\",\"Tag\":null},{\"id\":\"x\"}]"}));
    assert_ok(davit_v1_hub_list_images(f->v1, "foo/bar", f->auth, &images, &err));
    assert_request(f->base.one, 0, "GET /v1/repositories/foo/bar/images [Authorization: Basic dTpw]");
    assert_int_equal(images->count, 2);
    assert_string_equal(images->items[0].id, ID);
    assert_string_equal(images->items[0].checksum, "sha256:00");
    assert_string_equal(images->items[1].id, "x");
    assert_null(images->items[1].checksum);
}

static void davit_v1_hub_list_images__wrong_types_are_refused(void **state)
{
    static const char *const bodies[] = {"{}", "[1]", "[{\"id\":1}]", "[{\"checksum\":[]}]", "", "[", "\"\""};
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(bodies); i++) {
        davit_v1_image_entries *images = NULL;
        v1_open(f, ROWS({NULL, .body = bodies[i]}));
        if (davit_v1_hub_list_images(f->v1, "foo/bar", NULL, &images, NULL) != DAVIT_EFORMAT || images)
            fail_msg("%s: not refused", bodies[i]);
    }
}

static void davit_v1_hub_put_images__names_the_registry(void **state)
{
    char one[] = ID, sum[] = "sha256:00";
    const davit_v1_image_entry images[] = {{.id = one, .checksum = sum}};
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .status = 204}));
    assert_ok(davit_v1_hub_put_images(f->v1, "foo/bar", images, 1, "reg.example:5000", f->auth, &err));
    assert_request(f->base.one, 0,
                   "PUT /v1/repositories/foo/bar/images [Authorization: Basic dTpw] [X-Docker-Endpoints: "
                   "reg.example:5000] [{\"id\":\"" ID "\",\"checksum\":\"sha256:00\"}]\n");
    assert_int_equal(davit_v1_hub_put_images(f->v1, "foo/bar", images, 1, "a\r\nX: y", f->auth, NULL),
                     DAVIT_EINVAL);
}

static void davit_v1_login__asks_for_the_users(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .with = "Basic dTpw", .body = "\"OK\""}, {NULL, .status = 401}));
    assert_ok(davit_v1_login(f->v1, f->auth, &err));
    assert_request(f->base.one, 0, "GET /v1/users/ [Authorization: Basic dTpw]");
    int r = davit_v1_login(f->v1, NULL, &err);
    assert_refused(f, r, &err, "GET", "/v1/users/", 401, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        v1_test(davit_v1_hub_get_read_token__asks_as_nobody),
        v1_test(davit_v1_hub_get_read_token_with_auth__asks_as_somebody),
        v1_test(davit_v1_hub_get_write_token__puts_an_empty_list),
        v1_test(davit_v1_hub_get_write_token_for__puts_the_list_of_ids),
        v1_test(davit_v1_hub_get_delete_token__any_success_will_do),
        v1_test(v1_hub__a_token_without_a_registry_cannot_be_used),
        v1_test(v1_hub__a_token_asks_the_registry_and_basic_the_index),
        v1_test(v1_hub__a_redirect_to_another_host_gives_no_token),
        v1_test(v1_hub__a_refusal_is_a_registry_error),
        v1_test(davit_v1_hub_list_images__ids_and_checksums),
        v1_test(davit_v1_hub_list_images__wrong_types_are_refused),
        v1_test(davit_v1_hub_put_images__names_the_registry),
        v1_test(davit_v1_login__asks_for_the_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
