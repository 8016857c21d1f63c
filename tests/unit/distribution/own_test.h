/* tests/unit/distribution/own_test.h - an embedder whose stores are memory, and fail when they are told to. */
#ifndef DV_TEST_OWN_TEST_H
#define DV_TEST_OWN_TEST_H

#include "pull_test.h"

#include "davit/distribution.h"

#define KEPT_MAX 64
#define STORY "the disk is gone"

/* What a table allocates is its own business, to a test that counts. */
static _Thread_local unsigned in_table;

UNUSED static void leave_table(unsigned *unused)
{
    in_table--;
}

#define TABLE __attribute__((cleanup(leave_table), unused)) unsigned entered = ++in_table

/* Something under a name: "blob sha256:...", "ingest layer-sha256:...", "image ...", "ref ...", "SPACE KEY", "label NAME sha256:...". */
typedef struct kept {
    char *name;
    dv_buf bytes;
} kept;

typedef struct own {
    kept items[KEPT_MAX];
    size_t count;
    dv_buf log;       /* what became visible, a line each */
    const char *fail; /* the function that fails, "write" */
    unsigned fail_at; /* at which call, from 0 */
    int fail_code;
    unsigned calls;            /* of that function */
    unsigned writers, streams; /* that are open */
    pthread_t thread;
    bool any_thread; /* of metadata */
    pthread_mutex_t mutex;
    bool cannot_restart;
    char told[16384];
    char events[512];

    davit_content_store content;
    davit_image_config_store images;
    davit_reference_store references;
    davit_metadata_store metadata;
    davit_distribution_config config;
} own;

UNUSED static kept *find_kept(own *o, const char *kind, const char *name)
{
    char text[500];
    snprintf(text, sizeof(text), "%s %s", kind, name);
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->items[i].name, text) == 0)
            return &o->items[i];
    return NULL;
}

UNUSED static kept *make_kept(own *o, const char *kind, const char *name)
{
    kept *k = find_kept(o, kind, name);
    if (k)
        return k;
    assert_true(o->count < KEPT_MAX);
    char text[500];
    snprintf(text, sizeof(text), "%s %s", kind, name);
    k = &o->items[o->count++];
    *k = (kept){.name = dv_strdup(text), .bytes = DV_BUF_INIT(64u << 20)};
    return k;
}

UNUSED static void drop_kept(own *o, kept *k)
{
    free(k->name);
    dv_buf_clear(&k->bytes);
    *k = o->items[--o->count];
}

UNUSED static void set_kept(own *o, const char *kind, const char *name, const void *bytes, size_t size)
{
    kept *k = make_kept(o, kind, name);
    dv_buf_reset(&k->bytes);
    dv_buf_append(&k->bytes, bytes, size);
}

UNUSED static size_t count_kept(const own *o, const char *kind)
{
    size_t count = 0;
    for (size_t i = 0; i < o->count; i++)
        count += dv_str_starts(o->items[i].name, kind);
    return count;
}

/* Whether this call fails; tells a story every other time. */
UNUSED static bool fails(own *o, const char *function, davit_error **err)
{
    if (!o->any_thread)
        assert_true(pthread_equal(o->thread, pthread_self()));
    if (!o->fail || strcmp(o->fail, function) != 0 || o->calls++ != o->fail_at)
        return false;
    if (o->fail_at % 2 == 0)
        davit_error_set(err, o->fail_code, STORY);
    return true;
}

/* --- content ---------------------------------------------------------------------------------------------------------- */

UNUSED static int content_info(void *user_data, const davit_digest *digest, uint64_t *out_size,
                               davit_error **err)
{
    TABLE;
    own *o = user_data;
    const kept *k = find_kept(o, "blob", digest->text);
    if (fails(o, "info", err))
        return o->fail_code;
    if (!k)
        return DAVIT_ENOTFOUND;
    *out_size = k->bytes.size;
    return 0;
}

typedef struct reading {
    own *own;
    const kept *kept;
    size_t at;
} reading;

UNUSED static int reading_read(void *user_data, void *bytes, size_t size, size_t *out_size, davit_error **err)
{
    TABLE;
    reading *r = user_data;
    size_t n = r->kept->bytes.size - r->at;
    n = n > size ? size : n;
    if (!r->own->any_thread && fails(r->own, "read", err))
        return r->own->fail_code;
    memcpy(bytes, dv_buf_text(&r->kept->bytes) + r->at, n);
    r->at += n;
    *out_size = n;
    return 0;
}

