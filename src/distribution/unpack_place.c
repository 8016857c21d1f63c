/*
 * distribution/unpack_place.c - from a layout, an archive or a directory to files: each layer is read once, where it lies. The store has no part
 * in it, and no registry is asked.
 */
#include "distribution/unpack_private.h"

static int open_image(dv_unpacking *u, davit_error **err)
{
    const davit_unpack_options *o = u->options;
    int r = dv_placed_image_open(&u->placed, u->client, u->name.text, o->platform, err);
    if (r == 0)
        r = dv_placed_image_check(&u->placed, o->platform, o->verify, o->user_data, err);
    if (r == 0)
        r = dv_unpacking_set_manifest(u, u->placed.manifest, err);
    if (r == 0)
        r = dv_unpacking_set_config(u, DV_STEAL(u->placed.config), err);
    return r < 0 ? r : dv_source_layers_check(u->placed.source, u->layers, u->count, err);
}

int dv_unpacking_place(dv_unpacking *u, davit_error **err)
{
    int r = open_image(u, err);
    if (r == 0)
        r = dv_unpacking_check_target_of_files(u, err);
    if (r == 0)
        r = dv_source_layers_new(u->placed.source, u->layers, &u->placed_layers, err);
    if (r == 0)
        r = dv_unpacking_stage(u, err);
    if (r < 0)
        return r;
    const dv_layer_input input = dv_source_layers_input(u->placed_layers);
    r = dv_unpacking_start(u, &input, err);
    return r < 0 ? r : dv_unpacking_wait(u, err);
}
