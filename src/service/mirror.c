/*
 * service/mirror.c - see mirror.h.
 *
 * The specification's texts come from Go's URL parser, so its steps are repeated here, in its order;
 * net/url.h is another, stricter parser, which sees a mirror when its endpoint is made.
 */
#include "service/mirror.h"

#include "davit/service.h"

#include "util/str.h"

#include <string.h>

#define TEXT_MAX (64u << 10) /* bytes of a mirror or of a message about one */

/* The parts of a URL, borrowed from its text. scheme_size 0: none. */
typedef struct parts {
    const char *text;
    size_t scheme_size;
    const char *user; /* NULL: none */
    size_t user_size;
    const char *host; /* authority behind "@" */
    size_t host_size;
    const char *path; /* to the query or fragment */
    size_t path_size;
    const char *query; /* NULL: none */
    size_t query_size;
    const char *fragment; /* NULL: none */
} parts;

static bool is_hex(char c)
{
    return c && strchr("0123456789abcdefABCDEF", c);
}

/* Go's `invalid URL escape "%as"`; false when every "%" of s is followed by two digits. */
static bool has_bad_escape(const char *s, size_t n, dv_buf *why)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] == '%' && (i + 2 >= n || !is_hex(s[i + 1]) || !is_hex(s[i + 2]))) {
            dv_buf_puts(why, "invalid URL escape ");
            dv_str_quote(why, s + i, n - i < 3 ? n - i : 3);
            return true;
        }
    return false;
}

/* ":" and digits, or nothing. */
static bool is_optional_port(const char *s, size_t n)
{
    return n == 0 || (s[0] == ':' && strspn(s + 1, "0123456789") >= n - 1);
}

/* False: why says what is wrong with the host. */
static bool check_host(const char *host, size_t n, dv_buf *why)
{
    const char *end = host + n;
    const char *bracket = n > 0 && host[0] == '[' ? memrchr(host, ']', n) : NULL;
    if (n > 0 && host[0] == '[' && !bracket) {
        dv_buf_puts(why, "missing ']' in host");
        return false;
    }
    const char *colon = bracket ? bracket + 1 : memrchr(host, ':', n);
    if (colon && !is_optional_port(colon, (size_t)(end - colon))) {
        dv_buf_puts(why, "invalid port ");
        dv_str_quote(why, colon, (size_t)(end - colon));
        dv_buf_puts(why, " after host");
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (strchr(" \"<>^`{|}\\", host[i]) || (!bracket && strchr("[]", host[i]))) {
            dv_buf_puts(why, "invalid character ");
            dv_str_quote(why, host + i, 1);
            dv_buf_puts(why, " in host name");
            return false;
        }
    return !has_bad_escape(host, n, why);
}

static bool check_user(const char *user, size_t n, dv_buf *why)
{
    for (size_t i = 0; i < n; i++)
        if (!dv_char_is_alnum(user[i]) && !strchr("-._:~!$&'()*+,;=%@", user[i])) {
            dv_buf_puts(why, "net/url: invalid userinfo");
            return false;
        }
    return !has_bad_escape(user, n, why);
}

/* Length of the scheme before ":", 0 for none. */
static size_t scheme_length(const char *s)
{
    size_t n = 0;
    while (dv_char_is_alnum(s[n]) || (s[n] && strchr("+-.", s[n])))
        n++;
    bool letter = dv_char_is_alnum(s[0]) && !dv_char_is_digit(s[0]);
    return letter && s[n] == ':' ? n : 0;
}

static void split_authority(parts *p, const char *authority, size_t n)
{
    const char *at = memrchr(authority, '@', n);
    p->user = at ? authority : NULL;
    p->user_size = at ? (size_t)(at - authority) : 0;
    p->host = at ? at + 1 : authority;
    p->host_size = n - (size_t)(p->host - authority);
}

/* Go's url.Parse. False: why has its cause. */
static bool parse(const char *text, parts *p, dv_buf *why)
{
    *p = (parts){.text = text, .host = ""};
    size_t end = strcspn(text, "#");
    if (text[end])
        p->fragment = text + end + 1;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            dv_buf_puts(why, "net/url: invalid control character in URL");
            return false;
        }
    p->scheme_size = scheme_length(text);
    if (text[0] == ':') {
        dv_buf_puts(why, "missing protocol scheme");
        return false;
    }
    const char *rest = text + (p->scheme_size ? p->scheme_size + 1 : 0);
    size_t rest_size = end - (size_t)(rest - text);
    const char *mark = memchr(rest, '?', rest_size);
    if (mark) {
        p->query = mark + 1;
        p->query_size = rest_size - (size_t)(mark + 1 - rest);
        rest_size = (size_t)(mark - rest);
    }
    if (!p->scheme_size && rest[0] != '/' &&
        memchr(rest, ':', strcspn(rest, "/") < rest_size ? strcspn(rest, "/") : rest_size)) {
        dv_buf_puts(why, "first path segment in URL cannot contain colon");
        return false;
    }
    if (rest_size >= 2 && rest[0] == '/' && rest[1] == '/') {
        const char *slash = memchr(rest + 2, '/', rest_size - 2);
        size_t n = slash ? (size_t)(slash - rest) - 2 : rest_size - 2;
        split_authority(p, rest + 2, n);
        if (!check_host(p->host, p->host_size, why) || !check_user(p->user, p->user_size, why))
            return false;
        rest += n + 2;
        rest_size -= n + 2;
    }
    p->path = rest;
    p->path_size = rest_size;
    bool opaque = p->scheme_size && rest == p->text + p->scheme_size + 1 && rest[0] != '/';
    return (opaque || !has_bad_escape(rest, rest_size, why)) &&
           !(p->fragment && has_bad_escape(p->fragment, strlen(p->fragment), why));
}

