/*
 * Any texts, parted by NUL bytes, as the jsons of a chain of v1 images, oldest first: what becomes of them is a config that can be read, with
 * a diff_id and an entry of the history for each, and again the same.
 */
#include "archive/docker_archive.h"
#include "davit/image_config.h"
#include "util/json.h"

#include <assert.h>
#include <string.h>

#define IMAGES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t part(const uint8_t *data, size_t size, dv_v1_image out[IMAGES_MAX])
{
    size_t count = 0;
    for (size_t at = 0; count < IMAGES_MAX && at <= size;) {
        const uint8_t *end = at < size ? memchr(data + at, '\0', size - at) : NULL;
        size_t length = end ? (size_t)(end - data) - at : size - at;
        out[count] = (dv_v1_image){.bytes = data + at, .size = length};
        int r = davit_digest_of(DAVIT_SHA256, &count, sizeof(count), &out[count].diff_id, NULL);
        assert(r == 0);
        at += length + 1;
        count++;
    }
    return count;
}

static void check_config(const dv_buf *text, const dv_v1_image *images, size_t count)
{
    static const dv_json_limits limits = {.max_bytes = DAVIT_IMAGE_CONFIG_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    int r = dv_json_parse(dv_buf_text(text), text->size, &limits, NULL, &document, NULL);
    if (r < 0)
        return; /* deeper than one is read, or with more in it */
    const dv_json *diff_ids = dv_json_get(dv_json_get(document, "rootfs"), "diff_ids");
    assert(dv_json_count(diff_ids) == count && dv_json_count(dv_json_get(document, "history")) == count);
    for (size_t i = 0; i < count; i++)
        assert(strcmp(dv_json_string(dv_json_at(diff_ids, i), NULL), images[i].diff_id.text) == 0);
    assert(!dv_json_get(document, "id") && !dv_json_get(document, "parent"));
    davit_image_config *config = NULL;
    if (davit_image_config_parse(dv_buf_text(text), text->size, &config, NULL) == 0)
        davit_image_config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static dv_v1_image images[IMAGES_MAX];
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTO(dv_buf) again = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTOPTR(davit_error) err = NULL;
    char parent[DV_V1_ID_SIZE + 1];
    size_t count = part(data, size, images);
    for (size_t i = 0; i < count; i++)
        if (dv_v1_image_parent(images[i].bytes, images[i].size, parent, NULL) == 0)
            assert(!*parent || strlen(parent) == DV_V1_ID_SIZE);
    int r = dv_v1_images_to_config(images, count, &text, &err);
    if (r < 0) {
        assert((r == DAVIT_EFORMAT || r == DAVIT_ETOOBIG) && davit_error_message(err)[0]);
        return 0;
    }
    check_config(&text, images, count);
    r = dv_v1_images_to_config(images, count, &again, NULL);
    assert(r == 0 && again.size == text.size &&
           memcmp(dv_buf_text(&text), dv_buf_text(&again), text.size) == 0);
    return 0;
}
