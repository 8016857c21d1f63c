/* Any text as HTTP_PROXY and NO_PROXY. */
#include "net/proxy.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *value;

static char *get(const char *name)
{
    return strcmp(name, "NO_PROXY") == 0 || strcmp(name, "HTTPS_PROXY") == 0 ? value : NULL;
}

static char *get_exceptions(const char *name)
{
    return strcmp(name, "NO_PROXY") == 0      ? value
           : strcmp(name, "HTTPS_PROXY") == 0 ? (char *)"http://p"
                                              : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const urls[] = {"https://reg.example.com:5000/", "https://10.1.2.3/",
                                       "https://[2001:db8::1]/"};
    DV_AUTOPTR(dv_proxy_config) same = NULL;
    DV_AUTOPTR(dv_proxy_config) exceptions = NULL;
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    value = text;
    dv_proxy_config_from_environment(get, &same, NULL);
    dv_proxy_config_from_environment(get_exceptions, &exceptions, NULL);
    for (size_t i = 0; i < DV_COUNT(urls); i++) {
        DV_AUTO(dv_url) u = DV_URL_INIT;
        int r = dv_url_parse(urls[i], &u, NULL);
        assert(r == 0);
        dv_proxy_for(same, &u);
        dv_proxy_for(exceptions, &u);
    }
    return 0;
}
