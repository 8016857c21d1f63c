/*
 * davit/registry_v1.h - the first version of the registry protocol, as old private registries and indexes still speak it.
 *
 * An index ("Hub") knows users and repositories and gives out tokens; a registry keeps images and tags. A standalone registry is both
 * and asks for no tokens. A davit_v1_client asks one of them, by its base URL; with a token it asks the registry that the token is for.
 *
 * Basic credentials go to the origin of the base URL and a token to its registry, nowhere else (threats A1, A4). Plain http is for
 * hosts that are marked as insecure. "The network's" errors are those of davit/registry.h.
 *
 * For every function here that takes a davit_v1_client: threads: any, one call at a time for each davit_v1_client; blocks within the
 * limits of the davit_client. A status outside 200-299 is an error that davit_error_is_v1_registry() knows: DAVIT_EUNAUTHORIZED 401,
 * DAVIT_EDENIED 403, DAVIT_ENOTFOUND 404, DAVIT_ERATELIMIT 429, DAVIT_EUNAVAILABLE 5xx, DAVIT_EREGISTRY the rest. A repository, tag or
 * image that cannot be a part of a URL's path is DAVIT_EINVAL. Spec: registry-v1.md.
 */
#ifndef DAVIT_REGISTRY_V1_H
#define DAVIT_REGISTRY_V1_H

#include <davit/load.h>
#include <davit/registry.h>

DAVIT_BEGIN_DECLS

#define DAVIT_V1_BASE_URL "https://index.docker.io/v1/"
#define DAVIT_V1_JSON_MAX (4u << 20) /* bytes of an image's json (threats C1) */
#define DAVIT_V1_LIST_MAX (8u << 20) /* bytes of a list of tags, images, repositories or ancestors */

/* --- who asks ----------------------------------------------------------------------------------------------------- */

/** What a token is for. Informative: nothing is checked by it. */
typedef enum davit_v1_access {
    DAVIT_V1_ACCESS_NONE = 0,
    DAVIT_V1_ACCESS_READ = 1,
    DAVIT_V1_ACCESS_WRITE = 2,
    DAVIT_V1_ACCESS_DELETE = 3,
} davit_v1_access;

/** Says who asks: nobody, a user with a password, or the holder of a token. Immutable. */
typedef struct davit_v1_auth davit_v1_auth;

/** Nobody: the request stays as it is. Free with davit_v1_auth_free(). Errors: DAVIT_ENOMEM. Threads: any. */
DAVIT_API int davit_v1_nil_auth(davit_v1_auth **out, davit_error **err);

/**
 * A user with a password, as Basic.
 *
 * @param out  set on success; free with davit_v1_auth_free()
 *
 * Errors:  DAVIT_EINVAL (a colon in the name, control bytes), DAVIT_ENOMEM
 * Threads: any
 * Spec:    registry-v1.md 3
 */
DAVIT_API int davit_v1_basic_auth(const char *user, const char *password, davit_v1_auth **out,
                                  davit_error **err);

/**
 * The holder of a token for a registry: the request goes there in place of the base URL's host, with its scheme and path.
 *
 * @param host   host[:port]; "" makes a token that cannot be used
 * @param token  as it stands behind "Token "
 * @param out    set on success; free with davit_v1_auth_free()
 *
 * Errors:  DAVIT_EINVAL (control bytes), DAVIT_ENOMEM
 * Threads: any
 * Spec:    registry-v1.md 3
 */
DAVIT_API int davit_v1_token_auth(const char *host, const char *token, davit_v1_access access,
                                  davit_v1_auth **out, davit_error **err);

/** Wipe and release; NULL is fine. Threads: any. */
DAVIT_API void davit_v1_auth_free(davit_v1_auth *auth);

/** host[:port] that a token is for, "" when none is known; NULL for what is no token. Borrowed. Threads: any. */
DAVIT_API const char *davit_v1_auth_host(const davit_v1_auth *auth);
/** The token as it stands, a secret; NULL for what is no token. Borrowed. Threads: any. */
DAVIT_API const char *davit_v1_auth_token(const davit_v1_auth *auth);
/** What a token is for; DAVIT_V1_ACCESS_NONE for what is no token. Threads: any. */
DAVIT_API davit_v1_access davit_v1_auth_access(const davit_v1_auth *auth);

