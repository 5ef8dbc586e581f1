#include "fixture.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/internal.h"

struct world world;

/* ---- time ---- */

#define SECOND_US (1000 * 1000)

static uint64_t stopped_us; /* 0: it passes by itself */

/* Whoever asks in this program asks here: clock_monotonic_us(), and libuv for its timers. */
int clock_gettime(clockid_t id, struct timespec *ret_time)
{
    if (stopped_us == 0 || (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE))
        return (int)syscall(SYS_clock_gettime, id, ret_time);
    *ret_time = (struct timespec){.tv_sec = (time_t)(stopped_us / SECOND_US),
                                  .tv_nsec = (long)(stopped_us % SECOND_US) * 1000};
    return 0;
}

/* One turn: of a millisecond where time is ours, else of up to `ms`, waiting for something. */
static void turn_a_while(uint64_t ms)
{
    stopped_us += stopped_us ? 1000 : 0;
    loop_turn(world.loop, stopped_us ? 0 : ms);
}

/* ---- life ---- */

static void on_publish(unused_arg void *ctx, const struct catalog *catalog)
{
    catalog_unref(world.published);
    world.published = catalog;
    world.publications++;
    world.published_us = loop_now_us(world.loop);
    if (world.part && !strstr(published(world.watched), world.part))
        world.missed++;
}

static uint64_t on_fanout(unused_arg void *ctx)
{
    return world.fanout_us;
}

static void on_resource_changed(unused_arg void *ctx, struct str namespace_name, struct str name)
{
    snprintf(world.told_of, sizeof(world.told_of), "%" STR_FMT "/%" STR_FMT,
             STR_ARG(namespace_name), STR_ARG(name));
    world.told++;
}

void world_start_bare(void)
{
    struct controller_options options = {
        .publish = on_publish,
        .fanout_us = on_fanout,
        .resource_changed = on_resource_changed,
        .mode = world.mode,
        .identifies = world.identifies,
        .default_access = world.default_access,
        .host_suffixes = world.host_suffixes,
        .deletion_grace_ms = world.deletion_grace_ms,
    };

    world = (struct world){.deletion_grace_ms = world.deletion_grace_ms};
    cr_assert_eq(loop_new(&world.loop, NULL), CODE_OK);
    options.loop = world.loop;
    world.controller = controller_new(&options);
}

void world_start(void)
{
    stopped_us = clock_monotonic_us();
    world_start_bare();
    world.services = controller_scope_new(world.controller, OBJECT_SERVICE, "services");
    world.slices = controller_scope_new(world.controller, OBJECT_SLICE, "endpointslices");
    world.policies = controller_scope_new(world.controller, OBJECT_POLICY, "lookasideservices");
    controller_set_synced(world.controller);
    cr_assert_eq(world.publications, 1);
    world.publications = 0;
}

void world_stop(void)
{
    controller_scope_free(world.policies);
    controller_scope_free(world.slices);
    controller_scope_free(world.services);
    controller_free(world.controller);
    catalog_unref(world.published);
    loop_free(world.loop);
    stopped_us = 0;
}

/* ---- objects ---- */

struct json *parse(const char *text)
{
    CLEANUP(freep) char *copy = xstrdup(text);
    struct json *json = NULL;
    struct err err = {0};

    for (char *ch = copy; *ch; ch++)
        *ch = *ch == '\'' ? '"' : *ch;
    cr_assert_eq(json_parse(str_of(copy), &json, &err), CODE_OK, "%s in %s", err.msg, copy);
    return json;
}

static void call(struct controller_scope *scope,
                 void (*function)(void *ctx, const struct json *object), const char *fmt,
                 va_list args)
{
    char *text = NULL;
    struct json *json;

    cr_assert_geq(vasprintf(&text, fmt, args), 0);
    json = parse(text);
    function(scope, json);
    json_free(json);
    free(text);
}

void upsert(struct controller_scope *scope, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    call(scope, controller_sink()->upsert, fmt, args);
    va_end(args);
}

