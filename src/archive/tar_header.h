/*
 * archive/tar_header.h - what one 512-byte header block says, by itself: nothing of the extension headers before it. Pure.
 *
 * Numbers are given as they stand (a uid may be negative here); who knows the extension headers checks what counts in the end.
 */
#ifndef DV_ARCHIVE_TAR_HEADER_H
#define DV_ARCHIVE_TAR_HEADER_H

#include "archive/tar.h"

#define DV_TAR_BLOCK_SIZE 512u
#define DV_TAR_OCTAL_7_MAX \
    07777777u /* what eight bytes of octal digits can say: mode, uid, gid, device numbers */
#define DV_TAR_OCTAL_11_MAX 077777777777u /* and twelve: size, mtime */

/* Where the fields are: offset in the block, and size in bytes. */
#define DV_TAR_NAME_AT 0, 100
#define DV_TAR_MODE_AT 100, 8
#define DV_TAR_UID_AT 108, 8
#define DV_TAR_GID_AT 116, 8
#define DV_TAR_SIZE_AT 124, 12
#define DV_TAR_MTIME_AT 136, 12
#define DV_TAR_CHECKSUM_AT 148, 8
#define DV_TAR_TYPE 156
#define DV_TAR_LINK_AT 157, 100
#define DV_TAR_MAGIC 257 /* "ustar", NUL, "00"; GNU: "ustar", two spaces, NUL */
#define DV_TAR_MAJOR_AT 329, 8
#define DV_TAR_MINOR_AT 337, 8
#define DV_TAR_PREFIX 345 /* 155 bytes; star: 131; GNU has atime and ctime there */

typedef struct dv_tar_header {
    unsigned char type;
    char name[155 + 1 + 100 + 1]; /* with the prefix */
    char link[100 + 1];
    uint64_t size;
    uint32_t mode;         /* 07777 */
    int64_t uid, gid;      /* any number */
    uint32_t major, minor; /* of devices */
    dv_tar_time mtime, atime;
} dv_tar_header;

bool dv_tar_block_is_zero(const uint8_t *block);
/* Sum of the block's bytes with the checksum field as spaces; the old form took bytes as signed. */
int64_t dv_tar_block_sum(const uint8_t *block, bool as_signed);
/* DAVIT_EFORMAT saying what is wrong; the name of out is set then, when the checksum was right ("" otherwise). */
int dv_tar_header_parse(const uint8_t *block, dv_tar_header *out, davit_error **err);

#endif
