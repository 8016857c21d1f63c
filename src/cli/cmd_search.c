/*
 * cli/cmd_search.c - davit search: repositories of an index by a word; where a registry has no search, the names in its catalogue
 * that contain it, which is said.
 */
#include "cli/cli.h"

#include "cli/table.h"
#include "davit/search.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DESCRIPTION_MAX 45 /* characters, as Docker cuts */
#define CELL_MAX 2000      /* characters of anything in the table */
#define JSON_VALUES_MAX (4u << 20)

typedef struct values {
    dv_texts filters;
    const char *limit;
    bool no_trunc, json;
} values;

DV_DEFINE_AUTOPTR(davit_search_results, davit_search_results_free)
DV_DEFINE_AUTOPTR(davit_search_filters, davit_search_filters_free)
DV_DEFINE_AUTO(davit_index_info, davit_index_info_clear)

/* --- printing ------------------------------------------------------------------------------------------------------ */

/* On one line and at most so many characters, the last one "…" when there were more. */
static void add_clipped(dv_table *t, const char *text, size_t max)
{
    DV_AUTO(dv_buf) cell = DV_BUF_INIT(4 * CELL_MAX);
    size_t left = strlen(text), count = 0, kept = 0; /* kept: bytes of the first max - 1 characters */
    for (; left > 0 && count <= max; count++) {
        size_t n = dv_utf8_length(text, left, NULL);
        n = n ? n : 1;
        if (n == 1 && strchr("\r\n\t", *text))
            dv_buf_putc(&cell, ' ');
        else
            dv_buf_append(&cell, text, n);
        kept = count < max - 1 ? cell.size : kept;
        text += n;
        left -= n;
    }
    if (count > max && !cell.failed) {
        cell.size = kept;
        dv_buf_puts(&cell, "\xe2\x80\xa6");
    }
    t->failed = t->failed || cell.failed;
    dv_table_add(t, dv_buf_text(&cell));
}

static int print_table(dv_cli *cli, const values *v, const davit_search_results *results, davit_error **err)
{
    static const char *const heading[] = {"NAME", "DESCRIPTION", "STARS", "OFFICIAL"};
    DV_AUTO(dv_table) t = {.column_count = DV_COUNT(heading)};
    for (size_t i = 0; i < DV_COUNT(heading); i++)
        dv_table_add(&t, heading[i]);
    for (size_t i = 0; i < results->count; i++) {
        const davit_search_result *one = &results->items[i];
        char stars[24];
        snprintf(stars, sizeof(stars), "%lld", (long long)one->star_count);
        add_clipped(&t, one->name ? one->name : "", CELL_MAX);
        add_clipped(&t, one->description ? one->description : "", v->no_trunc ? CELL_MAX : DESCRIPTION_MAX);
        dv_table_add(&t, stars);
        dv_table_add(&t, one->is_official ? "[OK]" : "");
    }
    return dv_table_print(&t, &cli->out, err);
}

static int print_json(dv_cli *cli, const davit_search_results *results, davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = SIZE_MAX, .max_values = JSON_VALUES_MAX};
    DV_AUTOFREE char *text = NULL;
    DV_AUTOPTR(dv_json) list = NULL;
    int r = davit_search_results_format_list(results, &text, err);
    if (r == 0)
        r = dv_json_parse(text, strlen(text), &limits, NULL, &list, err);
    return r < 0 ? r : dv_output_json(&cli->out, list, err);
}

static void say(const dv_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* On standard error, so that results stay results. */
static void say(const dv_cli *cli, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (!text.failed && !cli->globals.quiet)
        dv_message_write(STDERR_FILENO, "note", dv_buf_text(&text));
}

/* --- the catalogue ------------------------------------------------------------------------------------------------- */

typedef struct match {
    const char *part;
    size_t limit;
    davit_search_results *results;
    bool more, failed;
} match;

static bool contains(const char *name, const char *part)
{
    for (; *name; name++)
        if (dv_str_starts_nocase(name, part))
            return true;
    return !*part;
}

/* A davit_repository_fn. */
static int take_name(const char *name, void *user_data)
{
    match *m = user_data;
    davit_search_results *results = m->results;
    if (!contains(name, m->part))
        return 0;
    if (results->count == m->limit) {
        m->more = true;
        return 1;
    }
    results->items[results->count].name = dv_strdup(name);
    m->failed = !results->items[results->count].name;
    results->count += !m->failed;
    return m->failed;
}

static davit_search_results *new_results(size_t max)
{
    DV_AUTOPTR(davit_search_results) results = dv_new(davit_search_results);
    if (!results)
        return NULL;
    results->has_results = true;
    results->items = dv_new_array(davit_search_result, max);
    return results->items ? DV_STEAL(results) : NULL;
}

/* The value of "KEY=VALUE" when that is the key, else NULL. */
static const char *value_of(const char *text, const char *key)
{
    while (*text == ' ' || *text == '\t')
        text++;
    if (!dv_str_starts_nocase(text, key))
        return NULL;
    text += strlen(key);
    text += strspn(text, " \t");
    return *text == '=' ? text + 1 + strspn(text + 1, " \t") : NULL;
}

/* A catalogue knows neither stars nor what is official: whoever wants some gets nothing. The values were checked by the search. */
static bool is_unknowable(const dv_texts *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        const char *stars = value_of(filters->items[i], "stars");
        const char *official = value_of(filters->items[i], "is-official");
        if (stars && *stars != '-' && strpbrk(stars, "123456789"))
            return true;
        if (official && (*official == '1' || *official == 't'))
            return true;
    }
    return false;
}

