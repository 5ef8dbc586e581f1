#include "base/metric.h"
#include "serve/internal.h"
#include "serve/serve.h"

/* Every metric of the serving side is a counter field of each worker, summed when scraped. */
struct family {
    const char *name;
    const char *type;
    const char *help;
    const char *labels;
    size_t offset; /* of the struct counter in `of` */
    enum { OF_WORKER, OF_SERVER } of;
};

#define WORKER_FIELD(field) offsetof(struct worker_stats, field), OF_WORKER
#define SERVER_FIELD(field) offsetof(struct grpc_server_stats, field), OF_SERVER

/* Families of several samples stand together; only the first has a help text. */
static const struct family families[] = {
    {"lookaside_connections", "gauge", "Client connections that are open.", NULL,
     SERVER_FIELD(connections)},
    {"lookaside_connections_accepted_total", "counter", "Client connections accepted.", NULL,
     SERVER_FIELD(connections_total)},
    {"lookaside_streams", "gauge", "Open streams that carry backend lists.", "protocol=\"xds\"",
     WORKER_FIELD(streams_xds)},
    {"lookaside_streams", NULL, NULL, "protocol=\"xds-delta\"", WORKER_FIELD(streams_delta)},
    {"lookaside_streams", NULL, NULL, "protocol=\"native\"", WORKER_FIELD(streams_native)},
    {"lookaside_streams", NULL, NULL, "protocol=\"grpclb\"", WORKER_FIELD(streams_grpclb)},
    {"lookaside_calls_total", "counter", "RPCs started by clients, of any method.", NULL,
     SERVER_FIELD(calls_total)},
    {"lookaside_requests_total", "counter", "Requests received on streams.", NULL,
     WORKER_FIELD(requests)},
    {"lookaside_pushes_total", "counter", "Responses written to streams, by what they carry.",
     "type=\"Listener\"", WORKER_FIELD(pushes[TOPIC_LISTENER])},
    {"lookaside_pushes_total", NULL, NULL, "type=\"Cluster\"", WORKER_FIELD(pushes[TOPIC_CLUSTER])},
    {"lookaside_pushes_total", NULL, NULL, "type=\"ClusterLoadAssignment\"",
     WORKER_FIELD(pushes[TOPIC_ASSIGNMENT])},
    {"lookaside_pushes_total", NULL, NULL, "type=\"RouteConfiguration\"",
     WORKER_FIELD(pushes[TOPIC_ROUTE])},
    {"lookaside_pushes_total", NULL, NULL, "type=\"WatchResponse\"",
     WORKER_FIELD(pushes[TOPIC_NATIVE])},
    {"lookaside_pushes_total", NULL, NULL, "type=\"ServerList\"",
     WORKER_FIELD(pushes[TOPIC_GRPCLB])},
    {"lookaside_pushes_total", NULL, NULL, "type=\"FallbackResponse\"",
     WORKER_FIELD(grpclb_fallbacks)},
    {"lookaside_push_bytes_total", "counter", "Bytes of those responses.", NULL,
     WORKER_FIELD(push_bytes)},
    {"lookaside_acks_total", "counter", "xDS responses that clients accepted.", NULL,
     WORKER_FIELD(acks)},
    {"lookaside_nacks_total", "counter", "xDS responses that clients refused.", NULL,
     WORKER_FIELD(nacks)},
    {"lookaside_stale_nonces_total", "counter",
     "xDS requests that answered an older response than the last.", NULL,
     WORKER_FIELD(stale_nonces)},
    {"lookaside_refused_policies_total", "counter",
     "Listeners and Clusters that a client gets without their policy since it refused them.", NULL,
     WORKER_FIELD(refused_policies)},
    {"lookaside_access_refused_total", "counter",
     "Subscriptions to a Service that the client may not see.", NULL, WORKER_FIELD(access_refused)},
    {"lookaside_tokens_total", "counter", "Calls with a token, by what became of it.",
     "result=\"accepted\"", WORKER_FIELD(tokens_accepted)},
    {"lookaside_tokens_total", NULL, NULL, "result=\"refused\"", WORKER_FIELD(tokens_refused)},
    {"lookaside_tokens_total", NULL, NULL, "result=\"unknown-key\"",
     WORKER_FIELD(tokens_unknown_key)},
    {"lookaside_tokens_total", NULL, NULL, "result=\"no-keys\"", WORKER_FIELD(tokens_early)},
    {"lookaside_peers_total", "counter",
     "Calls without a token or certificate, by what is known of where they come from.",
     "result=\"unix\"", WORKER_FIELD(unix_known)},
    {"lookaside_peers_total", NULL, NULL, "result=\"unix-unknown\"", WORKER_FIELD(unix_unknown)},
    {"lookaside_peers_total", NULL, NULL, "result=\"pod\"", WORKER_FIELD(pod_known)},
    {"lookaside_peers_total", NULL, NULL, "result=\"pod-unknown\"", WORKER_FIELD(pod_unknown)},
    {"lookaside_peers_total", NULL, NULL, "result=\"pod-clash\"", WORKER_FIELD(pod_clash)},
    {"lookaside_peers_total", NULL, NULL, "result=\"no-pods\"", WORKER_FIELD(pods_early)},
    {"lookaside_peers_moved_total", "counter",
     "Calls ended because the address that they come from is another pod's, or no pod's any more.",
     NULL, WORKER_FIELD(moved)},
    {"lookaside_refused_streams_total", "counter",
     "Streams ended because a request was malformed or passed a limit.", NULL,
     WORKER_FIELD(refused_streams)},
    {"lookaside_malformed_names_total", "counter",
     "Names asked for that are none: left unanswered with xDS, a fallback with grpclb.", NULL,
     WORKER_FIELD(malformed_names)},
    {"lookaside_too_large_total", "counter",
     "Resources not sent because the message would be larger than clients accept.", NULL,
     WORKER_FIELD(too_large)},
    {"lookaside_grpclb_reports_total", "counter", "Reports of grpclb clients on their calls.", NULL,
     WORKER_FIELD(grpclb_reports)},
    {"lookaside_grpclb_calls_total", "counter",
     "Calls to backends that grpclb clients tell of; all but started ones are among the finished.",
     "what=\"started\"", WORKER_FIELD(grpclb_started)},
    {"lookaside_grpclb_calls_total", NULL, NULL, "what=\"finished\"",
     WORKER_FIELD(grpclb_finished)},
    {"lookaside_grpclb_calls_total", NULL, NULL, "what=\"failed_to_send\"",
     WORKER_FIELD(grpclb_failed_to_send)},
    {"lookaside_grpclb_calls_total", NULL, NULL, "what=\"received\"",
     WORKER_FIELD(grpclb_received)},
    {"lookaside_grpclb_calls_total", NULL, NULL, "what=\"dropped\"", WORKER_FIELD(grpclb_dropped)},
    {"lookaside_load_streams", "gauge", "Open streams on which clients report their load.", NULL,
     WORKER_FIELD(streams_load)},
    {"lookaside_load_reports_total", "counter", "Messages of clients on them.", NULL,
     WORKER_FIELD(load_reports)},
    {"lookaside_load_left_out_total", "counter",
     "Parts of load reports that do not count, by what there is too much of: Clusters of no "
     "Service, places and namespaces, metrics.",
     "what=\"unknown\"", WORKER_FIELD(loads_left_out[LOAD_LEFT_UNKNOWN])},
    {"lookaside_load_left_out_total", NULL, NULL, "what=\"rows\"",
     WORKER_FIELD(loads_left_out[LOAD_LEFT_ROWS])},
    {"lookaside_load_left_out_total", NULL, NULL, "what=\"metrics\"",
     WORKER_FIELD(loads_left_out[LOAD_LEFT_METRICS])},
    {"lookaside_streams_shed_total", "counter",
     "Streams ended because this replica held more than its share of them.", NULL,
     WORKER_FIELD(shed)},
    {"lookaside_streams_spared_total", "counter",
     "Times that a stream was passed over then, by reason.", "reason=\"node\"",
     WORKER_FIELD(spared[SPARE_NODE])},
    {"lookaside_streams_spared_total", NULL, NULL, "reason=\"unknown\"",
     WORKER_FIELD(spared[SPARE_UNKNOWN])},
    {"lookaside_streams_spared_total", NULL, NULL, "reason=\"young\"",
     WORKER_FIELD(spared[SPARE_YOUNG])},
    {"lookaside_streams_spared_total", NULL, NULL, "reason=\"stalled\"",
     WORKER_FIELD(spared[SPARE_STALLED])},
    {"lookaside_streams_spared_total", NULL, NULL, "reason=\"large\"",
     WORKER_FIELD(spared[SPARE_LARGE])},
    {"lookaside_subscriptions", "gauge", "Names that streams are subscribed to.", NULL,
     WORKER_FIELD(subscriptions)},
    {"lookaside_topics", "gauge",
     "Distinct resources that clients listen to, over all serving loops.", NULL,
     WORKER_FIELD(topics.topics)},
    {"lookaside_views", "gauge",
     "Distinct lists and other contents of those resources; more than one where a list depends on "
     "the client's place.",
     NULL, WORKER_FIELD(topics.views)},
    {"lookaside_view_bytes", "gauge", "Bytes of those contents that are kept encoded.", NULL,
     WORKER_FIELD(topics.bytes)},
    {"lookaside_list_changes_total", "counter",
     "Changes from one native list to another that were made, each for all streams that go from "
     "the "
     "one to the other.",
     NULL, WORKER_FIELD(topics.changes)},
    {"lookaside_views_capped_total", "counter",
     "Subscriptions that got the list for clients of unknown place because a resource has too many "
     "views.",
     NULL, WORKER_FIELD(topics.views_capped)},
    {"lookaside_places_unknown_total", "counter",
     "Subscriptions to a Service with internalTrafficPolicy Local from clients of unknown node; "
     "they get all its endpoints.",
     NULL, WORKER_FIELD(topics.places_blind)},
    {"lookaside_catalogs_total", "counter", "Catalogs taken by the serving loops.", NULL,
     WORKER_FIELD(catalogs)},
    {"lookaside_grpc_messages_received_total", "counter", "gRPC messages received.", NULL,
     SERVER_FIELD(messages_received)},
    {"lookaside_grpc_messages_sent_total", "counter", "gRPC messages sent.", NULL,
     SERVER_FIELD(messages_sent)},
    {"lookaside_grpc_bytes_received_total", "counter", "Bytes received from clients.", NULL,
     SERVER_FIELD(bytes_received)},
    {"lookaside_grpc_bytes_sent_total", "counter", "Bytes sent to clients.", NULL,
     SERVER_FIELD(bytes_sent)},
    {"lookaside_grpc_protocol_errors_total", "counter",
     "Connections or streams ended for broken HTTP/2 or gRPC.", NULL,
     SERVER_FIELD(protocol_errors)},
    {"lookaside_connections_broken_total", "counter",
     "Connections ended by an error of the network.", NULL, SERVER_FIELD(connections_broken)},
    {"lookaside_grpc_keepalive_closed_total", "counter",
     "Connections closed because the peer was silent.", NULL, SERVER_FIELD(keepalive_closed)},
    {"lookaside_grpc_stalled_bytes", "gauge", "Bytes held for clients that do not read.", NULL,
     SERVER_FIELD(stalled_bytes)},
    {"lookaside_tls_handshakes_total", "counter", "TLS handshakes that succeeded.", NULL,
     SERVER_FIELD(tls.handshakes)},
    {"lookaside_tls_handshakes_failed_total", "counter", "TLS handshakes that failed, by reason.",
     "reason=\"alpn\"", SERVER_FIELD(tls.failures[TLS_FAILURE_ALPN])},
    {"lookaside_tls_handshakes_failed_total", NULL, NULL, "reason=\"version\"",
     SERVER_FIELD(tls.failures[TLS_FAILURE_VERSION])},
    {"lookaside_tls_handshakes_failed_total", NULL, NULL, "reason=\"cipher\"",
     SERVER_FIELD(tls.failures[TLS_FAILURE_CIPHER])},
    {"lookaside_tls_handshakes_failed_total", NULL, NULL, "reason=\"client-certificate\"",
     SERVER_FIELD(tls.failures[TLS_FAILURE_CLIENT])},
    {"lookaside_tls_handshakes_failed_total", NULL, NULL, "reason=\"refused\"",
     SERVER_FIELD(tls.failures[TLS_FAILURE_REFUSED])},
    {"lookaside_tls_handshakes_failed_total", NULL, NULL, "reason=\"no-tls\"",
     SERVER_FIELD(tls.failures[TLS_FAILURE_NO_TLS])},
    {"lookaside_tls_handshakes_failed_total", NULL, NULL, "reason=\"protocol\"",
     SERVER_FIELD(tls.failures[TLS_FAILURE_PROTOCOL])},
    {"lookaside_tls_handshakes_failed_total", NULL, NULL, "reason=\"closed\"",
     SERVER_FIELD(tls.failures[TLS_FAILURE_CLOSED])},
    {"lookaside_tls_handshakes_failed_total", NULL, NULL, "reason=\"stalled\"",
     SERVER_FIELD(tls.failures[TLS_FAILURE_STALLED])},
    {"lookaside_tls_handshakes_failed_total", NULL, NULL, "reason=\"given-up\"",
     SERVER_FIELD(tls.failures[TLS_FAILURE_GIVEN_UP])},
};

