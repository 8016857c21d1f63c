/* auth/config_file.c - see config_file.h. */
#include "auth/config_file.h"

#include "auth/auth_config.h"
#include "auth/credential_helper.h"
#include "util/base64.h"
#include "util/file.h"
#include "util/json.h"
#include "util/str.h"

#include <fcntl.h>
#include <string.h>

typedef struct entry {
    char *key; /* as the file has it */
    davit_auth_config config;
} entry;

typedef struct helper {
    char *key;
    char *suffix;
} helper;

struct dv_config_file {
    entry *entries;
    size_t entry_count;
    helper *helpers; /* credHelpers */
    size_t helper_count;
    char *store; /* credsStore, or NULL */
    dv_config_header *headers;
    size_t header_count;
};

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void dv_config_file_free(dv_config_file *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->entry_count; i++) {
        free(f->entries[i].key);
        davit_auth_config_clear(&f->entries[i].config);
    }
    for (size_t i = 0; i < f->helper_count; i++) {
        free(f->helpers[i].key);
        free(f->helpers[i].suffix);
    }
    for (size_t i = 0; i < f->header_count; i++) {
        free(f->headers[i].name);
        wipe(f->headers[i].value);
    }
    free(f->entries);
    free(f->helpers);
    free(f->headers);
    free(f->store);
    free(f);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static int bad(davit_error **err, const char *path, const char *group, const char *key, const char *why)
{
    return dv_error_set(err, DAVIT_ECONFIG, "%s: %s%s%.200s: %s", path, group, *group ? "." : "", key, why);
}

static bool set_text(char **to, const char *text, size_t size)
{
    wipe(*to);
    *to = dv_strndup(text, size);
    return *to != NULL;
}

/* "auth": user before the first colon, password behind it without NULs at its ends. */
static int decode_auth(const char *path, const char *key, davit_auth_config *config, davit_error **err)
{
    DV_AUTO(dv_buf) plain = {.max = DV_CONFIG_FILE_MAX, .secret = true};
    bool decoded = dv_base64_decode(&plain, config->auth, strlen(config->auth), /* url_alphabet= */ false);
    if (plain.failed)
        return dv_error_oom(err);
    if (!decoded)
        return bad(err, path, "auths", key, "illegal base64 data");
    const char *text = dv_buf_text(&plain);
    const char *end = text + plain.size;
    const char *colon = memchr(text, ':', plain.size);
    if (!colon || colon == text)
        return bad(err, path, "auths", key, "Invalid auth configuration file");
    const char *password = colon + 1;
    while (password < end && *password == '\0')
        password++;
    while (end > password && end[-1] == '\0')
        end--;
    if (memchr(text, '\0', (size_t)(colon - text)) || memchr(password, '\0', (size_t)(end - password)))
        return bad(err, path, "auths", key, "NUL in user name or password");
    return set_text(&config->username, text, (size_t)(colon - text)) &&
                   set_text(&config->password, password, (size_t)(end - password))
               ? 0
               : dv_error_oom(err);
}

static bool copy_text(char **to, const char *from)
{
    *to = dv_strdup(from);
    return *to || !from;
}

static int read_entry(const char *path, const char *key, const dv_json *value, entry *e, davit_error **err)
{
    static const dv_json_field fields[] = {
        {"username", DV_FIELD_STRING, offsetof(davit_auth_config, username), false},
        {"password", DV_FIELD_STRING, offsetof(davit_auth_config, password), false},
        {"auth", DV_FIELD_STRING, offsetof(davit_auth_config, auth), false},
        {"email", DV_FIELD_STRING, offsetof(davit_auth_config, email), false},
        {"identitytoken", DV_FIELD_STRING, offsetof(davit_auth_config, identitytoken), false},
        {"registrytoken", DV_FIELD_STRING, offsetof(davit_auth_config, registrytoken), false},
        {0},
    };
    davit_auth_config borrowed = DAVIT_AUTH_CONFIG_INIT; /* its texts are the JSON's */
    DV_AUTOPTR(davit_error) why = NULL;
    if (dv_json_decode(value, fields, &borrowed, &why) < 0)
        return bad(err, path, "auths", key, davit_error_message(why));
    if (davit_auth_config_copy(&borrowed, &e->config, err) < 0)
        return DAVIT_ENOMEM;
    if (e->config.auth && *e->config.auth) {
        int r = decode_auth(path, key, &e->config, err);
        if (r < 0)
            return r;
        explicit_bzero(e->config.auth, strlen(e->config.auth));
    }
    free(DV_STEAL(e->config.auth));
    return copy_text(&e->key, key) && copy_text(&e->config.serveraddress, key) ? 0 : dv_error_oom(err);
}

