/*
 * registry/v1_search.c - pages of repositories, as a v1 index finds them. Spec: registry-v1.md 5, 7. The search of the service, with
 * filters and Docker's rules, is search.c.
 */
#include "registry/v1_client.h"

#include "oci/v1_image.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

DV_DEFINE_AUTOPTR(davit_v1_search_results, davit_v1_search_results_free)

static void clear_results(davit_v1_search_results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        free(results->items[i].name);
        free(results->items[i].description);
    }
    free(results->items);
    results->items = NULL;
    results->count = 0;
}

void davit_v1_search_results_free(davit_v1_search_results *results)
{
    if (!results)
        return;
    clear_results(results);
    free(results->query);
    free(results);
}

static int take_integer(const char *key, const dv_json *v, int64_t *out, davit_error **err)
{
    if (!dv_json_is(v, DV_JSON_INTEGER))
        return dv_error_set(err, DAVIT_EFORMAT, "\"%s\" is not an integer", key);
    *out = dv_json_integer(v);
    return 0;
}

static int take_bool(const char *key, const dv_json *v, bool *out, davit_error **err)
{
    if (!dv_json_is(v, DV_JSON_BOOL))
        return dv_error_set(err, DAVIT_EFORMAT, "\"%s\" is not true or false", key);
    *out = dv_json_bool(v);
    return 0;
}

/* The Hub writes the page as a text. */
static int take_page(const dv_json *v, int64_t *out, davit_error **err)
{
    size_t size = 0;
    uint64_t page;
    const char *text = dv_json_string(v, &size);
    if (!text)
        return take_integer("page", v, out, err);
    if (strlen(text) != size || !dv_str_to_u64(text, &page) || page > INT64_MAX)
        return dv_error_set(err, DAVIT_EFORMAT, "\"page\" is not an integer");
    *out = (int64_t)page;
    return 0;
}

static int read_result(const dv_json *object, davit_v1_search_result *out, davit_error **err)
{
    void *iter = NULL;
    const char *key;
    const dv_json *v;
    int r = 0;
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return dv_error_set(err, DAVIT_EFORMAT, "\"results\" is not an array of objects");
    while (r == 0 && dv_json_next(object, &iter, &key, &v)) {
        if (dv_json_is(v, DV_JSON_NULL))
            continue;
        if (dv_str_equal_nocase(key, "name"))
            r = dv_v1_text_read(v, key, &out->name, err);
        else if (dv_str_equal_nocase(key, "description"))
            r = dv_v1_text_read(v, key, &out->description, err);
        else if (dv_str_equal_nocase(key, "is_automated"))
            r = take_bool(key, v, &out->is_automated, err);
        else if (dv_str_equal_nocase(key, "is_trusted"))
            r = take_bool(key, v, &out->is_trusted, err);
        else if (dv_str_equal_nocase(key, "is_official"))
            r = take_bool(key, v, &out->is_official, err);
        else if (dv_str_equal_nocase(key, "star_count"))
            r = take_integer(key, v, &out->star_count, err);
    }
    return r;
}

static int read_list(const dv_json *list, davit_v1_search_results *out, davit_error **err)
{
    if (!dv_json_is(list, DV_JSON_ARRAY))
        return dv_error_set(err, DAVIT_EFORMAT, "\"results\" is not an array");
    size_t count = dv_json_count(list);
    clear_results(out); /* a second list in another spelling replaces the first */
    out->items = dv_new_array(davit_v1_search_result, count + 1);
    int r = out->items ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        out->count = i + 1;
        r = read_result(dv_json_at(list, i), &out->items[i], err);
    }
    return r;
}

static int read_results(const dv_json *object, davit_v1_search_results *out, davit_error **err)
{
    void *iter = NULL;
    const char *key;
    const dv_json *v;
    int r = 0;
    while (r == 0 && dv_json_next(object, &iter, &key, &v)) {
        if (dv_json_is(v, DV_JSON_NULL))
            continue;
        if (dv_str_equal_nocase(key, "num_pages"))
            r = take_integer(key, v, &out->num_pages, err);
        else if (dv_str_equal_nocase(key, "num_results"))
            r = take_integer(key, v, &out->num_results, err);
        else if (dv_str_equal_nocase(key, "results"))
            r = read_list(v, out, err);
        else if (dv_str_equal_nocase(key, "page_size"))
            r = take_integer(key, v, &out->page_size, err);
        else if (dv_str_equal_nocase(key, "query"))
            r = dv_v1_text_read(v, key, &out->query, err);
        else if (dv_str_equal_nocase(key, "page"))
            r = take_page(v, &out->page, err);
    }
    return r;
}

int davit_v1_search_results_parse(const void *bytes, size_t size, davit_v1_search_results **out,
                                  davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = DAVIT_V1_LIST_MAX, .any_number = true};
    DV_AUTOPTR(dv_json) object = NULL;
    DV_AUTOPTR(davit_v1_search_results) results = NULL;
    int r = dv_json_parse(bytes, size, &limits, NULL, &object, err);
    if (r == 0 && !dv_json_is(object, DV_JSON_OBJECT) && !dv_json_is(object, DV_JSON_NULL))
        r = dv_error_set(err, DAVIT_EFORMAT, "not a JSON object");
    if (r == 0) {
        results = dv_new(davit_v1_search_results);
        r = results ? read_results(object, results, err) : dv_error_oom(err);
    }
    if (r < 0)
        return r == DAVIT_ENOMEM ? r : dv_error_wrap(err, r, "search results");
    *out = DV_STEAL(results);
    return 0;
}

int dv_v1_search_as(davit_v1_client *c, const davit_v1_auth *auth, const char *query, int64_t page,
                    int64_t number, davit_v1_search_results **out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    dv_buf_printf(&path, "search?n=%" PRId64 "&page=%" PRId64 "&q=", number, page);
    dv_url_escape(&path, query, /* form= */ true);
    if (path.failed)
        return dv_error_set(err, DAVIT_EINVAL, "search text of %zu bytes is too long", strlen(query));
    const dv_v1_call call = {
        .method = "GET", .path = dv_buf_text(&path), .auth = auth, .body_max = DAVIT_V1_LIST_MAX};
    int r = dv_v1_ask(c, &call, &res, err);
    return r < 0 ? r : davit_v1_search_results_parse(dv_buf_text(&res.body), res.body.size, out, err);
}

int davit_v1_search_query(davit_v1_client *c, const char *query, int64_t page, int64_t number,
                          davit_v1_search_results **out, davit_error **err)
{
    return dv_v1_search_as(c, /* auth= */ NULL, query, page, number, out, err);
}
