/*
 * store/metadata_entry.h - what is known of a layer's blobs: which digest which repository holds, and whose credentials saw it there.
 * Pure values; metadata_store.h keeps them. Spec: push.md 5, store.md 6.
 */
#ifndef DV_STORE_METADATA_ENTRY_H
#define DV_STORE_METADATA_ENTRY_H

#include "davit/digest.h"
#include "util/alloc.h"

#include <stdbool.h>

#define DV_METADATA_HMAC_MAX 65 /* 64 hex digits and a NUL */

typedef struct dv_metadata_entry {
    davit_digest digest;
    char *repository;                /* full name, or "" when only the digest is known */
    char hmac[DV_METADATA_HMAC_MAX]; /* "" when no credentials were there */
} dv_metadata_entry;

/* Oldest first, unless it was ordered. */
typedef struct dv_metadata_entries {
    dv_metadata_entry *items;
    size_t count;
} dv_metadata_entries;
void dv_metadata_entries_clear(dv_metadata_entries *list);
DV_DEFINE_AUTO(dv_metadata_entries, dv_metadata_entries_clear)
/* Append a copy. hmac NULL: "". */
int dv_metadata_entries_add(dv_metadata_entries *list, const davit_digest *digest, const char *repository,
                            const char *hmac, davit_error **err);
void dv_metadata_entries_drop(dv_metadata_entries *list, size_t index);

/* The mark of an entry seen with the credentials of this key (auth/hmac_key.h); "" for the empty key. */
int dv_metadata_sign(const char *key, const davit_digest *digest, const char *repository,
                     char out[DV_METADATA_HMAC_MAX], davit_error **err);
/* Whether it was seen with the credentials of this key. Of two that are empty: yes; of one: no. */
bool dv_metadata_is_signed(const dv_metadata_entry *entry, const char *key);
/* How many leading path components a repository shares with the target; the domain is one. */
unsigned dv_metadata_likeness(const char *repository, const char *target);
/* The order of candidates: those seen with these credentials, then the more alike, then the newer (push.md 5.1). */
void dv_metadata_order(dv_metadata_entries *list, const char *key, const char *target);

#endif
