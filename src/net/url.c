/*
 * net/url.c - see url.h.
 *
 * Stricter than RFC 3986 where a looser reading has been an attack: a host is letters, digits, "-", "_" and
 * dots or one IP literal in its one spelling, because whatever reads the text after us (libcurl,
 * getaddrinfo, a proxy) must see the same host as the rules about credentials and addresses saw. Bytes
 * above 0x7f in path and query are percent-encoded.
 */
#include "net/url.h"

#include "util/str.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define HOST_MAX 253 /* bytes, the DNS limit */

void dv_url_clear(dv_url *u)
{
    free(u->scheme);
    free(u->host);
    free(u->path);
    if (u->query) /* signed URLs and OAuth answers carry secrets here */
        explicit_bzero(u->query, strlen(u->query));
    free(u->query);
    if (u->text)
        explicit_bzero(u->text, strlen(u->text));
    free(u->text);
    *u = (dv_url)DV_URL_INIT;
}

static uint16_t default_port(const char *scheme)
{
    return strcmp(scheme, "https") == 0 ? 443 : 80;
}

static bool is_hex(char c)
{
    return dv_char_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int refuse(davit_error **err, const char *why)
{
    return dv_error_set(err, DAVIT_EPROTOCOL, "invalid URL: %s", why);
}

/* What holds for every byte of a URL, wherever it stands. */
static int check_bytes(const char *text, davit_error **err)
{
    size_t n = strnlen(text, DV_URL_MAX + 1);
    if (n > DV_URL_MAX)
        return refuse(err, "too long");
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return refuse(err, "control byte");
        if (*p == ' ')
            return refuse(err, "space");
        if (*p == '%' && !(is_hex(p[1]) && is_hex(p[2])))
            return refuse(err, "bad percent encoding");
    }
    return 0;
}

/* Dotted decimal in its one spelling, as inet_pton() takes it. */
static bool is_ipv4(const char *host)
{
    struct in_addr a;
    return inet_pton(AF_INET, host, &a) == 1;
}

/*
 * A last label of digits or 0x makes resolvers read the name as an IPv4 address in an odd spelling (127.1,
 * 0x7f000001).
 */
static bool ends_in_number(const char *host)
{
    const char *dot = strrchr(host, '.');
    const char *last = dot ? dot + 1 : host;
    if (last[0] == '0' && (last[1] == 'x' || last[1] == 'X'))
        return strspn(last + 2, "0123456789abcdefABCDEF") == strlen(last + 2);
    return *last && strspn(last, "0123456789") == strlen(last);
}

bool dv_host_is_literal(const char *host)
{
    struct in6_addr six;
    size_t n = strlen(host);
    if (n > 2 && host[0] == '[' && host[n - 1] == ']')
        return true;
    return is_ipv4(host) || inet_pton(AF_INET6, host, &six) == 1 || ends_in_number(host);
}

bool dv_host_is_single_label(const char *host)
{
    return !strchr(host, '.') && !dv_host_is_literal(host);
}

/* "[...]" to its canonical spelling. */
static int parse_ipv6(const char *text, size_t size, char **out, davit_error **err)
{
    char inner[INET6_ADDRSTRLEN], canonical[INET6_ADDRSTRLEN + 2];
    struct in6_addr address;
    if (size < 4 || size - 2 >= sizeof(inner))
        return refuse(err, "bad IPv6 address");
    memcpy(inner, text + 1, size - 2);
    inner[size - 2] = '\0';
    if (inet_pton(AF_INET6, inner, &address) != 1 || !inet_ntop(AF_INET6, &address, inner, sizeof(inner)))
        return refuse(err, "bad IPv6 address");
    snprintf(canonical, sizeof(canonical), "[%s]", inner);
    *out = dv_strdup(canonical);
    return *out ? 0 : dv_error_oom(err);
}

static int parse_name(const char *text, size_t size, char **out, davit_error **err)
{
    if (size > 0 && text[size - 1] == '.')
        size--;
    if (size == 0)
        return refuse(err, "no host");
    if (size > HOST_MAX)
        return refuse(err, "host name is too long");
    for (size_t i = 0; i < size; i++) {
        bool dot = text[i] == '.';
        if (dot && (i == 0 || text[i - 1] == '.' || i + 1 == size))
            return refuse(err, "bad host name");
        if (!dot && !dv_char_is_alnum(text[i]) && text[i] != '-' && text[i] != '_')
            return refuse(err, "bad host name");
    }
    DV_AUTOFREE char *host = dv_strndup(text, size);
    if (!host)
        return dv_error_oom(err);
    dv_str_lower(host);
    if (ends_in_number(host) && !is_ipv4(host))
        return refuse(err, "bad IPv4 address");
    *out = DV_STEAL(host);
    return 0;
}

