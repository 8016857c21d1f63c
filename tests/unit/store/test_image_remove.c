/* Unit tests of store/image_remove.c, prune.c and removal_list.c through davit/store.h: the rows of store.md 8. */
#include "image_test.h"

#include "store/db.h"
#include "store/reference_store.h"
#include "store/store_private.h"
#include "util/clock.h"

DV_DEFINE_AUTOPTR(davit_removal_list, davit_removal_list_free)

/* Removes names (NULL ends) and expects these lines. The formats' arguments are texts. */
static void expect_steps(const davit_removal_list *list, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void expect_steps(const davit_removal_list *list, const char *fmt, ...)
{
    char expected[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(expected, sizeof(expected), fmt, ap);
    va_end(ap);
    DV_AUTOFREE char *got = steps_of(list);
    assert_string_equal(got, expected);
}

static davit_removal_list *remove_names(const fixture *f, uint32_t flags, const char *const *names)
{
    davit_error *err = NULL;
    davit_removal_list *list = NULL;
    size_t count = 0;
    while (names[count])
        count++;
    assert_ok(davit_store_remove(outer(f), names, count, flags, &list, &err));
    return list;
}
#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static davit_removal_list *prune(const fixture *f, uint32_t flags, int64_t until_s)
{
    davit_error *err = NULL;
    davit_removal_list *list = NULL;
    davit_prune_options options = DAVIT_PRUNE_OPTIONS_INIT;
    options.flags = flags;
    options.until_s = until_s;
    assert_ok(davit_store_prune(outer(f), &options, &list, &err));
    return list;
}

static size_t count_blobs(const fixture *f)
{
    return count_files(f, "blobs/sha256");
}

static size_t count_images(const fixture *f)
{
    davit_image_list *list = NULL;
    assert_int_equal(davit_store_images(outer(f), &list, NULL), 0);
    size_t count = davit_image_list_count(list);
    davit_image_list_free(list);
    return count;
}

static void tag(const fixture *f, const char *source, const char *target)
{
    davit_error *err = NULL;
    assert_ok(davit_store_tag(outer(f), source, target, 0, &err));
}

/* --- by reference -------------------------------------------------------------------------------------------------- */

static void remove__last_tag_takes_digest_references_image_and_layers_along(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base", "top"));
    assert_int_equal(count_blobs(f), 4);
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("alpine:3"));
    expect_steps(list, "Untagged: alpine:3\nUntagged: alpine@%s\nDeleted: %s\nDeleted: %s\nDeleted: %s\n",
                 a.manifest.text, a.config.text, a.chains[1].text, a.chains[0].text);
    assert_int_equal(count_blobs(f), 0);
    assert_int_equal(count_images(f), 0);
    assert_int_equal(davit_removal_list_reclaimed(list)->blobs, 4);
}

static void remove__other_tag_of_the_repository_keeps_digest_references(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base"));
    tag(f, "alpine:3", "alpine:4");
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("alpine:3"));
    expect_steps(list, "Untagged: alpine:3\n");
    assert_true(has(f->store, &a.layers[0]));
    assert_int_equal(davit_removal_list_reclaimed(list)->blobs, 0);
}

static void remove__tag_in_another_repository_keeps_the_image_but_not_the_digests(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base"));
    tag(f, "alpine:3", "other:1");
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("alpine:3"));
    expect_steps(list, "Untagged: alpine:3\nUntagged: alpine@%s\n", a.manifest.text);
    assert_true(has(f->store, &a.manifest) && has(f->store, &a.config) && has(f->store, &a.layers[0]));
    assert_int_equal(count_images(f), 1);
}

static void remove__digest_reference_goes_alone_while_there_is_a_tag(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base"));
    char name[200];
    snprintf(name, sizeof(name), "alpine@%s", a.manifest.text);
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES(name));
    expect_steps(list, "Untagged: %s\n", name);
    assert_int_equal(count_images(f), 1);
}

static void remove__digest_reference_that_is_the_last_takes_the_image_along(void **state)
{
    fixture *f = *state;
    test_image a = put_image(f->store, LAYERS("base"), NULL);
    char name[200];
    snprintf(name, sizeof(name), "alpine@%s", a.manifest.text);
    record_images(f->store, name, NULL, &a, 1);
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES(name));
    expect_steps(list, "Untagged: %s\nDeleted: %s\nDeleted: %s\n", name, a.config.text, a.chains[0].text);
    assert_int_equal(count_blobs(f), 0);
}

