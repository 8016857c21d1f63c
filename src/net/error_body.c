/*
 * net/error_body.c - see error_body.h.
 *
 * An answer becomes a list of entries; the text shows all of them, but code and kind are the first one's,
 * since every rule of pull.md looks at that one only.
 */
#include "net/error_body.h"

#include "net/auth_params.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

typedef struct known_code {
    const char *name;
    const char *stock; /* message that says no more than the code does */
    int code;          /* DAVIT_EREGISTRY: the status decides */
    bool final;        /* a full error with this code ends all attempts (pull.md 3.2) */
} known_code;

static const known_code known_codes[] = {
    {"UNKNOWN", "unknown error", DAVIT_EREGISTRY, false},
    {"UNSUPPORTED", "The operation is unsupported.", DAVIT_EREGISTRY, true},
    {"UNAUTHORIZED", "authentication required", DAVIT_EUNAUTHORIZED, true},
    {"DENIED", "requested access to the resource is denied", DAVIT_EDENIED, true},
    {"UNAVAILABLE", "service unavailable", DAVIT_EUNAVAILABLE, false},
    /* Not final: DESIGN section 5 repeats a 429. */
    {"TOOMANYREQUESTS", "too many requests", DAVIT_ERATELIMIT, false},
    {"DIGEST_INVALID", "provided digest did not match uploaded content", DAVIT_EREGISTRY, false},
    {"SIZE_INVALID", "provided length did not match content length", DAVIT_EREGISTRY, false},
    {"NAME_INVALID", "invalid repository name", DAVIT_EREGISTRY, false},
    {"TAG_INVALID", "manifest tag did not match URI", DAVIT_EREGISTRY, false},
    {"NAME_UNKNOWN", "repository name not known to registry", DAVIT_ENOTFOUND, true},
    {"MANIFEST_UNKNOWN", "manifest unknown", DAVIT_ENOTFOUND, false},
    {"MANIFEST_INVALID", "manifest invalid", DAVIT_EREGISTRY, false},
    {"MANIFEST_UNVERIFIED", "manifest failed signature verification", DAVIT_EREGISTRY, false},
    {"MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", DAVIT_EREGISTRY, false},
    {"BLOB_UNKNOWN", "blob unknown to registry", DAVIT_ENOTFOUND, false},
    {"BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", DAVIT_ENOTFOUND, false},
    {"BLOB_UPLOAD_INVALID", "blob upload invalid", DAVIT_EREGISTRY, false},
    {"PAGINATION_NUMBER_INVALID", "invalid number of results requested", DAVIT_EREGISTRY, false},
};

/* What is being made of one answer. */
typedef struct answer {
    int status;
    dv_buf text;  /* rendered entries, each with a newline */
    size_t shown; /* bytes of the registry's words in it */
    size_t entries;
    const known_code *first; /* of the first entry */
    dv_error_kind kind;      /* of the first entry */
    char registry_code[40];  /* of the first entry, as the registry spelt it */
} answer;

const char *dv_http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Request Entity Too Large"},
        {414, "Request URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Requested Range Not Satisfiable"},
        {418, "I'm a teapot"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Entity"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < DV_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "";
}

static const known_code *find_code(const char *name)
{
    for (size_t i = 0; i < DV_COUNT(known_codes); i++)
        if (strcmp(known_codes[i].name, name) == 0)
            return &known_codes[i];
    return &known_codes[0];
}

/* Registry text of n bytes, as much as may still be shown, cut between characters; a NUL becomes "?". */
static void append_shown(answer *a, const char *s, size_t n)
{
    size_t room = DV_ERROR_TEXT_MAX - a->shown;
    size_t cut = n < room ? n : room;
    if (cut < n) {
        size_t back = cut;
        while (back > 0 && cut - back < 3 && ((unsigned char)s[back] & 0xc0) == 0x80)
            back--;
        cut = ((unsigned char)s[back] & 0xc0) == 0x80 ? cut : back;
    }
    for (size_t i = 0; i < cut; i++)
        dv_buf_putc(&a->text, s[i] ? s[i] : '?');
    if (cut < n)
        dv_buf_puts(&a->text, "...");
    a->shown = cut < n ? DV_ERROR_TEXT_MAX : a->shown + cut;
}

static void append_code_words(dv_buf *out, const char *name)
{
    for (; *name; name++)
        dv_buf_putc(out, *name == '_' ? ' ' : *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name);
}

/*
 * Add an entry; message NULL makes it a bare code. spelt: the registry's own spelling of the code, or NULL.
 */
