/*
 * archive/tar_extension.c - gathers extension headers, splits PAX records, and says what of an entry they replace (threats D9).
 *
 * Of PAX: path, linkpath, size, uid, gid, mtime, atime, SCHILY.xattr.*; everything else is ignored, except sparse maps, which are
 * refused. An empty value takes a record back and the header's field counts again (POSIX); an empty xattr is an xattr.
 */
#include "archive/tar_extension.h"

#include "util/str.h"

#include <inttypes.h>
#include <string.h>

#define XATTR_PREFIX "SCHILY.xattr."
#define SPARSE_PREFIX "GNU.sparse."

void dv_tar_extension_clear(dv_tar_extension *e)
{
    dv_buf_clear(&e->text);
}

void dv_tar_extension_reset(dv_tar_extension *e)
{
    dv_buf_reset(&e->text);
    e->charged = 0;
    e->seen_pax = false;
    e->gnu_name = e->gnu_link = e->path = e->linkpath = 0;
    e->size = e->uid = e->gid = (dv_tar_number){0};
    e->mtime = e->atime = (dv_tar_time){0};
    e->xattr_count = 0;
}

bool dv_tar_extension_pending(const dv_tar_extension *e)
{
    return e->seen_pax || e->gnu_name || e->gnu_link;
}

static const char *text_at(const dv_tar_extension *e, dv_tar_text text)
{
    return text ? e->text.data + text - 1 : NULL;
}

static bool is_repeated(const dv_tar_extension *e, unsigned char type)
{
    switch (type) {
    case 'L':
        return e->gnu_name;
    case 'K':
        return e->gnu_link;
    case 'x':
        return e->seen_pax;
    }
    return false;
}

int dv_tar_extension_open(dv_tar_extension *e, unsigned char type, uint64_t size, davit_error **err)
{
    if (size > DV_TAR_EXTENSION_MAX || e->charged + size + DV_TAR_BLOCK_SIZE > DV_TAR_EXTENSION_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "extension headers of more than %u bytes before one entry",
                            DV_TAR_EXTENSION_MAX);
    if (is_repeated(e, type))
        return dv_error_set(err, DAVIT_EFORMAT, "a second extension header of type %c before one entry", type);
    e->charged += size + DV_TAR_BLOCK_SIZE;
    e->type = type;
    e->start = e->text.size;
    return 0;
}

int dv_tar_extension_append(dv_tar_extension *e, const void *bytes, size_t size, davit_error **err)
{
    dv_buf_append(&e->text, bytes, size);
    return e->text.failed ? dv_error_oom(err) : 0;
}

static int check_length(size_t size, davit_error **err)
{
    if (size > DV_TAR_NAME_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "a name or link of %zu bytes; %u are the limit", size,
                            DV_TAR_NAME_MAX);
    return 0;
}

/* The text of L or K: one name, with any number of NULs behind it. */
static int close_name(dv_tar_extension *e, dv_tar_text *out, davit_error **err)
{
    const char *name = e->text.data + e->start;
    const size_t size = e->text.size - e->start;
    const size_t length = strnlen(name, size);
    if (length == 0)
        return dv_error_set(err, DAVIT_EFORMAT, "an empty long name");
    for (size_t i = length; i < size; i++)
        if (name[i])
            return dv_error_set(err, DAVIT_EFORMAT, "a NUL in a long name");
    int r = check_length(length, err);
    if (r < 0)
        return r;
    *out = e->start + 1;
    return 0;
}

static int set_text(const dv_tar_extension *e, const char *value, dv_tar_text *out, davit_error **err)
{
    int r = check_length(strlen(value), err);
    if (r == 0)
        *out = *value ? (size_t)(value - e->text.data) + 1 : 0;
    return r;
}

static int set_number(const char *key, const char *value, dv_tar_number *out, davit_error **err)
{
    dv_tar_number number = {.set = *value != '\0'};
    if (number.set && (!dv_str_to_u64(value, &number.value) || number.value > INT64_MAX))
        return dv_error_set(err, DAVIT_EFORMAT, "pax record %s=%.40s: not a number in range", key, value);
    *out = number;
    return 0;
}

static int set_time(const char *key, const char *value, dv_tar_time *out, davit_error **err)
{
    dv_tar_time time = {0};
    if (*value && !dv_tar_time_parse(value, &time))
        return dv_error_set(err, DAVIT_EFORMAT, "pax record %s=%.40s: not a time", key, value);
    *out = time;
    return 0;
}

typedef struct known_record {
    const char *key;
    enum { VALUE_TEXT, VALUE_NUMBER, VALUE_TIME } kind;
    size_t field; /* of dv_tar_extension */
} known_record;