static uint64_t family_sum(const struct serve *serve, const struct family *family)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < serve->options.threads; i++) {
        const struct worker *worker = serve->workers[i];
        const void *base = family->of == OF_WORKER
                               ? (const void *)&worker->stats
                               : (const void *)grpc_server_stats(worker->server);

        sum += counter_get(
            (const struct counter *)(const void *)((const char *)base + family->offset));
    }
    return sum;
}

static uint64_t limit_sum(const struct serve *serve, enum serve_limit limit)
{
    uint64_t sum = 0;

    if (limit == SERVE_LIMIT_CONNECTIONS_PER_ADDRESS)
        return counter_get(&serve->crowded);
    for (unsigned i = 0; i < serve->options.threads; i++)
        sum += counter_get(&serve->workers[i]->stats.limit_hits[limit]);
    return sum;
}

static uint64_t grpc_limit_sum(const struct serve *serve, enum grpc_limit limit)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < serve->options.threads; i++)
        sum += counter_get(&grpc_server_stats(serve->workers[i]->server)->limit_hits[limit]);
    return sum;
}

/* `limits` is the struct of those of the table. */
static void write_in_force(struct buf *out, const struct limit *table, size_t len, void *limits)
{
    char labels[64];

    for (size_t i = 0; i < len; i++) {
        uint64_t value = *limit_of(&table[i], limits);

        snprintf(labels, sizeof(labels), "limit=\"%s\"", table[i].name);
        if (table[i].unit == LIMIT_MS)
            metric_write_double(out, "lookaside_grpc_limit", labels, (double)value / 1000);
        else
            metric_write_u64(out, "lookaside_grpc_limit", labels, value);
    }
}

