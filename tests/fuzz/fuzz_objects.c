/*
 * Objects of any content into a controller, and every catalog that comes out obeys the rules of lists.
 *
 * A JSON array is a script: every element goes to one sink as its members "kind" ("Service",
 * "Endpoints", "Node" or EndpointSlice) and "verb" (upsert, remove, begin, list, end, abort, turn)
 * say. Any other text is a manifest file whose objects are upserted.
 */
#include "base/log.h"
#include "base/yaml.h"
#include "controller/controller.h"
#include "controller/manifest.h"
#include "controller/value.h"
#include "model/view.h"
#include "must_hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct controller *controller;
static struct controller_scope *scopes[OBJECT_KINDS];

/* ---- what must hold ---- */

/* What a list says, and what it does not: its addresses, of those that are listed as others too. */
struct listing {
    size_t backends, ready, draining;
    const struct backend **addresses;
};

static int cmp_address(const void *a, const void *b)
{
    return backend_cmp_address(*(const struct backend *const *)a,
                               *(const struct backend *const *)b);
}

static void check_backend(const struct service_port *port, const struct backend *backend,
                          struct listing *listing)
{
    const struct listed *known = service_port_find(port, backend);

    must_hold(known && known->backend == backend && !known->other);
    must_hold((backend->wire.len > 0) == (backend->port != 0));
    listing->addresses[listing->backends++] = backend;
    listing->ready += backend_is_ready(backend);
    listing->draining += backend_is_draining(backend);
}

static void check_item(const struct service_port *port, const struct listed *item,
                       struct listing *listing)
{
    check_backend(port, item->backend, listing);
    must_hold(str_eq(item->zone, service_port_find(port, item->backend)->zone));
    if (!item->other)
        return;
    check_backend(port, item->other, listing);
    must_hold(item->backend->endpoint->family == port->prefers);
    must_hold(item->other->endpoint->family != port->prefers);
    must_hold(item->backend->endpoint->uid.len > 0);
    must_hold(str_eq(item->backend->endpoint->uid, item->other->endpoint->uid));
    must_hold(item->backend->port == item->other->port);
}

/* In order, each address once, either all ready or all draining. */
static void check_list(const struct service_port *port, const struct backend_list *list,
                       struct listing *ret_listing)
{
    struct listing listing = {.addresses = xmalloc((2 * list->len + 1) * sizeof(void *))};
    size_t at = 0;

    for (size_t i = 0; i < list->localities_len; i++) {
        const struct locality *locality = &list->localities[i];

        must_hold(locality->len > 0 && locality->first == at);
        must_hold(i == 0 || str_cmp(list->localities[i - 1].zone, locality->zone) < 0);
        for (; at < locality->first + locality->len; at++) {
            must_hold(str_eq(list->items[at].zone, locality->zone));
            must_hold(at == locality->first || backend_cmp_address(list->items[at - 1].backend,
                                                                   list->items[at].backend) < 0);
            check_item(port, &list->items[at], &listing);
        }
    }
    must_hold(at == list->len);
    must_hold(listing.ready == 0 || listing.draining == 0);
    must_hold(listing.ready + listing.draining == listing.backends);
    if (listing.backends > 0)
        qsort(listing.addresses, listing.backends, sizeof(*listing.addresses), cmp_address);
    for (size_t i = 1; i < listing.backends; i++)
        must_hold(backend_cmp_address(listing.addresses[i - 1], listing.addresses[i]) < 0);
    free(listing.addresses);
    *ret_listing = listing;
}

static void check_all(const struct service_port *port)
{
    size_t ready = 0, draining = 0;

    for (size_t i = 0; i < port->all_len; i++) {
        must_hold(i == 0 ||
                  backend_cmp_address(port->all[i - 1].backend, port->all[i].backend) < 0);
        ready += backend_is_ready(port->all[i].backend);
        draining += backend_is_draining(port->all[i].backend);
    }
    must_hold(ready == port->ready && draining == port->draining && port->all_len == port->total);
}

/* What a client there gets is part of what there is; where that does not depend on the place, it is what everybody gets. */
static void check_view(const struct service_port *port, const struct place *place)
{
    struct view view = view_of(port, place);
    struct backend_list list;
    struct listing listing;
    struct arena arena = {0};

    view_list(port, &view, &arena, &list);
    check_list(port, &list, &listing);
    if (view.ipv4 == VIEW_ALL && view.ipv6 == VIEW_ALL)
        must_hold(list.items == port->list.items && list.len == port->list.len);
    else
        must_hold(port->by_place);
    /* Hints take nothing away where nothing else is left. */
    if (!port->local)
        must_hold((list.len == 0) == (port->list.len == 0));
    must_hold(port->local || (listing.ready > 0) == (port->ready > 0));
    arena_done(&arena);
}