static const known_record known_records[] = {
    {"path", VALUE_TEXT, offsetof(dv_tar_extension, path)},
    {"linkpath", VALUE_TEXT, offsetof(dv_tar_extension, linkpath)},
    {"size", VALUE_NUMBER, offsetof(dv_tar_extension, size)},
    {"uid", VALUE_NUMBER, offsetof(dv_tar_extension, uid)},
    {"gid", VALUE_NUMBER, offsetof(dv_tar_extension, gid)},
    {"mtime", VALUE_TIME, offsetof(dv_tar_extension, mtime)},
    {"atime", VALUE_TIME, offsetof(dv_tar_extension, atime)},
};

static const known_record *find_record(const char *key)
{
    for (size_t i = 0; i < DV_COUNT(known_records); i++)
        if (dv_str_equal(key, known_records[i].key))
            return &known_records[i];
    return NULL;
}

static int take_known(dv_tar_extension *e, const known_record *known, const char *value, davit_error **err)
{
    void *field = (char *)e + known->field;
    switch (known->kind) {
    case VALUE_TEXT:
        return set_text(e, value, field, err);
    case VALUE_NUMBER:
        return set_number(known->key, value, field, err);
    case VALUE_TIME:
        return set_time(known->key, value, field, err);
    }
    return 0;
}

static int take_xattr(dv_tar_extension *e, const char *name, const char *value, size_t size, davit_error **err)
{
    size_t i = 0;
    while (i < e->xattr_count && !dv_str_equal(e->text.data + e->records[i].name, name))
        i++;
    if (*name == '\0')
        return dv_error_set(err, DAVIT_EFORMAT, "an xattr without a name");
    if (i == DV_TAR_XATTRS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %d xattrs", DV_TAR_XATTRS_MAX);
    e->records[i].name = (size_t)(name - e->text.data);
    e->records[i].value = (size_t)(value - e->text.data);
    e->records[i].size = size;
    if (i == e->xattr_count)
        e->xattr_count++;
    return 0;
}

static int take_record(dv_tar_extension *e, const char *key, const char *value, size_t size, davit_error **err)
{
    if (dv_str_starts(key, XATTR_PREFIX))
        return take_xattr(e, key + sizeof(XATTR_PREFIX) - 1, value, size, err);
    if (dv_str_starts(key, SPARSE_PREFIX))
        return dv_error_set(err, DAVIT_EFORMAT, "a sparse file (%.40s): not accepted in a layer", key);
    const known_record *known = find_record(key);
    if (!known)
        return 0;
    if (strlen(value) != size)
        return dv_error_set(err, DAVIT_EFORMAT, "pax record %s holds a NUL", key);
    return take_known(e, known, value, err);
}

/* The number before a record's space; 0 when there is none that fits. */
static size_t record_length(const char *text, size_t size, size_t *out_digits)
{
    size_t length = 0, i = 0;
    for (; i < size && dv_char_is_digit(text[i]); i++) {
        length = length * 10 + (size_t)(text[i] - '0');
        if (length > size)
            return 0;
    }
    *out_digits = i;
    return i > 0 && i < size && text[i] == ' ' ? length : 0;
}

/* "LENGTH KEY=VALUE\n"; '=' and '\n' become NULs, so that both stand as text in the buffer. Gives the record's length. */
static int split_record(dv_tar_extension *e, char *text, size_t size, size_t *out_length, davit_error **err)
{
    size_t digits = 0;
    const size_t length = record_length(text, size, &digits);
    if (length < digits + sizeof(" k=\n") - 1)
        return dv_error_set(err, DAVIT_EFORMAT, "a pax record whose length is wrong");
    if (text[length - 1] != '\n')
        return dv_error_set(err, DAVIT_EFORMAT, "a pax record without its newline");
    char *key = text + digits + 1;
    char *equals = memchr(key, '=', (size_t)(text + length - 1 - key));
    if (!equals || equals == key)
        return dv_error_set(err, DAVIT_EFORMAT, "a pax record without '=' or without a key");
    if (memchr(key, '\0', (size_t)(equals - key)))
        return dv_error_set(err, DAVIT_EFORMAT, "a NUL in the key of a pax record");
    *equals = text[length - 1] = '\0';
    *out_length = length;
    return take_record(e, key, equals + 1, (size_t)(text + length - 1 - (equals + 1)), err);
}

static int check_xattr_bytes(const dv_tar_extension *e, davit_error **err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < e->xattr_count; i++)
        bytes += e->records[i].size + strlen(e->text.data + e->records[i].name);
    if (bytes > DV_TAR_XATTR_BYTES_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "xattrs of %zu bytes; %u are the limit", bytes,
                            DV_TAR_XATTR_BYTES_MAX);
    return 0;
}

static int close_pax(dv_tar_extension *e, davit_error **err)
{
    e->seen_pax = true;
    for (size_t at = e->start, length = 0; at < e->text.size; at += length) {
        int r = split_record(e, e->text.data + at, e->text.size - at, &length, err);
        if (r < 0)
            return r;
    }
    return check_xattr_bytes(e, err);
}

