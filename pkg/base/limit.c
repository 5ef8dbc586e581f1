#include "base/limit.h"

#include "base/clock.h"

static const struct {
    struct str suffix;
    uint64_t factor;
} byte_units[] = {
    {STR_INIT("GiB"), UINT64_C(1) << 30},
    {STR_INIT("MiB"), UINT64_C(1) << 20},
    {STR_INIT("KiB"), UINT64_C(1) << 10},
};

const struct limit *limit_find(const struct limit *table, size_t len, struct str name)
{
    for (size_t i = 0; i < len; i++)
        if (str_eq(str_of(table[i].name), name))
            return &table[i];
    return NULL;
}

uint64_t *limit_of(const struct limit *limit, void *values)
{
    return (uint64_t *)(void *)((char *)values + limit->offset);
}

void limits_fill(const struct limit *table, size_t len, void *values)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t *value = limit_of(&table[i], values);

        if (*value == 0)
            *value = table[i].otherwise;
    }
}

static bool parse_bytes(struct str text, uint64_t max, uint64_t *ret_value)
{
    uint64_t factor = 1;

    for (size_t i = 0; i < ARRAY_LEN(byte_units); i++) {
        if (!str_ends_with(text, byte_units[i].suffix))
            continue;
        factor = byte_units[i].factor;
        text.len -= byte_units[i].suffix.len;
    }
    if (!str_to_u64(text, max / factor, ret_value))
        return false;
    *ret_value *= factor;
    return true;
}

static bool parse(const struct limit *limit, struct str text, uint64_t *ret_value)
{
    switch (limit->unit) {
    case LIMIT_BYTES:
        return parse_bytes(text, limit->max, ret_value);
    case LIMIT_MS:
        return duration_parse(text, limit->max, ret_value, NULL) == CODE_OK;
    case LIMIT_PER_SECOND: /* as it is shown, too */
        text.len -= str_ends_with(text, STR("/s")) ? 2 : 0;
        return str_to_u64(text, limit->max, ret_value);
    default:
        return str_to_u64(text, limit->max, ret_value);
    }
}

enum code limit_parse(const struct limit *limit, struct str text, uint64_t *ret_value,
                      struct err *err)
{
    static const char *const kinds[] = {[LIMIT_COUNT] = "a number",
                                        [LIMIT_PER_SECOND] = "a number a second",
                                        [LIMIT_BYTES] = "bytes (KiB, MiB, GiB)",
                                        [LIMIT_MS] = "a duration"};
    char min[LIMIT_TEXT_MAX], max[LIMIT_TEXT_MAX];
    uint64_t value;

    if (parse(limit, text, &value) && value >= limit->min) {
        *ret_value = value;
        return CODE_OK;
    }
    limit_format(limit, limit->min, min);
    limit_format(limit, limit->max, max);
    return fail(err, CODE_INVALID_ARGUMENT, "%s: expected %s from %s to %s, found '%" STR_FMT "'",
                limit->name, kinds[limit->unit], min, max, STR_ARG(str_slice(text, 0, 32)));
}

void limit_format(const struct limit *limit, uint64_t value, char out[LIMIT_TEXT_MAX])
{
    if (limit->unit == LIMIT_MS) {
        duration_format(value, out);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(byte_units) && limit->unit == LIMIT_BYTES; i++) {
        if (value == 0 || value % byte_units[i].factor != 0)
            continue;
        snprintf(out, LIMIT_TEXT_MAX, "%llu%s", (unsigned long long)(value / byte_units[i].factor),
                 byte_units[i].suffix.ptr);
        return;
    }
    snprintf(out, LIMIT_TEXT_MAX, "%llu", (unsigned long long)value);
}
