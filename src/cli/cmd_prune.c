/* cli/cmd_prune.c - davit prune: removes from the store what is not needed, and says how much that was. */
#include "cli/cli.h"

#include "cli/removals.h"
#include "cli/time_arg.h"
#include "util/clock.h"
#include "util/str.h"

#include <string.h>

typedef struct values {
    bool all, force, dry_run, json;
    dv_texts filters;
} values;

static int parse_filters(dv_cli *cli, const dv_texts *filters, int64_t *out_until_s, davit_error **err)
{
    static const char until[] = "until=";
    for (size_t i = 0; i < filters->count; i++) {
        const char *filter = filters->items[i];
        if (!dv_str_starts(filter, until))
            return dv_cli_usage(cli, err, "invalid filter '%s': there is until=DURATION|TIME", filter);
        if (i > 0)
            return dv_cli_usage(cli, err, "more than one until filter specified");
        int r = dv_time_arg_parse(filter + strlen(until), dv_wall_time_s(), out_until_s, err);
        if (r < 0)
            return r;
        if (*out_until_s == 0)
            *out_until_s = -1; /* 0 means any time */
    }
    return 0;
}

/* NULL: there is no store, so nothing was removed. */
static uint64_t reclaimed_bytes(const davit_removal_list *list)
{
    if (!list)
        return 0;
    const davit_reclaimed *r = davit_removal_list_reclaimed(list);
    return r->blob_bytes + r->ingest_bytes + r->layer_bytes;
}

static void print_text(dv_cli *cli, const values *v, const davit_removal_list *list)
{
    char size[32];
    if (list)
        dv_removals_print(&cli->out, list, v->dry_run);
    dv_output_printf(&cli->out, "%s: %s\n", v->dry_run ? "Reclaimable space" : "Total reclaimed space",
                     davit_human_size((double)reclaimed_bytes(list), size));
}

static int print_json(dv_cli *cli, const davit_removal_list *list, davit_error **err)
{
    static const davit_reclaimed nothing = {0};
    const davit_reclaimed *reclaimed = list ? davit_removal_list_reclaimed(list) : &nothing;
    DV_AUTOPTR(dv_json) o = dv_json_object_new();
    if (!o || !dv_json_set(o, "ImagesDeleted", list ? dv_removals_json(list) : dv_json_array_new()) ||
        !dv_json_set_integer(o, "SpaceReclaimed", (int64_t)reclaimed_bytes(list)) ||
        !dv_json_set_integer(o, "BlobsDeleted", (int64_t)reclaimed->blobs) ||
        !dv_json_set_integer(o, "IngestsDeleted", (int64_t)reclaimed->ingests) ||
        !dv_json_set_integer(o, "UnpackedLayersDeleted", (int64_t)reclaimed->layers))
        return dv_error_oom(err);
    return dv_output_json(&cli->out, o, err);
}

/* Without a store there is nothing to remove: *out stays NULL. */
static int prune(dv_cli *cli, const values *v, davit_removal_list **out, davit_error **err)
{
    davit_prune_options options = DAVIT_PRUNE_OPTIONS_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    options.flags = (v->all ? DAVIT_PRUNE_ALL : 0) | (v->dry_run ? DAVIT_PRUNE_DRY_RUN : 0);
    int r = parse_filters(cli, &v->filters, &options.until_s, err);
    if (r < 0)
        return r;
    r = dv_cli_store_writable(cli, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    return r < 0 ? dv_error_move(err, &why, r) : davit_store_prune(cli->store, &options, out, err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    values *v = flags;
    DV_AUTOPTR(davit_removal_list) list = NULL;
    int r = prune(cli, v, &list, err);
    free(v->filters.items);
    if (r == 0 && v->json)
        r = print_json(cli, list, err);
    else if (r == 0 && !cli->globals.quiet)
        print_text(cli, v, list);
    return r < 0 || !list ? r : dv_removals_error(list, 0, err);
}

static const dv_option options[] = {
    {"all", 'a', DV_OPTION_FLAG, offsetof(values, all), NULL, "tagged images too: every image goes"},
    {"filter", 0, DV_OPTION_LIST, offsetof(values, filters), "until=DURATION|TIME",
     "only images made before that, or that long ago"},
    {"force", 'f', DV_OPTION_FLAG, offsetof(values, force), NULL, "nothing is asked anyway"},
    {"dry-run", 0, DV_OPTION_FLAG, offsetof(values, dry_run), NULL, "only say what would go"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL,
     "one JSON document, the Engine API's with counts"},
    {NULL},
};

const dv_command dv_command_prune = {
    .name = "prune",
    .arguments = "[-a] [--filter until=DURATION|TIME] [--dry-run] [--json]",
    .summary = "remove what is not needed from the local store",
    .details = "Images without a tag, blobs that no image needs and no running davit wants, and unfinished "
               "downloads\n"
               "that nobody has touched for a week, or that nobody can continue. Nothing is asked.",
    .example = "davit prune --dry-run",
    .options = options,
    .values_size = sizeof(values),
    .max_count = 0,
    .run = run,
};
