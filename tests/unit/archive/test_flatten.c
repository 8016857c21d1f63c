/*
 * Unit tests of archive/flatten*.c. That a flattened tar gives what unpacking gives is also shown by the tables of test_unpack.c,
 * test_unpack_threats.c and test_unpack_whiteout.c, which check_unpack_cases() runs this way too.
 */
#include "../../support/flatten_layers.h"
#include "../../support/tar_blocks.h"
#include "archive/flatten_internal.h"
#include "archive/unpack_internal.h"
#include "util/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#define LAYER(...) ((const row[]){__VA_ARGS__, {0}})

/* --- what is written, and in which order ----------------------------------------------------------------------------- */

typedef struct order_case {
    const char *fact;
    const row *layers[LAYERS_MAX];
    const char *names; /* type and name of each entry, " -> link", "=data" */
} order_case;

typedef struct listing {
    dv_buf text;
    const dv_tar_entry *entry;
} listing;

static int list_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    static const char letters[] = {'f', 'h', 'l', 'c', 'b', 'd', 'p'};
    listing *l = user;
    dv_buf_printf(&l->text, "%c %s", letters[e->type], e->name);
    if (*e->link)
        dv_buf_printf(&l->text, " -> %s", e->link);
    if (e->size > 0)
        dv_buf_puts(&l->text, " =");
    return 0;
}

static int list_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    dv_buf_append(&((listing *)user)->text, bytes, size);
    return 0;
}

static int list_end(void *user, davit_error **err)
{
    dv_buf_putc(&((listing *)user)->text, '\n');
    return 0;
}

static void list_tar(const dv_buf *tar, dv_buf *out)
{
    static const dv_tar_handler handler = {.on_entry = list_entry, .on_data = list_data, .on_end = list_end};
    DV_AUTOPTR(dv_tar_reader) reader = NULL;
    listing l = {.text = DV_BUF_INIT(1u << 20)};
    assert_int_equal(dv_tar_reader_new(&handler, &l, &reader, NULL), 0);
    assert_int_equal(dv_sink_write(dv_tar_reader_sink(reader), tar->data, tar->size, NULL), 0);
    assert_int_equal(dv_sink_finish(dv_tar_reader_sink(reader), NULL), 0);
    dv_buf_append(out, l.text.data, l.text.size);
    dv_buf_clear(&l.text);
}

static void check_order(const order_case *c)
{
    const sandbox nowhere = {.path = "/nowhere"};
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTO(dv_buf) got = DV_BUF_INIT(1u << 20);
    DV_AUTOPTR(davit_error) err = NULL;
    if (flatten_rows(&nowhere, c->layers, &tar, &err) < 0)
        fail_msg("%s: %s", c->fact, davit_error_message(err));
    list_tar(&tar, &got);
    if (strcmp(dv_buf_text(&got), c->names) != 0)
        fail_msg("%s:\nexpected\n%s\ngot\n%s", c->fact, c->names, dv_buf_text(&got));
}

