/*
 * registry/upload_plan.h - how a blob is cut into requests, and what the answers to them mean: pure decisions.
 * Spec: registry-v2.md 6, quirks.md.
 */
#ifndef DV_REGISTRY_UPLOAD_PLAN_H
#define DV_REGISTRY_UPLOAD_PLAN_H

#include "davit/digest.h"
#include "net/header.h"
#include "net/url.h"

#define DV_UPLOAD_WHOLE_MAX \
    (16u << 20)                        /* bytes; larger blobs go in pieces, so that a broken upload goes on */
#define DV_UPLOAD_PIECE (8u << 20)     /* bytes of a PATCH */
#define DV_UPLOAD_PIECE_MIN (1u << 20) /* after refusals as too large (413) */
#define DV_UPLOAD_PIECE_MAX \
    (1u << 30)                 /* that OCI-Chunk-Min-Length may ask for: a piece is not held in memory */
#define DV_UPLOAD_STARTS_MAX 5 /* sessions of one upload */

typedef struct dv_upload_plan {
    uint64_t size;      /* of the blob; DAVIT_SIZE_UNKNOWN: one PATCH in chunks */
    uint64_t piece;     /* bytes of a PATCH */
    uint64_t chunk_min; /* what the registry asked for, 0: nothing */
    bool whole;         /* one PUT carries everything */
    bool no_patch;      /* the registry refuses PATCH */
    bool ranged;        /* a Range that it told was the true one once: it can be believed */
    bool doubtful; /* the session was gone on with by what the registry said of it, or is not ours alone */
} dv_upload_plan;

typedef enum dv_upload_method { DV_UPLOAD_PATCH, DV_UPLOAD_PUT, DV_UPLOAD_FINISH } dv_upload_method;

/* The next request that carries bytes, or the last, which carries none. */
typedef struct dv_upload_piece {
    dv_upload_method method;
    uint64_t first;
    uint64_t size; /* DAVIT_SIZE_UNKNOWN: all that follows, in chunks */
} dv_upload_piece;

/* begun: a session that holds bytes already is gone on with, so it goes in pieces. */
void dv_upload_plan_init(dv_upload_plan *p, uint64_t size, bool begun);
/* A session was opened: OCI-Chunk-Min-Length, unless it is more than DV_UPLOAD_PIECE_MAX. */
void dv_upload_plan_opened(dv_upload_plan *p, const dv_headers *answer);
/* at: bytes that the session has. A stream of unknown size is over when ended. */
dv_upload_piece dv_upload_plan_next(const dv_upload_plan *p, uint64_t at, bool ended);

/*
 * Range of an answer, "0-LAST" (also "bytes=0-LAST", which some send): 1 and *out_size bytes; 0 when there is none, or it is "0-0",
 * which stands for nothing and for one byte. Malformed: DAVIT_EPROTOCOL with the texts of registry-v2.md 6.2.
 */
int dv_upload_range(const dv_headers *answer, uint64_t *out_size, davit_error **err);

/*
 * A PATCH of sent bytes from before on was answered 2xx: *out_at is where to go on. A Range that stays behind is not believed when
 * it tells no news (ECR), and is when it ends within the piece; one that is ahead, or differs at all for a stream whose
 * bytes are gone, is DAVIT_EPROTOCOL.
 */
int dv_upload_patched(dv_upload_plan *p, const dv_headers *answer, uint64_t before, uint64_t sent,
                      uint64_t *out_at, davit_error **err);

/*
 * A session was asked where it is: *out_at is where to go on; known is what it has acknowledged before. DAVIT_EPROTOCOL: more than
 * there is.
 */
int dv_upload_asked(dv_upload_plan *p, const dv_headers *answer, uint64_t known, uint64_t *out_at,
                    davit_error **err);

/* The URL that ends a session: its own with digest= added, or in place of the one that it has. Appends. */
void dv_upload_with_digest(const dv_url *session, const davit_digest *digest, dv_buf *out);

typedef enum dv_upload_turn {
    DV_UPLOAD_FAIL,    /* nothing helps */
    DV_UPLOAD_LATER,   /* worth repeating after a while: ask where the session is first */
    DV_UPLOAD_ASK,     /* ask where it is, now */
    DV_UPLOAD_AGAIN,   /* the plan was changed: a new session, now */
    DV_UPLOAD_RESTART, /* the session is gone: look whether the blob is there, else a new session */
} dv_upload_turn;

/* What to do about a request that failed so; status 0: no HTTP answer. Changes the plan where that helps. */
dv_upload_turn dv_upload_plan_failed(dv_upload_plan *p, const dv_upload_piece *piece, const davit_error *err);

#endif
