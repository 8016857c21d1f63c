/* Unit tests of distribution/layer_pipeline.c and streamed_layers.c: three threads, one failure, and an end. */
#include "pull_test.h"

#include "../../support/tar_blocks.h"
#include "archive/staging.h"
#include "distribution/layer_pipeline.h"
#include "distribution/streamed_layers.h"
#include "util/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#define LAYER_COUNT 6
#define FILE_BYTES (3u << 20)
#define TIMEOUT_MS 20000

/* Layers in memory, given in pieces of this size. */
typedef struct memory_layers {
    dv_buf tars[LAYER_COUNT];
    davit_descriptor layers[LAYER_COUNT];
    davit_digest diff_ids[LAYER_COUNT];
    size_t piece, layer, offset;
    size_t fail_at;  /* layer whose reading fails; LAYER_COUNT: none */
    dv_queue *never; /* waited for at the layer hang_at */
    size_t hang_at;
    char root[64];
    int root_fd;
} memory_layers;

static int open_layer(void *user, dv_pipeline *p, size_t layer, davit_error **err)
{
    memory_layers *m = user;
    dv_node *node;
    m->layer = layer;
    m->offset = 0;
    if (layer == m->hang_at)
        return dv_pipeline_wait_for(p, m->never, -1, &node, err);
    return 0;
}

static int read_layer(void *user, dv_pipeline *p, const void **out, size_t *out_size, davit_error **err)
{
    memory_layers *m = user;
    const dv_buf *tar = &m->tars[m->layer];
    size_t left = tar->size - m->offset;
    if (m->layer == m->fail_at && m->offset > 0)
        return dv_error_set(err, DAVIT_EIO, "the disk is broken");
    *out = tar->data + m->offset;
    *out_size = left < m->piece ? left : m->piece;
    m->offset += *out_size;
    return 0;
}

