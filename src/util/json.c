/*
 * util/json.c - see json.h. Jansson is included here and nowhere else.
 *
 * A dv_json is a json_t under another name. Whether bytes may be parsed at all is json_scan.c's
 * decision; jansson, which recurses, sees only what that let through.
 */
#include "util/json.h"

#include "util/json_scan.h"
#include "util/str.h"

#include <jansson.h>
#include <limits.h>
#include <string.h>

static json_t *unwrap(const dv_json *v)
{
    return (json_t *)v;
}

static dv_json *wrap(const json_t *j)
{
    return (dv_json *)j;
}

/* Bytes that the scan has passed. */
static int load(const char *bytes, size_t size, dv_json **out, davit_error **err)
{
    json_error_t why;
    json_t *j = json_loadb(bytes, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!j && json_error_code(&why) == json_error_out_of_memory)
        return dv_error_oom(err);
    if (!j)
        return dv_error_set(err, DAVIT_EFORMAT, "malformed JSON at byte %d: %s", why.position,
                            json_error_code(&why) == json_error_null_byte_in_key   ? "NUL in a key"
                            : json_error_code(&why) == json_error_numeric_overflow ? "number too large"
                                                                                   : "not understood");
    *out = wrap(j);
    return 0;
}

static int parse_any_number(const void *bytes, size_t size, const dv_json_limits *limits,
                            const dv_json_known *known, dv_json **out, davit_error **err)
{
    DV_AUTO(dv_buf) copy = {.max = size, .secret = true};
    dv_buf_append(&copy, bytes, size);
    if (copy.failed)
        return dv_error_oom(err);
    int r = dv_json_scan_numbers(bytes, size, limits, known, copy.data, err);
    return r < 0 ? r : load(dv_buf_text(&copy), size, out, err);
}

int dv_json_parse(const void *bytes, size_t size, const dv_json_limits *limits, const dv_json_known *known,
                  dv_json **out, davit_error **err)
{
    if (limits->any_number && size <= limits->max_bytes)
        return parse_any_number(bytes, size, limits, known, out, err);
    int r = dv_json_scan(bytes, size, limits, known, err);
    return r < 0 ? r : load(bytes, size, out, err);
}

void dv_json_free(dv_json *v)
{
    json_decref(unwrap(v));
}

/* Not deeper than the scan let through. */
static void wipe_strings(json_t *j)
{
    const char *key;
    json_t *child;
    size_t i;
    if (json_is_string(j))
        explicit_bzero((char *)json_string_value(j), json_string_length(j));
    json_object_foreach(j, key, child) wipe_strings(child);
    json_array_foreach(j, i, child) wipe_strings(child);
}

void dv_json_free_secret(dv_json *v)
{
    wipe_strings(unwrap(v));
    dv_json_free(v);
}

dv_json_type dv_json_get_type(const dv_json *v)
{
    switch (json_typeof(unwrap(v))) {
    case JSON_OBJECT:
        return DV_JSON_OBJECT;
    case JSON_ARRAY:
        return DV_JSON_ARRAY;
    case JSON_STRING:
        return DV_JSON_STRING;
    case JSON_INTEGER:
        return DV_JSON_INTEGER;
    case JSON_REAL:
        return DV_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return DV_JSON_BOOL;
    case JSON_NULL:
        break;
    }
    return DV_JSON_NULL;
}

bool dv_json_is(const dv_json *v, dv_json_type type)
{
    return v && dv_json_get_type(v) == type;
}

const dv_json *dv_json_get(const dv_json *object, const char *key)
{
    return wrap(json_object_get(unwrap(object), key));
}

const char *dv_json_string(const dv_json *v, size_t *out_size)
{
    if (!dv_json_is(v, DV_JSON_STRING))
        return NULL;
    if (out_size)
        *out_size = json_string_length(unwrap(v));
    return json_string_value(unwrap(v));
}

int64_t dv_json_integer(const dv_json *v)
{
    return json_integer_value(unwrap(v));
}

