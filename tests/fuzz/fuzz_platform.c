/* Any text as a platform; what is accepted can be written, and as a request finds a bounded list of places. */
#include "oci/platform.h"
#include "util/alloc.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const davit_platform host = {"linux", "amd64", "v3", ""};
    DV_AUTOFREE char *input = dv_strndup((const char *)data, size);
    davit_platform p;
    dv_platform_vector v;
    char text[DAVIT_PLATFORM_TEXT_MAX];
    if (!input)
        return 0;
    dv_platform_arm_variant(input, input);
    if (dv_platform_parse_for(input, &host, &p, NULL) < 0)
        return 0;
    assert(*davit_platform_format(&p, text) && strlen(text) < sizeof(text));
    dv_platform_vector_init(&v, &p, &host);
    assert(v.count <= DV_PLATFORM_VECTOR_MAX && dv_platform_rank(&v, &p) < (int)v.count);
    return 0;
}
