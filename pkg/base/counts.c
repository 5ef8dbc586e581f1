#include "base/counts.h"

#include "base/hash.h"

#undef HASH_FUNCTION
#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_FUNCTION_SEEDED(keyptr, keylen, hashv)
#include <uthash.h>

struct item {
    UT_hash_handle hh;
    uint64_t value;
    char name[];
};

struct counts {
    struct item *items;
};

struct counts *counts_new(void)
{
    return xcalloc(1, sizeof(struct counts));
}

void counts_free(struct counts *counts)
{
    struct item *item, *next;

    if (!counts)
        return;
    HASH_ITER(hh, counts->items, item, next)
    {
        HASH_DEL(counts->items, item);
        free(item);
    }
    free(counts);
}

static struct item *find(const struct counts *counts, struct str name)
{
    struct item *item;

    HASH_FIND(hh, counts->items, name.ptr, name.len, item);
    return item;
}

void counts_add(struct counts *counts, struct str name, uint64_t value)
{
    struct item *item = find(counts, name);

    if (!item) {
        if (name.len == 0 || name.len > COUNTS_NAME_MAX ||
            HASH_COUNT(counts->items) >= COUNTS_NAMES_MAX)
            return;
        item = xcalloc(1, sizeof(*item) + name.len + 1);
        memcpy(item->name, name.ptr, name.len);
        HASH_ADD_KEYPTR(hh, counts->items, item->name, name.len, item);
    }
    item->value = min_u64(item->value + min_u64(value, COUNTS_VALUE_MAX), COUNTS_VALUE_MAX);
}

uint64_t counts_get(const struct counts *counts, struct str name)
{
    const struct item *item = find(counts, name);

    return item ? item->value : 0;
}

void counts_write(const struct counts *counts, struct json_writer *writer, const char *key)
{
    struct item *item, *next;

    json_open_object(writer, key);
    HASH_ITER(hh, counts->items, item, next)
    json_put_u64(writer, item->name, item->value);
    json_close_object(writer);
}

void counts_add_json(struct counts *counts, const struct json *object)
{
    for (const struct json *item = json_first(object); item; item = json_next(item)) {
        double value = json_number(item);

        if (json_type(item) == JSON_NUMBER && value >= 0 && value <= (double)COUNTS_VALUE_MAX)
            counts_add(counts, json_key(item), (uint64_t)value);
    }
}
