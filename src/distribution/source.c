/* distribution/source.c - see source.h: what all sources have in common, which is that their word is not taken for their bytes. */
#include "distribution/source.h"

#include "archive/oci_layout.h"
#include "oci/manifest.h"
#include "oci/platform.h"
#include "oci/reference.h"
#include "registry/v2_referrer.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

#define READ_SIZE (128u << 10) /* bytes at once */
#define SHOWN_NAMES 10         /* in a message */

int dv_source_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err)
{
    switch (place->kind) {
    case DV_PLACE_REGISTRY:
        return dv_source_registry_open(c, place, out, err);
    case DV_PLACE_STORE:
        return dv_source_store_open(c, place, out, err);
    case DV_PLACE_LAYOUT:
        return dv_source_layout_open(c, place, out, err);
    case DV_PLACE_OCI_ARCHIVE:
        return dv_source_oci_archive_open(c, place, out, err);
    case DV_PLACE_DOCKER_ARCHIVE:
        return dv_source_docker_archive_open(c, place, out, err);
    case DV_PLACE_DIR:
        return dv_source_dir_open(c, place, out, err);
    case DV_PLACE_V1:
        return dv_source_v1_open(c, place, out, err);
    }
    return dv_error_set(err, DAVIT_EINVAL, "unknown transport");
}

void dv_source_close(dv_source *s)
{
    if (s)
        s->ops->close(s);
}

/* --- documents --------------------------------------------------------------------------------------------------------------- */

int dv_source_document(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err)
{
    davit_digest got;
    if (desc->size != DAVIT_SIZE_UNKNOWN && desc->size > DAVIT_MANIFEST_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "manifest %s has %" PRIu64 " bytes, at most %u are allowed",
                            desc->digest.text, desc->size, DAVIT_MANIFEST_MAX);
    int r = s->ops->document(s, desc, out, err);
    if (r == 0)
        r = davit_digest_of(desc->digest.algorithm, dv_buf_text(out), out->size, &got, err);
    if (r < 0)
        return r;
    if (!davit_digest_equal(&got, &desc->digest))
        return dv_error_set(err, DAVIT_EDIGEST, "manifest verification failed for digest %s",
                            desc->digest.text);
    if (desc->size != DAVIT_SIZE_UNKNOWN && desc->size != out->size)
        return dv_error_set(err, DAVIT_EDIGEST,
                            "manifest %s is %zu bytes long where its descriptor says %" PRIu64,
                            desc->digest.text, out->size, desc->size);
    return 0;
}

int dv_source_manifest(dv_source *s, const davit_descriptor *desc, davit_manifest **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = dv_source_document(s, desc, &bytes, err);
    if (r < 0)
        return r;
    r = davit_manifest_parse(dv_buf_text(&bytes), bytes.size, desc->media_type, out, err);
    return r < 0 ? dv_error_wrap(err, r, "manifest %s", desc->digest.text) : 0;
}

/* --- blobs ------------------------------------------------------------------------------------------------------------------- */

static int read_range(dv_source *s, const davit_descriptor *blob, int fd, uint64_t first, uint64_t size,
                      dv_sink *to, davit_error **err)
{
    davit_digest got;
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(blob->digest.algorithm);
    DV_AUTOFREE char *bytes = malloc(READ_SIZE);
    if (!hash || !bytes)
        return dv_error_oom(err);
    for (uint64_t at = 0; at < size;) {
        size_t wanted = size - at < READ_SIZE ? (size_t)(size - at) : READ_SIZE;
        ssize_t n = dv_pread_all(fd, bytes, wanted, first + at);
        if (n < 0)
            return dv_error_file(err, (int)-n, "cannot read blob %s", blob->digest.text);
        if (n == 0)
            break;
        dv_hash_update(hash, bytes, (size_t)n);
        at += (uint64_t)n;
        int r = dv_client_check_cancelled(s->client, err);
        if (r == 0)
            r = dv_sink_write(to, bytes, (size_t)n, err);
        if (r < 0)
            return r;
    }
    dv_hash_final(hash, &got);
    if (davit_digest_equal(&got, &blob->digest))
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "blob %s is damaged at its source: its bytes are %s",
                        blob->digest.text, got.text);
}

int dv_source_read(dv_source *s, const davit_descriptor *blob, dv_sink *to, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    uint64_t first = 0, size = 0;
    if (s->ops->read)
        return s->ops->read(s, blob, to, err);
    int r = s->ops->open_blob(s, blob, &fd, &first, &size, err);
    if (r < 0)
        return r;
    if (blob->size != DAVIT_SIZE_UNKNOWN && blob->size != size)
        return dv_error_set(err, DAVIT_EDIGEST,
                            "blob %s is %" PRIu64 " bytes long where its descriptor says %" PRIu64,
                            blob->digest.text, size, blob->size);
    return read_range(s, blob, fd, first, size, to, err);
}

/* --- names of a layout (store.md 11) ------------------------------------------------------------------------------------------- */

static const char *shown_name(const dv_oci_layout_entry *e)
{
    return e->ref_name ? e->ref_name : e->image_name ? e->image_name : e->descriptor.digest.text;
}