/* A member of the document that has to be an object when it is there; *out stays NULL when it is not. */
static int get_object(const char *path, const dv_json *document, const char *key, const dv_json **out,
                      davit_error **err)
{
    const dv_json *v = dv_json_get(document, key);
    if (!v || dv_json_is(v, DV_JSON_NULL))
        return 0;
    if (!dv_json_is(v, DV_JSON_OBJECT))
        return bad(err, path, "", key, "not an object");
    *out = v;
    return 0;
}

static int read_entries(dv_config_file *f, const char *path, const dv_json *document, davit_error **err)
{
    const dv_json *auths = NULL, *value;
    const char *key;
    void *iter = NULL;
    int r = get_object(path, document, "auths", &auths, err);
    if (r < 0 || !auths)
        return r;
    f->entries = dv_new_array(entry, dv_json_count(auths));
    if (!f->entries)
        return dv_error_oom(err);
    while (dv_json_next(auths, &iter, &key, &value)) {
        if (dv_json_is(value, DV_JSON_NULL))
            continue;
        r = read_entry(path, key, value, &f->entries[f->entry_count++], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_helpers(dv_config_file *f, const char *path, const dv_json *document, davit_error **err)
{
    const dv_json *helpers = NULL, *value;
    const char *key;
    void *iter = NULL;
    int r = get_object(path, document, "credHelpers", &helpers, err);
    if (r < 0 || !helpers)
        return r;
    f->helpers = dv_new_array(helper, dv_json_count(helpers));
    if (!f->helpers)
        return dv_error_oom(err);
    while (dv_json_next(helpers, &iter, &key, &value)) {
        const char *suffix = dv_json_string(value, NULL);
        if (!suffix)
            return bad(err, path, "credHelpers", key, "not a string");
        helper *h = &f->helpers[f->helper_count++];
        if (!copy_text(&h->key, key) || !copy_text(&h->suffix, suffix))
            return dv_error_oom(err);
    }
    return 0;
}

static int read_store(dv_config_file *f, const char *path, const dv_json *document, davit_error **err)
{
    const dv_json *v = dv_json_get(document, "credsStore");
    const char *suffix = dv_json_string(v, NULL);
    if (!v || dv_json_is(v, DV_JSON_NULL) || (suffix && !*suffix))
        return 0;
    if (!suffix)
        return bad(err, path, "", "credsStore", "not a string");
    return copy_text(&f->store, suffix) ? 0 : dv_error_oom(err);
}

static int read_headers(dv_config_file *f, const char *path, const dv_json *document, davit_error **err)
{
    const dv_json *headers = NULL, *value;
    const char *name;
    void *iter = NULL;
    int r = get_object(path, document, "HttpHeaders", &headers, err);
    if (r < 0 || !headers)
        return r;
    f->headers = dv_new_array(dv_config_header, dv_json_count(headers));
    if (!f->headers)
        return dv_error_oom(err);
    while (dv_json_next(headers, &iter, &name, &value)) {
        const char *text = dv_json_string(value, NULL);
        if (!text)
            return bad(err, path, "HttpHeaders", name, "not a string");
        if (dv_str_equal_nocase(name, "User-Agent"))
            continue;
        dv_config_header *h = &f->headers[f->header_count++];
        if (!copy_text(&h->name, name) || !copy_text(&h->value, text))
            return dv_error_oom(err);
    }
    return 0;
}

static bool is_blank(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n", bytes[i]) || !bytes[i])
            return false;
    return true;
}

int dv_config_file_parse(const char *path, const void *bytes, size_t size, dv_config_file **out,
                         davit_error **err)
{
    DV_AUTOPTR(dv_config_file) f = dv_new(dv_config_file);
    DV_AUTOPTR(dv_json_secret) document = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    dv_json_limits limits = {.max_bytes = DV_CONFIG_FILE_MAX, .any_number = true};
    if (!f)
        return dv_error_oom(err);
    if (!is_blank(bytes, size)) {
        int r = dv_json_parse(bytes, size, &limits, NULL, &document, &why);
        if (r == 0 && !dv_json_is(document, DV_JSON_OBJECT))
            r = dv_error_set(&why, DAVIT_EFORMAT, "not a JSON object");
        if (r < 0)
            return dv_error_set(err, r == DAVIT_ENOMEM ? r : DAVIT_ECONFIG, "%s: %s", path,
                                davit_error_message(why));
        r = read_entries(f, path, document, err);
        if (r == 0)
            r = read_helpers(f, path, document, err);
        if (r == 0)
            r = read_store(f, path, document, err);
        if (r == 0)
            r = read_headers(f, path, document, err);
        if (r < 0)
            return r;
    }
    *out = DV_STEAL(f);
    return 0;
}

int dv_config_file_load(const char *path, dv_config_file **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = {.max = DV_CONFIG_FILE_MAX, .secret = true};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_file_read(AT_FDCWD, path, DV_CONFIG_FILE_MAX, &bytes, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0 && r != DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_ECONFIG, "%s", davit_error_message(why)); /* names the file already */
    return dv_config_file_parse(path, dv_buf_text(&bytes), r == 0 ? bytes.size : 0, out, err);
}

/* --- finding --------------------------------------------------------------------------------------------------- */

static bool is_hub(const char *domain)
{
    return strcmp(domain, "docker.io") == 0 || strcmp(domain, "index.docker.io") == 0;
}

/*
 * The host[:port] that a key names: behind a scheme and before the first "/" (auth.md 3, the CLI's
 * variant).
 */
static const char *key_host(const char *key, size_t *out_size)
{
    const char *scheme = strstr(key, "://");
    const char *host = scheme ? scheme + 3 : key;
    size_t size = strcspn(host, "/");
    const char *at = scheme ? memrchr(host, '@', size) : NULL;
    if (at) {
        size -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    *out_size = size;
    return host;
}

bool dv_credential_same_host(const char *key, const char *other)
{
    size_t size, other_size;
    const char *host = key_host(key, &size), *other_host = key_host(other, &other_size);
    return size == other_size && memcmp(host, other_host, size) == 0;
}

static bool key_host_is(const char *key, const char *domain)
{
    size_t size;
    const char *host = key_host(key, &size);
    return size == strlen(domain) && memcmp(host, domain, size) == 0;
}

/*
 * Podman's kind of key: "host/path" without a scheme. "index.docker.io/v1/" is an old spelling of Docker
 * Hub's own key.
 */
static bool has_repository_path(const char *key)
{
    const char *slash = strchr(key, '/');
    return !strstr(key, "://") && slash && slash[strspn(slash, "/")] &&
           !dv_str_starts(key, "index.docker.io/v1");
}

/*
 * How much of domain/repository a Podman key covers: its length, 0 when it is not a prefix of whole
 * components.
 */
static size_t covers(const char *key, const char *domain, const char *repository)
{
    size_t host = strlen(domain), size = strlen(key);
    while (size > 0 && key[size - 1] == '/')
        size--;
    if (!repository || size <= host + 1 || memcmp(key, domain, host) != 0 || key[host] != '/')
        return 0;
    size_t path = size - host - 1;
    bool prefix = strncmp(key + host + 1, repository, path) == 0 && strlen(repository) >= path;
    return prefix && (repository[path] == '/' || !repository[path]) ? size : 0;
}

/*
 * Whether a key without a path of Podman's kind names this registry; weight is the better the more exact, 0
 * for no.
 */
static int host_weight(const char *key, const char *domain)
{
    static const char *const hub_names[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};
    if (is_hub(domain)) {
        if (strcmp(key, DV_HUB_KEY) == 0)
            return 3;
        for (size_t i = 0; i < DV_COUNT(hub_names); i++)
            if (key_host_is(key, hub_names[i]))
                return 1;
        return 0;
    }
    return strcmp(key, domain) == 0 ? 3 : key_host_is(key, domain) ? 1 : 0;
}

const davit_auth_config *dv_config_file_find(const dv_config_file *f, const char *domain,
                                             const char *repository)
{
    const entry *best = NULL;
    size_t best_path = 0;
    int best_host = 0;
    for (size_t i = 0; i < f->entry_count; i++) {
        const entry *e = &f->entries[i];
        if (davit_auth_config_is_anonymous(&e->config))
            continue;
        if (has_repository_path(e->key)) {
            size_t path = covers(e->key, domain, repository);
            if (path > best_path) {
                best_path = path;
                best = e;
            }
        } else if (best_path == 0 && host_weight(e->key, domain) > best_host) {
            best_host = host_weight(e->key, domain);
            best = e;
        }
    }
    return best ? &best->config : NULL;
}

const davit_auth_config *dv_config_file_exact(const dv_config_file *f, const char *key)
{
    for (size_t i = 0; i < f->entry_count; i++)
        if (strcmp(f->entries[i].key, key) == 0)
            return &f->entries[i].config;
    return NULL;
}

/* host_weight() of a key for a registry as a whole. */
static int entry_weight(const char *key, const char *domain)
{
    return has_repository_path(key) ? 0 : host_weight(key, domain);
}

bool dv_credential_key_names(const char *key, const char *domain)
{
    return entry_weight(key, domain) > 0;
}

const char *dv_config_file_email(const dv_config_file *f, const char *domain)
{
    const entry *best = NULL;
    int best_weight = 0;
    for (size_t i = 0; i < f->entry_count; i++) {
        const entry *e = &f->entries[i];
        int weight = entry_weight(e->key, domain);
        if (weight > best_weight && e->config.email && *e->config.email) {
            best_weight = weight;
            best = e;
        }
    }
    return best ? best->config.email : NULL;
}

/* The name of that one; one NULL: of "credsStore". */
static int take_helper(const dv_config_file *f, const char *path, const helper *one, const char **out,
                       davit_error **err)
{
    const char *name = one ? one->suffix : f->store;
    if (name && *name && !dv_helper_name_is_valid(name))
        return bad(
            err, path, one ? "credHelpers" : "", one ? one->key : "credsStore",
            "the name of a credential helper has letters, digits, \"_\", \"-\" and \".\" and is no path");
    *out = name && *name ? name : NULL;
    return 0;
}

int dv_config_file_helper(const dv_config_file *f, const char *path, const char *domain, const char **out,
                          davit_error **err)
{
    const helper *best = NULL;
    int best_weight = 0;
    for (size_t i = 0; i < f->helper_count; i++) {
        int weight = entry_weight(f->helpers[i].key, domain);
        if (weight > best_weight) {
            best_weight = weight;
            best = &f->helpers[i];
        }
    }
    return take_helper(f, path, best, out, err);
}

int dv_config_file_helper_at(const dv_config_file *f, const char *path, size_t index, const char **out_key,
                             const char **out_name, davit_error **err)
{
    const helper *one = index < f->helper_count ? &f->helpers[index] : NULL;
    if (index > f->helper_count)
        return 0;
    int r = take_helper(f, path, one, out_name, err);
    if (r < 0)
        return r;
    *out_key = one ? one->key : NULL;
    return 1;
}

size_t dv_config_file_headers(const dv_config_file *f, const dv_config_header **out)
{
    *out = f->headers;
    return f->header_count;
}

const char *dv_credential_key(const char *domain)
{
    return is_hub(domain) ? DV_HUB_KEY : domain;
}
