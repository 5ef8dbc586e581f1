/* What must be true of what an xDS client has. */
#include "client_xds.h"
#include "oracle.h"

static void check_cluster(struct xds *xds, const char *name, const struct query *query,
                          const char *who)
{
    const struct xds_resource *found = xds_find(&xds->types[XDS_CDS], name);
    const struct xds_resource *list = xds_find(&xds->types[XDS_EDS], name);
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
                           const struct xds_resource *listener)
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
    const struct query query = {service, BY_NUMBER, number, "", -1, -1, -1, 0, false};
    char name[XDS_TEXT], who[160];

    oracle_cluster(cluster_get(service), &query, name);
    client_who(client, name, who);
    check_cluster(xds, name, &query, who);
}

/* Every port of every Service, of which there may be more than one with a number, and nothing else. */
static void check_wildcard(const struct client *client, struct xds *xds)
{
    struct xds_type *clusters = &xds->types[XDS_CDS];
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

void xds_check(struct client *client, uint64_t at_us, bool final)
{
    struct xds *xds = client->state;
    struct xds_type *lists = &xds->types[XDS_EDS];
    char who[160];

    for (size_t i = 0; i < lists->len; i++) {
        struct xds_resource *list = &lists->items[i];

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
    if (xds_is_envoy(client))
        check_wildcard(client, xds);
    for (size_t i = 0; i < xds->types[XDS_LDS].len; i++) {
        if (xds->types[XDS_LDS].items[i].wanted)
            check_listener(client, xds, &xds->types[XDS_LDS].items[i]);
    }
}

static void compare_type(const struct client *client, const struct xds_type *type,
                         const struct json *dump)
{
    struct str taken = json_text(json_get(dump, "acknowledgedNonce"));

    if (!str_eq(taken, str_of(type->taken)))
        sim_fail("client %u: it took %s last, the server says '%" STR_FMT "'", client->index,
                 type->taken, STR_ARG(taken));
    for (const struct json *name = json_first(json_get(dump, "names")); name;
         name = json_next(name)) {
        CLEANUP(freep) char *text = str_dup(json_text(json_get(name, "name")));
        const struct xds_resource *held = xds_find(type, text);
        struct str is = json_text(json_get(name, "state"));
        const char *should = !held || !held->wanted ? "unknown"
                             : !held->has           ? "unanswered"
                             : held->refused_in > 0 ? NULL
                                                    : "acknowledged";

        if (should && !str_eq(is, str_of(should)))
            sim_fail("client %u: %s is %s, the server says '%" STR_FMT "'", client->index, text,
                     should, STR_ARG(is));
    }
}

/* Both have seen all that the other one said: then they must agree about it. */
void xds_compare(const struct client *client, const struct json *stream)
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
