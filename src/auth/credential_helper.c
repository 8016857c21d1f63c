/* auth/credential_helper.c - see credential_helper.h. */
#include "auth/credential_helper.h"

#include "auth/auth_config.h"
#include "auth/config_file.h"
#include "auth/helper_process.h"
#include "util/json.h"
#include "util/log.h"
#include "util/str.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_TEXT_MAX (64u << 10) /* bytes */
#define SHOWN_MAX 400             /* bytes of what a helper printed that an error repeats */
#define INPUT_MAX (256u << 10)    /* bytes */
#define VARIABLE_MAX (128u << 10) /* bytes: what Linux lets one argument be */

#define NOT_FOUND_TEXT "credentials not found in native keychain"

/*
 * What a helper gets of the environment: what it needs to find its user, its keys, its bus or its cloud account, and nothing
 * that makes a program load or run something else (LD_PRELOAD, BASH_ENV, PYTHONPATH, ...).
 */
static const char *const variables[] = {
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_COLLATE",
    "LC_TIME",
    "LC_NUMERIC",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_DATA_DIRS",
    "XDG_SESSION_ID",
    "XDG_SESSION_TYPE",
    "XDG_CURRENT_DESKTOP",
    "GNUPGHOME",
    "GPG_TTY",
    "SSH_AUTH_SOCK",
    "GNOME_KEYRING_CONTROL",
    "PASSWORD_STORE_DIR",
    "PASSWORD_STORE_KEY",
    "PASSWORD_STORE_GPG_OPTS",
    "PASSWORD_STORE_UMASK",
    "DOCKER_CONFIG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_ECR_CACHE_DIR",
    "AWS_ECR_DISABLE_CACHE",
    "AWS_ECR_IGNORE_CREDS_STORAGE",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_SDK_LOAD_CONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLOUDSDK_CONFIG",
    "CLOUDSDK_CORE_ACCOUNT",
    "CLOUDSDK_CORE_PROJECT",
    "CLOUDSDK_ACTIVE_CONFIG_NAME",
    "CLOUDSDK_PYTHON",
    "AZURE_CONFIG_DIR",
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
};

/* --- what is allowed ----------------------------------------------------------------------------------------------- */

bool dv_helper_name_is_valid(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > DV_HELPER_NAME_MAX || name[0] == '-' || name[0] == '.')
        return false;
    for (size_t i = 0; i < size; i++)
        if (!dv_char_is_alnum(name[i]) && !strchr("_.-", name[i]))
            return false;
    return true;
}

bool dv_helper_server_is_valid(const char *server)
{
    size_t size = strlen(server);
    if (size == 0 || size > DV_HELPER_SERVER_MAX || (!dv_char_is_alnum(server[0]) && server[0] != '['))
        return false;
    for (size_t i = 0; i < size; i++)
        if (!dv_char_is_alnum(server[i]) && !strchr("-._:/[]", server[i]))
            return false;
    return true;
}

/* --- finding it ---------------------------------------------------------------------------------------------------- */

