/*
 * distribution/pull_v1.c - davit_v1_pull(): images of a v1 registry into the store (registry-v1.md 9).
 *
 * What they stand on is fetched by a reader (v1_reader.c), which asks for nothing that is known; each then becomes an image of today
 * (v1_convert.c), and they get their names all together as loaded images do (load_record.c).
 */
#include "distribution/load_private.h"

#include "distribution/v1_convert.h"
#include "distribution/v1_reader.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "store/digest_set.h"
#include "util/str.h"

#include <string.h>

#define TAGS_AT_ONCE 256 /* bounds what is in memory of ancestries */

typedef struct v1_pull {
    dv_load *load;
    dv_v1_reader *reader;
    dv_v1_wanted *wanted;
    dv_digest_set needed; /* blobs: thousands of tags may stand on the same ones */
} v1_pull;

/* --- an image ------------------------------------------------------------------------------------------------------------ */

/* 1: for the first time. */
static int need_blob(v1_pull *p, const davit_descriptor *blob, davit_error **err)
{
    int r = dv_digest_set_add(&p->needed, &blob->digest, NULL, err);
    if (r <= 0)
        return r;
    r = dv_load_need(p->load, blob, NULL, NULL, err);
    return r < 0 ? r : 1;
}

/* From here on nobody takes away what is behind it. */
static int hold(const v1_pull *p, const dv_v1_converted *made, davit_error **err)
{
    DV_AUTOFREE davit_digest *digests = dv_new_array(davit_digest, made->count + 2);
    if (!digests)
        return dv_error_oom(err);
    for (size_t i = 0; i < made->count; i++)
        digests[i] = made->layers[i].digest;
    digests[made->count] = made->config_descriptor.digest;
    digests[made->count + 1] = made->manifest_descriptor.digest;
    return dv_lease_add(p->load->lease, digests, made->count + 2, err);
}

/* Those that are known, and gone from the store since, are fetched again. */
static int need_layers(v1_pull *p, const dv_v1_converted *made, davit_error **err)
{
    DV_AUTOFREE char **missing = dv_new_array(char *, made->count);
    size_t count = 0;
    int r = missing ? 0 : dv_error_oom(err);
    for (size_t i = 0; r >= 0 && i < made->count; i++) {
        const davit_descriptor *layer = &made->layers[i];
        r = need_blob(p, layer, err);
        if (r > 0 && (r = dv_content_has(p->load->store, &layer->digest, layer->size, err)) == 0)
            missing[count++] = made->ids[i];
    }
    return r < 0 || count == 0 ? (r < 0 ? r : 0)
                               : dv_v1_reader_fetch_layers(p->reader, p->wanted, missing, count, err);
}

/* It goes to the disk at once: of thousands of tags they are too many for memory. */
static int need_document(v1_pull *p, const davit_descriptor *document, const void *bytes, davit_error **err)
{
    int r = dv_v1_reader_stage(p->reader, &document->digest, err);
    if (r == 0)
        r = dv_content_put(p->load->store, document, bytes, err);
    if (r == 0)
        r = need_blob(p, document, err);
    return r < 0 ? r : 0;
}

static int need_blobs(v1_pull *p, const dv_v1_converted *made, davit_error **err)
{
    size_t size;
    const void *config = davit_image_config_bytes(made->config, &size);
    int r = hold(p, made, err);
    if (r == 0)
        r = need_layers(p, made, err);
    if (r == 0)
        r = need_document(p, &made->config_descriptor, config, err);
    return r == 0 ? need_document(p, &made->manifest_descriptor, made->manifest, err) : r;
}

/* ref: in the store; NULL: none. */
static int add_target(const v1_pull *p, const dv_v1_converted *made, davit_reference *ref, davit_error **err)
{
    const davit_digest *id = &made->config_descriptor.digest;
    dv_load_row row = {
        .image = {.manifest = made->manifest_descriptor.digest, .config = *id, .size = made->size},
        .manifest = made->manifest_descriptor};
    dv_load_target *t = NULL;
    row.image.platform = *davit_image_config_platform(made->config);
    int r = dv_load_add_target(p->load, &t, err);
    if (r < 0)
        return r;
    p->load->loaded->last_tags = ref ? 1 : 0;
    t->reference = ref;
    t->image_id = *id;
    t->target = made->manifest_descriptor;
    r = dv_load_add_row(t, &row, err);
    return r < 0 ? r : dv_load_add_id(p->load, id, err);
}

static int add_image(v1_pull *p, const davit_v1_tag *tag, davit_reference **ref, davit_error **err)
{
    DV_AUTO(dv_v1_converted) made = DV_V1_CONVERTED_INIT;
    int r = dv_v1_convert(p->load->store, dv_v1_wanted_registry(p->wanted), tag->id, &made, err);
    if (r == 0)
        r = dv_load_check_system(p->load, davit_image_config_platform(made.config), err);
    if (r == 0)
        r = need_blobs(p, &made, err);
    return r < 0 ? r : add_target(p, &made, DV_STEAL(*ref), err);
}

/* --- tags ---------------------------------------------------------------------------------------------------------------- */

