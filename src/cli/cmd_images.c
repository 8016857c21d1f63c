/* cli/cmd_images.c - davit images: what is in the store, as Docker's table or as the Engine API's list. */
#include "cli/cli.h"

#include "cli/age.h"
#include "cli/image_filter.h"
#include "cli/image_json.h"
#include "cli/table.h"
#include "util/clock.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define SHORT_ID 12
#define NONE "<none>"

typedef struct values {
    bool all, json, digests, no_trunc;
    dv_texts filters;
} values;

/* The references of one image that the filter lets through. */
typedef struct names {
    davit_reference **tags, **digests;
    size_t tag_count, digest_count;
} names;

typedef struct row_maker {
    const dv_cli *cli;
    const values *values;
    dv_table *table;
    char id[DAVIT_DIGEST_TEXT_MAX], created[32], size[32];
} row_maker;

/* --- names --------------------------------------------------------------------------------------------------------- */

static void free_list(davit_reference **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        davit_reference_free(list[i]);
    free(list);
}

static void names_clear(names *n)
{
    free_list(n->tags, n->tag_count);
    free_list(n->digests, n->digest_count);
}
DV_DEFINE_AUTO(names, names_clear)

static int parse_list(const char *const *texts, size_t count, const dv_image_filter *filter,
                      davit_reference ***out, size_t *out_count, davit_error **err)
{
    *out = dv_new_array(davit_reference *, count + 1);
    if (!*out)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        davit_reference *ref;
        int r = davit_reference_parse(texts[i], &ref, err);
        if (r < 0)
            return r;
        if (dv_image_filter_fits_name(filter, ref))
            (*out)[(*out_count)++] = ref;
        else
            davit_reference_free(ref);
    }
    return 0;
}

static int names_make(names *n, const davit_image *image, const dv_image_filter *filter, davit_error **err)
{
    int r = parse_list(image->tags, image->tag_count, filter, &n->tags, &n->tag_count, err);
    return r < 0
               ? r
               : parse_list(image->digests, image->digest_count, filter, &n->digests, &n->digest_count, err);
}

/* 1: the image is listed, with these names. The config may stay NULL: then only what it says is lost. */
static int choose(dv_cli *cli, const davit_image *image, const dv_image_filter *filter, bool needs_config,
                  names *n, davit_image_config **config, davit_error **err)
{
    int r = names_make(n, image, filter, err);
    if (r < 0 || (filter->by_reference && n->tag_count + n->digest_count == 0))
        return r;
    if (needs_config || filter->by_config)
        (void)davit_store_get_config(cli->store, &image->config, config, NULL);
    return dv_image_filter_fits(filter, image, *config, err);
}

/* --- table ------------------------------------------------------------------------------------------------------------ */

static void describe(row_maker *m, const davit_image *image, int64_t created_s)
{
    if (m->values->no_trunc)
        snprintf(m->id, sizeof(m->id), "%s", image->config.text);
    else
        snprintf(m->id, sizeof(m->id), "%.*s", SHORT_ID, davit_digest_hex(&image->config));
    if (created_s)
        dv_age_describe(dv_wall_time_s() - created_s, m->created);
    else
        snprintf(m->created, sizeof(m->created), "N/A");
    davit_human_size((double)image->size, m->size);
}

static void add_row(row_maker *m, const char *repository, const char *tag, const char *digest)
{
    if (m->cli->globals.quiet) {
        dv_table_add(m->table, m->id);
        return;
    }
    dv_table_add(m->table, repository);
    dv_table_add(m->table, tag);
    if (m->values->digests)
        dv_table_add(m->table, digest);
    dv_table_add(m->table, m->id);
    dv_table_add(m->table, m->created);
    dv_table_add(m->table, m->size);
}

static bool same_name(const davit_reference *a, const davit_reference *b)
{
    return dv_str_equal(davit_reference_name(a), davit_reference_name(b));
}

/* A row for a tag, and with --digests one for each digest of its repository. */
static void add_tag(row_maker *m, const names *n, const davit_reference *tag)
{
    const char *repository = davit_reference_familiar_name(tag);
    bool shown = false;
    for (size_t i = 0; m->values->digests && i < n->digest_count; i++)
        if (same_name(n->digests[i], tag)) {
            add_row(m, repository, davit_reference_tag(tag), davit_reference_digest_text(n->digests[i]));
            shown = true;
        }
    if (!shown)
        add_row(m, repository, davit_reference_tag(tag), NONE);
}

/* Digests have rows only where their repository has no tag, and without --digests one for all. */
static bool has_row_already(const row_maker *m, const names *n, size_t index)
{
    for (size_t i = 0; i < n->tag_count; i++)
        if (same_name(n->tags[i], n->digests[index]))
            return true;
    for (size_t i = 0; !m->values->digests && i < index; i++)
        if (same_name(n->digests[i], n->digests[index]))
            return true;
    return false;
}

static void add_image(row_maker *m, const names *n)
{
    for (size_t i = 0; i < n->tag_count; i++)
        add_tag(m, n, n->tags[i]);
    for (size_t i = 0; i < n->digest_count; i++)
        if (!has_row_already(m, n, i))
            add_row(m, davit_reference_familiar_name(n->digests[i]), NONE,
                    davit_reference_digest_text(n->digests[i]));
    if (n->tag_count + n->digest_count == 0)
        add_row(m, NONE, NONE, NONE);
}

