/*
 * registry/search_filter.c - see search_filter.h. The wire form is a JSON object of sets or, older, of lists; the two are never
 * mixed in one document.
 */
#include "registry/search_filter.h"

#include "util/json.h"
#include "util/str.h"

#include <string.h>

typedef struct filter_value {
    char *text;
    bool on; /* what the set form maps it to */
} filter_value;

typedef struct filter {
    char *key;
    filter_value *values;
    size_t count;
} filter;

struct davit_search_filters {
    filter *items;
    size_t count;
};

void davit_search_filters_free(davit_search_filters *filters)
{
    if (!filters)
        return;
    for (size_t i = 0; i < filters->count; i++) {
        filter *f = &filters->items[i];
        for (size_t k = 0; k < f->count; k++)
            free(f->values[k].text);
        free(f->values);
        free(f->key);
    }
    free(filters->items);
    free(filters);
}

static const filter *find(const davit_search_filters *filters, const char *key)
{
    for (size_t i = 0; filters && i < filters->count; i++)
        if (dv_str_equal(filters->items[i].key, key))
            return &filters->items[i];
    return NULL;
}

/* The filter of a key, made when it is not there. NULL: no memory. */
static filter *add_key(davit_search_filters *filters, const char *key, size_t size)
{
    DV_AUTOFREE char *copy = dv_strndup(key, size);
    if (!copy)
        return NULL;
    filter *known = (filter *)find(filters, copy);
    if (known)
        return known;
    filter *items = dv_realloc_array(filters->items, filters->count + 1, sizeof(*items));
    if (!items)
        return NULL;
    filters->items = items;
    items[filters->count] = (filter){.key = DV_STEAL(copy)};
    return &items[filters->count++];
}

static int add_value(filter *f, const char *text, size_t size, bool on, davit_error **err)
{
    for (size_t i = 0; i < f->count; i++)
        if (strlen(f->values[i].text) == size && memcmp(f->values[i].text, text, size) == 0) {
            f->values[i].on = on;
            return 0;
        }
    if (f->count == DV_SEARCH_FILTER_VALUES_MAX)
        return dv_error_set(err, DAVIT_EINVAL, "invalid filter");
    filter_value *values = dv_realloc_array(f->values, f->count + 1, sizeof(*values));
    if (!values)
        return dv_error_oom(err);
    f->values = values;
    char *copy = dv_strndup(text, size);
    if (!copy)
        return dv_error_oom(err);
    values[f->count++] = (filter_value){copy, on};
    return 0;
}

/* --- from texts -------------------------------------------------------------------------------------------------- */

static const char *trim(const char *text, size_t *size)
{
    while (*size > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        (*size)--;
    }
    while (*size > 0 && (text[*size - 1] == ' ' || text[*size - 1] == '\t'))
        (*size)--;
    return text;
}

static int add_text(davit_search_filters *filters, const char *text, davit_error **err)
{
    const char *equals = strchr(text, '=');
    size_t key_size = equals ? (size_t)(equals - text) : strlen(text);
    const char *key = trim(text, &key_size);
    if (key_size == 0)
        return dv_error_set(err, DAVIT_EINVAL, "invalid filter '%s': no key", text);
    filter *f = add_key(filters, key, key_size);
    if (!f)
        return dv_error_oom(err);
    dv_str_lower(f->key);
    if (!equals)
        return 0;
    size_t size = strlen(equals + 1);
    const char *value = trim(equals + 1, &size);
    return add_value(f, value, size, /* on= */ true, err);
}

int davit_search_filters_new(const char *const *texts, davit_search_filters **out, davit_error **err)
{
    DV_AUTOPTR(davit_search_filters) filters = dv_new(davit_search_filters);
    int r = filters ? 0 : dv_error_oom(err);
    for (; r == 0 && texts && *texts; texts++)
        r = add_text(filters, *texts, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(filters);
    return 0;
}

/* --- from JSON --------------------------------------------------------------------------------------------------- */

static int not_a_filter(davit_error **err)
{
    return dv_error_set(err, DAVIT_EINVAL, "invalid filter");
}

/* One key of the set form: an object of booleans. */
static int add_set(filter *f, const dv_json *set, davit_error **err)
{
    void *iter = NULL;
    const char *text;
    const dv_json *on;
    int r = dv_json_is(set, DV_JSON_OBJECT) || dv_json_is(set, DV_JSON_NULL) ? 0 : not_a_filter(err);
    while (r == 0 && dv_json_is(set, DV_JSON_OBJECT) && dv_json_next(set, &iter, &text, &on)) {
        bool fits = dv_json_is(on, DV_JSON_BOOL) || dv_json_is(on, DV_JSON_NULL);
        r = fits ? add_value(f, text, strlen(text), dv_json_bool(on), err) : not_a_filter(err);
    }
    return r;
}

/* One key of the older form: an array of strings. */
static int add_list(filter *f, const dv_json *list, davit_error **err)
{
    int r = dv_json_is(list, DV_JSON_ARRAY) || dv_json_is(list, DV_JSON_NULL) ? 0 : not_a_filter(err);
    size_t count = dv_json_is(list, DV_JSON_ARRAY) ? dv_json_count(list) : 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        const dv_json *item = dv_json_at(list, i);
        size_t size = 0;
        const char *text = dv_json_is(item, DV_JSON_NULL) ? "" : dv_json_string(item, &size);
        bool fits = text && strlen(text) == size;
        r = fits ? add_value(f, text, size, /* on= */ true, err) : not_a_filter(err);
    }
    return r;
}

