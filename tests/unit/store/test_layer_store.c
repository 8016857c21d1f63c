/* Unit tests of store/layer_*.c: layers with a directory and a tar (store.md 4, 9.4), row by row of the table. */
#include "layer_test.h"

#include "store/gc.h"
#include "store/layer_store.h"

/* --- register -------------------------------------------------------------------------------------------------------- */

static void register__a_layer_is_a_directory_and_its_names(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    DV_AUTO(dv_buf) tar = TAR("d/", "d/a=hello");
    davit_digest diff_id = describe(tar.data, tar.size).digest, chain;
    char path[4200], text[8] = "";
    davit_layer *low = add_layer(layers, TAR("d/", "d/a=hello"), NULL);
    assert_string_equal(davit_layer_get_info(low)->diff_id.text, diff_id.text);
    assert_string_equal(chain_of(low).text, diff_id.text);
    assert_int_equal(davit_layer_get_info(low)->parent.algorithm, DAVIT_DIGEST_NONE);
    snprintf(path, sizeof(path), "%s/layers/%s/diff", f->path, davit_digest_hex(&diff_id));
    assert_string_equal(davit_layer_get_path(low), path);
    strcat(path, "/d/a");
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    assert_string_equal(text, "hello");
    close(fd);
    davit_layer *high = add_layer(layers, TAR("d/b=more"), low);
    const davit_digest two[] = {diff_id, davit_layer_get_info(high)->diff_id};
    assert_int_equal(davit_chain_id(two, 2, &chain, NULL), 0);
    assert_string_equal(chain_of(high).text, chain.text);
    assert_string_equal(davit_layer_get_info(high)->parent.text, diff_id.text);
    assert_int_equal(count_files(f, "layers"), 2);
    assert_int_equal(count_files(f, "ingest"), 0);
    davit_layer_free(high);
    davit_layer_free(low);
    davit_layer_store_free(layers);
}

static void register__an_unknown_parent_is_refused(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    DV_AUTO(dv_buf) tar = TAR("a=1");
    davit_digest chain = describe("x", 1).digest;
    DV_AUTOPTR(davit_error) err = NULL;
    davit_layer *layer = NULL;
    assert_int_equal(try_register(layers, &tar, &chain, &layer, &err), DAVIT_ENOTFOUND);
    assert_string_equal(davit_error_message(err), "layer does not exist");
    assert_null(layer);
    davit_layer_store_free(layers);
}

static void register__the_126th_layer_is_too_deep(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    DV_AUTOPTR(davit_error) err = NULL;
    davit_layer *below = NULL, *layer = NULL;
    for (int i = 0; i < DAVIT_LAYER_DEPTH_MAX; i++) {
        char entry[32];
        snprintf(entry, sizeof(entry), "f%d=%d", i % 3, i);
        layer = add_layer(layers, TAR(entry), below);
        if (below)
            release_and_free(below);
        below = layer;
    }
    layer = NULL;
    assert_int_equal(below->depth, DAVIT_LAYER_DEPTH_MAX);
    DV_AUTO(dv_buf) tar = TAR("one=more");
    davit_digest chain = chain_of(below);
    assert_int_equal(try_register(layers, &tar, &chain, &layer, &err), DAVIT_ETOOBIG);
    assert_string_equal(davit_error_message(err), "max depth exceeded");
    assert_null(layer);
    assert_int_equal(number(f, "SELECT sum(count) FROM layer_reference"), 1);
    release_and_free(below);
    assert_int_equal(count_layers(f), 0);
    assert_int_equal(count_files(f, "layers"), 0);
    davit_layer_store_free(layers);
}

