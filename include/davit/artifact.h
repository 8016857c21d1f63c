/*
 * davit/artifact.h - what is not an image: files in a repository, files attached to an image, and indexes put together by hand.
 *
 * "The network's" errors are those of davit/registry.h. All but davit_artifact_pull() ask the registry itself, never a mirror. For every
 * function: threads: any, blocks within the client's limits.
 */
#ifndef DAVIT_ARTIFACT_H
#define DAVIT_ARTIFACT_H

#include <davit/progress.h>
#include <davit/registry.h>

DAVIT_BEGIN_DECLS

/** A file that is to be a layer. */
typedef struct davit_artifact_file {
    const char *path;
    const char *media_type; /**< NULL: application/octet-stream */
} davit_artifact_file;

#define DAVIT_ARTIFACT_OPTIONS_VERSION 1u

typedef struct davit_artifact_options {
    uint32_t version;          /**< DAVIT_ARTIFACT_OPTIONS_VERSION */
    uint32_t flags;            /**< none yet */
    const char *artifact_type; /**< a media type; NULL: application/vnd.unknown.artifact.v1, not for attaching */
    const davit_artifact_file *files;
    size_t file_count;
    const davit_annotation *annotations; /**< of the manifest */
    size_t annotation_count;
    const davit_platform
        *platform; /**< attaching to an index: to the manifest of this platform; NULL: to the index */
    davit_progress_fn progress; /**< of the blobs, several at once; NULL: no events */
    void *user_data;
} davit_artifact_options;

#define DAVIT_ARTIFACT_OPTIONS_INIT    \
    {                                  \
        DAVIT_ARTIFACT_OPTIONS_VERSION \
    }

/**
 * Push files as one artifact: an OCI manifest with an empty config and a layer for each file.
 *
 * A layer's title is the file's path as given when that leads down from the working directory, else its last component. The same files give the
 * same digest: nothing of the time or the machine goes in. Blobs that the repository has are not sent, and the others several at once; a large one
 * that was cut short is gone on with the next time, where the client has a store to remember it.
 *
 * @param ref         borrowed; a tag, name-only means :latest
 * @param options     at least one file or annotation
 * @param out_digest  set on success: the manifest's
 *
 * Errors:  DAVIT_EINVAL (options; two files with one title; no media type; a reference with a digest), DAVIT_ENOTFOUND, DAVIT_EIO (a file cannot
 *          be read, or is none), DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, DAVIT_EREGISTRY, the network's
 * Threads: any; blocks
 * Spec:    OCI image-spec 1.1, Guidelines for Artifact Usage; registry-v2.md 4.5, 6
 */
DAVIT_API int davit_artifact_push(davit_client *client, const davit_reference *ref,
                                  const davit_artifact_options *options, davit_digest *out_digest,
                                  davit_error **err);

/**
 * Push files as an artifact that refers to what is in the repository, so that davit_registry_referrers() finds it. It has no tag.
 *
 * @param ref         borrowed; what is referred to
 * @param options     artifact_type is required
 * @param out_digest  set on success: the artifact's manifest
 *
 * Errors:  as davit_artifact_push(); DAVIT_ENOTFOUND for the subject, DAVIT_EPLATFORM, DAVIT_ECONFLICT (others keep changing the list of
 *          referrers)
 * Threads: any; blocks
 * Spec:    OCI image-spec 1.1, Guidelines for Artifact Usage; registry-v2.md 8
 */
DAVIT_API int davit_artifact_attach(davit_client *client, const davit_reference *ref,
                                    const davit_artifact_options *options, davit_digest *out_digest,
                                    davit_error **err);

/** davit_artifact_pull_options.flags */
#define DAVIT_ARTIFACT_PULL_FORCE (1u << 0) /**< files that are there are replaced */

/** One layer that was dealt with. */
typedef struct davit_artifact_pulled {
    const char *title; /**< the file below the directory; NULL: the layer has no title and was left out */
    davit_descriptor descriptor;
} davit_artifact_pulled;

/** Takes one layer after its file is there, in the manifest's order; before all, those without a title. Borrowed for the call. */
typedef void (*davit_artifact_pulled_fn)(const davit_artifact_pulled *pulled, void *user_data);

#define DAVIT_ARTIFACT_PULL_OPTIONS_VERSION 1u

