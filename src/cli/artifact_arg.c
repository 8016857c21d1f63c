/* cli/artifact_arg.c - see artifact_arg.h. */
#include "cli/artifact_arg.h"

#include "cli/registry_image.h"

#include <string.h>
#include <sys/stat.h>

void dv_artifact_args_clear(dv_artifact_args *a)
{
    for (size_t i = 0; i < a->text_count; i++)
        free(a->texts[i]);
    free(a->texts);
    free(a->files);
    free(a->annotations);
    *a = (dv_artifact_args)DV_ARTIFACT_ARGS_INIT;
}

/* A copy that is cut at an offset: two texts. NULL: no memory. */
static char *cut(dv_artifact_args *a, const char *text, size_t at)
{
    char *copy = dv_strdup(text);
    if (copy) {
        copy[at] = '\0';
        a->texts[a->text_count++] = copy;
    }
    return copy;
}

/* Where the media type begins, NULL: there is none. "C:/x" and "a:b/c" that are there are files. */
static const char *find_type(const char *text)
{
    struct stat st;
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || lstat(text, &st) == 0)
        return NULL;
    return colon + 1;
}

static int parse_file(dv_artifact_args *a, const char *text, davit_error **err)
{
    const char *type = find_type(text);
    davit_artifact_file *file = &a->files[a->file_count++];
    *file = (davit_artifact_file){.path = text};
    if (!type)
        return 0;
    size_t at = (size_t)(type - 1 - text);
    char *path = cut(a, text, at);
    if (!path)
        return dv_error_oom(err);
    *file = (davit_artifact_file){.path = path, .media_type = path + at + 1};
    return 0;
}

static int parse_annotation(dv_artifact_args *a, const char *text, davit_error **err)
{
    size_t at = strcspn(text, "=");
    if (at == 0 || !text[at])
        return dv_error_set(err, DAVIT_EINVAL, "--annotation '%s': not KEY=VALUE", text);
    char *key = cut(a, text, at);
    if (!key)
        return dv_error_oom(err);
    a->annotations[a->annotation_count++] = (davit_annotation){.key = key, .value = key + at + 1};
    return 0;
}

int dv_artifact_args_parse(char *const *files, size_t file_count, const dv_texts *annotations,
                           dv_artifact_args *out, davit_error **err)
{
    DV_AUTO(dv_artifact_args) a = DV_ARTIFACT_ARGS_INIT;
    int r = 0;
    a.files = dv_new_array(davit_artifact_file, file_count + 1);
    a.annotations = dv_new_array(davit_annotation, annotations->count + 1);
    a.texts = dv_new_array(char *, file_count + annotations->count + 1);
    if (!a.files || !a.annotations || !a.texts)
        return dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < file_count; i++)
        r = parse_file(&a, files[i], err);
    for (size_t i = 0; r == 0 && i < annotations->count; i++)
        r = parse_annotation(&a, annotations->items[i], err);
    if (r < 0)
        return r;
    *out = a;
    a = (dv_artifact_args)DV_ARTIFACT_ARGS_INIT;
    return 0;
}

int dv_artifact_command_read(dv_cli *cli, char *const *arguments, size_t count, const dv_texts *annotations,
                             davit_reference **out_ref, dv_artifact_args *out,
                             davit_artifact_options *out_options, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = dv_registry_image_parse(arguments[0], &ref, err);
    if (r == 0)
        r = dv_artifact_args_parse(arguments + 1, count - 1, annotations, out, err);
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_registry_upload_client(cli, err);
    if (r < 0)
        return r;
    out_options->progress = dv_progress_view_event;
    out_options->user_data = cli->view;
    out_options->files = out->files;
    out_options->file_count = out->file_count;
    out_options->annotations = out->annotations;
    out_options->annotation_count = out->annotation_count;
    *out_ref = DV_STEAL(ref);
    return 0;
}
