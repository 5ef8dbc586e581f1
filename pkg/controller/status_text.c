#include "controller/status_text.h"

#include <math.h>

#include "base/clock.h"
#include "base/hash.h"

#define SECONDS_LEN 19 /* "2026-11-29T03:08:27" */
#define COUNT_MAX (UINT64_C(1) << 40)
/* Behind the message of Published; the rest of the message counts as a counter. */
#define UNCOUNTED "; clients are counted without replicas that do not answer: "

/* ---- writing ---- */

uint64_t status_round(uint64_t count)
{
    static const uint64_t steps[] = {1, 2, 5, 10};
    uint64_t scale = 1;

    if (count == 0)
        return 0;
    while (count >= 10 * scale && scale < COUNT_MAX)
        scale *= 10;
    for (size_t i = 0; i + 1 < ARRAY_LEN(steps); i++)
        if (2 * count < (steps[i] + steps[i + 1]) * scale)
            return steps[i] * scale;
    return 10 * scale;
}

/* To two digits; below 10 to tenths. */
static double round_rate(double rate)
{
    double unit = 0.1;

    while (rate / unit >= 100)
        unit *= 10;
    /* Tenths have no exact double; their inverse has. */
    return unit < 1 ? round(rate * 10) / 10 : round(rate / unit) * unit;
}

static double round_percent(double percent)
{
    return round(percent * 10) / 10;
}

struct status_load status_load(double calls, double failed, const struct status_load *told)
{
    struct status_load load = {
        .known = true,
        .calls_per_second = round_rate(calls),
        .failed_percent = round_percent(calls > 0 ? 100 * failed / calls : 0),
    };
    double moved = fabs(load.calls_per_second - told->calls_per_second);
    bool begins_or_ends = (load.calls_per_second > 0) != (told->calls_per_second > 0) ||
                          (load.failed_percent > 0) != (told->failed_percent > 0);

    if (told->known && !begins_or_ends && moved <= told->calls_per_second / 10 &&
        fabs(load.failed_percent - told->failed_percent) <= 1)
        return *told;
    return load;
}

/* A hold that is over before anybody can read of it is not worth a word. */
static bool hold_is_told(enum hold hold)
{
    return hold != HOLD_NONE && hold != HOLD_SETTLE && hold != HOLD_ANNOUNCE;
}

static void write_time(struct json_writer *writer, const char *key, uint64_t wall_us)
{
    char millis[32];
    char text[32];

    clock_format_wall(wall_us, millis);
    snprintf(text, sizeof(text), "%.*sZ", SECONDS_LEN, millis);
    json_put_str(writer, key, str_of(text));
}

static void write_message(struct json_writer *writer, const struct condition *condition,
                          struct str uncounted)
{
    struct buf text = BUFFER_INIT(2 * CONDITION_MESSAGE_MAX + 1024);

    buf_add_str(&text, str_of(condition->message));
    if (uncounted.len > 0) {
        buf_add_str(&text, STR(UNCOUNTED));
        buf_add_str(&text, str_slice(uncounted, 0, CONDITION_MESSAGE_MAX));
    }
    json_put_str(writer, "message", text.len ? buf_str(&text) : STR(""));
    buf_done(&text);
}

static void write_condition(const struct status_input *input, enum condition_kind kind,
                            struct json_writer *writer)
{
    const struct condition *condition = &input->resource->conditions[kind];

    json_open_object(writer, NULL);
    json_put_str(writer, "type", str_of(condition_name(kind)));
    json_put_str(writer, "status", condition->status ? STR("True") : STR("False"));
    json_put_str(writer, "reason", str_of(condition->reason));
    write_message(writer, condition, kind == CONDITION_PUBLISHED ? input->uncounted : STR(""));
    json_put_u64(writer, "observedGeneration", input->resource->generation);
    write_time(writer, "lastTransitionTime", input->since_us[kind]);
    json_close_object(writer);
}

void status_write(const struct status_input *input, struct json_writer *writer)
{
    const struct resource_status *resource = input->resource;

    json_put_u64(writer, "observedGeneration", resource->generation);
    json_open_array(writer, "conditions");
    for (enum condition_kind kind = 0; kind < CONDITIONS; kind++)
        write_condition(input, kind, writer);
    json_close_array(writer);
    json_open_object(writer, "endpoints");
    json_put_u64(writer, "ready", resource->ready);
    json_put_u64(writer, "draining", resource->draining);
    json_put_u64(writer, "total", resource->total);
    json_close_object(writer);
    json_put_u64(writer, "clients", status_round(input->clients));
    if (input->load.known) {
        json_open_object(writer, "load");
        json_put_double(writer, "requestsPerSecond", input->load.calls_per_second);
        json_put_double(writer, "errorPercent", input->load.failed_percent);
        json_close_object(writer);
    }
    json_open_array(writer, "holds");
    if (hold_is_told(resource->hold))
        json_put_str(writer, NULL, str_of(hold_name(resource->hold)));
    json_close_array(writer);
}

