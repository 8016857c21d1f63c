/*
 * util/json.h - the only door to the JSON library.
 *
 * Bytes from outside pass a scan without recursion first (threats C2): size, depth, number of values, strict UTF-8, int64
 * numbers. Children of a parsed value are borrowed from it.
 */
#ifndef DV_UTIL_JSON_H
#define DV_UTIL_JSON_H

#include "util/buf.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct dv_json dv_json;

typedef enum dv_json_type {
    DV_JSON_NULL,
    DV_JSON_BOOL,
    DV_JSON_INTEGER,
    DV_JSON_REAL,
    DV_JSON_STRING,
    DV_JSON_ARRAY,
    DV_JSON_OBJECT,
} dv_json_type;

typedef struct dv_json_limits {
    size_t max_bytes;
    uint32_t max_depth;  /* 0: 32 */
    uint32_t max_values; /* 0: 100 000 */
    /*
     * For documents of which only some keys are ours: a number that is no int64_t is a DV_JSON_REAL whatever its size, so that
     * one under another key does not make the document useless. Its value is lost. Else an integer beyond 64 bits, or a real
     * beyond a double, is DAVIT_EFORMAT.
     */
    bool any_number;
} dv_json_limits;

/*
 * The keys that a strict document may use only once and only in this spelling (threats B4), per object. A path names the
 * object with "[]" for array elements: "", "config", "layers[]", "manifests[].platform".
 */
typedef struct dv_json_known {
    const char *path;
    const char *const *keys; /* ends with NULL */
} dv_json_known;

/*
 * Parse one JSON document (white space around it is fine, anything else behind it is not).
 *
 * known: NULL for lenient documents (the last of equal keys wins); else ends with a NULL path, and a repeated or
 * case-variant known key is DAVIT_EFORMAT. Errors: DAVIT_ETOOBIG, DAVIT_EFORMAT (message without the document's name: the
 * caller wraps), DAVIT_ENOMEM.
 */
int dv_json_parse(const void *bytes, size_t size, const dv_json_limits *limits, const dv_json_known *known,
                  dv_json **out, davit_error **err);
void dv_json_free(dv_json *v); /* only what dv_json_parse() or a builder gave */
DV_DEFINE_AUTOPTR(dv_json, dv_json_free)

/* Local of a document with secrets in it: its strings are wiped before they are released. */
typedef dv_json dv_json_secret;
void dv_json_free_secret(dv_json *v);
DV_DEFINE_AUTOPTR(dv_json_secret, dv_json_free_secret)

dv_json_type dv_json_get_type(const dv_json *v);
bool dv_json_is(const dv_json *v, dv_json_type type);               /* false for NULL */
const dv_json *dv_json_get(const dv_json *object, const char *key); /* NULL: absent or no object */
const char *dv_json_string(const dv_json *v, size_t *out_size);     /* NULL unless a string; may hold NULs */
int64_t dv_json_integer(const dv_json *v);                          /* 0 unless an integer */
bool dv_json_bool(const dv_json *v);
size_t dv_json_count(const dv_json *array); /* elements or members; 0 for others */
const dv_json *dv_json_at(const dv_json *array, size_t index);
/* Members in document order: start with *iter = NULL; false at the end. */
bool dv_json_next(const dv_json *object, void **iter, const char **key, const dv_json **value);

/* --- decoding by a table ---------------------------------------------------------------------------------------- */

typedef enum dv_json_field_type {
    DV_FIELD_STRING, /* const char *, borrowed from the tree, no NUL inside; "" stays "" ; absent or null: unchanged */
    DV_FIELD_INT64,  /* int64_t */
    DV_FIELD_BOOL,   /* bool */
    DV_FIELD_VALUE,  /* const dv_json *, any type but null */
    DV_FIELD_OBJECT, /* const dv_json *, must be an object */
    DV_FIELD_ARRAY,  /* const dv_json *, must be an array */
} dv_json_field_type;

typedef struct dv_json_field {
    const char *key;
    dv_json_field_type type;
    size_t offset; /* in the struct that is filled */
    bool required;
} dv_json_field;

/*
 * Fill a struct from an object. The table ends with a NULL key. Unknown keys are skipped; null counts as absent; a wrong
 * type or a missing required key is DAVIT_EFORMAT naming the key.
 */
int dv_json_decode(const dv_json *object, const dv_json_field *fields, void *out, davit_error **err);

/* --- building ------------------------------------------------------------------------------------------------------ */

dv_json *dv_json_object_new(void); /* NULL: no memory */
dv_json *dv_json_array_new(void);
/* Each takes the new value over, also on failure. False: no memory, NULL value, or text that is not UTF-8. */
bool dv_json_set(dv_json *object, const char *key, dv_json *value);
bool dv_json_append(dv_json *array, dv_json *value);
bool dv_json_set_string(dv_json *object, const char *key, const char *text);
bool dv_json_set_integer(dv_json *object, const char *key, int64_t value);
bool dv_json_set_bool(dv_json *object, const char *key, bool value);
bool dv_json_set_null(dv_json *object, const char *key);
bool dv_json_append_string(dv_json *array, const char *text);
bool dv_json_append_integer(dv_json *array, int64_t value);
/* A copy of a parsed value, to put into a built one. */
dv_json *dv_json_copy(const dv_json *v);
/* Write it: members in insertion order; indent 0 is compact. html_safe escapes < > & U+2028 U+2029 as \uXXXX. */
void dv_json_format(const dv_json *v, unsigned indent, bool html_safe, dv_buf *out);
/*
 * Append one string with its quotes, HTML-safe, in the bytes of Go's encoder where jansson's differ (lower-case \u00xx, \ufffd
 * for each byte that is no UTF-8): for texts that go through no tree, such as secrets.
 */
void dv_json_write_string(dv_buf *out, const char *text);

#endif