/**
 * What becomes of a request (ApplyAuthentication).
 *
 * @param auth               NULL: nobody
 * @param url                of the request
 * @param out_url            set on success: where it goes; free with free()
 * @param out_authorization  set on success: the value of its Authorization, NULL for none; release with davit_secret_free()
 *
 * Errors:  DAVIT_EINVAL (a URL that is none), DAVIT_EPROTOCOL (a token without a registry, or whose registry is no host[:port]),
 *          DAVIT_ENOMEM
 * Threads: any
 * Spec:    registry-v1.md 3, 6
 */
DAVIT_API int davit_v1_auth_apply(const davit_v1_auth *auth, const char *url, char **out_url,
                                  char **out_authorization, davit_error **err);

/* --- refusals ------------------------------------------------------------------------------------------------------- */

/**
 * Whether an error is a registry's answer (RegistryError): davit_error_http_status() is its code, and its message "METHOD URL returned
 * CODE", behind what callers put before it.
 *
 * Threads: any
 * Spec:    registry-v1.md 4
 */
DAVIT_API bool davit_error_is_v1_registry(const davit_error *err);
/** The method of the request that was refused; NULL for other errors. Borrowed from @p err. Threads: any. */
DAVIT_API const char *davit_v1_error_method(const davit_error *err);
/** The URL that was asked for; NULL for other errors. Borrowed from @p err. Threads: any. */
DAVIT_API const char *davit_v1_error_url(const davit_error *err);
/** The registry's own words, from {"error":"..."}; NULL when it said none. Borrowed from @p err. Threads: any. */
DAVIT_API const char *davit_v1_error_detail(const davit_error *err);

/* --- the client --------------------------------------------------------------------------------------------------------- */

/** One base URL, and the cookies that its hosts set. */
typedef struct davit_v1_client davit_v1_client;

/**
 * Make a client of a registry or an index.
 *
 * @param client    borrowed until the end
 * @param base_url  NULL: DAVIT_V1_BASE_URL. Paths are resolved against it (RFC 3986), so it should end with "/v1/"
 * @param out       set on success; free with davit_v1_client_free()
 *
 * Errors:  DAVIT_EINVAL (no http or https URL, or plain http to a host that is not marked as insecure), DAVIT_ENOMEM
 * Threads: any
 * Spec:    registry-v1.md 2; threats A14
 */
DAVIT_API int davit_v1_client_new(davit_client *client, const char *base_url, davit_v1_client **out,
                                  davit_error **err);
/** Forget its cookies and release it; NULL is fine. No call of it may be running. */
DAVIT_API void davit_v1_client_free(davit_v1_client *client);
/** The URL that paths are resolved against. Borrowed. Threads: any. */
DAVIT_API const char *davit_v1_client_base_url(const davit_v1_client *client);

/**
 * Ask whether there is a v1 registry.
 *
 * @param out_standalone  NULL, or set on success: it says that it has no index
 *
 * Errors:  a registry's refusal, the network's
 * Spec:    registry-v1.md 5, 10
 */
DAVIT_API int davit_v1_ping(davit_v1_client *client, bool *out_standalone, davit_error **err);

/**
 * Prove who one is to an index.
 *
 * @param auth  davit_v1_basic_auth()
 *
 * Errors:  DAVIT_EUNAUTHORIZED, another refusal, the network's
 * Spec:    registry-v1.md 5
 */
DAVIT_API int davit_v1_login(davit_v1_client *client, const davit_v1_auth *auth, davit_error **err);

/* --- the index -------------------------------------------------------------------------------------------------------- */

/** An entry of a repository's list of images. Texts are owned; NULL reads as "". */
typedef struct davit_v1_image_entry {
    char *id;
    char *checksum; /**< "sha256:..." */
} davit_v1_image_entry;

typedef struct davit_v1_image_entries {
    davit_v1_image_entry *items;
    size_t count;
} davit_v1_image_entries;

DAVIT_API void davit_v1_image_entries_free(davit_v1_image_entries *entries); /**< NULL is fine */

/**
 * Ask for a token to read a public repository (Hub.GetReadToken).
 *
 * @param out  set on success; free with davit_v1_auth_free(). Its host is empty where the index names no registry, and then it
 *             cannot be used
 *
 * Errors:  a registry's refusal, the network's
 * Spec:    registry-v1.md 5, 6
 */
DAVIT_API int davit_v1_hub_get_read_token(davit_v1_client *client, const char *repository,
                                          davit_v1_auth **out, davit_error **err);
