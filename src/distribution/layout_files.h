/*
 * distribution/layout_files.h - the files of an OCI layout in a directory, for reading: nothing outside of it is ever opened (threats B2, D2).
 */
#ifndef DV_DISTRIBUTION_LAYOUT_FILES_H
#define DV_DISTRIBUTION_LAYOUT_FILES_H

#include "archive/oci_layout.h"
#include "util/file.h"

/* The directory, whose oci-layout was checked. DAVIT_ENOTFOUND: there is no such directory; DAVIT_EFORMAT: it is no layout. */
int dv_layout_open(const char *path, int *out_dirfd, davit_error **err);
int dv_layout_read_index(int dirfd, const char *path, dv_oci_layout_index *out, davit_error **err);
/* DAVIT_ENOTFOUND naming the layout. */
int dv_layout_open_blob(int dirfd, const char *path, const davit_digest *digest, int *out_fd,
                        uint64_t *out_size, davit_error **err);
/* A blob of at most DAVIT_MANIFEST_MAX bytes, unchecked. */
int dv_layout_read_document(int dirfd, const char *path, const davit_digest *digest, dv_buf *out,
                            davit_error **err);
/* All of a file from its beginning; at most max bytes. DAVIT_ETOOBIG. */
int dv_fd_read(int fd, uint64_t first, uint64_t size, size_t max, const char *what, dv_buf *out,
               davit_error **err);

#endif
