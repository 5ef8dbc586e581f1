/* Peers that do not take what they asked for: what they pin is bounded in time and in bytes.
 *
 * A message pins all of its blobs until its last byte is out. Two looks at it, from the
 * connection's check on the wheel and never from a push: its stream is reset once the message has
 * not moved for stalled_ms; and once it is in flight for a quarter of that it counts as late, which
 * a peer that takes a byte now and then does not escape. Late bytes have limits. */
#include "grpc/internal.h"

#define LOOKS 4 /* within stalled_ms */

static uint64_t stalled_us(const struct peer *peer)
{
    return peer->server->limits.stalled_ms * 1000;
}

uint64_t peer_watch_due(const struct peer *peer, uint64_t now)
{
    return now + stalled_us(peer) / LOOKS;
}

void peer_watch(struct peer *peer)
{
    uint64_t due = peer_watch_due(peer, loop_now_us(peer->server->loop));

    if (peer->check.due_us > due)
        server_set_check(peer->server, &peer->check, due);
}

bool peer_stuck(struct peer *peer, uint64_t now)
{
    size_t backlog = conn_backlog(peer->conn);

    if (backlog != peer->backlog)
        peer->moved_us = now;
    peer->backlog = backlog;
    return backlog > 0 && now - peer->moved_us >= stalled_us(peer);
}

/* Trailers could not overtake the message: this becomes a reset, ENHANCE_YOUR_CALM. */
static void end_unmoved(struct rpc *rpc, uint64_t now)
{
    struct peer *peer = rpc->peer;

    if (!rpc->sending || now - rpc->moved_us < stalled_us(peer))
        return;
    if (rpc->trailing || (rpc->finishing && rpc->code != CODE_OK))
        return; /* it ends already */
    peer_complain(peer, &peer->server->stats.limit_hits[GRPC_LIMIT_STALLED],
                  "a stream does not take its message");
    rpc_abort(rpc, CODE_RESOURCE_EXHAUSTED, "the client took nothing of a message for %llu ms",
              (unsigned long long)peer->server->limits.stalled_ms);
}

/* The bytes that are late from now on. */
static size_t count_late(struct rpc *rpc, uint64_t now)
{
    size_t late = rpc->framed_len + rpc->out_len;

    if (rpc->late || !rpc_stalled(rpc) || now - rpc->out_us < stalled_us(rpc->peer) / LOOKS)
        return 0;
    rpc->late = late;
    rpc->peer->late += late;
    rpc->peer->server->late += late;
    return late;
}

bool peer_check_messages(struct peer *peer, uint64_t now)
{
    const struct grpc_server *server = peer->server;
    size_t grown = 0;

    if (peer->stalled == 0)
        return true;
    list_for_each (node, &peer->calls) {
        struct rpc *rpc = container_of(node, struct rpc, link);

        grown += count_late(rpc, now);
        end_unmoved(rpc, now);
    }
    return peer->late <= server->limits.pinned &&
           (grown == 0 || server->late <= server->limits.pinned_total);
}
