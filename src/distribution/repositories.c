/*
 * distribution/repositories.c - davit_distribution_tags() and davit_distribution_get_repositories(): a repository at the endpoints that a
 * resolver gives. Spec: pull.md 1, 2; registry-v2.md 3, 4, 5, 7.
 */
#include "auth/auth_config.h"
#include "distribution/blob_stream.h"
#include "distribution/distribution.h"
#include "distribution/document.h"
#include "distribution/endpoint_loop.h"
#include "registry/v2_ping.h"
#include "registry/v2_tag.h"
#include "util/log.h"

#include <string.h>

#define TAGS_BYTES_MAX (8u << 20) /* of all tags of a repository together (threats C4) */

static int list_endpoints(const dv_own_stores *own, davit_client *client, const davit_reference *ref,
                          dv_endpoints *out, davit_error **err)
{
    int r = own->has_resolver
                ? dv_own_endpoints(&own->resolver, davit_reference_domain(ref), /* push= */ false, out, err)
                : 1;
    return r > 0 ? dv_endpoint_list(client, ref, out, err) : r;
}

/* --- tags -------------------------------------------------------------------------------------------------------------- */

/* One after the other, each with its NUL: none is told before the endpoint that gave them has given all. */
typedef struct tags_question {
    const char *const *meta_headers;
    dv_buf tags;
} tags_question;

static int keep_tag(const char *tag, void *user_data)
{
    dv_buf *tags = user_data;
    dv_buf_append(tags, tag, strlen(tag) + 1);
    return tags->failed != 0;
}

static int ask_tags(dv_registry *reg, void *user, davit_error **err)
{
    tags_question *q = user;
    dv_buf_reset(&q->tags);
    int r = dv_registry_set_meta_headers(reg, q->meta_headers, err);
    if (r == 0)
        r = dv_v2_tag_list(reg, keep_tag, &q->tags, err);
    if (r < 0 || !q->tags.failed)
        return r;
    return q->tags.failed == DAVIT_ENOMEM
               ? dv_error_oom(err)
               : dv_error_set(err, DAVIT_ETOOBIG, "tag list: more than %u MiB of tags", TAGS_BYTES_MAX >> 20);
}

int davit_distribution_tags(davit_client *client, const davit_reference *ref,
                            const davit_distribution_config *config, davit_tag_fn fn, void *user_data,
                            davit_error **err)
{
    DV_AUTO(dv_distribution) d;
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTO(dv_buf) tags = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_distribution_init(&d, config, /* content= */ NULL, /* layers= */ NULL, ref, err);
    if (r == 0 && strcmp(davit_reference_familiar_name(ref), "scratch") == 0)
        r = dv_error_set(err, DAVIT_EFORBIDDEN, "'scratch' is a reserved name");
    if (r == 0)
        r = list_endpoints(&d.own, client, ref, &endpoints, err);
    if (r < 0)
        return r;
    tags_question q = {.meta_headers = d.config.meta_headers, .tags = DV_BUF_INIT(TAGS_BYTES_MAX)};
    r = dv_endpoint_loop_over(client, &endpoints, ref, DV_ASK_BY_TAG, d.auth, ask_tags, &q, &why);
    if (r == DAVIT_EUNAUTHORIZED && d.config.request_auth_config) {
        DV_AUTO(davit_auth_config) other = DAVIT_AUTH_CONFIG_INIT;
        r = dv_auth_config_request(d.config.request_auth_config, d.config.user_data, &other, &why);
        if (r == 0)
            r = dv_endpoint_loop_over(client, &endpoints, ref, DV_ASK_BY_TAG, &other, ask_tags, &q, &why);
    }
    tags = q.tags;
    if (r < 0)
        return dv_error_move(err, &why, r);
    for (size_t at = 0; at < tags.size; at += strlen(tags.data + at) + 1)
        if (fn(tags.data + at, user_data) != 0)
            break;
    return 0;
}

/* --- repositories ------------------------------------------------------------------------------------------------------ */

struct davit_repository {
    char *name;
    dv_registry *registry;
};

struct davit_repository_list {
    davit_repository *items;
    size_t count;
};