/** The same as somebody (Hub.GetReadTokenWithAuth). */
DAVIT_API int davit_v1_hub_get_read_token_with_auth(davit_v1_client *client, const char *repository,
                                                    const davit_v1_auth *auth, davit_v1_auth **out,
                                                    davit_error **err);
/** Ask for a token to set tags of images that the repository has (Hub.GetWriteToken). */
DAVIT_API int davit_v1_hub_get_write_token(davit_v1_client *client, const char *repository,
                                           const davit_v1_auth *auth, davit_v1_auth **out, davit_error **err);
/** Ask for a token to push: @p images are all that are going to be, by their ids; others will be refused. */
DAVIT_API int davit_v1_hub_get_write_token_for(davit_v1_client *client, const char *repository,
                                               const davit_v1_image_entry *images, size_t count,
                                               const davit_v1_auth *auth, davit_v1_auth **out,
                                               davit_error **err);
/** Ask for a token to delete (Hub.GetDeleteToken). A standalone registry deletes the repository at once and gives none. */
DAVIT_API int davit_v1_hub_get_delete_token(davit_v1_client *client, const char *repository,
                                            const davit_v1_auth *auth, davit_v1_auth **out,
                                            davit_error **err);
/**
 * The images of a repository, as the index has them.
 *
 * @param out  set on success; free with davit_v1_image_entries_free()
 *
 * Limits:  DAVIT_V1_LIST_MAX
 * Errors:  a registry's refusal, DAVIT_EFORMAT, DAVIT_ETOOBIG, the network's
 * Spec:    registry-v1.md 5, 10
 */
DAVIT_API int davit_v1_hub_list_images(davit_v1_client *client, const char *repository,
                                       const davit_v1_auth *auth, davit_v1_image_entries **out,
                                       davit_error **err);
/**
 * Tell the index which images a repository has now, when they are pushed.
 *
 * @param endpoint  host[:port] of the registry that has them
 *
 * Errors:  DAVIT_EINVAL, a registry's refusal, the network's
 * Spec:    registry-v1.md 5, 8
 */
DAVIT_API int davit_v1_hub_put_images(davit_v1_client *client, const char *repository,
                                      const davit_v1_image_entry *images, size_t count, const char *endpoint,
                                      const davit_v1_auth *auth, davit_error **err);

/* --- images ------------------------------------------------------------------------------------------------------------- */

/** A list of texts; items NULL is null, which is not the same as empty. */
typedef struct davit_v1_texts {
    char **items;
    size_t count;
} davit_v1_texts;

/** How a container of an image runs (ContainerConfig). Texts are owned; NULL reads as "". Spec: registry-v1.md 7 */
typedef struct davit_v1_container_config {
    char *hostname, *domainname, *user;
    int64_t memory, memory_swap, cpu_shares;
    char *cpuset;
    bool attach_stdin, attach_stdout, attach_stderr;
    davit_v1_texts port_specs;
    davit_v1_texts exposed_ports; /**< the keys of a set */
    bool tty, open_stdin, stdin_once;
    davit_v1_texts env, cmd, dns;
    char *image;
    davit_v1_texts volumes; /**< the keys of a set */
    char *volumes_from, *working_dir;
    davit_v1_texts entrypoint;
    bool network_disabled;
    davit_v1_texts security_opts, on_build;
} davit_v1_container_config;

/** What a registry knows of an image (ImageMetadata). Texts are owned; NULL reads as "". Spec: registry-v1.md 7 */
typedef struct davit_v1_image_metadata {
    char *id, *parent, *comment;
    char *created; /**< RFC 3339; NULL: 0001-01-01T00:00:00Z */
    davit_v1_container_config container_config;
    char *docker_version, *author;
    davit_v1_container_config *config; /**< NULL: null */
    char *architecture, *os;
    int64_t size; /**< bytes */
    void *raw; /**< the bytes it was read from, which are what a checksum covers; NULL when there were none */
    size_t raw_size;
} davit_v1_image_metadata;

/** Read the JSON: key case is ignored where no key fits exactly; unknown keys are skipped; null is zero. Errors: DAVIT_EFORMAT, DAVIT_ETOOBIG. */
DAVIT_API int davit_v1_image_metadata_parse(const void *bytes, size_t size, davit_v1_image_metadata **out,
                                            davit_error **err);
