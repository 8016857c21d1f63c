/*
 * util/json_scan.c - reads JSON bytes once, without recursion and without allocating (threats C2).
 *
 * Decides: is it one JSON document within the limits, is its text UTF-8, do its integers fit int64_t,
 * and does a strict document use each of its known keys once and in one spelling (threats B4). Builds
 * nothing: json.c does, from the same bytes, after this has passed.
 *
 * Case variants are what Go's decoder takes for the same key: ASCII letters, and U+017F for s and U+212A
 * for k.
 */
#include "util/json_scan.h"

#include "util/str.h"

#include <assert.h>
#include <string.h>

#define DEPTH_DEFAULT 32
#define DEPTH_CEILING 128 /* what a caller may ask for */
#define VALUES_DEFAULT 100000
#define ROWS_MAX 32     /* rows of a dv_json_known table: bits of frame.rows */
#define KEYS_MAX 64     /* keys of one row: bits of frame.seen */
#define KEY_KEPT_MAX 40 /* bytes; a longer key is none that we know */

/*
 * A member's name: as it is, and folded. Runes outside ASCII are one byte 0xff, which no known key has.
 */
typedef struct key {
    unsigned char exact[KEY_KEPT_MAX];
    unsigned char folded[KEY_KEPT_MAX];
    size_t size; /* KEY_KEPT_MAX + 1: too long to be known */
} key;

/* An open object or array. Its path is the first path_size bytes of each row in rows. */
typedef struct frame {
    bool is_object;
    bool has_members;
    uint32_t rows;
    size_t path_size;
    const char *const *keys; /* the known keys of this very object, or NULL */
    uint64_t seen;
    dv_json_member member; /* the one that is being read */
} frame;

typedef struct scan {
    const char *bytes;
    size_t size, at;
    uint32_t max_depth, max_values;
    uint32_t depth, values;
    const dv_json_known *known;
    uint32_t next_rows; /* frame.rows and path_size of the value that comes next */
    size_t next_path_size;
    frame frames[DEPTH_CEILING];
    bool no_value;                /* why it failed */
    bool any_number;              /* of dv_json_limits */
    char *copy;                   /* NULL: none is kept */
    dv_json_member_fn *on_member; /* NULL: nobody wants to know */
    bool elements;                /* of arrays, too */
    void *user;
    davit_error **err;
} scan;

static int fail(scan *s, const char *why)
{
    return dv_error_set(s->err, DAVIT_EFORMAT, "malformed JSON at byte %zu: %s", s->at, why);
}

static void skip_space(scan *s)
{
    while (s->at < s->size && (s->bytes[s->at] == ' ' || s->bytes[s->at] == '\n' || s->bytes[s->at] == '\r' ||
                               s->bytes[s->at] == '\t'))
        s->at++;
}

static char peek(const scan *s)
{
    return s->at < s->size ? s->bytes[s->at] : '\0';
}

/* --- strings --------------------------------------------------------------------------------------- */

static void keep_rune(key *k, uint32_t rune)
{
    if (k->size >= KEY_KEPT_MAX) {
        k->size = KEY_KEPT_MAX + 1;
        return;
    }
    unsigned char exact = rune < 0x80 ? (unsigned char)rune : 0xff;
    unsigned char folded = exact >= 'A' && exact <= 'Z' ? (unsigned char)(exact + 32)
                           : rune == 0x17f              ? 's'
                           : rune == 0x212a             ? 'k'
                                                        : exact;
    k->exact[k->size] = exact;
    k->folded[k->size++] = folded;
}

static int scan_hex4(scan *s, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        char c = peek(s);
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit > 15)
            return fail(s, "bad \\u escape");
        v = v << 4 | digit;
    }
    *out = v;
    return 0;
}

static int scan_unicode_escape(scan *s, uint32_t *rune)
{
    int r = scan_hex4(s, rune);
    if (r < 0 || *rune < 0xd800 || *rune > 0xdfff)
        return r;
    uint32_t low = 0;
    if (*rune > 0xdbff || s->size - s->at < 6 || s->bytes[s->at] != '\\' || s->bytes[s->at + 1] != 'u')
        return fail(s, "lone surrogate");
    s->at += 2;
    r = scan_hex4(s, &low);
    if (r < 0)
        return r;
    if (low < 0xdc00 || low > 0xdfff)
        return fail(s, "lone surrogate");
    *rune = 0x10000 + ((*rune - 0xd800) << 10) + (low - 0xdc00);
    return 0;
}

