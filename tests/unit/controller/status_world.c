#include "status_world.h"

#include "base/clock.h"
#include "controller/status_text.h"

struct status_world sw;

/* ---- the controller ---- */

static struct resource *find(struct str name)
{
    for (size_t i = 0; i < sw.resources_len; i++)
        if (str_eq(name, str_of(sw.resources[i].name)))
            return &sw.resources[i];
    return NULL;
}

static bool read_status(void *ctx unused_arg, struct str namespace_name, struct str name,
                        struct resource_status *ret_status)
{
    struct resource *resource = find(name);

    cr_assert(str_eq(namespace_name, STR("shop")));
    if (!resource || resource->gone)
        return false;
    *ret_status = resource->status;
    ret_status->namespace_name = STR("shop");
    ret_status->name = str_of(resource->name);
    ret_status->uid = str_of(resource->uid);
    return true;
}

static void read_load(void *ctx unused_arg, struct str namespace_name unused_arg,
                      struct str name unused_arg, double *ret_calls, double *ret_failed)
{
    *ret_calls = sw.calls;
    *ret_failed = sw.failed;
}

static uint64_t count_clients(void *ctx unused_arg, struct str namespace_name unused_arg,
                              struct str name unused_arg)
{
    return sw.clients;
}

static const char *uncounted(void *ctx unused_arg)
{
    return sw.uncounted;
}

static bool may(void *ctx unused_arg)
{
    return sw.may;
}

void set_condition(struct resource *resource, enum condition_kind kind, bool status,
                   const char *reason, const char *message)
{
    struct condition *condition = &resource->status.conditions[kind];

    condition->status = status;
    condition->reason = reason;
    snprintf(condition->message, sizeof(condition->message), "%s", message);
}

struct resource *add(const char *name)
{
    struct resource *resource = &sw.resources[sw.resources_len++];

    cr_assert_leq(sw.resources_len, RESOURCES_MAX);
    snprintf(resource->name, sizeof(resource->name), "%s", name);
    snprintf(resource->uid, sizeof(resource->uid), "uid-of-%s", name);
    resource->status = (struct resource_status){.generation = 1, .ready = 3, .total = 4};
    set_condition(resource, CONDITION_ACCEPTED, true, "Accepted", "");
    set_condition(resource, CONDITION_RESOLVED_REFS, true, "ResolvedRefs", "");
    set_condition(resource, CONDITION_PUBLISHED, true, "Published", "");
    observe(resource);
    touch(resource);
    return resource;
}

void touch(struct resource *resource)
{
    status_touch(sw.writer, STR("shop"), str_of(resource->name));
}

void observe(struct resource *resource)
{
    CLEANUP(json_freep) struct json *object = NULL;

    if (!*resource->stored)
        snprintf(resource->stored, sizeof(resource->stored),
                 "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"%s\",\"uid\":\"%s\","
                 "\"resourceVersion\":\"%u\"}}",
                 resource->name, resource->uid, ++sw.version);
    cr_assert_eq(json_parse(str_of(resource->stored), &object, NULL), CODE_OK);
    status_observe(sw.writer, object);
}

void wait_for(const size_t *count, size_t at_least)
{
    uint64_t deadline = clock_monotonic_us() + 10000000;

    while (*count < at_least && clock_monotonic_us() < deadline)
        loop_turn(sw.loop, 100);
    cr_assert_geq(*count, at_least, "gave up waiting: %zu of %zu", *count, at_least);
}

void pass_ms(uint64_t ms)
{
    uint64_t end = clock_monotonic_us() + ms * 1000;

    for (uint64_t now = clock_monotonic_us(); now < end; now = clock_monotonic_us())
        loop_turn(sw.loop, (end - now) / 1000 + 1);
}

void expect_silence(uint64_t ms)
{
    size_t before = sw.patches;

    pass_ms(ms);
    cr_assert_eq(sw.patches, before, "%s", sw.body);
}

/* ---- the server ---- */

/* Keeps what was applied. */
static void store(struct resource *resource, struct str body)
{
    CLEANUP(json_freep) struct json *object = NULL;
    struct buf text = BUFFER_INIT(sizeof(resource->stored) - 1);
    struct json_writer writer = json_writer(&text);
    char version[16];

    cr_assert_eq(json_parse(body, &object, NULL), CODE_OK);
    snprintf(version, sizeof(version), "%u", ++sw.version);
    json_open_object(&writer, NULL);
    json_open_object(&writer, "metadata");
    json_put_str(&writer, "namespace", STR("shop"));
    json_put_str(&writer, "name", str_of(resource->name));
    json_put_str(&writer, "uid", str_of(resource->uid));
    json_put_str(&writer, "resourceVersion", str_of(version));
    json_close_object(&writer);
    json_open_object(&writer, "status");
    for (const struct json *item = json_first(json_get(object, "status")); item;
         item = json_next(item)) {
        CLEANUP(freep) char *key = str_dup(json_key(item));

        if (!sw.prunes || strcmp(key, "clients") != 0)
            json_put_json(&writer, key, item);
    }
    json_close_object(&writer);
    json_close_object(&writer);
    cr_assert_not(buf_failed(&text));
    snprintf(resource->stored, sizeof(resource->stored), "%s", buf_cstr(&text));
    buf_done(&text);
}

