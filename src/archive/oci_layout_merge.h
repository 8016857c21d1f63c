/* archive/oci_layout_merge.h - an index.json with one more entry, everything else in it as it was (store.md 11). Pure. */
#ifndef DV_ARCHIVE_OCI_LAYOUT_MERGE_H
#define DV_ARCHIVE_OCI_LAYOUT_MERGE_H

#include "archive/oci_layout.h"

/*
 * Append the document that index.json becomes when add gets into it: what has the same ref_name is replaced, in its place; without a name add is
 * left out when its digest stands there anyway. size 0: there is no index.json yet. Fields that are nobody's business here are kept.
 * DAVIT_EFORMAT, DAVIT_ETOOBIG.
 */
int dv_oci_layout_index_merge(const void *bytes, size_t size, const dv_oci_layout_entry *add, dv_buf *out,
                              davit_error **err);

#endif
