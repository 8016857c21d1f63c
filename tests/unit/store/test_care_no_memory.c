/*
 * Failing the nth allocation of what cares for a store, for every n (STYLE 10): no memory or success, and nothing half done. Removals run dry, so that every round finds the same store.
 */
#include "../../support/failing_malloc.h"
#include "image_test.h"

#include "store/fsck.h"

typedef int case_fn(davit_store *s, davit_error **err);

static int prune_dry(davit_store *s, davit_error **err)
{
    davit_removal_list *list = NULL;
    davit_prune_options options = DAVIT_PRUNE_OPTIONS_INIT;
    options.flags = DAVIT_PRUNE_ALL | DAVIT_PRUNE_DRY_RUN;
    options.until_s = 4000000000;
    int r = davit_store_prune(s, &options, &list, err);
    davit_removal_list_free(list);
    return r;
}

static int remove_nothing(davit_store *s, davit_error **err)
{
    static const char *const names[] = {"nope:1", "0123456789"};
    davit_removal_list *list = NULL;
    int r = davit_store_remove(s, names, 2, 0, &list, err);
    davit_removal_list_free(list);
    return r;
}

static int tag_again(davit_store *s, davit_error **err)
{
    int r = davit_store_tag(s, "multi:1", "same:1", 0, err);
    return r < 0 ? r : davit_store_tag(s, "a:1", "other:1", 0, err);
}

static int get_usage(davit_store *s, davit_error **err)
{
    davit_usage *usage = NULL;
    int r = davit_store_get_usage(s, &usage, err);
    davit_usage_free(usage);
    return r;
}

static int check(davit_store *s, davit_error **err)
{
    davit_fsck_report *report = NULL;
    int r = davit_store_fsck(s, DAVIT_FSCK_FULL, &report, err);
    davit_fsck_report_free(report);
    return r;
}

typedef struct care {
    const fixture *f;
    case_fn *run;
} care;

/* With a store of its own, so that statements are prepared anew. */
static int open_and_run(void *user, davit_error **err)
{
    const care *c = user;
    davit_store *s = NULL;
    int r = davit_store_open(c->f->path, 0, &s, err);
    if (r == 0)
        r = c->run(s, err);
    davit_store_free(s);
    return r;
}

static void care__survives_any_failed_allocation(void **state)
{
    static const struct {
        const char *name;
        case_fn *run;
    } cases[] = {
        {"prune", prune_dry}, {"rmi", remove_nothing}, {"tag", tag_again}, {"df", get_usage}, {"fsck", check},
    };
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("base", "amd"), NULL),
                           put_image(f->store, LAYERS("base", "arm"), NULL)};
    davit_digest index = put_index(f->store, images, 2);
    record_images(f->store, "multi:1", &index, images, 2);
    test_image a = add_image(f->store, "a:1", LAYERS("base", "lost"));
    char name[DV_CONTENT_NAME_MAX];
    assert_int_equal(dv_content_name(&a.layers[1], name, NULL), 0);
    assert_int_equal(unlinkat(dv_store_dirfd(f->store), name, 0), 0);
    put_text(f->store, "of nobody");
    assert_int_equal(davit_store_tag(outer(f), "multi:1", "same:1", 0, NULL), 0);
    assert_int_equal(davit_store_tag(outer(f), "a:1", "other:1", 0, NULL), 0);
    unsigned wrong = 0;
    size_t blobs = count_files(f, "blobs/sha256");
    for (size_t i = 0; i < DV_COUNT(cases); i++)
        wrong += fail_each_allocation(cases[i].name, open_and_run, &(care){f, cases[i].run}, 0);
    assert_int_equal(wrong, 0);
    assert_int_equal(count_files(f, "blobs/sha256"), blobs);
    assert_int_equal(count_files(f, "leases"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {store_test(care__survives_any_failed_allocation)};
    return cmocka_run_group_tests_name("store/care_no_memory", tests, NULL, NULL);
}
