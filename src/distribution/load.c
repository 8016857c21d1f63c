/*
 * distribution/load.c - davit_load() and davit_load_layout(): the order of a load, and what its stages share.
 *
 * Order (DESIGN 6): everything is read into names and contents, which nobody else sees; the documents say what is needed; that is checked;
 * a lease names it; it gets its names; last the rows, all in one transaction. A load cut short leaves no name.
 */
#include "distribution/load_private.h"

#include "archive/oci_layout.h"
#include "distribution/xfer.h"
#include "store/content_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#define MESSAGE_MAX (16u << 10)

static void emit(const dv_load *l, davit_progress_kind kind, const char *fmt, va_list ap)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    dv_buf_vprintf(&text, fmt, ap);
    if (l->options->progress && !text.failed)
        l->options->progress(&(davit_progress){.kind = kind, .action = dv_buf_text(&text)},
                             l->options->user_data);
}

void dv_load_message(const dv_load *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    emit(l, DAVIT_PROGRESS_MESSAGE, fmt, ap);
    va_end(ap);
}

void dv_load_warn(const dv_load *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    emit(l, DAVIT_PROGRESS_WARNING, fmt, ap);
    va_end(ap);
}

/* --- finding ----------------------------------------------------------------------------------------------------------------- */

int dv_load_find(dv_load *l, const char *path, dv_load_content **out, davit_error **err)
{
    void *value = NULL;
    int r = dv_archive_names_find(l->names, path, &value, err);
    if (r == 0 && !value && l->layout_fd >= 0) {
        r = dv_load_layout_read(l, path, err);
        if (r == 0)
            r = dv_archive_names_find(l->names, path, &value, err);
    }
    if (r == 0)
        *out = value;
    return r;
}

int dv_load_find_document(dv_load *l, const char *path, size_t max, dv_buf *out, davit_error **err)
{
    dv_load_content *content = NULL;
    int r = dv_load_find(l, path, &content, err);
    if (r == 0 && !content)
        return dv_error_set(err, DAVIT_ENOTFOUND, "the archive has no \"%.200s\"", path);
    if (r == 0)
        r = dv_load_content_read(content, max, out, err);
    return r < 0 ? dv_error_wrap(err, r, "%.200s", path) : 0;
}

/* --- what an archive is -------------------------------------------------------------------------------------------------------- */

/* 1: it is there. */
static int find_optional(dv_load *l, const char *path, size_t max, dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_load_find_document(l, path, max, out, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    return r < 0 ? dv_error_move(err, &why, r) : 1;
}

/* 1: an OCI layout is in it. */
static int is_layout(dv_load *l, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_OCI_LAYOUT_MAX);
    int r = find_optional(l, DV_OCI_LAYOUT_FILE, DV_OCI_LAYOUT_MAX, &text, err);
    if (r == 1) {
        r = dv_oci_layout_check(dv_buf_text(&text), text.size, err);
        r = r == 0 ? 1 : r;
    }
    return r;
}

/* Both parts say the same; manifest.json says which images there are, the OCI part which manifests they have (store.md 10). */
static int load_docker(dv_load *l, const dv_buf *manifest, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = is_layout(l, &why);
    if (r == 1)
        r = dv_load_oci(l, /* strict= */ false, &why);
    if (r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED || r == DAVIT_EIO || r == DAVIT_ENOSPACE ||
        r == DAVIT_ESTORE)
        return dv_error_move(err, &why, r);
    return dv_load_docker(l, manifest, err);
}

static int read_documents(dv_load *l, davit_error **err)
{
    DV_AUTO(dv_buf) manifest = DV_BUF_INIT(DV_LOAD_DOCUMENT_MAX);
    bool found = false;
    int r = l->layout_fd >= 0 ? 0 : find_optional(l, "manifest.json", DV_LOAD_DOCUMENT_MAX, &manifest, err);
    if (r == 1)
        return load_docker(l, &manifest, err);
    if (r == 0)
        r = is_layout(l, err);
    if (r == 1)
        return dv_load_oci(l, /* strict= */ true, err);
    if (r == 0 && l->layout_fd < 0)
        r = dv_load_v1(l, &found, err);
    if (r == 0 && !found)
        r = dv_error_set(err, DAVIT_EFORMAT,
                         l->layout_fd >= 0
                             ? "it is no OCI layout: it has no oci-layout"
                             : "it is no image archive: neither manifest.json nor oci-layout is in it");
    return r;
}

/* --- the whole ------------------------------------------------------------------------------------------------------------------ */

static int check_options(const davit_load_options *o, davit_error **err)
{
    if (o->version == DAVIT_LOAD_OPTIONS_VERSION && o->flags == 0)
        return 0;
    return dv_error_set(err, DAVIT_EINVAL, "unknown load options (version %u, flags 0x%x)", o->version,
                        o->flags);
}

int dv_load_prepare(dv_load *l, davit_error **err)
{
    dv_transfers *transfers;
    int r = check_options(l->options, err);
    if (r == 0)
        r = dv_transfers_get(l->client, &transfers, err);
    if (r < 0)
        return r;
    l->store = dv_store_ref(dv_transfers_store(transfers));
    l->names = dv_archive_names_new(dv_load_content_unref);
    r = l->names ? 0 : dv_error_oom(err);
    return r < 0 ? r : dv_lease_open(l->store, &l->lease, err);
}

static int finish(dv_load *l, davit_load_result *out, davit_error **err)
{
    int r = read_documents(l, err);
    if (r == 0)
        r = dv_load_record(l, err);
    if (r == 0 && out)
        *out = l->result;
    return r;
}

void dv_load_clear(dv_load *l)
{
    if (l->loaded)
        dv_loaded_clear(l->loaded);
    dv_archive_names_free(l->names);
    dv_lease_release(l->lease);
    dv_store_unref(l->store);
    if (l->layout_fd >= 0)
        close(l->layout_fd);
}

static const davit_load_options defaults = DAVIT_LOAD_OPTIONS_INIT;

int davit_load(davit_client *client, davit_read_fn read, void *read_data, const davit_load_options *options,
               davit_load_result *out, davit_error **err)
{
    dv_loaded loaded = {0};
    DV_AUTO(dv_load)
    l = {.client = client, .options = options ? options : &defaults, .loaded = &loaded, .layout_fd = -1};
    int r = dv_load_prepare(&l, err);
    if (r == 0)
        r = dv_load_archive_read(&l, read, read_data, err);
    if (r == 0)
        r = finish(&l, out, err);
    return r;
}

int davit_load_layout(davit_client *client, const char *dir, const davit_load_options *options,
                      davit_load_result *out, davit_error **err)
{
    dv_loaded loaded = {0};
    DV_AUTO(dv_load)
    l = {.client = client, .options = options ? options : &defaults, .loaded = &loaded, .layout_fd = -1};
    l.layout_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l.layout_fd < 0)
        return errno == ENOENT ? dv_error_set(err, DAVIT_ENOTFOUND, "no directory %s", dir)
                               : dv_error_file(err, errno, "cannot open %s", dir);
    int r = dv_load_prepare(&l, err);
    return r < 0 ? r : finish(&l, out, err);
}
