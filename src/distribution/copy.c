/*
 * distribution/copy.c - davit_copy(): between which places, which names, and the order in which things appear at the target (DESIGN 3, 6).
 *
 * For each name: what it is here and there; everything behind it, found first (copy_plan.c); blobs, documents from the leaves up, and the
 * name last. Leaves to others: how a blob gets there (copy_files.c, copy_uploads.c), what places are (source_*.c, target_*.c).
 */
#include "distribution/copy_private.h"

#include "oci/manifest.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "registry/v2_manifest.h"
#include "util/str.h"

#include <stdarg.h>
#include <string.h>

#define MESSAGE_MAX (16u << 10)
#define NAMES_BYTES_MAX \
    (8u << 20) /* of all names of a source together, with what malloc() adds (threats C4) */
#define NAME_OVERHEAD 24

/* --- events ------------------------------------------------------------------------------------------------------------------------------ */

static void emit(const dv_copy *c, davit_progress_kind kind, const char *fmt, va_list ap)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    dv_buf_vprintf(&text, fmt, ap);
    if (c->options->progress && !text.failed)
        c->options->progress(&(davit_progress){.kind = kind, .action = dv_buf_text(&text)},
                             c->options->user_data);
}

void dv_copy_warn(const dv_copy *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    emit(c, DAVIT_PROGRESS_WARNING, fmt, ap);
    va_end(ap);
}

void dv_copy_message(const dv_copy *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    emit(c, DAVIT_PROGRESS_MESSAGE, fmt, ap);
    va_end(ap);
}

void dv_copy_tell(const dv_copy *c, const davit_descriptor *blob, const char *action, uint64_t current,
                  uint64_t total)
{
    char id[13];
    if (!c->options->progress)
        return;
    memcpy(id, davit_digest_hex(&blob->digest), sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    c->options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_LAYER,
                                           .id = id,
                                           .action = action,
                                           .current = current,
                                           .total = total,
                                           .has_counts = total > 0},
                         c->options->user_data);
}

static void warn_choice(void *user, const char *text)
{
    dv_copy_warn(user, "%s", text);
}

/* --- one name ------------------------------------------------------------------------------------------------------------------------------ */

static int has_document(void *user, const davit_descriptor *document, davit_error **err)
{
    const dv_copy *c = user;
    dv_target *t = c->target;
    if (c->same_repository)
        return 1;
    return t->ops->has_document ? t->ops->has_document(t, document, err) : 0;
}

static int make_plan(dv_copy *c, const davit_descriptor *root, bool whole, dv_copy_plan *plan,
                     davit_error **err)
{
    const davit_copy_options *o = c->options;
    const dv_copy_choice choice = {.platforms = whole ? NULL : o->platforms,
                                   .platform_count = whole ? 0 : o->platform_count,
                                   .sparse = !whole && o->flags & DAVIT_COPY_SPARSE,
                                   .whole = whole || o->flags & DAVIT_COPY_ALL_PLATFORMS,
                                   .one = c->target->one_image,
                                   .warn = warn_choice,
                                   .user = c};
    return dv_copy_plan_make(plan, c->source, root, &choice, has_document, c, err);
}

/* What is missing, counted and not copied. */
static int count_missing(dv_copy *c, const dv_copy_plan *plan, davit_error **err)
{
    for (size_t i = 0; i < plan->blob_count; i++) {
        int r = c->same_repository ? 1 : c->target->ops->has_blob(c->target, &plan->blobs[i], err);
        if (r < 0)
            return r;
        *(r ? &c->result.present_count : &c->result.copied_count) += 1;
        *(r ? &c->result.present_bytes : &c->result.copied_bytes) += plan->blobs[i].size;
    }
    c->result.manifest_count += (uint32_t)plan->document_count;
    return 0;
}

static int put_documents(dv_copy *c, const dv_copy_plan *plan, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < plan->document_count; i++) {
        r = dv_client_check_cancelled(c->client, err);
        if (r == 0)
            r = c->target->ops->put_document(c->target, &plan->documents[i], err);
        c->result.manifest_count += r == 0;
    }
    return r;
}

static int put_all(dv_copy *c, const dv_copy_plan *plan, const char *name, bool tagged, davit_error **err)
{
    int r = put_documents(c, plan, err);
    return r < 0 || !tagged ? r : c->target->ops->tag(c->target, plan, name, err);
}

