/* distribution/v1_task.c - see v1_task.h. Each task asks with a client of its own: one client asks one thing at a time. */
#include "distribution/v1_task.h"

#include "oci/media_type.h"
#include "oci/v1_image.h"
#include "store/metadata_store.h"
#include "store/v1_image_store.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_BYTES 96

/* --- hands -------------------------------------------------------------------------------------------------------------- */

/* A davit_progress_fn. Without memory the count is lost. */
static void on_bytes(const davit_progress *event, void *user_data)
{
    dv_v1_hand *h = user_data;
    dv_v1_event *e = event->kind == DAVIT_PROGRESS_LAYER ? dv_new(dv_v1_event) : NULL;
    if (!e)
        return;
    snprintf(e->id, sizeof(e->id), "%s", event->id);
    e->current = event->current;
    dv_queue_push(h->events, &e->node);
}

void dv_v1_hand_init(dv_v1_hand *h, davit_client *c, dv_store *store, dv_queue *events)
{
    *h = (dv_v1_hand){.events = events, .how = DAVIT_LOAD_OPTIONS_INIT};
    h->how.progress = on_bytes;
    h->how.user_data = h;
    h->load = (dv_load){
        .client = c, .options = &h->how, .loaded = &h->loaded, .store = dv_store_ref(store), .layout_fd = -1};
}

void dv_v1_hand_clear(dv_v1_hand *h)
{
    dv_load_clear(&h->load);
}

/* --- tags --------------------------------------------------------------------------------------------------------------- */

static davit_v1_tags *one_tag(const char *name, const char *id)
{
    DV_AUTOPTR(davit_v1_tags) tags = dv_new(davit_v1_tags);
    davit_v1_tag *items = dv_new_array(davit_v1_tag, 1);
    if (!tags || !items) {
        free(items);
        return NULL;
    }
    tags->items = items;
    tags->count = 1;
    items[0].name = name ? dv_strdup(name) : NULL;
    items[0].id = dv_strdup(id);
    return items[0].id && (items[0].name || !name) ? DV_STEAL(tags) : NULL;
}

static int read_tag(const davit_v1_repository *rep, const char *tag, davit_v1_tags **out, davit_error **err)
{
    DV_AUTOFREE char *id = NULL;
    int r = davit_v1_repository_get_image_id(davit_v1_repository_registry(rep), davit_v1_repository_path(rep),
                                             tag, davit_v1_repository_auth(rep), &id, err);
    if (r < 0)
        return r;
    *out = one_tag(tag, id);
    return *out ? 0 : dv_error_oom(err);
}

static int list(dv_v1_task *t, davit_error **err)
{
    dv_v1_wanted *w = t->wanted;
    int r = w->opened ? 0
                      : davit_v1_repository_open(t->client, w->name, DAVIT_V1_ACCESS_READ, NULL, 0, t->open,
                                                 &w->opened, err);
    if (r < 0)
        return r;
    if (w->id) {
        w->tags = one_tag(NULL, w->id);
        return w->tags ? 0 : dv_error_oom(err);
    }
    if (w->tag)
        return read_tag(w->opened, w->tag, &w->tags, err);
    return davit_v1_repository_list_tags(davit_v1_repository_registry(w->opened),
                                         davit_v1_repository_path(w->opened),
                                         davit_v1_repository_auth(w->opened), &w->tags, err);
}

/* --- ancestry ----------------------------------------------------------------------------------------------------------- */

static int check_ancestry(const char *id, const davit_v1_texts *ancestry, davit_error **err)
{
    if (ancestry->count == 0 || strcmp(ancestry->items[0], id) != 0)
        return dv_error_set(err, DAVIT_EFORMAT, "the ancestry of image %s does not begin with it", id);
    if (ancestry->count > DV_V1_DEPTH_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "image %s stands on %zu others, at most %d are allowed", id,
                            ancestry->count - 1, DV_V1_DEPTH_MAX - 1);
    for (size_t i = 0; i < ancestry->count; i++) {
        const char *one = ancestry->items[i];
        if (!dv_v1_id_is_valid(one))
            return dv_error_set(err, DAVIT_EFORMAT, "the ancestry of image %s has '%.80s', which is no id",
                                id, one);
        for (size_t k = 0; k < i; k++)
            if (strcmp(ancestry->items[k], one) == 0)
                return dv_error_set(err, DAVIT_EFORMAT, "the ancestry of image %s has %s twice", id, one);
    }
    return 0;
}

