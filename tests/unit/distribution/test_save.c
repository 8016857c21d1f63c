/* Unit tests of distribution/save*.c: names, options, and what of an archive is written when something is wrong (store.md 10). */
#include "archive_test.h"

/* A davit_write_fn into memory that fails after so many bytes. */
typedef struct writer {
    dv_buf bytes;
    size_t room;
    int failure;
    davit_client *cancel;
    unsigned pieces;
} writer;
#define WRITER_INIT                                          \
    {                                                        \
        .bytes = DV_BUF_INIT(ARCHIVE_MAX), .room = SIZE_MAX, \
    }

static void writer_clear(writer *w)
{
    dv_buf_clear(&w->bytes);
}
DV_DEFINE_AUTO(writer, writer_clear)

static int write_bytes(const void *bytes, size_t size, void *user_data)
{
    writer *w = user_data;
    w->pieces++;
    if (w->bytes.size + size > w->room) {
        if (w->cancel)
            davit_client_cancel(w->cancel);
        else
            return w->failure;
    }
    dv_buf_append(&w->bytes, bytes, size);
    return 0;
}

static void fill(fixture *f, unsigned seed, const char *tag)
{
    DV_AUTO(memory) archive = MEMORY_INIT;
    docker_archive(&archive, 3, 40000, seed, tag);
    assert_loaded(f, &archive.bytes);
}

static int save(fixture *f, const davit_save_options *options, writer *w, davit_error **err, const char *name)
{
    const char *names[] = {name};
    return davit_save(f->client, names, 1, options, write_bytes, w, err);
}

static void save__both_formats_always_give_the_same_bytes(void **state)
{
    fixture *f = *state;
    fill(f, 1, "a:1");
    fill(f, 2, "a:2");
    for (int format = DAVIT_SAVE_DOCKER; format <= DAVIT_SAVE_OCI; format++) {
        DV_AUTO(writer) first = WRITER_INIT;
        DV_AUTO(writer) second = WRITER_INIT;
        davit_save_options options = DAVIT_SAVE_OPTIONS_INIT;
        options.format = (davit_save_format)format;
        assert_int_equal(save(f, &options, &first, NULL, "a"), 0);
        assert_int_equal(save(f, &options, &second, NULL, "a"), 0);
        assert_true(first.bytes.size > 6 * 40000 && first.bytes.size % 512 == 0);
        assert_int_equal(first.bytes.size, second.bytes.size);
        assert_memory_equal(first.bytes.data, second.bytes.data, first.bytes.size);
    }
}

static void save__what_it_writes_is_loaded_by_another_store(void **state)
{
    fixture *f = *state, *other;
    fill(f, 1, "a:1");
    for (int format = DAVIT_SAVE_DOCKER; format <= DAVIT_SAVE_OCI; format++) {
        DV_AUTO(writer) w = WRITER_INIT;
        DV_AUTO(writer) back = WRITER_INIT;
        void *storage = NULL;
        davit_save_options options = DAVIT_SAVE_OPTIONS_INIT;
        options.format = (davit_save_format)format;
        assert_int_equal(save(f, &options, &w, NULL, "a:1"), 0);
        assert_int_equal(set_up(&storage), 0);
        other = storage;
        assert_loaded(other, &w.bytes);
        assert_int_equal(save(other, &options, &back, NULL, "a:1"), 0);
        assert_int_equal(back.bytes.size, w.bytes.size);
        assert_memory_equal(back.bytes.data, w.bytes.data, w.bytes.size);
        assert_int_equal(tear_down(&storage), 0);
    }
}

