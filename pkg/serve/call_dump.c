#include "serve/call_dump.h"

#include "grpc/facts.h"
#include "serve/worker.h"

/* What has not happened is left out. */
static void put_age(struct json_writer *writer, const char *key, uint64_t now, uint64_t at)
{
    if (at)
        json_put_u64(writer, key, (now - min_u64(now, at)) / 1000000);
}

static void dump_connection(const struct rpc *rpc, uint64_t now, struct json_writer *writer)
{
    struct connection_facts facts;

    rpc_connection_facts(rpc, &facts);
    json_open_object(writer, "connection");
    put_age(writer, "ageSeconds", now, facts.opened_us);
    put_age(writer, "heardSecondsAgo", now, facts.heard_us);
    put_age(writer, "unansweredPingSeconds", now, facts.pinged_us);
    json_put_u64(writer, "calls", facts.calls);
    json_put_u64(writer, "subscriptions", worker_subscriptions(rpc));
    json_put_u64(writer, "window", facts.window);
    json_put_u64(writer, "backlog", facts.backlog);
    if (facts.draining)
        json_put_bool(writer, "draining", true);
    if (facts.paused)
        json_put_bool(writer, "paused", true);
    json_close_object(writer);
}

/* The message that a slow client, or network, has not taken in full. */
static void dump_flying(const struct call_facts *facts, uint64_t now, struct json_writer *writer)
{
    json_open_object(writer, "stalledMessage");
    json_put_u64(writer, "bytes", facts->flying);
    json_put_u64(writer, "bytesHeld", facts->held);
    put_age(writer, "seconds", now, facts->flying_us);
    json_close_object(writer);
}

static void dump_account(const struct service_account *account, struct json_writer *writer)
{
    json_open_object(writer, "account");
    json_put_str(writer, "namespace", account->namespace_name);
    json_put_str(writer, "name", account->name);
    json_put_str(writer, "by", str_of(account_by_name(account->by)));
    json_close_object(writer);
}

/* At the other end of a unix socket, which has no address of its own. */
static void dump_process(const struct credentials *credentials, struct json_writer *writer)
{
    json_open_object(writer, "process");
    json_put_u64(writer, "pid", (uint64_t)credentials->pid);
    json_put_u64(writer, "uid", credentials->uid);
    json_put_u64(writer, "gid", credentials->gid);
    json_close_object(writer);
}

void call_dump(const struct rpc *rpc, struct json_writer *writer)
{
    const struct worker *worker = rpc_server_ctx(rpc);
    uint64_t now = loop_now_us(worker->loop);
    char peer[ADDRESS_TEXT_MAX];
    const struct service_account *account = rpc_account(rpc);
    const struct credentials *credentials = worker_credentials(rpc);
    struct call_facts facts;

    rpc_facts(rpc, &facts);
    address_format(rpc_peer(rpc), peer);
    json_put_str(writer, "peer", str_of(peer));
    if (account)
        dump_account(account, writer);
    if (credentials)
        dump_process(credentials, writer);
    json_put_u64(writer, "loop", worker->options.index);
    json_put_str(writer, "userAgent", facts.agent);
    put_age(writer, "ageSeconds", now, facts.opened_us);
    put_age(writer, "receivedSecondsAgo", now, facts.received_us);
    put_age(writer, "sentSecondsAgo", now, facts.sent_us);
    if (facts.deadline_us)
        json_put_u64(writer, "deadlineSeconds",
                     (facts.deadline_us - min_u64(now, facts.deadline_us)) / 1000000);
    json_put_u64(writer, "messagesReceived", facts.messages_received);
    json_put_u64(writer, "messagesSent", facts.messages_sent);
    json_put_u64(writer, "bytesSent", facts.bytes_sent);
    json_put_u64(writer, "window", facts.window);
    json_put_bool(writer, "stalled", facts.flying > 0);
    if (facts.flying > 0)
        dump_flying(&facts, now, writer);
    if (facts.half_closed)
        json_put_bool(writer, "halfClosed", true);
    dump_connection(rpc, now, writer);
}