static void register__what_is_there_already_is_returned(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_layer *low = add_layer(layers, TAR("a=1"), NULL);
    davit_layer *first = add_layer(layers, TAR("b=1"), low), *again = add_layer(layers, TAR("b=1"), low);
    assert_string_equal(chain_of(first).text, chain_of(again).text);
    assert_int_equal(count_layers(f), 2);
    assert_int_equal(count_files(f, "layers"), 2);
    assert_int_equal(count_files(f, "ingest"), 0);
    assert_int_equal(number(f, "SELECT sum(count) FROM layer_reference"), 3);
    release_and_free(first);
    assert_int_equal(count_layers(f), 2);
    release_and_free(again);
    assert_int_equal(count_layers(f), 1);
    davit_layer_free(low);
    davit_layer_store_free(layers);
}

static void register__a_failure_leaves_no_trace(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_layer *low = add_layer(layers, TAR("a=1"), NULL), *layer = NULL;
    davit_digest parent = chain_of(low);
    DV_AUTO(dv_buf) whole = TAR("b=1");
    DV_AUTO(dv_buf) escaping = TAR("../b=1");
    const struct {
        source source;
        int code;
    } rows[] = {
        {{.bytes = whole.data, .size = whole.size, .piece = 99, .fails = DAVIT_ENETWORK}, DAVIT_ENETWORK},
        {{.bytes = whole.data, .size = 300, .piece = 99}, DAVIT_EFORMAT},
        {{.bytes = "\x1f\x8b\x08", .size = 3, .piece = 99}, DAVIT_EFORMAT},
        {{.bytes = escaping.data, .size = escaping.size, .piece = 9999}, DAVIT_EFORMAT},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        source s = rows[i].source;
        int r = davit_layer_store_register(layers, read_source, &s, &parent, NULL, &layer, &err);
        assert_int_equal(r, rows[i].code);
        assert_null(layer);
        assert_int_equal(count_files(f, "layers"), 1);
        assert_int_equal(count_files(f, "ingest"), 0);
        assert_int_equal(number(f, "SELECT sum(count) FROM layer_reference"), 1);
    }
    release_and_free(low);
    assert_int_equal(count_files(f, "layers"), 0);
    davit_layer_store_free(layers);
}

static void register__a_failure_spares_a_parent_that_nobody_holds(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_layer *low = add_layer(layers, TAR("a=1"), NULL), *layer = NULL;
    davit_digest parent = chain_of(low);
    DV_AUTO(dv_buf) escaping = TAR("../b=1");
    DV_AUTOPTR(davit_error) err = NULL;
    davit_layer_free(low);
    davit_layer_store_free(layers);
    layers = open_layers(f);
    assert_int_equal(try_register(layers, &escaping, &parent, &layer, &err), DAVIT_EFORMAT);
    assert_int_equal(number(f, "SELECT count(*) FROM layer_reference"), 0);
    assert_int_equal(count_layers(f), 1);
    davit_layer_store_free(layers);
}

static void register__a_blob_of_the_store_is_checked_and_kept(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    DV_AUTO(dv_buf) tar = TAR("a=1");
    davit_digest blob = put_bytes(f->store, tar.data, tar.size), absent = describe("y", 1).digest;
    davit_error *err = NULL;
    davit_layer *layer = NULL;
    assert_ok(davit_layer_store_register_blob(layers, &blob, NULL, NULL, &layer, &err));
    assert_string_equal(chain_of(layer).text, blob.text);
    davit_layer *none = NULL;
    assert_int_equal(davit_layer_store_register_blob(layers, &absent, NULL, NULL, &none, &err),
                     DAVIT_ENOTFOUND);
    davit_error_free(err);
    davit_layer_free(layer);
    davit_layer_store_free(layers);
    dv_gc_result result;
    assert_int_equal(dv_gc_collect(f->store, NULL, /* dry= */ false, &result, NULL), 0);
    assert_true(has(f->store, &blob));
}

/* --- get, parent, release -------------------------------------------------------------------------------------------- */

