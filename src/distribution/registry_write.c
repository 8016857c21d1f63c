/*
 * distribution/registry_write.c - the public davit_registry_put_*() and davit_registry_delete_*(): one change of one registry. Spec:
 * registry-v2.md 4.5, 4.6, 5, 8.
 *
 * A tag is deleted as a tag or not at all. A registry that can only delete manifests would take every other tag of it along, so that is left
 * to whoever says so (davit_registry_delete_manifest()).
 */
#include "distribution/registry_write.h"

#include "davit/registry.h"
#include "distribution/blob_upload.h"
#include "distribution/document.h"
#include "distribution/fallback.h"
#include "distribution/file_uploads.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "registry/v2_blob.h"
#include "registry/v2_referrer.h"
#include "registry/v2_tag.h"
#include "util/clock.h"
#include "util/hex.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define LIST_TRIES 6     /* at a list of referrers that others write too */
#define LIST_WAIT_MS 200 /* at most, between two of them */
#define LIST_SETTLE_MIN_MS 20
#define LIST_SETTLE_MAX_MS 1000
#define SIBLINGS_ASKED 32
#define SIBLINGS_NAMED 3

int dv_registry_open_itself(davit_client *c, const davit_reference *ref, const char *actions,
                            dv_registry **out, davit_error **err)
{
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(c->service);
    DV_AUTOPTR(dv_registry) reg = NULL;
    int r = dv_endpoints_for_push(config, davit_reference_domain(ref), &endpoints, err);
    if (r < 0)
        return r;
    if (endpoints.count == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "no endpoints found for %s", davit_reference_familiar(ref));
    r = dv_registry_open(c, &endpoints.items[0], davit_reference_domain(ref), davit_reference_path(ref),
                         /* credentials= */ NULL, &reg, err);
    if (r == 0 && actions)
        r = dv_registry_set_actions(reg, actions, err);
    if (r == 0)
        *out = DV_STEAL(reg);
    return r;
}

int dv_registry_read_document(dv_registry *reg, const davit_reference *ref, davit_manifest **out,
                              davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_document_ask(reg, ref, out, /* out_digest= */ NULL, &why);
    if (r == 0)
        return 0;
    r = dv_fallback_translate(&why, ref);
    return dv_error_move(err, &why, r);
}

/* --- manifests ------------------------------------------------------------------------------------------------------- */

/* Whether the list under the tag names it. 1, 0 or an error. */
static int is_listed(dv_registry *reg, const davit_digest *subject, const davit_digest *referrer,
                     davit_error **err)
{
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    DV_AUTOPTR(davit_manifest) list = NULL;
    char tag[DV_REFERRER_TAG_MAX + 1];
    size_t count;
    dv_referrer_tag(subject, tag);
    int r = dv_v2_manifest_get(reg, tag, /* expected= */ NULL, &answer, err);
    if (r == 0)
        r = dv_document_parse(&answer, NULL, NULL, &list, err);
    if (r < 0)
        return r;
    const davit_descriptor *entries = davit_manifest_entries(list, &count);
    for (size_t i = 0; i < count; i++)
        if (davit_digest_equal(&entries[i].digest, referrer))
            return 1;
    return 0;
}

/*
 * Who read the list before we wrote it will write over us. Give him as long as we took, and more, before looking whether we are still in
 * it. Without conditional requests nothing better can be had.
 */
static void let_settle(uint64_t took_ms)
{
    uint64_t wait_ms = 3 * took_ms;
    wait_ms = wait_ms < LIST_SETTLE_MIN_MS ? LIST_SETTLE_MIN_MS : wait_ms;
    dv_sleep_ms((unsigned)(wait_ms > LIST_SETTLE_MAX_MS ? LIST_SETTLE_MAX_MS : wait_ms));
}

