/*
 * auth/auth_key.c - under which key a registry's credentials are kept, and which entry of a map is a registry's (auth.md 3).
 *
 * These are the reference's rules for an embedder's own map. The files that davit reads are searched more strictly
 * (config_file.c, threats A9).
 */
#include "davit/service.h"

#include "util/alloc.h"
#include "util/error.h"
#include "util/str.h"

#include <string.h>

/* The host within a key; *out_size bytes of it. */
static const char *host_of(const char *url, size_t *out_size)
{
    if (dv_str_starts(url, "http://"))
        url += strlen("http://");
    else if (dv_str_starts(url, "https://"))
        url += strlen("https://");
    *out_size = strcspn(url, "/");
    return url;
}

int davit_convert_to_hostname(const char *url, char **out, davit_error **err)
{
    size_t size;
    const char *host = host_of(url, &size);
    char *copy = dv_strndup(host, size);
    if (!copy)
        return dv_error_oom(err);
    *out = copy;
    return 0;
}

const char *davit_get_auth_config_key(const davit_index_info *index)
{
    return index->official ? DAVIT_INDEX_SERVER : index->name ? index->name : "";
}

const davit_auth_config *davit_resolve_auth_config(const davit_auth_entry *entries, size_t count,
                                                   const davit_index_info *index)
{
    const char *key = davit_get_auth_config_key(index);
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].key, key) == 0)
            return entries[i].config;
    for (size_t i = 0; !index->official && i < count; i++) {
        size_t size;
        const char *host = host_of(entries[i].key, &size);
        if (size == strlen(key) && memcmp(host, key, size) == 0)
            return entries[i].config;
    }
    return NULL;
}
