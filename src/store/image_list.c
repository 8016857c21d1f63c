/*
 * store/image_list.c - davit/store.h: the store as its visitors see it. A davit_store is a dv_store; an image is one row with
 * the references that lead to it. Spec: store.md 3, 5; DESIGN 6.
 */
#include "davit/store.h"

#include "store/content_store.h"
#include "store/digest_set.h"
#include "store/image_find.h"
#include "store/image_store.h"
#include "store/reference_store.h"

#include <string.h>

struct davit_image_list {
    davit_image *items;
    size_t count;
};

static dv_store *inner(davit_store *s)
{
    return (dv_store *)s;
}

int davit_store_open(const char *dir, uint32_t flags, davit_store **out, davit_error **err)
{
    if (flags & ~(DAVIT_STORE_READ_ONLY | DAVIT_STORE_CREATE))
        return dv_error_set(err, DAVIT_EINVAL, "unknown store flags 0x%x", flags);
    dv_store *s = NULL;
    int r = dv_store_open(dir,
                          (flags & DAVIT_STORE_READ_ONLY ? DV_STORE_READ_ONLY : 0) |
                              (flags & DAVIT_STORE_CREATE ? DV_STORE_CREATE : 0),
                          &s, err);
    if (r == 0)
        *out = (davit_store *)s;
    return r;
}

void davit_store_free(davit_store *store)
{
    dv_store_unref(inner(store));
}

/* --- lists --------------------------------------------------------------------------------------------------------- */

static void free_texts(const char *const *texts, size_t count)
{
    union {
        const char *const *borrowed;
        char **owned;
    } list = {texts};
    for (size_t i = 0; i < count; i++)
        free(list.owned[i]);
    free(list.owned);
}

void davit_image_list_free(davit_image_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++) {
        free_texts(list->items[i].tags, list->items[i].tag_count);
        free_texts(list->items[i].digests, list->items[i].digest_count);
    }
    free(list->items);
    free(list);
}
DV_DEFINE_AUTOPTR(davit_image_list, davit_image_list_free)

size_t davit_image_list_count(const davit_image_list *list)
{
    return list->count;
}

const davit_image *davit_image_list_at(const davit_image_list *list, size_t index)
{
    return index < list->count ? &list->items[index] : NULL;
}

static bool append_text(const char *const **list, size_t *count, const char *text)
{
    char *copy = dv_strdup(text);
    const char **grown = copy ? dv_realloc_array((void *)(uintptr_t)*list, *count + 1, sizeof(*grown)) : NULL;
    if (!grown) {
        free(copy);
        return false;
    }
    grown[(*count)++] = copy;
    *list = grown;
    return true;
}

/* References by what they name; those of one digest are chained in the order of their texts. */
typedef struct name_index {
    dv_reference_rows rows;
    dv_digest_set digests;
    size_t *first; /* by number of the digest: 1 + the row */
    size_t *next;  /* by row: likewise; 0 ends */
} name_index;

static void name_index_clear(name_index *names)
{
    dv_reference_rows_clear(&names->rows);
    dv_digest_set_clear(&names->digests);
    free(names->first);
    free(names->next);
}
DV_DEFINE_AUTO(name_index, name_index_clear)

static int name_index_fill(name_index *names, dv_store *s, davit_error **err)
{
    int r = dv_reference_store_list(s, &names->rows, err);
    if (r < 0)
        return r;
    names->first = dv_new_array(size_t, names->rows.count + 1);
    names->next = dv_new_array(size_t, names->rows.count + 1);
    if (!names->first || !names->next)
        return dv_error_oom(err);
    for (size_t i = names->rows.count; i-- > 0;) {
        uint32_t number;
        r = dv_digest_set_add(&names->digests, &names->rows.items[i].digest, &number, err);
        if (r < 0)
            return r;
        names->next[i] = names->first[number];
        names->first[number] = i + 1;
    }
    return 0;
}

static size_t first_name(const name_index *names, const davit_digest *digest)
{
    uint32_t number;
    if (digest->algorithm == DAVIT_DIGEST_NONE || !dv_digest_set_has(&names->digests, digest, &number))
        return 0;
    return names->first[number];
}

/* References name an image by its manifest, or by the index it came with: both in one order. */
static int fill_image(davit_image *image, const dv_image_row *row, const name_index *names, davit_error **err)
{
    *image = (davit_image){
        .manifest = row->manifest,
        .config = row->config,
        .index = row->index,
        .platform = row->platform,
        .size = row->size,
        .pulled_at_s = row->pulled_at_s,
    };
    size_t by_manifest = first_name(names, &row->manifest), by_index = first_name(names, &row->index);
    while (by_manifest || by_index) {
        bool takes_manifest = by_manifest && (!by_index || by_manifest < by_index);
        size_t *at = takes_manifest ? &by_manifest : &by_index;
        const char *text = names->rows.items[*at - 1].reference;
        bool ok = strchr(text, '@') ? append_text(&image->digests, &image->digest_count, text)
                                    : append_text(&image->tags, &image->tag_count, text);
        if (!ok)
            return dv_error_oom(err);
        *at = names->next[*at - 1];
    }
    return 0;
}

