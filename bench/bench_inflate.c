/* bench/bench_inflate.c - how fast davit's own inflate step is on a layer, against zlib.
 *
 *     bench_inflate FILE [RUNS]
 *
 * FILE is gzip. Both take it from memory in pieces of 64 KiB, as the network gives it, and hand on what they make to a step that only
 * counts. Runs alternate, the least CPU time of each counts. Prints MB/s of output and the ratio; exits 1 when results differ.
 * Links the static libraries, not the public one, because the step is internal (build/ is the build directory):
 *     cc -std=gnu17 -D_GNU_SOURCE -O2 -Iinclude -Isrc -o bench_inflate bench/bench_inflate.c build/src/archive/libarchive.a \
 *        build/src/util/libutil.a -lisal -lzstd -llzma -lbz2 -ljansson -lz -lcrypto -pthread
 * bench/run does that (its row inflate). */
#include "archive/compress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zlib.h>

enum { PIECE = 64 * 1024 };

typedef struct counter {
    dv_sink sink;
    uint64_t size;
    uint32_t sum; /* of a byte in each page: that it was written, at next to no cost */
} counter;

static int count(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    counter *c = (counter *)s;
    const uint8_t *p = bytes;
    c->size += size;
    for (size_t i = 0; i < size; i += 4096)
        c->sum += p[i];
    return 0;
}

static int end(dv_sink *s, davit_error **err)
{
    return 0;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_inflate: %s\n", what);
    exit(1);
}

static double cpu_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double by_davit(const uint8_t *bytes, size_t size, counter *c)
{
    davit_error *err = NULL;
    dv_inflate *i = NULL;
    double started = cpu_s();
    int r = dv_inflate_new(NULL, &c->sink, &i, &err);
    for (size_t at = 0; r == 0 && at < size; at += PIECE)
        r = dv_sink_write(dv_inflate_sink(i), bytes + at, size - at < PIECE ? size - at : PIECE, &err);
    if (r == 0)
        r = dv_sink_finish(dv_inflate_sink(i), &err);
    if (r < 0)
        die(davit_error_message(err));
    dv_inflate_free(i);
    return cpu_s() - started;
}

static double by_zlib(const uint8_t *bytes, size_t size, counter *c)
{
    static uint8_t chunk[DV_INFLATE_CHUNK];
    z_stream s = {0};
    double started = cpu_s();
    if (inflateInit2(&s, 15 + 16) != Z_OK)
        die("zlib");
    int r = Z_OK;
    for (size_t at = 0; at < size && r == Z_OK; at += PIECE) {
        s.next_in = (Bytef *)bytes + at;
        s.avail_in = (uInt)(size - at < PIECE ? size - at : PIECE);
        do {
            s.next_out = chunk;
            s.avail_out = sizeof(chunk);
            r = inflate(&s, Z_NO_FLUSH);
            count(&c->sink, chunk, sizeof(chunk) - s.avail_out, NULL);
        } while (r == Z_OK && s.avail_out == 0);
        if (r == Z_BUF_ERROR)
            r = Z_OK;
    }
    if (r != Z_STREAM_END)
        die("zlib finds the stream damaged");
    inflateEnd(&s);
    return cpu_s() - started;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) < 0)
        die(path);
    long end_at = ftell(f);
    rewind(f);
    uint8_t *bytes = malloc((size_t)end_at + 1);
    if (!bytes || fread(bytes, 1, (size_t)end_at, f) != (size_t)end_at)
        die(path);
    fclose(f);
    *size = (size_t)end_at;
    return bytes;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_inflate FILE [RUNS]\n");
        return 2;
    }
    size_t size = 0;
    uint8_t *bytes = read_file(argv[1], &size);
    int runs = argc > 2 ? atoi(argv[2]) : 3;
    double davit = 1e9, zlib = 1e9;
    uint64_t made = 0;
    for (int n = 0; n < runs; n++) {
        counter a = {.sink = {.write = count, .finish = end}}, b = a;
        double t = by_davit(bytes, size, &a);
        davit = t < davit ? t : davit;
        t = by_zlib(bytes, size, &b);
        zlib = t < zlib ? t : zlib;
        if (a.size != b.size)
            die("davit and zlib differ");
        made = a.size;
    }
    free(bytes);
    printf("davit %.0f MB/s, zlib %.0f MB/s, ratio %.2f (%.0f MB out of %.0f)\n", (double)made / davit / 1e6,
           (double)made / zlib / 1e6, zlib / davit, (double)made / 1e6, (double)size / 1e6);
    return 0;
}
