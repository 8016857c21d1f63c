/*
 * oci/reference.c - see davit/reference.h. Names of images: grammar, normal form, composing.
 *
 * Exact rules and texts: reference.md 1-8. The grammar is matched by hand; its character classes are
 * disjoint enough that no backtracking is needed: the first '@' begins the digest, a ':' behind the last
 * '/' the tag, and what stands before the first '/' is the domain if it can be one. Sorting and patterns
 * are reference_match.c's; which registry a domain means is service/'s.
 */
#include "oci/reference.h"

#include "util/error.h"
#include "util/str.h"

#include <string.h>

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN "index.docker.io"
#define OFFICIAL_PREFIX "library/"
#define DEFAULT_TAG "latest"
#define PATH_MAX_BYTES 255
#define TAG_MAX_BYTES 128
#define IDENTIFIER_BYTES 64
#define SHOWN_MAX 1024 /* bytes of an input that a message repeats */

static const char err_format[] = "invalid reference format";
static const char err_tag[] = "invalid tag format";
static const char err_digest[] = "invalid digest format";
static const char err_uppercase[] = "repository name must be lowercase";
static const char err_empty[] = "repository name must have at least one component";
static const char err_long[] = "repository name must not be more than 255 characters";
static const char err_canonical[] = "repository name must be canonical";

/* Part of a text; NULL when it is not there. */
typedef struct span {
    const char *at;
    size_t size;
} span;

static span span_of(const char *s)
{
    return (span){s, s ? strlen(s) : 0};
}

/* --- grammar (reference.md 1) ---------------------------------------------------------------------- */

static bool is_lower_or_digit(char c)
{
    return dv_char_is_digit(c) || (c >= 'a' && c <= 'z');
}

static bool is_alpha(char c)
{
    return dv_char_is_alnum(c) && !dv_char_is_digit(c);
}

