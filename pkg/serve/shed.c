/* Streams that end so that their clients come to other replicas: which, and when. */
#include "base/random.h"
#include "serve/internal.h"
#include "serve/services.h"

/* A worker's part of what is shed. */
struct order {
    uint64_t streams, most, min_age_us, spread_ms;
};

/* The connection whose calls are being visited. */
struct candidate {
    struct rpc *rpc; /* one of its streams; NULL: none so far */
    uint64_t streams;
    enum spare spare;
};

struct pass {
    struct worker *worker;
    const struct order *order;
    const void *connection;
    struct candidate candidate;
    uint64_t taken;
};

/* ---- one connection ---- */

static bool fits(const struct pass *pass)
{
    uint64_t streams = pass->candidate.streams;

    return pass->taken + streams <= pass->order->streams ||
           (pass->taken == 0 && streams <= pass->order->most);
}

static void close_candidate(struct pass *pass)
{
    struct worker_stats *stats = &pass->worker->stats;
    struct candidate *candidate = &pass->candidate;

    if (!candidate->rpc || pass->taken >= pass->order->streams)
        return;
    if (candidate->spare == SPARE_NOT && candidate->streams > pass->order->most)
        candidate->spare = SPARE_LARGE;
    if (candidate->spare != SPARE_NOT) {
        counter_add(&stats->spared[candidate->spare], candidate->streams);
    } else if (fits(pass)) {
        rpc_drain_connection(candidate->rpc, random_range(0, pass->order->spread_ms));
        pass->taken += candidate->streams;
        counter_add(&stats->shed, candidate->streams);
    }
}

static enum spare judge_client(const struct stream_kind *kind, struct rpc *rpc)
{
    if (rpc_agent(rpc) == RPC_AGENT_NODE)
        return SPARE_NODE;
    if (kind->spare)
        return kind->spare(rpc);
    return rpc_agent(rpc) == RPC_AGENT_UNTOLD ? SPARE_UNKNOWN : SPARE_NOT;
}

static enum spare judge(const struct pass *pass, const struct stream_kind *kind, struct rpc *rpc)
{
    uint64_t age_us = loop_now_us(pass->worker->loop) - rpc_opened_us(rpc);
    enum spare spare = judge_client(kind, rpc);

    if (spare != SPARE_NOT)
        return spare;
    if (age_us < pass->order->min_age_us)
        return SPARE_YOUNG;
    /* Its end would be an error to a client that never got anything. */
    if (rpc_bytes_sent(rpc) == 0)
        return SPARE_UNKNOWN;
    return rpc_stalled(rpc) ? SPARE_STALLED : SPARE_NOT;
}

static void visit_call(void *ctx, struct rpc *rpc)
{
    struct pass *pass = ctx;
    const struct stream_kind *kind = service_stream_kind(rpc);

    if (rpc_connection(rpc) != pass->connection) {
        close_candidate(pass);
        pass->connection = rpc_connection(rpc);
        pass->candidate = (struct candidate){0};
    }
    if (!kind || rpc_draining(rpc))
        return;
    pass->candidate.rpc = rpc;
    pass->candidate.streams++;
    if (pass->candidate.spare == SPARE_NOT)
        pass->candidate.spare = judge(pass, kind, rpc);
}

/* ---- one worker ---- */

static void shed_worker(struct worker *worker, void *ctx)
{
    struct order *order = ctx;
    struct pass pass = {.worker = worker, .order = order};

    if (!worker->draining && order->streams > 0) {
        grpc_server_each_call(worker->server, visit_call, &pass);
        close_candidate(&pass);
    }
    free(order);
}

/* ---- all of them ---- */

/* Of `amount`, what falls to the streams from `from` to `to` of `total`, rounded at random so that all parts together are the whole. */
static uint64_t part(uint64_t amount, uint64_t from, uint64_t to, uint64_t total, uint64_t chance)
{
    return (amount * to + chance) / total - (amount * from + chance) / total;
}

void serve_shed(struct serve *serve, const struct serve_shed *shed)
{
    uint64_t total = serve_list_streams(serve), from = 0, chance;

    if (total == 0 || shed->streams == 0)
        return;
    chance = random_range(0, total - 1);
    for (unsigned i = 0; i < serve->options.threads; i++) {
        struct worker *worker = serve->workers[i];
        uint64_t to = min_u64(from + worker_list_streams(worker), total);
        struct order *order = xmalloc(sizeof(*order));

        *order = (struct order){
            .streams = part(shed->streams, from, to, total, chance),
            .most = part(shed->most, from, to, total, chance),
            .min_age_us = shed->min_age_ms * 1000,
            .spread_ms = shed->spread_ms,
        };

        from = to;
        worker_call(worker, shed_worker, order);
    }
}

uint64_t serve_shed_total(const struct serve *serve)
{
    uint64_t streams = 0;

    for (unsigned i = 0; i < serve->options.threads; i++)
        streams += counter_get(&serve->workers[i]->stats.shed);
    return streams;
}
