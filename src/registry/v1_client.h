/*
 * registry/v1_client.h - one request to a v1 registry or index: where it goes, as whom, with which cookies, and what a refusal is.
 * Spec: registry-v1.md 2-4, 12.
 *
 * v1_session.h is for the search of an index that is to be found first; this asks the base URL that it was given.
 *
 * Threads: a caller's, one at a time for each client; blocks.
 */
#ifndef DV_REGISTRY_V1_CLIENT_H
#define DV_REGISTRY_V1_CLIENT_H

#include "registry/request_stream.h"
#include "registry/v1_answer.h"
#include "registry/v1_auth.h"
#include "util/json.h"

#define DV_V1_PATH_MAX DV_URL_MAX
#define DV_V1_ANSWER_MAX (64u << 10) /* bytes of an answer that is not looked at */

DV_DEFINE_AUTOPTR(davit_v1_client, davit_v1_client_free)
DV_DEFINE_AUTOPTR(davit_v1_repository, davit_v1_repository_close)
DV_DEFINE_AUTOPTR(davit_v1_image_json, davit_v1_image_json_free)

typedef struct dv_v1_call {
    const char *method;
    const char *path; /* resolved against the base URL */
    const davit_v1_auth *auth;
    const char *header[2][2]; /* name and value; NULL name: none */
    const void *body;
    size_t body_size;
    size_t body_max;      /* of the answer; 0: it is not looked at */
    dv_stream_ends *ends; /* NULL: nothing is streamed */
    bool once;            /* not to be repeated: again would mean something else */
} dv_v1_call;

/* out may be NULL. A status outside 200-299 is a RegistryError. */
int dv_v1_ask(davit_v1_client *c, const dv_v1_call *call, dv_response *out, davit_error **err);
/* The same for an answer that is JSON. what names it in errors. */
int dv_v1_ask_json(davit_v1_client *c, const dv_v1_call *call, const char *what, dv_json **out,
                   davit_error **err);

/* Append a part of a path as it is. DAVIT_EINVAL: it would not stay one. what names it. */
int dv_v1_path_add(dv_buf *path, const char *what, const char *part, davit_error **err);
/* "before" repository or image "behind", as one path. */
int dv_v1_path_make(dv_buf *path, const char *before, const char *what, const char *part, const char *behind,
                    davit_error **err);
/* Whether the base URL's host is on a private network, as far as is known. */
bool dv_v1_client_is_private(const davit_v1_client *c);
/*
 * Whether a registry says outright that it stands alone: what asks an index for a token to delete makes such a one delete. One that has no
 * _ping does not say so.
 */
int dv_v1_says_standalone(davit_v1_client *c, bool *out, davit_error **err);
/*
 * A layer from its byte `first` on, which has `total` bytes altogether; 0 and DAVIT_SIZE_UNKNOWN for all of it. write gets the rest.
 * DAVIT_EPROTOCOL: the registry does not go on from there.
 */
int dv_v1_image_get_layer_from(davit_v1_client *c, const char *image, const davit_v1_auth *auth,
                               uint64_t first, uint64_t total, davit_write_fn write, void *user_data,
                               uint64_t *out_size, davit_error **err);
/* host[:port] under which what a repository has is known elsewhere, "docker.io" for Docker Hub. Borrowed. */
const char *dv_v1_repository_domain(const davit_v1_repository *r);
davit_client *dv_v1_client_of(const davit_v1_client *c);
/* davit_v1_client_find(), and whether it is an index. */
int dv_v1_client_find(davit_client *client, const char *name, const davit_v1_open_options *o,
                      davit_v1_client **out, bool *out_is_index, davit_error **err);
/* As whom an index or a registry that was found with these options is asked; NULL: as nobody. */
int dv_v1_client_user(const davit_v1_client *c, const davit_v1_open_options *o, davit_v1_auth **out,
                      davit_error **err);
/* davit_v1_search_query() as somebody: of a registry that answers nobody. */
int dv_v1_search_as(davit_v1_client *c, const davit_v1_auth *auth, const char *query, int64_t page,
                    int64_t number, davit_v1_search_results **out, davit_error **err);
/* Of a name's host, which has a dot, a colon or is localhost; 0: it has none, and Docker Hub is asked. Spec: search.md 3. */
size_t dv_v1_host_size(const char *name);

#endif
