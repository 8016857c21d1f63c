/* cli/cmd_inspect.c - davit inspect: images as the Engine API describes them, from the store, straight from a registry, or where files hold them. */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "cli/image_json.h"
#include "davit/transport.h"

typedef struct values {
    davit_platform platform;
    bool json;
} values;

/* --- store ------------------------------------------------------------------------------------------------------------- */

/* What the reference names: the index when the store has it, else the image's manifest. */
static int get_target(dv_cli *cli, const davit_image *image, davit_manifest **out, davit_error **err)
{
    if (image->index.algorithm != DAVIT_DIGEST_NONE &&
        davit_store_get_manifest(cli->store, &image->index, out, NULL) == 0)
        return 0;
    return davit_store_get_manifest(cli->store, &image->manifest, out, err);
}

static void describe_target(dv_image_facts *facts, const davit_manifest *target)
{
    size_t size;
    davit_manifest_bytes(target, &size);
    facts->descriptor_type = davit_manifest_media_type(target);
    facts->descriptor_digest = davit_manifest_digest(target);
    facts->descriptor_size = size;
}

static int from_store(dv_cli *cli, const char *name, const davit_platform *platform, dv_json **out,
                      davit_error **err)
{
    DV_AUTOPTR(davit_image_list) list = NULL;
    DV_AUTOPTR(davit_image_config) config = NULL;
    DV_AUTOPTR(davit_manifest) target = NULL;
    int r = dv_store_find_one(cli, name, platform, &list, err);
    if (r < 0)
        return r;
    const davit_image *image = davit_image_list_at(list, 0);
    r = davit_store_get_config(cli->store, &image->config, &config, err);
    if (r == 0)
        r = get_target(cli, image, &target, err);
    if (r < 0)
        return r;
    dv_image_facts facts = {
        .config = config,
        .id = &image->config,
        .size = image->size,
        .tags = image->tags,
        .tag_count = image->tag_count,
        .digests = image->digests,
        .digest_count = image->digest_count,
        .tagged_at_s = image->pulled_at_s,
    };
    describe_target(&facts, target);
    return dv_image_json_inspect(&facts, out, err);
}

/* --- registry ------------------------------------------------------------------------------------------------------------ */

/* A davit_write_fn into a dv_buf. */
static int append(const void *bytes, size_t size, void *user_data)
{
    dv_buf *b = user_data;
    dv_buf_append(b, bytes, size);
    return b->failed;
}

static int get_config(dv_cli *cli, const davit_reference *ref, const davit_manifest *manifest,
                      davit_image_config **out, davit_error **err)
{
    const davit_descriptor *config = davit_manifest_config(manifest);
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    if (!config)
        return dv_error_set(err, DAVIT_EFORMAT, "%s: a manifest without a config",
                            davit_reference_familiar(ref));
    int r = davit_registry_get_blob(cli->client, ref, &config->digest, append, &bytes, NULL, err);
    if (r < 0)
        return bytes.failed == DAVIT_ETOOBIG
                   ? dv_error_set(err, DAVIT_ETOOBIG, "the image config is too long")
                   : r;
    return davit_image_config_parse(dv_buf_text(&bytes), bytes.size, out, err);
}

/* The manifest of the platform. What the name is comes first, so that nothing is asked for twice. */
static int choose_manifest(dv_cli *cli, const davit_reference *ref, const davit_platform *platform,
                           const davit_manifest *target, davit_manifest **out, davit_error **err)
{
    DV_AUTOFREE size_t *fitting = NULL;
    DV_AUTOPTR(davit_reference) child = NULL;
    davit_platform host;
    char text[DAVIT_PLATFORM_TEXT_MAX];
    size_t count;
    int r = davit_manifest_choose(target, platform, &fitting, &count, err);
    if (r < 0)
        return r;
    if (count == 0) {
        davit_platform_host(&host);
        return dv_error_set(err, DAVIT_EPLATFORM, "no matching manifest for %s in the manifest list entries",
                            davit_platform_format(platform ? platform : &host, text));
    }
    const davit_descriptor *entries = davit_manifest_entries(target, &count);
    r = davit_reference_with_digest(ref, entries[fitting[0]].digest.text, &child, err);
    if (!platform) {
        davit_platform_host(&host);
        platform = &host;
    }
    return r < 0 ? r : davit_registry_get_manifest(cli->client, child, platform, out, err);
}

static uint64_t size_of(const davit_manifest *manifest)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(manifest, &count),
                           *config = davit_manifest_config(manifest);
    uint64_t size = config && config->size != DAVIT_SIZE_UNKNOWN ? config->size : 0;
    for (size_t i = 0; i < count; i++)
        size += layers[i].size != DAVIT_SIZE_UNKNOWN ? layers[i].size : 0;
    return size;
}

