/* cli/table.c - see table.h. Columns are at least 10 wide and 3 apart. */
#include "cli/table.h"

#include "util/str.h"

#include <string.h>

#define CELL_MAX (32u << 10) /* bytes, escaped */
#define WIDTH_MIN 10
#define GAP 3

void dv_table_clear(dv_table *t)
{
    for (size_t i = 0; i < t->cell_count; i++)
        free(t->cells[i]);
    free(t->cells);
    t->cells = NULL;
    t->cell_count = t->capacity = 0;
}

static bool grow(dv_table *t)
{
    if (t->cell_count < t->capacity)
        return true;
    size_t capacity = t->capacity ? t->capacity * 2 : 64;
    char **cells = dv_realloc_array(t->cells, capacity, sizeof(*cells));
    if (!cells)
        return false;
    t->cells = cells;
    t->capacity = capacity;
    return true;
}

void dv_table_add(dv_table *t, const char *text)
{
    DV_AUTO(dv_buf) cell = DV_BUF_INIT(CELL_MAX);
    dv_str_escape(&cell, text, strlen(text), /* keep_newlines= */ false);
    char *owned = cell.failed ? NULL : dv_buf_take(&cell);
    if (!owned || !grow(t)) {
        free(owned);
        t->failed = true;
        return;
    }
    t->cells[t->cell_count++] = owned;
}

/* Characters, of which there may be fewer than bytes. */
static size_t length_of(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

static size_t width_of(const dv_table *t, size_t column)
{
    size_t width = WIDTH_MIN;
    for (size_t i = column; i < t->cell_count; i += t->column_count) {
        size_t n = length_of(t->cells[i]) + GAP;
        width = n > width ? n : width;
    }
    return width;
}

int dv_table_print(const dv_table *t, dv_output *o, davit_error **err)
{
    DV_AUTOFREE size_t *widths = dv_new_array(size_t, t->column_count);
    if (!widths || t->failed)
        return dv_error_oom(err);
    for (size_t i = 0; i < t->column_count; i++)
        widths[i] = width_of(t, i);
    for (size_t i = 0; i < t->cell_count; i++) {
        size_t column = i % t->column_count;
        bool last = column + 1 == t->column_count;
        if (last)
            dv_output_printf(o, "%s\n", t->cells[i]);
        else
            dv_output_printf(o, "%s%*s", t->cells[i], (int)(widths[column] - length_of(t->cells[i])), "");
    }
    return 0;
}
