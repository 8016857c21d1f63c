/*
 * oci/index_build.c - see index_build.h. The document is a tree that keeps the order of its keys; what comes out is parsed again as if
 * a registry had sent it, so that nothing is pushed that we would refuse.
 */
#include "oci/index_build.h"

#include "oci/artifact_manifest.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/platform.h"
#include "util/str.h"

#include <string.h>

#define INDENT_MAX 8

struct dv_index_edit {
    dv_json *document;
    dv_json *entries; /* in the document */
    const char *media_type;
    unsigned indent;
    bool html_safe, newline; /* how it was written */
};

/* --- how a document is written ------------------------------------------------------------------------ */

static void format(const dv_index_edit *e, dv_buf *out)
{
    dv_json_format(e->document, e->indent, e->html_safe, out);
    if (e->newline)
        dv_buf_putc(out, '\n');
}

/* The way of writing that gives the bytes it came from; if none does, the nearest. */
static int learn_style(dv_index_edit *e, const char *bytes, size_t size, davit_error **err)
{
    const char *line = memchr(bytes, '\n', size);
    size_t indent = 0;
    while (line && line + 1 + indent < bytes + size && line[1 + indent] == ' ')
        indent++;
    e->indent = indent > INDENT_MAX ? INDENT_MAX : (unsigned)indent;
    e->newline = size > 0 && bytes[size - 1] == '\n';
    DV_AUTO(dv_buf) again = DV_BUF_INIT(2 * (size_t)DAVIT_MANIFEST_MAX);
    e->html_safe = true;
    format(e, &again);
    if (again.failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    e->html_safe = !again.failed && again.size == size && memcmp(again.data, bytes, size) == 0;
    return 0;
}

/* --- the document -------------------------------------------------------------------------------------- */

static int new_document(dv_json **out, davit_error **err)
{
    DV_AUTOPTR(dv_json) document = dv_json_object_new();
    if (!document || !dv_json_set_integer(document, "schemaVersion", 2) ||
        !dv_json_set_string(document, "mediaType", DV_MEDIA_TYPE_OCI_INDEX) ||
        !dv_json_set(document, "manifests", dv_json_array_new()))
        return dv_error_oom(err);
    *out = DV_STEAL(document);
    return 0;
}

static int read_document(const davit_manifest *index, dv_json **out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX};
    if (!davit_manifest_is_index(index))
        return dv_error_set(err, DAVIT_EINVAL, "%s is no index but %s", index->digest.text,
                            davit_manifest_media_type(index));
    int r = dv_json_parse(index->bytes, index->size, &limits, NULL, out, err);
    return r < 0 ? dv_error_wrap(err, r, "index") : 0;
}

/* Our own array of entries, since what the parser gave is borrowed. */
static int own_entries(dv_index_edit *e, davit_error **err)
{
    const dv_json *there = dv_json_get(e->document, "manifests");
    dv_json *entries = dv_json_is(there, DV_JSON_ARRAY) ? dv_json_copy(there) : dv_json_array_new();
    if (!dv_json_set(e->document, "manifests", entries))
        return dv_error_oom(err);
    e->entries = entries;
    return 0;
}

int dv_index_edit_new(const davit_manifest *index, dv_index_edit **out, davit_error **err)
{
    DV_AUTOPTR(dv_index_edit) e = dv_new(dv_index_edit);
    if (!e)
        return dv_error_oom(err);
    int r = index ? read_document(index, &e->document, err) : new_document(&e->document, err);
    if (r < 0)
        return r;
    e->media_type = index ? davit_manifest_media_type(index) : DV_MEDIA_TYPE_OCI_INDEX;
    e->html_safe = true;
    if (index)
        r = learn_style(e, index->bytes, index->size, err);
    if (r == 0)
        r = own_entries(e, err);
    if (r == 0)
        *out = DV_STEAL(e);
    return r;
}

void dv_index_edit_free(dv_index_edit *e)
{
    if (!e)
        return;
    dv_json_free(e->document);
    free(e);
}

size_t dv_index_edit_count(const dv_index_edit *e)
{
    return dv_json_count(e->entries);
}

const dv_json *dv_index_edit_at(const dv_index_edit *e, size_t i)
{
    return dv_json_at(e->entries, i);
}

int dv_index_edit_read(const dv_index_edit *e, size_t i, davit_descriptor *out, davit_error **err)
{
    DV_AUTO(dv_text_pool) pool = DV_TEXT_POOL_INIT;
    davit_descriptor d;
    int r =
        dv_descriptor_parse(dv_json_at(e->entries, i), "manifest", /* with_platform= */ true, &pool, &d, err);
    if (r < 0)
        return r;
    d.media_type = "";
    d.artifact_type = NULL;
    *out = d;
    return 0;
}

size_t dv_index_edit_find(const dv_index_edit *e, const davit_digest *digest)
{
    size_t count = dv_index_edit_count(e), i = 0;
    while (i < count && !dv_str_equal(dv_json_string(dv_json_get(dv_json_at(e->entries, i), "digest"), NULL),
                                      digest->text))
        i++;
    return i;
}

static bool is_unknown(const davit_platform *p)
{
    return davit_platform_is_empty(p) || strcmp(p->os, "unknown") == 0;
}

static bool is_same_platform(davit_platform a, davit_platform b)
{
    davit_platform_normalize(&a);
    davit_platform_normalize(&b);
    return strcmp(a.os, b.os) == 0 && strcmp(a.architecture, b.architecture) == 0 &&
           strcmp(a.variant, b.variant) == 0 && strcmp(a.os_version, b.os_version) == 0;
}