bool dv_json_bool(const dv_json *v)
{
    return json_is_true(unwrap(v));
}

size_t dv_json_count(const dv_json *array)
{
    return dv_json_is(array, DV_JSON_OBJECT) ? json_object_size(unwrap(array))
                                             : json_array_size(unwrap(array));
}

const dv_json *dv_json_at(const dv_json *array, size_t index)
{
    return wrap(json_array_get(unwrap(array), index));
}

bool dv_json_next(const dv_json *object, void **iter, const char **key, const dv_json **value)
{
    json_t *j = unwrap(object);
    void *next = *iter ? json_object_iter_next(j, *iter) : json_object_iter(j);
    if (!next)
        return false;
    *iter = next;
    *key = json_object_iter_key(next);
    *value = wrap(json_object_iter_value(next));
    return true;
}

/* --- decoding by a table --------------------------------------------------------------------------- */

static const char *field_type_name(dv_json_field_type type)
{
    switch (type) {
    case DV_FIELD_STRING:
        return "a string";
    case DV_FIELD_INT64:
        return "an integer";
    case DV_FIELD_BOOL:
        return "true or false";
    case DV_FIELD_OBJECT:
        return "an object";
    case DV_FIELD_ARRAY:
        return "an array";
    case DV_FIELD_VALUE:
        break;
    }
    return "a value";
}

/* Whether the value has the field's type; a string also has no NUL. */
static bool fits(dv_json_field_type type, const dv_json *v)
{
    size_t size = 0;
    const char *text = dv_json_string(v, &size);
    switch (type) {
    case DV_FIELD_STRING:
        return text && strlen(text) == size;
    case DV_FIELD_INT64:
        return dv_json_is(v, DV_JSON_INTEGER);
    case DV_FIELD_BOOL:
        return dv_json_is(v, DV_JSON_BOOL);
    case DV_FIELD_OBJECT:
        return dv_json_is(v, DV_JSON_OBJECT);
    case DV_FIELD_ARRAY:
        return dv_json_is(v, DV_JSON_ARRAY);
    case DV_FIELD_VALUE:
        break;
    }
    return true;
}

static void store(const dv_json_field *f, const dv_json *v, void *out)
{
    void *slot = (char *)out + f->offset;
    switch (f->type) {
    case DV_FIELD_STRING:
        *(const char **)slot = dv_json_string(v, NULL);
        break;
    case DV_FIELD_INT64:
        *(int64_t *)slot = dv_json_integer(v);
        break;
    case DV_FIELD_BOOL:
        *(bool *)slot = dv_json_bool(v);
        break;
    case DV_FIELD_VALUE:
    case DV_FIELD_OBJECT:
    case DV_FIELD_ARRAY:
        *(const dv_json **)slot = v;
        break;
    }
}

int dv_json_decode(const dv_json *object, const dv_json_field *fields, void *out, davit_error **err)
{
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return dv_error_set(err, DAVIT_EFORMAT, "not a JSON object");
    /* Check all, then fill: on failure the outputs stay as they were. */
    for (const dv_json_field *f = fields; f->key; f++) {
        const dv_json *v = dv_json_get(object, f->key);
        bool absent = !v || dv_json_is(v, DV_JSON_NULL);
        if (absent && f->required)
            return dv_error_set(err, DAVIT_EFORMAT, "\"%s\" is missing", f->key);
        if (!absent && !fits(f->type, v))
            return dv_error_set(err, DAVIT_EFORMAT, "\"%s\" is not %s", f->key, field_type_name(f->type));
    }
    for (const dv_json_field *f = fields; f->key; f++) {
        const dv_json *v = dv_json_get(object, f->key);
        if (v && !dv_json_is(v, DV_JSON_NULL))
            store(f, v, out);
    }
    return 0;
}

/* --- building -------------------------------------------------------------------------------------- */

dv_json *dv_json_object_new(void)
{
    return wrap(json_object());
}