static int ask_ancestry(dv_v1_task *t, davit_v1_client *registry, davit_error **err)
{
    DV_AUTO(davit_v1_texts) ancestry = {.items = NULL};
    int r = davit_v1_image_get_ancestry(registry, t->id, davit_v1_repository_auth(t->wanted->opened),
                                        &ancestry, err);
    if (r == 0)
        r = check_ancestry(t->id, &ancestry, err);
    if (r < 0)
        return r;
    t->ancestry = ancestry;
    ancestry = (davit_v1_texts){.items = NULL}; /* moved */
    return 0;
}

/* --- json --------------------------------------------------------------------------------------------------------------- */

static int check_json(const davit_v1_image_json *json, const char *id, const char *parent, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    int r = davit_v1_image_metadata_parse(json->bytes, json->size, &m, err);
    if (r < 0)
        return dv_error_wrap(err, r, "image %s", id);
    if (!dv_str_equal(m->id ? m->id : "", id))
        return dv_error_set(err, DAVIT_EFORMAT, "the json of image %s says that it is '%.80s'", id,
                            m->id ? m->id : "");
    if (!dv_str_equal(m->parent ? m->parent : "", parent))
        return dv_error_set(err, DAVIT_EFORMAT, "the json of image %s has the parent '%.80s' and not '%s'",
                            id, m->parent ? m->parent : "", parent);
    if (memchr(json->bytes, '\0', json->size))
        return dv_error_set(err, DAVIT_EFORMAT, "the json of image %s has a NUL byte", id);
    return 0;
}

static int put_json(const dv_v1_task *t, const davit_v1_image_json *json, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT((size_t)DAVIT_V1_JSON_MAX + 1);
    DV_AUTO(dv_buf) checksums = DV_BUF_INIT(DAVIT_V1_JSON_MAX);
    for (size_t i = 0; i < json->checksums.count; i++)
        dv_buf_printf(&checksums, "%s%s", i ? " " : "", json->checksums.items[i]);
    dv_buf_append(&text, json->bytes, json->size);
    if (text.failed || checksums.failed)
        return dv_error_oom(err);
    return dv_v1_image_store_put(t->hand->load.store, dv_v1_wanted_registry(t->wanted), t->id, t->parent,
                                 dv_buf_text(&text), dv_buf_text(&checksums), json->layer_size, err);
}

static int ask_json(dv_v1_task *t, davit_v1_client *registry, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_json) json = NULL;
    int r = davit_v1_image_get_json(registry, t->id, davit_v1_repository_auth(t->wanted->opened), &json, err);
    if (r == 0)
        r = check_json(json, t->id, t->parent, err);
    if (r < 0)
        return r;
    t->json_size = json->size;
    return put_json(t, json, err);
}

/* --- layer -------------------------------------------------------------------------------------------------------------- */

typedef struct layer_write {
    dv_load_entry *entry;
    dv_hash *checksum;
    davit_error *err;
} layer_write;

/* A davit_write_fn. */
static int write_layer(const void *bytes, size_t size, void *user_data)
{
    layer_write *w = user_data;
    dv_hash_update(w->checksum, bytes, size);
    return dv_load_entry_write(w->entry, bytes, size, &w->err);
}

/* A dv_ingest_see. */
static int see_layer(void *user, const void *bytes, size_t size, davit_error **err)
{
    (void)err;
    dv_hash_update(((layer_write *)user)->checksum, bytes, size);
    return 0;
}

/* A layer without a byte is an empty tar: its end is two blocks. */
static int end_empty(dv_load_entry *e, davit_error **err)
{
    static const char blocks[1024];
    return dv_load_entry_write(e, blocks, sizeof(blocks), err);
}

/* json, with its checksums, as it was answered. */
static int recall_json(const dv_v1_image_row *row, davit_v1_image_json **out, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_json) json = dv_new(davit_v1_image_json);
    if (!json)
        return dv_error_oom(err);
    json->layer_size = row->layer.digest.algorithm ? DAVIT_SIZE_UNKNOWN : row->layer.size;
    json->size = strlen(row->json);
    json->bytes = dv_strdup(row->json);
    if (!json->bytes)
        return dv_error_oom(err);
    for (const char *at = row->checksums; *at; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        if (!dv_v1_texts_add(&json->checksums, at, size))
            return dv_error_oom(err);
        at += size;
    }
    *out = DV_STEAL(json);
    return 0;
}

