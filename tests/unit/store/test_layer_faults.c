/*
 * Unit tests of store/layer_*.c and upload_session.c without memory or room: an error that says so, nothing visible, nothing lost, and a store that
 * is as good as before. Every allocation fails once, alone and with all behind it (support/failing_malloc.h); disks are full at every size.
 */
#include "../../support/failing_malloc.h"
#include "layer_test.h"

#include "store/upload_session.h"

typedef struct layer_case {
    const fixture *f;
    davit_store *store;
    dv_buf tar;
    davit_digest parent, blob, chain; /* of what stays */
    int (*run)(struct layer_case *c, davit_layer_store *layers, davit_error **err);
} layer_case;

/* The store as it was: one layer that is held, and nothing half made. */
static bool is_as_before(const fixture *f)
{
    const int64_t rows = count_layers(f),
                  held = number(f, "SELECT coalesce(sum(count), 0) FROM layer_reference");
    const size_t directories = count_files(f, "layers"), ingests = count_files(f, "ingest");
    bool it_is = rows == 1 && held == 1 && directories == 1 && ingests == 0;
    if (!it_is)
        print_error("there are %d rows, %d references, %zu directories, %zu ingests\n", (int)rows, (int)held,
                    directories, ingests);
    return it_is;
}

/* What could not be removed goes when the next one opens the layers. */
static bool is_as_before_to_the_next(const fixture *f)
{
    davit_store *s = NULL;
    davit_layer_store *layers = NULL;
    bool opened = davit_store_open(f->path, 0, &s, NULL) == 0 &&
                  davit_layer_store_open(s, &layers, NULL) == 0 &&
                  dv_lease_sweep((dv_store *)s, NULL, NULL) == 0; /* rows without a file are dead */
    davit_layer_store_free(layers);
    davit_store_free(s);
    return opened && is_as_before(f);
}

/* A store of its own, so that statements are prepared anew. */
static int with_layers(void *user, davit_error **err)
{
    layer_case *c = user;
    davit_layer_store *layers = NULL;
    c->store = NULL;
    int r = davit_store_open(c->f->path, 0, &c->store, err);
    if (r == 0)
        r = davit_layer_store_open(c->store, &layers, err);
    if (r == 0)
        r = c->run(c, layers, err);
    fail_allocation(0);
    davit_layer_store_free(layers);
    davit_store_free(c->store);
    return is_as_before_to_the_next(c->f) ? r : DAVIT_EINVAL;
}

static int read_tar(davit_layer *layer, davit_error **err)
{
    davit_layer_stream stream = DAVIT_LAYER_STREAM_INIT;
    char bytes[3000];
    size_t n = 1;
    int r = davit_layer_open_tar(layer, &stream, err);
    while (r == 0 && n > 0)
        r = stream.read(stream.user_data, bytes, sizeof(bytes), &n, err);
    davit_layer_stream_clear(&stream);
    return r;
}

/* Whatever failed: it was not there before, and is not now. */
static int use_and_release(davit_layer *layer, davit_error **err)
{
    davit_layer_list *gone = NULL;
    davit_layer *below = NULL;
    int r = read_tar(layer, err);
    if (r == 0)
        r = davit_layer_get_parent(layer, &below, err);
    davit_layer_free(below);
    if (r == 0) {
        r = davit_layer_release(layer, &gone, err);
        if (r == 0 && davit_layer_list_count(gone) != 1)
            r = DAVIT_EINVAL;
        davit_layer_list_free(gone);
    }
    if (r < 0) {
        fail_allocation(0);
        davit_layer_release(layer, NULL, NULL);
    }
    davit_layer_free(layer);
    return r;
}

static int register_stream(layer_case *c, davit_layer_store *layers, davit_error **err)
{
    static const char *const urls[] = {"https://a.example/1"};
    const davit_layer_descriptor known = {
        .blob = {.media_type = "a/b", .digest = c->blob, .size = 7}, .urls = urls, .url_count = 1};
    source s = {.bytes = c->tar.data, .size = c->tar.size, .piece = 1000};
    davit_layer *layer = NULL;
    int r = davit_layer_store_register(layers, read_source, &s, &c->parent, &known, &layer, err);
    return r < 0 ? r : use_and_release(layer, err);
}

static int register_stored(layer_case *c, davit_layer_store *layers, davit_error **err)
{
    davit_layer *layer = NULL;
    int r = davit_layer_store_register_blob(layers, &c->blob, &c->parent, NULL, &layer, err);
    return r < 0 ? r : use_and_release(layer, err);
}

static int list_layers(layer_case *c, davit_layer_store *layers, davit_error **err)
{
    davit_layer_list *list = NULL;
    int r = davit_layer_store_list(layers, &list, err);
    if (r == 0 && davit_layer_list_count(list) != 1)
        r = DAVIT_EINVAL;
    davit_layer_list_free(list);
    return r;
}

