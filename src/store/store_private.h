/* store/store_private.h - the inside of a dv_store, for the files of this folder. */
#ifndef DV_STORE_STORE_PRIVATE_H
#define DV_STORE_STORE_PRIVATE_H

#include "davit/digest.h"
#include "store/store.h"

#include <stdatomic.h>

#define DV_STORE_WAIT_MS 10000 /* how long we wait for another process's database or layout lock */

struct dv_store {
    atomic_uint references;
    char *path; /* absolute */
    int dirfd;
    int lock_fd; /* `lock`, held shared as long as the store is open */
    bool read_only;
    struct dv_db *db;
    /* By algorithm: renames into blobs/<alg> that we know of, and how many of them are on disk (content_store.c). */
    atomic_uint_fast64_t renamed[DAVIT_SHA512 + 1];
    atomic_uint_fast64_t synced[DAVIT_SHA512 + 1];
};

/* "cannot <doing> PATH/<name>: ..."; a read-only or forbidden place is DAVIT_ESTORE, a full one DAVIT_ENOSPACE. */
int dv_store_error(const dv_store *s, int errnum, const char *doing, const char *name, davit_error **err);
/* DAVIT_ESTORE for a store that is open for reading only, else 0. */
int dv_store_check_writable(const dv_store *s, davit_error **err);
/* Make one of the store's directories; fine when it is there. 0 or -errno. */
int dv_store_make_directory(const dv_store *s, const char *name);
/* Whether a file of the store is locked through another open file. Takes no lock. What cannot be opened counts as locked. */
bool dv_store_is_locked(const dv_store *s, const char *path);

#endif
