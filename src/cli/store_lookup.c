/* cli/store_lookup.c - names in the local store, for the commands that take store:NAME, and in files, for those that take oci:DIR and the like. */
#include "cli/cli.h"

#include "davit/transport.h"
#include "util/file.h"

int dv_store_find_one(dv_cli *cli, const char *name, const davit_platform *platform, davit_image_list **out,
                      davit_error **err)
{
    int r = cli->store ? 0 : dv_cli_store(cli, err);
    return r < 0 ? r : davit_store_find(cli->store, name, platform, out, err);
}

int dv_store_resolve(dv_cli *cli, const char *name, const davit_platform *platform, davit_digest *out,
                     davit_error **err)
{
    DV_AUTOPTR(davit_image_list) list = NULL;
    int r = cli->store ? 0 : dv_cli_store(cli, err);
    if (r < 0)
        return r;
    if (!platform)
        return davit_store_resolve(cli->store, name, out, err);
    r = davit_store_find(cli->store, name, platform, &list, err);
    if (r == 0)
        *out = davit_image_list_at(list, 0)->manifest;
    return r;
}

int dv_store_read_blob(dv_cli *cli, const davit_digest *digest, size_t max, dv_buf *out, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    uint64_t size;
    davit_digest actual;
    int r = davit_store_open_blob(cli->store, digest, &fd, &size, err);
    if (r < 0)
        return r;
    for (size_t n = 1; n > 0;) {
        char piece[16u << 10];
        ssize_t got = dv_pread_all(fd, piece, sizeof(piece), out->size);
        if (got < 0)
            return dv_error_file(err, (int)-got, "cannot read blob %s", digest->text);
        n = (size_t)got;
        if (out->size + n > max)
            return dv_error_set(err, DAVIT_ETOOBIG, "blob %s is longer than %zu bytes", digest->text, max);
        dv_buf_append(out, piece, n);
    }
    if (out->failed)
        return dv_error_oom(err);
    r = davit_digest_of(digest->algorithm, dv_buf_text(out), out->size, &actual, err);
    if (r == 0 && !davit_digest_equal(&actual, digest))
        r = dv_error_set(err, DAVIT_EDIGEST, "blob %s in the store is damaged", digest->text);
    return r;
}

int dv_files_manifest(dv_cli *cli, const char *place, const davit_platform *platform, davit_manifest **out,
                      davit_error **err)
{
    int r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    return r < 0 ? r : davit_transport_get_manifest(cli->client, place, platform, out, err);
}
