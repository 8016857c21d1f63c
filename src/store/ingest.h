/*
 * store/ingest.h - the only door into blobs/.
 *
 * An ingest is a partial file `ingest/<alg>-<hex>` under an OFD lock of its owner. States: open (bytes are written, the
 * digest runs along), then committed (checked, synced, renamed), closed (kept: the next owner resumes) or aborted
 * (removed). Whoever gets the lock checks that the path still names that inode and that blobs/ still lacks the blob.
 *
 * Written in order, the file's length is the finished prefix. Written in several ranges there is a text journal
 * `<name>.journal` beside it (first line "davit-ingest 1", discarded when unknown): it tells which spans are finished. The
 * digest always runs in order; bytes that arrive in order are hashed from the caller's memory, the others are read back
 * once when the prefix reaches them.
 *
 * A write that fails (DAVIT_ENOSPACE, DAVIT_EIO) leaves the ingest usable: what was finished before stays finished.
 *
 * Threads: one at a time for one ingest (a strand); different ingests are independent.
 */
#ifndef DV_STORE_INGEST_H
#define DV_STORE_INGEST_H

#include "davit/descriptor.h"
#include "store/store.h"
#include "util/buf.h"

typedef struct dv_ingest dv_ingest;

/*
 * Become the owner of the ingest for this descriptor (size may be DAVIT_SIZE_UNKNOWN). What a dead owner left is kept;
 * a leftover longer than the size is truncated to nothing. DAVIT_EEXIST: the blob is in the store (of that size).
 * DAVIT_EBUSY: a live owner has it (another process, or this one). DAVIT_EUNSUPPORTED: sha384. DAVIT_ENOSPACE: the file
 * system has less room than the blob still needs. DAVIT_ESTORE: read-only.
 * Hashing what is there already is dv_ingest_resume()'s job, which may take long: call it on a worker.
 */
int dv_ingest_open(dv_store *s, const davit_descriptor *desc, dv_ingest **out, davit_error **err);
/* A nameless ingest `ingest/new-<random>` for the same descriptor: when the owner of the named one makes no progress. */
int dv_ingest_open_new(dv_store *s, const davit_descriptor *desc, dv_ingest **out, davit_error **err);
/*
 * A nameless ingest of bytes whose digest is learnt at the end, by this algorithm: load. size may be DAVIT_SIZE_UNKNOWN. Errors as above
 * without DAVIT_EEXIST and DAVIT_EBUSY. It becomes whatever blob its bytes are.
 */
int dv_ingest_open_unknown(dv_store *s, davit_digest_algorithm algorithm, uint64_t size, dv_ingest **out,
                           davit_error **err);
/*
 * The same under a name that is found again, `ingest/key-<hex of key>`: for bytes whose digest is learnt at the end, and that have been called
 * something else before (an image of a v1 registry). What a dead owner left is kept; DAVIT_EBUSY: a live owner has it. key: a sha256.
 */
int dv_ingest_open_keyed(dv_store *s, const davit_digest *key, dv_ingest **out, davit_error **err);
/*
 * Finished bytes of the named ingest, whoever owns it, by its journal if it has one; 0 when there is none. For watching
 * another owner's grow; when that owner dies it stops growing and dv_ingest_open() succeeds.
 */
uint64_t dv_ingest_peer_size(dv_store *s, const davit_digest *digest);
/* The file of the named ingest, for reading behind its owner, who says how far. -1: there is none. Unlike the owner's it holds no lock. */
int dv_ingest_open_peer(dv_store *s, const davit_digest *digest);

/* Hash the finished prefix from disk, once, after open. */
int dv_ingest_resume(dv_ingest *i, davit_error **err);
/* The same for who wants to see these bytes too. < 0 from see ends it. */
typedef int dv_ingest_see(void *user, const void *bytes, size_t size, davit_error **err);
int dv_ingest_replay(dv_ingest *i, dv_ingest_see *see, void *user, davit_error **err);
/* End of the finished prefix: where an in-order writer goes on. */
uint64_t dv_ingest_offset(const dv_ingest *i);
/* Bytes finished in all spans together. */
uint64_t dv_ingest_have(const dv_ingest *i);
/*
 * First unfinished span at or behind from: *out_end is exclusive (the size, or the start of the next finished span). False
 * when all is finished from there on, or the size is not known.
 */
bool dv_ingest_gap(const dv_ingest *i, uint64_t from, uint64_t *out_start, uint64_t *out_end);

/* Append at the end of the finished prefix. More than the descriptor's size: DAVIT_EDIGEST. */
int dv_ingest_write(dv_ingest *i, const void *bytes, size_t size, davit_error **err);
/*
 * Write anywhere within the known size, and remember it in the journal (made at the first call that is not at the end of
 * the prefix; appended without sync, at most 128 KiB of written bytes behind, all streams together). Bytes at the prefix
 * are hashed from memory. Bytes that are finished already are left as they are. Beyond the size: DAVIT_EDIGEST; without a
 * known size: DAVIT_EINVAL.
 */
int dv_ingest_write_at(dv_ingest *i, uint64_t offset, const void *bytes, size_t size, davit_error **err);
/* Forget all bytes and start over. */
int dv_ingest_reset(dv_ingest *i, davit_error **err);

/*
 * Check size and digest, sync, rename into blobs/ (0444). The directory is synced by dv_content_sync(). DAVIT_EDIGEST: wrong
 * size or digest; the bytes are removed then, and when they could not be synced (what is on disk is unknown then). After
 * other failures they are kept. A blob of that name is replaced by what was just checked: an equal one that appeared
 * meanwhile does no harm, a damaged one is healed. The ingest is freed, whatever the result.
 */
int dv_ingest_commit(dv_ingest *i, davit_error **err);
/* The digest over what has been written so far was wrong, or the owner gives up: remove (abort) or keep (close; an empty or
 * nameless one is removed too). Frees; NULL is fine. */
void dv_ingest_abort(dv_ingest *i);
void dv_ingest_close(dv_ingest *i);
/* Its bytes are at hand: what does not become a blob is removed, however it ends. */
void dv_ingest_keep_nothing(dv_ingest *i);
/* Like commit's checks, but the ingest stays open: 0 or DAVIT_EDIGEST. For a caller that wants to start over. */
int dv_ingest_verify(dv_ingest *i, davit_error **err);
/* All is written: the digest, after the same checks. */
int dv_ingest_digest(dv_ingest *i, davit_digest *out, davit_error **err);
/* A small document that was written in order, back into memory. DAVIT_ETOOBIG beyond max. */
int dv_ingest_read(const dv_ingest *i, size_t max, dv_buf *out, davit_error **err);
DV_DEFINE_AUTOPTR(dv_ingest, dv_ingest_close)

/* A small document that is all in memory: open, write, commit; fine when it is there already. A failure leaves nothing. */
int dv_content_put(dv_store *s, const davit_descriptor *desc, const void *bytes, davit_error **err);

#endif
