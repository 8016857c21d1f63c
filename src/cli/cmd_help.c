/* cli/cmd_help.c - davit help [COMMAND]: everything comes out of the tables. */
#include "cli/cli.h"

#include "util/str.h"

#include <string.h>

#define HELP_COLUMN 42

static const char exit_statuses[] =
    "Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 not authorised or denied, 5 verification\n"
    "failed, 6 network or registry unavailable, 7 local disk or store, 130 interrupted.\n";

void dv_help_usage_line(const dv_cli *cli, dv_buf *out)
{
    const dv_command *c = cli->command;
    if (c)
        dv_buf_printf(out, "davit %s%s%s", c->name, *c->arguments ? " " : "", c->arguments);
    else
        dv_buf_puts(out, "davit [OPTIONS] COMMAND [FLAGS] ARGUMENTS (davit help lists the commands)");
}

static void print_options(dv_output *o, const dv_option *rows)
{
    for (const dv_option *row = rows; row->name; row++) {
        DV_AUTO(dv_buf) left = DV_BUF_INIT(256);
        if (row->letter)
            dv_buf_printf(&left, "-%c, ", row->letter);
        else
            dv_buf_puts(&left, "    ");
        dv_buf_printf(&left, "--%s", row->name);
        if (row->value)
            dv_buf_printf(&left, "%c%s", row->kind == DV_OPTION_BOOL ? '=' : ' ', row->value);
        dv_output_printf(o, "  %-*s %s\n", HELP_COLUMN, dv_buf_text(&left), row->help);
    }
}

static int print_overview(dv_cli *cli)
{
    DV_AUTO(dv_buf) usage = DV_BUF_INIT(DV_LINE_MAX);
    dv_output *o = &cli->out;
    dv_help_usage_line(&(dv_cli){0}, &usage);
    dv_output_printf(o, "usage: %s\n\nCommands:\n", dv_buf_text(&usage));
    for (size_t i = 0; cli->commands[i]; i++)
        dv_output_printf(o, "  %-10s %s\n", cli->commands[i]->name, cli->commands[i]->summary);
    dv_output_printf(o, "\nOptions, before or after the command:\n");
    print_options(o, dv_global_options);
    dv_output_printf(
        o,
        "\nAn image is [TRANSPORT:]NAME; docker://NAME is in a registry, store:NAME in the local store.\n%s",
        exit_statuses);
    return 0;
}

int dv_help_print(dv_cli *cli, const dv_command *command)
{
    dv_output *o = &cli->out;
    if (!command)
        return print_overview(cli);
    DV_AUTO(dv_buf) usage = DV_BUF_INIT(DV_LINE_MAX);
    dv_help_usage_line(&(dv_cli){.command = command}, &usage);
    dv_output_printf(o, "usage: %s\n\n%s\n", dv_buf_text(&usage), command->summary);
    if (command->details)
        dv_output_printf(o, "\n%s\n", command->details);
    if (command->options->name) {
        dv_output_printf(o, "\nFlags:\n");
        print_options(o, command->options);
    }
    dv_output_printf(o, "\nExample:\n  %s\n\nOptions of every command: davit help.\n", command->example);
    return 0;
}

static int run(dv_cli *cli, void *values, char **arguments, size_t count, davit_error **err)
{
    if (count == 0)
        return dv_help_print(cli, NULL);
    for (size_t i = 0; cli->commands[i]; i++)
        if (dv_str_equal(cli->commands[i]->name, arguments[0]))
            return dv_help_print(cli, cli->commands[i]);
    return dv_cli_usage(cli, err, "unknown command '%s'", arguments[0]);
}

static const dv_option options[] = {{NULL}};

const dv_command dv_command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "list the commands, or explain one",
    .example = "davit help pull",
    .options = options,
    .max_count = 1,
    .run = run,
};
