/* ADS, state of the world: gRPC's client, and one that asks for every Cluster as Envoy does. */
#include "base/hash.h"
#include "client.h"
#include "xds_read.h"

enum { RESOURCES_HELD = 40, NONCES = 512 };

/* A resource by name, as this call has it. */
struct held {
    char name[XDS_TEXT];
    bool wanted;        /* in the newest request */
    size_t wanted_in;   /* since that request */
    bool has;           /* was sent since it was wanted */
    bool refused;       /* some version was, on this call */
    uint64_t sent;      /* hash of the bytes sent last; 0: none */
    uint64_t refused_alone; /* hash of bytes that were refused and stood alone */
    size_t refused_in;      /* by that request */
    char leads_to[XDS_TEXT]; /* a Listener: its Cluster; a Cluster: the host to look up */
    unsigned port;           /* of the host */
    struct query query;
    struct account account; /* of a ClusterLoadAssignment */
};

struct type {
    struct held items[RESOURCES_HELD];
    size_t len;
    char nonce[32], version[32]; /* of the newest response; of the newest that was taken */
    char taken[32];              /* the nonce of that */
    bool asked;          /* something of the type */
    size_t changed_in;   /* the request that changed its names last */
};

struct xds {
    struct type types[XDS_KINDS];
    uint64_t nonces[NONCES];
    size_t nonces_len;
    bool said_node;
    size_t sent; /* the number of the newest request */
    size_t responses, refusals;
};

static bool is_envoy(const struct client *client)
{
    return client->ops == &envoy_client_ops;
}

static struct held *find(struct type *type, const char *name)
{
    for (size_t i = 0; i < type->len; i++) {
        if (strcmp(type->items[i].name, name) == 0)
            return &type->items[i];
    }
    return NULL;
}

static struct held *get(struct type *type, const char *name)
{
    struct held *resource = find(type, name);

    if (resource)
        return resource;
    if (type->len == RESOURCES_HELD) {
        sim_fail("more than %d names of a type", RESOURCES_HELD);
        return &type->items[0];
    }
    resource = &type->items[type->len++];
    snprintf(resource->name, sizeof(resource->name), "%s", name);
    return resource;
}

/* ---- requests ---- */

static void send_request(struct client *client, enum xds_kind kind, const char *error)
{
    struct xds *xds = client->state;
    struct type *type = &xds->types[kind];
    const char *names[RESOURCES_HELD];
    struct xds_ask ask = {.kind = kind,
                          .version = type->version,
                          .nonce = type->nonce,
                          .error = error,
                          .names = names,
                          .node = !xds->said_node,
                          .agent = is_envoy(client) ? "envoy" : "gRPC C-core",
                          .zone = client->zone,
                          .at_node = client->node};

    for (size_t i = 0; i < type->len; i++) {
        if (type->items[i].wanted)
            names[ask.names_len++] = type->items[i].name;
    }
    type->asked = true;
    xds->said_node = true;
    xds->sent = xds_ask_send(client->call, &ask);
}

/* Makes it wanted, or not, by the next request; true if that is a change. A name that is given up is
 * forgotten. */
static bool set_wanted(const struct xds *xds, struct held *resource, bool wanted)
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

    send_request(client, kind, NULL);
    xds->types[kind].changed_in = xds->sent;
}

