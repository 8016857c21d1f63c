/*
 * davit/descriptor.h - media type, digest and size of something that is elsewhere.
 */
#ifndef DAVIT_DESCRIPTOR_H
#define DAVIT_DESCRIPTOR_H

#include <davit/digest.h>
#include <davit/platform.h>

DAVIT_BEGIN_DECLS

/**
 * A descriptor that stands in a manifest or index borrows its texts from it; one that a caller builds borrows whatever the
 * caller points at. media_type is never NULL in what the library returns ("" when unknown).
 */
typedef struct davit_descriptor {
    const char *media_type;
    davit_digest digest;
    uint64_t size;             /* bytes, or DAVIT_SIZE_UNKNOWN */
    bool has_platform;         /* an index entry with a platform object */
    davit_platform platform;   /* empty unless has_platform */
    const char *artifact_type; /* NULL when absent */
} davit_descriptor;

/** One "key": "value" of an annotations object. Both texts are UTF-8 and borrowed. */
typedef struct davit_annotation {
    const char *key;
    const char *value;
} davit_annotation;

DAVIT_END_DECLS

#endif
