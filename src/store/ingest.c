/*
 * store/ingest.c - see ingest.h. Decides who owns a partial file, what of it is finished, and when it becomes a blob. The
 * text form of its journal is ingest_journal.c's.
 *
 * The order of system calls makes a kill at any instant harmless. Removing: empty the data, remove the journal, remove the
 * data, since data without a journal counts as a finished prefix. Publishing: sync, remove the journal (all is finished,
 * so the length says the same), rename.
 */
#include "store/ingest.h"

#include "store/content_store.h"
#include "store/ingest_journal.h"
#include "store/span.h"
#include "store/store_private.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_MAX_BYTES 160
#define WRITE_BACK_EVERY (8u << 20) /* bytes; starting the disk early makes the sync at the end short */
#define READ_SIZE (256u << 10)      /* bytes read back at once */
#define OWN_ATTEMPTS 100            /* each lost one means that another owner finished or gave up meanwhile */

struct dv_ingest {
    dv_store *store;
    davit_digest digest;
    uint64_t size; /* of the descriptor, or DAVIT_SIZE_UNKNOWN */
    char name[NAME_MAX_BYTES];
    bool nameless; /* nobody can find it again, or needs to */
    bool learns;   /* the digest is whatever the bytes turn out to have */
    int fd;        /* locked */
    dv_spans have;
    dv_journal journal;
    dv_hash *hash;
    uint64_t hashed; /* bytes from the start that went through hash */
    bool finished;   /* hash gave its digest, to got */
    davit_digest got;
    uint64_t since_write_back;
    uint64_t dropped; /* end of what was let go from the page cache */
    dv_room room;
};

static uint64_t limit_of(const dv_ingest *i)
{
    return i->size == DAVIT_SIZE_UNKNOWN ? UINT64_MAX : i->size;
}

/* --- owning ------------------------------------------------------------------------------------------------------------ */

static void release(dv_ingest *i)
{
    if (!i)
        return;
    dv_close(&i->fd);
    dv_journal_clear(&i->journal);
    dv_spans_clear(&i->have);
    dv_hash_free(i->hash);
    dv_store_unref(i->store);
    free(i);
}

static void release_auto(dv_ingest **i)
{
    release(*i);
}

static void remove_file(dv_ingest *i)
{
    if (i->fd < 0)
        return;
    while (ftruncate(i->fd, 0) < 0 && errno == EINTR)
        ;
    dv_journal_remove(&i->journal);
    unlinkat(i->store->dirfd, i->name, 0);
}

static int open_file(dv_ingest *i, davit_error **err)
{
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | (i->nameless ? O_EXCL : 0);
    dv_close(&i->fd);
    i->fd = openat(i->store->dirfd, i->name, flags, 0600);
    if (i->fd < 0 && errno == ENOENT && dv_store_make_directory(i->store, "ingest") == 0)
        i->fd = openat(i->store->dirfd, i->name, flags, 0600);
    /* An owner that died right before the rename left it protected. */
    if (i->fd < 0 && errno == EACCES && fchmodat(i->store->dirfd, i->name, 0600, 0) == 0)
        i->fd = openat(i->store->dirfd, i->name, flags, 0600);
    return i->fd < 0 ? dv_store_error(i->store, errno, "make", i->name, err) : 0;
}