dv_json *dv_json_array_new(void)
{
    return wrap(json_array());
}

bool dv_json_set(dv_json *object, const char *key, dv_json *value)
{
    return json_object_set_new(unwrap(object), key, unwrap(value)) == 0;
}

bool dv_json_append(dv_json *array, dv_json *value)
{
    return json_array_append_new(unwrap(array), unwrap(value)) == 0;
}

bool dv_json_set_string(dv_json *object, const char *key, const char *text)
{
    return dv_json_set(object, key, wrap(json_string(text)));
}

bool dv_json_set_integer(dv_json *object, const char *key, int64_t value)
{
    return dv_json_set(object, key, wrap(json_integer(value)));
}

bool dv_json_set_bool(dv_json *object, const char *key, bool value)
{
    return dv_json_set(object, key, wrap(json_boolean(value)));
}

bool dv_json_set_null(dv_json *object, const char *key)
{
    return dv_json_set(object, key, wrap(json_null()));
}

bool dv_json_append_string(dv_json *array, const char *text)
{
    return dv_json_append(array, wrap(json_string(text)));
}

bool dv_json_append_integer(dv_json *array, int64_t value)
{
    return dv_json_append(array, wrap(json_integer(value)));
}

dv_json *dv_json_copy(const dv_json *v)
{
    return wrap(json_deep_copy(unwrap(v)));
}

static int append_piece(const char *bytes, size_t size, void *user_data)
{
    dv_buf *out = user_data;
    dv_buf_append(out, bytes, size);
    return out->failed ? -1 : 0;
}

/*
 * < > & and the two line separators stand only inside strings, so that the finished text can be
 * rewritten.
 */
static void append_html_safe(dv_buf *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool separator =
            c == '\xe2' && size - i >= 3 && text[i + 1] == '\x80' && (text[i + 2] & ~1) == '\xa8';
        if (separator) {
            dv_buf_puts(out, text[i + 2] == '\xa8' ? "\\u2028" : "\\u2029");
            i += 2;
        } else if (c == '<' || c == '>' || c == '&') {
            dv_buf_printf(out, "\\u%04x", (unsigned)c);
        } else {
            dv_buf_putc(out, c);
        }
    }
}

void dv_json_format(const dv_json *v, unsigned indent, bool html_safe, dv_buf *out)
{
    size_t flags = JSON_ENCODE_ANY | (indent ? JSON_INDENT(indent < 8 ? indent : 8) : JSON_COMPACT);
    DV_AUTO(dv_buf) plain = DV_BUF_INIT(out->max);
    dv_buf *to = html_safe ? &plain : out;
    if (json_dump_callback(unwrap(v), append_piece, to, flags) < 0 && !to->failed)
        to->failed = DAVIT_ENOMEM;
    if (!html_safe)
        return;
    if (plain.failed)
        out->failed = plain.failed;
    else
        append_html_safe(out, dv_buf_text(&plain), plain.size);
}

static void write_ascii(dv_buf *out, char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *short_form = strchr(from, c);
    if (short_form)
        dv_buf_printf(out, "\\%c", to[short_form - from]);
    else if (c < 0x20 || c == '<' || c == '>' || c == '&')
        dv_buf_printf(out, "\\u%04x", (unsigned)c);
    else
        dv_buf_putc(out, c);
}

void dv_json_write_string(dv_buf *out, const char *text)
{
    dv_buf_putc(out, '"');
    for (size_t rest = strlen(text), n; rest > 0; text += n, rest -= n) {
        uint32_t rune = 0;
        n = dv_utf8_length(text, rest, &rune);
        if (n == 1)
            write_ascii(out, *text);
        else if (n == 0)
            dv_buf_puts(out, "\\ufffd");
        else if (rune == 0x2028 || rune == 0x2029)
            dv_buf_printf(out, "\\u%04x", (unsigned)rune);
        else
            dv_buf_append(out, text, n);
        n += n == 0;
    }
    dv_buf_putc(out, '"');
}