static int push_layer(layer_case *c, const davit_digest *chain, davit_layer_store *layers, davit_error **err)
{
    davit_layer_provider provider = DAVIT_LAYER_PROVIDER_INIT;
    davit_push_layer got = DAVIT_PUSH_LAYER_INIT;
    davit_layer_stream stream = DAVIT_LAYER_STREAM_INIT;
    char byte;
    size_t n;
    davit_layer_store_get_provider(layers, &provider);
    int r = davit_layer_provider_get(&provider, chain, &got, err);
    if (r == 0)
        r = got.open(got.user_data, &stream, err);
    if (r == 0)
        r = stream.read(stream.user_data, &byte, 1, &n, err);
    davit_layer_stream_clear(&stream);
    davit_push_layer_clear(&got);
    davit_layer_provider_clear(&provider);
    return r;
}

static int push_registered(layer_case *c, davit_layer_store *layers, davit_error **err)
{
    return push_layer(c, &c->parent, layers, err);
}

static int push_of_image(layer_case *c, davit_layer_store *layers, davit_error **err)
{
    return push_layer(c, &c->chain, layers, err);
}

static int measure(layer_case *c, davit_layer_store *layers, davit_error **err)
{
    davit_usage *usage = NULL;
    int r = davit_store_get_usage(c->store, &usage, err);
    davit_usage_free(usage);
    return r;
}

static int prune_layers(layer_case *c, davit_layer_store *layers, davit_error **err)
{
    davit_removal_list *list = NULL;
    davit_prune_options options = DAVIT_PRUNE_OPTIONS_INIT;
    options.flags = DAVIT_PRUNE_DRY_RUN;
    int r = davit_store_prune(c->store, &options, &list, err);
    davit_removal_list_free(list);
    return r;
}

static int check_layers(layer_case *c, davit_layer_store *layers, davit_error **err)
{
    davit_fsck_report *report = NULL;
    int r = davit_store_fsck(c->store, DAVIT_FSCK_FULL, &report, err);
    if (r == 0 && davit_fsck_report_counts(report)->damage)
        r = DAVIT_EINVAL;
    davit_fsck_report_free(report);
    return r;
}

/* Each kind of entry, and what goes by the layers below. */
static dv_buf rich_tar(void)
{
    dv_buf tar = DV_BUF_INIT(TAR_TEXT_MAX);
    tar_block(&tar, '5', "d/", 0);
    tar_patch(&tar, 100, "0000755", 7);
    tar_block(&tar, '0', "d/.wh..wh..opq", 0);
    tar_block(&tar, '0', ".wh.gone", 0);
    tar_block(&tar, '0', "d/new", 3);
    tar_data(&tar, "123", 3);
    tar_block(&tar, '1', "hard", 0);
    tar_link(&tar, "kept/file");
    tar_block(&tar, '2', "soft", 0);
    tar_link(&tar, "d/new");
    tar_block(&tar, '0', "kept/another", 0);
    tar_end(&tar);
    return tar;
}

static void layers__survive_any_failed_allocation(void **state)
{
    static const struct {
        const char *name;
        int (*run)(layer_case *c, davit_layer_store *layers, davit_error **err);
    } rows[] = {
        {"register", register_stream},
        {"register a blob", register_stored},
        {"list", list_layers},
        {"a layer to push", push_registered},
        {"an image's to push", push_of_image},
        {"df", measure},
        {"prune", prune_layers},
        {"fsck", check_layers},
    };
    fixture *f = *state;
    layer_case c = {.f = f, .tar = rich_tar()};
    uint64_t damage;
    unsigned wrong = 0;
    test_image image = add_image(f->store, "example.com/a:1", LAYERS("one", "two"));
    davit_layer_store *layers = open_layers(f);
    davit_layer *below = add_layer(layers, TAR("d/", "d/old=1", "kept/", "kept/file=22", "gone=333"), NULL);
    c.parent = chain_of(below);
    c.chain = image.chains[1];
    c.blob = put_bytes(f->store, c.tar.data, c.tar.size);
    assert_true(is_as_before(f)); /* statements that are kept for the next time are made now */
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        c.run = rows[i].run;
        wrong += fail_each_allocation(rows[i].name, with_layers, &c, 0);
    }
    assert_int_equal(wrong, 0);
    check_store(f, DAVIT_FSCK_FULL, &damage);
    assert_int_equal(damage, 0);
    davit_layer_free(below);
    davit_layer_store_free(layers);
    dv_buf_clear(&c.tar);
}

