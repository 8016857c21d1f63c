/* cli/cmd_copy.c - davit copy: two image arguments and a choice of platforms into davit_copy_options, and what is printed. */
#include "cli/cli.h"

#include "davit/copy.h"
#include "util/json.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

#define PLATFORMS_MAX 64

typedef struct values {
    dv_texts platforms;
    bool all_platforms, sparse, all_tags, referrers, no_replace, dry_run, json;
} values;

static bool is_store(const char *text)
{
    return dv_str_starts(text, "store:");
}

/* Where there is one, uploads are journalled in it. Who has no place for a store copies without. */
static bool wants_store(dv_cli *cli, char **arguments)
{
    const char *unused;
    return is_store(arguments[0]) || is_store(arguments[1]) || dv_cli_store_dir(cli, &unused, NULL) == 0;
}

/* "P,P" and several options alike. */
static int parse_platforms(dv_cli *cli, const values *v, davit_platform *out, size_t *out_count,
                           davit_error **err)
{
    size_t count = 0;
    for (size_t i = 0; i < v->platforms.count; i++) {
        for (const char *at = v->platforms.items[i]; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
            DV_AUTOFREE char *text = dv_strndup(at, strcspn(at, ","));
            if (!text)
                return dv_error_oom(err);
            if (count == PLATFORMS_MAX)
                return dv_cli_usage(cli, err, "--platform: more than %d of them", PLATFORMS_MAX);
            int r = davit_platform_parse(text, &out[count++], err);
            if (r < 0)
                return dv_cli_usage(cli, err, "--platform: '%s' is not OS[/ARCH[/VARIANT]]", text);
        }
    }
    *out_count = count;
    return 0;
}

static int read_options(dv_cli *cli, const values *v, davit_copy_options *o, davit_platform *platforms,
                        davit_error **err)
{
    int r = parse_platforms(cli, v, platforms, &o->platform_count, err);
    if (r < 0)
        return r;
    if (v->all_platforms && (o->platform_count > 0 || v->sparse))
        return dv_cli_usage(cli, err, "--all-platforms, and --platform or --sparse, exclude each other");
    o->platforms = platforms;
    o->flags = (v->all_tags ? DAVIT_COPY_ALL_TAGS : 0) | (v->all_platforms ? DAVIT_COPY_ALL_PLATFORMS : 0) |
               (v->sparse ? DAVIT_COPY_SPARSE : 0) | (v->referrers ? DAVIT_COPY_REFERRERS : 0) |
               (v->dry_run ? DAVIT_COPY_DRY_RUN : 0) | (v->no_replace ? DAVIT_COPY_NO_REPLACE : 0);
    o->progress = dv_progress_view_event;
    o->user_data = cli->view;
    return 0;
}

/* --- what is printed -------------------------------------------------------------------------------------------------------------------- */

static void print_amount(dv_output *o, const char *what, uint64_t count, uint64_t bytes)
{
    char size[32];
    dv_output_printf(o, "%s: %" PRIu64 " %s, %s (%" PRIu64 " bytes)\n", what, count,
                     count == 1 ? "blob" : "blobs", davit_human_size((double)bytes, size), bytes);
}

static void print_text(dv_cli *cli, const values *v, const davit_copy_result *result)
{
    if (v->all_tags)
        dv_output_printf(&cli->out, "%" PRIu32 " %s\n", result->name_count,
                         result->name_count == 1 ? "tag" : "tags");
    else
        dv_output_printf(&cli->out, "%s\n", result->digest.text);
    if (!v->dry_run)
        return;
    print_amount(&cli->out, "to copy", result->copied_count, result->copied_bytes);
    print_amount(&cli->out, "there already", result->present_count, result->present_bytes);
}

static bool set_amount(dv_json *o, const char *key, uint64_t count, uint64_t bytes)
{
    dv_json *amount = dv_json_object_new();
    bool ok = amount && dv_json_set_integer(amount, "Count", (int64_t)count) &&
              dv_json_set_integer(amount, "Size", (int64_t)bytes);
    return dv_json_set(o, key, amount) && ok;
}

