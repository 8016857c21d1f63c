/* distribution/source_v1.h - a repository of a registry of the first version as a source, for who has a reader of its own (migrate_v1.c). */
#ifndef DV_DISTRIBUTION_SOURCE_V1_H
#define DV_DISTRIBUTION_SOURCE_V1_H

#include "distribution/source.h"
#include "distribution/v1_reader.h"

/* How layers are fetched that neither side has any more: the reader is not this thread's. */
typedef struct dv_source_v1_fetch {
    int (*ask)(void *user, char *const *ids, size_t count, davit_error **err);
    void *user;
} dv_source_v1_fetch;

/*
 * wanted was listed with all its tags, the images of those that are asked for were fetched, and what they are made of was staged. All is borrowed until
 * the close, and stays with whoever has it: finish() of this source does nothing. Threads: any one.
 */
int dv_source_v1_over(davit_client *c, const dv_place *place, const dv_v1_reader *reader,
                      dv_v1_wanted *wanted, const dv_source_v1_fetch *fetch, dv_source **out,
                      davit_error **err);

#endif