static int parse_port(const char *text, size_t size, dv_url *u, davit_error **err)
{
    u->port = default_port(u->scheme);
    if (size == 0)
        return 0;
    uint32_t port = 0;
    for (size_t i = 0; i < size && port <= UINT16_MAX; i++) {
        if (!dv_char_is_digit(text[i]))
            return refuse(err, "bad port");
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    if (port == 0 || port > UINT16_MAX)
        return refuse(err, "bad port");
    u->port = (uint16_t)port;
    u->explicit_port = true;
    return 0;
}

static int parse_authority(const char *text, size_t size, dv_url *u, davit_error **err)
{
    if (memchr(text, '@', size))
        return refuse(err, "user name or password in it");
    const char *bracket = size > 0 && text[0] == '[' ? memchr(text, ']', size) : NULL;
    if (size > 0 && text[0] == '[' && !bracket)
        return refuse(err, "bad IPv6 address");
    const char *rest = bracket ? bracket + 1 : text;
    const char *end = text + size;
    const char *colon = memchr(rest, ':', (size_t)(end - rest));
    if (bracket && rest != end && colon != rest)
        return refuse(err, "bad host name");
    const char *host_end = colon ? colon : end;
    int r = bracket ? parse_ipv6(text, (size_t)(host_end - text), &u->host, err)
                    : parse_name(text, (size_t)(host_end - text), &u->host, err);
    if (r < 0)
        return r;
    return colon ? parse_port(colon + 1, (size_t)(end - colon - 1), u, err) : parse_port(end, 0, u, err);
}

/* RFC 3986 5.2.4 on "/..."; every byte above 0x7f is percent-encoded. */
static void append_path(dv_buf *out, const char *path, size_t size)
{
    const char *p = path, *end = path + size;
    bool directory = size == 0;
    while (p < end) {
        const char *segment = p + (*p == '/');
        const char *next = memchr(segment, '/', (size_t)(end - segment));
        if (!next)
            next = end;
        size_t n = (size_t)(next - segment);
        bool up = n == 2 && segment[0] == '.' && segment[1] == '.';
        directory = up || (n == 1 && segment[0] == '.');
        if (up && out->size > 0 && !out->failed) {
            while (out->size > 0 && out->data[--out->size] != '/')
                ;
            out->data[out->size] = '\0';
        } else if (!directory) {
            dv_buf_putc(out, '/');
            dv_buf_append(out, segment, n);
        }
        p = next;
    }
    if (directory)
        dv_buf_putc(out, '/');
}

static char *encode_high_bytes(const char *text, size_t size)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(3 * (size_t)DV_URL_MAX);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] >= 0x80)
            dv_buf_printf(&out, "%%%02X", (unsigned)(unsigned char)text[i]);
        else
            dv_buf_putc(&out, text[i]);
    }
    return dv_buf_take(&out);
}

/* "/path?query", fragment already cut off. */
static int parse_path_query(const char *text, size_t size, dv_url *u, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    const char *mark = size > 0 ? memchr(text, '?', size) : NULL;
    append_path(&path, text, mark ? (size_t)(mark - text) : size);
    if (path.failed)
        return dv_error_oom(err);
    u->path = encode_high_bytes(dv_buf_text(&path), path.size);
    if (mark)
        u->query = encode_high_bytes(mark + 1, size - (size_t)(mark + 1 - text));
    return u->path && (!mark || u->query) ? 0 : dv_error_oom(err);
}

static int set_text(dv_url *u, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&text, "%s://%s", u->scheme, u->host);
    if (u->explicit_port)
        dv_buf_printf(&text, ":%u", (unsigned)u->port);
    dv_buf_puts(&text, u->path);
    if (u->query)
        dv_buf_printf(&text, "?%s", u->query);
    if (text.failed == DAVIT_ETOOBIG)
        return refuse(err, "too long");
    u->text = dv_buf_take(&text);
    return u->text ? 0 : dv_error_oom(err);
}

