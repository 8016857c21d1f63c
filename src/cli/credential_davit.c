/*
 * cli/credential_davit.c - see credential_davit.h.
 *
 * Verbs, texts and exit statuses are those of docker-credential-helpers, since docker and others compare them: an error is one line on
 * standard output, with status 1.
 */
#include "cli/credential_davit.h"

#include "cli/keyring.h"
#include "davit/common.h"
#include "util/file.h"
#include "util/json.h"
#include "util/str.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NOT_FOUND "credentials not found in native keychain"
#define NO_SERVER "no credentials server URL"
#define NO_USERNAME "no credentials username"

bool dv_credential_davit_is_meant(const char *argv0)
{
    const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
    return dv_str_equal(slash ? slash + 1 : argv0, DV_CREDENTIAL_DAVIT);
}

/* --- input ----------------------------------------------------------------------------------------------------------- */

/* The server that get and erase are told: the input without white space around it. */
static int read_server(const char *input, size_t size, dv_buf *out, davit_error **err)
{
    while (size > 0 && strchr(" \t\r\n", *input) && *input) {
        input++;
        size--;
    }
    while (size > 0 && strchr(" \t\r\n", input[size - 1]) && input[size - 1])
        size--;
    if (size == 0)
        return dv_error_set(err, DAVIT_EINVAL, NO_SERVER);
    if (memchr(input, '\0', size) || memchr(input, '\n', size) || memchr(input, '\r', size))
        return dv_error_set(err, DAVIT_EINVAL, "the server URL is more than one line");
    dv_buf_append(out, input, size);
    return out->failed ? dv_error_set(err, DAVIT_EINVAL, "the server URL is too long") : 0;
}

typedef struct credentials {
    const char *server, *username, *secret; /* the JSON's */
} credentials;

static int read_credentials(const dv_json *document, credentials *out, davit_error **err)
{
    static const dv_json_field fields[] = {
        {"ServerURL", DV_FIELD_STRING, offsetof(credentials, server), false},
        {"Username", DV_FIELD_STRING, offsetof(credentials, username), false},
        {"Secret", DV_FIELD_STRING, offsetof(credentials, secret), false},
        {0},
    };
    int r = dv_json_decode(document, fields, out, err);
    if (r < 0)
        return r;
    if (!out->server || !*out->server)
        return dv_error_set(err, DAVIT_EINVAL, NO_SERVER);
    if (!out->username || !*out->username)
        return dv_error_set(err, DAVIT_EINVAL, NO_USERNAME);
    return 0;
}

/* --- verbs ----------------------------------------------------------------------------------------------------------- */

static int do_store(const char *input, size_t size, dv_buf *out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DV_CREDENTIAL_INPUT_MAX, .max_values = 1000};
    DV_AUTOPTR(dv_json_secret) document = NULL;
    credentials c = {0};
    int r = dv_json_parse(input, size, &limits, NULL, &document, err);
    if (r == 0)
        r = read_credentials(document, &c, err);
    return r < 0 ? r : dv_keyring_put(c.server, c.username, c.secret ? c.secret : "", err);
}

static int do_get(const char *input, size_t size, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_buf) server = DV_BUF_INIT(DV_KEYRING_SERVER_MAX);
    DV_AUTO(dv_buf) username = {.max = DV_KEYRING_PAYLOAD_MAX, .secret = true};
    DV_AUTO(dv_buf) secret = {.max = DV_KEYRING_PAYLOAD_MAX, .secret = true};
    int r = read_server(input, size, &server, err);
    if (r == 0)
        r = dv_keyring_get(dv_buf_text(&server), &username, &secret, err);
    if (r < 0)
        return r;
    dv_buf_puts(out, "{\"ServerURL\":");
    dv_json_write_string(out, dv_buf_text(&server));
    dv_buf_puts(out, ",\"Username\":");
    dv_json_write_string(out, dv_buf_text(&username));
    dv_buf_puts(out, ",\"Secret\":");
    dv_json_write_string(out, dv_buf_text(&secret));
    dv_buf_puts(out, "}\n");
    return 0;
}