/* What was kept of it by an earlier run. Only where it can be told that all bytes together are right. */
static int resume(const dv_v1_task *t, const davit_v1_image_json *json, layer_write *w, uint64_t *out_first,
                  davit_error **err)
{
    DV_AUTO(dv_buf) name = DV_BUF_INIT(DV_V1_PATH_MAX);
    davit_digest key;
    *out_first = 0;
    if (json->layer_size == DAVIT_SIZE_UNKNOWN || !dv_v1_checksum_is_known(&json->checksums))
        return 0;
    dv_buf_printf(&name, "v1 %s %s", dv_v1_wanted_registry(t->wanted), t->id);
    if (name.failed)
        return dv_error_oom(err);
    int r = davit_digest_of(DAVIT_SHA256, dv_buf_text(&name), name.size, &key, err);
    if (r == 0)
        r = dv_load_entry_resume(w->entry, &key, see_layer, w, out_first, err);
    if (r == 0 && *out_first > json->layer_size)
        return dv_error_set(err, DAVIT_EPROTOCOL, "more was kept of it than it has");
    return r;
}

static int read_layer(const dv_v1_task *t, davit_v1_client *registry, const davit_v1_image_json *json,
                      layer_write *w, uint64_t *out_first, davit_error **err)
{
    davit_digest checksum;
    uint64_t size = 0;
    dv_v1_checksum_begin(w->checksum, json->bytes, json->size);
    int r = resume(t, json, w, out_first, err);
    bool whole = *out_first > 0 && *out_first == json->layer_size;
    if (r == 0 && !whole)
        r = dv_v1_image_get_layer_from(registry, t->id, davit_v1_repository_auth(t->wanted->opened),
                                       *out_first, *out_first ? json->layer_size : DAVIT_SIZE_UNKNOWN,
                                       write_layer, w, &size, err);
    if (w->err) /* says more than that the writing failed */
        dv_error_move(err, &w->err, r);
    if (r < 0)
        return r;
    dv_hash_final(w->checksum, &checksum);
    r = dv_v1_checksum_check(&json->checksums, &checksum, t->id, err);
    return r == 0 && size == 0 && !whole ? end_empty(w->entry, err) : r;
}

/* What a server says who does not go on from there, or not with the same bytes. */
static bool denies_resume(int r)
{
    return r == DAVIT_EPROTOCOL || r == DAVIT_EREGISTRY || dv_v1_reader_is_bad_input(r);
}

static int fetch_once(const dv_v1_task *t, davit_v1_client *registry, const davit_v1_image_json *json,
                      uint64_t *out_first, dv_load_content **out, davit_error **err)
{
    DV_AUTOPTR(dv_hash) checksum = dv_hash_new(DAVIT_SHA256);
    layer_write w = {.checksum = checksum};
    char path[PATH_MAX_BYTES];
    *out_first = 0;
    if (!checksum)
        return dv_error_oom(err);
    snprintf(path, sizeof(path), "%s/layer.tar", t->id);
    int r = dv_load_entry_new(&t->hand->load, path, DAVIT_SIZE_UNKNOWN, &w.entry, err);
    if (r < 0)
        return r;
    r = read_layer(t, registry, json, &w, out_first, err);
    if (r == 0)
        return dv_load_entry_finish(w.entry, out, err);
    if (dv_v1_reader_is_bad_input(r) || (*out_first > 0 && denies_resume(r)))
        dv_load_entry_free(w.entry);
    else
        dv_load_entry_suspend(w.entry);
    return r;
}

