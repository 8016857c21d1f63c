/* cli/cmd_index.c - davit index create, add and remove: indexes put together of manifests that a repository has. */
#include "cli/cli.h"

#include "cli/artifact_arg.h"
#include "cli/registry_image.h"
#include "util/str.h"

#include <string.h>

typedef struct values {
    dv_texts annotations;
} values;

/* --- arguments -------------------------------------------------------------------------------------------------------- */

typedef struct references {
    davit_reference **items;
    size_t count;
} references;

static void references_clear(references *l)
{
    for (size_t i = 0; i < l->count; i++)
        davit_reference_free(l->items[i]);
    free(l->items);
}
DV_DEFINE_AUTO(references, references_clear)

/* A name, or what stands behind the name of the index: :TAG, @DIGEST, DIGEST. */
static int parse_source(const davit_reference *ref, const char *text, davit_reference **out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) name = NULL;
    davit_digest digest;
    const char *bare = *text == '@' ? text + 1 : text;
    if (*text != ':' && *text != '@' && davit_digest_parse(bare, &digest, NULL) < 0)
        return dv_registry_image_parse(text, out, err);
    int r = davit_reference_trim(ref, &name, err);
    if (r < 0)
        return r;
    return *text == ':' ? davit_reference_with_tag(name, text + 1, out, err)
                        : davit_reference_with_digest(name, bare, out, err);
}

static int parse_sources(const davit_reference *ref, char **texts, size_t count, references *out,
                         davit_error **err)
{
    int r = 0;
    out->items = dv_new_array(davit_reference *, count + 1);
    if (!out->items)
        return dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = parse_source(ref, texts[i], &out->items[out->count], err);
        out->count += r == 0;
    }
    return r;
}

typedef struct selectors {
    davit_index_selector *items;
    davit_digest *digests;
    davit_platform *platforms;
} selectors;

static void selectors_clear(selectors *s)
{
    free(s->items);
    free(s->digests);
    free(s->platforms);
}
DV_DEFINE_AUTO(selectors, selectors_clear)

static int parse_selectors(char **texts, size_t count, selectors *out, davit_error **err)
{
    int r = 0;
    out->items = dv_new_array(davit_index_selector, count + 1);
    out->digests = dv_new_array(davit_digest, count + 1);
    out->platforms = dv_new_array(davit_platform, count + 1);
    if (!out->items || !out->digests || !out->platforms)
        return dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        bool is_digest = strchr(texts[i], ':') != NULL;
        if (is_digest) {
            r = davit_digest_parse(texts[i] + (*texts[i] == '@'), &out->digests[i], err);
            out->items[i].digest = &out->digests[i];
        } else {
            r = davit_platform_parse(texts[i], &out->platforms[i], err);
            out->items[i].platform = &out->platforms[i];
        }
        dv_cli_name_error(err, r, texts[i]);
    }
    return r;
}

/* --- commands --------------------------------------------------------------------------------------------------------- */

static int create_or_add(dv_cli *cli, const values *v, bool create, char **arguments, size_t count,
                         davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTO(references) sources = {.count = 0};
    DV_AUTO(dv_artifact_args) args = DV_ARTIFACT_ARGS_INIT;
    davit_digest digest;
    int r = dv_registry_image_parse(arguments[0], &ref, err);
    if (r == 0)
        r = parse_sources(ref, arguments + 1, count - 1, &sources, err);
    if (r == 0)
        r = dv_artifact_args_parse(NULL, 0, &v->annotations, &args, err);
    if (r == 0)
        r = dv_registry_client(cli, err);
    if (r < 0)
        return r;
    const davit_reference *const *items = (const davit_reference *const *)sources.items;
    r = create ? davit_index_create(cli->client, ref, items, sources.count, args.annotations,
                                    args.annotation_count, &digest, err)
               : davit_index_add(cli->client, ref, items, sources.count, &digest, err);
    return r < 0 ? dv_cli_name_error(err, r, arguments[0]) : dv_print_digest(cli, &digest);
}

static int remove_entries(dv_cli *cli, char **arguments, size_t count, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTO(selectors) chosen = {.items = NULL};
    davit_digest digest;
    int r = dv_registry_image_parse(arguments[0], &ref, err);
    if (r == 0)
        r = parse_selectors(arguments + 1, count - 1, &chosen, err);
    if (r == 0)
        r = dv_registry_client(cli, err);
    if (r == 0)
        r = davit_index_remove(cli->client, ref, chosen.items, count - 1, &digest, err);
    return r < 0 ? dv_cli_name_error(err, r, arguments[0]) : dv_print_digest(cli, &digest);
}

static int choose(dv_cli *cli, const values *v, char **arguments, size_t count, davit_error **err)
{
    bool create = dv_str_equal(arguments[0], "create"), add = dv_str_equal(arguments[0], "add");
    if (!create && !add && !dv_str_equal(arguments[0], "remove"))
        return dv_cli_usage(cli, err, "index: '%s' is none of create, add and remove", arguments[0]);
    if (count < 3)
        return dv_cli_usage(cli, err, "index %s: an argument is missing", arguments[0]);
    if (!create && v->annotations.count > 0)
        return dv_cli_usage(cli, err, "--annotation is for index create");
    return create || add ? create_or_add(cli, v, create, arguments + 1, count - 1, err)
                         : remove_entries(cli, arguments + 1, count - 1, err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    values *v = flags;
    int r = choose(cli, v, arguments, count, err);
    free(v->annotations.items);
    return r;
}

static const dv_option options[] = {
    {"annotation", 'a', DV_OPTION_LIST, offsetof(values, annotations), "KEY=VALUE",
     "create: of the index; repeatable"},
    {NULL},
};

const dv_command dv_command_index = {
    .name = "index",
    .arguments =
        "create [-a KEY=VALUE]... NAME SOURCE... | add NAME SOURCE... | remove NAME PLATFORM|DIGEST...",
    .summary = "put an index together of manifests in its repository",
    .details =
        "A SOURCE is a name in the repository, :TAG or DIGEST; one that is an index gives its entries.\n"
        "Prints the digest of the new index. The tag moves last.",
    .example = "davit index create 127.0.0.1:5000/demo/web:1.0 :1.0-amd64 :1.0-arm64",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = -1,
    .run = run,
};
