/*
 * tests/support/failing_malloc.h - this program's allocations, of which the nth fails (STYLE 10).
 *
 * The linker sends every malloc() of our own libraries and of the test to failing_malloc.c (no_memory_args of tests/unit/meson.build);
 * shared libraries (jansson, OpenSSL, SQLite) keep theirs.
 */
#ifndef DV_TESTS_FAILING_MALLOC_H
#define DV_TESTS_FAILING_MALLOC_H

#include "davit/error.h"

#include <stdbool.h>

/* A case: does its work, releases all of it, and says how the work ended. */
typedef int fallible_fn(void *user, davit_error **err);

/*
 * Runs it with its nth allocation failing, on whichever thread, alone and then with all behind it, for every n. It has to end with expected,
 * or with DAVIT_ENOMEM once one failed; an error has to come with its story and nothing may be lost: live allocations are counted, so that
 * a leak shows without a sanitizer as well. What is wrong is printed; returns how much that was.
 */
unsigned fail_each_allocation(const char *name, fallible_fn *run, void *user, int expected);

/* The nth allocation of this thread from here on fails, once: 1 is the next. 0: none does any more, not even for fail_each_allocation(). */
void fail_allocation(unsigned n);
/* Whether one failed, on any thread, since one was last named. */
bool allocation_failed(void);
/* Those that are made while this says so are spared, and do not count. */
void spare_allocations_while(bool (*spared)(void));

/* Given and not taken back, by all threads. */
long live_allocations(void);

#endif
