/*
 * archive/tar_reader.c - the one state machine that finds headers, data and end in a tar stream (threats D9).
 *
 *     HEADER → EXTENSION → HEADER ...     text before an entry
 *     HEADER → DATA → HEADER ...          entries; on_end may come at once
 *     HEADER → LONE_ZERO → END            two zero blocks; only zeros after them
 *
 * Padding after data is skipped in HEADER, whatever it holds. Data is handed on from where it lies; a block is copied only when
 * it comes in pieces. What others disagree about:
 *
 * - Directories, links, devices and FIFOs have no data, whatever their size field says, as in GNU tar and Go. Where something was
 *   written anyway, the next header's checksum is wrong.
 * - One zero block with something behind it: GNU tar stops there with a warning, Go refuses. So do we. At the end of input it is fine.
 * - Extension headers with no entry behind them, repeated, or with a global header between, are refused; so is more than zeros
 *   behind the end: what is there some programs would unpack.
 * - '7' (contiguous) is a file. Of '0' only the type counts; NUL with a '/' at the end of the name is a directory (v7 had no other).
 */
#include "archive/tar_extension.h"

#include "util/str.h"

#include <inttypes.h>
#include <string.h>

#define SHOWN_NAME_MAX 200u /* bytes of a name in a message */

typedef enum reader_state {
    STATE_HEADER,
    STATE_EXTENSION,
    STATE_GLOBAL,
    STATE_DATA,
    STATE_LONE_ZERO,
    STATE_END
} reader_state;

struct dv_tar_reader {
    dv_sink sink;
    dv_tar_handler handler;
    void *user;
    reader_state state;
    uint64_t offset;   /* of the next byte in the stream */
    uint64_t left;     /* bytes of data or text still to come */
    uint32_t padding;  /* bytes behind it, up to the block's end */
    uint32_t gathered; /* bytes of a block that came in pieces */
    uint64_t first;    /* offset of the coming entry's first block */
    bool told;         /* the last entry still borrows the extension's text */
    uint64_t size_sum;
    uint64_t entry_count;
    dv_tar_header header;
    dv_tar_extension extension;
    dv_tar_entry entry;
    uint8_t block[DV_TAR_BLOCK_SIZE];
};

/* Say in front of an error which entry it is about. */
static int name_entry(const char *name, davit_error **err, int code)
{
    DV_AUTO(dv_buf) quoted = DV_BUF_INIT(SHOWN_NAME_MAX * 5);
    const size_t length = strnlen(name, SHOWN_NAME_MAX + 1);
    dv_str_quote(&quoted, name, length > SHOWN_NAME_MAX ? SHOWN_NAME_MAX : length);
    return dv_error_wrap(err, code, "tar entry %s%s", dv_buf_text(&quoted),
                         length > SHOWN_NAME_MAX ? "..." : "");
}

static int name_header(const dv_tar_reader *r, davit_error **err, int code)
{
    if (code == DAVIT_ENOMEM)
        return code;
    if (r->header.name[0])
        return name_entry(r->header.name, err, code);
    return dv_error_wrap(err, code, "tar header at %" PRIu64, r->offset - DV_TAR_BLOCK_SIZE);
}

static int find_type(const dv_tar_reader *r, const char *name, dv_tar_type *out, davit_error **err)
{
    switch (r->header.type) {
    case '\0':
        *out = dv_str_ends(name, "/") ? DV_TAR_DIRECTORY : DV_TAR_FILE;
        return 0;
    case '0':
    case '7':
        *out = DV_TAR_FILE;
        return 0;
    case '1':
        *out = DV_TAR_HARDLINK;
        return 0;
    case '2':
        *out = DV_TAR_SYMLINK;
        return 0;
    case '3':
        *out = DV_TAR_CHAR;
        return 0;
    case '4':
        *out = DV_TAR_BLOCK;
        return 0;
    case '5':
        *out = DV_TAR_DIRECTORY;
        return 0;
    case '6':
        *out = DV_TAR_FIFO;
        return 0;
    case 'S':
        return dv_error_set(err, DAVIT_EFORMAT, "a sparse file (type S): not accepted in a layer");
    }
    return dv_error_set(err, DAVIT_EFORMAT, "unhandled tar header type %d", r->header.type);
}

static int tell_entry(dv_tar_reader *r, davit_error **err)
{
    r->told = true;
    r->entry_count++;
    r->left = r->entry.size;
    r->padding = (uint32_t)(-r->left % DV_TAR_BLOCK_SIZE);
    int ret = r->handler.on_entry(r->user, &r->entry, err);
    if (ret < 0)
        return ret;
    if (r->left == 0)
        return r->handler.on_end(r->user, err);
    r->state = STATE_DATA;
    return 0;
}

