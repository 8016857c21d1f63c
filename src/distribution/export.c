/*
 * distribution/export.c - davit_export(): an image's layers, read twice from the store or from files elsewhere, become one tar (archive/flatten.h).
 *
 * Nothing is written before each layer has been read whole and is what the config says: only then is it known which entries are left, and what was
 * written cannot be taken back. So the data must be inflated once more, since nothing is kept in between; layers of which no data is left are
 * not. The second reading hashes again: a blob that changed in between is noticed, at its end at the latest. Each reading is a pipeline:
 * inflating and hashing have threads of their own, the tree and the archive are made on the calling one. Spec: DESIGN 3, 9.
 */
#include "archive/flatten.h"
#include "davit/pull.h"
#include "davit/unpack.h"
#include "distribution/layer_pipeline.h"
#include "distribution/placed_image.h"
#include "distribution/source_layers.h"
#include "distribution/stored_image.h"
#include "distribution/stored_layers.h"
#include "util/clock.h"

#include <string.h>

#define PIECE (256u << 10)
#define SHORT_ID 12
#define QUIET_MS 1000 /* what takes less is not worth a word */
#define TELL_MS 100   /* between two counts */
#define TURN_MS 100

DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)

/* The step behind everything: small pieces become large ones. */
typedef struct output {
    dv_sink sink;
    davit_write_fn write;
    void *user_data;
    bool failed;
    size_t size;
    uint8_t bytes[PIECE];
} output;

typedef struct exporting {
    davit_client *client;
    const davit_export_options *options;
    dv_image_name name;
    dv_store *store; /* NULL: it is placed */
    dv_lease *lease;
    dv_placed_image placed;
    davit_manifest *manifest;
    davit_image_config *config;
    const davit_descriptor *layers;
    const davit_digest *diff_ids;
    size_t count;
    dv_flatten *flatten;
    output *output;
} exporting;

static void exporting_clear(exporting *x)
{
    dv_flatten_free(x->flatten);
    free(x->output);
    davit_image_config_free(x->config);
    davit_manifest_free(x->manifest);
    dv_placed_image_clear(&x->placed);
    dv_lease_release(x->lease);
    dv_store_unref(x->store);
}
DV_DEFINE_AUTO(exporting, exporting_clear)

static int check_options(const davit_client *c, const davit_export_options *o, const dv_image_name *name,
                         davit_error **err)
{
    if (o->version != DAVIT_EXPORT_OPTIONS_VERSION || o->flags || o->pull < DAVIT_PULL_MISSING ||
        o->pull > DAVIT_PULL_NEVER)
        return dv_error_set(err, DAVIT_EINVAL, "unknown export options (version %u, flags 0x%x)", o->version,
                            o->flags);
    int r = dv_layer_limits_check(o->zstd_window_bytes, err);
    return r < 0 || c->store_dir || name->of_files
               ? r
               : dv_error_set(err, DAVIT_EINVAL, "the client has no store");
}

/* --- which image ----------------------------------------------------------------------------------------------------- */

/* DAVIT_ENOTFOUND: the store has no such name; everything else is final. */
static int find(exporting *x, davit_error **err)
{
    int r = x->store ? 0 : dv_stored_image_open_store(x->client, &x->store, err);
    return r < 0 ? r : dv_stored_image_find(x->store, x->name.text, x->options->platform, &x->manifest, err);
}

static int pull(const exporting *x, davit_error **err)
{
    const davit_export_options *o = x->options;
    DV_AUTOPTR(davit_reference) given = NULL;
    DV_AUTOPTR(davit_reference) ref = NULL;
    davit_pull_options options = DAVIT_PULL_OPTIONS_INIT;
    options.platform = o->platform;
    options.progress = o->progress;
    options.user_data = o->user_data;
    options.verify = o->verify;
    options.auth = o->auth;
    options.request_auth_config = o->request_auth_config;
    int r = davit_reference_parse(x->name.text, &given, err);
    if (r == 0)
        r = davit_reference_tag_name_only(given, &ref, err);
    return r < 0 ? r : davit_pull(x->client, ref, &options, /* out= */ NULL, err);
}

