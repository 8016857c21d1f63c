/* store/metadata_entry.c - see metadata_entry.h. */
#include "store/metadata_entry.h"

#include "util/buf.h"
#include "util/error.h"
#include "util/hash.h"
#include "util/hex.h"

#include <string.h>

#define SIGNED_MAX 4096 /* bytes of digest and repository */

void dv_metadata_entries_clear(dv_metadata_entries *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].repository);
    free(list->items);
    *list = (dv_metadata_entries){0};
}

int dv_metadata_entries_add(dv_metadata_entries *list, const davit_digest *digest, const char *repository,
                            const char *hmac, davit_error **err)
{
    dv_metadata_entry entry = {.digest = *digest, .repository = dv_strdup(repository)};
    dv_metadata_entry *grown =
        entry.repository ? dv_realloc_array(list->items, list->count + 1, sizeof(*grown)) : NULL;
    if (!grown) {
        free(entry.repository);
        return dv_error_oom(err);
    }
    if (hmac && strlen(hmac) < sizeof(entry.hmac))
        memcpy(entry.hmac, hmac, strlen(hmac) + 1);
    list->items = grown;
    list->items[list->count++] = entry;
    return 0;
}

void dv_metadata_entries_drop(dv_metadata_entries *list, size_t index)
{
    free(list->items[index].repository);
    list->count--;
    memmove(&list->items[index], &list->items[index + 1], (list->count - index) * sizeof(*list->items));
}

static bool compute(const char *key, const davit_digest *digest, const char *repository, uint8_t out[32])
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(SIGNED_MAX);
    dv_buf_puts(&text, digest->text);
    dv_buf_puts(&text, repository);
    return !text.failed && dv_hmac_sha256(key, strlen(key), dv_buf_text(&text), text.size, out);
}

int dv_metadata_sign(const char *key, const davit_digest *digest, const char *repository,
                     char out[DV_METADATA_HMAC_MAX], davit_error **err)
{
    uint8_t bytes[32];
    if (!*key) {
        out[0] = '\0';
        return 0;
    }
    if (!compute(key, digest, repository, bytes))
        return dv_error_oom(err);
    dv_hex_encode(bytes, sizeof(bytes), out);
    return 0;
}

bool dv_metadata_is_signed(const dv_metadata_entry *entry, const char *key)
{
    uint8_t have[32], want[32];
    if (!*entry->hmac || !*key)
        return !*entry->hmac && !*key;
    return strlen(entry->hmac) == DV_METADATA_HMAC_MAX - 1 &&
           dv_hex_decode(entry->hmac, have, sizeof(have)) &&
           compute(key, &entry->digest, entry->repository, want) &&
           dv_hash_bytes_equal(have, want, sizeof(have));
}

unsigned dv_metadata_likeness(const char *repository, const char *target)
{
    unsigned same = 0;
    for (;;) {
        size_t a = strcspn(repository, "/"), b = strcspn(target, "/");
        if (a != b || memcmp(repository, target, a) != 0)
            return same;
        same++;
        if (!repository[a] || !target[b])
            return same;
        repository += a + 1;
        target += b + 1;
    }
}

void dv_metadata_order(dv_metadata_entries *list, const char *key, const char *target)
{
    /* Insertion in the order newest first keeps that order among equals; a list has 50 entries. */
    for (size_t i = 0; i < list->count / 2; i++) {
        dv_metadata_entry other = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = other;
    }
    for (size_t i = 1; i < list->count; i++) {
        dv_metadata_entry entry = list->items[i];
        bool ours = dv_metadata_is_signed(&entry, key);
        unsigned alike = dv_metadata_likeness(entry.repository, target);
        size_t at = i;
        for (; at > 0; at--) {
            const dv_metadata_entry *before = &list->items[at - 1];
            bool before_ours = dv_metadata_is_signed(before, key);
            if (before_ours && !ours)
                break;
            if (before_ours == ours && dv_metadata_likeness(before->repository, target) >= alike)
                break;
            list->items[at] = list->items[at - 1];
        }
        list->items[at] = entry;
    }
}