static void say_catalogue(const dv_cli *cli, const char *host, const match *m)
{
    char cut[64] = "";
    if (m->more)
        snprintf(cut, sizeof(cut), "; the first %zu of more, see --limit", m->limit);
    if (*m->part)
        say(cli, "%s has no search; these are the names in its catalogue that contain \"%s\"%s", host,
            m->part, cut);
    else
        say(cli, "%s has no search; these are the names in its catalogue%s", host, cut);
}

static int from_catalogue(dv_cli *cli, const values *v, const char *host, const char *part, size_t limit,
                          const davit_error *search, davit_search_results **out, davit_error **err)
{
    DV_AUTOPTR(davit_search_results) results = new_results(limit);
    DV_AUTOPTR(davit_error) why = NULL;
    match m = {.part = part, .limit = limit, .results = results};
    if (!results)
        return dv_error_oom(err);
    if (is_unknowable(&v->filters)) {
        say(cli, "%s has no search, and its catalogue knows neither stars nor what is official", host);
        *out = DV_STEAL(results);
        return 0;
    }
    int r = davit_registry_catalog(cli->client, host, take_name, &m, &why);
    if (m.failed)
        return dv_error_oom(err);
    if (r == DAVIT_ECANCELLED)
        return dv_error_move(err, &why, r);
    if (r < 0)
        return dv_error_set(err, r, "%s has no search (%s), and its catalogue cannot be had: %s", host,
                            davit_error_message(search), davit_error_message(why));
    say_catalogue(cli, host, &m);
    *out = DV_STEAL(results);
    return 0;
}

/* --- the command --------------------------------------------------------------------------------------------------- */

/* The registry answered that there is no such thing as its search. */
static bool has_no_search(const davit_error *why)
{
    int status = davit_error_http_status(why);
    return dv_str_starts(davit_error_message(why), "Unexpected status code ") &&
           (status == 404 || status == 405 || status == 410 || status == 501);
}

static int search(dv_cli *cli, const values *v, const char *term, int64_t limit, davit_search_results **out,
                  davit_error **err)
{
    DV_AUTOPTR(davit_search_filters) filters = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTO(davit_index_info) index = DAVIT_INDEX_INFO_INIT;
    davit_search_options options = DAVIT_SEARCH_OPTIONS_INIT;
    int r = davit_search_filters_new((const char *const *)v->filters.items, &filters, err);
    if (r < 0)
        return r;
    options.filters = filters;
    options.limit = limit;
    r = davit_service_search(cli->client, term, &options, out, &why);
    if (r == 0 || !has_no_search(why))
        return r < 0 ? dv_error_move(err, &why, r) : 0;
    r = davit_parse_search_index_info(term, &index, err);
    if (r < 0)
        return r;
    return index.official ? dv_error_move(err, &why, davit_error_code(why))
                          : from_catalogue(cli, v, index.name, strchr(term, '/') + 1,
                                           limit ? (size_t)limit : DAVIT_SEARCH_LIMIT_DEFAULT, why, out, err);
}

/* Digits with an optional "-": what is out of range, the library says. */
static bool read_limit(const char *text, int64_t *out)
{
    uint64_t n = 0;
    bool negative = text && *text == '-';
    if (text && (!dv_str_to_u64(text + negative, &n) || n > INT64_MAX))
        return false;
    *out = negative ? -(int64_t)n : (int64_t)n;
    return true;
}

static void warn_deprecated(const dv_cli *cli, const values *v)
{
    bool used = false;
    for (size_t i = 0; i < v->filters.count; i++)
        used = used || value_of(v->filters.items[i], "is-automated");
    if (used && !cli->globals.quiet)
        dv_message_write(STDERR_FILENO, "warning",
                         "the \"is-automated\" filter is deprecated, and searching for "
                         "\"is-automated=true\" will not yield any results in future");
}

static int run_checked(dv_cli *cli, const values *v, const char *term, davit_error **err)
{
    DV_AUTOPTR(davit_search_results) results = NULL;
    int64_t limit = 0;
    if (!read_limit(v->limit, &limit))
        return dv_cli_usage(cli, err, "--limit: '%s' is not a number", v->limit);
    for (size_t i = 0; i < v->filters.count; i++)
        if (!strchr(v->filters.items[i], '=')) /* to the library, a key that nothing is asked of */
            return dv_error_set(err, DAVIT_EINVAL, "invalid filter '%s'", v->filters.items[i]);
    warn_deprecated(cli, v);
    int r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r == 0)
        r = search(cli, v, term, limit, &results, err);
    if (r < 0)
        return r;
    return v->json ? print_json(cli, results, err) : print_table(cli, v, results, err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    values *v = flags;
    int r = run_checked(cli, v, arguments[0], err);
    free(v->filters.items);
    return r;
}

static const dv_option options[] = {
    {"filter", 'f', DV_OPTION_LIST, offsetof(values, filters), "KEY=VALUE",
     "is-official=true|false or stars=N (at least)"},
    {"limit", 0, DV_OPTION_TEXT, offsetof(values, limit), "N", "at most so many, 1 to 100 (25)"},
    {"no-trunc", 0, DV_OPTION_FLAG, offsetof(values, no_trunc), NULL, "whole descriptions"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document, as the Engine API's list"},
    {NULL},
};

const dv_command dv_command_search = {
    .name = "search",
    .arguments = "[--filter KEY=VALUE] [--limit N] [--no-trunc] [--json] [HOST/]TERM",
    .summary = "find repositories",
    .details =
        "Without HOST, on Docker Hub. Where a registry has no search: the names in its catalogue that\n"
        "contain TERM; with HOST/ alone, all of them.",
    .example = "davit search --filter is-official=true nginx",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};
