/* distribution/stored_layers.c - see stored_layers.h. */
#include "distribution/stored_layers.h"

#include "store/ingest.h"
#include "util/file.h"
#include "util/hash.h"

#include <fcntl.h>

#define PIECE (256u << 10) /* bytes read at once: what stays in a core's cache until it is inflated */

typedef struct layer_state {
    dv_growing *growing;
    bool arrived; /* owner's: it was told */
    unsigned
        attempt; /* inflater's: the try that it was read from while it grew; 0: from the store, or not at all */
} layer_state;

struct dv_stored_layers {
    dv_store *store;
    const davit_descriptor *layers;
    size_t count;
    layer_state *states;
    bool arrived_only; /* owner's, while no pipeline runs */
    /* Inflater's: the layer that is read. */
    size_t layer;
    int fd;
    uint64_t offset;
    uint8_t *piece;
};

int dv_stored_layers_new(dv_store *store, const davit_descriptor *layers, size_t count,
                         dv_stored_layers **out, davit_error **err)
{
    DV_AUTOPTR(dv_stored_layers) s = dv_new(dv_stored_layers);
    if (!s)
        return dv_error_oom(err);
    *s = (dv_stored_layers){
        .store = dv_store_ref(store),
        .layers = layers,
        .states = dv_new_array(layer_state, count + 1),
        .fd = -1,
        .piece = malloc(PIECE),
    };
    if (!s->states || !s->piece)
        return dv_error_oom(err);
    for (; s->count < count; s->count++)
        if (!(s->states[s->count].growing = dv_growing_new()))
            return dv_error_oom(err);
    *out = DV_STEAL(s);
    return 0;
}

void dv_stored_layers_free(dv_stored_layers *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        dv_growing_unref(s->states[i].growing);
    dv_close(&s->fd);
    dv_store_unref(s->store);
    free(s->states);
    free(s->piece);
    free(s);
}

/* --- owner ----------------------------------------------------------------------------------------------------------- */

void dv_stored_layers_arrived(dv_stored_layers *s, const davit_digest *blob)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->states[i].arrived && davit_digest_equal(&s->layers[i].digest, blob)) {
            s->states[i].arrived = true;
            dv_growing_arrive(s->states[i].growing);
        }
}

bool dv_stored_layers_has(const dv_stored_layers *s, size_t layer)
{
    return s->states[layer].arrived;
}

dv_growing *dv_stored_layers_growing(dv_stored_layers *s, const davit_digest *blob)
{
    for (size_t i = 0; i < s->count; i++)
        if (davit_digest_equal(&s->layers[i].digest, blob))
            return s->states[i].growing;
    return NULL;
}

bool dv_stored_layers_vouched(const dv_stored_layers *s, size_t layer)
{
    const layer_state *state = &s->states[layer];
    return state->attempt == 0 || dv_growing_became_blob(state->growing, state->attempt);
}

