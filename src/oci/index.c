/*
 * oci/index.c - indexes and manifest lists: their entries, and which of them fit a platform (pull.md 5).
 * Fetching and checking what an entry points at is the caller's.
 */
#include "oci/manifest.h"
#include "oci/platform.h"

#include <string.h>

/* One without a list is no index, whatever it is (threats B3); a list that is null is what some write of an empty one. */
int dv_index_parse(davit_manifest *m, const dv_json *document, davit_error **err)
{
    static const dv_json_field fields[] = {{"manifests", DV_FIELD_ARRAY, 0, false}, {0}};
    const dv_json *entries = NULL;
    if (!dv_json_get(document, "manifests"))
        return dv_error_set(err, DAVIT_EFORMAT, "index: \"manifests\" is missing");
    int r = dv_json_decode(document, fields, &entries, err);
    return r < 0 ? dv_error_wrap(err, r, "index") : dv_manifest_parse_items(m, entries, "manifest", err);
}

/* Positions by rank, equal ranks in list order: one pass for each rank that there is. */
static size_t order(const int *ranks, size_t count, int rank_max, size_t *out)
{
    size_t n = 0;
    for (int rank = 0; rank <= rank_max; rank++)
        for (size_t i = 0; i < count; i++)
            if (ranks[i] == rank)
                out[n++] = i;
    return n;
}

int davit_manifest_choose(const davit_manifest *m, const davit_platform *platform, size_t **out_indices,
                          size_t *out_count, davit_error **err)
{
    size_t count = 0;
    const davit_descriptor *entries = davit_manifest_entries(m, &count);
    if (!davit_manifest_is_index(m))
        return dv_error_set(err, DAVIT_EINVAL, "an image manifest has no platforms to choose from");
    davit_platform host;
    davit_platform_host(&host);
    DV_AUTOFREE dv_platform_vector *vector = dv_new(dv_platform_vector);
    DV_AUTOFREE int *ranks = dv_new_array(int, count);
    DV_AUTOFREE size_t *indices = dv_new_array(size_t, count);
    if (!vector || !ranks || !indices)
        return dv_error_oom(err);
    dv_platform_vector_init(vector, platform, &host);
    for (size_t i = 0; i < count; i++)
        ranks[i] = dv_platform_rank(vector, entries[i].has_platform ? &entries[i].platform : NULL);
    *out_count = order(ranks, count, (int)vector->count, indices);
    *out_indices = DV_STEAL(indices);
    return 0;
}

int dv_index_no_match(const davit_platform *wanted, davit_error **err)
{
    davit_platform host;
    char text[DAVIT_PLATFORM_TEXT_MAX];
    davit_platform_host(&host);
    davit_platform_format(wanted && *wanted->os ? wanted : &host, text);
    return dv_error_set(err, DAVIT_EPLATFORM, "no matching manifest for %s in the manifest list entries",
                        text);
}
