/* cli/cmd_df.c - davit df: what takes room in the store, and how much of it prune would give back. */
#include "cli/cli.h"

#include "cli/table.h"

#include <stdio.h>

#define SHORT_ID 12
#define NONE "<none>"

typedef struct values {
    bool verbose, json;
} values;

DV_DEFINE_AUTOPTR(davit_usage, davit_usage_free)

static const struct {
    davit_usage_kind kind;
    const char *label, *key;
} parts[] = {
    {DAVIT_USAGE_IMAGES, "Images", "images"},
    {DAVIT_USAGE_LAYERS, "  layers of them", "layers"},
    {DAVIT_USAGE_SHARED_LAYERS, "  layers that several have", "shared-layers"},
    {DAVIT_USAGE_UNNEEDED, "Blobs no image needs", "unneeded"},
    {DAVIT_USAGE_INGESTS, "Unfinished downloads", "ingests"},
    {DAVIT_USAGE_UNPACKED, "Unpacked layers", "unpacked"},
    {DAVIT_USAGE_DATABASE, "Database", "database"},
    {DAVIT_USAGE_TOTAL, "Total", "total"},
};

/* Without a store, nothing of everything. */
static const davit_usage_part *part_of(const davit_usage *usage, davit_usage_kind kind)
{
    static const davit_usage_part nothing = {0};
    return usage ? davit_usage_get_part(usage, kind) : &nothing;
}

/* --- text ----------------------------------------------------------------------------------------------------------- */

static void add_size(dv_table *t, uint64_t bytes)
{
    char text[32];
    dv_table_add(t, davit_human_size((double)bytes, text));
}

static void add_reclaimable(dv_table *t, const davit_usage_part *part)
{
    char size[32], text[64];
    davit_human_size((double)part->reclaimable, size);
    if (part->size)
        snprintf(text, sizeof(text), "%s (%.0f%%)", size,
                 100.0 * (double)part->reclaimable / (double)part->size);
    else
        snprintf(text, sizeof(text), "%s", size);
    dv_table_add(t, text);
}

static int print_parts(dv_cli *cli, const davit_usage *usage, davit_error **err)
{
    static const char *const heading[] = {"TYPE", "COUNT", "SIZE", "ON DISK", "RECLAIMABLE"};
    DV_AUTO(dv_table) table = {.column_count = DV_COUNT(heading)};
    for (size_t i = 0; i < DV_COUNT(heading); i++)
        dv_table_add(&table, heading[i]);
    for (size_t i = 0; i < DV_COUNT(parts); i++) {
        const davit_usage_part *part = part_of(usage, parts[i].kind);
        char count[32];
        snprintf(count, sizeof(count), "%llu", (unsigned long long)part->count);
        dv_table_add(&table, parts[i].label);
        dv_table_add(&table, count);
        add_size(&table, part->size);
        add_size(&table, part->disk_size);
        add_reclaimable(&table, part);
    }
    return dv_table_print(&table, &cli->out, err);
}

static void add_image(dv_table *t, const davit_usage_image *entry)
{
    char id[SHORT_ID + 1];
    const davit_image *image = entry->image;
    const char *name = image->tag_count ? image->tags[0] : image->digest_count ? image->digests[0] : NULL;
    DV_AUTOPTR(davit_reference) ref = NULL;
    bool parsed = name && davit_reference_parse(name, &ref, NULL) == 0;
    snprintf(id, sizeof(id), "%.*s", SHORT_ID, davit_digest_hex(&image->config));
    dv_table_add(t, parsed ? davit_reference_familiar_name(ref) : NONE);
    dv_table_add(t, parsed && davit_reference_tag(ref) ? davit_reference_tag(ref) : NONE);
    dv_table_add(t, id);
    add_size(t, entry->size);
    add_size(t, entry->shared_size);
    add_size(t, entry->size - entry->shared_size);
}

static int print_images(dv_cli *cli, const davit_usage *usage, davit_error **err)
{
    static const char *const heading[] = {"REPOSITORY", "TAG",         "IMAGE ID",
                                          "SIZE",       "SHARED SIZE", "UNIQUE SIZE"};
    DV_AUTO(dv_table) table = {.column_count = DV_COUNT(heading)};
    for (size_t i = 0; i < DV_COUNT(heading); i++)
        dv_table_add(&table, heading[i]);
    for (size_t i = 0; usage && i < davit_usage_image_count(usage); i++)
        add_image(&table, davit_usage_image_at(usage, i));
    dv_output_printf(&cli->out, "\n");
    return dv_table_print(&table, &cli->out, err);
}

