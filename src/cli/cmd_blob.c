/*
 * cli/cmd_blob.c - davit blob: one blob by digest, to standard output or into a file; asked for, pushed, deleted.
 *
 * Only standard output gets bytes before their digest is known; a file has them all, verified, or is not there.
 */
#include "cli/cli.h"

#include "cli/file_target.h"
#include "cli/image_arg.h"
#include "cli/input_file.h"
#include "cli/registry_image.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/str.h"

#include <inttypes.h>

typedef struct values {
    const char *output;
} values;

/* Where the bytes go. */
typedef struct target {
    dv_output *out; /* NULL: into the file */
    dv_file_target file;
    davit_error *error; /* of the file */
} target;

/* A davit_write_fn. */
static int write_piece(const void *bytes, size_t size, void *user_data)
{
    target *t = user_data;
    return t->out ? dv_output_raw(t->out, bytes, size)
                  : dv_file_target_write(&t->file, bytes, size, &t->error);
}

static int copy_verified(int fd, const davit_digest *digest, target *t, davit_error **err)
{
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(digest->algorithm);
    if (!hash)
        return dv_error_oom(err);
    uint64_t offset = 0;
    for (;;) {
        char piece[64u << 10];
        ssize_t n = dv_pread_all(fd, piece, sizeof(piece), offset);
        if (n < 0)
            return dv_error_file(err, (int)-n, "cannot read blob %s", digest->text);
        if (n == 0)
            break;
        dv_hash_update(hash, piece, (size_t)n);
        int r = write_piece(piece, (size_t)n, t);
        if (r < 0)
            return r;
        offset += (uint64_t)n;
    }
    davit_digest actual;
    dv_hash_final(hash, &actual);
    return davit_digest_equal(&actual, digest)
               ? 0
               : dv_error_set(err, DAVIT_EDIGEST, "blob %s in the store is damaged", digest->text);
}

static int from_store(dv_cli *cli, const davit_digest *digest, target *t, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    uint64_t size;
    int r = dv_cli_store(cli, err);
    if (r == 0)
        r = davit_store_open_blob(cli->store, digest, &fd, &size, err);
    return r < 0 ? r : copy_verified(fd, digest, t, err);
}

static int from_registry(dv_cli *cli, const davit_reference *ref, const davit_digest *digest, target *t,
                         davit_error **err)
{
    int r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    return r < 0 ? r : davit_registry_get_blob(cli->client, ref, digest, write_piece, t, NULL, err);
}

/* The store also takes a digest alone. */
static int parse(dv_cli *cli, const dv_image_arg *arg, davit_reference **out, davit_digest *out_digest,
                 davit_error **err)
{
    int r = arg->transport == DV_TRANSPORT_STORE ? davit_reference_parse_any(arg->name, out, err)
                                                 : davit_reference_parse(arg->name, out, err);
    if (r < 0)
        return r;
    if (!davit_reference_digest_text(*out))
        return dv_cli_usage(cli, err, "%s: a blob needs a digest, NAME@sha256:...", arg->name);
    return davit_reference_digest(*out, out_digest, err);
}

static int fetch(dv_cli *cli, const dv_image_arg *arg, target *t, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    davit_digest digest;
    int r = parse(cli, arg, &ref, &digest, err);
    if (r < 0)
        return r;
    r = arg->transport == DV_TRANSPORT_STORE ? from_store(cli, &digest, t, err)
                                             : from_registry(cli, ref, &digest, t, err);
    return dv_cli_name_error(err, r, digest.text);
}

static int get(dv_cli *cli, const values *v, const char *name, davit_error **err)
{
    bool to_file = v->output && !dv_str_equal(v->output, "-");
    target t = {.out = to_file ? NULL : &cli->out, .file = DV_FILE_TARGET_INIT};
    dv_image_arg arg;
    int r = dv_image_arg_parse(name, DV_TRANSPORT_REGISTRY, &arg, err);
    if (r == 0 && to_file)
        r = dv_file_target_open(&t.file, v->output, 0666 & ~cli->umask, err);
    if (r == 0)
        r = fetch(cli, &arg, &t, err);
    if (r == 0 && to_file)
        r = dv_file_target_commit(&t.file, err);
    if (t.error) /* says more than that the writing failed */
        dv_error_move(err, &t.error, r);
    dv_file_target_clear(&t.file);
    return r;
}

