/* net/auth_params.c - see auth_params.h. */
#include "net/auth_params.h"

#include "util/str.h"

#include <string.h>

void dv_auth_params_clear(dv_auth_params *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->items[i].key);
        free(p->items[i].value);
    }
    free(p->items);
    free(p->scheme);
    *p = (dv_auth_params)DV_AUTH_PARAMS_INIT;
}

/* Length of the token at s. */
static size_t token_length(const char *s)
{
    size_t n = 0;
    while (s[n] > 0x20 && s[n] < 0x7f && !strchr("(),/:;<=>?@[]\\{}\"", s[n]))
        n++;
    return n;
}

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* The quoted string at *p, unescaped, into out; moves behind it. False when it is not closed. */
static bool take_quoted(const char **p, dv_buf *out)
{
    for (const char *s = *p + 1; *s; s++) {
        if (*s == '"') {
            *p = s + 1;
            return true;
        }
        if (*s == '\\' && !*++s)
            return false;
        dv_buf_putc(out, *s);
    }
    return false;
}

static int set_param(dv_auth_params *p, const char *key, size_t key_size, const char *value, davit_error **err)
{
    dv_auth_param *items = dv_realloc_array(p->items, p->count + 1, sizeof(*items));
    if (!items)
        return dv_error_oom(err);
    p->items = items;
    dv_auth_param *one = &items[p->count];
    *one = (dv_auth_param){.key = dv_strndup(key, key_size), .value = dv_strdup(value)};
    p->count++;
    if (!one->key || !one->value)
        return dv_error_oom(err);
    dv_str_lower(one->key);
    return 0;
}

/* "key=value" at *at. 1: taken, *at is behind it and its white space; 0: nothing there that can be read. */
static int take_param(dv_auth_params *p, const char **at, davit_error **err)
{
    const char *key = skip_space(*at);
    size_t key_size = token_length(key);
    if (key_size == 0 || key[key_size] != '=')
        return 0;
    const char *rest = key + key_size + 1;
    DV_AUTO(dv_buf) value = DV_BUF_INIT(strlen(rest));
    if (*rest == '"') {
        if (!take_quoted(&rest, &value))
            return 0;
    } else {
        size_t n = token_length(rest);
        dv_buf_append(&value, rest, n);
        rest += n;
    }
    if (value.failed)
        return dv_error_oom(err);
    if (value.size == 0)
        return 0;
    int r = set_param(p, key, key_size, dv_buf_text(&value), err);
    *at = skip_space(rest);
    return r < 0 ? r : 1;
}

int dv_auth_params_parse(const char *line, dv_auth_params *out, davit_error **err)
{
    DV_AUTO(dv_auth_params) p = DV_AUTH_PARAMS_INIT;
    size_t scheme_size = token_length(line);
    if (scheme_size == 0)
        return 0;
    p.scheme = dv_strndup(line, scheme_size);
    if (!p.scheme)
        return dv_error_oom(err);
    dv_str_lower(p.scheme);
    const char *at = line + scheme_size;
    while (p.count < DV_AUTH_PARAMS_MAX) {
        int r = take_param(&p, &at, err);
        if (r < 0)
            return r;
        if (r == 0 || *at != ',')
            break;
        at++;
    }
    *out = p;
    p = (dv_auth_params)DV_AUTH_PARAMS_INIT;
    return 1;
}

const char *dv_auth_params_get(const dv_auth_params *p, const char *key)
{
    for (size_t i = p->count; i > 0; i--)
        if (strcmp(p->items[i - 1].key, key) == 0)
            return p->items[i - 1].value;
    return NULL;
}