/** Write the JSON, all keys in their order; free with free(). Errors: DAVIT_EFORMAT (created), DAVIT_ENOMEM. */
DAVIT_API int davit_v1_image_metadata_format(const davit_v1_image_metadata *metadata, char **out,
                                             davit_error **err);
DAVIT_API void davit_v1_image_metadata_free(davit_v1_image_metadata *metadata); /**< NULL is fine */

/** An image's json as a registry answers it. */
typedef struct davit_v1_image_json {
    void *bytes;
    size_t size;
    uint64_t layer_size;      /**< X-Docker-Size; DAVIT_SIZE_UNKNOWN when it is not said */
    davit_v1_texts checksums; /**< X-Docker-Checksum-Payload: any may be the image's */
} davit_v1_image_json;

DAVIT_API void davit_v1_image_json_free(davit_v1_image_json *json); /**< NULL is fine */

/**
 * Fetch an image's json, and what the registry says of its layer.
 *
 * @param auth  NULL: nobody
 * @param out   set on success; free with davit_v1_image_json_free()
 *
 * Limits:  DAVIT_V1_JSON_MAX
 * Errors:  a registry's refusal (400 while the image is being uploaded), DAVIT_ETOOBIG, the network's
 * Spec:    registry-v1.md 5, 9, 10
 */
DAVIT_API int davit_v1_image_get_json(davit_v1_client *client, const char *image, const davit_v1_auth *auth,
                                      davit_v1_image_json **out, davit_error **err);
/** The same, read (Image.GetMetadata); free with davit_v1_image_metadata_free(). Errors: also DAVIT_EFORMAT. */
DAVIT_API int davit_v1_image_get_metadata(davit_v1_client *client, const char *image,
                                          const davit_v1_auth *auth, davit_v1_image_metadata **out,
                                          davit_error **err);
/** Begin an image with its metadata (Image.AddMetadata). Errors: also DAVIT_EFORMAT (created). */
DAVIT_API int davit_v1_image_add_metadata(davit_v1_client *client, const char *image,
                                          const davit_v1_image_metadata *metadata, const davit_v1_auth *auth,
                                          davit_error **err);
/** Begin an image with the bytes of its json as they are, which a checksum covers. */
DAVIT_API int davit_v1_image_add_json(davit_v1_client *client, const char *image, const void *bytes,
                                      size_t size, const davit_v1_auth *auth, davit_error **err);
/**
 * Fetch an image's layer, a tar that may be compressed (Image.GetLayer). It goes on after a cut where the registry does. What reaches
 * @p write is unverified: the checksum is in davit_v1_image_json.
 *
 * @param write     runs on the calling thread
 * @param out_size  NULL, or set on success
 *
 * Errors:  a registry's refusal, what @p write returned, DAVIT_EPROTOCOL (the registry does not go on), the network's
 * Spec:    registry-v1.md 5, 9, 10
 */
DAVIT_API int davit_v1_image_get_layer(davit_v1_client *client, const char *image, const davit_v1_auth *auth,
                                       davit_write_fn write, void *user_data, uint64_t *out_size,
                                       davit_error **err);
/**
 * Fetch an image's layer and hold it against the checksums that its registry named with the json; a registry that names none in SHA-256 is
 * believed. The bytes reach @p write before they are known to be right.
 *
 * @param json  as davit_v1_image_get_json() gave it for the same image
 *
 * Errors:  as davit_v1_image_get_layer(); DAVIT_EDIGEST
 * Spec:    registry-v1.md 8, 9
 */
DAVIT_API int davit_v1_image_get_verified_layer(davit_v1_client *client, const char *image,
                                                const davit_v1_image_json *json, const davit_v1_auth *auth,
                                                davit_write_fn write, void *user_data, uint64_t *out_size,
                                                davit_error **err);
/**
 * Send an image's layer (Image.AddLayer), once: what was read is gone.
 *
 * @param read  runs on the calling thread
 * @param size  bytes that it will give; DAVIT_SIZE_UNKNOWN: they are sent in chunks
 *
 * Errors:  a registry's refusal, what @p read returned, DAVIT_EIO (another size), the network's
 * Spec:    registry-v1.md 5, 8
 */
DAVIT_API int davit_v1_image_add_layer(davit_v1_client *client, const char *image, davit_read_fn read,
                                       void *user_data, uint64_t size, const davit_v1_auth *auth,
                                       davit_error **err);