static void get__is_a_new_reference(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_error *err = NULL;
    davit_layer *low = add_layer(layers, TAR("a=1"), NULL), *same = NULL, *below = NULL, *none = low;
    davit_layer *high = add_layer(layers, TAR("b=1"), low);
    davit_digest chain = chain_of(high), absent = describe("x", 1).digest;
    assert_ok(davit_layer_store_get(layers, &chain, &same, &err));
    release_and_free(high);
    assert_int_equal(count_layers(f), 2);
    assert_ok(davit_layer_get_parent(same, &below, &err));
    assert_string_equal(chain_of(below).text, chain_of(low).text);
    assert_ok(davit_layer_get_parent(below, &none, &err));
    assert_null(none);
    assert_int_equal(davit_layer_store_get(layers, &absent, &none, &err), DAVIT_ENOTFOUND);
    assert_string_equal(davit_error_message(err), "layer does not exist");
    davit_error_free(err);
    davit_layer_free(below);
    davit_layer_free(same);
    davit_layer_free(low);
    davit_layer_store_free(layers);
    assert_int_equal(number(f, "SELECT count(*) FROM layer_reference"), 0);
    assert_int_equal(count_layers(f), 2); /* nobody released them */
}

static void release__the_last_reference_removes_upwards(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_error *err = NULL;
    davit_layer_list *gone = NULL;
    davit_layer *a = add_layer(layers, TAR("a=1"), NULL), *b = add_layer(layers, TAR("b=22"), a);
    davit_layer *c = add_layer(layers, TAR("c=333"), b), *other = add_layer(layers, TAR("o=1"), a);
    assert_ok(davit_layer_release(a, &gone, &err));
    assert_int_equal(davit_layer_list_count(gone), 0);
    davit_layer_list_free(gone);
    assert_ok(davit_layer_release(b, NULL, &err));
    assert_ok(davit_layer_release(c, &gone, &err));
    assert_int_equal(davit_layer_list_count(gone), 2); /* a has another layer on it */
    assert_string_equal(davit_layer_list_at(gone, 0)->chain_id.text, chain_of(c).text);
    assert_string_equal(davit_layer_list_at(gone, 0)->diff_id.text, davit_layer_get_info(c)->diff_id.text);
    assert_int_equal(davit_layer_list_at(gone, 0)->diff_size, 3);
    assert_int_equal(davit_layer_list_at(gone, 0)->size, 6);
    assert_string_equal(davit_layer_list_at(gone, 1)->chain_id.text, chain_of(b).text);
    assert_null(davit_layer_list_at(gone, 2));
    davit_layer_list_free(gone);
    assert_ok(davit_layer_release(other, &gone, &err));
    assert_int_equal(davit_layer_list_count(gone), 2);
    davit_layer_list_free(gone);
    assert_int_equal(count_files(f, "layers"), 0);
    davit_layer_free(a);
    davit_layer_free(b);
    davit_layer_free(c);
    davit_layer_free(other);
    davit_layer_store_free(layers);
}

static void release__what_is_not_held_is_not_retained(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_error *err = NULL;
    davit_layer *a = add_layer(layers, TAR("a=1"), NULL), *same = NULL;
    davit_digest chain = chain_of(a);
    davit_layer_list *gone = NULL;
    assert_ok(davit_layer_store_get(layers, &chain, &same, &err));
    assert_ok(davit_layer_release(a, NULL, &err));
    assert_int_equal(davit_layer_release(a, NULL, &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err), "layer not retained");
    davit_error_free(err);
    err = NULL;
    assert_ok(davit_layer_release(same, NULL, &err));
    assert_ok(davit_layer_release(same, &gone, &err)); /* it is gone: nothing, no error */
    assert_null(err);
    assert_int_equal(davit_layer_list_count(gone), 0);
    davit_layer_list_free(gone);
    davit_layer_free(a);
    davit_layer_free(same);
    davit_layer_store_free(layers);
}

/* --- tar, sizes, descriptor, list ------------------------------------------------------------------------------------ */