static void flatten__writes_what_is_left_where_it_was_made(void **state)
{
    const order_case cases[] = {
        {"no layer has anything", {LAYER({0})}, ""},
        {"one layer as it is",
         {LAYER(DIR_ROW("b"), FILE_ROW("b/2", "two"), DIR_ROW("a/"), FILE_ROW("a/1", ""))},
         "d b/\nf b/2 =two\nd a/\nf a/1\n"},
        {"the root first, when it is described", {LAYER(FILE_ROW("a", "1"), DIR_ROW("./"))}, "d ./\nf a =1\n"},
        {"names lose what they need not", {LAYER(FILE_ROW("/./a//b", "1"))}, "d a/\nf a/b =1\n"},
        {"parents come before children that came first",
         {LAYER(FILE_ROW("a/b/c", "1"), DIR_ROW("a"), DIR_ROW("a/b"))},
         "d a/\nd a/b/\nf a/b/c =1\n"},
        {"a directory stays where it was made, a file comes where its data is",
         {LAYER(DIR_ROW("d"), FILE_ROW("d/a", "1"), FILE_ROW("d/b", "1")),
          LAYER(DIR_ROW("d"), FILE_ROW("d/a", "2"))},
         "d d/\nf d/b =1\nf d/a =2\n"},
        {"what is gone is not there",
         {LAYER(DIR_ROW("d"), FILE_ROW("d/a", "1"), FILE_ROW("x", "1")), LAYER(FILE_ROW(".wh.d", ""))},
         "f x =1\n"},
        {"a directory that only a marker needed", {LAYER(FILE_ROW("new/.wh.a", ""))}, "d new/\n"},
        {"links follow their file",
         {LAYER(FILE_ROW("a", "1"), FILE_ROW("b", "2"), HARD_ROW("d/c", "a"))},
         "f a =1\nd d/\nh d/c -> a\nf b =2\n"},
        {"the second name becomes the file when the first one goes",
         {LAYER(FILE_ROW("a", "1"), HARD_ROW("b", "a"), HARD_ROW("c", "a")), LAYER(FILE_ROW(".wh.a", ""))},
         "f b =1\nh c -> b\n"},
        {"a replaced name leaves the others",
         {LAYER(FILE_ROW("a", "1"), HARD_ROW("b", "a")), LAYER(FILE_ROW("a", "2"))},
         "f b =1\nf a =2\n"},
        {"a link to a link is that link",
         {LAYER(LINK_ROW("l", "nowhere"), HARD_ROW("m", "l"))},
         "l l -> nowhere\nh m -> l\n"},
        {"usr-merge: through the link of a lower layer",
         {LAYER(DIR_ROW("usr"), DIR_ROW("usr/bin"), LINK_ROW("bin", "usr/bin")),
          LAYER(FILE_ROW("bin/sh", "1"), FILE_ROW("bin/.wh.gone", ""))},
         "d usr/\nd usr/bin/\nl bin -> usr/bin\nf usr/bin/sh =1\n"},
        {"AUFS keeps files aside for links",
         {LAYER(FILE_ROW(".wh..wh.plnk/1.2", "x"), HARD_ROW("a", ".wh..wh.plnk/1.2"),
                HARD_ROW("b", ".wh..wh.plnk/1.2"), FILE_ROW(".wh..wh.aufs", ""))},
         "f a =x\nh b -> a\n"},
    };
    for (size_t i = 0; i < DV_COUNT(cases); i++)
        check_order(&cases[i]);
}

/* --- limits and failures --------------------------------------------------------------------------------------------- */

static void flatten__refuses_paths_that_nobody_can_make(void **state)
{
    const sandbox nowhere = {.path = "/nowhere"};
    static char step[200 * 20 + 1], target[200 * 20 + 2];
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(davit_error) err = NULL;
    for (size_t i = 0; i < 20; i++) {
        memset(step + 200 * i, 'n', 199);
        step[200 * i + 199] = '/';
    }
    snprintf(target, sizeof(target), "/%s", step);
    target[strlen(target) - 1] = step[sizeof(step) - 2] = '\0';
    char below[512];
    snprintf(below, sizeof(below), "l/%0200d", 1);
    const row *const layers[LAYERS_MAX] = {LAYER(DIR_ROW(step), LINK_ROW("l", target), DIR_ROW(below))};
    assert_int_equal(flatten_rows(&nowhere, layers, &tar, &err), DAVIT_ETOOBIG);
    assert_non_null(strstr(davit_error_message(err), "path is longer than 4095 bytes"));
}

static int drop_bytes(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    return 0;
}

static int drop_end(dv_sink *s, davit_error **err)
{
    return 0;
}

