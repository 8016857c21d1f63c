/*
 * oci/v1_image.c - see v1_image.h. Read as the reference reads: a key fits exactly or else in any case, the last of equal keys counts,
 * null is zero. Written with every key, in a fixed order.
 */
#include "oci/v1_image.h"

#include "util/clock.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define CREATED_ZERO "0001-01-01T00:00:00Z"
#define CREATED_MAX 64 /* bytes */
#define WRITTEN_MAX ((size_t)8 * DAVIT_V1_JSON_MAX)

/* --- lists --------------------------------------------------------------------------------------------------------- */

void davit_v1_texts_clear(davit_v1_texts *texts)
{
    if (!texts)
        return;
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
    *texts = (davit_v1_texts){.items = NULL};
}

bool dv_v1_texts_add(davit_v1_texts *texts, const char *text, size_t size)
{
    char **items = dv_realloc_array(texts->items, texts->count + 2, sizeof(*items));
    if (!items)
        return false;
    texts->items = items;
    items[texts->count] = dv_strndup(text, size);
    items[texts->count + 1] = NULL;
    if (!items[texts->count])
        return false;
    texts->count++;
    return true;
}

static int wrong_type(const char *what, const char *wanted, davit_error **err)
{
    return dv_error_set(err, DAVIT_EFORMAT, "\"%s\" is not %s", what, wanted);
}

static int add_text(davit_v1_texts *list, const char *text, size_t size, const char *what, davit_error **err)
{
    if (!text || strlen(text) != size)
        return wrong_type(what, "a list of strings", err);
    return dv_v1_texts_add(list, text, size) ? 0 : dv_error_oom(err);
}

/* A list that is there, though it may have nothing in it. */
static int begin_list(davit_v1_texts *out, davit_error **err)
{
    davit_v1_texts_clear(out);
    out->items = dv_new_array(char *, 1);
    return out->items ? 0 : dv_error_oom(err);
}

/* Grown once, since a list may have many. */
int dv_v1_texts_read(const dv_json *list, const char *what, davit_v1_texts *out, davit_error **err)
{
    DV_AUTO(davit_v1_texts) texts = {.items = NULL};
    if (dv_json_is(list, DV_JSON_NULL))
        return 0;
    if (!dv_json_is(list, DV_JSON_ARRAY))
        return wrong_type(what, "a list of strings", err);
    size_t count = dv_json_count(list);
    texts.items = dv_new_array(char *, count + 1);
    if (!texts.items)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        const dv_json *v = dv_json_at(list, i);
        const char *text = dv_json_is(v, DV_JSON_NULL) ? "" : dv_json_string(v, &size);
        if (!text || strlen(text) != size)
            return wrong_type(what, "a list of strings", err);
        texts.items[i] = dv_strdup(text);
        if (!texts.items[i])
            return dv_error_oom(err);
        texts.count++;
    }
    davit_v1_texts_clear(out);
    *out = texts;
    texts = (davit_v1_texts){.items = NULL};
    return 0;
}

int dv_v1_text_read(const dv_json *v, const char *what, char **out, davit_error **err)
{
    size_t size = 0;
    if (dv_json_is(v, DV_JSON_NULL))
        return 0;
    const char *text = dv_json_string(v, &size);
    if (!text || strlen(text) != size)
        return wrong_type(what, "a string", err);
    char *copy = dv_strdup(text);
    if (!copy)
        return dv_error_oom(err);
    free(*out);
    *out = copy;
    return 0;
}

/* --- fields ---------------------------------------------------------------------------------------------------------- */

typedef enum kind {
    KIND_TEXT,
    KIND_INTEGER,
    KIND_BOOL,
    KIND_LIST,
    KIND_SET,     /* the keys of an object */
    KIND_CREATED, /* a text that is a time */
    KIND_CONTAINER,
    KIND_CONFIG, /* a container config, or null */
} kind;

typedef struct field {
    const char *key;
    kind kind;
    size_t offset;
} field;

#define AT(member) offsetof(davit_v1_container_config, member)

