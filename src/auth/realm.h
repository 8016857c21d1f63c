/*
 * auth/realm.h - may a registry's credentials go to the token server it names? (threats A1, A2, A3, and of
 * A7 the part that names decide; the addresses are checked when a socket is opened.)
 */
#ifndef DV_AUTH_REALM_H
#define DV_AUTH_REALM_H

#include "net/url.h"

typedef enum dv_realm_trust {
    DV_REALM_TRUSTED,        /* credentials may be sent */
    DV_REALM_ANONYMOUS_ONLY, /* a token may be asked for, without credentials */
    DV_REALM_REFUSED,        /* no request goes there at all */
} dv_realm_trust;

typedef struct dv_realm_question {
    const dv_url *origin; /* the registry */
    const dv_url *realm;
    const char *const *trusted; /* hosts or host:port the user trusts, NULL-terminated; NULL is none */
    bool origin_private;        /* the registry's own address is known to be a private one */
} dv_realm_question;

/*
 * Trusted: the same host name at any port; a compiled-in pair; a host that the user trusts; the same
 * registrable domain when both are https. Literals and single labels match only themselves. Refused: http
 * when the registry is https, also for a trusted host; a literal private address or localhost when the
 * registry is not known to be private itself. out_why, when not NULL, gets why it was refused (a static
 * text).
 */
/* Whether the user's own list names this realm. */
bool dv_realm_is_configured(const dv_realm_question *q);

dv_realm_trust dv_realm_judge(const dv_realm_question *q, const char **out_why);

/*
 * Whether every entry of a list of trusted hosts is a host or host:port. DAVIT_EINVAL names the first that
 * is not.
 */
int dv_realm_trusted_check(const char *const *trusted, davit_error **err);

#endif