int dv_url_parse(const char *text, dv_url *out, davit_error **err)
{
    int r = check_bytes(text, err);
    if (r < 0)
        return r;
    bool https = dv_str_starts_nocase(text, "https://");
    if (!https && !dv_str_starts_nocase(text, "http://"))
        return refuse(err, "not http or https");
    DV_AUTO(dv_url) u = DV_URL_INIT;
    u.scheme = dv_strdup(https ? "https" : "http");
    if (!u.scheme)
        return dv_error_oom(err);
    const char *authority = strstr(text, "://") + 3;
    size_t authority_size = strcspn(authority, "/?#");
    const char *rest = authority + authority_size;
    r = parse_authority(authority, authority_size, &u, err);
    if (r == 0)
        r = parse_path_query(rest, strcspn(rest, "#"), &u, err);
    if (r == 0)
        r = set_text(&u, err);
    if (r < 0)
        return r;
    *out = u;
    u = (dv_url)DV_URL_INIT;
    return 0;
}

/* Whether a reference begins with "scheme:" (RFC 3986 3.1). */
static bool has_scheme(const char *reference)
{
    size_t n = 0;
    while (dv_char_is_alnum(reference[n]) || (reference[n] && strchr("+-.", reference[n])))
        n++;
    return n > 0 && !dv_char_is_digit(reference[0]) && dv_char_is_alnum(reference[0]) && reference[n] == ':';
}

int dv_url_resolve(const dv_url *base, const char *reference, dv_url *out, davit_error **err)
{
    int r = check_bytes(reference, err);
    if (r < 0)
        return r;
    if (has_scheme(reference))
        return dv_url_parse(reference, out, err);
    DV_AUTO(dv_buf) text = DV_BUF_INIT(3 * (size_t)DV_URL_MAX);
    size_t n = strcspn(reference, "#");
    dv_buf_printf(&text, "%s:", base->scheme);
    if (!dv_str_starts(reference, "//")) {
        dv_buf_printf(&text, "//%s", base->host);
        if (base->explicit_port)
            dv_buf_printf(&text, ":%u", (unsigned)base->port);
        if (n == 0 || reference[0] == '?')
            dv_buf_puts(&text, base->path);
        else if (reference[0] != '/')
            dv_buf_append(&text, base->path, (size_t)(strrchr(base->path, '/') + 1 - base->path));
        if (n == 0 && base->query)
            dv_buf_printf(&text, "?%s", base->query);
    }
    dv_buf_append(&text, reference, n);
    return text.failed ? dv_error_oom(err) : dv_url_parse(dv_buf_text(&text), out, err);
}

int dv_url_copy(const dv_url *from, dv_url *out, davit_error **err)
{
    DV_AUTO(dv_url)
    u = {.scheme = dv_strdup(from->scheme),
         .host = dv_strdup(from->host),
         .port = from->port,
         .explicit_port = from->explicit_port,
         .path = dv_strdup(from->path),
         .query = dv_strdup(from->query),
         .text = dv_strdup(from->text)};
    if (!u.scheme || !u.host || !u.path || !u.text || (from->query && !u.query))
        return dv_error_oom(err);
    *out = u;
    u = (dv_url)DV_URL_INIT;
    return 0;
}

bool dv_url_same_origin(const dv_url *a, const dv_url *b)
{
    return dv_str_equal(a->scheme, b->scheme) && dv_str_equal(a->host, b->host) && a->port == b->port;
}

void dv_url_origin_text(const dv_url *u, dv_buf *out)
{
    dv_buf_printf(out, "%s://%s", u->scheme, u->host);
    if (u->port != default_port(u->scheme))
        dv_buf_printf(out, ":%u", (unsigned)u->port);
}

void dv_url_redacted(const dv_url *u, dv_buf *out)
{
    dv_url_origin_text(u, out);
    dv_buf_puts(out, u->path);
    if (u->query)
        dv_buf_puts(out, "?...");
}

void dv_url_escape(dv_buf *out, const char *text, bool form)
{
    for (const char *p = text; *p; p++) {
        if (dv_char_is_alnum(*p) || strchr("-._~", *p))
            dv_buf_putc(out, *p);
        else if (form && *p == ' ')
            dv_buf_putc(out, '+');
        else
            dv_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*p);
    }
}