static void tar_stream__is_what_was_registered(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    DV_AUTO(dv_buf) tar = TAR("d/", "d/a=hello", ".wh.b", "d/.wh..wh..opq");
    dv_buf_append(&tar, (const char[3000]){0}, 3000); /* what is behind the end belongs to it */
    davit_error *err = NULL;
    davit_layer *layer = NULL;
    char path[4200];
    size_t size;
    int code;
    assert_ok(try_register(layers, &tar, NULL, &layer, &err));
    snprintf(path, sizeof(path), "%s/later", davit_layer_get_path(layer));
    close(open(path, O_WRONLY | O_CREAT, 0644));
    char *bytes = tar_of(layer, &size, &code);
    assert_int_equal(code, 0);
    assert_int_equal(size, tar.size);
    assert_memory_equal(bytes, tar.data, size);
    free(bytes);
    davit_layer_stream stream = DAVIT_LAYER_STREAM_INIT;
    assert_ok(davit_layer_open_tar(layer, &stream, &err)); /* one that is not read ends too */
    davit_layer_stream_clear(&stream);
    davit_layer_free(layer);
    davit_layer_store_free(layers);
}

static void tar_stream__a_changed_blob_is_told_at_the_end(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_layer *layer = add_layer(layers, TAR("a=hello"), NULL);
    char path[4200], expected[512];
    size_t size;
    int code;
    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", f->path, davit_digest_hex(&layer->blob));
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "j", 1, 512), 1);
    close(fd);
    char *text = tar_of(layer, &size, &code);
    assert_int_equal(code, DAVIT_EDIGEST);
    snprintf(
        expected, sizeof(expected),
        "could not verify layer data for: %s. This may be because internal files in the layer store were "
        "modified. Re-pulling or rebuilding this image may resolve the issue",
        davit_layer_get_info(layer)->diff_id.text);
    assert_string_equal(text, expected);
    free(text);
    davit_layer_free(layer);
    davit_layer_store_free(layers);
}

static void size__is_what_lies_in_the_directory_each_file_once(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    davit_error *err = NULL;
    davit_layer *low = add_layer(layers, TAR("d/", "a=12345", "b=1", "a=1234567"), NULL), *high = NULL;
    davit_digest parent = chain_of(low);
    tar_block(&tar, '0', "c", 3);
    tar_data(&tar, "123", 3);
    tar_block(&tar, '1', "hard", 0);
    tar_link(&tar, "c");
    tar_block(&tar, '2', "soft", 0);
    tar_link(&tar, "target");
    tar_block(&tar, '0', ".wh.b", 0);
    tar_end(&tar);
    assert_ok(try_register(layers, &tar, &parent, &high, &err));
    assert_int_equal(davit_layer_get_info(low)->diff_size, 8);
    assert_int_equal(davit_layer_get_info(low)->size, 8);
    assert_int_equal(davit_layer_get_info(high)->diff_size, 3 + 6);
    assert_int_equal(davit_layer_get_info(high)->size, 8 + 3 + 6);
    davit_layer_free(high);
    davit_layer_free(low);
    davit_layer_store_free(layers);
}

static void descriptor__survives_a_restart(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_error *err = NULL;
    const char *const urls[] = {"https://a.example/1", "https://b.example/2"};
    const davit_layer_descriptor given = {
        .blob = {.media_type = "application/x \"quoted\"", .digest = describe("z", 1).digest, .size = 7},
        .urls = urls,
        .url_count = 2,
    };
    DV_AUTO(dv_buf) tar = TAR("a=1");
    source s = {.bytes = tar.data, .size = tar.size, .piece = 1000};
    davit_layer *layer = NULL, *plain = add_layer(layers, TAR("b=1"), NULL);
    assert_ok(davit_layer_store_register(layers, read_source, &s, NULL, &given, &layer, &err));
    davit_digest chain = chain_of(layer);
    assert_null(davit_layer_get_descriptor(plain));
    davit_layer_free(plain);
    davit_layer_free(layer);
    davit_layer_store_free(layers);
    layers = open_layers(f);
    assert_ok(davit_layer_store_get(layers, &chain, &layer, &err));
    const davit_layer_descriptor *got = davit_layer_get_descriptor(layer);
    assert_non_null(got);
    assert_string_equal(got->blob.media_type, given.blob.media_type);
    assert_string_equal(got->blob.digest.text, given.blob.digest.text);
    assert_int_equal(got->blob.size, 7);
    assert_int_equal(got->url_count, 2);
    assert_string_equal(got->urls[1], urls[1]);
    davit_layer_free(layer);
    davit_layer_store_free(layers);
}

