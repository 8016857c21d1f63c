/* Unit tests of registry/v1_repository.c: registry-v1.md 5, 10. */
#include "v1_test.h"

#define AS_USER " [Authorization: Basic dTpw]"

static void davit_v1_repository_list_tags__a_map_of_ids(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_tags) tags = NULL;
    v1_open(f, ROWS({NULL, .headers = JSON, .body = "{\"1.0\":\"" ID "\",\"latest\":\"x\",\"none\":null}"}));
    assert_ok(davit_v1_repository_list_tags(f->v1, "foo/bar", f->auth, &tags, &err));
    assert_request(f->base.one, 0, "GET /v1/repositories/foo/bar/tags" AS_USER);
    assert_int_equal(tags->count, 3);
    assert_string_equal(tags->items[0].name, "1.0");
    assert_string_equal(tags->items[0].id, ID);
    assert_string_equal(tags->items[1].name, "latest");
    assert_string_equal(tags->items[2].id, "");
}

static void davit_v1_repository_list_tags__wrong_types_are_refused(void **state)
{
    static const char *const bodies[] = {"[]", "{\"a\":1}", "{\"a\":{}}",          "\"\"",
                                         "{",  "",          "{\"a\":\"x\\u0000\"}"};
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(bodies); i++) {
        davit_v1_tags *tags = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        v1_open(f, ROWS({NULL, .body = bodies[i]}));
        if (davit_v1_repository_list_tags(f->v1, "foo/bar", NULL, &tags, &err) != DAVIT_EFORMAT || tags ||
            davit_error_is_v1_registry(err) || !strstr(davit_error_message(err), "list of tags: "))
            fail_msg("%s: %s", bodies[i], davit_error_message(err));
    }
}

static void davit_v1_repository_list_tags__an_endless_list_is_refused(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_v1_tags) tags = NULL;
    v1_open(f, ROWS({NULL, .body = "          ", .endless = true}));
    assert_int_equal(davit_v1_repository_list_tags(f->v1, "foo/bar", NULL, &tags, NULL), DAVIT_ETOOBIG);
}

static void davit_v1_repository_get_image_id__a_json_string(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOFREE char *id = NULL;
    v1_open(f, ROWS({NULL, .headers = JSON, .body = "\"" ID "\""}));
    assert_ok(davit_v1_repository_get_image_id(f->v1, "foo/bar", "1.0", f->auth, &id, &err));
    assert_request(f->base.one, 0, "GET /v1/repositories/foo/bar/tags/1.0" AS_USER);
    assert_string_equal(id, ID);
}

static void davit_v1_repository_get_image_id__anything_else_is_refused(void **state)
{
    static const char *const bodies[] = {"[\"" ID "\"]", "{}", "7", ID, ""};
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(bodies); i++) {
        char *id = NULL;
        v1_open(f, ROWS({NULL, .body = bodies[i]}));
        if (davit_v1_repository_get_image_id(f->v1, "foo/bar", "1.0", NULL, &id, NULL) != DAVIT_EFORMAT || id)
            fail_msg("%s: not refused", bodies[i]);
    }
}

static void davit_v1_repository_set_tag__puts_the_id_as_json(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_repository_set_tag(f->v1, "foo/bar", ID, "1.0", f->auth, &err));
    assert_request(f->base.one, 0, "PUT /v1/repositories/foo/bar/tags/1.0" AS_USER " \"" ID "\"\n");
}

static void davit_v1_repository_delete_tag__deletes_the_tag(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_repository_delete_tag(f->v1, "foo/bar", "1.0", f->auth, &err));
    assert_request(f->base.one, 0, "DELETE /v1/repositories/foo/bar/tags/1.0" AS_USER);
}

static void davit_v1_repository_delete__ends_with_a_slash(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_repository_delete(f->v1, "foo/bar", f->auth, &err));
    assert_request(f->base.one, 0, "DELETE /v1/repositories/foo/bar/" AS_USER);
}

/* --- the statuses of the table of routes ------------------------------------------------------------------------------ */

typedef int ask_fn(v1_fixture *f, davit_error **err);

static int list(v1_fixture *f, davit_error **err)
{
    DV_AUTOPTR(davit_v1_tags) tags = NULL;
    return davit_v1_repository_list_tags(f->v1, "foo/bar", f->auth, &tags, err);
}

static int get(v1_fixture *f, davit_error **err)
{
    DV_AUTOFREE char *id = NULL;
    return davit_v1_repository_get_image_id(f->v1, "foo/bar", "T", f->auth, &id, err);
}

static int set(v1_fixture *f, davit_error **err)
{
    return davit_v1_repository_set_tag(f->v1, "foo/bar", ID, "T", f->auth, err);
}

static int delete_tag(v1_fixture *f, davit_error **err)
{
    return davit_v1_repository_delete_tag(f->v1, "foo/bar", "T", f->auth, err);
}

static int delete_all(v1_fixture *f, davit_error **err)
{
    return davit_v1_repository_delete(f->v1, "foo/bar", f->auth, err);
}

static void v1_repository__statuses_of_its_routes(void **state)
{
    static const struct {
        ask_fn *ask;
        const char *method, *path;
        int status;
        const char *words;
    } rows[] = {
        {list, "GET", "tags", 404, "Repository not found"},
        {list, "GET", "tags", 401, "Requires authorization"},
        {get, "GET", "tags/T", 404, "Tag not found"},
        {set, "PUT", "tags/T", 400, "Invalid tag name (must match ^[\\\\w][\\\\w.-]{0,127}$)"},
        {set, "PUT", "tags/T", 400, "Invalid data"},
        {set, "PUT", "tags/T", 404, "Image not found"},
        {set, "PUT", "tags/T", 401, "Requires authorization"},
        {delete_tag, "DELETE", "tags/T", 404, "Tag not found: T"},
        {delete_all, "DELETE", "", 404, "Repository not found"},
    };
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char body[256], path[128], words[128] = "";
        DV_AUTOPTR(davit_error) err = NULL;
        snprintf(body, sizeof(body), "{\"error\":\"%s\"}", rows[i].words);
        snprintf(path, sizeof(path), "/v1/repositories/foo/bar/%s", rows[i].path);
        for (const char *from = rows[i].words; *from; from++)
            if (*from != '\\' || from[1] != '\\')
                strncat(words, from, 1);
        v1_open(f, ROWS({NULL, .status = rows[i].status, .headers = JSON, .body = body}));
        int r = rows[i].ask(f, &err);
        assert_refused(f, r, &err, rows[i].method, path, rows[i].status, words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        v1_test(davit_v1_repository_list_tags__a_map_of_ids),
        v1_test(davit_v1_repository_list_tags__wrong_types_are_refused),
        v1_test(davit_v1_repository_list_tags__an_endless_list_is_refused),
        v1_test(davit_v1_repository_get_image_id__a_json_string),
        v1_test(davit_v1_repository_get_image_id__anything_else_is_refused),
        v1_test(davit_v1_repository_set_tag__puts_the_id_as_json),
        v1_test(davit_v1_repository_delete_tag__deletes_the_tag),
        v1_test(davit_v1_repository_delete__ends_with_a_slash),
        v1_test(v1_repository__statuses_of_its_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
