/* What people, pods and the EndpointSlice controller do to the cluster. */
#include "cluster.h"
#include "object_json.h"
#include "schedule.h"
#include "sim.h"

#define LATE 3 /* the Service that is headless and has no ports */
#define TARGET 9090

static const struct {
    size_t len;
    struct api_port ports[PORTS_MAX];
} specs[] = {
    {1, {{"grpc", 8001, API_TCP, ""}}},
    {2, {{"grpc", 8001, API_TCP, ""}, {"http", 80, API_TCP, ""}}},
    {1, {{"", 8001, API_TCP, ""}}},
    {1, {{"web", 8001, API_TCP, "kubernetes.io/h2c"}}},
    {2, {{"web", 8001, API_TCP, ""}, {"admin", 8080, API_TCP, "grpc"}}},
    {2, {{"grpc", 8001, API_TCP, "grpc"}, {"dns", 53, API_UDP, ""}}},
    {2, {{"web", 80, API_TCP, ""}, {"grpc", 8001, API_TCP, ""}}},
    {1, {{"grpc", 80, API_TCP, ""}}},
    {3, {{"a", 8001, API_TCP, ""}, {"b", 80, API_TCP, ""}, {"c", 8080, API_TCP, ""}}},
};

static void put(const struct api_object *object, const char *what)
{
    char text[400];

    object_describe(cluster_put(object), text, sizeof(text));
    sim_trace("step %zu, version %llu: %s: %s", cluster.step, (unsigned long long)cluster.version,
              what, text);
}

static void delete_slot(unsigned slot)
{
    char name[TEXT];

    if (!cluster_get(slot))
        return;
    cluster_delete(slot);
    slot_name(slot, name);
    sim_trace("step %zu, version %llu: deleted: %s/%s", cluster.step,
              (unsigned long long)cluster.version, slot_namespace(slot), name);
}

static unsigned pick_service(const struct action *action)
{
    return action->a % 8 < 4 ? 0 : action->a % SERVICES; /* most of it happens to one */
}

/* ---- Services ---- */

static void set_spec(struct api_service *service, unsigned slot, uint32_t choice)
{
    size_t spec = choice % ARRAY_LEN(specs);

    service->ports_len = slot == LATE ? 0 : specs[spec].len;
    memset(service->ports, 0, sizeof(service->ports));
    memcpy(service->ports, specs[spec].ports, service->ports_len * sizeof(*service->ports));
    service->headless = slot == LATE || (slot == 2 && choice / 16 % 2);
}

static void service_put(const struct action *action)
{
    unsigned slot = pick_service(action);
    const struct api_object *now = cluster_get(slot);
    struct api_object object = now ? *now : (struct api_object){.slot = slot};

    if (!now || now->bad)
        object = (struct api_object){.slot = slot};
    if (!*object.service.uid)
        cluster_new_uid(object.service.uid);
    set_spec(&object.service, slot, now ? action->b : action->b % 3);
    put(&object, now ? "Service changed" : "Service created");
}

static void service_policy(const struct action *action)
{
    unsigned slot = pick_service(action);
    const struct api_object *now = cluster_get(slot);
    struct api_object object;

    if (!now || now->bad)
        return;
    object = *now;
    object.service.local = action->b % 3 == 0;
    object.service.families[0] = action->c % 3 == 0 ? 6 : 4;
    object.service.families[1] = action->c % 3 == 0 ? 4 : action->c % 3 == 1 ? 6 : 0;
    put(&object, "Service's policy changed");
}

/* To an ExternalName, and back. */
static void service_outside(const struct action *action)
{
    unsigned slot = pick_service(action);
    const struct api_object *now = cluster_get(slot);
    struct api_object object;
    char *name = object.service.external_name;

    if (!now || now->bad || slot == LATE)
        return;
    object = *now;
    if (*name)
        *name = '\0';
    else
        snprintf(name, TEXT, "host-%u.example.com", action->b % 2);
    put(&object, *name ? "Service moves outside" : "Service comes back");
}

static void service_delete(const struct action *action)
{
    delete_slot(pick_service(action));
}

/* As it was before it was spoiled, or was meant to be. */
static struct api_object mended_service(const struct api_object *object)
{
    struct api_object good = *object;

    good.bad = false;
    if (*good.service.uid)
        return good;
    cluster_new_uid(good.service.uid);
    set_spec(&good.service, good.slot, 0);
    return good;
}

/* kubectl replace --force */
static void service_replace(const struct action *action)
{
    unsigned slot = pick_service(action);
    const struct api_object *now = cluster_get(slot);
    struct api_object object;

    if (!now)
        return;
    object = mended_service(now);
    cluster_new_uid(object.service.uid);
    delete_slot(slot);
    put(&object, "Service created again");
}

/* ---- slices ---- */

