/*
 * oci/reference_match.c - sorting references, and matching them against shell patterns (reference.md 9).
 */
#include "oci/reference.h"

#include "util/error.h"
#include "util/str.h"

#include <string.h>

/* --- patterns: * ? [a-z] [^a-z] \x ----------------------------------------------------------------- */

/* The rune at s; a byte that is no UTF-8 is one rune of its own. */
static size_t next_rune(const char *s, uint32_t *out)
{
    size_t n = dv_utf8_length(s, strlen(s), out);
    if (n == 0)
        *out = 0x110000u + (unsigned char)*s;
    return n ? n : 1;
}

/* One character of a class, which may be escaped. NULL: the pattern is malformed. */
static const char *class_rune(const char *p, uint32_t *out)
{
    if (*p == '-' || *p == ']')
        return NULL;
    p += *p == '\\';
    size_t n = *p ? dv_utf8_length(p, strlen(p), out) : 0;
    return n && p[n] ? p + n : NULL;
}

/*
 * A class from behind its '[': where it ends, and whether it has the rune. NULL: the pattern is
 * malformed.
 */
static const char *match_class(const char *p, uint32_t rune, bool *out_matches)
{
    bool negated = *p == '^', found = false;
    p += negated;
    for (bool empty = true; empty || *p != ']'; empty = false) {
        uint32_t low = 0, high;
        p = class_rune(p, &low);
        high = low;
        if (p && *p == '-')
            p = class_rune(p + 1, &high);
        if (!p)
            return NULL;
        found = found || (rune >= low && rune <= high);
    }
    *out_matches = found != negated;
    return p + 1;
}

static bool is_well_formed(const char *p)
{
    bool ignored;
    while (p && *p) {
        if (*p == '[') {
            p = match_class(p + 1, 0, &ignored);
        } else if (*p == '\\') {
            if (!p[1])
                return false;
            p += 2;
        } else {
            p++;
        }
    }
    return p != NULL;
}

/* One item of a well-formed pattern that is no star, against the front of s. False: no match. */
static bool match_item(const char **pattern, const char **text)
{
    const char *p = *pattern, *s = *text;
    uint32_t rune = 0;
    bool matches = *s != '\0';
    if (!matches || !*p)
        return false;
    if (*p == '[') {
        s += next_rune(s, &rune);
        p = match_class(p + 1, rune, &matches);
    } else if (*p == '?') {
        matches = *s != '/';
        s += next_rune(s, &rune);
        p++;
    } else {
        p += *p == '\\';
        matches = *p++ == *s++;
    }
    *pattern = p;
    *text = s;
    return matches;
}

/*
 * Only the latest star is tried again: what earlier ones have taken stays, as in the reference
 * implementation.
 */
static bool matches_glob(const char *p, const char *s)
{
    const char *after_star = NULL, *star_end = NULL;
    for (;;) {
        if (*p == '*') {
            while (*p == '*')
                p++;
            after_star = p;
            star_end = s;
            continue;
        }
        if (!*p && !*s)
            return true;
        if (match_item(&p, &s))
            continue;
        if (!after_star || !*star_end || *star_end == '/')
            return false;
        p = after_star;
        s = ++star_end;
    }
}

int davit_reference_familiar_match(const davit_reference *ref, const char *pattern, bool *out,
                                   davit_error **err)
{
    if (!is_well_formed(pattern))
        return dv_error_set(err, DAVIT_EINVAL, "syntax error in pattern");
    *out = matches_glob(pattern, ref->familiar) || (*ref->path && matches_glob(pattern, ref->familiar_name));
    return 0;
}

/* --- sorting --------------------------------------------------------------------------------------- */

typedef struct ranked {
    int rank;
    char *text;
} ranked;

enum { RANK_UNPARSABLE = 6 };

static int rank_of(const davit_reference *ref)
{
    if (!*ref->path)
        return 5;
    if (ref->tag)
        return ref->digest ? 1 : 2;
    return ref->digest ? 3 : 4;
}

static int compare(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : strcmp(x->text, y->text);
}

/* A text that is no reference is kept as it is; only missing memory is an error. */
static int rank_text(const char *text, ranked *out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = davit_reference_parse_any(text, &ref, NULL);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    out->rank = r == 0 ? rank_of(ref) : RANK_UNPARSABLE;
    out->text = dv_strdup(r == 0 ? ref->text : text);
    return out->text ? 0 : dv_error_oom(err);
}

int davit_reference_sort(const char *const *texts, size_t count, char ***out, davit_error **err)
{
    char **result = dv_new_array(char *, count);
    DV_AUTOFREE ranked *list = dv_new_array(ranked, count);
    int r = result && list ? 0 : dv_error_oom(err);
    size_t done = 0;
    for (; r == 0 && done < count; done++)
        r = rank_text(texts[done], &list[done], err);
    if (r == 0)
        qsort(list, count, sizeof(*list), compare);
    for (size_t i = 0; result && list && i < done; i++)
        result[i] = list[i].text;
    if (r < 0) {
        davit_reference_sort_free(result, done);
        return r;
    }
    *out = result;
    return 0;
}

void davit_reference_sort_free(char **texts, size_t count)
{
    for (size_t i = 0; texts && i < count; i++)
        free(texts[i]);
    free(texts);
}