static void remove__tag_with_digest_means_the_digest(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base"));
    char name[200];
    snprintf(name, sizeof(name), "alpine:whatever@%s", a.manifest.text);
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES(name));
    expect_steps(list, "Untagged: alpine@%s\n", a.manifest.text);
}

static void remove__name_without_tag_means_latest(void **state)
{
    fixture *f = *state;
    add_image(f->store, "alpine:3", LAYERS("base"));
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("alpine"));
    expect_steps(list, "ENOTFOUND Failed: No such image: alpine\n");
}

static void remove__image_that_another_digest_reference_names_stays(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base"));
    char name[200];
    snprintf(name, sizeof(name), "mirror@%s", a.manifest.text);
    record_images(f->store, name, NULL, &a, 1);
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("alpine:3"));
    expect_steps(list, "Untagged: alpine:3\nUntagged: alpine@%s\n", a.manifest.text);
    assert_int_equal(count_images(f), 1);
}

/* --- by id ---------------------------------------------------------------------------------------------------------- */

static void remove__id_with_one_tag_and_digests_takes_all_along(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base"));
    char prefix[13];
    snprintf(prefix, sizeof(prefix), "%s", davit_digest_hex(&a.config));
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES(prefix));
    expect_steps(list, "Untagged: alpine:3\nUntagged: alpine@%s\nDeleted: %s\nDeleted: %s\n", a.manifest.text,
                 a.config.text, a.chains[0].text);
    assert_int_equal(count_blobs(f), 0);
}

static void remove__id_with_algorithm(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base"));
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES(a.config.text));
    assert_int_equal(davit_removal_list_count(list), 4);
    assert_int_equal(count_images(f), 0);
}

static void remove__id_in_several_repositories_is_a_conflict(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base"));
    tag(f, "alpine:3", "other:1");
    char id[13];
    snprintf(id, sizeof(id), "%s", davit_digest_hex(&a.config));
    {
        DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES(id));
        expect_steps(
            list,
            "ECONFLICT Failed: conflict: unable to delete %s (must be forced) - image is referenced in "
            "multiple repositories\n",
            id);
        assert_int_equal(count_images(f), 1);
        assert_int_equal(count_blobs(f), 3);
    }
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, DAVIT_REMOVE_FORCE, NAMES(id));
    expect_steps(list,
                 "Untagged: alpine:3\nUntagged: alpine@%s\nUntagged: other:1\nDeleted: %s\nDeleted: %s\n",
                 a.manifest.text, a.config.text, a.chains[0].text);
    assert_int_equal(count_blobs(f), 0);
}

static void remove__id_with_two_tags_of_one_repository_is_a_conflict(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "alpine:3", LAYERS("base"));
    tag(f, "alpine:3", "alpine:4");
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES(a.config.text));
    assert_int_equal(davit_removal_list_count(list), 1);
    assert_int_equal(davit_removal_list_at(list, 0)->code, DAVIT_ECONFLICT);
}

static void remove__id_without_references(void **state)
{
    fixture *f = *state;
    test_image old = add_image(f->store, "alpine:3", LAYERS("base", "old"));
    add_image(f->store, "alpine:3", LAYERS("base", "new"));
    char name[200];
    snprintf(name, sizeof(name), "alpine@%s", old.manifest.text);
    davit_removal_list_free(remove_names(f, DAVIT_REMOVE_FORCE, NAMES(name)));
    assert_false(has(f->store, &old.manifest));
    assert_true(has(f->store, &old.layers[0]));
    assert_false(has(f->store, &old.layers[1]));
}