static void set_endpoint(struct api_endpoint *endpoint, unsigned service, int family, unsigned pod,
                         uint32_t conditions)
{
    static const enum nil_bool states[][3] = {
        {YES, YES, NO}, {YES, NIL, NIL}, {NIL, NIL, NIL}, {YES, YES, NO}, {YES, YES, NO},
        {NO, NO, NO},   {NO, YES, YES},  {NO, NIL, YES},  {NO, NO, YES},  {YES, YES, YES},
    };
    const enum nil_bool *state = states[conditions % ARRAY_LEN(states)];

    *endpoint = (struct api_endpoint){.ready = state[0],
                                      .serving = state[1],
                                      .terminating = state[2],
                                      .pod = pod,
                                      .node = pod % NODES,
                                      .zone = (int)(pod % NODES % ZONES)};
    snprintf(endpoint->address, TEXT, family == 6 ? "fd00::%u:%u" : "10.1.%u.%u", service + 1, pod + 1);
}

static void set_ports(struct api_slice *slice, unsigned service, uint32_t choice)
{
    const struct api_object *object = cluster_get(service);

    memset(slice->ports, 0, sizeof(slice->ports));
    if (service == LATE) {
        slice->ports_len = cluster.portless ? 0 : 1;
        slice->ports[0].number = TARGET;
        return;
    }
    if (object && object->service.ports_len == 0)
        object = NULL; /* it was malformed from the beginning */
    slice->ports_len = object ? object->service.ports_len : specs[0].len;
    memcpy(slice->ports, object ? object->service.ports : specs[0].ports,
           slice->ports_len * sizeof(*slice->ports));
    for (size_t i = 0; i < slice->ports_len; i++)
        slice->ports[i].number = TARGET + (unsigned)i + (choice % 4 == 0);
    if (object && object->service.headless && choice / 4 % 8 == 0)
        slice->ports_len = 0; /* the pods lack the named ports */
}

/* The present Service's; nobody's; an earlier Service's. */
static void set_owner(struct api_slice *slice, unsigned service, uint32_t choice)
{
    const struct api_object *object = cluster_get(service);

    memset(slice->owner_uid, 0, sizeof(slice->owner_uid));
    slice->knative = choice / 8 % 4 == 1;
    if (choice % 8 == 1)
        snprintf(slice->owner_uid, sizeof(slice->owner_uid), "uid-before");
    else if (object && choice % 8 != 0)
        snprintf(slice->owner_uid, sizeof(slice->owner_uid), "%s", object->service.uid);
}

static void slice_put(const struct action *action)
{
    unsigned service = pick_service(action), index = action->b % SLICES;
    struct api_object object = {.slot = slice_slot(service, index)};
    struct api_slice *slice = &object.slice;
    unsigned pods = action->c & action->c >> 8;

    slice->family = index >= SLICES - 2 ? 6 : 4;
    set_ports(slice, service, action->b >> 8);
    set_owner(slice, service, action->b >> 16);
    slice->junk = action->b >> 24 & action->b >> 28;
    for (unsigned pod = 0; pod < ENDPOINTS_MAX; pod++) {
        if (pods & 1u << pod)
            set_endpoint(&slice->endpoints[slice->endpoints_len++], service, slice->family, pod,
                         action->c >> 16 >> pod);
    }
    put(&object, cluster_get(object.slot) ? "slice rewritten" : "slice created");
}

static void slice_delete(const struct action *action)
{
    delete_slot(slice_slot(pick_service(action), action->b % SLICES));
}

/* The garbage collector, after the Service. */
static void slices_delete(const struct action *action)
{
    for (unsigned i = 0; i < SLICES; i++)
        delete_slot(slice_slot(pick_service(action), i));
}

/* The EndpointSlice controller catches up with the Service. */
static void slices_follow(const struct action *action)
{
    unsigned service = pick_service(action);

    for (unsigned i = 0; i < SLICES; i++) {
        const struct api_object *now = cluster_get(slice_slot(service, i));
        struct api_object object;

        if (!now || now->bad || !cluster_get(service))
            continue;
        object = *now;
        set_ports(&object.slice, service, action->b);
        set_owner(&object.slice, service, 2);
        put(&object, "slice follows");
    }
}

/* A slice that is there and has endpoints; NULL: none from there on. */
static const struct api_object *filled_slice(unsigned service, uint32_t from)
{
    for (unsigned i = 0; i < SLICES; i++) {
        const struct api_object *object = cluster_get(slice_slot(service, (from + i) % SLICES));

        if (object && !object->bad && object->slice.endpoints_len > 0)
            return object;
    }
    return NULL;
}

static void endpoint_flip(const struct action *action)
{
    unsigned service = pick_service(action);
    const struct api_object *now = filled_slice(service, action->b % SLICES);
    struct api_object object;
    struct api_endpoint *endpoint;
    int zone;

    if (!now)
        return;
    object = *now;
    endpoint = &object.slice.endpoints[action->c % object.slice.endpoints_len];
    zone = endpoint->zone;
    set_endpoint(endpoint, service, object.slice.family, endpoint->pod, action->c >> 8);
    endpoint->zone = zone;
    put(&object, "conditions changed");
}

static void remove_endpoint(struct api_slice *slice, size_t index)
{
    slice->endpoints_len--;
    memmove(&slice->endpoints[index], &slice->endpoints[index + 1],
            (slice->endpoints_len - index) * sizeof(*slice->endpoints));
}