/* --- the upload journal ---------------------------------------------------------------------------------------------- */

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* What it says is what was put, or nothing: a URL of another session would be sent bytes that are not its own. */
static int use_journal(void *user, davit_error **err)
{
    const fixture *f = user;
    const davit_digest blob = {.algorithm = DAVIT_SHA256, .text = "sha256:" HEX};
    DV_AUTO(dv_stored_upload) got = DV_STORED_UPLOAD_INIT;
    dv_store *s = NULL;
    int r = dv_store_open(f->path, 0, &s, err);
    if (r == 0)
        r = dv_upload_session_put(s, "r.example/app", &blob, "https://r.example/u1", 7, err);
    if (r == 0)
        r = dv_upload_session_put(s, "r.example/app", &blob, "https://r.example/u2", 8, err);
    if (r == 0)
        r = dv_upload_session_get(s, "r.example/app", &blob, &got, err);
    if (r == 0 && (strcmp(got.url, "https://r.example/u2") != 0 || got.sent != 8))
        r = DAVIT_EINVAL;
    if (r == 0)
        r = dv_upload_session_expire(s, err);
    if (r == 0)
        r = dv_upload_session_delete(s, "r.example/app", &blob, err);
    dv_store_unref(s);
    return r;
}

static void upload_session__survives_any_failed_allocation(void **state)
{
    fixture *f = *state;
    assert_int_equal(fail_each_allocation("journal", use_journal, f, 0), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM upload_session"), 0);
}

/* --- full disks ------------------------------------------------------------------------------------------------------ */

#define DISK_SIZE (8u << 20)
#define LAYER_SIZE (600u << 10)

/* Leaves so many bytes of the disk, more or less. */
static void fill(const fixture *f, off_t left)
{
    char path[4200];
    struct statvfs disk;
    snprintf(path, sizeof(path), "%s/filler", f->dir);
    CHECK(statvfs(f->dir, &disk) == 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    off_t size = (off_t)(disk.f_bavail * disk.f_frsize) - left;
    CHECK(fd >= 0 && (size <= 0 || posix_fallocate(fd, 0, size) == 0));
    close(fd);
}

static void make_room(const fixture *f)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/filler", f->dir);
    CHECK(unlink(path) == 0);
}

static bool is_sound(const fixture *f)
{
    uint64_t damage;
    check_store(f, DAVIT_FSCK_FULL, &damage);
    return damage == 0;
}

static void reopen(fixture *f)
{
    dv_store_unref(f->store);
    CHECK(dv_store_open(f->path, DV_STORE_CREATE, &f->store, NULL) == 0);
}

static dv_buf large_tar(void)
{
    dv_buf tar = DV_BUF_INIT(4u << 20);
    char *bytes = make_bytes(LAYER_SIZE / 4, 1);
    for (char name[] = "a"; name[0] < 'e'; name[0]++) {
        tar_block(&tar, '0', name, LAYER_SIZE / 4);
        tar_data(&tar, bytes, LAYER_SIZE / 4);
    }
    tar_end(&tar);
    free(bytes);
    return tar;
}

/* By a store of its own. Only the disk may be a reason to fail, and it is said. */
static int register_and_release(const fixture *f, const dv_buf *tar, const davit_digest *parent)
{
    davit_store *s = NULL;
    davit_layer_store *layers = NULL;
    davit_layer *layer = NULL;
    davit_error *err = NULL;
    int r = davit_store_open(f->path, 0, &s, &err);
    if (r == 0)
        r = davit_layer_store_open(s, &layers, &err);
    if (r == 0)
        r = try_register(layers, tar, parent, &layer, &err);
    if (r < 0) {
        CHECK(r == DAVIT_ENOSPACE && !layer && strstr(davit_error_message(err), f->path));
    } else {
        CHECK(count_layers(f) == 2 && davit_layer_release(layer, NULL, NULL) == 0);
    }
    davit_error_free(err);
    davit_layer_free(layer);
    davit_layer_store_free(layers);
    davit_store_free(s);
    return r;
}

/* Registered with ever more room, until there is enough: all that fails is said, and seen nowhere. */
static int register_on_a_full_disk(const fixture *given)
{
    fixture f = *given;
    if (!mount_private(f.dir, "size=8m,mode=0700"))
        return 77;
    reopen(&f);
    dv_buf tar = large_tar();
    davit_layer_store *layers = open_layers(&f);
    davit_layer *low = add_layer(layers, TAR("a=1"), NULL);
    const davit_digest parent = chain_of(low);
    unsigned failed = 0;
    int r = DAVIT_ENOSPACE;
    CHECK(is_as_before(&f));
    for (off_t left = 0; r == DAVIT_ENOSPACE && left < DISK_SIZE; left += 60 << 10) {
        long before = live_allocations();
        fill(&f, left);
        r = register_and_release(&f, &tar, &parent);
        CHECK(live_allocations() == before);
        make_room(&f);
        CHECK(is_as_before(&f) && is_sound(&f));
        failed += r < 0;
    }
    CHECK(failed > 10 && r == 0);
    return 0;
}

static void register__a_full_disk_is_said_and_leaves_no_trace(void **state)
{
    expect_child(spawn(*state, register_on_a_full_disk));
}

/* Files can run out before bytes do. */
static int register_without_inodes(const fixture *given)
{
    fixture f = *given;
    if (!mount_private(f.dir, "size=8m,nr_inodes=40,mode=0700"))
        return 77;
    reopen(&f);
    dv_buf tar = DV_BUF_INIT(TAR_TEXT_MAX);
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%d", i);
        tar_block(&tar, '0', name, 0);
    }
    tar_end(&tar);
    davit_layer_store *layers = open_layers(&f);
    davit_layer *low = add_layer(layers, TAR("a=1"), NULL), *layer = NULL;
    const davit_digest parent = chain_of(low);
    davit_error *err = NULL;
    CHECK(try_register(layers, &tar, &parent, &layer, &err) == DAVIT_ENOSPACE);
    CHECK(!layer && is_as_before(&f) && is_sound(&f));
    return 0;
}

