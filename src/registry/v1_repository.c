/* registry/v1_repository.c - tags of a repository, and the repository as a whole. Spec: registry-v1.md 5. */
#include "registry/v1_client.h"

#include <string.h>

void davit_v1_tags_free(davit_v1_tags *tags)
{
    if (!tags)
        return;
    for (size_t i = 0; i < tags->count; i++) {
        free(tags->items[i].name);
        free(tags->items[i].id);
    }
    free(tags->items);
    free(tags);
}

static int tags_path(const char *repository, const char *tag, dv_buf *out, davit_error **err)
{
    int r = dv_v1_path_make(out, "repositories/", "a repository", repository, tag ? "/tags/" : "/tags", err);
    return r == 0 && tag ? dv_v1_path_add(out, "a tag", tag, err) : r;
}

int davit_v1_repository_list_tags(davit_v1_client *c, const char *repository, const davit_v1_auth *auth,
                                  davit_v1_tags **out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    DV_AUTOPTR(dv_json) map = NULL;
    int r = tags_path(repository, NULL, &path, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {
        .method = "GET", .path = dv_buf_text(&path), .auth = auth, .body_max = DAVIT_V1_LIST_MAX};
    r = dv_v1_ask_json(c, &call, "list of tags", &map, err);
    return r < 0 ? r : dv_v1_answer_tags(map, out, err);
}

/* The JSON scanner wants a document: a string alone is one. */
int davit_v1_repository_get_image_id(davit_v1_client *c, const char *repository, const char *tag,
                                     const davit_v1_auth *auth, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    DV_AUTOPTR(dv_json) document = NULL;
    int r = tags_path(repository, tag, &path, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {
        .method = "GET", .path = dv_buf_text(&path), .auth = auth, .body_max = DV_V1_ANSWER_MAX};
    r = dv_v1_ask_json(c, &call, "image of a tag", &document, err);
    return r < 0 ? r : dv_v1_answer_text(document, "image of a tag", out, err);
}

int davit_v1_repository_set_tag(davit_v1_client *c, const char *repository, const char *image,
                                const char *tag, const davit_v1_auth *auth, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    DV_AUTO(dv_buf) body = DV_BUF_INIT(DV_V1_ANSWER_MAX);
    int r = tags_path(repository, tag, &path, err);
    if (r < 0)
        return r;
    dv_json_write_string(&body, image);
    dv_buf_putc(&body, '\n');
    if (body.failed)
        return dv_error_set(err, DAVIT_EINVAL, "an image id of %zu bytes is too long", strlen(image));
    const dv_v1_call call = {.method = "PUT",
                             .path = dv_buf_text(&path),
                             .auth = auth,
                             .body = dv_buf_text(&body),
                             .body_size = body.size};
    return dv_v1_ask(c, &call, NULL, err);
}

int davit_v1_repository_delete_tag(davit_v1_client *c, const char *repository, const char *tag,
                                   const davit_v1_auth *auth, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    int r = tags_path(repository, tag, &path, err);
    if (r < 0)
        return r;
    const dv_v1_call call = {.method = "DELETE", .path = dv_buf_text(&path), .auth = auth};
    return dv_v1_ask(c, &call, NULL, err);
}

int davit_v1_repository_delete(davit_v1_client *c, const char *repository, const davit_v1_auth *auth,
                               davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_V1_PATH_MAX);
    int r = dv_v1_path_make(&path, "repositories/", "a repository", repository, "/", err);
    if (r < 0)
        return r;
    const dv_v1_call call = {.method = "DELETE", .path = dv_buf_text(&path), .auth = auth};
    return dv_v1_ask(c, &call, NULL, err);
}
