/*
 * cli/cmd_history.c - davit history: how an image was made, newest step first, as Docker's table or as the Engine API's list.
 *
 * The steps that made a layer stand for the layers of the manifest, bottom first; layers beyond the last step have rows of their own.
 */
#include "cli/cli.h"

#include "cli/age.h"
#include "cli/image_arg.h"
#include "cli/image_json.h"
#include "cli/table.h"
#include "davit/transport.h"
#include "util/clock.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define SHORT_ID 12
#define CREATED_BY_MAX 45 /* characters, the last of them an ellipsis */
#define MISSING "<missing>"

typedef struct values {
    davit_platform platform;
    bool no_trunc, json;
} values;

typedef struct history {
    const davit_image *image; /* in the store; NULL: it is elsewhere */
    davit_image_list *list;   /* which holds it */
    davit_image_config *config;
    davit_manifest *manifest;
    const davit_history_entry *entries;
    size_t entry_count;
    uint64_t *sizes; /* by entry; then those of the layers without one */
    size_t count;
} history;

static void history_clear(history *h)
{
    free(h->sizes);
    davit_manifest_free(h->manifest);
    davit_image_config_free(h->config);
    davit_image_list_free(h->list);
}
DV_DEFINE_AUTO(history, history_clear)

/* Of a row, oldest first. */
static const davit_history_entry *entry_at(const history *h, size_t i)
{
    static const davit_history_entry unknown = {.created = "", .created_by = "", .author = "", .comment = ""};
    return i < h->entry_count ? &h->entries[i] : &unknown;
}

static int64_t created_s(const davit_history_entry *entry)
{
    int64_t seconds = 0;
    return dv_time_parse_rfc3339(entry->created, &seconds) == 0 ? seconds : 0;
}

static int pair_sizes(history *h, davit_error **err)
{
    size_t layer_count, layer = 0;
    const davit_descriptor *layers = davit_manifest_layers(h->manifest, &layer_count);
    h->sizes = dv_new_array(uint64_t, h->entry_count + layer_count + 1);
    if (!h->sizes)
        return dv_error_oom(err);
    for (; h->count < h->entry_count; h->count++) {
        if (h->entries[h->count].empty_layer)
            continue;
        if (layer == layer_count)
            return dv_error_set(err, DAVIT_EFORMAT, "too many non-empty layers in History section");
        h->sizes[h->count] = layers[layer++].size;
    }
    for (; layer < layer_count; layer++)
        h->sizes[h->count++] = layers[layer].size;
    return 0;
}

/* --- table --------------------------------------------------------------------------------------------------------- */

/* Tabs become spaces; at most CREATED_BY_MAX characters. */
static void shorten(const char *text, bool whole, dv_buf *out)
{
    size_t left = strlen(text), characters = 0, kept = 0;
    for (const char *p = text; left > 0; characters++) {
        size_t n = dv_utf8_length(p, left, NULL);
        n = n ? n : 1;
        if (characters == CREATED_BY_MAX - 1)
            kept = out->size;
        if (*p == '\t')
            dv_buf_putc(out, ' ');
        else
            dv_buf_append(out, p, n);
        p += n;
        left -= n;
    }
    if (whole || characters <= CREATED_BY_MAX || out->failed)
        return;
    out->size = kept;
    out->data[kept] = '\0';
    dv_buf_puts(out, "…");
}

static void add_row(dv_table *t, const history *h, size_t i, const values *v, bool quiet)
{
    char id[DAVIT_DIGEST_TEXT_MAX] = MISSING, created[32] = "N/A", size[32];
    const davit_history_entry *entry = entry_at(h, i);
    DV_AUTO(dv_buf) created_by = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    const davit_digest *image_id = davit_image_config_id(h->config);
    if (i == h->count - 1 && v->no_trunc)
        snprintf(id, sizeof(id), "%s", image_id->text);
    else if (i == h->count - 1)
        snprintf(id, sizeof(id), "%.*s", SHORT_ID, davit_digest_hex(image_id));
    dv_table_add(t, id);
    if (quiet)
        return;
    int64_t seconds = created_s(entry);
    if (seconds)
        dv_age_describe(dv_wall_time_s() - seconds, created);
    shorten(entry->created_by, v->no_trunc, &created_by);
    dv_table_add(t, created);
    dv_table_add(t, dv_buf_text(&created_by));
    dv_table_add(t, davit_human_size((double)h->sizes[i], size));
    dv_table_add(t, entry->comment);
    t->failed = t->failed || created_by.failed;
}