static struct str version_of(struct str text, char out[32])
{
    CLEANUP(json_freep) struct json *object = NULL;

    cr_assert_eq(json_parse(text, &object, NULL), CODE_OK);
    snprintf(out, 32, "%" STR_FMT,
             STR_ARG(json_text(json_get(json_get(object, "metadata"), "resourceVersion"))));
    return str_of(out);
}

static bool is_current(const struct resource *resource, const char *body)
{
    char ours[32], theirs[32];

    return str_eq(version_of(str_of(resource->stored), ours), version_of(str_of(body), theirs));
}

static void patch_status(struct fake_conn *conn, const char *path, const char *head,
                         const char *body)
{
    struct str rest = str_of(path + strlen("/apis/" RESOURCE_API "/namespaces/shop/"));
    struct resource *resource;

    (void)str_cut(&rest, '/');
    resource = find(str_cut(&rest, '/'));
    snprintf(sw.path, sizeof(sw.path), "%s", path);
    snprintf(sw.body, sizeof(sw.body), "%s", body);
    snprintf(sw.head, sizeof(sw.head), "%.1000s", head);
    sw.conn = conn;
    sw.patches++;
    cr_assert_not_null(resource);
    resource->patches++;
    if (sw.answer < 0)
        return;
    if (sw.answer > 0) {
        fake_answer(conn, sw.answer, sw.extra ? sw.extra : "", "{\"message\":\"as scripted\"}");
        return;
    }
    if (!is_current(resource, body)) {
        fake_answer(conn, 409, "", "{\"message\":\"it has been modified\"}");
        return;
    }
    store(resource, str_of(body));
    fake_answer(conn, 200, "", resource->stored);
}

static void take_event(struct fake_conn *conn, const char *path, bool create, const char *body)
{
    const char *reason = strstr(body, "\"reason\":\"");
    size_t len = strlen(sw.reasons);

    snprintf(sw.event_path, sizeof(sw.event_path), "%s", path);
    snprintf(sw.event_body, sizeof(sw.event_body), "%s", body);
    *(create ? &sw.event_creates : &sw.event_patches) += 1;
    if (create) {
        reason += strlen("\"reason\":\"");
        snprintf(sw.reasons + len, sizeof(sw.reasons) - len, "%s%.*s", len ? " " : "",
                 (int)strcspn(reason, "\""), reason);
    }
    fake_answer(conn, sw.event_answer ? sw.event_answer : 201, "", "{}");
}

static void serve(void *ctx unused_arg, struct fake_conn *conn, const char *path, const char *head)
{
    const char *body = strstr(head, "\r\n\r\n") + 4;

    if (strstr(path, "/lookasideservices/"))
        patch_status(conn, path, head, body);
    else
        take_event(conn, path, strncmp(head, "POST ", 5) == 0, body);
}

/* ---- life ---- */

static void writers_make(void)
{
    sw.events = events_new(&(struct events_options){
        .client = sw.client, .budget = sw.budget, .identity = "me", .again_ms = 300});
    sw.writer = status_new(&(struct status_options){
        .client = sw.client,
        .budget = sw.budget,
        .events = sw.events,
        .read = read_status,
        .clients = count_clients,
        .load = read_load,
        .uncounted = uncounted,
        .pause_ms = PAUSE_MS,
        .counters_ms = COUNTERS_MS,
    });
}

void another_replica(void)
{
    status_free(sw.writer);
    events_free(sw.events);
    writers_make();
    for (size_t i = 0; i < sw.resources_len; i++) {
        observe(&sw.resources[i]);
        touch(&sw.resources[i]);
    }
    status_set_active(sw.writer, true);
}

void status_world_make(void)
{
    memset(&sw, 0, sizeof(sw));
    cr_assert_eq(loop_new(&sw.loop, NULL), CODE_OK);
    sw.server.on_request = serve;
    fake_server_start(&sw.server, sw.loop, 0);
    snprintf(sw.url, sizeof(sw.url), "http://127.0.0.1:%u", sw.server.port);
    sw.config.server = sw.url;
    sw.uncounted = "";
    sw.may = true;
    cr_assert_eq(kube_client_new(sw.loop, &sw.config, &sw.client, NULL), CODE_OK);
    sw.budget =
        budget_new(&(struct budget_options){.loop = sw.loop, .per_second = 200, .may = may});
    writers_make();
    status_set_active(sw.writer, true);
}

void status_world_free(void)
{
    status_free(sw.writer);
    events_free(sw.events);
    budget_free(sw.budget);
    kube_client_free(sw.client);
    fake_server_stop(&sw.server);
    loop_free(sw.loop);
}
