/*
 * distribution/unpack_pull.c - pull and unpack at once: the layers are unpacked while they come, lowest first.
 *
 * The pull is an ordinary one; its follower begins as soon as the config is in the store. A layer is read behind the download that writes it, so
 * it may be unpacked before its digest was checked; but nothing is put in place before the pull has ended well, and with it every digest. Bytes
 * that turn out not to have been the blob's (a download began again, another process was first) void what was unpacked: it begins once more
 * from the store, and so does what failed on such bytes. When the unpacking fails for good the pull is ended too: what it fetched stays for the
 * next time.
 */
#include "distribution/pull_private.h"
#include "distribution/unpack_private.h"

typedef struct following {
    dv_unpacking *unpacking;
    bool in_doubt;    /* the pipeline has failed, on bytes that may not be the blobs' */
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
    f->in_doubt = false;
    return leave(f, dv_unpacking_set_manifest(u, manifest, &f->err));
}

static int begin(dv_unpacking *u, davit_error **err)
{
    const dv_layer_input input = dv_stored_layers_input(u->stored);
    int r = dv_unpacking_read_config(u, err);
    return r < 0 ? r : dv_unpacking_start(u, &input, err);
}

/* The pipeline has failed. */
static int judge(following *f)
{
    dv_unpacking *u = f->unpacking;
    dv_verdict verdict = dv_unpacking_judge(u);
    f->in_doubt = verdict == DV_VERDICT_LATER;
    if (verdict == DV_VERDICT_VOID)
        return leave(f, dv_unpacking_again(u, &f->err));
    return verdict == DV_VERDICT_FINAL ? DAVIT_ECANCELLED : 0;
}

static int on_blob(void *user, const davit_digest *blob)
{
    following *f = user;
    dv_unpacking *u = f->unpacking;
    dv_stored_layers_arrived(u->stored, blob);
    if (f->in_doubt)
        return judge(f);
    bool config = davit_digest_equal(blob, &davit_manifest_config(u->manifest)->digest);
    return config && !u->pipeline ? leave(f, begin(u, &f->err)) : 0;
}

static int on_turn(void *user)
{
    following *f = user;
    dv_unpacking *u = f->unpacking;
    if (f->in_doubt || !dv_unpacking_turn(u))
        return 0;
    dv_pipeline_stop(u->pipeline);
    return judge(f);
}

static dv_growing *growing(void *user, const davit_digest *blob)
{
    const following *f = user;
    return dv_stored_layers_growing(f->unpacking->stored, blob);
}

static int pull(dv_unpacking *u, const davit_reference *ref, following *f, davit_error **err)
{
    const davit_unpack_options *o = u->options;
    const dv_pull_follower follower = {
        .user = f, .on_image = on_image, .on_blob = on_blob, .on_turn = on_turn, .growing = growing};
    davit_pull_options options = DAVIT_PULL_OPTIONS_INIT;
    options.platform = o->platform;
    options.progress = o->progress;
    options.user_data = o->user_data;
    options.verify = o->verify;
    options.auth = o->auth;
    options.request_auth_config = o->request_auth_config;
    return dv_pull_followed(u->client, ref, &options, &follower, /* out= */ NULL, err);
}

/* So that the pull was ended for that, and says nothing of it. */
static bool has_failed_for_good(const dv_unpacking *u)
{
    if (!u->pipeline || !dv_pipeline_has_failed(u->pipeline))
        return false;
    dv_pipeline_stop(u->pipeline);
    return dv_unpacking_judge(u) == DV_VERDICT_FINAL;
}

int dv_unpacking_pull(dv_unpacking *u, const davit_reference *ref, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    following f = {.unpacking = u};
    int r = pull(u, ref, &f, &why);
    if (f.result < 0)
        return dv_error_move(err, &f.err, f.result);
    if (r < 0 && !has_failed_for_good(u))
        return dv_error_move(err, &why, r);
    dv_unpacking_drain(u);
    r = dv_unpacking_judge(u) == DV_VERDICT_FINAL ? 0 : dv_unpacking_again(u, err);
    return r < 0 ? r : dv_unpacking_wait(u, err);
}
