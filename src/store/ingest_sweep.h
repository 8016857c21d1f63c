/*
 * store/ingest_sweep.h - what lies in ingest/: its files by name, and the removal of those that nobody continues.
 *
 * Nobody continues a nameless ingest (`new-...`) whose owner is dead, and after a week nobody is expected to continue a named one.
 * A nameless one is left alone for a minute: its owner may be between making and locking it.
 */
#ifndef DV_STORE_INGEST_SWEEP_H
#define DV_STORE_INGEST_SWEEP_H

#include "store/store.h"

#include <sys/stat.h>

#define DV_INGEST_KEPT_S (7 * 86400) /* DESIGN 5 */
#define DV_INGEST_NAMELESS_KEPT_S 60

typedef enum dv_ingest_file_kind {
    DV_INGEST_NAMED,    /* <alg>-<hex>, key-<64 hex digits> */
    DV_INGEST_NAMELESS, /* new-<16 hex digits> */
    DV_INGEST_JOURNAL,  /* of either, and one that is written anew */
    DV_INGEST_STRAY,    /* nothing of ours */
} dv_ingest_file_kind;

/* By the name only. out_data_size: how much of the name is that of the data; may be NULL. */
dv_ingest_file_kind dv_ingest_file_kind_of(const char *name, size_t *out_data_size);

typedef struct dv_ingest_file {
    const char *name; /* without the folder */
    dv_ingest_file_kind kind;
    struct stat st;
    bool owned;     /* a live process has it; for data only */
    bool removable; /* what the sweep removes */
} dv_ingest_file;

/* Visit every entry of ingest/, at now_s. < 0 from visit ends it. */
typedef int dv_ingest_visit(dv_store *s, const dv_ingest_file *file, void *user_data, davit_error **err);
int dv_ingest_walk(dv_store *s, int64_t now_s, dv_ingest_visit *visit, void *user_data, davit_error **err);

typedef struct dv_ingest_sweep_result {
    uint64_t ingests, bytes;
} dv_ingest_sweep_result;

/* Remove what nobody continues, at now_s; dry: only count. Strays stay. */
int dv_ingest_sweep(dv_store *s, int64_t now_s, bool dry, dv_ingest_sweep_result *out, davit_error **err);
/* Remove one ingest with its journals, if nobody owns it. 1: removed; 0: somebody does, or it is gone. */
int dv_ingest_remove_unowned(dv_store *s, const char *data_name, davit_error **err);

#endif