static void restore__what_cannot_be_read_is_left_out(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_error *err = NULL;
    davit_layer_list *list = NULL;
    davit_layer *a = add_layer(layers, TAR("a=1"), NULL), *b = add_layer(layers, TAR("b=1"), a);
    davit_layer *lost = add_layer(layers, TAR("c=1"), b), *none = NULL;
    davit_digest chain = chain_of(lost);
    char command[4300];
    snprintf(command, sizeof(command), "rm -rf '%s'", davit_layer_get_path(lost));
    assert_int_equal(system(command), 0);
    assert_ok(davit_layer_store_list(layers, &list, &err));
    assert_int_equal(davit_layer_list_count(list), 2);
    assert_string_equal(davit_layer_list_at(list, 0)->chain_id.text, chain_of(a).text);
    assert_string_equal(davit_layer_list_at(list, 1)->chain_id.text, chain_of(b).text);
    davit_layer_list_free(list);
    assert_int_equal(davit_layer_store_get(layers, &chain, &none, &err), DAVIT_ENOTFOUND);
    davit_error_free(err);
    davit_layer_free(lost);
    davit_layer_free(b);
    davit_layer_free(a);
    davit_layer_store_free(layers);
}

/* --- who needs what -------------------------------------------------------------------------------------------------- */

static davit_reclaimed prune(const fixture *f, uint32_t flags)
{
    davit_error *err = NULL;
    davit_removal_list *list = NULL;
    davit_prune_options options = DAVIT_PRUNE_OPTIONS_INIT;
    options.flags = flags;
    assert_ok(davit_store_prune(outer(f), &options, &list, &err));
    davit_reclaimed reclaimed = *davit_removal_list_reclaimed(list);
    davit_removal_list_free(list);
    return reclaimed;
}

static void prune__spares_what_is_held_and_takes_the_rest_with_its_blob(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f), *leaver = open_layers(f);
    davit_layer *a = add_layer(leaver, TAR("a=1"), NULL), *b = add_layer(leaver, TAR("b=1"), a);
    davit_layer *held = add_layer(layers, TAR("h=1"), a);
    davit_digest blob = b->blob, low_blob = a->blob;
    davit_layer_free(b);
    davit_layer_free(a);
    davit_layer_store_free(leaver);
    davit_usage *usage = NULL;
    assert_int_equal(davit_store_get_usage(outer(f), &usage, NULL), 0);
    const davit_usage_part *unpacked = davit_usage_get_part(usage, DAVIT_USAGE_UNPACKED);
    assert_true(unpacked->reclaimable > 0 && unpacked->reclaimable < unpacked->size);
    davit_usage_free(usage);
    davit_reclaimed would = prune(f, DAVIT_PRUNE_DRY_RUN);
    assert_int_equal(would.layers, 1);
    assert_int_equal(would.blobs, 1);
    assert_int_equal(count_layers(f), 3);
    assert_int_equal(count_files(f, "layers"), 3);
    davit_reclaimed did = prune(f, 0);
    assert_int_equal(did.layers, 1);
    assert_int_equal(did.layer_bytes, would.layer_bytes);
    assert_true(did.layer_bytes > 0);
    assert_int_equal(did.blobs, 1);
    assert_false(has(f->store, &blob));
    assert_true(has(f->store, &low_blob));
    assert_int_equal(count_files(f, "layers"), 2);
    davit_layer_free(held);
    davit_layer_store_free(layers);
    assert_int_equal(prune(f, 0).layers, 2);
    assert_int_equal(count_files(f, "layers"), 0);
    assert_int_equal(count_files(f, "blobs/sha256"), 0);
}

