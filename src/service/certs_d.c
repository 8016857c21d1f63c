/*
 * service/certs_d.c - see certs_d.h.
 *
 * The process's directory is decided once (service.md 11, v28): one pointer, swapped from NULL by whoever comes first, and never
 * freed since callers hold it. What the bytes of a file mean is net/tls.c's.
 */
#include "service/certs_d.h"

#include "util/file.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#define SYSTEM_DIRECTORY "/etc/docker/certs.d"
#define PATH_TEXT_MAX (64u << 10)    /* bytes of a path */
#define PASSWD_ENTRY_MAX (64u << 10) /* bytes of a user's entry */

/* --- paths ------------------------------------------------------------------------------------------------------- */

/* Take the last component off a cleaned path; false when there is none that could go. */
static bool drop_last(dv_buf *path, size_t root)
{
    const char *text = dv_buf_text(path);
    const char *slash = strrchr(text + root, '/');
    const char *last = slash ? slash + 1 : text + root;
    if (path->size == root || strcmp(last, "..") == 0)
        return false;
    path->size = slash ? (size_t)(slash - text) : root;
    path->data[path->size] = '\0';
    return true;
}

/* Append a path's components, as Go's filepath.Join() does: no empty ones, no ".", and ".." takes one off. */
static void append_clean(dv_buf *path, const char *more, size_t root)
{
    while (*more) {
        size_t n = strcspn(more, "/");
        bool up = n == 2 && memcmp(more, "..", 2) == 0;
        bool nothing = n == 0 || (n == 1 && *more == '.');
        if (!path->failed && !nothing && !(up && (drop_last(path, root) || root > 0))) {
            if (path->size > root)
                dv_buf_putc(path, '/');
            dv_buf_append(path, more, n);
        }
        more += n;
        more += *more == '/';
    }
}

static int join(const char *directory, const char *name, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(PATH_TEXT_MAX);
    size_t root = *(*directory ? directory : name) == '/';
    if (root)
        dv_buf_putc(&path, '/');
    append_clean(&path, directory, root);
    append_clean(&path, name, root);
    if (!path.failed && path.size == 0 && (*directory || *name))
        dv_buf_putc(&path, '.');
    if (path.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_EINVAL, "path of a certificates directory is too long");
    char *text = path.failed ? NULL : path.size ? dv_buf_take(&path) : dv_strdup("");
    if (!text)
        return dv_error_oom(err);
    *out = text;
    return 0;
}

/* --- whose directory --------------------------------------------------------------------------------------------- */

static const char *set_variable(dv_getenv_fn *environment, const char *name)
{
    const char *value = environment(name);
    return value && *value ? value : NULL;
}

/* The home directory of the password database; NULL: unknown. */
static char *password_home(void)
{
    DV_AUTOFREE char *entry = malloc(PASSWD_ENTRY_MAX);
    struct passwd user, *found = NULL;
    if (!entry || getpwuid_r(geteuid(), &user, entry, PASSWD_ENTRY_MAX, &found) != 0 || !found ||
        !user.pw_dir || !*user.pw_dir)
        return NULL;
    return dv_strdup(user.pw_dir);
}

/* "<config home>/docker/certs.d"; *out is NULL where no home is known. */
static int user_directory(dv_getenv_fn *environment, char **out, davit_error **err)
{
    const char *config = set_variable(environment, "XDG_CONFIG_HOME");
    const char *home = config ? NULL : set_variable(environment, "HOME");
    DV_AUTOFREE char *known = config || home ? NULL : password_home();
    *out = NULL;
    if (config)
        return join(config, "docker/certs.d", out, err);
    if (!home && !known)
        return 0;
    return join(home ? home : known, ".config/docker/certs.d", out, err);
}

typedef struct decided_directory {
    bool named;       /* by davit_set_certs_dir() */
    const char *path; /* the struct's own memory, or static */
    char text[];
} decided_directory;

static const decided_directory system_directory = {.path = SYSTEM_DIRECTORY};
static _Atomic(const decided_directory *) decided;

