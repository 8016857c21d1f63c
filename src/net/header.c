/* net/header.c - see header.h. What a value means for one request is its caller's to decide. */
#include "net/header.h"

#include "davit/common.h"
#include "util/clock.h"
#include "util/str.h"

#include <string.h>

static void clear_one(dv_header *h)
{
    if (h->secret && h->value)
        explicit_bzero(h->value, strlen(h->value));
    free(h->name);
    free(h->value);
    *h = (dv_header){0};
}

void dv_headers_clear(dv_headers *h)
{
    for (size_t i = 0; i < h->count; i++)
        clear_one(&h->items[i]);
    free(h->items);
    *h = (dv_headers)DV_HEADERS_INIT;
}

/* tchar of RFC 9110 5.6.2. */
static bool is_token_char(char c)
{
    return dv_char_is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_length(const char *s)
{
    size_t n = 0;
    while (is_token_char(s[n]))
        n++;
    return n;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The tab is the one control byte that RFC 9110 5.5 lets a value hold. */
static bool has_control_byte(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
            return true;
    return false;
}

int dv_headers_add(dv_headers *h, const char *name, const char *value, unsigned flags, davit_error **err)
{
    if (!*name || token_length(name) != strlen(name))
        return dv_error_set(err, DAVIT_EINVAL, "invalid header name");
    if (has_control_byte(value))
        return dv_error_set(err, DAVIT_EINVAL, "header %s: control byte in its value", name);
    while (is_blank(*value))
        value++;
    size_t size = strlen(value);
    while (size > 0 && is_blank(value[size - 1]))
        size--;
    dv_header *items = dv_realloc_array(h->items, h->count + 1, sizeof(*items));
    if (!items)
        return dv_error_oom(err);
    h->items = items;
    dv_header one = {.name = dv_strdup(name),
                     .value = dv_strndup(value, size),
                     .origin_only = flags & DV_HEADER_ORIGIN_ONLY,
                     .secret = flags & DV_HEADER_SECRET};
    if (!one.name || !one.value) {
        clear_one(&one);
        return dv_error_oom(err);
    }
    h->items[h->count++] = one;
    return 0;
}

const char *dv_headers_get(const dv_headers *h, const char *name)
{
    return dv_headers_get_nth(h, name, 0);
}

const char *dv_headers_get_nth(const dv_headers *h, const char *name, size_t nth)
{
    for (size_t i = 0; i < h->count; i++)
        if (dv_str_equal_nocase(h->items[i].name, name) && nth-- == 0)
            return h->items[i].value;
    return NULL;
}

int dv_headers_copy(const dv_headers *from, dv_headers *out, davit_error **err)
{
    DV_AUTO(dv_headers) copy = DV_HEADERS_INIT;
    for (size_t i = 0; i < from->count; i++) {
        const dv_header *one = &from->items[i];
        unsigned flags = (one->origin_only ? (unsigned)DV_HEADER_ORIGIN_ONLY : 0) |
                         (one->secret ? (unsigned)DV_HEADER_SECRET : 0);
        int r = dv_headers_add(&copy, one->name, one->value, flags, err);
        if (r < 0)
            return r;
    }
    *out = copy;
    copy = (dv_headers)DV_HEADERS_INIT;
    return 0;
}

int64_t dv_header_retry_after_s(const dv_headers *h, int64_t now_s)
{
    const char *value = dv_headers_get(h, "Retry-After");
    int64_t when;
    if (!value || !*value)
        return -1;
    if (strspn(value, "0123456789") == strlen(value)) {
        uint64_t delta;
        return dv_str_to_u64(value, &delta) && delta < INT32_MAX ? (int64_t)delta : INT32_MAX;
    }
    if (dv_time_parse_http(value, &when) < 0)
        return -1;
    if (when <= now_s)
        return 0;
    return when - now_s < INT32_MAX ? when - now_s : INT32_MAX;
}

/*
 * A decimal number at *p; moves behind it. Values above INT64_MAX count as malformed, so that sums cannot
 * wrap.
 */
static bool take_number(const char **p, uint64_t *out)
{
    uint64_t v = 0;
    const char *start = *p;
    for (; dv_char_is_digit(**p); (*p)++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(**p - '0'), &v) ||
            v > INT64_MAX)
            return false;
    *out = v;
    return *p > start;
}

bool dv_content_range_parse(const char *p, uint64_t *first, uint64_t *last, uint64_t *total)
{
    if (!take_number(&p, first) || *p++ != '-' || !take_number(&p, last) || *p++ != '/' || *first > *last)
        return false;
    if (strcmp(p, "*") == 0) {
        *total = DAVIT_SIZE_UNKNOWN;
        return true;
    }
    return take_number(&p, total) && !*p && *last < *total;
}

int dv_header_content_range(const dv_headers *h, uint64_t *out_first, uint64_t *out_last, uint64_t *out_total,
                            davit_error **err)
{
    const char *value = dv_headers_get(h, "Content-Range");
    uint64_t first, last, total;
    if (!value || !*value)
        return dv_error_set(err, DAVIT_EPROTOCOL, "no Content-Range header found in HTTP 206 response");
    if (!dv_str_starts_nocase(value, "bytes ") ||
        !dv_content_range_parse(value + strlen("bytes "), &first, &last, &total))
        return dv_error_set(err, DAVIT_EPROTOCOL, "could not parse Content-Range header: %.200s", value);
    *out_first = first;
    *out_last = last;
    *out_total = total;
    return 0;
}

bool dv_header_media_type(const char *content_type, char *out, size_t size)
{
    if (!content_type)
        return false;
    size_t type = token_length(content_type);
    if (type == 0 || content_type[type] != '/')
        return false;
    size_t subtype = token_length(content_type + type + 1);
    size_t n = type + 1 + subtype;
    const char *rest = content_type + n;
    while (is_blank(*rest))
        rest++;
    if (subtype == 0 || n >= size || (*rest && *rest != ';'))
        return false;
    memcpy(out, content_type, n);
    out[n] = '\0';
    dv_str_lower(out);
    return true;
}

/* Whether a rel value, a list of words, holds "next". */
static bool has_next(const char *words, size_t size)
{
    while (size > 0) {
        size_t n = 0;
        while (n < size && !is_blank(words[n]))
            n++;
        if (n == 4 && dv_str_starts_nocase(words, "next"))
            return true;
        n += n < size;
        words += n;
        size -= n;
    }
    return false;
}

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* One ";name=value" at *p; moves behind it. *rel says whether it was a rel with, or without, "next". */
static void take_link_parameter(const char **p, bool *has_rel, bool *is_next)
{
    const char *name = skip_blanks(*p + 1);
    size_t name_size = token_length(name);
    bool is_rel = name_size == 3 && dv_str_starts_nocase(name, "rel");
    *p = skip_blanks(name + name_size);
    if (**p != '=')
        return;
    const char *value = skip_blanks(*p + 1);
    size_t size;
    if (*value == '"') {
        value++;
        size = 0;
        while (value[size] && value[size] != '"')
            size += value[size] == '\\' && value[size + 1] ? 2 : 1;
        *p = value + size + (value[size] == '"');
    } else {
        size = strcspn(value, ";, \t");
        *p = value + size;
    }
    if (is_rel && !*has_rel) {
        *has_rel = true;
        *is_next = has_next(value, size);
    }
}

/* The first fitting link of one header line (RFC 8288 3). */
static char *link_next_of(const char *p)
{
    for (;;) {
        p += strspn(p, " \t,");
        if (*p != '<')
            return NULL;
        const char *target = p + 1;
        size_t size = strcspn(target, ">");
        if (!target[size])
            return NULL;
        bool has_rel = false, is_next = false;
        p = skip_blanks(target + size + 1);
        while (*p == ';') {
            take_link_parameter(&p, &has_rel, &is_next);
            p += strcspn(p, ";,");
        }
        if (is_next || !has_rel)
            return dv_strndup(target, size);
        p += strcspn(p, ",");
    }
}

char *dv_header_link_next(const dv_headers *h)
{
    const char *line;
    for (size_t i = 0; (line = dv_headers_get_nth(h, "Link", i)); i++) {
        char *target = link_next_of(line);
        if (target)
            return target;
    }
    return NULL;
}
