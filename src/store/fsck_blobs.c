/*
 * store/fsck_blobs.c - see fsck.h: whether blobs are what their names say. Manifests and configs are hashed always, the others where
 * all are asked for; of the rest the size must be what their images say.
 *
 * A blob may be replaced by a good one, or go, at any time. So nothing is said about a file that does not have its name any more; and
 * a bad one is moved aside first, and moved back should it be another than the one that was looked at.
 */
#include "store/fsck.h"

#include "davit/image_config.h"
#include "store/content_store.h"
#include "store/db.h"
#include "store/image_store.h"
#include "store/store_private.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE (1u << 20) /* bytes read at once */
#define FLAW_SIZE 256
#define ATTEMPTS 3 /* each lost one means that the blob was replaced meanwhile */

typedef struct blob_check {
    dv_fsck *fsck;
    dv_digest_set configs;
    char *piece;
} blob_check;

static void blob_check_clear(blob_check *c)
{
    dv_digest_set_clear(&c->configs);
    free(c->piece);
}
DV_DEFINE_AUTO(blob_check, blob_check_clear)

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* --- judging --------------------------------------------------------------------------------------------------------- */

/* 0, or an errno. */
static int hash_file(blob_check *c, int fd, const davit_digest *digest, davit_digest *out, davit_error **err)
{
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(digest->algorithm);
    if (!hash)
        return dv_error_oom(err);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    uint64_t *hashed = &dv_fsck_counts(c->fsck)->hashed_bytes;
    for (uint64_t offset = 0;;) {
        ssize_t n = dv_pread_all(fd, c->piece, PIECE, offset);
        if (n < 0)
            return (int)-n;
        dv_hash_update(hash, c->piece, (size_t)n);
        offset += (uint64_t)n;
        *hashed += (uint64_t)n;
        if ((size_t)n < PIECE)
            break;
    }
    dv_hash_final(hash, out);
    return 0;
}

static bool must_be_hashed(const blob_check *c, const davit_digest *digest)
{
    uint32_t node;
    if (c->fsck->flags & DAVIT_FSCK_FULL || dv_digest_set_has(&c->configs, digest, NULL))
        return true;
    return dv_digest_set_has(&c->fsck->graph.digests, digest, &node) &&
           c->fsck->graph.nodes[node].state != DV_CONTENT_LEAF;
}

/* What its images say; DAVIT_SIZE_UNKNOWN. */
static uint64_t expected_size(const blob_check *c, const davit_digest *digest)
{
    uint32_t node;
    return dv_digest_set_has(&c->fsck->graph.digests, digest, &node) ? c->fsck->graph.nodes[node].size
                                                                     : DAVIT_SIZE_UNKNOWN;
}

/* 1: flawed, and how; 0: right; < 0: no memory. */
static int judge(blob_check *c, int fd, const struct stat *st, const davit_digest *digest,
                 char flaw[FLAW_SIZE], davit_error **err)
{
    davit_digest got;
    uint64_t size = expected_size(c, digest);
    bool fits = size == DAVIT_SIZE_UNKNOWN || (uint64_t)st->st_size == size;
    if (fits && !must_be_hashed(c, digest))
        return 0;
    int r = hash_file(c, fd, digest, &got, err);
    if (r < 0)
        return r;
    if (r > 0)
        snprintf(flaw, FLAW_SIZE, "cannot be read: %s", strerror(r));
    else if (davit_digest_equal(&got,
                                digest)) /* then an image is wrong about the size, and the blob is right */
        return 0;
    else if (!fits)
        snprintf(flaw, FLAW_SIZE, "is damaged: %lld bytes instead of %llu", (long long)st->st_size,
                 (unsigned long long)size);
    else
        snprintf(flaw, FLAW_SIZE, "is damaged: its bytes are %s", got.text);
    return 1;
}

/* --- forgetting ------------------------------------------------------------------------------------------------------ */

