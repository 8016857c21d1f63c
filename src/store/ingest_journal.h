/*
 * store/ingest_journal.h - which ranges of a partial file are finished, in a text file beside it.
 *
 * First line "davit-ingest 1", then "have <start> <end>" lines, end exclusive, appended as ranges are finished; they may
 * touch and overlap. A last line without its newline was being written and does not count; any other flaw makes the whole
 * journal worthless, and with it the partial file.
 */
#ifndef DV_STORE_INGEST_JOURNAL_H
#define DV_STORE_INGEST_JOURNAL_H

#include "store/span.h"
#include "store/store.h"
#include "util/buf.h"

#define DV_JOURNAL_MAX (1u << 20)       /* bytes; a longer one is worthless */
#define DV_JOURNAL_COMPACT (256u << 10) /* bytes; a longer one is written anew from the merged ranges */
#define DV_JOURNAL_BEHIND (128u << 10)  /* bytes written that the journal need not know of */

/*
 * Parse a journal's bytes.
 *
 * limit: the blob's size, a range beyond it is a flaw. out must be empty; *out_used: bytes up to the end of the last whole
 * line. Errors: DAVIT_EFORMAT, DAVIT_ETOOBIG.
 */
int dv_journal_parse(const char *bytes, size_t size, uint64_t limit, dv_spans *out, size_t *out_used,
                     davit_error **err);
/* Append the lines for these ranges, after the first line when with_head. */
void dv_journal_format(const dv_spans *spans, bool with_head, dv_buf *out);

/* The journal of one partial file; owns its descriptor. */
typedef struct dv_journal {
    const dv_store *store;
    char *name;       /* "ingest/<name>.journal" */
    int fd;           /* -1: there is none */
    uint64_t used;    /* bytes; the next line goes here */
    dv_spans pending; /* finished and not yet written down */
    uint64_t pending_bytes;
} dv_journal;

/* For the partial file of this name; opens nothing. DAVIT_ENOMEM. */
int dv_journal_init(dv_journal *j, const dv_store *store, const char *partial_name, davit_error **err);
/* Writes nothing more down. A zeroed journal is fine. */
void dv_journal_clear(dv_journal *j);
static inline bool dv_journal_is_open(const dv_journal *j)
{
    return j->name && j->fd >= 0;
}

/*
 * Open the journal that is there and read it. Without one, out stays empty and it is not open; one without a byte in it is
 * removed and counts as none: its maker died before any range was written out of order. DAVIT_EFORMAT, DAVIT_ETOOBIG: worthless.
 */
int dv_journal_load(dv_journal *j, uint64_t limit, dv_spans *out, davit_error **err);
/* Make one that says this much: called before the first byte is written out of order. */
int dv_journal_create(dv_journal *j, const dv_spans *have, davit_error **err);
/* A range of have is new; written down as soon as DV_JOURNAL_BEHIND bytes are pending. */
int dv_journal_add(dv_journal *j, const dv_spans *have, uint64_t start, uint64_t end, davit_error **err);
/* Write down what is pending. */
int dv_journal_flush(dv_journal *j, const dv_spans *have, davit_error **err);
/* Close and remove it, also when it was never opened. */
void dv_journal_remove(dv_journal *j);

#endif
