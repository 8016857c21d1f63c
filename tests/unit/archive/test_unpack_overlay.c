/*
 * Unit tests of archive/unpack_overlay.c: layers in directories of their own. What the kernel shows of whiteouts and links in every order is tested
 * with test_unpack_whiteout.c and test_unpack.c, whose cases go this way too.
 */
#include "../../support/overlay_layers.h"
#include "archive/unpack_internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LAYER(...) ((const row[]){__VA_ARGS__, {0}})

static const row lower[] = {
    DIR_ROW("d", .mode = 01750, .uid = 7, .gid = 8),
    FILE_ROW("d/a", "1", .uid = 3),
    DIR_ROW("d/sub", .mode = 0700),
    FILE_ROW("d/sub/x", "1"),
    LINK_ROW("l", "d/sub"),
    FILE_ROW("top", "1", .mode = 04711),
    {0},
};

static void overlay__a_layer_holds_what_it_changes(void **state)
{
    (void)state;
    const unpack_case cases[] = {
        {"files as they are",
         {lower},
         "d 1750 7:8 d\nf 3:0 d/a =1\nd 0700 d/sub\nf d/sub/x =1\nl l -> d/sub\nf 4711 top =1\n"},
        {"a whiteout", {lower, LAYER(FILE_ROW(".wh.top", ""))}, "c 0600 top 0,0\n"},
        {"whose owner is the marker's",
         {lower, LAYER(FILE_ROW(".wh.top", "", .uid = 5))},
         "c 0600 5:0 top 0,0\n"},
        {"none for what is not there",
         {lower, LAYER(FILE_ROW(".wh.none", ""), FILE_ROW("n/.wh.top", ""))},
         "d n\n"},
        {"none in the lowest layer",
         {LAYER(FILE_ROW(".wh.top", ""), FILE_ROW("d/.wh..wh..opq", ""))},
         "d d\n"},
        {"none for what is removed already",
         {lower, LAYER(FILE_ROW(".wh.top", "")), LAYER(FILE_ROW(".wh.top", ""), FILE_ROW("f", ""))},
         "f f\n"},
        {"none in what is opaque",
         {lower, LAYER(FILE_ROW("d/.wh..wh..opq", ""), FILE_ROW("d/.wh.a", ""))},
         "d 1750 7:8 d\n"},
        {"nor when it becomes so",
         {lower, LAYER(FILE_ROW("d/sub/.wh.x", ""), FILE_ROW("d/.wh..wh..opq", ""))},
         "d 1750 7:8 d\nd 0700 d/sub\n"},
        {"directories on the way are those below",
         {lower, LAYER(FILE_ROW("d/sub/y", "2"))},
         "d 1750 7:8 d\nd 0700 d/sub\nf d/sub/y =2\n"},
        {"and so are links",
         {lower, LAYER(FILE_ROW("l/y", "2"))},
         "d 1750 7:8 d\nd 0700 d/sub\nf d/sub/y =2\nl l -> d/sub\n"},
        {"a directory of its own is its own",
         {lower, LAYER(DIR_ROW("d"), FILE_ROW("d/sub/y", "2"))},
         "d d\nd 0700 d/sub\nf d/sub/y =2\n"},
        {"a hard link brings its target",
         {lower, LAYER(HARD_ROW("h", "top", .mode = 04711))},
         "f 4711 h #2 =1\nf 4711 top #2 =1\n"},
        {"of two layers below",
         {lower, LAYER(FILE_ROW("d/sub/y", "2")),
          LAYER(FILE_ROW("d/sub/.wh.x", ""), FILE_ROW("d/sub/.wh.y", ""))},
         "d 1750 7:8 d\nd 0700 d/sub\nc 0600 d/sub/x 0,0\nc 0600 d/sub/y 0,0\n"},
        {"an opaque root hides name by name",
         {lower, LAYER(FILE_ROW("d/n", "2"), FILE_ROW(".wh..wh..opq", ""))},
         "d 1750 7:8 d\nf d/n =2\nc 0600 l 0,0\nc 0600 top 0,0\n"},
    };
    for (size_t i = 0; i < DV_COUNT(cases); i++)
        check_last_layer(&cases[i]);
}

static void overlay__shows_what_layers_upon_each_other_give(void **state)
{
    (void)state;
    const unpack_case cases[] = {
        {"modes and owners of what is only on the way",
         {lower, LAYER(FILE_ROW("l/y", "2"))},
         "d 1750 7:8 d\nf 3:0 d/a =1\nd 0700 d/sub\nf d/sub/x =1\nf d/sub/y =2\nl l -> d/sub\nf 4711 top "
         "=1\n"},
        {"four layers",
         {lower, LAYER(FILE_ROW(".wh.d", "")), LAYER(FILE_ROW("d/sub/z", "3")),
          LAYER(FILE_ROW("d/.wh.a", ""), FILE_ROW("l/w", "4"))},
         "d d\nd d/sub\nf d/sub/w =4\nf d/sub/z =3\nl l -> d/sub\nf 4711 top =1\n"},
        {"a file, then a directory, where a directory is",
         {lower, LAYER(FILE_ROW("d", "2")), LAYER(DIR_ROW("d"), FILE_ROW("d/f", "3"))},
         "d d\nf d/f =3\nl l -> d/sub\nf 4711 top =1\n"},
        {"the same within one layer",
         {lower, LAYER(FILE_ROW("d", "2"), DIR_ROW("d"), FILE_ROW("d/f", "3"))},
         "d d\nf d/f =3\nl l -> d/sub\nf 4711 top =1\n"},
        {"a hard link to a file two layers below",
         {lower, LAYER(FILE_ROW("n", "2")), LAYER(HARD_ROW("l/h", "d/a", .uid = 3))},
         "d 1750 7:8 d\nf 3:0 d/a #2 =1\nd 0700 d/sub\nf 3:0 d/sub/h #2 =1\nf d/sub/x =1\nl l -> d/sub\nf n "
         "=2\nf 4711 top =1\n"},
        {"a hard link to what is removed",
         {lower, LAYER(FILE_ROW(".wh.top", "")), LAYER(HARD_ROW("h", "top"))},
         NULL,
         "invalid hardlink"},
        {"below a file", {lower, LAYER(FILE_ROW("top/f", "2"))}, NULL, "not a directory"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlay__a_layer_holds_what_it_changes),
        cmocka_unit_test(overlay__shows_what_layers_upon_each_other_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
