/*
 * auth/config_edit.c - see config_edit.h.
 *
 * The scan of util/json_scan.h says where members stand. An edit replaces one span of the text by another; several edits are
 * several passes, each over the text that the one before made.
 */
#include "auth/config_edit.h"

#include "auth/config_file.h"
#include "util/base64.h"
#include "util/json.h"
#include "util/json_scan.h"
#include "util/str.h"

#include <string.h>

/* --- where things stand -------------------------------------------------------------------------------------------- */

typedef struct member {
    dv_json_member at;
    char *key; /* decoded */
} member;

typedef struct members {
    member *items;
    size_t count, capacity;
} members;

static void members_drop(members *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->items[i].key);
    m->count = 0;
}

static void members_clear(members *m)
{
    members_drop(m);
    free(m->items);
    m->items = NULL;
}

/* A text and the members that an edit may concern. */
typedef struct document {
    const char *text;
    size_t size;
    members top;   /* of the document */
    members auths; /* of its "auths" */
    const member *auths_member;
    members inner; /* of the member of the document that is being scanned */
    davit_error **err;
} document;

static void document_clear(document *d)
{
    members_clear(&d->top);
    members_clear(&d->auths);
    members_clear(&d->inner);
}
DV_DEFINE_AUTO(document, document_clear)

static int decode_key(const char *text, size_t size, char **out, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DV_CONFIG_FILE_MAX};
    DV_AUTOPTR(dv_json) value = NULL;
    int r = dv_json_parse(text, size, &limits, NULL, &value, err);
    if (r < 0)
        return r;
    size_t length = 0;
    const char *key = dv_json_string(value, &length);
    if (!key || strlen(key) != length)
        return dv_error_set(err, DAVIT_EFORMAT, "NUL in a key");
    *out = dv_strdup(key);
    return *out ? 0 : dv_error_oom(err);
}

static int add_member(members *m, const document *d, const dv_json_member *at)
{
    if (m->count == m->capacity) {
        size_t capacity = m->capacity ? m->capacity * 2 : 16;
        member *items = dv_realloc_array(m->items, capacity, sizeof(*items));
        if (!items)
            return dv_error_oom(d->err);
        m->items = items;
        m->capacity = capacity;
    }
    member *made = &m->items[m->count];
    *made = (member){.at = *at};
    int r = decode_key(d->text + at->key, at->key_end - at->key, &made->key, d->err);
    if (r == 0)
        m->count++;
    return r;
}

static int on_member(void *user, const dv_json_member *at)
{
    document *d = user;
    if (at->depth > 2)
        return 0;
    if (at->depth == 2)
        return add_member(&d->inner, d, at);
    int r = add_member(&d->top, d, at);
    if (r == 0 && strcmp(d->top.items[d->top.count - 1].key, "auths") == 0) {
        members_clear(&d->auths);
        d->auths = d->inner;
        d->inner = (members){0};
    }
    members_drop(&d->inner);
    return r;
}

/* The keys that are read must stand there once, else nobody knows which of them another program reads. */
static const char *const known_keys[] = {"auths", "credsStore", "credHelpers", NULL};
static const dv_json_known known[] = {{"", known_keys}, {NULL, NULL}};

static int document_read(document *d, const char *text, size_t size, davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DV_CONFIG_FILE_MAX, .any_number = true};
    *d = (document){.text = text, .size = size, .err = err};
    int r = dv_json_scan_members(text, size, &limits, known, on_member, d, err);
    if (r < 0)
        return r;
    if (text[strspn(text, " \t\r\n")] != '{')
        return dv_error_set(err, DAVIT_EFORMAT, "not a JSON object");
    for (size_t i = 0; i < d->top.count; i++)
        if (strcmp(d->top.items[i].key, "auths") == 0)
            d->auths_member = &d->top.items[i];
    return 0;
}

/* --- layout -------------------------------------------------------------------------------------------------------- */

/* How members of one object stand: each on its own line, or all on one. Borrowed from the text. */
typedef struct layout {
    bool lines;
    const char *newline;
    const char *indent, *unit; /* of these members; what those inside have more */
    size_t indent_size, unit_size;
} layout;

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The layout that the member at this offset has; depth is its object's. */
static layout layout_of(const char *text, size_t at, unsigned depth)
{
    size_t line = at;
    while (line > 0 && is_space(text[line - 1]) && text[line - 1] != '\n')
        line--;
    layout l = {.newline = "\n", .unit = "\t", .unit_size = 1};
    l.lines = line > 0 && text[line - 1] == '\n';
    if (!l.lines)
        return l;
    if (line > 1 && text[line - 2] == '\r')
        l.newline = "\r\n";
    l.indent = text + line;
    l.indent_size = at - line;
    if (l.indent_size >= depth && l.indent[0] == ' ') {
        l.unit = l.indent;
        l.unit_size = l.indent_size / depth;
    }
    return l;
}