static int read_form(const dv_json *object, int (*add)(filter *, const dv_json *, davit_error **),
                     davit_search_filters **out, davit_error **err)
{
    DV_AUTOPTR(davit_search_filters) filters = dv_new(davit_search_filters);
    void *iter = NULL;
    const char *key;
    const dv_json *values;
    int r = filters ? 0 : dv_error_oom(err);
    while (r == 0 && dv_json_next(object, &iter, &key, &values)) {
        filter *f = add_key(filters, key, strlen(key));
        r = f ? add(f, values, err) : dv_error_oom(err);
    }
    if (r < 0)
        return r;
    *out = DV_STEAL(filters);
    return 0;
}

int davit_search_filters_parse(const char *json, size_t size, davit_search_filters **out, davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = DV_SEARCH_FILTERS_MAX};
    DV_AUTOPTR(dv_json) object = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    if (size == 0)
        return davit_search_filters_new(NULL, out, err);
    int r = dv_json_parse(json, size, &limits, NULL, &object, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r == 0 && dv_json_is(object, DV_JSON_NULL))
        return davit_search_filters_new(NULL, out, err);
    if (r < 0 || !dv_json_is(object, DV_JSON_OBJECT))
        return not_a_filter(err);
    r = read_form(object, add_set, out, &why);
    if (r == DAVIT_EINVAL)
        return read_form(object, add_list, out, err);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

/* --- what they mean ---------------------------------------------------------------------------------------------- */

static bool has(const filter *f, const char *text)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->values[i].on && dv_str_equal(f->values[i].text, text))
            return true;
    return false;
}

static int read_bool(const davit_search_filters *filters, const char *key, bool *out_given, bool *out,
                     davit_error **err)
{
    const filter *f = find(filters, key);
    if (!f)
        return 0;
    if (f->count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "invalid filter '%s'", key);
    bool yes = has(f, "1") || has(f, "true"), no = has(f, "0") || has(f, "false");
    if (yes == no) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(2 * DV_SEARCH_FILTERS_MAX);
        for (size_t i = 0; i < f->count; i++)
            dv_buf_printf(&text, "%s%s", i ? " " : "", f->values[i].text);
        return text.failed
                   ? dv_error_oom(err)
                   : dv_error_set(err, DAVIT_EINVAL, "invalid filter '%s=[%s]'", key, dv_buf_text(&text));
    }
    *out_given = true;
    *out = yes;
    return 0;
}

/* A decimal number with an optional sign, as strconv.Atoi reads it; its words for what is wrong, or NULL. */
static const char *read_integer(const char *text, int64_t *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    uint64_t value = 0;
    if (!*digits || strspn(digits, "0123456789") != strlen(digits))
        return "invalid syntax";
    uint64_t max = (uint64_t)INT64_MAX + (*text == '-');
    if (!dv_str_to_u64(digits, &value) || value > max)
        return "value out of range";
    *out = *text == '-' ? (int64_t)-value : (int64_t)value;
    return NULL;
}

static int read_stars(const davit_search_filters *filters, dv_search_wish *wish, davit_error **err)
{
    const filter *f = find(filters, "stars");
    wish->stars_given = f != NULL;
    for (size_t i = 0; f && i < f->count; i++) {
        int64_t value = 0;
        const char *text = f->values[i].text, *wrong = read_integer(text, &value);
        if (wrong) {
            DV_AUTO(dv_buf) quoted = DV_BUF_INIT(8 * DV_SEARCH_FILTERS_MAX);
            dv_str_quote(&quoted, text, strlen(text));
            return quoted.failed ? dv_error_oom(err)
                                 : dv_error_set(err, DAVIT_EINVAL,
                                                "invalid filter 'stars=%s': strconv.Atoi: parsing %s: %s",
                                                text, dv_buf_text(&quoted), wrong);
        }
        if (value > wish->stars)
            wish->stars = value;
    }
    return 0;
}

int dv_search_filters_read(const davit_search_filters *filters, bool v25, dv_search_wish *out,
                           davit_error **err)
{
    dv_search_wish wish = {0};
    for (size_t i = 0; filters && i < filters->count; i++) {
        const char *key = filters->items[i].key;
        if (!dv_str_equal(key, "is-automated") && !dv_str_equal(key, "is-official") &&
            !dv_str_equal(key, "stars"))
            return dv_error_set(err, DAVIT_EINVAL, "invalid filter '%s'", key);
    }
    int r = read_bool(filters, "is-automated", &wish.automated_given, &wish.automated, err);
    if (r == 0 && !(wish.automated && !v25))
        r = read_bool(filters, "is-official", &wish.official_given, &wish.official, err);
    if (r == 0 && !(wish.automated && !v25))
        r = read_stars(filters, &wish, err);
    if (r < 0)
        return r;
    *out = wish;
    return 0;
}

bool dv_search_wish_keeps(const dv_search_wish *wish, bool v25, const davit_search_result *result)
{
    if (v25 && wish->automated_given && result->is_automated != wish->automated)
        return false;
    if (wish->official_given && result->is_official != wish->official)
        return false;
    return !wish->stars_given || result->star_count >= wish->stars;
}
