/* cli/cmd_v1.c - davit v1: the first version of the registry protocol, one question or change at a time, and the way into the store and out of it. */
#include "cli/cli.h"

#include "cli/file_target.h"
#include "cli/table.h"
#include "cli/v1_arg.h"
#include "util/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SEARCH_LIMIT 25

DV_DEFINE_AUTOPTR(davit_v1_client, davit_v1_client_free)
DV_DEFINE_AUTOPTR(davit_v1_tags, davit_v1_tags_free)
DV_DEFINE_AUTOPTR(davit_v1_image_json, davit_v1_image_json_free)
DV_DEFINE_AUTOPTR(davit_v1_search_results, davit_v1_search_results_free)
DV_DEFINE_AUTO(davit_v1_texts, davit_v1_texts_clear)

/* --- questions about a repository ----------------------------------------------------------------------------------------- */

static int open_named(dv_cli *cli, const dv_v1_values *v, const char *text, davit_v1_access access,
                      davit_v1_name *name, davit_v1_repository **out, davit_error **err)
{
    int r = davit_v1_name_parse(text, name, err);
    return r < 0 ? r : dv_v1_open(cli, v, name->repository, access, out, err);
}

static int no_tag(dv_cli *cli, const davit_v1_name *n, davit_error **err)
{
    return n->tag || n->id
               ? dv_cli_usage(cli, err, "%s: a repository is wanted, without a tag or an id", n->repository)
               : 0;
}

static int print_tags(dv_cli *cli, const dv_v1_values *v, const davit_v1_tags *tags, davit_error **err)
{
    DV_AUTOPTR(dv_json) map = dv_json_object_new();
    bool ok = map != NULL;
    for (size_t i = 0; i < tags->count; i++) {
        if (!v->json) {
            dv_output_text(&cli->out, tags->items[i].name);
            dv_output_printf(&cli->out, "\n");
        }
        ok = ok && dv_json_set_string(map, tags->items[i].name, tags->items[i].id);
    }
    if (!ok)
        return dv_error_oom(err);
    return v->json ? dv_output_json(&cli->out, map, err) : 0;
}

static int run_tags(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    DV_AUTO(davit_v1_name) name = {.tag = NULL};
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    DV_AUTOPTR(davit_v1_tags) tags = NULL;
    int r = davit_v1_name_parse(arguments[0], &name, err);
    if (r == 0)
        r = no_tag(cli, &name, err);
    if (r == 0)
        r = dv_v1_open(cli, v, name.repository, DAVIT_V1_ACCESS_READ, &rep, err);
    if (r == 0)
        r = davit_v1_repository_list_tags(davit_v1_repository_registry(rep), davit_v1_repository_path(rep),
                                          davit_v1_repository_auth(rep), &tags, err);
    return r < 0 ? r : print_tags(cli, v, tags, err);
}

static int open_image(dv_cli *cli, const dv_v1_values *v, const char *text, davit_v1_repository **out,
                      char **out_id, davit_error **err)
{
    DV_AUTO(davit_v1_name) name = {.tag = NULL};
    int r = open_named(cli, v, text, DAVIT_V1_ACCESS_READ, &name, out, err);
    return r < 0 ? r : dv_v1_image_id(*out, &name, out_id, err);
}

static int run_id(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    DV_AUTOFREE char *id = NULL;
    int r = open_image(cli, v, arguments[0], &rep, &id, err);
    if (r < 0)
        return r;
    dv_output_text(&cli->out, id);
    return dv_output_printf(&cli->out, "\n");
}

static int run_ancestry(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    DV_AUTOFREE char *id = NULL;
    DV_AUTO(davit_v1_texts) ids = {.items = NULL};
    int r = open_image(cli, v, arguments[0], &rep, &id, err);
    if (r == 0)
        r = davit_v1_image_get_ancestry(davit_v1_repository_registry(rep), id, davit_v1_repository_auth(rep),
                                        &ids, err);
    for (size_t i = 0; r == 0 && i < ids.count; i++) {
        dv_output_text(&cli->out, ids.items[i]);
        r = dv_output_printf(&cli->out, "\n");
    }
    return r;
}