static int find_or_pull(exporting *x, bool *from_store, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = DAVIT_ENOTFOUND;
    if (x->name.pull != DAVIT_PULL_ALWAYS)
        r = find(x, &why);
    *from_store = r != DAVIT_ENOTFOUND;
    if (r == DAVIT_ENOTFOUND && x->name.pull != DAVIT_PULL_NEVER) {
        r = pull(x, err);
        return r < 0 ? r : find(x, err);
    }
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

static int read_config(exporting *x, davit_error **err)
{
    size_t diff_id_count = 0;
    int r = dv_stored_image_read_config(x->store, x->manifest, &x->config, err);
    if (r < 0)
        return r;
    x->diff_ids = davit_image_config_diff_ids(x->config, &diff_id_count);
    return diff_id_count == x->count
               ? 0
               : dv_error_set(err, DAVIT_EFORMAT, "layers from manifest don't match image configuration");
}

static int open_stored(exporting *x, bool *from_store, davit_error **err)
{
    int r = find_or_pull(x, from_store, err);
    if (r < 0)
        return r;
    x->layers = davit_manifest_layers(x->manifest, &x->count);
    r = dv_stored_image_keep(x->store, x->manifest, &x->lease, err);
    if (r == 0)
        r = read_config(x, err);
    return r < 0 ? r : dv_stored_image_check_layers(x->store, x->layers, x->count, err);
}

static int open_placed(exporting *x, davit_error **err)
{
    const davit_export_options *o = x->options;
    size_t unused;
    int r = dv_placed_image_open(&x->placed, x->client, x->name.text, o->platform, err);
    if (r == 0)
        r = dv_placed_image_check(&x->placed, o->platform, o->verify, o->user_data, err);
    if (r < 0)
        return r;
    x->manifest = DV_STEAL(x->placed.manifest);
    x->config = DV_STEAL(x->placed.config);
    x->layers = davit_manifest_layers(x->manifest, &x->count);
    x->diff_ids = davit_image_config_diff_ids(x->config, &unused);
    return dv_source_layers_check(x->placed.source, x->layers, x->count, err);
}

/* --- output ---------------------------------------------------------------------------------------------------------- */

static int flush(output *o, davit_error **err)
{
    int r = o->size ? o->write(o->bytes, o->size, o->user_data) : 0;
    o->size = 0;
    o->failed = r != 0;
    return r == 0 ? 0 : dv_error_set(err, r < 0 ? r : DAVIT_EIO, "the archive cannot be written");
}

static int output_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    output *o = (output *)s;
    for (const uint8_t *from = bytes; size > 0;) {
        size_t room = PIECE - o->size, n = size < room ? size : room;
        memcpy(o->bytes + o->size, from, n);
        o->size += n;
        from += n;
        size -= n;
        int r = o->size == PIECE ? flush(o, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int output_finish(dv_sink *s, davit_error **err)
{
    return flush((output *)s, err);
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

/* Some layers once, lowest first: all of them to learn the tree, then those whose data is wanted. */
typedef struct reading {
    exporting *exporting;
    bool again;
    const char *action; /* what progress calls it */
    size_t *index;      /* of each in the image */
    davit_descriptor *layers;
    davit_digest *diff_ids;
    size_t count;
    dv_stored_layers *stored; /* one of these two */
    dv_source_layers *placed;
    dv_layer_output output;
    dv_pipeline *pipeline;
    bool *told;       /* a count of each */
    uint64_t next_ms; /* when the next one may be */
} reading;

static void reading_clear(reading *g)
{
    dv_pipeline_free(g->pipeline);
    dv_stored_layers_free(g->stored);
    dv_source_layers_free(g->placed);
    free(g->index);
    free(g->told);
    free(g->layers);
    free(g->diff_ids);
}
DV_DEFINE_AUTO(reading, reading_clear)

static int choose_layers(reading *g, davit_error **err)
{
    const exporting *x = g->exporting;
    g->index = dv_new_array(size_t, x->count + 1);
    g->told = dv_new_array(bool, x->count + 1);
    g->layers = dv_new_array(davit_descriptor, x->count + 1);
    g->diff_ids = dv_new_array(davit_digest, x->count + 1);
    if (!g->index || !g->told || !g->layers || !g->diff_ids)
        return dv_error_oom(err);
    for (size_t i = 0; i < x->count; i++) {
        if (g->again && !dv_flatten_wants(x->flatten, i))
            continue;
        g->index[g->count] = i;
        g->layers[g->count] = x->layers[i];
        g->diff_ids[g->count++] = x->diff_ids[i];
    }
    return 0;
}

static int open_output(void *user, size_t layer, dv_sink **out, davit_error **err)
{
    const reading *g = user;
    const char *what = g->layers[layer].digest.text;
    dv_flatten *flatten = g->exporting->flatten;
    return g->again ? dv_flatten_write(flatten, g->index[layer], what, out, err)
                    : dv_flatten_read(flatten, what, out, err);
}

static void tell(const reading *g, size_t layer, const char *action, bool has_counts, uint64_t current)
{
    const davit_export_options *o = g->exporting->options;
    char id[SHORT_ID + 1] = "";
    memcpy(id, davit_digest_hex(&g->layers[layer].digest), SHORT_ID);
    o->progress(&(davit_progress){.kind = DAVIT_PROGRESS_LAYER,
                                  .id = id,
                                  .action = action,
                                  .has_counts = has_counts,
                                  .current = current,
                                  .total = g->layers[layer].size},
                o->user_data);
}

static void turn(void *user)
{
    reading *g = user;
    uint64_t now_ms = dv_clock_ms();
    if (!g->exporting->options->progress || now_ms < g->next_ms)
        return;
    const dv_pipeline_progress now = dv_pipeline_get_progress(g->pipeline);
    g->next_ms = now_ms + TELL_MS;
    if (now.reading >= g->count || now.read == 0)
        return;
    g->told[now.reading] = true;
    tell(g, now.reading, g->action, /* has_counts= */ true, now.read);
}

static void tell_done(const reading *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->told[i])
            tell(g, i, g->again ? "Export complete" : "Verified", /* has_counts= */ false, 0);
}

static int open_input(reading *g, dv_layer_input *out, davit_error **err)
{
    const exporting *x = g->exporting;
    int r = x->placed.source ? dv_source_layers_new(x->placed.source, g->layers, &g->placed, err)
                             : dv_stored_layers_new(x->store, g->layers, g->count, &g->stored, err);
    if (r < 0)
        return r;
    for (size_t i = 0; g->stored && i < g->count; i++)
        dv_stored_layers_arrived(g->stored, &g->layers[i].digest);
    *out = g->placed ? dv_source_layers_input(g->placed) : dv_stored_layers_input(g->stored);
    return 0;
}

static int start(reading *g, davit_error **err)
{
    const exporting *x = g->exporting;
    const davit_export_options *o = x->options;
    dv_layer_input input;
    int r = open_input(g, &input, err);
    if (r < 0)
        return r;
    g->next_ms = dv_clock_ms() + QUIET_MS;
    g->output = (dv_layer_output){.user = g, .layer = open_output, .turn = turn};
    const dv_pipeline_options options = {
        .client = x->client,
        .output = &g->output,
        .inflate = dv_layer_limits_inflate(o->zstd_window_bytes, o->max_size_bytes),
        .input = input,
        .layers = g->layers,
        .diff_ids = g->diff_ids,
        .count = g->count,
    };
    return dv_pipeline_start(&options, &g->pipeline, err);
}

static int read_layers(exporting *x, bool again, davit_error **err)
{
    DV_AUTO(reading) g = {.exporting = x, .again = again, .action = again ? "Exporting" : "Verifying"};
    DV_AUTOPTR(davit_error) why = NULL;
    size_t layer;
    int r = choose_layers(&g, err);
    if (r == 0)
        r = start(&g, err);
    if (r < 0)
        return r;
    dv_pipeline_run(g.pipeline);
    while (!dv_pipeline_ended(g.pipeline, TURN_MS))
        ;
    r = dv_pipeline_result(g.pipeline, &layer, &why);
    if (r < 0 && layer < g.count && !x->output->failed && g.placed)
        return dv_source_layer_explain(x->placed.source, &g.layers[layer], r, &why, err);
    if (r < 0 && layer < g.count && !x->output->failed)
        return dv_stored_image_explain(x->store, &g.layers[layer], r, &why, err);
    if (r < 0)
        return dv_error_move(err, &why, r);
    tell_done(&g);
    return dv_client_check_cancelled(x->client, err);
}

static int run(exporting *x, davit_write_fn write, davit_error **err)
{
    const davit_export_options *o = x->options;
    const dv_flatten_options options = {.max_bytes = o->max_size_bytes, .xattrs = o->xattrs};
    x->output = malloc(sizeof(*x->output));
    if (!x->output)
        return dv_error_oom(err);
    x->output->sink = (dv_sink){.write = output_write, .finish = output_finish};
    x->output->write = write;
    x->output->user_data = o->user_data;
    x->output->failed = false;
    x->output->size = 0;
    int r = dv_flatten_new(&options, &x->flatten, err);
    if (r == 0)
        r = read_layers(x, /* again= */ false, err);
    if (r == 0)
        r = dv_flatten_begin(x->flatten, &x->output->sink, err);
    if (r == 0)
        r = read_layers(x, /* again= */ true, err);
    return r < 0 ? r : dv_flatten_finish(x->flatten, err);
}

int davit_export(davit_client *client, const char *name, const davit_export_options *options,
                 davit_write_fn write, davit_export_result *out, davit_error **err)
{
    static const davit_export_options defaults = DAVIT_EXPORT_OPTIONS_INIT;
    const davit_export_options *o = options ? options : &defaults;
    DV_AUTO(exporting) x = {.client = client, .options = o};
    bool from_store = false;
    int r = dv_image_name_read(name, o->pull, &x.name, err);
    if (r == 0)
        r = check_options(client, o, &x.name, err);
    if (r == 0)
        r = x.name.of_files ? open_placed(&x, err) : open_stored(&x, &from_store, err);
    if (r == 0)
        r = run(&x, write, err);
    if (r < 0 || !out)
        return r;
    const dv_flatten_report *report = dv_flatten_get_report(x.flatten);
    *out = (davit_export_result){
        .manifest = *davit_manifest_digest(x.manifest),
        .config = *davit_image_config_id(x.config),
        .from_store = from_store,
        .layer_count = (uint32_t)x.count,
        .entry_count = report->entries,
        .bytes = report->bytes,
        .xattrs_left_out = report->xattrs_left_out,
    };
    return 0;
}
