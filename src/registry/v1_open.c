/*
 * registry/v1_open.c - from a name and perhaps URLs to whom is asked, and as whom. Spec: registry-v1.md 1, 6; search.md 4.
 *
 * States: an index is known (by its URL, or as a host that does not say that it stands alone), and gives a token for a registry, its own or
 * the one that the options name; or there is none, and the registry is asked as the user. Credentials are those of whoever is asked first.
 */
#include "registry/v1_client.h"

#include "auth/auth_config.h"
#include "davit/service.h"
#include "registry/credentials.h"
#include "registry/v1_endpoint.h"
#include "util/str.h"

#include <string.h>

struct davit_v1_repository {
    davit_v1_client *registry, *index;
    davit_v1_auth *user;  /* NULL: nobody */
    davit_v1_auth *token; /* NULL: there is no index */
    char *path;
    char *domain;
};

void davit_v1_repository_close(davit_v1_repository *r)
{
    if (!r)
        return;
    davit_v1_client_free(r->registry);
    davit_v1_client_free(r->index);
    davit_v1_auth_free(r->user);
    davit_v1_auth_free(r->token);
    free(r->path);
    free(r->domain);
    free(r);
}

davit_v1_client *davit_v1_repository_registry(const davit_v1_repository *r)
{
    return r->registry ? r->registry : r->index;
}

const davit_v1_auth *davit_v1_repository_auth(const davit_v1_repository *r)
{
    return r->index ? r->token : r->user;
}

davit_v1_client *davit_v1_repository_index(const davit_v1_repository *r)
{
    return r->index;
}

const davit_v1_auth *davit_v1_repository_index_auth(const davit_v1_repository *r)
{
    return r->index ? r->user : NULL;
}

const char *davit_v1_repository_path(const davit_v1_repository *r)
{
    return r->path;
}

const char *dv_v1_repository_domain(const davit_v1_repository *r)
{
    return r->domain;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

size_t dv_v1_host_size(const char *name)
{
    const char *slash = strchr(name, '/');
    size_t size = slash ? (size_t)(slash - name) : 0;
    bool named = size > 0 && (memchr(name, '.', size) || memchr(name, ':', size) ||
                              (size == strlen("localhost") && memcmp(name, "localhost", size) == 0));
    return named ? size : 0;
}

static int check_options(const davit_v1_open_options *o, davit_error **err)
{
    if (o->version != DAVIT_V1_OPEN_OPTIONS_VERSION || o->flags)
        return dv_error_set(err, DAVIT_EINVAL, "unknown v1 options (version %u, flags 0x%x)", o->version,
                            o->flags);
    if (!o->username != !o->password)
        return dv_error_set(err, DAVIT_EINVAL, "a user name and a password go together");
    return 0;
}

/* --- who is asked first -------------------------------------------------------------------------------------------------- */

typedef struct first {
    davit_v1_client *client;
    char *credentials; /* whose are stored */
    bool is_index;
} first;

static void first_clear(first *f)
{
    davit_v1_client_free(f->client);
    free(f->credentials);
}
DV_DEFINE_AUTO(first, first_clear)

/* host[:port] of a base URL, as credentials are stored; Docker Hub's under its own name. */
static char *credentials_host(const char *base_url)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    DV_AUTO(dv_buf) host = DV_BUF_INIT(DV_URL_MAX);
    if (dv_url_parse(base_url, &url, NULL) < 0)
        return NULL;
    if (strcmp(url.host, DAVIT_INDEX_HOSTNAME) == 0)
        return dv_strdup(DAVIT_INDEX_NAME);
    dv_buf_puts(&host, url.host);
    if (url.explicit_port)
        dv_buf_printf(&host, ":%u", url.port);
    return dv_buf_take(&host);
}

static int open_host(davit_client *c, const char *host, first *f, davit_error **err)
{
    DV_AUTO(dv_v1_endpoint) endpoint = DV_V1_ENDPOINT_INIT;
    int r = dv_v1_endpoint_find(c, host, &c->extra_headers, &endpoint, err);
    if (r < 0)
        return r;
    f->is_index = !endpoint.standalone;
    return davit_v1_client_new(c, endpoint.url.text, &f->client, err);
}

static int open_first(davit_client *c, const char *name, const davit_v1_open_options *o, first *f,
                      davit_error **err)
{
    size_t size = dv_v1_host_size(name);
    DV_AUTOFREE char *host = size ? dv_strndup(name, size) : dv_strdup(DAVIT_INDEX_NAME);
    const char *url = o->index ? o->index : o->registry;
    if (!host)
        return dv_error_oom(err);
    f->is_index = o->index != NULL;
    int r = url ? davit_v1_client_new(c, url, &f->client, err) : open_host(c, host, f, err);
    if (r < 0)
        return r;
    f->credentials = credentials_host(davit_v1_client_base_url(f->client));
    return f->credentials ? 0 : dv_error_oom(err);
}

