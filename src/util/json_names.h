/*
 * util/json_names.h - a document that is there for one list of texts: {"name": "team/app", "tags": ["1.0", "2.0"]}.
 *
 * What dv_json_parse() and dv_json_get() give, for a tenth of the work: a page of tags has ten thousand of them.
 */
#ifndef DV_UTIL_JSON_NAMES_H
#define DV_UTIL_JSON_NAMES_H

#include "util/json.h"

typedef struct dv_json_names dv_json_names;

/*
 * Read a document for the array that stands under a key of it. bytes: borrowed for as long as the names, and changed. Without the
 * key, with null there, and for a document that is no object, there are no names. Errors as dv_json_parse(); DAVIT_EFORMAT too for
 * anything but an array.
 */
int dv_json_names_parse(char *bytes, size_t size, const dv_json_limits *limits, const char *key,
                        dv_json_names **out, davit_error **err);
void dv_json_names_free(dv_json_names *n);
DV_DEFINE_AUTOPTR(dv_json_names, dv_json_names_free)

size_t dv_json_names_count(const dv_json_names *n); /* elements, whatever they are */
/* Borrowed. NULL: no text, or one with a NUL inside. */
const char *dv_json_names_at(const dv_json_names *n, size_t index);

#endif