UNUSED static void reading_close(void *user_data)
{
    TABLE;
    reading *r = user_data;
    pthread_mutex_lock(&r->own->mutex);
    r->own->streams--;
    pthread_mutex_unlock(&r->own->mutex);
    free(r);
}

UNUSED static int content_open(void *user_data, const davit_digest *digest, davit_layer_stream *out,
                               davit_error **err)
{
    TABLE;
    own *o = user_data;
    const kept *k = find_kept(o, "blob", digest->text);
    if (!o->any_thread && fails(o, "open", err))
        return o->fail_code;
    if (!k)
        return DAVIT_ENOTFOUND;
    reading *r = dv_new(reading);
    *r = (reading){o, k, 0};
    pthread_mutex_lock(&o->mutex);
    o->streams++;
    pthread_mutex_unlock(&o->mutex);
    *out = (davit_layer_stream){sizeof(*out), r, reading_read, reading_close};
    return 0;
}

typedef struct writing {
    own *own;
    char *key;
} writing;

UNUSED static int writing_read_back(void *user_data, uint64_t at, void *bytes, size_t size, size_t *out_size,
                                    davit_error **err)
{
    TABLE;
    writing *w = user_data;
    const kept *k = find_kept(w->own, "ingest", w->key);
    if (fails(w->own, "read_back", err))
        return w->own->fail_code;
    size_t n = k->bytes.size - (size_t)at;
    *out_size = n > size ? size : n;
    memcpy(bytes, dv_buf_text(&k->bytes) + at, *out_size);
    return 0;
}

UNUSED static int writing_write(void *user_data, const void *bytes, size_t size, davit_error **err)
{
    TABLE;
    writing *w = user_data;
    if (fails(w->own, "write", err))
        return w->own->fail_code;
    dv_buf_append(&make_kept(w->own, "ingest", w->key)->bytes, bytes, size);
    return 0;
}

UNUSED static int writing_restart(void *user_data, davit_error **err)
{
    TABLE;
    writing *w = user_data;
    kept *k = find_kept(w->own, "ingest", w->key);
    if (fails(w->own, "restart", err))
        return w->own->fail_code;
    if (k)
        dv_buf_reset(&k->bytes);
    return 0;
}

/* What is committed must be what it is called. */
UNUSED static int writing_commit(void *user_data, const davit_digest *digest, uint64_t size, davit_error **err)
{
    TABLE;
    writing *w = user_data;
    own *o = w->own;
    kept *k = make_kept(o, "ingest", w->key);
    davit_digest got;
    if (fails(o, "commit", err))
        return o->fail_code;
    assert_int_equal(davit_digest_of(digest->algorithm, dv_buf_text(&k->bytes), k->bytes.size, &got, NULL), 0);
    assert_string_equal(got.text, digest->text);
    assert_int_equal(k->bytes.size, size);
    set_kept(o, "blob", digest->text, dv_buf_text(&k->bytes), k->bytes.size);
    drop_kept(o, find_kept(o, "ingest", w->key));
    dv_buf_printf(&o->log, "commit %.*s\n", (int)strcspn(w->key, "-"), w->key);
    return 0;
}

UNUSED static void writing_close(void *user_data)
{
    TABLE;
    writing *w = user_data;
    w->own->writers--;
    free(w->key);
    free(w);
}

UNUSED static int content_writer(void *user_data, const char *key, const davit_descriptor *descriptor,
                                 davit_content_writer *out, davit_error **err)
{
    TABLE;
    own *o = user_data;
    const kept *k = find_kept(o, "ingest", key);
    if (fails(o, "writer", err))
        return o->fail_code;
    if (find_kept(o, "blob", descriptor->digest.text))
        return DAVIT_EEXIST;
    writing *w = dv_new(writing);
    *w = (writing){o, dv_strdup(key)};
    o->writers++;
    *out = (davit_content_writer){.size = sizeof(*out),
                                  .user_data = w,
                                  .offset = k ? k->bytes.size : 0,
                                  .read_back = writing_read_back,
                                  .write = writing_write,
                                  .restart = o->cannot_restart ? NULL : writing_restart,
                                  .commit = writing_commit,
                                  .close = writing_close};
    return 0;
}

UNUSED static int content_abort(void *user_data, const char *key, davit_error **err)
{
    TABLE;
    own *o = user_data;
    kept *k = find_kept(o, "ingest", key);
    if (fails(o, "abort", err))
        return o->fail_code;
    if (k)
        drop_kept(o, k);
    dv_buf_printf(&o->log, "abort %.*s\n", (int)strcspn(key, "-"), key);
    return 0;
}

