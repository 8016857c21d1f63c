/*
 * archive/tar_extension.h - the extension headers before an entry: GNU long name (L) and link (K), PAX records (x).
 *
 * Their text is gathered in one buffer that is kept from entry to entry. What is repeated, or says two names, is refused;
 * records of one PAX header may repeat, the last one counts.
 */
#ifndef DV_ARCHIVE_TAR_EXTENSION_H
#define DV_ARCHIVE_TAR_EXTENSION_H

#include "archive/tar_header.h"

typedef struct dv_tar_number {
    uint64_t value;
    bool set;
} dv_tar_number;

/* A NUL-terminated text in the buffer: 0 when absent, else its offset + 1. */
typedef size_t dv_tar_text;

typedef struct dv_tar_extension {
    dv_buf text;
    uint64_t charged;   /* bytes of all extension headers so far, their blocks too */
    unsigned char type; /* of the one being gathered */
    size_t start;       /* of its text */
    bool seen_pax;
    dv_tar_text gnu_name, gnu_link, path, linkpath;
    dv_tar_number size, uid, gid;
    dv_tar_time mtime, atime;
    struct {
        size_t name, value, size;
    } records[DV_TAR_XATTRS_MAX];
    size_t xattr_count;
    dv_tar_xattr xattrs[DV_TAR_XATTRS_MAX]; /* records, once the buffer moves no more */
} dv_tar_extension;

#define DV_TAR_EXTENSION_INIT                                         \
    {                                                                 \
        .text = DV_BUF_INIT(DV_TAR_EXTENSION_MAX + DV_TAR_BLOCK_SIZE) \
    }

void dv_tar_extension_clear(dv_tar_extension *e);
/* Forget all but the memory: the next entry begins. */
void dv_tar_extension_reset(dv_tar_extension *e);
bool dv_tar_extension_pending(const dv_tar_extension *e);
/* A header of this type and size has been seen ('g' too: it only counts). DAVIT_ETOOBIG, DAVIT_EFORMAT when repeated. */
int dv_tar_extension_open(dv_tar_extension *e, unsigned char type, uint64_t size, davit_error **err);
int dv_tar_extension_append(dv_tar_extension *e, const void *bytes, size_t size, davit_error **err);
int dv_tar_extension_close(dv_tar_extension *e, davit_error **err);
/* What they say in place of h's fields: name, link, size, owner, times, xattrs. Borrows from both. */
int dv_tar_extension_apply(dv_tar_extension *e, const dv_tar_header *h, dv_tar_entry *out, davit_error **err);

/* "[-]seconds[.fraction]" as PAX writes it, to nanoseconds (further digits are dropped). */
bool dv_tar_time_parse(const char *text, dv_tar_time *out);

#endif