/* At most one restart, when what was kept cannot be gone on with. */
static int fetch(const dv_v1_task *t, davit_v1_client *registry, const davit_v1_image_json *json,
                 dv_load_content **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    uint64_t first;
    int r = fetch_once(t, registry, json, &first, out, &why);
    if (r < 0 && first > 0 && denies_resume(r))
        return fetch_once(t, registry, json, &first, out, err);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

/* The lease comes before the name, and the row behind both. */
static int keep(dv_v1_task *t, dv_load_content *c, davit_descriptor *out, davit_digest *out_diff_id,
                davit_error **err)
{
    dv_load *l = &t->hand->load;
    int r = dv_load_diff_id(l, NULL, c, out_diff_id, err);
    if (r == 0 && !l->lease)
        r = dv_lease_open(l->store, &l->lease, err);
    if (r == 0)
        r = dv_lease_add(l->lease, &c->digest, 1, err);
    if (r == 0)
        r = dv_load_content_publish(c, err);
    if (r < 0)
        return r;
    if (c->compression != DV_COMPRESSION_NONE)
        dv_metadata_put_diff_id(l->store, &c->digest, out_diff_id, NULL); /* a cache */
    *out = (davit_descriptor){.media_type = dv_load_layer_type(c), .digest = c->digest, .size = c->size};
    return 0;
}

/* A checksum that does not fit may have been a wrong one: it is asked for again the next time. */
static void doubt(const dv_v1_task *t, int r)
{
    if (r == DAVIT_EDIGEST)
        dv_v1_image_store_delete(t->hand->load.store, dv_v1_wanted_registry(t->wanted), t->id, NULL);
}

static int fetch_and_keep(dv_v1_task *t, davit_v1_client *registry, const dv_v1_image_row *row,
                          davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_json) json = NULL;
    dv_load_content *content = NULL;
    davit_digest diff_id;
    int r = recall_json(row, &json, err);
    if (r == 0)
        r = fetch(t, registry, json, &content, err);
    if (r == 0)
        r = keep(t, content, &t->layer, &diff_id, err);
    dv_load_content_unref(content);
    if (r == 0)
        r = dv_v1_image_store_put_layer(t->hand->load.store, dv_v1_wanted_registry(t->wanted), t->id,
                                        &t->layer, &diff_id, err);
    doubt(t, r);
    return r;
}

static int ask_layer(dv_v1_task *t, davit_v1_client *registry, davit_error **err)
{
    DV_AUTO(dv_v1_image_row) row = DV_V1_IMAGE_ROW_INIT;
    int r = dv_v1_image_store_get(t->hand->load.store, dv_v1_wanted_registry(t->wanted), t->id, &row, err);
    if (r == 0)
        r = fetch_and_keep(t, registry, &row, err);
    if (r == 0 && row.layer.digest.algorithm && !davit_digest_equal(&row.layer.digest, &t->layer.digest))
        r = dv_error_set(err, DAVIT_EPROTOCOL,
                         "the registry has other bytes for it than before; run it again");
    return r < 0 && r != DAVIT_EDIGEST ? dv_error_wrap(err, r, "layer of image %s", t->id)
                                       : r; /* which says whose it is */
}

/* --- a task ------------------------------------------------------------------------------------------------------------- */

static int ask(dv_v1_task *t, davit_error **err)
{
    DV_AUTOPTR(davit_v1_client) registry = NULL;
    if (t->kind == DV_V1_TASK_LIST)
        return list(t, err);
    if (!dv_v1_id_is_valid(t->id))
        return dv_error_set(err, DAVIT_EFORMAT, "'%.80s' is no image id", t->id);
    const davit_v1_client *opened = davit_v1_repository_registry(t->wanted->opened);
    int r = davit_v1_client_new(t->client, davit_v1_client_base_url(opened), &registry, err);
    if (r < 0)
        return r;
    switch (t->kind) {
    case DV_V1_TASK_ANCESTRY:
        return ask_ancestry(t, registry, err);
    case DV_V1_TASK_JSON:
        return ask_json(t, registry, err);
    case DV_V1_TASK_LAYER:
        return ask_layer(t, registry, err);
    case DV_V1_TASK_LIST:
        break;
    }
    return 0;
}

static void run(dv_work *work)
{
    dv_v1_task *t = (dv_v1_task *)work;
    t->result = ask(t, &t->err);
    dv_queue_push(t->hand->events, &t->end.node);
}

void dv_v1_task_submit(dv_v1_task *t, dv_v1_hand *hand, dv_workpool *pool)
{
    t->work.run = run;
    t->end.ended = t;
    t->hand = hand;
    t->started = true;
    hand->busy = true;
    dv_workpool_submit(pool, &t->work);
}

void dv_v1_task_clear(dv_v1_task *t)
{
    davit_v1_texts_clear(&t->ancestry);
    davit_error_free(t->err);
}
