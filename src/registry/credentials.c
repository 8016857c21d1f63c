/*
 * registry/credentials.c - see credentials.h.
 *
 * What helpers have said is one object in a queue of one: whoever pops it owns it until it is pushed back, so there is no lock. It is
 * never held while a helper runs; two threads that ask for the same registry at the same time may both run it.
 */
#include "registry/credentials.h"

#include "auth/auth_config.h"
#include "auth/config_file.h"
#include "auth/config_write.h"
#include "auth/credential_helper.h"
#include "auth/credential_search.h"
#include "registry/client.h"
#include "util/log.h"
#include "util/str.h"

#include <fcntl.h>
#include <string.h>

#define URL_TEXT_MAX 1024 /* bytes of "https://host:port" */

/* --- what helpers have said ----------------------------------------------------------------------------------------- */

typedef struct answer {
    struct answer *next;
    char *helper, *server;
    bool found;
    davit_auth_config config;
} answer;

typedef struct kept {
    dv_node node;
    answer *first;
    unsigned forgotten; /* how often: an answer from before is not kept */
    bool variable_warned;
} kept;

static void answer_free(answer *a)
{
    if (!a)
        return;
    free(a->helper);
    free(a->server);
    davit_auth_config_clear(&a->config);
    free(a);
}

static kept *take(davit_client *c)
{
    return (kept *)dv_queue_pop(c->credentials.kept, -1);
}

static void give_back(davit_client *c, kept *k)
{
    dv_queue_push(c->credentials.kept, &k->node);
}

static void forget(davit_client *c, const char *server)
{
    kept *k = take(c);
    for (answer **at = &k->first; *at;) {
        answer *a = *at;
        if (!server || strcmp(a->server, server) == 0) {
            *at = a->next;
            answer_free(a);
        } else {
            at = &a->next;
        }
    }
    k->forgotten++;
    give_back(c, k);
}

/* 1 and 0 as the helper said then; -1: not known. Tells the count that remember() wants. */
static int recall(davit_client *c, const char *helper, const char *server, davit_auth_config *out,
                  unsigned *out_forgotten, davit_error **err)
{
    kept *k = take(c);
    int r = -1;
    for (answer *a = k->first; a && r < 0; a = a->next)
        if (strcmp(a->helper, helper) == 0 && strcmp(a->server, server) == 0) {
            r = a->found;
            if (r > 0 && davit_auth_config_copy(&a->config, out, err) < 0)
                r = DAVIT_ENOMEM;
            break;
        }
    *out_forgotten = k->forgotten;
    give_back(c, k);
    return r;
}

/* Without memory it is asked again. */
static void remember(davit_client *c, const char *helper, const char *server, const davit_auth_config *said,
                     unsigned forgotten)
{
    answer *a = dv_new(answer);
    if (!a)
        return;
    a->helper = dv_strdup(helper);
    a->server = dv_strdup(server);
    a->found = said != NULL;
    kept *k = take(c);
    bool wanted = k->forgotten == forgotten && a->helper && a->server &&
                  (!said || davit_auth_config_copy(said, &a->config, NULL) == 0);
    if (wanted) {
        a->next = k->first;
        k->first = a;
    }
    give_back(c, k);
    if (!wanted)
        answer_free(a);
}

/* --- the client's part ---------------------------------------------------------------------------------------------- */

int dv_client_credentials_init(davit_client *c, davit_error **err)
{
    kept *k = dv_new(kept);
    c->credentials.kept = dv_queue_new();
    if (!k || !c->credentials.kept) {
        free(k);
        return dv_error_oom(err);
    }
    give_back(c, k);
    return 0;
}

void dv_client_credentials_take(davit_client *c, const struct davit_client_options *o)
{
    const davit_credential_store *store = o->credential_store;
    size_t size = store ? store->size : 0;
    c->credentials.helper_timeout_ms = o->helper_timeout_ms;
    if (store) /* an older caller's table is shorter, a newer one's longer */
        memcpy(&c->credentials.store, store, size < sizeof(*store) ? size : sizeof(*store));
}

void dv_client_credentials_clear(davit_client *c)
{
    davit_credential_store *store = &c->credentials.store;
    if (c->credentials.kept) {
        kept *k = (kept *)dv_queue_pop(c->credentials.kept, 0);
        for (answer *a = k ? k->first : NULL, *next; a; a = next) {
            next = a->next;
            answer_free(a);
        }
        free(k);
        dv_queue_free(c->credentials.kept);
    }
    if (store->release)
        store->release(store->user_data);
    memset(store, 0, sizeof(*store));
}