/* In a directory that everybody may write to, anybody may have put the program (threats A11). */
static bool directory_is_safe(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return false;
    if (st.st_mode & S_IWOTH)
        dv_trace(AUTH, "%s in PATH can be written to by everybody: no helper is looked for there", path);
    return !(st.st_mode & S_IWOTH);
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* The first of the absolute directories of PATH that has it. */
static int find_program(const dv_credential_helper *h, dv_buf *out, davit_error **err)
{
    const char *path = h->environment ? h->environment("PATH") : NULL;
    for (const char *at = path ? path : "", *end; *at; at = *end ? end + 1 : end) {
        end = strchrnul(at, ':');
        if (*at != '/')
            continue;
        dv_buf_reset(out);
        dv_buf_append(out, at, (size_t)(end - at));
        if (!out->failed && !directory_is_safe(dv_buf_text(out)))
            continue;
        dv_buf_printf(out, "/docker-credential-%s", h->name);
        if (out->failed)
            return dv_error_oom(err);
        if (is_program(dv_buf_text(out)))
            return 0;
    }
    return dv_error_set(
        err, DAVIT_ECONFIG,
        "exec: \"docker-credential-%s\": executable file not found in $PATH; install it, or take it out "
        "of credsStore and credHelpers (only absolute directories of PATH are searched that not "
        "everybody may write to)",
        h->name);
}

typedef struct environment {
    char *list[DV_COUNT(variables) + 1];
} environment;

static void environment_clear(environment *e)
{
    for (char **p = e->list; *p; p++) {
        explicit_bzero(*p, strlen(*p));
        free(*p);
    }
}
DV_DEFINE_AUTO(environment, environment_clear)

static int make_environment(const dv_credential_helper *h, environment *out, davit_error **err)
{
    size_t count = 0;
    for (size_t i = 0; i < DV_COUNT(variables); i++) {
        DV_AUTO(dv_buf) text = {.max = VARIABLE_MAX, .secret = true};
        const char *value = h->environment(variables[i]);
        if (!value)
            continue;
        dv_buf_printf(&text, "%s=%s", variables[i], value);
        if (text.failed == DAVIT_ETOOBIG)
            continue; /* no program could be given it */
        out->list[count] = dv_buf_take(&text);
        if (!out->list[count++])
            return dv_error_oom(err);
    }
    return 0;
}

/* --- running it ---------------------------------------------------------------------------------------------------- */

static int run(const dv_credential_helper *h, const char *verb, const char *input, size_t input_size,
               dv_helper_outcome *out, davit_error **err)
{
    DV_AUTO(dv_buf) program = DV_BUF_INIT(PATH_TEXT_MAX);
    DV_AUTO(environment) env = {{NULL}};
    if (!dv_helper_name_is_valid(h->name))
        return dv_error_set(
            err, DAVIT_ECONFIG,
            "the name of a credential helper has letters, digits, \"_\", \"-\" and \".\" and is no path");
    int r = find_program(h, &program, err);
    if (r == 0)
        r = make_environment(h, &env, err);
    if (r < 0)
        return r;
    DV_AUTOFREE char *name = dv_strdup(strrchr(dv_buf_text(&program), '/') + 1), *word = dv_strdup(verb);
    if (!name || !word)
        return dv_error_oom(err);
    dv_trace(AUTH, "%s %s", dv_buf_text(&program), verb);
    char *argv[] = {name, word, NULL};
    const dv_helper_spec spec = {
        .program = dv_buf_text(&program),
        .argv = argv,
        .environment = env.list,
        .input = input,
        .input_size = input_size,
        .output_max = DV_HELPER_ANSWER_MAX,
        .timeout_ms = h->timeout_ms ? h->timeout_ms : DV_HELPER_TIMEOUT_MS,
        .cancelled = h->cancelled,
    };
    r = dv_helper_process_run(&spec, out, err);
    if (r < 0 && r != DAVIT_ECANCELLED)
        dv_error_wrap(err, r, "%s", name);
    return r == DAVIT_EIO || r == DAVIT_ETOOBIG ? DAVIT_ECONFIG : r;
}

/* Without the white space at both ends. Borrowed from b. */
static const char *trimmed(const dv_buf *b, size_t *out_size)
{
    const char *text = dv_buf_text(b);
    size_t size = b->size;
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) && text[size - 1])
        size--;
    while (size > 0 && strchr(" \t\r\n", *text) && *text) {
        text++;
        size--;
    }
    *out_size = size;
    return text;
}

static bool is_not_found(const dv_helper_outcome *o)
{
    size_t size;
    const char *text = trimmed(&o->output, &size);
    return size == strlen(NOT_FOUND_TEXT) && memcmp(text, NOT_FOUND_TEXT, size) == 0;
}

/* What it printed, escaped and cut; not when there could be a secret in it. */
static void show(dv_buf *out, const char *label, const dv_buf *printed, const char *secret)
{
    size_t size;
    const char *text = trimmed(printed, &size);
    bool open = size > 0 && (memchr(text, '{', size) || memmem(text, size, "ecret", 5) ||
                             (secret && *secret && memmem(text, size, secret, strlen(secret))));
    if (size == 0 && *label == 's')
        return; /* standard error is named when there is something */
    dv_buf_printf(out, ", %s: `", label);
    if (open)
        dv_buf_puts(out, "***");
    else
        dv_str_escape(out, text, size < SHOWN_MAX ? size : SHOWN_MAX, /* keep_newlines= */ false);
    dv_buf_puts(out, "`");
}

/* The text that Docker has: "error getting credentials - err: exit status 1, out: `...`". */
static int refused(const dv_credential_helper *h, const char *doing, const dv_helper_outcome *o,
                   const char *secret, davit_error **err)
{
    DV_AUTO(dv_buf) text = {.max = 16u << 10, .secret = true};
    dv_buf_printf(&text, "error %s credentials - err: docker-credential-%s: ", doing, h->name);
    if (o->exit_status >= 0)
        dv_buf_printf(&text, "exit status %d", o->exit_status);
    else
        dv_buf_printf(&text, "signal: %s", strsignal(o->signal));
    show(&text, "out", &o->output, secret);
    show(&text, "stderr", &o->said, secret);
    return text.failed ? dv_error_oom(err) : dv_error_set(err, DAVIT_ECONFIG, "%s", dv_buf_text(&text));
}

