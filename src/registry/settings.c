/*
 * registry/settings.c - davit_client_settings(): what is in force, a row for each value, and where the value came from.
 *
 * Limits and proxies are noted when the client is made, since options and environment are at hand only then. Mirrors and insecure
 * registries are asked of the service when the question comes: an embedder may have replaced its configuration. Decides nothing
 * but words; no secret gets into a row.
 */
#include "registry/settings.h"

#include "davit/service.h"
#include "registry/client.h"
#include "service/text_list.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VALUE_MAX (64u << 10) /* bytes; the rest of a longer value is not worth a table */

static const char from_option[] = "option", from_default[] = "default";

/* --- rows -------------------------------------------------------------------------------------------------------- */

static void free_rows(davit_setting *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)items[i].value);
        free((char *)items[i].origin);
    }
    free(items);
}

void dv_setting_rows_clear(dv_setting_rows *rows)
{
    free_rows(rows->items, rows->count);
    *rows = (dv_setting_rows)DV_SETTING_ROWS_INIT;
}

static bool grow(dv_setting_rows *rows)
{
    if (rows->count < rows->capacity)
        return true;
    size_t capacity = rows->capacity ? 2 * rows->capacity : 32;
    davit_setting *items = dv_realloc_array(rows->items, capacity, sizeof(*items));
    if (!items)
        return false;
    rows->items = items;
    rows->capacity = capacity;
    return true;
}

static void add(dv_setting_rows *rows, const char *key, const char *value, const char *origin)
{
    if (rows->failed || !grow(rows)) {
        rows->failed = true;
        return;
    }
    davit_setting *row = &rows->items[rows->count++];
    *row = (davit_setting){.key = key, .value = dv_strdup(value), .origin = dv_strdup(origin)};
    rows->failed = !row->value || !row->origin;
}

static void __attribute__((format(printf, 4, 5)))
addf(dv_setting_rows *rows, const char *key, const char *origin, const char *fmt, ...)
{
    DV_AUTO(dv_buf) value = DV_BUF_INIT(VALUE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&value, fmt, ap);
    va_end(ap);
    if (value.failed == DAVIT_ENOMEM)
        rows->failed = true;
    else
        add(rows, key, value.failed ? "(too long)" : dv_buf_text(&value), origin);
}

/* --- noted when the client is made ------------------------------------------------------------------------------- */

static void note_limit(dv_setting_rows *rows, const char *key, uint32_t option, uint32_t in_file,
                       const char *path, const char *usual)
{
    if (option)
        addf(rows, key, from_option, "%u", option);
    else if (in_file)
        addf(rows, key, path, "%u", in_file);
    else
        add(rows, key, usual, from_default);
}

/* Seconds as the options of the program take them: "30", "0.5". */
static void note_ms(dv_setting_rows *rows, const char *key, uint32_t option, uint32_t in_force)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%u.%03u", in_force / 1000, in_force % 1000);
    while (text[n - 1] == '0')
        text[--n] = '\0';
    if (text[n - 1] == '.')
        text[--n] = '\0';
    add(rows, key, text, option ? from_option : from_default);
}

static void note_limits(davit_client *c, const davit_client_options *o)
{
    dv_setting_rows *rows = &c->noted;
    const dv_daemon_config *f = &c->config;
    const dv_http_limits *l = &c->http.limits;
    note_limit(rows, "max-concurrent-downloads", o->max_concurrent_downloads, f->max_concurrent_downloads,
               f->path, "3 large, 16 small");
    note_limit(rows, "max-concurrent-uploads", o->max_concurrent_uploads, f->max_concurrent_uploads, f->path,
               "5 large, 16 small");
    note_limit(rows, "max-download-attempts", o->max_download_attempts, f->max_download_attempts, f->path,
               "5");
    note_ms(rows, "connect-timeout", o->connect_timeout_ms, l->connect_timeout_ms);
    note_ms(rows, "first-byte-timeout", o->first_byte_timeout_ms, l->first_byte_timeout_ms);
    note_ms(rows, "stall-timeout", o->stall_timeout_ms, l->stall_timeout_ms);
    addf(rows, "min-rate", o->min_rate ? from_option : from_default, "%u", l->min_rate);
    note_ms(rows, "min-rate-window", o->min_rate_window_ms, l->min_rate_window_ms);
    note_ms(rows, "retry-delay", o->retry_delay_ms, c->retry.delay_ms);
    addf(rows, "retry-after-max", o->retry_after_max_s ? from_option : from_default, "%u",
         c->retry.retry_after_max_s);
}

