/*
 * registry/client.c - making and ending a davit_client. What its parts do is theirs; here they get their limits.
 */
#include "registry/client.h"

#include "service/text_list.h"
#include "util/log.h"
#include "util/str.h"

#include <string.h>

#define WORKERS 8 /* they mostly wait for the disk */

#define CONNECT_TIMEOUT_MS 10000
#define FIRST_BYTE_TIMEOUT_MS 30000
#define STALL_TIMEOUT_MS 30000
#define MIN_RATE 1024
#define DOWNLOAD_ATTEMPTS 5
#define RETRY_DELAY_MS 500
#define RETRY_DELAY_MAX_MS 10000
#define RETRY_AFTER_MAX_S 60

static char *get_nothing(const char *name)
{
    return NULL;
}

dv_getenv_fn *dv_client_environment(const davit_client *c)
{
    return c->flags & DAVIT_CLIENT_NO_ENVIRONMENT ? get_nothing : getenv;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static void set_limits(davit_client *c, const davit_client_options *o)
{
    c->http.limits = (dv_http_limits){
        .connect_timeout_ms = or_default(o->connect_timeout_ms, CONNECT_TIMEOUT_MS),
        .first_byte_timeout_ms = or_default(o->first_byte_timeout_ms, FIRST_BYTE_TIMEOUT_MS),
        .stall_timeout_ms = or_default(o->stall_timeout_ms, STALL_TIMEOUT_MS),
        .min_rate = or_default(o->min_rate, MIN_RATE),
        .min_rate_window_ms =
            or_default(o->min_rate_window_ms, 2 * or_default(o->stall_timeout_ms, STALL_TIMEOUT_MS)),
    };
    c->retry = (dv_retry_policy){
        .attempts = or_default(or_default(o->max_download_attempts, c->config.max_download_attempts),
                               DOWNLOAD_ATTEMPTS),
        .delay_ms = or_default(o->retry_delay_ms, RETRY_DELAY_MS),
        .delay_max_ms = RETRY_DELAY_MAX_MS,
        .retry_after_max_s = or_default(o->retry_after_max_s, RETRY_AFTER_MAX_S),
    };
    c->downloads = or_default(o->max_concurrent_downloads, c->config.max_concurrent_downloads);
    c->uploads = or_default(o->max_concurrent_uploads, c->config.max_concurrent_uploads);
}

/* Headers that we write ourselves or that would change what a request means (threats A4). */
static bool header_is_reserved(const char *name)
{
    static const char *const names[] = {"Authorization",     "Cookie",    "Host", "Range",
                                        "Transfer-Encoding", "Connection"};
    for (size_t i = 0; i < DV_COUNT(names); i++)
        if (dv_str_equal_nocase(name, names[i]))
            return true;
    return dv_str_starts_nocase(name, "Content-") || dv_str_starts_nocase(name, "Proxy-");
}

int dv_client_add_header(dv_headers *out, const char *line, davit_error **err)
{
    const char *colon = strchr(line, ':');
    if (!colon)
        return dv_error_set(err, DAVIT_EINVAL, "header \"%s\" is not of the form \"Name: value\"", line);
    DV_AUTOFREE char *name = dv_strndup(line, (size_t)(colon - line));
    if (!name)
        return dv_error_oom(err);
    if (header_is_reserved(name))
        return dv_error_set(err, DAVIT_EINVAL, "header %s cannot be set", name);
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    return dv_headers_add(out, name, value, DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET, err);
}

static char **copy_list(const char *const *list)
{
    size_t count = 0;
    while (list && list[count])
        count++;
    char **copy = dv_new_array(char *, count + 1);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = dv_strdup(list[i]);
        if (!copy[i]) {
            while (i > 0)
                free(copy[--i]);
            free(copy);
            return NULL;
        }
    }
    return copy;
}