static int print_table(dv_cli *cli, const values *v, const history *h, davit_error **err)
{
    static const char *const heading[] = {"IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"};
    bool quiet = cli->globals.quiet;
    DV_AUTO(dv_table) table = {.column_count = quiet ? 1 : DV_COUNT(heading)};
    for (size_t i = 0; i < DV_COUNT(heading) && !quiet; i++)
        dv_table_add(&table, heading[i]);
    for (size_t i = h->count; i-- > 0;)
        add_row(&table, h, i, v, quiet);
    return dv_table_print(&table, &cli->out, err);
}

/* --- JSON ---------------------------------------------------------------------------------------------------------- */

static bool set_tags(dv_json *to, const davit_image *image)
{
    dv_json *list = image && image->tag_count ? dv_json_array_new() : NULL;
    if (!image || image->tag_count == 0)
        return dv_json_set_null(to, "Tags");
    for (size_t i = 0; list && i < image->tag_count; i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        bool parsed = davit_reference_parse(image->tags[i], &ref, NULL) == 0;
        if (!dv_json_append_string(list, parsed ? davit_reference_familiar(ref) : image->tags[i])) {
            dv_json_free(list);
            return false;
        }
    }
    return dv_json_set(to, "Tags", list);
}

static dv_json *row_json(const history *h, size_t i)
{
    const davit_history_entry *entry = entry_at(h, i);
    bool newest = i == h->count - 1;
    dv_json *o = dv_json_object_new();
    if (o && dv_json_set_string(o, "Id", newest ? davit_image_config_id(h->config)->text : MISSING) &&
        dv_json_set_integer(o, "Created", created_s(entry)) &&
        dv_json_set_string(o, "CreatedBy", entry->created_by) &&
        (newest ? set_tags(o, h->image) : dv_json_set_null(o, "Tags")) &&
        dv_json_set_integer(o, "Size", (int64_t)h->sizes[i]) &&
        dv_json_set_string(o, "Comment", entry->comment))
        return o;
    dv_json_free(o);
    return NULL;
}

static int print_json(dv_cli *cli, const history *h, davit_error **err)
{
    DV_AUTOPTR(dv_json) array = dv_json_array_new();
    bool ok = array;
    for (size_t i = h->count; ok && i-- > 0;)
        ok = dv_json_append(array, row_json(h, i));
    return ok ? dv_output_json(&cli->out, array, err) : dv_error_oom(err);
}

/* --- where from ---------------------------------------------------------------------------------------------------- */

static int find_stored(dv_cli *cli, const char *name, const davit_platform *platform, history *h,
                       davit_error **err)
{
    int r = dv_store_find_one(cli, name, platform, &h->list, err);
    if (r < 0)
        return r;
    h->image = davit_image_list_at(h->list, 0);
    r = davit_store_get_config(cli->store, &h->image->config, &h->config, err);
    return r < 0 ? r : davit_store_get_manifest(cli->store, &h->image->manifest, &h->manifest, err);
}

static int find_elsewhere(dv_cli *cli, const char *place, const davit_platform *platform, history *h,
                          davit_error **err)
{
    int r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    return r < 0 ? r
                 : davit_transport_get_image(cli->client, place, platform, /* out_target= */ NULL,
                                             &h->manifest, &h->config, err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    const davit_platform *platform = dv_platform_or_null(&v->platform);
    const dv_image_arg arg = dv_image_arg_read(arguments[0], DV_TRANSPORT_STORE);
    DV_AUTO(history) h = {0};
    int r = arg.transport == DV_TRANSPORT_STORE ? find_stored(cli, arg.name, platform, &h, err)
                                                : find_elsewhere(cli, arguments[0], platform, &h, err);
    if (r < 0)
        return r;
    h.entries = davit_image_config_history(h.config, &h.entry_count);
    r = pair_sizes(&h, err);
    if (r < 0)
        return r;
    return v->json ? print_json(cli, &h, err) : print_table(cli, v, &h, err);
}

static const dv_option options[] = {
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "which image of an index (the host's)"},
    {"no-trunc", 0, DV_OPTION_FLAG, offsetof(values, no_trunc), NULL, "whole ids and commands"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document, the Engine API's list"},
    {NULL},
};

const dv_command dv_command_history = {
    .name = "history",
    .arguments = "[--platform OS[/ARCH[/VARIANT]]] [--no-trunc] [-q|--json] IMAGE",
    .summary = "show how an image was made",
    .details =
        "Newest first. Sizes are those of the layers as they are stored, compressed. The image is in the\n"
        "local store, or where docker://, oci:, oci-archive:, docker-archive: or dir: says.",
    .example = "davit history --no-trunc alpine:3.20",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};
