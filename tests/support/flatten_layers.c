/* tests/support/flatten_layers.c - see flatten_layers.h. */
#include "flatten_layers.h"

#include "archive/flatten_internal.h"
#include "tar_blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX (1u << 20)

static int finish(dv_sink *s, davit_error **err)
{
    return 0;
}

static int write_layers(const sandbox *s, dv_flatten *f, const row *const *layers, davit_error **err)
{
    dv_sink *unused;
    int r = 0;
    for (size_t i = 0; r == 0 && i < LAYERS_MAX && layers[i]; i++) {
        if (!dv_flatten_wants(f, i))
            continue;
        r = dv_flatten_write(f, i, "test", &unused, err);
        if (r == 0)
            r = apply_rows(s, &dv_flatten_writing, f, layers[i], err);
    }
    return r < 0 ? r : dv_flatten_finish(f, err);
}

int flatten_rows(const sandbox *s, const row *const *layers, dv_buf *tar, davit_error **err)
{
    DV_AUTOPTR(dv_flatten) f = NULL;
    tar_memory memory = TAR_MEMORY_INIT;
    dv_sink *unused;
    memory.sink.finish = finish;
    int r = dv_flatten_new(NULL, &f, err);
    for (size_t i = 0; r == 0 && i < LAYERS_MAX && layers[i]; i++) {
        r = dv_flatten_read(f, "test", &unused, err);
        if (r == 0)
            r = apply_rows(s, &dv_flatten_reading, f, layers[i], err);
        if (r == 0)
            dv_flatten_end_layer(f);
    }
    if (r == 0)
        r = dv_flatten_begin(f, &memory.sink, err);
    if (r == 0)
        r = write_layers(s, f, layers, err);
    if (r == 0)
        dv_buf_append(tar, memory.bytes.data, memory.bytes.size);
    dv_buf_clear(&memory.bytes);
    return r;
}

int unpack_tar(const sandbox *s, const void *bytes, size_t size, davit_error **err)
{
    DV_AUTOPTR(dv_unpack) u = NULL;
    dv_sink *sink;
    int r = dv_unpack_new(s->root_fd, NULL, &u, err);
    if (r == 0)
        r = dv_unpack_layer(u, "flattened", &sink, err);
    if (r == 0)
        r = dv_sink_write(sink, bytes, size, err);
    if (r == 0)
        r = dv_sink_finish(sink, err);
    return r < 0 ? r : dv_unpack_finish(u, err);
}

void check_flattened(const unpack_case *c)
{
    sandbox s;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTO(dv_buf) got = DV_BUF_INIT(TEXT_MAX);
    bool as_expected;
    assert_int_equal(sandbox_enter(&s), 0);
    int r = flatten_rows(&s, c->layers, &tar, &err);
    if (c->tree) {
        if (r == 0)
            r = unpack_tar(&s, tar.data, tar.size, &err);
        tree_text(s.root_fd, false, &got);
        as_expected = r == 0 && strcmp(dv_buf_text(&got), c->tree) == 0;
    } else {
        as_expected = r == (c->code ? c->code : DAVIT_EFORMAT) && strstr(davit_error_message(err), c->error);
    }
    if (!as_expected)
        print_error("%s, flattened:\nexpected\n%s\ngot %d %s\n%s\n", c->fact, c->tree ? c->tree : c->error, r,
                    davit_error_message(err), dv_buf_text(&got));
    if (!sandbox_leave(&s) || !as_expected)
        fail_msg("%s, flattened", c->fact);
}
