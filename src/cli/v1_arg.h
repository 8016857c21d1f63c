/* cli/v1_arg.h - what every verb of davit v1 takes: who is asked, as whom, and a name. */
#ifndef DV_CLI_V1_ARG_H
#define DV_CLI_V1_ARG_H

#include "cli/cli.h"
#include "cli/prompt.h"
#include "davit/registry_v1.h"

typedef struct dv_v1_values {
    const char *index, *registry, *username, *output, *search;
    bool password_stdin, json, all_tags, all, dry_run;
    uint32_t limit, page;
    davit_platform platform;
} dv_v1_values;

DV_DEFINE_AUTOPTR(davit_v1_repository, davit_v1_repository_close)

DV_DEFINE_AUTO(davit_v1_name, davit_v1_name_clear)

/*
 * Who is asked, and as whom; password must live as long as out. Asks for the password when there is a name for it.
 */
int dv_v1_read_options(dv_cli *cli, const dv_v1_values *v, davit_v1_open_options *out, dv_buf *password,
                       davit_error **err);
#define DV_V1_PASSWORD_INIT                         \
    {                                               \
        .max = DV_STDIN_SECRET_MAX, .secret = true, \
    }

/* cli->client, and a repository that was opened for this. */
int dv_v1_open(dv_cli *cli, const dv_v1_values *v, const char *repository, davit_v1_access access,
               davit_v1_repository **out, davit_error **err);
/* The same without a repository: whoever is asked first. */
int dv_v1_find(dv_cli *cli, const dv_v1_values *v, const char *name, davit_v1_client **out, davit_error **err);
/* The image that a name is: its id, or that of its tag (latest). New text. */
int dv_v1_image_id(const davit_v1_repository *rep, const davit_v1_name *n, char **out, davit_error **err);

/* A davit_progress_fn for a dv_cli with a view: messages are results, and go to standard output. */
void dv_v1_on_event(const davit_progress *event, void *user_data);

/* v1_migrate.c: davit v1 migrate. */
int dv_v1_migrate(dv_cli *cli, const dv_v1_values *v, char **arguments, size_t count, davit_error **err);

#endif
