/* The changes between two native lists, told by their bytes. */
#include "encode/native.h"
#include "wire/fields.h"
#include "wire/writer.h"

/* A backend of a list: its field, whole, and what it goes by. */
struct item {
    struct str field;
    struct str address;
    uint64_t port;
};

struct items {
    struct item *items; /* owned */
    size_t len;
};

static void items_done(struct items *list)
{
    free(list->items);
}

/* One more field of `reader`, which holds backends only. */
static bool next_field(struct wire_reader *reader, struct str *ret_field)
{
    const unsigned char *from = reader->ptr;
    struct wire_field field;

    if (!wire_next(reader, &field))
        return false;
    *ret_field = str_make(from, (size_t)(reader->ptr - from));
    return true;
}

/* Moves both readers behind what is the same at the front. */
static void skip_common(struct wire_reader *a, struct wire_reader *b)
{
    struct wire_reader at_a = *a, at_b = *b;
    struct str field_a, field_b;

    while (next_field(&at_a, &field_a) && next_field(&at_b, &field_b) && str_eq(field_a, field_b)) {
        *a = at_a;
        *b = at_b;
    }
}

static struct items read_items(struct wire_reader reader)
{
    struct items list = {0};
    struct str field;
    size_t cap = 0;

    while (next_field(&reader, &field)) {
        list.items = xgrow(list.items, &cap, list.len, sizeof(*list.items));
        list.items[list.len++] = (struct item){.field = field};
    }
    return list;
}

static void drop_common_end(struct items *a, struct items *b)
{
    while (a->len > 0 && b->len > 0 &&
           str_eq(a->items[a->len - 1].field, b->items[b->len - 1].field)) {
        a->len--;
        b->len--;
    }
}

static void read_key(struct item *item)
{
    struct wire_reader reader = wire_reader(item->field);
    struct wire_field field;

    if (!wire_next(&reader, &field))
        return;
    reader = wire_reader(field.bytes);
    while (wire_next(&reader, &field)) {
        if (field.number == BACKEND_ADDRESS)
            item->address = field.bytes;
        else if (field.number == BACKEND_PORT)
            item->port = field.value;
    }
}

static int cmp_key(const struct item *a, const struct item *b)
{
    int order = str_cmp(a->address, b->address);

    return order ? order : (a->port > b->port) - (a->port < b->port);
}

static int by_key(const void *a, const void *b)
{
    return cmp_key(a, b);
}

static void sort_items(struct items *list)
{
    for (size_t i = 0; i < list->len; i++)
        read_key(&list->items[i]);
    if (list->len > 1)
        qsort(list->items, list->len, sizeof(*list->items), by_key);
}

static void put_removed(struct buf *out, const struct item *item)
{
    size_t mark = wire_open(out, WATCH_RESPONSE_REMOVED);

    wire_put_bytes(out, BACKEND_ADDRESS_ADDRESS, item->address);
    wire_put_varint(out, BACKEND_ADDRESS_PORT, item->port);
    wire_close(out, mark);
}

/* Both are sorted by what they go by. */
static void put_changes(struct buf *out, const struct items *before, const struct items *after)
{
    size_t at = 0;

    for (size_t i = 0; i < after->len; i++) {
        const struct item *item = &after->items[i];
        int order = -1;

        for (; at < before->len && (order = cmp_key(&before->items[at], item)) < 0; at++)
            put_removed(out, &before->items[at]);
        if (at == before->len || order != 0 || !str_eq(before->items[at].field, item->field))
            (void)buf_add_str(out, item->field);
        at += at < before->len && order == 0;
    }
    for (; at < before->len; at++)
        put_removed(out, &before->items[at]);
}

struct blob *encode_native_changes(struct str before, struct str after)
{
    struct wire_reader from = wire_reader(before), to = wire_reader(after);
    CLEANUP(items_done) struct items old = {0}, new = {0};
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(after.len); /* more fails it */

    skip_common(&from, &to);
    old = read_items(from);
    new = read_items(to);
    drop_common_end(&old, &new);
    sort_items(&old);
    sort_items(&new);
    put_changes(&out, &old, &new);
    return buf_failed(&out) || (out.len == after.len && out.len > 0) ? NULL
                                                                     : blob_copy(out.ptr, out.len);
}