static int describe_remote(dv_cli *cli, const davit_reference *ref, const davit_manifest *target,
                           const davit_manifest *manifest, dv_json **out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) name = NULL;
    DV_AUTOPTR(davit_reference) by_digest = NULL;
    DV_AUTOPTR(davit_image_config) config = NULL;
    int r = davit_reference_trim(ref, &name, err);
    if (r == 0)
        r = davit_reference_with_digest(name, davit_manifest_digest(target)->text, &by_digest, err);
    if (r == 0)
        r = get_config(cli, ref, manifest, &config, err);
    if (r < 0)
        return r;
    const char *const tags[] = {davit_reference_text(ref)};
    const char *const digests[] = {davit_reference_text(by_digest)};
    dv_image_facts facts = {
        .config = config,
        .id = davit_image_config_id(config),
        .size = size_of(manifest),
        .tags = tags,
        .tag_count = davit_reference_digest_text(ref) ? 0 : 1,
        .digests = digests,
        .digest_count = 1,
    };
    describe_target(&facts, target);
    return dv_image_json_inspect(&facts, out, err);
}

static int from_registry(dv_cli *cli, const char *name, const davit_platform *platform, dv_json **out,
                         davit_error **err)
{
    DV_AUTOPTR(davit_reference) given = NULL;
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOPTR(davit_manifest) target = NULL;
    DV_AUTOPTR(davit_manifest) child = NULL;
    int r = davit_reference_parse(name, &given, err);
    if (r == 0)
        r = davit_reference_tag_name_only(given, &ref, err);
    if (r == 0 && !cli->client)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r == 0)
        r = davit_registry_get_manifest(cli->client, ref, NULL, &target, err);
    if (r == 0 && davit_manifest_is_index(target))
        r = choose_manifest(cli, ref, platform, target, &child, err);
    return r < 0 ? r : describe_remote(cli, ref, target, child ? child : target, out, err);
}

/* --- files --------------------------------------------------------------------------------------------------------------- */

/* Names in there are no references of ours, so the image has none. */
static int from_files(dv_cli *cli, const char *place, const davit_platform *platform, dv_json **out,
                      davit_error **err)
{
    DV_AUTOPTR(davit_manifest) target = NULL;
    DV_AUTOPTR(davit_manifest) manifest = NULL;
    DV_AUTOPTR(davit_image_config) config = NULL;
    int r = cli->client ? 0 : dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r == 0)
        r = davit_transport_get_image(cli->client, place, platform, &target, &manifest, &config, err);
    if (r < 0)
        return r;
    dv_image_facts facts = {.config = config, .id = davit_image_config_id(config), .size = size_of(manifest)};
    describe_target(&facts, target);
    return dv_image_json_inspect(&facts, out, err);
}

/* --- all of them ----------------------------------------------------------------------------------------------------------- */

static int describe(dv_cli *cli, const char *argument, const davit_platform *platform, dv_json **out,
                    davit_error **err)
{
    const dv_image_arg arg = dv_image_arg_read(argument, DV_TRANSPORT_STORE);
    switch (arg.transport) {
    case DV_TRANSPORT_STORE:
        return from_store(cli, arg.name, platform, out, err);
    case DV_TRANSPORT_REGISTRY:
        return from_registry(cli, arg.name, platform, out, err);
    case DV_TRANSPORT_FILES:
        break;
    }
    return from_files(cli, arg.name, platform, out, err);
}

/* What was found is printed, as Docker does; the first name's code is that of them all, and each has a line of the message. */
typedef struct failures {
    dv_buf text;
    int code;
} failures;

static void add_failure(failures *f, int code, const davit_error *why)
{
    if (f->code)
        dv_buf_puts(&f->text, "\n");
    else
        f->code = code;
    dv_buf_puts(&f->text, davit_error_message(why));
}

static int describe_all(dv_cli *cli, const davit_platform *platform, char **arguments, size_t count,
                        dv_json *array, failures *failed, davit_error **err)
{
    for (size_t i = 0; i < count; i++) {
        DV_AUTOPTR(davit_error) why = NULL;
        dv_json *entry = NULL;
        int r = describe(cli, arguments[i], platform, &entry, &why);
        if (r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED || (r < 0 && (count == 1 || cli->usage)))
            return dv_error_move(err, &why, r);
        if (r < 0)
            add_failure(failed, r, why);
        else if (!dv_json_append(array, entry))
            return dv_error_oom(err);
    }
    return 0;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    failures failed = {.text = DV_BUF_INIT(DV_MESSAGE_MAX)};
    DV_AUTOPTR(dv_json) array = dv_json_array_new();
    if (!array)
        return dv_error_oom(err);
    int r = describe_all(cli, dv_platform_or_null(&v->platform), arguments, count, array, &failed, err);
    if (r == 0 && dv_json_count(array) > 0)
        r = dv_output_json(&cli->out, array, err);
    if (r == 0 && failed.code)
        r = dv_error_set(err, failed.code, "%s", dv_buf_text(&failed.text));
    dv_buf_clear(&failed.text);
    return r;
}

static const dv_option options[] = {
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "which image of an index (the host's)"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "JSON, which it is anyway"},
    {NULL},
};

const dv_command dv_command_inspect = {
    .name = "inspect",
    .arguments = "[--platform OS[/ARCH[/VARIANT]]] [--json] IMAGE...",
    .summary = "describe images as JSON, with the Engine API's keys",
    .details =
        "An image in the local store by name or id; docker://NAME asks the registry and stores nothing;\n"
        "oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:REF] and dir:DIR are looked into.",
    .example = "davit inspect docker://alpine:3.20",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = -1,
    .run = run,
};