/* --- bytes ------------------------------------------------------------------------------------------------------------- */

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

static int fetch(const davit_v1_repository *rep, const char *id, bool layer, target *t, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_json) json = NULL;
    davit_v1_client *c = davit_v1_repository_registry(rep);
    const davit_v1_auth *auth = davit_v1_repository_auth(rep);
    int r = davit_v1_image_get_json(c, id, auth, &json, err);
    if (r < 0)
        return r;
    return layer ? davit_v1_image_get_verified_layer(c, id, json, auth, write_piece, t, NULL, err)
                 : write_piece(json->bytes, json->size, t);
}

static int get_bytes(dv_cli *cli, const dv_v1_values *v, const char *text, bool layer, davit_error **err)
{
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    DV_AUTOFREE char *id = NULL;
    bool to_file = v->output && !dv_str_equal(v->output, "-");
    target t = {.out = to_file ? NULL : &cli->out, .file = DV_FILE_TARGET_INIT};
    int r = open_image(cli, v, text, &rep, &id, err);
    if (r == 0 && to_file)
        r = dv_file_target_open(&t.file, v->output, 0666 & ~cli->umask, err);
    if (r == 0)
        r = fetch(rep, id, layer, &t, err);
    if (r == 0 && to_file)
        r = dv_file_target_commit(&t.file, err);
    if (t.error) /* says more than that the writing failed */
        dv_error_move(err, &t.error, r);
    dv_file_target_clear(&t.file);
    return r;
}

static int run_json(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    return get_bytes(cli, v, arguments[0], /* layer= */ false, err);
}

static int run_layer(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    return get_bytes(cli, v, arguments[0], /* layer= */ true, err);
}

/* --- search ---------------------------------------------------------------------------------------------------------------- */

static dv_json *result_to_json(const davit_v1_search_result *one)
{
    DV_AUTOPTR(dv_json) object = dv_json_object_new();
    bool ok = object && dv_json_set_string(object, "name", one->name ? one->name : "") &&
              dv_json_set_string(object, "description", one->description ? one->description : "") &&
              dv_json_set_integer(object, "star_count", one->star_count) &&
              dv_json_set_bool(object, "is_official", one->is_official) &&
              dv_json_set_bool(object, "is_automated", one->is_automated) &&
              dv_json_set_bool(object, "is_trusted", one->is_trusted);
    return ok ? DV_STEAL(object) : NULL;
}

static int print_results(dv_cli *cli, const dv_v1_values *v, const davit_v1_search_results *results,
                         davit_error **err)
{
    DV_AUTO(dv_table) t = {.column_count = 2};
    DV_AUTOPTR(dv_json) list = dv_json_array_new();
    bool ok = list != NULL;
    dv_table_add(&t, "NAME");
    dv_table_add(&t, "DESCRIPTION");
    for (size_t i = 0; i < results->count; i++) {
        const davit_v1_search_result *one = &results->items[i];
        dv_table_add(&t, one->name ? one->name : "");
        dv_table_add(&t, one->description ? one->description : "");
        ok = ok && dv_json_append(list, result_to_json(one));
    }
    if (!ok)
        return dv_error_oom(err);
    return v->json ? dv_output_json(&cli->out, list, err) : dv_table_print(&t, &cli->out, err);
}

