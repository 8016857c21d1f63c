/* Unit tests of archive/unpack_whiteout.c: what layers take away, in every order (store.md 9.2; threats D5). */
#include "../../support/unpack_layers.h"
#include "archive/unpack_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LAYER(...) ((const row[]){__VA_ARGS__, {0}})

static const row lower[] = {
    DIR_ROW("d"),
    FILE_ROW("d/a", "1"),
    FILE_ROW("d/b", "1"),
    DIR_ROW("d/sub"),
    FILE_ROW("d/sub/x", "1"),
    FILE_ROW("top", "1"),
    {0},
};

static void whiteout__removes_what_lower_layers_left(void **state)
{
    const unpack_case cases[] = {
        {"a file",
         {lower, LAYER(FILE_ROW("d/.wh.a", ""))},
         "d d\nf d/b =1\nd d/sub\nf d/sub/x =1\nf top =1\n"},
        {"a tree", {lower, LAYER(FILE_ROW("d/.wh.sub", ""))}, "d d\nf d/a =1\nf d/b =1\nf top =1\n"},
        {"in the root", {lower, LAYER(FILE_ROW("./.wh.d", ""))}, "f top =1\n"},
        {"absent is fine", {lower, LAYER(FILE_ROW(".wh.none", ""), FILE_ROW(".wh.d", ""))}, "f top =1\n"},
        {"a directory entry is one too", {lower, LAYER(DIR_ROW(".wh.d/"))}, "f top =1\n"},
        {"only of the layers below",
         {lower, LAYER(FILE_ROW(".wh.d", "")), LAYER(FILE_ROW("d/new", "3"))},
         "d d\nf d/new =3\nf top =1\n"},
        {"a link, and not what it leads to",
         {LAYER(DIR_ROW("d"), FILE_ROW("d/a", "1"), LINK_ROW("l", "d")), LAYER(FILE_ROW(".wh.l", ""))},
         "d d\nf d/a =1\n"},
        {"through a link, within the root",
         {LAYER(DIR_ROW("d"), FILE_ROW("d/a", "1"), LINK_ROW("l", "/d")), LAYER(FILE_ROW("l/.wh.a", ""))},
         "d d\nl l -> /d\n"},
        {"in the lowest layer there is nothing to remove",
         {LAYER(FILE_ROW("a", "1"), FILE_ROW(".wh.a", ""), FILE_ROW(".wh..wh..opq", ""))},
         "f a =1\n"},
        {"makes the directory it stands in", {LAYER(FILE_ROW("new/.wh.a", ""))}, "d new\n"},
        {"data of a marker is dropped",
         {LAYER(FILE_ROW(".wh.a", "data")), LAYER(FILE_ROW("d/.wh..wh..opq", "x"))},
         "d d\n"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

static void whiteout__never_removes_what_its_own_layer_has(void **state)
{
    const char *const replaced = "d d\nf d/a =2\nf d/b =1\nd d/sub\nf d/sub/x =1\nf top =1\n";
    const char *const merged = "d d\nf d/a =1\nf d/b =1\nd d/sub\nf d/sub/y =2\nf top =1\n";
    const unpack_case cases[] = {
        {"entry, then marker", {lower, LAYER(FILE_ROW("d/a", "2"), FILE_ROW("d/.wh.a", ""))}, replaced},
        {"marker, then entry", {lower, LAYER(FILE_ROW("d/.wh.a", ""), FILE_ROW("d/a", "2"))}, replaced},
        {"directory: marker first",
         {lower, LAYER(FILE_ROW("d/.wh.sub", ""), DIR_ROW("d/sub"), FILE_ROW("d/sub/y", "2"))},
         merged},
        {"directory: marker between",
         {lower, LAYER(DIR_ROW("d/sub"), FILE_ROW("d/.wh.sub", ""), FILE_ROW("d/sub/y", "2"))},
         merged},
        {"directory: marker last",
         {lower, LAYER(DIR_ROW("d/sub"), FILE_ROW("d/sub/y", "2"), FILE_ROW("d/.wh.sub", ""))},
         merged},
        {"directory without an entry: marker last",
         {lower, LAYER(FILE_ROW("d/sub/y", "2"), FILE_ROW("d/.wh.sub", ""))},
         merged},
        {"what is written through a link stays by its real name",
         {LAYER(DIR_ROW("usr"), DIR_ROW("usr/lib"), FILE_ROW("usr/lib/old", "1"), LINK_ROW("lib", "usr/lib")),
          LAYER(FILE_ROW("lib/new", "2"), FILE_ROW("usr/.wh.lib", ""))},
         "l lib -> usr/lib\nd usr\nd usr/lib\nf usr/lib/new =2\n"},
        {"a whole directory of its own",
         {lower, LAYER(FILE_ROW("top2/deep/er/f", "2"), FILE_ROW(".wh.top2", ""),
                       FILE_ROW("top2/deep/.wh.er", ""), FILE_ROW(".wh.d", ""))},
         "f top =1\nd top2\nd top2/deep\nd top2/deep/er\nf top2/deep/er/f =2\n"},
        {"a hard link of its own, and the lower name goes",
         {lower, LAYER(HARD_ROW("d/copy", "d/a"), FILE_ROW("d/.wh.a", ""))},
         "d d\nf d/b =1\nf d/copy =1\nd d/sub\nf d/sub/x =1\nf top =1\n"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

static void opaque__only_this_layer_shows_in_every_order(void **state)
{
    const char *const expected = "d d\nf d/a =2\nd d/sub\nf d/sub/y =2\nf top =1\n";
    const unpack_case cases[] = {
        {"before",
         {lower, LAYER(DIR_ROW("d"), FILE_ROW("d/.wh..wh..opq", ""), FILE_ROW("d/a", "2"),
                       FILE_ROW("d/sub/y", "2"))},
         expected},
        {"between",
         {lower, LAYER(DIR_ROW("d"), FILE_ROW("d/a", "2"), FILE_ROW("d/.wh..wh..opq", ""),
                       FILE_ROW("d/sub/y", "2"))},
         expected},
        {"after",
         {lower, LAYER(FILE_ROW("d/a", "2"), FILE_ROW("d/sub/y", "2"), DIR_ROW("d"),
                       FILE_ROW("d/.wh..wh..opq", ""))},
         expected},
        {"twice",
         {lower, LAYER(FILE_ROW("d/.wh..wh..opq", ""), FILE_ROW("d/a", "2"), FILE_ROW("d/sub/y", "2"),
                       FILE_ROW("d/.wh..wh..opq", ""))},
         expected},
        {"with a whiteout too",
         {lower, LAYER(FILE_ROW("d/a", "2"), FILE_ROW("d/.wh.a", ""), FILE_ROW("d/.wh..wh..opq", ""),
                       FILE_ROW("d/sub/y", "2"))},
         expected},
        {"of a directory that is described after it, and removed",
         {lower, LAYER(FILE_ROW("d/.wh..wh..opq", ""), FILE_ROW("d/.wh.a", ""), DIR_ROW("d"),
                       FILE_ROW(".wh.d", ""))},
         "d d\nf top =1\n"},
        {"of the root", {lower, LAYER(FILE_ROW("n/f", "2"), FILE_ROW(".wh..wh..opq", ""))}, "d n\nf n/f =2\n"},
        {"through a link",
         {LAYER(FILE_ROW("d/a", "1"), LINK_ROW("l", "d")),
          LAYER(FILE_ROW("l/b", "2"), FILE_ROW("l/.wh..wh..opq", ""))},
         "d d\nf d/b =2\nl l -> d\n"},
        {"of a missing directory",
         {lower, LAYER(FILE_ROW("n/.wh..wh..opq", ""), FILE_ROW(".wh.d", ""), FILE_ROW(".wh.top", ""))},
         "d n\n"},
        {"of a directory that replaces a file",
         {lower, LAYER(DIR_ROW("top"), FILE_ROW("top/f", "2"), FILE_ROW("top/.wh..wh..opq", ""),
                       FILE_ROW(".wh.d", ""))},
         "d top\nf top/f =2\n"},
        {"removes a link and what was written through it stays",
         {LAYER(FILE_ROW("r/f", "1"), LINK_ROW("d/l", "../r"), FILE_ROW("d/x", "1")),
          LAYER(FILE_ROW("d/l/g", "2"), FILE_ROW("d/.wh..wh..opq", ""), FILE_ROW("d/l/h", "2"))},
         "d d\nd d/l\nf d/l/h =2\nd r\nf r/f =1\nf r/g =2\n"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

static void d5__markers_name_one_ordinary_component(void **state)
{
    const unpack_case cases[] = {
        {"empty", {lower, LAYER(FILE_ROW("d/.wh.", ""))}, NULL, ".wh."},
        {"dot", {lower, LAYER(FILE_ROW("d/.wh..", ""))}, NULL, ".wh.."},
        {"dot dot", {lower, LAYER(FILE_ROW("d/.wh...", ""))}, NULL, ".wh..."},
        {"dot dot in the lowest layer", {LAYER(FILE_ROW(".wh...", ""))}, NULL, ".wh..."},
        {"below a link to outside",
         {LAYER(LINK_ROW("l", "@/outside")), LAYER(FILE_ROW("l/.wh.victim", ""))},
         "l l -> %\n"},
        {"through .. in the name",
         {lower, LAYER(FILE_ROW("d/../../outside/.wh.victim", ""))},
         NULL,
         "is outside of"},
        {"other marks of AUFS are dropped",
         {lower, LAYER(FILE_ROW(".wh..wh.aufs", "x"), DIR_ROW(".wh..wh.orph"), DIR_ROW(".wh..wh.plnk"),
                       FILE_ROW("d/.wh..wh.foo", ""), FILE_ROW(".wh.d", ""))},
         "f top =1\n"},
        {"a whiteout of what was in a directory that is a file now",
         {lower, LAYER(FILE_ROW("top/.wh.x", ""), FILE_ROW(".wh.d", ""))},
         "f top =1\n"},
        {"an opaque marker's directory that is a file",
         {lower, LAYER(FILE_ROW("top/.wh..wh..opq", ""))},
         NULL,
         "not a directory"},
    };
    for (size_t i = 0; i < DV_COUNT(cases); i++) {
        if (cases[i].tree && strchr(cases[i].tree, '%'))
            continue; /* its text holds the sandbox's path: below */
        check_unpack_cases(&cases[i], 1, NULL);
    }
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(1 << 20);
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, cases[4].layers, NULL, &u, NULL), 0);
    tree_text(s.root_fd, false, &got);
    assert_non_null(strstr(dv_buf_text(&got), "l l -> /"));
    assert_true(sandbox_leave(&s));
}

static void aufs__kept_files_are_the_sources_of_hard_links(void **state)
{
    const unpack_case cases[] = {
        {"two names of one kept file",
         {LAYER(DIR_ROW(".wh..wh.plnk"),
                {.name = ".wh..wh.plnk/86.1", .text = "kept", .mode = 04755, .uid = 3, .gid = 4},
                HARD_ROW("a", ".wh..wh.plnk/86.1"), HARD_ROW("d/b", "./.wh..wh.plnk/86.1"))},
         "f 4755 3:4 a #2 =kept\nd d\nf 4755 3:4 d/b #2 =kept\n"},
        {"in an upper layer with an opaque root",
         {lower, LAYER({.name = ".wh..wh.plnk/7", .text = "k"}, FILE_ROW(".wh..wh..opq", ""),
                       HARD_ROW("a", "/.wh..wh.plnk/7"))},
         "f a =k\n"},
        {"by base name",
         {LAYER(FILE_ROW(".wh..wh.plnk/x/7", "k"), HARD_ROW("a", ".wh..wh.plnk/7"))},
         "f a =k\n"},
        {"unknown", {LAYER(HARD_ROW("a", ".wh..wh.plnk/7"))}, NULL, "invalid aufs hardlink"},
        {"of another layer",
         {LAYER(FILE_ROW(".wh..wh.plnk/7", "k")), LAYER(HARD_ROW("a", ".wh..wh.plnk/7"))},
         NULL,
         "invalid aufs hardlink"},
        {"nothing of them stays",
         {LAYER(FILE_ROW(".wh..wh.plnk/7", "k"), LINK_ROW(".wh..wh.plnk/l", "x"))},
         ""},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

static void whiteout__times_of_directories_stay_the_images(void **state)
{
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(1 << 20);
    const row *const layers[] = {
        LAYER(DIR_ROW("d", .mtime = 111), DIR_ROW("d/e", .mtime = 222), FILE_ROW("d/e/x", "1"),
              FILE_ROW("d/e/y", "1")),
        LAYER(FILE_ROW("d/e/.wh.x", ""), FILE_ROW("d/e/z", "2")),
        LAYER(FILE_ROW("d/e/w", "3"), FILE_ROW("d/.wh.e", "")),
        NULL,
    };
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, layers, NULL, &u, NULL), 0);
    tree_text(s.root_fd, true, &got);
    assert_string_equal(dv_buf_text(&got),
                        "d d @111.000000000\nd d/e @222.000000000\nf d/e/w =3 @1000000.000000000\n");
    assert_int_equal(dv_unpack_get_report(u)->whiteouts, 2);
    assert_true(sandbox_leave(&s));
}

/* Otherwise a layer of many files and many markers would take their product. */
static void opaque__the_second_time_does_not_look_again(void **state)
{
    sandbox s;
    struct stat st;
    DV_AUTOPTR(dv_unpack) u = NULL;
    const row *const layers[] = {lower, LAYER(FILE_ROW("d/new", "2"), FILE_ROW("d/.wh..wh..opq", "")), NULL};
    const row *const removed[] = {lower, LAYER(FILE_ROW("d/new", "2"), FILE_ROW(".wh.d", "")), NULL};
    const row *const within[] = {lower, LAYER(FILE_ROW("d/sub/new", "2"), FILE_ROW(".wh.d", "")), NULL};
    const row *const *const cases[] = {layers, removed, within};
    for (unsigned i = 0; i < DV_COUNT(cases); i++) {
        assert_int_equal(sandbox_enter(&s), 0);
        assert_int_equal(unpack_rows(&s, cases[i], NULL, &u, NULL), 0);
        assert_int_equal(fstatat(s.root_fd, "d", &st, 0), 0);
        assert_true(dv_unpack_marks_has(&u->marks, st.st_ino, NULL));
        if (cases[i] == within)
            assert_int_equal(fstatat(s.root_fd, "d/sub", &st, 0), 0);
        assert_true(dv_unpack_marks_has(&u->marks, st.st_ino, NULL));
        dv_unpack_free(DV_STEAL(u));
        assert_true(sandbox_leave(&s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whiteout__removes_what_lower_layers_left),
        cmocka_unit_test(whiteout__never_removes_what_its_own_layer_has),
        cmocka_unit_test(opaque__only_this_layer_shows_in_every_order),
        cmocka_unit_test(d5__markers_name_one_ordinary_component),
        cmocka_unit_test(aufs__kept_files_are_the_sources_of_hard_links),
        cmocka_unit_test(whiteout__times_of_directories_stay_the_images),
        cmocka_unit_test(opaque__the_second_time_does_not_look_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
