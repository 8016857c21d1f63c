/* registry/call_private.h - what call.c, scheme_race.c and token_fetch.c share. Threads: loop. */
#ifndef DV_REGISTRY_CALL_PRIVATE_H
#define DV_REGISTRY_CALL_PRIVATE_H

#include "registry/call.h"

typedef struct dv_race dv_race;

struct dv_call {
    dv_registry *registry;
    const dv_call_handler *handler;
    void *user;
    const char *method;
    char *path, *query, *range;
    const char *const *accept;
    dv_url url; /* in place of path and query; empty: none */
    dv_headers headers;
    dv_body *body;
    char *scopes[3]; /* sorted, ends with NULL */
    uint32_t more_time_ms;
    size_t body_max;
    bool blob, large, encoded, fresh, any_status, without_scope, login;
    uint32_t attempts, attempt, auth_rounds, limit_ms;
    dv_secret sent; /* the Authorization of the request under way */
    dv_request *request;
    dv_race *race;
    dv_timer timer;
    dv_timer limit; /* of the request under way */
    /* In the list of a host that is being raced, or of a token that is being fetched. */
    dv_call *next_waiting, **waiting_link;
};

void dv_call_ask(dv_call *c);
void dv_call_answered(dv_call *c, dv_response *response); /* an HTTP answer, whatever its status */
void dv_call_failed(dv_call *c, int r, davit_error *err); /* repeats or ends; takes err */
void dv_call_end(dv_call *c, int r, dv_response *response, davit_error *err);
void dv_call_note_peer(dv_call *c, const dv_response *response); /* for the address rules (threats A7) */
void dv_call_prepare_authorization(dv_call *c);
int dv_call_build_url(const dv_call *c, bool tls, dv_url *out, davit_error **err);
int dv_call_build_headers(const dv_call *c, bool credentials, dv_headers *out, davit_error **err);
int dv_call_send(dv_call *c, bool tls, bool credentials, const dv_request_handler *handler, void *user,
                 dv_request **out, davit_error **err);

static inline void dv_call_link(dv_call *c, dv_call **list)
{
    c->next_waiting = *list;
    c->waiting_link = list;
    if (*list)
        (*list)->waiting_link = &c->next_waiting;
    *list = c;
}

static inline void dv_call_unlink(dv_call *c)
{
    if (!c->waiting_link)
        return;
    *c->waiting_link = c->next_waiting;
    if (c->next_waiting)
        c->next_waiting->waiting_link = c->waiting_link;
    c->waiting_link = NULL;
}

/* scheme_race.c: decide the scheme of an insecure host with this call, or wait while another call does. */
void dv_race_or_wait(dv_call *c);
void dv_race_free(dv_call *c);

/* token_fetch.c: ask for the token, or wait for the same one that is being asked for; then the call asks again. */
void dv_token_fetch_join(dv_call *c, dv_token_request *wanted);

/* What a call that was cancelled left behind. Threads: a caller's, when no call is under way. */
void dv_token_fetches_cancel(dv_registry *reg);

#endif