static void add_entry(answer *a, const known_code *code, const char *spelt, const char *message, size_t size)
{
    if (a->entries++ == 0) {
        a->first = code;
        a->kind = message ? DV_ERROR_REGISTRY_FULL : DV_ERROR_REGISTRY_BARE;
        snprintf(a->registry_code, sizeof(a->registry_code), "%s", spelt ? spelt : code->name);
    }
    append_code_words(&a->text, code->name);
    if (message) {
        dv_buf_puts(&a->text, ": ");
        append_shown(a, message, size);
    }
    dv_buf_putc(&a->text, '\n');
}

/*
 * A single error out of text (step 2). An empty text says what is known instead: davit shows no lonely
 * "unknown: ".
 */
static void add_text(answer *a, const char *text, size_t size)
{
    const known_code *code = find_code(a->status == 401   ? "UNAUTHORIZED"
                                       : a->status == 403 ? "DENIED"
                                       : a->status == 429 ? "TOOMANYREQUESTS"
                                                          : "UNKNOWN");
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        size--;
    if (size > 0) {
        add_entry(a, code, NULL, text, size);
        return;
    }
    DV_AUTO(dv_buf) words = DV_BUF_INIT(256);
    if (code == find_code("UNKNOWN"))
        dv_buf_printf(&words, "HTTP status %d %s", a->status, dv_http_reason(a->status));
    else
        dv_buf_puts(&words, code->stock);
    add_entry(a, code, NULL, dv_buf_text(&words), words.size);
}

