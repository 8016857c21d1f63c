/*
 * Any bytes as an index's answer: what is accepted can be written, read again and is the same then. The same bytes as a ping's
 * answer say something.
 */
#include "registry/search_result.h"
#include "registry/v1_endpoint.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOPTR(davit_search_results) results = NULL;
    DV_AUTOPTR(davit_search_results) again = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOFREE char *text = NULL;
    DV_AUTOFREE char *same = NULL;
    const dv_headers none = DV_HEADERS_INIT;
    dv_v1_ping_standalone(&none, data, size);
    if (davit_search_results_parse(data, size, &results, &err) < 0) {
        assert(davit_error_message(err)[0]);
        return 0;
    }
    int r = davit_search_results_format(results, &text, NULL);
    assert(r == 0);
    r = davit_search_results_parse(text, strlen(text), &again, NULL);
    assert(r == 0 || strlen(text) > DV_SEARCH_ANSWER_MAX);
    if (r < 0)
        return 0;
    r = davit_search_results_format(again, &same, NULL);
    assert(r == 0 && strcmp(text, same) == 0);
    return 0;
}
