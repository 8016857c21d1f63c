/*
 * archive/tar.h - reading and writing tar: ustar, GNU long names, base-256 numbers, PAX (store.md 9.2; threats D1, D9).
 *
 * One header state machine, no guessing: what is inconsistent is an error. The reader takes bytes as they come and tells entries, their
 * data, their end. Names are given as they stand (resolved from header, prefix, GNU and PAX records), never cleaned: that is for who
 * uses them. No name or link holds a NUL.
 */
#ifndef DV_ARCHIVE_TAR_H
#define DV_ARCHIVE_TAR_H

#include "util/buf.h"
#include "util/sink.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_TAR_NAME_MAX (64u << 10)     /* bytes of a name or link */
#define DV_TAR_EXTENSION_MAX (1u << 20) /* bytes of all extension headers before one entry (threats D9) */
#define DV_TAR_XATTRS_MAX 64            /* of one entry (threats D7) */
#define DV_TAR_XATTR_BYTES_MAX (128u << 10)

typedef enum dv_tar_type {
    DV_TAR_FILE,
    DV_TAR_HARDLINK,
    DV_TAR_SYMLINK,
    DV_TAR_CHAR,
    DV_TAR_BLOCK,
    DV_TAR_DIRECTORY,
    DV_TAR_FIFO,
} dv_tar_type;

typedef struct dv_tar_time {
    int64_t s;
    uint32_t ns;
    bool set;
} dv_tar_time;

typedef struct dv_tar_xattr {
    const char *name; /* without "SCHILY.xattr." */
    const void *value;
    size_t size;
} dv_tar_xattr;

/* Borrowed until the next entry. */
typedef struct dv_tar_entry {
    dv_tar_type type;
    const char *name;
    const char *link; /* target of a link; "" for others */
    uint64_t size;    /* bytes of data that follow; 0 for everything but files, whatever the header says */
    uint32_t mode;    /* permission bits, setuid, setgid, sticky: 07777 */
    uint32_t uid, gid;
    uint32_t major, minor;
    dv_tar_time mtime, atime;
    const dv_tar_xattr *xattrs;
    size_t xattr_count;
    uint64_t offset; /* in the stream, of its first block: of its first extension header, if any */
} dv_tar_entry;

typedef struct dv_tar_handler {
    int (*on_entry)(void *user, const dv_tar_entry *entry, davit_error **err);
    int (*on_data)(void *user, const void *bytes, size_t size, davit_error **err); /* of the last entry */
    int (*on_end)(void *user, davit_error **err); /* its data is complete; also when it has none */
} dv_tar_handler;

/*
 * Errors of the sink: DAVIT_EFORMAT naming entry and reason (checksum, number, truncated, sparse, unknown type, NUL in a name, sizes that
 * disagree, more than zeros behind the end), DAVIT_ETOOBIG (extension records, names, xattrs), and whatever the handler gives. Global PAX
 * records ('g') are skipped. A stream that ends at an entry's boundary without the end marker is fine.
 */
typedef struct dv_tar_reader dv_tar_reader;
int dv_tar_reader_new(const dv_tar_handler *handler, void *user, dv_tar_reader **out, davit_error **err);
dv_sink *dv_tar_reader_sink(dv_tar_reader *r);
/* Of the size fields, of links and directories too: the applied size. */
uint64_t dv_tar_reader_size_sum(const dv_tar_reader *r);
uint64_t dv_tar_reader_entry_count(const dv_tar_reader *r);
/*
 * For who can seek: pass over what is left of the current entry's data and its padding, as if it had come; on_end follows. The bytes
 * that were passed over, 0 when no data is due. The next byte to come is the one behind them.
 */
int dv_tar_reader_skip_data(dv_tar_reader *r, uint64_t *out_skipped, davit_error **err);
void dv_tar_reader_free(dv_tar_reader *r);
DV_DEFINE_AUTOPTR(dv_tar_reader, dv_tar_reader_free)

/*
 * Write the header of an entry, with a PAX header before it only where ustar cannot say it. The data follows by dv_sink_write(), then
 * dv_tar_write_padding(). Deterministic.
 */
int dv_tar_write_header(dv_sink *to, const dv_tar_entry *entry, davit_error **err);
int dv_tar_write_padding(dv_sink *to, uint64_t data_size, davit_error **err);
int dv_tar_write_end(dv_sink *to, davit_error **err); /* two zero blocks; does not finish */

#endif
