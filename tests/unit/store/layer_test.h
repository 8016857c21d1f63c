/* tests/unit/store/layer_test.h - layers made of a few words, in the store of store_test.h. */
#ifndef DV_TEST_LAYER_TEST_H
#define DV_TEST_LAYER_TEST_H

#include "image_test.h"

#include "../../support/tar_blocks.h"
#include "davit/layer.h"
#include "store/db.h"
#include "store/store_private.h"

typedef struct source {
    const char *bytes;
    size_t size, at, piece;
    int fails; /* what reading gives behind the last byte */
} source;

UNUSED static int read_source(void *bytes, size_t size, size_t *out_size, void *user_data)
{
    source *s = user_data;
    size_t n = s->size - s->at;
    n = n < size ? n : size;
    n = n < s->piece ? n : s->piece;
    if (n == 0 && s->fails)
        return s->fails;
    memcpy(bytes, s->bytes + s->at, n);
    s->at += n;
    *out_size = n;
    return 0;
}

/* A tar of files "name=content", of "name/" directories, and of markers. */
UNUSED static dv_buf make_tar(const char *const *entries)
{
    dv_buf tar = DV_BUF_INIT(TAR_TEXT_MAX);
    for (; *entries; entries++) {
        char name[256];
        const char *data = strchr(*entries, '=');
        snprintf(name, sizeof(name), "%.*s", (int)(data ? data - *entries : (long)strlen(*entries)), *entries);
        bool is_directory = name[strlen(name) - 1] == '/';
        tar_block(&tar, is_directory ? '5' : '0', name, data ? strlen(data + 1) : 0);
        if (is_directory)
            tar_patch(&tar, 100, "0000755", 7);
        if (data)
            tar_data(&tar, data + 1, strlen(data + 1));
    }
    tar_end(&tar);
    return tar;
}

#define TAR(...) make_tar((const char *const[]){__VA_ARGS__, NULL})

UNUSED static davit_layer_store *open_layers(const fixture *f)
{
    davit_error *err = NULL;
    davit_layer_store *layers = NULL;
    assert_ok(davit_layer_store_open(outer(f), &layers, &err));
    return layers;
}

UNUSED static int try_register(davit_layer_store *layers, const dv_buf *tar, const davit_digest *parent,
                               davit_layer **out, davit_error **err)
{
    source s = {.bytes = tar->data, .size = tar->size, .piece = 1000};
    return davit_layer_store_register(layers, read_source, &s, parent, NULL, out, err);
}

/* Clears the tar. */
UNUSED static davit_layer *add_layer(davit_layer_store *layers, dv_buf tar, const davit_layer *parent)
{
    davit_error *err = NULL;
    davit_layer *layer = NULL;
    assert_ok(
        try_register(layers, &tar, parent ? &davit_layer_get_info(parent)->chain_id : NULL, &layer, &err));
    dv_buf_clear(&tar);
    return layer;
}

UNUSED static davit_digest chain_of(const davit_layer *layer)
{
    return davit_layer_get_info(layer)->chain_id;
}

UNUSED static char *tar_of(davit_layer *layer, size_t *out_size, int *out_code)
{
    davit_layer_stream stream = DAVIT_LAYER_STREAM_INIT;
    davit_error *err = NULL;
    char *bytes = calloc(1, 1 << 20);
    size_t n = 1;
    *out_size = 0;
    assert_ok(davit_layer_open_tar(layer, &stream, &err));
    *out_code = 0;
    while (n > 0 && *out_code == 0) {
        *out_code = stream.read(stream.user_data, bytes + *out_size, 777, &n, &err);
        *out_size += *out_code == 0 ? n : 0;
    }
    if (*out_code < 0)
        strcpy(bytes, davit_error_message(err));
    davit_error_free(err);
    davit_layer_stream_clear(&stream);
    return bytes;
}

UNUSED static int64_t number(const fixture *f, const char *sql)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    assert_int_equal(dv_db_begin(f->store->db, DV_DB_READ, &tx, NULL), 0);
    DV_AUTOPTR(dv_rows) rows = NULL;
    assert_int_equal(dv_db_query(f->store->db, sql, NULL, 0, &rows, NULL), 0);
    assert_int_equal(dv_rows_next(rows, NULL), 1);
    return dv_rows_integer(rows, 0);
}

UNUSED static int64_t count_layers(const fixture *f)
{
    return number(f, "SELECT count(*) FROM layer");
}

UNUSED static void release_and_free(davit_layer *layer)
{
    davit_error *err = NULL;
    assert_ok(davit_layer_release(layer, NULL, &err));
    davit_layer_free(layer);
}

/* How many findings. */
UNUSED static size_t check_store(const fixture *f, uint32_t flags, uint64_t *out_damage)
{
    davit_error *err = NULL;
    davit_fsck_report *report = NULL;
    assert_ok(davit_store_fsck(outer(f), flags, &report, &err));
    size_t count = davit_fsck_report_count(report);
    *out_damage = davit_fsck_report_counts(report)->damage;
    davit_fsck_report_free(report);
    return count;
}

#endif