/**
 * Complete an image that was sent: without this a registry gives it to nobody.
 *
 * @param checksum  "sha256:" and the hex of SHA-256 over the json as it was sent, a newline, and the layer as it was sent
 *
 * Errors:  DAVIT_EINVAL, a registry's refusal, the network's
 * Spec:    registry-v1.md 5, 8
 */
DAVIT_API int davit_v1_image_add_checksum(davit_v1_client *client, const char *image, const char *checksum,
                                          const davit_v1_auth *auth, davit_error **err);
/**
 * The ids that an image is made of, itself first, the root last (Image.GetAncestry). They are as the registry says: whoever uses one as
 * more than a text checks it.
 *
 * @param out  set on success; release with davit_v1_texts_clear()
 *
 * Limits:  DAVIT_V1_LIST_MAX
 * Errors:  a registry's refusal, DAVIT_EFORMAT, DAVIT_ETOOBIG, the network's
 * Spec:    registry-v1.md 5
 */
DAVIT_API int davit_v1_image_get_ancestry(davit_v1_client *client, const char *image,
                                          const davit_v1_auth *auth, davit_v1_texts *out, davit_error **err);
/** Release the texts and leave the list empty; NULL is fine. Threads: any. */
DAVIT_API void davit_v1_texts_clear(davit_v1_texts *texts);

/* --- repositories --------------------------------------------------------------------------------------------------------- */

/** A tag and the image it names. Texts are owned. */
typedef struct davit_v1_tag {
    char *name, *id;
} davit_v1_tag;

/** The tags of a repository (TagMap), in the registry's order. */
typedef struct davit_v1_tags {
    davit_v1_tag *items;
    size_t count;
} davit_v1_tags;

DAVIT_API void davit_v1_tags_free(davit_v1_tags *tags); /**< NULL is fine */

/**
 * List the tags of a repository (Repository.ListTags).
 *
 * @param out  set on success; free with davit_v1_tags_free()
 *
 * Limits:  DAVIT_V1_LIST_MAX
 * Errors:  a registry's refusal, DAVIT_EFORMAT, DAVIT_ETOOBIG, the network's
 * Spec:    registry-v1.md 5
 */
DAVIT_API int davit_v1_repository_list_tags(davit_v1_client *client, const char *repository,
                                            const davit_v1_auth *auth, davit_v1_tags **out,
                                            davit_error **err);
/** The id of the image that a tag names (Repository.GetImageID); free with free(). Errors: also DAVIT_EFORMAT. */
DAVIT_API int davit_v1_repository_get_image_id(davit_v1_client *client, const char *repository,
                                               const char *tag, const davit_v1_auth *auth, char **out,
                                               davit_error **err);
/** Let a tag name an image (Repository.SetTag); mind the order. */
DAVIT_API int davit_v1_repository_set_tag(davit_v1_client *client, const char *repository, const char *image,
                                          const char *tag, const davit_v1_auth *auth, davit_error **err);
/** Delete a tag (Repository.DeleteTag). */
DAVIT_API int davit_v1_repository_delete_tag(davit_v1_client *client, const char *repository, const char *tag,
                                             const davit_v1_auth *auth, davit_error **err);
/** Delete a repository with its tags (Repository.Delete). Images stay. */
DAVIT_API int davit_v1_repository_delete(davit_v1_client *client, const char *repository,
                                         const davit_v1_auth *auth, davit_error **err);

/* --- finding them -------------------------------------------------------------------------------------------------------- */

/** What a user calls an image there: [HOST/]REPOSITORY[:TAG] or [HOST/]REPOSITORY@ID. Texts are owned. */
typedef struct davit_v1_name {
    char *repository; /**< with its host */
    char *tag;        /**< NULL: none was given */
    char *id;         /**< the same */
} davit_v1_name;

#define DAVIT_V1_NAME_INIT \
    {                      \
        NULL, NULL, NULL   \
    }
DAVIT_API void davit_v1_name_clear(
    davit_v1_name *name); /**< release the texts, and leave it as _INIT makes it */

/**
 * Read such a name. Whether the repository can be one is seen where it is asked for.
 *
 * @param out  set on success; release with davit_v1_name_clear()
 *
 * Errors:  DAVIT_EINVAL (no repository, an empty tag, an id that is none, both of them), DAVIT_ENOMEM
 * Threads: any
 * Spec:    registry-v1.md 8
 */
DAVIT_API int davit_v1_name_parse(const char *text, davit_v1_name *out, davit_error **err);

#define DAVIT_V1_OPEN_OPTIONS_VERSION 1u

