/* registry/upload_session.c - see upload_session.h. */
#include "registry/upload_session.h"

#include "net/address.h"
#include "registry/upload_plan.h"
#include "registry/v2_blob.h"

#define DISCARD_MAX_MS 3000 /* a courtesy: nobody waits long for it */

void dv_upload_session_clear(dv_upload_session *s)
{
    free(s->url);
    *s = (dv_upload_session)DV_UPLOAD_SESSION_INIT;
}

/* --- opening ---------------------------------------------------------------------------------------------------------- */

struct dv_upload_open {
    dv_registry *registry;
    dv_upload_open_fn *on_done;
    void *user;
    bool mounting;
    davit_digest blob;
    char *from;
    dv_call *call;
    dv_blob_head *head;
};

static void open_free(dv_upload_open *open)
{
    if (open->call)
        dv_call_cancel(open->call);
    if (open->head)
        dv_blob_head_cancel(open->head);
    free(open->from);
    free(open);
}

void dv_upload_open_cancel(dv_upload_open *open)
{
    open_free(open);
}

static void open_end(dv_upload_open *open, int r, bool mounted, uint64_t size, dv_upload_session *session,
                     davit_error *err)
{
    dv_upload_open_fn *on_done = open->on_done;
    void *user = open->user;
    DV_AUTO(dv_upload_session) none = DV_UPLOAD_SESSION_INIT;
    open_free(open);
    on_done(user, r, mounted, size, session ? session : &none, err);
}

static void open_looked(void *user, int r, uint64_t size, davit_error *err)
{
    dv_upload_open *open = user;
    open->head = NULL;
    if (r == DAVIT_ENOTFOUND)
        r = dv_error_set(&err, DAVIT_ENOTFOUND, "the registry says that it mounted the blob, but has none");
    open_end(open, r, r == 0, size, NULL, err);
}

int dv_upload_take_location(const dv_registry *reg, const dv_response *answer, dv_url *out, davit_error **err)
{
    const char *location = dv_headers_get(&answer->headers, "Location");
    bool private =
        (reg->host->peer_known && reg->host->peer_private) || dv_host_is_private(reg->endpoint.url.host);
    if (!location || !*location)
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: answer to an upload without a Location",
                            answer->url.host);
    DV_AUTO(dv_url) url = DV_URL_INIT;
    int r = dv_redirect_target(&answer->url, location, !private, &url, err);
    if (r < 0)
        return r;
    dv_url_clear(out);
    *out = url;
    url = (dv_url)DV_URL_INIT;
    return 0;
}

static int read_opened(dv_upload_open *open, const dv_response *answer, dv_upload_session *out,
                       davit_error **err)
{
    dv_upload_plan plan;
    DV_AUTO(dv_url) url = DV_URL_INIT;
    if (answer->status != 202)
        return dv_error_set(err, DAVIT_EPROTOCOL, "received unexpected HTTP status: %d %s", answer->status,
                            dv_http_reason(answer->status));
    int r = dv_upload_take_location(open->registry, answer, &url, err);
    if (r < 0)
        return r;
    dv_upload_plan_init(&plan, DAVIT_SIZE_UNKNOWN, false);
    dv_upload_plan_opened(&plan, &answer->headers);
    char *text = dv_strdup(url.text);
    if (!text)
        return dv_error_oom(err);
    *out = (dv_upload_session){.url = text, .chunk_min = plan.chunk_min};
    return 0;
}

static void opened(void *user, int r, dv_response *answer, davit_error *err)
{
    dv_upload_open *open = user;
    DV_AUTO(dv_upload_session) session = DV_UPLOAD_SESSION_INIT;
    open->call = NULL;
    if (r == 0 && answer->status == 201 && open->mounting) {
        r = dv_blob_head_start(open->registry, &open->blob, open_looked, open, &open->head, &err);
        if (r == 0)
            return;
    }
    if (r == 0)
        r = read_opened(open, answer, &session, &err);
    open_end(open, r, false, DAVIT_SIZE_UNKNOWN, &session, err);
}

static const dv_call_handler open_handler = {.on_done = opened};

static int open_post(dv_upload_open *open, uint32_t attempts, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTO(dv_buf) query = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&path, "v2/%s/blobs/uploads/", open->registry->path);
    if (open->from) {
        dv_buf_puts(&query, "from=");
        dv_url_escape(&query, open->from, /* form= */ true);
    }
    if (open->mounting) {
        dv_buf_puts(&query, open->from ? "&mount=" : "mount=");
        dv_url_escape(&query, open->blob.text, /* form= */ true);
    }
    if (path.failed || query.failed)
        return dv_error_oom(err);
    /* The bytes follow on the same connection; a mount is small and goes with everything small (DESIGN 5). */
    return dv_call_start(open->registry,
                         &(dv_call_spec){.method = "POST",
                                         .path = dv_buf_text(&path),
                                         .query = query.size ? dv_buf_text(&query) : NULL,
                                         .from = open->from,
                                         .blob = !open->mounting,
                                         .attempts = attempts,
                                         .body_max = DV_UPLOAD_ANSWER_MAX,
                                         .handler = &open_handler,
                                         .user = open},
                         &open->call, err);
}

int dv_upload_open_start(dv_registry *reg, const davit_digest *mount, const char *from, uint32_t attempts,
                         dv_upload_open_fn *on_done, void *user, dv_upload_open **out, davit_error **err)
{
    dv_upload_open *open = dv_new(dv_upload_open);
    if (!open)
        return dv_error_oom(err);
    open->registry = reg;
    open->on_done = on_done;
    open->user = user;
    open->mounting = mount != NULL;
    if (mount)
        open->blob = *mount;
    open->from = dv_strdup(mount ? from : NULL);
    int r = mount && from && !open->from ? dv_error_oom(err) : open_post(open, attempts, err);
    if (r < 0) {
        open_free(open);
        return r;
    }
    *out = open;
    return 0;
}

/* --- giving up -------------------------------------------------------------------------------------------------------- */

int dv_upload_discard(dv_registry *reg, const dv_upload_session *session, davit_error **err)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_url_parse(session->url, &url, err);
    if (r < 0)
        return r;
    r = dv_call_wait(reg,
                     &(dv_call_spec){.method = "DELETE",
                                     .url = &url,
                                     .blob = true,
                                     .attempts = 1,
                                     .limit_ms = DISCARD_MAX_MS,
                                     .body_max = DV_UPLOAD_ANSWER_MAX},
                     &res, &why);
    return r < 0 && davit_error_http_status(why) == 404 ? 0 : dv_error_move(err, &why, r);
}
