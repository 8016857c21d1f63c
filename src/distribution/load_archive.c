/*
 * distribution/load_archive.c - an archive from its first byte to its last, into names and contents: undoing its compression, reading its tar.
 * Nothing of it is kept that a later entry of the same name replaces.
 */
#include "distribution/load_private.h"

#include "archive/tar.h"
#include "registry/client.h"

#include <string.h>

#define READ_SIZE (256u << 10) /* bytes at once */

/* The entry that is being read. */
typedef struct reader {
    dv_load *load;
    char name[DV_TAR_NAME_MAX + 1]; /* clean */
    dv_load_entry *entry;           /* NULL: its data are of no use */
} reader;

static void reader_free(reader *r)
{
    if (r)
        dv_load_entry_free(r->entry);
    free(r);
}
DV_DEFINE_AUTOPTR(reader, reader_free)

/* An earlier entry under another name; what came since is not it. */
static int link_entry(reader *r, const char *target, davit_error **err)
{
    char clean[DV_TAR_NAME_MAX + 1];
    void *value = NULL;
    int ret = dv_archive_name_clean(target, clean, err);
    if (ret == 0)
        ret = dv_archive_names_find(r->load->names, clean, &value, err);
    if (ret < 0)
        return ret;
    return dv_archive_names_put(r->load->names, r->name, value ? dv_load_content_ref(value) : NULL, err);
}

static int on_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    reader *r = user;
    int ret = dv_archive_name_clean(e->name, r->name, err);
    if (ret < 0 || e->type == DV_TAR_DIRECTORY)
        return ret;
    if (!*r->name)
        return dv_error_set(err, DAVIT_EFORMAT, "archive entry \"%.200s\": the root is no file", e->name);
    switch (e->type) {
    case DV_TAR_FILE:
        return dv_load_entry_new(r->load, r->name, e->size, &r->entry, err);
    case DV_TAR_SYMLINK:
        return dv_archive_names_put_link(r->load->names, r->name, e->link, err);
    case DV_TAR_HARDLINK:
        return link_entry(r, e->link, err);
    default:
        return dv_archive_names_put(r->load->names, r->name, NULL,
                                    err); /* devices and the like stand for nothing */
    }
}

static int on_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    reader *r = user;
    return r->entry ? dv_load_entry_write(r->entry, bytes, size, err) : 0;
}

static int on_end(void *user, davit_error **err)
{
    reader *r = user;
    dv_load_content *content = NULL;
    if (!r->entry)
        return 0;
    int ret = dv_load_entry_finish(DV_STEAL(r->entry), &content, err);
    return ret < 0 ? ret : dv_archive_names_put(r->load->names, r->name, content, err);
}

/* --- the stream ------------------------------------------------------------------------------------------------------------- */

static int read_some(dv_load *l, davit_read_fn read, void *read_data, char *bytes, size_t *out_size,
                     davit_error **err)
{
    int r = dv_client_check_cancelled(l->client, err);
    if (r < 0)
        return r;
    *out_size = 0;
    r = read(bytes, READ_SIZE, out_size, read_data);
    if (r == 0)
        return 0;
    int cancelled = dv_client_check_cancelled(l->client, err); /* rather its reason than the callback's */
    return cancelled < 0 ? cancelled : dv_error_set(err, r < 0 ? r : DAVIT_EIO, "cannot read the archive");
}

/* A plain archive may be as long as it is; a compressed one has a limit (threats C5). */
static int make_inflate(dv_load *l, dv_sink *tar, dv_inflate **out, davit_error **err)
{
    const dv_inflate_options options = {.max_output = l->options->max_bytes, .allow_old = true};
    return dv_inflate_new(&options, tar, out, err);
}

/* The first bytes, enough to tell. *out_size 0: there are none. */
static int read_head(dv_load *l, davit_read_fn read, void *read_data, char *bytes, size_t *out_size,
                     davit_error **err)
{
    size_t size = 0, n;
    do {
        int r = read_some(l, read, read_data, bytes + size, &n, err);
        if (r < 0)
            return r;
        size += n;
    } while (n > 0 && size < DV_COMPRESSION_MAGIC);
    *out_size = size;
    return 0;
}

static int stream(dv_load *l, davit_read_fn read, void *read_data, dv_sink *tar, davit_error **err)
{
    DV_AUTOPTR(dv_inflate) inflate = NULL;
    DV_AUTOFREE char *bytes = malloc(READ_SIZE + DV_COMPRESSION_MAGIC);
    size_t size;
    if (!bytes)
        return dv_error_oom(err);
    int r = read_head(l, read, read_data, bytes, &size, err);
    if (r == 0 && size == 0)
        r = dv_error_set(err, DAVIT_EFORMAT, "it is empty");
    if (r == 0 && dv_compression_detect(bytes, size) != DV_COMPRESSION_NONE)
        r = make_inflate(l, tar, &inflate, err);
    dv_sink *to = inflate ? dv_inflate_sink(inflate) : tar;
    while (r == 0 && size > 0) {
        r = dv_sink_write(to, bytes, size, err);
        if (r == 0)
            r = read_some(l, read, read_data, bytes, &size, err);
    }
    return r < 0 ? r : dv_sink_finish(to, err);
}

int dv_load_archive_read(dv_load *l, davit_read_fn read, void *read_data, davit_error **err)
{
    static const dv_tar_handler handler = {.on_entry = on_entry, .on_data = on_data, .on_end = on_end};
    DV_AUTOPTR(reader) r = dv_new(reader);
    DV_AUTOPTR(dv_tar_reader) tar = NULL;
    if (!r)
        return dv_error_oom(err);
    r->load = l;
    int ret = dv_tar_reader_new(&handler, r, &tar, err);
    return ret < 0 ? ret : stream(l, read, read_data, dv_tar_reader_sink(tar), err);
}
