/*
 * cli/cmd_pull.c - davit pull: arguments into davit_pull_options, one pull after the other, and what is printed.
 *
 * Several references are pulled in order; one that fails is reported and the others still get their turn. The exit status is that
 * of the first failure.
 */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "cli/signals.h"
#include "cli/v1_arg.h"
#include "davit/pull.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    davit_platform platform;
    bool all_tags, all_platforms, dry_run;
} values;

/* One argument. */
typedef struct target {
    davit_reference *ref;
    bool defaulted;   /* its tag was added here */
    davit_v1_name v1; /* of a registry of the first version, in place of ref */
} target;

#define V1 "v1://"

static int parse_v1(dv_cli *cli, const values *v, const char *text, target *out, davit_error **err)
{
    if (v->dry_run || v->all_platforms || !davit_platform_is_empty(&v->platform))
        return dv_cli_usage(
            cli, err,
            "%s: --dry-run, --platform and --all-platforms are not for registries of the first version",
            text);
    int r = davit_v1_name_parse(text + strlen(V1), &out->v1, err);
    if (r == 0 && v->all_tags && (out->v1.tag || out->v1.id))
        return dv_cli_usage(cli, err, "tag can't be used with --all-tags/-a");
    return r;
}

/* "latest" is this program's business, not the library's. */
static int parse(dv_cli *cli, const values *v, const char *text, target *out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) given = NULL;
    const char *name;
    if (dv_str_starts(text, V1))
        return parse_v1(cli, v, text, out, err);
    int r = dv_image_arg_registry(text, &name, err);
    if (r == 0)
        r = davit_reference_parse(name, &given, err);
    if (r < 0)
        return r;
    bool name_only = davit_reference_is_name_only(given);
    if (v->all_tags && !name_only)
        return dv_cli_usage(cli, err, "tag can't be used with --all-tags/-a");
    if (v->all_tags)
        out->ref = DV_STEAL(given);
    else
        r = davit_reference_tag_name_only(given, &out->ref, err);
    out->defaulted = name_only && !v->all_tags;
    return r;
}

