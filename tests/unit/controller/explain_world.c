#include "explain_world.h"

#include "base/clock.h"

struct json *answer;

void explain_start(void)
{
    world_start();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn();
}

void explain_stop(void)
{
    json_free(answer);
    answer = NULL;
    world_stop();
}

static struct caller asked_of;
static bool asked;

enum code ask_at(const char *target, const char *zone, const char *node, struct err *err)
{
    struct buf text = BUFFER_INIT(1 << 20);
    struct json_writer writer = json_writer(&text);
    const struct explain_query query = {
        .target = str_of(target),
        .default_namespace = STR("shop"),
        .cluster_domain = STR("cluster.local"),
        .place = {.zone = str_of(zone), .node = str_of(node)},
        .asked = asked,
        .caller = asked_of,
    };
    enum code code;

    json_free(answer);
    answer = NULL;
    json_open_object(&writer, NULL);
    code = controller_explain(world.controller, &query, &writer, err);
    json_close_object(&writer);
    if (code == CODE_OK)
        cr_assert_eq(json_parse(buf_str(&text), &answer, err), CODE_OK, "%s", err->msg);
    buf_done(&text);
    return code;
}

void ask_as(const char *target, const char *namespace_name, const char *account)
{
    asked = true;
    asked_of = (struct caller){str_of(namespace_name), str_of(account)};
    ask(target);
    asked = false;
    asked_of = (struct caller){0};
}

/* Of an array, at any depth of slices: how many say that they are in. */
size_t count_in(void)
{
    size_t count = json_len(json_get(answer, "kept"));

    for (const struct json *slice = json_first(json_get(answer, "slices")); slice;
         slice = json_next(slice)) {
        const struct json *endpoints = json_get(slice, "endpoints");

        for (const struct json *item = json_first(endpoints); item; item = json_next(item))
            count += json_bool(json_get(item, "in"));
    }
    return count;
}

bool has_reason(const char *reason)
{
    static const char *const lists[] = {"slices", "kept"};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct json *list = json_get(answer, lists[i]);

        for (const struct json *item = json_first(list); item; item = json_next(item)) {
            const struct json *endpoints = json_get(item, "endpoints");

            if (str_eq(json_text(json_get(item, "reason")), str_of(reason)))
                return true;
            for (const struct json *one = json_first(endpoints); one; one = json_next(one)) {
                if (str_eq(json_text(json_get(one, "reason")), str_of(reason)))
                    return true;
            }
        }
    }
    return false;
}

void ask_from(const char *target, const char *zone, const char *node)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;
    struct err err = {0};

    do {
        turn_for_ms(1);
        cr_assert_eq(ask_at(target, zone, node, &err), CODE_OK, "%s", err.msg);
    } while ((has_reason("waiting") || has_reason("leaving")) && clock_monotonic_us() < end_us);
}

void ask(const char *target)
{
    ask_from(target, "", "");
    cr_assert_geq(count_in(), (size_t)json_number(json_get(answer, "listed")));
}

const char *text_of(const struct json *json)
{
    static char text[4][1024];
    static size_t next;
    char *out = text[next++ % ARRAY_LEN(text)];

    if (json_type(json) == JSON_BOOL)
        return json_bool(json) ? "true" : "false";
    if (json_type(json) == JSON_NUMBER)
        snprintf(out, sizeof(text[0]), "%g", json_number(json));
    else
        snprintf(out, sizeof(text[0]), "%" STR_FMT, STR_ARG(json_text(json)));
    return out;
}

const char *member(const char *key)
{
    return text_of(json_get(answer, key));
}

const char *fate_in(const char *address, const char *slice_name)
{
    static char text[64];

    for (const struct json *slice = json_first(json_get(answer, "slices")); slice;
         slice = json_next(slice)) {
        const struct json *endpoints = json_get(slice, "endpoints");

        for (const struct json *item = json_first(endpoints); item; item = json_next(item)) {
            if (strcmp(text_of(json_get(item, "address")), address) != 0 ||
                (slice_name && strcmp(text_of(json_get(slice, "name")), slice_name) != 0))
                continue;
            cr_assert_gt(strlen(text_of(json_get(item, "why"))), 0);
            snprintf(text, sizeof(text), "%s %s", json_bool(json_get(item, "in")) ? "in" : "out",
                     text_of(json_get(item, "reason")));
            return text;
        }
    }
    return "";
}

const char *fate(const char *address)
{
    return fate_in(address, NULL);
}

void put_slice(const char *name, int version, const char *endpoints)
{
    /* clang-format off */ /* takes the % for a sign */
    upsert(world.slices, SLICE_JSON("%s", "greeter", %d, "%s"), name, version, endpoints);
    /* clang-format on */
    turn();
}
