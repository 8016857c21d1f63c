#include "failing_malloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRIES_MAX 20000 /* allocations of one case; more is a case that never ends */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static _Thread_local unsigned of_this_thread; /* 1 fails the next one; 0 none */
static atomic_long of_any, live; /* the same for all threads together; given and not taken back */
static atomic_bool any_armed, all_behind, hit;
static bool (*is_spared)(void);

static bool this_one_fails(void)
{
    if ((!of_this_thread && !atomic_load(&any_armed)) || (is_spared && is_spared()))
        return false;
    bool fails = of_this_thread > 0 && --of_this_thread == 0;
    if (atomic_load(&any_armed)) {
        long left = atomic_fetch_sub(&of_any, 1);
        fails = fails || left == 1 || (left < 1 && atomic_load(&all_behind));
    }
    if (fails)
        atomic_store(&hit, true);
    return fails;
}

void *__wrap_malloc(size_t size)
{
    void *p = this_one_fails() ? NULL : __real_malloc(size);
    atomic_fetch_add(&live, p != NULL);
    return p;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *p = this_one_fails() ? NULL : __real_calloc(count, size);
    atomic_fetch_add(&live, p != NULL);
    return p;
}

void *__wrap_realloc(void *p, size_t size)
{
    bool is_new = !p;
    void *grown = this_one_fails() ? NULL : __real_realloc(p, size);
    atomic_fetch_add(&live, grown && is_new);
    return grown;
}

void __wrap_free(void *p)
{
    atomic_fetch_sub(&live, p != NULL);
    __real_free(p);
}

void fail_allocation(unsigned n)
{
    of_this_thread = n;
    if (n > 0)
        atomic_store(&hit, false);
    else
        atomic_store(&any_armed, false);
}

bool allocation_failed(void)
{
    return atomic_load(&hit);
}

void spare_allocations_while(bool (*spared)(void))
{
    is_spared = spared;
}

long live_allocations(void)
{
    return atomic_load(&live);
}

static unsigned run_nth(const char *name, fallible_fn *run, void *user, int expected, long n, bool behind)
{
    davit_error *err = NULL;
    unsigned wrong = 0;
    const char *forever = behind ? " and all behind" : "";
    long before = live_allocations();
    atomic_store(&hit, false);
    atomic_store(&all_behind, behind);
    atomic_store(&of_any, n);
    atomic_store(&any_armed, true);
    int r = run(user, &err);
    fail_allocation(0);
    int told = davit_error_code(err);
    if (r != expected && (!atomic_load(&hit) || r != DAVIT_ENOMEM) && ++wrong)
        print_error("%s: allocation %ld%s: %s: %s\n", name, n, forever, davit_code_name(r),
                    davit_error_message(err));
    if ((r < 0 ? told != r && told != DAVIT_ENOMEM : told != 0) && ++wrong)
        print_error("%s: allocation %ld%s: %s, and the error says %s\n", name, n, forever, davit_code_name(r),
                    davit_code_name(told));
    davit_error_free(err);
    long lost = live_allocations() - before;
    if (lost != 0 && ++wrong)
        print_error("%s: allocation %ld%s: %ld lost\n", name, n, forever, lost);
    return wrong;
}

unsigned fail_each_allocation(const char *name, fallible_fn *run, void *user, int expected)
{
    unsigned wrong = 0;
    for (int behind = 0; behind < 2; behind++) {
        long n = 0;
        do
            wrong += run_nth(name, run, user, expected, ++n, behind);
        while (atomic_load(&hit) && n < TRIES_MAX);
        if ((n == 1 || n == TRIES_MAX) && ++wrong)
            print_error("%s: %s\n", name, n == 1 ? "allocates nothing" : "never ends");
    }
    return wrong;
}
