/*
 * davit/common.h - what every public header needs: export marks, sizes, how bytes are handed in, the version.
 *
 * Every other public header includes this one, compiles alone, and is valid C99 and C++.
 */
#ifndef DAVIT_COMMON_H
#define DAVIT_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DAVIT_API __attribute__((visibility("default")))
#define DAVIT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define DAVIT_API
#define DAVIT_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
#define DAVIT_BEGIN_DECLS extern "C" {
#define DAVIT_END_DECLS }
#else
#define DAVIT_BEGIN_DECLS
#define DAVIT_END_DECLS
#endif

#define DAVIT_VERSION_MAJOR 0
#define DAVIT_VERSION_MINOR 1
#define DAVIT_VERSION_PATCH 0
#define DAVIT_VERSION "0.1.0"

/** A size that is not known. */
#define DAVIT_SIZE_UNKNOWN UINT64_MAX

DAVIT_BEGIN_DECLS

/** Gives the next piece of what is read: 0 and *out_size, 0 at the end; or a negative davit_code, which ends the call that reads. */
typedef int (*davit_read_fn)(void *bytes, size_t size, size_t *out_size, void *user_data);

/**
 * The version of the library that is running, as "0.1.0"; DAVIT_VERSION is that of the headers.
 *
 * Threads: any
 */
DAVIT_API const char *davit_version(void);

DAVIT_END_DECLS

#endif
