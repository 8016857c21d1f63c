/*
 * cli/cmd_push.c - davit push: arguments into davit_push_options, and the digests of what was pushed.
 */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "davit/push.h"
#include "util/json.h"

#include <string.h>

typedef struct values {
    davit_platform platform;
    bool all_tags, all_platforms, sparse, skip_foreign, json;
} values;

typedef struct pushing {
    dv_cli *cli;
    const values *values;
    dv_json *tags; /* with --json */
    bool failed;   /* no memory for them */
} pushing;

static void on_progress(const davit_progress *event, void *user_data)
{
    dv_progress_view_event(event, ((pushing *)user_data)->cli->view);
}

/* A line for each tag, once it is there. */
static void on_pushed(const davit_reference *ref, const davit_digest *digest, uint64_t size, void *user_data)
{
    pushing *p = user_data;
    if (!p->tags) {
        dv_progress_view_settle(p->cli->view);
        dv_output_text(&p->cli->out, davit_reference_name(ref));
        dv_output_printf(&p->cli->out, "@%s\n", digest->text);
        dv_output_flush(&p->cli->out);
        return;
    }
    dv_json *tag = dv_json_object_new();
    if (!tag || !dv_json_set_string(tag, "Tag", davit_reference_tag(ref)) ||
        !dv_json_set_string(tag, "Digest", digest->text) ||
        !dv_json_set_integer(tag, "Size", (int64_t)size)) {
        dv_json_free(tag);
        tag = NULL;
    }
    if (!dv_json_append(p->tags, tag))
        p->failed = true;
}

static bool set_amount(dv_json *document, const char *key, uint64_t count, uint64_t bytes)
{
    dv_json *amount = dv_json_object_new();
    bool ok = amount && dv_json_set_integer(amount, "Count", (int64_t)count) &&
              dv_json_set_integer(amount, "Size", (int64_t)bytes);
    return dv_json_set(document, key, amount) && ok;
}

static int print_json(pushing *p, const davit_reference *ref, const davit_push_result *result,
                      davit_error **err)
{
    DV_AUTOPTR(dv_json) o = dv_json_object_new();
    if (!o || p->failed || !dv_json_set_string(o, "Repository", davit_reference_name(ref)) ||
        !dv_json_set(o, "Pushed", dv_json_copy(p->tags)) ||
        !set_amount(o, "Sent", result->sent_count, result->sent_bytes) ||
        !set_amount(o, "Mounted", result->mounted_count, result->mounted_bytes) ||
        !set_amount(o, "Present", result->present_count, result->present_bytes))
        return dv_error_oom(err);
    return dv_output_json(&p->cli->out, o, err);
}

static int push(dv_cli *cli, const values *v, const davit_reference *ref, davit_error **err)
{
    DV_AUTOPTR(dv_json) tags = v->json ? dv_json_array_new() : NULL;
    pushing p = {.cli = cli, .values = v, .tags = tags};
    davit_push_options options = DAVIT_PUSH_OPTIONS_INIT;
    davit_push_result result = {0};
    if (v->json && !tags)
        return dv_error_oom(err);
    options.flags = (v->all_tags ? DAVIT_PUSH_ALL_TAGS : 0) | (v->sparse ? DAVIT_PUSH_SPARSE : 0) |
                    (v->all_platforms ? DAVIT_PUSH_ALL_PLATFORMS : 0) |
                    (v->skip_foreign ? DAVIT_PUSH_SKIP_FOREIGN : 0);
    options.platform = dv_platform_or_null(&v->platform);
    options.progress = on_progress;
    options.pushed = on_pushed;
    options.user_data = &p;
    int r = davit_push(cli->client, ref, &options, &result, err);
    dv_progress_view_settle(cli->view);
    if (r < 0 && err)
        dv_progress_view_error(cli->view, davit_error_message(*err));
    return r == 0 && v->json ? print_json(&p, ref, &result, err) : r;
}

/* "latest" is this program's business, not the library's. */
static int parse(dv_cli *cli, const values *v, const char *text, davit_reference **out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) given = NULL;
    const char *name;
    int r = dv_image_arg_registry(text, &name, err);
    if (r == 0)
        r = davit_reference_parse(name, &given, err);
    if (r < 0)
        return r;
    if (v->all_tags && !davit_reference_is_name_only(given))
        return dv_cli_usage(cli, err, "tag can't be used with --all-tags/-a");
    if (v->all_tags) {
        *out = DV_STEAL(given);
        return 0;
    }
    return davit_reference_tag_name_only(given, out, err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOPTR(davit_reference) ref = NULL;
    int choices = v->sparse + v->all_platforms + !davit_platform_is_empty(&v->platform);
    int r = choices > 1
                ? dv_cli_usage(cli, err, "--platform, --all-platforms and --sparse exclude each other")
                : parse(cli, v, arguments[0], &ref, err);
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ true, /* flags= */ 0, err);
    return r < 0 ? r : push(cli, v, ref, err);
}

static const dv_option options[] = {
    {"all-tags", 'a', DV_OPTION_FLAG, offsetof(values, all_tags), NULL, "every tag of the repository"},
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "of an index this image alone, under the tag"},
    {"all-platforms", 0, DV_OPTION_FLAG, offsetof(values, all_platforms), NULL,
     "an index whole; something of it that is not here is an error"},
    {"sparse", 0, DV_OPTION_FLAG, offsetof(values, sparse), NULL,
     "an index as it is, though some of its images are not here"},
    {"skip-foreign", 0, DV_OPTION_FLAG, offsetof(values, skip_foreign), NULL,
     "leave layers that may not be distributed where they are"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document on standard output"},
    {NULL},
};

const dv_command dv_command_push = {
    .name = "push",
    .arguments = "[-a|--all-tags] [-q] [--platform OS[/ARCH[/VARIANT]] | --all-platforms | --sparse] "
                 "[--skip-foreign] [--json] NAME[:TAG]",
    .summary = "send an image of the local store to a registry",
    .details =
        "What the registry has is not sent again; what another of its repositories has is mounted. "
        "Interrupted or\n"
        "killed, the next push goes on where this one stopped. The tag moves last. Standard output gets "
        "NAME@DIGEST\n"
        "of each tag that was pushed, and with -q nothing else is said.",
    .example = "davit push registry.example.com/team/app:1.0",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};
