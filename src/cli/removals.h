/* cli/removals.h - what rmi and prune print of a removal. */
#ifndef DV_CLI_REMOVALS_H
#define DV_CLI_REMOVALS_H

#include "cli/cli.h"

DV_DEFINE_AUTOPTR(davit_removal_list, davit_removal_list_free)

/* "Untagged: NAME" and "Deleted: ID" lines; would: "Would untag: ...". */
void dv_removals_print(dv_output *o, const davit_removal_list *list, bool would);
/* The same as the Engine API's array. NULL: no memory. */
dv_json *dv_removals_json(const davit_removal_list *list);
/* The failed steps as one error, the first one's code; 0 when there are none. Steps with except_code do not count. */
int dv_removals_error(const davit_removal_list *list, int except_code, davit_error **err);

#endif