/* [HOST/]TEXT: TEXT may be empty, which is everything. */
static int run_search(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    DV_AUTOPTR(davit_v1_client) c = NULL;
    DV_AUTOPTR(davit_v1_search_results) results = NULL;
    const char *text = arguments[0], *slash = strchr(text, '/');
    bool has_host = !v->index && !v->registry && slash &&
                    (memchr(text, '.', (size_t)(slash - text)) || memchr(text, ':', (size_t)(slash - text)) ||
                     dv_str_starts(text, "localhost/"));
    int r = dv_v1_find(cli, v, text, &c, err);
    if (r == 0)
        r = davit_v1_search_query(c, has_host ? slash + 1 : text, v->page ? v->page : 1,
                                  v->limit ? v->limit : SEARCH_LIMIT, &results, err);
    return r < 0 ? r : print_results(cli, v, results, err);
}

/* --- changes ----------------------------------------------------------------------------------------------------------------- */

static int need_tag(dv_cli *cli, const davit_v1_name *n, const char *text, davit_error **err)
{
    return n->tag ? 0 : dv_cli_usage(cli, err, "%s: a tag is needed here, NAME:TAG", text);
}

static int run_set_tag(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    DV_AUTO(davit_v1_name) name = {.tag = NULL}, image = {.tag = NULL};
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    DV_AUTO(dv_buf) pinned = DV_BUF_INIT(1024);
    dv_buf_printf(&pinned, "x@%s", arguments[1]);
    int r = davit_v1_name_parse(arguments[0], &name, err);
    if (r == 0)
        r = need_tag(cli, &name, arguments[0], err);
    if (r == 0)
        r = davit_v1_name_parse(dv_buf_text(&pinned), &image, err);
    if (r == 0)
        r = dv_v1_open(cli, v, name.repository, DAVIT_V1_ACCESS_WRITE, &rep, err);
    return r < 0
               ? r
               : davit_v1_repository_set_tag(davit_v1_repository_registry(rep), davit_v1_repository_path(rep),
                                             image.id, name.tag, davit_v1_repository_auth(rep), err);
}

static int run_delete_tag(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    DV_AUTO(davit_v1_name) name = {.tag = NULL};
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    int r = davit_v1_name_parse(arguments[0], &name, err);
    if (r == 0)
        r = need_tag(cli, &name, arguments[0], err);
    if (r == 0)
        r = dv_v1_open(cli, v, name.repository, DAVIT_V1_ACCESS_DELETE, &rep, err);
    return r < 0 ? r
                 : davit_v1_repository_delete_tag(davit_v1_repository_registry(rep),
                                                  davit_v1_repository_path(rep), name.tag,
                                                  davit_v1_repository_auth(rep), err);
}

static int run_delete(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    DV_AUTO(davit_v1_name) name = {.tag = NULL};
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    int r = davit_v1_name_parse(arguments[0], &name, err);
    if (r == 0)
        r = no_tag(cli, &name, err);
    if (r == 0)
        r = dv_v1_open(cli, v, name.repository, DAVIT_V1_ACCESS_DELETE, &rep, err);
    return r < 0
               ? r
               : davit_v1_repository_delete(davit_v1_repository_registry(rep), davit_v1_repository_path(rep),
                                            davit_v1_repository_auth(rep), err);
}

/* --- the store --------------------------------------------------------------------------------------------------------------- */

static int run_pull(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    DV_AUTO(davit_v1_name) name = {.tag = NULL};
    DV_AUTO(dv_buf) password = DV_V1_PASSWORD_INIT;
    davit_v1_open_options open;
    davit_v1_pull_options pull = DAVIT_V1_PULL_OPTIONS_INIT;
    int r = davit_v1_name_parse(arguments[0], &name, err);
    if (r == 0 && v->all_tags)
        r = no_tag(cli, &name, err);
    if (r == 0)
        r = dv_v1_read_options(cli, v, &open, &password, err);
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ true, /* flags= */ 0, err);
    if (r < 0)
        return r;
    pull.flags = v->all_tags ? DAVIT_V1_PULL_ALL_TAGS : 0;
    pull.open = &open;
    pull.tag = name.tag;
    pull.image = name.id;
    pull.progress = dv_v1_on_event;
    pull.user_data = cli;
    r = davit_v1_pull(cli->client, name.repository, &pull, /* out= */ NULL, err);
    dv_progress_view_settle(cli->view);
    return r;
}

