/* cli/cmd_catalog.c - davit catalog: the repositories of a registry, where it lists them. */
#include "cli/cli.h"

#include "cli/name_list.h"
#include "cli/registry_arg.h"
#include "davit/search.h"

typedef struct values {
    bool json;
    uint32_t limit;
    const char *last;
} values;

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOFREE char *host = NULL;
    dv_name_list list = {.out = &cli->out, .key = "repositories", .json = v->json, .err = err};
    davit_list_options options = DAVIT_LIST_OPTIONS_INIT;
    options.limit = v->limit;
    options.last = v->last;
    int r = dv_registry_arg_parse(arguments[0], &host, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r == 0)
        r = davit_registry_list_repositories(cli->client, host, &options, dv_name_list_add, &list, err);
    return r < 0 ? dv_cli_name_error(err, r, host ? host : arguments[0]) : dv_name_list_end(&list);
}

static const dv_option options[] = {
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL,
     "one JSON document, as the registry's API has it"},
    {"limit", 0, DV_OPTION_NUMBER, offsetof(values, limit), "N", "at most so many names"},
    {"last", 0, DV_OPTION_TEXT, offsetof(values, last), "NAME", "only what comes behind this name"},
    {NULL},
};

const dv_command dv_command_catalog = {
    .name = "catalog",
    .arguments = "[--json] [--limit N] [--last NAME] HOST[:PORT]",
    .summary = "list the repositories of a registry",
    .details = "One a line, in the registry's order. Many registries, Docker Hub among them, do not list.",
    .example = "davit catalog 127.0.0.1:5000",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};
