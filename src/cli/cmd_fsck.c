/*
 * cli/cmd_fsck.c - davit fsck: checks the store, and repairs it.
 *
 * Status 0: the store is whole, or was made so. 5: it is not, also when a repair left an image that must be pulled again.
 */
#include "cli/cli.h"

#include "util/str.h"

#include <string.h>

typedef struct values {
    bool full, repair, json;
} values;

DV_DEFINE_AUTOPTR(davit_fsck_report, davit_fsck_report_free)

static const char *word_of(davit_fsck_kind kind)
{
    static const char *const words[] = {"", "database", "row", "blob", "image", "stray", "leftover"};
    return (size_t)kind < DV_COUNT(words) ? words[kind] : "";
}

static void print_finding(dv_output *o, const davit_fsck_finding *found)
{
    dv_output_printf(o, "%s ", word_of(found->kind));
    dv_output_text(o, found->subject);
    dv_output_printf(o, ": ");
    dv_output_text(o, found->message);
    if (found->repaired)
        dv_output_printf(o, " (removed)");
    if (*found->remedy) {
        dv_output_printf(o, "; to do: ");
        dv_output_text(o, found->remedy);
    }
    dv_output_printf(o, "\n");
}

static void print_text(dv_output *o, const davit_fsck_report *report)
{
    const davit_fsck_counts *n = davit_fsck_report_counts(report);
    char hashed[32];
    for (size_t i = 0; i < davit_fsck_report_count(report); i++)
        print_finding(o, davit_fsck_report_at(report, i));
    dv_output_printf(o, "%llu images, %llu blobs, %s hashed: ", (unsigned long long)n->images,
                     (unsigned long long)n->blobs, davit_human_size((double)n->hashed_bytes, hashed));
    if (n->damage)
        dv_output_printf(o, "%llu problem%s\n", (unsigned long long)n->damage, n->damage == 1 ? "" : "s");
    else
        dv_output_printf(o, "whole\n");
}

static dv_json *finding_json(const davit_fsck_finding *found)
{
    dv_json *o = dv_json_object_new();
    if (o && dv_json_set_string(o, "Kind", word_of(found->kind)) &&
        dv_json_set_string(o, "Subject", found->subject) &&
        dv_json_set_string(o, "Message", found->message) && dv_json_set_string(o, "Remedy", found->remedy) &&
        dv_json_set_bool(o, "Damage", found->damage) && dv_json_set_bool(o, "Repaired", found->repaired))
        return o;
    dv_json_free(o);
    return NULL;
}

static int print_json(dv_cli *cli, const davit_fsck_report *report, davit_error **err)
{
    const davit_fsck_counts *n = davit_fsck_report_counts(report);
    DV_AUTOPTR(dv_json) o = dv_json_object_new();
    dv_json *list = dv_json_array_new();
    bool ok = o && list;
    for (size_t i = 0; ok && i < davit_fsck_report_count(report); i++)
        ok = dv_json_append(list, finding_json(davit_fsck_report_at(report, i)));
    if (!ok) {
        dv_json_free(list);
        return dv_error_oom(err);
    }
    if (!dv_json_set(o, "Findings", list) || !dv_json_set_integer(o, "Images", (int64_t)n->images) ||
        !dv_json_set_integer(o, "Blobs", (int64_t)n->blobs) ||
        !dv_json_set_integer(o, "HashedBytes", (int64_t)n->hashed_bytes) ||
        !dv_json_set_integer(o, "Damage", (int64_t)n->damage) ||
        !dv_json_set_integer(o, "Repaired", (int64_t)n->repaired))
        return dv_error_oom(err);
    return dv_output_json(&cli->out, o, err);
}

/* Whether a repair could do something about it. */
static bool is_repairable(const davit_fsck_report *report)
{
    for (size_t i = 0; i < davit_fsck_report_count(report); i++) {
        const davit_fsck_finding *found = davit_fsck_report_at(report, i);
        bool can = found->kind == DAVIT_FSCK_ROW || found->kind == DAVIT_FSCK_BLOB ||
                   found->kind == DAVIT_FSCK_STRAY;
        if (can && found->damage && !found->repaired)
            return true;
    }
    return false;
}

static int refuse(const values *v, const davit_fsck_report *report, davit_error **err)
{
    uint64_t damage = davit_fsck_report_counts(report)->damage;
    const char *advice =
        !v->repair && is_repairable(report) ? "run 'davit fsck --repair'" : "what to do is said with each";
    if (damage == 0)
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "the store is not whole, %llu problem%s: %s",
                        (unsigned long long)damage, damage == 1 ? "" : "s", advice);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    DV_AUTOPTR(davit_fsck_report) report = NULL;
    uint32_t how = (v->full ? DAVIT_FSCK_FULL : 0) | (v->repair ? DAVIT_FSCK_REPAIR : 0);
    int r = v->repair ? dv_cli_store_writable(cli, err) : dv_cli_store(cli, err);
    if (r == 0)
        r = davit_store_fsck(cli->store, how, &report, err);
    if (r == 0 && v->json)
        r = print_json(cli, report, err);
    else if (r == 0 && !cli->globals.quiet)
        print_text(&cli->out, report);
    if (r < 0)
        return r;
    dv_output_flush(&cli->out);
    return refuse(v, report, err);
}

static const dv_option options[] = {
    {"full", 0, DV_OPTION_FLAG, offsetof(values, full), NULL, "hash every blob, compare unpacked layers"},
    {"repair", 0, DV_OPTION_FLAG, offsetof(values, repair), NULL, "forget what is bad, and tidy up"},
    {"json", 0, DV_OPTION_FLAG, offsetof(values, json), NULL, "one JSON document"},
    {NULL},
};

const dv_command dv_command_fsck = {
    .name = "fsck",
    .arguments = "[--full] [--repair] [--json]",
    .summary = "check the local store, and repair it",
    .details = "Status 0 when it is whole, 5 when it is not. Other commands may run meanwhile.",
    .example = "davit fsck --full",
    .options = options,
    .values_size = sizeof(values),
    .max_count = 0,
    .run = run,
};
