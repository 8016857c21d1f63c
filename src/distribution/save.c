/*
 * distribution/save.c - davit_save(): which images the names mean (store.md 10), and what both formats ask of the store.
 */
#include "distribution/save_private.h"

#include "distribution/stored_image.h"
#include "distribution/stored_tree.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "store/content_graph.h"
#include "store/content_store.h"
#include "store/image_find.h"
#include "store/reference_store.h"
#include "util/str.h"

#include <stdarg.h>
#include <string.h>

#define MESSAGE_MAX (16u << 10)
#define NAMES_MAX 65536 /* references in one archive */

void dv_save_warn(const dv_save *s, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (s->options->progress && !text.failed)
        s->options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_WARNING, .action = dv_buf_text(&text)},
                             s->options->user_data);
}

const char *dv_save_what(const dv_save_name *name)
{
    if (name->reference)
        return davit_reference_familiar(name->reference);
    return name->id.algorithm ? name->id.text : name->target.text;
}

/* --- names ---------------------------------------------------------------------------------------------------------------------- */

static bool same_name(const dv_save_name *a, const dv_save_name *b)
{
    const char *x = a->reference ? davit_reference_text(a->reference) : "";
    const char *y = b->reference ? davit_reference_text(b->reference) : "";
    return strcmp(x, y) == 0 && strcmp(a->target.text, b->target.text) == 0 &&
           strcmp(a->id.text, b->id.text) == 0;
}

/* Takes the reference over, also on failure. */
static int add_name(dv_save *s, const dv_save_name *name, davit_error **err)
{
    for (size_t i = 0; i < s->name_count; i++) {
        if (same_name(&s->names[i], name)) {
            davit_reference_free(name->reference);
            return 0;
        }
    }
    dv_save_name *grown =
        s->name_count < NAMES_MAX ? dv_realloc_array(s->names, s->name_count + 1, sizeof(*grown)) : NULL;
    if (!grown) {
        davit_reference_free(name->reference);
        return s->name_count < NAMES_MAX
                   ? dv_error_oom(err)
                   : dv_error_set(err, DAVIT_ETOOBIG, "more than %d references", NAMES_MAX);
    }
    s->names = grown;
    s->names[s->name_count++] = *name;
    return 0;
}

static int add_row(dv_save *s, const dv_reference_row *row, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = davit_reference_parse(row->reference, &ref, err);
    if (r < 0)
        return r;
    dv_save_name name = {.target = row->digest};
    if (!davit_reference_digest_text(ref))
        name.reference = DV_STEAL(ref);
    return add_name(s, &name, err);
}

/* By image id or a prefix of one. */
static int add_id(dv_save *s, const char *name, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    int r = dv_image_find_by_id(s->store, name, &rows, err);
    return r < 0 ? r : add_name(s, &(dv_save_name){.id = rows.items[0].config}, err);
}

/* A digest reference of what a tag brings along anyway would only say it twice. */
static bool has_tag(const dv_reference_rows *rows, const davit_digest *target)
{
    for (size_t i = 0; i < rows->count; i++)
        if (!strchr(rows->items[i].reference, '@') && davit_digest_equal(&rows->items[i].digest, target))
            return true;
    return false;
}

static int add_all_of(dv_save *s, const davit_reference *ref, const char *name, davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    int r = dv_reference_store_by_name(s->store, davit_reference_name(ref), &rows, err);
    if (r == 0 && rows.count == 0)
        return add_id(s, name, err);
    for (size_t i = 0; r == 0 && i < rows.count; i++)
        if (!strchr(rows.items[i].reference, '@') || !has_tag(&rows, &rows.items[i].digest))
            r = add_row(s, &rows.items[i], err);
    return r;
}

static int add_one(dv_save *s, const davit_reference *ref, const char *name, davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_reference_store_get(s->store, ref, &rows, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, r, "No such image: %s", name);
    return r < 0 ? dv_error_move(err, &why, r) : add_row(s, &rows.items[0], err);
}

