/*
 * archive/unpack.c - see unpack.h. One unpacking from its first layer to its end: limits, report, and what a tar reader calls.
 *
 * unpack_path.c cleans names, unpack_dirs.c keeps directories open, unpack_entry.c makes files, unpack_metadata.c describes them,
 * unpack_whiteout.c removes, unpack_marks.c knows what a layer made itself.
 */
#include "archive/unpack_internal.h"

#include "archive/staging.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

#define ENTRY_ROOM 1024 /* bytes of the disk that an entry takes, without its data; more or less */
#define BYTES_MAX (64ull << 30)
#define ENTRIES_MAX 10000000u
#define DEFAULT_ROOT_MODE 0755

_Thread_local bool dv_unpack_umask_is_zero;

int dv_unpack_thread_init(davit_error **err)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    DV_AUTOCLOSE fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        return dv_error_file(err, errno, "cannot unpack");
    if (fd < 0)
        return dv_error_set(
            err, DAVIT_EUNSUPPORTED,
            "cannot unpack safely: the system call openat2 is missing or forbidden here (Linux 5.6 or "
            "newer has it): %s",
            strerror(errno));
    /* Where this is forbidden the process's umask stays as it is, and every mode is set by hand. */
    if (unshare(CLONE_FS) == 0) {
        umask(0);
        dv_unpack_umask_is_zero = true;
    }
    return 0;
}

/* --- options ------------------------------------------------------------------------------- */

static void free_names(const char *const *names)
{
    for (size_t i = 0; names && names[i]; i++)
        free((char *)names[i]);
    free((void *)names);
}

static int copy_names(const char *const *names, const char *const **out, davit_error **err)
{
    size_t count = 0;
    while (names && names[count])
        count++;
    const char **copy = dv_new_array(const char *, count + 1);
    for (size_t i = 0; copy && i < count; i++)
        if (!(copy[i] = dv_strdup(names[i]))) {
            free_names(copy);
            copy = NULL;
        }
    if (!copy)
        return dv_error_oom(err);
    *out = copy;
    return 0;
}

static int take_options(dv_unpack *u, const dv_unpack_options *options, davit_error **err)
{
    u->options = options ? *options : (dv_unpack_options){0};
    u->options.xattrs = NULL;
    if (u->options.max_bytes == 0)
        u->options.max_bytes = BYTES_MAX;
    if (u->options.max_entries == 0)
        u->options.max_entries = ENTRIES_MAX;
    const char *root = options && options->root_name ? options->root_name : "/";
    u->options.root_name = u->root_name = dv_strdup(root);
    if (!u->root_name)
        return dv_error_oom(err);
    return copy_names(options ? options->xattrs : NULL, &u->options.xattrs, err);
}

static int start_overlay(dv_unpack *u, int root_fd, davit_error **err)
{
    struct stat st;
    const dv_unpack_options *o = &u->options;
    int r = dv_overlay_init(&u->overlay, root_fd, o->lowers, o->lower_count, o->rootless, err);
    if (r == 0 && fstat(root_fd, &st) < 0)
        r = dv_error_file(err, errno, "cannot read the directory to unpack to");
    if (r == 0 && o->lower_count > 0)
        u->root_mode = st.st_mode & 07777;
    return r;
}

int dv_unpack_new(int root_fd, const dv_unpack_options *options, dv_unpack **out, davit_error **err)
{
    DV_AUTOPTR(dv_unpack) u = dv_new(dv_unpack);
    if (!u)
        return dv_error_oom(err);
    u->euid = geteuid();
    u->egid = getegid();
    u->privileged = u->euid == 0;
    u->file.fd = -1;
    u->root_fd = root_fd;
    u->root_mode = DEFAULT_ROOT_MODE;
    dv_unpack_marks_init(&u->marks);
    int r = take_options(u, options, err);
    if (r == 0 && u->options.overlay)
        r = start_overlay(u, root_fd, err);
    if (r == 0)
        r = dv_dirs_init(&u->dirs, root_fd, &u->marks, err);
    if (r < 0)
        return r;
    if (u->options.overlay) {
        u->dirs.overlay = &u->overlay;
        u->dirs.root.has_times = u->options.lower_count > 0;
    }
    u->dirs.made_max = u->options.max_entries;
    u->dirs.rootless = u->options.rootless;
    *out = DV_STEAL(u);
    return 0;
}

