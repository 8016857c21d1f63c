/*
 * store/store.h - the local store: one directory, many processes.
 *
 * Lock order, everywhere: `lock` (layout) -> lease file -> ingest lock -> database transaction. Locks are OFD locks: they
 * die with the process (threats C10).
 */
#ifndef DV_STORE_STORE_H
#define DV_STORE_STORE_H

#include "davit/digest.h"
#include "util/error.h"

#include <stdbool.h>

typedef struct dv_store dv_store;
struct dv_db;

#define DV_STORE_LAYOUT_VERSION 1

enum {
    DV_STORE_CREATE = 1u << 0,    /* make what is missing */
    DV_STORE_READ_ONLY = 1u << 1, /* nothing is written; a read-only mount is opened immutable */
};

/*
 * Open a store. Without DV_STORE_CREATE a missing directory is DAVIT_ENOTFOUND. A read-only file system without
 * DV_STORE_READ_ONLY is DAVIT_ESTORE naming it; a layout newer than ours is DAVIT_ESTORE. The database is opened on first
 * use. Threads: any.
 */
int dv_store_open(const char *path, unsigned flags, dv_store **out, davit_error **err);
dv_store *dv_store_ref(dv_store *s);
void dv_store_unref(dv_store *s);
DV_DEFINE_AUTOPTR(dv_store, dv_store_unref)

const char *dv_store_path(const dv_store *s);
bool dv_store_is_read_only(const dv_store *s);
int dv_store_dirfd(const dv_store *s);
/* The database, opened now if need be. Borrowed. */
int dv_store_db(dv_store *s, struct dv_db **out, davit_error **err);

/*
 * A live lease: what it names is not collected while this process lives. Released by dv_lease_release() or death. Opening
 * one removes what up to DV_LEASE_SWEEP_MAX dead ones left. Threads: one at a time for one lease.
 */
#define DV_LEASE_SWEEP_MAX 64
typedef struct dv_lease dv_lease;
int dv_lease_open(dv_store *s, dv_lease **out, davit_error **err);
/* Name blobs in the lease, one transaction; before anybody looks for them (DESIGN 6). */
int dv_lease_add(dv_lease *l, const davit_digest *digests, size_t count, davit_error **err);
/* 32 hex digits: its file is leases/<name>. Borrowed. */
const char *dv_lease_name(const dv_lease *l);
/* One more reference to an unpacked layer, or one less. The latter gives 1, or 0 when there was none. Join the transaction of this thread. */
int dv_lease_hold_layer(dv_lease *l, const davit_digest *chain, davit_error **err);
int dv_lease_drop_layer(dv_lease *l, const davit_digest *chain, davit_error **err);
void dv_lease_release(dv_lease *l); /* NULL is fine */
DV_DEFINE_AUTOPTR(dv_lease, dv_lease_release)
/* Remove up to DV_LEASE_SWEEP_MAX dead leases. Reads one directory; nothing is written when there are none. */
void dv_lease_sweep_some(dv_store *s);
/* Remove files and rows of all dead leases, and rows without a file. out_removed may be NULL. For prune. */
int dv_lease_sweep(dv_store *s, size_t *out_removed, davit_error **err);

#endif