static int run_push(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err)
{
    DV_AUTO(davit_v1_name) name = {.tag = NULL};
    DV_AUTO(dv_buf) password = DV_V1_PASSWORD_INIT;
    davit_v1_open_options open;
    davit_v1_push_options push = DAVIT_V1_PUSH_OPTIONS_INIT;
    int r = davit_v1_name_parse(arguments[1], &name, err);
    if (r == 0 && name.id)
        return dv_cli_usage(cli, err, "%s: a tag is set, not an id", arguments[1]);
    if (r == 0)
        r = dv_v1_read_options(cli, v, &open, &password, err);
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ true, /* flags= */ 0, err);
    if (r < 0)
        return r;
    push.open = &open;
    push.tag = name.tag;
    push.platform = dv_platform_or_null(&v->platform);
    push.progress = dv_v1_on_event;
    push.user_data = cli;
    r = davit_v1_push(cli->client, arguments[0], name.repository, &push, err);
    dv_progress_view_settle(cli->view);
    return r;
}

/* --- the command ------------------------------------------------------------------------------------------------------------ */

enum {
    TAKES_OUTPUT = 1,
    TAKES_JSON = 2,
    TAKES_PAGE = 4,
    TAKES_ALL = 8,
    TAKES_PLATFORM = 16,
    TAKES_MIGRATION = 32
};

typedef struct verb {
    const char *name;
    size_t count;   /* arguments behind it; with run_many or more */
    unsigned takes; /* options that not every verb has */
    int (*run)(dv_cli *cli, const dv_v1_values *v, char **arguments, davit_error **err);
    int (*run_many)(dv_cli *cli, const dv_v1_values *v, char **arguments, size_t count, davit_error **err);
} verb;

static const verb verbs[] = {
    {"tags", 1, TAKES_JSON, run_tags},
    {"id", 1, 0, run_id},
    {"ancestry", 1, 0, run_ancestry},
    {"json", 1, TAKES_OUTPUT, run_json},
    {"layer", 1, TAKES_OUTPUT, run_layer},
    {"pull", 1, TAKES_ALL, run_pull},
    {"push", 2, TAKES_PLATFORM, run_push},
    {"search", 1, TAKES_JSON | TAKES_PAGE, run_search},
    {"set-tag", 2, 0, run_set_tag},
    {"delete-tag", 1, 0, run_delete_tag},
    {"delete", 1, 0, run_delete},
    {"migrate", 1, TAKES_JSON | TAKES_MIGRATION, .run_many = dv_v1_migrate},
};

