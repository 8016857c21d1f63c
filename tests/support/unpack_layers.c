/* tests/support/unpack_layers.c - see unpack_layers.h. */
#include "unpack_layers.h"

#include "archive/unpack_internal.h"
#include "flatten_layers.h"
#include "overlay_layers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX (1u << 20)

static int apply_row(const sandbox *s, const dv_tar_handler *to, void *user, const row *r, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(64u << 20);
    const char *said = r->text ? r->text : "";
    if (strncmp(said, "@/", 2) == 0)
        dv_buf_puts(&text, s->path);
    dv_buf_puts(&text, strncmp(said, "@/", 2) == 0 ? said + 1 : said);
    bool is_link = r->type == DV_TAR_SYMLINK || r->type == DV_TAR_HARDLINK;
    const dv_tar_entry entry = {
        .type = r->type,
        .name = r->name,
        .link = is_link ? dv_buf_text(&text) : "",
        .size = r->type == DV_TAR_FILE ? text.size : 0,
        .mode = r->mode                       ? r->mode & 07777
                : r->type == DV_TAR_DIRECTORY ? 0755
                                              : 0644,
        .uid = r->uid,
        .gid = r->gid,
        .major = r->major,
        .minor = r->minor,
        .mtime = {.s = r->mtime ? r->mtime : 1000000, .set = true},
        .atime = {.s = r->atime, .set = r->atime != 0},
        .xattrs = r->xattrs,
        .xattr_count = r->xattr_count,
    };
    int code = to->on_entry(user, &entry, err);
    if (code == 0 && entry.size > 0)
        code = to->on_data(user, dv_buf_text(&text), text.size, err);
    return code < 0 ? code : to->on_end(user, err);
}

int apply_rows(const sandbox *s, const dv_tar_handler *to, void *user, const row *layer, davit_error **err)
{
    int r = 0;
    for (const row *e = layer; r == 0 && e->name; e++)
        r = apply_row(s, to, user, e, err);
    return r;
}

int unpack_rows(sandbox *s, const row *const *layers, const dv_unpack_options *options, dv_unpack **out,
                davit_error **err)
{
    DV_AUTOPTR(dv_unpack) u = NULL;
    int r = dv_unpack_new(s->root_fd, options, &u, err);
    for (size_t i = 0; r == 0 && i < LAYERS_MAX && layers[i]; i++) {
        r = dv_unpack_begin_layer(u, "test", err);
        if (r == 0)
            r = apply_rows(s, &dv_unpack_handler, u, layers[i], err);
        if (r == 0)
            r = dv_unpack_end_layer(u, err);
    }
    if (r == 0)
        r = dv_unpack_finish(u, err);
    if (r == 0)
        *out = DV_STEAL(u);
    return r;
}

static void check_case(const unpack_case *c, const dv_unpack_options *options)
{
    sandbox s;
    DV_AUTOPTR(dv_unpack) u = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(TEXT_MAX);
    assert_int_equal(sandbox_enter(&s), 0);
    int r = unpack_rows(&s, c->layers, options, &u, &err);
    bool as_expected;
    if (r == 0)
        tree_text(s.root_fd, false, &got);
    if (c->tree)
        as_expected = r == 0 && strcmp(dv_buf_text(&got), c->tree) == 0;
    else
        as_expected = r == (c->code ? c->code : DAVIT_EFORMAT) && strstr(davit_error_message(err), c->error);
    if (!as_expected)
        print_error("%s:\nexpected\n%s\ngot %d %s\n%s\n", c->fact, c->tree ? c->tree : c->error, r,
                    davit_error_message(err), dv_buf_text(&got));
    dv_unpack_free(DV_STEAL(u));
    if (!sandbox_leave(&s))
        fail_msg("%s: something outside changed", c->fact);
    if (!as_expected)
        fail_msg("%s", c->fact);
}

void check_unpack_cases(const unpack_case *cases, size_t count, const dv_unpack_options *options)
{
    for (size_t i = 0; i < count; i++)
        check_case(&cases[i], options);
    for (size_t i = 0; !options && i < count; i++)
        check_flattened(&cases[i]);
    for (size_t i = 0; !options && i < count; i++)
        check_overlaid(&cases[i]);
}
