/*
 * oci/platform.c - see davit/platform.h and platform.h: one spelling for a platform, its text, and back.
 *
 * Which of several platforms fits is platform_match.c's; what this machine is, platform_host.c's. Spec:
 * pull.md 5.1, 5.3.
 */
#include "oci/platform.h"

#include "util/error.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

/* A constant, or something that is known to fit. */
static void set_part(char part[DAVIT_PLATFORM_PART_MAX], const char *text)
{
    snprintf(part, DAVIT_PLATFORM_PART_MAX, "%s", text);
}

static bool is_one_of(const char *s, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(s, *list) == 0)
            return true;
    return false;
}

/* --- one spelling ---------------------------------------------------------------------------------- */

/* architecture and variant as written (NULL: any variant) to one form; NULL leaves the variant alone. */
static const struct spelling {
    const char *architecture, *variant;
    const char *to_architecture, *to_variant;
} spellings[] = {
    {"i386", NULL, "386", ""},        {"x86_64", "v1", "amd64", ""},     {"x86-64", "v1", "amd64", ""},
    {"amd64", "v1", "amd64", ""},     {"x86_64", NULL, "amd64", NULL},   {"x86-64", NULL, "amd64", NULL},
    {"aarch64", "8", "arm64", ""},    {"aarch64", "v8", "arm64", ""},    {"aarch64", "v8.0", "arm64", ""},
    {"aarch64", "9", "arm64", "v9"},  {"aarch64", "9.0", "arm64", "v9"}, {"aarch64", "v9.0", "arm64", "v9"},
    {"aarch64", NULL, "arm64", NULL}, {"arm64", "8", "arm64", ""},       {"arm64", "v8", "arm64", ""},
    {"arm64", "v8.0", "arm64", ""},   {"arm64", "9", "arm64", "v9"},     {"arm64", "9.0", "arm64", "v9"},
    {"arm64", "v9.0", "arm64", "v9"}, {"armhf", NULL, "arm", "v7"},      {"armel", NULL, "arm", "v6"},
    {"arm", "", "arm", "v7"},         {"arm", "7", "arm", "v7"},         {"arm", "5", "arm", "v5"},
    {"arm", "6", "arm", "v6"},        {"arm", "8", "arm", "v8"},
};

static void normalize_architecture(davit_platform *p)
{
    dv_str_lower(p->architecture);
    dv_str_lower(p->variant);
    for (size_t i = 0; i < DV_COUNT(spellings); i++) {
        const struct spelling *s = &spellings[i];
        if (strcmp(s->architecture, p->architecture) != 0 ||
            (s->variant && strcmp(s->variant, p->variant) != 0))
            continue;
        set_part(p->architecture, s->to_architecture);
        if (s->to_variant)
            set_part(p->variant, s->to_variant);
        return;
    }
}

static void normalize_os(char os[DAVIT_PLATFORM_PART_MAX], const davit_platform *host)
{
    if (!*os)
        set_part(os, host->os);
    dv_str_lower(os);
    if (strcmp(os, "macos") == 0)
        set_part(os, "darwin");
}

void dv_platform_normalize_for(davit_platform *p, const davit_platform *host)
{
    normalize_os(p->os, host);
    normalize_architecture(p);
}

void davit_platform_normalize(davit_platform *platform)
{
    davit_platform host;
    davit_platform_host(&host);
    dv_platform_normalize_for(platform, &host);
}

bool davit_platform_is_empty(const davit_platform *platform)
{
    return !*platform->os && !*platform->architecture && !*platform->variant && !*platform->os_version;
}

/* --- text ------------------------------------------------------------------------------------------ */

char *davit_platform_format(const davit_platform *platform, char text[DAVIT_PLATFORM_TEXT_MAX])
{
    const davit_platform *p = platform;
    bool version = *p->os_version, architecture = *p->architecture, variant = *p->variant;
    snprintf(text, DAVIT_PLATFORM_TEXT_MAX, "%s%s%s%s%s%s%s%s", p->os, version ? "(" : "", p->os_version,
             version ? ")" : "", architecture ? "/" : "", p->architecture, variant ? "/" : "", p->variant);
    if (!*p->os)
        strcpy(text, "unknown");
    return text;
}

