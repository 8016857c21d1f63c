/*
 * registry/search_result.c - see search_result.h. Read as the reference reads: key case is ignored, the last of equal keys
 * counts, what is missing or null is zero.
 */
#include "registry/search_result.h"

#include "util/json.h"
#include "util/str.h"

#include <string.h>

#define WRITTEN_MAX (64u << 20) /* bytes: an answer of the longest kind, every byte escaped */

void dv_search_result_clear(davit_search_result *result)
{
    free(result->name);
    free(result->description);
    *result = (davit_search_result){0};
}

void davit_search_results_free(davit_search_results *results)
{
    if (!results)
        return;
    for (size_t i = 0; i < results->count; i++)
        dv_search_result_clear(&results->items[i]);
    free(results->items);
    free(results->query);
    free(results);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static int wrong_type(const char *key, const char *wanted, davit_error **err)
{
    return dv_error_set(err, DAVIT_EFORMAT, "\"%s\" is not %s", key, wanted);
}

static int take_text(const char *key, const dv_json *v, char **out, davit_error **err)
{
    size_t size = 0;
    const char *text = dv_json_string(v, &size);
    if (!text || strlen(text) != size)
        return wrong_type(key, "a string", err);
    char *copy = dv_strdup(text);
    if (!copy)
        return dv_error_oom(err);
    free(*out);
    *out = copy;
    return 0;
}

static int take_integer(const char *key, const dv_json *v, int64_t *out, davit_error **err)
{
    if (!dv_json_is(v, DV_JSON_INTEGER))
        return wrong_type(key, "an integer", err);
    *out = dv_json_integer(v);
    return 0;
}

static int take_bool(const char *key, const dv_json *v, bool *out, davit_error **err)
{
    if (!dv_json_is(v, DV_JSON_BOOL))
        return wrong_type(key, "true or false", err);
    *out = dv_json_bool(v);
    return 0;
}

static int read_result(const dv_json *object, davit_search_result *out, davit_error **err)
{
    void *iter = NULL;
    const char *key;
    const dv_json *v;
    int r = 0;
    if (dv_json_is(object, DV_JSON_NULL))
        return 0;
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return wrong_type("results", "an array of objects", err);
    while (r == 0 && dv_json_next(object, &iter, &key, &v)) {
        if (dv_json_is(v, DV_JSON_NULL))
            continue;
        if (dv_str_equal_nocase(key, "star_count"))
            r = take_integer("star_count", v, &out->star_count, err);
        else if (dv_str_equal_nocase(key, "is_official"))
            r = take_bool("is_official", v, &out->is_official, err);
        else if (dv_str_equal_nocase(key, "name"))
            r = take_text("name", v, &out->name, err);
        else if (dv_str_equal_nocase(key, "is_automated"))
            r = take_bool("is_automated", v, &out->is_automated, err);
        else if (dv_str_equal_nocase(key, "description"))
            r = take_text("description", v, &out->description, err);
    }
    return r;
}

static int read_list(const dv_json *list, davit_search_results *out, davit_error **err)
{
    size_t count = dv_json_is(list, DV_JSON_ARRAY) ? dv_json_count(list) : 0;
    if (!dv_json_is(list, DV_JSON_ARRAY))
        return wrong_type("results", "an array", err);
    while (out->count > 0) /* a second list in another spelling replaces the first */
        dv_search_result_clear(&out->items[--out->count]);
    free(out->items);
    out->has_results = true;
    out->items = dv_new_array(davit_search_result, count ? count : 1);
    int r = out->items ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        out->count = i + 1;
        r = read_result(dv_json_at(list, i), &out->items[i], err);
    }
    return r;
}

static int read_results(const dv_json *object, davit_search_results *out, davit_error **err)
{
    void *iter = NULL;
    const char *key;
    const dv_json *v;
    int r = 0;
    while (r == 0 && dv_json_next(object, &iter, &key, &v)) {
        if (dv_json_is(v, DV_JSON_NULL))
            continue;
        if (dv_str_equal_nocase(key, "query"))
            r = take_text("query", v, &out->query, err);
        else if (dv_str_equal_nocase(key, "num_results"))
            r = take_integer("num_results", v, &out->num_results, err);
        else if (dv_str_equal_nocase(key, "results"))
            r = read_list(v, out, err);
    }
    return r;
}

int davit_search_results_parse(const void *bytes, size_t size, davit_search_results **out, davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = DV_SEARCH_ANSWER_MAX, .any_number = true};
    DV_AUTOPTR(dv_json) object = NULL;
    DV_AUTOPTR(davit_search_results) results = NULL;
    int r = dv_json_parse(bytes, size, &limits, NULL, &object, err);
    if (r < 0)
        return r;
    if (!dv_json_is(object, DV_JSON_OBJECT) && !dv_json_is(object, DV_JSON_NULL))
        return dv_error_set(err, DAVIT_EFORMAT, "not a JSON object");
    results = dv_new(davit_search_results);
    r = results ? read_results(object, results, err) : dv_error_oom(err);
    if (r < 0)
        return r;
    *out = DV_STEAL(results);
    return 0;
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static dv_json *result_to_json(const davit_search_result *result)
{
    DV_AUTOPTR(dv_json) object = dv_json_object_new();
    bool ok = object && dv_json_set_integer(object, "star_count", result->star_count) &&
              dv_json_set_bool(object, "is_official", result->is_official) &&
              dv_json_set_string(object, "name", result->name ? result->name : "") &&
              dv_json_set_bool(object, "is_automated", result->is_automated) &&
              dv_json_set_string(object, "description", result->description ? result->description : "");
    return ok ? DV_STEAL(object) : NULL;
}

static dv_json *list_to_json(const davit_search_results *results)
{
    DV_AUTOPTR(dv_json) list = dv_json_array_new();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < results->count; i++)
        ok = dv_json_append(list, result_to_json(&results->items[i]));
    return ok ? DV_STEAL(list) : NULL;
}

static int give_text(const dv_json *document, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(WRITTEN_MAX);
    if (!document)
        return dv_error_oom(err);
    dv_json_format(document, /* indent= */ 0, /* html_safe= */ true, &text);
    char *written = text.failed ? NULL : dv_buf_take(&text);
    if (!written)
        return dv_error_oom(err);
    *out = written;
    return 0;
}

int davit_search_results_format_list(const davit_search_results *results, char **out, davit_error **err)
{
    DV_AUTOPTR(dv_json) list = list_to_json(results);
    return give_text(list, out, err);
}

int davit_search_results_format(const davit_search_results *results, char **out, davit_error **err)
{
    DV_AUTOPTR(dv_json) object = dv_json_object_new();
    bool null = !results->has_results && results->count == 0;
    bool ok = object && dv_json_set_string(object, "query", results->query ? results->query : "") &&
              dv_json_set_integer(object, "num_results", results->num_results);
    if (ok)
        ok = null ? dv_json_set_null(object, "results")
                  : dv_json_set(object, "results", list_to_json(results));
    return give_text(ok ? object : NULL, out, err);
}
