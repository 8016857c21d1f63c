/* Unit tests of store/usage.c: what is counted as what, and that reclaimable is what prune removes. */
#include "image_test.h"

#include "store/db.h"
#include "store/ingest_sweep.h"
#include "store/store_private.h"
#include "util/clock.h"

DV_DEFINE_AUTOPTR(davit_usage, davit_usage_free)
DV_DEFINE_AUTOPTR(davit_removal_list, davit_removal_list_free)

static davit_usage *usage_of(const fixture *f)
{
    davit_error *err = NULL;
    davit_usage *usage = NULL;
    assert_ok(davit_store_get_usage(outer(f), &usage, &err));
    return usage;
}

static const davit_usage_part *part(const davit_usage *usage, davit_usage_kind kind)
{
    const davit_usage_part *p = davit_usage_get_part(usage, kind);
    assert_non_null(p);
    return p;
}

static void check_part(const davit_usage *usage, davit_usage_kind kind, uint64_t count, uint64_t size,
                       uint64_t reclaimable)
{
    const davit_usage_part *p = part(usage, kind);
    if (p->count != count || p->size != size || p->reclaimable != reclaimable)
        fail_msg("part %d: expected %llu of %llu bytes, %llu reclaimable; got %llu, %llu, %llu", kind,
                 (unsigned long long)count, (unsigned long long)size, (unsigned long long)reclaimable,
                 (unsigned long long)p->count, (unsigned long long)p->size,
                 (unsigned long long)p->reclaimable);
}

static uint64_t documents_of(const test_image *image)
{
    return image->manifest_size + image->config_size;
}

/* The entry of an image. */
static const davit_usage_image *entry_of(const davit_usage *usage, const test_image *image)
{
    for (size_t i = 0; i < davit_usage_image_count(usage); i++)
        if (davit_digest_equal(&davit_usage_image_at(usage, i)->image->config, &image->config))
            return davit_usage_image_at(usage, i);
    fail_msg("no image %s", image->config.text);
    return NULL;
}

static uint64_t pruned_bytes(const fixture *f)
{
    davit_error *err = NULL;
    DV_AUTOPTR(davit_removal_list) list = NULL;
    assert_ok(davit_store_prune(outer(f), NULL, &list, &err));
    return davit_removal_list_reclaimed(list)->blob_bytes + davit_removal_list_reclaimed(list)->ingest_bytes;
}

/* --- the parts ------------------------------------------------------------------------------------------------------- */

static void usage__of_an_empty_store_is_its_database(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_usage) u = usage_of(f);
    for (int kind = 0; kind < DAVIT_USAGE_KINDS; kind++)
        if (kind != DAVIT_USAGE_DATABASE && kind != DAVIT_USAGE_TOTAL)
            check_part(u, (davit_usage_kind)kind, 0, 0, 0);
    const davit_usage_part *database = part(u, DAVIT_USAGE_DATABASE);
    assert_true(database->count >= 1 && database->size > 0);
    check_part(u, DAVIT_USAGE_TOTAL, database->count, database->size, 0);
    assert_int_equal(davit_usage_image_count(u), 0);
    assert_null(davit_usage_image_at(u, 0));
    assert_null(davit_usage_get_part(u, DAVIT_USAGE_KINDS));
    assert_null(davit_usage_get_part(u, (davit_usage_kind)-1));
    davit_usage_free(NULL);
}