int dv_v1_client_find(davit_client *client, const char *name, const davit_v1_open_options *o,
                      davit_v1_client **out, bool *out_is_index, davit_error **err)
{
    DV_AUTO(first) f = {.client = NULL};
    int r = check_options(o, err);
    if (r == 0)
        r = open_first(client, name, o, &f, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(f.client);
    *out_is_index = f.is_index;
    return 0;
}

int davit_v1_client_find(davit_client *client, const char *name, const davit_v1_open_options *options,
                         davit_v1_client **out, davit_error **err)
{
    static const davit_v1_open_options defaults = DAVIT_V1_OPEN_OPTIONS_INIT;
    bool unused;
    return dv_v1_client_find(client, name, options ? options : &defaults, out, &unused, err);
}

/* --- as whom ------------------------------------------------------------------------------------------------------------- */

static int find_user(davit_client *c, const char *host, const davit_v1_open_options *o, davit_v1_auth **out,
                     davit_error **err)
{
    DV_AUTO(davit_auth_config) stored = DAVIT_AUTH_CONFIG_INIT;
    if (o->username)
        return davit_v1_basic_auth(o->username, o->password, out, err);
    int r = dv_client_find_credentials(c, host, NULL, &stored, err);
    if (r < 0)
        return r;
    return r > 0 && dv_auth_config_has_password(&stored)
               ? davit_v1_basic_auth(stored.username, stored.password, out, err)
               : 0;
}

int dv_v1_client_user(const davit_v1_client *c, const davit_v1_open_options *o, davit_v1_auth **out,
                      davit_error **err)
{
    DV_AUTOPTR(davit_v1_auth) user = NULL;
    DV_AUTOFREE char *host = credentials_host(davit_v1_client_base_url(c));
    int r = host ? find_user(dv_v1_client_of(c), host, o, &user, err) : dv_error_oom(err);
    if (r < 0)
        return r;
    *out = DV_STEAL(user);
    return 0;
}

static int get_delete_token(davit_v1_repository *rep, davit_v1_auth **out, davit_error **err)
{
    bool standalone = false;
    int r = dv_v1_says_standalone(rep->index, &standalone, err);
    if (r == 0 && standalone)
        r = dv_error_set(
            err, DAVIT_EINVAL,
            "%s is no index but a registry that stands alone, and would delete all of %s at once",
            davit_v1_client_base_url(rep->index), rep->path);
    return r < 0 ? r : davit_v1_hub_get_delete_token(rep->index, rep->path, rep->user, out, err);
}

static int get_token(davit_v1_repository *rep, davit_v1_access access, const davit_v1_image_entry *images,
                     size_t count, davit_v1_auth **out, davit_error **err)
{
    switch (access) {
    case DAVIT_V1_ACCESS_WRITE:
        return davit_v1_hub_get_write_token_for(rep->index, rep->path, images, count, rep->user, out, err);
    case DAVIT_V1_ACCESS_DELETE:
        return get_delete_token(rep, out, err);
    case DAVIT_V1_ACCESS_NONE:
    case DAVIT_V1_ACCESS_READ:
        break;
    }
    return davit_v1_hub_get_read_token_with_auth(rep->index, rep->path, rep->user, out, err);
}

/* The token, for the registry that the options name when they name one. */
static int authorize(davit_client *c, davit_v1_repository *rep, davit_v1_access access,
                     const davit_v1_image_entry *images, size_t count, const char *registry,
                     davit_error **err)
{
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    DV_AUTO(dv_url) url = DV_URL_INIT;
    DV_AUTO(dv_buf) host = DV_BUF_INIT(DV_URL_MAX);
    int r = registry ? davit_v1_client_new(c, registry, &rep->registry, err) : 0;
    if (r == 0)
        r = get_token(rep, access, images, count, &token, err);
    if (r < 0)
        return r;
    if (!registry) {
        rep->token = DV_STEAL(token);
        return 0;
    }
    r = dv_url_parse(davit_v1_client_base_url(rep->registry), &url, err);
    if (r < 0)
        return r;
    dv_buf_puts(&host, url.host);
    if (url.explicit_port)
        dv_buf_printf(&host, ":%u", url.port);
    return host.failed ? dv_error_oom(err)
                       : davit_v1_token_auth(dv_buf_text(&host), davit_v1_auth_token(token), access,
                                             &rep->token, err);
}

int davit_v1_repository_open(davit_client *client, const char *name, davit_v1_access access,
                             const davit_v1_image_entry *images, size_t count,
                             const davit_v1_open_options *options, davit_v1_repository **out,
                             davit_error **err)
{
    static const davit_v1_open_options defaults = DAVIT_V1_OPEN_OPTIONS_INIT;
    const davit_v1_open_options *o = options ? options : &defaults;
    DV_AUTO(first) f = {.client = NULL};
    DV_AUTOPTR(davit_v1_repository) rep = dv_new(davit_v1_repository);
    if (!rep)
        return dv_error_oom(err);
    int r = check_options(o, err);
    if (r == 0)
        r = open_first(client, name, o, &f, err);
    if (r == 0)
        r = find_user(client, f.credentials, o, &rep->user, err);
    if (r < 0)
        return r;
    size_t size = o->index || o->registry ? 0 : dv_v1_host_size(name);
    rep->path = dv_strdup(size ? name + size + 1 : name);
    rep->domain = o->registry ? credentials_host(o->registry) : dv_strdup(f.credentials);
    if (!rep->path || !rep->domain)
        return dv_error_oom(err);
    *(f.is_index ? &rep->index : &rep->registry) = DV_STEAL(f.client);
    if (f.is_index)
        r = authorize(client, rep, access, images, count, o->registry, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(rep);
    return 0;
}
