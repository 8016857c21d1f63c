/*
 * Failing the nth allocation of what cares for a store, for every n (STYLE 10): no memory or success, and nothing half done. SQLite and
 * jansson keep their own allocations. Removals run dry, so that every round finds the same store.
 */
#include "image_test.h"

#include "store/fsck.h"

static bool armed, hit, all_behind;
static long left, live;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static bool fails(void)
{
    if (!armed)
        return false;
    if (hit)
        return all_behind;
    hit = left-- == 0;
    return hit;
}

void *__wrap_malloc(size_t size)
{
    void *p = fails() ? NULL : __real_malloc(size);
    live += p != NULL;
    return p;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *p = fails() ? NULL : __real_calloc(count, size);
    live += p != NULL;
    return p;
}

void *__wrap_realloc(void *p, size_t size)
{
    void *grown = fails() ? NULL : __real_realloc(p, size);
    live += grown && !p;
    return grown;
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

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

/* With a store of its own, so that statements are prepared anew. False: the nth allocation was never reached. */
static bool run_nth(const fixture *f, const char *name, case_fn *run, long n, bool forever)
{
    DV_AUTOPTR(davit_error) err = NULL;
    davit_store *s = NULL;
    long before = live;
    assert_int_equal(davit_store_open(f->path, 0, &s, NULL), 0);
    hit = false;
    all_behind = forever;
    left = n;
    armed = true;
    int r = run(s, &err);
    armed = false;
    davit_store_free(s);
    if ((r != 0 && (!hit || r != DAVIT_ENOMEM)) || (r < 0) != (err != NULL))
        fail_msg("%s: allocation %ld%s: %s: %s", name, n, forever ? " and all behind" : "",
                 davit_code_name(r), davit_error_message(err));
    davit_error_free(err);
    err = NULL;
    if (live != before)
        fail_msg("%s: allocation %ld%s: %ld lost", name, n, forever ? " and all behind" : "", live - before);
    return hit;
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
    size_t blobs = count_files(f, "blobs/sha256");
    for (size_t i = 0; i < DV_COUNT(cases); i++)
        for (int forever = 0; forever < 2; forever++) {
            long n = 0;
            while (run_nth(f, cases[i].name, cases[i].run, n, forever))
                n++;
            print_message("%s: %ld allocations\n", cases[i].name, n);
            assert_true(n > 0);
        }
    assert_int_equal(count_files(f, "blobs/sha256"), blobs);
    assert_int_equal(count_files(f, "leases"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {store_test(care__survives_any_failed_allocation)};
    return cmocka_run_group_tests_name("store/care_no_memory", tests, NULL, NULL);
}
