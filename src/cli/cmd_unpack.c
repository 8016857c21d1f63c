/* cli/cmd_unpack.c - davit unpack: arguments into davit_unpack_options, and what is said of the result. */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "cli/layer_args.h"
#include "davit/unpack.h"
#include "util/json.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define SKIPS_SHOWN 10

typedef struct values {
    dv_layer_values layers;
    bool rootless, force, no_store, bundle, json;
    uint32_t layer_count;
    const char *devices;
} values;

/* --- values ------------------------------------------------------------------------------------------------------------ */

static int read_word(dv_cli *cli, const char *option, const char *value, const char *const *words, int *out,
                     davit_error **err)
{
    for (int i = 0; words[i]; i++)
        if (!value || dv_str_equal(value, words[i])) {
            *out = i;
            return 0;
        }
    return dv_cli_usage(cli, err, "--%s: '%s' is not %s, %s or %s", option, value, words[0], words[1],
                        words[2]);
}

static int make_options(dv_cli *cli, const values *v, const char *text, dv_layer_args *args,
                        davit_unpack_options *o, davit_error **err)
{
    static const char *const words[] = {"keep", "skip", "reject", NULL};
    static const davit_unpack_devices meanings[] = {DAVIT_DEVICES_KEEP, DAVIT_DEVICES_SKIP,
                                                    DAVIT_DEVICES_REJECT};
    int word = 0;
    int r = read_word(cli, "devices", v->devices, words, &word, err);
    if (r == 0)
        r = dv_layer_args_read(cli, &v->layers, v->no_store, text, args, err);
    if (r < 0)
        return r;
    o->devices = meanings[word];
    o->flags = (v->rootless ? DAVIT_UNPACK_ROOTLESS : 0) | (v->force ? DAVIT_UNPACK_FORCE : 0) |
               (v->bundle ? DAVIT_UNPACK_BUNDLE : 0) | (v->no_store ? DAVIT_UNPACK_NO_STORE : 0);
    o->platform = dv_platform_or_null(&v->layers.platform);
    o->pull = args->pull;
    o->max_size_bytes = args->max_size_bytes;
    o->zstd_window_bytes = args->zstd_window_bytes;
    o->xattrs = args->xattrs;
    o->layers = v->layer_count;
    return 0;
}

/* --- what is said ------------------------------------------------------------------------------------------------------ */

static void warn(dv_cli *cli, const char *text)
{
    dv_progress_view_event(&(davit_progress){.kind = DAVIT_PROGRESS_WARNING, .action = text}, cli->view);
}

static void warn_skips(dv_cli *cli, const davit_unpack_result *result)
{
    size_t shown = result->skip_count < SKIPS_SHOWN ? result->skip_count : SKIPS_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        DV_AUTO(dv_buf) line = DV_BUF_INIT(DV_MESSAGE_MAX);
        dv_buf_printf(&line, "left out: %s: %s", result->skips[i].path, result->skips[i].reason);
        warn(cli, line.failed ? "left out: something with a long name" : dv_buf_text(&line));
    }
    if (result->skips_total > shown) {
        DV_AUTO(dv_buf) line = DV_BUF_INIT(DV_MESSAGE_MAX);
        dv_buf_printf(&line, "and %" PRIu64 " more; --json names %zu of them", result->skips_total - shown,
                      result->skip_count);
        warn(cli, dv_buf_text(&line));
    }
}

static void print_count(dv_output *o, uint64_t count, const char *one, const char *many)
{
    dv_output_printf(o, "%" PRIu64 " %s", count, count == 1 ? one : many);
}

static void print_text(dv_cli *cli, const dv_image_arg *arg, const char *target,
                       const davit_unpack_result *result)
{
    dv_output *o = &cli->out;
    char size[32];
    dv_output_text(o, arg->name);
    dv_output_printf(o, ": ");
    print_count(o, result->layer_count, "layer, ", "layers, ");
    print_count(o, result->file_count + result->hardlink_count, "file, ", "files, ");
    print_count(o, result->directory_count, "directory, ", "directories, ");
    dv_output_printf(o, "%s in ", davit_human_size((double)result->bytes, size));
    dv_output_text(o, target);
    dv_output_printf(o, "\n");
}

static bool add_skips(dv_json *document, const davit_unpack_result *result)
{
    dv_json *list = dv_json_array_new();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < result->skip_count; i++) {
        DV_AUTO(dv_buf) path = DV_BUF_INIT(4 * DV_MESSAGE_MAX);
        const char *name = result->skips[i].path;
        dv_json *skip = dv_json_object_new();
        if (dv_utf8_is_valid(name))
            dv_buf_puts(&path, name);
        else
            dv_str_escape(&path, name, strlen(name), /* keep_newlines= */ false);
        ok = skip && !path.failed && dv_json_set_string(skip, "path", dv_buf_text(&path)) &&
             dv_json_set_string(skip, "reason", result->skips[i].reason);
        ok = dv_json_append(list, skip) && ok;
    }
    return dv_json_set(document, "skipped", list) && ok;
}

