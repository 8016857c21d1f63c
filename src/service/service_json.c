/*
 * service/service_json.c - a ServiceConfig and an IndexInfo as JSON (service.md 17), in the bytes of both versions.
 *
 * An object is a list of members with their text: v25 writes them in the order of the struct, v28 sorted by key, extra fields
 * among them.
 */
#include "davit/service.h"

#include "util/json.h"

#include <stdbool.h>
#include <string.h>

#define JSON_MAX (64u << 20) /* bytes of one; the longest lists of a service need less */
#define EXTRA_MAX (1u << 20) /* bytes of extra fields */

typedef struct member {
    const char *key;
    dv_buf value; /* JSON */
} member;

typedef struct members {
    member *items; /* room for all that will come */
    size_t count;
} members;

static void members_clear(members *m)
{
    for (size_t i = 0; i < m->count; i++)
        dv_buf_clear(&m->items[i].value);
    free(m->items);
}
DV_DEFINE_AUTO(members, members_clear)

/* The empty value of a new member, or of the one that has this key. */
static dv_buf *value_of(members *m, const char *key)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->items[i].key, key) == 0) {
            dv_buf_reset(&m->items[i].value);
            return &m->items[i].value;
        }
    m->items[m->count] = (member){.key = key, .value = DV_BUF_INIT(JSON_MAX)};
    return &m->items[m->count++].value;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const member *)a)->key, ((const member *)b)->key);
}

static void write_members(dv_buf *out, const members *m)
{
    dv_buf_putc(out, '{');
    for (size_t i = 0; i < m->count; i++) {
        const dv_buf *value = &m->items[i].value;
        if (i > 0)
            dv_buf_putc(out, ',');
        dv_json_write_string(out, m->items[i].key);
        dv_buf_putc(out, ':');
        dv_buf_append(out, dv_buf_text(value), value->size);
        if (value->failed && !out->failed)
            out->failed = value->failed;
    }
    dv_buf_putc(out, '}');
}

static int give(dv_buf *json, char **out, davit_error **err)
{
    if (json->failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "a service configuration of more than %u bytes", JSON_MAX);
    char *text = dv_buf_take(json);
    if (!text)
        return dv_error_oom(err);
    *out = text;
    return 0;
}

/* --- values ---------------------------------------------------------------------------------------------------- */

static void write_texts(dv_buf *out, char *const *list, const char *none)
{
    if (!list || !list[0]) {
        dv_buf_puts(out, none);
        return;
    }
    for (size_t i = 0; list[i]; i++) {
        dv_buf_putc(out, i == 0 ? '[' : ',');
        dv_json_write_string(out, list[i]);
    }
    dv_buf_putc(out, ']');
}

static void write_networks(dv_buf *out, const davit_net_ip_net *networks, size_t count)
{
    char text[DAVIT_NET_IP_NET_TEXT_MAX];
    if (!networks || count == 0) {
        dv_buf_puts(out, "null");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        dv_buf_putc(out, i == 0 ? '[' : ',');
        dv_json_write_string(out, davit_net_ip_net_text(&networks[i], text));
    }
    dv_buf_putc(out, ']');
}

static void write_index(dv_buf *out, const davit_index_info *index, bool v27)
{
    const char *secure = index->secure ? "true" : "false", *official = index->official ? "true" : "false";
    dv_buf_putc(out, '{');
    if (v27) {
        dv_buf_puts(out, "\"Name\":");
        dv_json_write_string(out, index->name ? index->name : "");
        dv_buf_putc(out, ',');
    }
    dv_buf_puts(out, "\"Mirrors\":");
    write_texts(out, index->mirrors, "[]");
    if (v27) {
        dv_buf_printf(out, ",\"Secure\":%s,\"Official\":%s}", secure, official);
        return;
    }
    dv_buf_puts(out, ",\"Name\":");
    dv_json_write_string(out, index->name ? index->name : "");
    dv_buf_printf(out, ",\"Official\":%s,\"Secure\":%s}", official, secure);
}

int davit_index_info_format(const davit_index_info *index, bool v27, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) json = DV_BUF_INIT(JSON_MAX);
    write_index(&json, index, v27);
    return give(&json, out, err);
}

/* An object by name; the list is sorted. */
static void write_indexes(dv_buf *out, const davit_index_info *indexes, size_t count, bool v27)
{
    if (!indexes) {
        dv_buf_puts(out, "null");
        return;
    }
    dv_buf_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            dv_buf_putc(out, ',');
        dv_json_write_string(out, indexes[i].name ? indexes[i].name : "");
        dv_buf_putc(out, ':');
        write_index(out, &indexes[i], v27);
    }
    dv_buf_putc(out, '}');
}

/* --- the configuration ----------------------------------------------------------------------------------------- */

/* In the order of the struct, which is v25's. */
static void add_fields(const davit_service_config *c, bool v27, members *m)
{
    const davit_net_ip_net *networks = c->allow_nondistributable_artifacts_cidrs;
    size_t count = c->allow_nondistributable_artifacts_cidr_count;
    char *const *hosts = c->allow_nondistributable_artifacts_hostnames;
    if (v27 || (networks && count > 0))
        write_networks(value_of(m, "AllowNondistributableArtifactsCIDRs"), networks, count);
    if (v27 || (hosts && hosts[0]))
        write_texts(value_of(m, "AllowNondistributableArtifactsHostnames"), hosts, "null");
    write_networks(value_of(m, "InsecureRegistryCIDRs"), c->insecure_registry_cidrs,
                   c->insecure_registry_cidr_count);
    write_indexes(value_of(m, "IndexConfigs"), c->index_configs, c->index_config_count, v27);
    write_texts(value_of(m, "Mirrors"), c->mirrors, "null");
}

static int parse_extra(const char *text, dv_json **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    if (!text)
        return 0;
    int r = dv_json_parse(text, strlen(text), &(dv_json_limits){.max_bytes = EXTRA_MAX}, NULL, out, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0)
        return dv_error_set(err, DAVIT_EINVAL, "extra fields: %s", davit_error_message(why));
    return dv_json_is(*out, DV_JSON_OBJECT)
               ? 0
               : dv_error_set(err, DAVIT_EINVAL, "extra fields: they must be a JSON object");
}

int davit_service_config_format(const davit_service_config *config, davit_service_config_shape shape,
                                char **out, davit_error **err)
{
    bool v27 = shape == DAVIT_SERVICE_CONFIG_V25;
    DV_AUTOPTR(dv_json) extra = NULL;
    DV_AUTO(members) m = {0};
    DV_AUTO(dv_buf) json = DV_BUF_INIT(JSON_MAX);
    int r = v27 ? 0 : parse_extra(config->extra_fields, &extra, err);
    if (r < 0)
        return r;
    m.items = dv_new_array(member, 5 + dv_json_count(extra));
    if (!m.items)
        return dv_error_oom(err);
    add_fields(config, v27, &m);
    void *iter = NULL;
    const char *key;
    const dv_json *value;
    while (extra && dv_json_next(extra, &iter, &key, &value))
        dv_json_format(value, 0, /* html_safe= */ true, value_of(&m, key));
    if (!v27)
        qsort(m.items, m.count, sizeof(member), by_key);
    write_members(&json, &m);
    return give(&json, out, err);
}