static void save__options_are_checked(void **state)
{
    fixture *f = *state;
    davit_platform platform = {.os = "linux", .architecture = "amd64"};
    static const struct {
        uint32_t version, flags;
        int format;
        bool platform;
    } rows[] = {
        {0, 0, 0, false},
        {DAVIT_SAVE_OPTIONS_VERSION, 1u << 2, 1, false},
        {DAVIT_SAVE_OPTIONS_VERSION, 0, 2, false},
        {DAVIT_SAVE_OPTIONS_VERSION, DAVIT_SAVE_SPARSE, DAVIT_SAVE_DOCKER, false},
        {DAVIT_SAVE_OPTIONS_VERSION, DAVIT_SAVE_ALL_PLATFORMS, DAVIT_SAVE_DOCKER, false},
        {DAVIT_SAVE_OPTIONS_VERSION, DAVIT_SAVE_ALL_PLATFORMS | DAVIT_SAVE_SPARSE, DAVIT_SAVE_OCI, false},
        {DAVIT_SAVE_OPTIONS_VERSION, DAVIT_SAVE_SPARSE, DAVIT_SAVE_OCI, true},
    };
    fill(f, 1, "a:1");
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(writer) w = WRITER_INIT;
        const davit_save_options options = {.version = rows[i].version,
                                            .flags = rows[i].flags,
                                            .format = (davit_save_format)rows[i].format,
                                            .platform = rows[i].platform ? &platform : NULL};
        if (save(f, &options, &w, NULL, "a:1") != DAVIT_EINVAL)
            fail_msg("row %zu", i);
        assert_int_equal(w.pieces, 0);
    }
    DV_AUTO(writer) w = WRITER_INIT;
    assert_int_equal(davit_save(f->client, NULL, 0, NULL, write_bytes, &w, NULL), DAVIT_EINVAL);
}

static void save__names_that_mean_nothing(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *name;
        int code;
    } rows[] = {
        {"b", DAVIT_ENOTFOUND},
        {"a:2", DAVIT_ENOTFOUND},
        {"deadbeef", DAVIT_ENOTFOUND},
        {"sha256:deadbeef", DAVIT_ENOTFOUND},
        {"a@sha256:0000000000000000000000000000000000000000000000000000000000000000", DAVIT_ENOTFOUND},
        {"0000000000000000000000000000000000000000000000000000000000000000", DAVIT_ENOTFOUND},
        {"UPPER", DAVIT_EINVAL},
        {"", DAVIT_EINVAL},
    };
    fill(f, 1, "a:1");
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *names[] = {"a:1", rows[i].name};
        DV_AUTO(writer) w = WRITER_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_save(f->client, names, 2, NULL, write_bytes, &w, &err);
        if (r != rows[i].code || w.pieces > 0)
            fail_msg("\"%s\": %d %s", rows[i].name, r, davit_error_message(err));
    }
}

static void save__what_the_writer_returns_ends_it(void **state)
{
    fixture *f = *state;
    DV_AUTO(writer) whole = WRITER_INIT;
    fill(f, 1, "a:1");
    assert_int_equal(save(f, NULL, &whole, NULL, "a:1"), 0);
    for (size_t room = 0; room < whole.bytes.size; room += 9999) {
        DV_AUTO(writer) w = WRITER_INIT;
        w.room = room;
        w.failure = DAVIT_ENOSPACE;
        assert_int_equal(save(f, NULL, &w, NULL, "a:1"), DAVIT_ENOSPACE);
        unsigned pieces = w.pieces;
        w.failure = 3; /* no code of ours */
        assert_int_equal(save(f, NULL, &w, NULL, "a:1"), DAVIT_EIO);
        assert_true(pieces > 0);
    }
}

static void save__cancelled_by_the_client(void **state)
{
    fixture *f = *state;
    DV_AUTO(writer) w = WRITER_INIT;
    fill(f, 1, "a:1");
    w.room = 1000;
    w.cancel = f->client;
    assert_int_equal(save(f, NULL, &w, NULL, "a:1"), DAVIT_ECANCELLED);
}

static void save__a_missing_blob_is_found_before_the_first_byte(void **state)
{
    fixture *f = *state;
    char *command;
    fill(f, 1, "a:1");
    assert_true(asprintf(&command, "find '%s/blobs' -type f -size +30k | head -1 | xargs rm -f", f->store) >
                0);
    assert_int_equal(system(command), 0);
    free(command);
    for (int format = DAVIT_SAVE_DOCKER; format <= DAVIT_SAVE_OCI; format++) {
        DV_AUTO(writer) w = WRITER_INIT;
        davit_save_options options = DAVIT_SAVE_OPTIONS_INIT;
        options.format = (davit_save_format)format;
        assert_int_equal(save(f, &options, &w, NULL, "a:1"), DAVIT_ENOTFOUND);
        assert_int_equal(w.pieces, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        archive_test(save__both_formats_always_give_the_same_bytes),
        archive_test(save__what_it_writes_is_loaded_by_another_store),
        archive_test(save__options_are_checked),
        archive_test(save__names_that_mean_nothing),
        archive_test(save__what_the_writer_returns_ends_it),
        archive_test(save__cancelled_by_the_client),
        archive_test(save__a_missing_blob_is_found_before_the_first_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
