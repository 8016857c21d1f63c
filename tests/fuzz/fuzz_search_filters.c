/* Any bytes as the filters' JSON and as a text of the command line: read or refused with a reason. */
#include "registry/search_filter.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const davit_search_filters *filters)
{
    for (int v25 = 0; v25 < 2; v25++) {
        DV_AUTOPTR(davit_error) err = NULL;
        dv_search_wish wish;
        int r = dv_search_filters_read(filters, v25, &wish, &err);
        assert(r == 0 ? wish.stars >= 0 : r == DAVIT_EINVAL && davit_error_message(err)[0]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOPTR(davit_search_filters) from_json = NULL;
    DV_AUTOPTR(davit_search_filters) from_text = NULL;
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    const char *texts[] = {text, NULL};
    if (davit_search_filters_parse((const char *)data, size, &from_json, NULL) == 0)
        check(from_json);
    if (davit_search_filters_new(texts, &from_text, NULL) == 0)
        check(from_text);
    return 0;
}