static const field container_fields[] = {
    {"Hostname", KIND_TEXT, AT(hostname)},
    {"Domainname", KIND_TEXT, AT(domainname)},
    {"User", KIND_TEXT, AT(user)},
    {"Memory", KIND_INTEGER, AT(memory)},
    {"MemorySwap", KIND_INTEGER, AT(memory_swap)},
    {"CpuShares", KIND_INTEGER, AT(cpu_shares)},
    {"Cpuset", KIND_TEXT, AT(cpuset)},
    {"AttachStdin", KIND_BOOL, AT(attach_stdin)},
    {"AttachStdout", KIND_BOOL, AT(attach_stdout)},
    {"AttachStderr", KIND_BOOL, AT(attach_stderr)},
    {"PortSpecs", KIND_LIST, AT(port_specs)},
    {"ExposedPorts", KIND_SET, AT(exposed_ports)},
    {"Tty", KIND_BOOL, AT(tty)},
    {"OpenStdin", KIND_BOOL, AT(open_stdin)},
    {"StdinOnce", KIND_BOOL, AT(stdin_once)},
    {"Env", KIND_LIST, AT(env)},
    {"Cmd", KIND_LIST, AT(cmd)},
    {"Dns", KIND_LIST, AT(dns)},
    {"Image", KIND_TEXT, AT(image)},
    {"Volumes", KIND_SET, AT(volumes)},
    {"VolumesFrom", KIND_TEXT, AT(volumes_from)},
    {"WorkingDir", KIND_TEXT, AT(working_dir)},
    {"Entrypoint", KIND_LIST, AT(entrypoint)},
    {"NetworkDisabled", KIND_BOOL, AT(network_disabled)},
    {"SecurityOpts", KIND_LIST, AT(security_opts)},
    {"OnBuild", KIND_LIST, AT(on_build)},
    {NULL},
};

#undef AT
#define AT(member) offsetof(davit_v1_image_metadata, member)

static const field image_fields[] = {
    {"id", KIND_TEXT, AT(id)},
    {"parent", KIND_TEXT, AT(parent)},
    {"Comment", KIND_TEXT, AT(comment)},
    {"created", KIND_CREATED, AT(created)},
    {"container_config", KIND_CONTAINER, AT(container_config)},
    {"docker_version", KIND_TEXT, AT(docker_version)},
    {"author", KIND_TEXT, AT(author)},
    {"config", KIND_CONFIG, AT(config)},
    {"architecture", KIND_TEXT, AT(architecture)},
    {"os", KIND_TEXT, AT(os)},
    {"Size", KIND_INTEGER, AT(size)},
    {NULL},
};

static void clear_fields(const field *fields, void *object)
{
    for (const field *f = fields; f->key; f++) {
        void *at = (char *)object + f->offset;
        if (f->kind == KIND_TEXT || f->kind == KIND_CREATED)
            free(*(char **)at);
        else if (f->kind == KIND_LIST || f->kind == KIND_SET)
            davit_v1_texts_clear(at);
    }
}

static void container_free(davit_v1_container_config *c)
{
    if (c)
        clear_fields(container_fields, c);
    free(c);
}

void davit_v1_image_metadata_free(davit_v1_image_metadata *metadata)
{
    if (!metadata)
        return;
    clear_fields(image_fields, metadata);
    clear_fields(container_fields, &metadata->container_config);
    container_free(metadata->config);
    free(metadata->raw);
    free(metadata);
}

/* --- a time -------------------------------------------------------------------------------------------------------------- */

/* RFC 3339 as the reference writes it: up to nine digits of a second, no zeros behind, UTC as Z. False: it is no time. */
static bool write_created(const char *text, char out[CREATED_MAX])
{
    int64_t seconds;
    size_t size = strlen(text);
    if (strcmp(text, CREATED_ZERO) == 0) { /* before what seconds are counted from */
        memcpy(out, CREATED_ZERO, sizeof(CREATED_ZERO));
        return true;
    }
    if (size >= CREATED_MAX - 1 || dv_time_parse_rfc3339(text, &seconds) < 0)
        return false;
    const char *dot = strchr(text, '.');
    size_t digits = dot ? strspn(dot + 1, "0123456789") : 0;
    const size_t whole = strlen("2006-01-02T15:04:05");
    const char *zone = dot ? dot + 1 + digits : text + whole;
    digits = digits > 9 ? 9 : digits;
    while (digits > 0 && dot[digits] == '0')
        digits--;
    bool utc = strcmp(zone, "+00:00") == 0 || strcmp(zone, "-00:00") == 0;
    snprintf(out, CREATED_MAX, "%.*s%s%.*s%s", (int)whole, text, digits ? "." : "", (int)digits,
             dot ? dot + 1 : "", utc ? "Z" : zone);
    return true;
}

/* --- reading ---------------------------------------------------------------------------------------------------------- */

