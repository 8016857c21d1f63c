/*
 * distribution/bundle.c - an OCI runtime bundle's config.json from an image config (runtime-spec 1.0.2, config.md; image-spec, conversion.md).
 *
 * What the image says is data: its user is looked up in files that are opened within its root (threats B10), its labels become annotations
 * and nothing else, its volumes become no mounts. The rest is what the runtimes' own default is; inheritable and ambient
 * capabilities stay empty (threats D14).
 */
#include "distribution/bundle_user.h"
#include "distribution/unpack_private.h"
#include "util/file.h"
#include "util/json.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>

#define ACCOUNTS_MAX (1u << 20) /* bytes of etc/passwd and of etc/group (threats B10) */
#define SPEC_MAX (16u << 20)    /* bytes of config.json: an image config is at most 4 MiB */

#define CAPABILITIES "[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"]"

#define COMMON_MOUNTS                                                               \
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"            \
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","            \
    "\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"       \
    "{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\","          \
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]}," \
    "{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\","   \
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"

#define COMMON_PATHS                                                                                      \
    "\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\",\"/proc/keys\",\"/proc/"            \
    "latency_stats\","                                                                                    \
    "\"/proc/timer_list\",\"/proc/timer_stats\",\"/proc/sched_debug\",\"/sys/firmware\",\"/proc/scsi\"]," \
    "\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}"

static const char capabilities[] =
    "{\"bounding\":" CAPABILITIES ",\"effective\":" CAPABILITIES ",\"permitted\":" CAPABILITIES "}";
static const char rlimits[] = "[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1024,\"soft\":1024}]";

static const char mounts[] =
    "[" COMMON_MOUNTS "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
    "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
    "{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
    "{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]}]";
/* Without privileges there is no group 5, no network of one's own to see in /sys, and no cgroup. */
static const char mounts_rootless[] =
    "[" COMMON_MOUNTS "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
    "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]},"
    "{\"destination\":\"/sys\",\"type\":\"none\",\"source\":\"/sys\","
    "\"options\":[\"rbind\",\"nosuid\",\"noexec\",\"nodev\",\"ro\"]}]";

static const char linux_part[] =
    "{\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
    "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
    "{\"type\":\"mount\"}]," COMMON_PATHS;
static const char linux_part_rootless[] =
    "{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"},"
    "{\"type\":\"user\"}]," COMMON_PATHS;

/* --- files of the image ---------------------------------------------------------------------------------------------- */

/* A small regular file within the root; a missing one is empty. Devices and pipes are not opened. */
static int read_within(int root_fd, const char *path, dv_buf *out, davit_error **err)
{
    DV_AUTOCLOSE where = dv_openat2(root_fd, path, O_PATH, RESOLVE_IN_ROOT);
    struct stat st;
    if (where == -ENOENT || where == -ENOTDIR || where == -ELOOP)
        return 0;
    if (where < 0 || fstat(where, &st) < 0)
        return dv_error_file(err, where < 0 ? -where : errno, "cannot open the image's %s", path);
    if (!S_ISREG(st.st_mode))
        return dv_error_set(err, DAVIT_EFORMAT, "the image's %s is no regular file", path);
    if (st.st_size > ACCOUNTS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "the image's %s is longer than %u bytes", path, ACCOUNTS_MAX);
    /* Nobody else can be in the tree: it is the same file. */
    DV_AUTOCLOSE fd = dv_openat2(root_fd, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, RESOLVE_IN_ROOT);
    DV_AUTOFREE char *text = malloc((size_t)st.st_size + 1);
    if (!text)
        return dv_error_oom(err);
    ssize_t n = fd < 0 ? fd : dv_pread_all(fd, text, (size_t)st.st_size, 0);
    if (n < 0)
        return dv_error_file(err, (int)-n, "cannot read the image's %s", path);
    for (ssize_t i = 0; i < n; i++)
        if (text[i] == '\0')
            text[i] = '?'; /* no field holds one */
    dv_buf_append(out, text, (size_t)n);
    return out->failed ? dv_error_oom(err) : 0;
}

static int find_user(int root_fd, const dv_json *run, dv_bundle_user *out, davit_error **err)
{
    DV_AUTO(dv_buf) passwd = DV_BUF_INIT(ACCOUNTS_MAX);
    DV_AUTO(dv_buf) group = DV_BUF_INIT(ACCOUNTS_MAX);
    const char *user = dv_json_string(dv_json_get(run, "User"), NULL);
    int r = read_within(root_fd, "etc/passwd", &passwd, err);
    if (r == 0)
        r = read_within(root_fd, "etc/group", &group, err);
    return r < 0 ? r
                 : dv_bundle_user_find(user ? user : "", dv_buf_text(&passwd), dv_buf_text(&group), out, err);
}

