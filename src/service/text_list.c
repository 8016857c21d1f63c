/* service/text_list.c - see text_list.h. */
#include "service/text_list.h"

#include <string.h>

void dv_text_list_free(char **list)
{
    for (char **text = list; text && *text; text++)
        free(*text);
    free(list);
}

size_t dv_text_list_count(char *const *list)
{
    size_t count = 0;
    while (list && list[count])
        count++;
    return count;
}

bool dv_text_list_has(char *const *list, const char *text)
{
    for (; list && *list; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

int dv_text_list_append(char ***list, char *text, davit_error **err)
{
    size_t count = dv_text_list_count(*list);
    char **more = text ? dv_realloc_array(*list, count + 2, sizeof(*more)) : NULL;
    if (!more) {
        free(text);
        return dv_error_oom(err);
    }
    more[count] = text;
    more[count + 1] = NULL;
    *list = more;
    return 0;
}

int dv_text_list_copy(const char *const *list, char ***out, davit_error **err)
{
    size_t count = dv_text_list_count((char *const *)list);
    DV_AUTO_TEXT_LIST copy = dv_new_array(char *, count + 1);
    for (size_t i = 0; copy && i < count; i++)
        if (!(copy[i] = dv_strdup(list[i])))
            return dv_error_oom(err);
    if (!copy)
        return dv_error_oom(err);
    *out = DV_STEAL(copy);
    return 0;
}
