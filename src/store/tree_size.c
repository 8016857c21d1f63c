/* store/tree_size.c - see tree_size.h. */
#include "store/tree_size.h"

#include "archive/unpack_marks.h"
#include "store/tree_walk.h"

typedef struct measure {
    dv_unpack_marks seen; /* files with several names */
    dv_tree_size total;
} measure;

static int add(void *user, int dirfd, const char *name, const struct stat *st, davit_error **err)
{
    measure *m = user;
    if (!S_ISDIR(st->st_mode) && st->st_nlink > 1) {
        if (dv_unpack_marks_has(&m->seen, st->st_ino, NULL))
            return 0;
        int r = dv_unpack_marks_add(&m->seen, st->st_ino, NULL, err);
        if (r < 0)
            return r;
    }
    m->total.size += S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size;
    m->total.disk_size += (uint64_t)st->st_blocks * 512;
    return 0;
}

int dv_tree_measure(int dirfd, dv_tree_size *out, davit_error **err)
{
    static const dv_tree_visitor visitor = {.entry = add};
    measure m = {0};
    dv_unpack_marks_init(&m.seen);
    dv_unpack_marks_begin(&m.seen, /* active= */ true);
    int r = dv_tree_walk(dirfd, "measure an unpacked layer", &visitor, &m, err);
    dv_unpack_marks_clear(&m.seen);
    if (r == 0)
        *out = m.total;
    return r;
}
