/*
 * Unit test of distribution/pull_own.c and own_blob.c: each allocation on the calling thread fails once, and the pull ends well or
 * with a reason, leaves no reference that lies, and succeeds the next time.
 */
#include "../../support/failing_malloc.h"
#include "own_test.h"

static bool is_in_table(void)
{
    return in_table > 0;
}

/* The one allocation without which nothing can go on: it aborts (net/loop.c). */
void __real_dv_loop_barrier(dv_loop *loop);
void __wrap_dv_loop_barrier(dv_loop *loop);

void __wrap_dv_loop_barrier(dv_loop *loop)
{
    in_table++;
    __real_dv_loop_barrier(loop);
    in_table--;
}

static int pull(fixture *f, own *o, unsigned n, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = reference(f, ":1.0");
    davit_image_pull_config config = DAVIT_IMAGE_PULL_CONFIG_INIT;
    config.config = &o->config;
    fail_allocation(n);
    int r = davit_distribution_pull(f->client, ref, &config, &o->content, NULL, err);
    fail_allocation(0);
    return r;
}

static void distribution_pull__any_allocation_may_fail(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = plain_image(2, 3);
    char tag[200];
    snprintf(tag, sizeof(tag), "%s/app:1.0", script_host(f->script));
    spare_allocations_while(is_in_table);
    serve_image(f->script, &i, "1.0", (script_row){0});
    for (unsigned n = 1;; n++) {
        DV_AUTOPTR(own) o = own_new();
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTOPTR(davit_error) again = NULL;
        o->config.metadata = &o->metadata;
        int r = pull(f, o, n, &err);
        if (!allocation_failed()) {
            assert_int_equal(r, 0);
            if (n < 50)
                fail_msg("only %u allocations", n);
            return;
        }
        if ((r == 0) != (find_kept(o, "ref", tag) != NULL))
            fail_msg("allocation %u: %s: %s, and the tag is there or not", n, davit_code_name(r),
                     davit_error_message(err));
        if (pull(f, o, 0, &again) < 0)
            fail_msg("after allocation %u: %s", n, davit_error_message(again));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(distribution_pull__any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