typedef struct davit_artifact_pull_options {
    uint32_t version; /**< DAVIT_ARTIFACT_PULL_OPTIONS_VERSION */
    uint32_t flags;
    const char *directory;           /**< is made when it is absent; NULL: the working directory */
    const davit_platform *platform;  /**< of an index; NULL: an index is refused */
    uint32_t file_mode;              /**< of the files; directories get their x beside each r. 0: 0644 */
    davit_artifact_pulled_fn pulled; /**< NULL: nobody asks */
    void *user_data;                 /**< of both functions */
    davit_progress_fn progress;      /**< of the blobs, several at once; NULL: no events */
} davit_artifact_pull_options;

#define DAVIT_ARTIFACT_PULL_OPTIONS_INIT    \
    {                                       \
        DAVIT_ARTIFACT_PULL_OPTIONS_VERSION \
    }

/**
 * Write the files of an artifact below a directory, named by their titles.
 *
 * All titles are checked before the first file is made: below the directory, through no symbolic link, no name twice, none a directory of another. A
 * file gets its name when its size and digest were right. Several come at once, within the client's limits on downloads; when one fails the others
 * end, and those that are there stay.
 *
 * @param ref      borrowed; name-only means :latest
 * @param options  NULL for defaults
 *
 * Errors:  DAVIT_EEXIST (a file is there), DAVIT_EFORMAT (a title that cannot name a file), DAVIT_EUNSUPPORTED (an index; no layer has a
 *          title), DAVIT_EDIGEST, DAVIT_ENOTFOUND, DAVIT_EIO, DAVIT_ENOSPACE, DAVIT_EPLATFORM, DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, the network's
 * Threads: any; blocks; the callback runs on the calling thread
 * Spec:    OCI image-spec 1.1, annotations; threats B2, B6
 */
DAVIT_API int davit_artifact_pull(davit_client *client, const davit_reference *ref,
                                  const davit_artifact_pull_options *options, davit_error **err);

/**
 * Push a new OCI index of manifests that are in its repository.
 *
 * A source that is an index gives its entries; an image gets the platform that its config says. The tag moves last.
 *
 * @param ref         borrowed; where it goes: a tag, name-only means :latest
 * @param sources     borrowed; in the same repository as @p ref
 * @param annotations of the index; may be NULL when there are none
 * @param out_digest  set on success
 *
 * Errors:  DAVIT_EINVAL (another repository; a reference with a digest; no source), DAVIT_ENOTFOUND (a source or a child of it is absent), DAVIT_ECONFLICT (two
 *          manifests for one platform), DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, DAVIT_EREGISTRY, the network's
 * Threads: any; blocks
 * Spec:    OCI image-spec 1.1, Image Index; registry-v2.md 4
 */
DAVIT_API int davit_index_create(davit_client *client, const davit_reference *ref,
                                 const davit_reference *const *sources, size_t source_count,
                                 const davit_annotation *annotations, size_t annotation_count,
                                 davit_digest *out_digest, davit_error **err);

/**
 * Push an index again with more entries at its end; order, annotations and unknown keys stay. What it has already is not added again.
 *
 * The tag moves last, and only if it still names what was read; a reference by digest gives a new index without a tag.
 *
 * Errors, threads: as davit_index_create(); DAVIT_EINVAL when @p ref is no index; DAVIT_ECONFLICT also when others keep changing it
 */
DAVIT_API int davit_index_add(davit_client *client, const davit_reference *ref,
                              const davit_reference *const *sources, size_t source_count,
                              davit_digest *out_digest, davit_error **err);

/** Which entries of an index: by digest, or all for a platform. */
typedef struct davit_index_selector {
    const davit_digest *digest;     /**< NULL: by platform */
    const davit_platform *platform; /**< used when digest is NULL */
} davit_index_selector;

/**
 * Push an index again without some of its entries, otherwise as davit_index_add(). The manifests themselves stay in the repository.
 *
 * Errors:  as davit_index_add(); DAVIT_ENOTFOUND (no such entry), DAVIT_EINVAL (nothing would be left)
 * Threads: any; blocks
 */
DAVIT_API int davit_index_remove(davit_client *client, const davit_reference *ref,
                                 const davit_index_selector *selectors, size_t selector_count,
                                 davit_digest *out_digest, davit_error **err);

DAVIT_END_DECLS

#endif
