/* distribution/search_v1.h - the names of all repositories that a search of an index or a registry of the first version finds. */
#ifndef DV_DISTRIBUTION_SEARCH_V1_H
#define DV_DISTRIBUTION_SEARCH_V1_H

#include "davit/registry_v1.h"
#include "util/error.h"

/* Who is asked for what; everything but user is borrowed. */
typedef struct dv_v1_search {
    davit_v1_client *asked;
    const davit_v1_open_options *open;
    const char *text; /* NULL: all */
    davit_v1_auth
        *user; /* who searches; NULL: nobody, as long as that is answered. Free with davit_v1_auth_free() */
} dv_v1_search;

/* Each name once, in the order they were found; they are whatever the registry says. DAVIT_ETOOBIG. */
int dv_v1_search_all(dv_v1_search *s, davit_v1_texts *names, davit_error **err);

#endif
