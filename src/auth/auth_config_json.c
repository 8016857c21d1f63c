/*
 * auth/auth_config_json.c - AuthConfig as JSON, in the X-Registry-Auth header and in a body (auth.md 1, 2).
 *
 * Reading is a stream decoder's: one JSON value is taken, and what stands behind it is looked at neither as JSON nor as
 * base64. Where a value ends is util/json_scan.c's to say. Every buffer that held a secret is wiped.
 */
#include "auth/auth_config.h"

#include "util/base64.h"
#include "util/json_scan.h"
#include "util/str.h"

#include <string.h>

#define AUTH_CONFIG_MAX (4u << 20)   /* bytes of JSON that are read (threats C1) */
#define AUTH_CONFIG_VALUES_MAX 10000 /* JSON values, known or not (threats C2) */
#define WRITTEN_MAX (SIZE_MAX / 4)   /* what a caller has in memory may be written */
#define PREFIX "invalid X-Registry-Auth header: "

/* In the order of writing. */
static const struct member {
    const char *key;
    size_t offset;
} members[] = {
    {"username", offsetof(davit_auth_config, username)},
    {"password", offsetof(davit_auth_config, password)},
    {"auth", offsetof(davit_auth_config, auth)},
    {"email", offsetof(davit_auth_config, email)},
    {"serveraddress", offsetof(davit_auth_config, serveraddress)},
    {"identitytoken", offsetof(davit_auth_config, identitytoken)},
    {"registrytoken", offsetof(davit_auth_config, registrytoken)},
};

static char **slot(davit_auth_config *config, const struct member *m)
{
    return (char **)((char *)config + m->offset);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void write_object(const davit_auth_config *config, dv_buf *out)
{
    bool first = true;
    dv_buf_putc(out, '{');
    for (size_t i = 0; config && i < DV_COUNT(members); i++) {
        const char *text = *(char *const *)((const char *)config + members[i].offset);
        if (!text || !*text)
            continue;
        dv_buf_printf(out, "%s\"%s\":", first ? "" : ",", members[i].key);
        dv_json_write_string(out, text);
        first = false;
    }
    dv_buf_putc(out, '}');
}

static int give(dv_buf *text, char **out, davit_error **err)
{
    char *taken = dv_buf_take(text);
    if (!taken)
        return dv_error_oom(err);
    *out = taken;
    return 0;
}

int davit_auth_config_format(const davit_auth_config *config, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) json = {.max = WRITTEN_MAX, .secret = true};
    write_object(config, &json);
    return give(&json, out, err);
}

int davit_auth_config_encode(const davit_auth_config *config, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) json = {.max = WRITTEN_MAX, .secret = true}, text = {.max = WRITTEN_MAX, .secret = true};
    write_object(config, &json);
    if (json.failed)
        return dv_error_oom(err);
    dv_base64_encode(&text, json.data, json.size, /* url_alphabet= */ true);
    return give(&text, out, err);
}

int davit_authenticate_ok_body_format(const davit_authenticate_ok_body *body, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) json = {.max = WRITTEN_MAX, .secret = true};
    dv_buf_puts(&json, "{\"IdentityToken\":");
    dv_json_write_string(&json, body->identity_token ? body->identity_token : "");
    dv_buf_puts(&json, ",\"Status\":");
    dv_json_write_string(&json, body->status ? body->status : "");
    dv_buf_putc(&json, '}');
    return give(&json, out, err);
}

void davit_authenticate_ok_body_clear(davit_authenticate_ok_body *body)
{
    if (!body)
        return;
    davit_secret_free(body->identity_token);
    davit_secret_free(body->status);
    *body = (davit_authenticate_ok_body)DAVIT_AUTHENTICATE_OK_BODY_INIT;
}

/* --- reading: base64 ------------------------------------------------------------------------------------------------ */

/* Why a stream has no more bytes. */
typedef enum stream_end {
    END_PLAIN,    /* it is over */
    END_PARTIAL,  /* within four digits: padding is missing */
    END_CORRUPT,  /* at a byte that is no base64 */
    END_TOO_LONG, /* more than AUTH_CONFIG_MAX */
} stream_end;

typedef struct stream {
    dv_buf bytes;
    stream_end end;
    size_t corrupt_at; /* in the base64 text, line ends not counted */
} stream;

