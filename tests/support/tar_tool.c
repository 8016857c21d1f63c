/*
 * tests/support/tar_tool.c - our tar reader and writer as a program, so that other tars can judge them (tests/unit/archive/tar_judges.py).
 *
 *     tar_tool list [CHUNK] <archive      a line for each entry: type, mode, uid, gid, major, minor, size, mtime's seconds and
 *                                         nanoseconds, name, link, xattrs (NAME=VALUE,...), digest of the data; text is in hexadecimal
 *     tar_tool copy <archive >archive     what is read is written again
 */
#include "archive/tar.h"
#include "util/hash.h"
#include "util/hex.h"
#include "util/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE (256u << 10)

typedef struct output {
    dv_sink sink; /* standard output */
    dv_hash *hash;
    uint64_t size;
} output;

static int write_out(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    return fwrite(bytes, 1, size, stdout) == size ? 0 : dv_error_set(err, DAVIT_EIO, "standard output");
}

static void print_hex(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char digits[3];
        dv_hex_encode((const uint8_t *)bytes + i, 1, digits);
        fputs(digits, stdout);
    }
}

static int list_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    static const char *const types[] = {"file", "hardlink", "symlink", "char", "block", "directory", "fifo"};
    output *out = user;
    dv_hash_reset(out->hash);
    printf("%s %o %u %u %u %u %" PRIu64 " %" PRId64 " %" PRIu32 " ", types[e->type], e->mode, e->uid, e->gid,
           e->major, e->minor, e->size, e->mtime.s, e->mtime.ns);
    print_hex(e->name, strlen(e->name));
    putchar(' ');
    print_hex(e->link, strlen(e->link));
    putchar(' ');
    for (size_t i = 0; i < e->xattr_count; i++) {
        print_hex(e->xattrs[i].name, strlen(e->xattrs[i].name));
        putchar('=');
        print_hex(e->xattrs[i].value, e->xattrs[i].size);
        putchar(',');
    }
    return 0;
}

static int list_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    output *out = user;
    dv_hash_update(out->hash, bytes, size);
    return 0;
}

static int list_end(void *user, davit_error **err)
{
    output *out = user;
    davit_digest digest;
    dv_hash_final(out->hash, &digest);
    printf(" %s\n", strchr(digest.text, ':') + 1);
    return 0;
}

static int copy_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    output *out = user;
    out->size = e->size;
    return dv_tar_write_header(&out->sink, e, err);
}

static int copy_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    output *out = user;
    return dv_sink_write(&out->sink, bytes, size, err);
}

static int copy_end(void *user, davit_error **err)
{
    output *out = user;
    return dv_tar_write_padding(&out->sink, out->size, err);
}

static int pump(dv_sink *to, size_t chunk, davit_error **err)
{
    static char bytes[READ_SIZE];
    size_t size = 0;
    while ((size = fread(bytes, 1, chunk, stdin)) > 0) {
        int r = dv_sink_write(to, bytes, size, err);
        if (r < 0)
            return r;
    }
    return dv_sink_finish(to, err);
}

int main(int argc, char **argv)
{
    static const dv_tar_handler list = {.on_entry = list_entry, .on_data = list_data, .on_end = list_end};
    static const dv_tar_handler copy = {.on_entry = copy_entry, .on_data = copy_data, .on_end = copy_end};
    output out = {.sink = {.write = write_out}, .hash = dv_hash_new(DAVIT_SHA256)};
    const bool copies = argc > 1 && dv_str_equal(argv[1], "copy");
    uint64_t chunk = READ_SIZE;
    if (!out.hash || argc < 2 || (argc > 2 && !dv_str_to_u64(argv[2], &chunk)) || chunk == 0 ||
        chunk > READ_SIZE)
        return 2;
    DV_AUTOPTR(dv_tar_reader) reader = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    int r = dv_tar_reader_new(copies ? &copy : &list, &out, &reader, &err);
    if (r == 0)
        r = pump(dv_tar_reader_sink(reader), chunk, &err);
    if (r == 0 && copies)
        r = dv_tar_write_end(&out.sink, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", davit_error_message(err));
    dv_hash_free(out.hash);
    return r < 0 || fflush(stdout) != 0;
}
