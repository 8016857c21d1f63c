/*
 * distribution/pull.c - davit_pull(): which endpoint, which tags, and the status at the end. Spec: pull.md 1, 2, 9.
 *
 * Leaves to others: one reference (pull_v2.c), its blobs (pull_blobs.c), whether an error lets the next endpoint try
 * (fallback.c).
 */
#include "auth/auth_config.h"
#include "distribution/endpoint_loop.h"
#include "distribution/pull_private.h"
#include "oci/reference.h"
#include "registry/v2_tag.h"
#include "util/log.h"

#include <stdarg.h>
#include <string.h>

#define MESSAGE_MAX (16u << 10)
#define TAGS_BYTES_MAX \
    (8u << 20) /* of all tags of a repository together, with what malloc() adds (threats C4) */
#define TAG_OVERHEAD 24

static void emit(const dv_pull *p, davit_progress_kind kind, const char *id, const char *text)
{
    const davit_pull_options *o = p->options;
    if (o->progress)
        o->progress(&(davit_progress){.kind = kind, .id = id, .action = text}, o->user_data);
}

void dv_pull_message(const dv_pull *p, const char *id, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    emit(p, DAVIT_PROGRESS_MESSAGE, id, dv_buf_text(&text));
}

void dv_pull_warn(const dv_pull *p, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    emit(p, DAVIT_PROGRESS_WARNING, NULL, dv_buf_text(&text));
}

static int left(davit_error **err)
{
    return dv_error_set(err, DAVIT_ECANCELLED, "cancelled by who follows the pull");
}

int dv_pull_tell_image(const dv_pull *p, const davit_manifest *manifest, davit_error **err)
{
    const dv_pull_follower *f = p->follower;
    return f && f->on_image(f->user, manifest) < 0 ? left(err) : 0;
}

int dv_pull_tell_blob(const dv_pull *p, const davit_digest *blob, davit_error **err)
{
    const dv_pull_follower *f = p->follower;
    return f && f->on_blob(f->user, blob) < 0 ? left(err) : 0;
}

int dv_pull_tell_turn(const dv_pull *p, davit_error **err)
{
    const dv_pull_follower *f = p->follower;
    return f && f->on_turn(f->user) < 0 ? left(err) : 0;
}

/* --- all tags ------------------------------------------------------------------------------------------------------ */

typedef struct tag_list {
    char **items;
    size_t count, capacity, bytes;
    bool failed, too_many;
} tag_list;

static int add_tag(const char *tag, void *user_data)
{
    tag_list *l = user_data;
    l->bytes += sizeof(*l->items) + TAG_OVERHEAD + strlen(tag);
    if (l->bytes > TAGS_BYTES_MAX) {
        l->too_many = true;
        return 1;
    }
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 64;
        char **items = dv_realloc_array(l->items, capacity, sizeof(*items));
        if (!items) {
            l->failed = true;
            return 1;
        }
        l->items = items;
        l->capacity = capacity;
    }
    l->items[l->count] = dv_strdup(tag);
    l->failed = !l->items[l->count];
    l->count += !l->failed;
    return l->failed;
}

static void tag_list_clear(tag_list *l)
{
    while (l->count > 0)
        free(l->items[--l->count]);
    free(l->items);
}
DV_DEFINE_AUTO(tag_list, tag_list_clear)