static void check_port(const struct service_port *port)
{
    static const struct place places[] = {
        {STR_INIT(""), STR_INIT("")},    {STR_INIT("a"), STR_INIT("")},
        {STR_INIT("b"), STR_INIT("")},   {STR_INIT(""), STR_INIT("n1")},
        {STR_INIT("a"), STR_INIT("n2")},
    };
    struct listing listing;

    must_hold(port->protocol == PROTOCOL_TCP);
    must_hold(port->prefers == FAMILY_IPV4 || port->prefers == FAMILY_IPV6);
    check_all(port);
    check_list(port, &port->list, &listing);
    must_hold(listing.backends == (port->ready > 0 ? port->ready : port->draining));
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        check_view(port, &places[i]);
}

static void check_service(unused_arg void *ctx, const struct service *service)
{
    for (size_t i = 0; i < service->ports_len; i++) {
        must_hold(i == 0 || service->ports[i - 1].number <= service->ports[i].number);
        must_hold(service->type != SERVICE_EXTERNAL_NAME || service->ports[i].total == 0);
        check_port(&service->ports[i]);
    }
    for (size_t i = 1; i < service->slices_len; i++)
        must_hold(str_cmp(service->slices[i - 1]->name, service->slices[i]->name) <= 0);
    must_hold((service->type == SERVICE_EXTERNAL_NAME) == (service->external_name.len > 0));
}

static void on_publish(unused_arg void *ctx, const struct catalog *catalog)
{
    catalog_each(catalog, check_service, NULL);
    must_hold(catalog_len(catalog) <= counter_get(&controller_stats(controller)->objects_services));
    catalog_unref(catalog);
}

/* ---- what goes in ---- */

static enum object_kind kind_of(struct str name)
{
    for (enum object_kind kind = 0; kind < OBJECT_KINDS; kind++) {
        if (str_eq(name, str_of(value_kind_name(kind))))
            return kind;
    }
    return OBJECT_SLICE;
}

static void apply(const struct json *item)
{
    const struct kube_sink *sink = controller_sink();
    struct str kind = json_text(json_get(item, "kind"));
    struct str verb = json_text(json_get(item, "verb"));
    struct controller_scope *scope = scopes[kind_of(kind)];

    if (str_eq(verb, STR("remove")))
        sink->remove(scope, item);
    else if (str_eq(verb, STR("begin")))
        sink->list_begin(scope);
    else if (str_eq(verb, STR("list")))
        sink->list_object(scope, item);
    else if (str_eq(verb, STR("end")))
        (void)sink->list_end(scope);
    else if (str_eq(verb, STR("abort")))
        sink->list_abort(scope);
    else if (str_eq(verb, STR("turn")))
        loop_turn(loop, 0);
    else
        sink->upsert(scope, item);
}

static void apply_manifest(struct str text)
{
    struct manifest manifest = {0};
    struct err err = {0};

    if (manifest_parse(text, false, &manifest, &err) == CODE_OK) {
        for (size_t i = 0; i < manifest.len; i++) {
            struct json *tombstone = manifest_tombstone(manifest.objects[i].key);

            must_hold(manifest_key_kind(manifest.objects[i].key) == manifest.objects[i].kind);
            controller_sink()->upsert(scopes[manifest.objects[i].kind], manifest.objects[i].json);
            json_free(tombstone);
        }
    } else {
        must_hold(str_starts_with(str_of(err.msg), STR("line ")) ||
                  err.code != CODE_INVALID_ARGUMENT);
    }
    manifest_done(&manifest);
}

static void start(void)
{
    struct controller_options options = {.publish = on_publish};

    if (!loop)
        must_hold(loop_new(&loop, NULL) == CODE_OK);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    options.loop = loop;
    controller = controller_new(&options);
    for (enum object_kind kind = 0; kind < OBJECT_KINDS; kind++)
        scopes[kind] = controller_scope_new(controller, kind, value_kind_name(kind));
}

static void stop(void)
{
    const struct controller_stats *stats = controller_stats(controller);

    for (enum object_kind kind = 0; kind < OBJECT_KINDS; kind++)
        controller_scope_free(scopes[kind]);
    must_hold(counter_get(&stats->objects_services) == 0);
    must_hold(counter_get(&stats->objects_slices) == 0);
    must_hold(counter_get(&stats->objects_endpoints) == 0);
    must_hold(counter_get(&stats->objects_nodes) == 0);
    controller_free(controller);
    loop_turn(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make(data, size);
    struct json *json = NULL;

    start();
    if (json_parse(text, &json, NULL) == CODE_OK && json_type(json) == JSON_ARRAY) {
        for (const struct json *item = json_first(json); item; item = json_next(item))
            apply(item);
    } else {
        apply_manifest(text);
    }
    controller_set_synced(controller);
    json_free(json);
    stop();
    return 0;
}
