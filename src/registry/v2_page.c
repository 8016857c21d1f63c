/* registry/v2_page.c - see v2_page.h. */
#include "registry/v2_page.h"

#include "registry/call.h"
#include "registry/page_walk.h"
#include "util/json_names.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

int dv_page_part_read(const davit_list_options *options, dv_page_part *out, davit_error **err)
{
    if (options && options->version != DAVIT_LIST_OPTIONS_VERSION)
        return dv_error_set(err, DAVIT_EINVAL, "list options of version %u", options->version);
    if (options && options->flags)
        return dv_error_set(err, DAVIT_EINVAL, "unknown list flags %#x", options->flags);
    *out = options ? (dv_page_part){.limit = options->limit, .last = options->last} : (dv_page_part){0};
    return 0;
}

/* What the pages so far have told. */
typedef struct progress {
    uint64_t given;
    size_t in_page; /* names of the last page */
    char *first;    /* of the last page */
    char *final;    /* the last name of all; set when it may be asked from */
    bool stop, skipping;
} progress;

static void progress_clear(progress *p)
{
    free(p->first);
    free(p->final);
}
DV_DEFINE_AUTO(progress, progress_clear)

static bool holds(const dv_json_names *names, const char *name)
{
    for (size_t i = 0; i < dv_json_names_count(names); i++)
        if (dv_str_equal(dv_json_names_at(names, i), name))
            return true;
    return false;
}

/* The first name that was to be left out by a registry that does not know "last"; lists are sorted by bytes. */
static bool is_from_beginning(const dv_json_names *names, const char *last)
{
    const char *first = dv_json_names_count(names) ? dv_json_names_at(names, 0) : NULL;
    return first && strcmp(first, last) <= 0;
}

/*
 * Names to pass over at the start of a page: all up to the wanted start when it is listed, else what sorts before it. None when the
 * registry began behind it.
 */
static size_t passed_over(const dv_json_names *names, const char *last)
{
    size_t i = 0, count = dv_json_names_count(names);
    bool listed = holds(names, last);
    if (!listed && !is_from_beginning(names, last))
        return 0;
    for (; i < count; i++) {
        const char *name = dv_json_names_at(names, i);
        if (listed && dv_str_equal(name, last))
            return i + 1;
        if (!listed && name && strcmp(name, last) > 0)
            return i;
    }
    return i;
}

static int note_name(char **to, const char *name, davit_error **err)
{
    char *copy = dv_strdup(name);
    if (!copy)
        return dv_error_oom(err);
    free(*to);
    *to = copy;
    return 0;
}

/* Asked again behind its last name, a registry without pages gives the same once more. */
static bool is_repeated(const progress *p, const dv_json_names *names)
{
    return p->final && dv_json_names_count(names) > 0 && dv_str_equal(dv_json_names_at(names, 0), p->first);
}

static int note_page(const dv_page_list *list, const dv_json_names *names, progress *p, davit_error **err)
{
    p->in_page = dv_json_names_count(names);
    if (!list->goes_on || !list->part.limit || p->in_page == 0)
        return 0;
    const char *first = dv_json_names_at(names, 0), *final = dv_json_names_at(names, p->in_page - 1);
    if (!first || !final)
        return 0;
    int r = note_name(&p->first, first, err);
    return r < 0 ? r : note_name(&p->final, final, err);
}

static int give_page(const dv_page_list *list, dv_response *res, progress *p, dv_page_fn fn, void *user_data,
                     davit_error **err)
{
    DV_AUTOPTR(dv_json_names) names = NULL;
    const dv_json_limits limits = {
        .max_bytes = DV_PAGE_MAX, .max_values = DV_PAGE_VALUES_MAX, .any_number = true};
    int r = dv_json_names_parse(res->body.data, res->body.size, &limits, list->key, &names, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", list->what);
    p->stop = is_repeated(p, names);
    size_t i = p->skipping ? passed_over(names, list->part.last) : 0;
    p->skipping = p->skipping && i > 0 && i == dv_json_names_count(names);
    for (; i < dv_json_names_count(names) && !p->stop; i++) {
        const char *name = dv_json_names_at(names, i);
        if (!name)
            continue; /* some registries list null */
        bool wanted = fn(name, user_data) == 0;
        p->stop = !wanted || ++p->given == list->part.limit;
    }
    return p->stop ? 0 : note_page(list, names, p, err);
}

/* How many names to ask for at once, 0: the registry decides. */
static uint64_t page_size(const dv_page_part *part)
{
    return part->limit < DV_PAGE_NAMES_ASKED ? part->limit : DV_PAGE_NAMES_ASKED;
}

/* "last=a&n=10", parameters in the order of their keys; "" for all of it. */
static int build_query(const dv_page_part *part, const char *last, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) query = DV_BUF_INIT(DV_URL_MAX);
    if (last) {
        dv_buf_puts(&query, "last=");
        dv_url_escape(&query, last, /* form= */ false);
    }
    if (part->limit)
        dv_buf_printf(&query, "%sn=%" PRIu64, query.size ? "&" : "", page_size(part));
    if (query.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_EINVAL, "the name to start behind is too long");
    free(*out);
    *out = dv_buf_take(&query);
    return *out ? 0 : dv_error_oom(err);
}

int dv_v2_page_list(dv_registry *reg, const dv_page_list *list, dv_page_fn fn, void *user_data,
                    davit_error **err)
{
    DV_AUTO(dv_page_walk) walk = DV_PAGE_WALK_INIT;
    DV_AUTO(progress) p = {.skipping = list->part.last != NULL};
    walk.what = list->what;
    walk.path = dv_strdup(list->path);
    int r = walk.path ? build_query(&list->part, list->part.last, &walk.query, err) : dv_error_oom(err);
    while (r == 0 && walk.path && !p.stop) {
        DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
        DV_AUTOFREE char *go_on = NULL;
        r = dv_call_wait(reg,
                         &(dv_call_spec){.method = "GET",
                                         .path = walk.path,
                                         .query = *walk.query ? walk.query : NULL,
                                         .body_max = DV_PAGE_MAX},
                         &res, err);
        if (r == 0)
            r = give_page(list, &res, &p, fn, user_data, err);
        if (r == 0 && !p.stop && p.final && p.in_page == page_size(&list->part))
            r = build_query(&list->part, p.final, &go_on, err);
        if (r == 0 && !p.stop)
            r = dv_page_walk_next(&walk, reg, &res, DV_STEAL(go_on), err);
    }
    return r;
}