static int print_json(dv_cli *cli, const values *v, char **arguments, const davit_copy_result *result,
                      davit_error **err)
{
    DV_AUTOPTR(dv_json) o = dv_json_object_new();
    DV_AUTO(dv_buf) text = DV_BUF_INIT(64u << 10);
    bool ok = o && dv_json_set_string(o, "Source", arguments[0]) &&
              dv_json_set_string(o, "Target", arguments[1]) &&
              dv_json_set_string(o, "Digest", result->digest.text) &&
              dv_json_set_string(o, "SourceDigest", result->source_digest.text) &&
              dv_json_set_bool(o, "Updated", result->updated) && dv_json_set_bool(o, "DryRun", v->dry_run) &&
              dv_json_set_integer(o, "Names", result->name_count) &&
              dv_json_set_integer(o, "Manifests", result->manifest_count) &&
              dv_json_set_integer(o, "Referrers", result->referrer_count) &&
              set_amount(o, "Copied", result->copied_count, result->copied_bytes) &&
              set_amount(o, "Mounted", result->mounted_count, result->mounted_bytes) &&
              set_amount(o, "Present", result->present_count, result->present_bytes);
    if (!ok)
        return dv_error_oom(err);
    dv_json_format(o, 2, /* html_safe= */ false, &text);
    if (text.failed)
        return dv_error_oom(err);
    dv_output_printf(&cli->out, "%s\n", dv_buf_text(&text));
    return 0;
}

static int copy(dv_cli *cli, const values *v, char **arguments, davit_error **err)
{
    davit_copy_options options = DAVIT_COPY_OPTIONS_INIT;
    davit_copy_result result = {0};
    DV_AUTOFREE davit_platform *platforms = dv_new_array(davit_platform, PLATFORMS_MAX);
    if (!platforms)
        return dv_error_oom(err);
    int r = dv_cli_view(cli, err);
    if (r == 0)
        r = read_options(cli, v, &options, platforms, err);
    if (r == 0)
        r = dv_cli_client(cli, wants_store(cli, arguments), /* flags= */ 0, err);
    if (r == 0)
        r = davit_copy(cli->client, arguments[0], arguments[1], &options, &result, err);
    if (cli->view)
        dv_progress_view_settle(cli->view);
    if (cli->view && r < 0 && err)
        dv_progress_view_error(cli->view, davit_error_message(*err));
    if (r < 0)
        return r;
    if (v->json)
        return print_json(cli, v, arguments, &result, err);
    print_text(cli, v, &result);
    return 0;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    values *v = flags;
    (void)count;
    int r = copy(cli, v, arguments, err);
    free(v->platforms.items);
    return r;
}

static const dv_option options[] = {
    {"platform", 0, DV_OPTION_LIST, offsetof(values, platforms), "OS[/ARCH[/VARIANT]][,...]",
     "of an index: one gives that image alone, several a new index"},
    {"all-platforms", 0, DV_OPTION_FLAG, offsetof(values, all_platforms), NULL,
     "an index whole; an absent child is an error"},
    {"sparse", 0, DV_OPTION_FLAG, offsetof(values, sparse), NULL,
     "an index as it is, with the chosen images, or those that are there"},
    {"all-tags", 'a', DV_OPTION_FLAG, offsetof(values, all_tags), NULL, "every tag, each under its own name"},
    {"referrers", 0, DV_OPTION_FLAG, offsetof(values, referrers), NULL,
     "signatures and whatever else refers to the image, too"},
    {"no-replace", 0, DV_OPTION_FLAG, offsetof(values, no_replace), NULL,
     "fail where the target's tag is another image"},
    {"dry-run", 0, DV_OPTION_FLAG, offsetof(values, dry_run), NULL,
     "say what would be copied, change nothing"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "say what was done as one JSON document"},
    {NULL},
};

const dv_command dv_command_copy = {
    .name = "copy",
    .arguments =
        "[-a|--all-tags] [--platform P,...] [--all-platforms] [--sparse] [--referrers] [--no-replace] "
        "[--dry-run] [--json] SOURCE TARGET",
    .summary = "copy an image, an index whole, between registries, store, layouts and archives",
    .details = "SOURCE and TARGET are docker://REF (or REF alone), store:REF, oci:DIR[:NAME], "
               "oci-archive:FILE[:NAME],\n"
               "docker-archive:FILE[:REF] or dir:DIR, SOURCE also v1://NAME. Bytes and digests stay what "
               "they are. Between "
               "registries nothing\n"
               "touches the disk, and what is there already is not sent. The target's tag moves last. "
               "Standard output\n"
               "gets the digest that it stands for then.",
    .example = "davit copy debian:12 registry.example.com/mirror/debian:12",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 2,
    .max_count = 2,
    .run = run,
};