/* The same for what went wrong without an exit status. Gives r, or what stands for it. */
static int failed(const char *doing, int r, davit_error **why, davit_error **err)
{
    if (r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED)
        return dv_error_move(err, why, r);
    return dv_error_set(err, r, "error %s credentials - err: %s", doing, davit_error_message(*why));
}

/* --- get ----------------------------------------------------------------------------------------------------------- */

static bool has_line_break(const char *text)
{
    return text && strpbrk(text, "\r\n");
}

typedef struct answer {
    const char *server, *username, *secret; /* the JSON's */
} answer;

static int check_answer(const answer *a, const char *server, davit_error **err)
{
    if (has_line_break(a->server) || has_line_break(a->username) || has_line_break(a->secret))
        return dv_error_set(err, DAVIT_ECONFIG, "a line break in ServerURL, Username or Secret");
    if (a->server && *a->server && !dv_credential_same_host(a->server, server)) {
        DV_AUTO(dv_buf) shown = DV_BUF_INIT(8192);
        dv_str_escape(&shown, a->server, strnlen(a->server, SHOWN_MAX), false);
        return dv_error_set(err, DAVIT_ECONFIG, "asked for %s, it answered for %s", server,
                            dv_buf_text(&shown));
    }
    return 0;
}

static int fill(const answer *a, const char *server, davit_auth_config *out, davit_error **err)
{
    DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
    bool token = a->username && strcmp(a->username, DV_HELPER_TOKEN_USER) == 0;
    c.serveraddress = dv_strdup(server);
    c.username = token ? NULL : dv_strdup(a->username ? a->username : "");
    *(token ? &c.identitytoken : &c.password) = dv_strdup(a->secret ? a->secret : "");
    if (!c.serveraddress || (!token && !c.username) || !(token ? c.identitytoken : c.password))
        return dv_error_oom(err);
    if (davit_auth_config_is_anonymous(&c))
        return 0;
    *out = c;
    davit_auth_config_init(&c); /* moved */
    return 1;
}

int dv_helper_answer_parse(const void *bytes, size_t size, const char *server, davit_auth_config *out,
                           davit_error **err)
{
    static const dv_json_field fields[] = {
        {"ServerURL", DV_FIELD_STRING, offsetof(answer, server), false},
        {"Username", DV_FIELD_STRING, offsetof(answer, username), false},
        {"Secret", DV_FIELD_STRING, offsetof(answer, secret), false},
        {0},
    };
    const dv_json_limits limits = {.max_bytes = DV_HELPER_ANSWER_MAX, .max_values = 1000, .any_number = true};
    DV_AUTOPTR(dv_json_secret) document = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    answer a = {0};
    int r = dv_json_parse(bytes, size, &limits, NULL, &document, &why);
    if (r == 0)
        r = dv_json_decode(document, fields, &a, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0)
        return dv_error_set(err, DAVIT_ECONFIG, "%s", davit_error_message(why));
    r = check_answer(&a, server, err);
    return r < 0 ? r : fill(&a, server, out, err);
}

static int check_server(const char *server, davit_error **err)
{
    return dv_helper_server_is_valid(server)
               ? 0
               : dv_error_set(err, DAVIT_EINVAL, "not a registry's name, and so nothing to ask a helper for");
}

/* A verb whose input is the server alone. */
static int run_for_server(const dv_credential_helper *h, const char *verb, const char *server,
                          dv_helper_outcome *out, davit_error **err)
{
    DV_AUTO(dv_buf) line = DV_BUF_INIT(DV_HELPER_SERVER_MAX + 1);
    int r = check_server(server, err);
    if (r < 0)
        return r;
    dv_buf_printf(&line, "%s\n", server);
    return line.failed ? dv_error_oom(err) : run(h, verb, dv_buf_text(&line), line.size, out, err);
}

int dv_credential_helper_get(const dv_credential_helper *h, const char *server, davit_auth_config *out,
                             davit_error **err)
{
    DV_AUTO(dv_helper_outcome) o = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = run_for_server(h, "get", server, &o, &why);
    if (r < 0)
        return failed("getting", r, &why, err);
    if (is_not_found(&o))
        return 0;
    if (o.exit_status != 0)
        return refused(h, "getting", &o, NULL, err);
    r = dv_helper_answer_parse(dv_buf_text(&o.output), o.output.size, server, out, &why);
    if (r < 0)
        dv_error_wrap(&why, r, "docker-credential-%s: wrong answer", h->name);
    return r < 0 ? failed("getting", r, &why, err) : r;
}