/* The first one counts. Takes mine; gives the one in force. */
static const decided_directory *decide(const decided_directory *mine)
{
    const decided_directory *first = NULL;
    if (atomic_compare_exchange_strong(&decided, &first, mine))
        return mine;
    if (mine != &system_directory)
        free((void *)(uintptr_t)mine);
    return first;
}

static const decided_directory *decide_path(const char *path, bool named)
{
    size_t size = strlen(path) + 1;
    decided_directory *mine = dv_calloc(1, sizeof(*mine) + size);
    if (!mine)
        return NULL;
    mine->named = named;
    mine->path = memcpy(mine->text, path, size);
    return decide(mine);
}

static const decided_directory *decide_default(void)
{
    DV_AUTOFREE char *user = NULL;
    if (set_variable(getenv, "ROOTLESSKIT_STATE_DIR") && user_directory(getenv, &user, NULL) < 0)
        return NULL;
    return user ? decide_path(user, /* named= */ false) : decide(&system_directory);
}

const char *davit_certs_dir(void)
{
    const decided_directory *d = atomic_load(&decided);
    if (!d)
        d = decide_default();
    return d ? d->path : SYSTEM_DIRECTORY; /* without memory nothing is decided */
}

int davit_set_certs_dir(const char *path, davit_error **err)
{
    if (atomic_load(&decided))
        return 0;
    const decided_directory *d = path && *path ? decide_path(path, /* named= */ true) : decide_default();
    return d ? 0 : dv_error_oom(err);
}

int davit_host_certs_dir(const char *host, char **out, davit_error **err)
{
    return join(davit_certs_dir(), host, out, err);
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* A user's own directory of a host is taken where it is the only choice, or there, or could be made with more ease. */
static int users_directory(dv_getenv_fn *environment, const char *host, char **out, davit_error **err)
{
    DV_AUTOFREE char *all = NULL;
    DV_AUTOFREE char *user = NULL;
    DV_AUTOFREE char *system = NULL;
    bool rootless = set_variable(environment, "ROOTLESSKIT_STATE_DIR");
    int r = 0;
    if (rootless || geteuid() != 0)
        r = user_directory(environment, &all, err);
    if (r == 0 && all)
        r = join(all, host, &user, err);
    if (r == 0)
        r = join(SYSTEM_DIRECTORY, host, &system, err);
    if (r < 0)
        return r;
    bool users = user && (rootless || exists(user) || !exists(system));
    *out = users ? DV_STEAL(user) : DV_STEAL(system);
    return 0;
}

int dv_certs_d_directory(const dv_certs_rule *rule, const char *host, char **out, davit_error **err)
{
    const decided_directory *d = atomic_load(&decided);
    if (rule->certs_dir && *rule->certs_dir)
        return join(rule->certs_dir, host, out, err);
    if (!rule->environment || (d && d->named))
        return davit_host_certs_dir(host, out, err);
    return users_directory(rule->environment, host, out, err);
}

/* --- one directory ----------------------------------------------------------------------------------------------- */

typedef struct listing {
    char **names; /* in byte order */
    size_t count;
} listing;

static void listing_clear(listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
}
DV_DEFINE_AUTO(listing, listing_clear)

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_listed(const listing *l, const char *name)
{
    return bsearch(&name, l->names, l->count, sizeof(*l->names), by_bytes) != NULL;
}

static int list_entry(listing *l, const char *name, davit_error **err)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (l->count == DV_CERTS_ENTRIES_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %d files", DV_CERTS_ENTRIES_MAX);
    l->names[l->count] = dv_strdup(name);
    if (!l->names[l->count])
        return dv_error_oom(err);
    l->count++;
    return 0;
}

/* Takes fd. */
static int list(int fd, listing *l, davit_error **err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int r = errno == ENOMEM ? dv_error_oom(err)
                                : dv_error_errno(err, DAVIT_EINVAL, errno, "cannot read the directory");
        close(fd);
        return r;
    }
    const struct dirent *entry;
    int r = 0;
    l->names = dv_new_array(char *, DV_CERTS_ENTRIES_MAX);
    if (!l->names)
        r = dv_error_oom(err);
    errno = 0;
    while (r == 0 && (entry = readdir(dir))) {
        r = list_entry(l, entry->d_name, err);
        errno = 0;
    }
    if (r == 0 && errno)
        r = dv_error_errno(err, DAVIT_EINVAL, errno, "cannot read the directory");
    closedir(dir);
    if (r == 0)
        qsort(l->names, l->count, sizeof(*l->names), by_bytes);
    return r;
}

