/* Unit tests of distribution/load*.c: the stream, its limits, and that a load is visible as a whole or not at all (store.md 10). */
#include "archive_test.h"

#include "archive/compress.h"
#include "archive/oci_layout.h"
#include "distribution/load_private.h"

#include <pthread.h>
#include <sys/resource.h>

static void load__takes_bytes_as_they_come(void **state)
{
    fixture *f = *state;
    static const size_t pieces[] = {1, 511, 512, 513, 100000, SIZE_MAX};
    for (size_t i = 0; i < DV_COUNT(pieces); i++) {
        DV_AUTO(memory) archive = MEMORY_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        told t = {.layers = 0};
        char tag[32], expected[64];
        snprintf(tag, sizeof(tag), "a:%zu", i);
        snprintf(expected, sizeof(expected), "Loaded image: %s\n", tag);
        docker_archive(&archive, 3, 20000, (unsigned)i, tag);
        if (load_pieces(f, &archive.bytes, pieces[i], &t, &err) < 0)
            fail_msg("pieces of %zu: %s", pieces[i], davit_error_message(err));
        assert_string_equal(t.text, expected);
        assert_true(t.layers >= 3);
        assert_int_equal(count_images(f), i + 1);
    }
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void load__result_and_ids(void **state)
{
    fixture *f = *state;
    DV_AUTO(memory) archive = MEMORY_INIT;
    davit_load_options options = DAVIT_LOAD_OPTIONS_INIT;
    davit_load_result result = {0};
    told t = {.layers = 0};
    options.progress = take_event;
    options.user_data = &t;
    docker_archive(&archive, 1, 100, 1, NULL);
    reader r = {.bytes = archive.bytes.data, .size = archive.bytes.size, .piece = 4096};
    assert_int_equal(davit_load(f->client, read_bytes, &r, &options, &result, NULL), 0);
    assert_int_equal(result.image_count, 1);
    assert_int_equal(result.tag_count, 0);
    assert_int_equal(strncmp(t.text, "Loaded image ID: sha256:", 24), 0);
    assert_int_equal(strlen(t.text), strlen("Loaded image ID: sha256:") + 64 + 1);
}

static void load__options_are_checked(void **state)
{
    fixture *f = *state;
    reader r = {.bytes = "", .piece = 1};
    davit_load_options bad[] = {DAVIT_LOAD_OPTIONS_INIT, DAVIT_LOAD_OPTIONS_INIT};
    bad[0].version = 0;
    bad[1].flags = 1;
    for (size_t i = 0; i < DV_COUNT(bad); i++) {
        assert_int_equal(davit_load(f->client, read_bytes, &r, &bad[i], NULL, NULL), DAVIT_EINVAL);
        assert_int_equal(davit_load_layout(f->client, f->dir, &bad[i], NULL, NULL), DAVIT_EINVAL);
    }
    assert_int_equal(davit_load_layout(f->client, "/nowhere/at/all", NULL, NULL, NULL), DAVIT_ENOTFOUND);
}

static void load__what_the_reader_returns_ends_it(void **state)
{
    fixture *f = *state;
    DV_AUTO(memory) archive = MEMORY_INIT;
    docker_archive(&archive, 2, 100000, 1, "a:1");
    for (size_t at = 0; at < archive.bytes.size; at += 40000) {
        reader r = {.bytes = archive.bytes.data, .size = at, .piece = 30000, .fail_at_end = DAVIT_ETIMEOUT};
        assert_int_equal(davit_load(f->client, read_bytes, &r, NULL, NULL, NULL), DAVIT_ETIMEOUT);
    }
    reader r = {.bytes = archive.bytes.data, .size = 1, .piece = 1, .fail_at_end = 7};
    assert_int_equal(davit_load(f->client, read_bytes, &r, NULL, NULL, NULL), DAVIT_EIO);
    assert_int_equal(count_images(f), 0);
    assert_int_equal(count_files(f, "ingest"), 0);
    assert_int_equal(count_files(f, "blobs"), 0);
}

static void load__cut_anywhere_leaves_nothing(void **state)
{
    fixture *f = *state;
    DV_AUTO(memory) archive = MEMORY_INIT;
    docker_archive(&archive, 2, 30000, 1, "a:1");
    for (size_t size = 0; size + 1024 < archive.bytes.size; size += 1777) {
        reader r = {.bytes = archive.bytes.data, .size = size, .piece = 10000};
        DV_AUTOPTR(davit_error) err = NULL;
        int code = davit_load(f->client, read_bytes, &r, NULL, NULL, &err);
        if (code != DAVIT_EFORMAT)
            fail_msg("%zu bytes: %d %s", size, code, davit_error_message(err));
    }
    assert_int_equal(count_images(f), 0);
    assert_int_equal(count_files(f, "."), count_files(f, "davit.db") + count_files(f, "lock") +
                                              count_files(f, "davit.db-wal") + count_files(f, "davit.db-shm"));
}

static void load__cancelled_by_the_client(void **state)
{
    fixture *f = *state;
    DV_AUTO(memory) archive = MEMORY_INIT;
    docker_archive(&archive, 2, 100000, 1, "a:1");
    reader r = {.bytes = archive.bytes.data,
                .size = 50000,
                .piece = 10000,
                .cancel_at_end = f->client,
                .fail_at_end = DAVIT_EIO};
    assert_int_equal(davit_load(f->client, read_bytes, &r, NULL, NULL, NULL), DAVIT_ECANCELLED);
    assert_int_equal(count_files(f, "ingest"), 0);
}

static int no_end(dv_sink *s, davit_error **err)
{
    (void)s, (void)err;
    return 0;
}

static void load__a_compressed_archive_has_a_limit_and_a_plain_one_has_none_threat_C5(void **state)
{
    fixture *f = *state;
    DV_AUTO(memory) archive = MEMORY_INIT;
    DV_AUTO(memory) packed = MEMORY_INIT;
    DV_AUTOPTR(dv_deflate) d = NULL;
    davit_load_options options = DAVIT_LOAD_OPTIONS_INIT;
    docker_archive(&archive, 1, 3u << 20, 1, "a:1");
    packed.sink.finish = no_end;
    assert_int_equal(dv_deflate_new(DV_COMPRESSION_GZIP, 0, &packed.sink, &d, NULL), 0);
    assert_int_equal(dv_sink_write(dv_deflate_sink(d), archive.bytes.data, archive.bytes.size, NULL), 0);
    assert_int_equal(dv_sink_finish(dv_deflate_sink(d), NULL), 0);
    options.max_bytes = 1u << 20;
    reader r = {.bytes = packed.bytes.data, .size = packed.bytes.size, .piece = 4096};
    assert_int_equal(davit_load(f->client, read_bytes, &r, &options, NULL, NULL), DAVIT_ETOOBIG);
    assert_int_equal(count_files(f, "ingest"), 0);
    r = (reader){.bytes = archive.bytes.data, .size = archive.bytes.size, .piece = 4096};
    assert_int_equal(davit_load(f->client, read_bytes, &r, &options, NULL, NULL), 0);
    options.max_bytes = 4u << 20;
    r = (reader){.bytes = packed.bytes.data, .size = packed.bytes.size, .piece = 4096};
    assert_int_equal(davit_load(f->client, read_bytes, &r, &options, NULL, NULL), 0);
}

static void load__many_layers_need_few_open_files(void **state)
{
    fixture *f = *state;
    DV_AUTO(memory) archive = MEMORY_INIT;
    struct rlimit usual;
    docker_archive(&archive, 400, DV_LOAD_SMALL + 1, 1, "a:1");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    const struct rlimit few = {.rlim_cur = DV_LOAD_OPEN_MAX + 60, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_loaded(f, &archive.bytes);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    assert_int_equal(count_files(f, "blobs"), 402);
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void load__documents_beyond_the_memory_for_them_go_through_the_store(void **state)
{
    fixture *f = *state;
    DV_AUTO(memory) archive = MEMORY_INIT;
    const size_t size = 2u << 20;
    char *filler = malloc(size), name[32];
    assert_non_null(filler);
    memset(filler, ' ', size);
    for (unsigned i = 0; i < 3 * DV_LOAD_MEMORY_MAX / size;
         i++) { /* looks like a document, and is needed by nobody */
        snprintf(filler, size, "{%u", i);
        snprintf(name, sizeof(name), "filler-%u", i);
        add_file(&archive, name, filler, size);
    }
    docker_archive(&archive, 2, 30000, 1, "a:1"); /* its documents come last */
    assert_loaded(f, &archive.bytes);
    assert_int_equal(count_images(f), 1);
    assert_int_equal(count_files(f, "ingest"), 0);
    assert_int_equal(count_files(f, "blobs"), 4); /* layers, config and manifest */
    free(filler);
}

/* A layer of the archive is named by a blob's path and longer than what stays in memory. */
static void blob_archive(memory *to, char layer[static 50000])
{
    DV_AUTO(dv_buf)
    config = DV_BUF_INIT(1u << 20), manifest = DV_BUF_INIT(1u << 20), index = DV_BUF_INIT(1u << 20);
    davit_descriptor c = {.media_type = "application/vnd.oci.image.config.v1+json"};
    davit_descriptor l = {.media_type = "application/vnd.oci.image.layer.v1.tar", .size = 50000};
    dv_oci_layout_entry e = {.descriptor = {.media_type = "application/vnd.oci.image.manifest.v1+json"},
                             .image_name = "docker.io/library/b:1",
                             .ref_name = "1"};
    char path[DV_OCI_BLOB_PATH_MAX];
    memset(layer, 'l', 50000);
    assert_int_equal(davit_digest_of(DAVIT_SHA512, layer, 50000, &l.digest, NULL), 0);
    davit_digest diff_id;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, layer, 50000, &diff_id, NULL), 0);
    dv_buf_printf(&config, "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
                  diff_id.text);
    c.size = config.size;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, config.data, config.size, &c.digest, NULL), 0);
    assert_int_equal(dv_oci_manifest_format(&c, &l, 1, &manifest, NULL), 0);
    e.descriptor.size = manifest.size;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, manifest.data, manifest.size, &e.descriptor.digest, NULL),
                     0);
    assert_int_equal(dv_oci_layout_index_format(&e, 1, &index, NULL), 0);
    add_text(to, DV_OCI_LAYOUT_FILE, DV_OCI_LAYOUT_TEXT);
    add_file(to, DV_OCI_INDEX_FILE, index.data, index.size);
    add_file(to, dv_oci_blob_path(&l.digest, path), layer, 50000);
    add_file(to, dv_oci_blob_path(&c.digest, path), config.data, config.size);
    add_file(to, dv_oci_blob_path(&e.descriptor.digest, path), manifest.data, manifest.size);
    assert_int_equal(dv_tar_write_end(&to->sink, NULL), 0);
}

