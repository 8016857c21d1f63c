/* cli/cmd_tags.c - davit tags: the tags of a repository, at a registry or in the store. */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "cli/name_list.h"
#include "util/str.h"

typedef struct values {
    bool json;
    uint32_t limit;
    const char *last;
} values;

static int from_registry(dv_cli *cli, const davit_reference *ref, const values *v, dv_name_list *l,
                         davit_error **err)
{
    davit_list_options options = DAVIT_LIST_OPTIONS_INIT;
    options.limit = v->limit;
    options.last = v->last;
    int r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    return r < 0 ? r : davit_registry_list_tags(cli->client, ref, &options, dv_name_list_add, l, err);
}

/* Several images of one index have the same tags: only the first says them. */
static bool is_repeated(const davit_image_list *list, size_t before, const char *tag)
{
    for (size_t i = 0; i < before; i++) {
        const davit_image *image = davit_image_list_at(list, i);
        for (size_t k = 0; k < image->tag_count; k++)
            if (dv_str_equal(image->tags[k], tag))
                return true;
    }
    return false;
}

static int from_store(dv_cli *cli, const davit_reference *ref, dv_name_list *l, davit_error **err)
{
    DV_AUTOPTR(davit_image_list) list = NULL;
    int r = dv_cli_store(cli, err);
    if (r == 0)
        r = davit_store_images(cli->store, &list, err);
    for (size_t i = 0; r == 0 && i < davit_image_list_count(list); i++) {
        const davit_image *image = davit_image_list_at(list, i);
        for (size_t k = 0; r == 0 && k < image->tag_count; k++) {
            DV_AUTOPTR(davit_reference) tagged = NULL;
            if (is_repeated(list, i, image->tags[k]))
                continue;
            r = davit_reference_parse(image->tags[k], &tagged, err);
            if (r == 0 && dv_str_equal(davit_reference_name(tagged), davit_reference_name(ref)))
                r = dv_name_list_add(davit_reference_tag(tagged), l);
        }
    }
    if (r == 0 && l->count == 0)
        r = dv_error_set(err, DAVIT_ENOTFOUND, "no tags of %s in the store",
                         davit_reference_familiar_name(ref));
    return r;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOPTR(davit_reference) ref = NULL;
    dv_image_arg arg;
    int r = dv_image_arg_parse(arguments[0], DV_TRANSPORT_REGISTRY, &arg, err);
    if (r == 0)
        r = davit_reference_parse(arg.name, &ref, err);
    if (r < 0)
        return r;
    if (!davit_reference_is_name_only(ref))
        return dv_cli_usage(cli, err, "%s: a repository is wanted here, without tag or digest", arguments[0]);
    if (arg.transport == DV_TRANSPORT_STORE && (v->limit || v->last))
        return dv_cli_usage(cli, err, "--limit and --last are for a registry, not for the store");
    dv_name_list l = {
        .out = &cli->out, .key = "tags", .name = davit_reference_path(ref), .json = v->json, .err = err};
    r = arg.transport == DV_TRANSPORT_STORE ? from_store(cli, ref, &l, err)
                                            : from_registry(cli, ref, v, &l, err);
    return r < 0 ? r : dv_name_list_end(&l);
}

static const dv_option options[] = {
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document, OCI's tag list"},
    {"limit", 0, DV_OPTION_NUMBER, offsetof(values, limit), "N", "at most so many tags"},
    {"last", 0, DV_OPTION_TEXT, offsetof(values, last), "TAG", "only what comes behind this tag"},
    {NULL},
};

const dv_command dv_command_tags = {
    .name = "tags",
    .arguments = "[--json] [--limit N] [--last TAG] REPOSITORY",
    .summary = "list the tags of a repository",
    .details = "One a line, in the registry's order.",
    .example = "davit tags alpine",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};