static int read_object(const dv_json *object, const field *fields, void *out, davit_error **err);

static int read_created(const dv_json *v, const char *key, char **out, davit_error **err)
{
    char text[CREATED_MAX];
    DV_AUTOFREE char *given = NULL;
    int r = dv_v1_text_read(v, key, &given, err);
    if (r < 0)
        return r;
    if (!write_created(given, text))
        return wrong_type(key, "a time", err);
    char *copy = dv_strdup(text);
    if (!copy)
        return dv_error_oom(err);
    free(*out);
    *out = copy;
    return 0;
}

static int read_set(const dv_json *v, const char *key, davit_v1_texts *out, davit_error **err)
{
    void *iter = NULL;
    const char *member;
    const dv_json *value;
    if (!dv_json_is(v, DV_JSON_OBJECT))
        return wrong_type(key, "an object", err);
    int r = begin_list(out, err);
    while (r == 0 && dv_json_next(v, &iter, &member, &value)) {
        if (!dv_json_is(value, DV_JSON_OBJECT) && !dv_json_is(value, DV_JSON_NULL))
            return wrong_type(key, "an object of objects", err);
        r = add_text(out, member, strlen(member), key, err);
    }
    return r;
}

static int read_config(const dv_json *v, davit_v1_container_config **out, davit_error **err)
{
    if (!*out && !(*out = dv_new(davit_v1_container_config)))
        return dv_error_oom(err);
    return read_object(v, container_fields, *out, err);
}

static int read_field(const field *f, const dv_json *v, void *at, davit_error **err)
{
    switch (f->kind) {
    case KIND_TEXT:
        return dv_v1_text_read(v, f->key, at, err);
    case KIND_INTEGER:
        if (!dv_json_is(v, DV_JSON_INTEGER))
            return wrong_type(f->key, "an integer", err);
        *(int64_t *)at = dv_json_integer(v);
        return 0;
    case KIND_BOOL:
        if (!dv_json_is(v, DV_JSON_BOOL))
            return wrong_type(f->key, "true or false", err);
        *(bool *)at = dv_json_bool(v);
        return 0;
    case KIND_LIST:
        return dv_v1_texts_read(v, f->key, at, err);
    case KIND_SET:
        return read_set(v, f->key, at, err);
    case KIND_CREATED:
        return read_created(v, f->key, at, err);
    case KIND_CONTAINER:
        return read_object(v, container_fields, at, err);
    case KIND_CONFIG:
        return read_config(v, at, err);
    }
    return 0;
}

static const field *find_field(const field *fields, const char *key)
{
    for (const field *f = fields; f->key; f++)
        if (strcmp(f->key, key) == 0)
            return f;
    for (const field *f = fields; f->key; f++)
        if (dv_str_equal_nocase(f->key, key))
            return f;
    return NULL;
}