/* What neither source nor target has at hand. anew: what the target said of them is not believed. */
static int fetch_missing(dv_copy *c, const dv_copy_plan *plan, bool anew, davit_error **err)
{
    dv_source *s = c->source;
    size_t count = 0;
    int r = 0;
    if (!s->ops->fetch)
        return 0;
    DV_AUTOFREE davit_descriptor *missing = dv_new_array(davit_descriptor, plan->blob_count);
    if (!missing)
        return dv_error_oom(err);
    for (size_t i = 0; r >= 0 && i < plan->blob_count; i++) {
        r = s->ops->has_blob(s, &plan->blobs[i], err);
        if (r == 0 && !anew)
            r = c->target->ops->has_blob(c->target, &plan->blobs[i], err);
        if (r == 0)
            missing[count++] = plan->blobs[i];
    }
    if (r < 0 || count == 0)
        return r < 0 ? r : 0;
    return s->ops->fetch(s, missing, count, err);
}

static int move_content(dv_copy *c, const dv_copy_plan *plan, const char *name, bool tagged, bool alone,
                        davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = c->target->ops->begin(c->target, plan, name, alone, err);
    if (r == 0)
        r = fetch_missing(c, plan, /* anew= */ false, err);
    if (r == 0)
        r = c->target->registry ? dv_copy_uploads(c, plan, /* anew= */ false, err)
                                : dv_copy_files(c, plan, err);
    if (r < 0)
        return r;
    r = put_all(c, plan, name, tagged, &why);
    bool sparse = c->options->flags & DAVIT_COPY_SPARSE; /* then it may well miss what is not copied */
    if (r == 0 || !c->target->registry || sparse || !dv_v2_manifest_misses_blob(why))
        return r < 0 ? dv_error_move(err, &why, r) : 0;
    dv_copy_warn(c, "the registry lacks a blob that it said it has; all are looked at again");
    r = fetch_missing(c, plan, /* anew= */ true, err);
    if (r == 0)
        r = dv_copy_uploads(c, plan, /* anew= */ true, err);
    return r < 0 ? r : put_all(c, plan, name, tagged, err);
}

int dv_copy_content(dv_copy *c, const davit_descriptor *root, davit_error **err)
{
    DV_AUTO(dv_copy_plan) plan = DV_COPY_PLAN_INIT;
    int r = make_plan(c, root, /* whole= */ true, &plan, err);
    if (r < 0)
        return r;
    plan.documents[plan.document_count - 1].is_child = true;
    if (c->options->flags & DAVIT_COPY_DRY_RUN)
        return count_missing(c, &plan, err);
    return move_content(c, &plan, NULL, /* tagged= */ false, /* alone= */ false, err);
}

static const char *target_text(const dv_copy *c, const char *name, dv_buf *out)
{
    dv_place_format(&c->to, name, out);
    return dv_buf_text(out);
}

static int refuse_to_replace(const dv_copy *c, const char *name, const davit_digest *old,
                             const davit_digest *made, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    return dv_error_set(err, DAVIT_EEXIST, "%s is %s, and not replaced by %s", target_text(c, name, &text),
                        old->text, made->text);
}

static void tell_replaced(const dv_copy *c, const char *name, const davit_digest *old)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    bool dry = c->options->flags & DAVIT_COPY_DRY_RUN;
    dv_copy_warn(c, "%s %s: it was %s", target_text(c, name, &text),
                 dry ? "would be replaced" : "is replaced", old->text);
}

/* Nothing has to be looked at when the name means the very same, and no choice is made. */
static bool is_done(const dv_copy *c, bool there, const davit_digest *old, const davit_digest *wanted)
{
    const davit_copy_options *o = c->options;
    return there && davit_digest_equal(old, wanted) && c->target->ops->has_document &&
           o->platform_count == 0 && !(o->flags & (DAVIT_COPY_SPARSE | DAVIT_COPY_ALL_PLATFORMS));
}

static int move_name(dv_copy *c, const dv_copy_plan *plan, const char *to_name, bool there,
                     const davit_digest *old, bool alone, davit_error **err)
{
    const davit_digest *made = &dv_copy_plan_root(plan)->descriptor.digest;
    bool replaces = there && !davit_digest_equal(old, made);
    if (replaces && c->options->flags & DAVIT_COPY_NO_REPLACE)
        return refuse_to_replace(c, to_name, old, made, err);
    int r = c->options->flags & DAVIT_COPY_DRY_RUN
                ? count_missing(c, plan, err)
                : move_content(c, plan, to_name, /* tagged= */ true, alone, err);
    if (r < 0)
        return r;
    if (replaces)
        tell_replaced(c, to_name, old);
    c->result.digest = *made;
    c->result.updated = c->result.updated || replaces || !there;
    return 0;
}

