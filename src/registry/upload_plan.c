/* registry/upload_plan.c - see upload_plan.h. */
#include "registry/upload_plan.h"

#include "davit/common.h"
#include "net/retry.h"
#include "util/str.h"

#include <string.h>

void dv_upload_plan_init(dv_upload_plan *p, uint64_t size, bool begun)
{
    *p = (dv_upload_plan){.size = size, .piece = DV_UPLOAD_PIECE};
    p->whole = size <= DV_UPLOAD_WHOLE_MAX && !begun;
}

void dv_upload_plan_opened(dv_upload_plan *p, const dv_headers *answer)
{
    const char *text = dv_headers_get(answer, "OCI-Chunk-Min-Length");
    uint64_t min = 0;
    if (text && dv_str_to_u64(text, &min) && min <= DV_UPLOAD_PIECE_MAX)
        p->chunk_min = min;
    if (p->piece < p->chunk_min)
        p->piece = p->chunk_min;
}

dv_upload_piece dv_upload_plan_next(const dv_upload_plan *p, uint64_t at, bool ended)
{
    if (p->size == DAVIT_SIZE_UNKNOWN)
        return ended ? (dv_upload_piece){DV_UPLOAD_FINISH, at, 0}
                     : (dv_upload_piece){DV_UPLOAD_PATCH, at, DAVIT_SIZE_UNKNOWN};
    if (p->whole || p->no_patch)
        return (dv_upload_piece){DV_UPLOAD_PUT, at, p->size - at};
    if (at == p->size)
        return (dv_upload_piece){DV_UPLOAD_FINISH, at, 0};
    uint64_t left = p->size - at;
    return (dv_upload_piece){DV_UPLOAD_PATCH, at, left < p->piece ? left : p->piece};
}

static int malformed(const char *text, davit_error **err)
{
    return dv_error_set(err, DAVIT_EPROTOCOL, "bad range format: %.100s", text);
}

int dv_upload_range(const dv_headers *answer, uint64_t *out_size, davit_error **err)
{
    const char *text = dv_headers_get(answer, "Range");
    if (!text || !*text)
        return 0;
    const char *from = dv_str_starts(text, "bytes=") ? text + 6 : text;
    const char *dash = strchr(from, '-');
    DV_AUTOFREE char *first = dash ? dv_strndup(from, (size_t)(dash - from)) : NULL;
    uint64_t a, b;
    if (dash && !first)
        return dv_error_oom(err);
    if (!dash || !dv_str_to_u64(first, &a) || !dv_str_to_u64(dash + 1, &b) || a != 0 || b == UINT64_MAX)
        return malformed(text, err);
    if (b == 0)
        return 0;
    *out_size = b + 1;
    return 1;
}

int dv_upload_patched(dv_upload_plan *p, const dv_headers *answer, uint64_t before, uint64_t sent,
                      uint64_t *out_at, davit_error **err)
{
    uint64_t told, after = before + sent;
    int r = dv_upload_range(answer, &told, err);
    if (r < 0)
        return r;
    if (r == 0 || told == after) {
        p->ranged = p->ranged || r > 0;
        *out_at = after;
        return 0;
    }
    if (told > after && p->size != DAVIT_SIZE_UNKNOWN)
        p->doubtful = true; /* somebody else, who goes on with it, wrote into it */
    if (told > after || p->size == DAVIT_SIZE_UNKNOWN)
        return dv_error_set(err, DAVIT_EPROTOCOL, "the registry has %llu bytes of %llu that were sent",
                            (unsigned long long)told, (unsigned long long)after);
    *out_at = told <= before ? after : told;
    return 0;
}

/* It is too large for whoever stands before the registry: smaller pieces, as long as there are smaller ones. */
static dv_upload_turn shrink(dv_upload_plan *p, const dv_upload_piece *piece)
{
    uint64_t floor = p->chunk_min > DV_UPLOAD_PIECE_MIN ? p->chunk_min : DV_UPLOAD_PIECE_MIN;
    if (p->no_patch || p->size == DAVIT_SIZE_UNKNOWN || piece->size <= floor)
        return DV_UPLOAD_FAIL;
    uint64_t smaller = piece->size / 2 < DV_UPLOAD_PIECE ? piece->size / 2 : DV_UPLOAD_PIECE;
    p->piece = smaller < floor ? floor : smaller;
    p->whole = false;
    return piece->method == DV_UPLOAD_PUT ? DV_UPLOAD_AGAIN : DV_UPLOAD_ASK;
}

dv_upload_turn dv_upload_plan_failed(dv_upload_plan *p, const dv_upload_piece *piece, const davit_error *err)
{
    int status = davit_error_http_status(err);
    if (status == 404)
        return DV_UPLOAD_RESTART;
    if (status == 413)
        return shrink(p, piece);
    if (status == 416)
        return DV_UPLOAD_ASK;
    /* 400 and 411 say all kinds of things; to the first piece also "no pieces" (quirks.md: GCR). */
    bool refused = status == 405 || status == 501 || ((status == 400 || status == 411) && piece->first == 0);
    if (piece->method == DV_UPLOAD_PATCH && refused && p->size != DAVIT_SIZE_UNKNOWN && !p->no_patch) {
        p->no_patch = true;
        return DV_UPLOAD_AGAIN;
    }
    if (piece->method != DV_UPLOAD_PATCH && p->doubtful &&
        dv_str_equal(davit_error_registry_code(err), "DIGEST_INVALID")) {
        p->doubtful = false;
        return DV_UPLOAD_AGAIN;
    }
    return dv_retry_is_useful(err) ? DV_UPLOAD_LATER : DV_UPLOAD_FAIL;
}

int dv_upload_asked(dv_upload_plan *p, const dv_headers *answer, uint64_t known, uint64_t *out_at,
                    davit_error **err)
{
    uint64_t told = 0;
    int r = dv_upload_range(answer, &told, err);
    if (r < 0)
        return r;
    if (r > 0 && told > p->size)
        return dv_error_set(err, DAVIT_EPROTOCOL, "the registry has %llu bytes of a blob of %llu",
                            (unsigned long long)told, (unsigned long long)p->size);
    p->doubtful = true;
    *out_at = r > 0 && (told > known || p->ranged) ? told : known;
    return 0;
}

/* Whether a parameter of a query, up to its "&" or end, is this one. */
static bool is_parameter(const char *at, const char *name)
{
    size_t n = strlen(name);
    return strncmp(at, name, n) == 0 && (at[n] == '=' || at[n] == '&' || !at[n]);
}

void dv_upload_with_digest(const dv_url *session, const davit_digest *digest, dv_buf *out)
{
    size_t n = session->query ? strlen(session->text) - strlen(session->query) - 1 : strlen(session->text);
    char glue = '?';
    dv_buf_append(out, session->text, n);
    for (const char *at = session->query; at && *at;) {
        size_t size = strcspn(at, "&");
        if (!is_parameter(at, "digest")) {
            dv_buf_putc(out, glue);
            dv_buf_append(out, at, size);
            glue = '&';
        }
        at += size + (at[size] == '&');
    }
    dv_buf_printf(out, "%cdigest=", glue);
    dv_url_escape(out, digest->text, /* form= */ true);
}