static void remove__unknown_and_ambiguous_names(void **state)
{
    fixture *f = *state;
    char sixteen[17][8];
    for (int i = 0; i < 17; i++) { /* by then two ids begin alike */
        snprintf(sixteen[i], sizeof(sixteen[i]), "l%d", i);
        char name[32];
        snprintf(name, sizeof(name), "image:%d", i);
        add_image(f->store, name, LAYERS(sixteen[i]));
    }
    size_t ambiguous = 0;
    for (const char *digit = "0123456789abcdef"; *digit; digit++) {
        char name[] = {*digit, 0};
        davit_image_list *found = NULL;
        if (davit_store_find(outer(f), name, NULL, &found, NULL) != DAVIT_EINVAL) {
            davit_image_list_free(found);
            continue;
        }
        DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES(name));
        expect_steps(list, "EINVAL Failed: ambiguous digest string: %s\n", name);
        ambiguous++;
    }
    assert_true(ambiguous > 0);
    assert_int_equal(count_images(f), 17);
    static const struct {
        const char *name, *steps;
    } cases[] = {
        {"nope:1", "ENOTFOUND Failed: No such image: nope:1\n"},
        {"sha256:0123", "ENOTFOUND Failed: No such image: sha256:0123\n"},
        {"UPPER", "ENOTFOUND Failed: No such image: UPPER\n"},
        {"", "EINVAL Failed: image name cannot be blank\n"},
    };
    for (size_t i = 0; i < DV_COUNT(cases); i++) {
        DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES(cases[i].name));
        expect_steps(list, "%s", cases[i].steps);
    }
}

/* --- layers and blobs ------------------------------------------------------------------------------------------------- */

static void remove__shared_layer_survives_until_both_images_are_gone(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "a:1", LAYERS("base", "a")),
               b = add_image(f->store, "b:1", LAYERS("base", "b"));
    {
        DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("a:1"));
        expect_steps(list, "Untagged: a:1\nUntagged: a@%s\nDeleted: %s\nDeleted: %s\n", a.manifest.text,
                     a.config.text, a.chains[1].text);
        assert_true(has(f->store, &a.layers[0]));
        assert_false(has(f->store, &a.layers[1]));
    }
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("b:1"));
    expect_steps(list, "Untagged: b:1\nUntagged: b@%s\nDeleted: %s\nDeleted: %s\nDeleted: %s\n",
                 b.manifest.text, b.config.text, b.chains[1].text, b.chains[0].text);
    assert_int_equal(count_blobs(f), 0);
}

static void remove__several_names_at_once_count_layers_as_one_after_the_other(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "a:1", LAYERS("base", "a")),
               b = add_image(f->store, "b:1", LAYERS("base", "b"));
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("a:1", "nope", "b:1"));
    expect_steps(list,
                 "Untagged: a:1\nUntagged: a@%s\nDeleted: %s\nDeleted: %s\n"
                 "ENOTFOUND Failed: No such image: nope\n"
                 "Untagged: b:1\nUntagged: b@%s\nDeleted: %s\nDeleted: %s\nDeleted: %s\n",
                 a.manifest.text, a.config.text, a.chains[1].text, b.manifest.text, b.config.text,
                 b.chains[1].text, b.chains[0].text);
    assert_int_equal(count_blobs(f), 0);
}

static void remove__blob_of_a_shared_layer_in_another_order_stays(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "a:1", LAYERS("x", "y")),
               b = add_image(f->store, "b:1", LAYERS("y", "x"));
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("a:1"));
    expect_steps(list, "Untagged: a:1\nUntagged: a@%s\nDeleted: %s\nDeleted: %s\nDeleted: %s\n",
                 a.manifest.text, a.config.text, a.chains[1].text, a.chains[0].text);
    assert_true(has(f->store, &b.layers[0]) && has(f->store, &b.layers[1]));
}

static void remove__keep_blobs_leaves_them_to_prune(void **state)
{
    fixture *f = *state;
    add_image(f->store, "a:1", LAYERS("base"));
    davit_removal_list_free(remove_names(f, DAVIT_REMOVE_KEEP_BLOBS, NAMES("a:1")));
    assert_int_equal(count_blobs(f), 3);
    DV_AUTOPTR(davit_removal_list) list = prune(f, 0, 0);
    assert_int_equal(davit_removal_list_count(list), 0);
    assert_int_equal(davit_removal_list_reclaimed(list)->blobs, 3);
    assert_int_equal(count_blobs(f), 0);
}

static void remove__spares_blobs_that_it_has_no_business_with(void **state)
{
    fixture *f = *state;
    davit_digest unfinished = put_text(f->store, "of a pull that was cut short");
    add_image(f->store, "a:1", LAYERS("base"));
    davit_removal_list_free(remove_names(f, 0, NAMES("a:1")));
    assert_int_equal(count_blobs(f), 1);
    assert_true(has(f->store, &unfinished));
}

