/*
 * net/proxy.h - which proxy a URL goes through: HTTP_PROXY, HTTPS_PROXY, NO_PROXY with the rules of Go's
 * clients, so that a machine set up for Docker works for davit. No network, no environment of its own.
 */
#ifndef DV_NET_PROXY_H
#define DV_NET_PROXY_H

#include "net/url.h"
#include "util/environment.h"

typedef struct dv_proxy_config dv_proxy_config; /* immutable */

#define DV_NO_PROXY_MAX 1024 /* entries of NO_PROXY */

/*
 * Read the variables, upper case before lower case. HTTP_PROXY and http_proxy are ignored when
 * REQUEST_METHOD is set, since a CGI server would be setting them from a request's "Proxy:" header.
 * DAVIT_ECONFIG for what is no proxy URL (a bare host:port is one, schemes are http, https, socks5,
 * socks5h); the value is not shown.
 */
int dv_proxy_config_from_environment(dv_getenv_fn *get, dv_proxy_config **out, davit_error **err);
void dv_proxy_config_free(dv_proxy_config *c);
DV_DEFINE_AUTOPTR(dv_proxy_config, dv_proxy_config_free)

/*
 * The proxy URL, or NULL for a direct connection; a NULL config has no proxies. Loopback and localhost are
 * always direct. Borrowed from c; it may hold a password: never print it.
 */
const char *dv_proxy_for(const dv_proxy_config *c, const dv_url *url);

#endif
