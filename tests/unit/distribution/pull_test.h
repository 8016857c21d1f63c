/* tests/unit/distribution/pull_test.h - a client with a store of its own, images out of nothing, and a registry that has them. */
#ifndef DV_TEST_PULL_TEST_H
#define DV_TEST_PULL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/http_script.h"
#include "davit/pull.h"
#include "davit/store.h"
#include "distribution/xfer.h"
#include "oci/media_type.h"
#include "store/content_store.h"
#include "util/clock.h"
#include "util/str.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
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
    char dir[32]; /* of the store */
    davit_client *client;
    script *script;
} fixture;

UNUSED static davit_client_options quick_options(const fixture *f)
{
    return (davit_client_options){
        .version = DAVIT_CLIENT_OPTIONS_VERSION,
        .flags = DAVIT_CLIENT_NO_ENVIRONMENT,
        .store_dir = f->dir,
        .retry_delay_ms = 2,
        .first_byte_timeout_ms = 5000,
        .stall_timeout_ms = 5000,
        .connect_timeout_ms = 5000,
    };
}

UNUSED static int set_up(void **state)
{
    fixture *f = dv_new(fixture);
    *state = f;
    if (!f)
        return -1;
    snprintf(f->dir, sizeof(f->dir), "/tmp/davit-pull-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    const davit_client_options options = quick_options(f);
    f->script = script_start(NULL, 0);
    return davit_client_new(&options, &f->client, NULL);
}

UNUSED static int tear_down(void **state)
{
    fixture *f = *state;
    char command[64];
    davit_client_free(f->client);
    script_stop(f->script);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    free(f);
    return system(command) == 0 ? 0 : -1;
}

/* A test with a client, a store and a registry of its own. */
#define pull_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The client anew, with these options. */
UNUSED static void use_options(fixture *f, const davit_client_options *options)
{
    davit_client_free(f->client);
    f->client = NULL;
    assert_int_equal(davit_client_new(options, &f->client, NULL), 0);
}

/* How many entries a folder of the store has; 0 when there is no folder. */
UNUSED static size_t count_files(const fixture *f, const char *folder)
{
    char path[128];
    size_t count = 0;
    const struct dirent *entry;
    snprintf(path, sizeof(path), "%s/%s", f->dir, folder);
    DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

/* --- blobs and images ----------------------------------------------------------------------------------------- */

typedef struct blob {
    char *bytes;
    davit_descriptor descriptor;
} blob;

/* size bytes that look like nothing. */
UNUSED static blob blob_make(size_t size, unsigned seed)
{
    blob b = {.bytes = malloc(size + 8)};
    uint64_t x = 88172645463325252u + 7919 * (uint64_t)seed;
    assert_non_null(b.bytes);
    for (size_t i = 0; i < size; i += 8) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memcpy(b.bytes + i, &x, 8);
    }
    b.descriptor = (davit_descriptor){.media_type = DV_MEDIA_TYPE_OCI_LAYER_GZIP, .size = size};
    assert_int_equal(davit_digest_of(DAVIT_SHA256, b.bytes, size, &b.descriptor.digest, NULL), 0);
    return b;
}

UNUSED static blob blob_of_text(const char *text, const char *media_type)
{
    blob b = {.bytes = dv_strdup(text), .descriptor = {.media_type = media_type, .size = strlen(text)}};
    assert_int_equal(davit_digest_of(DAVIT_SHA256, text, strlen(text), &b.descriptor.digest, NULL), 0);
    return b;
}

UNUSED static void blob_clear(blob *b)
{
    free(b->bytes);
    *b = (blob){0};
}

/* The request for a blob, as script_count() takes it. Valid until the third next call. */
UNUSED static const char *blob_request(const blob *b)
{
    static char texts[3][200];
    static unsigned next;
    char *text = texts[next++ % 3];
    snprintf(text, 200, "GET /v2/app/blobs/%s ", b->descriptor.digest.text);
    return text;
}

/* A row that answers for the blob; row may say how. */
UNUSED static void serve_blob(script *s, const blob *b, script_row row)
{
    row.request = blob_request(b);
    if (!row.body && !row.status) {
        row.body = b->bytes;
        row.size = (size_t)b->descriptor.size;
    }
    script_add(s, &row);
}

#define LAYERS_MAX 24
#define NO_ROOTFS SIZE_MAX /* as diff_ids */

typedef struct image {
    blob layers[LAYERS_MAX];
    size_t layer_count;
    blob config, manifest;
} image;

UNUSED static void append_descriptor(dv_buf *out, const davit_descriptor *d)
{
    dv_buf_printf(out, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu}", d->media_type,
                  d->digest.text, (unsigned long long)d->size);
}

