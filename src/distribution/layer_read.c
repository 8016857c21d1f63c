/* distribution/layer_read.c - see layer_read.h. Wire bytes are checked beside the decoder, not behind it: what it gave counts only with both. */
#include "distribution/layer_read.h"

#include "archive/compress.h"
#include "archive/diff_id.h"
#include "oci/media_type.h"
#include "registry/client.h"
#include "store/content_store.h"
#include "store/metadata_store.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/str.h"

#include <string.h>

#define READ_SIZE (256u << 10) /* bytes at once */

bool dv_layer_is_foreign(const char *media_type)
{
    return dv_str_equal(media_type, DV_MEDIA_TYPE_DOCKER_FOREIGN) ||
           dv_str_equal(media_type, DV_MEDIA_TYPE_DOCKER_FOREIGN_GZIP) ||
           strstr(media_type, ".nondistributable.") != NULL;
}

static int check_end(const davit_descriptor *blob, uint64_t size, dv_hash *hash, davit_error **err)
{
    davit_digest got;
    dv_hash_final(hash, &got);
    if (davit_digest_equal(&got, &blob->digest) && (blob->size == DAVIT_SIZE_UNKNOWN || blob->size == size))
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST,
                        "stored blob %s is damaged: its bytes are %s; pull or load the image again",
                        blob->digest.text, got.text);
}

int dv_blob_copy(davit_client *client, dv_store *store, const davit_descriptor *blob, dv_sink *to,
                 davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    uint64_t size = 0, at = 0;
    int r = dv_content_open(store, &blob->digest, blob->size, &fd, &size, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(blob->digest.algorithm);
    DV_AUTOFREE char *bytes = malloc(READ_SIZE);
    if (!hash || !bytes)
        return dv_error_oom(err);
    while (r == 0) {
        ssize_t n = dv_pread_all(fd, bytes, READ_SIZE, at);
        if (n < 0)
            return dv_error_file(err, (int)-n, "cannot read blob %s in store %s", blob->digest.text,
                                 dv_store_path(store));
        if (n == 0)
            break;
        dv_hash_update(hash, bytes, (size_t)n);
        at += (uint64_t)n;
        r = dv_client_check_cancelled(client, err);
        if (r == 0)
            r = dv_sink_write(to, bytes, (size_t)n, err);
    }
    return r < 0 ? r : check_end(blob, at, hash, err);
}

static int inflate(davit_client *client, dv_store *store, const davit_descriptor *layer,
                   dv_diff_id_sink *diff_id, davit_error **err)
{
    const dv_inflate_options options = {.allow_old = true};
    DV_AUTOPTR(dv_inflate) codec = NULL;
    int r = dv_inflate_new(&options, &diff_id->sink, &codec, err);
    if (r == 0)
        r = dv_blob_copy(client, store, layer, dv_inflate_sink(codec), err);
    return r < 0 ? r : dv_sink_finish(dv_inflate_sink(codec), err);
}

/* Passes bytes on, and not their end: more follows in the same place. */
typedef struct endless {
    dv_sink sink;
    dv_sink *to;
} endless;

static int pass_on(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    return dv_sink_write(((endless *)s)->to, bytes, size, err);
}

static int keep_open(dv_sink *s, davit_error **err)
{
    (void)s, (void)err;
    return 0;
}

int dv_layer_read(davit_client *client, dv_store *store, const davit_descriptor *layer, dv_sink *to,
                  dv_layer_facts *out, davit_error **err)
{
    endless end = {.sink = {.write = pass_on, .finish = keep_open}, .to = to};
    DV_AUTO(dv_diff_id_sink) diff_id = DV_DIFF_ID_INIT;
    dv_layer_facts facts;
    int r = dv_diff_id_init(&diff_id, to ? &end.sink : NULL, err);
    if (r == 0)
        r = inflate(client, store, layer, &diff_id, err);
    if (r < 0)
        return dv_error_wrap(err, r, "layer %s", layer->digest.text);
    facts.size = diff_id.size;
    dv_diff_id_get(&diff_id, &facts.diff_id);
    if (!dv_store_is_read_only(store))
        dv_metadata_put_diff_id(store, &layer->digest, &facts.diff_id,
                                NULL); /* a cache: not having it costs time only */
    *out = facts;
    return 0;
}

int dv_layer_diff_id(davit_client *client, dv_store *store, const davit_descriptor *layer, davit_digest *out,
                     davit_error **err)
{
    dv_layer_facts facts;
    if (dv_metadata_get_diff_id(store, &layer->digest, out, NULL) == 0)
        return 0;
    int r = dv_layer_read(client, store, layer, NULL, &facts, err);
    if (r == 0)
        *out = facts.diff_id;
    return r;
}
