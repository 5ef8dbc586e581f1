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

void table_head(struct table *table, const char *const *head)
{
    for (size_t i = 0; i < table->columns; i++)
        table_add(table, str_of(head[i]));
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

/* Characters, not bytes: continuation bytes take no room. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/* 0: the column is left out. */
static size_t column_width(const struct table *table, size_t column)
{
    size_t width = 0;
    bool empty = table->drop_empty;

    for (size_t i = column; i < table->len; i += table->columns) {
        size_t cell = width_of(table->cells[i]);

        width = cell > width ? cell : width;
        if (i >= table->columns && strcmp(table->cells[i], "-") != 0)
            empty = false;
    }
    return empty ? 0 : width;
}

void table_print(const struct table *table)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->columns; i++)
        widths[i] = column_width(table, i);
    for (size_t row = 0; row < table->len; row += table->columns) {
        size_t pad = strlen(table->indent);

        for (size_t i = 0; i < table->columns; i++) {
            const char *cell = table->cells[row + i];

            if (widths[i] == 0)
                continue;
            printf("%*s%s", (int)pad, "", cell);
            pad = widths[i] - width_of(cell) + 2;
        }
        printf("\n");
    }
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->len; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}