static int say_names(const dv_oci_layout_index *index, const dv_place *place, const char *name,
                     davit_error **err)
{
    DV_AUTO(dv_buf) names = DV_BUF_INIT(4096);
    for (size_t i = 0; i < index->count && i < SHOWN_NAMES; i++)
        dv_buf_printf(&names, "%s%.100s", i ? ", " : "", shown_name(&index->entries[i]));
    if (index->count > SHOWN_NAMES)
        dv_buf_printf(&names, " and %zu more", index->count - SHOWN_NAMES);
    if (name)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s: no image \"%s\" there; it has: %s", place->path, name,
                            index->count ? dv_buf_text(&names) : "none");
    if (index->count == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s: there is no image in it", place->path);
    return dv_error_set(err, DAVIT_EINVAL, "%s has %zu images, name one: %s", place->path, index->count,
                        dv_buf_text(&names));
}

/* How an entry is called, from the plainest way to the last resort. */
static bool is_called(const dv_oci_layout_entry *e, const char *name, int way)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    if (way == 0)
        return e->ref_name && strcmp(e->ref_name, name) == 0;
    if (way == 1)
        return e->image_name && strcmp(e->image_name, name) == 0;
    if (dv_oci_layout_reference(e, &ref, NULL) < 0 || !ref)
        return false;
    return dv_str_equal(davit_reference_tag(ref), name) ||
           dv_str_equal(davit_reference_familiar(ref), name) || dv_str_equal(davit_reference_text(ref), name);
}

/* Of several that are called so, the one for this machine. */
static const dv_oci_layout_entry *find_by_name(const dv_oci_layout_index *index, const char *name, int way)
{
    dv_platform_vector vector;
    davit_platform host;
    const dv_oci_layout_entry *best = NULL;
    int best_rank = -1;
    davit_platform_host(&host);
    dv_platform_vector_init(&vector, NULL, &host);
    for (size_t i = 0; i < index->count; i++) {
        const dv_oci_layout_entry *e = &index->entries[i];
        if (!is_called(e, name, way))
            continue;
        int rank = dv_platform_rank(&vector, e->descriptor.has_platform ? &e->descriptor.platform : NULL);
        if (!best || (rank >= 0 && (best_rank < 0 || rank < best_rank))) {
            best = e;
            best_rank = rank;
        }
    }
    return best;
}

int dv_source_find_entry(const dv_oci_layout_index *index, const dv_place *place, const char *name,
                         davit_descriptor *out, davit_error **err)
{
    const dv_oci_layout_entry *found = NULL;
    if (!name && place->digest.algorithm) {
        *out = (davit_descriptor){.media_type = "", .digest = place->digest, .size = DAVIT_SIZE_UNKNOWN};
        for (size_t i = 0; i < index->count; i++)
            if (davit_digest_equal(&index->entries[i].descriptor.digest, &place->digest))
                *out = index->entries[i].descriptor;
        return 0;
    }
    name = name ? name : place->name;
    for (int way = 0; name && !found && way < 3; way++)
        found = find_by_name(index, name, way);
    if (!name && index->count == 1)
        found = &index->entries[0];
    if (!found)
        return say_names(index, place, name, err);
    *out = found->descriptor;
    return 0;
}

int dv_source_entry_names(const dv_oci_layout_index *index, dv_name_fn fn, void *user)
{
    for (size_t i = 0; i < index->count; i++) {
        const char *name = index->entries[i].ref_name;
        bool again = false;
        for (size_t k = 0; name && k < i && !again; k++)
            again = dv_str_equal(index->entries[k].ref_name, name);
        if (name && !again && fn(user, name) != 0)
            break;
    }
    return 0;
}

/* --- referrers of a layout (registry-v2.md 8) ------------------------------------------------------------------------------------ */

static int give_listed(dv_source *s, const davit_descriptor *list, dv_source_referrer_fn fn, void *user,
                       davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    size_t count;
    int r = dv_source_manifest(s, list, &m, err);
    if (r < 0)
        return r;
    const davit_descriptor *entries = davit_manifest_entries(m, &count);
    for (size_t i = 0; r >= 0 && i < count; i++)
        r = fn(user, &entries[i], err);
    return r < 0 ? r : 0;
}

static int give_if_subject(dv_source *s, const davit_descriptor *entry, const davit_digest *subject,
                           dv_source_referrer_fn fn, void *user, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_source_manifest(s, entry, &m, &why);
    if (r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED)
        return dv_error_move(err, &why, r);
    if (r < 0 || !davit_manifest_subject(m) ||
        !davit_digest_equal(&davit_manifest_subject(m)->digest, subject))
        return 0; /* what cannot be read is not what was asked for */
    r = fn(user, entry, err);
    return r < 0 ? r : 0;
}

int dv_source_entry_referrers(dv_source *s, const dv_oci_layout_index *index, const davit_digest *subject,
                              dv_source_referrer_fn fn, void *user, davit_error **err)
{
    char tag[DV_REFERRER_TAG_MAX + 1];
    int r = 0;
    dv_referrer_tag(subject, tag);
    for (size_t i = 0; r == 0 && i < index->count; i++) {
        const dv_oci_layout_entry *e = &index->entries[i];
        r = dv_str_equal(e->ref_name, tag) ? give_listed(s, &e->descriptor, fn, user, err)
                                           : give_if_subject(s, &e->descriptor, subject, fn, user, err);
    }
    return r;
}
