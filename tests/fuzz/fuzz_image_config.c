/* Any bytes as an image config; what is accepted keeps its bytes, and its layers have chain ids. */
#include "davit/image_config.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    davit_image_config *c = NULL;
    davit_error *err = NULL;
    if (davit_image_config_parse(data, size, &c, &err) < 0) {
        assert(davit_error_message(err)[0]);
        davit_error_free(err);
        return 0;
    }
    size_t kept = 0, count = 0;
    davit_digest chain;
    char text[DAVIT_PLATFORM_TEXT_MAX];
    const void *bytes = davit_image_config_bytes(c, &kept);
    assert(kept == size && memcmp(bytes, data, size) == 0);
    const davit_digest *diff_ids = davit_image_config_diff_ids(c, &count);
    int r = davit_chain_id(diff_ids, count, &chain, NULL);
    assert((r == 0) == (count > 0));
    davit_platform_format(davit_image_config_platform(c), text);
    assert(davit_image_config_created(c));
    davit_image_config_free(c);
    return 0;
}
