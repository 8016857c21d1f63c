/* cli/v1_arg.c - see v1_arg.h. */
#include "cli/v1_arg.h"

#include "davit/auth.h"
#include "util/str.h"

#include <string.h>

void dv_v1_name_clear(dv_v1_name *n)
{
    free(n->repository);
    free(n->tag);
    free(n->id);
}

static bool is_id(const char *text)
{
    size_t size = strlen(text);
    return (size == 16 || size == 64) && strspn(text, "0123456789abcdef") == size;
}

/* The part behind the last "/" may hold ":TAG"; a colon before it is a port's. */
int dv_v1_name_parse(const char *text, dv_v1_name *out, davit_error **err)
{
    DV_AUTO(dv_v1_name) n = {.tag = NULL};
    const char *slash = strrchr(text, '/'), *at = strchr(text, '@');
    const char *colon = strchr(slash ? slash : text, ':');
    const char *end = at ? at : colon;
    if (at && !is_id(at + 1))
        return dv_error_set(err, DAVIT_EINVAL, "'%s' is no image id: 16 or 64 lower-case hex digits", at + 1);
    if (end == text || !*text || (end && end[-1] == '/') || (!end && slash && !slash[1]))
        return dv_error_set(err, DAVIT_EINVAL, "'%s' names no repository", text);
    if (at && colon)
        return dv_error_set(err, DAVIT_EINVAL, "'%s' has a tag and an id: one of them is wanted", text);
    if (colon && !colon[1])
        return dv_error_set(err, DAVIT_EINVAL, "'%s' has an empty tag", text);
    n.repository = dv_strndup(text, end ? (size_t)(end - text) : strlen(text));
    n.tag = colon ? dv_strdup(colon + 1) : NULL;
    n.id = at ? dv_strdup(at + 1) : NULL;
    if (!n.repository || (colon && !n.tag) || (at && !n.id))
        return dv_error_oom(err);
    *out = n;
    n = (dv_v1_name){.tag = NULL};
    return 0;
}

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

int dv_v1_image_id(const davit_v1_repository *rep, const dv_v1_name *n, char **out, davit_error **err)
{
    if (!n->id)
        return davit_v1_repository_get_image_id(davit_v1_repository_registry(rep),
                                                davit_v1_repository_path(rep), n->tag ? n->tag : "latest",
                                                davit_v1_repository_auth(rep), out, err);
    *out = dv_strdup(n->id);
    return *out ? 0 : dv_error_oom(err);
}
