/* oci/index_subset.h - which entries of an index belong to some platforms, and the index with these alone: pure. */
#ifndef DV_OCI_INDEX_SUBSET_H
#define DV_OCI_INDEX_SUBSET_H

#include "davit/manifest.h"

/*
 * Which entries belong to these platforms: keep has room for all. An entry of the same system, architecture and variant (when
 * one is asked for) belongs; for a platform that no entry has exactly, the one that fits best (pull.md 5.2). What an attestation refers to
 * decides about it (vnd.docker.reference.digest). DAVIT_EPLATFORM naming a platform that nothing fits.
 */
int dv_index_choose(const davit_manifest *index, const davit_platform *platforms, size_t count, bool *keep,
                    davit_error **err);
/* The index with those entries that are kept, everything else in it as it was. */
int dv_index_subset(const davit_manifest *index, const bool *keep, davit_manifest **out, davit_error **err);

#endif
