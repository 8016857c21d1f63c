/*
 * cli/options.c - reads options by getopt_long and the tables.
 *
 * Decides what a value may look like. What the values mean is for the library (session.c passes them on), and which commands
 * have which options stands in the commands' own files.
 */
#include "cli/options.h"

#include "util/str.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>

#define SECONDS_MAX 1000000u /* 11 days; milliseconds then still fit 32 bits */
#define LONG_BASE 256        /* getopt's value of the first row; letters are below */

#define AT(field) offsetof(dv_globals, field)

const dv_option dv_global_options[] = {
    {"store", 0, DV_OPTION_TEXT, AT(store), "DIR", "the local store (else $DAVIT_STORE, else the user's own)"},
    {"config", 0, DV_OPTION_TEXT, AT(config), "FILE",
     "with Docker's keys (else $DAVIT_CONFIG, else /etc/davit/daemon.json)"},
    {"progress", 0, DV_OPTION_PROGRESS, AT(progress), "MODE", "auto, tty, plain, json or none"},
    {"progress-fd", 0, DV_OPTION_FD, AT(progress_fd), "N", "write progress there, not on standard error"},
    {"quiet", 'q', DV_OPTION_FLAG, AT(quiet), NULL, "results and errors only"},
    {"debug", 0, DV_OPTION_FLAG, AT(debug), NULL, "say more on standard error; see also $DAVIT_TRACE"},
    {"authfile", 0, DV_OPTION_TEXT, AT(authfile), "FILE", "credentials, before those of the user"},
    {"insecure-registry", 0, DV_OPTION_LIST, AT(insecure_registries), "HOST[:PORT]|CIDR",
     "unverified TLS or plain HTTP is fine there"},
    {"registry-mirror", 0, DV_OPTION_LIST, AT(registry_mirrors), "URL", "ask this one first for docker.io"},
    {"certs-dir", 0, DV_OPTION_TEXT, AT(certs_dir), "DIR",
     "a directory of certificates for each registry (/etc/docker/certs.d)"},
    {"tls-verify", 0, DV_OPTION_BOOL, AT(tls_verify), "true|false",
     "false: every registry counts as insecure"},
    {"trust-realm", 0, DV_OPTION_LIST, AT(trusted_realms), "HOST", "a token server that may get passwords"},
    {"header", 0, DV_OPTION_LIST, AT(headers), "'NAME: VALUE'", "send this to the named registry"},
    {"max-concurrent-downloads", 0, DV_OPTION_NUMBER, AT(max_concurrent_downloads), "N",
     "blobs at once (3 large and 16 small ones)"},
    {"max-concurrent-uploads", 0, DV_OPTION_NUMBER, AT(max_concurrent_uploads), "N", "uploads at once (5)"},
    {"max-download-attempts", 0, DV_OPTION_NUMBER, AT(max_download_attempts), "N", "tries for each blob (5)"},
    {"connect-timeout", 0, DV_OPTION_SECONDS, AT(connect_timeout_ms), "SECONDS", "for each address (10)"},
    {"first-byte-timeout", 0, DV_OPTION_SECONDS, AT(first_byte_timeout_ms), "SECONDS",
     "until an answer begins (30)"},
    {"stall-timeout", 0, DV_OPTION_SECONDS, AT(stall_timeout_ms), "SECONDS", "without a byte (30)"},
    {"min-rate", 0, DV_OPTION_RATE, AT(min_rate), "BYTES", "a second, k and M are 1024 and 1024² (1k)"},
    {"min-rate-window", 0, DV_OPTION_SECONDS, AT(min_rate_window_ms), "SECONDS",
     "that --min-rate averages (twice --stall-timeout)"},
    {"retry-delay", 0, DV_OPTION_SECONDS, AT(retry_delay_ms), "SECONDS", "before the first repetition (0.5)"},
    {"helper-timeout", 0, DV_OPTION_SECONDS, AT(helper_timeout_ms), "SECONDS",
     "for a credential helper's answer (30)"},
    {"version", 0, DV_OPTION_FLAG, AT(version), NULL, "print the version"},
    {"help", 'h', DV_OPTION_FLAG, AT(help), NULL, "print help"},
    {NULL},
};

void dv_globals_init(dv_globals *g)
{
    *g = (dv_globals){.progress_fd = -1, .tls_verify = true};
}

void dv_globals_clear(dv_globals *g)
{
    free(g->insecure_registries.items);
    free(g->registry_mirrors.items);
    free(g->trusted_realms.items);
    free(g->headers.items);
    dv_globals_init(g);
}