static void remove__unknown_flags_are_refused(void **state)
{
    fixture *f = *state;
    davit_removal_list *list = NULL;
    davit_prune_options options = {.version = 99};
    assert_int_equal(davit_store_remove(outer(f), NULL, 0, 1u << 20, &list, NULL), DAVIT_EINVAL);
    assert_int_equal(davit_store_prune(outer(f), &options, &list, NULL), DAVIT_EINVAL);
    options = (davit_prune_options){.version = DAVIT_PRUNE_OPTIONS_VERSION, .flags = 1u << 20};
    assert_int_equal(davit_store_prune(outer(f), &options, &list, NULL), DAVIT_EINVAL);
    assert_int_equal(davit_store_tag(outer(f), "a", "b", 1u << 20, NULL), DAVIT_EINVAL);
}

static void remove__store_for_reading_only(void **state)
{
    fixture *f = *state;
    davit_store *s = NULL;
    davit_removal_list *list = NULL;
    const char *const names[] = {"a:1"};
    add_image(f->store, "a:1", LAYERS("base"));
    assert_int_equal(davit_store_open(f->path, DAVIT_STORE_READ_ONLY, &s, NULL), 0);
    assert_int_equal(davit_store_remove(s, names, 1, 0, &list, NULL), DAVIT_ESTORE);
    assert_int_equal(davit_store_prune(s, NULL, &list, NULL), DAVIT_ESTORE);
    assert_int_equal(davit_store_tag(s, "a:1", "b:1", 0, NULL), DAVIT_ESTORE);
    davit_store_free(s);
}

/* --- indexes -------------------------------------------------------------------------------------------------------- */

static void remove__reference_to_an_index_takes_all_its_images_along(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("base", "amd"), NULL),
                           put_image(f->store, LAYERS("base", "arm"), NULL)};
    davit_digest index = put_index(f->store, images, 2);
    record_images(f->store, "multi:1", &index, images, 2);
    DV_AUTOPTR(davit_removal_list) list = remove_names(f, 0, NAMES("multi:1"));
    expect_steps(list,
                 "Untagged: multi:1\nUntagged: multi@%s\nDeleted: %s\nDeleted: %s\nDeleted: %s\nDeleted: %s\n"
                 "Deleted: %s\n",
                 index.text, images[0].config.text, images[0].chains[1].text, images[1].config.text,
                 images[1].chains[1].text, images[1].chains[0].text);
    assert_int_equal(count_blobs(f), 0);
}

static void remove__image_of_an_index_that_has_another_name_stays(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("amd"), NULL), put_image(f->store, LAYERS("arm"), NULL)};
    davit_digest index = put_index(f->store, images, 2);
    record_images(f->store, "multi:1", &index, images, 2);
    record_images(f->store, "single:1", NULL, images, 1);
    davit_removal_list_free(remove_names(f, 0, NAMES("multi:1")));
    assert_true(has(f->store, &images[0].manifest) && has(f->store, &images[0].layers[0]));
    assert_false(has(f->store, &images[1].manifest));
    assert_false(has(f->store, &images[1].layers[0]));
    assert_false(has(f->store, &index)); /* the image is recorded without it as well */
}

static void remove__content_of_an_index_without_image_rows_is_kept_with_it(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("amd"), NULL),
                           put_image(f->store, LAYERS("attestation"), NULL)};
    davit_digest index = put_index(f->store, images, 2);
    record_images(f->store, "multi:1", &index, images, 1);
    davit_removal_list_free(prune(f, 0, 0));
    assert_true(has(f->store, &images[1].layers[0]) && has(f->store, &images[1].config));
    davit_removal_list_free(remove_names(f, 0, NAMES("multi:1")));
    assert_int_equal(count_blobs(f), 0);
}

/* --- prune ----------------------------------------------------------------------------------------------------------- */

static void prune__dangling_images_only(void **state)
{
    fixture *f = *state;
    test_image old = add_image(f->store, "alpine:3", LAYERS("base", "old"));
    test_image now = add_image(f->store, "alpine:3", LAYERS("base", "new"));
    DV_AUTOPTR(davit_removal_list) list = prune(f, 0, 0);
    expect_steps(list, "Untagged: alpine@%s\nDeleted: %s\nDeleted: %s\n", old.manifest.text, old.config.text,
                 old.chains[1].text);
    assert_true(has(f->store, &now.layers[0]) && has(f->store, &now.layers[1]));
    assert_false(has(f->store, &old.layers[1]));
    assert_int_equal(davit_removal_list_reclaimed(list)->blobs, 3);
}

