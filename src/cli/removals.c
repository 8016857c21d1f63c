/* cli/removals.c - see removals.h. */
#include "cli/removals.h"

void dv_removals_print(dv_output *o, const davit_removal_list *list, bool would)
{
    for (size_t i = 0; i < davit_removal_list_count(list); i++) {
        const davit_removal *step = davit_removal_list_at(list, i);
        if (step->kind == DAVIT_REMOVAL_FAILED)
            continue;
        if (step->kind == DAVIT_REMOVAL_UNTAGGED)
            dv_output_printf(o, "%s", would ? "Would untag: " : "Untagged: ");
        else
            dv_output_printf(o, "%s", would ? "Would delete: " : "Deleted: ");
        dv_output_text(o, step->text);
        dv_output_printf(o, "\n");
    }
}

static dv_json *step_json(const davit_removal *step)
{
    dv_json *o = dv_json_object_new();
    const char *key = step->kind == DAVIT_REMOVAL_UNTAGGED ? "Untagged" : "Deleted";
    if (o && dv_json_set_string(o, key, step->text))
        return o;
    dv_json_free(o);
    return NULL;
}

dv_json *dv_removals_json(const davit_removal_list *list)
{
    dv_json *array = dv_json_array_new();
    for (size_t i = 0; array && i < davit_removal_list_count(list); i++) {
        const davit_removal *step = davit_removal_list_at(list, i);
        if (step->kind == DAVIT_REMOVAL_FAILED || dv_json_append(array, step_json(step)))
            continue;
        dv_json_free(array);
        return NULL;
    }
    return array;
}

int dv_removals_error(const davit_removal_list *list, int except_code, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_MESSAGE_MAX);
    int first = 0;
    for (size_t i = 0; i < davit_removal_list_count(list); i++) {
        const davit_removal *step = davit_removal_list_at(list, i);
        if (step->kind != DAVIT_REMOVAL_FAILED || step->code == except_code)
            continue;
        if (first)
            dv_buf_puts(&text, "\n");
        else
            first = step->code;
        dv_buf_puts(&text, step->text);
    }
    return first ? dv_error_set(err, first, "%s", dv_buf_text(&text)) : 0;
}
