#include "object_json.h"

#define ADD(...) ((void)buf_printf(out, __VA_ARGS__))

static void write_port(struct buf *out, const struct api_port *port)
{
    ADD("{\"name\":\"%s\"", port->name);
    if (port->number)
        ADD(",\"port\":%u", port->number);
    if (*port->app_protocol)
        ADD(",\"appProtocol\":\"%s\"", port->app_protocol);
    ADD(",\"protocol\":\"%s\"}", port->protocol == API_UDP ? "UDP" : "TCP");
}

/* Go writes a nil slice as null. */
static void write_ports(struct buf *out, const struct api_port *ports, size_t len)
{
    if (len == 0) {
        ADD("\"ports\":null");
        return;
    }
    ADD("\"ports\":[");
    for (size_t i = 0; i < len; i++) {
        ADD("%s", i ? "," : "");
        write_port(out, &ports[i]);
    }
    ADD("]");
}

static void write_service(struct buf *out, const struct api_object *object)
{
    const struct api_service *service = &object->service;

    ADD("\"spec\":{\"selector\":{\"app\":\"v%u\"},", service->selector);
    if (object->bad)
        ADD("\"sessionAffinity\":7,\"clusterIP\":[],");
    else if (*service->external_name)
        ADD("\"type\":\"ExternalName\",\"externalName\":\"%s\",", service->external_name);
    else
        ADD("\"type\":\"ClusterIP\",\"clusterIP\":\"%s\",", service->headless ? "None" : "10.96.0.1");
    if (service->local)
        ADD("\"internalTrafficPolicy\":\"Local\",");
    if (service->families[0] && service->families[1])
        ADD("\"ipFamilies\":[\"IPv%d\",\"IPv%d\"],", service->families[0], service->families[1]);
    else if (service->families[0])
        ADD("\"ipFamilies\":[\"IPv%d\"],", service->families[0]);
    write_ports(out, service->ports, service->ports_len);
    ADD("}");
}

static void write_condition(struct buf *out, const char *name, enum nil_bool value, bool *comma)
{
    if (value == NIL)
        return;
    ADD("%s\"%s\":%s", *comma ? "," : "", name, value == YES ? "true" : "false");
    *comma = true;
}

static void write_hints(struct buf *out, const char *key, const char *prefix, unsigned bits,
                        unsigned count)
{
    bool comma = false;

    ADD("\"%s\":[", key);
    for (unsigned i = 0; i < count; i++) {
        if (!(bits & 1u << i))
            continue;
        ADD("%s{\"name\":\"%s", comma ? "," : "", prefix);
        ADD(*prefix ? "%u\"}" : "zone-%c\"}", *prefix ? i : 'a' + i);
        comma = true;
    }
    ADD("]");
}

static void write_endpoint(struct buf *out, const struct api_endpoint *endpoint)
{
    bool comma = false;

    ADD("{\"addresses\":[\"%s\"],\"conditions\":{", endpoint->address);
    write_condition(out, "ready", endpoint->ready, &comma);
    write_condition(out, "serving", endpoint->serving, &comma);
    write_condition(out, "terminating", endpoint->terminating, &comma);
    ADD("},\"hostname\":\"pod-%u\",\"nodeName\":\"node-%u\"", endpoint->pod, endpoint->node);
    if (endpoint->zone >= 0)
        ADD(",\"zone\":\"%s\"", zone_name(endpoint->zone));
    ADD(",\"targetRef\":{\"kind\":\"Pod\",\"name\":\"pod-%u\",\"uid\":\"pod-uid-%u\"}",
        endpoint->pod, endpoint->pod);
    if (endpoint->zone_hints || endpoint->node_hints)
        ADD(",\"hints\":{");
    if (endpoint->zone_hints)
        write_hints(out, "forZones", "", endpoint->zone_hints, ZONES);
    if (endpoint->zone_hints && endpoint->node_hints)
        ADD(",");
    if (endpoint->node_hints)
        write_hints(out, "forNodes", "node-", endpoint->node_hints, NODES);
    if (endpoint->zone_hints || endpoint->node_hints)
        ADD("}");
    ADD("}");
}

/* As an API server may have them from an older version, or lets them through. */
static void write_junk(struct buf *out, size_t index)
{
    static const char *const addresses[] = {"[\"239.0.0.1\"]", "[\"010.0.0.1\"]", "[]",
                                            "[\"::ffff:10.0.0.1\"]"};

    ADD("{\"addresses\":%s,\"conditions\":{\"ready\":true}},",
        addresses[index % ARRAY_LEN(addresses)]);
}

