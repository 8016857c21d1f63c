/*
 * archive/archive_names.c - see archive_names.h. A balanced tree (search.h): an archive's maker chooses the names, and cannot make looking
 * them up slow. Links are followed component by component.
 */
#include "archive/archive_names.h"

#include "archive/tar.h"
#include "util/buf.h"

#include <search.h>
#include <string.h>

typedef struct named {
    struct named *next; /* in the order they came */
    void *value;        /* NULL: nothing */
    char *target;       /* of a symbolic link, or NULL */
    char name[];
} named;

struct dv_archive_names {
    void *root;
    named *first, **last;
    void (*release)(void *value);
    size_t count, bytes;
};

int dv_archive_name_clean(const char *name, char *out, davit_error **err)
{
    const char *given = name;
    char *to = out;
    while (*name) {
        size_t n = strcspn(name, "/");
        if (n == 2 && memcmp(name, "..", 2) == 0)
            return dv_error_set(err, DAVIT_EFORMAT,
                                "archive entry \"%.200s\": a name with \"..\" is not accepted", given);
        if (n > 0 && !(n == 1 && *name == '.')) {
            if (to > out)
                *to++ = '/';
            memmove(to, name, n);
            to += n;
        }
        name += n + (name[n] == '/');
    }
    *to = '\0';
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

dv_archive_names *dv_archive_names_new(void (*release)(void *value))
{
    dv_archive_names *names = dv_new(dv_archive_names);
    if (names) {
        names->release = release;
        names->last = &names->first;
    }
    return names;
}

static void empty_entry(dv_archive_names *names, named *e)
{
    if (e->value)
        names->release(e->value);
    if (e->target)
        names->bytes -= strlen(e->target);
    free(e->target);
    e->value = NULL;
    e->target = NULL;
}

void dv_archive_names_free(dv_archive_names *names)
{
    if (!names)
        return;
    for (named *e = names->first, *next; e; e = next) {
        next = e->next;
        tdelete(e, &names->root, compare);
        empty_entry(names, e);
        free(e);
    }
    free(names);
}

static int too_many(davit_error **err)
{
    return dv_error_set(err, DAVIT_ETOOBIG, "archive with more than %d names, or %u MiB of them",
                        DV_ARCHIVE_NAMES_MAX, DV_ARCHIVE_NAMES_BYTES_MAX >> 20);
}

static named *entry_new(const char *name)
{
    size_t size = strlen(name) + 1;
    named *e = dv_calloc(1, sizeof(*e) + size);
    if (e)
        memcpy(e->name, name, size);
    return e;
}

/* The entry of this name, emptied, or a new one. */
static int claim(dv_archive_names *names, const char *name, named **out, davit_error **err)
{
    named *made = entry_new(name);
    named **node = made ? tsearch(made, &names->root, compare) : NULL;
    if (!node) {
        free(made);
        return dv_error_oom(err);
    }
    if (*node != made) {
        free(made);
        empty_entry(names, *node);
        *out = *node;
        return 0;
    }
    if (names->count >= DV_ARCHIVE_NAMES_MAX || names->bytes + strlen(name) > DV_ARCHIVE_NAMES_BYTES_MAX) {
        tdelete(made, &names->root, compare);
        free(made);
        return too_many(err);
    }
    names->count++;
    names->bytes += strlen(name);
    *names->last = made;
    names->last = &made->next;
    *out = made;
    return 0;
}

int dv_archive_names_put(dv_archive_names *names, const char *name, void *value, davit_error **err)
{
    named *e;
    int r = claim(names, name, &e, err);
    if (r == 0)
        e->value = value;
    else if (value)
        names->release(value);
    return r;
}

int dv_archive_names_put_link(dv_archive_names *names, const char *name, const char *target, davit_error **err)
{
    named *e;
    int r = claim(names, name, &e, err);
    if (r < 0)
        return r;
    if (names->bytes + strlen(target) > DV_ARCHIVE_NAMES_BYTES_MAX)
        return too_many(err);
    e->target = dv_strdup(target);
    if (!e->target)
        return dv_error_oom(err);
    names->bytes += strlen(target);
    return 0;
}

static named *find_entry(const dv_archive_names *names, named *key)
{
    named **node = tfind(key, &names->root, compare);
    return node ? *node : NULL;
}

/* Where a path leads to. */
typedef struct walk {
    named *here; /* its name is the path so far */
    size_t size;
    char *rest; /* components to go */
    unsigned links;
} walk;

static void walk_clear(walk *w)
{
    free(w->here);
    free(w->rest);
}
DV_DEFINE_AUTO(walk, walk_clear)

static void go_up(walk *w)
{
    const char *slash = strrchr(w->here->name, '/');
    w->size = slash ? (size_t)(slash - w->here->name) : 0;
    w->here->name[w->size] = '\0';
}

static int go_down(walk *w, const char *component, size_t n, davit_error **err)
{
    if (w->size + n + 1 > DV_TAR_NAME_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "archive: a link leads to a name of more than %u bytes",
                            DV_TAR_NAME_MAX);
    if (w->size)
        w->here->name[w->size++] = '/';
    memcpy(w->here->name + w->size, component, n);
    w->size += n;
    w->here->name[w->size] = '\0';
    return 0;
}

/* The link that stands here is replaced by its target. */
static int follow(walk *w, const named *link, const char *rest, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(2 * DV_TAR_NAME_MAX);
    if (++w->links > DV_ARCHIVE_LINKS_MAX)
        return dv_error_set(err, DAVIT_EFORMAT, "archive entry \"%.200s\": too many links", link->name);
    go_up(w);
    if (*link->target == '/') {
        w->size = 0;
        w->here->name[0] = '\0';
    }
    dv_buf_printf(&path, "%s/%s", link->target, rest);
    char *text = dv_buf_take(&path);
    if (!text)
        return path.failed == DAVIT_ETOOBIG
                   ? dv_error_set(err, DAVIT_ETOOBIG, "archive entry \"%.200s\": the link leads too far",
                                  link->name)
                   : dv_error_oom(err);
    free(w->rest);
    w->rest = text;
    return 0;
}

static int take_component(const dv_archive_names *names, walk *w, const char **rest, davit_error **err)
{
    const char *component = *rest;
    size_t n = strcspn(component, "/");
    const char *behind = component + n + (component[n] == '/');
    *rest = behind;
    if (n == 0 || (n == 1 && *component == '.'))
        return 0;
    if (n == 2 && memcmp(component, "..", 2) == 0) {
        go_up(w);
        return 0;
    }
    int r = go_down(w, component, n, err);
    const named *e = r == 0 ? find_entry(names, w->here) : NULL;
    if (!e || !e->target)
        return r;
    r = follow(w, e, behind, err);
    *rest = w->rest;
    return r;
}

int dv_archive_names_find(const dv_archive_names *names, const char *path, void **out, davit_error **err)
{
    DV_AUTO(walk) w = {.here = dv_calloc(1, sizeof(named) + DV_TAR_NAME_MAX + 1)};
    if (!w.here)
        return dv_error_oom(err);
    for (const char *rest = path; *rest;) {
        int r = take_component(names, &w, &rest, err);
        if (r < 0)
            return r;
    }
    const named *e = find_entry(names, w.here);
    *out = e ? e->value : NULL;
    return 0;
}

int dv_archive_names_walk(const dv_archive_names *names, int (*fn)(void *user, const char *name, void *value),
                          void *user)
{
    int r = 0;
    for (const named *e = names->first; e && r == 0; e = e->next)
        if (e->value)
            r = fn(user, e->name, e->value);
    return r;
}
