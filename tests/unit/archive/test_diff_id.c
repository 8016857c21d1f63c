/* Unit tests of archive/diff_id.c. */
#include "archive/diff_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#define OF_NOTHING "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OF_ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* The step behind: what it was given, and whether it fails. */
typedef struct tail {
    dv_sink sink;
    char got[16];
    size_t size;
    bool finished, fails;
} tail;

static int tail_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    tail *t = (tail *)s;
    if (t->fails)
        return dv_error_set(err, DAVIT_EIO, "full");
    assert_true(t->size + size <= sizeof(t->got));
    memcpy(t->got + t->size, bytes, size);
    t->size += size;
    return 0;
}

static int tail_finish(dv_sink *s, davit_error **err)
{
    ((tail *)s)->finished = true;
    return ((tail *)s)->fails ? dv_error_set(err, DAVIT_EFORMAT, "unfinished") : 0;
}

#define TAIL_INIT                                             \
    {                                                         \
        .sink = {.write = tail_write, .finish = tail_finish } \
    }

static void diff_id__pieces_give_the_digest_of_the_whole(void **state)
{
    static const struct {
        const char *pieces[4];
        const char *whole, *expected;
    } rows[] = {
        {{NULL}, "", OF_NOTHING},
        {{"", "", NULL}, "", OF_NOTHING},
        {{"abc", NULL}, "abc", OF_ABC},
        {{"a", "b", "c", NULL}, "abc", OF_ABC},
        {{"ab", "", "c", NULL}, "abc", OF_ABC},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        tail t = TAIL_INIT;
        DV_AUTO(dv_diff_id_sink) d = DV_DIFF_ID_INIT;
        davit_digest got;
        assert_int_equal(dv_diff_id_init(&d, &t.sink, NULL), 0);
        for (const char *const *p = rows[i].pieces; *p; p++)
            assert_int_equal(dv_sink_write(&d.sink, *p, strlen(*p), NULL), 0);
        assert_int_equal(dv_sink_finish(&d.sink, NULL), 0);
        dv_diff_id_get(&d, &got);
        assert_string_equal(got.text, rows[i].expected);
        assert_int_equal(d.size, strlen(rows[i].whole));
        assert_int_equal(t.size, strlen(rows[i].whole));
        assert_memory_equal(t.got, rows[i].whole, t.size);
        assert_true(t.finished);
    }
}

static void diff_id__is_the_end_of_the_chain_without_a_next_step(void **state)
{
    DV_AUTO(dv_diff_id_sink) d = DV_DIFF_ID_INIT;
    davit_digest got;
    assert_int_equal(dv_diff_id_init(&d, NULL, NULL), 0);
    assert_int_equal(dv_sink_write(&d.sink, "abc", 3, NULL), 0);
    assert_int_equal(dv_sink_finish(&d.sink, NULL), 0);
    dv_diff_id_get(&d, &got);
    assert_string_equal(got.text, OF_ABC);
}

static void diff_id__a_failure_behind_it_is_handed_on(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_diff_id_sink) d = DV_DIFF_ID_INIT;
    tail t = TAIL_INIT;
    t.fails = true;
    assert_int_equal(dv_diff_id_init(&d, &t.sink, NULL), 0);
    assert_int_equal(dv_sink_write(&d.sink, "abc", 3, &err), DAVIT_EIO);
    assert_string_equal(davit_error_message(err), "full");
    assert_int_equal(dv_sink_finish(&d.sink, NULL), DAVIT_EFORMAT);
}

static void diff_id_check__tells_both_digests(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_diff_id_sink) d = DV_DIFF_ID_INIT;
    davit_digest right, wrong;
    assert_int_equal(davit_digest_parse(OF_ABC, &right, NULL), 0);
    assert_int_equal(davit_digest_parse(OF_NOTHING, &wrong, NULL), 0);
    assert_int_equal(dv_diff_id_init(&d, NULL, NULL), 0);
    assert_int_equal(dv_sink_write(&d.sink, "abc", 3, NULL), 0);
    assert_int_equal(dv_sink_finish(&d.sink, NULL), 0);
    assert_int_equal(dv_diff_id_check(&d, &right, "x", &err), 0);
    assert_null(err);
    assert_int_equal(dv_diff_id_check(&d, &wrong, "x", &err), DAVIT_EDIGEST);
    assert_string_equal(davit_error_message(err),
                        "layer x: its content is " OF_ABC ", and the image says " OF_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diff_id__pieces_give_the_digest_of_the_whole),
        cmocka_unit_test(diff_id__is_the_end_of_the_chain_without_a_next_step),
        cmocka_unit_test(diff_id__a_failure_behind_it_is_handed_on),
        cmocka_unit_test(diff_id_check__tells_both_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
