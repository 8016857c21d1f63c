/*
 * distribution/unpack_pull.c - pull and unpack at once: the layers are unpacked while others come, lowest first.
 *
 * The pull is an ordinary one; its follower begins as soon as the config is in the store, and each layer that has arrived may be read. When the
 * unpacking fails the pull is ended too: what it fetched stays for the next time.
 */
#include "distribution/pull_private.h"
#include "distribution/unpack_private.h"

typedef struct following {
    dv_unpacking *unpacking;
    davit_error *err; /* why the follower left, unless the pipeline knows */
    int result;
} following;

static int leave(following *f, int r)
{
    if (r < 0 && f->result == 0)
        f->result = r;
    return r;
}

static int on_image(void *user, const davit_manifest *manifest)
{
    following *f = user;
    dv_unpacking *u = f->unpacking;
    if (u->manifest && davit_digest_equal(davit_manifest_digest(u->manifest), davit_manifest_digest(manifest)))
        return 0;
    return leave(f, dv_unpacking_set_manifest(u, manifest, &f->err));
}

static int begin(dv_unpacking *u, davit_error **err)
{
    const dv_layer_input input = dv_stored_layers_input(u->stored);
    int r = dv_unpacking_read_config(u, err);
    return r < 0 ? r : dv_unpacking_start(u, &input, err);
}

static int on_blob(void *user, const davit_digest *blob)
{
    following *f = user;
    dv_unpacking *u = f->unpacking;
    dv_stored_layers_arrived(u->stored, blob);
    bool config = davit_digest_equal(blob, &davit_manifest_config(u->manifest)->digest);
    return config && !u->pipeline ? leave(f, begin(u, &f->err)) : 0;
}

static int on_turn(void *user)
{
    following *f = user;
    return dv_unpacking_turn(f->unpacking) ? DAVIT_ECANCELLED : 0;
}

static int pull(dv_unpacking *u, const davit_reference *ref, following *f, davit_error **err)
{
    const davit_unpack_options *o = u->options;
    const dv_pull_follower follower = {
        .user = f, .on_image = on_image, .on_blob = on_blob, .on_turn = on_turn};
    davit_pull_options options = DAVIT_PULL_OPTIONS_INIT;
    options.platform = o->platform;
    options.progress = o->progress;
    options.user_data = o->user_data;
    options.verify = o->verify;
    options.auth = o->auth;
    options.request_auth_config = o->request_auth_config;
    return dv_pull_followed(u->client, ref, &options, &follower, /* out= */ NULL, err);
}

int dv_unpacking_pull(dv_unpacking *u, const davit_reference *ref, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    following f = {.unpacking = u};
    int r = pull(u, ref, &f, &why);
    if (f.result < 0)
        return dv_error_move(err, &f.err, f.result);
    if (r < 0 && !(u->pipeline && dv_pipeline_has_failed(u->pipeline)))
        return dv_error_move(err, &why, r);
    return dv_unpacking_wait(u, err);
}