/* Two who read the list at the same time write the same place: who finds himself gone from it comes again, not at once. */
static int join_list(dv_registry *reg, const davit_manifest *m, davit_error **err)
{
    const davit_digest *subject = &davit_manifest_subject(m)->digest;
    size_t size;
    const void *bytes = davit_manifest_bytes(m, &size);
    for (unsigned tries = 0; tries < LIST_TRIES; tries++) {
        uint32_t random;
        dv_random_bytes(&random, sizeof(random));
        if (tries > 0)
            dv_sleep_ms(random % LIST_WAIT_MS);
        uint64_t began_ms = dv_clock_ms();
        int r = dv_v2_referrer_add(reg, bytes, size, davit_manifest_media_type(m), err);
        if (r < 0)
            return r;
        let_settle(dv_clock_ms() - began_ms);
        r = is_listed(reg, subject, davit_manifest_digest(m), err);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    return dv_error_set(err, DAVIT_ECONFLICT, "others keep changing the list of referrers of %s",
                        subject->text);
}

int dv_registry_put_document(dv_registry *reg, const char *tag_or_digest, const davit_manifest *m,
                             const void *bytes, size_t size, const char *media_type, davit_digest *out_digest,
                             davit_error **err)
{
    dv_manifest_put put;
    int r = dv_v2_manifest_put(reg, tag_or_digest, media_type, bytes, size, &put, err);
    if (r < 0)
        return r;
    if (m && davit_manifest_subject(m) && !put.subject_known) {
        r = join_list(reg, m, err);
        if (r < 0)
            return dv_error_wrap(err, r, "manifest %s is pushed, but not listed as a referrer",
                                 put.digest.text);
    }
    *out_digest = put.digest;
    return 0;
}

/* The document, when its type is ours to check. */
static int parse_known(const void *bytes, size_t size, const char *media_type, davit_manifest **out,
                       davit_error **err)
{
    dv_media_kind kind = media_type ? dv_media_type_kind(media_type) : DV_MEDIA_MANIFEST;
    *out = NULL;
    if (size > DAVIT_MANIFEST_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "a manifest of %zu bytes is too long, at most %u are allowed",
                            size, DAVIT_MANIFEST_MAX);
    if (kind != DV_MEDIA_MANIFEST && kind != DV_MEDIA_INDEX)
        return 0;
    return davit_manifest_parse(bytes, size, media_type, out, err);
}

static int check_pinned(const davit_reference *ref, const void *bytes, size_t size, davit_error **err)
{
    davit_digest wanted, actual;
    if (!davit_reference_digest_text(ref))
        return 0;
    int r = davit_reference_digest(ref, &wanted, err);
    if (r == 0)
        r = davit_digest_of(wanted.algorithm, bytes, size, &actual, err);
    if (r < 0 || davit_digest_equal(&wanted, &actual))
        return r;
    return dv_error_set(err, DAVIT_EDIGEST, "the manifest is %s and not %s; nothing was sent", actual.text,
                        wanted.text);
}

int davit_registry_put_manifest(davit_client *client, const davit_reference *ref, const void *bytes,
                                size_t size, const char *media_type, davit_digest *out_digest,
                                davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(dv_registry) reg = NULL;
    int r = check_pinned(ref, bytes, size, err);
    if (r == 0)
        r = parse_known(bytes, size, media_type, &m, err);
    if (r == 0)
        r = dv_registry_open_itself(client, ref, "pull,push", &reg, err);
    if (r < 0)
        return r;
    /* A digest beside a tag was for the check: it is the tag that is to name it. */
    const char *tag = davit_reference_tag(ref);
    return dv_registry_put_document(reg, tag ? tag : dv_document_name(ref), m, bytes, size,
                                    m ? davit_manifest_media_type(m) : media_type, out_digest, err);
}

/* The subject of what is to be deleted, none for what cannot be read. DAVIT_ENOTFOUND. */
static int find_subject(dv_registry *reg, const davit_digest *digest, davit_digest *out, bool *out_found,
                        davit_error **err)
{
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    *out_found = false;
    int r = dv_v2_manifest_get(reg, digest->text, digest, &answer, &why);
    if (r == DAVIT_EDIGEST) /* damaged: the more reason to delete it */
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    r = dv_document_parse(&answer, NULL, NULL, &m, &why);
    if (r < 0)
        return r == DAVIT_ENOMEM ? dv_error_move(err, &why, r) : 0;
    const davit_descriptor *subject = davit_manifest_subject(m);
    if (subject)
        *out = subject->digest;
    *out_found = subject != NULL;
    return 0;
}

int davit_registry_delete_manifest(davit_client *client, const davit_reference *ref, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    davit_digest digest, subject = {0};
    bool refers = false;
    if (!davit_reference_digest_text(ref))
        return dv_error_set(err, DAVIT_EINVAL, "a manifest is deleted by its digest");
    int r = davit_reference_digest(ref, &digest, err);
    if (r == 0)
        r = dv_registry_open_itself(client, ref, /* actions= */ NULL, &reg, err);
    if (r == 0)
        r = find_subject(reg, &digest, &subject, &refers, err);
    if (r == 0)
        r = dv_v2_manifest_delete(reg, digest.text, err);
    if (r < 0 || !refers)
        return r;
    DV_AUTOPTR(dv_registry) writer = NULL;
    r = dv_registry_open_itself(client, ref, "pull,push", &writer, err);
    if (r == 0)
        r = dv_v2_referrer_remove(writer, &subject, &digest, err);
    return r < 0 ? dv_error_wrap(err, r, "manifest %s is deleted, but still listed as a referrer of %s",
                                 digest.text, subject.text)
                 : 0;
}

/* --- tags -------------------------------------------------------------------------------------------------------------- */

typedef struct siblings {
    dv_registry *registry;
    const char *tag;
    const davit_digest *digest;
    unsigned asked, found;
    bool all; /* every tag was looked at */
    dv_buf names;
} siblings;

/* A davit_tag_fn. */
static int look_at_tag(const char *tag, void *user_data)
{
    siblings *s = user_data;
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    if (strcmp(tag, s->tag) == 0)
        return 0;
    if (s->asked++ == SIBLINGS_ASKED) {
        s->all = false;
        return 1;
    }
    if (dv_v2_manifest_resolve(s->registry, tag, &answer, NULL) < 0) {
        s->all = false;
        return 0;
    }
    if (davit_digest_equal(&answer.digest, s->digest) && ++s->found <= SIBLINGS_NAMED)
        dv_buf_printf(&s->names, "%s%s", s->found > 1 ? ", " : "", tag);
    return 0;
}

/* Why not: the registry deletes manifests only, and what else would go with this one. */
static int explain_tag(dv_registry *reg, const char *tag, davit_error **err)
{
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1024);
    int r = dv_v2_manifest_resolve(reg, tag, &answer, err);
    if (r < 0)
        return r; /* not found, mostly */
    siblings s = {.registry = reg,
                  .tag = tag,
                  .digest = &answer.digest,
                  .all = true,
                  .names = DV_BUF_INIT(SIBLINGS_NAMED * 140)};
    if (dv_v2_tag_list(reg, look_at_tag, &s, NULL) < 0)
        s.all = false;
    if (s.found > 0)
        dv_buf_printf(&text, "the tag%s %s%s", s.found > 1 ? "s" : "", dv_buf_text(&s.names),
                      s.found > SIBLINGS_NAMED ? " and more" : "");
    else
        dv_buf_puts(&text, s.all ? "whatever index or referrer needs it" : "any other tag that it may have");
    dv_buf_clear(&s.names);
    return dv_error_set(err, DAVIT_EUNSUPPORTED,
                        "%s deletes no tag alone, only the manifest %s itself, and with it %s", reg->domain,
                        answer.digest.text, dv_buf_text(&text));
}

