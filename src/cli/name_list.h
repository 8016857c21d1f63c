/* cli/name_list.h - names printed as the pages of a list arrive, so that no list is too long. */
#ifndef DV_CLI_NAME_LIST_H
#define DV_CLI_NAME_LIST_H

#include "cli/output.h"

/* One name a line, or one JSON document: {"name": ..., KEY: [...]}. */
typedef struct dv_name_list {
    dv_output *out;
    const char *key;  /* of the array: "tags" */
    const char *name; /* of what is listed, NULL: none */
    bool json;
    uint64_t count; /* printed so far */
    int failure;    /* of the last name */
    davit_error **err;
} dv_name_list;

/* Takes one name; user_data is the list. Non-zero: it could not be printed, see failure. */
int dv_name_list_add(const char *name, void *user_data);
/* When all names came. What is cut short does not look whole. */
int dv_name_list_end(dv_name_list *l);

#endif
