/*
 * Any bytes as each answer of a v1 registry or index that is JSON: lists of images, tags, an ancestry, the image of a tag, a page of search
 * results. What is accepted is whole: no text is missing where one is read without asking.
 */
#include "oci/v1_image.h"
#include "registry/v1_answer.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refused(int r, davit_error **err)
{
    assert(r == DAVIT_EFORMAT || r == DAVIT_ETOOBIG);
    assert(davit_error_message(*err)[0] && !strchr(davit_error_message(*err), '\n'));
    davit_error_free(DV_STEAL(*err));
}

static void read_entries(const dv_json *document, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_entries) entries = NULL;
    int r = dv_v1_answer_entries(document, &entries, err);
    if (r < 0) {
        check_refused(r, err);
        return;
    }
    assert(entries->count == dv_json_count(document));
}

static void read_tags(const dv_json *document, davit_error **err)
{
    DV_AUTOPTR(davit_v1_tags) tags = NULL;
    int r = dv_v1_answer_tags(document, &tags, err);
    if (r < 0) {
        check_refused(r, err);
        return;
    }
    assert(tags->count == dv_json_count(document));
    for (size_t i = 0; i < tags->count; i++)
        assert(tags->items[i].name && tags->items[i].id);
}

static void read_texts(const dv_json *document, davit_error **err)
{
    DV_AUTO(davit_v1_texts) ids = {.items = NULL};
    DV_AUTOFREE char *text = NULL;
    int r = dv_v1_texts_read(document, "ancestry", &ids, err);
    if (r < 0)
        check_refused(r, err);
    for (size_t i = 0; i < ids.count; i++)
        assert(ids.items[i]);
    r = dv_v1_answer_text(document, "image of a tag", &text, err);
    if (r < 0)
        check_refused(r, err);
    assert(r < 0 || text);
}

static void read_search(const uint8_t *data, size_t size, davit_error **err)
{
    davit_v1_search_results *results = NULL;
    int r = davit_v1_search_results_parse(data, size, &results, err);
    if (r < 0) {
        check_refused(r, err);
        return;
    }
    for (size_t i = 0; i < results->count; i++)
        assert(!results->items[i].name || strlen(results->items[i].name) <= size);
    davit_v1_search_results_free(results);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    read_search(data, size, &err);
    int r = dv_v1_answer_parse(data, size, DAVIT_V1_LIST_MAX, "an answer", &document, &err);
    if (r < 0) {
        check_refused(r, &err);
        return 0;
    }
    read_entries(document, &err);
    read_tags(document, &err);
    read_texts(document, &err);
    return 0;
}