/* Whoever removes it meanwhile: it is copied whole. */
static int hold(dv_copy *c, const davit_descriptor *root, davit_error **err)
{
    dv_source *s = c->source;
    return s->ops->hold && !(c->options->flags & DAVIT_COPY_DRY_RUN) ? s->ops->hold(s, root, err) : 0;
}

/* 1: the target has the name, for this digest; 0: not. */
static int find_old(const dv_copy *c, const char *name, davit_digest *out, davit_error **err)
{
    if (!c->old)
        return c->target->ops->resolve(c->target, name, out, err);
    *out = c->old->digest;
    return c->old->there;
}

int dv_copy_name(dv_copy *c, const char *from_name, const char *to_name, bool alone, davit_error **err)
{
    DV_AUTO(dv_copy_plan) plan = DV_COPY_PLAN_INIT;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    davit_descriptor root;
    davit_digest old;
    int r = c->source->ops->resolve(c->source, from_name, &root, err);
    if (r < 0)
        return r;
    int there = find_old(c, to_name, &old, err);
    if (there < 0)
        return there;
    c->result.source_digest = c->result.digest = root.digest;
    if (!is_done(c, there, &old, &root.digest)) {
        r = hold(c, &root, err);
        if (r == 0)
            r = make_plan(c, &root, /* whole= */ false, &plan, err);
        if (r == 0)
            r = move_name(c, &plan, to_name, there, &old, alone, err);
        if (r < 0)
            return r;
    }
    c->result.name_count++;
    if (c->options->flags & DAVIT_COPY_REFERRERS) {
        r = dv_copy_referrers(c, &root.digest, err);
        if (r < 0)
            return r;
    }
    dv_copy_message(c, "%s: %s", target_text(c, to_name, &text), c->result.digest.text);
    return 0;
}

/* --- all names ------------------------------------------------------------------------------------------------------------------------------- */

typedef struct name_list {
    char **items;
    size_t count, bytes;
    bool failed, too_many;
} name_list;

static void name_list_clear(name_list *l)
{
    while (l->count > 0)
        free(l->items[--l->count]);
    free(l->items);
}
DV_DEFINE_AUTO(name_list, name_list_clear)

static int add_name(void *user, const char *name)
{
    name_list *l = user;
    l->bytes += sizeof(*l->items) + NAME_OVERHEAD + strlen(name);
    l->too_many = l->bytes > NAMES_BYTES_MAX;
    if (l->too_many)
        return 1;
    char **place = dv_list_place(&l->items, l->count, sizeof(*place));
    char *copy = place ? dv_strdup(name) : NULL;
    l->failed = !copy;
    if (l->failed)
        return 1;
    *place = copy;
    l->count++;
    return 0;
}

/* What a name can be called at the target. */
static bool is_possible(const dv_copy *c, const char *name)
{
    DV_AUTOPTR(davit_reference) tagged = NULL;
    return !c->to.reference || davit_reference_with_tag(c->to.reference, name, &tagged, NULL) == 0;
}

static int copy_all_names(dv_copy *c, davit_error **err)
{
    DV_AUTO(name_list) names = {0};
    if (!c->source->ops->names || c->target->one_name)
        return dv_error_set(err, DAVIT_EINVAL, "all tags need a source and a target with several names");
    int r = c->source->ops->names(c->source, add_name, &names, err);
    if (r < 0)
        return r;
    if (names.failed)
        return dv_error_oom(err);
    if (names.too_many)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %u MiB of names", NAMES_BYTES_MAX >> 20);
    if (names.count == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "the source has no names");
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        if (is_possible(c, names.items[i]))
            r = dv_copy_name(c, names.items[i], names.items[i], /* alone= */ false, err);
        else
            dv_copy_warn(c, "\"%s\" is no valid tag, left out", names.items[i]);
    }
    return r;
}

/* --- the whole --------------------------------------------------------------------------------------------------------------------------------- */