static void register__no_room_for_files_is_said_and_leaves_no_trace(void **state)
{
    expect_child(spawn(*state, register_without_inodes));
}

/* A disk without room can be made room on; what cannot be done is said, and done later. */
static int release_on_a_full_disk(const fixture *given)
{
    fixture f = *given;
    if (!mount_private(f.dir, "size=8m,mode=0700"))
        return 77;
    reopen(&f);
    dv_buf tar = large_tar();
    davit_layer_store *layers = open_layers(&f);
    davit_layer *low = add_layer(layers, TAR("a=1"), NULL), *layer = NULL;
    const davit_digest parent = chain_of(low);
    davit_error *err = NULL;
    CHECK(try_register(layers, &tar, &parent, &layer, &err) == 0);
    fill(&f, 0);
    int r = davit_layer_release(layer, NULL, &err);
    CHECK(r == 0 || (r == DAVIT_ENOSPACE && strstr(davit_error_message(err), f.path)));
    CHECK(count_layers(&f) == (r == 0 ? 1 : 2));
    CHECK((access(davit_layer_get_path(layer), F_OK) == 0) == (r < 0));
    make_room(&f);
    CHECK(is_sound(&f));
    CHECK(r == 0 || davit_layer_release(layer, NULL, NULL) == 0);
    CHECK(is_as_before(&f) && is_sound(&f));
    return 0;
}

static void release__a_full_disk_loses_nothing(void **state)
{
    expect_child(spawn(*state, release_on_a_full_disk));
}

static int journal_on_a_full_disk(const fixture *given)
{
    fixture f = *given;
    if (!mount_private(f.dir, "size=8m,mode=0700"))
        return 77;
    reopen(&f);
    const davit_digest blob = describe("a", 1).digest;
    char url[4096] = "https://r.example/u?";
    int r = 0;
    for (size_t n = strlen(url); n < sizeof(url) - 1; n++)
        url[n] = 'x';
    CHECK(dv_upload_session_put(f.store, "r.example/0", &blob, url, 1, NULL) == 0);
    fill(&f, 40 << 10);
    davit_error *err = NULL;
    for (unsigned i = 1; r == 0 && i < 1000; i++) {
        char repository[32];
        snprintf(repository, sizeof(repository), "r.example/%u", i);
        r = dv_upload_session_put(f.store, repository, &blob, url, 1, &err);
    }
    CHECK(r == DAVIT_ENOSPACE);
    CHECK(!strstr(davit_error_message(err), "u?x")); /* it may be secret */
    DV_AUTO(dv_stored_upload) got = DV_STORED_UPLOAD_INIT;
    CHECK(dv_upload_session_get(f.store, "r.example/0", &blob, &got, NULL) == 0 && strcmp(got.url, url) == 0);
    make_room(&f);
    CHECK(dv_upload_session_put(f.store, "r.example/0", &blob, "u", 2, NULL) == 0);
    CHECK(is_sound(&f));
    return 0;
}

static void upload_session__a_full_disk_is_said_and_loses_nothing(void **state)
{
    expect_child(spawn(*state, journal_on_a_full_disk));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(layers__survive_any_failed_allocation),
        store_test(upload_session__survives_any_failed_allocation),
        store_test(register__a_full_disk_is_said_and_leaves_no_trace),
        store_test(register__no_room_for_files_is_said_and_leaves_no_trace),
        store_test(release__a_full_disk_loses_nothing),
        store_test(upload_session__a_full_disk_is_said_and_loses_nothing),
    };
    return cmocka_run_group_tests_name("store/layer_faults", tests, NULL, NULL);
}