static int scan_escape(scan *s, uint32_t *rune)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    s->at++;
    char c = peek(s);
    const char *found = c ? strchr(from, c) : NULL;
    if (c != 'u' && !found)
        return fail(s, "bad escape");
    s->at++;
    if (c == 'u')
        return scan_unicode_escape(s, rune);
    *rune = (unsigned char)to[found - from];
    return 0;
}

/* Most strings are nothing but this. */
static void skip_plain(scan *s)
{
    const unsigned char *p = (const unsigned char *)s->bytes;
    size_t at = s->at;
    while (at < s->size && p[at] >= 0x20 && p[at] < 0x80 && p[at] != '"' && p[at] != '\\')
        at++;
    s->at = at;
}

/* From the opening quote to behind the closing one. k may be NULL. */
static int scan_string(scan *s, key *k)
{
    s->at++;
    if (!k)
        skip_plain(s);
    while (s->at < s->size) {
        unsigned char c = (unsigned char)s->bytes[s->at];
        uint32_t rune = c;
        if (c == '"') {
            s->at++;
            return 0;
        }
        if (c < 0x20)
            return fail(s, "control character in a string");
        if (c == '\\') {
            int r = scan_escape(s, &rune);
            if (r < 0)
                return r;
        } else {
            size_t n = c < 0x80 ? 1 : dv_utf8_length(s->bytes + s->at, s->size - s->at, &rune);
            if (n == 0)
                return fail(s, "not UTF-8");
            s->at += n;
        }
        if (k)
            keep_rune(k, rune);
    }
    return fail(s, "string without end");
}

/* --- numbers and words ----------------------------------------------------------------------------- */

static size_t skip_digits(scan *s)
{
    size_t start = s->at;
    while (dv_char_is_digit(peek(s)))
        s->at++;
    return s->at - start;
}

static bool fits_int64(const char *digits, size_t n, bool negative)
{
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t digit = digits[i] - '0';
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, negative ? -digit : digit, &v))
            return false;
    }
    return true;
}

/* In the copy. A real has three bytes at least, as "1e1", and an integer beyond 64 bits more. */
static void replace_number(scan *s, size_t start)
{
    memset(s->copy + start, ' ', s->at - start);
    memcpy(s->copy + start, "0.0", 3);
}

static int scan_number(scan *s)
{
    size_t first = s->at;
    bool negative = peek(s) == '-';
    s->at += negative;
    size_t start = s->at, n = skip_digits(s);
    if (n == 0 || (n > 1 && s->bytes[start] == '0'))
        return fail(s, "bad number");
    bool is_real = false;
    if (peek(s) == '.') {
        is_real = true;
        s->at++;
        if (skip_digits(s) == 0)
            return fail(s, "bad number");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        is_real = true;
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (skip_digits(s) == 0)
            return fail(s, "bad number");
    }
    bool fits = !is_real && fits_int64(s->bytes + start, n, negative);
    if (!is_real && !fits && !s->any_number)
        return fail(s, "integer does not fit 64 bits");
    if (!fits && s->copy)
        replace_number(s, first);
    return 0;
}

static int scan_word(scan *s)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < DV_COUNT(words); i++) {
        size_t n = strlen(words[i]);
        if (s->size - s->at >= n && memcmp(s->bytes + s->at, words[i], n) == 0) {
            s->at += n;
            return 0;
        }
    }
    s->no_value = true;
    return fail(s, s->at < s->size ? "a value should stand here" : "it ends too early");
}

/* --- known keys ------------------------------------------------------------------------------------ */

/*
 * The rows of f that go on with this path element ("name", or "[]") and then end or go on with another.
 */
static void descend(scan *s, const frame *f, const char *element, size_t size, bool dotted)
{
    s->next_rows = 0;
    s->next_path_size = f->path_size + (dotted ? 1 : 0) + size;
    for (unsigned i = 0; f->rows && i < ROWS_MAX; i++) {
        if (!(f->rows & 1u << i))
            continue;
        const char *p = s->known[i].path + f->path_size;
        if (dotted && *p++ != '.')
            continue;
        if (strlen(p) >= size && memcmp(p, element, size) == 0 &&
            (p[size] == '\0' || p[size] == '.' || p[size] == '['))
            s->next_rows |= 1u << i;
    }
}

