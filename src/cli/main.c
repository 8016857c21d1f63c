/*
 * cli/main.c - the program: prepares the process, finds the command, prints its error, gives its exit status.
 *
 * Decides what is true for every command. What belongs to the process (umask, signals, limits, open descriptors) is set here and
 * nowhere in the library.
 */
#include "cli/cli.h"

#include "cli/credential_davit.h"
#include "cli/signals.h"
#include "davit/registry_v1.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* the leak checker reads its own process as a debugger does */
#else
#define SANITIZED 0
#endif

/* In the order of help. */
static const dv_command *const commands[] = {
    &dv_command_pull,
    &dv_command_push,
    &dv_command_unpack,
    &dv_command_export,
    &dv_command_images,
    &dv_command_inspect,
    &dv_command_history,
    &dv_command_tag,
    &dv_command_rmi,
    &dv_command_df,
    &dv_command_prune,
    &dv_command_save,
    &dv_command_load,
    &dv_command_fsck,
    &dv_command_tags,
    &dv_command_catalog,
    &dv_command_manifest,
    &dv_command_config,
    &dv_command_digest,
    &dv_command_blob,
    &dv_command_copy,
    &dv_command_delete,
    &dv_command_referrers,
    &dv_command_attach,
    &dv_command_artifact,
    &dv_command_index,
    &dv_command_ping,
    &dv_command_login,
    &dv_command_logout,
    &dv_command_search,
    &dv_command_v1,
    &dv_command_info,
    &dv_command_version,
    &dv_command_help,
    NULL,
};

static mode_t prepare_process(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX,
            1); /* one heap for all threads: they hold little, and 64 MiB of address space each adds up */
#endif
    if (!SANITIZED)
        prctl(PR_SET_DUMPABLE, 0); /* passwords are in our memory (threats A12) */
    signal(SIGPIPE, SIG_IGN);
    /* A file that is opened later must not become standard output. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
    return umask(077);
}

static const dv_command *find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (dv_str_equal(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static int start_log(dv_cli *cli, davit_error **err)
{
    const char *topics = getenv("DAVIT_TRACE");
    cli->tracing = topics && *topics;
    davit_log_level level = cli->globals.debug   ? DAVIT_LOG_DEBUG
                            : cli->globals.quiet ? DAVIT_LOG_ERROR
                                                 : DAVIT_LOG_WARNING;
    davit_log_set(dv_cli_log, level, cli);
    if (cli->tracing && davit_trace_set(topics) < 0)
        return dv_error_set(err, DAVIT_EINVAL,
                            "DAVIT_TRACE: '%s' is not a list of http, auth, xfer, store or all", topics);
    return 0;
}

/* The own words of a registry of the first version belong behind what it answered. */
static int add_detail(int r, davit_error **err)
{
    const char *detail = r < 0 ? davit_v1_error_detail(*err) : NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    if (!detail)
        return r;
    why = DV_STEAL(*err);
    return dv_error_set(err, r, "%s: %s", davit_error_message(why), detail);
}

static int run_command(dv_cli *cli, int argc, char **argv, davit_error **err)
{
    const dv_command *command = cli->command;
    DV_AUTOFREE void *values = dv_calloc(1, command->values_size + 1);
    int first;
    if (!values)
        return dv_error_oom(err);
    cli->usage = true;
    int r = dv_options_parse(&cli->globals, command->options, values, argc, argv, &first, err);
    if (r < 0)
        return r;
    cli->usage = false;
    if (cli->globals.help)
        return dv_help_print(cli, command);
    if (cli->globals.version)
        return dv_version_print(cli);
    int count = argc - first;
    if (count < command->min_count)
        return dv_cli_usage(cli, err, "%s: an argument is missing", command->name);
    if (command->max_count >= 0 && count > command->max_count)
        return dv_cli_usage(cli, err, "%s: '%s' is one argument too many", command->name,
                            argv[first + command->max_count]);
    r = start_log(cli, err);
    if (r == 0)
        r = dv_signals_start(err);
    return r < 0 ? r : add_detail(command->run(cli, values, argv + first, (size_t)count, err), err);
}

static int run(dv_cli *cli, int argc, char **argv, davit_error **err)
{
    int first;
    cli->usage = true;
    int r = dv_options_parse(&cli->globals, NULL, NULL, argc, argv, &first, err);
    if (r < 0)
        return r;
    cli->usage = false;
    const char *name = first < argc ? argv[first] : NULL;
    if (!name && cli->globals.version)
        return dv_version_print(cli);
    if (!name && cli->globals.help)
        return dv_help_print(cli, NULL);
    if (!name)
        return dv_cli_usage(cli, err, "a command is missing");
    cli->command = find_command(name);
    if (!cli->command)
        return dv_cli_usage(cli, err, "unknown command '%s'", name);
    return run_command(cli, argc - first, argv + first, err);
}

/* A reader that went away (head, less) needs no message. */
static bool worth_saying(const dv_cli *cli, const davit_error *error)
{
    return error && cli->out.error != EPIPE;
}

static void print_error(const dv_cli *cli, const davit_error *error)
{
    DV_AUTO(dv_buf) line = DV_BUF_INIT(DV_LINE_MAX);
    dv_message_write(STDERR_FILENO, "davit", dv_signals_came() ? "interrupted" : davit_error_message(error));
    if (!cli->usage)
        return;
    dv_help_usage_line(cli, &line);
    dv_message_write(STDERR_FILENO, "usage", dv_buf_text(&line));
}

/*
 * A question that was answered needs no farewell: ending threads, connections and OpenSSL takes a tenth of `davit digest`. Not
 * with a store, whose database is closed, and not where leaks are looked for.
 */
static void leave_early(const dv_cli *cli, int status)
{
#ifndef __SANITIZE_ADDRESS__
    if (cli->client && !cli->uses_store && !cli->view)
        _exit(status);
#endif
}

int main(int argc, char **argv)
{
    DV_AUTOPTR(davit_error) error = NULL;
    mode_t before = prepare_process();
    if (dv_credential_davit_is_meant(argc > 0 ? argv[0] : NULL))
        return dv_credential_davit_main(argc, argv);
    dv_cli cli = {.commands = commands, .umask = before, .store_dir = DV_BUF_INIT(8192)};
    dv_globals_init(&cli.globals);
    dv_output_init(&cli.out, STDOUT_FILENO);
    int r = run(&cli, argc, argv, &error);
    int written = dv_output_finish(&cli.out, error && !cli.out.error ? NULL : &error);
    r = r < 0 ? r : written;
    if (r < 0)
        dv_signals_stop(); /* whether one came is decided now */
    int status = dv_exit_status(r < 0 && dv_signals_came() ? DAVIT_ECANCELLED : r);
    if (r == 0)
        leave_early(&cli, status);
    dv_cli_clear(&cli);
    if (r < 0 && cli.out.error == EPIPE)
        status = 1;
    if (r < 0 && worth_saying(&cli, error))
        print_error(&cli, error);
    return status;
}