/* --- values ---------------------------------------------------------------------------------------------------- */

static int refuse(const dv_option *o, const char *value, const char *what, davit_error **err)
{
    return dv_error_set(err, DAVIT_EINVAL, "--%s: '%s' is not %s", o->name, value, what);
}

static int append(dv_texts *list, const char *value, davit_error **err)
{
    const char **items = dv_realloc_array(list->items, list->count + 2, sizeof(*items));
    if (!items)
        return dv_error_oom(err);
    items[list->count++] = value;
    items[list->count] = NULL;
    list->items = items;
    return 0;
}

static int read_bool(const dv_option *o, const char *value, bool *out, davit_error **err)
{
    bool yes = !value || dv_str_equal(value, "true") || dv_str_equal(value, "1");
    if (!yes && !dv_str_equal(value, "false") && !dv_str_equal(value, "0"))
        return refuse(o, value, "true or false", err);
    *out = yes;
    return 0;
}

static int read_number(const dv_option *o, const char *value, uint32_t *out, davit_error **err)
{
    uint64_t n;
    if (!dv_str_to_u64(value, &n) || n == 0 || n > UINT32_MAX)
        return refuse(o, value, "a number of at least 1", err);
    *out = (uint32_t)n;
    return 0;
}

static int read_fd(const dv_option *o, const char *value, int *out, davit_error **err)
{
    uint64_t n;
    if (!dv_str_to_u64(value, &n) || n > INT32_MAX)
        return refuse(o, value, "a file descriptor", err);
    int flags = fcntl((int)n, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return refuse(o, value, "a file descriptor that is open for writing", err);
    *out = (int)n;
    return 0;
}

/* Decimal seconds to milliseconds; a started millisecond counts whole, so that no positive value becomes 0. */
static bool seconds_to_ms(const char *s, uint32_t *out)
{
    uint64_t whole = 0, fraction = 0, scale = 1000;
    bool digits = false, rest = false;
    for (; dv_char_is_digit(*s); s++, digits = true)
        if ((whole = whole * 10 + (uint64_t)(*s - '0')) > SECONDS_MAX)
            return false;
    if (*s == '.') {
        for (s++; dv_char_is_digit(*s); s++, digits = true) {
            scale /= 10;
            fraction += scale * (uint64_t)(*s - '0');
            rest = rest || (scale == 0 && *s != '0');
        }
    }
    uint64_t ms = whole * 1000 + fraction + (rest ? 1 : 0);
    if (*s || !digits || ms == 0)
        return false;
    *out = (uint32_t)ms;
    return true;
}

static bool text_to_rate(const char *s, uint32_t *out)
{
    uint64_t n = 0, unit = 1;
    if (!dv_char_is_digit(*s))
        return false;
    for (; dv_char_is_digit(*s); s++)
        if ((n = n * 10 + (uint64_t)(*s - '0')) > UINT32_MAX)
            return false;
    if (*s == 'k' || *s == 'K')
        unit = 1u << 10;
    else if (*s == 'M')
        unit = 1u << 20;
    if (unit > 1)
        s++;
    if (*s || n == 0 || n * unit > UINT32_MAX)
        return false;
    *out = (uint32_t)(n * unit);
    return true;
}

static int read_progress(const dv_option *o, const char *value, dv_progress_mode *out, davit_error **err)
{
    static const char *const names[] = {"auto", "tty", "plain", "json", "none"};
    for (size_t i = 0; i < DV_COUNT(names); i++)
        if (dv_str_equal(value, names[i])) {
            *out = (dv_progress_mode)i;
            return 0;
        }
    return refuse(o, value, "auto, tty, plain, json or none", err);
}

/* value is NULL only where the kind allows it. */
static int read_value(const dv_option *o, const char *value, void *values, davit_error **err)
{
    void *to = (char *)values + o->offset;
    if (value && !*value)
        return dv_error_set(err, DAVIT_EINVAL, "--%s: the value is empty", o->name);
    switch (o->kind) {
    case DV_OPTION_FLAG:
        *(bool *)to = true;
        return 0;
    case DV_OPTION_BOOL:
        return read_bool(o, value, to, err);
    case DV_OPTION_TEXT:
        *(const char **)to = value;
        return 0;
    case DV_OPTION_LIST:
        return append(to, value, err);
    case DV_OPTION_NUMBER:
        return read_number(o, value, to, err);
    case DV_OPTION_FD:
        return read_fd(o, value, to, err);
    case DV_OPTION_SECONDS:
        return seconds_to_ms(value, to) ? 0 : refuse(o, value, "a number of seconds, such as 30 or 0.5", err);
    case DV_OPTION_RATE:
        return text_to_rate(value, to) ? 0 : refuse(o, value, "bytes a second, such as 1000, 64k or 1M", err);
    case DV_OPTION_PLATFORM:
        return davit_platform_parse(value, to, err);
    case DV_OPTION_PROGRESS:
        return read_progress(o, value, to, err);
    }
    return 0;
}

/* --- getopt ---------------------------------------------------------------------------------------------------- */

static size_t count_rows(const dv_option *table)
{
    size_t n = 0;
    while (table && table[n].name)
        n++;
    return n;
}

static int argument_of(const dv_option *o)
{
    if (o->kind == DV_OPTION_FLAG)
        return no_argument;
    return o->kind == DV_OPTION_BOOL ? optional_argument : required_argument;
}

/* Both tables as getopt wants them: row i has the value LONG_BASE + i, the global ones first. */
typedef struct tables {
    const dv_option *own;
    size_t global_count, own_count;
    struct option *longs;
    dv_buf letters;
} tables;

static void tables_clear(tables *t)
{
    free(t->longs);
    dv_buf_clear(&t->letters);
}
DV_DEFINE_AUTO(tables, tables_clear)

static const dv_option *row_at(const tables *t, size_t i)
{
    return i < t->global_count ? &dv_global_options[i] : &t->own[i - t->global_count];
}

static int tables_make(tables *t, const dv_option *own, davit_error **err)
{
    t->own = own;
    t->global_count = count_rows(dv_global_options);
    t->own_count = count_rows(own);
    size_t n = t->global_count + t->own_count;
    t->longs = dv_new_array(struct option, n + 1);
    if (!t->longs)
        return dv_error_oom(err);
    dv_buf_puts(&t->letters, own ? ":" : "+:");
    for (size_t i = 0; i < n; i++) {
        const dv_option *o = row_at(t, i);
        t->longs[i] = (struct option){.name = o->name, .has_arg = argument_of(o), .val = LONG_BASE + (int)i};
        if (o->letter)
            dv_buf_printf(&t->letters, "%c%s", o->letter, argument_of(o) == required_argument ? ":" : "");
    }
    return t->letters.failed ? dv_error_oom(err) : 0;
}

/* The row of what getopt_long() returned. */
static size_t find_row(const tables *t, int c)
{
    if (c >= LONG_BASE)
        return (size_t)(c - LONG_BASE);
    for (size_t i = 0; i < t->global_count + t->own_count; i++)
        if (row_at(t, i)->letter == (char)c)
            return i;
    return SIZE_MAX;
}

static int refuse_option(const tables *t, int c, char **argv, davit_error **err)
{
    const char *word = argv[optind - 1];
    if (optopt >= LONG_BASE) {
        const char *name = row_at(t, (size_t)(optopt - LONG_BASE))->name;
        return dv_error_set(err, DAVIT_EINVAL, "option '--%s' %s", name,
                            c == ':' ? "needs a value" : "takes no value");
    }
    if (optopt && c == ':')
        return dv_error_set(err, DAVIT_EINVAL, "option '-%c' needs a value", optopt);
    if (optopt)
        return dv_error_set(err, DAVIT_EINVAL, "unknown option '-%c'", optopt);
    return dv_error_set(err, DAVIT_EINVAL, "unknown option '%.*s'", (int)strcspn(word, "="), word);
}

int dv_options_parse(dv_globals *globals, const dv_option *own, void *own_values, int argc, char **argv,
                     int *out_first, davit_error **err)
{
    DV_AUTO(tables) t = {.letters = DV_BUF_INIT(1024)};
    int r = tables_make(&t, own, err);
    if (r < 0)
        return r;
    opterr = 0;
    optind = 0; /* glibc and musl: start anew */
    for (;;) {
        int c = getopt_long(argc, argv, dv_buf_text(&t.letters), t.longs, NULL);
        if (c == -1)
            break;
        if (c == '?' || c == ':')
            return refuse_option(&t, c, argv, err);
        size_t i = find_row(&t, c);
        r = read_value(row_at(&t, i), optarg, i < t.global_count ? (void *)globals : own_values, err);
        if (r < 0)
            return r;
    }
    *out_first = optind;
    return 0;
}
