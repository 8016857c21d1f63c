/* Any bytes as a v1 registry's json of an image: what is accepted can be written, read again and is the same then. */
#include "oci/v1_image.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    DV_AUTOPTR(davit_v1_image_metadata) again = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOFREE char *text = NULL;
    DV_AUTOFREE char *same = NULL;
    if (davit_v1_image_metadata_parse(data, size, &m, &err) < 0) {
        assert(davit_error_message(err)[0]);
        return 0;
    }
    int r = davit_v1_image_metadata_format(m, &text, NULL);
    assert(r == 0);
    r = davit_v1_image_metadata_parse(text, strlen(text), &again, NULL);
    assert(r == 0 || strlen(text) > DAVIT_V1_JSON_MAX);
    if (r < 0)
        return 0;
    r = davit_v1_image_metadata_format(again, &same, NULL);
    assert(r == 0 && strcmp(text, same) == 0);
    return 0;
}
