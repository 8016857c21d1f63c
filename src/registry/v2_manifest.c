/* registry/v2_manifest.c - see v2_manifest.h. */
#include "registry/v2_manifest.h"

#include "oci/media_type.h"
#include "registry/call.h"
#include "util/str.h"

#include <string.h>

#define MEDIA_TYPE_MAX 256

void dv_manifest_answer_clear(dv_manifest_answer *a)
{
    free(a->media_type);
    a->media_type = NULL;
    dv_buf_clear(&a->bytes);
}

static int ask(dv_registry *reg, const char *method, const char *name, dv_response *out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&path, "v2/%s/manifests/%s", reg->path, name);
    if (path.failed)
        return dv_error_oom(err);
    return dv_call_wait(reg,
                        &(dv_call_spec){.method = method,
                                        .path = dv_buf_text(&path),
                                        .accept = dv_manifest_accept,
                                        .body_max = DAVIT_MANIFEST_MAX},
                        out, err);
}

static int take_media_type(const dv_response *res, char **out, davit_error **err)
{
    char text[MEDIA_TYPE_MAX] = "";
    const char *value = dv_headers_get(&res->headers, "Content-Type");
    if (value && !dv_header_media_type(value, text, sizeof(text)))
        text[0] = '\0';
    *out = dv_strdup(text);
    return *out ? 0 : dv_error_oom(err);
}

static int parse_told_digest(const char *text, davit_digest *out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    if (davit_digest_parse(text, out, &why) < 0)
        return dv_error_set(err, DAVIT_EPROTOCOL, "Docker-Content-Digest: %s", davit_error_message(why));
    return 0;
}

/* 1: the header block of a HEAD says everything; 0: a GET is needed. */
static int read_head(const dv_response *res, dv_manifest_answer *a, davit_error **err)
{
    const char *digest = dv_headers_get(&res->headers, "Docker-Content-Digest");
    const char *coding = dv_headers_get(&res->headers, "Content-Encoding");
    if (!digest || !*digest)
        return 0;
    if (coding && !dv_str_equal_nocase(coding, "identity"))
        return 0; /* Content-Length counts the coded bytes (quirks.md: registry.redhat.io) */
    const char *length = dv_headers_get(&res->headers, "Content-Length");
    int r = take_media_type(res, &a->media_type, err);
    if (r < 0)
        return r;
    if (!a->media_type[0])
        return dv_error_set(err, DAVIT_EPROTOCOL, "missing or empty Content-Type header");
    r = parse_told_digest(digest, &a->digest, err);
    if (r < 0)
        return r;
    if (!length || !dv_str_to_u64(length, &a->size))
        return dv_error_set(err, DAVIT_EPROTOCOL, "missing or empty Content-Length header");
    return 1;
}

int dv_v2_manifest_resolve(dv_registry *reg, const char *name, dv_manifest_answer *out, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    DV_AUTO(dv_manifest_answer) a = DV_MANIFEST_ANSWER_INIT;
    DV_AUTOPTR(davit_error) refused = NULL;
    int r = ask(reg, "HEAD", name, &res, &refused);
    if (r < 0 && (!refused || refused->http_status < 400 || refused->kind == DV_ERROR_TRANSPORT))
        return dv_error_move(err, &refused, r);
    if (r == 0)
        r = read_head(&res, &a, err);
    else
        r = 0; /* a HEAD has no body to say why: the GET does */
    if (r < 0)
        return r;
    if (r == 0) {
        davit_digest wanted;
        bool pinned = davit_digest_parse(name, &wanted, NULL) == 0;
        return dv_v2_manifest_get(reg, name, pinned ? &wanted : NULL, out, err);
    }
    *out = a;
    a = (dv_manifest_answer)DV_MANIFEST_ANSWER_INIT;
    return 0;
}

static int mismatch(const davit_digest *expected, davit_error **err)
{
    return dv_error_set(err, DAVIT_EDIGEST, "manifest verification failed for digest %s", expected->text);
}

