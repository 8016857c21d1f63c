/* distribution/stored_tree.c - see stored_tree.h. */
#include "distribution/stored_tree.h"

#include "distribution/layer_read.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "store/content_store.h"
#include "util/str.h"

#include <string.h>

int dv_stored_manifest(dv_store *store, const davit_digest *digest, const char *media_type,
                       davit_manifest **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = dv_content_read(store, digest, DAVIT_MANIFEST_MAX, &bytes, err);
    if (r == 0)
        r = davit_manifest_parse(dv_buf_text(&bytes), bytes.size, media_type, out, err);
    return r < 0 ? dv_error_wrap(err, r, "manifest %s", digest->text) : 0;
}

bool dv_stored_is_followed(const davit_descriptor *entry)
{
    dv_media_kind kind = dv_media_type_kind(entry->media_type);
    return kind == DV_MEDIA_MANIFEST || kind == DV_MEDIA_INDEX;
}

bool dv_stored_is_image(const davit_descriptor *entry)
{
    return dv_stored_is_followed(entry) &&
           !(entry->has_platform && dv_str_equal(entry->platform.os, "unknown"));
}

bool dv_stored_is_platform(const davit_platform *have, const davit_platform *wanted)
{
    davit_platform a = *have, b = *wanted;
    davit_platform_normalize(&a);
    davit_platform_normalize(&b);
    return strcmp(a.os, b.os) == 0 && strcmp(a.architecture, b.architecture) == 0 &&
           (!*b.variant || strcmp(a.variant, b.variant) == 0) &&
           (!*b.os_version || strcmp(a.os_version, b.os_version) == 0);
}

int dv_stored_follow(dv_stored_tree *t, unsigned depth, davit_error **err)
{
    if (++t->followed > DV_STORED_MANIFESTS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %d manifests", DV_STORED_MANIFESTS_MAX);
    if (depth > DAVIT_INDEX_DEPTH_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "index within index, more than %d deep",
                            DAVIT_INDEX_DEPTH_MAX);
    return 0;
}

int dv_stored_has(const dv_stored_tree *t, const davit_descriptor *blob, davit_error **err)
{
    return dv_content_has(t->store, &blob->digest, blob->size, err);
}

static int image_is_complete(const dv_stored_tree *t, const davit_manifest *m, davit_error **err)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    int r = dv_stored_has(t, davit_manifest_config(m), err);
    for (size_t i = 0; r == 1 && i < count; i++) {
        r = dv_stored_has(t, &layers[i], err);
        r = r == 0 && dv_layer_is_foreign(layers[i].media_type) ? 1 : r;
    }
    return r;
}

int dv_stored_index_is_complete(dv_stored_tree *t, const davit_manifest *index, unsigned depth,
                                davit_error **err)
{
    size_t count;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    int r = 1;
    for (size_t i = 0; r == 1 && i < count; i++)
        if (dv_stored_is_followed(&entries[i]))
            r = dv_stored_is_complete(t, &entries[i], depth + 1, err);
    return r;
}

int dv_stored_is_complete(dv_stored_tree *t, const davit_descriptor *document, unsigned depth,
                          davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    int r = dv_stored_follow(t, depth, err);
    if (r == 0)
        r = dv_stored_has(t, document, err);
    if (r < 1)
        return r;
    r = dv_stored_manifest(t->store, &document->digest, document->media_type, &m, err);
    if (r < 0)
        return r;
    return davit_manifest_is_index(m) ? dv_stored_index_is_complete(t, m, depth, err)
                                      : image_is_complete(t, m, err);
}
