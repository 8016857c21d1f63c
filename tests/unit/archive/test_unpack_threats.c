/* Unit tests of archive/unpack*.c against hostile layers: one for each row of threats.md D. The sandbox shows that nothing outside changed. */
#include "../../support/unpack_layers.h"
#include "archive/unpack_internal.h"
#include "util/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cmocka.h>

#define LAYER(...) ((const row[]){__VA_ARGS__, {0}})

static void d1__names_that_leave_the_root_are_refused_before_anything_is_made(void **state)
{
    static const char *const names[] = {
        "..", "../x", "a/../x", "/../x", "a/b/../../../x", "./..", "../outside/victim", "x/..", "../root/x"};
    static const dv_tar_type types[] = {DV_TAR_FILE,     DV_TAR_DIRECTORY, DV_TAR_SYMLINK,
                                        DV_TAR_HARDLINK, DV_TAR_FIFO,      DV_TAR_CHAR};
    for (size_t i = 0; i < DV_COUNT(names); i++)
        for (size_t t = 0; t < DV_COUNT(types); t++) {
            char message[128];
            snprintf(message, sizeof(message), "\"%s\" is outside of \"/\"", names[i]);
            const unpack_case c = {names[i],
                                   {LAYER({.type = types[t], .name = names[i], .text = "x", .major = 1})},
                                   NULL,
                                   message};
            check_unpack_cases(&c, 1, NULL);
        }
    const unpack_case named = {"with the name of the target",
                               {LAYER(FILE_ROW("../x", ""))},
                               NULL,
                               "\"../x\" is outside of \"/srv/new\""};
    check_unpack_cases(&named, 1, &(dv_unpack_options){.root_name = "/srv/new"});
    const unpack_case absolute = {"absolute names are below the root",
                                  {LAYER(FILE_ROW("/etc/passwd", "x"), FILE_ROW("//etc//./group", "y"))},
                                  "d etc\nf etc/group =y\nf etc/passwd =x\n"};
    check_unpack_cases(&absolute, 1, NULL);
}

/* A link to outside, then something by way of it: what the kernel resolves stays in the root. */
static void d2__nothing_is_written_through_a_link(void **state)
{
    static const row outward[] = {LINK_ROW("rel", "../outside"),
                                  LINK_ROW("abs", "@/outside"),
                                  LINK_ROW("up", "../../../../../../../.."),
                                  LINK_ROW("file", "@/outside/victim"),
                                  {0}};
    const row *const attacks[] = {
        LAYER(FILE_ROW("rel/victim", "owned")),
        LAYER(FILE_ROW("abs/victim", "owned")),
        LAYER(FILE_ROW("up/etc/davit-was-here", "owned")),
        LAYER(FILE_ROW("file", "owned")),
        LAYER(DIR_ROW("abs", .mode = 0777)),
        LAYER(DIR_ROW("abs/dir", .mode = 0777)),
        LAYER(LINK_ROW("abs/victim", "x")),
        LAYER(HARD_ROW("mine", "abs/victim")),
        LAYER(HARD_ROW("mine", "file"), FILE_ROW("mine", "owned")),
        LAYER({.type = DV_TAR_FIFO, .name = "rel/victim"}),
        LAYER({.type = DV_TAR_CHAR, .name = "rel/victim", .major = 1, .minor = 3}),
        LAYER(FILE_ROW("abs/.wh.victim", "")),
        LAYER(FILE_ROW("abs/.wh..wh..opq", "")),
        LAYER(FILE_ROW(".wh.abs", ""), FILE_ROW(".wh.rel", "")),
        LAYER(LINK_ROW("abs/l", "victim"), FILE_ROW("abs/l/x", "owned")),
        LAYER(FILE_ROW("abs/../x", "")),
        LAYER(LINK_ROW("rel2", "rel"), FILE_ROW("rel2/victim", "owned"), DIR_ROW("rel2")),
        LAYER(DIR_ROW("rel"), FILE_ROW("rel/victim", "mine")),
        LAYER(FILE_ROW("file/x", "owned")),
        LAYER(FILE_ROW(".wh..wh.plnk/x", "1"), LINK_ROW(".wh..wh.plnk", "@/outside"),
              HARD_ROW("h", ".wh..wh.plnk/victim")),
    };
    for (size_t i = 0; i < DV_COUNT(attacks); i++)
        for (unsigned same = 0; same < 2; same++) { /* in the layer of the links, and in the next */
            row joined[32] = {0};
            size_t n = 0;
            for (const row *r = outward; same && r->name; r++)
                joined[n++] = *r;
            for (const row *r = attacks[i]; r->name; r++)
                joined[n++] = *r;
            sandbox s;
            DV_AUTOPTR(dv_unpack) u = NULL;
            assert_int_equal(sandbox_enter(&s), 0);
            int r = unpack_rows(&s, (const row *const[]){same ? joined : outward, same ? NULL : joined, NULL},
                                NULL, &u, NULL);
            assert_true(r == 0 || r == DAVIT_EFORMAT);
            dv_unpack_free(DV_STEAL(u));
            if (!sandbox_leave(&s))
                fail_msg("attack %zu", i);
            assert_int_equal(access("/etc/davit-was-here", F_OK), -1);
        }
}