#define STREAM_INIT                                            \
    {                                                          \
        .bytes = {.max = AUTH_CONFIG_MAX + 3, .secret = true } \
    }

static void stream_clear(stream *s)
{
    dv_buf_clear(&s->bytes);
}
DV_DEFINE_AUTO(stream, stream_clear)

static bool is_digit(char c)
{
    return dv_char_is_alnum(c) || c == '-' || c == '_';
}

/* As far as it goes; what is behind the padding is corrupt, which matters only when the value is not complete by then. */
static void read_base64(const char *text, stream *s)
{
    char four[4];
    size_t filled = 0, at = 0;
    bool padded = false;
    for (; *text && s->end == END_PLAIN; text++) {
        if (*text == '\r' || *text == '\n')
            continue;
        four[filled++] = *text;
        if (filled < 4)
            continue;
        if (padded || !dv_base64_decode(&s->bytes, four, 4, /* url_alphabet= */ true)) {
            for (filled = 0; !padded && filled < 3 && is_digit(four[filled]);)
                filled++;
            s->corrupt_at = at + filled;
            s->end = END_CORRUPT;
        } else if (s->bytes.size > AUTH_CONFIG_MAX) {
            s->end = END_TOO_LONG;
        }
        padded = four[3] == '=';
        at += 4;
        filled = 0;
    }
    if (s->end == END_PLAIN && filled > 0)
        s->end = END_PARTIAL;
    explicit_bzero(four, sizeof(four));
}

/* --- reading: one JSON value ------------------------------------------------------------------------------------------ */

static int invalid(davit_error **err, const char *why)
{
    return dv_error_set(err, DAVIT_EINVAL, PREFIX "%s", why);
}

/* The value is not complete where the bytes end. */
static int ended_early(const stream *s, const char *json, davit_error **err)
{
    bool nothing = json[strspn(json, " \t\r\n")] == '\0';
    if (s->end == END_CORRUPT)
        return dv_error_set(err, DAVIT_EINVAL, PREFIX "illegal base64 data at input byte %zu", s->corrupt_at);
    if (s->end == END_TOO_LONG)
        return dv_error_set(err, DAVIT_EINVAL, PREFIX "more than %u MiB", AUTH_CONFIG_MAX >> 20);
    return invalid(err, nothing && s->end == END_PLAIN ? "EOF" : "unexpected EOF");
}

/* A byte between single quotes. */
static void quote(dv_buf *out, char c)
{
    bool plain = c >= 0x20 && c < 0x7f;
    if (plain)
        dv_buf_printf(out, c == '\'' || c == '\\' ? "'\\%c'" : "'%c'", c);
    else
        dv_buf_printf(out, "'\\x%02x'", (unsigned)(unsigned char)c);
}

/* No value begins so; at what byte of true, false or null it stops to be one. */
static int no_value(const char *at, davit_error **err)
{
    static const char *const words[] = {"true", "false", "null"};
    DV_AUTO(dv_buf) text = DV_BUF_INIT(100);
    const char *word = NULL;
    for (size_t i = 0; i < DV_COUNT(words); i++)
        if (*at == *words[i])
            word = words[i];
    size_t same = 0;
    while (word && at[same] == word[same])
        same++;
    dv_buf_puts(&text, "invalid character ");
    quote(&text, at[same]);
    if (word) {
        dv_buf_printf(&text, " in literal %s (expecting ", word);
        quote(&text, word[same]);
        dv_buf_putc(&text, ')');
    } else {
        dv_buf_puts(&text, " looking for beginning of value");
    }
    return text.failed ? dv_error_oom(err) : invalid(err, dv_buf_text(&text));
}

static const char *type_name(const dv_json *v)
{
    switch (dv_json_get_type(v)) {
    case DV_JSON_BOOL:
        return "bool";
    case DV_JSON_INTEGER:
    case DV_JSON_REAL:
        return "number";
    case DV_JSON_STRING:
        return "string";
    case DV_JSON_ARRAY:
        return "array";
    case DV_JSON_OBJECT:
        return "object";
    case DV_JSON_NULL:
        break;
    }
    return "null";
}