/* A code text worth keeping: what a code may look like. */
static bool is_code(const char *s, size_t n)
{
    return n > 0 && n < 40 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

/* One element of "errors". Codes that are no text (registry.redhat.io sends numbers) are UNKNOWN. */
static void add_json_entry(answer *a, const dv_json *entry)
{
    size_t code_size = 0, size = 0;
    const char *spelt = dv_json_string(dv_json_get(entry, "code"), &code_size);
    const char *message = dv_json_string(dv_json_get(entry, "message"), &size);
    const dv_json *detail = dv_json_get(entry, "detail");
    const known_code *code = find_code(spelt ? spelt : "");
    bool has_detail = detail && !dv_json_is(detail, DV_JSON_NULL);
    bool stock =
        !message || size == 0 || (size == strlen(code->stock) && memcmp(message, code->stock, size) == 0);
    if (!spelt || !is_code(spelt, code_size))
        spelt = NULL;
    if (stock && !has_detail)
        add_entry(a, code, spelt, NULL, 0);
    else if (stock)
        add_entry(a, code, spelt, code->stock, strlen(code->stock));
    else
        add_entry(a, code, spelt, message, size);
}

/* Step 4: no errors in it. A 401 is UNAUTHORIZED all the same. */
static void add_unparsable(answer *a, const char *why, const char *body, size_t size)
{
    if (a->status == 401) {
        const known_code *code = find_code("UNAUTHORIZED");
        add_entry(a, code, NULL, code->stock, strlen(code->stock));
        return;
    }
    bool first = a->entries++ == 0;
    if (first)
        a->kind = DV_ERROR_UNEXPECTED;
    dv_buf_printf(&a->text, "error parsing HTTP %d response body: %.200s: ", a->status, why);
    DV_AUTO(dv_buf) quoted = DV_BUF_INIT(4 * (size_t)DV_ERROR_BODY_MAX + 2);
    dv_str_quote(&quoted, body, size);
    append_shown(a, dv_buf_text(&quoted), quoted.size);
    dv_buf_putc(&a->text, '\n');
}

/* Steps 3 to 5. */
static void add_json(answer *a, const char *body, size_t size)
{
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    dv_json_limits limits = {.max_bytes = DV_ERROR_BODY_MAX};
    if (dv_json_parse(body, size, &limits, NULL, &document, &why) < 0) {
        add_unparsable(a, davit_error_message(why), body, size);
        return;
    }
    size_t details_size = 0;
    const char *details = dv_json_string(dv_json_get(document, "details"), &details_size);
    if (details && details_size > 0) {
        add_text(a, details, details_size);
        return;
    }
    const dv_json *errors = dv_json_get(document, "errors");
    size_t count = dv_json_is(errors, DV_JSON_ARRAY) ? dv_json_count(errors) : 0;
    for (size_t i = 0; i < count && i < DV_ERROR_ENTRIES_MAX; i++)
        add_json_entry(a, dv_json_at(errors, i));
    if (count == 0)
        add_unparsable(a, "no error details found in HTTP response body", body, size);
}

static void add_body(answer *a, const dv_headers *headers, const char *body, size_t size)
{
    char type[64] = "";
    const char *content_type = dv_headers_get(headers, "Content-Type");
    if (!content_type || !*content_type) {
        add_text(a, body, size);
    } else if (!dv_header_media_type(content_type, type, sizeof(type)) &&
               strlen(content_type) < sizeof(type)) {
        a->entries++;
        dv_buf_puts(&a->text, "failed parsing content-type: not a media type: ");
        append_shown(a, content_type, strlen(content_type));
        dv_buf_putc(&a->text, '\n');
    } else if (strcmp(type, "application/json") == 0 || strcmp(type, "application/vnd.api+json") == 0) {
        add_json(a, body, size);
    } else {
        add_text(a, body, size);
    }
}

/* Step 1: what a Bearer challenge says about the token that was sent. */
static int add_challenge(answer *a, const dv_headers *headers, davit_error **err)
{
    const char *line;
    for (size_t i = 0; (line = dv_headers_get_nth(headers, "WWW-Authenticate", i)); i++) {
        DV_AUTO(dv_auth_params) p = DV_AUTH_PARAMS_INIT;
        int r = dv_auth_params_parse(line, &p, err);
        if (r < 0)
            return r;
        if (r == 0 || strcmp(p.scheme, "bearer") != 0)
            continue;
        const char *error = dv_auth_params_get(&p, "error");
        if (!dv_str_equal(error, "invalid_token") && !dv_str_equal(error, "insufficient_scope"))
            continue;
        const known_code *code = find_code(*error == 'i' && error[2] == 'v' ? "UNAUTHORIZED" : "DENIED");
        const char *description = dv_auth_params_get(&p, "error_description");
        const char *message = description ? description : code->stock;
        add_entry(a, code, NULL, message, strlen(message));
        return 0;
    }
    return 0;
}

int dv_error_of_status(int status)
{
    switch (status) {
    case 401:
        return DAVIT_EUNAUTHORIZED;
    case 403:
        return DAVIT_EDENIED;
    case 404:
        return DAVIT_ENOTFOUND;
    case 429:
        return DAVIT_ERATELIMIT;
    default:
        return status >= 500 && status <= 599 ? DAVIT_EUNAVAILABLE : DAVIT_EREGISTRY;
    }
}

/*
 * UNAUTHORIZED and DENIED are themselves whatever the status; else the status decides where it says
 * something (Harbor has codes of its own, quirks.md).
 */
static int code_of(const answer *a)
{
    int by_name = a->first ? a->first->code : DAVIT_EREGISTRY;
    int by_status = dv_error_of_status(a->status);
    if (by_name == DAVIT_EUNAUTHORIZED || by_name == DAVIT_EDENIED)
        return by_name;
    return by_status != DAVIT_EREGISTRY ? by_status : by_name;
}

static int set(davit_error **err, const answer *a, const dv_headers *headers)
{
    size_t size = a->text.size;
    const char *text = dv_buf_text(&a->text);
    int code = code_of(a);
    if (a->text.failed)
        return dv_error_oom(err);
    if (a->entries > 1)
        dv_error_set(err, code, "errors:\n%s", text);
    else
        dv_error_set(err, code, "%.*s", (int)(size > 0 ? size - 1 : 0), text);
    if (!err || davit_error_code(*err) != code) /* no memory: a static error, not ours to fill */
        return err ? davit_error_code(*err) : code;
    davit_error *e = *err;
    int64_t wait_s = dv_header_retry_after_s(headers, dv_wall_time_s());
    e->kind = a->kind;
    e->http_status = a->status;
    e->retry_after_s = (int)wait_s;
    e->final = a->kind == DV_ERROR_REGISTRY_FULL ? a->first->final
                                                 : a->kind == DV_ERROR_UNEXPECTED && a->status < 500;
    memcpy(e->registry_code, a->registry_code, sizeof(e->registry_code));
    return code;
}

int dv_error_body_set(davit_error **err, int status, const dv_headers *headers, const void *body, size_t size)
{
    answer a = {.status = status, .text = DV_BUF_INIT(16u << 10)};
    int r = 0;
    if (size > DV_ERROR_BODY_MAX)
        size = DV_ERROR_BODY_MAX;
    if (status >= 400 && status <= 499) {
        if (status == 401)
            r = add_challenge(&a, headers, err);
        if (r == 0)
            add_body(&a, headers, body ? body : "", size);
    } else {
        a.kind = DV_ERROR_UNEXPECTED;
        a.entries = 1;
        dv_buf_printf(&a.text, "received unexpected HTTP status: %d %s\n", status, dv_http_reason(status));
    }
    if (r == 0)
        r = set(err, &a, headers);
    dv_buf_clear(&a.text);
    return r;
}
