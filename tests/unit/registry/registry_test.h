/* tests/unit/registry/registry_test.h - a client with short limits, and registries that are scripts. */
#ifndef DV_TEST_REGISTRY_TEST_H
#define DV_TEST_REGISTRY_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/http_script.h"
#include "registry/call.h"
#include "registry/client.h"
#include "registry/registry.h"
#include "util/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define JSON "Content-Type: application/json\r\n"
#define ROWS(...) (const script_row[]){__VA_ARGS__}, DV_COUNT(((const script_row[]){__VA_ARGS__}))

#define assert_ok(call) check_ok((call), &err, #call, __FILE__, __LINE__)

UNUSED static void check_ok(int r, davit_error *const *err, const char *what, const char *file, int line)
{
    if (r >= 0)
        return;
    print_error("%s: %s: %s\n", what, davit_code_name(r), davit_error_message(*err));
    _fail(file, line);
}

typedef struct fixture {
    davit_client *client;
    script *one, *two;
    dv_registry *registry;
    char authfile[64]; /* "": none */
} fixture;

UNUSED static davit_client_options quick_options(void)
{
    return (davit_client_options){
        .version = DAVIT_CLIENT_OPTIONS_VERSION,
        .flags = DAVIT_CLIENT_NO_ENVIRONMENT,
        .retry_delay_ms = 2,
        .first_byte_timeout_ms = 5000,
        .stall_timeout_ms = 5000,
        .connect_timeout_ms = 5000,
    };
}

UNUSED static int set_up(void **state)
{
    const davit_client_options options = quick_options();
    fixture *f = dv_new(fixture);
    *state = f;
    return f ? davit_client_new(&options, &f->client, NULL) : -1;
}

UNUSED static int tear_down(void **state)
{
    fixture *f = *state;
    dv_registry_close(f->registry);
    davit_client_free(f->client);
    script_stop(f->one);
    script_stop(f->two);
    if (f->authfile[0])
        unlink(f->authfile);
    free(f);
    return 0;
}

/* A test with a client of its own. */
#define client_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The client anew, with these options. */
UNUSED static void use_options(fixture *f, const davit_client_options *options)
{
    davit_client_free(f->client);
    f->client = NULL;
    assert_int_equal(davit_client_new(options, &f->client, NULL), 0);
}

/* The client anew, with credentials: an entry of "auths" for the host of a script, %s. */
UNUSED static void use_credentials(fixture *f, const script *s, const char *entry)
{
    davit_client_options options = quick_options();
    snprintf(f->authfile, sizeof(f->authfile), "/tmp/davit-auth-XXXXXX");
    int fd = mkstemp(f->authfile);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "{\"auths\":{\"%s\":{%s}}}", script_host(s), entry) > 0);
    close(fd);
    options.authfile = f->authfile;
    use_options(f, &options);
}

/* The registry of a script: scheme "http" has no race, "https" is that of any insecure host. base begins with "/". */
UNUSED static dv_registry *open_at(fixture *f, const script *s, const char *scheme, const char *base,
                                   bool mirror)
{
    dv_endpoint endpoint = {.insecure = true, .mirror = mirror};
    dv_registry *reg = NULL;
    char text[128];
    snprintf(text, sizeof(text), "%s://%s%s", scheme, script_host(s), base);
    assert_int_equal(dv_url_parse(text, &endpoint.url, NULL), 0);
    assert_int_equal(dv_registry_open(f->client, &endpoint, script_host(s), "app", NULL, &reg, NULL), 0);
    dv_url_clear(&endpoint.url);
    return reg;
}

UNUSED static dv_registry *open_plain(fixture *f, const script *s)
{
    return f->registry = open_at(f, s, "http", "/", false);
}

/* Ask "v2/PATH" and give the code; the answer's body is the caller's. */
UNUSED static int ask(dv_registry *reg, const char *path, dv_response *out, davit_error **err)
{
    const dv_call_spec spec = {.method = "GET", .path = path, .body_max = 1u << 16};
    return dv_call_wait(reg, &spec, out, err);
}

/* The same for tests that only want to know whether and what. New text, NULL for an error. */
UNUSED static char *ask_text(dv_registry *reg, const char *path, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    return ask(reg, path, &res, err) < 0 ? NULL : dv_buf_take(&res.body);
}

#define assert_text(reg, path, expected)                         \
    do {                                                         \
        davit_error *err_ = NULL;                                \
        char *text_ = ask_text((reg), (path), &err_);            \
        if (!text_)                                              \
            fail_msg("%s: %s", path, davit_error_message(err_)); \
        assert_string_equal(text_, expected);                    \
        free(text_);                                             \
    } while (0)

/* --- several threads that ask the same ------------------------------------------------------------------------ */

typedef struct asker {
    pthread_t thread;
    dv_registry *registry;
    const char *path;
    int result;
    davit_error *err;
    char *text;
} asker;

UNUSED static void *run_asker(void *arg)
{
    asker *a = arg;
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    a->result = ask(a->registry, a->path, &res, &a->err);
    a->text = a->result < 0 ? NULL : dv_buf_take(&res.body);
    return NULL;
}

UNUSED static void asker_start(asker *a, dv_registry *reg, const char *path)
{
    *a = (asker){.registry = reg, .path = path};
    assert_int_equal(pthread_create(&a->thread, NULL, run_asker, a), 0);
}

/* Wait for its end; err and text are cleared by asker_clear(). */
UNUSED static void asker_join(asker *a)
{
    pthread_join(a->thread, NULL);
}

UNUSED static void asker_clear(asker *a)
{
    davit_error_free(a->err);
    free(a->text);
}

#endif