/* A proxy URL without who logs in there. */
static void note_proxy_url(dv_setting_rows *rows, const char *key, const char *url, const char *origin)
{
    const char *separator = strstr(url, "://");
    const char *host = separator ? separator + 3 : url;
    size_t size = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', size);
    if (at)
        addf(rows, key, origin, "%.*s***%s", (int)(host - url), url, at);
    else
        add(rows, key, url, origin);
}

/* Upper case goes before lower case, as where they are read (net/proxy.c). */
static void note_proxy(davit_client *c, const char *key, const char *upper, const char *lower)
{
    dv_getenv_fn *env = dv_client_environment(c);
    const char *value = env(upper);
    bool is_upper = value && *value;
    if (!is_upper)
        value = env(lower);
    char origin[32];
    snprintf(origin, sizeof(origin), "$%s", is_upper ? upper : lower);
    if (value && *value)
        note_proxy_url(&c->noted, key, value, origin);
}

static void note_environment(davit_client *c)
{
    const char *cgi = dv_client_environment(c)("REQUEST_METHOD");
    if (!cgi)
        note_proxy(c, "http-proxy", "HTTP_PROXY", "http_proxy");
    note_proxy(c, "https-proxy", "HTTPS_PROXY", "https_proxy");
    note_proxy(c, "no-proxy", "NO_PROXY", "no_proxy");
    if (c->http.ca_file)
        add(&c->noted, "SSL_CERT_FILE", c->http.ca_file, "$SSL_CERT_FILE");
}

/* The name of a header: its value may be a password. */
static void note_header(dv_setting_rows *rows, const char *line)
{
    addf(rows, "header", from_option, "%.*s: ***", (int)strcspn(line, ":"), line);
}

int dv_settings_note(davit_client *c, const davit_client_options *o, davit_error **err)
{
    dv_setting_rows *rows = &c->noted;
    note_limits(c, o);
    note_environment(c);
    for (const char *const *h = o->headers; h && *h; h++)
        note_header(rows, *h);
    for (char **host = c->trusted_realms; host && *host; host++)
        add(rows, "trusted-realms", *host, from_option);
    add(rows, "user-agent", c->http.user_agent, o->user_agent ? from_option : from_default);
    if (c->store_dir)
        add(rows, "store", c->store_dir, from_option);
    if (c->config.path)
        add(rows, "config", c->config.path, o->config_file ? from_option : from_default);
    return rows->failed ? dv_error_oom(err) : 0;
}

/* --- asked of the service ------------------------------------------------------------------------------------------ */

DV_DEFINE_AUTO(davit_service_config, davit_service_config_clear)

static const char *const built_in[] = {"::1/128", "127.0.0.0/8"};

static bool is_built_in(const char *network)
{
    for (size_t i = 0; i < DV_COUNT(built_in); i++)
        if (dv_str_equal(built_in[i], network))
            return true;
    return false;
}

static bool has_network(const davit_service_config *s, const char *text)
{
    char other[DAVIT_NET_IP_NET_TEXT_MAX];
    for (size_t i = 0; i < s->insecure_registry_cidr_count; i++)
        if (dv_str_equal(davit_net_ip_net_text(&s->insecure_registry_cidrs[i], other), text))
            return true;
    return false;
}

static bool has_insecure_name(const davit_service_config *s, const char *name)
{
    for (size_t i = 0; i < s->index_config_count; i++)
        if (!s->index_configs[i].secure && dv_str_equal(s->index_configs[i].name, name))
            return true;
    return false;
}

/* What a service makes of the file alone: what is found there came from the file. */
static int ask_file(const davit_client *c, davit_service_config *out, davit_error **err)
{
    DV_AUTOPTR(davit_service) alone = NULL;
    davit_service_options o = DAVIT_SERVICE_OPTIONS_INIT;
    o.mirrors = (const char *const *)c->config.registry_mirrors;
    o.insecure_registries = (const char *const *)c->config.insecure_registries;
    int r = davit_service_new(&o, &alone, err);
    return r < 0 ? r : davit_service_get_config(alone, out, err);
}