/** Who is asked, and as whom. Everything is borrowed during the call. */
typedef struct davit_v1_open_options {
    uint32_t version; /**< DAVIT_V1_OPEN_OPTIONS_VERSION */
    uint32_t flags;   /**< none yet */
    const char
        *index; /**< base URL of an index that gives out tokens; NULL: none, or what the name's host says */
    const char *registry; /**< base URL of the registry; NULL: the one that the index names, or the name's host */
    const char *username; /**< NULL: the stored credentials of the host that is asked first, or nobody */
    const char *password;
} davit_v1_open_options;

#define DAVIT_V1_OPEN_OPTIONS_INIT    \
    {                                 \
        DAVIT_V1_OPEN_OPTIONS_VERSION \
    }

/**
 * Make a client of what a name's host is, or of the options' URLs: of the index, if there is one, else of the registry.
 *
 * A host's name is looked for at https and, when it is marked as insecure, then at http.
 *
 * @param name     [HOST/]REPOSITORY; a host holds a dot or a colon or is localhost, and Docker Hub is meant without one;
 *                 where the options name a URL it is all REPOSITORY
 * @param options  NULL for defaults
 * @param out      set on success; free with davit_v1_client_free()
 *
 * Errors:  DAVIT_EINVAL, the network's as "invalid registry endpoint ..."
 * Spec:    registry-v1.md 1; search.md 4
 */
DAVIT_API int davit_v1_client_find(davit_client *client, const char *name,
                                   const davit_v1_open_options *options, davit_v1_client **out,
                                   davit_error **err);

/** A repository that was opened for something: whom to ask, and as whom. */
typedef struct davit_v1_repository davit_v1_repository;

/**
 * Find a repository's registry, and get a token for it where there is an index.
 *
 * A host that says of itself that it does not stand alone is an index; any other is asked directly.
 *
 * @param name     as in davit_v1_client_find()
 * @param access   what is going to be done
 * @param images   all that are going to be pushed; NULL: none
 * @param options  NULL for defaults
 * @param out      set on success; free with davit_v1_repository_close()
 *
 * Errors:  DAVIT_EINVAL, a registry's refusal, the network's
 * Spec:    registry-v1.md 6, 8, 9
 */
DAVIT_API int davit_v1_repository_open(davit_client *client, const char *name, davit_v1_access access,
                                       const davit_v1_image_entry *images, size_t count,
                                       const davit_v1_open_options *options, davit_v1_repository **out,
                                       davit_error **err);
DAVIT_API void davit_v1_repository_close(davit_v1_repository *repository); /**< NULL is fine */
/** Whom to ask of the repository and its images. Borrowed. */
DAVIT_API davit_v1_client *davit_v1_repository_registry(const davit_v1_repository *repository);
/** As whom; NULL: nobody. Borrowed. */
DAVIT_API const davit_v1_auth *davit_v1_repository_auth(const davit_v1_repository *repository);
/** The index that gave the token; NULL: there is none. Borrowed. */
DAVIT_API davit_v1_client *davit_v1_repository_index(const davit_v1_repository *repository);
/** Who one is to the index; NULL: nobody. Borrowed. */
DAVIT_API const davit_v1_auth *davit_v1_repository_index_auth(const davit_v1_repository *repository);
/** Its name without a host. Borrowed. */
DAVIT_API const char *davit_v1_repository_path(const davit_v1_repository *repository);

/* --- into the store ------------------------------------------------------------------------------------------------------ */

#define DAVIT_V1_PULL_OPTIONS_VERSION 1u

/** davit_v1_pull_options.flags */
#define DAVIT_V1_PULL_ALL_TAGS (1u << 0) /**< every tag of the repository */

typedef struct davit_v1_pull_options {
    uint32_t version;                  /**< DAVIT_V1_PULL_OPTIONS_VERSION */
    uint32_t flags;                    /**< DAVIT_V1_PULL_* */
    const davit_v1_open_options *open; /**< whom to ask, and as whom; NULL for defaults */
    const char *tag;                   /**< NULL: latest */
    const char *image;          /**< an image by its id, which gets no name in the store; NULL: by tag */
    davit_progress_fn progress; /**< as in davit_load_options */
    void *user_data;
} davit_v1_pull_options;

#define DAVIT_V1_PULL_OPTIONS_INIT    \
    {                                 \
        DAVIT_V1_PULL_OPTIONS_VERSION \
    }

