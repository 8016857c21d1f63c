/*
 * util/json_names.c - see json_names.h.
 *
 * Bytes in which nothing is escaped hold each text as it is: what the scan tells of is enough then, and a text gets its NUL in the
 * place of its closing quote. Others go through the JSON library.
 */
#include "util/json_names.h"

#include "util/json_scan.h"

#include <string.h>

struct dv_json_names {
    const char **texts;
    size_t count, capacity;
    dv_json *tree; /* what the texts are borrowed from; NULL: the caller's bytes */
};

void dv_json_names_free(dv_json_names *n)
{
    if (!n)
        return;
    free(n->texts);
    dv_json_free(n->tree);
    free(n);
}

static int add(dv_json_names *n, const char *text, davit_error **err)
{
    if (n->count == n->capacity) {
        size_t capacity = n->capacity ? n->capacity * 2 : 256;
        const char **texts = dv_realloc_array(n->texts, capacity, sizeof(*texts));
        if (!texts)
            return dv_error_oom(err);
        n->texts = texts;
        n->capacity = capacity;
    }
    n->texts[n->count++] = text;
    return 0;
}

static int not_an_array(const char *key, davit_error **err)
{
    return dv_error_set(err, DAVIT_EFORMAT, "\"%s\" is not an array", key);
}

/* --- where nothing is escaped ----------------------------------------------------------------------------------- */

typedef struct reader {
    char *bytes;
    const char *key;
    size_t key_size;
    dv_json_names *names;   /* of the last member that has the key */
    dv_json_names *pending; /* of the array that may turn out to be that of the key, when its member ends */
    bool wrong;
    davit_error **err;
} reader;

static bool has_the_key(const reader *d, const dv_json_member *m)
{
    return m->key_end - m->key == d->key_size + 2 && memcmp(d->bytes + m->key + 1, d->key, d->key_size) == 0;
}

static int add_element(reader *d, const dv_json_member *m)
{
    char *first = d->bytes + m->value;
    if (*first != '"')
        return add(d->pending, NULL, d->err);
    d->bytes[m->value_end - 1] = '\0'; /* the scan is behind it */
    return add(d->pending, first + 1, d->err);
}

static int on_part(void *user, const dv_json_member *m)
{
    reader *d = user;
    bool is_element = m->key_end == 0;
    if (m->depth == 2 && is_element)
        return add_element(d, m);
    if (m->depth > 1)
        return 0;
    if (!is_element && has_the_key(d, m)) { /* the last of equal keys wins */
        dv_json_names *before = d->names;
        d->names = d->pending;
        d->pending = before;
        d->wrong = d->bytes[m->value] != '[' && d->bytes[m->value] != 'n';
    }
    d->pending->count = 0;
    return 0;
}

/* *n: names without any; may become another object. */
static int read_plain(char *bytes, size_t size, const dv_json_limits *limits, const char *key,
                      dv_json_names **n, davit_error **err)
{
    DV_AUTOPTR(dv_json_names) pending = dv_new(dv_json_names);
    if (!pending)
        return dv_error_oom(err);
    reader d = {
        .bytes = bytes, .key = key, .key_size = strlen(key), .names = *n, .pending = pending, .err = err};
    int r = dv_json_scan_parts(bytes, size, limits, on_part, &d, err);
    *n = d.names;
    pending = d.pending;
    return r == 0 && d.wrong ? not_an_array(key, err) : r;
}

/* --- any other ---------------------------------------------------------------------------------------------------- */

static int read_tree(const char *bytes, size_t size, const dv_json_limits *limits, const char *key,
                     dv_json_names *n, davit_error **err)
{
    int r = dv_json_parse(bytes, size, limits, NULL, &n->tree, err);
    if (r < 0)
        return r;
    const dv_json *array = dv_json_get(n->tree, key);
    if (array && !dv_json_is(array, DV_JSON_ARRAY) && !dv_json_is(array, DV_JSON_NULL))
        return not_an_array(key, err);
    for (size_t i = 0; r == 0 && i < dv_json_count(array); i++) {
        size_t length = 0;
        const char *text = dv_json_string(dv_json_at(array, i), &length);
        r = add(n, text && strlen(text) == length ? text : NULL, err);
    }
    return r;
}

int dv_json_names_parse(char *bytes, size_t size, const dv_json_limits *limits, const char *key,
                        dv_json_names **out, davit_error **err)
{
    DV_AUTOPTR(dv_json_names) n = dv_new(dv_json_names);
    if (!n)
        return dv_error_oom(err);
    int r = size > 0 && memchr(bytes, '\\', size) ? read_tree(bytes, size, limits, key, n, err)
                                                  : read_plain(bytes, size, limits, key, &n, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(n);
    return 0;
}

size_t dv_json_names_count(const dv_json_names *n)
{
    return n->count;
}

const char *dv_json_names_at(const dv_json_names *n, size_t index)
{
    return index < n->count ? n->texts[index] : NULL;
}
