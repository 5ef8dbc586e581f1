#include "grpc/facts.h"

#include "grpc/internal.h"

static size_t size_of(int32_t window)
{
    return window > 0 ? (size_t)window : 0; /* below: the stream is closed, or SETTINGS took back */
}

void rpc_facts(const struct rpc *rpc, struct call_facts *ret_facts)
{
    nghttp2_session *session = rpc->peer->session;

    *ret_facts = (struct call_facts){
        .agent = str_of(rpc->agent_text ? rpc->agent_text : ""),
        .opened_us = rpc->opened_us,
        .deadline_us = rpc->timeout_us ? rpc->opened_us + rpc->timeout_us : 0,
        .messages_sent = rpc->messages_sent,
        .messages_received = rpc->messages_received,
        .bytes_sent = rpc->bytes_sent,
        .sent_us = rpc->sent_us,
        .received_us = rpc->received_us,
        .window = size_of(nghttp2_session_get_stream_remote_window_size(session, rpc->stream_id)),
        .half_closed = rpc->half_closed,
    };
    if (rpc_stalled(rpc)) {
        ret_facts->flying_us = rpc->out_us;
        ret_facts->flying = rpc->out_len;
        ret_facts->held = rpc->out_len - rpc->out_off;
    }
}

void rpc_connection_facts(const struct rpc *rpc, struct connection_facts *ret_facts)
{
    const struct peer *peer = rpc->peer;

    *ret_facts = (struct connection_facts){
        .opened_us = peer->opened_us,
        .heard_us = peer->heard_us,
        .pinged_us = peer->heard_us < peer->pinged_us ? peer->pinged_us : 0,
        .calls = peer->calls_len,
        .window = size_of(nghttp2_session_get_remote_window_size(peer->session)),
        .backlog = conn_backlog(peer->conn),
        .draining = peer->drain != DRAIN_NONE,
        .paused = peer->paused,
    };
}