static void free_list(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

/* A service of the embedder's has its own lists, so those of the file do not matter then. */
static int read_config(davit_client *c, const davit_client_options *o, davit_error **err)
{
    bool look = !(o->flags & DAVIT_CLIENT_NO_ENVIRONMENT);
    int r = dv_daemon_config_load(o->config_file, look ? dv_daemon_config_paths : NULL, &c->config, err);
    if (o->service)
        dv_daemon_config_clear_lists(&c->config);
    return r < 0 ? r : dv_daemon_config_check(&c->config, o->registry_mirrors, err);
}

static int make_service(davit_client *c, const davit_client_options *o, davit_error **err)
{
    DV_AUTO_TEXT_LIST mirrors = NULL;
    DV_AUTO_TEXT_LIST insecure = NULL;
    if (o->service) {
        c->service = davit_service_ref(o->service);
        return 0;
    }
    int r = dv_daemon_config_join(c->config.registry_mirrors, o->registry_mirrors, &mirrors, err);
    if (r == 0)
        r = dv_daemon_config_join(c->config.insecure_registries, o->insecure_registries, &insecure, err);
    if (r < 0)
        return r;
    return dv_service_new(
        &(dv_service_options){
            .skip_tls_verify = o->flags & DAVIT_CLIENT_TLS_NO_VERIFY,
            .resolve = dv_resolve,
            .environment = dv_client_environment(c),
            .mirrors = (const char *const *)mirrors,
            .insecure_registries = (const char *const *)insecure,
            .allow_nondistributable_artifacts =
                (const char *const *)c->config.allow_nondistributable_artifacts,
            .digest_only_mirrors = (const char *const *)c->config.mirror_by_digest_only,
            .certs_dir = o->certs_dir,
        },
        &c->service, err);
}

davit_service *davit_client_service(davit_client *client)
{
    return client->service;
}

static int copy_options(davit_client *c, const davit_client_options *o, davit_error **err)
{
    dv_getenv_fn *env = dv_client_environment(c);
    const char *ca_file = env("SSL_CERT_FILE");
    c->http.user_agent = dv_strdup(o->user_agent ? o->user_agent : "davit/" DAVIT_VERSION);
    c->http.ca_file = ca_file && *ca_file ? dv_strdup(ca_file) : NULL;
    c->store_dir = dv_strdup(o->store_dir);
    c->authfile = dv_strdup(o->authfile);
    c->trusted_realms = copy_list(o->trusted_realms);
    if (!c->http.user_agent || (o->store_dir && !c->store_dir) || (o->authfile && !c->authfile) ||
        !c->trusted_realms)
        return dv_error_oom(err);
    int r = dv_proxy_config_from_environment(env, &c->http.proxies, err);
    if (r == 0)
        r = make_service(c, o, err);
    for (const char *const *h = o->headers; r == 0 && h && *h; h++)
        r = dv_client_add_header(&c->extra_headers, *h, err);
    if (r == 0)
        r = dv_client_add_file_headers(c, err);
    return r;
}

int davit_client_new(const davit_client_options *options, davit_client **out, davit_error **err)
{
    static const davit_client_options defaults = DAVIT_CLIENT_OPTIONS_INIT;
    const davit_client_options *o = options ? options : &defaults;
    const uint32_t known =
        DAVIT_CLIENT_TLS_NO_VERIFY | DAVIT_CLIENT_NO_ENVIRONMENT | DAVIT_CLIENT_STORE_READ_ONLY;
    if (o->version != DAVIT_CLIENT_OPTIONS_VERSION)
        return dv_error_set(err, DAVIT_EINVAL, "davit_client_options of version %u", o->version);
    if (o->flags & ~known)
        return dv_error_set(err, DAVIT_EINVAL, "unknown client flags 0x%x", o->flags & ~known);
    davit_client *c = dv_new(davit_client);
    if (!c)
        return dv_error_oom(err);
    c->flags = o->flags;
    int r = read_config(c, o, err);
    set_limits(c, o);
    if (r == 0)
        r = copy_options(c, o, err);
    if (r == 0)
        r = dv_settings_note(c, o, err);
    if (r == 0)
        r = dv_client_credentials_init(c, err);
    if (r == 0)
        r = dv_loop_new(&c->loop, err);
    if (r == 0) {
        c->http.loop = c->loop;
        c->pool = dv_workpool_new(WORKERS);
        if (!c->pool)
            r = dv_error_oom(err);
    }
    if (r < 0) {
        davit_client_free(c);
        return r;
    }
    dv_client_credentials_take(c, o);
    *out = c;
    return 0;
}

static void free_hosts(dv_host *host)
{
    while (host) {
        dv_host *next = host->next;
        free(host->name);
        free(host);
        host = next;
    }
}

void davit_client_free(davit_client *c)
{
    if (!c)
        return;
    /* The workers hand their last results to the loop, which runs them before it ends; those may still free strands. */
    dv_workpool_stop(c->pool);
    dv_http_client_clear(&c->http);
    if (c->loop)
        dv_loop_free(c->loop);
    dv_workpool_free(c->pool);
    void *extension = atomic_load(&c->extension);
    if (extension)
        c->extension_free(extension);
    free_hosts(c->hosts);
    dv_headers_clear(&c->extra_headers);
    dv_client_credentials_clear(c);
    davit_service_unref(c->service);
    dv_daemon_config_clear(&c->config);
    dv_setting_rows_clear(&c->noted);
    free_list(c->trusted_realms);
    free(c->store_dir);
    free(c->authfile);
    free(c);
}

void davit_client_cancel(davit_client *c)
{
    atomic_store(&c->cancelled, true);
}

int dv_client_check_cancelled(davit_client *c, davit_error **err)
{
    return atomic_load(&c->cancelled) ? dv_error_set(err, DAVIT_ECANCELLED, "cancelled") : 0;
}

int dv_client_extension(davit_client *c, int (*make)(davit_client *c, void **out, davit_error **err),
                        void (*release)(void *extension), void **out, davit_error **err)
{
    void *extension = atomic_load(&c->extension);
    if (!extension) {
        void *made = NULL;
        int r = make(c, &made, err);
        if (r < 0)
            return r;
        if (atomic_compare_exchange_strong(&c->extension, &extension, made)) {
            extension = made;
            c->extension_free = release; /* read by davit_client_free(), when no call is running */
        } else {
            release(made);
        }
    }
    *out = extension;
    return 0;
}

const char *davit_version(void)
{
    return DAVIT_VERSION;
}
