/*
 * oci/platform.h - platforms against a given host: everything of davit/platform.h that the tests drive
 * with other machines than the one they run on.
 */
#ifndef DV_OCI_PLATFORM_H
#define DV_OCI_PLATFORM_H

#include "davit/platform.h"

/* --- values (platform.c) --------------------------------------------------------------------------- */

void dv_platform_normalize_for(davit_platform *p, const davit_platform *host);
int dv_platform_parse_for(const char *text, const davit_platform *host, davit_platform *out,
                          davit_error **err);

/* --- choosing (platform_match.c) ------------------------------------------------------------------- */

#define DV_PLATFORM_VECTOR_MAX 72

/*
 * What fits a request, best first: one OS, and for each place an architecture with its variant (pull.md
 * 5.2).
 */
typedef struct dv_platform_vector {
    davit_platform request; /* effective and normalised */
    davit_platform host;
    size_t count;
    struct {
        char architecture[DAVIT_PLATFORM_PART_MAX];
        char variant[DAVIT_PLATFORM_PART_MAX];
    } places[DV_PLATFORM_VECTOR_MAX];
} dv_platform_vector;

/* wanted: NULL or empty parts are filled from the host. */
void dv_platform_vector_init(dv_platform_vector *v, const davit_platform *wanted, const davit_platform *host);
/*
 * Place of an entry in the vector, v->count for one without a platform (NULL or all parts empty), -1 if
 * it does not fit.
 */
int dv_platform_rank(const dv_platform_vector *v, const davit_platform *entry);

/* --- this machine (platform_host.c) ---------------------------------------------------------------- */

/* What CPUID said; xcr0 is 0 where the system does not save extended registers. */
typedef struct dv_cpuid {
    uint32_t max_leaf;
    uint32_t leaf1_ecx, leaf7_ebx, extended1_ecx;
    uint64_t xcr0;
} dv_cpuid;

/* Micro-architecture level of an amd64 processor, 1 to 4 (pull.md 5.3). */
int dv_platform_amd64_level(const dv_cpuid *cpu);
/*
 * Variant of an arm processor, "v5" to "v8", "" if unknown: from the text of /proc/cpuinfo, else from
 * uname's machine.
 */
const char *dv_platform_arm_variant(const char *cpuinfo, const char *machine);

#endif