/* ---- reading ---- */

static uint64_t hash_text(struct str text)
{
    return hash_content(text.ptr, text.len);
}

static uint64_t read_count(const struct json *json, const char *key)
{
    uint64_t count = 0;

    if (json_read_u64(json, "", key, COUNT_MAX, 0, &count, NULL) != CODE_OK)
        return UINT64_MAX;
    return count;
}

/* Splits the message of a condition into what is urgent and what is not. */
static struct str cut_uncounted(struct str *message)
{
    const struct str mark = STR(UNCOUNTED);
    const char *at = message->len ? memmem(message->ptr, message->len, mark.ptr, mark.len) : NULL;
    size_t before = at ? (size_t)(at - message->ptr) : message->len;
    struct str rest = str_slice(*message, before, message->len);

    *message = str_slice(*message, 0, before);
    return rest;
}

static bool find_kind(struct str type, enum condition_kind *ret_kind)
{
    for (enum condition_kind kind = 0; kind < CONDITIONS; kind++) {
        if (str_eq(type, str_of(condition_name(kind)))) {
            *ret_kind = kind;
            return true;
        }
    }
    return false;
}

/* Conditions of others are none of ours, and the order does not matter. */
static void read_condition(const struct json *item, struct status_digest *digest)
{
    struct str message = json_text(json_get(item, "message"));
    struct str uncounted = cut_uncounted(&message);
    struct str status = json_text(json_get(item, "status"));
    struct condition_digest *condition;
    enum condition_kind kind;

    if (!find_kind(json_text(json_get(item, "type")), &kind))
        return;
    condition = &digest->conditions[kind];
    condition->known = true;
    condition->status = str_eq(status, STR("True"));
    condition->said = hash_mix(hash_text(json_text(json_get(item, "reason"))), hash_text(message));
    if (!clock_parse_wall(json_text(json_get(item, "lastTransitionTime")), &condition->since_us))
        condition->known = false; /* it is written anew, with a time */
    if (kind == CONDITION_PUBLISHED)
        digest->slow = hash_text(uncounted);
}

static void read_holds(const struct json *holds, struct status_digest *digest)
{
    for (const struct json *item = json_first(holds); item; item = json_next(item))
        digest->holds = hash_mix(digest->holds, hash_text(json_text(item)));
}

/* What is no load is none, and differs from one. */
static void read_load(const struct json *json, struct status_digest *digest)
{
    struct status_load *load = &digest->load;

    load->known = json_type(json) == JSON_OBJECT;
    load->calls_per_second = json_number(json_get(json, "requestsPerSecond"));
    load->failed_percent = json_number(json_get(json, "errorPercent"));
    digest->slow = hash_mix(digest->slow, load->known);
    digest->slow = hash_mix(digest->slow, hash_content(&load->calls_per_second, sizeof(double)));
    digest->slow = hash_mix(digest->slow, hash_content(&load->failed_percent, sizeof(double)));
}

struct status_digest status_digest_read(const struct json *status)
{
    const struct json *endpoints = json_get(status, "endpoints");
    struct status_digest digest = {0};

    if (json_type(status) != JSON_OBJECT)
        return digest;
    digest.generation = read_count(status, "observedGeneration");
    for (const struct json *item = json_first(json_get(status, "conditions")); item;
         item = json_next(item))
        read_condition(item, &digest);
    read_holds(json_get(status, "holds"), &digest);
    digest.urgent = hash_mix(digest.generation, digest.holds);
    for (enum condition_kind kind = 0; kind < CONDITIONS; kind++) {
        const struct condition_digest *condition = &digest.conditions[kind];

        digest.urgent = hash_mix(digest.urgent, condition->known + 2U * condition->status);
        digest.urgent = hash_mix(digest.urgent, condition->said);
    }
    digest.slow = hash_mix(digest.slow, read_count(endpoints, "ready"));
    digest.slow = hash_mix(digest.slow, read_count(endpoints, "draining"));
    digest.slow = hash_mix(digest.slow, read_count(endpoints, "total"));
    digest.slow = hash_mix(digest.slow, read_count(status, "clients"));
    read_load(json_get(status, "load"), &digest);
    return digest;
}