static int pull_all_tags(dv_pull *p, dv_registry *reg, const davit_reference *ref, davit_error **err)
{
    DV_AUTO(tag_list) tags = {0};
    int r = dv_v2_tag_list(reg, add_tag, &tags, err);
    if (r < 0)
        return r;
    if (tags.failed)
        return dv_error_oom(err);
    if (tags.too_many)
        return dv_error_set(err, DAVIT_ETOOBIG, "tag list: more than %u MiB of tags", TAGS_BYTES_MAX >> 20);
    for (size_t i = 0; i < tags.count; i++) {
        DV_AUTOPTR(davit_reference) tagged = NULL;
        if (davit_reference_with_tag(ref, tags.items[i], &tagged, NULL) < 0) {
            dv_pull_warn(p, "\"%s\" is no valid tag, left out", tags.items[i]); /* quirks.md: Artifactory */
            continue;
        }
        r = dv_pull_reference(p, reg, tagged, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

typedef struct question {
    dv_pull *pull;
    const davit_reference *ref;
} question;

static int ask(dv_registry *reg, void *user, davit_error **err)
{
    question *q = user;
    int r = dv_registry_set_meta_headers(reg, q->pull->terms.meta_headers, err);
    if (r < 0)
        return r;
    if (q->pull->options->flags & DAVIT_PULL_ALL_TAGS)
        return pull_all_tags(q->pull, reg, q->ref, err);
    return dv_pull_reference(q->pull, reg, q->ref, err);
}

static int check_arguments(const davit_reference *ref, const davit_pull_options *o, davit_error **err)
{
    const uint32_t known = DAVIT_PULL_ALL_TAGS | DAVIT_PULL_ALL_PLATFORMS | DAVIT_PULL_DRY_RUN;
    bool all_tags = o->flags & DAVIT_PULL_ALL_TAGS;
    if (o->version != DAVIT_PULL_OPTIONS_VERSION || o->flags & ~known)
        return dv_error_set(err, DAVIT_EINVAL, "unknown pull options (version %u, flags 0x%x)", o->version,
                            o->flags);
    if (davit_reference_is_name_only(ref) != all_tags)
        return dv_error_set(err, DAVIT_EINVAL,
                            all_tags ? "tag can't be used with all tags: %s" : "no tag in %s",
                            davit_reference_familiar(ref));
    if (strcmp(davit_reference_familiar_name(ref), "scratch") == 0)
        return dv_error_set(err, DAVIT_EFORBIDDEN, "'scratch' is a reserved name");
    return 0;
}

/* A dry run looks at the store when there is one, and makes none. */
static int open_store(dv_pull *p, davit_error **err)
{
    if (dv_pull_is_own(p))
        return 0;
    if (!(p->options->flags & DAVIT_PULL_DRY_RUN)) {
        int r = dv_transfers_get(p->client, &p->transfers, err);
        if (r == 0)
            p->store = dv_store_ref(dv_transfers_store(p->transfers));
        return r;
    }
    if (!p->client->store_dir)
        return 0;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_store_open(p->client->store_dir, DV_STORE_READ_ONLY, &p->store, &why);
    return r < 0 && r != DAVIT_ENOTFOUND ? dv_error_move(err, &why, r) : 0;
}

/* Over the endpoints with the caller's credentials; refused with those at hand, once more with what the callback gives. */
static int pull_authorized(dv_pull *p, const davit_reference *ref, davit_error **err)
{
    const davit_pull_options *o = p->options;
    dv_ask_by by = davit_reference_digest_text(ref) ? DV_ASK_BY_DIGEST : DV_ASK_BY_TAG;
    DV_AUTO(davit_auth_config) other = DAVIT_AUTH_CONFIG_INIT;
    int r = dv_endpoint_loop_over(p->client, &p->endpoints, ref, by, o->auth, ask, &(question){p, ref}, err);
    if (r != DAVIT_EUNAUTHORIZED || !o->request_auth_config)
        return r;
    r = dv_auth_config_request(o->request_auth_config, o->user_data, &other, err);
    if (r < 0)
        return r;
    p->result = (davit_pull_result){.updated = p->result.updated}; /* all tags: some may have moved already */
    return dv_endpoint_loop_over(p->client, &p->endpoints, ref, by, &other, ask, &(question){p, ref}, err);
}

static int list_endpoints(dv_pull *p, const davit_reference *ref, davit_error **err)
{
    const dv_own_stores *own = p->terms.own;
    int r = own && own->has_resolver ? dv_own_endpoints(&own->resolver, davit_reference_domain(ref),
                                                        /* push= */ false, &p->endpoints, err)
                                     : 1;
    return r > 0 ? dv_endpoint_list(p->client, ref, &p->endpoints, err) : r;
}

static int pull(davit_client *client, const davit_reference *ref, const davit_pull_options *options,
                const dv_pull_follower *follower, const dv_pull_terms *terms, davit_pull_result *out,
                davit_error **err)
{
    static const davit_pull_options defaults = DAVIT_PULL_OPTIONS_INIT;
    dv_pull p = {.client = client, .options = options ? options : &defaults, .follower = follower};
    if (terms)
        p.terms = *terms;
    DV_AUTOPTR(davit_error) why = NULL; /* the endpoint loop decides by it, so it is always made */
    int r = check_arguments(ref, p.options, &why);
    if (r == 0)
        r = open_store(&p, &why);
    if (r == 0)
        r = list_endpoints(&p, ref, &why);
    if (r == 0)
        r = pull_authorized(&p, ref, &why);
    dv_endpoints_clear(&p.endpoints);
    dv_store_unref(p.store);
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (!(p.options->flags & DAVIT_PULL_DRY_RUN))
        dv_pull_message(&p, NULL, "Status: %s for %s",
                        p.result.updated ? "Downloaded newer image" : "Image is up to date",
                        davit_reference_familiar(ref));
    if (out)
        *out = p.result;
    return 0;
}

int dv_pull_followed(davit_client *client, const davit_reference *ref, const davit_pull_options *options,
                     const dv_pull_follower *follower, davit_pull_result *out, davit_error **err)
{
    return pull(client, ref, options, follower, /* terms= */ NULL, out, err);
}

int dv_pull_on(davit_client *client, const davit_reference *ref, const davit_pull_options *options,
               const dv_pull_terms *terms, davit_pull_result *out, davit_error **err)
{
    return pull(client, ref, options, /* follower= */ NULL, terms, out, err);
}

int davit_pull(davit_client *client, const davit_reference *ref, const davit_pull_options *options,
               davit_pull_result *out, davit_error **err)
{
    return dv_pull_followed(client, ref, options, /* follower= */ NULL, out, err);
}
