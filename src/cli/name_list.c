/* cli/name_list.c - see name_list.h. */
#include "cli/name_list.h"

/* Nothing is printed before there is an answer. */
static int begin_json(dv_name_list *l)
{
    int r = 0;
    dv_output_printf(l->out, "{\n");
    if (l->name) {
        dv_output_printf(l->out, "    \"name\": ");
        r = dv_output_json_string(l->out, l->name, l->err);
        dv_output_printf(l->out, ",\n");
    }
    dv_output_printf(l->out, "    \"%s\": [", l->key);
    return r;
}

int dv_name_list_add(const char *name, void *user_data)
{
    dv_name_list *l = user_data;
    int r = 0;
    if (l->json) {
        if (l->count == 0)
            r = begin_json(l);
        dv_output_printf(l->out, "%s\n        ", l->count ? "," : "");
        if (r == 0)
            r = dv_output_json_string(l->out, name, l->err);
    } else {
        dv_output_text(l->out, name);
        r = dv_output_bytes(l->out, "\n",
                            1); /* formatting would cost more than all else that is done with a name */
    }
    l->count++;
    l->failure = r;
    return r;
}

int dv_name_list_end(dv_name_list *l)
{
    if (l->failure < 0 || !l->json)
        return l->failure;
    int r = l->count ? 0 : begin_json(l);
    dv_output_printf(l->out, "%s]\n}\n", l->count ? "\n    " : "");
    return r;
}