size_t davit_repository_list_count(const davit_repository_list *list)
{
    return list->count;
}

davit_repository *davit_repository_list_at(const davit_repository_list *list, size_t index)
{
    return index < list->count ? &list->items[index] : NULL;
}

void davit_repository_list_free(davit_repository_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++) {
        dv_registry_close(list->items[i].registry);
        free(list->items[i].name);
    }
    free(list->items);
    free(list);
}
DV_DEFINE_AUTOPTR(davit_repository_list, davit_repository_list_free)

/* Asked whether it is there: any answer will do. */
static int reach(const dv_distribution *d, davit_client *client, const davit_reference *ref,
                 const dv_endpoint *endpoint, davit_repository *out, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    davit_ping_result unused;
    int r = dv_client_check_cancelled(client, err);
    if (r == 0)
        r = dv_registry_open(client, endpoint, davit_reference_domain(ref), davit_reference_path(ref),
                             d->auth, &reg, err);
    if (r == 0)
        r = dv_v2_ping(reg, &unused, err);
    if (r < 0)
        return r;
    char *name = dv_strdup(davit_reference_name(ref));
    if (!name)
        return dv_error_oom(err);
    *out = (davit_repository){.name = name, .registry = DV_STEAL(reg)};
    return 0;
}

int davit_distribution_get_repositories(davit_client *client, const davit_reference *ref,
                                        const davit_distribution_config *config, davit_repository_list **out,
                                        davit_error **err)
{
    DV_AUTO(dv_distribution) d;
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(davit_repository_list) list = dv_new(davit_repository_list);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_distribution_init(&d, config, /* content= */ NULL, /* layers= */ NULL, ref, err);
    if (r == 0 && !list)
        r = dv_error_oom(err);
    if (r == 0 && strcmp(davit_reference_familiar_name(ref), "scratch") == 0)
        r = dv_error_set(err, DAVIT_EINVAL, "'scratch' is a reserved name");
    if (r == 0)
        r = list_endpoints(&d.own, client, ref, &endpoints, err);
    if (r < 0)
        return r;
    list->items = dv_new_array(davit_repository, endpoints.count + 1);
    if (!list->items)
        return dv_error_oom(err);
    for (size_t i = 0; i < endpoints.count; i++) {
        r = reach(&d, client, ref, &endpoints.items[i], &list->items[list->count], &why);
        list->count += r == 0;
        if (r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM)
            return dv_error_move(err, &why, r);
        if (r < 0)
            dv_log(DAVIT_LOG_INFO, "%s: %s", endpoints.items[i].url.host, davit_error_message(why));
    }
    if (list->count == 0)
        return why ? dv_error_move(err, &why, davit_error_code(why))
                   : dv_error_set(err, DAVIT_ENOTFOUND, "no endpoints found for %s",
                                  davit_reference_familiar(ref));
    *out = DV_STEAL(list);
    return 0;
}

const char *davit_repository_name(const davit_repository *repository)
{
    return repository->name;
}

const char *davit_repository_url(const davit_repository *repository)
{
    return repository->registry->endpoint.url.text;
}

int davit_repository_get_manifest(davit_repository *repository, const char *name, davit_manifest **out,
                                  davit_error **err)
{
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    davit_digest digest;
    bool pinned = davit_digest_parse(name, &digest, NULL) == 0;
    int r = dv_v2_manifest_get(repository->registry, name, pinned ? &digest : NULL, &answer, err);
    return r < 0 ? r : dv_document_parse(&answer, /* desc= */ NULL, /* ref_text= */ NULL, out, err);
}

int davit_repository_tags(davit_repository *repository, davit_tag_fn fn, void *user_data, davit_error **err)
{
    return dv_v2_tag_list(repository->registry, fn, user_data, err);
}

int davit_repository_get_blob(davit_repository *repository, const davit_digest *digest, davit_write_fn write,
                              void *user_data, uint64_t *out_size, davit_error **err)
{
    uint64_t size;
    int r = dv_blob_stream(repository->registry, digest, write, user_data, &size, err);
    if (r == 0 && out_size)
        *out_size = size;
    return r;
}
