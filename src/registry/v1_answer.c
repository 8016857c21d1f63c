/* registry/v1_answer.c - see v1_answer.h. */
#include "registry/v1_answer.h"

#include "oci/v1_image.h"
#include "util/str.h"

#include <string.h>

#define JSON_VALUES_MAX 200000

int dv_v1_answer_parse(const void *bytes, size_t size, size_t max, const char *what, dv_json **out,
                       davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = max, .max_values = JSON_VALUES_MAX, .any_number = true};
    int r = dv_json_parse(bytes, size, &limits, NULL, out, err);
    return r < 0 && r != DAVIT_ENOMEM ? dv_error_wrap(err, r, "%s", what) : r;
}

/* --- lists ----------------------------------------------------------------------------------------------------------- */

static int read_entry(const dv_json *object, davit_v1_image_entry *out, davit_error **err)
{
    const dv_json *id = dv_json_get(object, "id"), *checksum = dv_json_get(object, "checksum");
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return dv_error_set(err, DAVIT_EFORMAT, "an image is not an object");
    int r = id ? dv_v1_text_read(id, "id", &out->id, err) : 0;
    return r == 0 && checksum ? dv_v1_text_read(checksum, "checksum", &out->checksum, err) : r;
}

static int read_entries(const dv_json *list, davit_v1_image_entries **out, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_entries) entries = dv_new(davit_v1_image_entries);
    if (!entries)
        return dv_error_oom(err);
    if (!dv_json_is(list, DV_JSON_ARRAY) && !dv_json_is(list, DV_JSON_NULL))
        return dv_error_set(err, DAVIT_EFORMAT, "not an array");
    size_t count = dv_json_count(list);
    entries->items = dv_new_array(davit_v1_image_entry, count + 1);
    int r = entries->items ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        entries->count = i + 1;
        r = read_entry(dv_json_at(list, i), &entries->items[i], err);
    }
    if (r < 0)
        return r;
    *out = DV_STEAL(entries);
    return 0;
}

int dv_v1_answer_entries(const dv_json *list, davit_v1_image_entries **out, davit_error **err)
{
    int r = read_entries(list, out, err);
    return r == DAVIT_EFORMAT ? dv_error_wrap(err, r, "list of images") : r;
}

int dv_v1_answer_tags(const dv_json *map, davit_v1_tags **out, davit_error **err)
{
    DV_AUTOPTR(davit_v1_tags) tags = dv_new(davit_v1_tags);
    void *iter = NULL;
    const char *name;
    const dv_json *id;
    if (!tags)
        return dv_error_oom(err);
    if (!dv_json_is(map, DV_JSON_OBJECT) && !dv_json_is(map, DV_JSON_NULL))
        return dv_error_set(err, DAVIT_EFORMAT, "list of tags: not an object");
    tags->items = dv_new_array(davit_v1_tag, dv_json_count(map) + 1);
    int r = tags->items ? 0 : dv_error_oom(err);
    while (r == 0 && dv_json_next(map, &iter, &name, &id)) {
        davit_v1_tag *one = &tags->items[tags->count++];
        one->name = dv_strdup(name);
        r = one->name ? dv_v1_text_read(id, "image of a tag", &one->id, err) : dv_error_oom(err);
        if (r == 0 && !one->id && !(one->id = dv_strdup("")))
            r = dv_error_oom(err);
    }
    if (r < 0)
        return r == DAVIT_EFORMAT ? dv_error_wrap(err, r, "list of tags") : r;
    *out = DV_STEAL(tags);
    return 0;
}

int dv_v1_answer_text(const dv_json *document, const char *what, char **out, davit_error **err)
{
    DV_AUTOFREE char *text = NULL;
    int r = dv_v1_text_read(document, what, &text, err);
    if (r == 0 && !text && !(text = dv_strdup("")))
        r = dv_error_oom(err);
    if (r < 0)
        return r;
    *out = DV_STEAL(text);
    return 0;
}

/* --- headers --------------------------------------------------------------------------------------------------------- */

static int read_checksums(const dv_headers *headers, davit_v1_texts *out, davit_error **err)
{
    const char *value;
    for (size_t i = 0; (value = dv_headers_get_nth(headers, "X-Docker-Checksum-Payload", i)); i++)
        while (*value) {
            size_t size = strcspn(value, ", \t");
            if (size > 0 && !dv_v1_texts_add(out, value, size))
                return dv_error_oom(err);
            value += size;
            value += strspn(value, ", \t");
        }
    return 0;
}

int dv_v1_answer_layer(const dv_headers *headers, uint64_t *out_size, davit_v1_texts *out_checksums,
                       davit_error **err)
{
    const char *size = dv_headers_get(headers, "X-Docker-Size");
    if (!size || !dv_str_to_u64(size, out_size))
        *out_size = DAVIT_SIZE_UNKNOWN;
    return read_checksums(headers, out_checksums, err);
}

bool dv_v1_answer_range(const dv_headers *headers, uint64_t *out_first, uint64_t *out_last,
                        uint64_t *out_total)
{
    const char *text = dv_headers_get(headers, "Content-Range");
    if (text && dv_str_starts_nocase(text, "bytes "))
        text += strlen("bytes ");
    return text && dv_content_range_parse(text, out_first, out_last, out_total) &&
           *out_total != DAVIT_SIZE_UNKNOWN;
}
