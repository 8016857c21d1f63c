/*
 * service/daemon_config.c - see daemon_config.h.
 *
 * Decides what a file may look like and which file is read. What a mirror or a network may be is the service's decision; here it
 * is only asked for each key alone, so that its answer can be given with the key.
 */
#include "service/daemon_config.h"

#include "davit/service.h"
#include "service/text_list.h"
#include "util/file.h"
#include "util/json.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

const char *const dv_daemon_config_paths[] = {"/etc/davit/daemon.json", "/etc/docker/daemon.json", NULL};

typedef struct row {
    const char *key;
    size_t offset; /* in dv_daemon_config */
} row;

#define AT(field) offsetof(dv_daemon_config, field)

static const row lists[] = {
    {"registry-mirrors", AT(registry_mirrors)},
    {"insecure-registries", AT(insecure_registries)},
    {"allow-nondistributable-artifacts", AT(allow_nondistributable_artifacts)},
    {"mirror-by-digest-only", AT(mirror_by_digest_only)},
};

static const row numbers[] = {
    {"max-concurrent-downloads", AT(max_concurrent_downloads)},
    {"max-concurrent-uploads", AT(max_concurrent_uploads)},
    {"max-download-attempts", AT(max_download_attempts)},
};

static char ***list_of(dv_daemon_config *c, const row *key)
{
    return (char ***)((char *)c + key->offset);
}

void dv_daemon_config_clear_lists(dv_daemon_config *c)
{
    for (size_t i = 0; i < DV_COUNT(lists); i++) {
        dv_text_list_free(*list_of(c, &lists[i]));
        *list_of(c, &lists[i]) = NULL;
    }
}

void dv_daemon_config_clear(dv_daemon_config *c)
{
    dv_daemon_config_clear_lists(c);
    free(c->path);
    *c = (dv_daemon_config)DV_DAEMON_CONFIG_INIT;
}

/* --- values ---------------------------------------------------------------------------------------------------- */

static int read_text(const dv_json *value, char **out, davit_error **err)
{
    size_t size;
    const char *text = dv_json_string(value, &size);
    if (!text || strlen(text) != size)
        return dv_error_set(err, DAVIT_ECONFIG, "not a list of strings");
    *out = dv_strdup(text);
    return *out ? 0 : dv_error_oom(err);
}

static int read_list(const dv_json *value, char ***out, davit_error **err)
{
    size_t count = dv_json_count(value);
    if (!dv_json_is(value, DV_JSON_ARRAY))
        return dv_error_set(err, DAVIT_ECONFIG, "not a list of strings");
    if (count > DV_DAEMON_ENTRIES_MAX)
        return dv_error_set(err, DAVIT_ECONFIG, "more than %d entries", DV_DAEMON_ENTRIES_MAX);
    DV_AUTO_TEXT_LIST list = dv_new_array(char *, count + 1);
    if (!list)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        int r = read_text(dv_json_at(value, i), &list[i], err);
        if (r < 0)
            return r;
    }
    *out = DV_STEAL(list);
    return 0;
}

static int read_number(const dv_json *value, uint32_t *out, davit_error **err)
{
    int64_t n = dv_json_integer(value);
    if (!dv_json_is(value, DV_JSON_INTEGER))
        return dv_error_set(err, DAVIT_ECONFIG, "not a whole number");
    if (n < 0 || n > UINT32_MAX)
        return dv_error_set(err, DAVIT_ECONFIG, "%" PRId64 " is not a number of at least 1", n);
    *out = (uint32_t)n;
    return 0;
}

static const dv_json *find(const dv_json *object, const row *key)
{
    const dv_json *value = dv_json_get(object, key->key);
    return dv_json_is(value, DV_JSON_NULL) ? NULL : value;
}

static int read_object(const dv_json *object, dv_daemon_config *c, davit_error **err)
{
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return dv_error_set(err, DAVIT_ECONFIG, "not a JSON object");
    for (size_t i = 0; i < DV_COUNT(lists); i++) {
        const dv_json *value = find(object, &lists[i]);
        int r = value ? read_list(value, list_of(c, &lists[i]), err) : 0;
        if (r < 0)
            return dv_error_wrap(err, r, "%s", lists[i].key);
    }
    for (size_t i = 0; i < DV_COUNT(numbers); i++) {
        const dv_json *value = find(object, &numbers[i]);
        int r = value ? read_number(value, (uint32_t *)((char *)c + numbers[i].offset), err) : 0;
        if (r < 0)
            return dv_error_wrap(err, r, "%s", numbers[i].key);
    }
    return 0;
}

/* --- a file ---------------------------------------------------------------------------------------------------- */

/* A fault of the configuration, whatever the one who found it calls it. Moves from. */
static int refuse(davit_error **err, davit_error **from, const char *path)
{
    if (!*from || davit_error_code(*from) == DAVIT_ENOMEM)
        return dv_error_oom(err);
    return dv_error_set(err, DAVIT_ECONFIG, "%s: %s", path, davit_error_message(*from));
}

static bool is_blank(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n", text[i]) || !text[i])
            return false;
    return true;
}