static const char *const known_os[] = {"aix",     "android", "darwin",  "dragonfly", "freebsd", "hurd",
                                       "illumos", "ios",     "js",      "linux",     "nacl",    "netbsd",
                                       "openbsd", "plan9",   "solaris", "windows",   "zos",     NULL};
static const char *const known_architectures[] = {
    "386",     "amd64", "amd64p32", "arm",    "armbe",    "arm64",     "arm64be",     "ppc64", "ppc64le",
    "loong64", "mips",  "mipsle",   "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc",   "riscv",
    "riscv64", "s390",  "s390x",    "sparc",  "sparc64",  "wasm",      NULL};

/* [A-Za-z0-9_-]+, with dots if they are allowed, of what fits into a part. */
static bool take_word(const char *s, size_t size, bool dots, char part[DAVIT_PLATFORM_PART_MAX])
{
    if (size >= DAVIT_PLATFORM_PART_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!dv_char_is_alnum(s[i]) && s[i] != '_' && s[i] != '-' && !(dots && s[i] == '.'))
            return false;
    memcpy(part, s, size);
    part[size] = '\0';
    return true;
}

/* os, or os(version) */
static bool take_os(const char *s, size_t size, davit_platform *p)
{
    const char *open = memchr(s, '(', size);
    size_t os_size = open ? (size_t)(open - s) : size;
    if (os_size == 0 || !take_word(s, os_size, /* dots= */ false, p->os))
        return false;
    return !open ||
           (s[size - 1] == ')' && take_word(open + 1, size - os_size - 2, /* dots= */ true, p->os_version));
}

static int refuse(const char *text, const char *why, davit_error **err)
{
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(4096);
    size_t n = strlen(text);
    dv_str_escape(&shown, text, n < 256 ? n : 256, /* keep_newlines= */ false);
    return dv_error_set(err, DAVIT_EINVAL, "\"%s\": %s", dv_buf_text(&shown), why);
}

/* A single word: an operating system, else an architecture. */
static int complete_word(const char *text, const davit_platform *host, davit_platform *p, davit_error **err)
{
    char word[DAVIT_PLATFORM_PART_MAX];
    memcpy(word, p->os, sizeof(word));
    normalize_os(p->os, host);
    if (is_one_of(p->os, known_os)) {
        set_part(p->architecture, host->architecture);
        if (strcmp(host->architecture, "arm") == 0 && strcmp(host->variant, "v7") != 0)
            set_part(p->variant, host->variant);
        return 0;
    }
    *p = (davit_platform){.os = ""};
    set_part(p->architecture, word);
    normalize_architecture(p);
    if (strchr(text, '(') || !is_one_of(p->architecture, known_architectures))
        return refuse(text, "unknown operating system or architecture", err);
    set_part(p->os, host->os);
    return 0;
}

int dv_platform_parse_for(const char *text, const davit_platform *host, davit_platform *out, davit_error **err)
{
    davit_platform p = {.os = ""};
    char *const parts[] = {p.os, p.architecture, p.variant};
    size_t count = 0;
    if (strchr(text, '*'))
        return refuse(text, "wildcards not yet supported", err);
    for (const char *at = text;; at++, count++) {
        size_t size = strcspn(at, "/");
        if (count == DV_COUNT(parts))
            return refuse(text, "cannot parse platform specifier", err);
        if (count == 0 ? !take_os(at, size, &p)
                       : size == 0 || !take_word(at, size, /* dots= */ true, parts[count]))
            return refuse(text, "platform specifier has an invalid component", err);
        at += size;
        if (!*at)
            break;
    }
    bool has_variant = count == 2;
    if (count == 0) {
        int r = complete_word(text, host, &p, err);
        if (r < 0)
            return r;
    } else {
        dv_platform_normalize_for(&p, host);
    }
    if (has_variant && strcmp(p.architecture, "arm64") == 0 && !*p.variant)
        set_part(p.variant, "v8");
    /* The variant that "arm" stands for is not written down when nobody wrote it. */
    if (!has_variant && strcmp(p.architecture, "arm") == 0 && strcmp(p.variant, "v7") == 0)
        set_part(p.variant, "");
    *out = p;
    return 0;
}

int davit_platform_parse(const char *text, davit_platform *out, davit_error **err)
{
    davit_platform host;
    davit_platform_host(&host);
    return dv_platform_parse_for(text, &host, out, err);
}
