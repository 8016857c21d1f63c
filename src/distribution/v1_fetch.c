/*
 * distribution/v1_fetch.c - dv_v1_reader_fetch(): which images some others stand on, and what is not known of them.
 *
 * Three rounds: ancestry of those whose chain is not known, json of all that stand in them, layers of those whose chain makes sense as a whole. What is
 * wrong with an image is wrong with all that stand on it, and with nothing else.
 */
#include "distribution/v1_reader_private.h"

#include "oci/v1_image.h"
#include "store/v1_image_store.h"

#include <string.h>

#define CHAIN_JSON_MAX (16u << 20) /* bytes of the json of an image with all that it stands on */

/* One image of those that the tops stand on. */
typedef struct member {
    const char *id, *parent; /* of an ancestry; parent: "" for none */
    dv_v1_wanted *wanted;
    size_t json_size;
    bool has_json, has_layer, needed;
    bool second; /* it was asked for with the rights to another repository before */
    davit_error *err;
} member;

typedef struct set {
    dv_v1_reader *reader;
    dv_v1_top *tops;
    size_t top_count;
    size_t *firsts;             /* for each top the first one with the same image */
    davit_v1_texts *ancestries; /* for each of these; empty where it failed */
    member *members;            /* sorted by registry and id, each once */
    size_t member_count;
} set;

static void set_clear(set *s)
{
    for (size_t i = 0; s->ancestries && i < s->top_count; i++)
        davit_v1_texts_clear(&s->ancestries[i]);
    for (size_t i = 0; s->members && i < s->member_count; i++)
        davit_error_free(s->members[i].err);
    free(s->firsts);
    free(s->ancestries);
    free(s->members);
}
DV_DEFINE_AUTO(set, set_clear)

static int fail_top(dv_v1_top *top, const davit_error *why, davit_error **err)
{
    if (!top->err)
        top->err = dv_error_copy(why);
    return top->err ? 0 : dv_error_oom(err);
}

/* 1: the store knows the whole chain. */
static int recall_ancestry(const set *s, size_t i, davit_error **err)
{
    const dv_v1_top *top = &s->tops[i];
    DV_AUTO(davit_v1_texts) ids = {.items = NULL};
    DV_AUTO(dv_v1_image_row) row = DV_V1_IMAGE_ROW_INIT;
    const char *at = top->id;
    if (!dv_v1_id_is_valid(at)) /* which is told by who asks for it */
        return 0;
    for (; *at && ids.count < DV_V1_DEPTH_MAX; at = row.parent) {
        DV_AUTO(dv_v1_image_row) next = DV_V1_IMAGE_ROW_INIT;
        DV_AUTOPTR(davit_error) why = NULL;
        int r = dv_v1_image_store_get(dv_v1_reader_store(s->reader), dv_v1_wanted_registry(top->wanted), at,
                                      &next, &why);
        if (r == DAVIT_ENOTFOUND)
            return 0;
        if (r < 0)
            return dv_error_move(err, &why, r);
        if (!dv_v1_texts_add(&ids, at, strlen(at)))
            return dv_error_oom(err);
        dv_v1_image_row_clear(&row);
        row = next;
        next = (dv_v1_image_row)DV_V1_IMAGE_ROW_INIT; /* moved */
    }
    if (*at) /* longer than any that was fetched: it changed there meanwhile */
        return 0;
    s->ancestries[i] = ids;
    ids = (davit_v1_texts){.items = NULL}; /* moved */
    return 1;
}

static void find_firsts(set *s)
{
    for (size_t i = 0; i < s->top_count; i++) {
        const dv_v1_top *top = &s->tops[i];
        size_t k = 0;
        while (k < i &&
               (strcmp(s->tops[k].id, top->id) != 0 ||
                strcmp(dv_v1_wanted_registry(s->tops[k].wanted), dv_v1_wanted_registry(top->wanted)) != 0))
            k++;
        s->firsts[i] = k;
    }
}

static int ask_ancestries(set *s, davit_error **err)
{
    DV_AUTOFREE size_t *of = dv_new_array(size_t, s->top_count); /* task: top */
    dv_v1_task *tasks = dv_new_array(dv_v1_task, s->top_count);
    size_t count = 0;
    int r = tasks && of ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < s->top_count; i++) {
        if (s->firsts[i] != i)
            continue;
        r = recall_ancestry(s, i, err);
        if (r == 0) {
            of[count] = i;
            tasks[count++] =
                dv_v1_reader_task(s->reader, DV_V1_TASK_ANCESTRY, s->tops[i].wanted, s->tops[i].id, NULL);
        }
        r = r < 0 ? r : 0;
    }
    if (r == 0)
        r = dv_v1_reader_run(s->reader, tasks, count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        s->ancestries[of[i]] = tasks[i].ancestry;
        tasks[i].ancestry = (davit_v1_texts){.items = NULL}; /* moved */
        if (tasks[i].err)
            r = fail_top(&s->tops[of[i]], tasks[i].err, err);
    }
    dv_v1_tasks_free(tasks, count);
    for (size_t i = 0; r == 0 && i < s->top_count; i++) {
        const dv_v1_top *same = &s->tops[s->firsts[i]];
        if (same->err && same != &s->tops[i])
            r = fail_top(&s->tops[i], same->err, err);
    }
    return r;
}

