/* service/text_list.h - lists of owned texts that end with NULL; NULL is an empty one. */
#ifndef DV_SERVICE_TEXT_LIST_H
#define DV_SERVICE_TEXT_LIST_H

#include "util/error.h"

#include <stdbool.h>

void dv_text_list_free(char **list);
static inline void dv_text_list_auto(char ***list)
{
    dv_text_list_free(*list);
}
/* A local list that is released at the end of its scope. */
#define DV_AUTO_TEXT_LIST __attribute__((cleanup(dv_text_list_auto))) char **

size_t dv_text_list_count(char *const *list);
bool dv_text_list_has(char *const *list, const char *text);
/* Take text over, also on failure (NULL is one). Finding the end costs its length. */
int dv_text_list_append(char ***list, char *text, davit_error **err);
/* A copy in new memory, never NULL on success. */
int dv_text_list_copy(const char *const *list, char ***out, davit_error **err);

#endif