static void load__blobs_by_sha512_and_what_is_stored_is_only_hashed(void **state)
{
    fixture *f = *state;
    static char layer[50000];
    DV_AUTO(memory) archive = MEMORY_INIT;
    blob_archive(&archive, layer);
    assert_loaded(f, &archive.bytes);
    assert_int_equal(count_files(f, "blobs/sha512"), 1);
    assert_int_equal(count_files(f, "blobs/sha256"), 2);
    assert_loaded(f, &archive.bytes); /* once more: nothing is written */
    assert_int_equal(count_files(f, "blobs"), 3);
    char *at = memmem(archive.bytes.data, archive.bytes.size, "llll", 4);
    assert_non_null(at);
    *at = 'L';
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(load_pieces(f, &archive.bytes, 5000, NULL, &err), DAVIT_EDIGEST);
    assert_non_null(strstr(davit_error_message(err), "its bytes in the archive are sha512:"));
    assert_int_equal(count_files(f, "blobs"), 3);
}

typedef struct loader {
    fixture *f;
    const dv_buf *bytes;
    int result;
} loader;

static void *run_loader(void *user)
{
    loader *l = user;
    l->result = load_pieces(l->f, l->bytes, 7777, NULL, NULL);
    return NULL;
}

static void load__the_same_archive_on_four_threads_at_once(void **state)
{
    fixture *f = *state;
    DV_AUTO(memory) archive = MEMORY_INIT;
    pthread_t threads[4];
    loader loaders[4];
    docker_archive(&archive, 5, 200000, 1, "a:1");
    for (size_t i = 0; i < 4; i++) {
        loaders[i] = (loader){f, &archive.bytes, 1};
        assert_int_equal(pthread_create(&threads[i], NULL, run_loader, &loaders[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(loaders[i].result, 0);
    }
    assert_int_equal(count_images(f), 1);
    assert_int_equal(count_files(f, "blobs"), 7);
    assert_int_equal(count_files(f, "ingest") + count_files(f, "leases"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        archive_test(load__takes_bytes_as_they_come),
        archive_test(load__result_and_ids),
        archive_test(load__options_are_checked),
        archive_test(load__what_the_reader_returns_ends_it),
        archive_test(load__cut_anywhere_leaves_nothing),
        archive_test(load__cancelled_by_the_client),
        archive_test(load__a_compressed_archive_has_a_limit_and_a_plain_one_has_none_threat_C5),
        archive_test(load__many_layers_need_few_open_files),
        archive_test(load__documents_beyond_the_memory_for_them_go_through_the_store),
        archive_test(load__blobs_by_sha512_and_what_is_stored_is_only_hashed),
        archive_test(load__the_same_archive_on_four_threads_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
