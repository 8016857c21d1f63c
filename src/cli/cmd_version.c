/* cli/cmd_version.c - davit version: the program's and the library's. */
#include "cli/cli.h"

int dv_version_print(dv_cli *cli)
{
    dv_output_printf(&cli->out, "davit %s\nlibdavit %s\n", DAVIT_VERSION, davit_version());
    return 0;
}

static int run(dv_cli *cli, void *values, char **arguments, size_t count, davit_error **err)
{
    return dv_version_print(cli);
}

static const dv_option options[] = {{NULL}};

const dv_command dv_command_version = {
    .name = "version",
    .arguments = "",
    .summary = "print the version of the program and of the library",
    .example = "davit version",
    .options = options,
    .run = run,
};