static dv_credential_helper helper_of(davit_client *c, const char *name)
{
    return (dv_credential_helper){.name = name,
                                  .environment = dv_client_environment(c),
                                  .timeout_ms = c->credentials.helper_timeout_ms,
                                  .cancelled = &c->cancelled};
}

/* dv_helper_ask_fn */
static int ask_helper(void *user, const char *name, const char *server, davit_auth_config *out,
                      davit_error **err)
{
    davit_client *c = user;
    const dv_credential_helper h = helper_of(c, name);
    unsigned forgotten;
    int r = recall(c, name, server, out, &forgotten, err);
    if (r >= 0 || r == DAVIT_ENOMEM)
        return r;
    r = dv_credential_helper_get(&h, server, out, err);
    if (r >= 0)
        remember(c, name, server, r > 0 ? out : NULL, forgotten);
    return r;
}

static dv_credential_search search_of(davit_client *c)
{
    return (dv_credential_search){
        .authfile = c->authfile, .environment = dv_client_environment(c), .ask = ask_helper, .ask_user = c};
}

/* --- finding -------------------------------------------------------------------------------------------------------- */

/* What a function of the embedder's gave, which may be "": set or NULL. */
static char *or_null(char *text)
{
    if (text && *text)
        return text;
    davit_secret_free(text);
    return NULL;
}

static int ask_store(davit_client *c, const char *domain, davit_auth_config *out, davit_error **err)
{
    const davit_credential_store *store = &c->credentials.store;
    DV_AUTO(davit_auth_config) found = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTO(dv_buf) url = DV_BUF_INIT(URL_TEXT_MAX);
    dv_buf_printf(&url, "https://%s", domain);
    if (url.failed)
        return dv_error_oom(err);
    int r = store->basic
                ? store->basic(store->user_data, dv_buf_text(&url), &found.username, &found.password, err)
                : 0;
    if (r >= 0 && store->refresh_token)
        r = store->refresh_token(store->user_data, dv_buf_text(&url), "", &found.identitytoken, err);
    if (r < 0)
        return r;
    found.username = or_null(found.username);
    found.password = or_null(found.password);
    found.identitytoken = or_null(found.identitytoken);
    if (davit_auth_config_is_anonymous(&found))
        return 0;
    found.serveraddress = dv_strdup(domain);
    if (!found.serveraddress)
        return dv_error_oom(err);
    *out = found;
    davit_auth_config_init(&found); /* moved */
    return 1;
}

int dv_client_find_credentials(davit_client *c, const char *domain, const char *repository,
                               davit_auth_config *out, davit_error **err)
{
    int r = dv_client_check_cancelled(c, err);
    if (r == 0)
        r = ask_store(c, domain, out, err);
    if (r != 0)
        return r;
    dv_credential_search s = search_of(c);
    kept *k = take(c);
    s.variable_warned = k->variable_warned;
    give_back(c, k);
    bool before = s.variable_warned;
    r = dv_credential_search_find(&s, domain, repository, out, err);
    if (s.variable_warned != before) {
        k = take(c);
        k->variable_warned = true;
        give_back(c, k);
    }
    return r;
}

/* --- headers of the file -------------------------------------------------------------------------------------------- */

static int add_header(davit_client *c, const char *path, const dv_config_header *h, davit_error **err)
{
    DV_AUTO(dv_buf) line = {.max = DV_CONFIG_FILE_MAX, .secret = true};
    DV_AUTOPTR(davit_error) why = NULL;
    if (dv_headers_get(&c->extra_headers, h->name))
        return 0; /* an option says otherwise */
    dv_buf_printf(&line, "%s: %s", h->name, h->value);
    if (line.failed)
        return dv_error_oom(err);
    int r = dv_client_add_header(&c->extra_headers, dv_buf_text(&line), &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0)
        dv_warn("%s: HttpHeaders: %s is not sent: a header that cannot be set", path, h->name);
    return 0;
}

int dv_client_add_file_headers(davit_client *c, davit_error **err)
{
    DV_AUTOPTR(dv_config_file) f = NULL;
    DV_AUTOFREE char *path = NULL;
    const dv_config_header *headers;
    if (!dv_docker_config_path(dv_client_environment(c), &path))
        return dv_error_oom(err);
    int r = path ? dv_config_file_load(path, &f, NULL) : DAVIT_ENOTFOUND;
    if (r < 0)
        return r == DAVIT_ENOMEM ? dv_error_oom(err) : 0;
    size_t count = dv_config_file_headers(f, &headers);
    r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_header(c, path, &headers[i], err);
    return r;
}

/* --- the public functions ------------------------------------------------------------------------------------------- */