static int dies_with_layers(const fixture *f)
{
    davit_store *s = NULL;
    davit_layer_store *layers = NULL;
    davit_layer *layer = NULL;
    DV_AUTO(dv_buf) tar = TAR("dead=1");
    CHECK(davit_store_open(f->path, 0, &s, NULL) == 0);
    CHECK(davit_layer_store_open(s, &layers, NULL) == 0);
    CHECK(try_register(layers, &tar, NULL, &layer, NULL) == 0);
    char name[200];
    snprintf(name, sizeof(name), "%s/layers/new-%s-7", f->path, dv_lease_name(layers->lease));
    CHECK(mkdir(name, 0700) == 0);
    _exit(0);
}

static void open__finishes_what_the_dead_left(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_layer *a = add_layer(layers, TAR("a=1"), NULL), *b = add_layer(layers, TAR("b=1"), NULL);
    char from[4200], to[4300];
    assert_int_equal(wait_for(spawn(f, dies_with_layers)), 0);
    assert_int_equal(count_files(f, "layers"), 4);
    /* a: renamed, its row still there; b: its row gone, not renamed */
    snprintf(from, sizeof(from), "%s/layers/%s", f->path, davit_digest_hex(&a->info.chain_id));
    snprintf(to, sizeof(to), "%s-0123456789abcdef-removing", from);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(dv_db_run(f->store->db, "DELETE FROM layer WHERE chain = ?1",
                               &DV_TEXT(b->info.chain_id.text), 1, NULL),
                     0);
    davit_layer_free(a);
    davit_layer_free(b);
    davit_layer_store_free(layers);
    layers = open_layers(f);
    assert_int_equal(count_layers(f), 1); /* of the dead, whole */
    assert_int_equal(count_files(f, "layers"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM layer_reference"), 0);
    davit_layer_store_free(layers);
}

static void fsck__knows_layers_and_what_is_left_of_them(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_layer *a = add_layer(layers, TAR("a=1"), NULL), *b = add_layer(layers, TAR("b=1"), a);
    char from[4200], to[4300];
    uint64_t damage;
    assert_int_equal(check_store(f, DAVIT_FSCK_FULL, &damage), 0);
    /* as a removal that was cut short leaves it: no damage */
    snprintf(from, sizeof(from), "%s/layers/%s", f->path, davit_digest_hex(&b->info.chain_id));
    snprintf(to, sizeof(to), "%s-0123456789abcdef-removing", from);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(check_store(f, 0, &damage), 1);
    assert_int_equal(damage, 0);
    assert_int_equal(check_store(f, DAVIT_FSCK_REPAIR, &damage), 1);
    assert_int_equal(check_store(f, 0, &damage), 0);
    assert_int_equal(count_layers(f), 1);
    assert_int_equal(count_files(f, "layers"), 1);
    /* a directory that somebody took away is damage */
    snprintf(from, sizeof(from), "%s/layers/%s", f->path, davit_digest_hex(&a->info.chain_id));
    snprintf(to, sizeof(to), "%s/away", f->dir);
    assert_int_equal(rename(from, to), 0);
    check_store(f, 0, &damage);
    assert_int_equal(damage, 1);
    check_store(f, DAVIT_FSCK_REPAIR, &damage);
    assert_int_equal(damage, 0);
    assert_int_equal(check_store(f, 0, &damage), 0);
    assert_int_equal(count_layers(f), 0);
    davit_layer_free(a);
    davit_layer_free(b);
    davit_layer_store_free(layers);
}

static void fsck__tells_of_strangers_and_of_a_lost_blob(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_layer *a = add_layer(layers, TAR("a=1"), NULL);
    char path[4200];
    uint64_t damage;
    assert_int_equal(mkdirat(dv_store_dirfd(f->store), "layers/stranger", 0700), 0);
    assert_int_equal(check_store(f, 0, &damage), 1);
    assert_int_equal(damage, 0);
    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", f->path, davit_digest_hex(&a->blob));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(check_store(f, 0, &damage), 2);
    assert_int_equal(damage, 1);
    davit_layer_free(a);
    davit_layer_store_free(layers);
}

/* How fsck tells of one layer; "" when it is right. */
static const char *full_check(const fixture *f)
{
    static char text[400];
    davit_error *err = NULL;
    davit_fsck_report *report = NULL;
    assert_ok(davit_store_fsck(outer(f), DAVIT_FSCK_FULL, &report, &err));
    const size_t count = davit_fsck_report_count(report);
    snprintf(text, sizeof(text), "%s", count ? davit_fsck_report_at(report, 0)->message : "");
    assert_in_range(count, 0, 1);
    assert_int_equal(davit_fsck_report_counts(report)->damage, count);
    davit_fsck_report_free(report);
    assert_int_equal(count_files(f, "ingest"), 0);
    return text;
}

static void fsck__compares_a_directory_with_the_tar(void **state)
{
    static const struct {
        const char *command, *told; /* in the upper layer */
    } rows[] = {
        {"printf jello >d/a; touch -d @0 d/a", "d/a: has other bytes"},
        {"printf hellos >d/a", "d/a: has another size"},
        {"touch d/a", "d/a: has another time"},
        {"chmod 600 d/a", "d/a: has another mode"},
        {"ln -sfn tegrat d/link; touch -h -d @0 d/link", "d/link: leads elsewhere"},
        {"rm d/link", "d/link: is missing"},
        {"rm d/a; mkdir d/a", "d/a: is of another kind"},
        {"touch d/new", "d/new: is not of the layer"},
        {"rm -rf d", "d: is missing"},
        {"setfattr -n user.x -v 1 d 2>/dev/null || chmod 711 d", "d: has "},
        {"chmod 711 .", ".: has another mode"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_layer_store *layers = open_layers(f);
        davit_layer *low = add_layer(layers, TAR("d/", "gone=1", "kept/", "kept/x=2"), NULL), *high = NULL;
        DV_AUTO(dv_buf) tar = TAR("d/", "d/a=hello", ".wh.gone", "kept/y=3", "d/.wh..wh..opq");
        tar.size -= 1024;
        tar_block(&tar, '2', "d/link", 0);
        tar_link(&tar, "target");
        tar_end(&tar);
        davit_error *err = NULL;
        char command[4600], expected[200];
        const davit_digest parent = chain_of(low);
        assert_ok(try_register(layers, &tar, &parent, &high, &err));
        assert_string_equal(full_check(f), "");
        snprintf(command, sizeof(command), "cd '%s' && { %s; }", davit_layer_get_path(high), rows[i].command);
        assert_int_equal(system(command), 0);
        snprintf(expected, sizeof(expected), "an unpacked layer is not what was registered: %s", rows[i].told);
        const char *told = full_check(f);
        if (strncmp(told, expected, strlen(expected)) != 0)
            fail_msg("%s: expected \"%s\", got \"%s\"", rows[i].command, expected, told);
        assert_int_equal(count_files(f, "layers"), 2);
        assert_int_equal(number(f, "SELECT sum(count) FROM layer_reference"), 2);
        release_and_free(high);
        release_and_free(low);
        davit_layer_store_free(layers);
    }
}

/* As /etc/shadow is in some images: who is not root cannot read what is his own. */
static void fsck__full_of_a_file_that_nobody_may_read(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    dv_buf tar = DV_BUF_INIT(TAR_TEXT_MAX);
    tar_block(&tar, '0', "shadow", 4);
    tar_patch(&tar, 100, "0000000", 7);
    tar_data(&tar, "root", 4);
    tar_end(&tar);
    davit_layer *layer = add_layer(layers, tar, NULL);
    assert_string_equal(full_check(f), "");
    release_and_free(layer);
    davit_layer_store_free(layers);
}

/* --- what a push gets ------------------------------------------------------------------------------------------------ */

static void provider__gives_registered_layers_and_those_of_images(void **state)
{
    fixture *f = *state;
    davit_layer_store *layers = open_layers(f);
    davit_layer_provider provider = DAVIT_LAYER_PROVIDER_INIT;
    davit_push_layer got = DAVIT_PUSH_LAYER_INIT;
    davit_layer_stream stream = DAVIT_LAYER_STREAM_INIT;
    davit_error *err = NULL;
    test_image image = add_image(f->store, "example.com/a:1", LAYERS("one", "two"));
    davit_layer *layer = add_layer(layers, TAR("a=1"), NULL);
    davit_digest chain = chain_of(layer), absent = describe("none", 4).digest;
    char bytes[64];
    size_t n;
    davit_layer_store_get_provider(layers, &provider);
    assert_ok(davit_layer_provider_get(&provider, &chain, &got, &err));
    assert_string_equal(got.media_type, "application/vnd.docker.image.rootfs.diff.tar");
    assert_int_equal(got.size_bytes, 1);
    assert_int_equal(got.blob.algorithm, DAVIT_DIGEST_NONE);
    davit_push_layer_clear(&got);
    assert_int_equal(number(f, "SELECT sum(count) FROM layer_reference"), 1);
    assert_ok(davit_layer_provider_get(&provider, &image.chains[1], &got, &err));
    assert_string_equal(got.parent.text, image.chains[0].text);
    assert_string_equal(got.blob.text, image.layers[1].text);
    assert_int_equal(got.size_bytes, 3);
    assert_ok(got.open(got.user_data, &stream, &err));
    assert_ok(stream.read(stream.user_data, bytes, sizeof(bytes), &n, &err));
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "two", 3);
    assert_ok(stream.read(stream.user_data, bytes, sizeof(bytes), &n, &err));
    assert_int_equal(n, 0);
    davit_layer_stream_clear(&stream);
    davit_push_layer_clear(&got);
    assert_int_equal(davit_layer_provider_get(&provider, &absent, &got, &err), DAVIT_ENOTFOUND);
    assert_string_equal(davit_error_message(err), "layer does not exist");
    davit_error_free(err);
    davit_layer_provider_clear(&provider);
    davit_layer_free(layer);
    davit_layer_store_free(layers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(register__a_layer_is_a_directory_and_its_names),
        store_test(register__an_unknown_parent_is_refused),
        store_test(register__the_126th_layer_is_too_deep),
        store_test(register__what_is_there_already_is_returned),
        store_test(register__a_failure_leaves_no_trace),
        store_test(register__a_failure_spares_a_parent_that_nobody_holds),
        store_test(register__a_blob_of_the_store_is_checked_and_kept),
        store_test(get__is_a_new_reference),
        store_test(release__the_last_reference_removes_upwards),
        store_test(release__what_is_not_held_is_not_retained),
        store_test(tar_stream__is_what_was_registered),
        store_test(tar_stream__a_changed_blob_is_told_at_the_end),
        store_test(size__is_what_lies_in_the_directory_each_file_once),
        store_test(descriptor__survives_a_restart),
        store_test(restore__what_cannot_be_read_is_left_out),
        store_test(prune__spares_what_is_held_and_takes_the_rest_with_its_blob),
        store_test(open__finishes_what_the_dead_left),
        store_test(fsck__knows_layers_and_what_is_left_of_them),
        store_test(fsck__tells_of_strangers_and_of_a_lost_blob),
        store_test(fsck__compares_a_directory_with_the_tar),
        store_test(fsck__full_of_a_file_that_nobody_may_read),
        store_test(provider__gives_registered_layers_and_those_of_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
