/* cli/cmd_logout.c - davit logout: forget what is stored for a registry. The registry is not asked. */
#include "cli/cli.h"

#include "cli/registry_arg.h"
#include "davit/auth.h"

#include <stdlib.h>
#include <unistd.h>

DV_DEFINE_AUTO(davit_auth_config, davit_auth_config_clear)

/* Other files are searched too, and they may have an entry that now counts. */
static void warn_of_others(dv_cli *cli, const char *host)
{
    DV_AUTO(davit_auth_config) other = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_MESSAGE_MAX);
    if (davit_client_get_credentials(cli->client, host, &other, NULL) < 0 ||
        davit_auth_config_is_anonymous(&other) || cli->globals.quiet)
        return;
    const char *variable = getenv("DOCKER_AUTH_CONFIG");
    dv_buf_printf(
        &text, "there are still credentials for %s in another place, which are used from now on%s", host,
        variable && *variable ? "; $DOCKER_AUTH_CONFIG is looked at before the configuration file" : "");
    dv_message_write(STDERR_FILENO, "warning", dv_buf_text(&text));
}

typedef struct values {
    bool all;
} values;

static int forget_all(dv_cli *cli, davit_error **err)
{
    DV_AUTOFREE char *where = NULL;
    bool found = false;
    int r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r == 0)
        r = davit_client_delete_all_credentials(cli->client, &found, &where, err);
    if (r < 0)
        return r;
    dv_output_printf(&cli->out, found ? "Removed the login credentials for all registries from "
                                      : "Not logged in to any registry: nothing is stored in ");
    dv_output_text(&cli->out, where);
    dv_output_printf(&cli->out, "\n");
    return 0;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOFREE char *host = NULL, *where = NULL;
    bool found = false;
    if (v->all && count > 0)
        return dv_cli_usage(cli, err, "--all is for every registry: none is named with it");
    if (v->all)
        return forget_all(cli, err);
    int r = dv_registry_arg_parse(count > 0 ? arguments[0] : NULL, &host, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r == 0)
        r = davit_client_delete_credentials(cli->client, host, &found, &where, err);
    if (r < 0)
        return r;
    if (found) {
        dv_output_printf(&cli->out, "Removed the login credentials for %s from ", host);
        dv_output_text(&cli->out, where);
        dv_output_printf(&cli->out, "\n");
    } else {
        dv_output_printf(&cli->out, "Not logged in to %s\n", host);
    }
    warn_of_others(cli, host);
    return 0;
}

static const dv_option options[] = {
    {"all", 'a', DV_OPTION_FLAG, offsetof(values, all), NULL, "of every registry"},
    {NULL},
};

const dv_command dv_command_logout = {
    .name = "logout",
    .arguments = "[REGISTRY | --all]",
    .summary = "forget the stored credentials of a registry",
    .details = "REGISTRY as for login. That there was nothing to forget is no failure.",
    .example = "davit logout registry.example:5000",
    .options = options,
    .values_size = sizeof(values),
    .max_count = 1,
    .run = run,
};