static int read_file(int directory, const char *name, dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_file_read(directory, name, DV_TLS_PEM_MAX, out, &why);
    if (r == DAVIT_ENOTFOUND) /* a link that leads nowhere: the registry is not what was not found */
        return dv_error_set(err, DAVIT_EIO, "%s", davit_error_message(why));
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

static int add_roots(davit_tls_config *tls, int directory, const char *name, davit_error **err)
{
    DV_AUTO(dv_buf) pem = DV_BUF_INIT(DV_TLS_PEM_MAX);
    dv_tls_config_want_roots(tls);
    int r = read_file(directory, name, &pem, err);
    return r < 0 ? r : dv_tls_config_add_roots(tls, name, dv_buf_text(&pem), pem.size, err);
}

/* name with another suffix; NULL without memory. */
static char *with_suffix(const char *name, const char *suffix, const char *other)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(PATH_TEXT_MAX);
    dv_buf_append(&text, name, strlen(name) - strlen(suffix));
    dv_buf_puts(&text, other);
    return dv_buf_take(&text);
}

static int add_client(davit_tls_config *tls, int directory, const listing *l, const char *name,
                      davit_error **err)
{
    DV_AUTO(dv_buf) cert = DV_BUF_INIT(DV_TLS_PEM_MAX);
    DV_AUTO(dv_buf) key = {.max = DV_TLS_PEM_MAX, .secret = true};
    DV_AUTOFREE char *key_name = with_suffix(name, ".cert", ".key");
    if (!key_name)
        return dv_error_oom(err);
    if (!is_listed(l, key_name))
        return dv_error_set(
            err, DAVIT_EINVAL,
            "missing key %s for client certificate %s. CA certificates must use the extension .crt", key_name,
            name);
    int r = read_file(directory, name, &cert, err);
    if (r == 0)
        r = read_file(directory, key_name, &key, err);
    return r < 0 ? r
                 : dv_tls_config_add_client(tls, name, dv_buf_text(&cert), cert.size, key_name,
                                            dv_buf_text(&key), key.size, err);
}

static int check_key(const listing *l, const char *name, davit_error **err)
{
    DV_AUTOFREE char *cert_name = with_suffix(name, ".key", ".cert");
    if (!cert_name)
        return dv_error_oom(err);
    return is_listed(l, cert_name)
               ? 0
               : dv_error_set(err, DAVIT_EINVAL, "missing client certificate %s for key %s", cert_name, name);
}

int davit_read_certs_directory(davit_tls_config *tls, const char *directory, davit_error **err)
{
    DV_AUTO(listing) l = {0};
    DV_AUTOCLOSE fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return 0;
    int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return dv_error_errno(err, DAVIT_EINVAL, errno, "cannot open the directory");
    int r = list(copy, &l, err);
    for (size_t i = 0; r == 0 && i < l.count; i++) {
        const char *name = l.names[i];
        if (dv_str_ends(name, ".crt"))
            r = add_roots(tls, fd, name, err);
        else if (dv_str_ends(name, ".cert"))
            r = add_client(tls, fd, &l, name, err);
        else if (dv_str_ends(name, ".key"))
            r = check_key(&l, name, err);
    }
    return r;
}

int dv_certs_d_load(const dv_certs_rule *rule, const char *host, davit_tls_config *tls, davit_error **err)
{
    DV_AUTOFREE char *directory = NULL;
    int r = dv_certs_d_directory(rule, host, &directory, err);
    if (r == 0)
        r = dv_tls_config_set_directory(tls, directory, err);
    if (r < 0)
        return r;
    r = davit_read_certs_directory(tls, directory, err);
    return r < 0 && r != DAVIT_ENOMEM ? dv_error_wrap(err, r, "certificates in %s", directory) : r;
}
