/*
 * distribution/push_own.c - davit_distribution_push(): which images an embedder's stores name, and the record. The sending is
 * push_provided.c. Spec: push.md 1, 2, 3, 10.
 */
#include "distribution/distribution.h"
#include "distribution/push_private.h"
#include "distribution/push_provided.h"
#include "util/log.h"

#include "davit/image_config.h"

#include <string.h>

#define CONFIGS_MAX (64u << 20) /* bytes of the configs of all tags together */
#define TAGS_MAX 65536
#define REFERENCES "reference store"
#define IMAGES "image config store"

DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)

/* One tag. */
typedef struct own_tag {
    davit_reference *reference;
    davit_digest id;
    dv_buf config; /* empty when an earlier tag names the same image */
    const dv_buf *bytes;
} own_tag;

typedef struct own_push {
    const dv_distribution *d;
    const davit_reference *ref;
    own_tag *tags;
    size_t count;
    bool any; /* the repository has associations */
    int r;    /* of what was given */
    size_t config_bytes;
    dv_provided_image *images;
} own_push;

static void own_push_clear(own_push *p)
{
    for (size_t i = 0; i < p->count; i++) {
        davit_reference_free(p->tags[i].reference);
        dv_buf_clear(&p->tags[i].config);
    }
    free(p->tags);
    free(p->images);
}
DV_DEFINE_AUTO(own_push, own_push_clear)

/* --- tags -------------------------------------------------------------------------------------------------------------- */

static int add_tag(own_push *p, const davit_reference *ref, const davit_digest *id)
{
    own_tag *grown = p->count < TAGS_MAX ? dv_realloc_array(p->tags, p->count + 1, sizeof(*grown)) : NULL;
    if (!grown)
        return p->count < TAGS_MAX ? DAVIT_ENOMEM : DAVIT_ETOOBIG;
    p->tags = grown;
    grown[p->count] = (own_tag){.id = *id, .config = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX)};
    int r = davit_reference_with_tag(ref, davit_reference_tag(ref), &grown[p->count].reference, NULL);
    p->count += r == 0;
    return r;
}

static int on_association(const davit_reference *ref, const davit_digest *id, void *give_data)
{
    own_push *p = give_data;
    const char *tag = davit_reference_tag(ref), *wanted = davit_reference_tag(p->ref);
    if (p->r < 0 || strcmp(davit_reference_name(ref), davit_reference_name(p->ref)) != 0)
        return p->r;
    p->any = true;
    if (tag && !davit_reference_digest_text(ref) && (!wanted || strcmp(tag, wanted) == 0))
        p->r = add_tag(p, ref, id);
    return p->r;
}

static int compare_tags(const void *a, const void *b)
{
    return strcmp(davit_reference_text(((const own_tag *)a)->reference),
                  davit_reference_text(((const own_tag *)b)->reference));
}

static int find_tags(own_push *p, davit_error **err)
{
    const davit_reference_store *s = &p->d->own.references;
    const char *name = davit_reference_familiar_name(p->ref);
    int r = dv_own_result(s->by_name(s->user_data, p->ref, on_association, p, err), REFERENCES, err);
    if (p->r < 0)
        return p->r == DAVIT_ENOMEM ? dv_error_oom(err)
                                    : dv_error_set(err, p->r, "%s: more than %d tags", name, TAGS_MAX);
    if (r < 0)
        return r;
    if (!p->any)
        return dv_error_set(err, DAVIT_ENOTFOUND, "An image does not exist locally with the tag: %s", name);
    if (davit_reference_digest_text(p->ref) && !davit_reference_tag(p->ref))
        return dv_error_set(err, DAVIT_EINVAL, "cannot push a digest reference");
    if (p->count == 0 && davit_reference_is_name_only(p->ref))
        return dv_error_set(err, DAVIT_ENOTFOUND, "no tags to push for %s", name);
    if (p->count == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "tag does not exist: %s", davit_reference_familiar(p->ref));
    qsort(p->tags, p->count, sizeof(*p->tags), compare_tags);
    return 0;
}

/* --- configs ------------------------------------------------------------------------------------------------------------ */

static int read_config(own_push *p, own_tag *tag, davit_error **err)
{
    const davit_image_config_store *s = &p->d->own.images;
    DV_AUTOPTR(davit_error) why = NULL;
    davit_digest got;
    int r = dv_own_collected(s->get(s->user_data, &tag->id, dv_own_collect, &tag->config, &why), &tag->config,
                             IMAGES, &why);
    if (r == 0)
        r = davit_digest_of(tag->id.algorithm, dv_buf_text(&tag->config), tag->config.size, &got, &why);
    if (r == 0 && !davit_digest_equal(&got, &tag->id))
        r = dv_error_set(&why, DAVIT_EDIGEST, IMAGES ": failed to verify: %s", tag->id.text);
    p->config_bytes += tag->config.size;
    if (r == 0 && p->config_bytes > CONFIGS_MAX)
        r = dv_error_set(&why, DAVIT_ETOOBIG, "more than %u MiB of image configs", CONFIGS_MAX >> 20);
    if (r == 0)
        return 0;
    dv_error_wrap(&why, r, "could not find image from tag %s", davit_reference_familiar(tag->reference));
    return dv_error_move(err, &why, r);
}

static int read_configs(own_push *p, davit_error **err)
{
    for (size_t i = 0; i < p->count; i++) {
        own_tag *tag = &p->tags[i];
        for (size_t k = 0; k < i && !tag->bytes; k++)
            if (davit_digest_equal(&p->tags[k].id, &tag->id))
                tag->bytes = p->tags[k].bytes;
        if (tag->bytes)
            continue;
        int r = read_config(p, tag, err);
        if (r < 0)
            return r;
        tag->bytes = &tag->config;
    }
    return 0;
}