/* Folded and exact comparison with the known keys of the object. */
static int check_key(scan *s, frame *f, const key *k)
{
    for (unsigned i = 0; f->keys && f->keys[i]; i++) {
        assert(i < KEYS_MAX);
        const char *known = f->keys[i];
        if (strlen(known) != k->size)
            continue;
        bool same = memcmp(known, k->exact, k->size) == 0, similar = true;
        for (size_t n = 0; n < k->size; n++) {
            unsigned char c = (unsigned char)known[n];
            similar &= k->folded[n] == (c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        if (same && f->seen & UINT64_C(1) << i)
            return dv_error_set(s->err, DAVIT_EFORMAT, "key \"%s\" stands there twice", known);
        if (similar && !same)
            return dv_error_set(
                s->err, DAVIT_EFORMAT,
                "a key differs from \"%s\" only in upper and lower case, so that other programs "
                "would read another document",
                known);
        if (same)
            f->seen |= UINT64_C(1) << i;
    }
    return 0;
}

static int scan_key(scan *s, frame *f)
{
    key k = {.size = 0};
    if (peek(s) != '"')
        return fail(s, "a key should stand here");
    f->member.key = s->at;
    int r = scan_string(s, f->rows ? &k : NULL);
    f->member.key_end = s->at;
    if (r == 0)
        r = check_key(s, f, &k);
    if (r < 0)
        return r;
    /* An empty key, or one with the signs that paths are made of, is no element of a path. */
    bool is_element = f->rows && k.size > 0 && k.size <= KEY_KEPT_MAX && !memchr(k.exact, '.', k.size) &&
                      !memchr(k.exact, '[', k.size) && !memchr(k.exact, '\0', k.size);
    s->next_rows = 0;
    if (is_element)
        descend(s, f, (const char *)k.exact, k.size, f->path_size > 0);
    skip_space(s);
    if (peek(s) != ':')
        return fail(s, "a colon should stand here");
    s->at++;
    skip_space(s);
    return 0;
}

/* --- structure ------------------------------------------------------------------------------------- */

static int open_container(scan *s)
{
    if (s->depth >= s->max_depth)
        return dv_error_set(s->err, DAVIT_ETOOBIG, "JSON is nested deeper than %u", s->max_depth);
    frame *f = &s->frames[s->depth++];
    *f = (frame){.is_object = peek(s) == '{', .rows = s->next_rows, .path_size = s->next_path_size};
    s->at++;
    for (unsigned i = 0; f->is_object && i < ROWS_MAX; i++)
        if (f->rows & 1u << i && s->known[i].path[f->path_size] == '\0')
            f->keys = s->known[i].keys;
    return 0;
}

/* A scalar whole, or the opening of a container. */
static int scan_value(scan *s)
{
    if (s->values++ >= s->max_values)
        return dv_error_set(s->err, DAVIT_ETOOBIG, "JSON has more than %u values", s->max_values);
    char c = peek(s);
    if (c == '{' || c == '[')
        return open_container(s);
    if (c == '"')
        return scan_string(s, NULL);
    if (c == '-' || dv_char_is_digit(c))
        return scan_number(s);
    return scan_word(s);
}

/* A value has ended; it may be that of a member. */
static int end_member(scan *s)
{
    frame *f = s->depth > 0 ? &s->frames[s->depth - 1] : NULL;
    if (!f || !s->on_member || (!f->is_object && !s->elements))
        return 0;
    f->member.depth = s->depth;
    f->member.value_end = s->at;
    return s->on_member(s->user, &f->member);
}

/* The value of a member, or of an array; a container ends later. */
static int scan_inner_value(scan *s)
{
    uint32_t depth = s->depth;
    int r = scan_value(s);
    return r == 0 && s->depth == depth ? end_member(s) : r;
}

/* In the innermost container: close it, or read its next member. */
static int scan_member(scan *s)
{
    frame *f = &s->frames[s->depth - 1];
    skip_space(s);
    if (peek(s) == (f->is_object ? '}' : ']')) {
        s->at++;
        s->depth--;
        return end_member(s);
    }
    if (f->has_members) {
        if (peek(s) != ',')
            return fail(s, s->at < s->size ? "a comma or the end of the list should stand here"
                                           : "it ends too early");
        s->at++;
        skip_space(s);
    }
    f->has_members = true;
    if (!f->is_object) {
        descend(s, f, "[]", 2, false);
        f->member.value = s->at;
        return scan_inner_value(s);
    }
    int r = scan_key(s, f);
    f->member.value = s->at;
    return r < 0 ? r : scan_inner_value(s);
}

static void begin(scan *s, const void *bytes, size_t size, const dv_json_limits *limits,
                  const dv_json_known *known, davit_error **err)
{
    *s = (scan){
        .bytes = bytes,
        .size = size,
        .max_depth = limits->max_depth ? limits->max_depth : DEPTH_DEFAULT,
        .max_values = limits->max_values ? limits->max_values : VALUES_DEFAULT,
        .known = known,
        .any_number = limits->any_number,
        .err = err,
    };
    if (s->max_depth > DEPTH_CEILING)
        s->max_depth = DEPTH_CEILING;
    for (unsigned i = 0; known && known[i].path; i++) {
        assert(i < ROWS_MAX);
        s->next_rows |= 1u << i;
    }
}

/* One value with the space before it. */
static int scan_whole_value(scan *s)
{
    skip_space(s);
    int r = scan_value(s);
    while (r == 0 && s->depth > 0)
        r = scan_member(s);
    return r;
}

static int too_long(size_t size, const dv_json_limits *limits, davit_error **err)
{
    return dv_error_set(err, DAVIT_ETOOBIG, "%zu bytes, at most %zu are allowed", size, limits->max_bytes);
}

/* A document whole: nothing but space stands behind its value. */
static int scan_document(scan *s)
{
    int r = scan_whole_value(s);
    if (r != 0)
        return r;
    skip_space(s);
    return s->at == s->size ? 0 : fail(s, "something stands behind the document");
}

static int scan_and_tell(const void *bytes, size_t size, const dv_json_limits *limits,
                         const dv_json_known *known, dv_json_member_fn *on_member, bool elements, void *user,
                         davit_error **err)
{
    if (size > limits->max_bytes)
        return too_long(size, limits, err);
    scan s;
    begin(&s, bytes, size, limits, known, err);
    s.on_member = on_member;
    s.elements = elements;
    s.user = user;
    return scan_document(&s);
}

int dv_json_scan_members(const void *bytes, size_t size, const dv_json_limits *limits,
                         const dv_json_known *known, dv_json_member_fn *on_member, void *user,
                         davit_error **err)
{
    return scan_and_tell(bytes, size, limits, known, on_member, /* elements= */ false, user, err);
}

int dv_json_scan_parts(const void *bytes, size_t size, const dv_json_limits *limits,
                       dv_json_member_fn *on_part, void *user, davit_error **err)
{
    return scan_and_tell(bytes, size, limits, NULL, on_part, /* elements= */ true, user, err);
}

int dv_json_scan_numbers(const void *bytes, size_t size, const dv_json_limits *limits,
                         const dv_json_known *known, char *copy, davit_error **err)
{
    if (size > limits->max_bytes)
        return too_long(size, limits, err);
    scan s;
    begin(&s, bytes, size, limits, known, err);
    s.copy = limits->any_number ? copy : NULL;
    return scan_document(&s);
}

int dv_json_scan(const void *bytes, size_t size, const dv_json_limits *limits, const dv_json_known *known,
                 davit_error **err)
{
    return dv_json_scan_members(bytes, size, limits, known, /* on_member= */ NULL, NULL, err);
}

/* Whether the bytes end within "true", "false" or "null", of which the scan shows the first letter. */
static bool ends_in_word(const scan *s)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t rest = s->size - s->at;
    for (size_t i = 0; i < DV_COUNT(words); i++)
        if (rest < strlen(words[i]) && memcmp(words[i], s->bytes + s->at, rest) == 0)
            return true;
    return false;
}

int dv_json_scan_first(const void *bytes, size_t size, const dv_json_limits *limits, dv_json_stop *out_stop,
                       davit_error **err)
{
    scan s;
    begin(&s, bytes, size, limits, NULL, err);
    int r = size > limits->max_bytes ? too_long(size, limits, err) : scan_whole_value(&s);
    *out_stop = (dv_json_stop){.at = s.at, .no_value = s.no_value};
    if (r == DAVIT_EFORMAT)
        out_stop->incomplete = s.no_value ? ends_in_word(&s) : s.at == s.size;
    return r;
}
