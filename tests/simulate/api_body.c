#include "api_body.h"

#include "object_json.h"

#define BODY_MAX (8 * 1024 * 1024)

static const char *const kinds[RESOURCES] = {"Service", "EndpointSlice"};

void api_body_init(struct api_body *body, enum resource resource)
{
    *body = (struct api_body){.resource = resource};
    buf_init(&body->bytes, BODY_MAX);
}

void api_body_done(struct api_body *body)
{
    buf_done(&body->bytes);
    free(body->marks);
}

static void add_mark(struct api_body *body, struct api_mark mark)
{
    mark.at = body->bytes.len;
    body->marks = xgrow(body->marks, &body->marks_cap, body->marks_len, sizeof(*body->marks));
    body->marks[body->marks_len++] = mark;
}

/* ---- lists ---- */

/* `at` moves to the first object that finds no room, or to the end. */
static void add_items(struct buf *items, struct api_place *at, unsigned end, size_t limit)
{
    size_t len = 0;

    for (; at->slot < end; at->slot++) {
        const struct api_object *object = cluster_at(at->slot, at->step);

        if (!object)
            continue;
        if (len == limit)
            break;
        (void)buf_add_str(items, len++ ? STR(",") : STR(""));
        object_write(items, object, object->version);
    }
}

void api_body_add_page(struct api_body *body, struct api_place at, size_t limit, uint64_t version,
                       bool counts)
{
    struct buf items = BUFFER_INIT(BODY_MAX);
    unsigned end = resource_end(body->resource);
    char next[32] = "";

    add_items(&items, &at, end, limit);
    if (at.slot < end)
        snprintf(next, sizeof(next), "%zu.%u", at.step, at.slot);
    (void)buf_printf(&body->bytes,
                     "{\"kind\":\"%sList\",\"metadata\":{\"resourceVersion\":\"%llu\","
                     "\"continue\":\"%s\"},\"items\":[",
                     kinds[body->resource], (unsigned long long)version, next);
    (void)buf_add_str(&body->bytes, buf_str(&items));
    (void)buf_add_str(&body->bytes, STR("]}"));
    buf_done(&items);
    if (at.slot == end && counts)
        add_mark(body, (struct api_mark){.kind = MARK_LIST, .step = at.step});
}

/* ---- watches ---- */

static void add_bookmark(struct api_body *body, uint64_t version, const char *annotations)
{
    (void)buf_printf(&body->bytes,
                     "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"metadata\":{"
                     "\"resourceVersion\":\"%llu\",\"creationTimestamp\":null%s}}}\n",
                     kinds[body->resource], (unsigned long long)version, annotations);
}

void api_body_add_bookmark(struct api_body *body, uint64_t version)
{
    add_bookmark(body, version, "");
}

static void add_line(struct api_body *body, const char *type, const char *comma,
                     const struct api_object *object, uint64_t version)
{
    (void)buf_printf(&body->bytes, "{\"type\":\"%s\",%s\"object\":", type, comma);
    object_write(&body->bytes, object, version);
    (void)buf_add_str(&body->bytes, STR("}\n"));
}

void api_body_add_state(struct api_body *body)
{
    unsigned end = resource_end(body->resource);

    for (unsigned slot = resource_first(body->resource); slot < end; slot++) {
        const struct api_object *object = cluster_get(slot);

        if (object)
            add_line(body, "ADDED", "", object, object->version);
    }
    add_bookmark(body, cluster.version,
                 ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}");
    add_mark(body, (struct api_mark){.kind = MARK_LIST, .step = cluster.step});
}

void api_body_add_event(struct api_body *body, const struct api_change *change, bool garbled)
{
    const char *type = !change->after ? "DELETED" : change->before ? "MODIFIED" : "ADDED";

    add_line(body, type, garbled ? "," : "", change->after ? change->after : change->before,
             change->version);
    add_mark(body, (struct api_mark){.kind = garbled ? MARK_BAD : MARK_EVENT,
                                     .step = change->step,
                                     .slot = change->slot});
}

void api_body_add_error(struct api_body *body, unsigned status, const char *message)
{
    (void)buf_printf(&body->bytes,
                     "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"status\":\"Failure\","
                     "\"code\":%u,\"message\":\"%s\"}}\n",
                     status, message);
    add_mark(body, (struct api_mark){.kind = MARK_BAD});
}