static int print_json(dv_cli *cli, const dv_image_arg *arg, const char *target,
                      const davit_unpack_result *result, davit_error **err)
{
    DV_AUTOPTR(dv_json) o = dv_json_object_new();
    const char *source = arg->transport == DV_TRANSPORT_FILES ? "files"
                         : result->from_store                 ? "store"
                                                              : "registry";
    bool ok = o && dv_json_set_string(o, "name", arg->name) && dv_json_set_string(o, "target", target) &&
              dv_json_set_string(o, "manifest", result->manifest.text) &&
              dv_json_set_string(o, "config", result->config.text) &&
              dv_json_set_string(o, "source", source) &&
              dv_json_set_integer(o, "layers", result->layer_count) &&
              dv_json_set_integer(o, "files", (int64_t)result->file_count) &&
              dv_json_set_integer(o, "directories", (int64_t)result->directory_count) &&
              dv_json_set_integer(o, "symlinks", (int64_t)result->symlink_count) &&
              dv_json_set_integer(o, "hardlinks", (int64_t)result->hardlink_count) &&
              dv_json_set_integer(o, "devices", (int64_t)result->device_count) &&
              dv_json_set_integer(o, "whiteouts", (int64_t)result->whiteout_count) &&
              dv_json_set_integer(o, "bytes", (int64_t)result->bytes) &&
              dv_json_set_integer(o, "skippedCount", (int64_t)result->skips_total) && add_skips(o, result);
    return ok ? dv_output_json(&cli->out, o, err) : dv_error_oom(err);
}

/* --- running ----------------------------------------------------------------------------------------------------------- */

DV_DEFINE_AUTOPTR(davit_unpack_result, davit_unpack_result_free)

static int unpack(dv_cli *cli, const values *v, const char *text, const char *target, davit_error **err)
{
    davit_unpack_options o = DAVIT_UNPACK_OPTIONS_INIT;
    DV_AUTO(dv_layer_args) args = {0};
    const dv_image_arg arg = dv_image_arg_read(text, DV_TRANSPORT_REGISTRY);
    DV_AUTOPTR(davit_unpack_result) result = NULL;
    int r = make_options(cli, v, text, &args, &o, err);
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ !v->no_store, /* flags= */ 0, err);
    if (r < 0)
        return r;
    o.progress = dv_progress_view_event;
    o.user_data = cli->view;
    r = davit_unpack(cli->client, text, target, &o, &result, err);
    dv_progress_view_settle(cli->view);
    if (r < 0) {
        dv_progress_view_error(cli->view, davit_error_message(*err));
        return r;
    }
    if (v->json)
        return print_json(cli, &arg, target, result, err);
    warn_skips(cli, result);
    print_text(cli, &arg, target, result);
    return 0;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    values *v = flags;
    int r = unpack(cli, v, arguments[0], arguments[1], err);
    free(v->layers.xattrs.items);
    return r;
}

static const dv_option options[] = {
    DV_LAYER_OPTIONS_SOURCE,
    {"no-store", 0, DV_OPTION_FLAG, offsetof(values, no_store), NULL,
     "from a registry, and keep nothing but the files"},
    {"force", 0, DV_OPTION_FLAG, offsetof(values, force), NULL, "replace a directory that is not empty"},
    {"bundle", 0, DV_OPTION_FLAG, offsetof(values, bundle), NULL,
     "make DIR an OCI runtime bundle: rootfs and config.json"},
    {"layers", 0, DV_OPTION_NUMBER, offsetof(values, layer_count), "N", "only the lowest N layers"},
    {"rootless", 0, DV_OPTION_FLAG, offsetof(values, rootless), NULL,
     "record owners instead of setting them (always, unless root)"},
    {"devices", 0, DV_OPTION_TEXT, offsetof(values, devices), "keep|skip|reject",
     "what becomes of device nodes (keep)"},
    DV_LAYER_OPTIONS_CONTENT,
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "the result as one JSON document"},
    {NULL},
};

const dv_command dv_command_unpack = {
    .name = "unpack",
    .arguments =
        "[--platform OS[/ARCH[/VARIANT]]] [--pull missing|always|never] [--no-store] [--force] [--bundle] "
        "[--layers N] [--rootless] [--devices keep|skip|reject] [--xattrs NAME[,NAME]] [--max-size BYTES] "
        "[--zstd-window BYTES] [--json] IMAGE DIR",
    .summary = "make an image's root file system in a directory",
    .details =
        "IMAGE is taken from the store when it has the name, else from a registry, and is unpacked while it\n"
        "comes; or from oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:REF] or dir:DIR, "
        "without\n"
        "the store. DIR must be absent, empty or a mount point; it appears whole, after everything was "
        "checked, "
        "or\n"
        "not at all. What could not be made as the image says is told as a warning.",
    .example = "davit unpack debian:12 /srv/root",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 2,
    .max_count = 2,
    .run = run,
};
