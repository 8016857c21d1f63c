/*
 * cli/options.h - options as tables: one for the whole program and one for each command.
 *
 * A row says its name, its kind, and where in a struct its value goes; the same rows are what `davit help` prints.
 */
#ifndef DV_CLI_OPTIONS_H
#define DV_CLI_OPTIONS_H

#include "davit/platform.h"
#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dv_option_kind {
    DV_OPTION_FLAG,     /* bool */
    DV_OPTION_BOOL,     /* bool; alone it means true, else =true or =false */
    DV_OPTION_TEXT,     /* const char *, borrowed from argv, never empty */
    DV_OPTION_LIST,     /* dv_texts, repeatable */
    DV_OPTION_NUMBER,   /* uint32_t, at least 1 */
    DV_OPTION_FD,       /* int, open */
    DV_OPTION_SECONDS,  /* uint32_t, kept in milliseconds; "0.05" */
    DV_OPTION_RATE,     /* uint32_t bytes a second; "64k", "1M" */
    DV_OPTION_PLATFORM, /* davit_platform */
    DV_OPTION_PROGRESS, /* dv_progress_mode */
} dv_option_kind;

/* A row; a table ends with a NULL name. */
typedef struct dv_option {
    const char *name;
    char letter; /* 0: none */
    dv_option_kind kind;
    size_t offset;
    const char *value; /* how help calls the value; NULL for flags */
    const char *help;
} dv_option;

/* Borrowed texts; items ends with NULL once there is one. */
typedef struct dv_texts {
    const char **items;
    size_t count;
} dv_texts;

typedef enum dv_progress_mode {
    DV_PROGRESS_AUTO,
    DV_PROGRESS_TTY,
    DV_PROGRESS_PLAIN,
    DV_PROGRESS_JSON,
    DV_PROGRESS_NONE,
} dv_progress_mode;

/* What holds for every command. Zero is the default everywhere, except for the two that dv_globals_init() sets. */
typedef struct dv_globals {
    const char *store;
    const char *config;
    const char *authfile;
    const char *certs_dir;
    dv_progress_mode progress;
    int progress_fd; /* -1: standard error */
    bool quiet, debug, help, version;
    bool tls_verify;
    dv_texts insecure_registries, registry_mirrors, trusted_realms, headers;
    uint32_t max_concurrent_downloads, max_concurrent_uploads, max_download_attempts;
    uint32_t connect_timeout_ms, first_byte_timeout_ms, stall_timeout_ms;
    uint32_t min_rate, min_rate_window_ms, retry_delay_ms, helper_timeout_ms;
} dv_globals;

extern const dv_option dv_global_options[];

void dv_globals_init(dv_globals *g);
void dv_globals_clear(dv_globals *g);
DV_DEFINE_AUTO(dv_globals, dv_globals_clear)

/*
 * Read options out of argv (argv[0] is skipped) into the structs that the tables describe.
 *
 * own: NULL while the command's name is looked for: reading stops at the first word that is no option. Otherwise options may
 * stand anywhere and argv is reordered. out_first is set to the index of the first argument. Errors: DAVIT_EINVAL.
 */
int dv_options_parse(dv_globals *globals, const dv_option *own, void *own_values, int argc, char **argv,
                     int *out_first, davit_error **err);

#endif