static void endpoint_remove(const struct action *action)
{
    const struct api_object *now = filled_slice(pick_service(action), action->b % SLICES);
    struct api_object object;

    if (!now)
        return;
    object = *now;
    remove_endpoint(&object.slice, action->c % object.slice.endpoints_len);
    put(&object, "endpoint removed");
}

/* From one slice to another: two changes, in either order. */
static void endpoint_move(const struct action *action)
{
    unsigned service = pick_service(action);
    const struct api_object *from = filled_slice(service, action->b % SLICES);
    const struct api_object *to = cluster_get(slice_slot(service, action->c % SLICES));
    struct api_object less, more;
    size_t index;

    if (!from || !to || to == from || to->bad || to->slice.family != from->slice.family ||
        to->slice.endpoints_len == ENDPOINTS_MAX)
        return;
    less = *from;
    more = *to;
    index = action->a / 64 % less.slice.endpoints_len;
    more.slice.endpoints[more.slice.endpoints_len++] = less.slice.endpoints[index];
    remove_endpoint(&less.slice, index);
    if (action->c >> 8 & 1)
        put(&more, "endpoint moves in");
    put(&less, "endpoint moves out");
    if (!(action->c >> 8 & 1))
        put(&more, "endpoint moves in");
}

/* trafficDistribution: every endpoint gets hints, or none, or all but one. */
static void slices_hint(const struct action *action)
{
    unsigned service = pick_service(action);
    bool zones = action->b & 1, nodes = action->b & 2, sparse = (action->b & 12) == 0;

    for (unsigned i = 0; i < SLICES; i++) {
        const struct api_object *now = cluster_get(slice_slot(service, i));
        struct api_object object;

        if (!now || now->bad || now->slice.endpoints_len == 0)
            continue;
        object = *now;
        for (size_t k = 0; k < object.slice.endpoints_len; k++) {
            struct api_endpoint *endpoint = &object.slice.endpoints[k];
            bool none = sparse && k == 0;

            endpoint->zone_hints = zones && !none ? 1u << (endpoint->node % ZONES) : 0;
            endpoint->node_hints = nodes && !none ? 1u << endpoint->node : 0;
            if (action->c >> k & 1 && endpoint->zone_hints)
                endpoint->zone_hints |= 1;
        }
        put(&object, "hints changed");
    }
}

static void slice_touch(const struct action *action)
{
    const struct api_object *now = filled_slice(pick_service(action), action->b % SLICES);

    if (now)
        put(now, "annotated");
}

/* Wrong in the cloud provider's data, and then right. */
static void zone_change(const struct action *action)
{
    const struct api_object *now = filled_slice(pick_service(action), action->b % SLICES);
    struct api_object object;

    if (!now)
        return;
    object = *now;
    object.slice.endpoints[action->c % object.slice.endpoints_len].zone =
        (int)(action->c >> 8) % (ZONES + 1) - 1;
    put(&object, "zone changed");
}

/* ---- malformed ---- */

static unsigned count_bad(unsigned service)
{
    unsigned bad = 0;

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        const struct api_object *object = cluster_get(slot);

        bad += slot_service(slot) == service && object && object->bad;
    }
    return bad;
}

static void spoil(const struct action *action)
{
    unsigned service = pick_service(action);
    unsigned slot = action->b % 4 == 0 ? service : slice_slot(service, action->b % SLICES);
    const struct api_object *now = cluster_get(slot);
    struct api_object object = now ? *now : (struct api_object){.slot = slot};

    object.bad = true;
    if (count_bad(service) < BAD_MAX)
        put(&object, "malformed");
}

static struct api_object mended_slice(const struct api_object *object)
{
    struct api_object good = *object;

    good.bad = false;
    if (good.slice.family == 0) {
        good.slice.family = 4;
        set_ports(&good.slice, slot_service(good.slot), 0);
    }
    return good;
}

static void mend(const struct action *action unused_arg)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        const struct api_object *now = cluster_get(slot);
        struct api_object object;

        if (!now || !now->bad)
            continue;
        object = slot < SERVICES ? mended_service(now) : mended_slice(now);
        put(&object, "mended");
    }
}

const struct action_kind cluster_actions[] = {
    {"service-put", 4, service_put}, /* these three fill the cluster */
    {"slice-put", 10, slice_put},
    {"slices-follow", 6, slices_follow},
    {"service-policy", 2, service_policy},
    {"service-outside", 2, service_outside},
    {"service-delete", 3, service_delete},
    {"service-replace", 3, service_replace},
    {"slice-delete", 4, slice_delete},
    {"slices-delete", 1, slices_delete},
    {"endpoint-flip", 12, endpoint_flip},
    {"endpoint-remove", 6, endpoint_remove},
    {"endpoint-move", 6, endpoint_move},
    {"slices-hint", 3, slices_hint},
    {"slice-touch", 2, slice_touch},
    {"zone-change", 1, zone_change},
    {"spoil", 2, spoil},
    {"mend", 2, mend},
    {0},
};