static void usage__shared_blobs_count_once(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "a:1", LAYERS("common", "of a"));
    test_image b = add_image(f->store, "b:1", LAYERS("common", "of b!"));
    record_images(f->store, "c:1", NULL, &a, 1); /* another name is no other image */
    DV_AUTOPTR(davit_usage) u = usage_of(f);
    uint64_t layers = 6 + 4 + 5, all = layers + documents_of(&a) + documents_of(&b);
    check_part(u, DAVIT_USAGE_IMAGES, 2, all, 0);
    check_part(u, DAVIT_USAGE_LAYERS, 3, layers, 0);
    check_part(u, DAVIT_USAGE_SHARED_LAYERS, 1, 6, 0);
    check_part(u, DAVIT_USAGE_UNNEEDED, 0, 0, 0);
    const davit_usage_image *entry = entry_of(u, &a);
    assert_int_equal(entry->size, documents_of(&a) + 6 + 4);
    assert_int_equal(entry->shared_size, 6);
    assert_int_equal(entry->image->tag_count, 2);
    assert_int_equal(entry_of(u, &b)->size, documents_of(&b) + 6 + 5);
    const davit_usage_part *total = part(u, DAVIT_USAGE_TOTAL), *database = part(u, DAVIT_USAGE_DATABASE);
    assert_int_equal(total->size, all + database->size);
    assert_int_equal(total->count, 7 + database->count);
    assert_true(total->disk_size > 0);
}

static void usage__a_layer_that_is_listed_twice_counts_once(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "a:1", LAYERS("same", "same", "other"));
    DV_AUTOPTR(davit_usage) u = usage_of(f);
    check_part(u, DAVIT_USAGE_LAYERS, 2, 9, 0);
    check_part(u, DAVIT_USAGE_SHARED_LAYERS, 0, 0, 0); /* only it has it */
    assert_int_equal(entry_of(u, &a)->size, documents_of(&a) + 9);
    assert_int_equal(entry_of(u, &a)->shared_size, 0);
}

static void usage__what_an_image_lacks_takes_no_room(void **state)
{
    fixture *f = *state;
    char name[DV_CONTENT_NAME_MAX];
    test_image a = add_image(f->store, "a:1", LAYERS("here", "gone"));
    assert_int_equal(dv_content_name(&a.layers[1], name, NULL), 0);
    assert_int_equal(unlinkat(f->store->dirfd, name, 0), 0);
    DV_AUTOPTR(davit_usage) u = usage_of(f);
    check_part(u, DAVIT_USAGE_LAYERS, 1, 4, 0);
    assert_int_equal(entry_of(u, &a)->size, documents_of(&a) + 4);
}

static void usage__an_index_and_its_images(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("common", "one"), NULL),
                           put_image(f->store, LAYERS("common", "second"), NULL)};
    davit_digest index = put_index(f->store, images, 2);
    uint64_t index_size = 0;
    int fd;
    assert_int_equal(dv_content_open(f->store, &index, DAVIT_SIZE_UNKNOWN, &fd, &index_size, NULL), 0);
    close(fd);
    record_images(f->store, "multi:1", &index, images, 2);
    DV_AUTOPTR(davit_usage) u = usage_of(f);
    check_part(u, DAVIT_USAGE_IMAGES, 2,
               index_size + documents_of(&images[0]) + documents_of(&images[1]) + 6 + 3 + 6, 0);
    check_part(u, DAVIT_USAGE_SHARED_LAYERS, 1, 6, 0);
}

/* --- what prune would remove ------------------------------------------------------------------------------------------ */

static void usage__reclaimable_is_what_prune_removes(void **state)
{
    fixture *f = *state;
    test_image old = add_image(f->store, "a:1", LAYERS("common", "of the old one"));
    add_image(f->store, "b:1", LAYERS("common", "of b"));
    add_image(f->store, "a:1", LAYERS("of the new one")); /* the tag moves */
    put_text(f->store, "of nobody");
    DV_AUTOPTR(davit_usage) u = usage_of(f);
    uint64_t dangling = documents_of(&old) + 14, all = dangling + 9;
    assert_int_equal(part(u, DAVIT_USAGE_IMAGES)->reclaimable, dangling);
    assert_int_equal(part(u, DAVIT_USAGE_LAYERS)->reclaimable, 14);
    check_part(u, DAVIT_USAGE_SHARED_LAYERS, 1, 6, 0); /* b still has it */
    check_part(u, DAVIT_USAGE_UNNEEDED, 1, 9, 9);
    assert_int_equal(part(u, DAVIT_USAGE_TOTAL)->reclaimable, all);
    assert_int_equal(pruned_bytes(f), all);
    DV_AUTOPTR(davit_usage) after = usage_of(f);
    assert_int_equal(part(after, DAVIT_USAGE_TOTAL)->reclaimable, 0);
}

