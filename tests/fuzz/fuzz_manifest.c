/*
 * Any bytes as each kind of document and as none; what is accepted keeps its bytes and can be asked
 * everything.
 */
#include "oci/manifest.h"
#include "oci/media_type.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_descriptors(const davit_descriptor *d, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        davit_digest again;
        char text[DAVIT_PLATFORM_TEXT_MAX];
        int r = davit_digest_parse(d[i].digest.text, &again, NULL);
        assert(r == 0 && davit_digest_equal(&again, &d[i].digest));
        assert(d[i].media_type && d[i].size <= INT64_MAX);
        davit_platform_format(&d[i].platform, text);
    }
}

static void check(const uint8_t *data, size_t size, const char *media_type)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    size_t kept = 0, layers = 0, entries = 0, *indices = NULL;
    if (davit_manifest_parse(data, size, media_type, &m, &err) < 0) {
        assert(davit_error_message(err)[0]);
        return;
    }
    const void *bytes = davit_manifest_bytes(m, &kept);
    assert(kept == size && memcmp(bytes, data, size) == 0);
    const davit_descriptor *items = davit_manifest_layers(m, &layers);
    check_descriptors(items, layers);
    items = davit_manifest_entries(m, &entries);
    check_descriptors(items, entries);
    assert(davit_manifest_is_index(m) ? layers == 0 : entries == 0 && davit_manifest_config(m));
    if (davit_manifest_choose(m, NULL, &indices, &kept, NULL) == 0) {
        assert(kept <= entries);
        free(indices);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {NULL,
                                        "application/json",
                                        "text/html",
                                        DV_MEDIA_TYPE_DOCKER_MANIFEST,
                                        DV_MEDIA_TYPE_DOCKER_LIST,
                                        DV_MEDIA_TYPE_OCI_MANIFEST,
                                        DV_MEDIA_TYPE_OCI_INDEX,
                                        DV_MEDIA_TYPE_SCHEMA1_SIGNED};
    for (size_t i = 0; i < DV_COUNT(types); i++)
        check(data, size, types[i]);
    return 0;
}