/* --- one registry's ---------------------------------------------------------------------------------------------------- */

static int head(dv_cli *cli, const char *name, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    davit_digest digest;
    uint64_t size = 0;
    int r = dv_registry_image_pinned(cli, name, &ref, &digest, err);
    if (r == 0)
        r = dv_registry_client(cli, err);
    if (r == 0)
        r = davit_registry_stat_blob(cli->client, ref, &digest, &size, err);
    if (r < 0)
        return dv_cli_name_error(err, r, name);
    return dv_output_printf(&cli->out, "%" PRIu64 "\n", size);
}

static int delete_blob(dv_cli *cli, const char *name, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    davit_digest digest;
    int r = dv_registry_image_pinned(cli, name, &ref, &digest, err);
    if (r == 0)
        r = dv_registry_client(cli, err);
    if (r == 0)
        r = davit_registry_delete_blob(cli->client, ref, &digest, err);
    return dv_cli_name_error(err, r, name);
}

static int put(dv_cli *cli, const char *file, const char *name, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOCLOSE fd = -1;
    davit_digest expected, digest;
    int r = dv_registry_image_parse(name, &ref, err);
    if (r == 0 && davit_reference_tag(ref))
        return dv_cli_usage(cli, err, "%s: a blob has no tag, only a repository", name);
    bool pinned = r == 0 && davit_reference_digest_text(ref);
    if (pinned)
        r = davit_reference_digest(ref, &expected, err);
    if (r == 0)
        r = dv_input_file_open(file, &fd, err);
    if (r == 0)
        r = dv_registry_upload_client(cli, err);
    if (r == 0)
        r = davit_registry_put_blob(cli->client, ref, fd, pinned ? &expected : NULL, &digest, NULL, err);
    return r < 0 ? dv_cli_name_error(err, r, name) : dv_print_digest(cli, &digest);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    const char *verb = count > 1 ? arguments[0] : "get";
    size_t wanted = dv_str_equal(verb, "put") ? 3 : count > 1 ? 2 : 1;
    if (count > wanted)
        return dv_cli_usage(cli, err, "blob: '%s' is one argument too many", arguments[wanted]);
    if (count < wanted)
        return dv_cli_usage(cli, err, "blob put: a file and a repository are wanted");
    if (dv_str_equal(verb, "get"))
        return get(cli, v, arguments[count - 1], err);
    if (v->output)
        return dv_cli_usage(cli, err, "--output is for blob get");
    if (dv_str_equal(verb, "head"))
        return head(cli, arguments[1], err);
    if (dv_str_equal(verb, "put"))
        return put(cli, arguments[1], arguments[2], err);
    if (dv_str_equal(verb, "delete"))
        return delete_blob(cli, arguments[1], err);
    return dv_cli_usage(cli, err, "blob: '%s' is none of get, head, put and delete", verb);
}

static const dv_option options[] = {
    {"output", 'o', DV_OPTION_TEXT, offsetof(values, output), "FILE",
     "get: write there, whole and verified or not at all"},
    {NULL},
};

const dv_command dv_command_blob = {
    .name = "blob",
    .arguments =
        "[get] [-o FILE] NAME@DIGEST | head NAME@DIGEST | put FILE|- NAME[@DIGEST] | delete NAME@DIGEST",
    .summary = "fetch, push, delete or ask for one blob",
    .details = "Without -o the bytes go to standard output before their digest is known: status 5 says that "
               "it was wrong.\nhead prints the size, put the digest.",
    .example = "davit blob -o layer.tar.gz alpine@sha256:...",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 3,
    .run = run,
};