static int check_options(const davit_copy_options *o, davit_error **err)
{
    const uint32_t known = DAVIT_COPY_ALL_TAGS | DAVIT_COPY_ALL_PLATFORMS | DAVIT_COPY_SPARSE |
                           DAVIT_COPY_REFERRERS | DAVIT_COPY_DRY_RUN | DAVIT_COPY_NO_REPLACE;
    if (o->version != DAVIT_COPY_OPTIONS_VERSION || o->flags & ~known)
        return dv_error_set(err, DAVIT_EINVAL, "unknown copy options (version %u, flags 0x%x)", o->version,
                            o->flags);
    if (o->flags & DAVIT_COPY_ALL_PLATFORMS && (o->platform_count > 0 || o->flags & DAVIT_COPY_SPARSE))
        return dv_error_set(err, DAVIT_EINVAL, "all platforms, and a choice of them, exclude each other");
    return 0;
}

static bool has_name(const dv_place *p)
{
    if (p->kind == DV_PLACE_REGISTRY || p->kind == DV_PLACE_STORE)
        return !p->reference || !davit_reference_is_name_only(p->reference);
    return p->name || p->id || p->digest.algorithm;
}

static int check_places(const dv_copy *c, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    bool all = c->options->flags & DAVIT_COPY_ALL_TAGS;
    const dv_place *named = all && has_name(&c->from) ? &c->from : all && has_name(&c->to) ? &c->to : NULL;
    if (named) {
        dv_place_format(named, NULL, &text);
        return dv_error_set(err, DAVIT_EINVAL, "tag can't be used with all tags: %s", dv_buf_text(&text));
    }
    if (dv_place_equal(&c->from, &c->to))
        return dv_error_set(err, DAVIT_EINVAL, "source and target are the same: %s",
                            target_text(c, NULL, &text));
    if (c->to.reference && davit_reference_digest_text(c->to.reference))
        return dv_error_set(err, DAVIT_EINVAL, "%s: a copy is given a tag, not a digest",
                            target_text(c, NULL, &text));
    return 0;
}

void dv_copy_clear(dv_copy *c)
{
    dv_source_close(c->source);
    dv_target_close(c->target);
    dv_store_unref(c->journal);
    dv_place_clear(&c->from);
    dv_place_clear(&c->to);
}

static void compare_places(dv_copy *c)
{
    if (c->from.kind != DV_PLACE_REGISTRY || c->to.kind != DV_PLACE_REGISTRY)
        return;
    c->same_registry =
        dv_str_equal(davit_reference_domain(c->from.reference), davit_reference_domain(c->to.reference));
    c->same_repository =
        dv_str_equal(davit_reference_name(c->from.reference), davit_reference_name(c->to.reference));
}

static int run(dv_copy *c, davit_error **err)
{
    bool referrers = c->options->flags & DAVIT_COPY_REFERRERS;
    int r = dv_source_open(c->client, &c->from, &c->source, err);
    if (r == 0) {
        c->source->progress = c->options->progress;
        c->source->progress_data = c->options->user_data;
    }
    if (r == 0)
        r = dv_target_open(c->client, &c->to, &c->target, err);
    if (r < 0)
        return r;
    compare_places(c);
    r = c->options->flags & DAVIT_COPY_ALL_TAGS ? copy_all_names(c, err)
                                                : dv_copy_name(c, NULL, NULL, !referrers, err);
    if (r == 0 && !(c->options->flags & DAVIT_COPY_DRY_RUN))
        r = c->target->ops->finish(c->target, err);
    if (r == 0 && c->source->ops->finish)
        r = c->source->ops->finish(c->source, err);
    return r;
}

int davit_copy(davit_client *client, const char *source, const char *target,
               const davit_copy_options *options, davit_copy_result *out, davit_error **err)
{
    static const davit_copy_options defaults = DAVIT_COPY_OPTIONS_INIT;
    DV_AUTO(dv_copy) c = {.client = client, .options = options ? options : &defaults};
    int r = check_options(c.options, err);
    if (r == 0)
        r = dv_place_parse(source, DV_PLACE_REGISTRY, &c.from, err);
    if (r == 0)
        r = dv_place_parse(target, DV_PLACE_REGISTRY, &c.to, err);
    if (r == 0)
        r = check_places(&c, err);
    if (r == 0)
        r = run(&c, err);
    if (r == 0 && out)
        *out = c.result;
    return r;
}
