/*
 * registry/v1_answer.h - what a v1 registry or index answers, as values: bodies that list images, tags and ids, and the headers that are
 * more than text. Pure. Spec: registry-v1.md 5, 8-10.
 */
#ifndef DV_REGISTRY_V1_ANSWER_H
#define DV_REGISTRY_V1_ANSWER_H

#include "davit/registry_v1.h"
#include "net/header.h"
#include "util/json.h"

DV_DEFINE_AUTOPTR(davit_v1_image_entries, davit_v1_image_entries_free)
DV_DEFINE_AUTOPTR(davit_v1_tags, davit_v1_tags_free)

/* A body of at most max bytes. what names it in errors, here and below. */
int dv_v1_answer_parse(const void *bytes, size_t size, size_t max, const char *what, dv_json **out,
                       davit_error **err);
int dv_v1_answer_entries(const dv_json *list, davit_v1_image_entries **out, davit_error **err);
int dv_v1_answer_tags(const dv_json *map, davit_v1_tags **out, davit_error **err);
/* A text alone; null is "". */
int dv_v1_answer_text(const dv_json *document, const char *what, char **out, davit_error **err);

/* X-Docker-Size (DAVIT_SIZE_UNKNOWN) and X-Docker-Checksum-Payload: several headers, or several values in one. */
int dv_v1_answer_layer(const dv_headers *headers, uint64_t *out_size, davit_v1_texts *out_checksums,
                       davit_error **err);
/* Content-Range: "bytes a-b/size", or without the unit as the reference server writes it; with its size. */
bool dv_v1_answer_range(const dv_headers *headers, uint64_t *out_first, uint64_t *out_last,
                        uint64_t *out_total);

#endif
