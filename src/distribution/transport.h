/*
 * distribution/transport.h - "[TRANSPORT:]NAME", where an image is by what a user typed (DESIGN 3): pure.
 *
 * The text behind oci: and the archives is cut at its first colon, as skopeo does; so a path with a colon cannot be said.
 */
#ifndef DV_DISTRIBUTION_TRANSPORT_H
#define DV_DISTRIBUTION_TRANSPORT_H

#include "davit/reference.h"
#include "davit/unpack.h"
#include "util/buf.h"

typedef enum dv_place_kind {
    DV_PLACE_REGISTRY,       /* docker://REF */
    DV_PLACE_STORE,          /* store:REF|ID */
    DV_PLACE_LAYOUT,         /* oci:DIR[:NAME], oci:DIR@DIGEST */
    DV_PLACE_OCI_ARCHIVE,    /* oci-archive:FILE[:NAME] */
    DV_PLACE_DOCKER_ARCHIVE, /* docker-archive:FILE[:REF] */
    DV_PLACE_DIR,            /* dir:DIR, in skopeo's form */
    DV_PLACE_V1,             /* v1://[HOST/]REPOSITORY[:TAG|@ID], of a registry of the first version */
} dv_place_kind;

typedef struct dv_place {
    dv_place_kind kind;
    char *path; /* of a directory or file; of DV_PLACE_V1 host and repository; NULL for a registry and the store */
    char *name; /* what the user called the image there; NULL: nothing */
    davit_reference
        *reference; /* of a registry; of the store and a docker archive when the name is one; else NULL */
    davit_digest digest; /* oci:DIR@DIGEST; algorithm NONE: not given */
    char *id;            /* v1://NAME@ID; NULL: not given */
} dv_place;

#define DV_PLACE_INIT \
    {                 \
        0             \
    }
void dv_place_clear(dv_place *p);
DV_DEFINE_AUTO(dv_place, dv_place_clear)

/* bare: what a text without a transport is. DAVIT_EINVAL. */
int dv_place_parse(const char *text, dv_place_kind bare, dv_place *out, davit_error **err);
/* Whether a text is of one of the transports of files, which are all but docker:// and store: */
bool dv_place_is_of_files(const char *text);
/* Whether an image can be looked at where it is. DAVIT_EUNSUPPORTED: its layers must be fetched first. */
int dv_place_check_readable(const dv_place *p, davit_error **err);
/* "oci:", ... */
const char *dv_place_prefix(dv_place_kind kind);
/* Append it as a user would type it, with another name when tag is not NULL. */
void dv_place_format(const dv_place *p, const char *tag, dv_buf *out);
/* Whether both are the same image; paths are compared as text. */
bool dv_place_equal(const dv_place *a, const dv_place *b);

/* A name for who takes images from the store, a registry or files. */
typedef struct dv_image_name {
    const char *text; /* borrowed: behind docker:// and store:, else all that was typed */
    bool of_files;
    davit_pull_when pull; /* docker:// is always, store: never */
} dv_image_name;

/* pull: what else was said. DAVIT_EINVAL where they contradict each other. */
int dv_image_name_read(const char *text, davit_pull_when pull, dv_image_name *out, davit_error **err);

#endif
