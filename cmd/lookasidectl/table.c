#include <stdarg.h>
#include <stdio.h>

#include "command.h"

#define CELL_MAX 256

void table_add(struct table *table, const char *cell)
{
    table->cells = xgrow(table->cells, &table->cap, table->len, sizeof(*table->cells));
    table->cells[table->len++] = xstrdup(*cell ? cell : "-");
}

void table_addf(struct table *table, const char *fmt, ...)
{
    char cell[CELL_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(cell, sizeof(cell), fmt, args);
    va_end(args);
    table_add(table, cell);
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

        printf("%-*s%s", last ? 0 : widths[i % table->columns] + 2, table->cells[i], last ? "\n" : "");
    }
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->len; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}
