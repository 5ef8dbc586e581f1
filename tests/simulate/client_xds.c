/* ADS, state of the world: gRPC's client, and one that asks for every Cluster as Envoy does. */
#include "client_xds.h"

const struct xds_resource *xds_find(const struct xds_type *type, const char *name)
{
    for (size_t i = 0; i < type->len; i++) {
        if (strcmp(type->items[i].name, name) == 0)
            return &type->items[i];
    }
    return NULL;
}

struct xds_resource *xds_get(struct xds_type *type, const char *name)
{
    const struct xds_resource *found = xds_find(type, name);
    struct xds_resource *resource;

    if (found)
        return &type->items[found - type->items];
    if (type->len == RESOURCES_HELD) {
        sim_fail("more than %d names of a type", RESOURCES_HELD);
        return &type->items[0];
    }
    resource = &type->items[type->len++];
    snprintf(resource->name, sizeof(resource->name), "%s", name);
    return resource;
}

/* ---- requests ---- */

void xds_send(struct client *client, enum xds_kind kind, const char *error)
{
    struct xds *xds = client->state;
    struct xds_type *type = &xds->types[kind];
    const char *names[RESOURCES_HELD];
    struct xds_ask ask = {.kind = kind,
                          .version = type->version,
                          .nonce = type->nonce,
                          .error = error,
                          .names = names,
                          .node = !xds->said_node,
                          .agent = xds_is_envoy(client) ? "envoy" : "gRPC C-core",
                          .zone = client->zone,
                          .at_node = client->node};

    for (size_t i = 0; i < type->len; i++) {
        if (type->items[i].wanted)
            names[ask.names_len++] = type->items[i].name;
    }
    xds->said_node = true;
    xds->sent = xds_ask_send(client->call, &ask);
}

/* Makes it wanted, or not, by the next request; true if that is a change. A name that is given up is
 * forgotten. */
static bool set_wanted(const struct xds *xds, struct xds_resource *resource, bool wanted)
{
    if (resource->wanted == wanted)
        return false;
    resource->wanted = wanted;
    resource->wanted_in = xds->sent + 1;
    resource->has = false;
    resource->sent = resource->refused_alone = 0;
    resource->account = (struct account){0};
    return true;
}

static void names_changed(struct client *client, enum xds_kind kind)
{
    struct xds *xds = client->state;

    xds_send(client, kind, NULL);
    xds->types[kind].changed_in = xds->sent;
}

/* What the Listeners lead to is wanted of `kind`, and nothing else; of an Envoy: what it was told of. */
void xds_follow(struct client *client, enum xds_kind kind)
{
    struct xds *xds = client->state;
    struct xds_type *from = &xds->types[kind == XDS_EDS ? XDS_CDS : XDS_LDS];
    struct xds_type *to = &xds->types[kind];
    bool wanted[RESOURCES_HELD] = {false}, changed = false;

    for (size_t i = 0; i < from->len; i++) {
        const struct xds_resource *resource = &from->items[i];
        const char *name = kind == XDS_EDS ? resource->name : resource->leads_to;

        if (kind == XDS_EDS && *resource->leads_to)
            continue; /* it looks its backend up */
        if (resource->has && *name && (resource->wanted || xds_is_envoy(client)))
            wanted[xds_get(to, name) - to->items] = true;
    }
    for (size_t i = 0; i < to->len; i++)
        changed = set_wanted(xds, &to->items[i], wanted[i]) || changed;
    if (changed)
        names_changed(client, kind);
}

static void ask(struct client *client)
{
    struct xds *xds = client->state;
    bool changed = false;

    if (xds_is_envoy(client))
        return;
    for (unsigned i = 0; i < TARGETS; i++) {
        struct xds_resource *resource = xds_get(&xds->types[XDS_LDS], targets[i].text);

        resource->query = client_query(client, targets[i].query);
        changed =
            set_wanted(xds, resource, client->wants & 1u << i && !targets[i].namespace_name) ||
            changed;
    }
    if (changed)
        names_changed(client, XDS_LDS);
    xds_follow(client, XDS_CDS);
    xds_follow(client, XDS_EDS);
}

static void open_call(struct client *client)
{
    client->state = xcalloc(1, sizeof(struct xds));
    if (xds_is_envoy(client))
        names_changed(client, XDS_CDS);
    else
        ask(client);
}

static void close_call(struct client *client)
{
    free(TAKE(client->state));
}

#define ADS "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"

/* They differ in what they ask for. */
#define XDS_CLIENT(kind_name)                                                                      \
    {.name = kind_name,                                                                            \
     .path = ADS,                                                                                  \
     .open = open_call,                                                                            \
     .ask = ask,                                                                                   \
     .receive = xds_receive,                                                                       \
     .check = xds_check,                                                                           \
     .compare = xds_compare,                                                                       \
     .close = close_call}

const struct client_kind_ops grpc_client_ops = XDS_CLIENT("grpc");
const struct client_kind_ops envoy_client_ops = XDS_CLIENT("envoy");
