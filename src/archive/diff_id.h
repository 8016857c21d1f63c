/* archive/diff_id.h - a step that hashes and counts everything that passes: the diff_id of an inflated layer. */
#ifndef DV_ARCHIVE_DIFF_ID_H
#define DV_ARCHIVE_DIFF_ID_H

#include "util/hash.h"
#include "util/sink.h"

typedef struct dv_diff_id_sink {
    dv_sink sink;
    dv_sink *next; /* borrowed; NULL: only hash */
    dv_hash *hash;
    uint64_t size;
    davit_digest digest; /* set by finish() */
} dv_diff_id_sink;
#define DV_DIFF_ID_INIT \
    {                   \
        0               \
    }

int dv_diff_id_init(dv_diff_id_sink *d, dv_sink *next, davit_error **err); /* sha256 */
void dv_diff_id_clear(dv_diff_id_sink *d);
DV_DEFINE_AUTO(dv_diff_id_sink, dv_diff_id_clear)
/* After finish(). */
void dv_diff_id_get(const dv_diff_id_sink *d, davit_digest *out);
/* DAVIT_EDIGEST "layer <blob>: its content is <got>, and the image says <expected>" (threats B7). */
int dv_diff_id_check(const dv_diff_id_sink *d, const davit_digest *expected, const char *what,
                     davit_error **err);

#endif
