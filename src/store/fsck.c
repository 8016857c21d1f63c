/*
 * store/fsck.c - davit_store_fsck(): the order of a check, and its report.
 *
 * Rows come first, since without them nobody knows what is needed; then files, then blobs, and images last: a blob that a repair
 * removed is one that its image lacks.
 */
#include "store/fsck.h"

#include "store/gc.h"
#include "store/store_private.h"
#include "util/buf.h"

#include <stdarg.h>

#define MESSAGE_MAX (8u << 10) /* bytes */

struct davit_fsck_report {
    davit_fsck_finding *items;
    size_t count;
    davit_fsck_counts counts;
};

void davit_fsck_report_free(davit_fsck_report *report)
{
    if (!report)
        return;
    for (size_t i = 0; i < report->count; i++) {
        free((char *)(uintptr_t)report->items[i].subject);
        free((char *)(uintptr_t)report->items[i].message);
        free((char *)(uintptr_t)report->items[i].remedy);
    }
    free(report->items);
    free(report);
}
DV_DEFINE_AUTOPTR(davit_fsck_report, davit_fsck_report_free)

size_t davit_fsck_report_count(const davit_fsck_report *report)
{
    return report->count;
}

const davit_fsck_finding *davit_fsck_report_at(const davit_fsck_report *report, size_t index)
{
    return index < report->count ? &report->items[index] : NULL;
}

const davit_fsck_counts *davit_fsck_report_counts(const davit_fsck_report *report)
{
    return &report->counts;
}

davit_fsck_counts *dv_fsck_counts(dv_fsck *f)
{
    return &f->report->counts;
}

/* Takes the message over. */
static int append(davit_fsck_report *r, const dv_fsck_about *about, char *message, davit_error **err)
{
    davit_fsck_finding found = {
        .kind = about->kind,
        .damage = about->damage,
        .repaired = about->repaired,
        .subject = dv_strdup(about->subject),
        .message = message,
        .remedy = dv_strdup(about->remedy ? about->remedy : ""),
    };
    davit_fsck_finding *place = dv_list_place(&r->items, r->count, sizeof(*place));
    if (!place || !found.subject || !found.message || !found.remedy) {
        free((char *)(uintptr_t)found.subject);
        free((char *)(uintptr_t)found.message);
        free((char *)(uintptr_t)found.remedy);
        return dv_error_oom(err);
    }
    *place = found;
    r->count++;
    return 0;
}

int dv_fsck_add(dv_fsck *f, const dv_fsck_about *about, davit_error **err, const char *fmt, ...)
{
    davit_fsck_report *r = f->report;
    r->counts.damage += about->damage && !about->repaired;
    r->counts.repaired += about->repaired;
    if (r->count >= DV_FSCK_FINDINGS_MAX)
        return 0;
    DV_AUTO(dv_buf) message = DV_BUF_INIT(MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&message, fmt, ap);
    va_end(ap);
    if (message.failed == DAVIT_ETOOBIG) {
        dv_buf_reset(&message);
        dv_buf_puts(&message, "more than can be told in a line");
    }
    return append(r, about, dv_buf_take(&message), err);
}

static void fsck_clear(dv_fsck *f)
{
    dv_content_graph_clear(&f->graph);
    dv_content_marks_clear(&f->needed);
    dv_digest_set_clear(&f->bad);
}
DV_DEFINE_AUTO(dv_fsck, fsck_clear)

static int check(dv_fsck *f, davit_error **err)
{
    bool readable = false;
    int r = dv_fsck_rows(f, &readable, err);
    if (r == 0)
        r = dv_fsck_files(f, err);
    if (r == 0 && readable)
        r = dv_gc_mark_rows(&f->graph, &f->needed, NULL, err);
    if (r == 0)
        r = dv_fsck_blobs(f, err);
    if (r == 0 && readable)
        r = dv_fsck_layers(f, err);
    if (r == 0 && readable)
        r = dv_fsck_images(f, err);
    return r;
}

int davit_store_fsck(davit_store *store, uint32_t flags, davit_fsck_report **out, davit_error **err)
{
    dv_store *s = (dv_store *)store;
    if (flags & ~(DAVIT_FSCK_FULL | DAVIT_FSCK_REPAIR))
        return dv_error_set(err, DAVIT_EINVAL, "unknown fsck flags 0x%x", flags);
    int r = flags & DAVIT_FSCK_REPAIR ? dv_store_check_writable(s, err) : 0;
    if (r < 0)
        return r;
    DV_AUTOPTR(davit_fsck_report) report = dv_new(davit_fsck_report);
    if (!report)
        return dv_error_oom(err);
    DV_AUTO(dv_fsck) f = {.store = s, .flags = flags, .report = report, .graph = {.store = s}};
    r = check(&f, err);
    if (r == 0)
        *out = DV_STEAL(report);
    return r;
}