static void prune__all(void **state)
{
    fixture *f = *state;
    add_image(f->store, "a:1", LAYERS("base", "a"));
    add_image(f->store, "b:1", LAYERS("base", "b"));
    put_text(f->store, "of nobody");
    DV_AUTOPTR(davit_removal_list) list = prune(f, DAVIT_PRUNE_ALL, 0);
    assert_int_equal(davit_removal_list_count(list), 4 + 2 + 3);
    assert_int_equal(davit_removal_list_reclaimed(list)->blobs, 8);
    assert_int_equal(count_blobs(f), 0);
    assert_int_equal(count_images(f), 0);
}

static void prune__dry_run_says_the_same_and_changes_nothing(void **state)
{
    fixture *f = *state;
    add_image(f->store, "a:1", LAYERS("base", "a"));
    put_text(f->store, "of nobody");
    DV_AUTOPTR(davit_removal_list) dry = prune(f, DAVIT_PRUNE_ALL | DAVIT_PRUNE_DRY_RUN, 0);
    assert_int_equal(count_blobs(f), 5);
    assert_int_equal(count_images(f), 1);
    DV_AUTOPTR(davit_removal_list) real = prune(f, DAVIT_PRUNE_ALL, 0);
    DV_AUTOFREE char *would = steps_of(dry), *did = steps_of(real);
    assert_string_equal(would, did);
    assert_memory_equal(davit_removal_list_reclaimed(dry), davit_removal_list_reclaimed(real),
                        sizeof(davit_reclaimed));
    assert_int_equal(count_blobs(f), 0);
}

static void prune__until_counts_from_the_config(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *name, *created;
        bool goes;
    } cases[] = {
        {"before:1", ",\"created\":\"2020-01-01T00:00:00Z\"", true},
        {"after:1", ",\"created\":\"2020-01-01T00:00:01Z\"", false},
        {"never:1", "", true},
        {"fraction:1", ",\"created\":\"2019-12-31T23:59:59.999999999Z\"", true},
    };
    davit_digest ids[DV_COUNT(cases)];
    for (size_t i = 0; i < DV_COUNT(cases); i++) {
        test_image image = put_image(f->store, LAYERS(cases[i].name), cases[i].created);
        record_images(f->store, cases[i].name, NULL, &image, 1);
        ids[i] = image.config;
    }
    davit_removal_list_free(prune(f, DAVIT_PRUNE_ALL, 1577836801));
    for (size_t i = 0; i < DV_COUNT(cases); i++)
        if (has(f->store, &ids[i]) == cases[i].goes)
            fail_msg("%s %s", cases[i].name, cases[i].goes ? "stayed" : "went");
}

static void prune__until_takes_an_index_with_the_last_of_its_images(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("old"), ",\"created\":\"2020-01-01T00:00:00Z\""),
                           put_image(f->store, LAYERS("new"), ",\"created\":\"2022-01-01T00:00:00Z\"")};
    davit_digest index = put_index(f->store, images, 2);
    record_images(f->store, "multi:1", &index, images, 2);
    DV_AUTOPTR(davit_removal_list) early = prune(f, DAVIT_PRUNE_ALL, 1609459200); /* 2021 */
    assert_int_equal(davit_removal_list_count(early), 0);
    assert_int_equal(count_images(f), 2);
    DV_AUTOPTR(davit_removal_list) late = prune(f, DAVIT_PRUNE_ALL, 1672531200); /* 2023 */
    assert_int_equal(count_images(f), 0);
    assert_int_equal(count_blobs(f), 0);
}

static void prune__lost_config_keeps_an_image_that_is_asked_for_by_age(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "a:1", LAYERS("base"));
    char name[DV_CONTENT_NAME_MAX];
    assert_int_equal(dv_content_name(&a.config, name, NULL), 0);
    assert_int_equal(unlinkat(dv_store_dirfd(f->store), name, 0), 0);
    davit_removal_list_free(prune(f, DAVIT_PRUNE_ALL, 4000000000));
    assert_int_equal(count_images(f), 1);
    davit_removal_list_free(prune(f, DAVIT_PRUNE_ALL, 0));
    assert_int_equal(count_images(f), 0);
}

