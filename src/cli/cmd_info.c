/*
 * cli/cmd_info.c - davit info: what is in force, and where each value came from. Asks nobody, and needs no store.
 *
 * The library says what it goes by; where the program itself looked (the store, the configuration file's variable) is known here.
 */
#include "cli/cli.h"

#include "cli/table.h"
#include "davit/service.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define CELL_MAX 1000          /* bytes of a value in the table */
#define CONFIG_MAX (16u << 20) /* bytes of the service's configuration as JSON */

typedef struct values {
    bool json;
} values;

static void free_settings(davit_settings **settings)
{
    davit_settings_free(*settings);
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

/* The library sees an option where the program looked elsewhere. */
static const char *origin_of(const dv_cli *cli, const davit_setting *s)
{
    if (dv_str_equal(s->key, "store") && !cli->globals.store)
        return is_set("DAVIT_STORE") ? "$DAVIT_STORE" : "default";
    if (dv_str_equal(s->key, "config") && !cli->globals.config && is_set("DAVIT_CONFIG"))
        return "$DAVIT_CONFIG";
    return s->origin;
}

/* --- for people ---------------------------------------------------------------------------------------------------- */

static void add_cell(dv_table *t, const char *text)
{
    char cut[CELL_MAX + 4];
    snprintf(cut, sizeof(cut), "%.*s%s", CELL_MAX, text, strlen(text) > CELL_MAX ? "..." : "");
    dv_table_add(t, cut);
}

static int print_table(dv_cli *cli, const davit_settings *settings, davit_error **err)
{
    DV_AUTO(dv_table) t = {.column_count = 3};
    dv_table_add(&t, "KEY");
    dv_table_add(&t, "VALUE");
    dv_table_add(&t, "ORIGIN");
    for (size_t i = 0; i < settings->count; i++) {
        const davit_setting *s = &settings->items[i];
        bool again = i > 0 && dv_str_equal(settings->items[i - 1].key, s->key);
        dv_table_add(&t, again ? "" : s->key);
        add_cell(&t, s->value);
        add_cell(&t, origin_of(cli, s));
    }
    return dv_table_print(&t, &cli->out, err);
}

/* --- for programs --------------------------------------------------------------------------------------------------- */

DV_DEFINE_AUTO(davit_service_config, davit_service_config_clear)

/* A path may be anything; JSON is UTF-8. */
static bool set_text(dv_json *object, const char *key, const char *text)
{
    DV_AUTO(dv_buf) escaped = DV_BUF_INIT(DV_LINE_MAX);
    if (dv_json_set_string(object, key, text))
        return true;
    dv_str_escape(&escaped, text, strlen(text), /* keep_newlines= */ false);
    return !escaped.failed && dv_json_set_string(object, key, dv_buf_text(&escaped));
}

static dv_json *setting_json(const dv_cli *cli, const davit_setting *s)
{
    dv_json *o = dv_json_object_new();
    if (o && set_text(o, "Key", s->key) && set_text(o, "Value", s->value) &&
        set_text(o, "Origin", origin_of(cli, s)))
        return o;
    dv_json_free(o);
    return NULL;
}

/* As the Engine's GET /info has it. */
static int service_json(dv_cli *cli, dv_json **out, davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = CONFIG_MAX};
    DV_AUTO(davit_service_config) config = DAVIT_SERVICE_CONFIG_INIT;
    DV_AUTOFREE char *text = NULL;
    int r = davit_service_get_config(davit_client_service(cli->client), &config, err);
    if (r == 0)
        r = davit_service_config_format(&config, DAVIT_SERVICE_CONFIG_V28, &text, err);
    return r < 0 ? r : dv_json_parse(text, strlen(text), &limits, /* known= */ NULL, out, err);
}

static int print_json(dv_cli *cli, const davit_settings *settings, davit_error **err)
{
    DV_AUTOPTR(dv_json) document = dv_json_object_new();
    dv_json *service = NULL, *list = dv_json_array_new();
    int r = service_json(cli, &service, err);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < settings->count; i++)
        ok = dv_json_append(list, setting_json(cli, &settings->items[i]));
    if (r < 0 || !ok || !document) {
        dv_json_free(list);
        dv_json_free(service);
        return r < 0 ? r : dv_error_oom(err);
    }
    ok = dv_json_set(document, "RegistryConfig", service);
    ok = dv_json_set(document, "Settings", list) && ok;
    ok = ok && dv_json_set_string(document, "Version", davit_version());
    return ok ? dv_output_json(&cli->out, document, err) : dv_error_oom(err);
}

/* --- the command ------------------------------------------------------------------------------------------------------ */

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    __attribute__((cleanup(free_settings))) davit_settings *settings = NULL;
    const char *store;
    bool has_store = dv_cli_store_dir(cli, &store, NULL) == 0;
    int r = dv_cli_client(cli, has_store, /* flags= */ 0, err);
    if (r == 0)
        r = davit_client_settings(cli->client, &settings, err);
    if (r < 0)
        return r;
    return v->json ? print_json(cli, settings, err) : print_table(cli, settings, err);
}

static const dv_option options[] = {
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document"},
    {NULL},
};

const dv_command dv_command_info = {
    .name = "info",
    .arguments = "[--json]",
    .summary = "show the configuration in force, and where it comes from",
    .details = "ORIGIN is a file, a variable of the environment, option (of the command line) or default.\n"
               "No registry is asked; no secret is shown.",
    .example = "davit --registry-mirror https://mirror.example info",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 0,
    .max_count = 0,
    .run = run,
};
