/*
 * cli/cmd_delete.c - davit delete: a tag, or a manifest with all its tags. A tag is never deleted by way of its digest unless that is said.
 */
#include "cli/cli.h"

#include "cli/registry_image.h"

typedef struct values {
    bool tag_only, force_digest;
} values;

static int delete_digest(dv_cli *cli, const davit_reference *ref, davit_error **err)
{
    return davit_registry_delete_manifest(cli->client, ref, err);
}

/* What the tag names now, and so every tag of it. */
static int delete_what_it_names(dv_cli *cli, const davit_reference *ref, davit_error **err)
{
    DV_AUTOPTR(davit_reference) pinned = NULL;
    davit_digest digest;
    int r = davit_registry_resolve(cli->client, ref, NULL, &digest, NULL, NULL, err);
    if (r == 0)
        r = davit_reference_with_digest(ref, digest.text, &pinned, err);
    if (r == 0)
        r = delete_digest(cli, pinned, err);
    return r < 0 ? r : dv_print_digest(cli, &digest);
}

static int delete_tag(dv_cli *cli, const values *v, const davit_reference *ref, davit_error **err)
{
    int r = davit_registry_delete_tag(cli->client, ref, err);
    if (r == DAVIT_EUNSUPPORTED && !v->tag_only && err && *err)
        return dv_error_set(err, r, "%s; nothing was deleted, --force-digest means it",
                            davit_error_message(*err));
    return r;
}

static int check_usage(dv_cli *cli, const values *v, const davit_reference *ref, const char *text,
                       davit_error **err)
{
    bool tagged = davit_reference_tag(ref) != NULL, pinned = davit_reference_digest_text(ref) != NULL;
    if (v->tag_only && v->force_digest)
        return dv_cli_usage(cli, err, "--tag-only and --force-digest are opposites");
    if (tagged && pinned)
        return dv_cli_usage(cli, err, "%s: give the tag or the digest, not both", text);
    if (!tagged && !pinned)
        return dv_cli_usage(cli, err, "%s: a tag or a digest is wanted here, nothing is deleted by default",
                            text);
    if (v->tag_only && pinned)
        return dv_cli_usage(cli, err, "%s: --tag-only is for a tag", text);
    return 0;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = dv_registry_image_parse(arguments[0], &ref, err);
    if (r == 0)
        r = check_usage(cli, v, ref, arguments[0], err);
    if (r == 0)
        r = dv_registry_client(cli, err);
    if (r < 0)
        return r;
    if (davit_reference_digest_text(ref))
        r = delete_digest(cli, ref, err);
    else
        r = v->force_digest ? delete_what_it_names(cli, ref, err) : delete_tag(cli, v, ref, err);
    return dv_cli_name_error(err, r, davit_reference_familiar(ref));
}

static const dv_option options[] = {
    {"tag-only", 0, DV_OPTION_FLAG, offsetof(values, tag_only), NULL, "only a tag will do"},
    {"force-digest", 0, DV_OPTION_FLAG, offsetof(values, force_digest), NULL,
     "the manifest that the tag names, with all its tags"},
    {NULL},
};

const dv_command dv_command_delete = {
    .name = "delete",
    .arguments = "[--tag-only | --force-digest] NAME:TAG|NAME@DIGEST",
    .summary = "delete a tag or a manifest in a registry",
    .details =
        "A tag goes alone, or not at all where the registry cannot do that. A digest goes with all its\n"
        "tags. Blobs stay until the registry collects them.",
    .example = "davit delete 127.0.0.1:5000/demo/web:1.0",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};