static int read_object(const dv_json *object, const field *fields, void *out, davit_error **err)
{
    void *iter = NULL;
    const char *key;
    const dv_json *v;
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return dv_error_set(err, DAVIT_EFORMAT, "not a JSON object");
    while (dv_json_next(object, &iter, &key, &v)) {
        const field *f = dv_json_is(v, DV_JSON_NULL) ? NULL : find_field(fields, key);
        int r = f ? read_field(f, v, (char *)out + f->offset, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int davit_v1_image_metadata_parse(const void *bytes, size_t size, davit_v1_image_metadata **out,
                                  davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = DAVIT_V1_JSON_MAX, .any_number = true};
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    int r = dv_json_parse(bytes, size, &limits, NULL, &document, err);
    if (r < 0)
        return r == DAVIT_ENOMEM ? r : dv_error_wrap(err, r, "json of a v1 image");
    m = dv_new(davit_v1_image_metadata);
    if (!m || !(m->raw = dv_memdup(bytes, size)))
        return dv_error_oom(err);
    m->raw_size = size;
    r = read_object(document, image_fields, m, err);
    if (r < 0)
        return r == DAVIT_ENOMEM ? r : dv_error_wrap(err, r, "json of a v1 image");
    *out = DV_STEAL(m);
    return 0;
}

/* --- writing ------------------------------------------------------------------------------------------------------------ */

static dv_json *write_object(const field *fields, const void *object);

static dv_json *write_list(const davit_v1_texts *texts)
{
    DV_AUTOPTR(dv_json) list = dv_json_array_new();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < texts->count; i++)
        ok = dv_json_append_string(list, texts->items[i]);
    return ok ? DV_STEAL(list) : NULL;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, as maps are written. */
static dv_json *write_set(const davit_v1_texts *texts)
{
    DV_AUTOPTR(dv_json) set = dv_json_object_new();
    DV_AUTOFREE char **sorted = dv_new_array(char *, texts->count + 1);
    bool ok = set && sorted;
    for (size_t i = 0; ok && i < texts->count; i++)
        sorted[i] = texts->items[i];
    if (ok)
        qsort(sorted, texts->count, sizeof(*sorted), compare_texts);
    for (size_t i = 0; ok && i < texts->count; i++)
        ok = dv_json_set(set, sorted[i], dv_json_object_new());
    return ok ? DV_STEAL(set) : NULL;
}

static bool write_text(dv_json *object, const char *key, const char *text)
{
    return dv_json_set_string(object, key, text ? text : "");
}

static bool write_field(const field *f, const void *at, dv_json *object)
{
    const davit_v1_texts *texts = at;
    char created[CREATED_MAX] = CREATED_ZERO;
    switch (f->kind) {
    case KIND_TEXT:
        return write_text(object, f->key, *(char *const *)at);
    case KIND_INTEGER:
        return dv_json_set_integer(object, f->key, *(const int64_t *)at);
    case KIND_BOOL:
        return dv_json_set_bool(object, f->key, *(const bool *)at);
    case KIND_LIST:
        return texts->items ? dv_json_set(object, f->key, write_list(texts))
                            : dv_json_set_null(object, f->key);
    case KIND_SET:
        return texts->items ? dv_json_set(object, f->key, write_set(texts))
                            : dv_json_set_null(object, f->key);
    case KIND_CREATED:
        return (!*(char *const *)at || write_created(*(char *const *)at, created)) &&
               write_text(object, f->key, created);
    case KIND_CONTAINER:
        return dv_json_set(object, f->key, write_object(container_fields, at));
    case KIND_CONFIG:
        return *(davit_v1_container_config *const *)at
                   ? dv_json_set(object, f->key,
                                 write_object(container_fields, *(davit_v1_container_config *const *)at))
                   : dv_json_set_null(object, f->key);
    }
    return false;
}

static dv_json *write_object(const field *fields, const void *object)
{
    DV_AUTOPTR(dv_json) out = dv_json_object_new();
    bool ok = out != NULL;
    for (const field *f = fields; ok && f->key; f++)
        ok = write_field(f, (const char *)object + f->offset, out);
    return ok ? DV_STEAL(out) : NULL;
}

int davit_v1_image_metadata_format(const davit_v1_image_metadata *metadata, char **out, davit_error **err)
{
    char created[CREATED_MAX];
    DV_AUTO(dv_buf) text = DV_BUF_INIT(WRITTEN_MAX);
    if (metadata->created && !write_created(metadata->created, created))
        return dv_error_set(err, DAVIT_EFORMAT, "\"created\" is not a time");
    DV_AUTOPTR(dv_json) document = write_object(image_fields, metadata);
    if (!document)
        return dv_error_oom(err);
    dv_json_format(document, /* indent= */ 0, /* html_safe= */ true, &text);
    char *written = text.failed ? NULL : dv_buf_take(&text);
    if (!written)
        return dv_error_oom(err);
    *out = written;
    return 0;
}

/* --- ids and checksums --------------------------------------------------------------------------------------------------- */

bool dv_v1_id_is_valid(const char *id)
{
    size_t size = strlen(id);
    return (size == 16 || size == 64) && strspn(id, "0123456789abcdef") == size;
}

void dv_v1_checksum_begin(dv_hash *hash, const void *json, size_t size)
{
    dv_hash_update(hash, json, size);
    dv_hash_update(hash, "\n", 1);
}

bool dv_v1_checksum_is_known(const davit_v1_texts *checksums)
{
    size_t i = 0;
    while (i < checksums->count && !dv_str_starts(checksums->items[i], "sha256:"))
        i++;
    return i < checksums->count;
}

int dv_v1_checksum_check(const davit_v1_texts *checksums, const davit_digest *digest, const char *image,
                         davit_error **err)
{
    for (size_t i = 0; i < checksums->count; i++)
        if (dv_str_equal(checksums->items[i], digest->text))
            return 0;
    if (!dv_v1_checksum_is_known(checksums))
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "image %s: json and layer have the checksum %s, and not %s",
                        image, digest->text, checksums->items[0]);
}
