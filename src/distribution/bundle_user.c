/* distribution/bundle_user.c - see bundle_user.h. As the runtimes do it, but with strict numbers. */
#include "distribution/bundle_user.h"

#include "util/str.h"

#include <string.h>

#define FIELDS_MAX 8
#define ID_MAX (UINT32_MAX - 1) /* the last one means "none" to the kernel */

/* One line as its fields; borrowed from the text. */
typedef struct line {
    struct {
        const char *text;
        size_t size;
    } fields[FIELDS_MAX];
    size_t count;
} line;

void dv_bundle_user_clear(dv_bundle_user *u)
{
    free(u->groups);
    free(u->home);
    *u = (dv_bundle_user){0};
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

/* *text moves on behind the line. False at the end. */
static bool next_line(const char **text, line *out)
{
    const char *s = *text;
    if (*s == '\0')
        return false;
    size_t size = strcspn(s, "\n");
    *text = s + size + (s[size] == '\n');
    *out = (line){0};
    for (const char *end = s + size; out->count < FIELDS_MAX;) {
        const char *colon = memchr(s, ':', (size_t)(end - s));
        const char *stop = colon ? colon : end;
        out->fields[out->count].text = s;
        out->fields[out->count++].size = (size_t)(stop - s);
        if (!colon)
            break;
        s = colon + 1;
    }
    return true;
}

static bool is_text(const line *l, size_t field, const char *text)
{
    return l->fields[field].size == strlen(text) && memcmp(l->fields[field].text, text, strlen(text)) == 0;
}

static bool to_id(const char *s, size_t size, uint32_t *out)
{
    uint64_t n = 0;
    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!dv_char_is_digit(s[i]) || (n = n * 10 + (uint64_t)(s[i] - '0')) > ID_MAX)
            return false;
    }
    *out = (uint32_t)n;
    return true;
}

static bool id_of(const line *l, size_t field, uint32_t *out)
{
    return to_id(l->fields[field].text, l->fields[field].size, out);
}

/* --- the user -------------------------------------------------------------------------------------------------------- */

/* The first line of passwd for a name or number; its name goes to *name. */
static bool find_in_passwd(const char *wanted, bool is_number, uint32_t number, const char *passwd,
                           dv_bundle_user *out, line *found)
{
    for (line l; next_line(&passwd, &l);) {
        uint32_t uid, gid;
        if (l.count < 4 || l.fields[0].size == 0 || !id_of(&l, 2, &uid) || !id_of(&l, 3, &gid))
            continue;
        if (!is_text(&l, 0, wanted) && !(is_number && uid == number))
            continue;
        out->uid = uid;
        out->gid = gid;
        *found = l;
        return true;
    }
    return false;
}

static bool find_in_group(const char *wanted, bool is_number, uint32_t number, const char *group,
                          uint32_t *out)
{
    for (line l; next_line(&group, &l);) {
        uint32_t gid;
        if (l.count >= 3 && id_of(&l, 2, &gid) && (is_text(&l, 0, wanted) || (is_number && gid == number))) {
            *out = gid;
            return true;
        }
    }
    return false;
}

static bool lists_member(const line *l, const char *name, size_t size)
{
    const char *s = l->fields[3].text, *end = s + l->fields[3].size;
    while (s < end) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        size_t length = (size_t)((comma ? comma : end) - s);
        if (length == size && memcmp(s, name, size) == 0)
            return true;
        s += length + 1;
    }
    return false;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int add_groups(const char *name, size_t name_size, const char *group, dv_bundle_user *out,
                      davit_error **err)
{
    out->groups = dv_new_array(uint32_t, DV_BUNDLE_GROUPS_MAX);
    if (!out->groups)
        return dv_error_oom(err);
    size_t count = 0;
    for (line l; count < DV_BUNDLE_GROUPS_MAX && next_line(&group, &l);) {
        uint32_t gid;
        if (l.count >= 4 && id_of(&l, 2, &gid) && gid != out->gid && lists_member(&l, name, name_size))
            out->groups[count++] = gid;
    }
    qsort(out->groups, count, sizeof(*out->groups), by_number);
    for (size_t i = 0; i < count; i++)
        if (out->group_count == 0 || out->groups[out->group_count - 1] != out->groups[i])
            out->groups[out->group_count++] = out->groups[i];
    return 0;
}

static int unknown(const char *what, const char *name, const char *file, davit_error **err)
{
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(1024);
    dv_str_quote(&shown, name, strnlen(name, 200));
    return dv_error_set(err, DAVIT_EFORMAT, "the image runs as %s %s, which its %s does not have", what,
                        dv_buf_text(&shown), file);
}

static int find_user(const char *name, const char *passwd, const char *group, bool with_groups,
                     dv_bundle_user *out, davit_error **err)
{
    line found;
    bool is_number = to_id(name, strlen(name), &out->uid);
    if (!find_in_passwd(name, is_number, out->uid, passwd, out, &found))
        return is_number ? 0 : unknown("user", name, "etc/passwd", err);
    if (found.count > 5 && found.fields[5].size > 0 &&
        !(out->home = dv_strndup(found.fields[5].text, found.fields[5].size)))
        return dv_error_oom(err);
    return with_groups ? add_groups(found.fields[0].text, found.fields[0].size, group, out, err) : 0;
}

static int find_group(const char *name, const char *group, dv_bundle_user *out, davit_error **err)
{
    bool is_number = to_id(name, strlen(name), &out->gid);
    if (find_in_group(name, is_number, out->gid, group, &out->gid) || is_number)
        return 0;
    return unknown("group", name, "etc/group", err);
}

int dv_bundle_user_find(const char *user, const char *passwd, const char *group, dv_bundle_user *out,
                        davit_error **err)
{
    DV_AUTO(dv_bundle_user) u = {0};
    const char *colon = strchr(user, ':');
    DV_AUTOFREE char *name = colon ? dv_strndup(user, (size_t)(colon - user)) : dv_strdup(user);
    if (!name)
        return dv_error_oom(err);
    bool has_group = colon && colon[1];
    int r = find_user(*name ? name : "0", passwd, group, !has_group, &u, err);
    if (r == 0 && has_group)
        r = find_group(colon + 1, group, &u, err);
    if (r < 0)
        return r;
    *out = u;
    u = (dv_bundle_user){0};
    return 0;
}