/* --- members ------------------------------------------------------------------------------------------------------------ */

static int compare_members(const void *a, const void *b)
{
    const member *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    return order ? order : strcmp(dv_v1_wanted_registry(x->wanted), dv_v1_wanted_registry(y->wanted));
}

static member *find_member(const set *s, const dv_v1_wanted *wanted, const char *id)
{
    const member key = {.id = id, .wanted = (dv_v1_wanted *)wanted};
    return bsearch(&key, s->members, s->member_count, sizeof(key), compare_members);
}

/* Two images that stand on different ones under the same id: one of them is wrong. */
static int merge(member *into, const member *other, davit_error **err)
{
    if (strcmp(into->parent, other->parent) == 0 || into->err)
        return 0;
    int r = dv_error_set(&into->err, DAVIT_EFORMAT,
                         "image %s stands on '%s' in one ancestry and on '%s' in another", into->id,
                         into->parent, other->parent);
    return r == DAVIT_ENOMEM ? dv_error_move(err, &into->err, r) : 0;
}

static int list_members(set *s, davit_error **err)
{
    size_t total = 0;
    for (size_t i = 0; i < s->top_count; i++)
        total += s->ancestries[i].count;
    s->members = dv_new_array(member, total);
    if (!s->members)
        return dv_error_oom(err);
    size_t n = 0;
    for (size_t i = 0; i < s->top_count; i++)
        for (size_t k = 0; k < s->ancestries[i].count; k++)
            s->members[n++] = (member){
                .id = s->ancestries[i].items[k],
                .parent = k + 1 < s->ancestries[i].count ? s->ancestries[i].items[k + 1] : "",
                .wanted = s->tops[i].wanted,
            };
    if (total > 0)
        qsort(s->members, total, sizeof(*s->members), compare_members);
    int r = 0;
    for (size_t i = 0; r == 0 && i < total; i++) {
        if (s->member_count > 0 && compare_members(&s->members[s->member_count - 1], &s->members[i]) == 0)
            r = merge(&s->members[s->member_count - 1], &s->members[i], err);
        else
            s->members[s->member_count++] = s->members[i];
    }
    return r;
}

/* What the store knows of a member. */
static int recall_member(const set *s, member *m, davit_error **err)
{
    DV_AUTO(dv_v1_image_row) row = DV_V1_IMAGE_ROW_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_v1_image_store_get(dv_v1_reader_store(s->reader), dv_v1_wanted_registry(m->wanted), m->id,
                                  &row, &why);
    if (r < 0)
        return r == DAVIT_ENOTFOUND ? 0 : dv_error_move(err, &why, r);
    m->has_json = strcmp(row.parent, m->parent) == 0;
    m->has_layer = m->has_json && row.layer.digest.algorithm;
    m->json_size = strlen(row.json);
    return m->has_layer ? dv_v1_reader_stage(s->reader, &row.layer.digest, err) : 0;
}

/* A round for those members that `pick` picks. */
static int ask_members_once(set *s, dv_v1_task_kind kind, bool (*pick)(const member *m), davit_error **err)
{
    DV_AUTOFREE member **of = dv_new_array(member *, s->member_count);
    dv_v1_task *tasks = dv_new_array(dv_v1_task, s->member_count);
    size_t count = 0;
    if (!tasks || !of) {
        free(tasks);
        return dv_error_oom(err);
    }
    for (size_t i = 0; i < s->member_count; i++)
        if (pick(&s->members[i])) {
            const member *m = of[count] = &s->members[i];
            tasks[count++] = dv_v1_reader_task(s->reader, kind, m->wanted, m->id, m->parent);
        }
    int r = dv_v1_reader_run(s->reader, tasks, count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        of[i]->err = DV_STEAL(tasks[i].err);
        *(kind == DV_V1_TASK_JSON ? &of[i]->has_json : &of[i]->has_layer) = !of[i]->err;
        if (kind == DV_V1_TASK_JSON)
            of[i]->json_size = tasks[i].json_size;
    }
    dv_v1_tasks_free(tasks, count);
    return r;
}