/* The URL again, scheme in lower case; a password, or its absence, as "xxxxx". */
static void format(const parts *p, dv_buf *out)
{
    DV_AUTO(dv_buf) url = DV_BUF_INIT(TEXT_MAX);
    for (size_t i = 0; i < p->scheme_size; i++) {
        char c = p->text[i];
        dv_buf_putc(&url, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
    }
    if (p->user) {
        const char *colon = memchr(p->user, ':', p->user_size);
        dv_buf_puts(&url, p->scheme_size ? "://" : "//");
        dv_buf_append(&url, p->user, colon ? (size_t)(colon - p->user) : p->user_size);
        dv_buf_puts(&url, ":xxxxx@");
        dv_buf_puts(&url, p->host);
    } else {
        dv_buf_puts(&url, p->text + p->scheme_size);
    }
    dv_str_quote(out, dv_buf_text(&url), url.size);
}

/* "invalid mirror: <before> "URL"<behind>". */
static int refuse(const parts *p, const char *before, const char *behind, davit_error **err)
{
    DV_AUTO(dv_buf) url = DV_BUF_INIT(TEXT_MAX);
    format(p, &url);
    return dv_error_set(err, DAVIT_EINVAL, "invalid mirror: %s %s%s", before, dv_buf_text(&url), behind);
}

static int refuse_scheme(const parts *p, bool v27, davit_error **err)
{
    DV_AUTO(dv_buf) before = DV_BUF_INIT(TEXT_MAX);
    DV_AUTOFREE char *scheme = dv_strndup(p->text, p->scheme_size);
    if (!scheme)
        return dv_error_oom(err);
    dv_str_lower(scheme);
    dv_buf_puts(&before, "unsupported scheme ");
    dv_str_quote(&before, scheme, p->scheme_size);
    dv_buf_puts(&before, " in");
    return refuse(p, dv_buf_text(&before), v27 ? "" : ": must use either 'https://' or 'http://'", err);
}

static int check(const char *text, bool v27, davit_error **err)
{
    DV_AUTO(dv_buf) why = DV_BUF_INIT(TEXT_MAX);
    DV_AUTO(dv_buf) quoted = DV_BUF_INIT(TEXT_MAX);
    parts p;
    dv_str_quote(&quoted, text, strlen(text));
    const char *separator = strstr(text, "://");
    if (!v27 && (!separator || separator == text))
        return dv_error_set(
            err, DAVIT_EINVAL,
            "invalid mirror: no scheme specified for %s: must use either 'https://' or 'http://'",
            dv_buf_text(&quoted));
    if (!parse(text, &p, &why))
        return dv_error_set(err, DAVIT_EINVAL, "invalid mirror: %s is not a valid URI: parse %s: %s",
                            dv_buf_text(&quoted), dv_buf_text(&quoted), dv_buf_text(&why));
    bool http = p.scheme_size == 4 && dv_str_starts_nocase(text, "http:");
    bool https = p.scheme_size == 5 && dv_str_starts_nocase(text, "https:");
    if (!http && !https)
        return refuse_scheme(&p, v27, err);
    if (p.query_size > 0 || (p.fragment && *p.fragment))
        return refuse(&p, "query or fragment at end of the URI", "", err);
    if (p.user)
        return refuse(&p, "username/password not allowed in URI", "", err);
    return 0;
}

int dv_mirror_validate(const char *text, bool v27, char **out, davit_error **err)
{
    size_t size = strlen(text);
    if (size > TEXT_MAX / 8)
        return dv_error_set(err, DAVIT_EINVAL, "invalid mirror: longer than %u bytes", TEXT_MAX / 8);
    int r = check(text, v27, err);
    if (r < 0)
        return r;
    DV_AUTO(dv_buf) normal = DV_BUF_INIT(TEXT_MAX);
    dv_buf_append(&normal, text, size - (text[size - 1] == '/'));
    dv_buf_putc(&normal, '/');
    *out = dv_buf_take(&normal);
    return *out ? 0 : dv_error_oom(err);
}

int davit_validate_mirror(const char *text, char **out, davit_error **err)
{
    return dv_mirror_validate(text, /* v27= */ false, out, err);
}