/* In the order of the rows. */
static int make_list(davit_store *store, const dv_image_row *rows, size_t count, davit_image_list **out,
                     davit_error **err)
{
    DV_AUTO(name_index) names = {0};
    DV_AUTOPTR(davit_image_list) list = dv_new(davit_image_list);
    if (!list || !(list->items = dv_new_array(davit_image, count)))
        return dv_error_oom(err);
    int r = name_index_fill(&names, inner(store), err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        list->count++;
        r = fill_image(&list->items[i], &rows[i], &names, err);
    }
    if (r == 0)
        *out = DV_STEAL(list);
    return r;
}

static int newest_first(const void *a, const void *b)
{
    const davit_image *x = a, *y = b;
    if (x->pulled_at_s != y->pulled_at_s)
        return x->pulled_at_s < y->pulled_at_s ? 1 : -1;
    return strcmp(x->manifest.text, y->manifest.text);
}

int davit_store_images(davit_store *store, davit_image_list **out, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    davit_image_list *list = NULL;
    int r = dv_image_store_list(inner(store), &rows, err);
    if (r == 0)
        r = make_list(store, rows.items, rows.count, &list, err);
    if (r < 0)
        return r;
    qsort(list->items, list->count, sizeof(*list->items), newest_first);
    *out = list;
    return 0;
}

/* --- finding ------------------------------------------------------------------------------------------------------- */

static bool platform_is(const davit_platform *have, const davit_platform *want)
{
    davit_platform a = *have, b = *want;
    davit_platform_normalize(&a);
    davit_platform_normalize(&b);
    return strcmp(a.os, b.os) == 0 && strcmp(a.architecture, b.architecture) == 0 &&
           (!*b.variant || strcmp(a.variant, b.variant) == 0);
}

/* The asked platform's image; without a question the host's, else the first pulled. NULL: not there. */
static const dv_image_row *choose(const dv_image_rows *rows, const davit_platform *platform)
{
    davit_platform host;
    davit_platform_host(&host);
    host.variant[0] = '\0';
    for (size_t i = 0; i < rows->count; i++)
        if (platform_is(&rows->items[i].platform, platform ? platform : &host))
            return &rows->items[i];
    return platform ? NULL : &rows->items[0];
}

int davit_store_find(davit_store *store, const char *name, const davit_platform *platform,
                     davit_image_list **out, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    int r = dv_image_find(inner(store), name, &rows, err);
    if (r < 0)
        return r;
    const dv_image_row *row = choose(&rows, platform);
    if (!row) {
        char text[DAVIT_PLATFORM_TEXT_MAX];
        return dv_error_set(err, DAVIT_ENOTFOUND, "No such image: %s for platform %s", name,
                            davit_platform_format(platform, text));
    }
    return make_list(store, row, 1, out, err);
}

int davit_store_resolve(davit_store *store, const char *name, davit_digest *out, davit_error **err)
{
    DV_AUTO(dv_reference_rows) references = {0};
    DV_AUTO(dv_image_rows) rows = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_image_find_reference(inner(store), name, &references, &why);
    if (r == 0)
        *out = references.items[0].digest;
    if (r != DAVIT_ENOTFOUND)
        return r < 0 ? dv_error_move(err, &why, r) : 0;
    r = dv_image_find_by_id(inner(store), name, &rows, err);
    if (r == 0)
        *out = rows.items[0].manifest;
    return r;
}

/* --- content ------------------------------------------------------------------------------------------------------- */

int davit_store_get_manifest(davit_store *store, const davit_digest *digest, davit_manifest **out,
                             davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = dv_content_read(inner(store), digest, DAVIT_MANIFEST_MAX, &bytes, err);
    return r < 0 ? r : davit_manifest_parse(dv_buf_text(&bytes), bytes.size, NULL, out, err);
}

int davit_store_get_config(davit_store *store, const davit_digest *digest, davit_image_config **out,
                           davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    int r = dv_content_read(inner(store), digest, DAVIT_IMAGE_CONFIG_MAX, &bytes, err);
    return r < 0 ? r : davit_image_config_parse(dv_buf_text(&bytes), bytes.size, out, err);
}

int davit_store_open_blob(davit_store *store, const davit_digest *digest, int *out_fd, uint64_t *out_size,
                          davit_error **err)
{
    return dv_content_open(inner(store), digest, DAVIT_SIZE_UNKNOWN, out_fd, out_size, err);
}