static int find(void *user, const dv_provided_image **out, size_t *out_count, davit_error **err)
{
    own_push *p = user;
    int r = find_tags(p, err);
    if (r == 0)
        r = read_configs(p, err);
    if (r < 0)
        return r;
    p->images = dv_new_array(dv_provided_image, p->count);
    if (!p->images)
        return dv_error_oom(err);
    for (size_t i = 0; i < p->count; i++)
        p->images[i] = (dv_provided_image){.reference = p->tags[i].reference,
                                           .config = dv_buf_text(p->tags[i].bytes),
                                           .config_size = p->tags[i].bytes->size};
    *out = p->images;
    *out_count = p->count;
    return 0;
}

/* --- the record ---------------------------------------------------------------------------------------------------------- */

/* name@digest; one that is kept for another image stays (push.md 10). */
static void on_pushed(const davit_reference *ref, const davit_digest *digest, uint64_t size, void *user_data)
{
    const own_push *p = user_data;
    const davit_reference_store *s = &p->d->own.references;
    DV_AUTOPTR(davit_reference) name = NULL;
    DV_AUTOPTR(davit_reference) pinned = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    const own_tag *tag = p->tags;
    while (strcmp(davit_reference_text(tag->reference), davit_reference_text(ref)) != 0)
        tag++;
    if (!s->add_digest)
        return;
    int r = davit_reference_trim(ref, &name, &why);
    if (r == 0)
        r = davit_reference_with_digest(name, digest->text, &pinned, &why);
    if (r == 0)
        r = dv_own_result(s->add_digest(s->user_data, pinned, &tag->id, /* force= */ true, &why), REFERENCES,
                          &why);
    if (r < 0)
        dv_warn("%s@%s is not recorded: %s", davit_reference_familiar_name(ref), digest->text,
                davit_error_message(why));
}

static void on_progress(const davit_progress *event, void *user_data)
{
    const davit_distribution_config *c = &((const own_push *)user_data)->d->config;
    c->progress(event, c->user_data);
}

static int on_request_auth(void *user_data, char **out_header, davit_error **err)
{
    const davit_distribution_config *c = &((const own_push *)user_data)->d->config;
    return c->request_auth_config(c->user_data, out_header, err);
}

/* --- the whole ------------------------------------------------------------------------------------------------------------ */

static int check_push(const davit_image_push_config *c, const dv_own_stores *own, davit_error **err)
{
    if (c->version != DAVIT_IMAGE_PUSH_CONFIG_VERSION || c->flags & ~DAVIT_IMAGE_PUSH_SKIP_FOREIGN)
        return dv_error_set(err, DAVIT_EINVAL, "unknown push config (version %u, flags 0x%x)", c->version,
                            c->flags);
    if (c->kind && c->kind != DAVIT_MANIFEST_DOCKER && c->kind != DAVIT_MANIFEST_OCI)
        return dv_error_set(err, DAVIT_EINVAL, "a push makes no manifest of kind %d", c->kind);
    if (!own->has_layers &&
        (own->has_images || own->has_references || own->has_metadata || c->kind || c->config_media_type))
        return dv_error_set(err, DAVIT_EINVAL,
                            "stores of one's own need a layer provider: the client's store has its own");
    if (own->has_layers && !(own->images.get && own->references.by_name))
        return dv_error_set(err, DAVIT_EINVAL,
                            "layers of one's own need an image config store that gives and a reference store "
                            "that lists");
    return 0;
}

static int push_own(davit_client *client, const davit_reference *ref, const davit_image_push_config *c,
                    const dv_distribution *d, davit_push_options *options, davit_push_result *out,
                    davit_error **err)
{
    DV_AUTO(own_push) p = {.d = d, .ref = ref};
    options->progress = d->config.progress ? on_progress : NULL;
    options->request_auth_config = d->config.request_auth_config ? on_request_auth : NULL;
    options->user_data = &p;
    options->pushed = on_pushed;
    return dv_push_provided(client, ref,
                            &(dv_push_provider){
                                .user = &p,
                                .find = find,
                                .layers = &d->own.layers,
                                .config_media_type = c->config_media_type,
                                .kind = c->kind,
                                .table = d->own.has_metadata ? &d->own.metadata : NULL,
                                .own = &d->own,
                                .meta_headers = d->config.meta_headers,
                            },
                            options, out, err);
}

int davit_distribution_push(davit_client *client, const davit_reference *ref,
                            const davit_image_push_config *config, davit_push_result *out, davit_error **err)
{
    static const davit_image_push_config defaults = DAVIT_IMAGE_PUSH_CONFIG_INIT;
    const davit_image_push_config *c = config ? config : &defaults;
    DV_AUTO(dv_distribution) d;
    davit_push_options options = DAVIT_PUSH_OPTIONS_INIT;
    int r = dv_distribution_init(&d, c->config, /* content= */ NULL, c->layers, ref, err);
    if (r == 0)
        r = check_push(c, &d.own, err);
    if (r < 0)
        return r;
    options.flags = (davit_reference_is_name_only(ref) ? DAVIT_PUSH_ALL_TAGS : 0) |
                    (c->flags & DAVIT_IMAGE_PUSH_SKIP_FOREIGN ? DAVIT_PUSH_SKIP_FOREIGN : 0);
    options.progress = d.config.progress;
    options.user_data = d.config.user_data;
    options.auth = d.auth;
    options.request_auth_config = d.config.request_auth_config;
    r = d.own.has_layers ? push_own(client, ref, c, &d, &options, out, err)
                         : dv_push_on(client, ref, &options, &d.own, d.config.meta_headers, out, err);
    if (r == 0)
        dv_distribution_log(&d, "push", ref);
    return r;
}
