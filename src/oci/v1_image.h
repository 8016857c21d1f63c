/* oci/v1_image.h - the metadata of a v1 image as a value, both ways; ids and checksums. Pure. Spec: registry-v1.md 7, 8. */
#ifndef DV_OCI_V1_IMAGE_H
#define DV_OCI_V1_IMAGE_H

#include "davit/registry_v1.h"
#include "util/error.h"
#include "util/hash.h"
#include "util/json.h"

DV_DEFINE_AUTOPTR(davit_v1_image_metadata, davit_v1_image_metadata_free)
DV_DEFINE_AUTO(davit_v1_texts, davit_v1_texts_clear)
DV_DEFINE_AUTO(davit_v1_name, davit_v1_name_clear)

/* 16 or 64 lower-case hex digits. */
bool dv_v1_id_is_valid(const char *id);

/* A list of strings out of JSON; null leaves it as it is. what names it in the error. */
int dv_v1_texts_read(const dv_json *list, const char *what, davit_v1_texts *out, davit_error **err);
/* Append a copy. False: no memory. */
bool dv_v1_texts_add(davit_v1_texts *texts, const char *text, size_t size);
/* A text out of JSON, no NUL inside; null leaves it as it is. */
int dv_v1_text_read(const dv_json *v, const char *what, char **out, davit_error **err);

/* Begin the hash of an image: the layer's bytes follow, dv_v1_checksum_text() ends it. */
void dv_v1_checksum_begin(dv_hash *hash, const void *json, size_t size);
/* Whether one of the checksums that a registry named can be held against a layer. */
bool dv_v1_checksum_is_known(const davit_v1_texts *checksums);
/* DAVIT_EDIGEST: it named some that can be checked, and none of them is this digest. image is for the error. */
int dv_v1_checksum_check(const davit_v1_texts *checksums, const davit_digest *digest, const char *image,
                         davit_error **err);

#endif
