/*
 * store/removal_list.c - see removal_list.h. A layer goes with the last image that has its chain (store.md 8): by the configs'
 * diff_ids, whatever blobs they came as.
 */
#include "store/removal_list.h"

#include "store/content_store.h"
#include "util/str.h"

#include <string.h>

/* --- the list -------------------------------------------------------------------------------------------------------- */

void dv_removals_cut(dv_removals *list, size_t count)
{
    while (list->count > count)
        free((char *)(uintptr_t)list->items[--list->count].text);
}

void dv_removals_clear(dv_removals *list)
{
    dv_removals_cut(list, 0);
    free(list->items);
    *list = (dv_removals){0};
}

int dv_removals_add(dv_removals *list, davit_removal_kind kind, const char *text, int code, davit_error **err)
{
    davit_removal *item = dv_list_place(&list->items, list->count, sizeof(*item));
    char *copy = item ? dv_strdup(text) : NULL;
    if (!copy)
        return dv_error_oom(err);
    list->count++;
    *item = (davit_removal){.kind = kind, .text = copy, .code = code};
    return 0;
}

size_t davit_removal_list_count(const davit_removal_list *list)
{
    return list->removals.count;
}

const davit_removal *davit_removal_list_at(const davit_removal_list *list, size_t index)
{
    return index < list->removals.count ? &list->removals.items[index] : NULL;
}

const davit_reclaimed *davit_removal_list_reclaimed(const davit_removal_list *list)
{
    return &list->reclaimed;
}

void davit_removal_list_free(davit_removal_list *list)
{
    if (!list)
        return;
    dv_removals_clear(&list->removals);
    free(list);
}

/* --- layers ---------------------------------------------------------------------------------------------------------- */

void dv_chain_counts_clear(dv_chain_counts *c)
{
    dv_digest_set_clear(&c->chains);
    free(c->images);
    *c = (dv_chain_counts){0};
}

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

/* 1: read; 0: it cannot be. */
static int read_config(dv_store *s, const davit_digest *id, davit_image_config **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    int r = dv_content_read(s, id, DAVIT_IMAGE_CONFIG_MAX, &bytes, NULL);
    if (r == 0)
        r = davit_image_config_parse(dv_buf_text(&bytes), bytes.size, out, NULL);
    return r == DAVIT_ENOMEM ? dv_error_oom(err) : r == 0;
}

/* The chain ids of an image, bottom first; none when its config cannot be read. free() *out. */
static int chains_of(dv_store *s, const davit_digest *config, davit_digest **out, size_t *out_count,
                     davit_error **err)
{
    DV_AUTOPTR(davit_image_config) parsed = NULL;
    size_t count = 0;
    *out = NULL;
    *out_count = 0;
    int r = read_config(s, config, &parsed, err);
    if (r <= 0)
        return r;
    const davit_digest *diff_ids = davit_image_config_diff_ids(parsed, &count);
    DV_AUTOFREE davit_digest *chains = dv_new_array(davit_digest, count + 1);
    if (!chains)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        const davit_digest two[] = {i ? chains[i - 1] : diff_ids[0], diff_ids[i]};
        r = i ? davit_chain_id(two, 2, &chains[i], err) : davit_chain_id(two, 1, &chains[0], err);
        if (r < 0)
            return r;
    }
    *out = DV_STEAL(chains);
    *out_count = count;
    return 0;
}

static int count_chain(dv_chain_counts *c, const davit_digest *chain, davit_error **err)
{
    uint32_t number;
    int r = dv_digest_set_add(&c->chains, chain, &number, err);
    if (r < 0)
        return r;
    if (number >= c->capacity) {
        uint32_t wanted = c->capacity ? 2 * c->capacity : 64;
        uint32_t *grown = dv_realloc_array(c->images, wanted, sizeof(*grown));
        if (!grown)
            return dv_error_oom(err);
        c->images = grown;
        c->capacity = wanted;
    }
    c->images[number] = r == 1 ? 1 : c->images[number] + 1;
    return 0;
}

static int count_image(dv_store *s, dv_chain_counts *c, const davit_digest *config, davit_error **err)
{
    DV_AUTOFREE davit_digest *chains = NULL;
    size_t count = 0;
    int r = chains_of(s, config, &chains, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = count_chain(c, &chains[i], err);
    return r;
}

/* Those that are still recorded, and those that went in this step. */
static int count_all(dv_store *s, dv_chain_counts *c, const dv_image_digests *deleted, davit_error **err)
{
    DV_AUTO(dv_image_digests) ids = {0};
    int r = dv_image_store_ids(s, NULL, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.count; i++)
        r = count_image(s, c, &ids.items[i], err);
    for (size_t i = 0; r == 0 && i < deleted->count; i++)
        r = count_image(s, c, &deleted->items[i], err);
    c->counted = r == 0;
    return r;
}

int dv_chain_counts_fill(dv_store *s, dv_chain_counts *counts, davit_error **err)
{
    return count_all(s, counts, &(dv_image_digests){0}, err);
}

static int add_layers_of(dv_store *s, dv_chain_counts *c, const davit_digest *config, dv_removals *list,
                         davit_error **err)
{
    DV_AUTOFREE davit_digest *chains = NULL;
    size_t count = 0;
    int r = chains_of(s, config, &chains, &count, err);
    for (size_t i = count; r == 0 && i-- > 0;) {
        uint32_t number;
        bool known = dv_digest_set_has(&c->chains, &chains[i], &number);
        if (known && c->images[number] > 0 && --c->images[number] == 0)
            r = dv_removals_add(list, DAVIT_REMOVAL_DELETED, chains[i].text, 0, err);
    }
    return r;
}

static int weave(dv_store *s, dv_chain_counts *c, const dv_image_digests *deleted, dv_removals *from,
                 dv_removals *to, davit_error **err)
{
    size_t next = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < from->count; i++) {
        const davit_removal *item = &from->items[i];
        r = dv_removals_add(to, item->kind, item->text, item->code, err);
        if (r == 0 && next < deleted->count && dv_str_equal(item->text, deleted->items[next].text))
            r = add_layers_of(s, c, &deleted->items[next++], to, err);
    }
    return r;
}

int dv_removals_add_layers(dv_store *s, dv_chain_counts *counts, const dv_image_digests *deleted,
                           dv_removals *list, davit_error **err)
{
    DV_AUTO(dv_removals) woven = {0};
    if (deleted->count == 0)
        return 0;
    int r = counts->counted ? 0 : count_all(s, counts, deleted, err);
    if (r == 0)
        r = weave(s, counts, deleted, list, &woven, err);
    if (r < 0)
        return r;
    dv_removals_clear(list);
    *list = woven;
    woven = (dv_removals){0};
    return 0;
}