/**
 * Pull from a v1 registry into the store: each image becomes one of today, with a config made from the metadata of all that it stands on
 * and diff_ids computed here; the same images give the same bytes. Its name is that of the host that was asked, of the repository and the tag.
 *
 * Layers that several of the tags stand on are fetched once, several at a time. Checksums that the registry names are checked. No name is given
 * before all of it was. What the store knows of an image by its id in this registry (the protocol has it that it never changes) is not asked for
 * again. What a pull that ended early has of a layer is gone on with, where the registry names its size and a checksum. A token that ends
 * meanwhile is renewed once for each request.
 *
 * @param name     as in davit_v1_client_find()
 * @param options  NULL for defaults
 * @param out      NULL, or set on success
 *
 * Limits:  127 images one on another, 16 MiB of metadata for each tag
 * Errors:  DAVIT_EINVAL, a registry's refusal, DAVIT_EFORMAT (ancestry or metadata that make no sense; a layer that is damaged), DAVIT_EDIGEST
 *          (checksum), DAVIT_ETOOBIG, DAVIT_EUNSUPPORTED (an image for another system), DAVIT_ENOSPACE, DAVIT_ESTORE, the network's
 * Threads: any; blocks; progress runs on the calling thread
 * Spec:    registry-v1.md 9; store.md 10
 */
DAVIT_API int davit_v1_pull(davit_client *client, const char *name, const davit_v1_pull_options *options,
                            davit_load_result *out, davit_error **err);

#define DAVIT_V1_PUSH_OPTIONS_VERSION 1u

typedef struct davit_v1_push_options {
    uint32_t version;                  /**< DAVIT_V1_PUSH_OPTIONS_VERSION */
    uint32_t flags;                    /**< none yet */
    const davit_v1_open_options *open; /**< whom to ask, and as whom; NULL for defaults */
    const char *tag;                   /**< NULL: latest */
    const davit_platform *platform;    /**< of an image of several; NULL: the host's */
    davit_progress_fn
        progress; /**< DAVIT_PROGRESS_LAYER for each image of the chain, DAVIT_PROGRESS_MESSAGE at the end */
    void *user_data;
} davit_v1_push_options;

#define DAVIT_V1_PUSH_OPTIONS_INIT    \
    {                                 \
        DAVIT_V1_PUSH_OPTIONS_VERSION \
    }

/**
 * Push an image of the store to a v1 registry: each of its layers becomes an image with an id of its own, the same each time. Images that
 * the registry has whole are not sent; those that stopped on the way are begun again. The tag moves last.
 *
 * @param image    a name or an id in the store
 * @param name     as in davit_v1_client_find()
 * @param options  NULL for defaults
 *
 * Limits:  127 layers
 * Errors:  DAVIT_EINVAL, DAVIT_ENOTFOUND (image), DAVIT_EUNSUPPORTED (a layer by zstd, which nobody who speaks this protocol reads),
 *          DAVIT_EDIGEST (a damaged layer), DAVIT_ESTORE, DAVIT_ETOOBIG, a registry's refusal, the network's
 * Threads: any; blocks; progress runs on the calling thread
 * Spec:    registry-v1.md 8
 */
DAVIT_API int davit_v1_push(davit_client *client, const char *image, const char *name,
                            const davit_v1_push_options *options, davit_error **err);

/* --- to where images are kept today ------------------------------------------------------------------------------------ */

/** davit_v1_migrate_options.flags */
#define DAVIT_V1_MIGRATE_DRY_RUN (1u << 0) /**< tell which tags there are, and change nothing */

#define DAVIT_V1_MIGRATE_OPTIONS_VERSION 1u

typedef struct davit_v1_migrate_options {
    uint32_t version;                  /**< DAVIT_V1_MIGRATE_OPTIONS_VERSION */
    uint32_t flags;                    /**< DAVIT_V1_MIGRATE_* */
    const davit_v1_open_options *open; /**< whom to ask, and as whom; NULL for defaults */
    const char *const *names; /**< REPOSITORY[:TAG] each, without a host; none: all that a search finds */
    size_t name_count;
    const char *search; /**< in the name or the description of a repository; NULL: of all */
    /**
     * DAVIT_PROGRESS_LAYER for blobs, DAVIT_PROGRESS_MESSAGE for each tag that was migrated (in a dry run: is there), DAVIT_PROGRESS_WARNING for
     * what could not be. NULL: no events.
     */
    davit_progress_fn progress;
    void *user_data;
} davit_v1_migrate_options;

