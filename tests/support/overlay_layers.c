/* tests/support/overlay_layers.c - see overlay_layers.h. */
#include "overlay_layers.h"

#include "archive/unpack_internal.h"
#include "util/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <cmocka.h>

#define TEXT_MAX (1u << 20)

typedef struct stack {
    int fds[LAYERS_MAX]; /* the top first */
    size_t count;
} stack;

static void stack_clear(stack *s)
{
    for (size_t i = 0; i < s->count; i++)
        dv_close(&s->fds[i]);
}
DV_DEFINE_AUTO(stack, stack_clear)

static int apply_layer(sandbox *s, const row *layer, int root_fd, const stack *below, davit_error **err)
{
    DV_AUTOPTR(dv_unpack) u = NULL;
    const dv_unpack_options options = {.overlay = true, .lowers = below->fds, .lower_count = below->count};
    int r = dv_unpack_new(root_fd, &options, &u, err);
    if (r == 0)
        r = dv_unpack_begin_layer(u, "test", err);
    if (r == 0)
        r = apply_rows(s, &dv_unpack_handler, u, layer, err);
    if (r == 0)
        r = dv_unpack_end_layer(u, err);
    if (r == 0)
        r = dv_unpack_finish(u, err);
    return r;
}

/* Each layer in a directory "layerN" of the root: what gets out of one is outside of all. */
static int apply_layers(sandbox *s, const row *const *layers, stack *out, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < LAYERS_MAX && layers[i]; i++) {
        char name[16];
        snprintf(name, sizeof(name), "layer%zu", i);
        assert_int_equal(mkdirat(s->root_fd, name, 0755), 0);
        int fd = openat(s->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        r = apply_layer(s, layers[i], fd, out, err);
        memmove(out->fds + 1, out->fds, out->count * sizeof(out->fds[0]));
        out->fds[0] = fd;
        out->count++;
    }
    return r;
}

/* In a child with mounts of its own: the merged tree goes to the pipe. 77: not allowed. */
static int show(const sandbox *s, size_t count, int out)
{
    char options[LAYERS_MAX * 32 + 64] = "lowerdir=";
    DV_AUTO(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    if (fchdir(s->root_fd) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 77;
    for (size_t i = count; i-- > 0;)
        sprintf(options + strlen(options), "layer%zu:", i);
    strcat(options, "empty"); /* one directory alone would be no overlay */
    if (mkdir("empty", 0755) < 0 || mkdir("all", 0755) < 0 ||
        mount("overlay", "all", "overlay", MS_RDONLY, options) < 0)
        return 77;
    DV_AUTOCLOSE fd = open("all", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tree_text(fd, false, &text);
    return text.failed || dv_write_all(out, dv_buf_text(&text), text.size) < 0 ? 1 : 0;
}

static int merged_tree(const sandbox *s, size_t count, dv_buf *out)
{
    int ends[2], status = -1;
    char bytes[4096];
    ssize_t n;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(show(s, count, ends[1]));
    close(ends[1]);
    while ((n = read(ends[0], bytes, sizeof(bytes))) > 0)
        dv_buf_append(out, bytes, (size_t)n);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In the lower layers stay other names of what an upper one replaced: overlayfs counts them, and nothing can be done about it. */
static void drop_link_counts(char *text)
{
    char *to = text;
    for (const char *from = text; *from;) {
        size_t digits = from[0] == ' ' && from[1] == '#' ? strspn(from + 2, "0123456789") : 0;
        if (digits > 0)
            from += 2 + digits;
        else
            *to++ = *from++;
    }
    *to = '\0';
}

void check_last_layer(const unpack_case *c)
{
    sandbox s;
    DV_AUTO(stack) layers = {.count = 0};
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(TEXT_MAX);
    assert_int_equal(sandbox_enter(&s), 0);
    int r = apply_layers(&s, c->layers, &layers, &err);
    if (r == 0)
        tree_text(layers.fds[0], false, &got);
    assert_true(sandbox_leave(&s));
    if (r < 0 || strcmp(dv_buf_text(&got), c->tree) != 0)
        fail_msg("%s:\nexpected\n%s\ngot %d %s\n%s", c->fact, c->tree, r, davit_error_message(err),
                 dv_buf_text(&got));
}

static bool is_tree(const char *expected, const dv_buf *got, size_t layers)
{
    DV_AUTOFREE char *a = dv_strdup(expected);
    DV_AUTOFREE char *b = dv_strdup(dv_buf_text(got));
    if (layers > 1) {
        drop_link_counts(a);
        drop_link_counts(b);
    }
    return strcmp(a, b) == 0;
}

void check_overlaid(const unpack_case *c)
{
    sandbox s;
    DV_AUTO(stack) layers = {.count = 0};
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(TEXT_MAX);
    assert_int_equal(sandbox_enter(&s), 0);
    int r = apply_layers(&s, c->layers, &layers, &err),
        status = r == 0 ? merged_tree(&s, layers.count, &got) : 0;
    bool as_expected;
    if (c->tree)
        as_expected = r == 0 && (status == 77 || (status == 0 && is_tree(c->tree, &got, layers.count)));
    else
        as_expected = r == (c->code ? c->code : DAVIT_EFORMAT) && strstr(davit_error_message(err), c->error);
    if (!as_expected)
        print_error("%s, as overlayfs:\nexpected\n%s\ngot %d %s\n%s\n", c->fact, c->tree ? c->tree : c->error,
                    r, davit_error_message(err), dv_buf_text(&got));
    if (!sandbox_leave(&s))
        fail_msg("%s: something outside changed", c->fact);
    if (!as_expected)
        fail_msg("%s", c->fact);
}
