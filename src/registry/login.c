/*
 * registry/login.c - davit_service_auth(): do these credentials open this registry? (auth.md 10)
 *
 * Decides what counts as having logged in: status 200 to a question that carried what the credentials led to, or 200 from a
 * registry that asks nobody. An anonymous token or an anonymous 200 after a refusal never does. What may be sent where is
 * auth/authorizer.c's decision, as for every other question.
 */
#include "registry/login.h"

#include "registry/call.h"
#include "service/service.h"
#include "util/log.h"
#include "util/str.h"

#include <string.h>

#define HUB_HOST "index.docker.io"

int dv_login_host(const char *address, char **out, davit_error **err)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    if (!address || !*address)
        address = HUB_HOST;
    bool has_scheme = dv_str_starts(address, "http://") || dv_str_starts(address, "https://");
    dv_buf_printf(&text, "%s%s", has_scheme ? "" : "https://", address);
    if (text.failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    int r = text.failed ? dv_error_set(&why, DAVIT_EINVAL, "too long")
                        : dv_url_parse(dv_buf_text(&text), &url, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0)
        return dv_error_set(err, DAVIT_EINVAL, "unable to parse server address: %s", davit_error_message(why));
    const char *host =
        strstr(dv_buf_text(&text), "://") + 3; /* as it was written: keys are compared exactly */
    size_t n = strcspn(host, "/?#");
    if (host[n - 1] == ':')
        return dv_error_set(err, DAVIT_EINVAL, "unable to parse server address: no port behind the colon");
    char *copy = dv_strndup(host, n);
    if (!copy)
        return dv_error_oom(err);
    *out = copy;
    return 0;
}

/* Where the question went, for messages: the scheme of an insecure host shows only when it is asked. */
static void question_url(const dv_registry *reg, dv_buf *out)
{
    const dv_url *u = &reg->endpoint.url;
    dv_buf_printf(out, "%s://%s", reg->plain ? "http" : "https", u->host);
    if (u->explicit_port)
        dv_buf_printf(out, ":%u", u->port);
    dv_buf_puts(out, "/v2/");
}

static int judge(const dv_registry *reg, const char *url, const dv_response *res, davit_error **err)
{
    if (res->status != 200) {
        int code = dv_error_of_status(res->status);
        const char *reason = dv_http_reason(res->status);
        dv_error_set(err, code, "login attempt to %s failed with status: %d%s%s", url, res->status,
                     *reason ? " " : "", reason);
        if (err && davit_error_code(*err) == code)
            (*err)->http_status = res->status;
        return code;
    }
    if (reg->challenged && !reg->authorized)
        return dv_error_set(err, DAVIT_EUNAUTHORIZED,
                            "%s asked for credentials and then answered without them: nothing was proved",
                            url);
    if (!reg->challenged)
        dv_warn("%s lets everybody in: it did not ask for the credentials, so nobody checked them", url);
    return 0;
}

static int ask(dv_registry *reg, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    DV_AUTO(dv_buf) url = DV_BUF_INIT(DV_URL_MAX);
    dv_authorizer_set_login(reg->authorizer);
    int r = dv_call_wait(reg,
                         &(dv_call_spec){.method = "GET",
                                         .path = "v2/",
                                         .body_max = DV_ERROR_BODY_MAX,
                                         .any_status = true,
                                         .without_scope = true,
                                         .login = true,
                                         .limit_ms = DV_LOGIN_TIMEOUT_MS},
                         &res, err);
    question_url(reg, &url);
    if (url.failed)
        return dv_error_oom(err);
    if (r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM)
        return r;
    if (r < 0)
        return dv_error_wrap(err, r, "Get \"%s\"", dv_buf_text(&url));
    return judge(reg, dv_buf_text(&url), &res, err);
}

static int take_result(const dv_registry *reg, davit_authenticate_ok_body *out, davit_error **err)
{
    const char *identity = dv_authorizer_identity(reg->authorizer);
    davit_authenticate_ok_body body = {.identity_token = dv_strdup(identity),
                                       .status = dv_strdup("Login Succeeded")};
    if (!body.status || (identity && !body.identity_token)) {
        davit_authenticate_ok_body_clear(&body);
        return dv_error_oom(err);
    }
    *out = body;
    return 0;
}

static int log_in_at(davit_client *client, const dv_endpoint *endpoint, const char *host,
                     const davit_auth_config *auth, davit_authenticate_ok_body *out, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    /* A registry token is sent to a registry as it is and proves no account. Borrowed: dv_registry_open() copies. */
    const davit_auth_config credentials = {
        .username = auth->username, .password = auth->password, .identitytoken = auth->identitytoken};
    int r = dv_registry_open(client, endpoint, host, "", &credentials, &reg, err);
    if (r == 0)
        r = ask(reg, err);
    return r < 0 ? r : take_result(reg, out, err);
}

/* A refusal of the credentials is the answer; what else went wrong may go better at the next endpoint. */
static bool is_answer(int r)
{
    return r == DAVIT_EUNAUTHORIZED || r == DAVIT_EDENIED || r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM;
}

int davit_service_auth(davit_client *client, const davit_auth_config *auth, davit_authenticate_ok_body *out,
                       davit_error **err)
{
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(client->service);
    DV_AUTOFREE char *host = NULL;
    int r = dv_login_host(auth->serveraddress, &host, err);
    if (r == 0)
        r = dv_endpoints_for_push(config, host, &endpoints, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < endpoints.count; i++) {
        DV_AUTOPTR(davit_error) why = NULL;
        r = log_in_at(client, &endpoints.items[i], host, auth, out, &why);
        if (r == 0)
            return 0;
        if (is_answer(r) || i + 1 == endpoints.count)
            return dv_error_move(err, &why, r);
        dv_trace(AUTH, "login: next endpoint after: %s", davit_error_message(why));
    }
    return dv_error_set(err, DAVIT_EINVAL, "%s has no endpoint", host);
}