static bool is_hex(char c)
{
    return dv_char_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* alnum *( alnum | "-" ) alnum, several of them with dots between */
static bool is_dns_name(span s)
{
    char before = '.';
    for (size_t i = 0; i < s.size; before = s.at[i++]) {
        char c = s.at[i];
        bool after_alnum = dv_char_is_alnum(before);
        if (!dv_char_is_alnum(c) && !(c == '-' && (after_alnum || before == '-')) &&
            !(c == '.' && after_alnum))
            return false;
    }
    return s.size > 0 && dv_char_is_alnum(before);
}

static bool is_host(span s)
{
    if (s.size == 0 || s.at[0] != '[')
        return is_dns_name(s);
    if (s.size < 3 || s.at[s.size - 1] != ']')
        return false;
    for (size_t i = 1; i < s.size - 1; i++)
        if (!is_hex(s.at[i]) && s.at[i] != ':')
            return false;
    return true;
}

static bool is_domain(span s)
{
    size_t host = s.size;
    while (host > 0 && dv_char_is_digit(s.at[host - 1]))
        host--;
    bool has_port = host > 0 && host < s.size && s.at[host - 1] == ':';
    return is_host((span){s.at, has_port ? host - 1 : s.size});
}

/* The separators between lower-case letters and digits: "." "_" "__" "-"... */
static bool is_separator(const char *s, size_t size)
{
    if (size == 1)
        return *s == '.' || *s == '_' || *s == '-';
    if (size == 2 && s[0] == '_' && s[1] == '_')
        return true;
    for (size_t i = 0; i < size; i++)
        if (s[i] != '-')
            return false;
    return size > 0;
}

/* One component from i on: its end, or i if there is none. */
static size_t component_end(span s, size_t i)
{
    size_t start = i;
    while (i < s.size && is_lower_or_digit(s.at[i]))
        i++;
    while (i > start && i < s.size && s.at[i] != '/') {
        size_t separator = i;
        while (i < s.size && s.at[i] != '/' && !is_lower_or_digit(s.at[i]))
            i++;
        if (!is_separator(s.at + separator, i - separator) || i == s.size || s.at[i] == '/')
            return start;
        while (i < s.size && is_lower_or_digit(s.at[i]))
            i++;
    }
    return i;
}

static bool is_path(span s)
{
    for (size_t i = 0;; i++) {
        size_t end = component_end(s, i);
        if (end == i)
            return false;
        if (end == s.size)
            return true;
        i = end;
    }
}

static bool is_tag(span s)
{
    if (s.size == 0 || s.size > TAG_MAX_BYTES || s.at[0] == '.' || s.at[0] == '-')
        return false;
    for (size_t i = 0; i < s.size; i++)
        if (!dv_char_is_alnum(s.at[i]) && s.at[i] != '_' && s.at[i] != '.' && s.at[i] != '-')
            return false;
    return true;
}

/* algo ":" 32*hex; laxer than davit_digest_parse() */
static bool is_digest(span s)
{
    const char *colon = memchr(s.at, ':', s.size);
    size_t algorithm = colon ? (size_t)(colon - s.at) : 0;
    bool at_start = true;
    for (size_t i = 0; i < algorithm; i++) {
        char c = s.at[i];
        bool separator = c == '+' || c == '.' || c == '-' || c == '_';
        if (at_start ? !is_alpha(c) : !separator && !dv_char_is_alnum(c))
            return false;
        at_start = separator;
    }
    if (at_start || s.size - algorithm - 1 < 32)
        return false;
    for (size_t i = algorithm + 1; i < s.size; i++)
        if (!is_hex(s.at[i]))
            return false;
    return true;
}

typedef struct parts {
    span domain, path, tag, digest;
} parts;

static bool match_name(span name, parts *out)
{
    const char *slash = memchr(name.at, '/', name.size);
    span domain = {name.at, slash ? (size_t)(slash - name.at) : 0};
    span rest = name;
    if (slash && is_domain(domain))
        rest = (span){slash + 1, name.size - domain.size - 1};
    else
        domain = (span){NULL, 0};
    if (!is_path(rest))
        return false;
    *out = (parts){.domain = domain, .path = rest};
    return true;
}

static bool match_reference(const char *text, parts *out)
{
    parts p = {0};
    span name = span_of(text), tag = {0}, digest = {0};
    const char *at = strchr(text, '@');
    if (at) {
        digest = span_of(at + 1);
        name.size = (size_t)(at - text);
    }
    const char *slash = memrchr(name.at, '/', name.size);
    const char *last = slash ? slash + 1 : name.at;
    const char *colon = memchr(last, ':', (size_t)(name.at + name.size - last));
    if (colon) {
        tag = (span){colon + 1, (size_t)(name.at + name.size - colon - 1)};
        name.size = (size_t)(colon - text);
    }
    if ((digest.at && !is_digest(digest)) || (tag.at && !is_tag(tag)) || !match_name(name, &p))
        return false;
    p.tag = tag;
    p.digest = digest;
    *out = p;
    return true;
}

/* --- letter case beyond ASCII (reference.md 13.6) -------------------------------------------------- */

/*
 * Upper-case letters of the scripts that have them in common use; step 2: every other one. Both results
 * of a miss are errors.
 */
static bool is_upper_rune(uint32_t rune)
{
    static const struct {
        uint32_t first, last, step;
    } ranges[] = {
        {'A', 'Z', 1},       {0xc0, 0xd6, 1},     {0xd8, 0xde, 1},       {0x100, 0x136, 2},
        {0x139, 0x147, 2},   {0x14a, 0x176, 2},   {0x178, 0x178, 1},     {0x179, 0x17d, 2},
        {0x1cd, 0x1db, 2},   {0x1de, 0x1ee, 2},   {0x1f8, 0x21e, 2},     {0x386, 0x386, 1},
        {0x388, 0x38a, 1},   {0x38c, 0x38c, 1},   {0x38e, 0x38f, 1},     {0x391, 0x3a1, 1},
        {0x3a3, 0x3ab, 1},   {0x400, 0x42f, 1},   {0x460, 0x480, 2},     {0x48a, 0x4be, 2},
        {0x4d0, 0x52e, 2},   {0x531, 0x556, 1},   {0x10a0, 0x10c5, 1},   {0x1e00, 0x1e94, 2},
        {0x1ea0, 0x1efe, 2}, {0x2126, 0x2126, 1}, {0x212a, 0x212b, 1},   {0x2160, 0x216f, 1},
        {0x24b6, 0x24cf, 1}, {0xff21, 0xff3a, 1}, {0x10400, 0x10427, 1},
    };
    for (size_t i = 0; i < DV_COUNT(ranges); i++)
        if (rune >= ranges[i].first && rune <= ranges[i].last &&
            (rune - ranges[i].first) % ranges[i].step == 0)
            return true;
    return false;
}

/* Whether lower-casing changes it; bytes that are not UTF-8 count as changed. */
static bool changes_in_lower_case(span s)
{
    for (size_t i = 0; i < s.size;) {
        uint32_t rune = 0;
        size_t n = dv_utf8_length(s.at + i, s.size - i, &rune);
        if (n == 0 || is_upper_rune(rune))
            return true;
        i += n;
    }
    return false;
}

/*
 * Lower-cased as far as the grammar can see: ASCII, and the two other letters whose lower case is ASCII.
 */
static char *lowered(const char *text)
{
    char *copy = dv_strdup(text);
    if (!copy)
        return NULL;
    dv_str_lower(copy);
    char *to = copy;
    for (const char *from = copy; *from; to++) {
        bool kelvin = dv_str_starts(from, "\xe2\x84\xaa"), dotted_i = dv_str_starts(from, "\xc4\xb0");
        *to = kelvin ? 'k' : dotted_i ? 'i' : *from;
        from += kelvin ? 3 : dotted_i ? 2 : 1;
    }
    *to = '\0';
    return copy;
}

/* --- the value ------------------------------------------------------------------------------------- */

static char *put(char **at, span s)
{
    char *start = *at;
    if (s.size)
        memcpy(start, s.at, s.size);
    start[s.size] = '\0';
    *at = start + s.size + 1;
    return start;
}

/* How much of a name's front its familiar form leaves out (reference.md 7). */
static size_t familiar_skip(const davit_reference *ref)
{
    if (strcmp(ref->domain, DEFAULT_DOMAIN) != 0)
        return 0;
    size_t skip = strlen(DEFAULT_DOMAIN "/"), prefix = strlen(OFFICIAL_PREFIX);
    bool official = dv_str_starts(ref->path, OFFICIAL_PREFIX) && !strchr(ref->path + prefix, '/');
    return official ? skip + prefix : skip;
}

/* Parts may lie in another reference. */
static int make(const parts *p, davit_reference **out, davit_error **err)
{
    size_t name_size = p->path.size + (p->domain.size ? p->domain.size + 1 : 0);
    size_t tail_size = (p->tag.at ? p->tag.size + 1 : 0) + (p->digest.at ? p->digest.size + 1 : 0);
    size_t size = p->domain.size + p->tag.size + 2 * name_size + tail_size + 4;
    davit_reference *ref = calloc(1, sizeof(*ref) + size);
    if (!ref)
        return dv_error_oom(err);
    atomic_init(&ref->refs, 1);
    char *at = ref->data;
    ref->domain = put(&at, p->domain);
    if (p->tag.at)
        ref->tag = put(&at, p->tag);
    char *name = at, *end = at;
    if (p->domain.size) {
        put(&end, p->domain);
        end[-1] = '/';
    }
    ref->path = put(&end, p->path);
    ref->name = name;
    char *text = end;
    put(&end, (span){name, name_size});
    if (p->tag.at) {
        end[-1] = ':';
        put(&end, p->tag);
    }
    if (p->digest.at) {
        bool digest_only = end == text + 1;
        end -= digest_only;
        if (!digest_only)
            end[-1] = '@';
        ref->digest = put(&end, p->digest);
    }
    ref->text = text;
    size_t skip = familiar_skip(ref);
    ref->familiar_name = name + skip;
    ref->familiar = text + skip;
    *out = ref;
    return 0;
}

static parts parts_of(const davit_reference *ref)
{
    return (parts){span_of(ref->domain), span_of(ref->path), span_of(ref->tag), span_of(ref->digest)};
}

davit_reference *davit_reference_ref(davit_reference *ref)
{
    atomic_fetch_add_explicit(&ref->refs, 1, memory_order_relaxed);
    return ref;
}

void davit_reference_free(davit_reference *ref)
{
    if (ref && atomic_fetch_sub_explicit(&ref->refs, 1, memory_order_acq_rel) == 1)
        free(ref);
}

/* --- parsing (reference.md 3-5) -------------------------------------------------------------------- */

static int refuse(const char *why, davit_error **err)
{
    return dv_error_set(err, DAVIT_EINVAL, "%s", why);
}

static int refuse_shown(const char *before, span shown, const char *after, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(8 * SHOWN_MAX);
    dv_str_escape(&text, shown.at, shown.size < SHOWN_MAX ? shown.size : SHOWN_MAX,
                  /* keep_newlines= */ false);
    return dv_error_set(err, DAVIT_EINVAL, "%s (%s)%s", before, dv_buf_text(&text), after);
}

static int refuse_no_match(const char *text, davit_error **err)
{
    if (!*text)
        return refuse(err_empty, err);
    DV_AUTOFREE char *lower = lowered(text);
    if (!lower)
        return dv_error_oom(err);
    parts p;
    return refuse(match_reference(lower, &p) ? err_uppercase : err_format, err);
}

int davit_reference_parse_exact(const char *text, davit_reference **out, davit_error **err)
{
    parts p;
    if (!match_reference(text, &p))
        return refuse_no_match(text, err);
    if (p.path.size > PATH_MAX_BYTES)
        return refuse(err_long, err);
    if (p.digest.at) {
        davit_digest checked;
        int r = davit_digest_parse(p.digest.at, &checked, err);
        if (r < 0)
            return r;
    }
    return make(&p, out, err);
}

bool davit_reference_is_identifier(const char *text)
{
    size_t n = 0;
    while (is_hex(text[n]) && !(text[n] >= 'A' && text[n] <= 'F'))
        n++;
    return n == IDENTIFIER_BYTES && !text[n];
}

/* The domain that text names or leaves out, a slash, and the rest with its "library/". */
static void append_with_domain(dv_buf *out, const char *text)
{
    const char *slash = strchr(text, '/');
    span first = {text, slash ? (size_t)(slash - text) : 0};
    const char *rest = slash ? slash + 1 : text;
    bool legacy =
        slash && first.size == strlen(LEGACY_DOMAIN) && memcmp(text, LEGACY_DOMAIN, first.size) == 0;
    bool localhost = slash && first.size == strlen("localhost") && memcmp(text, "localhost", first.size) == 0;
    bool is_name = slash && (memchr(text, '.', first.size) || memchr(text, ':', first.size));
    bool given = localhost || is_name || (slash && changes_in_lower_case(first));
    if (slash && !given)
        rest = text;
    bool hub = !given || legacy ||
               (first.size == strlen(DEFAULT_DOMAIN) && memcmp(text, DEFAULT_DOMAIN, first.size) == 0);
    if (hub)
        dv_buf_puts(out, DEFAULT_DOMAIN);
    else
        dv_buf_append(out, first.at, first.size);
    dv_buf_putc(out, '/');
    if (hub && !strchr(rest, '/'))
        dv_buf_puts(out, OFFICIAL_PREFIX);
    dv_buf_puts(out, rest);
}

int davit_reference_parse(const char *text, davit_reference **out, davit_error **err)
{
    if (davit_reference_is_identifier(text))
        return refuse_shown("invalid repository name", span_of(text),
                            ", cannot specify 64-byte hexadecimal strings", err);
    DV_AUTO(dv_buf) full = DV_BUF_INIT(strlen(text) + sizeof(DEFAULT_DOMAIN "/" OFFICIAL_PREFIX));
    append_with_domain(&full, text);
    if (full.failed)
        return dv_error_oom(err);
    /*
     * The domain has no slash: what follows the first is the remote part, up to its tag or its digest's
     * colon.
     */
    const char *remote = strchr(full.data, '/') + 1;
    span name = {remote, strcspn(remote, ":")};
    if (changes_in_lower_case(name))
        return refuse_shown("invalid reference format: repository name", name, " must be lowercase", err);
    return davit_reference_parse_exact(full.data, out, err);
}

int davit_reference_parse_named(const char *text, davit_reference **out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = davit_reference_parse(text, &ref, err);
    if (r < 0)
        return r;
    if (strcmp(ref->text, text) != 0)
        return refuse(err_canonical, err);
    *out = DV_STEAL(ref);
    return 0;
}

int davit_reference_parse_any(const char *text, davit_reference **out, davit_error **err)
{
    davit_digest digest;
    DV_AUTO(dv_buf) id = DV_BUF_INIT(DAVIT_DIGEST_TEXT_MAX);
    if (davit_reference_is_identifier(text)) {
        dv_buf_printf(&id, "sha256:%s", text);
        if (id.failed)
            return dv_error_oom(err);
        text = dv_buf_text(&id);
    } else if (davit_digest_parse(text, &digest, NULL) < 0) {
        return davit_reference_parse(text, out, err);
    }
    const parts p = {.digest = span_of(text)};
    return make(&p, out, err);
}

int davit_reference_parse_docker(const char *text, davit_reference **out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = davit_reference_parse(text, &ref, err);
    if (r < 0)
        return r;
    parts p = parts_of(ref);
    if (p.digest.at)
        p.tag = (span){NULL, 0};
    else if (!p.tag.at)
        p.tag = span_of(DEFAULT_TAG);
    return make(&p, out, err);
}

int davit_reference_with_name(const char *name, davit_reference **out, davit_error **err)
{
    parts p;
    if (!match_name(span_of(name), &p))
        return refuse(err_format, err);
    return p.path.size > PATH_MAX_BYTES ? refuse(err_long, err) : make(&p, out, err);
}

/* --- composing (reference.md 6) -------------------------------------------------------------------- */

int davit_reference_with_tag(const davit_reference *ref, const char *tag, davit_reference **out,
                             davit_error **err)
{
    parts p = parts_of(ref);
    p.tag = span_of(tag);
    if (!is_tag(p.tag))
        return refuse(err_tag, err);
    return p.path.size == 0 ? refuse(err_empty, err) : make(&p, out, err);
}

int davit_reference_with_digest(const davit_reference *ref, const char *digest, davit_reference **out,
                                davit_error **err)
{
    parts p = parts_of(ref);
    p.digest = span_of(digest);
    if (!is_digest(p.digest))
        return refuse(err_digest, err);
    return p.path.size == 0 ? refuse(err_empty, err) : make(&p, out, err);
}

int davit_reference_trim(const davit_reference *ref, davit_reference **out, davit_error **err)
{
    parts p = parts_of(ref);
    p.tag = p.digest = (span){NULL, 0};
    return p.path.size == 0 ? refuse(err_empty, err) : make(&p, out, err);
}

int davit_reference_tag_name_only(const davit_reference *ref, davit_reference **out, davit_error **err)
{
    parts p = parts_of(ref);
    if (davit_reference_is_name_only(ref))
        p.tag = span_of(DEFAULT_TAG);
    return make(&p, out, err);
}

/* --- questions ------------------------------------------------------------------------------------- */

const char *davit_reference_domain(const davit_reference *ref)
{
    return ref->domain;
}

const char *davit_reference_path(const davit_reference *ref)
{
    return ref->path;
}

const char *davit_reference_name(const davit_reference *ref)
{
    return ref->name;
}

const char *davit_reference_tag(const davit_reference *ref)
{
    return ref->tag;
}

const char *davit_reference_digest_text(const davit_reference *ref)
{
    return ref->digest;
}

int davit_reference_digest(const davit_reference *ref, davit_digest *out, davit_error **err)
{
    if (!ref->digest)
        return dv_error_set(err, DAVIT_ENOTFOUND, "the reference has no digest");
    return davit_digest_parse(ref->digest, out, err);
}

const char *davit_reference_text(const davit_reference *ref)
{
    return ref->text;
}

bool davit_reference_is_name_only(const davit_reference *ref)
{
    return !ref->tag && !ref->digest;
}

const char *davit_reference_familiar_name(const davit_reference *ref)
{
    return ref->familiar_name;
}

const char *davit_reference_familiar(const davit_reference *ref)
{
    return ref->familiar;
}
