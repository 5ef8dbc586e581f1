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

/* Exactly `len` digits, and then `end` unless that is NUL. */
static bool take_number(struct str *rest, size_t len, char end, uint64_t max, int *ret_number)
{
    uint64_t number;

    if (rest->len < len || !str_to_u64(str_slice(*rest, 0, len), max, &number))
        return false;
    *rest = str_slice(*rest, len, rest->len);
    *ret_number = (int)number;
    if (end == '\0')
        return true;
    if (rest->len == 0 || (rest->ptr[0] != end && !(end == 'T' && rest->ptr[0] == 't')))
        return false;
    *rest = str_slice(*rest, 1, rest->len);
    return true;
}

/* ".25" counts 250,000; what is below a microsecond is nothing. */
static bool take_fraction(struct str *rest, uint64_t *ret_us)
{
    uint64_t scale = 100000;
    size_t at = 1;

    *ret_us = 0;
    if (rest->len == 0 || rest->ptr[0] != '.')
        return true;
    for (; at < rest->len && rest->ptr[at] >= '0' && rest->ptr[at] <= '9'; at++) {
        *ret_us += (uint64_t)(rest->ptr[at] - '0') * scale;
        scale /= 10;
    }
    *rest = str_slice(*rest, at, rest->len);
    return at > 1;
}

/* "Z", "+01:00": how far the clock there is ahead. */
static bool take_offset(struct str *rest, int64_t *ret_seconds)
{
    bool behind = rest->len > 0 && rest->ptr[0] == '-';
    int hours = 0;
    int minutes = 0;

    if (rest->len == 0)
        return false;
    if (rest->ptr[0] != 'Z' && rest->ptr[0] != 'z' && rest->ptr[0] != '+' && !behind)
        return false;
    if (rest->ptr[0] == '+' || behind) {
        *rest = str_slice(*rest, 1, rest->len);
        if (!take_number(rest, 2, ':', 23, &hours) || !take_number(rest, 2, '\0', 59, &minutes))
            return false;
    } else {
        *rest = str_slice(*rest, 1, rest->len);
    }
    *ret_seconds = (behind ? -1 : 1) * (hours * 3600 + minutes * 60);
    return rest->len == 0;
}

bool clock_parse_wall(struct str text, uint64_t *ret_us)
{
    struct tm utc = {0};
    int64_t offset = 0;
    uint64_t fraction_us = 0;
    int64_t seconds;

    if (!take_number(&text, 4, '-', 9999, &utc.tm_year) ||
        !take_number(&text, 2, '-', 12, &utc.tm_mon) ||
        !take_number(&text, 2, 'T', 31, &utc.tm_mday) ||
        !take_number(&text, 2, ':', 23, &utc.tm_hour) ||
        !take_number(&text, 2, ':', 59, &utc.tm_min) ||
        !take_number(&text, 2, '\0', 60, &utc.tm_sec) || !take_fraction(&text, &fraction_us) ||
        !take_offset(&text, &offset) || utc.tm_year < 1970 || utc.tm_mon == 0 || utc.tm_mday == 0)
        return false;
    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    seconds = timegm(&utc) - offset;
    if (seconds < 0)
        return false;
    *ret_us = (uint64_t)seconds * 1000000 + fraction_us;
    return true;
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

void duration_format(uint64_t ms, char out[DURATION_TEXT_MAX])
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"h", 3600 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}};
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (ms >= units[i].ms)
            len += (size_t)snprintf(out + len, DURATION_TEXT_MAX - len, "%llu%s",
                                    (unsigned long long)(ms / units[i].ms), units[i].name);
        ms %= units[i].ms;
    }
    if (len == 0)
        memcpy(out, "0s", 3);
}
