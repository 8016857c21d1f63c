/* cli/v1_arg.c - see v1_arg.h. */
#include "cli/v1_arg.h"

#include "davit/auth.h"
#include "util/str.h"

/* --- as whom ------------------------------------------------------------------------------------------------------- */

static int check_password(dv_cli *cli, const dv_v1_values *v, davit_error **err)
{
    if (v->password_stdin && !v->username)
        return dv_cli_usage(cli, err, "--password-stdin needs --username");
    if (v->password_stdin && dv_prompt_possible())
        return dv_cli_usage(cli, err,
                            "--password-stdin: standard input is a terminal, which would show the password: "
                            "leave the option out to be asked");
    if (v->username && !v->password_stdin && !dv_prompt_possible())
        return dv_cli_usage(cli, err,
                            "no password for %s, and no terminal to ask for one: give --password-stdin",
                            v->username);
    return 0;
}

int dv_v1_read_options(dv_cli *cli, const dv_v1_values *v, davit_v1_open_options *out, dv_buf *password,
                       davit_error **err)
{
    int r = check_password(cli, v, err);
    if (r == 0 && v->username)
        r = v->password_stdin ? dv_prompt_read_secret(password, err)
                              : dv_prompt_secret("Password: ", password, err);
    if (r < 0)
        return r;
    *out = (davit_v1_open_options)DAVIT_V1_OPEN_OPTIONS_INIT;
    out->index = v->index;
    out->registry = v->registry;
    out->username = v->username;
    out->password = v->username ? dv_buf_text(password) : NULL;
    return 0;
}

int dv_v1_open(dv_cli *cli, const dv_v1_values *v, const char *repository, davit_v1_access access,
               davit_v1_repository **out, davit_error **err)
{
    davit_v1_open_options options;
    DV_AUTO(dv_buf) password = DV_V1_PASSWORD_INIT;
    int r = dv_v1_read_options(cli, v, &options, &password, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    return r < 0 ? r
                 : davit_v1_repository_open(cli->client, repository, access, /* images= */ NULL, 0, &options,
                                            out, err);
}

int dv_v1_find(dv_cli *cli, const dv_v1_values *v, const char *name, davit_v1_client **out, davit_error **err)
{
    davit_v1_open_options options;
    DV_AUTO(dv_buf) password = DV_V1_PASSWORD_INIT;
    if (v->username)
        return dv_cli_usage(cli, err, "a search asks as nobody: --username is not for it");
    int r = dv_v1_read_options(cli, v, &options, &password, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    return r < 0 ? r : davit_v1_client_find(cli->client, name, &options, out, err);
}

int dv_v1_image_id(const davit_v1_repository *rep, const davit_v1_name *n, char **out, davit_error **err)
{
    if (!n->id)
        return davit_v1_repository_get_image_id(davit_v1_repository_registry(rep),
                                                davit_v1_repository_path(rep), n->tag ? n->tag : "latest",
                                                davit_v1_repository_auth(rep), out, err);
    *out = dv_strdup(n->id);
    return *out ? 0 : dv_error_oom(err);
}

/* --- events ---------------------------------------------------------------------------------------------------- */

void dv_v1_on_event(const davit_progress *event, void *user_data)
{
    dv_cli *cli = user_data;
    if (event->kind != DAVIT_PROGRESS_MESSAGE) {
        dv_progress_view_event(event, cli->view);
        return;
    }
    dv_progress_view_settle(cli->view);
    dv_output_text(&cli->out, event->action);
    dv_output_printf(&cli->out, "\n");
}
