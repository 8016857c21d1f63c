/* cli/cmd_tag.c - davit tag: another name for an image of the store. */
#include "cli/cli.h"

#include "cli/image_arg.h"

typedef struct values {
    bool no_replace;
} values;

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    const char *source, *target;
    int r = dv_image_arg_store(arguments[0], &source, err);
    if (r == 0)
        r = dv_image_arg_store(arguments[1], &target, err);
    if (r == 0)
        r = dv_cli_store_writable(cli, err);
    if (r == 0)
        r = davit_store_tag(cli->store, source, target, v->no_replace ? DAVIT_TAG_NO_REPLACE : 0, err);
    return r;
}

static const dv_option options[] = {
    {"no-replace", 0, DV_OPTION_FLAG, offsetof(values, no_replace), NULL,
     "fail when the tag names another image"},
    {NULL},
};

const dv_command dv_command_tag = {
    .name = "tag",
    .arguments = "[--no-replace] IMAGE TAG",
    .summary = "give an image in the local store another name",
    .details =
        "IMAGE is a name, an image id or the beginning of one. A TAG that names another image is moved.",
    .example = "davit tag alpine:3.20 registry.example.com/base/alpine:3.20",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 2,
    .max_count = 2,
    .run = run,
};