static void flatten__notices_other_bytes_the_second_time(void **state)
{
    const struct {
        const char *fact;
        const row *second;
    } cases[] = {
        {"longer", (const row[]){FILE_ROW("a", "22"), {0}}},
        {"not there", (const row[]){{0}}},
        {"no file", (const row[]){DIR_ROW("a"), {0}}},
    };
    const sandbox nowhere = {.path = "/nowhere"};
    dv_sink nothing = {.write = drop_bytes, .finish = drop_end}, *unused;
    for (size_t i = 0; i < DV_COUNT(cases); i++) {
        DV_AUTOPTR(dv_flatten) f = NULL;
        assert_int_equal(dv_flatten_new(NULL, &f, NULL), 0);
        assert_int_equal(dv_flatten_read(f, "test", &unused, NULL), 0);
        assert_int_equal(apply_rows(&nowhere, &dv_flatten_reading, f, LAYER(FILE_ROW("a", "1")), NULL), 0);
        dv_flatten_end_layer(f);
        assert_int_equal(dv_flatten_begin(f, &nothing, NULL), 0);
        assert_int_equal(dv_flatten_write(f, 0, "test", &unused, NULL), 0);
        int r = apply_rows(&nowhere, &dv_flatten_writing, f, cases[i].second, NULL);
        if (r == 0)
            r = dv_flatten_finish(f, NULL);
        if (r != DAVIT_EDIGEST)
            fail_msg("%s: %d", cases[i].fact, r);
    }
}

