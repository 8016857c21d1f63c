/* cli/v1_migrate.c - davit v1 migrate: what is named before the target, and what is printed. */
#include "cli/cli.h"

#include "cli/v1_arg.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

/* HOST/NAME[:TAG]: the same host for all; out are the parts behind it. */
static int split_hosts(dv_cli *cli, char **names, size_t count, char **out_host, const char **out,
                       davit_error **err)
{
    DV_AUTOFREE char *host = NULL;
    for (size_t i = 0; i < count; i++) {
        const char *slash = strchr(names[i], '/');
        if (!slash)
            return dv_cli_usage(
                cli, err, "v1 migrate: %s has no host; --index or --registry says where it is", names[i]);
        size_t size = (size_t)(slash - names[i]);
        if (host && (strlen(host) != size || memcmp(host, names[i], size) != 0))
            return dv_cli_usage(cli, err, "v1 migrate: %s is of another host than %s", names[i], names[0]);
        if (!host && !(host = dv_strndup(names[i], size)))
            return dv_error_oom(err);
        out[i] = slash + 1;
    }
    *out_host = DV_STEAL(host);
    return 0;
}

/* What stands before the target: names of repositories, or with --all the host, or nothing where a URL says it. */
static int read_sources(dv_cli *cli, const dv_v1_values *v, char **arguments, size_t count, char **out_host,
                        const char **names, davit_v1_migrate_options *o, davit_error **err)
{
    bool has_url = v->index || v->registry;
    if (v->search && count > (v->all && !has_url))
        return dv_cli_usage(cli, err, "v1 migrate: repositories are named, or searched for");
    if (v->all && count != !has_url)
        return dv_cli_usage(cli, err,
                            has_url ? "v1 migrate: repositories are named, or --all of them are wanted"
                                    : "v1 migrate: --all wants one HOST before the target");
    if (!has_url && !v->all && count == 0)
        return dv_cli_usage(cli, err,
                            "v1 migrate: name repositories, HOST/NAME[:TAG], or a HOST with --all, or give "
                            "--index or --registry");
    if (v->all && !has_url) {
        *out_host = dv_strdup(arguments[0]);
        return *out_host ? 0 : dv_error_oom(err);
    }
    o->names = names;
    o->name_count = count;
    for (size_t i = 0; i < count; i++)
        names[i] = arguments[i];
    return has_url ? 0 : split_hosts(cli, arguments, count, out_host, names, err);
}

static bool set_amount(dv_json *o, const char *key, uint64_t count, uint64_t bytes)
{
    dv_json *amount = dv_json_object_new();
    bool ok = amount && dv_json_set_integer(amount, "Count", (int64_t)count) &&
              dv_json_set_integer(amount, "Size", (int64_t)bytes);
    return dv_json_set(o, key, amount) && ok;
}

static int print_migrated_json(dv_cli *cli, const davit_v1_migrate_result *result, davit_error **err)
{
    DV_AUTOPTR(dv_json) o = dv_json_object_new();
    bool ok = o && dv_json_set_integer(o, "Repositories", (int64_t)result->repository_count) &&
              dv_json_set_integer(o, "Tags", (int64_t)result->tag_count) &&
              dv_json_set_integer(o, "Migrated", (int64_t)result->migrated_count) &&
              dv_json_set_integer(o, "There", (int64_t)result->there_count) &&
              dv_json_set_integer(o, "Failed", (int64_t)result->failed_count) &&
              set_amount(o, "Fetched", result->layer_count, result->layer_bytes) &&
              set_amount(o, "Copied", result->copied_count, result->copied_bytes) &&
              set_amount(o, "Mounted", result->mounted_count, result->mounted_bytes) &&
              set_amount(o, "Present", result->present_count, result->present_bytes);
    return ok ? dv_output_json(&cli->out, o, err) : dv_error_oom(err);
}

static void print_migrated(dv_cli *cli, bool dry, const davit_v1_migrate_result *r)
{
    char size[32];
    dv_output_printf(&cli->out, "%" PRIu64 " %s, %" PRIu64 " %s", r->repository_count,
                     r->repository_count == 1 ? "repository" : "repositories", r->tag_count,
                     r->tag_count == 1 ? "tag" : "tags");
    if (!dry)
        dv_output_printf(&cli->out,
                         ": %" PRIu64 " migrated, %" PRIu64 " there already, %" PRIu64 " failed; %" PRIu64
                         " layers fetched, %s",
                         r->migrated_count, r->there_count, r->failed_count, r->layer_count,
                         davit_human_size((double)r->layer_bytes, size));
    dv_output_printf(&cli->out, "\n");
}

static int migrate(dv_cli *cli, const dv_v1_values *v, const char *host, const char *to,
                   davit_v1_migrate_options *o, davit_error **err)
{
    davit_v1_migrate_result result = {0};
    o->flags = v->dry_run ? DAVIT_V1_MIGRATE_DRY_RUN : 0;
    o->search = v->search;
    o->progress = v->json ? dv_progress_view_event : dv_v1_on_event;
    o->user_data = v->json ? (void *)cli->view : cli;
    int r = davit_v1_migrate(cli->client, host, to, o, &result, err);
    dv_progress_view_settle(cli->view);
    if (result.repository_count == 0)
        return r;
    int printed = v->json ? print_migrated_json(cli, &result, r < 0 ? NULL : err) : 0;
    if (!v->json)
        print_migrated(cli, v->dry_run, &result);
    return r < 0 ? r : printed;
}

int dv_v1_migrate(dv_cli *cli, const dv_v1_values *v, char **arguments, size_t count, davit_error **err)
{
    DV_AUTO(dv_buf) password = DV_V1_PASSWORD_INIT;
    DV_AUTOFREE char *host = NULL;
    DV_AUTOFREE const char **names = dv_new_array(const char *, count);
    davit_v1_open_options open;
    davit_v1_migrate_options options = DAVIT_V1_MIGRATE_OPTIONS_INIT;
    if (!names)
        return dv_error_oom(err);
    int r = read_sources(cli, v, arguments, count - 1, &host, names, &options, err);
    if (r == 0)
        r = dv_v1_read_options(cli, v, &open, &password, err);
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ true, /* flags= */ 0, err);
    options.open = &open;
    return r < 0 ? r : migrate(cli, v, host, arguments[count - 1], &options, err);
}
