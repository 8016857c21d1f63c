/*
 * distribution/blob_upload.h - one blob out of a pipe to a registry, for a caller who waits; files are file_uploads.h's.
 *
 * Threads: a caller's; block.
 */
#ifndef DV_DISTRIBUTION_BLOB_UPLOAD_H
#define DV_DISTRIBUTION_BLOB_UPLOAD_H

#include "davit/digest.h"
#include "registry/registry.h"

/* sha256 and length of a regular file. */
int dv_file_digest(int fd, const char *what, davit_digest_algorithm algorithm, davit_digest *out,
                   uint64_t *out_size, davit_error **err);

/*
 * Whatever fd gives until its end, sent as it comes; 4 MiB are read first, and if that is all it goes as a whole, unless the registry has
 * it. expected: NULL, or the digest that it must have for the registry to keep it
 * (DAVIT_EDIGEST). fd is borrowed, and is read on a worker.
 */
int dv_blob_upload_stream(dv_registry *reg, int fd, const davit_digest *expected, davit_digest *out_digest,
                          uint64_t *out_size, davit_error **err);

#endif
