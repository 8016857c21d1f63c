/* Unit tests of archive/unpack*.c: entries become files as the image says them (store.md 9.2; DESIGN 8). */
#include "../../support/tar_blocks.h"
#include "../../support/unpack_layers.h"
#include "archive/unpack_internal.h"
#include "util/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <cmocka.h>

#define LAYER(...) ((const row[]){__VA_ARGS__, {0}})
#define TEXT_MAX (1u << 20)

static void entries__become_files_of_their_kind(void **state)
{
    const unpack_case cases[] = {
        {"no entry", {LAYER({0})}, ""},
        {"every kind",
         {LAYER(DIR_ROW("d/", .mode = 01777, .uid = 5),
                {.name = "d/f", .text = "data", .mode = 06755, .uid = 1, .gid = 2},
                LINK_ROW("d/l", "/any/where", .uid = 7, .gid = 8),
                HARD_ROW("d/h", "d/f", .mode = 06755, .uid = 1, .gid = 2),
                {.type = DV_TAR_CHAR, .name = "dev/null", .mode = 0666, .major = 1, .minor = 3, .gid = 9},
                {.type = DV_TAR_BLOCK, .name = "dev/sda", .mode = 0660, .major = 8, .minor = 0x12345},
                {.type = DV_TAR_FIFO, .name = "dev/pipe", .mode = 0622})},
         "d 1777 5:0 d\nf 6755 1:2 d/f #2 =data\nf 6755 1:2 d/h #2 =data\nl 7:8 d/l -> /any/where\n"
         "d dev\nc 0666 0:9 dev/null 1,3\np 0622 dev/pipe\nb 0660 dev/sda 8,74565\n"},
        {"modes without rights",
         {LAYER(DIR_ROW("d", .mode = 010000), FILE_ROW("d/f", "x", .mode = 010000),
                DIR_ROW("d/e", .mode = 0500), FILE_ROW("d/e/f", "y", .mode = 0400))},
         "d 0000 d\nd 0500 d/e\nf 0400 d/e/f =y\nf 0000 d/f =x\n"},
        {"missing parents are root's",
         {LAYER(FILE_ROW("a/b/c/f", "x", .uid = 9))},
         "d a\nd a/b\nd a/b/c\nf 9:0 a/b/c/f =x\n"},
        {"a group is not handed on by setgid",
         {LAYER(DIR_ROW("g", .mode = 02775, .gid = 50), FILE_ROW("g/f", "x"), DIR_ROW("g/d"),
                LINK_ROW("g/l", "x"), FILE_ROW("g/new/f", "x"), {.type = DV_TAR_FIFO, .name = "g/p"})},
         "d 2775 0:50 g\nd g/d\nf g/f =x\nl g/l -> x\nd g/new\nf g/new/f =x\np g/p\n"},
        {"a directory after its children",
         {LAYER(FILE_ROW("d/f", "x"), DIR_ROW("d", .mode = 0700, .uid = 3))},
         "d 0700 3:0 d\nf d/f =x\n"},
        {"the last entry of a name wins",
         {LAYER(FILE_ROW("f", "1", .uid = 4), FILE_ROW("f", "2"), FILE_ROW("./f", "3", .mode = 0600))},
         "f 0600 f =3\n"},
        {"names are cleaned",
         {LAYER(FILE_ROW("/a//./b", "x"), DIR_ROW("./"), FILE_ROW("c/", "y"))},
         "d a\nf a/b =x\nf c =y\n"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

static void entries__replace_what_is_there(void **state)
{
    static const row first[] = {DIR_ROW("d", .uid = 3),
                                FILE_ROW("d/in", "1"),
                                FILE_ROW("f", "1"),
                                LINK_ROW("l", "d"),
                                DIR_ROW("deep/er"),
                                FILE_ROW("deep/er/in", "1"),
                                {0}};
    const unpack_case cases[] = {
        {"file onto each",
         {first, LAYER(FILE_ROW("d", "2"), FILE_ROW("f", "2"), FILE_ROW("l", "2"), FILE_ROW("deep", "2"))},
         "f d =2\nf deep =2\nf f =2\nf l =2\n"},
        {"directory onto each keeps children of directories",
         {first, LAYER(DIR_ROW("d"), DIR_ROW("f"), DIR_ROW("l"), DIR_ROW("deep/er", .mode = 0711))},
         "d d\nf d/in =1\nd deep\nd 0711 deep/er\nf deep/er/in =1\nd f\nd l\n"},
        {"link onto each",
         {first, LAYER(LINK_ROW("d", "x"), LINK_ROW("f", "x"), LINK_ROW("l", "x"), LINK_ROW("deep", "d"))},
         "l d -> x\nl deep -> d\nl f -> x\nl l -> x\n"},
        {"hard link onto each",
         {first, LAYER(HARD_ROW("d", "f"), HARD_ROW("l", "f"), HARD_ROW("deep", "f"))},
         "f d #4 =1\nf deep #4 =1\nf f #4 =1\nf l #4 =1\n"},
        {"pipe onto a directory",
         {first, LAYER({.type = DV_TAR_FIFO, .name = "deep"})},
         "d 3:0 d\nf d/in =1\np deep\nf f =1\nl l -> d\n"},
        {"and the other names of a replaced file keep its content",
         {LAYER(FILE_ROW("a", "1"), HARD_ROW("b", "a")), LAYER(FILE_ROW("a", "2"))},
         "f a =2\nf b =1\n"},
        {"directory, file, directory",
         {LAYER(FILE_ROW("x/a/f", "1")), LAYER(FILE_ROW("x", "2")), LAYER(FILE_ROW("x/b", "3"), DIR_ROW("x")),
          LAYER(DIR_ROW("x"))},
         NULL,
         "not a directory"},
        {"directory, file, directory with an entry",
         {LAYER(FILE_ROW("x/a/f", "1")), LAYER(FILE_ROW("x", "2")),
          LAYER(DIR_ROW("x"), FILE_ROW("x/a/g", "3"))},
         "d x\nd x/a\nf x/a/g =3\n"},
        {"a directory that was open becomes a link, and is one",
         {LAYER(DIR_ROW("real"), FILE_ROW("d/sub/f", "1"), LINK_ROW("d", "real"), FILE_ROW("d/sub/g", "2"))},
         "l d -> real\nd real\nd real/sub\nf real/sub/g =2\n"},
        {"a link that was a way becomes another",
         {LAYER(DIR_ROW("one"), DIR_ROW("two"), LINK_ROW("l", "one"), FILE_ROW("l/a", "1"),
                LINK_ROW("l", "two"), FILE_ROW("l/b", "2"))},
         "l l -> two\nd one\nf one/a =1\nd two\nf two/b =2\n"},
        {"a link in the middle of a way becomes another",
         {LAYER(DIR_ROW("one/s"), DIR_ROW("two/s"), LINK_ROW("m", "one"), LINK_ROW("l", "m/s"),
                FILE_ROW("l/a", "1"), LINK_ROW("m", "two"), FILE_ROW("l/b", "2"))},
         "l l -> m/s\nl m -> two\nd one\nd one/s\nf one/s/a =1\nd two\nd two/s\nf two/s/b =2\n"},
        {"a directory known by its real name goes by way of a link",
         {LAYER(DIR_ROW("usr/lib/x"), LINK_ROW("lib", "usr/lib"), FILE_ROW("usr/lib/x/a", "1"),
                FILE_ROW("lib/x", "2"))},
         "l lib -> usr/lib\nd usr\nd usr/lib\nf usr/lib/x =2\n"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

static void links__within_the_root_are_followed_as_parents(void **state)
{
    const unpack_case cases[] = {
        {"usr-merge, relative and absolute",
         {LAYER(DIR_ROW("usr/bin"), LINK_ROW("bin", "usr/bin"), LINK_ROW("sbin", "/usr/bin")),
          LAYER(FILE_ROW("bin/a", "1"), FILE_ROW("sbin/b", "2"), FILE_ROW("usr/bin/c", "3"))},
         "l bin -> usr/bin\nl sbin -> /usr/bin\nd usr\nd usr/bin\nf usr/bin/a =1\nf usr/bin/b =2\nf "
         "usr/bin/c =3\n"},
        {"a link to nothing yet: what it names is made",
         {LAYER(LINK_ROW("var/run", "/run"), FILE_ROW("var/run/x/pid", "1"),
                LINK_ROW("a/b/l", "../new/./dir"), FILE_ROW("a/b/l/f", "2"))},
         "d a\nd a/b\nl a/b/l -> ../new/./dir\nd a/new\nd a/new/dir\nf a/new/dir/f =2\nd run\nd run/x\nf "
         "run/x/pid =1\nd var\nl var/run -> /run\n"},
        {"links to links to nothing yet",
         {LAYER(LINK_ROW("a", "b"), LINK_ROW("b", "/c/d"), FILE_ROW("a/f", "1"))},
         "l a -> b\nl b -> /c/d\nd c\nd c/d\nf c/d/f =1\n"},
        {"a link to itself",
         {LAYER(LINK_ROW("a", "a"), FILE_ROW("a/f", "1"))},
         NULL,
         "too many symbolic links"},
        {"a ring",
         {LAYER(LINK_ROW("a", "b"), LINK_ROW("b", "a"), FILE_ROW("a/f", "1"))},
         NULL,
         "too many symbolic links"},
        {"links to nothing without end",
         {LAYER(LINK_ROW("a", "a/x"), FILE_ROW("a/f", "1"))},
         NULL,
         "too many symbolic links"},
        {"a file is no way", {LAYER(FILE_ROW("f", "1"), FILE_ROW("f/x", "2"))}, NULL, "not a directory"},
        {"a link to a file is no way",
         {LAYER(FILE_ROW("f", "1"), LINK_ROW("l", "f"), FILE_ROW("l/x", "2"))},
         NULL,
         "not a directory"},
        {"a directory's entry by way of a link describes the directory",
         {LAYER(DIR_ROW("usr/lib"), LINK_ROW("lib", "usr/lib"), DIR_ROW("usr/lib/x"),
                DIR_ROW("lib/x", .mode = 0700, .uid = 4), FILE_ROW("usr/lib/x/f", "1"))},
         "l lib -> usr/lib\nd usr\nd usr/lib\nd 0700 4:0 usr/lib/x\nf usr/lib/x/f =1\n"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

static void hardlinks__share_a_file_within_the_root(void **state)
{
    const unpack_case cases[] = {
        {"by every spelling of the name",
         {LAYER(FILE_ROW("a", "1"), HARD_ROW("b", "./a"), HARD_ROW("d/c", "/a"))},
         "f a #3 =1\nf b #3 =1\nd d\nf d/c #3 =1\n"},
        {"to a link is another name of the link",
         {LAYER(LINK_ROW("l", "x", .uid = 1), HARD_ROW("h", "l", .uid = 1, .mode = 0777))},
         "l 1:0 h #2 -> x\nl 1:0 l #2 -> x\n"},
        {"through a linked parent",
         {LAYER(FILE_ROW("usr/a", "1"), LINK_ROW("u", "usr"), HARD_ROW("b", "u/a"))},
         "f b #2 =1\nl u -> usr\nd usr\nf usr/a #2 =1\n"},
        {"to a lower layer's file",
         {LAYER(FILE_ROW("a", "1")), LAYER(HARD_ROW("b", "a"))},
         "f a #2 =1\nf b #2 =1\n"},
        {"their own owner and mode count",
         {LAYER(FILE_ROW("a", "1"), HARD_ROW("b", "a", .uid = 5, .mode = 04755))},
         "f 4755 5:0 a #2 =1\nf 4755 5:0 b #2 =1\n"},
        {"order matters",
         {LAYER(HARD_ROW("b", "a"), FILE_ROW("a", "1"))},
         NULL,
         "invalid hardlink \"b\" -> \"a\""},
        {"to a missing directory", {LAYER(HARD_ROW("b", "no/a"))}, NULL, "invalid hardlink \"b\" -> \"no/a\""},
        {"to a directory", {LAYER(DIR_ROW("d"), HARD_ROW("b", "d"))}, NULL, "invalid hardlink \"b\" -> \"d\""},
        {"to a device",
         {LAYER({.type = DV_TAR_CHAR, .name = "c", .major = 1, .minor = 3}, HARD_ROW("b", "c"))},
         NULL,
         "invalid hardlink"},
        {"to the root", {LAYER(HARD_ROW("b", "."))}, NULL, "invalid hardlink"},
        {"to nothing", {LAYER(HARD_ROW("b", ""))}, NULL, "invalid hardlink"},
        {"to itself", {LAYER(FILE_ROW("a", "1"), HARD_ROW("a", "./a"))}, NULL, "hard link to itself"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

static void root__its_entry_describes_it(void **state)
{
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    struct stat st;
    const dv_tar_xattr x = {"user.r", "v", 1};
    const row *const layers[] = {
        LAYER(DIR_ROW("./", .mode = 01711, .uid = 5, .gid = 6, .mtime = 77, .xattrs = &x, .xattr_count = 1),
              FILE_ROW("f", "1")),
        NULL};
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, layers, NULL, &u, NULL), 0);
    assert_int_equal(dv_unpack_root_mode(u), 01711);
    assert_int_equal(fstat(s.root_fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700); /* closed until it is in place */
    assert_int_equal(st.st_uid, 5);
    assert_int_equal(st.st_gid, 6);
    assert_int_equal(st.st_mtim.tv_sec, 77);
    assert_int_equal(fgetxattr(s.root_fd, "user.r", NULL, 0), 1);
    assert_true(sandbox_leave(&s));
    const unpack_case cases[] = {
        {"a file", {LAYER(FILE_ROW("./", "x"))}, NULL, "would replace the root"},
        {"a link",
         {LAYER(LINK_ROW("/", "@/outside"), FILE_ROW("victim", "x"))},
         NULL,
         "would replace the root"},
        {"a hard link", {LAYER(FILE_ROW("a", "1"), HARD_ROW("", "a"))}, NULL, "would replace the root"},
        {"a pipe", {LAYER({.type = DV_TAR_FIFO, .name = "."})}, NULL, "would replace the root"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

static void times__are_kept_to_the_nanosecond_and_bounded(void **state)
{
    static const struct {
        dv_tar_time m, a;
        struct timespec access, modification;
    } rows[] = {
        {{5, 123456789, true}, {0}, {5, 123456789}, {5, 123456789}},
        {{5, 0, true}, {9, 7, true}, {9, 7}, {5, 0}},
        {{9, 1, true}, {9, 0, true}, {9, 1}, {9, 1}},
        {{-1, 0, true}, {0}, {0, 0}, {0, 0}},
        {{-1, 999999999, true}, {3, 0, true}, {3, 0}, {0, 0}},
        {{9223372036, 854775807, true}, {0}, {9223372036, 854775807}, {9223372036, 854775807}},
        {{9223372036, 854775808, true}, {0}, {0, 0}, {0, 0}},
        {{INT64_MAX, 0, true}, {1, 0, true}, {0, 0}, {0, 0}},
        {{INT64_MIN, 0, true}, {0}, {0, 0}, {0, 0}},
        {{0, 0, false}, {0}, {0, 0}, {0, 0}},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        struct timespec t[2];
        dv_unpack_times(&(dv_tar_entry){.mtime = rows[i].m, .atime = rows[i].a}, t);
        if (memcmp(&t[0], &rows[i].access, sizeof(t[0])) != 0 ||
            memcmp(&t[1], &rows[i].modification, sizeof(t[1])) != 0)
            fail_msg("row %zu: %lld.%09ld and %lld.%09ld", i, (long long)t[0].tv_sec, t[0].tv_nsec,
                     (long long)t[1].tv_sec, t[1].tv_nsec);
    }
}

static void times__of_everything_come_from_the_image(void **state)
{
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(TEXT_MAX);
    const row *const layers[] = {
        LAYER(DIR_ROW("d", .mtime = 10), FILE_ROW("d/f", "x", .mtime = 20), LINK_ROW("d/l", "x", .mtime = 30),
              HARD_ROW("d/h", "d/f", .mtime = 20), {.type = DV_TAR_FIFO, .name = "d/p", .mtime = 40},
              DIR_ROW("usr/lib", .mtime = 50), LINK_ROW("lib", "usr/lib", .mtime = 60),
              DIR_ROW("usr", .mtime = 70)),
        LAYER(FILE_ROW("d/new", "y", .mtime = 80), FILE_ROW("d/f", "z", .mtime = 90),
              FILE_ROW("lib/q", "w", .mtime = 95), DIR_ROW("usr/lib/sub", .mtime = 99)),
        NULL,
    };
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, layers, NULL, &u, NULL), 0);
    tree_text(s.root_fd, true, &got);
    assert_string_equal(
        dv_buf_text(&got),
        "d d @10.000000000\nf d/f =z @90.000000000\nf d/h =x @20.000000000\nl d/l -> x @30.000000000\n"
        "f d/new =y @80.000000000\np d/p @40.000000000\nl lib -> usr/lib @60.000000000\n"
        "d usr @70.000000000\nd usr/lib @50.000000000\nf usr/lib/q =w @95.000000000\nd usr/lib/sub "
        "@99.000000000\n");
    struct stat st;
    const row *const accessed[] = {LAYER(FILE_ROW("a", "1", .mtime = 5, .atime = 9)), NULL};
    dv_unpack_free(DV_STEAL(u));
    assert_int_equal(unpack_rows(&s, accessed, NULL, &u, NULL), 0);
    assert_int_equal(fstatat(s.root_fd, "a", &st, 0), 0);
    assert_int_equal(st.st_atim.tv_sec, 9);
    assert_int_equal(st.st_mtim.tv_sec, 5);
    assert_true(sandbox_leave(&s));
}

/* 500 directories, files in them by turns: more than are kept open, so each is closed and opened again. */
static void directories__more_than_are_kept_open(void **state)
{
    enum { DIRECTORIES = 500, ROUNDS = 3, ROWS = DIRECTORIES * (1 + ROUNDS) };
    static char names[ROWS][24];
    static row rows[ROWS + 1];
    size_t n = 0;
    for (size_t round = 0; round <= ROUNDS; round++)
        for (unsigned i = 0; i < DIRECTORIES; i++, n++) {
            snprintf(names[n], sizeof(names[n]), round ? "d%u/f%zu" : "d%u", i, round);
            rows[n] = (row){.type = round ? DV_TAR_FILE : DV_TAR_DIRECTORY,
                            .name = names[n],
                            .text = "x",
                            .mtime = round ? 1 : 1000 + i};
        }
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    struct stat st;
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(
        unpack_rows(&s, (const row *const[]){rows, LAYER(FILE_ROW("d7/late", "2")), NULL}, NULL, &u, NULL), 0);
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        assert_int_equal(fstatat(s.root_fd, names[i], &st, 0), 0);
        if (st.st_mtim.tv_sec != 1000 + i)
            fail_msg("%s has the time %lld", names[i], (long long)st.st_mtim.tv_sec);
    }
    const dv_unpack_report *report = dv_unpack_get_report(u);
    assert_int_equal(report->directories, DIRECTORIES);
    assert_int_equal(report->files, DIRECTORIES * ROUNDS + 1);
    assert_int_equal(report->bytes, DIRECTORIES * ROUNDS + 1);
    assert_true(sandbox_leave(&s));
}

/* One that is closed changes too when something below it is made that no entry describes. */
static void times__of_a_closed_directory_survive_what_is_made_in_it(void **state)
{
    enum { DIRECTORIES = 200 };
    static char names[DIRECTORIES][8];
    static row rows[DIRECTORIES + 2];
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        snprintf(names[i], sizeof(names[i]), "d%u", i);
        rows[i] = (row)DIR_ROW(names[i], .mtime = 1000 + i);
    }
    rows[DIRECTORIES] = (row)FILE_ROW("d3/made/too/f", "x");
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    struct stat st;
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, (const row *const[]){rows, NULL}, NULL, &u, NULL), 0);
    assert_int_equal(fstatat(s.root_fd, "d3", &st, 0), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1003);
    assert_true(sandbox_leave(&s));
}

static void directories__few_descriptors_are_enough(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        sandbox s;
        DV_AUTOPTR(dv_unpack) u = NULL;
        int r = sandbox_enter(&s);
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){24, 24});
        const row *const layers[] = {LAYER(FILE_ROW("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t", "1"),
                                           FILE_ROW("1/f", ""), FILE_ROW("2/f", ""), FILE_ROW("3/f", ""),
                                           FILE_ROW("4/f", ""), FILE_ROW("5/f", ""), FILE_ROW("6/f", ""),
                                           FILE_ROW("7/f", ""), FILE_ROW("8/f", ""), FILE_ROW("9/f", ""),
                                           FILE_ROW("10/f", ""), FILE_ROW("11/f", ""), FILE_ROW("12/f", ""),
                                           FILE_ROW("13/f", ""), FILE_ROW("14/f", ""), FILE_ROW("15/f", "")),
                                     NULL};
        r = r < 0 ? r : unpack_rows(&s, layers, NULL, &u, NULL);
        _exit(r == 0 && sandbox_leave(&s) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Others in the process may hold nearly all that it may have. */
static void directories__others_may_hold_most_descriptors(void **state)
{
    enum { DIRECTORIES = 60, LIMIT = 128, LEFT = 14 };
    static char names[DIRECTORIES][32], changed[DIRECTORIES][32];
    static row rows[DIRECTORIES + 1], changes[DIRECTORIES + 1];
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        snprintf(names[i], sizeof(names[i]), "d%u/a/b/c/d/f", i);
        snprintf(changed[i], sizeof(changed[i]), i % 2 ? "d%u/n/e/w/f" : ".wh.d%u", i);
        rows[i] = (row)FILE_ROW(names[i], "1");
        changes[i] = (row)FILE_ROW(changed[i], "2");
    }
    pid_t child = fork();
    if (child == 0) {
        sandbox s;
        DV_AUTOPTR(dv_unpack) u = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int held[LIMIT], count = 0, r = sandbox_enter(&s);
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){LIMIT, LIMIT});
        do
            held[count] = dup(s.fd);
        while (held[count] >= 0 && held[count++] < LIMIT - LEFT);
        r = r < 0 ? r : unpack_rows(&s, (const row *const[]){rows, changes, NULL}, NULL, &u, &err);
        if (r < 0)
            print_error("%s\n", davit_error_message(err));
        bool made =
            faccessat(s.root_fd, "d0", F_OK, 0) < 0 && faccessat(s.root_fd, "d1/n/e/w/f", F_OK, 0) == 0;
        while (count > 0)
            close(held[--count]);
        _exit(r == 0 && made && sandbox_leave(&s) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void names__two_thousand_deep(void **state)
{
    static char deep[DV_UNPACK_PATH_MAX + 1], deeper[8000];
    for (size_t i = 0; i < sizeof(deep) - 1; i++)
        deep[i] = i % 2 ? '/' : 'd';
    for (size_t i = 0; i < sizeof(deeper) - 1; i++)
        deeper[i] = i % 2 ? '/' : 'd';
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    assert_int_equal(sandbox_enter(&s), 0);
    DV_AUTOPTR(davit_error) err = NULL;
    const row *const layers[] = {LAYER(FILE_ROW(deep, "x")), LAYER(FILE_ROW(deep, "y")),
                                 LAYER(FILE_ROW(".wh.d", "")), NULL};
    if (unpack_rows(&s, layers, NULL, &u, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    struct stat st;
    assert_int_equal(fstatat(s.root_fd, "d", &st, 0), -1);
    assert_true(sandbox_leave(&s));
    const unpack_case refused = {
        "longer than a system call takes", {LAYER(FILE_ROW(deeper, "x"))}, NULL, "name is too long"};
    check_unpack_cases(&refused, 1, NULL);
}

static void zeros__become_holes_and_read_the_same(void **state)
{
    enum { SIZE = 5 << 20 };
    static char data[SIZE], got[SIZE + 1];
    memset(data + (1 << 20), 'a', 100);
    memset(data + (3 << 20) + 12345, 'b', 200000);
    const dv_tar_entry entry = {
        .type = DV_TAR_FILE, .name = "sparse", .link = "", .size = SIZE, .mode = 0644, .mtime = {.set = true}};
    static const size_t chunks[] = {SIZE, 256 << 10, 1000, 65536, 100000, 65537};
    for (size_t i = 0; i < DV_COUNT(chunks); i++) {
        sandbox s;
        struct stat st;
        DV_AUTOPTR(dv_unpack) u = NULL;
        assert_int_equal(sandbox_enter(&s), 0);
        assert_int_equal(dv_unpack_new(s.root_fd, NULL, &u, NULL), 0);
        assert_int_equal(dv_unpack_begin_layer(u, "x", NULL), 0);
        assert_int_equal(dv_unpack_handler.on_entry(u, &entry, NULL), 0);
        for (size_t at = 0; at < SIZE; at += chunks[i])
            assert_int_equal(
                dv_unpack_handler.on_data(u, data + at, chunks[i] < SIZE - at ? chunks[i] : SIZE - at, NULL),
                0);
        assert_int_equal(dv_unpack_handler.on_end(u, NULL), 0);
        assert_int_equal(dv_unpack_finish(u, NULL), 0);
        DV_AUTOCLOSE fd = openat(s.root_fd, "sparse", O_RDONLY | O_CLOEXEC);
        assert_int_equal(dv_pread_all(fd, got, sizeof(got), 0), SIZE);
        assert_memory_equal(got, data, SIZE);
        assert_int_equal(fstat(fd, &st), 0);
        if (st.st_blocks * 512 > SIZE / 2)
            fail_msg("in chunks of %zu: %lld bytes on disk", chunks[i], (long long)st.st_blocks * 512);
        assert_true(sandbox_leave(&s));
    }
}

static void limits__of_bytes_and_entries(void **state)
{
    const unpack_case bytes = {"bytes of all layers",
                               {LAYER(FILE_ROW("a", "12345")), LAYER(FILE_ROW("b", "123456"))},
                               NULL,
                               "b: image holds more than 10 bytes",
                               DAVIT_ETOOBIG};
    const unpack_case entries = {"entries of all layers",
                                 {LAYER(DIR_ROW("a")), LAYER(DIR_ROW("b"), DIR_ROW("c"))},
                                 NULL,
                                 "more than 2 entries",
                                 DAVIT_ETOOBIG};
    const unpack_case implied = {"directories that are only implied",
                                 {LAYER(DIR_ROW("a/b/c/d"))},
                                 NULL,
                                 "more directories",
                                 DAVIT_ETOOBIG};
    check_unpack_cases(&bytes, 1, &(dv_unpack_options){.max_bytes = 10});
    check_unpack_cases(&entries, 1, &(dv_unpack_options){.max_entries = 2});
    check_unpack_cases(&implied, 1, &(dv_unpack_options){.max_entries = 2});
}

/* --- extended attributes ------------------------------------------------------------------- */

static const unsigned char capability[20] = {1, 0, 0, 2, 0, 0x20}; /* cap_net_raw+ep */

static void xattrs__kept_after_a_change_of_owner(void **state)
{
    const dv_tar_xattr x[] = {{"security.capability", capability, sizeof(capability)},
                              {"user.a", "1\0002", 3},
                              {"trusted.overlay.opaque", "y", 1},
                              {"security.selinux", "s", 1}};
    const dv_tar_xattr old = {"user.old", "1", 1};
    const row *const layers[] = {
        LAYER({.name = "ping", .text = "x", .mode = 0444, .uid = 1000, .xattrs = x, .xattr_count = 4},
              DIR_ROW("d", .mode = 0555, .xattrs = &old, .xattr_count = 1),
              LINK_ROW("l", "x", .xattrs = &old, .xattr_count = 1)),
        LAYER(DIR_ROW("d", .mode = 0555, .xattrs = &x[1], .xattr_count = 1)), NULL};
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    char value[64];
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, layers, NULL, &u, NULL), 0);
    DV_AUTOCLOSE ping = openat(s.root_fd, "ping", O_RDONLY | O_CLOEXEC),
                 d = openat(s.root_fd, "d", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fgetxattr(ping, "security.capability", value, sizeof(value)), sizeof(capability));
    assert_memory_equal(value, capability, sizeof(capability));
    assert_int_equal(fgetxattr(ping, "user.a", value, sizeof(value)), 3);
    assert_memory_equal(value, "1\0002", 3);
    assert_int_equal(fgetxattr(ping, "trusted.overlay.opaque", value, sizeof(value)), -1);
    assert_int_equal(fgetxattr(d, "user.a", value, sizeof(value)), 3);
    assert_int_equal(fgetxattr(d, "user.old", value, sizeof(value)), -1);
    const dv_unpack_report *report = dv_unpack_get_report(u);
    assert_int_equal(report->skip_count, 3);
    assert_int_equal(report->skips_total, 3);
    assert_string_equal(report->skips[0].path, "ping");
    assert_string_equal(report->skips[0].reason, "xattr trusted.overlay.opaque");
    assert_string_equal(report->skips[1].reason, "xattr security.selinux");
    assert_string_equal(report->skips[2].path, "l");
    assert_string_equal(report->skips[2].reason, "xattr user.old"); /* links cannot have it */
    assert_true(sandbox_leave(&s));
}

/* What the kernel says of a name. */
static void xattrs__a_name_without_a_name_is_refused(void **state)
{
    const dv_tar_xattr bad = {"user.", "x", 1};
    const row *const layers[] = {LAYER({.name = "f", .text = "", .xattrs = &bad, .xattr_count = 1}), NULL};
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, layers, NULL, &u, &err), DAVIT_EFORMAT);
    assert_string_equal(davit_error_message(err), "f: xattr user. is malformed");
    assert_true(sandbox_leave(&s));
}

static void skips__a_thousand_are_remembered_all_are_counted(void **state)
{
    static row rows[1203];
    const dv_tar_xattr x = {"trusted.x", "1", 1};
    for (size_t i = 0; i < DV_COUNT(rows) - 1; i++)
        rows[i] = (row){.name = "f", .text = "", .xattrs = &x, .xattr_count = 1};
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, (const row *const[]){rows, NULL}, NULL, &u, NULL), 0);
    assert_int_equal(dv_unpack_get_report(u)->skip_count, DV_UNPACK_SKIPS_MAX);
    assert_int_equal(dv_unpack_get_report(u)->skips_total, 1202);
    assert_true(sandbox_leave(&s));
}

/* --- rootless ------------------------------------------------------------------------------ */

static void rootless__owners_as_umoci_writes_them(void **state)
{
    static const struct {
        uint32_t uid, gid;
        const char *value;
        size_t size;
    } rows[] = {
        {0, 0, "", 0},
        {1, 0, "\x08\x01\x10\xff\xff\xff\xff\x0f", 8},
        {0, 5, "\x08\xff\xff\xff\xff\x0f\x10\x05", 8},
        {127, 128, "\x08\x7f\x10\x80\x01", 5},
        {1000, 65534, "\x08\xe8\x07\x10\xfe\xff\x03", 7},
        {4294967294u, 4294967294u, "\x08\xfe\xff\xff\xff\x0f\x10\xfe\xff\xff\xff\x0f", 12},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        uint8_t out[12];
        assert_int_equal(dv_unpack_rootless_value(rows[i].uid, rows[i].gid, out), rows[i].size);
        assert_memory_equal(out, rows[i].value, rows[i].size);
    }
}

static void expect_owner(int root_fd, const char *path, const char *value, ssize_t size)
{
    char got[32];
    DV_AUTOCLOSE fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fgetxattr(fd, "user.rootlesscontainers", got, sizeof(got)), size);
    if (size > 0)
        assert_memory_equal(got, value, (size_t)size);
}

static const row rootless_rows[] = {
    DIR_ROW("etc", .uid = 1, .mode = 0555),
    {.name = "etc/shadow", .text = "x", .mode = 0440, .gid = 42},
    FILE_ROW("etc/plain", "y"),
    {.name = "su", .text = "z", .mode = 04755},
    LINK_ROW("l", "x", .uid = 33, .gid = 33),
    HARD_ROW("hard", "etc/shadow", .mode = 0440, .gid = 42),
    {.type = DV_TAR_CHAR, .name = "null", .major = 1, .minor = 3},
    DIR_ROW("locked", .mode = 010000),
    FILE_ROW("locked/f", "in"),
    DIR_ROW("locked/deeper", .mode = 0100),
    FILE_ROW("locked/deeper/f", "in", .mode = 010000),
    DIR_ROW("shut", .mode = 010000),
    {0},
};

static void rootless__records_what_it_cannot_do(void **state)
{
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(TEXT_MAX);
    const row *const layers[] = {rootless_rows, LAYER(DIR_ROW("etc", .mode = 0555)), NULL};
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, layers, &(dv_unpack_options){.rootless = true}, &u, NULL), 0);
    expect_owner(s.root_fd, "etc", "", -1); /* the upper layer says 0:0 */
    expect_owner(s.root_fd, "etc/shadow", "\x08\xff\xff\xff\xff\x0f\x10\x2a", 8);
    expect_owner(s.root_fd, "etc/plain", "", -1);
    tree_text(s.root_fd, false, &got);
    assert_string_equal(dv_buf_text(&got), "d 0555 etc\nf etc/plain =y\nf 0440 etc/shadow #2 =x\nf 0440 hard "
                                           "#2 =x\nl l -> x\nd 0000 locked\nd 0100 locked/deeper\n"
                                           "f 0000 locked/deeper/f =in\nf locked/f =in\nd 0000 shut\n"
                                           "f 4755 su =z\n");
    const dv_unpack_report *report = dv_unpack_get_report(u);
    assert_int_equal(report->skip_count, 2);
    assert_string_equal(report->skips[0].path, "l");
    assert_string_equal(report->skips[0].reason, "owner 33:33");
    assert_string_equal(report->skips[1].path, "null");
    assert_string_equal(report->skips[1].reason, "device");
    assert_true(sandbox_leave(&s));
}

/* In a child without privileges: 0 when everything is as it should be, else the number of what is not. */
static int unpack_as_nobody(sandbox *s)
{
    DV_AUTOPTR(dv_unpack) u = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    struct stat st;
    if (fchown(s->root_fd, 65534, 65534) < 0 || setresgid(65534, 65534, 65534) < 0 ||
        setresuid(65534, 65534, 65534) < 0)
        return 1;
    const row *const layers[] = {rootless_rows,
                                 LAYER(FILE_ROW("etc/new", "2"), FILE_ROW("locked/g", "2"),
                                       FILE_ROW(".wh.locked", ""), FILE_ROW("shut/g", "2"),
                                       FILE_ROW(".wh.shut", "")),
                                 LAYER(DIR_ROW("locked", .mode = 0300)), NULL};
    if (unpack_rows(s, layers, &(dv_unpack_options){.rootless = true}, &u, &err) < 0) {
        print_error("%s\n", davit_error_message(err));
        return 2;
    }
    if (fstatat(s->root_fd, "locked", &st, 0) < 0 || (st.st_mode & 07777) != 0300)
        return 3;
    if (fstatat(s->root_fd, "etc", &st, 0) < 0 || (st.st_mode & 07777) != 0555)
        return 4;
    if (fstatat(s->root_fd, "su", &st, 0) < 0 || (st.st_mode & 07777) != 04755 || st.st_uid != 65534)
        return 5;
    if (fstatat(s->root_fd, "locked/f", &st, 0) == 0 || fstatat(s->root_fd, "locked/g", &st, 0) < 0)
        return 6;
    if (fstatat(s->root_fd, "shut", &st, 0) < 0 || (st.st_mode & 07777) != 0) /* something of it stayed */
        return 8;
    expect_owner(s->root_fd, "etc", "\x08\x01\x10\xff\xff\xff\xff\x0f", 8);
    dv_unpack_free(DV_STEAL(u));
    const row *const owned[] = {LAYER(FILE_ROW("f", "1")), NULL};
    int r = unpack_rows(s, owned, NULL, &u, &err);
    return r == DAVIT_EIO && strstr(davit_error_message(err), "--rootless records owners") ? 0 : 7;
}

static void rootless__without_privileges_also_in_closed_directories(void **state)
{
    if (geteuid() != 0)
        skip();
    sandbox s;
    int status;
    assert_int_equal(sandbox_enter(&s), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(unpack_as_nobody(&s));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(sandbox_leave(&s));
}

/* --- the whole way ------------------------------------------------------------------------- */

static void layer__a_tar_goes_through_its_sink(void **state)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TEXT_MAX);
    DV_AUTO(dv_buf) got = DV_BUF_INIT(TEXT_MAX);
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(dv_unpack) u = NULL;
    sandbox s;
    dv_sink *sink;
    tar_block(&tar, '5', "d/", 0);
    tar_block(&tar, '0', "d/f", 5);
    tar_data(&tar, "hello", 5);
    tar_end(&tar);
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(dv_unpack_new(s.root_fd, NULL, &u, NULL), 0);
    assert_int_equal(dv_unpack_layer(u, "sha256:1", &sink, NULL), 0);
    for (size_t i = 0; i < tar.size; i++)
        assert_int_equal(dv_sink_write(sink, tar.data + i, 1, NULL), 0);
    assert_int_equal(dv_sink_finish(sink, NULL), 0);
    assert_int_equal(dv_unpack_layer(u, "sha256:2", &sink, NULL), 0);
    dv_buf_reset(&tar);
    tar_block(&tar, '0', "../x", 0);
    assert_int_equal(dv_sink_write(sink, tar.data, tar.size, &err), DAVIT_EFORMAT);
    assert_string_equal(davit_error_message(err), "layer sha256:2: \"../x\" is outside of \"/\"");
    tree_text(s.root_fd, false, &got);
    assert_string_equal(dv_buf_text(&got), "d 0644 d\nf d/f =hello\n");
    dv_unpack_free(DV_STEAL(u));
    assert_true(sandbox_leave(&s));
}