UNUSED static int give_kept(const kept *k, davit_write_fn give, void *give_data)
{
    size_t half = k ? k->bytes.size / 2 : 0;
    if (!k)
        return DAVIT_ENOTFOUND;
    if (give(dv_buf_text(&k->bytes), half, give_data) == 0)
        give(dv_buf_text(&k->bytes) + half, k->bytes.size - half, give_data);
    return 0;
}

UNUSED static int content_get_label(void *user_data, const davit_digest *digest, const char *label,
                                    davit_write_fn give, void *give_data, davit_error **err)
{
    TABLE;
    own *o = user_data;
    char name[400];
    snprintf(name, sizeof(name), "%s %s", label, digest->text);
    if (fails(o, "get_label", err))
        return o->fail_code;
    return give_kept(find_kept(o, "label", name), give, give_data);
}

UNUSED static int content_set_label(void *user_data, const davit_digest *digest, const char *label,
                                    const char *value, davit_error **err)
{
    TABLE;
    own *o = user_data;
    char name[400];
    snprintf(name, sizeof(name), "%s %s", label, digest->text);
    if (fails(o, "set_label", err))
        return o->fail_code;
    set_kept(o, "label", name, value, strlen(value));
    return 0;
}

/* --- the others -------------------------------------------------------------------------------------------------------- */

UNUSED static int images_put(void *user_data, const davit_digest *id, const void *bytes, size_t size,
                             davit_error **err)
{
    TABLE;
    own *o = user_data;
    if (fails(o, "put", err))
        return o->fail_code;
    set_kept(o, "image", id->text, bytes, size);
    dv_buf_puts(&o->log, "image\n");
    return 0;
}

UNUSED static int images_get(void *user_data, const davit_digest *id, davit_write_fn give, void *give_data,
                             davit_error **err)
{
    TABLE;
    own *o = user_data;
    if (fails(o, "get", err))
        return o->fail_code;
    return give_kept(find_kept(o, "image", id->text), give, give_data);
}

UNUSED static int references_get(void *user_data, const davit_reference *ref, davit_digest *out_id,
                                 davit_error **err)
{
    TABLE;
    own *o = user_data;
    const kept *k = find_kept(o, "ref", davit_reference_text(ref));
    if (fails(o, "get_ref", err))
        return o->fail_code;
    return k ? davit_digest_parse(dv_buf_text(&k->bytes), out_id, err) : DAVIT_ENOTFOUND;
}

UNUSED static int references_by_name(void *user_data, const davit_reference *name, davit_association_fn give,
                                     void *give_data, davit_error **err)
{
    TABLE;
    own *o = user_data;
    if (fails(o, "by_name", err))
        return o->fail_code;
    for (size_t i = 0; i < o->count; i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        davit_digest id;
        if (!dv_str_starts(o->items[i].name, "ref ") ||
            davit_reference_parse(o->items[i].name + 4, &ref, NULL) < 0 ||
            strcmp(davit_reference_name(ref), davit_reference_name(name)) != 0)
            continue;
        assert_int_equal(davit_digest_parse(dv_buf_text(&o->items[i].bytes), &id, NULL), 0);
        if (give(ref, &id, give_data) != 0)
            break;
    }
    return 0;
}

UNUSED static int add_reference(own *o, const davit_reference *ref, const davit_digest *id, const char *what)
{
    set_kept(o, "ref", davit_reference_text(ref), id->text, strlen(id->text));
    dv_buf_printf(&o->log, "%s\n", what);
    return 0;
}

UNUSED static int references_add_tag(void *user_data, const davit_reference *ref, const davit_digest *id,
                                     bool force, davit_error **err)
{
    TABLE;
    own *o = user_data;
    assert_true(force);
    return fails(o, "add_tag", err) ? o->fail_code : add_reference(o, ref, id, "tag");
}

UNUSED static int references_add_digest(void *user_data, const davit_reference *ref, const davit_digest *id,
                                        bool force, davit_error **err)
{
    TABLE;
    own *o = user_data;
    return fails(o, "add_digest", err) ? o->fail_code : add_reference(o, ref, id, "digest");
}