/* --- process --------------------------------------------------------------------------------------------------------- */

static dv_json *parse_fixed(const char *text)
{
    const dv_json_limits limits = {.max_bytes = 64u << 10};
    dv_json *v = NULL;
    return dv_json_parse(text, strlen(text), &limits, /* known= */ NULL, &v, /* err= */ NULL) == 0 ? v : NULL;
}

static bool append_texts(dv_json *to, const dv_json *texts)
{
    bool ok = true;
    for (size_t i = 0; ok && i < dv_json_count(texts); i++) {
        const char *text = dv_json_string(dv_json_at(texts, i), NULL);
        ok = !text || dv_json_append_string(to, text);
    }
    return ok;
}

static bool set_args(dv_json *process, const dv_json *run)
{
    dv_json *args = dv_json_array_new();
    bool ok = args && append_texts(args, dv_json_get(run, "Entrypoint")) &&
              append_texts(args, dv_json_get(run, "Cmd")) &&
              (dv_json_count(args) > 0 || dv_json_append_string(args, "sh"));
    return dv_json_set(process, "args", args) && ok;
}

static bool has_variable(const dv_json *env, const char *name)
{
    for (size_t i = 0; i < dv_json_count(env); i++) {
        const char *text = dv_json_string(dv_json_at(env, i), NULL);
        if (text && dv_str_starts(text, name) && text[strlen(name)] == '=')
            return true;
    }
    return false;
}

static bool add_variable(dv_json *to, const dv_json *env, const char *name, const char *value)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(ACCOUNTS_MAX + 16);
    if (!value || has_variable(env, name))
        return true;
    dv_buf_printf(&text, "%s=%s", name, value);
    return !text.failed &&
           (!dv_utf8_is_valid(dv_buf_text(&text)) || dv_json_append_string(to, dv_buf_text(&text)));
}