/* --- store, erase, list -------------------------------------------------------------------------------------------- */

static int format_store(const char *server, const davit_auth_config *auth, dv_buf *out, davit_error **err)
{
    bool token = dv_auth_config_has_identity(auth);
    const char *username = token ? DV_HELPER_TOKEN_USER : auth->username;
    const char *secret = token ? auth->identitytoken : auth->password;
    if (!username || !*username || !secret || !*secret)
        return dv_error_set(err, DAVIT_EINVAL, "no user with password and no identity token to store");
    if (has_line_break(username) || has_line_break(secret))
        return dv_error_set(err, DAVIT_EINVAL, "a line break in the user name or the secret");
    if (!dv_utf8_is_valid(username) || !dv_utf8_is_valid(secret))
        return dv_error_set(err, DAVIT_EINVAL, "the user name or the secret is not UTF-8");
    dv_buf_puts(out, "{\"ServerURL\":");
    dv_json_write_string(out, server);
    dv_buf_puts(out, ",\"Username\":");
    dv_json_write_string(out, username);
    dv_buf_puts(out, ",\"Secret\":");
    dv_json_write_string(out, secret);
    dv_buf_puts(out, "}\n");
    if (out->failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_EINVAL, "the secret is too long for a credential helper");
    return out->failed ? dv_error_oom(err) : 0;
}

int dv_credential_helper_store(const dv_credential_helper *h, const char *server,
                               const davit_auth_config *auth, davit_error **err)
{
    DV_AUTO(dv_helper_outcome) o = {0};
    DV_AUTO(dv_buf) input = {.max = INPUT_MAX, .secret = true};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = check_server(server, err);
    if (r == 0)
        r = format_store(server, auth, &input, err);
    if (r < 0)
        return r;
    r = run(h, "store", dv_buf_text(&input), input.size, &o, &why);
    if (r < 0)
        return failed("storing", r, &why, err);
    const char *secret = dv_auth_config_has_identity(auth) ? auth->identitytoken : auth->password;
    return o.exit_status == 0 ? 0 : refused(h, "storing", &o, secret, err);
}

int dv_credential_helper_erase(const dv_credential_helper *h, const char *server, davit_error **err)
{
    DV_AUTO(dv_helper_outcome) o = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = run_for_server(h, "erase", server, &o, &why);
    if (r < 0)
        return failed("erasing", r, &why, err);
    if (is_not_found(&o))
        return 0;
    return o.exit_status == 0 ? 1 : refused(h, "erasing", &o, NULL, err);
}

void dv_helper_list_clear(dv_helper_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i].server);
        free(list->entries[i].username);
    }
    free(list->entries);
    *list = (dv_helper_list){0};
}

static int read_list(const dv_json *document, dv_helper_list *out, davit_error **err)
{
    DV_AUTO(dv_helper_list) list = {0};
    const dv_json *value;
    const char *server;
    void *iter = NULL;
    if (!dv_json_is(document, DV_JSON_OBJECT))
        return dv_error_set(err, DAVIT_ECONFIG, "not a JSON object");
    list.entries = dv_new_array(dv_helper_entry, dv_json_count(document) + 1);
    if (!list.entries)
        return dv_error_oom(err);
    while (dv_json_next(document, &iter, &server, &value)) {
        const char *username = dv_json_string(value, NULL);
        if (!username)
            return dv_error_set(err, DAVIT_ECONFIG, "a user name is not a string");
        dv_helper_entry *e = &list.entries[list.count++];
        e->server = dv_strdup(server);
        e->username = dv_strdup(username);
        if (!e->server || !e->username)
            return dv_error_oom(err);
    }
    *out = list;
    list = (dv_helper_list){0}; /* moved */
    return 0;
}

int dv_credential_helper_list(const dv_credential_helper *h, dv_helper_list *out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DV_HELPER_ANSWER_MAX};
    DV_AUTO(dv_helper_outcome) o = {0};
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = run(h, "list", "", 0, &o, &why);
    if (r < 0)
        return failed("listing", r, &why, err);
    if (o.exit_status != 0)
        return refused(h, "listing", &o, NULL, err);
    r = dv_json_parse(dv_buf_text(&o.output), o.output.size, &limits, NULL, &document, &why);
    if (r == 0)
        r = read_list(document, out, &why);
    if (r < 0)
        dv_error_wrap(&why, r, "docker-credential-%s: wrong answer", h->name);
    return r < 0 ? failed("listing", r == DAVIT_ENOMEM ? r : DAVIT_ECONFIG, &why, err) : 0;
}