/* Whether the file that was looked at has lost its name. A name that is left in ingest/ by a crash is swept from there. */
static bool forget(const dv_store *s, const char *name, const struct stat *seen)
{
    uint8_t random[8];
    char aside[64], hex[2 * sizeof(random) + 1];
    struct stat moved;
    dv_random_bytes(random, sizeof(random));
    dv_hex_encode(random, sizeof(random), hex);
    snprintf(aside, sizeof(aside), "ingest/new-%s", hex);
    if (renameat(s->dirfd, name, s->dirfd, aside) < 0 &&
        (errno != ENOENT || dv_store_make_directory(s, "ingest") < 0 ||
         renameat(s->dirfd, name, s->dirfd, aside) < 0))
        return false;
    if (fstatat(s->dirfd, aside, &moved, AT_SYMLINK_NOFOLLOW) == 0 && !same_file(&moved, seen)) {
        renameat(s->dirfd, aside, s->dirfd, name);
        return false;
    }
    return unlinkat(s->dirfd, aside, 0) == 0;
}

static int tell_bad(blob_check *c, const davit_digest *digest, const char *name, const struct stat *st,
                    const char *flaw, davit_error **err)
{
    dv_fsck *f = c->fsck;
    int r = dv_digest_set_add(&f->bad, digest, NULL, err);
    if (r < 0)
        return r;
    bool gone = dv_fsck_repairs(f) && forget(f->store, name, st);
    return dv_fsck_add(
        f, &(dv_fsck_about){.kind = DAVIT_FSCK_BLOB, .damage = true, .repaired = gone, .subject = name}, err,
        "%s", flaw);
}

/* Gives 1, as look() does. */
static int tell_unopened(blob_check *c, const davit_digest *digest, const char *name, int errnum,
                         davit_error **err)
{
    int r = dv_digest_set_add(&c->fsck->bad, digest, NULL, err);
    if (r >= 0)
        r = dv_fsck_add(c->fsck, &(dv_fsck_about){.kind = DAVIT_FSCK_BLOB, .damage = true, .subject = name},
                        err, "cannot be opened: %s", strerror(errnum));
    return r < 0 ? r : 1;
}

/* 1: said all there is to say; 0: look again. */
static int look(blob_check *c, const davit_digest *digest, const char *name, davit_error **err)
{
    char flaw[FLAW_SIZE];
    struct stat st, now;
    DV_AUTOCLOSE fd =
        openat(c->fsck->store->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return 1;
    if (fd < 0 || fstat(fd, &st) < 0)
        return tell_unopened(c, digest, name, errno, err);
    int r = judge(c, fd, &st, digest, flaw, err);
    if (r <= 0)
        return r < 0 ? r : 1;
    if (fstatat(c->fsck->store->dirfd, name, &now, AT_SYMLINK_NOFOLLOW) < 0 || !same_file(&st, &now))
        return 0;
    r = tell_bad(c, digest, name, &st, flaw, err);
    return r < 0 ? r : 1;
}

static int check_blob(dv_store *s, const davit_digest *digest, const struct stat *st, void *user_data,
                      davit_error **err)
{
    blob_check *c = user_data;
    char name[DV_CONTENT_NAME_MAX];
    int r = dv_content_name(digest, name, err);
    if (r < 0 || !S_ISREG(st->st_mode)) /* fsck_files.c has told of it */
        return r;
    dv_fsck_counts(c->fsck)->blobs++;
    for (int attempt = 0; r == 0 && attempt < ATTEMPTS; attempt++)
        r = look(c, digest, name, err);
    return r < 0 ? r : 0;
}

static int find_configs(blob_check *c, davit_error **err)
{
    DV_AUTO(dv_image_digests) ids = {0};
    int r = c->fsck->graph.digests.count > 0 ? dv_image_store_ids(c->fsck->store, NULL, &ids, err) : 0;
    for (size_t i = 0; r >= 0 && i < ids.count; i++)
        r = dv_digest_set_add(&c->configs, &ids.items[i], NULL, err);
    return r < 0 ? r : 0;
}

int dv_fsck_blobs(dv_fsck *f, davit_error **err)
{
    DV_AUTO(blob_check) c = {.fsck = f, .piece = malloc(PIECE)};
    if (!c.piece)
        return dv_error_oom(err);
    int r = find_configs(&c, err);
    return r < 0 ? r : dv_content_walk(f->store, check_blob, &c, err);
}
