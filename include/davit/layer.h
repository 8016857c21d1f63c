/*
 * davit/layer.h - layers by chain id: what a push needs of one, and who gives it.
 *
 * A layer is named by its chain id: its diff_id with all that are below it. The tables here are what a push asks, so that layers may come from
 * anywhere; the empty layer is everybody's. Sizes are bytes.
 */
#ifndef DAVIT_LAYER_H
#define DAVIT_LAYER_H

#include <davit/descriptor.h>

DAVIT_BEGIN_DECLS

/**
 * The descriptor that a layer came with, and where else it may be fetched from when it is foreign. Texts are borrowed from what it came in.
 */
typedef struct davit_layer_descriptor {
    davit_descriptor blob;
    const char *const *urls; /**< NULL when there are none */
    size_t url_count;
} davit_layer_descriptor;

/* --- streams -------------------------------------------------------------------------------------------------------- */

/** An open stream of bytes. Used by one thread at a time. */
typedef struct davit_layer_stream {
    size_t size; /**< sizeof(davit_layer_stream) */
    void *user_data;
    /** The next piece: 0 and *out_size, 0 at the end. What was read counts only when the end was reached: it may be the end that fails. */
    int (*read)(void *user_data, void *bytes, size_t size, size_t *out_size, davit_error **err);
    /** Release user_data, wherever reading stopped. */
    void (*close)(void *user_data);
} davit_layer_stream;

#define DAVIT_LAYER_STREAM_INIT \
    {                           \
        0                       \
    }

/** Close it; one that was never opened is fine, and so is NULL. Threads: any. */
DAVIT_API void davit_layer_stream_clear(davit_layer_stream *stream);

/* --- a layer to push ------------------------------------------------------------------------------------------------ */

/**
 * A layer that can be pushed (PushLayer). What is in it is borrowed from whoever gave it until release.
 *
 * Spec: push.md 1
 */
typedef struct davit_push_layer {
    size_t size; /**< sizeof(davit_push_layer) */
    void *user_data;
    davit_digest chain_id;
    davit_digest diff_id;
    davit_digest
        parent; /**< chain id of the layer below, from the same provider; algorithm DAVIT_DIGEST_NONE at the bottom */
    uint64_t size_bytes;    /**< of its own files; of a stream that is a blob as it is, the blob's */
    const char *media_type; /**< of the stream; a compressed one is sent as it is */
    /** Digest of the stream when it is known without reading; else its algorithm is DAVIT_DIGEST_NONE. */
    davit_digest blob;
    const davit_layer_descriptor *descriptor; /**< the one it came with, or NULL; has urls when it is foreign */
    /** Open its stream from the start, as often as wanted. Any thread; several streams may be open. */
    int (*open)(void *user_data, davit_layer_stream *out, davit_error **err);
    /** It is not needed any more; its streams are closed. NULL: nothing to release. */
    void (*release)(void *user_data);
} davit_push_layer;

#define DAVIT_PUSH_LAYER_INIT \
    {                         \
        0                     \
    }

/** Release it; one that was never filled is fine, and so is NULL. Threads: any. */
DAVIT_API void davit_push_layer_clear(davit_push_layer *layer);

/**
 * The empty layer: 1024 zero bytes of tar, no parent, size 0.
 *
 * @param out  filled; end it with davit_push_layer_clear()
 *
 * Threads: any
 * Spec:    store.md 1; push.md 1
 */
DAVIT_API void davit_push_layer_init_empty(davit_push_layer *out);

/* --- who gives layers ----------------------------------------------------------------------------------------------- */

/**
 * Gives layers by chain id (PushLayerProvider). Its functions are called from any thread, several at once.
 *
 * Spec: push.md 1
 */
typedef struct davit_layer_provider {
    size_t size; /**< sizeof(davit_layer_provider) */
    void *user_data;
    /** Fill @p out, which the caller ends with davit_push_layer_clear(). Never asked for the empty chain id. */
    int (*get)(void *user_data, const davit_digest *chain_id, davit_push_layer *out, davit_error **err);
    /** Release user_data; all its layers are released. NULL: nothing to release. */
    void (*release)(void *user_data);
} davit_layer_provider;

#define DAVIT_LAYER_PROVIDER_INIT \
    {                             \
        0                         \
    }

/**
 * Ask a provider for a layer.
 *
 * @param chain_id  NULL or one of algorithm DAVIT_DIGEST_NONE is the empty layer, which needs no provider
 * @param out       filled on success; end it with davit_push_layer_clear()
 *
 * Errors:  DAVIT_ENOTFOUND "layer does not exist", DAVIT_EUNSUPPORTED (the provider gives none), what the provider returns
 * Threads: any; may block
 * Spec:    push.md 1
 */
DAVIT_API int davit_layer_provider_get(const davit_layer_provider *provider, const davit_digest *chain_id,
                                       davit_push_layer *out, davit_error **err);

/** Release what it holds; NULL is fine. Threads: any. */
DAVIT_API void davit_layer_provider_clear(davit_layer_provider *provider);

DAVIT_END_DECLS

#endif