/* --- JSON ----------------------------------------------------------------------------------------------------------- */

static dv_json *part_json(const char *key, const davit_usage_part *part)
{
    dv_json *o = dv_json_object_new();
    if (o && dv_json_set_string(o, "Type", key) && dv_json_set_integer(o, "Count", (int64_t)part->count) &&
        dv_json_set_integer(o, "Size", (int64_t)part->size) &&
        dv_json_set_integer(o, "DiskSize", (int64_t)part->disk_size) &&
        dv_json_set_integer(o, "Reclaimable", (int64_t)part->reclaimable))
        return o;
    dv_json_free(o);
    return NULL;
}

static dv_json *texts_json(const char *const *texts, size_t count)
{
    dv_json *list = dv_json_array_new();
    for (size_t i = 0; list && i < count; i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        bool parsed = davit_reference_parse(texts[i], &ref, NULL) == 0;
        if (!dv_json_append_string(list, parsed ? davit_reference_familiar(ref) : texts[i])) {
            dv_json_free(list);
            return NULL;
        }
    }
    return list;
}

static dv_json *image_json(const davit_usage_image *entry)
{
    const davit_image *image = entry->image;
    dv_json *o = dv_json_object_new();
    if (o && dv_json_set_string(o, "Id", image->config.text) &&
        dv_json_set(o, "RepoTags", texts_json(image->tags, image->tag_count)) &&
        dv_json_set(o, "RepoDigests", texts_json(image->digests, image->digest_count)) &&
        dv_json_set_integer(o, "Size", (int64_t)entry->size) &&
        dv_json_set_integer(o, "SharedSize", (int64_t)entry->shared_size) &&
        dv_json_set_integer(o, "UniqueSize", (int64_t)(entry->size - entry->shared_size)))
        return o;
    dv_json_free(o);
    return NULL;
}

static int print_json(dv_cli *cli, const davit_usage *usage, davit_error **err)
{
    DV_AUTOPTR(dv_json) o = dv_json_object_new();
    dv_json *images = dv_json_array_new(), *usages = dv_json_array_new();
    bool ok = o && images && usages;
    for (size_t i = 0; ok && usage && i < davit_usage_image_count(usage); i++)
        ok = dv_json_append(images, image_json(davit_usage_image_at(usage, i)));
    for (size_t i = 0; ok && i < DV_COUNT(parts); i++)
        ok = dv_json_append(usages, part_json(parts[i].key, part_of(usage, parts[i].kind)));
    if (!ok) {
        dv_json_free(images);
        dv_json_free(usages);
        return dv_error_oom(err);
    }
    ok = dv_json_set_integer(o, "LayersSize", (int64_t)part_of(usage, DAVIT_USAGE_LAYERS)->size);
    ok = dv_json_set(o, "Images", images) && ok;
    ok = dv_json_set(o, "Usage", usages) && ok;
    return ok ? dv_output_json(&cli->out, o, err) : dv_error_oom(err);
}

/* Without a store *out stays NULL. */
static int get_usage(dv_cli *cli, davit_usage **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_cli_store(cli, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    return r < 0 ? dv_error_move(err, &why, r) : davit_store_get_usage(cli->store, out, err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOPTR(davit_usage) usage = NULL;
    int r = get_usage(cli, &usage, err);
    if (r < 0)
        return r;
    if (v->json)
        return print_json(cli, usage, err);
    r = print_parts(cli, usage, err);
    return r == 0 && v->verbose ? print_images(cli, usage, err) : r;
}

static const dv_option options[] = {
    {"verbose", 'v', DV_OPTION_FLAG, offsetof(values, verbose), NULL, "each image as well"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document, with bytes"},
    {NULL},
};

const dv_command dv_command_df = {
    .name = "df",
    .arguments = "[-v|--json]",
    .summary = "say what takes room in the local store",
    .details = "RECLAIMABLE is what davit prune would remove.",
    .example = "davit df -v",
    .options = options,
    .values_size = sizeof(values),
    .max_count = 0,
    .run = run,
};