size_t dv_index_edit_find_platform(const dv_index_edit *e, const davit_platform *platform)
{
    size_t count = dv_index_edit_count(e);
    if (is_unknown(platform))
        return count;
    for (size_t i = 0; i < count; i++) {
        davit_descriptor d;
        if (dv_index_edit_read(e, i, &d, NULL) == 0 && d.has_platform && !is_unknown(&d.platform) &&
            is_same_platform(d.platform, *platform))
            return i;
    }
    return count;
}

int dv_index_edit_add(dv_index_edit *e, dv_json *entry, davit_error **err)
{
    return dv_json_append(e->entries, entry) ? 0 : dv_error_oom(err);
}

int dv_index_edit_remove(dv_index_edit *e, size_t removed, davit_error **err)
{
    dv_json *kept = dv_json_array_new();
    bool ok = kept != NULL;
    for (size_t i = 0; ok && i < dv_index_edit_count(e); i++)
        if (i != removed)
            ok = dv_json_append(kept, dv_json_copy(dv_json_at(e->entries, i)));
    if (!ok) {
        dv_json_free(kept);
        return dv_error_oom(err);
    }
    if (!dv_json_set(e->document, "manifests", kept))
        return dv_error_oom(err);
    e->entries = kept;
    return 0;
}

int dv_index_edit_annotate(dv_index_edit *e, const davit_annotation *annotations, size_t count,
                           davit_error **err)
{
    dv_json *object = NULL;
    if (count == 0)
        return 0;
    int r = dv_annotations_build(annotations, count, &object, err);
    if (r < 0)
        return r;
    return dv_json_set(e->document, "annotations", object) ? 0 : dv_error_oom(err);
}

int dv_index_edit_finish(const dv_index_edit *e, davit_manifest **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    format(e, &bytes);
    if (bytes.failed)
        return bytes.failed == DAVIT_ENOMEM
                   ? dv_error_oom(err)
                   : dv_error_set(err, DAVIT_ETOOBIG, "the index would be longer than %u bytes",
                                  DAVIT_MANIFEST_MAX);
    return davit_manifest_parse(dv_buf_text(&bytes), bytes.size, e->media_type, out, err);
}

/* --- entries --------------------------------------------------------------------------------------------- */

static bool copy_text(dv_json *to, const char *key, const dv_json *from)
{
    const char *text = dv_json_string(dv_json_get(from, key), NULL);
    return !text || !*text || dv_json_set_string(to, key, text);
}

/* The keys in the order in which the usual clients write them. A config that says neither is no image's. */
static int build_platform(const dv_buf *config, dv_json **out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX, .any_number = true};
    DV_AUTOPTR(dv_json) from = NULL;
    DV_AUTOPTR(dv_json) to = dv_json_object_new();
    int r = dv_json_parse(dv_buf_text(config), config->size, &limits, NULL, &from, err);
    if (r < 0)
        return dv_error_wrap(err, r, "image config");
    const dv_json *features = dv_json_get(from, "os.features");
    bool ok = to && copy_text(to, "architecture", from) && copy_text(to, "os", from) &&
              copy_text(to, "os.version", from);
    if (ok && dv_json_count(features) > 0 && dv_json_is(features, DV_JSON_ARRAY))
        ok = dv_json_set(to, "os.features", dv_json_copy(features));
    if (!ok || !copy_text(to, "variant", from))
        return dv_error_oom(err);
    *out = dv_json_get(to, "os") ? DV_STEAL(to) : NULL;
    return 0;
}

static int add_platform(dv_json *entry, const dv_buf *config, davit_error **err)
{
    dv_json *platform = NULL;
    int r = build_platform(config, &platform, err);
    if (r < 0 || !platform)
        return r;
    return dv_json_set(entry, "platform", platform) ? 0 : dv_error_oom(err);
}

static const char *artifact_type(const davit_manifest *m)
{
    if (m->artifact_type && *m->artifact_type)
        return m->artifact_type;
    return m->config ? m->config->media_type : "";
}

static int add_annotations(dv_json *entry, const davit_manifest *m, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_MANIFEST_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    int r = dv_json_parse(m->bytes, m->size, &limits, NULL, &document, err);
    if (r < 0)
        return dv_error_wrap(err, r, "manifest");
    const dv_json *annotations = dv_json_annotations(document);
    if (dv_json_count(annotations) == 0)
        return 0;
    return dv_json_set(entry, "annotations", dv_json_copy(annotations)) ? 0 : dv_error_oom(err);
}

int dv_index_entry_build(const davit_manifest *m, const dv_buf *config, bool with_annotations, dv_json **out,
                         davit_error **err)
{
    DV_AUTOPTR(dv_json) entry = dv_json_object_new();
    if (!entry || !dv_json_set_string(entry, "mediaType", davit_manifest_media_type(m)) ||
        !dv_json_set_string(entry, "digest", m->digest.text) ||
        !dv_json_set_integer(entry, "size", (int64_t)m->size))
        return dv_error_oom(err);
    const char *type = with_annotations ? artifact_type(m) : m->artifact_type;
    int r = with_annotations ? add_annotations(entry, m, err) : 0;
    if (r == 0 && config)
        r = add_platform(entry, config, err);
    if (r < 0)
        return r;
    if (type && *type && !dv_json_set_string(entry, "artifactType", type))
        return dv_error_oom(err);
    *out = DV_STEAL(entry);
    return 0;
}