static int name_of(const v1_pull *p, const char *tag, davit_reference **out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
    dv_buf_printf(&text, "%s/%s:%s", dv_v1_repository_domain(p->wanted->opened),
                  davit_v1_repository_path(p->wanted->opened), tag);
    if (text.failed)
        return dv_error_set(err, DAVIT_EINVAL, "the name of tag '%.80s' is too long", tag);
    return davit_reference_parse(dv_buf_text(&text), out, err);
}

static int name_error(const char *tag, int r, davit_error **err)
{
    return r < 0 && r != DAVIT_ENOMEM && tag ? dv_error_wrap(err, r, "tag %s", tag) : r;
}

/* Names are looked at before anything is fetched for them. */
static int name_tags(const v1_pull *p, davit_reference **names, davit_error **err)
{
    const davit_v1_tags *tags = p->wanted->tags;
    int r = 0;
    if (tags->count > DV_V1_TOPS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "%zu tags, at most %d are pulled at once", tags->count,
                            DV_V1_TOPS_MAX);
    for (size_t i = 0; r == 0 && i < tags->count; i++)
        if (tags->items[i].name)
            r = name_error(tags->items[i].name, name_of(p, tags->items[i].name, &names[i], err), err);
    return r;
}

static int fetch_tags(const v1_pull *p, davit_error **err)
{
    const davit_v1_tags *tags = p->wanted->tags;
    DV_AUTOFREE dv_v1_top *tops = dv_new_array(dv_v1_top, tags->count);
    if (!tops)
        return dv_error_oom(err);
    for (size_t i = 0; i < tags->count; i++)
        tops[i] = (dv_v1_top){.wanted = p->wanted, .id = tags->items[i].id};
    int r = 0;
    for (size_t i = 0; r == 0 && i < tags->count; i += TAGS_AT_ONCE) {
        size_t left = tags->count - i;
        r = dv_v1_reader_fetch(p->reader, &tops[i], left < TAGS_AT_ONCE ? left : TAGS_AT_ONCE, err);
    }
    for (size_t i = 0; i < tags->count; i++)
        davit_error_free(tops[i].err);
    return tags->count == 1 ? name_error(tags->items[0].name, r, err) : r;
}

static int pull_tags(v1_pull *p, davit_error **err)
{
    const davit_v1_tags *tags = p->wanted->tags;
    DV_AUTOFREE davit_reference **names = dv_new_array(davit_reference *, tags->count);
    if (!names)
        return dv_error_oom(err);
    int r = name_tags(p, names, err);
    if (r == 0)
        r = fetch_tags(p, err);
    for (size_t i = 0; r == 0 && i < tags->count; i++)
        r = name_error(tags->items[i].name, add_image(p, &tags->items[i], &names[i], err), err);
    for (size_t i = 0; i < tags->count; i++)
        davit_reference_free(names[i]);
    return r;
}

/* --- the whole ----------------------------------------------------------------------------------------------------------- */

static int check_options(const davit_v1_pull_options *o, davit_error **err)
{
    bool all = o->flags & DAVIT_V1_PULL_ALL_TAGS;
    if (o->version != DAVIT_V1_PULL_OPTIONS_VERSION || (o->flags & ~DAVIT_V1_PULL_ALL_TAGS))
        return dv_error_set(err, DAVIT_EINVAL, "unknown v1 pull options (version %u, flags 0x%x)", o->version,
                            o->flags);
    if ((all && (o->tag || o->image)) || (o->tag && o->image))
        return dv_error_set(err, DAVIT_EINVAL, "a tag, an image and all tags exclude each other");
    return 0;
}

int davit_v1_pull(davit_client *client, const char *name, const davit_v1_pull_options *options,
                  davit_load_result *out, davit_error **err)
{
    static const davit_v1_pull_options defaults = DAVIT_V1_PULL_OPTIONS_INIT;
    const davit_v1_pull_options *o = options ? options : &defaults;
    const dv_v1_reader_options reading = {.open = o->open, .progress = o->progress, .user_data = o->user_data};
    dv_loaded loaded = {0};
    davit_load_options how = DAVIT_LOAD_OPTIONS_INIT;
    how.progress = o->progress;
    how.user_data = o->user_data;
    DV_AUTO(dv_load) l = {.client = client, .options = &how, .loaded = &loaded, .layout_fd = -1};
    DV_AUTO(dv_v1_wanted)
    wanted = {.name = name,
              .id = o->image,
              .tag = o->flags & DAVIT_V1_PULL_ALL_TAGS ? NULL
                     : o->tag                          ? o->tag
                                                       : "latest"};
    DV_AUTOPTR(dv_v1_reader) reader = NULL;
    v1_pull pull = {.load = &l, .wanted = &wanted};
    int r = check_options(o, err);
    if (r == 0)
        r = dv_load_prepare(&l, err);
    if (r == 0)
        r = dv_v1_reader_open(client, &reading, &reader, err);
    if (r == 0)
        r = dv_v1_reader_list(reader, &wanted, 1, err);
    pull.reader = reader;
    if (r == 0)
        r = pull_tags(&pull, err);
    dv_digest_set_clear(&pull.needed);
    if (r == 0)
        r = dv_load_record(&l, err);
    if (reader && dv_v1_reader_is_bad_input(r)) {
        dv_lease_release(DV_STEAL(l.lease));
        dv_v1_reader_drop(reader, NULL);
    }
    if (r == 0 && out)
        *out = l.result;
    return r;
}