/* The header of an entry is there: put together what it and the extension headers say. */
static int build_entry(dv_tar_reader *r, davit_error **err)
{
    dv_tar_entry *entry = &r->entry;
    const dv_tar_header *h = &r->header;
    *entry = (dv_tar_entry){.mode = h->mode, .major = h->major, .minor = h->minor, .offset = r->first};
    int ret = dv_tar_extension_apply(&r->extension, h, entry, err);
    if (ret == 0)
        ret = find_type(r, entry->name, &entry->type, err);
    if (ret < 0)
        return name_entry(entry->name ? entry->name : h->name, err, ret);
    if (__builtin_add_overflow(r->size_sum, entry->size, &r->size_sum))
        r->size_sum = UINT64_MAX;
    if (entry->type != DV_TAR_FILE)
        entry->size = 0;
    if (entry->type != DV_TAR_HARDLINK && entry->type != DV_TAR_SYMLINK)
        entry->link = "";
    return 0;
}

static int close_extension(dv_tar_reader *r, davit_error **err)
{
    const bool global = r->state == STATE_GLOBAL;
    r->state = STATE_HEADER;
    if (global)
        return 0;
    int ret = dv_tar_extension_close(&r->extension, err);
    return ret < 0 ? name_header(r, err, ret) : 0;
}

static int open_extension(dv_tar_reader *r, davit_error **err)
{
    const bool global = r->header.type == 'g';
    if (global && dv_tar_extension_pending(&r->extension))
        return dv_error_set(err, DAVIT_EFORMAT, "a global header between an entry and its extension header");
    r->left = r->header.size;
    r->padding = (uint32_t)(-r->left % DV_TAR_BLOCK_SIZE);
    r->state = global ? STATE_GLOBAL : STATE_EXTENSION;
    return dv_tar_extension_open(&r->extension, r->header.type, r->left, err);
}

static bool is_extension(unsigned char type)
{
    return type == 'x' || type == 'g' || type == 'L' || type == 'K';
}

static int take_header(dv_tar_reader *r, const uint8_t *block, davit_error **err)
{
    if (r->told)
        dv_tar_extension_reset(&r->extension);
    r->told = false;
    if (!dv_tar_extension_pending(&r->extension))
        r->first = r->offset - DV_TAR_BLOCK_SIZE;
    int ret = dv_tar_header_parse(block, &r->header, err);
    if (ret < 0)
        return name_header(r, err, ret);
    if (is_extension(r->header.type)) {
        ret = open_extension(r, err);
        if (ret < 0)
            return name_header(r, err, ret);
        return r->left == 0 ? close_extension(r, err) : 0;
    }
    ret = build_entry(r, err);
    return ret < 0 ? ret : tell_entry(r, err);
}

static int take_block(dv_tar_reader *r, const uint8_t *block, davit_error **err)
{
    const bool zero = dv_tar_block_is_zero(block);
    const uint64_t at = r->offset - DV_TAR_BLOCK_SIZE;
    if (r->state == STATE_LONE_ZERO) {
        if (!zero)
            return dv_error_set(err, DAVIT_EFORMAT,
                                "tar: a lone zero block before %" PRIu64 ", where more follows", at);
        r->state = STATE_END;
        return 0;
    }
    if (!zero)
        return take_header(r, block, err);
    if (!r->told && dv_tar_extension_pending(&r->extension))
        return dv_error_set(err, DAVIT_EFORMAT, "tar: the end at %" PRIu64 ", after an extension header", at);
    r->state = STATE_LONE_ZERO;
    return 0;
}

/* A block is taken from where it lies, or gathered when it comes in pieces. */
static int step_block(dv_tar_reader *r, const uint8_t *bytes, size_t size, size_t *out_used, davit_error **err)
{
    if (r->padding) {
        *out_used = size < r->padding ? size : r->padding;
        r->padding -= (uint32_t)*out_used;
        r->offset += *out_used;
        return 0;
    }
    if (r->gathered == 0 && size >= DV_TAR_BLOCK_SIZE) {
        *out_used = DV_TAR_BLOCK_SIZE;
        r->offset += DV_TAR_BLOCK_SIZE;
        return take_block(r, bytes, err);
    }
    const size_t missing = DV_TAR_BLOCK_SIZE - r->gathered;
    *out_used = size < missing ? size : missing;
    memcpy(r->block + r->gathered, bytes, *out_used);
    r->gathered += (uint32_t)*out_used;
    r->offset += *out_used;
    if (r->gathered < DV_TAR_BLOCK_SIZE)
        return 0;
    r->gathered = 0;
    return take_block(r, r->block, err);
}