static void write_slice(struct buf *out, const struct api_object *object)
{
    const struct api_slice *slice = &object->slice;

    ADD("\"addressType\":\"%s\",", object->bad ? "IPv5" : slice->family == 6 ? "IPv6" : "IPv4");
    write_ports(out, slice->ports, slice->ports_len);
    if (slice->endpoints_len == 0) {
        ADD(",\"endpoints\":null");
        return;
    }
    ADD(",\"endpoints\":[");
    for (size_t i = 0; i < slice->endpoints_len; i++) {
        ADD("%s", i ? "," : "");
        if (slice->junk & 1u << i)
            write_junk(out, i);
        write_endpoint(out, &slice->endpoints[i]);
    }
    ADD("]");
}

static void write_slice_meta(struct buf *out, const struct api_object *object)
{
    const struct api_slice *slice = &object->slice;
    char service[TEXT];

    slot_name(slot_service(object->slot), service);
    ADD(",\"labels\":{\"kubernetes.io/service-name\":\"%s\"},\"ownerReferences\":[", service);
    if (slice->knative)
        ADD("{\"apiVersion\":\"serving.knative.dev/v1\",\"kind\":\"Service\",\"name\":\"%s\","
            "\"uid\":\"uid-knative\"}%s",
            service, *slice->owner_uid ? "," : "");
    if (*slice->owner_uid)
        ADD("{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"name\":\"%s\",\"uid\":\"%s\"}", service,
            slice->owner_uid);
    ADD("]");
}

void object_write(struct buf *out, const struct api_object *object, uint64_t version)
{
    bool is_service = slot_resource(object->slot) == RESOURCE_SERVICES;
    char name[TEXT];

    slot_name(object->slot, name);
    ADD("{\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\",\"resourceVersion\":\"%llu\"",
        slot_namespace(object->slot), name, (unsigned long long)version);
    if (is_service)
        ADD(",\"uid\":\"%s\"", object->service.uid);
    else
        write_slice_meta(out, object);
    ADD("},");
    if (is_service)
        write_service(out, object);
    else
        write_slice(out, object);
    ADD("}");
}

/* ---- for people ---- */

static void describe_ports(struct buf *out, const struct api_port *ports, size_t len)
{
    ADD(" ports [");
    for (size_t i = 0; i < len; i++)
        ADD("%s%s%s%u%s", i ? " " : "", ports[i].name, *ports[i].name ? ":" : "", ports[i].number,
            ports[i].protocol == API_UDP ? "/udp" : "");
    ADD("]");
}

static const char *describe_condition(const struct api_endpoint *endpoint)
{
    if (endpoint->ready != NO)
        return endpoint->terminating == YES ? "+terminating" : "";
    if (endpoint->terminating == YES)
        return endpoint->serving != NO ? " draining" : " stopped";
    return " unready";
}

static void describe_slice(struct buf *out, const struct api_slice *slice)
{
    ADD(" IPv%d%s%s", slice->family, *slice->owner_uid ? " of " : "", slice->owner_uid);
    describe_ports(out, slice->ports, slice->ports_len);
    ADD(" {");
    for (size_t i = 0; i < slice->endpoints_len; i++) {
        const struct api_endpoint *endpoint = &slice->endpoints[i];

        ADD("%s%s%s", i ? ", " : "", endpoint->address, describe_condition(endpoint));
        if (endpoint->zone_hints)
            ADD(" z%x", endpoint->zone_hints);
        if (endpoint->node_hints)
            ADD(" n%x", endpoint->node_hints);
    }
    ADD("}");
}

void object_describe(const struct api_object *object, char *text, size_t size)
{
    struct buf buf = BUFFER_INIT(4096), *out = &buf;
    const struct api_service *service = &object->service;
    char name[TEXT];

    slot_name(object->slot, name);
    ADD("%s/%s", slot_namespace(object->slot), name);
    if (object->bad) {
        ADD(" (malformed)");
    } else if (slot_resource(object->slot) == RESOURCE_SLICES) {
        describe_slice(out, &object->slice);
    } else {
        ADD(" %s%s%s", service->uid, service->headless ? " headless" : "",
            service->local ? " local" : "");
        if (*service->external_name)
            ADD(" external %s", service->external_name);
        if (service->families[0])
            ADD(" IPv%d first", service->families[0]);
        describe_ports(out, service->ports, service->ports_len);
    }
    snprintf(text, size, "%s", buf_cstr(out));
    buf_done(out);
}