static int check_server(davit_client *c, const char *server, davit_error **err)
{
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(1024);
    if (server && dv_credential_domain_is_valid(server))
        return dv_client_check_cancelled(c, err);
    dv_str_quote(&shown, server ? server : "", server ? strnlen(server, 200) : 0);
    return dv_error_set(err, DAVIT_EINVAL, "%s is not the name of a registry, which is host[:port]",
                        dv_buf_text(&shown));
}

int davit_client_get_credentials(davit_client *client, const char *server, davit_auth_config *out,
                                 davit_error **err)
{
    DV_AUTO(davit_auth_config) found = DAVIT_AUTH_CONFIG_INIT;
    int r = check_server(client, server, err);
    if (r == 0)
        r = dv_client_find_credentials(client, server, /* repository= */ NULL, &found, err);
    if (r < 0)
        return r;
    *out = found;
    davit_auth_config_init(&found); /* moved */
    return 0;
}

/* The file that is written, and the helper that it names for the registry. */
typedef struct target {
    char *path;
    char *helper; /* NULL: the file itself */
} target;

#define TARGET_INIT \
    {               \
        NULL, NULL  \
    }

static void target_clear(target *t)
{
    free(t->path);
    free(t->helper);
}
DV_DEFINE_AUTO(target, target_clear)

static int find_target(davit_client *c, const char *domain, target *out, davit_error **err)
{
    DV_AUTOPTR(dv_config_file) f = NULL;
    const dv_credential_search s = search_of(c);
    int r = dv_credential_search_target(&s, &out->path, err);
    const char *helper = NULL;
    if (r == 0)
        r = dv_config_file_load(out->path, &f, err);
    if (r == 0)
        r = dv_config_file_helper(f, out->path, domain, &helper, err);
    if (r < 0)
        return r;
    out->helper = dv_strdup(helper);
    return helper && !out->helper ? dv_error_oom(err) : 0;
}

/* Where the secrets are: the helper's program, or the file. */
static int tell_where(const target *t, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(64u << 10);
    if (!out)
        return 0;
    if (t->helper)
        dv_buf_printf(&text, "docker-credential-%s", t->helper);
    else
        dv_buf_puts(&text, t->path);
    *out = dv_buf_take(&text);
    return *out ? 0 : dv_error_oom(err);
}

/* What is kept of auth: with an identity token the password is not. Borrows. */
static davit_auth_config stored_form(const davit_auth_config *auth)
{
    davit_auth_config c = *auth;
    if (dv_auth_config_has_identity(auth))
        c.password = NULL;
    return c;
}

/* A helper's error, with the file that names the helper. Gives r. */
static int name_file(const target *t, int r, davit_error **why, davit_error **err)
{
    if (r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED)
        return dv_error_move(err, why, r);
    return dv_error_set(err, r, "%s (%s names this helper)", davit_error_message(*why), t->path);
}

static int put(davit_client *c, const target *t, const char *domain, const davit_auth_config *auth,
               davit_error **err)
{
    const davit_auth_config form = stored_form(auth);
    if (!t->helper)
        return dv_config_write_entry(t->path, domain, &form, &c->cancelled, err);
    const dv_credential_helper h = helper_of(c, t->helper);
    const davit_auth_config public_part = {.email = auth->email};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_credential_helper_store(&h, dv_credential_key(domain), &form, &why);
    return r < 0 ? name_file(t, r, &why, err)
                 : dv_config_write_entry(t->path, domain, &public_part, &c->cancelled, err);
}

int davit_client_put_credentials(davit_client *client, const char *server, const davit_auth_config *auth,
                                 davit_credential_place *out_place, char **out_where, davit_error **err)
{
    DV_AUTO(target) t = TARGET_INIT;
    DV_AUTOFREE char *where = NULL;
    int r = check_server(client, server, err);
    if (r == 0 && davit_auth_config_is_anonymous(auth))
        r = dv_error_set(err, DAVIT_EINVAL, "no password and no token to store for %s", server);
    if (r == 0)
        r = find_target(client, server, &t, err);
    if (r == 0)
        r = tell_where(&t, out_where ? &where : NULL, err);
    if (r == 0)
        r = put(client, &t, server, auth, err);
    forget(client, dv_credential_key(server ? server : ""));
    if (r < 0)
        return r;
    if (out_place)
        *out_place = t.helper ? DAVIT_CREDENTIALS_HELPER : DAVIT_CREDENTIALS_FILE;
    if (out_where)
        *out_where = DV_STEAL(where);
    return 0;
}

/*
 * Every way in which a client has told the helper of the registry. A helper is asked before it is told to erase, since not all of
 * them take it well when there is nothing. Gives whether there was something.
 */
