/* auth/challenge.c - see challenge.h. */
#include "auth/challenge.h"

#include <string.h>

void dv_challenges_clear(dv_challenges *c)
{
    for (size_t i = 0; i < c->count; i++)
        dv_auth_params_clear(&c->items[i]);
    free(c->items);
    *c = (dv_challenges)DV_CHALLENGES_INIT;
}

static int add_line(dv_challenges *c, const char *line, davit_error **err)
{
    dv_auth_params *items = dv_realloc_array(c->items, c->count + 1, sizeof(*items));
    if (!items)
        return dv_error_oom(err);
    c->items = items;
    items[c->count] = (dv_auth_params)DV_AUTH_PARAMS_INIT;
    int r = dv_auth_params_parse(line, &items[c->count], err);
    if (r < 0)
        return r;
    c->count += r == 1;
    return 0;
}

int dv_challenges_parse(int status, const dv_headers *headers, dv_challenges *out, davit_error **err)
{
    DV_AUTO(dv_challenges) c = DV_CHALLENGES_INIT;
    const char *line;
    for (size_t i = 0; status == 401 && i < DV_CHALLENGES_MAX &&
                       (line = dv_headers_get_nth(headers, "WWW-Authenticate", i));
         i++) {
        int r = add_line(&c, line, err);
        if (r < 0)
            return r;
    }
    *out = c;
    c = (dv_challenges)DV_CHALLENGES_INIT; /* moved */
    return 0;
}

const dv_auth_params *dv_challenges_find(const dv_challenges *c, const char *scheme)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->items[i].scheme, scheme) == 0)
            return &c->items[i];
    return NULL;
}
