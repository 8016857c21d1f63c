/*
 * registry/v1_image.c - images of a v1 registry: json, layer, ancestry, checksum. Spec: registry-v1.md 5, 8-10.
 *
 * A layer goes on after a cut with a Range that names both ends, since the reference server miscounts open ones; where the whole size
 * is not known, or the server answers something else, it ends there: what was passed on cannot be taken back.
 */
#include "registry/v1_client.h"

#include "oci/v1_image.h"
#include "registry/request_wait.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

static int image_path(const char *image, const char *behind, dv_buf *out, davit_error **err)
{
    return dv_v1_path_make(out, "images/", "an image id", image, behind, err);
}

/* --- json ---------------------------------------------------------------------------------------------------------- */

void davit_v1_image_json_free(davit_v1_image_json *json)
{
    if (!json)
        return;
    free(json->bytes);
    davit_v1_texts_clear(&json->checksums);
    free(json);
}

static int take_json(dv_response *res, davit_v1_image_json **out, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_json) json = dv_new(davit_v1_image_json);
    if (!json)
        return dv_error_oom(err);
    int r = dv_v1_answer_layer(&res->headers, &json->layer_size, &json->checksums, err);
    if (r < 0)
        return r;
    json->size = res->body.size;
    json->bytes = dv_buf_take(&res->body);
    if (!json->bytes)
        return dv_error_oom(err);
    *out = DV_STEAL(json);
    return 0;
}

int davit_v1_image_get_json(davit_v1_client *c, const char *image, const davit_v1_auth *auth,
                            davit_v1_image_json **out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    int r = image_path(image, "/json", &path, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {
        .method = "GET", .path = dv_buf_text(&path), .auth = auth, .body_max = DAVIT_V1_JSON_MAX};
    r = dv_v1_ask(c, &call, &res, err);
    return r < 0 ? r : take_json(&res, out, err);
}

int davit_v1_image_get_metadata(davit_v1_client *c, const char *image, const davit_v1_auth *auth,
                                davit_v1_image_metadata **out, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_json) json = NULL;
    int r = davit_v1_image_get_json(c, image, auth, &json, err);
    return r < 0 ? r : davit_v1_image_metadata_parse(json->bytes, json->size, out, err);
}