int dv_tar_extension_close(dv_tar_extension *e, davit_error **err)
{
    if (e->type == 'x')
        return close_pax(e, err);
    dv_buf_putc(&e->text, '\0');
    if (e->text.failed)
        return dv_error_oom(err);
    return close_name(e, e->type == 'L' ? &e->gnu_name : &e->gnu_link, err);
}

/* Go prefers the GNU name, GNU tar the PAX one: when both are there they must be the same. */
static int choose_text(const dv_tar_extension *e, dv_tar_text pax, dv_tar_text gnu, const char *field,
                       const char **out, davit_error **err)
{
    if (pax && gnu && !dv_str_equal(text_at(e, pax), text_at(e, gnu)))
        return dv_error_set(err, DAVIT_EFORMAT, "its pax header and its GNU header give it two names");
    *out = pax ? text_at(e, pax) : gnu ? text_at(e, gnu) : field;
    return 0;
}

/*
 * The header's size may be 0 or anything when the real one does not fit there. Two different sizes that both would fit let two
 * programs see two archives.
 */
static int choose_size(const dv_tar_extension *e, uint64_t field, uint64_t *out, davit_error **err)
{
    if (e->size.set && e->size.value <= DV_TAR_OCTAL_11_MAX && field != 0 && field != e->size.value)
        return dv_error_set(err, DAVIT_EFORMAT, "its pax header says %" PRIu64 " bytes, its header %" PRIu64,
                            e->size.value, field);
    *out = e->size.set ? e->size.value : field;
    return 0;
}

/* -1 would mean "leave as it is" to chown, and what is above wraps to root (threats D8). */
static int choose_owner(const char *what, dv_tar_number number, int64_t field, uint32_t *out,
                        davit_error **err)
{
    const bool fits = number.set ? number.value < UINT32_MAX : field >= 0 && field < UINT32_MAX;
    if (!fits && number.set)
        return dv_error_set(err, DAVIT_EFORMAT, "its %s %" PRIu64 " is out of range", what, number.value);
    if (!fits)
        return dv_error_set(err, DAVIT_EFORMAT, "its %s %" PRId64 " is out of range", what, field);
    *out = number.set ? (uint32_t)number.value : (uint32_t)field;
    return 0;
}

static void apply_xattrs(dv_tar_extension *e, dv_tar_entry *out)
{
    for (size_t i = 0; i < e->xattr_count; i++)
        e->xattrs[i] = (dv_tar_xattr){
            .name = e->text.data + e->records[i].name,
            .value = e->text.data + e->records[i].value,
            .size = e->records[i].size,
        };
    out->xattrs = e->xattrs;
    out->xattr_count = e->xattr_count;
}

int dv_tar_extension_apply(dv_tar_extension *e, const dv_tar_header *h, dv_tar_entry *out, davit_error **err)
{
    int r = choose_text(e, e->path, e->gnu_name, h->name, &out->name, err);
    if (r == 0)
        r = choose_text(e, e->linkpath, e->gnu_link, h->link, &out->link, err);
    if (r == 0)
        r = choose_size(e, h->size, &out->size, err);
    if (r == 0)
        r = choose_owner("uid", e->uid, h->uid, &out->uid, err);
    if (r == 0)
        r = choose_owner("gid", e->gid, h->gid, &out->gid, err);
    if (r < 0)
        return r;
    out->mtime = e->mtime.set ? e->mtime : h->mtime;
    out->atime = e->atime.set ? e->atime : h->atime;
    apply_xattrs(e, out);
    return 0;
}

/* Up to nine digits of a fraction as nanoseconds; false when there is something else than digits. */
static bool parse_fraction(const char *text, uint32_t *out)
{
    uint32_t ns = 0;
    size_t i = 0;
    for (; text[i]; i++) {
        if (!dv_char_is_digit(text[i]))
            return false;
        if (i < 9)
            ns = ns * 10 + (uint32_t)(text[i] - '0');
    }
    for (; i < 9; i++)
        ns *= 10;
    *out = ns;
    return true;
}

bool dv_tar_time_parse(const char *text, dv_tar_time *out)
{
    const bool negative = *text == '-';
    int64_t seconds = 0;
    uint32_t ns = 0;
    text += negative;
    if (!dv_char_is_digit(*text))
        return false;
    for (; dv_char_is_digit(*text); text++)
        if (__builtin_mul_overflow(seconds, 10, &seconds) ||
            __builtin_add_overflow(seconds, *text - '0', &seconds))
            return false;
    if (*text && (*text != '.' || !parse_fraction(text + 1, &ns)))
        return false;
    if (negative) {
        seconds = ns ? -seconds - 1 : -seconds;
        ns = ns ? 1000000000u - ns : 0;
    }
    *out = (dv_tar_time){.s = seconds, .ns = ns, .set = true};
    return true;
}