/* --- report -------------------------------------------------------------------------------- */

void dv_unpack_skipped(dv_unpack *u, const char *fmt, ...)
{
    dv_unpack_report *report = &u->report;
    report->skips_total++;
    if (report->skip_count >= DV_UNPACK_SKIPS_MAX)
        return;
    if (!report->skips && !(report->skips = dv_new_array(dv_unpack_skip, DV_UNPACK_SKIPS_MAX)))
        return; /* counted, not remembered */
    DV_AUTO(dv_buf) reason = DV_BUF_INIT(1024);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&reason, fmt, ap);
    va_end(ap);
    dv_unpack_skip skip = {.path = dv_strdup(u->path.size ? u->path.text : "."),
                           .reason = dv_buf_take(&reason)};
    if (!skip.path || !skip.reason) {
        free(skip.path);
        free(skip.reason);
        return;
    }
    ((dv_unpack_skip *)report->skips)[report->skip_count++] = skip;
}

int dv_unpack_failed(dv_unpack *u, int errnum, const char *doing, davit_error **err)
{
    return dv_error_file(err, errnum, "%s: %s", u->entry->name, doing);
}

int dv_unpack_refused(dv_unpack *u, const char *why, davit_error **err)
{
    return dv_error_set(err, DAVIT_EFORMAT, "%s: %s", u->entry->name, why);
}

const dv_unpack_report *dv_unpack_get_report(const dv_unpack *u)
{
    return &u->report;
}

unsigned dv_unpack_root_mode(const dv_unpack *u)
{
    return u->root_mode;
}

/* --- what the tar reader calls ------------------------------------------------------------- */

int dv_unpack_no_room(const dv_unpack *u, davit_error **err)
{
    uint64_t reserve;
    uint64_t room = dv_file_room(u->root_fd, &reserve);
    return dv_error_set(err, DAVIT_ENOSPACE,
                        "no space left in %s: %llu bytes are free, beside %llu that are kept free",
                        u->options.root_name, (unsigned long long)room, (unsigned long long)reserve);
}

static int check_limits(dv_unpack *u, const dv_tar_entry *e, davit_error **err)
{
    if (!dv_room_take(&u->room, u->root_fd, ENTRY_ROOM))
        return dv_unpack_no_room(u, err);
    if (++u->entries > u->options.max_entries)
        return dv_error_set(err, DAVIT_ETOOBIG, "image has more than %llu entries",
                            (unsigned long long)u->options.max_entries);
    if (e->size > u->options.max_bytes - u->report.bytes)
        return dv_error_set(err, DAVIT_ETOOBIG, "%s: image holds more than %llu bytes", e->name,
                            (unsigned long long)u->options.max_bytes);
    return 0;
}

static int on_entry(void *user, const dv_tar_entry *entry, davit_error **err)
{
    dv_unpack *u = user;
    int r = check_limits(u, entry, err);
    if (r < 0)
        return r;
    u->entry = entry;
    return dv_unpack_apply_entry(u, err);
}

static int on_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    dv_unpack *u = user;
    return u->file.fd < 0 || size == 0 ? 0 : dv_unpack_write_data(u, bytes, size, err);
}

static int on_end(void *user, davit_error **err)
{
    dv_unpack *u = user;
    return u->file.fd < 0 ? 0 : dv_unpack_finish_file(u, err);
}