UNUSED static int metadata_get(void *user_data, const char *space, const char *key, davit_write_fn give,
                               void *give_data, davit_error **err)
{
    TABLE;
    own *o = user_data;
    pthread_mutex_lock(&o->mutex);
    int r =
        fails(o, "metadata_get", err) ? o->fail_code : give_kept(find_kept(o, space, key), give, give_data);
    pthread_mutex_unlock(&o->mutex);
    return r;
}

UNUSED static int metadata_set(void *user_data, const char *space, const char *key, const void *bytes,
                               size_t size, davit_error **err)
{
    TABLE;
    own *o = user_data;
    pthread_mutex_lock(&o->mutex);
    bool failed = fails(o, "metadata_set", err);
    if (!failed)
        set_kept(o, space, key, bytes, size);
    pthread_mutex_unlock(&o->mutex);
    return failed ? o->fail_code : 0;
}

UNUSED static int metadata_remove(void *user_data, const char *space, const char *key, davit_error **err)
{
    TABLE;
    own *o = user_data;
    pthread_mutex_lock(&o->mutex);
    kept *k = find_kept(o, space, key);
    if (k)
        drop_kept(o, k);
    pthread_mutex_unlock(&o->mutex);
    return 0;
}

UNUSED static void own_progress(const davit_progress *event, void *user_data)
{
    TABLE;
    own *o = user_data;
    size_t at = strlen(o->told);
    if (!event->has_counts)
        snprintf(o->told + at, sizeof(o->told) - at, "%s\n", event->action ? event->action : "aux");
}

UNUSED static void own_event(const char *event, const char *ref, const char *name, void *user_data)
{
    own *o = user_data;
    size_t at = strlen(o->events);
    snprintf(o->events + at, sizeof(o->events) - at, "%s %s %s\n", event, ref, name);
}

UNUSED static own *own_new(void)
{
    own *o = dv_new(own);
    *o = (own){
        .log = DV_BUF_INIT(1u << 16),
        .thread = pthread_self(),
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .content = {sizeof(o->content), o, content_info, content_open, content_writer, content_abort,
                    content_get_label, content_set_label},
        .images = {sizeof(o->images), o, images_put, images_get},
        .references = {sizeof(o->references), o, references_get, references_by_name, references_add_tag,
                       references_add_digest},
        .metadata = {sizeof(o->metadata), o, metadata_get, metadata_set, metadata_remove},
        .config = {.version = DAVIT_DISTRIBUTION_CONFIG_VERSION,
                   .progress = own_progress,
                   .log_image_event = own_event,
                   .user_data = o,
                   .images = &o->images,
                   .references = &o->references},
    };
    return o;
}

UNUSED static void own_free(own *o)
{
    if (!o)
        return;
    assert_int_equal(o->writers, 0);
    assert_int_equal(o->streams, 0);
    while (o->count > 0)
        drop_kept(o, &o->items[o->count - 1]);
    dv_buf_clear(&o->log);
    free(o);
}
DV_DEFINE_AUTOPTR(own, own_free)

/* An image whose layers are plain bytes, with the diff_ids that these have. */
UNUSED static image plain_image(size_t layers, unsigned seed)
{
    image i = {.layer_count = layers};
    DV_AUTO(dv_buf) config = DV_BUF_INIT(1u << 16), manifest = DV_BUF_INIT(1u << 16);
    dv_buf_puts(&config, "{" LINUX "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t k = 0; k < layers; k++) {
        i.layers[k] = blob_make(3000 + 100 * k, seed + (unsigned)k);
        i.layers[k].descriptor.media_type = DV_MEDIA_TYPE_OCI_LAYER;
        dv_buf_printf(&config, "%s\"%s\"", k ? "," : "", i.layers[k].descriptor.digest.text);
    }
    dv_buf_puts(&config, "]}}");
    i.config = blob_of_text(dv_buf_text(&config), DV_MEDIA_TYPE_OCI_CONFIG);
    dv_buf_puts(&manifest,
                "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_TYPE_OCI_MANIFEST "\",\"config\":");
    append_descriptor(&manifest, &i.config.descriptor);
    dv_buf_puts(&manifest, ",\"layers\":[");
    for (size_t k = 0; k < layers; k++) {
        dv_buf_puts(&manifest, k ? "," : "");
        append_descriptor(&manifest, &i.layers[k].descriptor);
    }
    dv_buf_puts(&manifest, "]}");
    i.manifest = blob_of_text(dv_buf_text(&manifest), DV_MEDIA_TYPE_OCI_MANIFEST);
    return i;
}

#endif
