/* cli/artifact_arg.h - FILE[:MEDIATYPE] and KEY=VALUE of the commands that push artifacts. */
#ifndef DV_CLI_ARTIFACT_ARG_H
#define DV_CLI_ARTIFACT_ARG_H

#include "cli/cli.h"
#include "davit/artifact.h"
#include "util/alloc.h"

/* Files and annotations, with the memory behind them. */
typedef struct dv_artifact_args {
    davit_artifact_file *files;
    size_t file_count;
    davit_annotation *annotations;
    size_t annotation_count;
    char **texts; /* that were cut in two */
    size_t text_count;
} dv_artifact_args;

#define DV_ARTIFACT_ARGS_INIT \
    {                         \
        0                     \
    }
void dv_artifact_args_clear(dv_artifact_args *a);
DV_DEFINE_AUTO(dv_artifact_args, dv_artifact_args_clear)

/*
 * The last ':' with a media type behind it parts name and type, unless a file of the whole name is there. DAVIT_EINVAL: an annotation without
 * "=" or without a key.
 */
int dv_artifact_args_parse(char *const *files, size_t file_count, const dv_texts *annotations,
                           dv_artifact_args *out, davit_error **err);

/*
 * NAME [FILE[:MEDIATYPE]]... of a command that pushes to NAME, with a client to do it. The files and annotations of out_options are those of out.
 */
int dv_artifact_command_read(dv_cli *cli, char *const *arguments, size_t count, const dv_texts *annotations,
                             davit_reference **out_ref, dv_artifact_args *out,
                             davit_artifact_options *out_options, davit_error **err);

#endif
