/* store/layer_store.c - see layer_store.h: getting, listing and releasing layers (store.md 4). */
#include "store/layer_store.h"

#include "store/db.h"
#include "store/store_private.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/json.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define DESCRIPTOR_MAX (1u << 20) /* bytes of a row's text */

/* --- lists ----------------------------------------------------------------------------------------------------------- */

struct davit_layer_list {
    davit_layer_info *items;
    size_t count;
};

size_t davit_layer_list_count(const davit_layer_list *list)
{
    return list->count;
}

const davit_layer_info *davit_layer_list_at(const davit_layer_list *list, size_t index)
{
    return index < list->count ? &list->items[index] : NULL;
}

void davit_layer_list_free(davit_layer_list *list)
{
    if (!list)
        return;
    free(list->items);
    free(list);
}

static int list_add(davit_layer_list *list, const davit_layer_info *info, davit_error **err)
{
    davit_layer_info *item = dv_list_place(&list->items, list->count, sizeof(*item));
    if (!item)
        return dv_error_oom(err);
    *item = *info;
    list->count++;
    return 0;
}

/* --- descriptors ----------------------------------------------------------------------------------------------------- */

static bool put_urls(dv_json *object, const davit_layer_descriptor *d)
{
    if (d->url_count == 0)
        return true;
    dv_json *urls = dv_json_array_new();
    bool ok = urls != NULL;
    for (size_t i = 0; ok && i < d->url_count; i++)
        ok = dv_json_append_string(urls, d->urls[i]);
    if (ok)
        return dv_json_set(object, "urls", urls);
    dv_json_free(urls);
    return false;
}

int dv_layer_descriptor_format(const davit_layer_descriptor *d, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DESCRIPTOR_MAX);
    if (d && d->blob.digest.algorithm != DAVIT_DIGEST_NONE) {
        DV_AUTOPTR(dv_json) object = dv_json_object_new();
        bool sized = d->blob.size <= INT64_MAX;
        if (!object ||
            !dv_json_set_string(object, "mediaType", d->blob.media_type ? d->blob.media_type : "") ||
            !dv_json_set_string(object, "digest", d->blob.digest.text) ||
            (sized && !dv_json_set_integer(object, "size", (int64_t)d->blob.size)) || !put_urls(object, d))
            return dv_error_oom(err);
        dv_json_format(object, 0, /* html_safe= */ false, &text);
    }
    char *taken = dv_buf_take(&text);
    if (!taken)
        return text.failed == DAVIT_ETOOBIG
                   ? dv_error_set(err, DAVIT_ETOOBIG, "a layer's descriptor is longer than %u bytes",
                                  DESCRIPTOR_MAX)
                   : dv_error_oom(err);
    *out = taken;
    return 0;
}

static void free_urls(const char *const *urls, size_t count)
{
    union {
        const char *const *borrowed;
        char **owned;
    } list = {urls};
    for (size_t i = 0; i < count; i++)
        free(list.owned[i]);
    free(list.owned);
}

void dv_layer_descriptor_clear(davit_layer_descriptor *d)
{
    free_urls(d->urls, d->url_count);
    free((char *)(uintptr_t)d->blob.media_type);
    *d = (davit_layer_descriptor){0};
}

static int parse_urls(const dv_json *array, davit_layer_descriptor *d, davit_error **err)
{
    size_t count = array ? dv_json_count(array) : 0;
    if (count == 0)
        return 0;
    char **urls = dv_new_array(char *, count);
    if (!urls)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        const char *text = dv_json_string(dv_json_at(array, i), NULL);
        urls[i] = dv_strdup(text ? text : "");
        if (!urls[i]) {
            free_urls((const char *const *)urls, i);
            return dv_error_oom(err);
        }
    }
    d->urls = (const char *const *)urls;
    d->url_count = count;
    return 0;
}

typedef struct fields {
    const char *media_type, *digest;
    int64_t size;
    const dv_json *urls;
} fields;

