/* cli/cmd_ping.c - davit ping: is there a v2 registry, and does it let us in? */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "cli/registry_arg.h"

static const struct {
    int status;
    const char *words;
} statuses[] = {
    {200, "OK"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {307, "Temporary Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

static const char *words_of(int status)
{
    for (size_t i = 0; i < DV_COUNT(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].words;
    return "";
}

/* The outcome, with the code that gives the exit status. */
static int judge(const davit_ping_result *ping, const char **out_meaning)
{
    switch (ping->status) {
    case 200:
        *out_meaning = ping->authenticated ? "a v2 registry that accepts the credentials at hand"
                                           : "a v2 registry that asks for no credentials";
        return 0;
    case 401:
        *out_meaning = ping->authenticated ? "a v2 registry that accepts the credentials at hand"
                                           : "a v2 registry that wants credentials";
        return ping->authenticated ? 0 : DAVIT_EUNAUTHORIZED;
    case 403:
        *out_meaning = "access denied";
        return DAVIT_EDENIED;
    case 404:
        *out_meaning = "not a v2 registry";
        return DAVIT_ENOTFOUND;
    default:
        *out_meaning = "not an answer of a v2 registry";
        return DAVIT_EUNAVAILABLE;
    }
}

static int run(dv_cli *cli, void *values, char **arguments, size_t count, davit_error **err)
{
    const char *name, *meaning;
    DV_AUTOFREE char *host = NULL;
    davit_ping_result ping = {0};
    int r = dv_image_arg_registry(arguments[0], &name, err);
    if (r == 0)
        r = dv_registry_arg_parse(name, &host, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r == 0)
        r = davit_registry_ping(cli->client, host, &ping, err);
    if (r < 0)
        return r;
    int code = judge(&ping, &meaning);
    const char *words = words_of(ping.status);
    dv_output_text(&cli->out, ping.url);
    dv_output_printf(&cli->out, ": %d%s%s, %s", ping.status, *words ? " " : "", words, meaning);
    if (ping.challenge[0]) {
        dv_output_printf(&cli->out, " (");
        dv_output_text(&cli->out, ping.challenge);
        dv_output_printf(&cli->out, ")");
    }
    dv_output_printf(&cli->out, "%s\n", ping.tls ? "" : "; the connection is not encrypted");
    return code < 0 ? dv_error_set(err, code, "%s: %s", host, meaning) : 0;
}

static const dv_option options[] = {{NULL}};

const dv_command dv_command_ping = {
    .name = "ping",
    .arguments = "REGISTRY",
    .summary = "ask whether a host is a v2 registry and whether it lets us in",
    .details = "REGISTRY is HOST[:PORT] or a URL, of which the host counts.\n"
               "Status 0: yes. 4: it wants other credentials. 3: it is no v2 registry. 6: no usable answer.",
    .example = "davit ping registry.example:5000",
    .options = options,
    .min_count = 1,
    .max_count = 1,
    .run = run,
};
