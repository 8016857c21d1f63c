/*
 * net/url.h - URLs and origins as values. No network.
 *
 * An origin is scheme, host and port: what credentials are bound to (threats A1, A4). Hosts are lower-cased, one trailing dot
 * removed, brackets of IPv6 literals kept; the port is always explicit.
 */
#ifndef DV_NET_URL_H
#define DV_NET_URL_H

#include "util/buf.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_URL_MAX (16u << 10) /* bytes; longer ones are refused */

typedef struct dv_url {
    char *scheme;  /* "http" or "https", lower case */
    char *host;    /* lower case; "[::1]" with brackets */
    uint16_t port; /* explicit or the scheme's own */
    bool explicit_port;
    char *path;  /* begins with "/", dot segments resolved, still percent-encoded */
    char *query; /* without "?", NULL when there is none */
    char *text;  /* the whole again, without fragment; what is sent */
} dv_url;

#define DV_URL_INIT \
    {               \
        0           \
    }
void dv_url_clear(dv_url *u);
DV_DEFINE_AUTO(dv_url, dv_url_clear)

/*
 * Parse an absolute http or https URL. Refused (DAVIT_EPROTOCOL): other schemes, user info, control bytes and spaces, bad
 * ports, bad percent encoding, more than DV_URL_MAX bytes. A fragment is dropped.
 */
int dv_url_parse(const char *text, dv_url *out, davit_error **err);
/* Resolve a reference (absolute, //host, /path, path, ?query) against base (RFC 3986 5.2); same refusals. */
int dv_url_resolve(const dv_url *base, const char *reference, dv_url *out, davit_error **err);
int dv_url_copy(const dv_url *from, dv_url *out, davit_error **err);
bool dv_url_same_origin(const dv_url *a, const dv_url *b);
/* "https://host[:port]" with the port only if it is not the scheme's own. Appends. */
void dv_url_origin_text(const dv_url *u, dv_buf *out);
/* The text for messages and traces: the query replaced by "?..." when there is one (signed URLs, threats A12). Appends. */
void dv_url_redacted(const dv_url *u, dv_buf *out);
/* Percent-encode everything but unreserved characters (query form: space becomes "+"). Appends. */
void dv_url_escape(dv_buf *out, const char *text, bool form);
/* Whether the host is an IP literal (with or without brackets), and whether it is a single label. */
bool dv_host_is_literal(const char *host);
bool dv_host_is_single_label(const char *host);

#endif
