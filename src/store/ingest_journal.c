/*
 * store/ingest_journal.c - see ingest_journal.h.
 *
 * What counts is the order of system calls, since only a kill must lose nothing: data before the line that tells of it,
 * the first line before data out of order, a compacted journal by rename. A power cut may break all of that; the digest at
 * the end finds out.
 */
#include "store/ingest_journal.h"

#include "store/store_private.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define HEAD "davit-ingest 1\n"
#define NUMBER_DIGITS_MAX 20 /* of UINT64_MAX */

/* A decimal number followed by the byte stop, in canonical form; moves *at behind stop. */
static bool read_number(const char **at, const char *end, char stop, uint64_t *out)
{
    char digits[NUMBER_DIGITS_MAX + 1];
    const char *p = memchr(*at, stop, (size_t)(end - *at));
    size_t size = p ? (size_t)(p - *at) : 0;
    if (size == 0 || size > NUMBER_DIGITS_MAX || (size > 1 && **at == '0'))
        return false;
    memcpy(digits, *at, size);
    digits[size] = '\0';
    *at = p + 1;
    return strlen(digits) == size && dv_str_to_u64(digits, out);
}

/* One line, *at is behind its newline afterwards. */
static bool read_line(const char **at, const char *end, dv_span *out)
{
    static const char word[] = "have ";
    if ((size_t)(end - *at) < strlen(word) || memcmp(*at, word, strlen(word)) != 0)
        return false;
    *at += strlen(word);
    return read_number(at, end, ' ', &out->start) && read_number(at, end, '\n', &out->end) &&
           out->start < out->end;
}

int dv_journal_parse(const char *bytes, size_t size, uint64_t limit, dv_spans *out, size_t *out_used,
                     davit_error **err)
{
    if (size > DV_JOURNAL_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "journal of %zu bytes is too long", size);
    if (size < strlen(HEAD) || memcmp(bytes, HEAD, strlen(HEAD)) != 0)
        return dv_error_set(err, DAVIT_EFORMAT, "journal of an unknown kind");
    DV_AUTO(dv_spans) spans = DV_SPANS_INIT;
    const char *last = memrchr(bytes, '\n', size), *end = last + 1, *at = bytes + strlen(HEAD);
    while (at < end) {
        dv_span span;
        size_t where = (size_t)(at - bytes);
        if (!read_line(&at, end, &span) || span.end > limit)
            return dv_error_set(err, DAVIT_EFORMAT, "journal has a bad line at byte %zu", where);
        int r = dv_spans_add(&spans, span.start, span.end, err);
        if (r < 0)
            return r;
    }
    *out = spans;
    spans = (dv_spans)DV_SPANS_INIT;
    *out_used = (size_t)(end - bytes);
    return 0;
}

void dv_journal_format(const dv_spans *spans, bool with_head, dv_buf *out)
{
    if (with_head)
        dv_buf_puts(out, HEAD);
    for (size_t i = 0; i < spans->count; i++)
        dv_buf_printf(out, "have %llu %llu\n", (unsigned long long)spans->items[i].start,
                      (unsigned long long)spans->items[i].end);
}

int dv_journal_init(dv_journal *j, const dv_store *store, const char *partial_name, davit_error **err)
{
    DV_AUTO(dv_buf) name = DV_BUF_INIT(4096);
    dv_buf_printf(&name, "%s.journal", partial_name);
    *j = (dv_journal){.store = store, .name = dv_buf_take(&name), .fd = -1};
    return j->name ? 0 : dv_error_oom(err);
}

void dv_journal_clear(dv_journal *j)
{
    if (dv_journal_is_open(j))
        dv_close(&j->fd);
    dv_spans_clear(&j->pending);
    free(j->name);
    *j = (dv_journal){.fd = -1};
}

