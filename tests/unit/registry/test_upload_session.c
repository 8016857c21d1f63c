/* Unit tests of registry/upload_session.c against the scripted registry: opening a session, mounting in its place, and giving it up. */
#include "registry_test.h"

#include "registry/upload_session.h"

typedef struct opening {
    dv_task start;
    dv_node done;
    dv_queue *queue;
    dv_registry *registry;
    davit_digest digest;
    dv_upload_open *open;
    int result;
    bool mounted;
    uint64_t size;
    char *url;
    davit_error *err;
} opening;

static void on_opened(void *user, int r, bool mounted, uint64_t size, dv_upload_session *session,
                      davit_error *err)
{
    opening *o = user;
    o->open = NULL;
    o->result = r;
    o->mounted = mounted;
    o->size = size;
    o->url = DV_STEAL(session->url);
    o->err = err;
    dv_queue_push(o->queue, &o->done);
}

static void run_open(dv_task *task)
{
    opening *o = (opening *)task;
    davit_error *err = NULL;
    dv_upload_session none = DV_UPLOAD_SESSION_INIT;
    int r = dv_upload_open_start(o->registry, &o->digest, "lib/base", /* attempts= */ 0, on_opened, o,
                                 &o->open, &err);
    if (r < 0)
        on_opened(o, r, false, 0, &none, err);
}

static void upload_open__mounts(void **state)
{
    static const struct {
        const char *what;
        script_row rows[2];
        int code;
        bool mounted;
        uint64_t size;
        const char *url; /* its end */
        const char *words;
    } rows[] = {
        {"mounted",
         {{.request = "POST", .status = 201}, {.request = "HEAD", .headers = "Content-Length: 77\r\n"}},
         0,
         true,
         77,
         NULL,
         ""},
        {"said so, but is not there",
         {{.request = "POST", .status = 201}},
         DAVIT_ENOTFOUND,
         false,
         0,
         NULL,
         "says that it mounted the blob, but has none"},
        {"declined: a session",
         {{.request = "POST", .status = 202, .headers = "Location: /u0?state=x%2Fy\r\n"}},
         0,
         false,
         DAVIT_SIZE_UNKNOWN,
         "/u0?state=x%2Fy",
         ""},
        {"not allowed there",
         {{.status = 401,
           .headers = JSON,
           .body = "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"who\"}]}"}},
         DAVIT_EUNAUTHORIZED,
         false,
         0,
         NULL,
         "unauthorized: who"},
        {"no such source", {{.status = 404}}, DAVIT_ENOTFOUND, false, 0, NULL, ""},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        opening o = {.start.run = run_open, .queue = dv_queue_new()};
        f->one = script_start(rows[i].rows, rows[i].rows[1].request ? 2 : 1);
        o.registry = open_plain(f, f->one);
        assert_int_equal(davit_digest_of(DAVIT_SHA256, "hello", 5, &o.digest, NULL), 0);
        assert_int_equal(dv_loop_post(f->client->loop, &o.start, NULL), 0);
        assert_non_null(dv_queue_pop(o.queue, 20000));
        if (o.result != rows[i].code || o.mounted != rows[i].mounted || !o.url != !rows[i].url ||
            (o.result == 0 && o.size != rows[i].size) ||
            (o.url && strcmp(o.url + strlen(o.url) - strlen(rows[i].url), rows[i].url) != 0) ||
            !strstr(davit_error_message(o.err), rows[i].words))
            fail_msg("%s: %s \"%s\", mounted %d, url %s", rows[i].what, davit_code_name(o.result),
                     davit_error_message(o.err), o.mounted, o.url);
        assert_int_equal(
            script_count(f->one,
                         "POST /v2/app/blobs/uploads/?from=lib%2Fbase&mount=sha256%3A2cf24dba5fb0a30e", NULL),
            1);
        free(o.url);
        davit_error_free(o.err);
        dv_queue_free(o.queue);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
}

static void upload_discard__what_is_gone_is_fine(void **state)
{
    static const struct {
        int status, code;
    } rows[] = {{204, 0}, {202, 0}, {404, 0}, {403, DAVIT_EDENIED}};
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char url[96];
        DV_AUTOPTR(davit_error) err = NULL;
        f->one = script_start(ROWS({.request = "DELETE /u?s=1", .status = rows[i].status}));
        snprintf(url, sizeof(url), "http://%s/u?s=1", script_host(f->one));
        const dv_upload_session session = {.url = url};
        assert_int_equal(dv_upload_discard(open_plain(f, f->one), &session, &err), rows[i].code);
        assert_int_equal(script_count(f->one, "DELETE /u?s=1", "\r\nContent-Length: 0\r\n"), 1);
        assert_null(strstr(davit_error_message(err), "s=1"));
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(upload_open__mounts),
        client_test(upload_discard__what_is_gone_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