static void add_service_rows(const davit_client *c, const davit_service_config *now,
                             const davit_service_config *file, dv_setting_rows *rows)
{
    const char *path = c->config.path;
    for (char **m = now->mirrors; m && *m; m++)
        add(rows, "registry-mirrors", *m, path && dv_text_list_has(file->mirrors, *m) ? path : from_option);
    DV_AUTOPTR(dv_service_config) snapshot = dv_service_snapshot(c->service);
    for (char **m = snapshot->digest_only_mirrors; m && *m; m++)
        add(rows, "mirror-by-digest-only", *m, c->config.mirror_by_digest_only ? path : from_option);
    for (size_t i = 0; i < now->insecure_registry_cidr_count; i++) {
        char network[DAVIT_NET_IP_NET_TEXT_MAX];
        davit_net_ip_net_text(&now->insecure_registry_cidrs[i], network);
        add(rows, "insecure-registries", network,
            is_built_in(network)                 ? from_default
            : path && has_network(file, network) ? path
                                                 : from_option);
    }
    for (size_t i = 0; i < now->index_config_count; i++) {
        const davit_index_info *index = &now->index_configs[i];
        if (!index->secure)
            add(rows, "insecure-registries", index->name,
                path && has_insecure_name(file, index->name) ? path : from_option);
    }
    for (char **a = c->config.allow_nondistributable_artifacts; a && *a; a++)
        add(rows, "allow-nondistributable-artifacts", *a, path);
    bool skip = snapshot->skip_tls_verify;
    add(rows, "tls-verify", skip ? "false" : "true", skip ? from_option : from_default);
    const char *certs_dir = snapshot->certs_dir;
    add(rows, "certs-dir", certs_dir ? certs_dir : davit_certs_dir(), certs_dir ? from_option : from_default);
}

static int add_service(const davit_client *c, dv_setting_rows *rows, davit_error **err)
{
    DV_AUTO(davit_service_config) now = DAVIT_SERVICE_CONFIG_INIT;
    DV_AUTO(davit_service_config) file = DAVIT_SERVICE_CONFIG_INIT;
    int r = davit_service_get_config(c->service, &now, err);
    if (r == 0)
        r = ask_file(c, &file, err);
    if (r == 0)
        add_service_rows(c, &now, &file, rows);
    return r;
}

/* --- credentials --------------------------------------------------------------------------------------------------- */

/* A credential file below the value of a variable, if it is there. */
static bool add_credential_file(const davit_client *c, dv_setting_rows *rows, const char *variable,
                                const char *below, const char *origin)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(VALUE_MAX);
    const char *base = dv_client_environment(c)(variable);
    if (!base || !*base)
        return false;
    dv_buf_printf(&path, "%s%s", base, below);
    if (path.failed == DAVIT_ENOMEM)
        rows->failed = true;
    else if (!path.failed && access(dv_buf_text(&path), F_OK) == 0)
        add(rows, "authfile", dv_buf_text(&path), origin);
    return true;
}

/* In the order in which they are searched (auth/credential_search.h). */
static void add_credential_files(const davit_client *c, dv_setting_rows *rows)
{
    if (c->authfile)
        add(rows, "authfile", c->authfile, from_option);
    add_credential_file(c, rows, "REGISTRY_AUTH_FILE", "", "$REGISTRY_AUTH_FILE");
    const char *inside = dv_client_environment(c)("DOCKER_AUTH_CONFIG");
    if (inside && *inside)
        add(rows, "authfile", "***", "$DOCKER_AUTH_CONFIG"); /* the credentials themselves */
    if (!add_credential_file(c, rows, "DOCKER_CONFIG", "/config.json", "$DOCKER_CONFIG"))
        add_credential_file(c, rows, "HOME", "/.docker/config.json", from_default);
    add_credential_file(c, rows, "XDG_RUNTIME_DIR", "/containers/auth.json", from_default);
}

/* --- the question --------------------------------------------------------------------------------------------------- */

int davit_client_settings(davit_client *client, davit_settings **out, davit_error **err)
{
    DV_AUTO(dv_setting_rows) rows = DV_SETTING_ROWS_INIT;
    int r = add_service(client, &rows, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < client->noted.count; i++)
        add(&rows, client->noted.items[i].key, client->noted.items[i].value, client->noted.items[i].origin);
    add_credential_files(client, &rows);
    davit_settings *settings = dv_new(davit_settings);
    if (rows.failed || !settings) {
        free(settings);
        return dv_error_oom(err);
    }
    *settings = (davit_settings){.items = rows.items, .count = rows.count};
    rows = (dv_setting_rows)DV_SETTING_ROWS_INIT; /* moved */
    *out = settings;
    return 0;
}

void davit_settings_free(davit_settings *settings)
{
    if (!settings)
        return;
    free_rows((davit_setting *)settings->items, settings->count);
    free(settings);
}