int dv_journal_load(dv_journal *j, uint64_t limit, dv_spans *out, davit_error **err)
{
    int dirfd = j->store->dirfd;
    DV_AUTOCLOSE fd = openat(dirfd, j->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return dv_store_error(j->store, errno, "open", j->name, err);
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_JOURNAL_MAX);
    int r = dv_file_read(dirfd, j->name, DV_JOURNAL_MAX, &text, err);
    size_t used = 0;
    if (r == 0 && text.size == 0) {
        dv_journal_remove(j);
        return 0;
    }
    if (r == 0)
        r = dv_journal_parse(text.data, text.size, limit, out, &used, err);
    if (r == 0 && used < text.size && ftruncate(fd, (off_t)used) < 0)
        r = dv_store_error(j->store, errno, "shorten", j->name, err);
    if (r < 0)
        return r;
    j->fd = fd;
    fd = -1;
    j->used = used;
    return 0;
}

/* What goes behind a torn line would be lost with it, so a line that did not fit is taken back. */
static int append(dv_journal *j, const dv_spans *spans, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_JOURNAL_MAX);
    dv_journal_format(spans, j->used == 0, &text);
    if (text.failed)
        return dv_error_set(err, text.failed, "cannot write %s/%s", j->store->path, j->name);
    int r = dv_pwrite_all(j->fd, text.data, text.size, j->used);
    if (r == 0) {
        j->used += text.size;
        return 0;
    }
    while (ftruncate(j->fd, (off_t)j->used) < 0 && errno == EINTR)
        ;
    return dv_store_error(j->store, -r, "write", j->name, err);
}

int dv_journal_create(dv_journal *j, const dv_spans *have, davit_error **err)
{
    DV_AUTOCLOSE fd = openat(j->store->dirfd, j->name,
                             O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0)
        return dv_store_error(j->store, errno, "make", j->name, err);
    j->fd = fd;
    j->used = 0;
    int r = append(j, have, err);
    if (r < 0) {
        j->fd = -1;
        unlinkat(j->store->dirfd, j->name, 0);
        return r;
    }
    fd = -1;
    return 0;
}

static char *compact_name(const dv_journal *j)
{
    DV_AUTO(dv_buf) name = DV_BUF_INIT(4096);
    dv_buf_printf(&name, "%s.new", j->name);
    return dv_buf_take(&name);
}

/* Write the merged ranges to a new file and put it in the old one's place. */
static int compact(dv_journal *j, const dv_spans *have, davit_error **err)
{
    DV_AUTOFREE char *name = compact_name(j);
    if (!name)
        return dv_error_oom(err);
    int dirfd = j->store->dirfd;
    DV_AUTOCLOSE fd =
        openat(dirfd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0)
        return dv_store_error(j->store, errno, "make", name, err);
    dv_journal fresh = {.store = j->store, .name = name, .fd = fd};
    int r = append(&fresh, have, err);
    if (r == 0 && renameat(dirfd, name, dirfd, j->name) < 0)
        r = dv_store_error(j->store, errno, "rename", name, err);
    if (r < 0) {
        unlinkat(dirfd, name, 0);
        return r;
    }
    fd = j->fd; /* closed at the end of this scope */
    j->fd = fresh.fd;
    j->used = fresh.used;
    return 0;
}

int dv_journal_flush(dv_journal *j, const dv_spans *have, davit_error **err)
{
    if (!dv_journal_is_open(j) || j->pending.count == 0)
        return 0;
    int r = j->used > DV_JOURNAL_COMPACT ? compact(j, have, err) : append(j, &j->pending, err);
    if (r == 0) {
        dv_spans_clear(&j->pending);
        j->pending_bytes = 0;
    }
    return r;
}

int dv_journal_add(dv_journal *j, const dv_spans *have, uint64_t start, uint64_t end, davit_error **err)
{
    int r = dv_spans_add(&j->pending, start, end, err);
    if (r < 0)
        return r;
    j->pending_bytes += end - start;
    return j->pending_bytes >= DV_JOURNAL_BEHIND ? dv_journal_flush(j, have, err) : 0;
}

void dv_journal_remove(dv_journal *j)
{
    bool was_open = dv_journal_is_open(j);
    if (was_open)
        dv_close(&j->fd);
    unlinkat(j->store->dirfd, j->name, 0);
    DV_AUTOFREE char *name = was_open ? compact_name(j) : NULL;
    if (name)
        unlinkat(j->store->dirfd, name, 0);
    dv_spans_clear(&j->pending);
    j->pending_bytes = 0;
    j->used = 0;
}
