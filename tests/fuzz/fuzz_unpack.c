/*
 * Fuzz archive/unpack*.c: a tar is applied to a directory, twice, as the lower and the upper layer of one image. Beside and above the directory nothing
 * changes, whatever the tar says; nothing stays open.
 *
 * The input is a tar. The checksums of what stands where headers are due are made right, so that invention reaches behind them. It works in
 * /dev/shm where there is one: nothing of it needs a disk.
 */
#include "../support/sandbox.h"

#include "archive/tar_header.h"
#include "archive/unpack.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX (1u << 20)
#define BYTES_MAX (16u << 20)
#define ENTRIES_MAX 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t octal(const uint8_t *p, size_t size)
{
    size_t value = 0;
    for (size_t i = 0; i < size && p[i] >= '0' && p[i] <= '7'; i++)
        value = value * 8 + (size_t)(p[i] - '0');
    return value;
}

/* Walk as a reader would, by the sizes in the headers. */
static void seal(uint8_t *tar, size_t size)
{
    for (size_t at = 0; size - at >= DV_TAR_BLOCK_SIZE;) {
        uint8_t *block = tar + at;
        size_t data = octal(block + 124, 11);
        bool zeros = dv_tar_block_is_zero(block);
        if (!zeros)
            snprintf((char *)block + 148, 8, "%06o",
                     (unsigned)dv_tar_block_sum(block, /* as_signed= */ false));
        at += DV_TAR_BLOCK_SIZE;
        data = (data + DV_TAR_BLOCK_SIZE - 1) & ~(size_t)(DV_TAR_BLOCK_SIZE - 1);
        if (zeros || data > size - at)
            continue;
        at += data;
    }
}

static unsigned open_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static int apply(dv_unpack *u, const uint8_t *tar, size_t size)
{
    dv_sink *sink;
    int r = dv_unpack_layer(u, "fuzz", &sink, NULL);
    for (size_t at = 0; r == 0 && at < size;) {
        size_t piece = size - at > 4096 ? 4096 : size - at;
        r = dv_sink_write(sink, tar + at, piece, NULL);
        at += piece;
    }
    return r < 0 ? r : dv_sink_finish(sink, NULL);
}

static void unpack_twice(sandbox *s, const uint8_t *tar, size_t size, bool rootless)
{
    const dv_unpack_options options = {
        .rootless = rootless, .max_bytes = BYTES_MAX, .max_entries = ENTRIES_MAX};
    DV_AUTOPTR(dv_unpack) u = NULL;
    assert(dv_unpack_new(s->root_fd, &options, &u, NULL) == 0);
    if (apply(u, tar, size) < 0 || apply(u, tar, size) < 0 || dv_unpack_finish(u, NULL) < 0)
        return;
    const dv_unpack_report *report = dv_unpack_get_report(u);
    assert(report->bytes <= BYTES_MAX);
    assert(report->skip_count <= DV_UNPACK_SKIPS_MAX && report->skip_count <= report->skips_total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    unsigned before = open_files();
    uint8_t *tar = malloc(size + 1);
    assert(tar);
    if (size > 0)
        memcpy(tar, data, size);
    seal(tar, size);
    sandbox s;
    assert(sandbox_enter_in(&s, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".") == 0);
    unpack_twice(&s, tar, size, size % 2 == 1);
    assert(sandbox_leave(&s));
    assert(open_files() == before);
    free(tar);
    return 0;
}