/* In a thread of its own the umask is 0 and modes are right without a chmod; elsewhere they are right with one. */
static void thread_init__leaves_the_process_its_umask(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        sandbox s;
        DV_AUTOPTR(dv_unpack) u = NULL;
        DV_AUTO(dv_buf) got = DV_BUF_INIT(TEXT_MAX);
        int r = sandbox_enter(&s);
        umask(077);
        const row *const layers[] = {LAYER(FILE_ROW("a/f", "", .mode = 0666), DIR_ROW("b", .mode = 0777),
                                           {.type = DV_TAR_FIFO, .name = "p", .mode = 0622}),
                                     NULL};
        r = r < 0 ? r : unpack_rows(&s, layers, NULL, &u, NULL);
        if (r == 0)
            tree_text(s.root_fd, false, &got);
        bool right = r == 0 && strcmp(dv_buf_text(&got), "d a\nf 0666 a/f\nd 0777 b\np 0622 p\n") == 0;
        right = right && sandbox_leave(&s) && umask(0) == 077;
        _exit(right && dv_unpack_thread_init(NULL) == 0 && umask(022) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries__become_files_of_their_kind),
        cmocka_unit_test(entries__replace_what_is_there),
        cmocka_unit_test(links__within_the_root_are_followed_as_parents),
        cmocka_unit_test(hardlinks__share_a_file_within_the_root),
        cmocka_unit_test(root__its_entry_describes_it),
        cmocka_unit_test(times__are_kept_to_the_nanosecond_and_bounded),
        cmocka_unit_test(times__of_everything_come_from_the_image),
        cmocka_unit_test(directories__more_than_are_kept_open),
        cmocka_unit_test(times__of_a_closed_directory_survive_what_is_made_in_it),
        cmocka_unit_test(directories__few_descriptors_are_enough),
        cmocka_unit_test(directories__others_may_hold_most_descriptors),
        cmocka_unit_test(names__two_thousand_deep),
        cmocka_unit_test(zeros__become_holes_and_read_the_same),
        cmocka_unit_test(limits__of_bytes_and_entries),
        cmocka_unit_test(xattrs__kept_after_a_change_of_owner),
        cmocka_unit_test(xattrs__a_name_without_a_name_is_refused),
        cmocka_unit_test(skips__a_thousand_are_remembered_all_are_counted),
        cmocka_unit_test(rootless__owners_as_umoci_writes_them),
        cmocka_unit_test(rootless__records_what_it_cannot_do),
        cmocka_unit_test(rootless__without_privileges_also_in_closed_directories),
        cmocka_unit_test(layer__a_tar_goes_through_its_sink),
        cmocka_unit_test(thread_init__leaves_the_process_its_umask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