#define DAVIT_V1_MIGRATE_OPTIONS_INIT    \
    {                                    \
        DAVIT_V1_MIGRATE_OPTIONS_VERSION \
    }

/** What a migration did. Bytes are as stored. */
typedef struct davit_v1_migrate_result {
    uint64_t repository_count, tag_count;  /**< looked at */
    uint64_t migrated_count;               /**< tags that the target has by it */
    uint64_t there_count;                  /**< tags that were the same image already */
    uint64_t failed_count;                 /**< tags, and repositories whose tags could not be listed */
    uint64_t layer_count, layer_bytes;     /**< fetched from the old registry */
    uint64_t copied_count, copied_bytes;   /**< blobs that were sent to the target */
    uint64_t mounted_count, mounted_bytes; /**< taken over by the target from another repository of its own */
    uint64_t present_count, present_bytes; /**< at the target already */
} davit_v1_migrate_result;

/**
 * Copy repositories with all their tags from an old registry to where images are kept today: each image becomes one as davit_v1_pull() makes it,
 * under TARGET/REPOSITORY:TAG.
 *
 * Layers go through the client's store: each is fetched once, whatever stands on it, and leaves the store at the end unless something else in it
 * needs it; what a migration that ended early has fetched stays there for the next. What the target has is neither fetched nor sent again, so that
 * running it again takes a question for each tag. Layers are fetched, and repositories copied, several at once. What fails of one tag or repository
 * does not stop the others.
 *
 * @param host     host[:port] of a registry or an index; NULL: options->open has its URL
 * @param target   "docker://HOST[/PREFIX]", "store:[PREFIX]" or "oci:DIR", where each repository becomes a layout of its own; without a
 *                 transport a registry
 * @param options  NULL for defaults
 * @param out      NULL, or set whatever the result: what was done before a failure counts
 *
 * Limits:  127 images one on another, 16 MiB of metadata for each tag, 8 MiB of names of repositories
 * Errors:  that of the first tag or repository that failed, as davit_v1_pull() and davit_copy() have them; DAVIT_ENOTFOUND (no repositories);
 *          DAVIT_EINVAL (arguments). DAVIT_ENOSPACE, DAVIT_ESTORE, DAVIT_EIO, DAVIT_ENOMEM and DAVIT_ECANCELLED end it at once
 * Threads: any; blocks; progress runs on the calling thread
 * Spec:    registry-v1.md 7, 9
 */
DAVIT_API int davit_v1_migrate(davit_client *client, const char *host, const char *target,
                               const davit_v1_migrate_options *options, davit_v1_migrate_result *out,
                               davit_error **err);

/* --- search ---------------------------------------------------------------------------------------------------------------- */

/** One repository that was found. Texts are owned; NULL reads as "". Spec: registry-v1.md 7 */
typedef struct davit_v1_search_result {
    char *name;
    bool is_automated, is_trusted, is_official;
    int64_t star_count;
    char *description;
} davit_v1_search_result;

/** A page of results. Counters that a registry does not send are 0. */
typedef struct davit_v1_search_results {
    int64_t num_pages, num_results;
    davit_v1_search_result *items;
    size_t count;
    int64_t page_size;
    char *query;
    int64_t page;
} davit_v1_search_results;

/** Read the JSON; page may be a number or a text. Errors: DAVIT_EFORMAT, DAVIT_ETOOBIG. */
DAVIT_API int davit_v1_search_results_parse(const void *bytes, size_t size, davit_v1_search_results **out,
                                            davit_error **err);
DAVIT_API void davit_v1_search_results_free(davit_v1_search_results *results); /**< NULL is fine */

/**
 * Ask for one page of the repositories whose name or description holds a text (Search.Query). A standalone registry ignores page and
 * number, and answers all.
 *
 * @param number  results on a page
 * @param out     set on success; free with davit_v1_search_results_free()
 *
 * Limits:  DAVIT_V1_LIST_MAX
 * Errors:  a registry's refusal, DAVIT_EFORMAT, DAVIT_ETOOBIG, the network's
 * Spec:    registry-v1.md 5, 7
 */
DAVIT_API int davit_v1_search_query(davit_v1_client *client, const char *query, int64_t page, int64_t number,
                                    davit_v1_search_results **out, davit_error **err);

DAVIT_END_DECLS

#endif
