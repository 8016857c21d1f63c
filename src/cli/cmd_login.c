/*
 * cli/cmd_login.c - davit login: who is asked for what, and what is stored afterwards.
 *
 * Order (auth.md 5): with neither user nor password what is stored is tried first; then the person at the terminal is asked. What
 * the registry has accepted is stored, and nothing else.
 */
#include "cli/cli.h"

#include "cli/prompt.h"
#include "cli/registry_arg.h"
#include "davit/auth.h"
#include "davit/service.h"
#include "util/file.h"
#include "util/str.h"

#include <string.h>

DV_DEFINE_AUTO(davit_auth_config, davit_auth_config_clear)
DV_DEFINE_AUTO(davit_authenticate_ok_body, davit_authenticate_ok_body_clear)

typedef struct login_options {
    const char *username, *password;
    bool password_stdin;
} login_options;

/* One line on standard error, whose remote parts are made safe. */
static void say(const dv_cli *cli, const char *prefix, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(const dv_cli *cli, const char *prefix, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_MESSAGE_MAX);
    DV_AUTO(dv_buf) line = DV_BUF_INIT(DV_LINE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    dv_buf_puts(&line, prefix);
    dv_message_format(&line, dv_buf_text(&text));
    dv_buf_putc(&line, '\n');
    if (!cli->globals.quiet && !text.failed && !line.failed)
        dv_write_all(STDERR_FILENO, dv_buf_text(&line), line.size);
}

/* --- options ------------------------------------------------------------------------------------------------------ */

static int check_options(dv_cli *cli, const login_options *o, davit_error **err)
{
    if (o->password) {
        explicit_bzero((char *)o->password, strlen(o->password)); /* at least no longer than this */
        return dv_cli_usage(
            cli, err,
            "--password shows the password to every user of this machine, in the list of processes: "
            "use --password-stdin, or leave it out to be asked");
    }
    if (o->password_stdin && !o->username)
        return dv_cli_usage(cli, err, "--password-stdin needs --username");
    if (o->password_stdin && dv_prompt_possible())
        return dv_cli_usage(
            cli, err,
            "--password-stdin: standard input is a terminal, which would show the password: leave the "
            "option out to be asked");
    return 0;
}

/* Basic ends the name at the first colon, and so do the files it is kept in. */
static int check_username(const char *name, davit_error **err)
{
    if (!*name)
        return dv_error_set(err, DAVIT_EINVAL, "no user name was given");
    for (const char *p = name; *p; p++)
        if (*p == ':' || (unsigned char)*p < 0x20 || *p == 0x7f)
            return dv_error_set(err, DAVIT_EINVAL, "the user name holds a colon or a control character");
    return 0;
}

static int nobody_to_ask(dv_cli *cli, const char *host, davit_error **err)
{
    return dv_cli_usage(
        cli, err, "no password for %s, and no terminal to ask for one: give --username NAME --password-stdin",
        host);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

/* usual: the name that an empty answer means, or NULL. */
static int ask_username(const char *usual, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) question = DV_BUF_INIT(DV_LINE_MAX);
    DV_AUTO(dv_buf) answer = DV_BUF_INIT(DV_PROMPT_MAX);
    dv_buf_puts(&question, "Username");
    if (usual) {
        dv_buf_puts(&question, " (");
        dv_message_format(&question, usual);
        dv_buf_putc(&question, ')');
    }
    dv_buf_puts(&question, ": ");
    if (question.failed)
        return dv_error_oom(err);
    int r = dv_prompt_line(dv_buf_text(&question), &answer, err);
    if (r < 0)
        return r;
    const char *name = answer.size == 0 && usual ? usual : dv_buf_text(&answer);
    r = check_username(name, err);
    if (r < 0)
        return r;
    *out = dv_strdup(name);
    return *out ? 0 : dv_error_oom(err);
}

static int ask_password(char **out, davit_error **err)
{
    DV_AUTO(dv_buf) answer = DV_BUF_INIT(DV_PROMPT_MAX);
    int r = dv_prompt_secret("Password: ", &answer, err);
    if (r < 0)
        return r;
    if (answer.size == 0)
        return dv_error_set(err, DAVIT_EINVAL, "no password was given");
    *out = dv_buf_take(&answer);
    return *out ? 0 : dv_error_oom(err);
}

/* --- storing ------------------------------------------------------------------------------------------------------- */

static void warn_unencrypted(const dv_cli *cli, const char *what, const char *where)
{
    say(cli, "warning: ",
        "the %s is stored unencrypted in %s; a credential helper keeps it elsewhere: set \"credsStore\" in "
        "that file, to \"davit\" for the kernel's keyring (docker-credential-davit)",
        what, where);
}

static bool is_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* $DOCKER_AUTH_CONFIG is looked at before the file that was written: what is stored may not be what is used. */
static void warn_of_variable(const dv_cli *cli, const char *host, const davit_auth_config *kept)
{
    DV_AUTO(davit_auth_config) used = DAVIT_AUTH_CONFIG_INIT;
    const char *variable = getenv("DOCKER_AUTH_CONFIG");
    if (!variable || !*variable || davit_client_get_credentials(cli->client, host, &used, NULL) < 0)
        return;
    if (!is_same(used.password, kept->password) || !is_same(used.identitytoken, kept->identitytoken))
        say(cli, "warning: ", "$DOCKER_AUTH_CONFIG has other credentials for %s, and goes first", host);
}

/* An identity token takes the place of the password. */
static int store(dv_cli *cli, const char *host, const davit_auth_config *auth,
                 const davit_authenticate_ok_body *answer, davit_error **err)
{
    bool token = answer->identity_token && *answer->identity_token;
    const davit_auth_config kept = {.username = auth->username,
                                    .password = token ? NULL : auth->password,
                                    .identitytoken = token ? answer->identity_token : NULL};
    davit_credential_place place;
    DV_AUTOFREE char *where = NULL;
    int r = davit_client_put_credentials(cli->client, host, &kept, &place, &where, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s accepts the credentials, but they could not be stored", host);
    if (place == DAVIT_CREDENTIALS_FILE)
        warn_unencrypted(cli, token ? "identity token" : "password", where);
    warn_of_variable(cli, host, &kept);
    return 0;
}

static int succeed(dv_cli *cli, const davit_authenticate_ok_body *answer)
{
    dv_output_text(&cli->out, answer->status);
    dv_output_printf(&cli->out, "\n");
    return 0;
}

/* --- the two ways --------------------------------------------------------------------------------------------------- */

static int prove(dv_cli *cli, const char *host, const davit_auth_config *auth,
                 davit_authenticate_ok_body *answer, davit_error **err)
{
    const davit_auth_config question = {
        .username = auth->username, .password = auth->password, .serveraddress = (char *)host};
    return davit_service_auth(cli->client, &question, answer, err);
}

/* Stays where it is stored, unless there is an identity token to take its place. */
static int with_stored(dv_cli *cli, const char *host, const davit_auth_config *stored, davit_error **err)
{
    DV_AUTO(davit_authenticate_ok_body) answer = DAVIT_AUTHENTICATE_OK_BODY_INIT;
    say(cli, "", "Authenticating with existing credentials... [Username: %s]", stored->username);
    int r = prove(cli, host, stored, &answer, err);
    if (r == 0 && answer.identity_token && *answer.identity_token)
        r = store(cli, host, stored, &answer, err);
    return r < 0 ? r : succeed(cli, &answer);
}

static int with_given(dv_cli *cli, const char *host, const davit_auth_config *auth, davit_error **err)
{
    DV_AUTO(davit_authenticate_ok_body) answer = DAVIT_AUTHENTICATE_OK_BODY_INIT;
    int r = prove(cli, host, auth, &answer, err);
    if (r == 0)
        r = store(cli, host, auth, &answer, err);
    return r < 0 ? r : succeed(cli, &answer);
}

static bool has_password(const davit_auth_config *c)
{
    return c->username && *c->username && c->password && *c->password;
}

static bool is_refusal(int r)
{
    return r == DAVIT_EUNAUTHORIZED || r == DAVIT_EDENIED;
}

/* 1: not logged in yet, and somebody can be asked. stored is filled for the default of the question. */
static int try_stored(dv_cli *cli, const char *host, davit_auth_config *stored, davit_error **err)
{
    int r = davit_client_get_credentials(cli->client, host, stored, err);
    if (r < 0)
        return r;
    if (!has_password(stored))
        return dv_prompt_possible() ? 1 : nobody_to_ask(cli, host, err);
    DV_AUTOPTR(davit_error) why = NULL;
    r = with_stored(cli, host, stored, &why);
    if (r == 0)
        return 0;
    if (!is_refusal(r) || !dv_prompt_possible())
        return dv_error_move(err, &why, r);
    say(cli, "warning: ", "the stored credentials were refused: %s", davit_error_message(why));
    return 1;
}

/* Nobody's, or what stands in its place beside an identity token. */
static bool is_no_name(const char *username)
{
    return !*username || dv_str_equal(username, "<token>");
}

static int ask_for_the_rest(const char *usual, davit_auth_config *auth, davit_error **err)
{
    int r = auth->username ? 0 : ask_username(usual, &auth->username, err);
    return r == 0 && !auth->password ? ask_password(&auth->password, err) : r;
}

/* What the options give: user, and password from standard input. */
static int take_options(dv_cli *cli, const login_options *o, const char *host, davit_auth_config *auth,
                        davit_error **err)
{
    if (!o->username)
        return 0;
    int r = check_username(o->username, err);
    if (r < 0)
        return r;
    if (!o->password_stdin && !dv_prompt_possible())
        return nobody_to_ask(cli, host, err);
    auth->username = dv_strdup(o->username);
    if (!auth->username)
        return dv_error_oom(err);
    if (!o->password_stdin)
        return 0;
    DV_AUTO(dv_buf) password = DV_BUF_INIT(DV_STDIN_SECRET_MAX);
    r = dv_prompt_read_secret(&password, err);
    if (r < 0)
        return r;
    auth->password = dv_buf_take(&password);
    return auth->password ? 0 : dv_error_oom(err);
}

static int run(dv_cli *cli, void *values, char **arguments, size_t count, davit_error **err)
{
    DV_AUTO(davit_auth_config) auth = DAVIT_AUTH_CONFIG_INIT, stored = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTOFREE char *host = NULL;
    const login_options *o = values;
    int r = check_options(cli, o, err);
    if (r == 0)
        r = dv_registry_arg_parse(count > 0 ? arguments[0] : NULL, &host, err);
    if (r == 0)
        r = take_options(cli, o, host, &auth, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r < 0)
        return r;
    if (!o->username) {
        r = try_stored(cli, host, &stored, err);
        if (r <= 0)
            return r;
    }
    r = ask_for_the_rest(stored.username && !is_no_name(stored.username) ? stored.username : NULL, &auth, err);
    return r < 0 ? r : with_given(cli, host, &auth, err);
}

#define AT(field) offsetof(login_options, field)

static const dv_option options[] = {
    {"username", 'u', DV_OPTION_TEXT, AT(username), "NAME", "the account; without it you are asked"},
    {"password-stdin", 0, DV_OPTION_FLAG, AT(password_stdin), NULL, "read the password from standard input"},
    {"password", 'p', DV_OPTION_TEXT, AT(password), "SECRET", "refused: other users would see it"},
    {NULL},
};

const dv_command dv_command_login = {
    .name = "login",
    .arguments = "[REGISTRY]",
    .summary = "prove credentials to a registry and store them",
    .details = "REGISTRY is HOST[:PORT] or a URL; Docker Hub without one. With neither user nor password "
               "what is stored is\n"
               "tried first. Nothing is stored that the registry has not accepted.",
    .example = "davit login --username alice --password-stdin registry.example:5000 < password",
    .options = options,
    .values_size = sizeof(login_options),
    .max_count = 1,
    .run = run,
};
