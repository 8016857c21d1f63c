/* cli/command_view.c - dv_cli_view(): the progress view of a command that moves images, by the options. */
#include "cli/cli.h"

#include <unistd.h>

/* Nobody reads the progress stream any more: pull.md 10.2 takes that for a cancellation. */
static void reader_is_gone(void *user_data)
{
    dv_cli *cli = user_data;
    if (cli->client)
        davit_client_cancel(cli->client);
}

int dv_cli_view(dv_cli *cli, davit_error **err)
{
    const dv_globals *g = &cli->globals;
    bool chatty = g->debug || cli->tracing; /* bars would only be torn by it */
    const dv_progress_view_options options = {
        .mode = g->quiet                                    ? DV_PROGRESS_NONE
                : g->progress == DV_PROGRESS_AUTO && chatty ? DV_PROGRESS_PLAIN
                                                            : g->progress,
        .fd = g->progress_fd >= 0 ? g->progress_fd : STDERR_FILENO,
        .quiet = g->quiet,
        .redraw_ms = DV_PROGRESS_REDRAW_MS,
        .heartbeat_ms = DV_PROGRESS_HEARTBEAT_MS,
        .lost = reader_is_gone,
        .user_data = cli,
    };
    cli->view = dv_progress_view_new(&options);
    return cli->view ? 0 : dv_error_oom(err);
}

int dv_cli_view_end(dv_cli *cli, int r, davit_error **err)
{
    if (!cli->view)
        return r;
    dv_progress_view_settle(cli->view);
    if (r < 0 && err)
        dv_progress_view_error(cli->view, davit_error_message(*err));
    return r;
}
