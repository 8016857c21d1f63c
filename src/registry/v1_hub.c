/* registry/v1_hub.c - an index: users, tokens, and which images a repository has. Spec: registry-v1.md 5, 6, 8. */
#include "registry/v1_client.h"

#include <string.h>

#define ENTRIES_TEXT_MAX ((size_t)8 * DAVIT_V1_LIST_MAX)

int davit_v1_login(davit_v1_client *c, const davit_v1_auth *auth, davit_error **err)
{
    const dv_v1_call call = {.method = "GET", .path = "users/", .auth = auth};
    return dv_v1_ask(c, &call, NULL, err);
}

/* --- tokens -------------------------------------------------------------------------------------------------------- */

/* What an index that is asked so gives; access is what the method says. */
static int get_token(davit_v1_client *c, const char *method, const char *repository, const char *behind,
                     const char *body, davit_v1_access access, const davit_v1_auth *auth, davit_v1_auth **out,
                     davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    int r = dv_v1_path_make(&path, "repositories/", "a repository", repository, behind, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {
        .method = method,
        .path = dv_buf_text(&path),
        .auth = auth,
        .header = {{"X-Docker-Token", "true"}},
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .body_max = DAVIT_V1_LIST_MAX,
    };
    r = dv_v1_ask(c, &call, &res, err);
    if (r < 0)
        return r;
    const dv_headers nothing = DV_HEADERS_INIT; /* what another origin says of tokens is none of ours */
    return dv_v1_auth_from_index(res.left_origin ? &nothing : &res.headers, access,
                                 dv_v1_client_is_private(c), out, err);
}

int davit_v1_hub_get_read_token_with_auth(davit_v1_client *c, const char *repository,
                                          const davit_v1_auth *auth, davit_v1_auth **out, davit_error **err)
{
    return get_token(c, "GET", repository, "/images", NULL, DAVIT_V1_ACCESS_READ, auth, out, err);
}

int davit_v1_hub_get_read_token(davit_v1_client *c, const char *repository, davit_v1_auth **out,
                                davit_error **err)
{
    return davit_v1_hub_get_read_token_with_auth(c, repository, NULL, out, err);
}

int davit_v1_hub_get_write_token(davit_v1_client *c, const char *repository, const davit_v1_auth *auth,
                                 davit_v1_auth **out, davit_error **err)
{
    return get_token(c, "PUT", repository, "/", "[]\n", DAVIT_V1_ACCESS_WRITE, auth, out, err);
}

int davit_v1_hub_get_delete_token(davit_v1_client *c, const char *repository, const davit_v1_auth *auth,
                                  davit_v1_auth **out, davit_error **err)
{
    return get_token(c, "DELETE", repository, "/", "[]\n", DAVIT_V1_ACCESS_DELETE, auth, out, err);
}

/* --- lists of images ------------------------------------------------------------------------------------------------- */

static dv_json *entry_to_json(const davit_v1_image_entry *entry, bool checksums)
{
    DV_AUTOPTR(dv_json) object = dv_json_object_new();
    bool ok = object && dv_json_set_string(object, "id", entry->id ? entry->id : "") &&
              (!checksums || !entry->checksum || dv_json_set_string(object, "checksum", entry->checksum));
    return ok ? DV_STEAL(object) : NULL;
}

static int format_entries(const davit_v1_image_entry *images, size_t count, bool checksums, dv_buf *out,
                          davit_error **err)
{
    DV_AUTOPTR(dv_json) list = dv_json_array_new();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < count; i++)
        ok = dv_json_append(list, entry_to_json(&images[i], checksums));
    if (!ok)
        return dv_error_oom(err);
    dv_json_format(list, /* indent= */ 0, /* html_safe= */ true, out);
    dv_buf_putc(out, '\n');
    return out->failed ? dv_error_set(err, DAVIT_EINVAL, "a list of %zu images is too long", count) : 0;
}

int davit_v1_hub_get_write_token_for(davit_v1_client *c, const char *repository,
                                     const davit_v1_image_entry *images, size_t count,
                                     const davit_v1_auth *auth, davit_v1_auth **out, davit_error **err)
{
    DV_AUTO(dv_buf) body = DV_BUF_INIT(ENTRIES_TEXT_MAX);
    int r = format_entries(images, count, /* checksums= */ false, &body, err);
    return r < 0 ? r
                 : get_token(c, "PUT", repository, "/", dv_buf_text(&body), DAVIT_V1_ACCESS_WRITE, auth, out,
                             err);
}

int davit_v1_hub_put_images(davit_v1_client *c, const char *repository, const davit_v1_image_entry *images,
                            size_t count, const char *endpoint, const davit_v1_auth *auth, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    DV_AUTO(dv_buf) body = DV_BUF_INIT(ENTRIES_TEXT_MAX);
    int r = dv_v1_path_make(&path, "repositories/", "a repository", repository, "/images", err);
    if (r == 0)
        r = format_entries(images, count, /* checksums= */ true, &body, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {
        .method = "PUT",
        .path = dv_buf_text(&path),
        .auth = auth,
        .header = {{"X-Docker-Endpoints", endpoint}},
        .body = dv_buf_text(&body),
        .body_size = body.size,
    };
    return dv_v1_ask(c, &call, NULL, err);
}

void davit_v1_image_entries_free(davit_v1_image_entries *entries)
{
    if (!entries)
        return;
    for (size_t i = 0; i < entries->count; i++) {
        free(entries->items[i].id);
        free(entries->items[i].checksum);
    }
    free(entries->items);
    free(entries);
}

int davit_v1_hub_list_images(davit_v1_client *c, const char *repository, const davit_v1_auth *auth,
                             davit_v1_image_entries **out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    DV_AUTOPTR(dv_json) list = NULL;
    int r = dv_v1_path_make(&path, "repositories/", "a repository", repository, "/images", err);
    if (r < 0)
        return r;
    const dv_v1_call call = {
        .method = "GET", .path = dv_buf_text(&path), .auth = auth, .body_max = DAVIT_V1_LIST_MAX};
    r = dv_v1_ask_json(c, &call, "list of images", &list, err);
    return r < 0 ? r : dv_v1_answer_entries(list, out, err);
}
