/* Any text as a digest; what is accepted is its own canonical text. */
#include "davit/digest.h"
#include "util/alloc.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    davit_digest d;
    if (!text || davit_digest_parse(text, &d, NULL) < 0)
        return 0;
    assert(strcmp(d.text, text) == 0);
    assert(!strchr(d.text, '/') && strlen(davit_digest_hex(&d)) % 32 == 0);
    return 0;
}
