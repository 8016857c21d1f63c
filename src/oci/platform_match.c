/*
 * oci/platform_match.c - see platform.h: what a machine or a request can run, best first, and the place
 * an entry of an index has in that. Spec: pull.md 5.2, for a host that is not Windows.
 */
#include "oci/platform.h"

#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define LEVELS_MAX 64 /* a higher amd64 level or arm version than this stands for itself only */

static void add(dv_platform_vector *v, const char *architecture, const char *variant)
{
    if (v->count == DV_PLATFORM_VECTOR_MAX)
        return;
    davit_platform p = {.os = "linux"};
    snprintf(p.architecture, sizeof(p.architecture), "%s", architecture);
    snprintf(p.variant, sizeof(p.variant), "%s", variant);
    dv_platform_normalize_for(&p, &p);
    memcpy(v->places[v->count].architecture, p.architecture, sizeof(p.architecture));
    memcpy(v->places[v->count].variant, p.variant, sizeof(p.variant));
    v->count++;
}

/* "v7" or "7" is 7; -1 for what is no number or too large to be one of a processor. */
static int level(const char *variant)
{
    uint64_t n = 0;
    return dv_str_to_u64(variant + (*variant == 'v'), &n) && n <= LEVELS_MAX ? (int)n : -1;
}

/* The variant itself, then those below it down to last. */
static void add_down(dv_platform_vector *v, const char *architecture, const char *variant, int last)
{
    char lower[16];
    add(v, architecture, variant);
    for (int n = level(variant) - 1; n >= last; n--) {
        snprintf(lower, sizeof(lower), "v%d", n);
        add(v, architecture, lower);
    }
}

/* v<major>.<from> ... v<major>.1, v<major> */
static void add_arm64_row(dv_platform_vector *v, int major, int from)
{
    char variant[16];
    for (int n = from; n > 0; n--) {
        snprintf(variant, sizeof(variant), "v%d.%d", major, n);
        add(v, "arm64", variant);
    }
    snprintf(variant, sizeof(variant), "v%d", major);
    add(v, "arm64", variant);
}

/* The number behind the dot of "v8.3"; 0 for "v8" (or "" as v8); -1 if it is none of the major's. */
static int arm64_minor(const char *variant, char major)
{
    if (!*variant)
        return major == '8' ? 0 : -1;
    if (variant[0] != 'v' || variant[1] != major)
        return -1;
    if (!variant[2])
        return 0;
    bool one_digit = variant[2] == '.' && variant[3] >= '1' && variant[3] <= '9' && !variant[4];
    return one_digit ? variant[3] - '0' : -1;
}

/* v9.k has all of v8.(k+5). A variant that is not in the table runs nothing. */
static void add_arm64(dv_platform_vector *v, const char *variant)
{
    int eight = arm64_minor(variant, '8'), nine = arm64_minor(variant, '9');
    if (nine > 7 || (eight < 0 && nine < 0))
        return;
    if (nine >= 0)
        add_arm64_row(v, 9, nine);
    add_arm64_row(v, 8, eight >= 0 ? eight : nine + 5 < 9 ? nine + 5 : 9);
    add_down(v, "arm", "v8", 5);
}

void dv_platform_vector_init(dv_platform_vector *v, const davit_platform *wanted, const davit_platform *host)
{
    *v = (dv_platform_vector){.host = *host};
    davit_platform *p = &v->request;
    if (wanted)
        *p = *wanted;
    if (!*p->architecture) {
        memcpy(p->architecture, host->architecture, sizeof(p->architecture));
        memcpy(p->variant, host->variant, sizeof(p->variant));
    }
    dv_platform_normalize_for(p, host);
    if (strcmp(p->architecture, "amd64") == 0) {
        add_down(v, "amd64", p->variant, 1);
        add(v, "386", "");
    } else if (strcmp(p->architecture, "arm") == 0) {
        add_down(v, "arm", p->variant, 5);
    } else if (strcmp(p->architecture, "arm64") == 0) {
        add_arm64(v, p->variant);
    } else {
        add(v, p->architecture, p->variant);
    }
}

/* --- Windows versions ------------------------------------------------------------------------------ */

#define WINDOWS_SERVER_2022 20348 /* the first build whose successors run its images */

/* "major.minor.build", more parts allowed. */
static bool parse_version(const char *text, uint64_t out[3])
{
    for (int i = 0; i < 3; i++) {
        char word[DAVIT_PLATFORM_PART_MAX];
        size_t n = strcspn(text, ".");
        snprintf(word, sizeof(word), "%.*s", (int)n, text);
        if (!dv_str_to_u64(word, &out[i]))
            return false;
        text += n;
        if (i < 2 && *text++ != '.')
            return false;
    }
    return true;
}

static bool windows_version_fits(const char *wanted, const char *entry)
{
    uint64_t w[3], e[3];
    if (!parse_version(wanted, w) || !*entry)
        return true;
    if (!parse_version(entry, e) || w[0] != e[0] || w[1] != e[1])
        return false;
    if (w[2] < WINDOWS_SERVER_2022)
        return w[2] == e[2];
    return e[2] >= WINDOWS_SERVER_2022 && e[2] <= w[2];
}

int dv_platform_rank(const dv_platform_vector *v, const davit_platform *entry)
{
    if (!entry || davit_platform_is_empty(entry))
        return (int)v->count;
    davit_platform p = *entry;
    dv_platform_normalize_for(&p, &v->host);
    bool attestation = strcmp(p.os, "unknown") == 0 && strcmp(p.architecture, "unknown") == 0;
    if (attestation || strcmp(p.os, v->request.os) != 0)
        return -1;
    if (strcmp(p.os, "windows") == 0 && !windows_version_fits(v->request.os_version, p.os_version))
        return -1;
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(p.architecture, v->places[i].architecture) == 0 &&
            strcmp(p.variant, v->places[i].variant) == 0)
            return (int)i;
    return -1;
}