int davit_v1_image_add_json(davit_v1_client *c, const char *image, const void *bytes, size_t size,
                            const davit_v1_auth *auth, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    int r = image_path(image, "/json", &path, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {.method = "PUT",
                             .path = dv_buf_text(&path),
                             .auth = auth,
                             .header = {{"Content-Type", "application/json"}},
                             .body = bytes,
                             .body_size = size};
    return dv_v1_ask(c, &call, NULL, err);
}

int davit_v1_image_add_metadata(davit_v1_client *c, const char *image,
                                const davit_v1_image_metadata *metadata, const davit_v1_auth *auth,
                                davit_error **err)
{
    DV_AUTO(dv_buf) body = DV_BUF_INIT((size_t)8 * DAVIT_V1_JSON_MAX);
    DV_AUTOFREE char *text = NULL;
    int r = davit_v1_image_metadata_format(metadata, &text, err);
    if (r < 0)
        return r;
    dv_buf_printf(&body, "%s\n", text);
    return body.failed ? dv_error_oom(err)
                       : davit_v1_image_add_json(c, image, dv_buf_text(&body), body.size, auth, err);
}

/* --- layer --------------------------------------------------------------------------------------------------------- */

typedef struct layer_get {
    uint64_t first; /* byte that the request under way asks for */
    uint64_t total; /* DAVIT_SIZE_UNKNOWN until the first answer says */
} layer_get;

/* Threads: loop. */
static int check_range(layer_get *g, const dv_response *head, davit_error **err)
{
    uint64_t first, last, total;
    if (head->status != 206)
        return dv_error_set(err, DAVIT_EPROTOCOL,
                            "the registry ignores ranges, and %" PRIu64 " bytes were passed on already",
                            g->first);
    if (!dv_v1_answer_range(&head->headers, &first, &last, &total) || first != g->first || total != g->total)
        return dv_error_set(err, DAVIT_EPROTOCOL, "the registry answers another range than was asked for");
    return 0;
}

/* Threads: loop. A dv_stream_ends.on_head. */
static int on_layer_head(void *user, const dv_response *head, davit_error **err)
{
    layer_get *g = user;
    const char *length = dv_headers_get(&head->headers, "Content-Length");
    if (g->first > 0)
        return check_range(g, head, err);
    if (head->status != 200)
        return dv_error_set(err, DAVIT_EPROTOCOL, "the registry answers a part that nobody asked for (%d)",
                            head->status);
    if (!length || !dv_str_to_u64(length, &g->total))
        g->total = DAVIT_SIZE_UNKNOWN;
    return 0;
}

static int ask_layer(davit_v1_client *c, const char *path, const davit_v1_auth *auth, layer_get *g,
                     dv_stream_ends *ends, davit_error **err)
{
    DV_AUTO(dv_buf) range = DV_BUF_INIT(64);
    dv_v1_call call = {.method = "GET", .path = path, .auth = auth, .ends = ends, .once = true};
    g->first = ends->passed;
    if (g->first > 0) {
        dv_buf_printf(&range, "bytes=%" PRIu64 "-%" PRIu64, g->first, g->total - 1);
        call.header[0][0] = "Range";
        call.header[0][1] = dv_buf_text(&range);
    }
    int r = dv_v1_ask(c, &call, NULL, err);
    if (r == 0 && g->total != DAVIT_SIZE_UNKNOWN && ends->passed != g->total)
        return dv_error_set(err, DAVIT_ENETWORK, "%s: %" PRIu64 " bytes of %" PRIu64, path, ends->passed,
                            g->total);
    return r;
}

int davit_v1_image_get_layer(davit_v1_client *c, const char *image, const davit_v1_auth *auth,
                             davit_write_fn write, void *user_data, uint64_t *out_size, davit_error **err)
{
    return dv_v1_image_get_layer_from(c, image, auth, 0, DAVIT_SIZE_UNKNOWN, write, user_data, out_size, err);
}

int dv_v1_image_get_layer_from(davit_v1_client *c, const char *image, const davit_v1_auth *auth,
                               uint64_t first, uint64_t total, davit_write_fn write, void *user_data,
                               uint64_t *out_size, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    layer_get g = {.total = total};
    dv_stream_ends ends = {
        .write = write, .write_data = user_data, .on_head = on_layer_head, .user = &g, .passed = first};
    int r = image_path(image, "/layer", &path, err);
    if (r < 0)
        return r;
    for (uint32_t attempt = 1;; attempt++) {
        DV_AUTOPTR(davit_error) why = NULL;
        uint64_t before = ends.passed;
        r = ask_layer(c, dv_buf_text(&path), auth, &g, &ends, &why);
        if (r == 0)
            break;
        if (ends.passed - before >= DV_RETRY_PROGRESS_BYTES)
            attempt = 1;
        bool resumable = ends.passed == 0 || (g.total != DAVIT_SIZE_UNKNOWN && ends.passed < g.total);
        if (!resumable || !dv_request_wait_again(dv_v1_client_of(c), attempt + 1, why))
            return dv_error_move(err, &why, r);
    }
    if (out_size)
        *out_size = ends.passed;
    return 0;
}

typedef struct verified {
    davit_write_fn write;
    void *user_data;
    dv_hash *hash;
} verified;

/* A davit_write_fn. */
static int hash_and_write(const void *bytes, size_t size, void *user_data)
{
    verified *v = user_data;
    dv_hash_update(v->hash, bytes, size);
    return v->write(bytes, size, v->user_data);
}

int davit_v1_image_get_verified_layer(davit_v1_client *c, const char *image, const davit_v1_image_json *json,
                                      const davit_v1_auth *auth, davit_write_fn write, void *user_data,
                                      uint64_t *out_size, davit_error **err)
{
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(DAVIT_SHA256);
    verified v = {.write = write, .user_data = user_data, .hash = hash};
    davit_digest digest;
    uint64_t size = 0;
    if (!hash)
        return dv_error_oom(err);
    dv_v1_checksum_begin(hash, json->bytes, json->size);
    int r = davit_v1_image_get_layer(c, image, auth, hash_and_write, &v, &size, err);
    if (r < 0)
        return r;
    dv_hash_final(hash, &digest);
    r = dv_v1_checksum_check(&json->checksums, &digest, image, err);
    if (r < 0)
        return r;
    if (out_size)
        *out_size = size;
    return 0;
}

int davit_v1_image_add_layer(davit_v1_client *c, const char *image, davit_read_fn read, void *user_data,
                             uint64_t size, const davit_v1_auth *auth, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    dv_stream_ends ends = {.read = read, .read_data = user_data, .read_size = size};
    int r = image_path(image, "/layer", &path, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {
        .method = "PUT", .path = dv_buf_text(&path), .auth = auth, .ends = &ends, .once = true};
    return dv_v1_ask(c, &call, NULL, err);
}

int davit_v1_image_add_checksum(davit_v1_client *c, const char *image, const char *checksum,
                                const davit_v1_auth *auth, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    int r = image_path(image, "/checksum", &path, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {.method = "PUT",
                             .path = dv_buf_text(&path),
                             .auth = auth,
                             .header = {{"X-Docker-Checksum-Payload", checksum}},
                             .body = "",
                             .once = true}; /* a second one is a conflict */
    return dv_v1_ask(c, &call, NULL, err);
}

/* --- ancestry ------------------------------------------------------------------------------------------------------ */

int davit_v1_image_get_ancestry(davit_v1_client *c, const char *image, const davit_v1_auth *auth,
                                davit_v1_texts *out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    DV_AUTO(davit_v1_texts) ids = {.items = NULL};
    DV_AUTOPTR(dv_json) list = NULL;
    int r = image_path(image, "/ancestry", &path, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {
        .method = "GET", .path = dv_buf_text(&path), .auth = auth, .body_max = DAVIT_V1_LIST_MAX};
    r = dv_v1_ask_json(c, &call, "ancestry", &list, err);
    if (r == 0)
        r = dv_v1_texts_read(list, "ancestry", &ids, err);
    if (r < 0)
        return r;
    *out = ids;
    ids = (davit_v1_texts){.items = NULL};
    return 0;
}