/* Refused, or not shown. */
static bool is_about_rights(const davit_error *err)
{
    int code = davit_error_code(err);
    return code == DAVIT_EUNAUTHORIZED || code == DAVIT_EDENIED || code == DAVIT_ENOTFOUND;
}

/* Members that one repository has no right to, and another one stands on too. True: there are some. */
static bool give_to_others(const set *s)
{
    bool any = false;
    for (size_t i = 0; i < s->top_count; i++) {
        const dv_v1_top *top = &s->tops[i];
        const davit_v1_texts *ids = &s->ancestries[s->firsts[i]];
        for (size_t k = 0; !top->err && k < ids->count; k++) {
            member *m = find_member(s, top->wanted, ids->items[k]);
            if (!m->err || m->second || m->wanted == top->wanted || !is_about_rights(m->err))
                continue;
            davit_error_free(DV_STEAL(m->err));
            m->wanted = top->wanted;
            m->second = any = true;
        }
    }
    return any;
}

static int ask_members(set *s, dv_v1_task_kind kind, bool (*pick)(const member *m), davit_error **err)
{
    int r = ask_members_once(s, kind, pick, err);
    return r == 0 && give_to_others(s) ? ask_members_once(s, kind, pick, err) : r;
}

static bool lacks_json(const member *m)
{
    return !m->has_json && !m->err;
}

static bool lacks_layer(const member *m)
{
    return m->needed && !m->has_layer && !m->err;
}

/* What is wrong with a member is wrong with all that stand on it. */
static int judge_tops(set *s, bool *out_any_good, davit_error **err)
{
    *out_any_good = false;
    for (size_t i = 0; i < s->top_count; i++) {
        dv_v1_top *top = &s->tops[i];
        const davit_v1_texts *ids = &s->ancestries[s->firsts[i]];
        size_t json_size = 0;
        int r = 0;
        for (size_t k = 0; r == 0 && !top->err && k < ids->count; k++) {
            const member *m = find_member(s, top->wanted, ids->items[k]);
            json_size += m->json_size;
            if (m->err)
                r = fail_top(top, m->err, err);
        }
        if (r == 0 && !top->err && json_size > CHAIN_JSON_MAX)
            r = dv_error_set(&top->err, DAVIT_ETOOBIG, "image %s: more than %u MiB of json", top->id,
                             CHAIN_JSON_MAX >> 20) == DAVIT_ENOMEM
                    ? dv_error_oom(err)
                    : 0;
        if (r < 0)
            return r;
        for (size_t k = 0; !top->err && k < ids->count; k++)
            find_member(s, top->wanted, ids->items[k])->needed = true;
        *out_any_good = *out_any_good || !top->err;
    }
    return 0;
}

/* Of images that failed, so that they are not fetched again when they are mended there. */
static int keep_failed(const set *s, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < s->top_count; i++) {
        const davit_v1_texts *ids = &s->ancestries[s->firsts[i]];
        for (size_t k = 0; r >= 0 && s->tops[i].err && k < ids->count; k++)
            r = dv_v1_reader_keep_layer(s->reader, dv_v1_wanted_registry(s->tops[i].wanted), ids->items[k],
                                        NULL, err);
    }
    return r < 0 ? r : 0;
}

int dv_v1_reader_fetch(dv_v1_reader *reader, dv_v1_top *tops, size_t count, davit_error **err)
{
    DV_AUTO(set) s = {.reader = reader, .tops = tops, .top_count = count};
    bool any_good = true;
    s.ancestries = dv_new_array(davit_v1_texts, count);
    s.firsts = dv_new_array(size_t, count);
    if (!s.ancestries || !s.firsts)
        return dv_error_oom(err);
    find_firsts(&s);
    int r = ask_ancestries(&s, err);
    if (r == 0)
        r = list_members(&s, err);
    for (size_t i = 0; r == 0 && i < s.member_count; i++)
        r = recall_member(&s, &s.members[i], err);
    if (r == 0)
        r = ask_members(&s, DV_V1_TASK_JSON, lacks_json, err);
    if (r == 0)
        r = judge_tops(&s, &any_good, err);
    if (r == 0 && any_good)
        r = ask_members(&s, DV_V1_TASK_LAYER, lacks_layer, err);
    if (r == 0)
        r = judge_tops(&s, &any_good, err);
    if (r == 0 && dv_v1_reader_goes_on(reader))
        r = keep_failed(&s, err);
    for (size_t i = 0; r == 0 && !dv_v1_reader_goes_on(reader) && i < count; i++)
        if (tops[i].err)
            r = dv_error_move(err, &tops[i].err, davit_error_code(tops[i].err));
    return r;
}
