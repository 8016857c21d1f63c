/*
 * auth/challenge.h - what a 401 asks for: one challenge a WWW-Authenticate line, in header order (auth.md
 * 6). The grammar of a line is net/auth_params.h's; which challenge is answered is auth/authorizer.h's.
 */
#ifndef DV_AUTH_CHALLENGE_H
#define DV_AUTH_CHALLENGE_H

#include "net/auth_params.h"

#define DV_CHALLENGES_MAX 32 /* lines of one answer; what follows is not read */

typedef struct dv_challenges {
    dv_auth_params *items;
    size_t count;
} dv_challenges;

#define DV_CHALLENGES_INIT \
    {                      \
        0                  \
    }
void dv_challenges_clear(dv_challenges *c);
DV_DEFINE_AUTO(dv_challenges, dv_challenges_clear)

/* Of an answer's header; no other status than 401 has any. DAVIT_ENOMEM. */
int dv_challenges_parse(int status, const dv_headers *headers, dv_challenges *out, davit_error **err);
/* The first with a scheme (lower case), NULL when there is none. Borrowed. */
const dv_auth_params *dv_challenges_find(const dv_challenges *c, const char *scheme);

#endif
