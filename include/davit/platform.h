/*
 * davit/platform.h - operating system and processor, and which of several images fits one.
 */
#ifndef DAVIT_PLATFORM_H
#define DAVIT_PLATFORM_H

#include <davit/error.h>

DAVIT_BEGIN_DECLS

#define DAVIT_PLATFORM_PART_MAX 64 /* bytes with the NUL; a longer part in a document is refused */

/** All parts empty: no platform given. */
typedef struct davit_platform {
    char os[DAVIT_PLATFORM_PART_MAX];
    char architecture[DAVIT_PLATFORM_PART_MAX];
    char variant[DAVIT_PLATFORM_PART_MAX];
    char os_version[DAVIT_PLATFORM_PART_MAX];
} davit_platform;

/**
 * Parse "os", "arch", "os/arch" or "os/arch/variant", "os(version)/arch"; what is left out is the host's.
 *
 * Errors:  DAVIT_EINVAL
 * Threads: any
 * Spec:    pull.md 5.3
 */
DAVIT_API int davit_platform_parse(const char *text, davit_platform *out, davit_error **err);

#define DAVIT_PLATFORM_TEXT_MAX (4 * DAVIT_PLATFORM_PART_MAX + 8)

/** Write "os[(version)]/arch[/variant]", "unknown" for an empty os. @return @p text. Threads: any. Spec: pull.md 5.3. */
DAVIT_API char *davit_platform_format(const davit_platform *platform, char text[DAVIT_PLATFORM_TEXT_MAX]);

/** The platform of this machine, with the detected variant. Threads: any. Spec: pull.md 5.2. */
DAVIT_API void davit_platform_host(davit_platform *out);

/** Bring spellings to one form ("x86_64" is amd64). Threads: any. Spec: pull.md 5.1. */
DAVIT_API void davit_platform_normalize(davit_platform *platform);

/** Whether no part is set. Threads: any. */
DAVIT_API bool davit_platform_is_empty(const davit_platform *platform);

DAVIT_END_DECLS

#endif
