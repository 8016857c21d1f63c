/*
 * distribution/push.c - davit_push(): which endpoint, which tags, and what is said of them. Spec: push.md 1 to 3.
 *
 * Leaves to others: one reference (push_v2.c), its blobs (push_blobs.c), whether an error lets the next endpoint try
 * (fallback.c).
 */
#include "auth/auth_config.h"
#include "distribution/endpoint_loop.h"
#include "distribution/push_private.h"
#include "distribution/xfer.h"
#include "oci/reference.h"
#include "store/reference_store.h"
#include "util/log.h"

#include <stdarg.h>
#include <string.h>

#define MESSAGE_MAX (16u << 10)

static void emit(const dv_push *p, const davit_progress *event)
{
    if (p->options->progress)
        p->options->progress(event, p->options->user_data);
}

void dv_push_message(const dv_push *p, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    emit(p, &(davit_progress){.kind = DAVIT_PROGRESS_MESSAGE, .action = dv_buf_text(&text)});
}

void dv_push_warn(const dv_push *p, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    emit(p, &(davit_progress){.kind = DAVIT_PROGRESS_WARNING, .action = dv_buf_text(&text)});
}

void dv_push_tell(const dv_push *p, const char *id, const char *action, const dv_upload_event *counts)
{
    davit_progress e = {.kind = DAVIT_PROGRESS_LAYER, .id = id, .action = action};
    if (counts) {
        e.has_counts = true;
        e.current = counts->current;
        e.total = counts->total;
    }
    emit(p, &e);
}

/* --- tags ---------------------------------------------------------------------------------------------------------- */

/* What goes of the store: the rows of the tags, in the order of their texts. */
typedef struct stored {
    dv_reference_rows rows;
} stored;

static int push_row(dv_push *p, dv_registry *reg, const dv_reference_row *row, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = davit_reference_parse(row->reference, &ref, err);
    if (r < 0)
        return r;
    const davit_descriptor target = {.media_type = row->media_type, .digest = row->digest, .size = row->size};
    r = dv_push_reference(p, reg, ref, &target, err);
    p->result.tag_count += r == 0;
    return r;
}

static int push_rows(dv_push *p, dv_registry *reg, void *user, davit_error **err)
{
    const stored *s = user;
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->rows.count; i++)
        r = push_row(p, reg, &s->rows.items[i], err);
    return r;
}

static void drop_row(dv_reference_rows *rows, size_t i)
{
    dv_reference_row *row = &rows->items[i];
    free(row->reference);
    free(row->media_type);
    rows->count--;
    memmove(row, row + 1, (rows->count - i) * sizeof(*row));
}

/* The tags that are meant, out of all references of the repository. */
static int keep_tags(const dv_push *p, dv_reference_rows *rows, davit_error **err)
{
    const char *name = davit_reference_name(p->ref), *tag = davit_reference_tag(p->ref);
    size_t length = strlen(name);
    bool all = p->options->flags & DAVIT_PUSH_ALL_TAGS;
    for (size_t i = 0; i < rows->count;) {
        const char *text = rows->items[i].reference + length;
        if (*text == ':' && !strchr(text, '@') && (all || strcmp(text + 1, tag) == 0))
            i++;
        else
            drop_row(rows, i);
    }
    if (rows->count > 0)
        return 0;
    if (all)
        return dv_error_set(err, DAVIT_ENOTFOUND, "no tags to push for %s",
                            davit_reference_familiar_name(p->ref));
    return dv_error_set(err, DAVIT_ENOTFOUND, "tag does not exist: %s", davit_reference_familiar(p->ref));
}

