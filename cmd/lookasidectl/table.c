#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "command.h"

#define CELL_MAX 255
#define CELL_SHOWN_MAX (6 * CELL_MAX + 2) /* "\u001b" for one byte, and the quotes */

void text_show(struct buf *out, struct str text)
{
    if (text.len && utf8_needs_escape(text))
        utf8_add_quoted(out, text);
    else
        buf_add_str(out, text);
}

void table_add(struct table *table, struct str cell)
{
    struct buf shown = BUFFER_INIT(CELL_SHOWN_MAX);

    text_show(&shown, cell.len ? utf8_cut(cell, CELL_MAX) : STR("-"));
    table->cells = xgrow(table->cells, &table->cap, table->len, sizeof(*table->cells));
    table->cells[table->len++] = buf_take(&shown, NULL);
}

void table_addf(struct table *table, const char *fmt, ...)
{
    char cell[CELL_MAX + 1];
    va_list args;

    va_start(args, fmt);
    vsnprintf(cell, sizeof(cell), fmt, args);
    va_end(args);
    table_add(table, str_of(cell));
}

void table_print(const struct table *table)
{
    int widths[TABLE_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->len; i++) {
        int len = (int)strlen(table->cells[i]);

        if (len > widths[i % table->columns])
            widths[i % table->columns] = len;
    }
    for (size_t i = 0; i < table->len; i++) {
        bool last = i % table->columns == table->columns - 1;

        printf("%-*s%s", last ? 0 : widths[i % table->columns] + 2, table->cells[i],
               last ? "\n" : "");
    }
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->len; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}
