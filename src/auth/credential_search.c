/* auth/credential_search.c - see credential_search.h. */
#include "auth/credential_search.h"

#include "auth/auth_config.h"
#include "auth/config_file.h"
#include "auth/credential_helper.h"
#include "util/json.h"
#include "util/log.h"
#include "util/str.h"

#include <string.h>

#define PATH_TEXT_MAX (64u << 10) /* bytes */
#define DOMAIN_MAX 262            /* bytes: a name of 255, a colon, a port */
#define VARIABLE "DOCKER_AUTH_CONFIG"

static const char *variable(dv_getenv_fn *environment, const char *name)
{
    const char *value = environment ? environment(name) : NULL;
    return value && *value ? value : NULL;
}

/* "base" and a name behind it; *out is NULL for a NULL base. False without memory. */
static bool join(const char *base, const char *name, char **out)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(PATH_TEXT_MAX);
    *out = NULL;
    if (!base)
        return true;
    dv_buf_printf(&path, "%s%s", base, name);
    *out = dv_buf_take(&path);
    return *out != NULL;
}

bool dv_docker_config_path(dv_getenv_fn *environment, char **out)
{
    const char *directory = variable(environment, "DOCKER_CONFIG");
    return directory ? join(directory, "/config.json", out)
                     : join(variable(environment, "HOME"), "/.docker/config.json", out);
}

/* --- one file ------------------------------------------------------------------------------------------------------ */

static int ask(dv_credential_search *s, const char *helper, const char *server, davit_auth_config *out,
               davit_error **err)
{
    if (s->ask)
        return s->ask(s->ask_user, helper, server, out, err);
    const dv_credential_helper h = {.name = helper, .environment = s->environment};
    return dv_credential_helper_get(&h, server, out, err);
}

/* What the file's helper has, with the file's e-mail address. */
static int ask_helper(dv_credential_search *s, const dv_config_file *f, const char *path, const char *helper,
                      const char *domain, davit_auth_config *out, davit_error **err)
{
    DV_AUTO(davit_auth_config) found = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    const char *email = dv_config_file_email(f, domain);
    int r = ask(s, helper, dv_credential_key(domain), &found, &why);
    if (r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED)
        return dv_error_move(err, &why, r);
    if (r < 0)
        return dv_error_set(err, r, "%s (%s names this helper)", davit_error_message(why), path);
    if (r == 0)
        return 0;
    found.email = dv_strdup(email);
    if (email && !found.email)
        return dv_error_oom(err);
    *out = found;
    davit_auth_config_init(&found); /* moved */
    dv_trace(AUTH, "%s: credentials from docker-credential-%s", domain, helper);
    return 1;
}

static int find_in(dv_credential_search *s, const char *path, const char *domain, const char *repository,
                   davit_auth_config *out, davit_error **err)
{
    DV_AUTOPTR(dv_config_file) f = NULL;
    const char *helper = NULL;
    int r = dv_config_file_load(path, &f, err);
    if (r == 0)
        r = dv_config_file_helper(f, path, domain, &helper, err);
    if (r < 0)
        return r;
    if (helper) {
        r = ask_helper(s, f, path, helper, domain, out, err);
        if (r != 0)
            return r;
    }
    const davit_auth_config *found = dv_config_file_find(f, domain, repository);
    if (!found)
        return 0;
    r = davit_auth_config_copy(found, out, err);
    if (r == 0)
        dv_trace(AUTH, "%s: credentials from %s", domain, path);
    return r < 0 ? r : 1;
}

/* --- $DOCKER_AUTH_CONFIG ------------------------------------------------------------------------------------------- */

/* {"auths": {SERVER: {"auth": TEXT}}}, and no other keys. */
static int check_variable(const char *text, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DV_CONFIG_FILE_MAX};
    DV_AUTOPTR(dv_json_secret) document = NULL;
    const dv_json *auths, *value;
    const char *key;
    void *iter = NULL;
    int r = dv_json_parse(text, strlen(text), &limits, NULL, &document, err);
    if (r < 0)
        return r;
    auths = dv_json_get(document, "auths");
    if (!dv_json_is(document, DV_JSON_OBJECT) || dv_json_count(document) != (auths ? 1 : 0))
        return dv_error_set(err, DAVIT_EFORMAT, "only \"auths\" may stand there");
    while (dv_json_next(auths, &iter, &key, &value)) {
        const char *auth = dv_json_string(dv_json_get(value, "auth"), NULL);
        if (!auth || !*auth || dv_json_count(value) != 1)
            return dv_error_set(err, DAVIT_EFORMAT, "an entry has \"auth\" and nothing else");
    }
    return 0;
}