static void put_line(dv_buf *out, const layout *l, unsigned deeper)
{
    if (!l->lines)
        return;
    dv_buf_puts(out, l->newline);
    dv_buf_append(out, l->indent, l->indent_size);
    for (unsigned i = 0; i < deeper; i++)
        dv_buf_append(out, l->unit, l->unit_size);
}

static void put_key(dv_buf *out, const layout *l, const char *key)
{
    dv_json_write_string(out, key);
    dv_buf_puts(out, l->lines ? ": " : ":");
}

/* --- edits ---------------------------------------------------------------------------------------------------------- */

/* The text with [from, to) replaced. */
static int splice(const document *d, size_t from, size_t to, const dv_buf *by, dv_buf *out, davit_error **err)
{
    dv_buf_reset(out);
    dv_buf_append(out, d->text, from);
    dv_buf_append(out, dv_buf_text(by), by->size);
    dv_buf_append(out, d->text + to, d->size - to);
    if (by->failed == DAVIT_ETOOBIG || out->failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "it would be longer than %u bytes", DV_CONFIG_FILE_MAX);
    return by->failed || out->failed ? dv_error_oom(err) : 0;
}

#define SECRET_BUF                                \
    {                                             \
        .max = DV_CONFIG_FILE_MAX, .secret = true \
    }

/* A text's "auths" is an object from here on: a blank text becomes a document, a missing or null "auths" an empty one. */
static int make_auths(const char *text, size_t size, dv_buf *out, davit_error **err)
{
    DV_AUTO(document) d = {0};
    DV_AUTO(dv_buf) by = SECRET_BUF;
    size_t at = strspn(text, " \t\r\n");
    if (at == size) {
        d.text = "";
        dv_buf_puts(&by, "{\n\t\"auths\": {}\n}");
        return splice(&d, 0, 0, &by, out, err);
    }
    int r = document_read(&d, text, size, err);
    if (r < 0)
        return r;
    if (d.auths_member && text[d.auths_member->at.value] == 'n') {
        dv_buf_puts(&by, "{}");
        return splice(&d, d.auths_member->at.value, d.auths_member->at.value_end, &by, out, err);
    }
    if (d.auths_member && text[d.auths_member->at.value] != '{')
        return dv_error_set(err, DAVIT_EFORMAT, "auths: not an object");
    if (d.auths_member)
        return splice(&d, 0, 0, &by, out, err);
    if (d.top.count == 0) {
        dv_buf_puts(&by, "{\n\t\"auths\": {}\n}");
        return splice(&d, at, (size_t)(strchr(text + at, '}') - text) + 1, &by, out, err);
    }
    const dv_json_member *last = &d.top.items[d.top.count - 1].at;
    layout l = layout_of(text, last->key, 1);
    dv_buf_putc(&by, ',');
    put_line(&by, &l, 0);
    put_key(&by, &l, "auths");
    dv_buf_puts(&by, "{}");
    return splice(&d, last->value_end, last->value_end, &by, out, err);
}

/* --- one entry ------------------------------------------------------------------------------------------------------ */

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static int check_auth(const davit_auth_config *auth, davit_error **err)
{
    if (!dv_utf8_is_valid(text_or_empty(auth->email)))
        return dv_error_set(err, DAVIT_EINVAL, "the e-mail address is not UTF-8");
    if (!dv_utf8_is_valid(text_or_empty(auth->identitytoken)) ||
        !dv_utf8_is_valid(text_or_empty(auth->registrytoken)))
        return dv_error_set(err, DAVIT_EINVAL, "the token is not UTF-8");
    const char *username = text_or_empty(auth->username);
    if (strchr(username, ':'))
        return dv_error_set(err, DAVIT_EINVAL, "a user name with a colon cannot be kept in the file");
    if (!*username && *text_or_empty(auth->password))
        return dv_error_set(err, DAVIT_EINVAL, "a password without a user name");
    return 0;
}

typedef struct writer {
    dv_buf *out;
    const layout *layout;
    bool any;
} writer;

static void put_field(writer *w, const char *key, const char *value)
{
    if (!*text_or_empty(value))
        return;
    if (w->any)
        dv_buf_putc(w->out, ',');
    w->any = true;
    put_line(w->out, w->layout, 1);
    put_key(w->out, w->layout, key);
    dv_json_write_string(w->out, value);
}

static void put_entry(dv_buf *out, const layout *l, const davit_auth_config *auth)
{
    DV_AUTO(dv_buf) plain = SECRET_BUF;
    DV_AUTO(dv_buf) coded = SECRET_BUF;
    writer w = {.out = out, .layout = l};
    if (*text_or_empty(auth->username)) {
        dv_buf_printf(&plain, "%s:%s", auth->username, text_or_empty(auth->password));
        dv_base64_encode(&coded, dv_buf_text(&plain), plain.size, /* url_alphabet= */ false);
    }
    dv_buf_putc(out, '{');
    put_field(&w, "auth", dv_buf_text(&coded));
    put_field(&w, "email", auth->email);
    put_field(&w, "identitytoken", auth->identitytoken);
    put_field(&w, "registrytoken", auth->registrytoken);
    if (w.any)
        put_line(out, l, 0);
    dv_buf_putc(out, '}');
    if (plain.failed || coded.failed)
        out->failed = plain.failed ? plain.failed : coded.failed;
}