/* Whether the name still means the file that we have locked. */
static bool is_ours(const dv_ingest *i)
{
    struct stat ours, named;
    return fstat(i->fd, &ours) == 0 && fstatat(i->store->dirfd, i->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static int check_absent(dv_ingest *i, davit_error **err)
{
    if (i->learns)
        return 0;
    int r = dv_content_has(i->store, &i->digest, i->size, err);
    return r == 1 ? dv_error_set(err, DAVIT_EEXIST, "blob %s is in the store already", i->digest.text) : r;
}

/* Looks for the blob before the lock, to make no file in vain, and behind it, since the last owner may have finished. */
static int become_owner(dv_ingest *i, davit_error **err)
{
    for (int attempt = 0; attempt < OWN_ATTEMPTS; attempt++) {
        int r = check_absent(i, err);
        if (r == 0)
            r = open_file(i, err);
        if (r < 0)
            return r;
        r = dv_try_lock(i->fd);
        if (r < 0)
            return dv_store_error(i->store, -r, "lock", i->name, err);
        if (r == 0)
            break;
        if (!is_ours(i))
            continue;
        r = check_absent(i, err);
        if (r == DAVIT_EEXIST)
            remove_file(i);
        return r;
    }
    dv_close(&i->fd);
    return dv_error_set(err, DAVIT_EBUSY, "blob %s is being written by another owner", i->digest.text);
}

/* --- what is there already ----------------------------------------------------------------------------------------------- */

static void start_over_hash(dv_ingest *i)
{
    dv_hash_reset(i->hash);
    i->hashed = 0;
    i->finished = false;
}

int dv_ingest_reset(dv_ingest *i, davit_error **err)
{
    int r;
    do
        r = ftruncate(i->fd, 0);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return dv_store_error(i->store, errno, "empty", i->name, err);
    dv_journal_remove(&i->journal);
    dv_spans_clear(&i->have);
    i->dropped = 0;
    start_over_hash(i);
    return 0;
}

/* By the journal if there is one, else by the length; worthless leftovers are emptied. */
static int load_partial(dv_ingest *i, davit_error **err)
{
    struct stat st;
    if (fstat(i->fd, &st) < 0)
        return dv_store_error(i->store, errno, "examine", i->name, err);
    uint64_t length = (uint64_t)st.st_size;
    if (length == 0)
        dv_journal_remove(&i->journal); /* of data that are gone */
    if (length == 0)
        return 0;
    if (length > limit_of(i))
        return dv_ingest_reset(i, err);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_journal_load(&i->journal, limit_of(i), &i->have, &why);
    if (r == DAVIT_EFORMAT || r == DAVIT_ETOOBIG)
        return dv_ingest_reset(i, err);
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (!dv_journal_is_open(&i->journal))
        return dv_spans_add(&i->have, 0, length, err);
    dv_spans_cut(&i->have, length);
    return 0;
}

static int check_room(const dv_ingest *i, davit_error **err)
{
    struct stat st;
    if (i->size == DAVIT_SIZE_UNKNOWN || fstat(i->fd, &st) < 0)
        return 0;
    uint64_t allocated = (uint64_t)st.st_blocks * 512;
    uint64_t need = i->size > allocated ? i->size - allocated : 0;
    uint64_t reserve, available = dv_file_room(i->fd, &reserve);
    if (need <= available)
        return 0;
    return dv_error_set(err, DAVIT_ENOSPACE,
                        "no space left in %s: blob %s needs %llu more bytes and %llu are free, beside %llu "
                        "that are kept free",
                        i->store->path, i->digest.text, (unsigned long long)need,
                        (unsigned long long)available, (unsigned long long)reserve);
}

typedef enum ingest_kind { KIND_NAMED, KIND_NAMELESS, KIND_LEARNS, KIND_KEYED } ingest_kind;

static void name_it(dv_ingest *i, ingest_kind kind)
{
    i->nameless = kind == KIND_NAMELESS || kind == KIND_LEARNS;
    if (i->nameless) {
        uint8_t random[8];
        char hex[2 * sizeof(random) + 1];
        dv_random_bytes(random, sizeof(random));
        dv_hex_encode(random, sizeof(random), hex);
        snprintf(i->name, sizeof(i->name), "ingest/new-%s", hex);
    } else if (kind == KIND_KEYED) {
        snprintf(i->name, sizeof(i->name), "ingest/key-%s", davit_digest_hex(&i->digest));
    } else {
        snprintf(i->name, sizeof(i->name), "ingest/%s-%s", davit_digest_algorithm_name(i->digest.algorithm),
                 davit_digest_hex(&i->digest));
    }
}

static int open_ingest(dv_store *s, const davit_descriptor *desc, ingest_kind kind, dv_ingest **out,
                       davit_error **err)
{
    char blob[DV_CONTENT_NAME_MAX];
    int r = dv_content_name(&desc->digest, blob, err);
    if (r == 0)
        r = dv_store_check_writable(s, err);
    if (r < 0)
        return r;
    __attribute__((cleanup(release_auto))) dv_ingest *i = dv_new(dv_ingest);
    if (!i)
        return dv_error_oom(err);
    *i = (dv_ingest){.store = dv_store_ref(s),
                     .digest = desc->digest,
                     .size = desc->size,
                     .learns = kind == KIND_LEARNS || kind == KIND_KEYED,
                     .fd = -1};
    name_it(i, kind);
    i->hash = dv_hash_new(desc->digest.algorithm);
    if (!i->hash)
        return dv_error_oom(err);
    r = dv_journal_init(&i->journal, s, i->name, err);
    if (r == 0)
        r = become_owner(i, err);
    if (r < 0)
        return r;
    r = load_partial(i, err);
    if (r == 0)
        r = check_room(i, err);
    if (r < 0) {
        dv_ingest_close(DV_STEAL(i));
        return r;
    }
    *out = DV_STEAL(i);
    return 0;
}

int dv_ingest_open(dv_store *s, const davit_descriptor *desc, dv_ingest **out, davit_error **err)
{
    return open_ingest(s, desc, KIND_NAMED, out, err);
}

int dv_ingest_open_new(dv_store *s, const davit_descriptor *desc, dv_ingest **out, davit_error **err)
{
    return open_ingest(s, desc, KIND_NAMELESS, out, err);
}

int dv_ingest_open_unknown(dv_store *s, davit_digest_algorithm algorithm, uint64_t size, dv_ingest **out,
                           davit_error **err)
{
    const davit_descriptor desc = {
        .media_type = "", .digest = {.algorithm = algorithm, .text = "(new)"}, .size = size};
    return open_ingest(s, &desc, KIND_LEARNS, out, err);
}

int dv_ingest_open_keyed(dv_store *s, const davit_digest *key, dv_ingest **out, davit_error **err)
{
    const davit_descriptor desc = {.media_type = "", .digest = *key, .size = DAVIT_SIZE_UNKNOWN};
    return open_ingest(s, &desc, KIND_KEYED, out, err);
}

uint64_t dv_ingest_peer_size(dv_store *s, const davit_digest *digest)
{
    dv_ingest watched = {.store = s, .digest = *digest};
    name_it(&watched, KIND_NAMED);
    struct stat st;
    if (fstatat(s->dirfd, watched.name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_size == 0)
        return 0;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_JOURNAL_MAX);
    DV_AUTO(dv_spans) spans = DV_SPANS_INIT;
    size_t used = 0;
    uint64_t size = (uint64_t)st.st_size;
    if (dv_journal_init(&watched.journal, s, watched.name, NULL) == 0 &&
        dv_file_read(s->dirfd, watched.journal.name, DV_JOURNAL_MAX, &text, NULL) == 0 &&
        dv_journal_parse(dv_buf_text(&text), text.size, UINT64_MAX, &spans, &used, NULL) == 0)
        size = dv_spans_total(&spans);
    dv_journal_clear(&watched.journal);
    return size;
}

int dv_ingest_open_peer(dv_store *s, const davit_digest *digest)
{
    dv_ingest watched = {.store = s, .digest = *digest};
    name_it(&watched, KIND_NAMED);
    return openat(s->dirfd, watched.name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
}

/* --- hashing --------------------------------------------------------------------------------------------------------------- */

/* Read back what is finished and not hashed. see may be NULL. */
static int read_back(dv_ingest *i, dv_ingest_see *see, void *user, davit_error **err)
{
    uint64_t prefix = dv_spans_prefix(&i->have);
    if (i->hashed >= prefix)
        return 0;
    DV_AUTOFREE char *bytes = malloc(READ_SIZE);
    if (!bytes)
        return dv_error_oom(err);
    while (i->hashed < prefix) {
        size_t size = prefix - i->hashed < READ_SIZE ? (size_t)(prefix - i->hashed) : READ_SIZE;
        ssize_t n = dv_pread_all(i->fd, bytes, size, i->hashed);
        if (n < 0)
            return dv_store_error(i->store, (int)-n, "read", i->name, err);
        if ((size_t)n < size)
            return dv_error_set(err, DAVIT_EIO, "cannot read %s/%s: it became shorter", i->store->path,
                                i->name);
        dv_hash_update(i->hash, bytes, size);
        i->hashed += size;
        int r = see ? see(user, bytes, size, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int catch_up(dv_ingest *i, davit_error **err)
{
    return read_back(i, NULL, NULL, err);
}

int dv_ingest_resume(dv_ingest *i, davit_error **err)
{
    return catch_up(i, err);
}

int dv_ingest_replay(dv_ingest *i, dv_ingest_see *see, void *user, davit_error **err)
{
    return read_back(i, see, user, err);
}

uint64_t dv_ingest_offset(const dv_ingest *i)
{
    return dv_spans_prefix(&i->have);
}

uint64_t dv_ingest_have(const dv_ingest *i)
{
    return dv_spans_total(&i->have);
}

bool dv_ingest_gap(const dv_ingest *i, uint64_t from, uint64_t *out_start, uint64_t *out_end)
{
    return i->size != DAVIT_SIZE_UNKNOWN && dv_spans_gap(&i->have, from, i->size, out_start, out_end);
}

/* --- writing ----------------------------------------------------------------------------------------------------------------- */

/*
 * Start writing early, so that the sync at the end is short, and let the pages of a long blob go once they are on disk: then
 * the same few are used again. Without that a pull of 1 GB takes 1 GB of fresh pages, which cost more than the copying
 * where a hypervisor has to find them (1.0 s of system time against up to 3.3), and pushes out what others had cached.
 */
static void write_back(dv_ingest *i, size_t size)
{
    i->since_write_back += size;
    if (i->since_write_back < WRITE_BACK_EVERY)
        return;
    i->since_write_back = 0;
    sync_file_range(i->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* only a hint: the sync at the end is what counts */
    uint64_t end = dv_spans_prefix(&i->have);
    if (end < 4 * WRITE_BACK_EVERY)
        return;
    off_t from = (off_t)i->dropped, to = (off_t)(end - 2 * WRITE_BACK_EVERY);
    sync_file_range(i->fd, from, to - from, SYNC_FILE_RANGE_WAIT_BEFORE);
    posix_fadvise(i->fd, from, to - from, POSIX_FADV_DONTNEED);
    i->dropped = (uint64_t)to;
}

/* A range that is missing as a whole. */
static int write_missing(dv_ingest *i, uint64_t offset, const void *bytes, size_t size, davit_error **err)
{
    if (!dv_room_take(&i->room, i->fd, size))
        return dv_error_set(err, DAVIT_ENOSPACE,
                            "no space left: cannot write %s/%s, what is free there is kept so",
                            i->store->path, i->name);
    int r = dv_pwrite_all(i->fd, bytes, size, offset);
    if (r < 0)
        return dv_store_error(i->store, -r, "write", i->name, err);
    r = dv_spans_add(&i->have, offset, offset + size, err);
    if (r == 0 && dv_journal_is_open(&i->journal))
        r = dv_journal_add(&i->journal, &i->have, offset, offset + size, err);
    if (r < 0)
        return r;
    write_back(i, size);
    if (offset != i->hashed)
        return 0;
    dv_hash_update(i->hash, bytes, size);
    i->hashed += size;
    return catch_up(i, err);
}

/* Bytes that are finished are not written again: they may have been hashed. */
static int write_range(dv_ingest *i, uint64_t offset, const void *bytes, size_t size, davit_error **err)
{
    if (i->finished)
        start_over_hash(i);
    uint64_t from = offset, start, end;
    while (dv_spans_gap(&i->have, from, offset + size, &start, &end)) {
        int r = write_missing(i, start, (const char *)bytes + (start - offset), (size_t)(end - start), err);
        if (r < 0)
            return r;
        from = end;
    }
    return 0;
}

static int check_range(const dv_ingest *i, uint64_t offset, size_t size, davit_error **err)
{
    if (offset <= limit_of(i) && size <= limit_of(i) - offset)
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "blob %s is longer than the %llu bytes it should have",
                        i->digest.text, (unsigned long long)i->size);
}

int dv_ingest_write(dv_ingest *i, const void *bytes, size_t size, davit_error **err)
{
    uint64_t offset = dv_spans_prefix(&i->have);
    int r = check_range(i, offset, size, err);
    return r < 0 ? r : write_range(i, offset, bytes, size, err);
}

int dv_ingest_write_at(dv_ingest *i, uint64_t offset, const void *bytes, size_t size, davit_error **err)
{
    if (i->size == DAVIT_SIZE_UNKNOWN)
        return dv_error_set(err, DAVIT_EINVAL, "blob %s has no known size to write ranges of", i->digest.text);
    int r = check_range(i, offset, size, err);
    if (r == 0 && size > 0 && offset > dv_spans_prefix(&i->have) && !dv_journal_is_open(&i->journal))
        r = dv_journal_create(&i->journal, &i->have, err);
    return r < 0 ? r : write_range(i, offset, bytes, size, err);
}

/* --- the end ------------------------------------------------------------------------------------------------------------------- */

int dv_ingest_verify(dv_ingest *i, davit_error **err)
{
    uint64_t got = dv_spans_total(&i->have);
    if (i->size != DAVIT_SIZE_UNKNOWN && got != i->size)
        return dv_error_set(err, DAVIT_EDIGEST, "unexpected commit size %llu, expected %llu",
                            (unsigned long long)got, (unsigned long long)i->size);
    if (got != dv_spans_prefix(&i->have))
        return dv_error_set(err, DAVIT_EDIGEST, "blob %s has gaps", i->digest.text);
    int r = catch_up(i, err);
    if (r < 0)
        return r;
    if (!i->finished) {
        dv_hash_final(i->hash, &i->got);
        i->finished = true;
    }
    if (i->learns)
        i->digest = i->got;
    if (!davit_digest_equal(&i->got, &i->digest))
        return dv_error_set(err, DAVIT_EDIGEST, "unexpected commit digest %s, expected %s", i->got.text,
                            i->digest.text);
    return 0;
}

int dv_ingest_digest(dv_ingest *i, davit_digest *out, davit_error **err)
{
    int r = dv_ingest_verify(i, err);
    if (r == 0)
        *out = i->digest;
    return r;
}

int dv_ingest_read(const dv_ingest *i, size_t max, dv_buf *out, davit_error **err)
{
    uint64_t size = dv_spans_prefix(&i->have);
    if (size > max)
        return dv_error_set(err, DAVIT_ETOOBIG, "a document of %llu bytes, at most %zu are allowed",
                            (unsigned long long)size, max);
    DV_AUTOFREE char *bytes = malloc((size_t)size + 1);
    if (!bytes)
        return dv_error_oom(err);
    ssize_t n = dv_pread_all(i->fd, bytes, (size_t)size, 0);
    if (n < 0 || (size_t)n < size)
        return dv_store_error(i->store, n < 0 ? (int)-n : EIO, "read", i->name, err);
    dv_buf_reset(out);
    dv_buf_append(out, bytes, (size_t)size);
    return out->failed ? dv_error_set(err, out->failed, "no room for a document of %zu bytes", (size_t)size)
                       : 0;
}

/* Made once in the life of a store; their names are on disk before any blob relies on them. */
static int make_blob_directories(const dv_ingest *i, davit_error **err)
{
    char name[32];
    snprintf(name, sizeof(name), "blobs/%s", davit_digest_algorithm_name(i->digest.algorithm));
    int r = dv_store_make_directory(i->store, "blobs");
    if (r == 0)
        r = dv_store_make_directory(i->store, name);
    DV_AUTOCLOSE blobs = r == 0 ? openat(i->store->dirfd, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (r == 0 && (blobs < 0 || fsync(blobs) < 0 || fsync(i->store->dirfd) < 0))
        r = -errno;
    return r < 0 ? dv_store_error(i->store, -r, "make", name, err) : 0;
}

static int rename_to_blob(dv_ingest *i, davit_error **err)
{
    char blob[DV_CONTENT_NAME_MAX];
    int dirfd = i->store->dirfd;
    int r = dv_content_name(&i->digest, blob, err);
    if (r < 0 || renameat(dirfd, i->name, dirfd, blob) == 0)
        return r;
    if (errno != ENOENT)
        return dv_store_error(i->store, errno, "make", blob, err);
    r = make_blob_directories(i, err);
    if (r == 0 && renameat(dirfd, i->name, dirfd, blob) < 0)
        r = dv_store_error(i->store, errno, "make", blob, err);
    return r;
}

/* *out_lost: what is on disk is unknown now. After a failed sync the kernel forgets that pages were never written. */
static int publish(dv_ingest *i, bool *out_lost, davit_error **err)
{
    if (fdatasync(i->fd) < 0) {
        *out_lost = true;
        return dv_store_error(i->store, errno, "sync", i->name, err);
    }
    if (fchmod(i->fd, 0444) < 0)
        return dv_store_error(i->store, errno, "protect", i->name, err);
    if (dv_journal_is_open(&i->journal))
        dv_journal_remove(&i->journal);
    int r = rename_to_blob(i, err);
    if (r == 0)
        dv_content_renamed(i->store, &i->digest);
    return r;
}

int dv_ingest_commit(dv_ingest *i, davit_error **err)
{
    bool lost = false;
    int r = dv_ingest_verify(i, err);
    if (r == DAVIT_EDIGEST)
        lost = true;
    if (r == 0)
        r = publish(i, &lost, err);
    if (r == 0)
        release(i);
    else if (lost)
        dv_ingest_abort(i);
    else
        dv_ingest_close(i);
    return r;
}

void dv_ingest_abort(dv_ingest *i)
{
    if (!i)
        return;
    remove_file(i);
    release(i);
}

void dv_ingest_keep_nothing(dv_ingest *i)
{
    i->nameless = true;
}

void dv_ingest_close(dv_ingest *i)
{
    if (!i)
        return;
    if (i->nameless || dv_spans_total(&i->have) == 0)
        remove_file(i);
    else
        dv_journal_flush(&i->journal, &i->have, NULL);
    release(i);
}