static int find_in_variable(dv_credential_search *s, const char *domain, davit_auth_config *out,
                            davit_error **err)
{
    const char *text = variable(s->environment, VARIABLE);
    DV_AUTOPTR(dv_config_file) f = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    if (!text || !text[strspn(text, " \t\r\n")])
        return 0;
    int r = check_variable(text, &why);
    if (r == 0)
        r = dv_config_file_parse("$" VARIABLE, text, strlen(text), &f, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0) {
        if (!s->variable_warned)
            dv_warn("$" VARIABLE " is ignored: %s", davit_error_message(why));
        s->variable_warned = true;
        return 0;
    }
    const davit_auth_config *found = dv_config_file_exact(f, dv_credential_key(domain));
    if (!found || davit_auth_config_is_anonymous(found))
        return 0;
    r = davit_auth_config_copy(found, out, err);
    if (r == 0)
        dv_trace(AUTH, "%s: credentials from $" VARIABLE, domain);
    return r < 0 ? r : 1;
}

/* --- the order ----------------------------------------------------------------------------------------------------- */

enum place {
    PLACE_AUTHFILE,
    PLACE_REGISTRY_AUTH_FILE,
    PLACE_VARIABLE,
    PLACE_DOCKER,
    PLACE_PODMAN,
    PLACE_COUNT
};

/* The file at a place, NULL when it is not set. New text. False without memory. */
static bool file_at(const dv_credential_search *s, enum place place, char **out)
{
    switch (place) {
    case PLACE_AUTHFILE:
        return join(s->authfile && *s->authfile ? s->authfile : NULL, "", out);
    case PLACE_REGISTRY_AUTH_FILE:
        return join(variable(s->environment, "REGISTRY_AUTH_FILE"), "", out);
    case PLACE_DOCKER:
        return dv_docker_config_path(s->environment, out);
    case PLACE_PODMAN:
        return join(variable(s->environment, "XDG_RUNTIME_DIR"), "/containers/auth.json", out);
    case PLACE_VARIABLE:
    case PLACE_COUNT:
        break;
    }
    *out = NULL;
    return true;
}

int dv_credential_search_find(dv_credential_search *s, const char *domain, const char *repository,
                              davit_auth_config *out, davit_error **err)
{
    for (enum place place = 0; place < PLACE_COUNT; place++) {
        DV_AUTOFREE char *path = NULL;
        int r = place == PLACE_VARIABLE ? find_in_variable(s, domain, out, err) : 0;
        if (r == 0 && !file_at(s, place, &path))
            r = dv_error_oom(err);
        if (r == 0 && path)
            r = find_in(s, path, domain, repository, out, err);
        if (r != 0)
            return r;
    }
    return 0;
}

int dv_credential_search_target(const dv_credential_search *s, char **out, davit_error **err)
{
    static const enum place places[] = {PLACE_AUTHFILE, PLACE_REGISTRY_AUTH_FILE, PLACE_DOCKER};
    for (size_t i = 0; i < DV_COUNT(places); i++) {
        if (!file_at(s, places[i], out))
            return dv_error_oom(err);
        if (*out)
            return 0;
    }
    return dv_error_set(
        err, DAVIT_ECONFIG,
        "no home directory to keep credentials in: set DOCKER_CONFIG, or give --authfile FILE");
}

bool dv_credential_domain_is_valid(const char *domain)
{
    bool v6 = domain[0] == '[';
    size_t host = v6 ? strspn(domain, "[]:.0123456789abcdefABCDEF") : 0;
    if (v6) {
        const char *end = strchr(domain, ']');
        if (!end || (size_t)(end - domain) >= host || end == domain + 1)
            return false;
        host = (size_t)(end - domain) + 1;
    }
    while (!v6 &&
           (dv_char_is_alnum(domain[host]) || (host > 0 && domain[host] && strchr(".-_", domain[host]))))
        host++;
    if (host == 0 || strlen(domain) > DOMAIN_MAX)
        return false;
    if (!domain[host])
        return true;
    size_t digits = strspn(domain + host + 1, "0123456789");
    return domain[host] == ':' && digits > 0 && digits <= 5 && !domain[host + 1 + digits];
}