/* What the Listeners lead to is wanted of `kind`, and nothing else; of an Envoy: what it was told of. */
static void follow(struct client *client, enum xds_kind kind)
{
    struct xds *xds = client->state;
    struct type *from = &xds->types[kind == XDS_EDS ? XDS_CDS : XDS_LDS];
    struct type *to = &xds->types[kind];
    bool wanted[RESOURCES_HELD] = {false}, changed = false;

    for (size_t i = 0; i < from->len; i++) {
        const struct held *resource = &from->items[i];
        const char *name = kind == XDS_EDS ? resource->name : resource->leads_to;

        if (kind == XDS_EDS && *resource->leads_to)
            continue; /* it looks its backend up */
        if (resource->has && *name && (resource->wanted || is_envoy(client)))
            wanted[get(to, name) - to->items] = true;
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

    if (is_envoy(client))
        return;
    for (unsigned i = 0; i < TARGETS; i++) {
        struct held *resource = get(&xds->types[XDS_LDS], targets[i].text);

        resource->query = client_query(client, targets[i].query);
        changed = set_wanted(xds, resource, client->wants & 1u << i &&
                                                !targets[i].namespace_name) || changed;
    }
    if (changed)
        names_changed(client, XDS_LDS);
    follow(client, XDS_CDS);
    follow(client, XDS_EDS);
}

static void open_call(struct client *client)
{
    client->state = xcalloc(1, sizeof(struct xds));
    if (is_envoy(client))
        names_changed(client, XDS_CDS);
    else
        ask(client);
}

static void close_call(struct client *client)
{
    free(TAKE(client->state));
}

/* ---- responses: their shape ---- */

static void check_nonce(struct client *client, const char *nonce)
{
    struct xds *xds = client->state;
    uint64_t hash = hash_content(nonce, strlen(nonce));

    for (size_t i = 0; i < xds->nonces_len; i++)
        if (xds->nonces[i] == hash)
            sim_fail("client %u: the nonce %s comes again", client->index, nonce);
    if (xds->nonces_len < NONCES)
        xds->nonces[xds->nonces_len++] = hash;
}

/* Full state takes nothing away that the client still names; a wildcard's may. */
static void check_complete(struct client *client, enum xds_kind kind, const bool *present)
{
    struct xds *xds = client->state;
    struct type *type = &xds->types[kind];

    for (size_t i = 0; i < type->len; i++) {
        struct held *resource = &type->items[i];

        if (present[i] || !resource->has)
            continue;
        if (!resource->wanted)
            resource->has = false;
        else
            sim_fail("client %u: %s %s is withdrawn", client->index, xds_kind_name(kind),
                     resource->name);
    }
}

/* Its version is the content of what was sent and is still named. The names must be the same for both
 * sides: they are when the server has read the newest request about them. */
static void check_version(struct client *client, enum xds_kind kind, const char *version,
                          const struct delivery *delivery)
{
    struct xds *xds = client->state;
    struct type *type = &xds->types[kind];
    uint64_t content = (uint64_t)kind;
    char who[160];

    if (delivery->heard < type->changed_in)
        return;
    for (size_t i = 0; i < type->len; i++) {
        const struct held *resource = &type->items[i];

        if (resource->has)
            content += hash_mix(hash_content(resource->name, strlen(resource->name)),
                                resource->sent);
    }
    client_who(client, xds_kind_name(kind), who);
    judge_version(xds_kind_name(kind), str_of(version), content, who);
}

/* ---- responses: what they say ---- */

static void take_assignment(struct client *client, struct held *resource, struct str value,
                            const struct delivery *delivery)
{
    struct answer answer;
    char who[160];

    client_who(client, resource->name, who);
    if (!xds_read_assignment(value, resource->name, &answer, who))
        return;
    if (!query_from_cluster(resource->name, &resource->query)) {
        sim_fail("%s: a list for a name that is no Cluster's", who);
        return;
    }
    resource->query = client_query(client, resource->query);
    sim_trace("%s: %zu backends", who, answer.len);
    if (resource->wanted)
        judge_list(&resource->account, &resource->query, &answer, delivery, who);
}

static void take_listener(struct client *client, struct held *resource, struct str value,
                          const struct delivery *delivery)
{
    char who[160];

    client_who(client, resource->name, who);
    if (!xds_read_listener(value, resource->name, resource->leads_to, who))
        return;
    sim_trace("%s: leads to %s", who, resource->leads_to);
    judge_cluster(&resource->query, resource->leads_to, delivery, who);
}

static void take_cluster(struct client *client, struct held *resource, struct str value,
                         const struct delivery *delivery)
{
    struct query query;
    char who[160];

    client_who(client, resource->name, who);
    if (!xds_read_cluster(value, resource->name, resource->leads_to, &resource->port, who))
        return;
    if (query_from_cluster(resource->name, &query))
        judge_host(&query, resource->leads_to, resource->port, delivery, who);
    else
        sim_fail("%s: a name that is no Cluster's", who);
}

/* Bytes that were refused, and stood alone, are not for the client to see again; unless others were on
 * their way then, so that the server takes the refusal for an old story. */
static void note_bytes(struct client *client, enum xds_kind kind, struct held *resource,
                       uint64_t hash, const struct delivery *delivery)
{
    if (delivery->heard < resource->wanted_in)
        return; /* of the time before it was given up */
    if (delivery->heard < resource->refused_in)
        resource->refused_alone = 0;
    if (kind == XDS_EDS && hash == resource->refused_alone)
        sim_fail("client %u: %s is sent again though it was refused", client->index,
                 resource->name);
    resource->sent = hash;
    resource->has = true;
}

static void take_resource(struct client *client, const struct xds_response_read *response,
                          size_t index, bool *present, const struct delivery *delivery)
{
    struct xds *xds = client->state;
    struct type *type = &xds->types[response->kind];
    struct str value = xds_response_value(response, index);
    char name[XDS_TEXT];
    struct held *resource;

    if (!xds_read_name(response->kind, value, name)) {
        sim_fail("client %u: a malformed %s", client->index, xds_kind_name(response->kind));
        return;
    }
    resource = find(type, name);
    if (!resource && !(is_envoy(client) && response->kind == XDS_CDS)) {
        sim_fail("client %u: nobody asked for %s", client->index, name);
        return;
    }
    resource = get(type, name);
    if (present[resource - type->items])
        sim_fail("client %u: %s twice in one response", client->index, name);
    present[resource - type->items] = true;
    if (resource->wanted || (is_envoy(client) && response->kind == XDS_CDS))
        note_bytes(client, response->kind, resource, hash_content(value.ptr, value.len),
                   delivery);
    if (response->kind == XDS_EDS)
        take_assignment(client, resource, value, delivery);
    if (response->kind == XDS_LDS)
        take_listener(client, resource, value, delivery);
    if (response->kind == XDS_CDS)
        take_cluster(client, resource, value, delivery);
}

static void refuse(struct client *client, const struct xds_response_read *response,
                   const bool *present)
{
    struct xds *xds = client->state;
    struct type *type = &xds->types[response->kind];

    for (size_t i = 0; i < type->len; i++) {
        if (!present[i])
            continue;
        type->items[i].refused = true;
        type->items[i].refused_in = xds->sent + 1;
        if (response->len == 1)
            type->items[i].refused_alone = type->items[i].sent;
    }
    client->refusals--;
    xds->refusals++;
    client->refused = true;
    sim_trace("client %u refuses %s", client->index, type->nonce);
    send_request(client, response->kind, "the simulated client does not like it");
}

static void take_response(struct client *client, const struct xds_response_read *response,
                          const struct delivery *delivery)
{
    struct xds *xds = client->state;
    struct type *type = &xds->types[response->kind];
    bool present[RESOURCES_HELD] = {false};

    sim_trace("client %u: %s %s version %s, %zu resources", client->index,
              xds_kind_name(response->kind), response->nonce, response->version, response->len);
    check_nonce(client, response->nonce);
    for (size_t i = 0; i < response->len && !sim_failed(); i++)
        take_resource(client, response, i, present, delivery);
    if (sim_failed())
        return;
    if (response->kind != XDS_EDS)
        check_complete(client, response->kind, present);
    check_version(client, response->kind, response->version, delivery);
    xds->responses++;
    snprintf(type->nonce, sizeof(type->nonce), "%s", response->nonce);
    if (client->refusals > 0) {
        refuse(client, response, present);
        return;
    }
    snprintf(type->version, sizeof(type->version), "%s", response->version);
    snprintf(type->taken, sizeof(type->taken), "%s", response->nonce);
    send_request(client, response->kind, NULL);
    if (response->kind == XDS_LDS)
        follow(client, XDS_CDS);
    if (response->kind != XDS_EDS)
        follow(client, XDS_EDS);
}

static void receive(struct client *client, const struct delivery *delivery)
{
    struct xds_response_read response;

    if (client->closing)
        return;
    if (!xds_response_open(delivery->bytes, &response)) {
        sim_fail("client %u: a malformed response", client->index);
        return;
    }
    take_response(client, &response, delivery);
    xds_response_close(&response);
}

/* ---- checking ---- */

static void check_cluster(struct xds *xds, const char *name, const struct query *query,
                          const char *who)
{
    const struct held *found = find(&xds->types[XDS_CDS], name);
    const struct held *list = find(&xds->types[XDS_EDS], name);
    char host[TEXT];
    unsigned port;

    oracle_host(cluster_get(query->service), query, host, &port);
    if (!found || !found->has)
        sim_fail("%s: its Cluster '%s' is missing", who, name);
    else if (strcmp(found->leads_to, host) != 0 || found->port != port)
        sim_fail("%s: at the end its Cluster is '%s:%u', not '%s:%u'", who, found->leads_to,
                 found->port, host, port);
    else if (!*host && (!list || !list->wanted || !list->has))
        sim_fail("%s: its Cluster '%s' has no list", who, name);
}

static void check_listener(const struct client *client, struct xds *xds,
                           const struct held *listener)
{
    char who[160], cluster_name[XDS_TEXT];

    client_who(client, listener->name, who);
    oracle_cluster(cluster_get(listener->query.service), &listener->query, cluster_name);
    if (!listener->has)
        sim_fail("%s: never answered", who);
    else if (strcmp(cluster_name, listener->leads_to) != 0)
        sim_fail("%s: at the end it leads to '%s', not to '%s'", who, listener->leads_to,
                 cluster_name);
    else
        check_cluster(xds, cluster_name, &listener->query, who);
}

static void expect_cluster(const struct client *client, struct xds *xds, unsigned service,
                           unsigned number)
{
    const struct query query = {service, BY_NUMBER, number, "", -1, -1, -1, false};
    char name[XDS_TEXT], who[160];

    oracle_cluster(cluster_get(service), &query, name);
    client_who(client, name, who);
    check_cluster(xds, name, &query, who);
}

/* Every port of every Service, of which there may be more than one with a number, and nothing else. */
static void check_wildcard(const struct client *client, struct xds *xds)
{
    struct type *clusters = &xds->types[XDS_CDS];
    unsigned numbers[ORACLE_PORTS_MAX];
    size_t want = 0, have = 0;

    for (unsigned service = 0; service < SERVICES; service++) {
        const struct api_object *slices[SLICES];
        size_t len;

        cluster_slices(service, slices);
        len = oracle_ports(cluster_get(service), slices, numbers);
        want += len;
        for (size_t i = 0; i < len; i++)
            expect_cluster(client, xds, service, numbers[i]);
    }
    for (size_t i = 0; i < clusters->len; i++)
        have += clusters->items[i].has;
    if (have != want)
        sim_fail("client %u (envoy): %zu Clusters, there are %zu", client->index, have, want);
}

static void check(struct client *client, uint64_t at_us, bool final)
{
    struct xds *xds = client->state;
    struct type *lists = &xds->types[XDS_EDS];
    char who[160];

    for (size_t i = 0; i < lists->len; i++) {
        struct held *list = &lists->items[i];

        if (!list->wanted || !list->has || list->refused)
            continue;
        client_who(client, list->name, who);
        if (final)
            judge_final(&list->account, &list->query, who);
        else
            judge_standing(&list->account, &list->query, at_us, who);
    }
    if (!final)
        return;
    if (is_envoy(client))
        check_wildcard(client, xds);
    for (size_t i = 0; i < xds->types[XDS_LDS].len; i++) {
        if (xds->types[XDS_LDS].items[i].wanted)
            check_listener(client, xds, &xds->types[XDS_LDS].items[i]);
    }
}

static void compare_type(const struct client *client, const struct type *type,
                         const struct json *dump)
{
    struct str taken = json_text(json_get(dump, "acknowledgedNonce"));

    if (!str_eq(taken, str_of(type->taken)))
        sim_fail("client %u: it took %s last, the server says '%" STR_FMT "'", client->index,
                 type->taken, STR_ARG(taken));
    for (const struct json *name = json_first(json_get(dump, "names")); name;
         name = json_next(name)) {
        CLEANUP(freep) char *text = str_dup(json_text(json_get(name, "name")));
        const struct held *held = find((struct type *)(uintptr_t)type, text);
        struct str is = json_text(json_get(name, "state"));
        const char *should = !held || !held->wanted      ? "unknown"
                             : !held->has                ? "unanswered"
                             : held->refused_in > 0      ? NULL
                                                         : "acknowledged";

        if (should && !str_eq(is, str_of(should)))
            sim_fail("client %u: %s is %s, the server says '%" STR_FMT "'", client->index, text,
                     should, STR_ARG(is));
    }
}

/* Both have seen all that the other one said: then they must agree about it. */
static void compare(const struct client *client, const struct json *stream)
{
    const struct xds *xds = client->state;

    if (stream_u64(stream, "requests") != xds->sent ||
        stream_u64(stream, "responses") != xds->responses)
        return;
    if (stream_u64(stream, "acks") != xds->responses - xds->refusals ||
        stream_u64(stream, "nacks") != xds->refusals)
        sim_fail("client %u took %zu of %zu responses, the server says %llu", client->index,
                 xds->responses - xds->refusals, xds->responses,
                 (unsigned long long)stream_u64(stream, "acks"));
    for (const struct json *type = json_first(json_get(stream, "types")); type;
         type = json_next(type)) {
        for (int kind = 0; kind < XDS_KINDS; kind++)
            if (str_eq(json_text(json_get(type, "type")), str_of(xds_kind_name(kind))))
                compare_type(client, &xds->types[kind], type);
    }
}

#define ADS "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"

const struct client_kind_ops grpc_client_ops = {
    .name = "grpc",
    .path = ADS,
    .open = open_call,
    .ask = ask,
    .receive = receive,
    .check = check,
    .compare = compare,
    .close = close_call,
};

const struct client_kind_ops envoy_client_ops = {
    .name = "envoy",
    .path = ADS,
    .open = open_call,
    .ask = ask,
    .receive = receive,
    .check = check,
    .compare = compare,
    .close = close_call,
};
