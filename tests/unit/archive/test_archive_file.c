/* Unit tests of archive/archive_file.c: where the files of an archive lie, found without reading their data. */
#include "archive/archive_file.h"

#include "archive/compress.h"
#include "archive/tar.h"
#include "util/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

typedef struct memory_sink {
    dv_sink sink;
    dv_buf bytes;
} memory_sink;

static int memory_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    dv_buf_append(&((memory_sink *)s)->bytes, bytes, size);
    return ((memory_sink *)s)->bytes.failed;
}

static int memory_finish(dv_sink *s, davit_error **err)
{
    return 0;
}

static void memory_init(memory_sink *m)
{
    *m = (memory_sink){.sink = {memory_write, memory_finish}, .bytes = DV_BUF_INIT(4u << 20)};
}

static void add(memory_sink *m, dv_tar_type type, const char *name, const char *link, const char *data)
{
    const dv_tar_entry e = {.type = type, .name = name, .link = link, .size = strlen(data), .mode = 0644};
    assert_int_equal(dv_tar_write_header(&m->sink, &e, NULL), 0);
    assert_int_equal(dv_sink_write(&m->sink, data, strlen(data), NULL), 0);
    assert_int_equal(dv_tar_write_padding(&m->sink, strlen(data), NULL), 0);
}

static char large[100001];

static void make(memory_sink *m)
{
    char deep[400];
    memory_init(m);
    memset(large, 'l', sizeof(large) - 1);
    memset(deep, 'd', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    add(m, DV_TAR_DIRECTORY, "./a/", "", "");
    add(m, DV_TAR_FILE, "./a/one", "", "first");
    add(m, DV_TAR_FILE, "empty", "", "");
    add(m, DV_TAR_FILE, "large", "", large);
    add(m, DV_TAR_FILE, deep, "", "deep"); /* with an extension header */
    add(m, DV_TAR_SYMLINK, "soft", "a/one", "");
    add(m, DV_TAR_HARDLINK, "hard", "./a/one", "");
    add(m, DV_TAR_FILE, "a/one", "", "second"); /* the last wins */
    assert_int_equal(dv_tar_write_end(&m->sink, NULL), 0);
}

static const char *write_file(const void *bytes, size_t size)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/davit-archive-file-%d", (int)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
    return path;
}

static void expect(const dv_archive_file *f, const char *name, const char *data)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1u << 20);
    dv_archive_range range;
    assert_int_equal(dv_archive_file_find(f, name, &range, NULL), data != NULL);
    int r = dv_archive_file_read(f, name, 1u << 20, &out, NULL);
    if (data ? r != 0 || strcmp(dv_buf_text(&out), data) != 0 : r != DAVIT_ENOTFOUND)
        fail_msg("%s: %d, %.50s", name, r, dv_buf_text(&out));
}

static void expect_all(const char *path)
{
    DV_AUTOPTR(dv_archive_file) f = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    if (dv_archive_file_open(path, NULL, NULL, &f, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    expect(f, "a/one", "second");
    expect(f, "./a/one", "second");
    expect(f, "empty", "");
    expect(f, "large", large);
    expect(f, "soft", "second"); /* a link leads to what the name is at the end */
    expect(f, "hard", "first");  /* a hard link is what it was linked to */
    expect(f, "a", NULL);
    expect(f, "none", NULL);
    assert_int_equal(dv_archive_file_read(f, "large", 1000, &(dv_buf)DV_BUF_INIT(10), NULL), DAVIT_ETOOBIG);
}

static void archive_file__names_and_where_they_lie(void **state)
{
    memory_sink m;
    make(&m);
    expect_all(write_file(m.bytes.data, m.bytes.size));
    dv_buf_clear(&m.bytes);
}

static void archive_file__a_compressed_one_is_the_same(void **state)
{
    memory_sink m, packed;
    DV_AUTOPTR(dv_deflate) deflate = NULL;
    make(&m);
    memory_init(&packed);
    assert_int_equal(dv_deflate_new(DV_COMPRESSION_GZIP, 0, &packed.sink, &deflate, NULL), 0);
    assert_int_equal(dv_sink_write(dv_deflate_sink(deflate), m.bytes.data, m.bytes.size, NULL), 0);
    assert_int_equal(dv_sink_finish(dv_deflate_sink(deflate), NULL), 0);
    expect_all(write_file(packed.bytes.data, packed.bytes.size));
    dv_buf_clear(&m.bytes);
    dv_buf_clear(&packed.bytes);
}

/* Whatever is cut off: what is found is whole. */
static void archive_file__nothing_is_found_in_part(void **state)
{
    memory_sink m;
    size_t refused = 0;
    make(&m);
    for (size_t size = 1; size < m.bytes.size; size += size < 2048 ? 100 : 7001) {
        DV_AUTOPTR(dv_archive_file) f = NULL;
        dv_archive_range range;
        int r = dv_archive_file_open(write_file(m.bytes.data, size), NULL, NULL, &f, NULL);
        refused += r == DAVIT_EFORMAT;
        if (r != 0 && r != DAVIT_EFORMAT)
            fail_msg("%zu of %zu bytes: %d", size, m.bytes.size, r);
        if (r == 0 && dv_archive_file_find(f, "large", &range, NULL))
            expect(f, "large", large);
        if (r == 0 && dv_archive_file_find(f, "a/one", &range, NULL) && range.first + range.size > size)
            fail_msg("%zu of %zu bytes: a file ends at %zu", size, m.bytes.size,
                     (size_t)(range.first + range.size));
    }
    assert_true(refused > 20);
    dv_buf_clear(&m.bytes);
}

static void archive_file__what_is_no_archive(void **state)
{
    DV_AUTOPTR(dv_archive_file) f = NULL;
    assert_int_equal(dv_archive_file_open("/nonexistent/x", NULL, NULL, &f, NULL), DAVIT_ENOTFOUND);
    assert_int_equal(dv_archive_file_open("/tmp", NULL, NULL, &f, NULL), DAVIT_EINVAL);
    assert_int_equal(dv_archive_file_open(write_file("", 0), NULL, NULL, &f, NULL), DAVIT_EFORMAT);
    assert_int_equal(dv_archive_file_open(write_file("hello", 5), NULL, NULL, &f, NULL), DAVIT_EFORMAT);
    unlink(write_file("", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archive_file__names_and_where_they_lie),
        cmocka_unit_test(archive_file__a_compressed_one_is_the_same),
        cmocka_unit_test(archive_file__nothing_is_found_in_part),
        cmocka_unit_test(archive_file__what_is_no_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