static void damage(const fixture *f, const davit_digest *digest)
{
    char name[DV_CONTENT_NAME_MAX];
    assert_int_equal(dv_content_name(digest, name, NULL), 0);
    assert_int_equal(fchmodat(dv_store_dirfd(f->store), name, 0600, 0), 0);
    int fd = openat(dv_store_dirfd(f->store), name, O_WRONLY);
    assert_int_equal(pwrite(fd, "#", 1, 3), 1);
    close(fd);
}

static void prune__damaged_manifest_keeps_every_blob(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "a:1", LAYERS("base"));
    put_text(f->store, "of nobody");
    damage(f, &a.manifest);
    DV_AUTOPTR(davit_removal_list) list = prune(f, 0, 0);
    assert_int_equal(davit_removal_list_count(list), 1);
    assert_int_equal(davit_removal_list_at(list, 0)->code, DAVIT_ESTORE);
    assert_non_null(strstr(davit_removal_list_at(list, 0)->text, "run 'davit fsck --repair'"));
    assert_int_equal(count_blobs(f), 4);
    /* The image itself can go; what it needed is not known, so that waits for the next prune. */
    DV_AUTOPTR(davit_removal_list) gone = remove_names(f, 0, NAMES("a:1"));
    assert_int_equal(davit_removal_list_count(gone), 4);
    davit_removal_list_free(prune(f, 0, 0));
    assert_int_equal(count_blobs(f), 0);
}

static void prune__ten_thousand_blobs_take_a_few_seconds(void **state)
{
    fixture *f = *state;
    enum { COUNT = 10000 };
    davit_error *err = NULL;
    test_image a = add_image(f->store, "a:1", LAYERS("base"));
    for (int i = 0; i < COUNT; i++) { /* as files: putting them would sync each */
        char text[32], name[DV_CONTENT_NAME_MAX];
        snprintf(text, sizeof(text), "blob %d", i);
        davit_digest digest = describe(text, strlen(text)).digest;
        assert_ok(dv_content_name(&digest, name, &err));
        int fd = openat(dv_store_dirfd(f->store), name, O_WRONLY | O_CREAT, 0444);
        assert_true(fd >= 0);
        close(fd);
    }
    uint64_t before_ms = dv_clock_ms();
    DV_AUTOPTR(davit_removal_list) list = prune(f, 0, 0);
    uint64_t took_ms = dv_clock_ms() - before_ms;
    assert_int_equal(davit_removal_list_reclaimed(list)->blobs, COUNT);
    assert_int_equal(count_blobs(f), 3);
    assert_true(has(f->store, &a.layers[0]));
    print_message("%d blobs pruned in %llu ms\n", COUNT, (unsigned long long)took_ms);
    assert_true(took_ms < 30000);
}

/* --- tag ------------------------------------------------------------------------------------------------------------- */