static int resolve(dv_save *s, const char *name, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = davit_reference_parse_any(name, &ref, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", name);
    if (!*davit_reference_path(ref) || dv_str_equal(davit_reference_familiar_name(ref), "sha256"))
        return add_id(s, name, err);
    return davit_reference_is_name_only(ref) ? add_all_of(s, ref, name, err) : add_one(s, ref, name, err);
}

int dv_save_rows(const dv_save *s, const dv_save_name *name, dv_image_rows *out, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    int r = name->id.algorithm ? dv_image_find_by_id(s->store, name->id.text, &rows, err)
                               : dv_image_store_by_digest(s->store, &name->target, &rows, err);
    if (r == 0 && rows.count == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "No such image: %s", dv_save_what(name));
    if (r < 0)
        return r;
    *out = rows;
    rows = (dv_image_rows){0};
    return 0;
}

/* --- platforms -------------------------------------------------------------------------------------------------------------------- */

bool dv_save_is_platform(const dv_save *s, const davit_platform *have)
{
    return !s->options->platform || dv_stored_is_platform(have, s->options->platform);
}

int dv_save_no_platform(const dv_save *s, davit_error **err)
{
    char text[DAVIT_PLATFORM_TEXT_MAX];
    return dv_error_set(err, DAVIT_EPLATFORM, "no suitable export target found for platform %s",
                        davit_platform_format(s->options->platform, text));
}

/* --- manifests --------------------------------------------------------------------------------------------------------------------- */

int dv_save_manifest(const dv_save *s, const davit_digest *digest, const char *media_type,
                     davit_manifest **out, davit_error **err)
{
    return dv_stored_manifest(s->store, digest, media_type, out, err);
}

/* --- the store -------------------------------------------------------------------------------------------------------------------- */

static int add_contents(const dv_save *s, const dv_save_name *name, dv_content_graph *g, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    uint32_t node;
    int r = name->id.algorithm ? dv_save_rows(s, name, &rows, err)
                               : dv_content_graph_add_document(g, &name->target, NULL, &node, err);
    for (size_t i = 0; r == 0 && i < rows.count; i++)
        r = dv_content_graph_add_document(g, &rows.items[i].manifest, NULL, &node, err);
    return r;
}

/* Keep all that the names need while it is read, also when they are removed meanwhile; a store that nobody can write loses nothing. */
static int lease_all(dv_save *s, davit_error **err)
{
    DV_AUTO(dv_content_graph) g = DV_CONTENT_GRAPH_INIT(s->store);
    if (dv_store_is_read_only(s->store))
        return 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->name_count; i++)
        r = add_contents(s, &s->names[i], &g, err);
    if (r < 0)
        return r;
    r = dv_lease_open(s->store, &s->lease, err);
    return r < 0 ? r : dv_content_graph_hold(&g, s->lease, err);
}

/* --- the whole ------------------------------------------------------------------------------------------------------------------- */

static int check_options(const davit_save_options *o, size_t count, davit_error **err)
{
    const uint32_t known = DAVIT_SAVE_ALL_PLATFORMS | DAVIT_SAVE_SPARSE;
    if (o->version != DAVIT_SAVE_OPTIONS_VERSION || o->flags & ~known || o->format > DAVIT_SAVE_OCI)
        return dv_error_set(err, DAVIT_EINVAL, "unknown save options (version %u, flags 0x%x, format %d)",
                            o->version, o->flags, (int)o->format);
    if (o->flags && o->format != DAVIT_SAVE_OCI)
        return dv_error_set(err, DAVIT_EINVAL, "an index can only be saved in the OCI format");
    if (o->flags == known || (o->flags && o->platform))
        return dv_error_set(err, DAVIT_EINVAL,
                            "a platform, all platforms and a sparse index exclude each other");
    return count > 0 ? 0 : dv_error_set(err, DAVIT_EINVAL, "no image to save");
}

static void save_clear(dv_save *s)
{
    for (size_t i = 0; i < s->name_count; i++)
        davit_reference_free(s->names[i].reference);
    free(s->names);
    dv_lease_release(s->lease);
    dv_store_unref(s->store);
}
DV_DEFINE_AUTO(dv_save, save_clear)

int davit_save(davit_client *client, const char *const *names, size_t count,
               const davit_save_options *options, davit_write_fn write, void *write_data, davit_error **err)
{
    static const davit_save_options defaults = DAVIT_SAVE_OPTIONS_INIT;
    DV_AUTO(dv_save)
    s = {.client = client, .options = options ? options : &defaults, .write = write, .write_data = write_data};
    int r = check_options(s.options, count, err);
    if (r == 0)
        r = dv_stored_image_open_store(client, &s.store, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = resolve(&s, names[i], err);
    if (r == 0)
        r = lease_all(&s, err);
    if (r == 0)
        r = s.options->format == DAVIT_SAVE_OCI ? dv_save_oci(&s, err) : dv_save_docker(&s, err);
    return r;
}