static void write_limits_in_force(const struct serve *serve, struct buf *out)
{
    struct serve_limits limits = serve->options.limits;
    struct grpc_limits grpc = serve->options.grpc_limits;

    metric_write_head(out, "lookaside_grpc_limit", "gauge",
                      "The limits in force, by name: a number, a number a second, bytes, or seconds.");
    write_in_force(out, serve_limit_table, SERVE_LIMITS, &limits);
    write_in_force(out, grpc_limit_table, GRPC_LIMITS, &grpc);
}

static void write_limit(struct buf *out, const struct limit *limit, uint64_t hits)
{
    char labels[64];

    if (limit->counted_elsewhere)
        return;
    snprintf(labels, sizeof(labels), "limit=\"%s\"", limit->name);
    metric_write_u64(out, "lookaside_grpc_limit_hits_total", labels, hits);
}

static void write_limits(const struct serve *serve, struct buf *out)
{
    write_limits_in_force(serve, out);
    metric_write_head(out, "lookaside_grpc_limit_hits_total", "counter",
                      "Connections and streams ended or refused for passing a limit, by its name.");
    for (int i = 0; i < SERVE_LIMITS; i++)
        write_limit(out, &serve_limit_table[i], limit_sum(serve, i));
    for (int i = 0; i < GRPC_LIMITS; i++)
        write_limit(out, &grpc_limit_table[i], grpc_limit_sum(serve, i));
    metric_write_head(out, "lookaside_connections_of_one_address", "gauge",
                      "Connections of the client address (IPv6: its /64) that has the most.");
    metric_write_u64(out, "lookaside_connections_of_one_address", NULL,
                     address_shares_most(serve->shares));
}

void serve_write_metrics(const struct serve *serve, struct buf *out)
{
    struct histogram convergence = {0};
    uint64_t accept_errors = 0;

    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (families[i].help)
            metric_write_head(out, families[i].name, families[i].type, families[i].help);
        metric_write_u64(out, families[i].name, families[i].labels,
                         family_sum(serve, &families[i]));
    }
    write_limits(serve, out);
    for (size_t i = 0; i < serve->listeners_len; i++)
        accept_errors += listener_accept_errors(serve->listeners[i]);
    metric_write_head(out, "lookaside_accept_errors_total", "counter",
                      "Connections that could not be accepted.");
    metric_write_u64(out, "lookaside_accept_errors_total", NULL, accept_errors);
    for (unsigned i = 0; i < serve->options.threads; i++)
        histogram_merge(&convergence, &serve->workers[i]->stats.convergence);
    metric_write_histogram(
        out, "lookaside_convergence_seconds",
        "From an object received to the list that it changed written to a client.", &convergence);
}