/* A new member behind the last one of "auths". */
static int append_entry(const document *d, const char *key, const davit_auth_config *auth, dv_buf *out,
                        davit_error **err)
{
    DV_AUTO(dv_buf) by = SECRET_BUF;
    const dv_json_member *auths = &d->auths_member->at;
    if (d->auths.count > 0) {
        const dv_json_member *last = &d->auths.items[d->auths.count - 1].at;
        layout l = layout_of(d->text, last->key, 2);
        dv_buf_putc(&by, ',');
        put_line(&by, &l, 0);
        put_key(&by, &l, key);
        put_entry(&by, &l, auth);
        return splice(d, last->value_end, last->value_end, &by, out, err);
    }
    DV_AUTO(dv_buf) indent = DV_BUF_INIT(DV_CONFIG_FILE_MAX);
    layout around = layout_of(d->text, auths->key, 1), l = around;
    dv_buf_append(&indent, around.indent, around.indent_size);
    dv_buf_append(&indent, around.unit, around.unit_size);
    if (indent.failed)
        return dv_error_oom(err);
    l.indent = dv_buf_text(&indent);
    l.indent_size = indent.size;
    dv_buf_putc(&by, '{');
    put_line(&by, &l, 0);
    put_key(&by, &l, key);
    put_entry(&by, &l, auth);
    put_line(&by, &around, 0);
    dv_buf_putc(&by, '}');
    return splice(d, auths->value, auths->value_end, &by, out, err);
}

int dv_config_edit_put(const void *bytes, size_t size, const char *key, const davit_auth_config *auth,
                       dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = SECRET_BUF;
    DV_AUTO(dv_buf) ready = SECRET_BUF;
    DV_AUTO(dv_buf) by = SECRET_BUF;
    DV_AUTO(document) d = {0};
    const member *found = NULL;
    dv_buf_append(&text, bytes, size); /* ends with a NUL */
    if (text.failed)
        return dv_error_oom(err);
    int r = check_auth(auth, err);
    if (r == 0)
        r = make_auths(dv_buf_text(&text), size, &ready, err);
    if (r == 0)
        r = document_read(&d, dv_buf_text(&ready), ready.size, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < d.auths.count; i++)
        if (strcmp(d.auths.items[i].key, key) == 0)
            found = &d.auths.items[i]; /* the last of equal ones is what is read */
    if (!found)
        return append_entry(&d, key, auth, out, err);
    layout l = layout_of(d.text, found->at.key, 2);
    put_entry(&by, &l, auth);
    return splice(&d, found->at.value, found->at.value_end, &by, out, err);
}

/* --- removing ------------------------------------------------------------------------------------------------------- */

/* Member n of "auths" with its comma; the last one of all leaves "{}". */
static int remove_member(const document *d, size_t n, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_buf) by = SECRET_BUF;
    const member *m = d->auths.items;
    const dv_json_member *auths = &d->auths_member->at;
    if (d->auths.count == 1)
        return splice(d, auths->value + 1, auths->value_end - 1, &by, out, err);
    return n + 1 < d->auths.count ? splice(d, m[n].at.key, m[n + 1].at.key, &by, out, err)
                                  : splice(d, m[n - 1].at.value_end, m[n].at.value_end, &by, out, err);
}

/* What is left of "auths" is "{}". Gives the number of its entries. */
static int remove_all(const document *d, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_buf) none = SECRET_BUF;
    if (d->auths.count == 0) {
        dv_buf_append(out, d->text, d->size);
        return out->failed ? dv_error_oom(err) : 0;
    }
    const dv_json_member *auths = &d->auths_member->at;
    int r = splice(d, auths->value + 1, auths->value_end - 1, &none, out, err);
    return r < 0 ? r : (int)d->auths.count;
}

int dv_config_edit_remove(const void *bytes, size_t size, const char *domain, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = SECRET_BUF;
    dv_buf_append(&text, bytes, size);
    if (text.failed)
        return dv_error_oom(err);
    for (int removed = 0;; removed++) {
        DV_AUTO(document) d = {0};
        size_t n = 0;
        int r = 0;
        if (dv_buf_text(&text)[strspn(dv_buf_text(&text), " \t\r\n")])
            r = document_read(&d, dv_buf_text(&text), text.size, err);
        if (r < 0)
            return r;
        if (!domain)
            return remove_all(&d, out, err);
        while (n < d.auths.count && !dv_credential_key_names(d.auths.items[n].key, domain))
            n++;
        if (n == d.auths.count) {
            dv_buf_append(out, dv_buf_text(&text), text.size);
            return out->failed ? dv_error_oom(err) : removed;
        }
        DV_AUTO(dv_buf) made = SECRET_BUF;
        r = remove_member(&d, n, &made, err);
        if (r < 0)
            return r;
        dv_buf_clear(&text);
        text = made;
        made = (dv_buf){0}; /* moved */
    }
}