static void d2__a_link_in_place_of_the_root_is_refused(void **state)
{
    const unpack_case c = {"root entry",
                           {LAYER(LINK_ROW("./", "@/outside"), FILE_ROW("victim", "x"))},
                           NULL,
                           "would replace the root"};
    check_unpack_cases(&c, 1, NULL);
}

static void d3__metadata_of_a_link_is_not_its_targets(void **state)
{
    const dv_tar_xattr x = {"user.x", "1", 1};
    const row *const layers[] = {
        LAYER(FILE_ROW("inside", "1", .mode = 0600),
              LINK_ROW("out", "@/outside/victim", .mode = 07777, .uid = 9, .mtime = 1, .xattrs = &x,
                       .xattr_count = 1),
              LINK_ROW("in", "inside", .mode = 07777, .uid = 9, .mtime = 1, .xattrs = &x, .xattr_count = 1),
              HARD_ROW("out2", "out", .mode = 07777, .uid = 8, .mtime = 2, .xattrs = &x, .xattr_count = 1)),
        NULL};
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    struct stat st;
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(unpack_rows(&s, layers, NULL, &u, NULL), 0);
    assert_int_equal(fstatat(s.root_fd, "inside", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_mtim.tv_sec, 1000000);
    assert_int_equal(fstatat(s.root_fd, "out2", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 8);
    assert_int_equal(dv_unpack_get_report(u)->skips_total, 3);
    assert_true(sandbox_leave(&s));
}

static void d4__hard_links_lead_within_the_root(void **state)
{
    const unpack_case cases[] = {
        {"dot dot",
         {LAYER(HARD_ROW("h", "../outside/victim"))},
         NULL,
         "invalid hardlink \"h\" -> \"../outside/victim\""},
        {"dot dot behind a name",
         {LAYER(DIR_ROW("a"), HARD_ROW("h", "a/../../outside/victim"))},
         NULL,
         "invalid hardlink"},
        {"absolute", {LAYER(HARD_ROW("h", "@/outside/victim"))}, NULL, "invalid hardlink"},
        {"the working directory", {LAYER(HARD_ROW("h", "outside/victim"))}, NULL, "invalid hardlink"},
        {"through a link",
         {LAYER(LINK_ROW("l", "@/outside"), HARD_ROW("h", "l/victim"))},
         NULL,
         "invalid hardlink"},
        {"through a link up",
         {LAYER(LINK_ROW("l", "../outside"), HARD_ROW("h", "l/victim"))},
         NULL,
         "invalid hardlink"},
        {"written afterwards, the other name keeps its content",
         {LAYER(FILE_ROW("a", "1"), HARD_ROW("b", "a"), FILE_ROW("b", "2"))},
         "f a =1\nf b =2\n"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

/* D5 is in test_unpack_whiteout.c. */

static void d6__devices_by_policy(void **state)
{
    const row *const device =
        LAYER({.type = DV_TAR_CHAR, .name = "null", .major = 1, .minor = 3},
              {.type = DV_TAR_BLOCK, .name = "sda", .major = 8}, {.type = DV_TAR_FIFO, .name = "pipe"});
    const unpack_case kept = {"kept", {device}, "c null 1,3\np pipe\nb sda 8,0\n"};
    const unpack_case skipped = {
        "skipped, pipes are not devices", {LAYER(FILE_ROW("sda", "old")), device}, "p pipe\n"};
    const unpack_case rejected = {
        "rejected", {device}, NULL, "null: it is a device, and --devices=reject", DAVIT_EUNSUPPORTED};
    check_unpack_cases(&kept, 1, NULL);
    check_unpack_cases(&skipped, 1, &(dv_unpack_options){.devices = DV_DEVICES_SKIP});
    check_unpack_cases(&skipped, 1, &(dv_unpack_options){.rootless = true});
    check_unpack_cases(&rejected, 1, &(dv_unpack_options){.devices = DV_DEVICES_REJECT});
    const unpack_case never[] = {
        {"0:0 looks like a whiteout of overlayfs", {LAYER({.type = DV_TAR_CHAR, .name = "x"})}, NULL, "0:0"},
        {"a major number that the kernel would cut",
         {LAYER({.type = DV_TAR_CHAR, .name = "x", .major = 4096})},
         NULL,
         "out of range"},
        {"a minor number that the kernel would cut",
         {LAYER({.type = DV_TAR_BLOCK, .name = "x", .major = 1, .minor = 1u << 20})},
         NULL,
         "out of range"},
    };
    for (dv_unpack_devices d = DV_DEVICES_KEEP; d <= DV_DEVICES_REJECT; d++)
        check_unpack_cases(never, DV_COUNT(never), &(dv_unpack_options){.devices = d});
}

static void d7__xattrs_that_steer_the_kernel_never_come_from_an_image(void **state)
{
    const dv_tar_xattr x[] = {{"trusted.overlay.opaque", "y", 1}, {"trusted.overlay.redirect", "/etc", 4},
                              {"user.overlay.opaque", "y", 1},    {"user.rootlesscontainers", "\x08\x01", 2},
                              {"security.selinux", "s", 1},       {"system.posix_acl_access", "x", 1},
                              {"security.ima", "i", 1},           {"user.fine", "1", 1}};
    const char *const asked[] = {"trusted.overlay.opaque", "user.overlay.*", "user.rootlesscontainers",
                                 "system.posix_acl_access", NULL};
    for (unsigned with = 0; with < 2; with++) {
        sandbox s;
        DV_AUTOPTR(dv_unpack) u = NULL;
        char list[256];
        assert_int_equal(sandbox_enter(&s), 0);
        const row *const layers[] = {LAYER(DIR_ROW("d", .xattrs = x, .xattr_count = DV_COUNT(x)),
                                           {.name = "f", .text = "", .xattrs = x, .xattr_count = DV_COUNT(x)}),
                                     NULL};
        assert_int_equal(
            unpack_rows(&s, layers, &(dv_unpack_options){.xattrs = with ? asked : NULL}, &u, NULL), 0);
        for (unsigned i = 0; i < 2; i++) {
            DV_AUTOCLOSE fd = openat(s.root_fd, i ? "d" : "f", O_RDONLY | O_CLOEXEC);
            assert_int_equal(flistxattr(fd, list, sizeof(list)), sizeof("user.fine"));
            assert_string_equal(list, "user.fine");
        }
        assert_int_equal(dv_unpack_get_report(u)->skips_total, 14);
        assert_true(sandbox_leave(&s));
    }
}

static void d8__owners_out_of_range_and_bits_of_the_type(void **state)
{
    const unpack_case cases[] = {
        {"uid -1", {LAYER(FILE_ROW("f", "x", .uid = UINT32_MAX))}, NULL, "owner is out of range"},
        {"gid -1", {LAYER(DIR_ROW("f", .gid = UINT32_MAX))}, NULL, "owner is out of range"},
        {"the largest",
         {LAYER(FILE_ROW("f", "x", .uid = UINT32_MAX - 1, .gid = UINT32_MAX - 1))},
         "f 4294967294:4294967294 f =x\n"},
        {"setuid is not lost to the change of owner",
         {LAYER(FILE_ROW("f", "x", .uid = 5, .gid = 6, .mode = 07755))},
         "f 7755 5:6 f =x\n"},
        {"setuid is not kept from what was there",
         {LAYER(FILE_ROW("f", "x", .mode = 04755)), LAYER(FILE_ROW("f", "y", .uid = 5))},
         "f 5:0 f =y\n"},
    };
    check_unpack_cases(cases, DV_COUNT(cases), NULL);
}

/* D9 is the reader's: test_tar_reader.c. D10, D13: the root is ours alone, 0700, and stays so. */
static void d10__the_root_stays_closed_until_it_is_in_place(void **state)
{
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    struct stat st;
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(
        unpack_rows(
            &s, (const row *const[]){LAYER(DIR_ROW(".", .mode = 0777), DIR_ROW("tmp", .mode = 01777)), NULL},
            NULL, &u, NULL),
        0);
    assert_int_equal(fstat(s.root_fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(dv_unpack_root_mode(u), 0777);
    assert_true(sandbox_leave(&s));
}

/* D11: ids are numbers, no name is looked up: nothing of NSS is linked to. D12: */
static void d12__every_descriptor_is_closed_on_exec(void **state)
{
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    const dv_tar_entry file = {.name = "a/b/f", .link = "", .size = 9, .mode = 0644};
    assert_int_equal(sandbox_enter(&s), 0);
    assert_int_equal(dv_unpack_new(s.root_fd, NULL, &u, NULL), 0);
    dv_sink *sink;
    assert_int_equal(dv_unpack_layer(u, "x", &sink, NULL), 0);
    /* An entry and half of its data: directories and the file are open. */
    assert_int_equal(dv_unpack_handler.on_entry(u, &file, NULL), 0);
    assert_int_equal(dv_unpack_handler.on_data(u, "half", 4, NULL), 0);
    unsigned ours = 0;
    for (int fd = 3; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        char link[64], path[4200];
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = flags < 0 ? -1 : readlink(link, path, sizeof(path) - 1);
        if (n < 0)
            continue;
        path[n] = '\0';
        if (strncmp(path, s.path, strlen(s.path)) != 0)
            continue;
        ours++;
        if (!(flags & FD_CLOEXEC))
            fail_msg("%s", path);
    }
    assert_true(ours >= 4);
    dv_unpack_free(DV_STEAL(u)); /* in the middle of a file */
    assert_true(sandbox_leave(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(d1__names_that_leave_the_root_are_refused_before_anything_is_made),
        cmocka_unit_test(d2__nothing_is_written_through_a_link),
        cmocka_unit_test(d2__a_link_in_place_of_the_root_is_refused),
        cmocka_unit_test(d3__metadata_of_a_link_is_not_its_targets),
        cmocka_unit_test(d4__hard_links_lead_within_the_root),
        cmocka_unit_test(d6__devices_by_policy),
        cmocka_unit_test(d7__xattrs_that_steer_the_kernel_never_come_from_an_image),
        cmocka_unit_test(d8__owners_out_of_range_and_bits_of_the_type),
        cmocka_unit_test(d10__the_root_stays_closed_until_it_is_in_place),
        cmocka_unit_test(d12__every_descriptor_is_closed_on_exec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
