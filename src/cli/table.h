/* cli/table.h - columns of text, as Docker aligns them. */
#ifndef DV_CLI_TABLE_H
#define DV_CLI_TABLE_H

#include "cli/output.h"

/* Rows of column_count cells; the first row is the heading. */
typedef struct dv_table {
    size_t column_count;
    char **cells;
    size_t cell_count, capacity;
    bool failed; /* no memory */
} dv_table;

void dv_table_clear(dv_table *t);
DV_DEFINE_AUTO(dv_table, dv_table_clear)
/* Copies the text, escaped. */
void dv_table_add(dv_table *t, const char *text);
int dv_table_print(const dv_table *t, dv_output *o, davit_error **err);

#endif
