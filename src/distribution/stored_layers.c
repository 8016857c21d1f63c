/* distribution/stored_layers.c - see stored_layers.h. */
#include "distribution/stored_layers.h"

#include "util/file.h"
#include "util/hash.h"

#include <errno.h>
#include <fcntl.h>

#define PIECE (256u << 10) /* bytes read at once: what stays in a core's cache until it is inflated */

typedef struct layer_state {
    dv_node arrived_node;
    bool told;    /* owner's: the node was pushed */
    bool arrived; /* inflater's: the node came */
} layer_state;

struct dv_stored_layers {
    dv_store *store;
    const davit_descriptor *layers;
    size_t count;
    layer_state *states;
    dv_queue *arrivals;
    int fd; /* inflater's: of the layer that is read */
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
        .count = count,
        .states = dv_new_array(layer_state, count + 1),
        .arrivals = dv_queue_new(),
        .fd = -1,
        .piece = malloc(PIECE),
    };
    if (!s->states || !s->arrivals || !s->piece)
        return dv_error_oom(err);
    *out = DV_STEAL(s);
    return 0;
}

void dv_stored_layers_free(dv_stored_layers *s)
{
    if (!s)
        return;
    while (s->arrivals && dv_queue_pop(s->arrivals, 0))
        ;
    dv_queue_free(s->arrivals);
    dv_close(&s->fd);
    dv_store_unref(s->store);
    free(s->states);
    free(s->piece);
    free(s);
}

void dv_stored_layers_arrived(dv_stored_layers *s, const davit_digest *blob)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->states[i].told && davit_digest_equal(&s->layers[i].digest, blob)) {
            s->states[i].told = true;
            dv_queue_push(s->arrivals, &s->states[i].arrived_node);
        }
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static int wait_for_blob(dv_stored_layers *s, dv_pipeline *p, size_t layer, davit_error **err)
{
    while (!s->states[layer].arrived) {
        dv_node *node;
        int r = dv_pipeline_wait_for(p, s->arrivals, -1, &node, err);
        if (r < 0)
            return r;
        ((layer_state *)node)->arrived = true;
    }
    return 0;
}

static int open_layer(void *user, dv_pipeline *p, size_t layer, davit_error **err)
{
    dv_stored_layers *s = user;
    const davit_descriptor *blob = &s->layers[layer];
    uint64_t size;
    int r = wait_for_blob(s, p, layer, err);
    dv_close(&s->fd);
    if (r == 0)
        r = dv_content_open(s->store, &blob->digest, blob->size, &s->fd, &size, err);
    if (r == 0)
        posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return r;
}

static int read_layer(void *user, dv_pipeline *p, const void **out, size_t *out_size, davit_error **err)
{
    dv_stored_layers *s = user;
    int r = dv_pipeline_check(p, err);
    if (r < 0)
        return r;
    ssize_t n;
    do
        n = read(s->fd, s->piece, PIECE);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return dv_error_file(err, errno, "cannot read it from store %s", dv_store_path(s->store));
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
