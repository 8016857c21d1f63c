/*
 * util/json_scan.h - the check of JSON bytes that stands before the JSON library. Used by json.c and its
 * tests.
 */
#ifndef DV_UTIL_JSON_SCAN_H
#define DV_UTIL_JSON_SCAN_H

#include "util/json.h"

/* 0, DAVIT_ETOOBIG (bytes, depth, values) or DAVIT_EFORMAT. Parameters as in dv_json_parse(). */
int dv_json_scan(const void *bytes, size_t size, const dv_json_limits *limits, const dv_json_known *known,
                 davit_error **err);

/*
 * The same into a copy: with limits->any_number each number that is no int64_t is written over there by a real that the JSON
 * library can hold. copy: size bytes, the same as in bytes.
 */
int dv_json_scan_numbers(const void *bytes, size_t size, const dv_json_limits *limits,
                         const dv_json_known *known, char *copy, davit_error **err);

/* Where and why a scan stopped. */
typedef struct dv_json_stop {
    size_t at;       /* behind the first value; of a failure: the byte that does not belong there, or size */
    bool incomplete; /* the bytes are the beginning of a value and no more */
    bool no_value;   /* a value should stand there */
} dv_json_stop;

/*
 * The first value of a stream: what stands behind it is not looked at. out_stop is always set. Parameters and errors as
 * above; without known keys.
 */
int dv_json_scan_first(const void *bytes, size_t size, const dv_json_limits *limits, dv_json_stop *out_stop,
                       davit_error **err);

/* Where a member of an object stands in the bytes: from the first byte to behind the last one. */
typedef struct dv_json_member {
    unsigned depth; /* 1: of the document itself */
    size_t key, key_end;
    size_t value, value_end;
} dv_json_member;

/* Not 0 ends the scan with it. */
typedef int dv_json_member_fn(void *user, const dv_json_member *member);

/* Scan a whole document and tell of each member of an object when it ends, so those inside before those around them. */
int dv_json_scan_members(const void *bytes, size_t size, const dv_json_limits *limits,
                         const dv_json_known *known, dv_json_member_fn *on_member, void *user,
                         davit_error **err);

/* The same, and of each element of an array as well: it has no key, key_end is 0. */
int dv_json_scan_parts(const void *bytes, size_t size, const dv_json_limits *limits,
                       dv_json_member_fn *on_part, void *user, davit_error **err);

#endif