/* Config and manifest. config_members: what stands in the config besides rootfs; seed makes it one of its kind. */
UNUSED static void image_finish(image *i, const char *config_members, size_t diff_ids, unsigned seed)
{
    DV_AUTO(dv_buf) config = DV_BUF_INIT(1u << 16), manifest = DV_BUF_INIT(1u << 16);
    if (diff_ids == NO_ROOTFS) {
        dv_buf_printf(&config, "{%s\"seed\":%u}", config_members, seed);
    } else {
        dv_buf_printf(&config, "{%s\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[", config_members);
        for (size_t k = 0; k < diff_ids; k++)
            dv_buf_printf(&config, "%s\"sha256:%032x%032zx\"", k ? "," : "", seed, k + 1);
        dv_buf_puts(&config, "]}}");
    }
    i->config = blob_of_text(dv_buf_text(&config), DV_MEDIA_TYPE_OCI_CONFIG);
    dv_buf_puts(&manifest,
                "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_TYPE_OCI_MANIFEST "\",\"config\":");
    append_descriptor(&manifest, &i->config.descriptor);
    dv_buf_puts(&manifest, ",\"layers\":[");
    for (size_t k = 0; k < i->layer_count; k++) {
        dv_buf_puts(&manifest, k ? "," : "");
        append_descriptor(&manifest, &i->layers[k].descriptor);
    }
    dv_buf_puts(&manifest, "]}");
    i->manifest = blob_of_text(dv_buf_text(&manifest), DV_MEDIA_TYPE_OCI_MANIFEST);
}

#define LINUX "\"os\":\"linux\",\"architecture\":\"amd64\","

/* An image with layers of these sizes; a size of 0 ends. seed says which bytes: equal seeds and sizes are equal layers. */
UNUSED static image image_make(const size_t *sizes, unsigned seed)
{
    image i = {0};
    for (; sizes[i.layer_count]; i.layer_count++)
        i.layers[i.layer_count] = blob_make(sizes[i.layer_count], seed + (unsigned)i.layer_count);
    image_finish(&i, LINUX, i.layer_count, seed);
    return i;
}

UNUSED static void image_clear(image *i)
{
    for (size_t k = 0; k < i->layer_count; k++)
        blob_clear(&i->layers[k]);
    blob_clear(&i->config);
    blob_clear(&i->manifest);
}
DV_DEFINE_AUTO(image, image_clear)

/* A manifest under a tag (unless NULL) and its digest. */
UNUSED static void serve_manifest(script *s, const blob *manifest, const char *tag)
{
    static const char *const methods[] = {"GET", "HEAD"};
    const davit_descriptor *d = &manifest->descriptor;
    char headers[400], request[300];
    snprintf(headers, sizeof(headers), "Content-Type: %s\r\nDocker-Content-Digest: %s\r\n", d->media_type,
             d->digest.text);
    for (size_t i = 0; i < 4; i++) {
        snprintf(request, sizeof(request), "%s /v2/app/manifests/%s ", methods[i % 2],
                 i < 2 ? d->digest.text : tag);
        if (i < 2 || tag)
            script_add(s, &(script_row){.request = request,
                                        .headers = headers,
                                        .body = manifest->bytes,
                                        .size = (size_t)d->size});
    }
}

/* All of an image; the rows of its blobs say how. */
UNUSED static void serve_image(script *s, const image *i, const char *tag, script_row how)
{
    serve_manifest(s, &i->manifest, tag);
    serve_blob(s, &i->config, how);
    for (size_t k = 0; k < i->layer_count; k++)
        serve_blob(s, &i->layers[k], how);
}

/* "HOST:PORT/app" with what follows it. */
UNUSED static davit_reference *reference(const fixture *f, const char *rest)
{
    char text[300];
    davit_reference *ref = NULL;
    snprintf(text, sizeof(text), "%s/app%s", script_host(f->script), rest);
    assert_int_equal(davit_reference_parse(text, &ref, NULL), 0);
    return ref;
}
DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)

/* Whether the store has a reference with this text behind the name. */
UNUSED static bool is_stored(const fixture *f, const char *rest)
{
    char text[300];
    davit_store *store = NULL;
    davit_digest digest;
    snprintf(text, sizeof(text), "%s/app%s", script_host(f->script), rest);
    if (davit_store_open(f->dir, 0, &store, NULL) < 0)
        return false;
    int r = davit_store_resolve(store, text, &digest, NULL);
    davit_store_free(store);
    return r == 0;
}

/* Whether the store has these very bytes. */
UNUSED static bool has_blob(const fixture *f, const blob *b)
{
    dv_store *store = NULL;
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(64u << 20);
    bool same = dv_store_open(f->dir, DV_STORE_READ_ONLY, &store, NULL) == 0 &&
                dv_content_read(store, &b->descriptor.digest, 64u << 20, &bytes, NULL) == 0 &&
                bytes.size == b->descriptor.size && memcmp(bytes.data, b->bytes, bytes.size) == 0;
    dv_store_unref(store);
    return same;
}

/* Wait until peers left so many answers; for what follows a cancellation. */
UNUSED static bool wait_left_early(script *s, unsigned count)
{
    for (unsigned i = 0; i < 400 && script_left_early(s) < count; i++)
        dv_sleep_ms(5);
    return script_left_early(s) >= count;
}

#endif
