/* oci/index_subset.c - see index_subset.h. */
#include "oci/index_subset.h"

#include "oci/index_build.h"
#include "oci/manifest.h"
#include "util/str.h"

#include <string.h>

#define REFERS_TO "vnd.docker.reference.digest" /* of an attestation: the image that it is about */

static bool is_platform(const davit_descriptor *entry, const davit_platform *wanted)
{
    davit_platform a = entry->platform, b = *wanted;
    davit_platform_normalize(&a);
    davit_platform_normalize(&b);
    return entry->has_platform && strcmp(a.os, b.os) == 0 && strcmp(a.architecture, b.architecture) == 0 &&
           (!*b.variant || strcmp(a.variant, b.variant) == 0) &&
           (!*b.os_version || strcmp(a.os_version, b.os_version) == 0);
}

static int choose_one(const davit_manifest *index, const davit_platform *wanted, bool *keep, davit_error **err)
{
    size_t count, fit = 0;
    DV_AUTOFREE size_t *order = NULL;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    bool found = false;
    for (size_t i = 0; i < count; i++)
        if (is_platform(&entries[i], wanted))
            keep[i] = found = true;
    if (found)
        return 0;
    int r = davit_manifest_choose(index, wanted, &order, &fit, err);
    if (r == 0 && (fit == 0 || !entries[order[0]].has_platform))
        r = dv_index_no_match(wanted, err);
    if (r == 0)
        keep[order[0]] = true;
    return r;
}

static int parse(const davit_manifest *index, dv_json **out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX};
    size_t size;
    const void *bytes = davit_manifest_bytes(index, &size);
    return dv_json_parse(bytes, size, &limits, /* known= */ NULL, out, err);
}

static bool refers_to_kept(const davit_manifest *index, const dv_json *entry, const bool *keep)
{
    size_t count;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    const char *digest = dv_json_string(dv_json_get(dv_json_get(entry, "annotations"), REFERS_TO), NULL);
    for (size_t i = 0; digest && i < count; i++)
        if (keep[i] && strcmp(entries[i].digest.text, digest) == 0)
            return true;
    return false;
}

int dv_index_choose(const davit_manifest *index, const davit_platform *platforms, size_t count, bool *keep,
                    davit_error **err)
{
    DV_AUTOPTR(dv_json) document = NULL;
    int r = parse(index, &document, err);
    const dv_json *array = dv_json_get(document, "manifests");
    memset(keep, 0, dv_json_count(array) * sizeof(*keep));
    for (size_t i = 0; r == 0 && i < count; i++)
        r = choose_one(index, &platforms[i], keep, err);
    for (size_t i = 0; r == 0 && i < dv_json_count(array); i++)
        keep[i] = keep[i] || refers_to_kept(index, dv_json_at(array, i), keep);
    return r;
}

int dv_index_subset(const davit_manifest *index, const bool *keep, davit_manifest **out, davit_error **err)
{
    DV_AUTOPTR(dv_index_edit) edit = NULL;
    int r = dv_index_edit_new(index, &edit, err);
    for (size_t i = r == 0 ? dv_index_edit_count(edit) : 0; r == 0 && i > 0; i--)
        if (!keep[i - 1])
            r = dv_index_edit_remove(edit, i - 1, err);
    return r < 0 ? r : dv_index_edit_finish(edit, out, err);
}