static void tag__table(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "a:1", LAYERS("a")), b = add_image(f->store, "b:1", LAYERS("b"));
    char id[13], by_digest[200], conflict[400];
    snprintf(id, sizeof(id), "%s", davit_digest_hex(&a.config));
    snprintf(by_digest, sizeof(by_digest), "a@%s", a.manifest.text);
    snprintf(conflict, sizeof(conflict),
             "tag b:1 is already set to image %s, use the force option to replace it", b.manifest.text);
    const struct {
        const char *source, *target;
        uint32_t flags;
        int code;
        const char *message;
    } cases[] = {
        {"a:1", "c:1", 0, 0, NULL},
        {"a:1", "c:1", DAVIT_TAG_NO_REPLACE, 0, NULL}, /* the same id: success */
        {"a:1", "c", 0, 0, NULL},
        {id, "d:1", 0, 0, NULL},
        {a.config.text, "d:2", 0, 0, NULL},
        {by_digest, "d:3", 0, 0, NULL},
        {"a:1", "b:1", DAVIT_TAG_NO_REPLACE, DAVIT_ECONFLICT, conflict},
        {"a:1", by_digest, 0, DAVIT_EINVAL, "refusing to create a tag with a digest reference"},
        {"a:1", "sha256:x", 0, DAVIT_EINVAL,
         "refusing to create an ambiguous tag using digest algorithm as name"},
        {"a:1", "UPPER:1", 0, DAVIT_EINVAL, NULL},
        {"nope", "c:1", 0, DAVIT_ENOTFOUND, "No such image: nope"},
        {"a", "c:1", 0, DAVIT_ENOTFOUND, "No such image: a"},
        {"a:1", "b:1", 0, 0, NULL}, /* moved */
    };
    for (size_t i = 0; i < DV_COUNT(cases); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        davit_image_list *list = NULL;
        int r = davit_store_tag(outer(f), cases[i].source, cases[i].target, cases[i].flags, &err);
        if (r != cases[i].code ||
            (cases[i].message && strcmp(davit_error_message(err), cases[i].message) != 0))
            fail_msg("%s as %s: %s: %s", cases[i].source, cases[i].target, davit_code_name(r),
                     davit_error_message(err));
        if (r < 0)
            continue;
        assert_int_equal(davit_store_find(outer(f), cases[i].target, NULL, &list, NULL), 0);
        assert_string_equal(davit_image_list_at(list, 0)->config.text, a.config.text);
        davit_image_list_free(list);
    }
    davit_removal_list_free(prune(f, 0, 0)); /* b:1 went elsewhere: its image was dangling */
    assert_false(has(f->store, &b.manifest));
}

static void tag__of_a_reference_keeps_the_index(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("amd"), NULL)};
    davit_digest index = put_index(f->store, images, 1), target;
    record_images(f->store, "multi:1", &index, images, 1);
    tag(f, "multi:1", "copy:1");
    assert_int_equal(davit_store_resolve(outer(f), "copy:1", &target, NULL), 0);
    assert_string_equal(target.text, index.text);
    tag(f, images[0].config.text, "image:1");
    assert_int_equal(davit_store_resolve(outer(f), "image:1", &target, NULL), 0);
    assert_string_equal(target.text, images[0].manifest.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(remove__last_tag_takes_digest_references_image_and_layers_along),
        store_test(remove__other_tag_of_the_repository_keeps_digest_references),
        store_test(remove__tag_in_another_repository_keeps_the_image_but_not_the_digests),
        store_test(remove__digest_reference_goes_alone_while_there_is_a_tag),
        store_test(remove__digest_reference_that_is_the_last_takes_the_image_along),
        store_test(remove__tag_with_digest_means_the_digest),
        store_test(remove__name_without_tag_means_latest),
        store_test(remove__image_that_another_digest_reference_names_stays),
        store_test(remove__id_with_one_tag_and_digests_takes_all_along),
        store_test(remove__id_with_algorithm),
        store_test(remove__id_in_several_repositories_is_a_conflict),
        store_test(remove__id_with_two_tags_of_one_repository_is_a_conflict),
        store_test(remove__id_without_references),
        store_test(remove__unknown_and_ambiguous_names),
        store_test(remove__shared_layer_survives_until_both_images_are_gone),
        store_test(remove__several_names_at_once_count_layers_as_one_after_the_other),
        store_test(remove__blob_of_a_shared_layer_in_another_order_stays),
        store_test(remove__keep_blobs_leaves_them_to_prune),
        store_test(remove__spares_blobs_that_it_has_no_business_with),
        store_test(remove__unknown_flags_are_refused),
        store_test(remove__store_for_reading_only),
        store_test(remove__reference_to_an_index_takes_all_its_images_along),
        store_test(remove__image_of_an_index_that_has_another_name_stays),
        store_test(remove__content_of_an_index_without_image_rows_is_kept_with_it),
        store_test(prune__dangling_images_only),
        store_test(prune__all),
        store_test(prune__dry_run_says_the_same_and_changes_nothing),
        store_test(prune__until_counts_from_the_config),
        store_test(prune__until_takes_an_index_with_the_last_of_its_images),
        store_test(prune__lost_config_keeps_an_image_that_is_asked_for_by_age),
        store_test(prune__damaged_manifest_keeps_every_blob),
        store_test(prune__ten_thousand_blobs_take_a_few_seconds),
        store_test(tag__table),
        store_test(tag__of_a_reference_keeps_the_index),
    };
    return cmocka_run_group_tests_name("store/image_remove", tests, NULL, NULL);
}