int dv_daemon_config_parse(const char *path, const void *bytes, size_t size, dv_daemon_config *out,
                           davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = DV_DAEMON_CONFIG_MAX, .any_number = true};
    DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
    DV_AUTOPTR(dv_json) object = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    const char *text = bytes;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* Docker takes a byte order mark as well */
        text += 3;
        size -= 3;
    }
    int r = 0;
    if (!is_blank(text, size)) {
        r = dv_json_parse(text, size, &limits, /* known= */ NULL, &object, &why);
        r = r < 0 ? r : read_object(object, &c, &why);
    }
    if (r < 0)
        return refuse(err, &why, path);
    c.path = dv_strdup(path);
    if (!c.path)
        return dv_error_oom(err);
    *out = c;
    c = (dv_daemon_config)DV_DAEMON_CONFIG_INIT; /* moved */
    return 0;
}

static bool may_not_be_read(const char *path)
{
    return faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0 && errno == EACCES;
}

/* 1: out is set; 0: an optional file is not there, or not for us. */
static int load_one(const char *path, bool optional, dv_daemon_config *out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DV_DAEMON_CONFIG_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_file_read(AT_FDCWD, path, DV_DAEMON_CONFIG_MAX, &bytes, &why);
    if (r == DAVIT_ENOTFOUND && optional)
        return 0;
    if (r == DAVIT_EIO && optional && may_not_be_read(path)) {
        dv_warn("%s is left out: it may not be read by this user", path);
        return 0;
    }
    if (r == DAVIT_ENOMEM || (r < 0 && !why))
        return dv_error_oom(err);
    if (r < 0)
        return dv_error_set(err, DAVIT_ECONFIG, "configuration file: %s", davit_error_message(why));
    r = dv_daemon_config_parse(path, dv_buf_text(&bytes), bytes.size, out, err);
    return r < 0 ? r : 1;
}

int dv_daemon_config_load(const char *named, const char *const *paths, dv_daemon_config *out,
                          davit_error **err)
{
    int found = named ? load_one(named, /* optional= */ false, out, err) : 0;
    for (; !named && found == 0 && paths && *paths; paths++)
        found = load_one(*paths, /* optional= */ true, out, err);
    if (found == 0)
        *out = (dv_daemon_config)DV_DAEMON_CONFIG_INIT;
    return found < 0 ? found : 0;
}

/* --- what a service says to it --------------------------------------------------------------------------------- */

static int ask_service(const davit_service_options *options, davit_error **err)
{
    davit_service *service = NULL;
    int r = davit_service_new(options, &service, err);
    davit_service_unref(service);
    return r;
}

/* Whether it takes the values of one key. */
static int check_key(const dv_daemon_config *c, const char *key, const davit_service_options *options,
                     davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    if (ask_service(options, &why) == 0)
        return 0;
    if (why && davit_error_code(why) != DAVIT_ENOMEM)
        dv_error_wrap(&why, DAVIT_ECONFIG, "%s", key);
    return refuse(err, &why, c->path);
}

#define TEXTS(list) ((const char *const *)(list))

int dv_daemon_config_check(const dv_daemon_config *c, const char *const *option_mirrors, davit_error **err)
{
    DV_AUTO_TEXT_LIST mirrors = NULL;
    davit_service_options o = DAVIT_SERVICE_OPTIONS_INIT;
    if (!c->path)
        return 0;
    o.mirrors = TEXTS(c->registry_mirrors);
    int r = check_key(c, "registry-mirrors", &o, err);
    o = (davit_service_options)DAVIT_SERVICE_OPTIONS_INIT;
    o.insecure_registries = TEXTS(c->insecure_registries);
    if (r == 0)
        r = check_key(c, "insecure-registries", &o, err);
    o = (davit_service_options)DAVIT_SERVICE_OPTIONS_INIT;
    o.allow_nondistributable_artifacts = TEXTS(c->allow_nondistributable_artifacts);
    if (r == 0)
        r = check_key(c, "allow-nondistributable-artifacts", &o, err);
    if (r < 0 || !c->mirror_by_digest_only)
        return r;
    r = dv_daemon_config_join(c->registry_mirrors, option_mirrors, &mirrors, err);
    if (r < 0)
        return r;
    o = (davit_service_options)DAVIT_SERVICE_OPTIONS_INIT;
    o.mirrors = TEXTS(mirrors);
    if (ask_service(&o, NULL) < 0)
        return 0;
    o.digest_only_mirrors = TEXTS(c->mirror_by_digest_only);
    return check_key(c, "mirror-by-digest-only", &o, err);
}

int dv_daemon_config_join(char *const *list, const char *const *options, char ***out, davit_error **err)
{
    size_t first = dv_text_list_count(list), count = dv_text_list_count((char *const *)options);
    DV_AUTO_TEXT_LIST joined = dv_new_array(char *, first + count + 1);
    for (size_t i = 0; joined && i < first + count; i++)
        if (!(joined[i] = dv_strdup(i < first ? list[i] : options[i - first])))
            return dv_error_oom(err);
    if (!joined)
        return dv_error_oom(err);
    *out = DV_STEAL(joined);
    return 0;
}