const dv_tar_handler dv_unpack_handler = {.on_entry = on_entry, .on_data = on_data, .on_end = on_end};

/* --- layers -------------------------------------------------------------------------------- */

int dv_unpack_begin_layer(dv_unpack *u, const char *what, davit_error **err)
{
    char *copy = dv_strdup(what);
    if (!copy)
        return dv_error_oom(err);
    free(u->layer.what);
    u->layer.what = copy;
    u->layer.unpack = u;
    u->layer.kept[0] = '\0';
    dv_dirs_begin_layer(&u->dirs);
    dv_unpack_marks_begin(&u->marks, /* active= */ u->layers > 0);
    u->layers++;
    return 0;
}

int dv_unpack_end_layer(dv_unpack *u, davit_error **err)
{
    const char *kept = u->layer.kept;
    u->entry = NULL;
    int r = u->options.overlay ? dv_overlay_finish(&u->overlay, err) : 0;
    if (r < 0 || kept[0] == '\0')
        return r;
    r = dv_dirs_forget(&u->dirs, kept, strlen(kept), /* linked= */ false, err);
    if (r == 0)
        r = dv_remove_tree(u->dirs.root_fd, kept, err);
    u->layer.kept[0] = '\0';
    u->dirs.root.dirty = true;
    return r;
}

static int layer_failed(dv_unpack_layer_state *layer, int r, davit_error **err)
{
    return dv_error_wrap(err, r, "layer %s", layer->what);
}

static int layer_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    dv_unpack_layer_state *layer = (dv_unpack_layer_state *)s;
    int r = dv_sink_write(dv_tar_reader_sink(layer->reader), bytes, size, err);
    return r < 0 ? layer_failed(layer, r, err) : 0;
}

static int layer_finish(dv_sink *s, davit_error **err)
{
    dv_unpack_layer_state *layer = (dv_unpack_layer_state *)s;
    int r = dv_sink_finish(dv_tar_reader_sink(layer->reader), err);
    if (r == 0)
        r = dv_unpack_end_layer(layer->unpack, err);
    return r < 0 ? layer_failed(layer, r, err) : 0;
}

int dv_unpack_layer(dv_unpack *u, const char *what, dv_sink **out, davit_error **err)
{
    DV_AUTOPTR(dv_tar_reader) reader = NULL;
    int r = dv_tar_reader_new(&dv_unpack_handler, u, &reader, err);
    if (r == 0)
        r = dv_unpack_begin_layer(u, what, err);
    if (r < 0)
        return r;
    dv_tar_reader_free(u->layer.reader);
    u->layer.reader = DV_STEAL(reader);
    u->layer.sink = (dv_sink){.write = layer_write, .finish = layer_finish};
    *out = &u->layer.sink;
    return 0;
}

int dv_unpack_finish(dv_unpack *u, davit_error **err)
{
    dv_dir *root = &u->dirs.root;
    int r = dv_dirs_flush(&u->dirs, err);
    if (r == 0)
        r = dv_unpack_apply_late(u, err);
    if (r == 0 && root->dirty && root->has_times && futimens(root->fd, root->times) < 0)
        r = dv_error_file(err, errno, "cannot set the times of the root");
    return r;
}

void dv_unpack_free(dv_unpack *u)
{
    if (!u)
        return;
    dv_close(&u->file.fd);
    dv_tar_reader_free(u->layer.reader);
    free(u->layer.what);
    dv_dirs_clear(&u->dirs);
    dv_unpack_marks_clear(&u->marks);
    dv_overlay_clear(&u->overlay);
    for (size_t i = 0; i < u->late_count; i++)
        free(u->late[i].path);
    free(u->late);
    for (size_t i = 0; i < u->report.skip_count; i++) {
        free(u->report.skips[i].path);
        free(u->report.skips[i].reason);
    }
    free((void *)u->report.skips);
    free_names(u->options.xattrs);
    free(u->root_name);
    free(u);
}
