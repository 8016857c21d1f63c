/* distribution/source_v1.h - a repository of a registry of the first version as a source, for who has a reader of its own (migrate_v1.c). */
#ifndef DV_DISTRIBUTION_SOURCE_V1_H
#define DV_DISTRIBUTION_SOURCE_V1_H

#include "distribution/source.h"
#include "distribution/v1_reader.h"

/*
 * wanted was listed with all its tags, and the images of those that are asked for were fetched. Both are borrowed until the close, and stay
 * with whoever has them: finish() of this source does nothing.
 */
int dv_source_v1_over(davit_client *c, const dv_place *place, dv_v1_reader *reader, dv_v1_wanted *wanted,
                      dv_source **out, davit_error **err);

#endif