static int step_data(dv_tar_reader *r, const uint8_t *bytes, size_t size, size_t *out_used, davit_error **err)
{
    *out_used = size < r->left ? size : (size_t)r->left;
    r->left -= *out_used;
    r->offset += *out_used;
    int ret = r->handler.on_data(r->user, bytes, *out_used, err);
    if (ret < 0 || r->left > 0)
        return ret;
    r->state = STATE_HEADER;
    return r->handler.on_end(r->user, err);
}

static int step_extension(dv_tar_reader *r, const uint8_t *bytes, size_t size, size_t *out_used,
                          davit_error **err)
{
    *out_used = size < r->left ? size : (size_t)r->left;
    r->left -= *out_used;
    r->offset += *out_used;
    if (r->state == STATE_EXTENSION) {
        int ret = dv_tar_extension_append(&r->extension, bytes, *out_used, err);
        if (ret < 0)
            return ret;
    }
    return r->left == 0 ? close_extension(r, err) : 0;
}

static int step_end(dv_tar_reader *r, const uint8_t *bytes, size_t size, size_t *out_used, davit_error **err)
{
    if (bytes[0] || memcmp(bytes, bytes + 1, size - 1) != 0) {
        size_t zeros = 0;
        while (!bytes[zeros])
            zeros++;
        return dv_error_set(err, DAVIT_EFORMAT, "tar: more than zeros behind its end marker, at %" PRIu64,
                            r->offset + zeros);
    }
    *out_used = size;
    r->offset += size;
    return 0;
}

static int step(dv_tar_reader *r, const uint8_t *bytes, size_t size, size_t *out_used, davit_error **err)
{
    switch (r->state) {
    case STATE_HEADER:
    case STATE_LONE_ZERO:
        return step_block(r, bytes, size, out_used, err);
    case STATE_EXTENSION:
    case STATE_GLOBAL:
        return step_extension(r, bytes, size, out_used, err);
    case STATE_DATA:
        return step_data(r, bytes, size, out_used, err);
    case STATE_END:
        break;
    }
    return step_end(r, bytes, size, out_used, err);
}

static int reader_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    dv_tar_reader *r = (dv_tar_reader *)s;
    const uint8_t *at = bytes;
    while (size > 0) {
        size_t used = 0;
        int ret = step(r, at, size, &used, err);
        if (ret < 0)
            return ret;
        at += used;
        size -= used;
    }
    return 0;
}

static int reader_finish(dv_sink *s, davit_error **err)
{
    const dv_tar_reader *r = (const dv_tar_reader *)s;
    const bool extended = !r->told && dv_tar_extension_pending(&r->extension);
    if (r->state == STATE_DATA) {
        dv_error_set(err, DAVIT_EFORMAT, "unexpected EOF, %" PRIu64 " bytes of its data are missing", r->left);
        return name_entry(r->entry.name, err, DAVIT_EFORMAT);
    }
    if (r->gathered > 0 || extended || r->state == STATE_EXTENSION || r->state == STATE_GLOBAL)
        return dv_error_set(err, DAVIT_EFORMAT, "tar: unexpected EOF in a header, after %" PRIu64 " bytes",
                            r->offset);
    return 0;
}

int dv_tar_reader_new(const dv_tar_handler *handler, void *user, dv_tar_reader **out, davit_error **err)
{
    dv_tar_reader *r = dv_new(dv_tar_reader);
    if (!r)
        return dv_error_oom(err);
    *r = (dv_tar_reader){
        .sink = {.write = reader_write, .finish = reader_finish},
        .handler = *handler,
        .user = user,
        .extension = DV_TAR_EXTENSION_INIT,
    };
    *out = r;
    return 0;
}

dv_sink *dv_tar_reader_sink(dv_tar_reader *r)
{
    return &r->sink;
}

uint64_t dv_tar_reader_size_sum(const dv_tar_reader *r)
{
    return r->size_sum;
}

uint64_t dv_tar_reader_entry_count(const dv_tar_reader *r)
{
    return r->entry_count;
}

int dv_tar_reader_skip_data(dv_tar_reader *r, uint64_t *out_skipped, davit_error **err)
{
    *out_skipped = 0;
    if (r->state != STATE_DATA)
        return 0;
    *out_skipped = r->left + r->padding;
    r->offset += *out_skipped;
    r->left = r->padding = 0;
    r->state = STATE_HEADER;
    return r->handler.on_end(r->user, err);
}

void dv_tar_reader_free(dv_tar_reader *r)
{
    if (r)
        dv_tar_extension_clear(&r->extension);
    free(r);
}
