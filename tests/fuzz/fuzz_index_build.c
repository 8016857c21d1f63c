/*
 * Any bytes as an index that is changed: what was not changed is there still, in its order, and what comes out is an index that
 * we would take.
 */
#include "oci/index_build.h"
#include "oci/manifest.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The entries of before are those of after, but for one that is left out (SIZE_MAX: none) and for more at the end. */
static void check_order(const davit_manifest *before, const davit_manifest *after, size_t removed)
{
    size_t count, left, k = 0;
    const davit_descriptor *was = davit_manifest_entries(before, &count);
    const davit_descriptor *is = davit_manifest_entries(after, &left);
    for (size_t i = 0; i < count; i++)
        if (i != removed) {
            assert(k < left && davit_digest_equal(&was[i].digest, &is[k].digest) && was[i].size == is[k].size);
            k++;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOPTR(davit_manifest) before = NULL;
    DV_AUTOPTR(davit_manifest) after = NULL;
    DV_AUTOPTR(dv_index_edit) e = NULL;
    dv_json *entry = NULL;
    if (davit_manifest_parse(data, size, NULL, &before, NULL) < 0)
        return 0;
    if (dv_index_edit_new(before, &e, NULL) < 0) {
        assert(!davit_manifest_is_index(before));
        return 0;
    }
    size_t count = dv_index_edit_count(e);
    size_t removed = count > 0 ? size % count : SIZE_MAX;
    if (count > 0) {
        davit_descriptor d;
        assert(dv_index_edit_read(e, removed, &d, NULL) == 0);
        assert(dv_index_edit_find(e, &d.digest) <= removed);
        assert(dv_index_edit_find_platform(e, &d.platform) <= count);
        assert(dv_index_edit_remove(e, removed, NULL) == 0);
    }
    assert(dv_index_entry_build(before, NULL, /* with_annotations= */ true, &entry, NULL) == 0);
    assert(dv_index_edit_add(e, entry, NULL) == 0);
    DV_AUTOPTR(davit_error) err = NULL;
    int r = dv_index_edit_finish(e, &after, &err);
    /* One entry more, or the escapes of another way of writing, may be too much. */
    assert(r == 0 || r == DAVIT_ETOOBIG);
    if (r == 0)
        check_order(before, after, removed);
    return 0;
}
