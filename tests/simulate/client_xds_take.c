/* Responses: their shape, what they say, and what the client does about it. */
#include "base/hash.h"
#include "client_xds.h"

/* ---- their shape ---- */

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
    struct xds_type *type = &xds->types[kind];

    for (size_t i = 0; i < type->len; i++) {
        struct xds_resource *resource = &type->items[i];

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
    struct xds_type *type = &xds->types[kind];
    uint64_t content = (uint64_t)kind;
    char who[160];

    if (delivery->heard < type->changed_in)
        return;
    for (size_t i = 0; i < type->len; i++) {
        const struct xds_resource *resource = &type->items[i];

        if (resource->has)
            content +=
                hash_mix(hash_content(resource->name, strlen(resource->name)), resource->sent);
    }
    client_who(client, xds_kind_name(kind), who);
    judge_version(xds_kind_name(kind), str_of(version), content, who);
}

/* ---- what they say ---- */

static void take_assignment(struct client *client, struct xds_resource *resource, struct str value,
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

static void take_listener(struct client *client, struct xds_resource *resource, struct str value,
                          const struct delivery *delivery)
{
    char who[160];

    client_who(client, resource->name, who);
    if (!xds_read_listener(value, resource->name, resource->leads_to, who))
        return;
    sim_trace("%s: leads to %s", who, resource->leads_to);
    judge_cluster(&resource->query, resource->leads_to, delivery, who);
}

static void take_cluster(struct client *client, struct xds_resource *resource, struct str value,
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
static void note_bytes(struct client *client, enum xds_kind kind, struct xds_resource *resource,
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
    struct xds_type *type = &xds->types[response->kind];
    struct str value = xds_response_value(response, index);
    char name[XDS_TEXT];
    struct xds_resource *resource;
    bool wildcard = xds_is_envoy(client) && response->kind == XDS_CDS;

    if (!xds_read_name(response->kind, value, name)) {
        sim_fail("client %u: a malformed %s", client->index, xds_kind_name(response->kind));
        return;
    }
    if (!wildcard && !xds_find(type, name)) {
        sim_fail("client %u: nobody asked for %s", client->index, name);
        return;
    }
    resource = xds_get(type, name);
    if (present[resource - type->items])
        sim_fail("client %u: %s twice in one response", client->index, name);
    present[resource - type->items] = true;
    if (resource->wanted || wildcard)
        note_bytes(client, response->kind, resource, hash_content(value.ptr, value.len), delivery);
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
    struct xds_type *type = &xds->types[response->kind];

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
    xds_send(client, response->kind, "the simulated client does not like it");
}

/* Who has taken another one may be sent again what it refused before. */
static void end_refusals(struct xds_type *type, const bool *present)
{
    for (size_t i = 0; i < type->len; i++)
        if (present[i] && type->items[i].sent != type->items[i].refused_alone)
            type->items[i].refused_alone = 0;
}

static void take_response(struct client *client, const struct xds_response_read *response,
                          const struct delivery *delivery)
{
    struct xds *xds = client->state;
    struct xds_type *type = &xds->types[response->kind];
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
    end_refusals(type, present);
    xds_send(client, response->kind, NULL);
    if (response->kind == XDS_LDS)
        xds_follow(client, XDS_CDS);
    if (response->kind != XDS_EDS)
        xds_follow(client, XDS_EDS);
}

void xds_receive(struct client *client, const struct delivery *delivery)
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