void dv_stored_layers_again(dv_stored_layers *s)
{
    s->arrived_only = true;
    for (size_t i = 0; i < s->count; i++)
        s->states[i].attempt = 0;
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static int wait_for_news(dv_stored_layers *s, dv_pipeline *p, davit_error **err)
{
    dv_growing *growing = s->states[s->layer].growing;
    dv_node *unused;
    int r = dv_pipeline_wait_for(p, dv_growing_news(growing), -1, &unused, err);
    if (r == 0)
        dv_growing_heard(growing);
    return r;
}

/* The file that this try writes, if it was still that one's after it was opened. */
static bool open_growing(dv_stored_layers *s, unsigned attempt)
{
    layer_state *state = &s->states[s->layer];
    if (s->arrived_only || attempt == 0)
        return false;
    s->fd = dv_ingest_open_peer(s->store, &s->layers[s->layer].digest);
    dv_growing_state now = dv_growing_look(state->growing);
    if (s->fd >= 0 && (now.attempt != attempt || now.hidden))
        dv_close(&s->fd);
    if (s->fd >= 0)
        state->attempt = attempt;
    return s->fd >= 0;
}

/* As soon as there is something to read. */
static int open_layer(void *user, dv_pipeline *p, size_t layer, davit_error **err)
{
    dv_stored_layers *s = user;
    const davit_descriptor *blob = &s->layers[layer];
    uint64_t size;
    int r = 0;
    dv_close(&s->fd);
    s->layer = layer;
    s->offset = 0;
    s->states[layer].attempt = 0;
    while (r == 0) {
        dv_growing_state now = dv_growing_look(s->states[layer].growing);
        if (now.arrived)
            break;
        if (open_growing(s, now.attempt))
            return 0;
        r = wait_for_news(s, p, err);
    }
    if (r == 0)
        r = dv_content_open(s->store, &blob->digest, blob->size, &s->fd, &size, err);
    if (r == 0)
        posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return r;
}

/* What was read so far may not have been the blob's. */
static int taken_back(const dv_stored_layers *s, davit_error **err)
{
    return dv_error_set(err, DAVIT_EDIGEST, "layer %s: its download began again while it was unpacked",
                        s->layers[s->layer].digest.text);
}

/* Where the file ends for now; waits while that is where we are. */
static int find_end(dv_stored_layers *s, dv_pipeline *p, uint64_t *out, davit_error **err)
{
    const layer_state *state = &s->states[s->layer];
    uint64_t size = s->layers[s->layer].size;
    for (*out = size; state->attempt != 0 && s->offset < size;) {
        dv_growing_state now = dv_growing_look(state->growing);
        if (now.attempt != state->attempt)
            return taken_back(s, err);
        *out = now.prefix < size ? now.prefix : size;
        int r = *out > s->offset ? 0 : wait_for_news(s, p, err);
        if (r < 0 || *out > s->offset)
            return r;
    }
    return 0;
}

static int read_layer(void *user, dv_pipeline *p, const void **out, size_t *out_size, davit_error **err)
{
    dv_stored_layers *s = user;
    const layer_state *state = &s->states[s->layer];
    uint64_t end = 0;
    int r = dv_pipeline_check(p, err);
    if (r == 0)
        r = find_end(s, p, &end, err);
    if (r < 0)
        return r;
    size_t wanted = s->offset < end && end - s->offset < PIECE ? (size_t)(end - s->offset) : PIECE;
    ssize_t n = state->attempt && s->offset == end ? 0 : dv_pread_all(s->fd, s->piece, wanted, s->offset);
    if (n < 0)
        return dv_error_file(err, (int)-n, "cannot read it from store %s", dv_store_path(s->store));
    if (state->attempt && s->offset < end &&
        ((size_t)n < wanted || !dv_growing_is(state->growing, state->attempt)))
        return taken_back(s, err);
    s->offset += (uint64_t)n;
    *out = s->piece;
    *out_size = (size_t)n;
    return 0;
}

dv_layer_input dv_stored_layers_input(dv_stored_layers *s)
{
    return (dv_layer_input){.user = s, .open = open_layer, .read = read_layer};
}

/* --- what is wrong with one ------------------------------------------------------------------------------------------ */

static int hash_file(int fd, davit_digest_algorithm algorithm, davit_digest *out, davit_error **err)
{
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(algorithm);
    DV_AUTOFREE uint8_t *piece = malloc(PIECE);
    if (!hash || !piece)
        return dv_error_oom(err);
    ssize_t n;
    for (uint64_t offset = 0; (n = dv_pread_all(fd, piece, PIECE, offset)) > 0; offset += (uint64_t)n)
        dv_hash_update(hash, piece, (size_t)n);
    if (n < 0)
        return dv_error_file(err, (int)-n, "cannot read it");
    dv_hash_final(hash, out);
    return 0;
}

int dv_stored_layer_examine(dv_store *store, const davit_descriptor *layer, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    uint64_t size;
    davit_digest got;
    DV_AUTOPTR(davit_error) why = NULL;
    const char *text = layer->digest.text, *path = dv_store_path(store);
    int r = dv_content_open(store, &layer->digest, layer->size, &fd, &size, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_ESTORE,
                            "layer %s is missing in store %s or has another size: pull the image again", text,
                            path);
    if (r < 0)
        return dv_error_move(err, &why, r);
    r = hash_file(fd, layer->digest.algorithm, &got, err);
    if (r < 0)
        return dv_error_wrap(err, r, "layer %s in store %s", text, path);
    if (davit_digest_equal(&got, &layer->digest))
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST,
                        "layer %s in store %s is damaged, its bytes are %s: run 'davit fsck --full --repair' "
                        "and pull the image again",
                        text, path, got.text);
}
