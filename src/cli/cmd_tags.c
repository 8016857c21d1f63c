/* cli/cmd_tags.c - davit tags: the tags of a repository, printed as the pages arrive, so that no list is too long. */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "util/str.h"

typedef struct values {
    bool json;
} values;

typedef struct listing {
    dv_output *out;
    const char *name;
    bool json;
    uint64_t count;
    int failure;
    davit_error **err;
} listing;

/* Nothing is printed before there is an answer, and what is cut short does not look whole. */
static int begin_json(listing *l)
{
    dv_output_printf(l->out, "{\n    \"name\": ");
    int r = dv_output_json_string(l->out, l->name, l->err);
    dv_output_printf(l->out, ",\n    \"tags\": [");
    return r;
}

static int end_json(listing *l)
{
    int r = l->count ? 0 : begin_json(l);
    dv_output_printf(l->out, "%s]\n}\n", l->count ? "\n    " : "");
    return r;
}

/* A davit_tag_fn. */
static int print_tag(const char *tag, void *user_data)
{
    listing *l = user_data;
    int r = 0;
    if (l->json) {
        if (l->count == 0)
            r = begin_json(l);
        dv_output_printf(l->out, "%s\n        ", l->count ? "," : "");
        if (r == 0)
            r = dv_output_json_string(l->out, tag, l->err);
    } else {
        dv_output_text(l->out, tag);
        r = dv_output_printf(l->out, "\n");
    }
    l->count++;
    l->failure = r;
    return r;
}

static int from_registry(dv_cli *cli, const davit_reference *ref, listing *l, davit_error **err)
{
    int r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    return r < 0 ? r : davit_registry_tags(cli->client, ref, print_tag, l, err);
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

static int from_store(dv_cli *cli, const davit_reference *ref, listing *l, davit_error **err)
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
                r = print_tag(davit_reference_tag(tagged), l);
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
    listing l = {.out = &cli->out, .name = davit_reference_path(ref), .json = v->json, .err = err};
    r = arg.transport == DV_TRANSPORT_STORE ? from_store(cli, ref, &l, err)
                                            : from_registry(cli, ref, &l, err);
    r = r < 0 ? r : l.failure;
    return r == 0 && l.json ? end_json(&l) : r;
}

static const dv_option options[] = {
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document, OCI's tag list"},
    {NULL},
};

const dv_command dv_command_tags = {
    .name = "tags",
    .arguments = "[--json] REPOSITORY",
    .summary = "list the tags of a repository",
    .details = "One a line, in the registry's order.",
    .example = "davit tags alpine",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};
