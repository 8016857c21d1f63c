/*
 * davit/layer.h - layers by chain id: what a push needs of one, who gives it, and the store of unpacked ones.
 *
 * A layer is named by its chain id: its diff_id with all that are below it. The tables here are what a push asks, so that layers may come from
 * anywhere; the empty layer is everybody's. Sizes are bytes.
 */
#ifndef DAVIT_LAYER_H
#define DAVIT_LAYER_H

#include <davit/store.h>

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

/* --- the layer store -------------------------------------------------------------------------------------------------- */

#define DAVIT_LAYER_DEPTH_MAX 125 /**< layers on top of each other */

/**
 * Unpacked layers of a store, each in a directory of its own in the form that overlayfs mounts, and its tar byte by byte.
 *
 * A layer stays while somebody holds a reference to it: a davit_layer_store that got or registered it and has not released it, in any process,
 * as long as that lives; or a layer on top of it. Without any it goes when the last one is released; what a process left that ended without
 * releasing stays until davit_store_prune() finds that no image of the store has it either.
 *
 * Spec: store.md 4
 */
typedef struct davit_layer_store davit_layer_store;
/** One layer that a davit_layer_store gave. Immutable but for its reference. */
typedef struct davit_layer davit_layer;

/** What is known of a layer. */
typedef struct davit_layer_info {
    davit_digest chain_id;
    davit_digest diff_id;
    davit_digest parent; /**< chain id; algorithm DAVIT_DIGEST_NONE at the bottom */
    uint64_t size;       /**< of this and all layers below */
    uint64_t diff_size;  /**< of its own files: what lies in its directory, each file once */
} davit_layer_info;

typedef struct davit_layer_list davit_layer_list;
/** How many. Threads: any. */
DAVIT_API size_t davit_layer_list_count(const davit_layer_list *list);
/** Borrowed; NULL beyond the end. Threads: any. */
DAVIT_API const davit_layer_info *davit_layer_list_at(const davit_layer_list *list, size_t index);
/** Release; NULL is fine. Threads: any. */
DAVIT_API void davit_layer_list_free(davit_layer_list *list);

/**
 * Open the layers of a store, and finish what dead processes left: half-made layers and half-done removals.
 *
 * @param store  kept open as long as its layers are; open for reading only, layers can be looked at and are held by nobody
 * @param out    set on success; free with davit_layer_store_free()
 *
 * Errors:  DAVIT_ESTORE, DAVIT_EIO, DAVIT_ENOSPACE
 * Threads: any; a layer store may be used by several threads
 * Spec:    store.md 4
 */
DAVIT_API int davit_layer_store_open(davit_store *store, davit_layer_store **out, davit_error **err);

/** Give up every reference that was not released; the layers stay. Free its layers before. NULL is fine. Threads: any. */
DAVIT_API void davit_layer_store_free(davit_layer_store *layers);

/**
 * Register a layer: unpack its tar on top of its parent.
 *
 * The bytes are kept as they come, compressed or not. Nothing is visible before all of them were read and are on disk. When the layer is there
 * already it is returned, and the new data is thrown away.
 *
 * @param read        called until the end, on this thread
 * @param parent      chain id; NULL or one of algorithm DAVIT_DIGEST_NONE for a lowest layer
 * @param descriptor  what the layer is known as elsewhere, kept with it; NULL, or one without a digest: none
 * @param out         set on success to a new reference; davit_layer_release(), then davit_layer_free()
 *
 * Limits:  64 GiB and 10 000 000 entries; DAVIT_LAYER_DEPTH_MAX
 * Errors:  DAVIT_ENOTFOUND     "layer does not exist": the parent
 *          DAVIT_ETOOBIG       "max depth exceeded", and the limits
 *          DAVIT_EFORMAT       damaged or refused (names that lead out, devices in disguise)
 *          DAVIT_EUNSUPPORTED  the file system of the store cannot say what a layer hides
 *          DAVIT_EIO, DAVIT_ENOSPACE, DAVIT_ESTORE, what @p read returned
 * Threads: any; blocks
 * Spec:    store.md 4, 9
 */
