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

#endif