static void flatten__wants_only_layers_with_data_that_is_left(void **state)
{
    const sandbox nowhere = {.path = "/nowhere"};
    const row *const layers[] = {
        LAYER(FILE_ROW("a", "1"), FILE_ROW("b", "1")),
        LAYER(FILE_ROW("a", "2")),
        LAYER(FILE_ROW("a", ""), DIR_ROW("d")),
    };
    static const bool wanted[] = {true, false, false};
    dv_sink nothing = {.write = drop_bytes, .finish = drop_end}, *unused;
    DV_AUTOPTR(dv_flatten) f = NULL;
    assert_int_equal(dv_flatten_new(NULL, &f, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(layers); i++) {
        assert_int_equal(dv_flatten_read(f, "test", &unused, NULL), 0);
        assert_int_equal(apply_rows(&nowhere, &dv_flatten_reading, f, layers[i], NULL), 0);
        dv_flatten_end_layer(f);
    }
    assert_int_equal(dv_flatten_begin(f, &nothing, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(layers); i++)
        assert_int_equal(dv_flatten_wants(f, i), wanted[i]);
}

/* Otherwise a layer of many files and many markers would take their product. */
static void flatten__the_same_marker_does_not_look_again(void **state)
{
    const sandbox nowhere = {.path = "/nowhere"};
    const row *const layers[] = {
        LAYER(FILE_ROW("d/e/old", "1"), FILE_ROW("old", "1")),
        LAYER(FILE_ROW("d/e/new", "2"), FILE_ROW(".wh.d", "")),
        LAYER(FILE_ROW("d/e/new", "3"), FILE_ROW("d/.wh..wh..opq", "")),
        LAYER(FILE_ROW("d/e/new", "4"), FILE_ROW(".wh..wh..opq", "")),
    };
    DV_AUTOPTR(dv_flatten) f = NULL;
    dv_sink *unused;
    assert_int_equal(dv_flatten_new(NULL, &f, NULL), 0);
    for (unsigned i = 0; i < DV_COUNT(layers); i++) {
        assert_int_equal(dv_flatten_read(f, "test", &unused, NULL), 0);
        assert_int_equal(apply_rows(&nowhere, &dv_flatten_reading, f, layers[i], NULL), 0);
        dv_flatten_end_layer(f);
        const uint32_t d = dv_flat_lookup(&f->tree, DV_FLAT_ROOT, "d", 1);
        const uint32_t e = dv_flat_lookup(&f->tree, d, "e", 1);
        assert_int_equal(dv_flat_inode_of(&f->tree, e)->layer, i + 1);
        assert_int_equal(dv_flat_inode_of(&f->tree, d)->layer, i + 1);
        assert_int_equal(dv_flat_inode_of(&f->tree, DV_FLAT_ROOT)->layer, i == 3 ? 4 : 0);
    }
}

/* As chown(2) does, which unpacking calls. */
static void flatten__a_new_owner_takes_capabilities(void **state)
{
    static const char capability[20] = {1, 0, 0, 2, 0, 0x20};
    const dv_tar_xattr x[] = {{"security.capability", capability, sizeof(capability)}, {"user.a", "1", 1}};
    const row *const layers[] = {
        LAYER({.name = "f", .text = "x", .xattrs = x, .xattr_count = 2}, HARD_ROW("same", "f"),
              {.name = "g", .text = "x", .xattrs = x, .xattr_count = 2}, HARD_ROW("other", "g", .uid = 5),
              {.name = "h", .text = "x", .xattrs = x, .xattr_count = 2},
              HARD_ROW("again", "h", .uid = 5, .xattrs = x, .xattr_count = 1)),
        NULL,
    };
    static const struct {
        const char *name;
        bool capable;
    } cases[] = {{"f", true}, {"g", false}, {"h", true}};
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(dv_unpack) u = NULL;
    sandbox s;
    char value[64];
    if (geteuid() != 0)
        skip();
    for (unsigned flattened = 0; flattened < 2; flattened++) {
        assert_int_equal(sandbox_enter(&s), 0);
        if (flattened) {
            assert_int_equal(flatten_rows(&s, layers, &tar, NULL), 0);
            assert_int_equal(unpack_tar(&s, tar.data, tar.size, NULL), 0);
        } else {
            assert_int_equal(unpack_rows(&s, layers, NULL, &u, NULL), 0);
        }
        for (size_t i = 0; i < DV_COUNT(cases); i++) {
            DV_AUTOCLOSE fd = openat(s.root_fd, cases[i].name, O_RDONLY | O_CLOEXEC);
            const ssize_t size = fgetxattr(fd, "security.capability", value, sizeof(value));
            if ((size > 0) != cases[i].capable)
                fail_msg("%s%s: %zd", cases[i].name, flattened ? ", flattened" : "", size);
            assert_int_equal(fgetxattr(fd, "user.a", value, sizeof(value)), 1);
        }
        assert_true(sandbox_leave(&s));
    }
}

static void flatten__stops_at_two_million_paths(void **state)
{
    DV_AUTOPTR(dv_flatten) f = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_sink *unused;
    char name[32];
    int r = 0;
    uint32_t i = 0;
    assert_int_equal(dv_flatten_new(NULL, &f, NULL), 0);
    assert_int_equal(dv_flatten_read(f, "test", &unused, NULL), 0);
    for (; r == 0 && i <= DV_FLAT_PATHS_MAX; i++) {
        snprintf(name, sizeof(name), "%x", i);
        const dv_tar_entry e = {.type = DV_TAR_FIFO, .name = name, .link = ""};
        r = dv_flatten_reading.on_entry(f, &e, &err);
    }
    assert_int_equal(r, DAVIT_ETOOBIG);
    assert_string_equal(davit_error_message(err), "image has more than 2000000 paths");
    const dv_flat_tree *t = &f->tree;
    size_t used = t->node_capacity * sizeof(*t->nodes) + t->inode_capacity * sizeof(*t->inodes) +
                  t->bucket_count * sizeof(*t->buckets) + t->text_capacity;
    assert_true(used / DV_FLAT_PATHS_MAX <= 200);
}

/* --- random layers against unpacking --------------------------------------------------------------------------------- */

#define RANDOM_ROWS 40
#define RANDOM_CASES 50
#define TIME_MAX 1000000

typedef struct random_layers {
    uint64_t state;
    row rows[LAYERS_MAX][RANDOM_ROWS + 6];
    char texts[LAYERS_MAX * RANDOM_ROWS * 3][64];
    size_t text_count;
} random_layers;

static uint32_t pick(random_layers *l, uint32_t below)
{
    l->state ^= l->state << 13;
    l->state ^= l->state >> 7;
    l->state ^= l->state << 17;
    return (uint32_t)(l->state >> 20) % below;
}

static char *random_path(random_layers *l, const char *before, bool marker)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    char *out = l->texts[l->text_count++];
    unsigned depth = 1 + pick(l, 3);
    strcpy(out, before);
    for (unsigned i = 0; i < depth; i++) {
        if (i > 0)
            strcat(out, "/");
        if (marker && i + 1 == depth)
            strcat(out, pick(l, 4) == 0 ? ".wh." : "");
        strcat(out, names[pick(l, DV_COUNT(names))]);
        if (marker && i + 1 == depth && pick(l, 4) == 0)
            strcpy(strrchr(out, '/') ? strrchr(out, '/') + 1 : out, ".wh..wh..opq");
    }
    return out;
}

static row random_row(random_layers *l)
{
    static const dv_tar_xattr xattrs[] = {{"user.one", "1", 1}, {"user.two", "22", 2}, {"trusted.no", "3", 1}};
    static const char *const data[] = {"", "x", "some data"};
    static const char *const up[] = {"", "/", "../", "../../", "./"};
    row e = {.mtime = 1000 + pick(l, 100000), .uid = pick(l, 3), .gid = pick(l, 3)};
    if (geteuid() != 0)
        e.uid = geteuid(), e.gid = getegid();
    unsigned kind = pick(l, 20);
    e.name = random_path(l, pick(l, 8) ? "" : "./", /* marker= */ kind >= 16);
    e.type = kind < 5 || kind >= 16 ? DV_TAR_FILE
             : kind < 9             ? DV_TAR_DIRECTORY
             : kind < 12            ? DV_TAR_SYMLINK
             : kind < 15            ? DV_TAR_HARDLINK
                                    : DV_TAR_FIFO;
    if (e.type == DV_TAR_FILE)
        e.text = data[pick(l, DV_COUNT(data))];
    if (e.type == DV_TAR_SYMLINK)
        e.text = random_path(l, up[pick(l, DV_COUNT(up))], false);
    if (e.type == DV_TAR_HARDLINK)
        e.text = random_path(l, "", false);
    if (e.type != DV_TAR_SYMLINK)
        e.mode = 0600 | pick(l, 0200);
    if (e.type != DV_TAR_SYMLINK && e.type != DV_TAR_FIFO && pick(l, 4) == 0) {
        unsigned first = pick(l, 3);
        e.xattrs = xattrs + first;
        e.xattr_count = 1 + pick(l, 3 - first);
    }
    return e;
}

static void make_layers(random_layers *l, uint64_t seed)
{
    l->state = seed * 0x9e3779b97f4a7c15u + 1;
    l->text_count = 0;
    memset(l->rows, 0, sizeof(l->rows));
    unsigned layers = 1 + pick(l, LAYERS_MAX - 1);
    for (unsigned i = 0; i < layers; i++)
        for (unsigned n = 3 + pick(l, RANDOM_ROWS - 3), at = 0; at < n; at++)
            l->rows[i][at] = random_row(l);
}

/* Where something is refused; NULL: nowhere. */
static row *first_refused_flattening(random_layers *l)
{
    const sandbox nowhere = {.path = "/nowhere"};
    DV_AUTOPTR(dv_flatten) f = NULL;
    dv_sink *unused;
    assert_int_equal(dv_flatten_new(NULL, &f, NULL), 0);
    for (size_t i = 0; i < LAYERS_MAX && l->rows[i][0].name; i++) {
        assert_int_equal(dv_flatten_read(f, "test", &unused, NULL), 0);
        for (size_t n = 0; l->rows[i][n].name; n++)
            if (apply_rows(&nowhere, &dv_flatten_reading, f, (const row[]){l->rows[i][n], {0}}, NULL) < 0)
                return &l->rows[i][n];
        dv_flatten_end_layer(f);
    }
    return NULL;
}

/* The same; when nothing is, the tree. */
static row *first_refused_unpacking(random_layers *l, dv_buf *out)
{
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    row *refused = NULL;
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(dv_unpack_new(s.root_fd, NULL, &u, NULL), 0);
    for (size_t i = 0; !refused && i < LAYERS_MAX && l->rows[i][0].name; i++) {
        assert_int_equal(dv_unpack_begin_layer(u, "test", NULL), 0);
        for (size_t n = 0; !refused && l->rows[i][n].name; n++)
            if (apply_rows(&s, &dv_unpack_handler, u, (const row[]){l->rows[i][n], {0}}, NULL) < 0)
                refused = &l->rows[i][n];
        if (!refused)
            assert_int_equal(dv_unpack_end_layer(u, NULL), 0);
    }
    if (!refused) {
        assert_int_equal(dv_unpack_finish(u, NULL), 0);
        tree_text(s.root_fd, true, out);
    }
    dv_unpack_free(DV_STEAL(u));
    assert_true(sandbox_leave(&s));
    return refused;
}

/* Both refuse the same row; then all that are refused are dropped, so that something can be compared. */
static void drop_refused(random_layers *l, uint64_t seed)
{
    DV_AUTO(dv_buf) unused = DV_BUF_INIT(1u << 20);
    row *bad = first_refused_flattening(l);
    if (bad != first_refused_unpacking(l, &unused))
        fail_msg("seed %llu: %s is refused by one only", (unsigned long long)seed,
                 bad ? bad->name : "something");
    for (; bad; bad = first_refused_flattening(l)) {
        size_t layer = (size_t)((char *)bad - (char *)l->rows) / sizeof(l->rows[0]);
        memmove(bad, bad + 1, (size_t)((char *)&l->rows[layer][RANDOM_ROWS + 5] - (char *)bad));
    }
}

/*
 * Line by line; a time that is no row's is the clock's, of a directory that no entry describes: there the tar has the time of the entry that
 * needed it.
 */
static bool is_same_tree(const char *expected, const char *got)
{
    while (*expected && *got) {
        const size_t a = (size_t)(strchrnul(expected, '\n') - expected),
                     b = (size_t)(strchrnul(got, '\n') - got);
        const char *time = memrchr(expected, '@', a), *other = memrchr(got, '@', b);
        if (!time || !other || time - expected != other - got ||
            strncmp(expected, got, (size_t)(time - expected)))
            return false;
        if (atoll(time + 1) < TIME_MAX && (a != b || strncmp(expected, got, a) != 0))
            return false;
        expected += a + 1;
        got += b + 1;
    }
    return *expected == *got;
}

static void check_random(random_layers *l, uint64_t seed)
{
    const row *layers[LAYERS_MAX] = {0};
    DV_AUTO(dv_buf) expected = DV_BUF_INIT(1u << 20);
    DV_AUTO(dv_buf) got = DV_BUF_INIT(1u << 20);
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTO(dv_buf) again = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(davit_error) err = NULL;
    sandbox s;
    make_layers(l, seed);
    drop_refused(l, seed);
    for (size_t i = 0; i < LAYERS_MAX && l->rows[i][0].name; i++)
        layers[i] = l->rows[i];
    assert_null(first_refused_unpacking(l, &expected));
    assert_int_equal(sandbox_enter(&s), 0);
    int r = flatten_rows(&s, layers, &tar, &err);
    if (r == 0)
        r = flatten_rows(&s, layers, &again, &err);
    if (r == 0)
        r = unpack_tar(&s, tar.data, tar.size, &err);
    tree_text(s.root_fd, true, &got);
    if (r < 0 || !is_same_tree(dv_buf_text(&expected), dv_buf_text(&got)))
        fail_msg("seed %llu: %d %s\nexpected\n%s\ngot\n%s", (unsigned long long)seed, r,
                 davit_error_message(err), dv_buf_text(&expected), dv_buf_text(&got));
    assert_true(tar.size == again.size && memcmp(tar.data, again.data, tar.size) == 0);
    assert_true(sandbox_leave(&s));
}

static void flatten__of_random_layers_is_what_unpacking_gives(void **state)
{
    random_layers *l = malloc(sizeof(*l));
    assert_non_null(l);
    for (uint64_t seed = 1; seed <= RANDOM_CASES; seed++)
        check_random(l, seed);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flatten__writes_what_is_left_where_it_was_made),
        cmocka_unit_test(flatten__refuses_paths_that_nobody_can_make),
        cmocka_unit_test(flatten__notices_other_bytes_the_second_time),
        cmocka_unit_test(flatten__wants_only_layers_with_data_that_is_left),
        cmocka_unit_test(flatten__the_same_marker_does_not_look_again),
        cmocka_unit_test(flatten__a_new_owner_takes_capabilities),
        cmocka_unit_test(flatten__stops_at_two_million_paths),
        cmocka_unit_test(flatten__of_random_layers_is_what_unpacking_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
