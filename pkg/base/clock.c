#include "base/clock.h"

#include <time.h>

#define NS_PER_MS UINT64_C(1000000)

static uint64_t read_us(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

void clock_format_wall(uint64_t wall_us, char out[32])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    size_t len;

    gmtime_r(&seconds, &utc);
    len = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + len, 32 - len, ".%03uZ", (unsigned)(wall_us / 1000 % 1000));
}

/* Takes the unit's name off *rest and returns its length in nanoseconds; 0 if there is none. */
static uint64_t take_unit(struct str *rest)
{
    static const struct {
        struct str name;
        uint64_t ns;
    } units[] = {
        {STR_INIT("ns"), 1},
        {STR_INIT("us"), 1000},
        {STR_INIT("\xC2\xB5s"), 1000}, /* micro sign */
        {STR_INIT("\xCE\xBCs"), 1000}, /* Greek mu */
        {STR_INIT("ms"), NS_PER_MS},   /* before "m" */
        {STR_INIT("s"), 1000 * NS_PER_MS},
        {STR_INIT("m"), 60 * 1000 * NS_PER_MS},
        {STR_INIT("h"), 3600 * 1000 * NS_PER_MS},
    };

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (str_starts_with(*rest, units[i].name)) {
            *rest = str_slice(*rest, units[i].name.len, rest->len);
            return units[i].ns;
        }
    }
    return 0;
}

static struct str take_digits(struct str *rest)
{
    size_t len = 0;
    struct str digits;

    while (len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9')
        len++;
    digits = str_slice(*rest, 0, len);
    *rest = str_slice(*rest, len, rest->len);
    return digits;
}

static bool add_scaled(uint64_t *total, uint64_t count, uint64_t unit)
{
    uint64_t product;

    return !__builtin_mul_overflow(count, unit, &product) &&
           !__builtin_add_overflow(*total, product, total);
}

/* One "1.5h". Digits behind the point that are worth less than a nanosecond are refused. */
static bool take_term(struct str *rest, uint64_t *total)
{
    struct str whole = take_digits(rest);
    struct str fraction = STR("");
    uint64_t count = 0;
    uint64_t unit;

    if (str_starts_with(*rest, STR("."))) {
        *rest = str_slice(*rest, 1, rest->len);
        fraction = take_digits(rest);
    }
    unit = take_unit(rest);
    if (unit == 0 || whole.len + fraction.len == 0)
        return false;
    if ((whole.len > 0 && !str_to_u64(whole, UINT64_MAX, &count)) ||
        !add_scaled(total, count, unit))
        return false;
    for (size_t i = 0; i < fraction.len; i++) {
        unsigned digit = (unsigned)(fraction.ptr[i] - '0');

        if (digit != 0 && (unit == 0 || unit % 10 != 0))
            return false;
        unit /= 10;
        if (!add_scaled(total, digit, unit))
            return false;
    }
    return true;
}

enum code duration_parse(struct str text, uint64_t max_ms, uint64_t *ret_ms, struct err *err)
{
    struct str rest = text;
    uint64_t ns = 0;
    bool good = text.len > 0;

    while (good && rest.len > 0 && !str_eq(text, STR("0")))
        good = take_term(&rest, &ns);
    if (!good)
        return fail(err, CODE_INVALID_ARGUMENT, "'%" STR_FMT "' is no duration such as '1m30s'",
                    STR_ARG(str_slice(text, 0, 64)));
    if (ns % NS_PER_MS != 0)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "duration '%" STR_FMT "' is not in whole milliseconds",
                    STR_ARG(str_slice(text, 0, 64)));
    if (ns / NS_PER_MS > max_ms)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "duration '%" STR_FMT "' is above the limit of %llu ms",
                    STR_ARG(str_slice(text, 0, 64)), (unsigned long long)max_ms);
    *ret_ms = ns / NS_PER_MS;
    return CODE_OK;
}
