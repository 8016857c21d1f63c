/* cli/cli.h - what a command gets: the options, standard output, and the library's objects, made when they are first wanted. */
#ifndef DV_CLI_CLI_H
#define DV_CLI_CLI_H

#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_view.h"
#include "davit/client.h"
#include "davit/log.h"
#include "davit/registry.h"
#include "davit/store.h"

#include <sys/types.h>

typedef struct dv_cli dv_cli;

/* A row of the command table (main.c). */
typedef struct dv_command {
    const char *name;
    const char *arguments; /* of the usage line */
    const char *summary;
    const char *details; /* for help, lines with newlines; NULL */
    const char *example;
    const dv_option *options; /* ends with a NULL name */
    size_t values_size;       /* of the struct that options fill */
    int min_count, max_count; /* arguments; max_count -1: any number */
    /*
     * 0 or a negative davit_code with *err set, or without when everything was said already. Usage errors go through
     * dv_cli_usage().
     */
    int (*run)(dv_cli *cli, void *values, char **arguments, size_t count, davit_error **err);
} dv_command;

struct dv_cli {
    dv_globals globals;
    const dv_command *const *commands; /* ends with NULL */
    const dv_command *command;         /* the chosen one, or NULL */
    dv_output out;
    dv_buf store_dir;
    davit_client *client;
    bool uses_store; /* the client has one, which wants to be closed */
    davit_store *store;
    dv_progress_view *view; /* set before the client, released after it: the log goes through it */
    mode_t umask;           /* the user's */
    bool usage;             /* the error deserves a usage line */
    bool tracing;
};

extern const dv_command dv_command_unpack, dv_command_pull, dv_command_push, dv_command_images,
    dv_command_inspect, dv_command_manifest, dv_command_config, dv_command_digest, dv_command_blob,
    dv_command_tags, dv_command_ping, dv_command_search, dv_command_info, dv_command_login, dv_command_logout,
    dv_command_version, dv_command_export, dv_command_help, dv_command_tag, dv_command_rmi, dv_command_prune,
    dv_command_fsck, dv_command_df, dv_command_history, dv_command_load, dv_command_save, dv_command_catalog,
    dv_command_copy, dv_command_delete, dv_command_referrers, dv_command_attach, dv_command_artifact,
    dv_command_index, dv_command_v1;

DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)
DV_DEFINE_AUTOPTR(davit_manifest, davit_manifest_free)
DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)
DV_DEFINE_AUTOPTR(davit_image_list, davit_image_list_free)

/* --- session.c, command_view.c --- */

/* Set the error and ask for the usage line. */
int dv_cli_usage(dv_cli *cli, davit_error **err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Put what failed before a message that does not name it. Gives r back. */
int dv_cli_name_error(davit_error **err, int r, const char *what);
/* The store's directory: --store, $DAVIT_STORE or the default. Borrowed from cli. */
int dv_cli_store_dir(dv_cli *cli, const char **out, davit_error **err);
/* The configuration file that is named by --config or $DAVIT_CONFIG; NULL: the default ones. */
const char *dv_cli_config_file(const dv_cli *cli);
/* Make cli->client. flags: DAVIT_CLIENT_*, added to what the options say. */
int dv_cli_client(dv_cli *cli, bool with_store, uint32_t flags, davit_error **err);
/* Open cli->store for looking. DAVIT_ENOTFOUND: there is none. */
int dv_cli_store(dv_cli *cli, davit_error **err);
/* Open cli->store for changing what is in it. DAVIT_ENOTFOUND: there is none. */
int dv_cli_store_writable(dv_cli *cli, davit_error **err);
/* Make cli->view; before the client. */
int dv_cli_view(dv_cli *cli, davit_error **err);
/* What was shown came to its end with r, which it gives back; err says why. */
int dv_cli_view_end(dv_cli *cli, int r, davit_error **err);
/* The library's messages, for davit_log_set(); user_data is the dv_cli. Threads: any. */
void dv_cli_log(davit_log_level level, const char *line, void *user_data);
/* Release everything. */
void dv_cli_clear(dv_cli *cli);

/* NULL when none was given. */
static inline const davit_platform *dv_platform_or_null(const davit_platform *platform)
{
    return davit_platform_is_empty(platform) ? NULL : platform;
}

/* --- store_lookup.c; each opens cli->store when it is not open --- */

/* A list of one image. */
int dv_store_find_one(dv_cli *cli, const char *name, const davit_platform *platform, davit_image_list **out,
                      davit_error **err);
/* What a name stands for: an index whole, or with a platform the manifest of it. */
int dv_store_resolve(dv_cli *cli, const char *name, const davit_platform *platform, davit_digest *out,
                     davit_error **err);
/* A small blob, verified, into an empty buffer. The store is open. */
int dv_store_read_blob(dv_cli *cli, const davit_digest *digest, size_t max, dv_buf *out, davit_error **err);

/* What a layout, an archive or a directory has. The client is made. */
int dv_files_manifest(dv_cli *cli, const char *place, const davit_platform *platform, davit_manifest **out,
                      davit_error **err);

/* --- cmd_help.c --- */

void dv_help_usage_line(const dv_cli *cli, dv_buf *out);
int dv_help_print(dv_cli *cli, const dv_command *command);
/* --- cmd_version.c --- */
int dv_version_print(dv_cli *cli);

#endif
