/* tests/unit/distribution/archive_test.h - a client with a store of its own, archives put together in memory, and what a load tells. */
#ifndef DV_TEST_ARCHIVE_TEST_H
#define DV_TEST_ARCHIVE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive/docker_archive.h"
#include "archive/tar.h"
#include "davit/client.h"
#include "davit/load.h"
#include "davit/save.h"
#include "davit/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define ARCHIVE_MAX (96u << 20)

typedef struct fixture {
    char *dir, *store;
    davit_client *client;
} fixture;

UNUSED static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    char template[] = "/tmp/davit-archive-XXXXXX";
    davit_client_options options = DAVIT_CLIENT_OPTIONS_INIT;
    if (!f || !mkdtemp(template))
        return -1;
    f->dir = strdup(template);
    if (asprintf(&f->store, "%s/store", f->dir) < 0)
        return -1;
    options.store_dir = f->store;
    options.flags = DAVIT_CLIENT_NO_ENVIRONMENT;
    *state = f;
    return davit_client_new(&options, &f->client, NULL);
}

UNUSED static int tear_down(void **state)
{
    fixture *f = *state;
    char *command;
    davit_client_free(f->client);
    int r = asprintf(&command, "rm -rf '%s'", f->dir) < 0 ? -1 : system(command);
    free(command);
    free(f->dir);
    free(f->store);
    free(f);
    return r == 0 ? 0 : -1;
}

#define archive_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- archives -------------------------------------------------------------------------------------------------------------- */

/* A sink that keeps everything. */
typedef struct memory {
    dv_sink sink;
    dv_buf bytes;
} memory;

UNUSED static int memory_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    memory *m = (memory *)s;
    (void)err;
    dv_buf_append(&m->bytes, bytes, size);
    assert_int_equal(m->bytes.failed, 0);
    return 0;
}

#define MEMORY_INIT                                                         \
    {                                                                       \
        .sink = {.write = memory_write}, .bytes = DV_BUF_INIT(ARCHIVE_MAX), \
    }

UNUSED static void memory_clear(memory *m)
{
    dv_buf_clear(&m->bytes);
}
DV_DEFINE_AUTO(memory, memory_clear)

UNUSED static void add_file(memory *to, const char *name, const void *bytes, size_t size)
{
    const dv_tar_entry e = {
        .type = DV_TAR_FILE, .name = name, .link = "", .size = size, .mode = 0644, .mtime = {.set = true}};
    assert_int_equal(dv_tar_write_header(&to->sink, &e, NULL), 0);
    if (size > 0)
        memory_write(&to->sink, bytes, size, NULL);
    assert_int_equal(dv_tar_write_padding(&to->sink, size, NULL), 0);
}

UNUSED static void add_text(memory *to, const char *name, const char *text)
{
    add_file(to, name, text, strlen(text));
}

/* A docker-archive of one image: layers of this size, each different, with a tag or without (NULL). */
UNUSED static void docker_archive(memory *to, unsigned layers, size_t layer_size, unsigned seed,
                                  const char *tag)
{
    dv_buf config = DV_BUF_INIT(4u << 20), manifest = DV_BUF_INIT(4u << 20);
    char *layer = calloc(1, layer_size + 16), name[40];
    dv_buf_puts(
        &config,
        "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    dv_buf_printf(&manifest, "[{\"Config\":\"config.json\",\"RepoTags\":[%s%s%s],\"Layers\":[",
                  tag ? "\"" : "", tag ? tag : "", tag ? "\"" : "");
    for (unsigned i = 0; i < layers; i++) {
        davit_digest digest;
        snprintf(layer, 16, "%u.%u.", seed, i);
        assert_int_equal(davit_digest_of(DAVIT_SHA256, layer, layer_size, &digest, NULL), 0);
        dv_buf_printf(&config, "%s\"%s\"", i ? "," : "", digest.text);
        snprintf(name, sizeof(name), "%u/layer.tar", i);
        dv_buf_printf(&manifest, "%s\"%s\"", i ? "," : "", name);
        add_file(to, name, layer, layer_size);
    }
    dv_buf_puts(&config, "]}}");
    dv_buf_puts(&manifest, "]}]");
    add_file(to, "config.json", config.data, config.size);
    add_file(to, "manifest.json", manifest.data, manifest.size);
    assert_int_equal(dv_tar_write_end(&to->sink, NULL), 0);
    dv_buf_clear(&config);
    dv_buf_clear(&manifest);
    free(layer);
}

/* A davit_read_fn over bytes, so many at once. */
typedef struct reader {
    const char *bytes;
    size_t size, at, piece;
    int fail_at_end; /* instead of the end: this code */
    davit_client *cancel_at_end;
} reader;

UNUSED static int read_bytes(void *bytes, size_t size, size_t *out_size, void *user_data)
{
    reader *r = user_data;
    size_t n = r->size - r->at < r->piece ? r->size - r->at : r->piece;
    n = n < size ? n : size;
    if (n == 0 && r->cancel_at_end)
        davit_client_cancel(r->cancel_at_end);
    if (n == 0 && r->fail_at_end)
        return r->fail_at_end;
    memcpy(bytes, r->bytes + r->at, n);
    r->at += n;
    *out_size = n;
    return 0;
}

/* --- loading ------------------------------------------------------------------------------------------------------------------ */

/* The messages, a line each, and how often a layer was told. */
typedef struct told {
    char text[4096];
    unsigned layers, warnings;
} told;

UNUSED static void take_event(const davit_progress *event, void *user_data)
{
    told *t = user_data;
    t->layers += event->kind == DAVIT_PROGRESS_LAYER;
    t->warnings += event->kind == DAVIT_PROGRESS_WARNING;
    if (event->kind == DAVIT_PROGRESS_LAYER)
        assert_true(event->has_counts && event->current <= event->total && *event->id);
    if (event->kind == DAVIT_PROGRESS_MESSAGE)
        snprintf(t->text + strlen(t->text), sizeof(t->text) - strlen(t->text), "%s\n", event->action);
}

UNUSED static int load_pieces(fixture *f, const dv_buf *bytes, size_t piece, told *t, davit_error **err)
{
    davit_load_options options = DAVIT_LOAD_OPTIONS_INIT;
    reader r = {.bytes = dv_buf_text(bytes), .size = bytes->size, .piece = piece};
    options.progress = t ? take_event : NULL;
    options.user_data = t;
    return davit_load(f->client, read_bytes, &r, &options, NULL, err);
}

UNUSED static void assert_loaded(fixture *f, const dv_buf *bytes)
{
    DV_AUTOPTR(davit_error) err = NULL;
    if (load_pieces(f, bytes, 1u << 20, NULL, &err) < 0)
        fail_msg("%s", davit_error_message(err));
}

UNUSED static size_t count_images(const fixture *f)
{
    davit_store *s = NULL;
    davit_image_list *list = NULL;
    assert_int_equal(davit_store_open(f->store, DAVIT_STORE_READ_ONLY, &s, NULL), 0);
    assert_int_equal(davit_store_images(s, &list, NULL), 0);
    size_t count = davit_image_list_count(list);
    davit_image_list_free(list);
    davit_store_free(s);
    return count;
}

/* How many files a folder of the store has, as find(1) counts them. */
UNUSED static int count_files(const fixture *f, const char *folder)
{
    char *command;
    int count = -1;
    assert_true(asprintf(&command, "find '%s/%s' -type f 2>/dev/null | wc -l", f->store, folder) > 0);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &count), 1);
    pclose(p);
    free(command);
    return count;
}

#endif
