/*
 * registry/scheme_race.c - TLS or plain HTTP, for a host that is marked insecure (DESIGN 5).
 *
 * The same question goes out over both at once, the plain one without credentials. TLS wins as soon as its handshake is done,
 * for which it has 100 ms more once the plain answer is there; http is then off for this client. A question whose answer is
 * streamed cannot be asked twice, nor can one that changes something: GET /v2/ runs the race for them.
 */
#include "registry/call_private.h"
#include "util/log.h"

#include <string.h>

#define TLS_GRACE_MS 100

struct dv_race {
    dv_call *call;
    bool probe; /* GET /v2/ in place of the question */
    dv_request *tls, *plain;
    bool tls_connected, plain_answered;
    dv_response answer; /* the plain one, kept until TLS failed or its time is up */
    davit_error *plain_error;
    int plain_result;
    dv_timer grace;
};

static void race_clear(dv_race *race)
{
    dv_timer_stop(&race->grace);
    if (race->tls)
        dv_request_cancel(race->tls);
    if (race->plain)
        dv_request_cancel(race->plain);
    dv_response_clear(&race->answer);
    davit_error_free(race->plain_error);
    free(race);
}

/* Calls that waited start over; after a race that decided nothing the first of them races again. */
static void wake_waiting(dv_host *host)
{
    host->racing = false;
    while (host->waiting) {
        dv_call *c = host->waiting;
        dv_call_unlink(c);
        dv_timer_start(c->registry->client->loop, &c->timer, 0);
    }
}

void dv_race_free(dv_call *c)
{
    if (!c->race)
        return;
    dv_race *race = c->race;
    c->race = NULL;
    race_clear(race);
    wake_waiting(c->registry->host);
}

static void decide(dv_host *host, dv_scheme scheme)
{
    if (host->scheme == DV_SCHEME_UNDECIDED)
        dv_trace(HTTP, "%s: %s", host->name, scheme == DV_SCHEME_HTTPS ? "TLS" : "plain HTTP");
    host->scheme = scheme;
}

/* The race is over with this answer (or error); the call goes on with it. */
static void conclude(dv_race *race, int r, dv_response *response, davit_error *err)
{
    dv_call *c = race->call;
    bool probe = race->probe;
    dv_response answer = DV_RESPONSE_INIT;
    if (r == 0) {
        answer = *response;
        *response = (dv_response)DV_RESPONSE_INIT;
        dv_call_note_peer(c, &answer);
    }
    c->registry->plain = !race->tls_connected;
    c->race = NULL;
    race_clear(race);
    wake_waiting(c->registry->host);
    if (r < 0)
        dv_call_failed(c, r, err);
    else if (probe && answer.status != 401)
        dv_call_ask(c);
    else
        dv_call_answered(c, &answer);
    dv_response_clear(&answer);
}

static void plain_wins(dv_race *race)
{
    decide(race->call->registry->host, DV_SCHEME_HTTP);
    conclude(race, 0, &race->answer, NULL);
}

static void on_grace(dv_timer *timer)
{
    plain_wins((dv_race *)((char *)timer - offsetof(dv_race, grace)));
}

static void on_tls_connected(void *user)
{
    dv_race *race = user;
    race->tls_connected = true;
    dv_timer_stop(&race->grace);
    decide(race->call->registry->host, DV_SCHEME_HTTPS);
}

static void on_tls_done(void *user, int r, dv_response *response, davit_error *err)
{
    dv_race *race = user;
    race->tls = NULL;
    if (r == 0 || race->tls_connected) {
        conclude(race, r, response, err);
    } else if (race->plain_answered) {
        davit_error_free(err);
        plain_wins(race);
    } else if (race->plain) {
        davit_error_free(err); /* the plain one is still under way, and its error will be the clearer one */
    } else {
        davit_error_free(err);
        err = DV_STEAL(race->plain_error);
        conclude(race, race->plain_result, NULL, err);
    }
}

static void on_plain_done(void *user, int r, dv_response *response, davit_error *err)
{
    dv_race *race = user;
    race->plain = NULL;
    if (race->tls_connected) {
        davit_error_free(err);
    } else if (r < 0 && race->tls) {
        race->plain_result = r;
        race->plain_error = err;
    } else if (r < 0) {
        conclude(race, r, NULL, err);
    } else {
        race->plain_answered = true;
        race->answer = *response;
        *response = (dv_response)DV_RESPONSE_INIT;
        if (race->tls)
            dv_timer_start(race->call->registry->client->loop, &race->grace, TLS_GRACE_MS);
        else
            plain_wins(race);
    }
}

static const dv_request_handler tls_handler = {.on_connected = on_tls_connected, .on_done = on_tls_done};
static const dv_request_handler plain_handler = {.on_done = on_plain_done};

static int start_both(dv_race *race, davit_error **err)
{
    dv_call *c = race->call;
    dv_call probe = {.registry = c->registry, .method = "GET", .body_max = DV_ERROR_BODY_MAX};
    char path[] = "v2/";
    probe.path = path;
    dv_call_prepare_authorization(c);
    dv_call *question = race->probe ? &probe : c;
    if (race->probe)
        dv_secret_copy(&probe.sent, &c->sent);
    /* The plain one goes out first: its answer is on its way while a first handshake costs us a millisecond or two. */
    int r = dv_call_send(question, /* tls= */ false, /* credentials= */ false, &plain_handler, race,
                         &race->plain, err);
    if (r == 0)
        r = dv_call_send(question, /* tls= */ true, /* credentials= */ true, &tls_handler, race, &race->tls,
                         err);
    dv_secret_clear(&probe.sent);
    return r;
}

void dv_race_or_wait(dv_call *c)
{
    dv_host *host = c->registry->host;
    if (host->racing) {
        dv_call_link(c, &host->waiting);
        return;
    }
    davit_error *err = NULL;
    dv_race *race = dv_new(dv_race);
    int r = race ? 0 : dv_error_oom(&err);
    if (r == 0) {
        host->racing = true;
        c->race = race;
        race->call = c;
        race->probe = c->handler->on_head != NULL || c->url.text ||
                      (strcmp(c->method, "GET") != 0 && strcmp(c->method, "HEAD") != 0);
        race->grace.fire = on_grace;
        r = start_both(race, &err);
    }
    if (r < 0) {
        dv_race_free(c);
        dv_call_end(c, r, NULL, err);
    }
}
