/*
 * distribution/progress.c - progress as text: Docker's JSON objects, bars and sizes. Spec: pull.md 10.2.
 */
#include "davit/progress.h"

#include "util/json.h"
#include "util/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BAR_WIDTH 50
#define TEXT_MAX (64u << 10)

char *davit_human_size(double bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    size_t i = 0;
    while (bytes >= 1000.0 && i + 1 < DV_COUNT(units)) {
        bytes /= 1000.0;
        i++;
    }
    snprintf(text, 32, "%.4g%s", bytes, units[i]);
    return text;
}

char *davit_progress_bar(uint64_t current, uint64_t total, unsigned width)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(TEXT_MAX);
    char have[32], all[32];
    davit_human_size((double)current, have);
    if (current == 0 && total == 0)
        return dv_strdup("");
    if (total == 0) {
        dv_buf_printf(&out, "%8s", have);
        return dv_buf_take(&out);
    }
    if (width > 110) {
        double percent = (double)current / (double)total * 100.0; /* may be more than any integer holds */
        unsigned filled = percent < 100.0 ? (unsigned)percent / 2 : BAR_WIDTH;
        dv_buf_putc(&out, '[');
        for (unsigned i = 0; i < filled; i++)
            dv_buf_putc(&out, '=');
        dv_buf_putc(&out, '>');
        for (unsigned i = filled; i < BAR_WIDTH; i++)
            dv_buf_putc(&out, ' ');
        dv_buf_puts(&out, "] ");
    }
    if (current > total)
        dv_buf_printf(&out, "%8s", have);
    else
        dv_buf_printf(&out, "%8s/%s", have, davit_human_size((double)total, all));
    return dv_buf_take(&out);
}

/* Empty members are left out. What is no UTF-8 (a registry's plain words may be anything) becomes U+FFFD, as in Go. */
static bool set_text(dv_json *object, const char *key, const char *text)
{
    DV_AUTO(dv_buf) clean = DV_BUF_INIT(TEXT_MAX);
    size_t left = text ? strlen(text) : 0;
    if (left == 0)
        return true;
    while (left > 0) {
        size_t n = dv_utf8_length(text, left, &(uint32_t){0});
        if (n > 0)
            dv_buf_append(&clean, text, n);
        else
            dv_buf_puts(&clean, "\xef\xbf\xbd");
        text += n ? n : 1;
        left -= n ? n : 1;
    }
    return !clean.failed && dv_json_set_string(object, key, dv_buf_text(&clean));
}

static bool add_detail(dv_json *object, const davit_progress *e, unsigned width)
{
    dv_json *detail = dv_json_object_new();
    bool ok = detail != NULL;
    if (ok && e->has_counts && e->current)
        ok = dv_json_set_integer(detail, "current", (int64_t)e->current);
    if (ok && e->has_counts && e->total)
        ok = dv_json_set_integer(detail, "total", (int64_t)e->total);
    if (!dv_json_set(object, "progressDetail", detail) || !ok)
        return false;
    if (!e->has_counts)
        return true;
    DV_AUTOFREE char *bar = davit_progress_bar(e->current, e->total, width);
    return bar && (!*bar || dv_json_set_string(object, "progress", bar));
}

static char *to_text(const dv_json *object)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(4 * TEXT_MAX);
    dv_json_format(object, /* indent= */ 0, /* html_safe= */ true, &out);
    return dv_buf_take(&out);
}

static bool add_aux(dv_json *object, const char *text)
{
    const dv_json_limits limits = {.max_bytes = TEXT_MAX};
    dv_json *aux = NULL;
    return dv_json_parse(text, strlen(text), &limits, NULL, &aux, NULL) == 0 &&
           dv_json_set(object, "aux", aux);
}

char *davit_progress_to_json(const davit_progress *e, unsigned width)
{
    DV_AUTOPTR(dv_json) object = dv_json_object_new();
    bool ok = object != NULL;
    if (ok && e->kind != DAVIT_PROGRESS_AUX)
        ok = set_text(object, "status", e->action);
    if (ok && (e->kind == DAVIT_PROGRESS_LAYER || e->kind == DAVIT_PROGRESS_AUX))
        ok = add_detail(object, e, width);
    if (ok)
        ok = set_text(object, "id", e->id);
    if (ok && e->kind == DAVIT_PROGRESS_AUX)
        ok = add_aux(object, e->aux_json);
    return ok ? to_text(object) : NULL;
}

char *davit_progress_error_to_json(const char *message)
{
    DV_AUTOPTR(dv_json) object = dv_json_object_new();
    dv_json *detail = dv_json_object_new();
    bool ok = detail && set_text(detail, "message", message);
    if (!object) {
        dv_json_free(detail);
        return NULL;
    }
    ok = dv_json_set(object, "errorDetail", detail) && ok && set_text(object, "error", message);
    return ok ? to_text(object) : NULL;
}