static void make_layers(memory_layers *m, size_t file_bytes)
{
    *m = (memory_layers){
        .piece = 100000, .fail_at = LAYER_COUNT, .hang_at = LAYER_COUNT, .never = dv_queue_new()};
    DV_AUTOFREE char *bytes = calloc(1, file_bytes + 1);
    for (size_t i = 0; i < LAYER_COUNT; i++) {
        char name[16];
        m->tars[i] = (dv_buf)DV_BUF_INIT(64u << 20);
        snprintf(name, sizeof(name), "file%zu", i);
        memset(bytes, (int)('a' + i), file_bytes);
        tar_block(&m->tars[i], '0', name, file_bytes);
        tar_data(&m->tars[i], bytes, file_bytes);
        tar_end(&m->tars[i]);
        assert_int_equal(
            davit_digest_of(DAVIT_SHA256, m->tars[i].data, m->tars[i].size, &m->diff_ids[i], NULL), 0);
        m->layers[i] =
            (davit_descriptor){.media_type = "", .digest = m->diff_ids[i], .size = m->tars[i].size};
    }
    strcpy(m->root, "/tmp/davit-pipeline-XXXXXX");
    assert_non_null(mkdtemp(m->root));
    m->root_fd = open(m->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void clear_layers(memory_layers *m)
{
    close(m->root_fd);
    DV_AUTOCLOSE tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(dv_remove_tree(tmp, strrchr(m->root, '/') + 1, NULL), 0);
    for (size_t i = 0; i < LAYER_COUNT; i++)
        dv_buf_clear(&m->tars[i]);
    dv_queue_free(m->never);
}

static dv_pipeline *start(fixture *f, memory_layers *m, size_t count)
{
    dv_pipeline *p;
    const dv_pipeline_options options = {
        .client = f->client,
        .root_fd = m->root_fd,
        .input = {.user = m, .open = open_layer, .read = read_layer},
        .layers = m->layers,
        .diff_ids = m->diff_ids,
        .count = count,
    };
    assert_int_equal(dv_pipeline_start(&options, &p, NULL), 0);
    return p;
}

static int end(dv_pipeline *p, size_t *layer, davit_error **err)
{
    assert_true(dv_pipeline_ended(p, TIMEOUT_MS));
    return dv_pipeline_result(p, layer, err);
}

static void pipeline__layers_become_files_in_order(void **state)
{
    fixture *f = *state;
    memory_layers m;
    davit_error *err = NULL;
    size_t layer;
    make_layers(&m, FILE_BYTES);
    DV_AUTOPTR(dv_pipeline) p = start(f, &m, LAYER_COUNT);
    assert_ok(end(p, &layer, &err));
    assert_int_equal(layer, LAYER_COUNT);
    assert_int_equal(dv_pipeline_report(p)->files, LAYER_COUNT);
    assert_int_equal(dv_pipeline_report(p)->bytes, (uint64_t)LAYER_COUNT * FILE_BYTES);
    const dv_pipeline_progress now = dv_pipeline_get_progress(p);
    assert_int_equal(now.applied, LAYER_COUNT);
    assert_int_equal(now.reading, LAYER_COUNT);
    struct stat st;
    assert_int_equal(fstatat(m.root_fd, "file5", &st, 0), 0);
    assert_int_equal(st.st_size, FILE_BYTES);
    clear_layers(&m);
}

static void pipeline__no_layer_is_no_file(void **state)
{
    memory_layers m;
    davit_error *err = NULL;
    make_layers(&m, 1);
    DV_AUTOPTR(dv_pipeline) p = start(*state, &m, 0);
    assert_ok(end(p, NULL, &err));
    assert_int_equal(dv_pipeline_report(p)->files, 0);
    clear_layers(&m);
}

static void pipeline__first_failure_ends_all_and_names_its_layer(void **state)
{
    enum { READ, INFLATE, HASH, APPLY };
    static const struct {
        int stage, code;
        const char *message;
    } rows[] = {
        {READ, DAVIT_EIO, "the disk is broken"},
        {INFLATE, DAVIT_EFORMAT, "gzip"},
        {HASH, DAVIT_EDIGEST, "and the image says"},
        {APPLY, DAVIT_EFORMAT, "checksum"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        memory_layers m;
        davit_error *err = NULL;
        size_t layer = 99;
        make_layers(&m, FILE_BYTES);
        if (rows[i].stage == READ)
            m.fail_at = 3;
        if (rows[i].stage == INFLATE)
            memcpy(m.tars[3].data, "\x1f\x8b\x08\xff", 4);
        if (rows[i].stage == HASH)
            m.diff_ids[3] = m.diff_ids[0];
        if (rows[i].stage == APPLY)
            m.tars[3].data[0] = 'F';
        if (rows[i].stage == APPLY)
            assert_int_equal(
                davit_digest_of(DAVIT_SHA256, m.tars[3].data, m.tars[3].size, &m.diff_ids[3], NULL), 0);
        DV_AUTOPTR(dv_pipeline) p = start(*state, &m, LAYER_COUNT);
        int r = end(p, &layer, &err);
        if (r != rows[i].code || layer != 3 || !strstr(davit_error_message(err), rows[i].message))
            fail_msg("row %zu: got %s in layer %zu: %s", i, davit_code_name(r), layer,
                     davit_error_message(err));
        davit_error_free(err);
        clear_layers(&m);
    }
}

static void pipeline__cancelling_ends_a_wait(void **state)
{
    fixture *f = *state;
    memory_layers m;
    davit_error *err = NULL;
    make_layers(&m, 1000);
    m.hang_at = 2;
    DV_AUTOPTR(dv_pipeline) p = start(f, &m, LAYER_COUNT);
    assert_false(dv_pipeline_ended(p, 50));
    uint64_t began = dv_clock_ms();
    davit_client_cancel(f->client);
    assert_int_equal(end(p, NULL, &err), DAVIT_ECANCELLED);
    assert_true(dv_clock_ms() - began < 1000);
    davit_error_free(err);
    clear_layers(&m);
}

static void pipeline__freeing_stops_it(void **state)
{
    memory_layers m;
    make_layers(&m, FILE_BYTES);
    m.hang_at = 4;
    uint64_t began = dv_clock_ms();
    dv_pipeline_free(start(*state, &m, LAYER_COUNT));
    assert_true(dv_clock_ms() - began < 2000);
    clear_layers(&m);
}

/* --- streamed layers --------------------------------------------------------------------------------------------- */

typedef struct turns {
    unsigned count;
    int result;
} turns;

static int turn(void *user)
{
    turns *t = user;
    t->count++;
    return t->result;
}

static void streamed_layers__what_is_put_is_read_layer_by_layer(void **state)
{
    fixture *f = *state;
    memory_layers m;
    turns t = {0};
    davit_error *err = NULL;
    dv_pipeline *raw;
    make_layers(&m, FILE_BYTES);
    DV_AUTOPTR(dv_streamed_layers) s = dv_streamed_layers_new();
    const dv_pipeline_options options = {
        .client = f->client,
        .root_fd = m.root_fd,
        .input = dv_streamed_layers_input(s),
        .layers = m.layers,
        .diff_ids = m.diff_ids,
        .count = LAYER_COUNT,
    };
    assert_int_equal(dv_pipeline_start(&options, &raw, NULL), 0);
    DV_AUTOPTR(dv_pipeline) p = raw;
    for (size_t i = 0; i < LAYER_COUNT; i++) {
        for (size_t at = 0, n; at < m.tars[i].size; at += n) {
            n = m.tars[i].size - at < 77777 ? m.tars[i].size - at : 77777;
            assert_ok(dv_streamed_layers_put(s, m.tars[i].data + at, n, turn, &t, &err));
        }
        assert_ok(dv_streamed_layers_end_layer(s, turn, &t, &err));
    }
    assert_ok(end(p, NULL, &err));
    assert_int_equal(dv_pipeline_report(p)->bytes, (uint64_t)LAYER_COUNT * FILE_BYTES);
    clear_layers(&m);
}

static void streamed_layers__a_full_queue_waits_until_the_turn_says_no(void **state)
{
    DV_AUTOPTR(dv_streamed_layers) s = dv_streamed_layers_new();
    turns t = {.result = DAVIT_ECANCELLED};
    DV_AUTOFREE char *bytes = calloc(1, DV_STREAMED_PIECE_BYTES);
    davit_error *err = NULL;
    for (unsigned i = 0; i < DV_STREAMED_PIECES; i++)
        assert_ok(dv_streamed_layers_put(s, bytes, DV_STREAMED_PIECE_BYTES, turn, &t, &err));
    assert_int_equal(t.count, 0);
    assert_int_equal(dv_streamed_layers_put(s, bytes, 1, turn, &t, &err), DAVIT_ECANCELLED);
    assert_int_equal(t.count, 1);
    davit_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(pipeline__layers_become_files_in_order),
        pull_test(pipeline__no_layer_is_no_file),
        pull_test(pipeline__first_failure_ends_all_and_names_its_layer),
        pull_test(pipeline__cancelling_ends_a_wait),
        pull_test(pipeline__freeing_stops_it),
        pull_test(streamed_layers__what_is_put_is_read_layer_by_layer),
        pull_test(streamed_layers__a_full_queue_waits_until_the_turn_says_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