static int erase_from_helper(davit_client *c, const char *name, const char *domain, davit_error **err)
{
    static const char *const prefixes[] = {"", "http://", "https://"};
    const dv_credential_helper h = helper_of(c, name);
    bool hub = strcmp(dv_credential_key(domain), domain) != 0;
    int found = 0;
    for (size_t i = 0; i < (hub ? 1 : DV_COUNT(prefixes)); i++) {
        DV_AUTO(davit_auth_config) there = DAVIT_AUTH_CONFIG_INIT;
        DV_AUTO(dv_buf) server = DV_BUF_INIT(URL_TEXT_MAX);
        dv_buf_printf(&server, "%s%s", prefixes[i], dv_credential_key(domain));
        if (server.failed)
            return dv_error_oom(err);
        int r = dv_credential_helper_get(&h, dv_buf_text(&server), &there, err);
        if (r > 0)
            r = dv_credential_helper_erase(&h, dv_buf_text(&server), err);
        if (r < 0)
            return r;
        found |= r;
    }
    return found;
}

int davit_client_delete_credentials(davit_client *client, const char *server, bool *out_found,
                                    char **out_where, davit_error **err)
{
    DV_AUTO(target) t = TARGET_INIT;
    DV_AUTOFREE char *where = NULL;
    int erased = 0;
    int r = check_server(client, server, err);
    if (r == 0)
        r = find_target(client, server, &t, err);
    if (r == 0)
        r = tell_where(&t, out_where ? &where : NULL, err);
    if (r == 0 && t.helper) {
        DV_AUTOPTR(davit_error) why = NULL;
        r = erased = erase_from_helper(client, t.helper, server, &why);
        if (r < 0)
            r = name_file(&t, r, &why, err);
    }
    if (r >= 0)
        r = dv_config_write_removal(t.path, server, &client->cancelled, err);
    forget(client, dv_credential_key(server ? server : ""));
    if (r < 0)
        return r;
    if (out_found)
        *out_found = erased > 0 || r > 0;
    if (out_where)
        *out_where = DV_STEAL(where);
    return 0;
}

/* All that it lists: it is asked by the file for every registry. Gives whether there was something. */
static int erase_all_from_helper(davit_client *c, const char *name, davit_error **err)
{
    const dv_credential_helper h = helper_of(c, name);
    DV_AUTO(dv_helper_list) list = {0};
    int found = 0;
    int r = dv_credential_helper_list(&h, &list, err);
    for (size_t i = 0; r >= 0 && i < list.count; i++) {
        r = dv_credential_helper_erase(&h, list.entries[i].server, err);
        found |= r > 0;
    }
    return r < 0 ? r : found;
}

/* A key of "credHelpers" as the registry that it is for; NULL: none that we would ask it for. */
static const char *domain_of(const char *key)
{
    return dv_credential_key_names(key, "docker.io") ? "docker.io"
           : dv_credential_domain_is_valid(key)      ? key
                                                     : NULL;
}

/* Each is told, whatever the others say; the first failure is what is told of. */
static int erase_from_helpers(davit_client *c, const char *path, davit_error **err)
{
    DV_AUTOPTR(dv_config_file) f = NULL;
    const target named = {.path = (char *)path};
    const char *key, *name;
    int found = 0, failed = 0, r = dv_config_file_load(path, &f, err);
    if (r < 0)
        return r;
    for (size_t i = 0; (r = dv_config_file_helper_at(f, path, i, &key, &name, err)) != 0; i++) {
        DV_AUTOPTR(davit_error) why = NULL;
        const char *domain = r > 0 && key ? domain_of(key) : NULL;
        if (r > 0 && name && (!key || domain)) {
            r = key ? erase_from_helper(c, name, domain, &why) : erase_all_from_helper(c, name, &why);
            if (r < 0)
                name_file(&named, r, &why, err);
        } else if (r > 0) {
            r = 0;
        }
        found |= r > 0;
        if (r < 0 && !failed) {
            failed = r;
            err = NULL;
        }
    }
    return failed ? failed : found;
}

int davit_client_delete_all_credentials(davit_client *client, bool *out_found, char **out_where,
                                        davit_error **err)
{
    DV_AUTOFREE char *path = NULL;
    const dv_credential_search s = search_of(client);
    int r = dv_client_check_cancelled(client, err);
    if (r == 0)
        r = dv_credential_search_target(&s, &path, err);
    if (r < 0)
        return r;
    int erased = erase_from_helpers(client, path, err);
    r = dv_config_write_removal(path, /* domain= */ NULL, &client->cancelled, erased < 0 ? NULL : err);
    forget(client, /* server= */ NULL);
    if (erased < 0 || r < 0)
        return erased < 0 ? erased : r;
    if (out_found)
        *out_found = erased > 0 || r > 0;
    if (out_where)
        *out_where = DV_STEAL(path);
    return 0;
}