int davit_registry_delete_tag(davit_client *client, const davit_reference *ref, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    const char *tag = davit_reference_tag(ref);
    if (!tag || davit_reference_digest_text(ref))
        return dv_error_set(err, DAVIT_EINVAL, "%s: a tag is wanted here, and no digest",
                            davit_reference_familiar(ref));
    int r = dv_registry_open_itself(client, ref, /* actions= */ NULL, &reg, err);
    if (r < 0)
        return r;
    r = dv_v2_manifest_delete(reg, tag, &why);
    if (r == 0)
        return 0;
    /* Docker's registry 2 takes the tag for a digest, and says 400. */
    if (r == DAVIT_EUNSUPPORTED || davit_error_http_status(why) == 400)
        return explain_tag(reg, tag, err);
    return dv_error_move(err, &why, r);
}

/* --- blobs ------------------------------------------------------------------------------------------------------------- */

int davit_registry_stat_blob(davit_client *client, const davit_reference *ref, const davit_digest *digest,
                             uint64_t *out_size, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    int r = dv_registry_open_itself(client, ref, /* actions= */ NULL, &reg, err);
    return r < 0 ? r : dv_v2_blob_head(reg, digest, out_size, err);
}

static int send_file(dv_registry *reg, const char *repository, int fd, const davit_digest *digest,
                     uint64_t size, davit_error **err)
{
    const dv_file_upload file = {.fd = fd, .digest = *digest, .size = size};
    return dv_file_uploads_run(
        &(dv_file_uploads){.registry = reg, .repository = repository, .files = &file, .count = 1}, err);
}

int davit_registry_put_blob(davit_client *client, const davit_reference *ref, int fd,
                            const davit_digest *expected, davit_digest *out_digest, uint64_t *out_size,
                            davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    struct stat st;
    davit_digest digest;
    uint64_t size;
    if (fstat(fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read what is to be sent");
    bool regular = S_ISREG(st.st_mode);
    int r = 0;
    if (regular)
        r = dv_file_digest(fd, "what is to be sent", expected ? expected->algorithm : DAVIT_SHA256, &digest,
                           &size, err);
    if (r == 0 && regular && expected && !davit_digest_equal(expected, &digest))
        r = dv_error_set(err, DAVIT_EDIGEST, "what was to be sent is %s and not %s", digest.text,
                         expected->text);
    if (r == 0)
        r = dv_registry_open_itself(client, ref, "pull,push", &reg, err);
    if (r == 0)
        r = regular ? send_file(reg, davit_reference_name(ref), fd, &digest, size, err)
                    : dv_blob_upload_stream(reg, fd, expected, &digest, &size, err);
    if (r < 0)
        return r;
    *out_digest = digest;
    if (out_size)
        *out_size = size;
    return 0;
}

int davit_registry_delete_blob(davit_client *client, const davit_reference *ref, const davit_digest *digest,
                               davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    int r = dv_registry_open_itself(client, ref, /* actions= */ NULL, &reg, err);
    return r < 0 ? r : dv_v2_blob_delete(reg, digest, err);
}