int dv_v2_manifest_get(dv_registry *reg, const char *name, const davit_digest *expected,
                       dv_manifest_answer *out, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    DV_AUTO(dv_manifest_answer) a = DV_MANIFEST_ANSWER_INIT;
    int r = ask(reg, "GET", name, &res, err);
    if (r == 0)
        r = take_media_type(&res, &a.media_type, err);
    if (r < 0)
        return r;
    davit_digest wanted = {0};
    const char *told = dv_headers_get(&res.headers, "Docker-Content-Digest");
    if (expected) {
        wanted = *expected;
    } else if (told && *told) {
        r = parse_told_digest(told, &wanted, err);
        if (r < 0)
            return r;
    }
    davit_digest_algorithm algorithm = wanted.algorithm ? wanted.algorithm : DAVIT_SHA256;
    r = davit_digest_of(algorithm, dv_buf_text(&res.body), res.body.size, &a.digest, err);
    if (r < 0)
        return r;
    if (wanted.algorithm && !davit_digest_equal(&wanted, &a.digest))
        return mismatch(&wanted, err);
    a.size = res.body.size;
    a.bytes = res.body;
    res.body = (dv_buf){0};
    *out = a;
    a = (dv_manifest_answer)DV_MANIFEST_ANSWER_INIT;
    return 0;
}

/* --- changing it ---------------------------------------------------------------------------------------------------- */

int dv_v2_manifest_exists(dv_registry *reg, const char *name, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = ask(reg, "HEAD", name, &res, &why);
    if (r == 0)
        return 1;
    return davit_error_http_status(why) == 404 ? 0 : dv_error_move(err, &why, r);
}

static int check_stored(const dv_response *res, const davit_digest *ours, davit_error **err)
{
    const char *told = dv_headers_get(&res->headers, "Docker-Content-Digest");
    davit_digest stored;
    if (!told || !*told)
        return 0;
    int r = parse_told_digest(told, &stored, err);
    if (r < 0 || stored.algorithm != ours->algorithm || davit_digest_equal(&stored, ours))
        return r;
    return dv_error_set(err, DAVIT_EDIGEST, "the registry stored %s in place of manifest %s", stored.text,
                        ours->text);
}

int dv_v2_manifest_put(dv_registry *reg, const char *name, const char *media_type, const void *bytes,
                       size_t size, dv_manifest_put *out, davit_error **err)
{
    const dv_call_header type = {"Content-Type", media_type};
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    dv_manifest_put put = {.subject_known = false};
    davit_digest named;
    dv_memory_body body;
    dv_memory_body_init(&body, bytes, size);
    dv_buf_printf(&path, "v2/%s/manifests/%s", reg->path, name);
    if (path.failed)
        return dv_error_oom(err);
    bool pinned = davit_digest_parse(name, &named, NULL) == 0;
    int r = davit_digest_of(pinned ? named.algorithm : DAVIT_SHA256, bytes, size, &put.digest, err);
    if (r == 0 && pinned && !davit_digest_equal(&named, &put.digest))
        r = mismatch(&named, err);
    if (r == 0)
        r = dv_call_wait(reg,
                         &(dv_call_spec){.method = "PUT",
                                         .path = dv_buf_text(&path),
                                         .headers = &type,
                                         .header_count = 1,
                                         .body = &body.body,
                                         .body_max = DV_ERROR_BODY_MAX},
                         &res, err);
    if (r == 0)
        r = check_stored(&res, &put.digest, err);
    if (r < 0)
        return r;
    put.subject_known = dv_headers_get(&res.headers, "OCI-Subject") != NULL;
    *out = put;
    return 0;
}

int dv_v2_manifest_delete(dv_registry *reg, const char *name, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&path, "v2/%s/manifests/%s", reg->path, name);
    if (path.failed)
        return dv_error_oom(err);
    return dv_call_delete(reg, dv_buf_text(&path), err);
}

bool dv_v2_manifest_misses_blob(const davit_error *err)
{
    const char *code = davit_error_registry_code(err);
    return dv_str_equal(code, "MANIFEST_BLOB_UNKNOWN") || dv_str_equal(code, "BLOB_UNKNOWN");
}