static const verb *find_verb(const char *name)
{
    for (size_t i = 0; i < DV_COUNT(verbs); i++)
        if (dv_str_equal(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

static int check(dv_cli *cli, const verb *w, const dv_v1_values *v, char **arguments, size_t count,
                 davit_error **err)
{
    if (!w)
        return dv_cli_usage(cli, err, "v1: '%s' is no verb of this command", arguments[0]);
    if (count - 1 < w->count)
        return dv_cli_usage(cli, err, "v1 %s: an argument is missing", w->name);
    if (count - 1 > w->count && !w->run_many)
        return dv_cli_usage(cli, err, "v1 %s: '%s' is one argument too many", w->name,
                            arguments[w->count + 1]);
    if (v->output && !(w->takes & TAKES_OUTPUT))
        return dv_cli_usage(cli, err, "v1 %s: --output is for json and layer", w->name);
    if (v->json && !(w->takes & TAKES_JSON))
        return dv_cli_usage(cli, err, "v1 %s: --json is for tags, search and migrate", w->name);
    if (v->all_tags && !(w->takes & TAKES_ALL))
        return dv_cli_usage(cli, err, "v1 %s: --all-tags is for pull", w->name);
    if (dv_platform_or_null(&v->platform) && !(w->takes & TAKES_PLATFORM))
        return dv_cli_usage(cli, err, "v1 %s: --platform is for push", w->name);
    if ((v->all || v->search || v->dry_run) && !(w->takes & TAKES_MIGRATION))
        return dv_cli_usage(cli, err, "v1 %s: --all, --search and --dry-run are for migrate", w->name);
    if ((v->limit || v->page) && !(w->takes & TAKES_PAGE))
        return dv_cli_usage(cli, err, "v1 %s: --limit and --page are for search", w->name);
    return 0;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const verb *w = find_verb(arguments[0]);
    int r = check(cli, w, flags, arguments, count, err);
    if (r < 0)
        return r;
    return w->run_many ? w->run_many(cli, flags, arguments + 1, count - 1, err)
                       : w->run(cli, flags, arguments + 1, err);
}

#define AT(field) offsetof(dv_v1_values, field)

static const dv_option options[] = {
    {"index", 0, DV_OPTION_TEXT, AT(index), "URL", "base URL of the index that gives out tokens"},
    {"registry", 0, DV_OPTION_TEXT, AT(registry), "URL", "base URL of the registry"},
    {"username", 'u', DV_OPTION_TEXT, AT(username), "NAME",
     "as this user; else with stored credentials, or as nobody"},
    {"password-stdin", 0, DV_OPTION_FLAG, AT(password_stdin), NULL, "read the password from standard input"},
    {"output", 'o', DV_OPTION_TEXT, AT(output), "FILE",
     "json, layer: write there, whole (a layer verified) or not at all"},
    {"json", 0, DV_OPTION_FLAG, AT(json), NULL, "tags, search, migrate: one JSON document"},
    {"all-tags", 'a', DV_OPTION_FLAG, AT(all_tags), NULL, "pull: every tag of the repository"},
    {"platform", 0, DV_OPTION_PLATFORM, AT(platform), "OS[/ARCH[/VARIANT]]",
     "push: which of the images that a name has"},
    {"all", 0, DV_OPTION_FLAG, AT(all), NULL, "migrate: every repository that a search finds"},
    {"search", 0, DV_OPTION_TEXT, AT(search), "TEXT", "migrate: those whose name or description holds it"},
    {"dry-run", 0, DV_OPTION_FLAG, AT(dry_run), NULL, "migrate: list the tags, change nothing"},
    {"limit", 0, DV_OPTION_NUMBER, AT(limit), "N", "search: so many on a page (25)"},
    {"page", 0, DV_OPTION_NUMBER, AT(page), "N", "search: this page (1)"},
    {NULL},
};

const dv_command dv_command_v1 = {
    .name = "v1",
    .arguments = "tags NAME | id IMAGE | ancestry IMAGE | json [-o FILE] IMAGE | layer [-o FILE] IMAGE | "
                 "pull IMAGE | pull -a NAME | push STORED NAME[:TAG] | search [HOST/]TEXT | set-tag NAME:TAG "
                 "ID | delete-tag NAME:TAG "
                 "| delete NAME | migrate [--all] [--search TEXT] [--dry-run] [HOST|NAME[:TAG]...] TARGET",
    .summary = "ask and change registries of the first version (Registry v1 API)",
    .details =
        "NAME is [HOST/]REPOSITORY; IMAGE is NAME[:TAG] or NAME@ID. A host that says that it does not "
        "stand alone is an index,\nwhich is asked for a token and says where the registry is.\nmigrate "
        "copies repositories with all their tags to TARGET/NAME: docker://HOST[/PREFIX], store:[PREFIX] "
        "or\noci:DIR. Each layer is fetched once, and running it again does what is left.",
    .example = "davit v1 tags registry.example:5000/old/app",
    .options = options,
    .values_size = sizeof(dv_v1_values),
    .min_count = 1,
    .max_count = -1,
    .run = run,
};
