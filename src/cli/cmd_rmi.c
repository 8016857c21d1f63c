/*
 * cli/cmd_rmi.c - davit rmi: removes images from the store. What fails for one name does not stop the others; all that failed is
 * said in one line at the end. With --force a name that is not there is no failure, as in Docker.
 */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "cli/removals.h"

#include <unistd.h>

typedef struct values {
    bool force, no_prune, json;
} values;

/* No store, no image: *out stays NULL when --force makes that no failure. */
static int without_store(const dv_cli *cli, const values *v, const char *name, davit_error **err)
{
    DV_AUTO(dv_buf) message = DV_BUF_INIT(DV_MESSAGE_MAX);
    if (!v->force)
        return dv_error_set(err, DAVIT_ENOTFOUND, "No such image: %s", name);
    dv_buf_printf(&message, "No such image: %s", name);
    if (!cli->globals.quiet && !message.failed)
        dv_message_write(STDERR_FILENO, "warning", dv_buf_text(&message));
    return 0;
}

static int remove_images(dv_cli *cli, const values *v, const char **names, size_t count,
                         davit_removal_list **out, davit_error **err)
{
    uint32_t flags = (v->force ? DAVIT_REMOVE_FORCE : 0) | (v->no_prune ? DAVIT_REMOVE_KEEP_BLOBS : 0);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_cli_store_writable(cli, &why);
    if (r == DAVIT_ENOTFOUND)
        return without_store(cli, v, names[0], err);
    return r < 0 ? dv_error_move(err, &why, r)
                 : davit_store_remove(cli->store, names, count, flags, out, err);
}

static int print(dv_cli *cli, const values *v, const davit_removal_list *list, davit_error **err)
{
    if (!v->json) {
        if (!cli->globals.quiet)
            dv_removals_print(&cli->out, list, /* would= */ false);
        return 0;
    }
    DV_AUTOPTR(dv_json) array = dv_removals_json(list);
    return array ? dv_output_json(&cli->out, array, err) : dv_error_oom(err);
}

/* With --force what is not there is only mentioned. */
static void mention_missing(const dv_cli *cli, const davit_removal_list *list)
{
    for (size_t i = 0; i < davit_removal_list_count(list) && !cli->globals.quiet; i++) {
        const davit_removal *step = davit_removal_list_at(list, i);
        if (step->code == DAVIT_ENOTFOUND)
            dv_message_write(STDERR_FILENO, "warning", step->text);
    }
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOFREE const char **names = dv_new_array(const char *, count);
    DV_AUTOPTR(davit_removal_list) list = NULL;
    int r = names ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = dv_image_arg_store(arguments[i], &names[i], err);
    if (r == 0)
        r = remove_images(cli, v, names, count, &list, err);
    if (r == 0 && list)
        r = print(cli, v, list, err);
    if (r < 0 || !list)
        return r;
    dv_output_flush(&cli->out);
    if (v->force)
        mention_missing(cli, list);
    return dv_removals_error(list, v->force ? DAVIT_ENOTFOUND : 0, err);
}

static const dv_option options[] = {
    {"force", 'f', DV_OPTION_FLAG, offsetof(values, force), NULL,
     "an id also when several repositories name it; missing images are no failure"},
    {"no-prune", 0, DV_OPTION_FLAG, offsetof(values, no_prune), NULL,
     "leave its blobs to the next davit prune"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document, the Engine API's list"},
    {NULL},
};

const dv_command dv_command_rmi = {
    .name = "rmi",
    .arguments = "[-f] [--no-prune] [--json] IMAGE...",
    .summary = "remove images from the local store",
    .details = "A name is untagged, and its image goes with the last name. An image id, or the beginning of "
               "one, goes\n"
               "with all its names. Blobs that nothing else needs go at once.",
    .example = "davit rmi alpine:3.19 alpine:3.20",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = -1,
    .run = run,
};