DAVIT_API int davit_layer_store_register(davit_layer_store *layers, davit_read_fn read, void *read_data,
                                         const davit_digest *parent, const davit_layer_descriptor *descriptor,
                                         davit_layer **out, davit_error **err);

/**
 * The same for a layer whose bytes are a blob of the store; they are checked against its digest.
 *
 * @param blob  its digest
 *
 * Errors:  also DAVIT_ENOTFOUND (no such blob), DAVIT_EDIGEST (it is damaged)
 * Threads: any; blocks
 * Spec:    store.md 4, 9
 */
DAVIT_API int davit_layer_store_register_blob(davit_layer_store *layers, const davit_digest *blob,
                                              const davit_digest *parent,
                                              const davit_layer_descriptor *descriptor, davit_layer **out,
                                              davit_error **err);

/**
 * Get a layer by its chain id.
 *
 * @param out  set on success to a new reference; davit_layer_release(), then davit_layer_free()
 *
 * Errors:  DAVIT_ENOTFOUND "layer does not exist"
 * Threads: any
 * Spec:    store.md 4
 */
DAVIT_API int davit_layer_store_get(davit_layer_store *layers, const davit_digest *chain_id,
                                    davit_layer **out, davit_error **err);

/**
 * Give up a reference. With the last one the layer is removed, and what it alone needed below.
 *
 * @param out  NULL, or set on success to the layers that were removed, top first; free with davit_layer_list_free()
 *
 * Errors:  DAVIT_EINVAL "layer not retained": this reference was given up before. A layer that is gone is no error
 * Threads: any
 * Spec:    store.md 4
 */
DAVIT_API int davit_layer_release(davit_layer *layer, davit_layer_list **out, davit_error **err);

/** Free the object. A reference that was not released is held until the layer store is freed. NULL is fine. Threads: any. */
DAVIT_API void davit_layer_free(davit_layer *layer);

/** Every layer of the store, those below first; what cannot be read is left out and logged. Threads: any. Spec: store.md 4 */
DAVIT_API int davit_layer_store_list(davit_layer_store *layers, davit_layer_list **out, davit_error **err);

/** Borrowed from the layer. Threads: any. */
DAVIT_API const davit_layer_info *davit_layer_get_info(const davit_layer *layer);
/** The descriptor that it was registered with, or NULL. Borrowed from the layer. Threads: any. */
DAVIT_API const davit_layer_descriptor *davit_layer_get_descriptor(const davit_layer *layer);
/**
 * Its directory, absolute: one lowerdir of an overlayfs mount. Never to be written to. Whiteouts are character devices 0:0; an opaque
 * directory has the xattr trusted.overlay.opaque when root registered it, else user.overlay.opaque (mount with userxattr). Borrowed from
 * the layer. Threads: any.
 */
DAVIT_API const char *davit_layer_get_path(const davit_layer *layer);
/** A new reference to the layer below; *out is NULL at the bottom. Errors as davit_layer_store_get(). Threads: any. */
DAVIT_API int davit_layer_get_parent(const davit_layer *layer, davit_layer **out, davit_error **err);

/**
 * Read the tar that was registered, uncompressed and byte by byte. What was changed in the layer's directory does not show.
 *
 * @param out  filled on success; end it with davit_layer_stream_clear()
 *
 * Errors:  of the stream, at its end: DAVIT_EDIGEST "could not verify layer data for: DIFFID. This may be because internal files in the layer
 *          store were modified. Re-pulling or rebuilding this image may resolve the issue"
 * Threads: any
 * Spec:    store.md 4
 */
DAVIT_API int davit_layer_open_tar(davit_layer *layer, davit_layer_stream *out, davit_error **err);

/**
 * The layers of a store as a push asks for them (NewLayerProvidersFromStore): one that is registered as its tar, uncompressed; else one that an
 * image of the store has as its blob, as it is.
 *
 * @param out  filled; end it with davit_layer_provider_clear(). It keeps the layer store alive
 *
 * Threads: any
 * Spec:    push.md 1
 */
DAVIT_API void davit_layer_store_get_provider(davit_layer_store *layers, davit_layer_provider *out);

DAVIT_END_DECLS

#endif