static int find_rows(dv_push *p, void *user, davit_error **err)
{
    dv_reference_rows *rows = &((stored *)user)->rows;
    int r = dv_reference_store_by_name(p->store, davit_reference_name(p->ref), rows, err);
    if (r < 0)
        return r;
    if (rows->count == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "An image does not exist locally with the tag: %s",
                            davit_reference_familiar_name(p->ref));
    if (!davit_reference_tag(p->ref) && davit_reference_digest_text(p->ref))
        return dv_error_set(err, DAVIT_EINVAL, "cannot push a digest reference");
    return keep_tags(p, rows, err);
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

static int check_arguments(const davit_reference *ref, const davit_push_options *o, davit_error **err)
{
    const uint32_t known =
        DAVIT_PUSH_ALL_TAGS | DAVIT_PUSH_SPARSE | DAVIT_PUSH_SKIP_FOREIGN | DAVIT_PUSH_ALL_PLATFORMS;
    bool all_tags = o->flags & DAVIT_PUSH_ALL_TAGS;
    if (o->version != DAVIT_PUSH_OPTIONS_VERSION || o->flags & ~known)
        return dv_error_set(err, DAVIT_EINVAL, "unknown push options (version %u, flags 0x%x)", o->version,
                            o->flags);
    if (davit_reference_is_name_only(ref) != all_tags)
        return dv_error_set(err, DAVIT_EINVAL,
                            all_tags ? "tag can't be used with all tags: %s" : "no tag in %s",
                            davit_reference_familiar(ref));
    if (o->platform && o->flags & DAVIT_PUSH_SPARSE)
        return dv_error_set(err, DAVIT_EINVAL, "a platform and a sparse index exclude each other");
    if (o->flags & DAVIT_PUSH_ALL_PLATFORMS && (o->platform || o->flags & DAVIT_PUSH_SPARSE))
        return dv_error_set(err, DAVIT_EINVAL, "all platforms, and a choice of them, exclude each other");
    if (strcmp(davit_reference_familiar_name(ref), "scratch") == 0)
        return dv_error_set(err, DAVIT_EFORBIDDEN, "'scratch' is a reserved name");
    return 0;
}

typedef struct question {
    dv_push *push;
    const dv_push_stages *stages;
} question;

static int ask(dv_registry *reg, void *user, davit_error **err)
{
    question *q = user;
    dv_push *p = q->push;
    free(DV_STEAL(p->done));
    p->done_count = 0;
    p->result = (davit_push_result){0};
    int r = dv_registry_set_actions(reg, "push,pull", err);
    if (r == 0)
        r = dv_registry_set_meta_headers(reg, p->meta_headers, err);
    return r < 0 ? r : q->stages->push(p, reg, q->stages->user, err);
}

static int list_endpoints(const dv_push *p, dv_endpoints *out, davit_error **err)
{
    const dv_own_stores *own = p->own;
    int r = own && own->has_resolver ? dv_own_endpoints(&own->resolver, davit_reference_domain(p->ref),
                                                        /* push= */ true, out, err)
                                     : 1;
    return r > 0 ? dv_endpoint_list_push(p->client, p->ref, out, err) : r;
}

/* Over the endpoints with the caller's credentials; refused with those at hand, once more with what the callback gives. */
static int push_authorized(dv_push *p, const dv_push_stages *stages, davit_error **err)
{
    const davit_push_options *o = p->options;
    DV_AUTO(davit_auth_config) other = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    question q = {p, stages};
    int r = list_endpoints(p, &endpoints, err);
    if (r == 0)
        r = dv_endpoint_loop_push(p->client, &endpoints, p->ref, o->auth, ask, &q, err);
    if (r != DAVIT_EUNAUTHORIZED || !o->request_auth_config)
        return r;
    r = dv_auth_config_request(o->request_auth_config, o->user_data, &other, err);
    return r < 0 ? r : dv_endpoint_loop_push(p->client, &endpoints, p->ref, &other, ask, &q, err);
}

int dv_push_over_endpoints(dv_push *p, const dv_push_stages *stages, davit_push_result *out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL; /* the endpoint loop decides by it, so it is always made */
    int r = check_arguments(p->ref, p->options, &why);
    if (r == 0)
        r = dv_uploads_get(p->client, &p->uploads, &why);
    if (r == 0)
        dv_push_message(p, "The push refers to repository [%s]", davit_reference_name(p->ref));
    if (r == 0)
        r = stages->find(p, stages->user, &why);
    if (r == 0)
        r = push_authorized(p, stages, &why);
    free(DV_STEAL(p->done));
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (out)
        *out = p->result;
    return 0;
}

int dv_push_on(davit_client *client, const davit_reference *ref, const davit_push_options *options,
               const dv_own_stores *own, const char *const *meta_headers, davit_push_result *out,
               davit_error **err)
{
    static const davit_push_options defaults = DAVIT_PUSH_OPTIONS_INIT;
    dv_push p = {.client = client,
                 .options = options ? options : &defaults,
                 .own = own,
                 .meta_headers = meta_headers,
                 .ref = ref};
    stored s = {0};
    dv_transfers *transfers;
    int r = check_arguments(ref, p.options, err); /* before a store is made */
    if (r == 0)
        r = dv_transfers_get(client, &transfers, err);
    if (r < 0)
        return r;
    p.store = dv_store_ref(dv_transfers_store(transfers));
    r = dv_push_over_endpoints(&p, &(dv_push_stages){find_rows, push_rows, &s}, out, err);
    dv_reference_rows_clear(&s.rows);
    dv_lease_release(p.lease);
    dv_store_unref(p.store);
    return r;
}

int davit_push(davit_client *client, const davit_reference *ref, const davit_push_options *options,
               davit_push_result *out, davit_error **err)
{
    return dv_push_on(client, ref, options, /* own= */ NULL, /* meta_headers= */ NULL, out, err);
}