static bool set_env(dv_json *process, const dv_json *run, const dv_bundle_user *user)
{
    const dv_json *env = dv_json_get(run, "Env");
    dv_json *out = dv_json_array_new();
    bool ok =
        out &&
        add_variable(out, env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") &&
        add_variable(out, env, "TERM", "xterm") && append_texts(out, env) &&
        add_variable(out, env, "HOME", user->home);
    return dv_json_set(process, "env", out) && ok;
}

static bool set_user(dv_json *process, const dv_bundle_user *user)
{
    dv_json *o = dv_json_object_new();
    bool ok = o && dv_json_set_integer(o, "uid", user->uid) && dv_json_set_integer(o, "gid", user->gid);
    if (ok && user->group_count > 0) {
        dv_json *groups = dv_json_array_new();
        for (size_t i = 0; groups && ok && i < user->group_count; i++)
            ok = dv_json_append_integer(groups, user->groups[i]);
        ok = dv_json_set(o, "additionalGids", groups) && ok;
    }
    return dv_json_set(process, "user", o) && ok;
}

/* An absolute path is what the runtime wants. */
static bool set_cwd(dv_json *process, const dv_json *run)
{
    DV_AUTO(dv_buf) cwd = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    const char *text = dv_json_string(dv_json_get(run, "WorkingDir"), NULL);
    dv_buf_printf(&cwd, "%s%s", text && *text == '/' ? "" : "/", text ? text : "");
    return !cwd.failed && dv_json_set_string(process, "cwd", dv_buf_text(&cwd));
}

static bool set_process(dv_json *spec, const dv_json *run, const dv_bundle_user *user)
{
    dv_json *p = dv_json_object_new();
    bool ok = p && dv_json_set_bool(p, "terminal", true) && set_user(p, user) && set_args(p, run) &&
              set_env(p, run, user) && set_cwd(p, run) &&
              dv_json_set(p, "capabilities", parse_fixed(capabilities)) &&
              dv_json_set(p, "rlimits", parse_fixed(rlimits)) && dv_json_set_bool(p, "noNewPrivileges", true);
    return dv_json_set(spec, "process", p) && ok;
}

/* --- annotations ------------------------------------------------------------------------------------------------------- */

static bool add_annotation(dv_json *to, const dv_json *labels, const char *name, const char *value)
{
    DV_AUTO(dv_buf) key = DV_BUF_INIT(128);
    dv_buf_printf(&key, "org.opencontainers.image.%s", name);
    if (!value || !*value || dv_json_get(labels, dv_buf_text(&key)))
        return true; /* a label of that name has the word */
    return dv_json_set_string(to, dv_buf_text(&key), value);
}

static bool add_ports(dv_json *to, const dv_json *labels, const dv_json *run)
{
    DV_AUTO(dv_buf) ports = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    const char *port;
    const dv_json *unused;
    for (void *i = NULL; dv_json_next(dv_json_get(run, "ExposedPorts"), &i, &port, &unused);)
        dv_buf_printf(&ports, "%s%s", ports.size ? "," : "", port);
    return !ports.failed && add_annotation(to, labels, "exposedPorts", dv_buf_text(&ports));
}

static bool add_labels(dv_json *to, const dv_json *labels)
{
    const char *key;
    const dv_json *value;
    bool ok = true;
    for (void *i = NULL; ok && dv_json_next(labels, &i, &key, &value);) {
        const char *text = dv_json_string(value, NULL);
        ok = !text || !*key || dv_json_set_string(to, key, text);
    }
    return ok;
}

static bool set_annotations(dv_json *spec, const dv_json *config, const dv_json *run)
{
    static const char *const members[] = {"os", "architecture", "variant", "author", "created"};
    const dv_json *labels = dv_json_get(run, "Labels");
    dv_json *to = dv_json_object_new();
    bool ok = to != NULL;
    for (size_t i = 0; ok && i < DV_COUNT(members); i++)
        ok = add_annotation(to, labels, members[i], dv_json_string(dv_json_get(config, members[i]), NULL));
    ok = ok &&
         add_annotation(to, labels, "stopSignal", dv_json_string(dv_json_get(run, "StopSignal"), NULL)) &&
         add_ports(to, labels, run) && add_labels(to, labels);
    return dv_json_set(spec, "annotations", to) && ok;
}

/* --- the whole ----------------------------------------------------------------------------------------------------------- */

static bool add_mapping(dv_json *to, const char *key, uint32_t host_id)
{
    dv_json *list = dv_json_array_new(), *mapping = dv_json_object_new();
    bool ok = mapping && dv_json_set_integer(mapping, "containerID", 0) &&
              dv_json_set_integer(mapping, "hostID", host_id) && dv_json_set_integer(mapping, "size", 1);
    ok = dv_json_append(list, mapping) && ok;
    return dv_json_set(to, key, list) && ok;
}

static bool set_linux(dv_json *spec, bool rootless)
{
    dv_json *part = parse_fixed(rootless ? linux_part_rootless : linux_part);
    bool ok = part && (!rootless || (add_mapping(part, "uidMappings", geteuid()) &&
                                     add_mapping(part, "gidMappings", getegid())));
    return dv_json_set(spec, "linux", part) && ok;
}

static bool set_root(dv_json *spec)
{
    dv_json *root = dv_json_object_new();
    bool ok = root && dv_json_set_string(root, "path", "rootfs");
    return dv_json_set(spec, "root", root) && ok;
}

static dv_json *make_spec(const dv_json *config, const dv_bundle_user *user, bool rootless)
{
    const dv_json *run = dv_json_get(config, "config");
    dv_json *spec = dv_json_object_new();
    bool ok = spec && dv_json_set_string(spec, "ociVersion", "1.0.2") && set_process(spec, run, user) &&
              set_root(spec) && dv_json_set_string(spec, "hostname", "davit") &&
              dv_json_set(spec, "mounts", parse_fixed(rootless ? mounts_rootless : mounts)) &&
              set_annotations(spec, config, run) && set_linux(spec, rootless);
    if (ok)
        return spec;
    dv_json_free(spec);
    return NULL;
}

static int write_file(int dir_fd, const dv_buf *text, davit_error **err)
{
    DV_AUTOCLOSE fd =
        openat(dir_fd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : dv_write_all(fd, dv_buf_text(text), text->size);
    if (r == 0 && fchmod(fd, 0644) < 0)
        r = -errno;
    return r < 0 ? dv_error_file(err, -r, "cannot write config.json") : 0;
}

int dv_bundle_write(int dir_fd, int root_fd, const davit_image_config *config, bool rootless,
                    davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = DAVIT_IMAGE_CONFIG_MAX};
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTOPTR(dv_json) spec = NULL;
    DV_AUTO(dv_bundle_user) user = {0};
    DV_AUTO(dv_buf) text = DV_BUF_INIT(SPEC_MAX);
    size_t size;
    const void *bytes = davit_image_config_bytes(config, &size);
    int r = dv_json_parse(bytes, size, &limits, /* known= */ NULL, &document, err);
    if (r == 0)
        r = find_user(root_fd, dv_json_get(document, "config"), &user, err);
    if (r < 0)
        return r;
    spec = make_spec(document, &user, rootless);
    if (!spec)
        return dv_error_oom(err);
    dv_json_format(spec, /* indent= */ 2, /* html_safe= */ false, &text);
    dv_buf_putc(&text, '\n');
    return text.failed ? dv_error_oom(err) : write_file(dir_fd, &text, err);
}