void list_object(struct controller_scope *scope, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    call(scope, controller_sink()->list_object, fmt, args);
    va_end(args);
}

void remove_object(struct controller_scope *scope, const char *name)
{
    char text[256];
    struct json *json;

    snprintf(text, sizeof(text), "{'metadata':{'namespace':'shop','name':'%s'}}", name);
    json = parse(text);
    controller_sink()->remove(scope, json);
    json_free(json);
}

void list_begin(struct controller_scope *scope)
{
    controller_sink()->list_begin(scope);
}

void list_begin_after(struct controller_scope *scope, uint64_t ms)
{
    world.loop->now_us = loop_now_us(world.loop) + ms * 1000;
    list_begin(scope);
    loop_update_now(world.loop);
}

bool list_end(struct controller_scope *scope)
{
    return controller_sink()->list_end(scope);
}

void list_abort(struct controller_scope *scope)
{
    controller_sink()->list_abort(scope);
}

/* ---- waiting ---- */

void turn(void)
{
    loop_turn(world.loop, 0);
}

void turn_until(const size_t *count, size_t wanted)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (*count < wanted && clock_monotonic_us() < end_us)
        turn_a_while(50);
    cr_assert_geq(*count, wanted, "waited %d ms for %zu, saw %zu", WAIT_MS, wanted, *count);
}

void turn_until_published(const char *name, const char *wanted)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (strcmp(published(name), wanted) != 0 && clock_monotonic_us() < end_us)
        turn_a_while(50);
    cr_assert_str_eq(published(name), wanted, "%s is '%s', not '%s'", name, published(name),
                     wanted);
}

void turn_for_ms(uint64_t ms)
{
    uint64_t end_us = clock_monotonic_us() + ms * 1000;

    while (clock_monotonic_us() < end_us)
        turn_a_while(5);
}

const char *hold_of(const char *name)
{
    const char *hold = controller_hold(world.controller, STR("shop"), str_of(name));

    return hold ? hold : "";
}

void turn_until_hold(const char *name, const char *wanted)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (strcmp(hold_of(name), wanted) != 0 && clock_monotonic_us() < end_us)
        turn_a_while(5);
    cr_assert_str_eq(hold_of(name), wanted, "the hold of %s is '%s', not '%s'", name, hold_of(name),
                     wanted);
}

/* ---- what was published ---- */

const struct service *published_service(const char *name)
{
    return world.published ? catalog_find(world.published, STR("shop"), str_of(name)) : NULL;
}

const char *published(const char *name)
{
    static struct buf text = BUFFER_INIT(1 << 20);
    const struct service *service = published_service(name);

    buf_reset(&text);
    if (!service)
        return "none";
    for (size_t i = 0; i < service->ports_len; i++) {
        const struct backend_list *list = &service->ports[i].list;

        buf_printf(&text, "%s%u:", i > 0 ? "; " : "", (unsigned)service->ports[i].number);
        for (size_t k = 0; k < list->len; k++)
            buf_printf(&text, "%s%" STR_FMT ":%u", k > 0 ? "," : " ",
                       STR_ARG(list->items[k].backend->endpoint->address),
                       (unsigned)list->items[k].backend->port);
    }
    return buf_cstr(&text);
}

/* ---- the log ---- */

static FILE *log_file;

void log_capture(void)
{
    log_file = tmpfile();
    cr_assert_not_null(log_file);
    cr_assert_geq(dup2(fileno(log_file), STDERR_FILENO), 0);
}

const char *log_taken(void)
{
    static char text[64 * 1024];
    ssize_t len = pread(fileno(log_file), text, sizeof(text) - 1, 0);

    cr_assert_geq(len, 0);
    text[len] = '\0';
    cr_assert_eq(ftruncate(fileno(log_file), 0), 0);
    lseek(fileno(log_file), 0, SEEK_SET);
    return text;
}

size_t log_count(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}
