/* cli/cmd_referrers.c - davit referrers: what refers to an image or artifact in a registry. */
#include "cli/cli.h"

#include "cli/registry_image.h"

typedef struct values {
    const char *type;
    bool json;
} values;

typedef struct listing {
    dv_output *out;
    dv_json *entries; /* NULL: lines */
    bool failed;      /* no memory */
} listing;

static bool set_annotations(dv_json *entry, const davit_referrer *from)
{
    dv_json *object = dv_json_object_new();
    bool ok = object != NULL;
    for (size_t i = 0; ok && i < from->annotation_count; i++)
        ok = dv_json_set_string(object, from->annotations[i].key, from->annotations[i].value);
    if (ok)
        return dv_json_set(entry, "annotations", object);
    dv_json_free(object);
    return false;
}

static dv_json *describe(const davit_referrer *from)
{
    const davit_descriptor *d = &from->descriptor;
    DV_AUTOPTR(dv_json) entry = dv_json_object_new();
    bool ok = entry && dv_json_set_string(entry, "mediaType", d->media_type) &&
              dv_json_set_string(entry, "digest", d->digest.text) &&
              dv_json_set_integer(entry, "size", (int64_t)d->size);
    if (ok && from->annotation_count > 0)
        ok = set_annotations(entry, from);
    if (ok && d->artifact_type)
        ok = dv_json_set_string(entry, "artifactType", d->artifact_type);
    return ok ? DV_STEAL(entry) : NULL;
}

/* A davit_referrer_fn. */
static int take(const davit_referrer *referrer, void *user_data)
{
    listing *l = user_data;
    const davit_descriptor *d = &referrer->descriptor;
    if (l->entries) {
        l->failed = !dv_json_append(l->entries, describe(referrer));
        return l->failed;
    }
    dv_output_printf(l->out, "%s ", d->digest.text);
    dv_output_text(l->out, d->artifact_type ? d->artifact_type : "-");
    return dv_output_printf(l->out, "\n") < 0;
}

static int print_json(dv_cli *cli, dv_json *entries, davit_error **err)
{
    DV_AUTOPTR(dv_json) index = dv_json_object_new();
    bool ok = index && dv_json_set_integer(index, "schemaVersion", 2) &&
              dv_json_set_string(index, "mediaType", "application/vnd.oci.image.index.v1+json");
    if (!ok) {
        dv_json_free(entries);
        return dv_error_oom(err);
    }
    return dv_json_set(index, "manifests", entries) ? dv_output_json(&cli->out, index, err)
                                                    : dv_error_oom(err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOPTR(dv_json) entries = v->json ? dv_json_array_new() : NULL;
    if (v->json && !entries)
        return dv_error_oom(err);
    listing l = {.out = &cli->out, .entries = entries};
    int r = dv_registry_image_parse(arguments[0], &ref, err);
    if (r == 0)
        r = dv_registry_client(cli, err);
    if (r == 0)
        r = davit_registry_referrers(cli->client, ref, v->type, take, &l, NULL, err);
    if (r == 0 && l.failed)
        r = dv_error_oom(err);
    if (r == 0 && v->json)
        r = print_json(cli, DV_STEAL(entries), err);
    return dv_cli_name_error(err, r, arguments[0]);
}

static const dv_option options[] = {
    {"type", 0, DV_OPTION_TEXT, offsetof(values, type), "TYPE", "only those of this artifact type"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document, an OCI index"},
    {NULL},
};

const dv_command dv_command_referrers = {
    .name = "referrers",
    .arguments = "[--type TYPE] [--json] NAME",
    .summary = "list what refers to an image: signatures, attestations, artifacts",
    .details = "A digest and an artifact type a line.",
    .example = "davit referrers 127.0.0.1:5000/demo/web:1.0",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};
