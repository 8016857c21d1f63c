/* Any bytes as the documents of an OCI layout; what an index gives can be written and read again. */
#include "archive/oci_layout.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTO(dv_oci_layout_index) index = {0};
    DV_AUTO(dv_oci_layout_index) again = {0};
    DV_AUTO(dv_buf) text = DV_BUF_INIT(64u << 20);
    davit_digest digest;
    dv_oci_layout_check(data, size, NULL);
    DV_AUTOFREE char *path = dv_strndup((const char *)data, size);
    if (path && dv_oci_blob_path_parse(path, &digest))
        assert(strlen(path) == strlen(digest.text) + strlen("blobs/"));
    if (dv_oci_layout_index_parse(data, size, &index, NULL) < 0)
        return 0;
    for (size_t i = 0; i < index.count; i++) {
        davit_reference *ref = NULL;
        if (dv_oci_layout_reference(&index.entries[i], &ref, NULL) == 0 && ref)
            assert(davit_reference_tag(ref));
        davit_reference_free(ref);
    }
    assert(dv_oci_layout_index_format(index.entries, index.count, &text, NULL) == 0);
    if (text.size <= DAVIT_MANIFEST_MAX)
        assert(dv_oci_layout_index_parse(text.data, text.size, &again, NULL) == 0 &&
               again.count == index.count);
    return 0;
}