/* All of them before anything is asked, so that a slip in the last does not come out after an hour. */
static int parse_all(dv_cli *cli, const values *v, char **arguments, size_t count, target *targets,
                     davit_error **err)
{
    for (size_t i = 0; i < count; i++) {
        int r = parse(cli, v, arguments[i], &targets[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void print_amount(dv_output *o, const char *what, uint64_t count, uint64_t bytes)
{
    char size[32];
    dv_output_printf(o, "%s: %" PRIu64 " %s, %s (%" PRIu64 " bytes)\n", what, count,
                     count == 1 ? "blob" : "blobs", davit_human_size((double)bytes, size), bytes);
}

static void print_result(dv_cli *cli, const values *v, const davit_reference *ref,
                         const davit_pull_result *result)
{
    dv_output_text(&cli->out, davit_reference_text(ref));
    if (v->dry_run) {
        if (v->all_tags)
            dv_output_printf(&cli->out, ": %" PRIu32 " %s\n", result->tag_count,
                             result->tag_count == 1 ? "tag" : "tags");
        else
            dv_output_printf(&cli->out, ": %s\n", result->digest.text);
        print_amount(&cli->out, "to fetch", result->fetched_count, result->fetched_bytes);
        print_amount(&cli->out, "here already", result->present_count, result->present_bytes);
    } else {
        dv_output_printf(&cli->out, "\n");
    }
    dv_output_flush(&cli->out);
}

static int pull_v1(dv_cli *cli, const values *v, const target *t, davit_error **err)
{
    davit_v1_pull_options options = DAVIT_V1_PULL_OPTIONS_INIT;
    options.flags = v->all_tags ? DAVIT_V1_PULL_ALL_TAGS : 0;
    options.tag = t->v1.tag;
    options.image = t->v1.id;
    options.progress = dv_v1_on_event;
    options.user_data = cli;
    int r = davit_v1_pull(cli->client, t->v1.repository, &options, /* out= */ NULL, err);
    dv_progress_view_settle(cli->view);
    return r;
}

static int pull_one(dv_cli *cli, const values *v, const target *t, davit_error **err)
{
    davit_pull_options options = DAVIT_PULL_OPTIONS_INIT;
    davit_pull_result result = {0};
    if (t->v1.repository)
        return pull_v1(cli, v, t, err);
    options.flags = (v->all_tags ? DAVIT_PULL_ALL_TAGS : 0) |
                    (v->all_platforms ? DAVIT_PULL_ALL_PLATFORMS : 0) | (v->dry_run ? DAVIT_PULL_DRY_RUN : 0);
    options.platform = dv_platform_or_null(&v->platform);
    options.progress = dv_progress_view_event;
    options.user_data = cli->view;
    if (t->defaulted)
        dv_progress_view_message(cli->view, "Using default tag: latest");
    int r = davit_pull(cli->client, t->ref, &options, &result, err);
    dv_progress_view_settle(cli->view);
    if (r == 0)
        print_result(cli, v, t->ref, &result);
    return r;
}

/* *err is set for the last failure only: those before have been said. */
static int pull_all(dv_cli *cli, const values *v, const target *targets, size_t count, davit_error **err)
{
    int first = 0;
    for (size_t i = 0; i < count; i++) {
        DV_AUTOPTR(davit_error) why = NULL;
        int r = pull_one(cli, v, &targets[i], &why);
        if (r == 0)
            continue;
        first = first ? first : r;
        dv_progress_view_error(cli->view, davit_error_message(why));
        if (count > 1)
            dv_cli_name_error(&why, r,
                              targets[i].ref ? davit_reference_familiar(targets[i].ref)
                                             : targets[i].v1.repository);
        if (r == DAVIT_ECANCELLED || dv_signals_came())
            return dv_error_move(err, &why, r);
        if (i + 1 == count)
            return dv_error_move(err, &why, first);
        dv_message_write(STDERR_FILENO, "davit", davit_error_message(why));
    }
    return first;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOFREE target *targets = dv_new_array(target, count);
    if (!targets)
        return dv_error_oom(err);
    int r = v->all_platforms && !davit_platform_is_empty(&v->platform)
                ? dv_cli_usage(cli, err, "--platform and --all-platforms exclude each other")
                : parse_all(cli, v, arguments, count, targets, err);
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ true, /* flags= */ 0, err);
    if (r == 0)
        r = pull_all(cli, v, targets, count, err);
    for (size_t i = 0; i < count; i++) {
        davit_reference_free(targets[i].ref);
        davit_v1_name_clear(&targets[i].v1);
    }
    return r;
}

static const dv_option options[] = {
    {"all-tags", 'a', DV_OPTION_FLAG, offsetof(values, all_tags), NULL, "every tag of the repository"},
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "which image of an index (the host's)"},
    {"all-platforms", 0, DV_OPTION_FLAG, offsetof(values, all_platforms), NULL, "every image of an index"},
    {"dry-run", 0, DV_OPTION_FLAG, offsetof(values, dry_run), NULL,
     "say what would be fetched, store nothing"},
    {NULL},
};

const dv_command dv_command_pull = {
    .name = "pull",
    .arguments = "[-a|--all-tags] [-q] [--platform OS[/ARCH[/VARIANT]]] [--all-platforms] [--dry-run] "
                 "NAME[:TAG|@DIGEST]...",
    .summary = "fetch images from a registry into the local store",
    .details = "Interrupted or killed, the next pull goes on where this one stopped. Of several names each "
               "is pulled in\n"
               "order, also after one failed; the status is that of the first failure. Standard output gets "
               "the full\n"
               "name of each image that was pulled, and with -q nothing else is said. NAME may be v1://NAME "
               "(davit help v1).",
    .example = "davit pull --platform linux/arm64 alpine:3.20",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = -1,
    .run = run,
};
