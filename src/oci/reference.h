/* oci/reference.h - what reference.c and reference_match.c share: the value. */
#ifndef DV_OCI_REFERENCE_H
#define DV_OCI_REFERENCE_H

#include "davit/reference.h"
#include "util/alloc.h"

#include <stdatomic.h>

/* One allocation; every text lies in data, and many are the tail of another. */
struct davit_reference {
    atomic_uint refs;
    const char *domain; /* "" when there is none */
    const char *path;   /* "" for a digest-only reference, as are name and familiar_name */
    const char *name;
    const char *tag;    /* NULL when there is none */
    const char *digest; /* likewise */
    const char *text;
    const char *familiar_name;
    const char *familiar;
    char data[];
};

DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)

#endif
