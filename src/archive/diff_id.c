/* archive/diff_id.c - the digest of an inflated layer, taken while it passes (threats B7). */
#include "archive/diff_id.h"

static int hash_and_pass(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    dv_diff_id_sink *d = (dv_diff_id_sink *)s;
    dv_hash_update(d->hash, bytes, size);
    d->size += size;
    return d->next ? dv_sink_write(d->next, bytes, size, err) : 0;
}

static int finish_hash(dv_sink *s, davit_error **err)
{
    dv_diff_id_sink *d = (dv_diff_id_sink *)s;
    dv_hash_final(d->hash, &d->digest);
    return d->next ? dv_sink_finish(d->next, err) : 0;
}

int dv_diff_id_init(dv_diff_id_sink *d, dv_sink *next, davit_error **err)
{
    dv_hash *hash = dv_hash_new(DAVIT_SHA256);
    if (!hash)
        return dv_error_oom(err);
    *d = (dv_diff_id_sink){
        .sink = {.write = hash_and_pass, .finish = finish_hash}, .next = next, .hash = hash};
    return 0;
}

void dv_diff_id_clear(dv_diff_id_sink *d)
{
    dv_hash_free(d->hash);
    d->hash = NULL;
}

void dv_diff_id_get(const dv_diff_id_sink *d, davit_digest *out)
{
    *out = d->digest;
}

int dv_diff_id_check(const dv_diff_id_sink *d, const davit_digest *expected, const char *what,
                     davit_error **err)
{
    if (davit_digest_equal(&d->digest, expected))
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "layer %s: its content is %s, and the image says %s", what,
                        d->digest.text, expected->text);
}