/* Nothing there is fine: docker logout erases under several names. */
static int do_erase(const char *input, size_t size, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_buf) server = DV_BUF_INIT(DV_KEYRING_SERVER_MAX);
    int r = read_server(input, size, &server, err);
    if (r == 0)
        r = dv_keyring_delete(dv_buf_text(&server), err);
    return r == DAVIT_ENOTFOUND ? 0 : r;
}

static int list_one(void *user, const char *server, const char *username)
{
    dv_buf *out = user;
    if (out->size > 1) /* behind "{" */
        dv_buf_putc(out, ',');
    dv_json_write_string(out, server);
    dv_buf_putc(out, ':');
    dv_json_write_string(out, username);
    return out->failed ? -1 : 0;
}

static int do_list(const char *input, size_t size, dv_buf *out, davit_error **err)
{
    dv_buf_putc(out, '{');
    int r = dv_keyring_each(list_one, out, err);
    dv_buf_puts(out, "}\n");
    return r;
}

static int do_version(const char *input, size_t size, dv_buf *out, davit_error **err)
{
    dv_buf_puts(out, DV_CREDENTIAL_DAVIT " (davit) " DAVIT_VERSION "\n");
    return 0;
}

typedef struct verb {
    const char *name;
    bool reads; /* standard input */
    int (*run)(const char *input, size_t size, dv_buf *out, davit_error **err);
} verb;

static const verb verbs[] = {
    {"store", true, do_store}, {"get", true, do_get},          {"erase", true, do_erase},
    {"list", false, do_list},  {"version", false, do_version}, {"--version", false, do_version},
    {"-v", false, do_version},
};

static const verb *find_verb(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < DV_COUNT(verbs); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return &verbs[i];
    return NULL;
}

static int print_usage(int argc, char **argv, dv_buf *out)
{
    bool help = argc == 2 && (dv_str_equal(argv[1], "--help") || dv_str_equal(argv[1], "-h"));
    if (argc == 2 && !help) {
        dv_buf_puts(out, DV_CREDENTIAL_DAVIT ": unknown action: ");
        dv_str_escape(out, argv[1], strlen(argv[1]), /* keep_newlines= */ false);
        dv_buf_putc(out, '\n');
    } else {
        dv_buf_puts(out, "Usage: " DV_CREDENTIAL_DAVIT " <store|get|erase|list|version>\n");
    }
    return help ? 0 : 1;
}

int dv_credential_davit_run(int argc, char **argv, const void *input, size_t size, dv_buf *out)
{
    DV_AUTOPTR(davit_error) err = NULL;
    const verb *v = find_verb(argc, argv);
    if (!v)
        return print_usage(argc, argv, out);
    int r = v->run(input, size, out, &err);
    if (r == 0 && out->failed)
        r = dv_error_oom(&err);
    if (r == 0)
        return 0;
    dv_buf_reset(out);
    dv_buf_puts(out, r == DAVIT_ENOTFOUND ? NOT_FOUND : davit_error_message(err));
    dv_buf_putc(out, '\n');
    return 1;
}

/* --- descriptors ------------------------------------------------------------------------------------------------------ */

/* All of standard input. False: too long, or unreadable. */
static bool read_input(dv_buf *out)
{
    char chunk[4096];
    ssize_t n;
    while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) != 0 && !out->failed)
        if (n > 0)
            dv_buf_append(out, chunk, (size_t)n);
        else if (errno != EINTR)
            break;
    explicit_bzero(chunk, sizeof(chunk));
    return n == 0 && !out->failed;
}

int dv_credential_davit_main(int argc, char **argv)
{
    DV_AUTO(dv_buf) input = {.max = DV_CREDENTIAL_INPUT_MAX, .secret = true};
    DV_AUTO(dv_buf) out = {.max = 4u << 20, .secret = true};
    const verb *v = find_verb(argc, argv);
    int status = 1;
    if (v && v->reads && !read_input(&input))
        dv_buf_puts(&out, "standard input cannot be read, or is too long\n");
    else
        status = dv_credential_davit_run(argc, argv, dv_buf_text(&input), input.size, &out);
    return dv_write_all(STDOUT_FILENO, dv_buf_text(&out), out.size) < 0 ? 1 : status;
}