static void add_heading(dv_table *t, const values *v)
{
    t->column_count = v->digests ? 6 : 5;
    dv_table_add(t, "REPOSITORY");
    dv_table_add(t, "TAG");
    if (v->digests)
        dv_table_add(t, "DIGEST");
    dv_table_add(t, "IMAGE ID");
    dv_table_add(t, "CREATED");
    dv_table_add(t, "SIZE");
}

/* NULL: no store, no images. */
static size_t count_of(const davit_image_list *list)
{
    return list ? davit_image_list_count(list) : 0;
}

static int print_table(dv_cli *cli, const values *v, const davit_image_list *list,
                       const dv_image_filter *filter, davit_error **err)
{
    DV_AUTO(dv_table) table = {.column_count = 1};
    row_maker m = {.cli = cli, .values = v, .table = &table};
    if (!cli->globals.quiet)
        add_heading(&table, v);
    for (size_t i = 0; i < count_of(list); i++) {
        const davit_image *image = davit_image_list_at(list, i);
        DV_AUTOPTR(davit_image_config) config = NULL;
        DV_AUTO(names) n = {0};
        int r = choose(cli, image, filter, /* needs_config= */ !cli->globals.quiet, &n, &config, err);
        if (r < 0)
            return r;
        if (r == 0)
            continue;
        describe(&m, image, dv_image_created_s(config));
        add_image(&m, &n);
    }
    return dv_table_print(&table, &cli->out, err);
}

/* --- JSON ---------------------------------------------------------------------------------------------------------------- */

static const char **texts_of(davit_reference **list, size_t count)
{
    const char **texts = dv_new_array(const char *, count + 1);
    for (size_t i = 0; texts && i < count; i++)
        texts[i] = davit_reference_text(list[i]);
    return texts;
}

static int append_summary(const davit_image *image, const davit_image_config *config, const names *n,
                          dv_json *array, davit_error **err)
{
    DV_AUTOFREE const char **tags = texts_of(n->tags, n->tag_count);
    DV_AUTOFREE const char **digests = texts_of(n->digests, n->digest_count);
    dv_json *summary;
    if (!tags || !digests)
        return dv_error_oom(err);
    const dv_image_facts facts = {
        .config = config,
        .id = &image->config,
        .size = image->size,
        .tags = tags,
        .tag_count = n->tag_count,
        .digests = digests,
        .digest_count = n->digest_count,
    };
    int r = dv_image_json_summary(&facts, &summary, err);
    if (r < 0)
        return r;
    return dv_json_append(array, summary) ? 0 : dv_error_oom(err);
}

static int print_json(dv_cli *cli, const davit_image_list *list, const dv_image_filter *filter,
                      davit_error **err)
{
    DV_AUTOPTR(dv_json) array = dv_json_array_new();
    if (!array)
        return dv_error_oom(err);
    for (size_t i = 0; i < count_of(list); i++) {
        const davit_image *image = davit_image_list_at(list, i);
        DV_AUTOPTR(davit_image_config) config = NULL;
        DV_AUTO(names) n = {0};
        int r = choose(cli, image, filter, /* needs_config= */ true, &n, &config, err);
        if (r == 1)
            r = append_summary(image, config, &n, array, err);
        if (r < 0)
            return r;
    }
    return dv_output_json(&cli->out, array, err);
}

/* A store that was never written has no images: *out stays NULL. */
static int list_images(dv_cli *cli, davit_image_list **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = cli->store ? 0 : dv_cli_store(cli, &why); /* a filter may have looked into it */
    if (r == DAVIT_ENOTFOUND)
        return 0;
    return r < 0 ? dv_error_move(err, &why, r) : davit_store_images(cli->store, out, err);
}

static int list(dv_cli *cli, const values *v, const char *pattern, davit_error **err)
{
    DV_AUTOPTR(davit_image_list) images = NULL;
    dv_image_filter filter;
    int r = dv_image_filter_init(&filter, cli, pattern, &v->filters, err);
    if (r == 0)
        r = list_images(cli, &images, err);
    if (r < 0)
        return r;
    return v->json ? print_json(cli, images, &filter, err) : print_table(cli, v, images, &filter, err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    values *v = flags;
    const char *pattern = count ? arguments[0] : NULL;
    if (pattern && dv_str_starts(pattern, "store:"))
        pattern += strlen("store:");
    int r = list(cli, v, pattern, err);
    free(v->filters.items);
    return r;
}

static const dv_option options[] = {
    {"all", 'a', DV_OPTION_FLAG, offsetof(values, all), NULL, "all images, which it lists anyway"},
    {"filter", 'f', DV_OPTION_LIST, offsetof(values, filters), "KEY=VALUE",
     "only those of dangling=true|false, reference=PATTERN, before=IMAGE, since=IMAGE, until=TIME, "
     "label=KEY"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document, the Engine API's list"},
    {"digests", 0, DV_OPTION_FLAG, offsetof(values, digests), NULL, "a column of digests"},
    {"no-trunc", 0, DV_OPTION_FLAG, offsetof(values, no_trunc), NULL, "whole image ids"},
    {NULL},
};

const dv_command dv_command_images = {
    .name = "images",
    .arguments = "[-f KEY=VALUE]... [--digests] [--no-trunc] [-q|--json] [REPOSITORY[:TAG]]",
    .summary = "list the images in the local store",
    .details = "With -q only their ids. REPOSITORY[:TAG] may be a pattern.",
    .example = "davit images 'alpine:3.*'",
    .options = options,
    .values_size = sizeof(values),
    .max_count = 1,
    .run = run,
};
