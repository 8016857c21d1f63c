/* registry/v2_blob.c - see v2_blob.h. */
#include "registry/v2_blob.h"

#include "util/str.h"

#include <string.h>

struct dv_blob_get {
    const dv_blob_handler *handler;
    void *user;
    dv_call *call;
    dv_blob_range range;
    uint64_t size;
    bool refused;
};

static int on_head(void *user, const dv_response *response, davit_error **err)
{
    dv_blob_get *get = user;
    dv_range_answer answer;
    int r = dv_range_classify(get->range.asked, get->range.first, get->range.last, get->size,
                              response->status, &response->headers, &answer, err);
    if (r < 0) {
        get->refused = true;
        return r;
    }
    uint64_t length = DAVIT_SIZE_UNKNOWN;
    const char *text = dv_headers_get(&response->headers, "Content-Length");
    if (text && !dv_headers_get(&response->headers, "Content-Encoding"))
        dv_str_to_u64(text, &length);
    r = get->handler->on_answer(get->user, answer, length, err);
    return r < 0 ? r : 1;
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    dv_blob_get *get = user;
    return get->handler->on_body(get->user, bytes, size, err);
}

/* A 404, whatever words came with it; err is replaced. */
static int unknown_blob(davit_error **err)
{
    int r = dv_error_set(err, DAVIT_ENOTFOUND, "unknown blob");
    if (err && davit_error_code(*err) != DAVIT_ENOMEM) {
        (*err)->http_status = 404;
        (*err)->final = true;
    }
    return r;
}

static void on_done(void *user, int r, dv_response *response, davit_error *err)
{
    dv_blob_get *get = user;
    int status = davit_error_http_status(err);
    bool refused = get->refused || (get->range.asked && (status == 416 || status == 400));
    const dv_blob_handler *handler = get->handler;
    void *to = get->user;
    free(get);
    if (r < 0 && status == 404)
        r = unknown_blob(&err);
    handler->on_done(to, r, r < 0 && refused, err);
}

static const dv_call_handler call_handler = {on_head, on_body, on_done};

static void blob_path(const dv_registry *reg, const davit_digest *digest, dv_buf *out)
{
    dv_buf_printf(out, "v2/%s/blobs/%s", reg->path, digest->text);
}

int dv_blob_get_start(dv_registry *reg, const davit_digest *digest, uint64_t size, bool document,
                      const dv_blob_range *range, const dv_blob_handler *handler, void *user,
                      dv_blob_get **out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTO(dv_buf) asked = DV_BUF_INIT(64);
    blob_path(reg, digest, &path);
    if (range->asked)
        dv_range_format(range->first, range->last, &asked);
    dv_blob_get *get = path.failed || asked.failed ? NULL : dv_new(dv_blob_get);
    if (!get)
        return dv_error_oom(err);
    get->handler = handler;
    get->user = user;
    get->range = *range;
    get->size = size;
    int r = dv_call_start(reg,
                          &(dv_call_spec){
                              .method = "GET",
                              .path = dv_buf_text(&path),
                              .range = range->asked ? dv_buf_text(&asked) : NULL,
                              .blob = true,
                              .large = range->large,
                              .encoded = !document,
                              .fresh = range->fresh,
                              .attempts = 1,
                              .handler = &call_handler,
                              .user = get,
                          },
                          &get->call, err);
    if (r < 0) {
        free(get);
        return r;
    }
    *out = get;
    return 0;
}

void dv_blob_get_cancel(dv_blob_get *get)
{
    dv_call_cancel(get->call);
    free(get);
}

void dv_blob_get_resume(dv_blob_get *get)
{
    dv_call_resume(get->call);
}

int dv_v2_blob_read(dv_registry *reg, const davit_digest *digest, size_t max, dv_response *out,
                    davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    blob_path(reg, digest, &path);
    if (path.failed)
        return dv_error_oom(err);
    int r = dv_call_wait(
        reg, &(dv_call_spec){.method = "GET", .path = dv_buf_text(&path), .blob = true, .body_max = max}, out,
        err);
    return r < 0 ? dv_error_wrap(err, r, "blob %s", digest->text) : 0;
}

/* --- whether it is there ------------------------------------------------------------------------------------------ */

struct dv_blob_head {
    dv_blob_head_fn *ended;
    void *user;
    dv_call *call;
};

static int read_head(const dv_response *response, uint64_t *out_size, davit_error **err)
{
    const char *length = dv_headers_get(&response->headers, "Content-Length");
    DV_AUTO(dv_buf) url = DV_BUF_INIT(DV_URL_MAX);
    dv_url_redacted(&response->url, &url);
    if (!length || !dv_str_to_u64(length, out_size))
        return dv_error_set(err, DAVIT_EPROTOCOL, "missing content-length header for request: %s",
                            dv_buf_text(&url));
    return 0;
}

static void head_done(void *user, int r, dv_response *response, davit_error *err)
{
    dv_blob_head *head = user;
    dv_blob_head_fn *ended = head->ended;
    void *to = head->user;
    uint64_t size = DAVIT_SIZE_UNKNOWN;
    free(head);
    if (r == 0)
        r = read_head(response, &size, &err);
    else if (davit_error_http_status(err) == 404)
        r = unknown_blob(&err);
    ended(to, r, size, err);
}

static const dv_call_handler head_handler = {.on_done = head_done};

int dv_blob_head_start(dv_registry *reg, const davit_digest *digest, dv_blob_head_fn *ended, void *user,
                       dv_blob_head **out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    blob_path(reg, digest, &path);
    dv_blob_head *head = path.failed ? NULL : dv_new(dv_blob_head);
    if (!head)
        return dv_error_oom(err);
    head->ended = ended;
    head->user = user;
    int r = dv_call_start(
        reg,
        &(dv_call_spec){.method = "HEAD", .path = dv_buf_text(&path), .handler = &head_handler, .user = head},
        &head->call, err);
    if (r < 0) {
        free(head);
        return r;
    }
    *out = head;
    return 0;
}

void dv_blob_head_cancel(dv_blob_head *head)
{
    dv_call_cancel(head->call);
    free(head);
}

int dv_v2_blob_head(dv_registry *reg, const davit_digest *digest, uint64_t *out_size, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    blob_path(reg, digest, &path);
    if (path.failed)
        return dv_error_oom(err);
    int r = dv_call_wait(reg, &(dv_call_spec){.method = "HEAD", .path = dv_buf_text(&path)}, &res, &why);
    if (r == 0)
        return read_head(&res, out_size, err);
    return davit_error_http_status(why) == 404 ? unknown_blob(err) : dv_error_move(err, &why, r);
}

int dv_v2_blob_delete(dv_registry *reg, const davit_digest *digest, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    blob_path(reg, digest, &path);
    if (path.failed)
        return dv_error_oom(err);
    int r = dv_call_delete(reg, dv_buf_text(&path), &why);
    return r < 0 && davit_error_http_status(why) == 404 ? unknown_blob(err) : dv_error_move(err, &why, r);
}