static const dv_json_field descriptor_fields[] = {
    {"mediaType", DV_FIELD_STRING, offsetof(fields, media_type), true},
    {"digest", DV_FIELD_STRING, offsetof(fields, digest), true},
    {"size", DV_FIELD_INT64, offsetof(fields, size), false},
    {"urls", DV_FIELD_ARRAY, offsetof(fields, urls), false},
    {0},
};

int dv_layer_descriptor_parse(const char *text, davit_layer_descriptor *out, bool *out_has, davit_error **err)
{
    DV_AUTOPTR(dv_json) tree = NULL;
    const dv_json_limits limits = {.max_bytes = DESCRIPTOR_MAX};
    davit_layer_descriptor d = {0};
    fields f = {.size = -1};
    *out_has = false;
    if (*text == '\0')
        return 0;
    int r = dv_json_parse(text, strlen(text), &limits, NULL, &tree, err);
    if (r == 0)
        r = dv_json_decode(tree, descriptor_fields, &f, err);
    if (r == 0)
        r = davit_digest_parse(f.digest, &d.blob.digest, err);
    if (r == 0)
        r = parse_urls(f.urls, &d, err);
    if (r < 0)
        return r == DAVIT_ENOMEM
                   ? r
                   : dv_error_set(err, DAVIT_ESTORE, "the row of a layer has a malformed descriptor");
    d.blob.size = f.size < 0 ? DAVIT_SIZE_UNKNOWN : (uint64_t)f.size;
    d.blob.media_type = dv_strdup(f.media_type);
    if (!d.blob.media_type) {
        dv_layer_descriptor_clear(&d);
        return dv_error_oom(err);
    }
    *out = d;
    *out_has = true;
    return 0;
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

davit_layer_store *dv_layer_store_ref(davit_layer_store *l)
{
    atomic_fetch_add_explicit(&l->references, 1, memory_order_relaxed);
    return l;
}

void davit_layer_store_free(davit_layer_store *layers)
{
    if (!layers || atomic_fetch_sub_explicit(&layers->references, 1, memory_order_acq_rel) > 1)
        return;
    dv_lease_release(layers->lease);
    dv_store_unref(layers->store);
    free(layers);
}
int dv_layer_store_open_as_is(dv_store *s, davit_layer_store **out, davit_error **err)
{
    DV_AUTOPTR(davit_layer_store) l = dv_new(davit_layer_store);
    if (!l)
        return dv_error_oom(err);
    atomic_init(&l->references, 1);
    l->store = dv_store_ref(s);
    int r = s->read_only ? 0 : dv_lease_open(s, &l->lease, err);
    if (r == 0)
        *out = DV_STEAL(l);
    return r;
}

int davit_layer_store_open(davit_store *store, davit_layer_store **out, davit_error **err)
{
    dv_store *s = (dv_store *)store;
    DV_AUTOPTR(davit_layer_store) l = NULL;
    int r = dv_layer_store_open_as_is(s, &l, err);
    if (r == 0 && !s->read_only)
        r = dv_layer_sweep(s, err);
    if (r == 0)
        *out = DV_STEAL(l);
    return r;
}

void davit_layer_free(davit_layer *layer)
{
    if (!layer)
        return;
    davit_layer_store_free(layer->layers);
    dv_layer_descriptor_clear(&layer->descriptor);
    free(layer->path);
    free(layer);
}

const davit_layer_info *davit_layer_get_info(const davit_layer *layer)
{
    return &layer->info;
}

const davit_layer_descriptor *davit_layer_get_descriptor(const davit_layer *layer)
{
    return layer->has_descriptor ? &layer->descriptor : NULL;
}

const char *davit_layer_get_path(const davit_layer *layer)
{
    return layer->path;
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

int dv_layer_not_there(davit_error **err)
{
    return dv_error_set(err, DAVIT_ENOTFOUND, "layer does not exist");
}

void dv_layer_name(const davit_digest *chain, bool diff, char out[DV_LAYER_NAME_MAX])
{
    snprintf(out, DV_LAYER_NAME_MAX, "layers/%s%s", davit_digest_hex(chain), diff ? "/diff" : "");
}

static int set_path(davit_layer *layer, davit_error **err)
{
    char name[DV_LAYER_NAME_MAX];
    dv_store *s = layer->layers->store;
    DV_AUTO(dv_buf) path = DV_BUF_INIT(SIZE_MAX / 2);
    dv_layer_name(&layer->info.chain_id, /* diff= */ true, name);
    dv_buf_printf(&path, "%s/%s", dv_store_path(s), name);
    layer->path = dv_buf_take(&path);
    return layer->path ? 0 : dv_error_oom(err);
}

static int read_row(const dv_rows *rows, davit_layer *layer, davit_error **err)
{
    davit_layer_info *info = &layer->info;
    int r = dv_rows_digest(rows, 0, &info->chain_id, err);
    if (r == 0)
        r = dv_rows_digest(rows, 1, &info->parent, err);
    if (r == 0)
        r = dv_rows_digest(rows, 2, &info->diff_id, err);
    if (r == 0)
        r = dv_rows_digest(rows, 3, &layer->blob, err);
    if (r == 0)
        r = dv_layer_descriptor_parse(dv_rows_text(rows, 4), &layer->descriptor, &layer->has_descriptor, err);
    layer->depth = (unsigned)dv_rows_integer(rows, 5);
    info->diff_size = (uint64_t)dv_rows_integer(rows, 6);
    info->size = (uint64_t)dv_rows_integer(rows, 7);
    return r;
}

static const char select_layer[] =
    "SELECT chain, parent, diff_id, blob, descriptor, depth, size,"
    " (WITH RECURSIVE down (chain, parent, size) AS (SELECT chain, parent, size FROM layer WHERE chain = ?1"
    " UNION SELECT l.chain, l.parent, l.size FROM layer l JOIN down ON l.chain = down.parent)"
    " SELECT sum(size) FROM down) FROM layer WHERE chain = ?1";

int dv_layer_load(davit_layer_store *l, const davit_digest *chain, davit_layer **out, davit_error **err)
{
    DV_AUTOPTR(davit_layer) layer = dv_new(davit_layer);
    if (!layer)
        return dv_error_oom(err);
    layer->layers = dv_layer_store_ref(l);
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(l->store->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(l->store->db, select_layer, &DV_TEXT(chain->text), 1, &rows, err);
    if (r == 0)
        r = dv_rows_next(rows, err);
    if (r == 0)
        return dv_layer_not_there(err);
    if (r == 1)
        r = read_row(rows, layer, err);
    if (r == 0)
        r = set_path(layer, err);
    if (r == 0)
        *out = DV_STEAL(layer);
    return r;
}

/* A row without its directory is a removal that nobody finished. */
static bool has_directory(const dv_store *s, const davit_digest *chain)
{
    char name[DV_LAYER_NAME_MAX];
    dv_layer_name(chain, /* diff= */ true, name);
    return faccessat(s->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* --- getting --------------------------------------------------------------------------------------------------------- */

static int get_held(davit_layer_store *l, const davit_digest *chain, davit_layer **out, davit_error **err)
{
    DV_AUTOPTR(davit_layer) layer = NULL;
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(l->store->db, l->lease ? DV_DB_WRITE_RELAXED : DV_DB_READ, &tx, err);
    if (r == 0)
        r = dv_layer_load(l, chain, &layer, err);
    if (r == 0 && !has_directory(l->store, chain))
        return dv_layer_not_there(err);
    if (r == 0 && l->lease)
        r = dv_lease_hold_layer(l->lease, chain, err);
    if (r == 0 && l->lease)
        r = dv_db_commit(&tx, err);
    if (r < 0)
        return r;
    atomic_store(&layer->held, true);
    *out = DV_STEAL(layer);
    return 0;
}

int davit_layer_store_get(davit_layer_store *layers, const davit_digest *chain_id, davit_layer **out,
                          davit_error **err)
{
    return get_held(layers, chain_id, out, err);
}

int davit_layer_get_parent(const davit_layer *layer, davit_layer **out, davit_error **err)
{
    if (layer->info.parent.algorithm != DAVIT_DIGEST_NONE)
        return get_held(layer->layers, &layer->info.parent, out, err);
    *out = NULL;
    return 0;
}

int davit_layer_store_list(davit_layer_store *layers, davit_layer_list **out, davit_error **err)
{
    DV_AUTOPTR(davit_layer_list) list = dv_new(davit_layer_list);
    if (!list)
        return dv_error_oom(err);
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(layers->store->db, DV_DB_READ, &tx, err);
    if (r < 0)
        return r;
    DV_AUTOPTR(dv_rows) rows = NULL;
    r = dv_db_query(layers->store->db, "SELECT chain FROM layer ORDER BY depth, chain", NULL, 0, &rows, err);
    while (r == 0 && (r = dv_rows_next(rows, err)) == 1) {
        DV_AUTOPTR(davit_layer) layer = NULL;
        DV_AUTOPTR(davit_error) why = NULL;
        davit_digest chain;
        r = dv_rows_digest(rows, 0, &chain, &why);
        if (r == 0)
            r = dv_layer_load(layers, &chain, &layer, &why);
        if (r == 0 && !has_directory(layers->store, &chain))
            r = dv_error_set(&why, DAVIT_ESTORE, "its directory is missing");
        if (r == DAVIT_ENOMEM)
            return dv_error_oom(err);
        if (r < 0)
            dv_warn("layer %s is left out: %s", dv_rows_text(rows, 0), davit_error_message(why));
        r = r == 0 ? list_add(list, &layer->info, err) : 0;
    }
    if (r == 0)
        *out = DV_STEAL(list);
    return r;
}

/* --- releasing ------------------------------------------------------------------------------------------------------- */

/* This one and what it alone needed below, as far as nobody else does. Within a transaction. */
static int remove_unneeded(davit_layer_store *l, const davit_digest *chain, davit_layer_list *list,
                           dv_layer_doomed *doomed, davit_error **err)
{
    davit_digest next = *chain;
    while (next.algorithm != DAVIT_DIGEST_NONE) {
        DV_AUTOPTR(davit_layer) layer = NULL;
        int r = dv_layer_is_needed(l->store, &next, err);
        if (r != 0)
            return r < 0 ? r : 0;
        r = dv_layer_load(l, &next, &layer, err);
        if (r == 0)
            r = list_add(list, &layer->info, err);
        if (r == 0)
            r = dv_layer_doom(l->store, &next, /* dry= */ false, doomed, err);
        if (r < 0)
            return r;
        next = layer->info.parent;
    }
    return 0;
}

static int release(davit_layer *layer, davit_layer_list *list, dv_layer_doomed *doomed, davit_error **err)
{
    davit_layer_store *l = layer->layers;
    const davit_digest *chain = &layer->info.chain_id;
    DV_AUTOPTR(davit_layer) row = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    int r = dv_db_begin(l->store->db, DV_DB_WRITE, &tx, err);
    if (r < 0)
        return r;
    r = dv_layer_load(l, chain, &row, &why);
    if (r < 0)
        return r == DAVIT_ENOTFOUND ? 0 : dv_error_move(err, &why, r);
    if (r == 0)
        r = atomic_load(&layer->held) ? dv_lease_drop_layer(l->lease, chain, err) : 0;
    if (r == 0)
        return dv_error_set(err, DAVIT_EINVAL, "layer not retained");
    if (r == 1)
        r = remove_unneeded(l, chain, list, doomed, err);
    if (r == 0)
        r = dv_db_commit(&tx, err);
    if (r < 0)
        dv_layer_doomed_undo(l->store, doomed);
    return r;
}

int davit_layer_release(davit_layer *layer, davit_layer_list **out, davit_error **err)
{
    dv_store *s = layer->layers->store;
    DV_AUTOPTR(davit_layer_list) list = dv_new(davit_layer_list);
    DV_AUTO(dv_layer_doomed) doomed = {0};
    if (!list)
        return dv_error_oom(err);
    int r = dv_store_check_writable(s, err);
    if (r < 0)
        return r;
    dv_lease_sweep_some(s); /* the dead need nothing */
    r = release(layer, list, &doomed, err);
    if (r < 0)
        return r;
    atomic_store(&layer->held, false);
    dv_layer_doomed_finish(s, &doomed);
    if (out)
        *out = DV_STEAL(list);
    return 0;
}
