/* cli/session.c - see cli.h. Decides how options become a client or a store; commands that need neither make neither. */
#include "cli/cli.h"

#include "cli/signals.h"
#include "util/str.h"

#include <string.h>
#include <unistd.h>

int dv_cli_usage(dv_cli *cli, davit_error **err, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    cli->usage = true;
    return dv_error_set(err, DAVIT_EINVAL, "%s", text.failed ? "wrong usage" : dv_buf_text(&text));
}

int dv_cli_name_error(davit_error **err, int r, const char *what)
{
    if (r < 0 && r != DAVIT_ECANCELLED && err && *err && !strstr(davit_error_message(*err), what))
        dv_error_wrap(err, r, "%s", what);
    return r;
}

static int default_store_dir(dv_buf *out, davit_error **err)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (geteuid() == 0)
        dv_buf_puts(out, "/var/lib/davit");
    else if (data && *data == '/')
        dv_buf_printf(out, "%s/davit", data);
    else if (home && *home == '/')
        dv_buf_printf(out, "%s/.local/share/davit", home);
    else
        return dv_error_set(err, DAVIT_ECONFIG, "no home directory to keep a store in: give --store DIR");
    return 0;
}

int dv_cli_store_dir(dv_cli *cli, const char **out, davit_error **err)
{
    dv_buf *dir = &cli->store_dir;
    const char *named = cli->globals.store ? cli->globals.store : getenv("DAVIT_STORE");
    dv_buf_reset(dir);
    if (named && *named)
        dv_buf_puts(dir, named);
    else {
        int r = default_store_dir(dir, err);
        if (r < 0)
            return r;
    }
    if (dir->failed)
        return dv_error_set(err, DAVIT_EINVAL, "the name of the store is too long");
    *out = dv_buf_text(dir);
    return 0;
}

const char *dv_cli_config_file(const dv_cli *cli)
{
    const char *named = cli->globals.config ? cli->globals.config : getenv("DAVIT_CONFIG");
    return named && *named ? named : NULL;
}

int dv_cli_client(dv_cli *cli, bool with_store, uint32_t flags, davit_error **err)
{
    const dv_globals *g = &cli->globals;
    davit_client_options options = DAVIT_CLIENT_OPTIONS_INIT;
    int r = with_store ? dv_cli_store_dir(cli, &options.store_dir, err) : 0;
    if (r < 0)
        return r;
    options.flags = flags | (g->tls_verify ? 0 : DAVIT_CLIENT_TLS_NO_VERIFY);
    options.config_file = dv_cli_config_file(cli);
    options.authfile = g->authfile;
    options.certs_dir = g->certs_dir;
    options.insecure_registries = g->insecure_registries.items;
    options.registry_mirrors = g->registry_mirrors.items;
    options.trusted_realms = g->trusted_realms.items;
    options.headers = g->headers.items;
    options.max_concurrent_downloads = g->max_concurrent_downloads;
    options.max_concurrent_uploads = g->max_concurrent_uploads;
    options.max_download_attempts = g->max_download_attempts;
    options.connect_timeout_ms = g->connect_timeout_ms;
    options.first_byte_timeout_ms = g->first_byte_timeout_ms;
    options.stall_timeout_ms = g->stall_timeout_ms;
    options.min_rate = g->min_rate;
    options.min_rate_window_ms = g->min_rate_window_ms;
    options.retry_delay_ms = g->retry_delay_ms;
    options.helper_timeout_ms = g->helper_timeout_ms;
    r = davit_client_new(&options, &cli->client, err);
    if (r == 0)
        dv_signals_set_client(cli->client);
    cli->uses_store = with_store;
    return r;
}

static int open_store(dv_cli *cli, uint32_t flags, davit_error **err)
{
    const char *dir;
    int r = dv_cli_store_dir(cli, &dir, err);
    return r < 0 ? r : davit_store_open(dir, flags, &cli->store, err);
}

int dv_cli_store(dv_cli *cli, davit_error **err)
{
    return open_store(cli, DAVIT_STORE_READ_ONLY, err);
}

int dv_cli_store_writable(dv_cli *cli, davit_error **err)
{
    return open_store(cli, /* flags= */ 0, err);
}

void dv_cli_log(davit_log_level level, const char *line, void *user_data)
{
    static const char *const prefixes[] = {"error", "warning", "info", "debug"};
    dv_cli *cli = user_data;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_LINE_MAX);
    const char *prefix = (size_t)level < DV_COUNT(prefixes) ? prefixes[level] : "log";
    if (!cli->view) {
        dv_message_write(STDERR_FILENO, prefix, line);
        return;
    }
    dv_buf_printf(&text, "%s: ", prefix);
    dv_message_format(&text, line);
    if (!text.failed)
        dv_progress_view_log(cli->view, dv_buf_text(&text));
}

void dv_cli_clear(dv_cli *cli)
{
    dv_signals_stop();
    davit_client_free(cli->client);
    davit_store_free(cli->store);
    davit_log_set(NULL, DAVIT_LOG_ERROR, NULL);
    dv_progress_view_free(cli->view);
    dv_output_clear(&cli->out);
    dv_buf_clear(&cli->store_dir);
    dv_globals_clear(&cli->globals);
}
