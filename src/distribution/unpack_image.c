/*
 * distribution/unpack_image.c - one image's layers through a pipeline: what must agree before it begins, and why it failed.
 *
 * Order of trust (DESIGN 9): the manifest was checked against its digest, the config against the manifest's, so its diff_ids can be believed;
 * each layer must inflate to its diff_id, whatever its own bytes are.
 */
#include "distribution/stored_image.h"
#include "distribution/unpack_private.h"

#include <string.h>

#define SHORT_ID 12
#define TURN_MS 100

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

void dv_unpacking_clear_image(dv_unpacking *u)
{
    dv_pipeline_free(u->pipeline);
    dv_stored_layers_free(u->stored);
    davit_image_config_free(u->config);
    davit_manifest_free(u->manifest);
    u->pipeline = NULL;
    u->stored = NULL;
    u->config = NULL;
    u->manifest = NULL;
    u->layers = NULL;
    u->count = u->told_applied = u->told_reading = 0;
    u->told_read = 0;
}

int dv_unpacking_set_manifest(dv_unpacking *u, const davit_manifest *manifest, davit_error **err)
{
    dv_unpacking_clear_image(u);
    u->manifest = davit_manifest_ref((davit_manifest *)manifest);
    u->layers = davit_manifest_layers(u->manifest, &u->count);
    int r = u->dirty ? dv_unpacking_stage(u, err) : 0;
    if (r == 0 && u->store)
        r = dv_stored_image_keep(u->store, u->manifest, &u->lease, err);
    if (r == 0 && u->store)
        r = dv_stored_layers_new(u->store, u->layers, u->count, &u->stored, err);
    return r;
}

int dv_unpacking_set_config(dv_unpacking *u, davit_image_config *config, davit_error **err)
{
    size_t diff_id_count;
    uint32_t wanted = u->options->layers;
    davit_image_config_free(u->config);
    u->config = config;
    davit_image_config_diff_ids(config, &diff_id_count);
    if (diff_id_count != u->count)
        return dv_error_set(err, DAVIT_EFORMAT, "layers from manifest don't match image configuration");
    if (wanted > u->count)
        return dv_error_set(err, DAVIT_EINVAL, "image has only %zu layers, not %u", u->count, wanted);
    u->count = wanted ? wanted : u->count;
    return 0;
}

int dv_unpacking_read_config(dv_unpacking *u, davit_error **err)
{
    davit_image_config *config;
    int r = dv_stored_image_read_config(u->store, u->manifest, &config, err);
    return r < 0 ? r : dv_unpacking_set_config(u, config, err);
}

/* --- running --------------------------------------------------------------------------------------------------------- */

static dv_unpack_devices devices_of(davit_unpack_devices devices)
{
    return devices == DAVIT_DEVICES_REJECT ? DV_DEVICES_REJECT
           : devices == DAVIT_DEVICES_SKIP ? DV_DEVICES_SKIP
                                           : DV_DEVICES_KEEP;
}

int dv_unpacking_start(dv_unpacking *u, const dv_layer_input *input, davit_error **err)
{
    const davit_unpack_options *o = u->options;
    uint64_t max = o->max_size_bytes ? o->max_size_bytes : DAVIT_UNPACK_SIZE_MAX;
    size_t unused;
    u->dirty = true;
    const dv_pipeline_options options = {
        .client = u->client,
        .root_fd = u->bundle_fd >= 0 ? u->bundle_fd : dv_staging_fd(u->staging),
        .unpack = {.root_name = u->target,
                   .rootless = u->rootless,
                   .devices = devices_of(o->devices),
                   .xattrs = o->xattrs,
                   .max_bytes = max},
        .inflate = dv_layer_limits_inflate(o->zstd_window_bytes, o->max_size_bytes),
        .input = *input,
        .layers = u->layers,
        .diff_ids = davit_image_config_diff_ids(u->config, &unused),
        .count = u->count,
    };
    return dv_pipeline_start(&options, &u->pipeline, err);
}

static void tell(const dv_unpacking *u, size_t layer, const char *action, uint64_t current, bool has_counts)
{
    char id[SHORT_ID + 1] = "";
    memcpy(id, davit_digest_hex(&u->layers[layer].digest), SHORT_ID);
    const davit_progress event = {
        .kind = DAVIT_PROGRESS_LAYER,
        .id = id,
        .action = action,
        .has_counts = has_counts,
        .current = current,
        .total = u->layers[layer].size,
    };
    u->options->progress(&event, u->options->user_data);
}

/* While it is fetched, that is what is told of a layer. */
static bool is_here(const dv_unpacking *u, size_t layer)
{
    return !u->stored || dv_stored_layers_has(u->stored, layer);
}

static void tell_progress(dv_unpacking *u)
{
    if (!u->options->progress)
        return;
    const dv_pipeline_progress now = dv_pipeline_get_progress(u->pipeline);
    for (; u->told_applied < now.applied && is_here(u, u->told_applied); u->told_applied++)
        tell(u, u->told_applied, "Unpack complete", 0, /* has_counts= */ false);
    if (now.reading < u->count && now.read > 0 && is_here(u, now.reading) &&
        (u->told_reading != now.reading || u->told_read != now.read))
        tell(u, now.reading, "Extracting", now.read, /* has_counts= */ true);
    u->told_reading = now.reading;
    u->told_read = now.read;
}

bool dv_unpacking_turn(dv_unpacking *u)
{
    if (!u->pipeline)
        return false;
    tell_progress(u);
    return dv_pipeline_has_failed(u->pipeline);
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

void dv_unpacking_drain(dv_unpacking *u)
{
    while (!dv_pipeline_ended(u->pipeline, TURN_MS))
        tell_progress(u);
}

dv_verdict dv_unpacking_judge(const dv_unpacking *u)
{
    size_t layer;
    bool is_void = false;
    int r = dv_pipeline_failure(u->pipeline, &layer);
    if (r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM || r == DAVIT_ENOSPACE)
        return DV_VERDICT_FINAL; /* whatever was read */
    size_t last = layer < u->count ? layer + 1 : u->count;
    for (size_t i = 0; i < last; i++) {
        bool vouched = dv_stored_layers_vouched(u->stored, i);
        if (!vouched && !dv_stored_layers_has(u->stored, i))
            return DV_VERDICT_LATER;
        is_void = is_void || !vouched;
    }
    return is_void ? DV_VERDICT_VOID : DV_VERDICT_FINAL;
}

int dv_unpacking_again(dv_unpacking *u, davit_error **err)
{
    const dv_layer_input input = dv_stored_layers_input(u->stored);
    dv_pipeline_free(u->pipeline);
    u->pipeline = NULL;
    dv_stored_layers_again(u->stored);
    int r = dv_unpacking_stage(u, err);
    return r < 0 ? r : dv_unpacking_start(u, &input, err);
}

int dv_unpacking_wait(dv_unpacking *u, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    size_t layer;
    dv_unpacking_drain(u);
    int r = dv_pipeline_result(u->pipeline, &layer, &why);
    if (r < 0 && u->placed_layers && layer < u->count)
        return dv_source_layer_explain(u->placed.source, &u->layers[layer], r, &why, err);
    if (r < 0)
        return layer < u->count
                   ? dv_stored_image_explain(u->stored ? u->store : NULL, &u->layers[layer], r, &why, err)
                   : dv_error_move(err, &why, r);
    tell_progress(u);
    return dv_client_check_cancelled(u->client, err);
}