static int leaves_a_lease(const fixture *f)
{
    dv_store *s = NULL;
    dv_lease *l = NULL;
    davit_digest digest = describe("leased", 6).digest;
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    CHECK(dv_lease_open(s, &l, NULL) == 0);
    CHECK(dv_lease_add(l, &digest, 1, NULL) == 0);
    _exit(0);
}

static void usage__a_lease_holds_while_its_process_lives(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    dv_lease *lease = NULL;
    davit_digest leased = put_text(f->store, "leased");
    assert_ok(dv_lease_open(f->store, &lease, &err));
    assert_ok(dv_lease_add(lease, &leased, 1, &err));
    DV_AUTOPTR(davit_usage) living = usage_of(f);
    check_part(living, DAVIT_USAGE_UNNEEDED, 1, 6, 0);
    dv_lease_release(lease);
    assert_int_equal(wait_for(spawn(f, leaves_a_lease)), 0);
    assert_int_equal(count_files(f, "leases"), 1);
    DV_AUTOPTR(davit_usage) dead = usage_of(f);
    check_part(dead, DAVIT_USAGE_UNNEEDED, 1, 6, 6);
    const davit_prune_options dry = {.version = DAVIT_PRUNE_OPTIONS_VERSION, .flags = DAVIT_PRUNE_DRY_RUN};
    DV_AUTOPTR(davit_removal_list) list = NULL;
    assert_ok(davit_store_prune(outer(f), &dry, &list, &err));
    assert_int_equal(davit_removal_list_reclaimed(list)->blob_bytes, 6);
    assert_int_equal(count_files(f, "leases"), 1); /* it changes nothing */
    assert_int_equal(pruned_bytes(f), 6);
}

/* --- files that are no blobs ------------------------------------------------------------------------------------------ */

static void plant(const fixture *f, const char *folder, const char *name, int64_t age_s)
{
    char path[300];
    dv_store_make_directory(f->store, folder);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = openat(f->store->dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "bytes", 5), 5);
    const struct timespec times[] = {{.tv_sec = dv_wall_time_s() - age_s},
                                     {.tv_sec = dv_wall_time_s() - age_s}};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void usage__a_journal_is_part_of_its_ingest(void **state)
{
    fixture *f = *state;
    plant(f, "ingest", "sha256-" HEX64, 0);
    plant(f, "ingest", "sha256-" HEX64 ".journal", 0);
    plant(f, "ingest", "new-0123456789abcdef", 3600);
    DV_AUTOPTR(davit_usage) u = usage_of(f);
    check_part(u, DAVIT_USAGE_INGESTS, 2, 15, 5); /* nobody continues the nameless one */
}

static void usage__unpacked_trees_are_walked_and_links_are_not_followed(void **state)
{
    fixture *f = *state;
    dv_store_make_directory(f->store, "layers");
    dv_store_make_directory(f->store, "layers/one");
    plant(f, "layers/one", "file", 0);
    assert_int_equal(symlinkat("/", f->store->dirfd, "layers/one/root"), 0);
    DV_AUTOPTR(davit_usage) u = usage_of(f);
    const davit_usage_part *unpacked = part(u, DAVIT_USAGE_UNPACKED);
    assert_true(unpacked->count >= 2 && unpacked->count <= 3);
    assert_int_equal(unpacked->reclaimable, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(usage__of_an_empty_store_is_its_database),
        store_test(usage__shared_blobs_count_once),
        store_test(usage__a_layer_that_is_listed_twice_counts_once),
        store_test(usage__what_an_image_lacks_takes_no_room),
        store_test(usage__an_index_and_its_images),
        store_test(usage__reclaimable_is_what_prune_removes),
        store_test(usage__a_lease_holds_while_its_process_lives),
        store_test(usage__a_journal_is_part_of_its_ingest),
        store_test(usage__unpacked_trees_are_walked_and_links_are_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
