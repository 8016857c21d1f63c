/* util/secret.c - see secret.h. */
#include "util/secret.h"

#include <string.h>

bool dv_secret_set(dv_secret *s, const char *text, size_t size)
{
    char *copy = dv_strndup(text, size);
    if (!copy)
        return false;
    dv_secret_clear(s);
    s->text = copy;
    s->size = size;
    return true;
}

bool dv_secret_copy(dv_secret *to, const dv_secret *from)
{
    if (from->text)
        return dv_secret_set(to, from->text, from->size);
    dv_secret_clear(to);
    return true;
}

void dv_secret_move(dv_secret *to, dv_secret *from)
{
    dv_secret_clear(to);
    *to = *from;
    *from = (dv_secret)DV_SECRET_INIT;
}

void dv_secret_clear(dv_secret *s)
{
    if (s->text) {
        explicit_bzero(s->text, s->size);
        free(s->text);
    }
    s->text = NULL;
    s->size = 0;
}