static const struct member *find_member(const char *key)
{
    for (size_t i = 0; i < DV_COUNT(members); i++)
        if (strcmp(key, members[i].key) == 0)
            return &members[i];
    for (size_t i = 0; i < DV_COUNT(members); i++)
        if (dv_str_equal_nocase(key, members[i].key))
            return &members[i];
    return NULL;
}

static int take_member(const struct member *m, const dv_json *value, davit_auth_config *out, davit_error **err)
{
    size_t size = 0;
    const char *text = dv_json_string(value, &size);
    if (dv_json_is(value, DV_JSON_NULL))
        return 0;
    if (!text)
        return dv_error_set(err, DAVIT_EINVAL,
                            PREFIX
                            "json: cannot unmarshal %s into Go struct field AuthConfig.%s of type string",
                            type_name(value), m->key);
    if (strlen(text) != size)
        return dv_error_set(err, DAVIT_EINVAL, PREFIX "NUL in %s", m->key);
    char *copy = dv_strdup(text);
    if (!copy)
        return dv_error_oom(err);
    davit_secret_free(*slot(out, m));
    *slot(out, m) = copy;
    return 0;
}

static int take_document(const dv_json *document, davit_auth_config *out, davit_error **err)
{
    const char *key;
    const dv_json *value;
    int r = 0;
    if (dv_json_is(document, DV_JSON_NULL))
        return 0;
    if (!dv_json_is(document, DV_JSON_OBJECT))
        return dv_error_set(err, DAVIT_EINVAL,
                            PREFIX "json: cannot unmarshal %s into Go value of type registry.AuthConfig",
                            type_name(document));
    for (void *iter = NULL; r == 0 && dv_json_next(document, &iter, &key, &value);) {
        const struct member *m = find_member(key);
        r = m ? take_member(m, value, out, err) : 0;
    }
    return r;
}

/* Bytes that are no UTF-8 are read as U+FFFD, each of them. */
static void replace_invalid(const dv_buf *bytes, dv_buf *out)
{
    const char *at = dv_buf_text(bytes);
    for (size_t rest = bytes->size, n; rest > 0; at += n, rest -= n) {
        n = dv_utf8_length(at, rest, NULL);
        dv_buf_append(out, n ? at : "\xef\xbf\xbd", n ? n : 3);
        n += n == 0;
    }
}

static int parse_first(const stream *s, davit_auth_config *out, davit_error **err)
{
    const dv_json_limits limits = {
        .max_bytes = 3u * (AUTH_CONFIG_MAX + 3), .max_values = AUTH_CONFIG_VALUES_MAX, .any_number = true};
    DV_AUTO(dv_buf) json = {.max = limits.max_bytes, .secret = true};
    DV_AUTO(davit_auth_config) config = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTOPTR(dv_json_secret) document = NULL;
    dv_json_stop stop;
    replace_invalid(&s->bytes, &json);
    if (json.failed || s->bytes.failed)
        return dv_error_oom(err);
    const char *text = dv_buf_text(&json);
    int r = dv_json_scan_first(text, json.size, &limits, &stop, &why);
    if (r < 0 && stop.incomplete)
        return ended_early(s, text, err);
    if (r < 0 && stop.no_value)
        return no_value(text + stop.at, err);
    if (r == 0)
        r = dv_json_parse(text, stop.at, &limits, NULL, &document, &why);
    if (r < 0)
        return r == DAVIT_ENOMEM ? dv_error_oom(err) : invalid(err, davit_error_message(why));
    r = take_document(document, &config, err);
    if (r < 0)
        return r;
    *out = config;
    davit_auth_config_init(&config); /* moved */
    return 0;
}

int davit_auth_config_decode(const char *value, davit_auth_config *out, davit_error **err)
{
    DV_AUTO(stream) s = STREAM_INIT;
    davit_auth_config_init(out);
    if (!value || !*value)
        return 0;
    read_base64(value, &s);
    return parse_first(&s, out, err);
}

int davit_auth_config_decode_body(const void *bytes, size_t size, davit_auth_config *out, davit_error **err)
{
    DV_AUTO(stream) s = STREAM_INIT;
    davit_auth_config_init(out);
    bool cut = size > AUTH_CONFIG_MAX;
    s.end = cut ? END_TOO_LONG : END_PLAIN;
    dv_buf_append(&s.bytes, bytes, cut ? AUTH_CONFIG_MAX : size);
    return parse_first(&s, out, err);
}
