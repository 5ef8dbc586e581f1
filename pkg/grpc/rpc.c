#include "grpc/rpc.h"

#include <assert.h>
#include <stdarg.h>

#include "base/secret_file.h"
#include "grpc/gzip.h"
#include "grpc/header.h"
#include "grpc/internal.h"

#define NO_GRPC "this port speaks gRPC: the content-type of a call is application/grpc\n"
#define NO_POST "this port speaks gRPC, where calls are POST, and GET or POST /healthz\n"
#define HEAD_KEPT_MAX 1024 /* a larger head buffer is freed after its message */

static void on_deadline(struct wheel_entry *entry)
{
    struct rpc *rpc = container_of(entry, struct rpc, deadline);

    rpc_abort(rpc, CODE_DEADLINE_EXCEEDED, "the client's deadline of %llu ms has passed",
              (unsigned long long)rpc->timeout_us / 1000);
}

struct rpc *rpc_new(struct peer *peer, int32_t stream_id)
{
    struct rpc *rpc = xcalloc(1, sizeof(*rpc));

    list_init(&rpc->ready_link);
    list_init(&rpc->written_link);
    wheel_entry_init(&rpc->deadline, on_deadline);
    message_reader_init(&rpc->reader, peer->server->limits.message);
    buf_init(&rpc->out.head, RPC_REPLY_MAX);
    rpc->peer = peer;
    rpc->stream_id = stream_id;
    rpc->id = ++peer->server->next_id;
    rpc->opened_us = loop_now_us(peer->server->loop);
    list_append(&peer->calls, &rpc->link);
    peer->calls_len++;
    return rpc;
}

static enum code closing_code(const struct rpc *rpc)
{
    if (rpc->finishing && (rpc->ended || rpc->code != CODE_OK))
        return rpc->code;
    return CODE_CANCELLED; /* the client, or its connection, went away first */
}

void rpc_release(struct rpc *rpc)
{
    struct grpc_server *server = rpc->peer->server;

    rpc->dead = true;
    list_remove(&rpc->link);
    rpc->peer->calls_len--;
    list_remove(&rpc->ready_link);
    list_remove(&rpc->written_link);
    wheel_remove(&server->wheel, &rpc->deadline);
    if (rpc->opened) {
        counter_set(&server->stats.calls, counter_get(&server->stats.calls) - 1);
        if (rpc->handler->on_close)
            rpc->handler->on_close(rpc, closing_code(rpc));
    }
    rpc_clear_out(rpc);
    rpc_drop_partial(rpc);
    rpc_drop_metadata(rpc);
    buf_done(&rpc->out.head);
    free(rpc->out.blobs);
    free(rpc->message);
    free(rpc->agent_text);
    free(rpc->unknown_path);
    secret_free(rpc->authorization);
    account_free(rpc->account);
    free(rpc);
}

/* ---- the request ---- */

static void answer_plain(struct rpc *rpc, unsigned status, const char *text)
{
    rpc->http_status = status;
    rpc->handler = NULL;
    rpc->finishing = true;
    rpc->code = CODE_OK;
    if (*text && !rpc->head) {
        (void)buf_add_str(&rpc->out.head, str_of(text));
        rpc_begin_out(rpc, rpc->out.head.len);
    }
    rpc_wake(rpc, RPC_WAKE_ANSWER);
}

static bool asks_for_health(const struct rpc *rpc)
{
    return rpc->healthz && !rpc->finishing && (rpc->get || (rpc->post && !rpc->grpc));
}

/* Once the request is whole. */
static void answer_health(struct rpc *rpc)
{
    unsigned status;
    const char *text = server_health(rpc->peer->server, &status);

    answer_plain(rpc, status, text);
}

static bool refuse(struct rpc *rpc)
{
    if (rpc->finishing)
        return true; /* a header was refused */
    if (asks_for_health(rpc))
        return true;
    if (!rpc->post || !rpc->grpc) {
        answer_plain(rpc, rpc->post ? 415 : 405, rpc->post ? NO_GRPC : NO_POST);
        return true;
    }
    if (!rpc->handler) {
        rpc_abort(rpc, CODE_UNIMPLEMENTED,
                  "unknown method '%s': compare it with the .proto file of the service",
                  rpc->unknown_path ? rpc->unknown_path : "");
        return true;
    }
    return false;
}

/* True: the call is refused. */
static bool refuse_caller(struct rpc *rpc)
{
    const struct grpc_server *server = rpc->peer->server;
    struct err err = {0};
    enum code code = CODE_OK;

    if (rpc->authorization)
        code =
            server->authenticate(server->ctx, rpc, str_of(rpc->authorization), &rpc->account, &err);
    else if (server->identify && !conn_account(rpc->peer->conn))
        code = server->identify(server->ctx, rpc, &rpc->account, &err);
    secret_free(TAKE(rpc->authorization));
    if (code != CODE_OK)
        rpc_abort(rpc, code, "%s", err.msg);
    return code != CODE_OK;
}

void rpc_start(struct rpc *rpc)
{
    struct grpc_server *server = rpc->peer->server;

    if (refuse(rpc) || refuse_caller(rpc))
        return;
    rpc->opened = true;
    counter_add(&server->stats.calls_total, 1);
    counter_set(&server->stats.calls, counter_get(&server->stats.calls) + 1);
    if (rpc->timeout_us)
        server_set_timeout(server, &rpc->deadline, rpc->opened_us + rpc->timeout_us);
    if (rpc->handler->on_open)
        rpc->handler->on_open(rpc);
    if (rpc->handler->on_pull) {
        peer_grow_lean(rpc->peer);
        rpc_wake(rpc, RPC_WAKE_ANSWER); /* headers go early, and perhaps there is more to say */
    }
}

void rpc_half_close(struct rpc *rpc)
{
    rpc->half_closed = true;
    if (asks_for_health(rpc))
        answer_health(rpc);
    if (!rpc->opened || rpc->finishing)
        return;
    if (!message_reader_idle(&rpc->reader)) {
        counter_add(&rpc->peer->server->stats.protocol_errors, 1);
        rpc_finish(rpc, CODE_INTERNAL, "the request ended inside a message, which was cut");
    } else if (rpc->handler->on_half_close) {
        rpc->handler->on_half_close(rpc);
    } else {
        rpc_finish(rpc, CODE_OK, NULL);
    }
}

/* ---- the answer ---- */

void rpc_out_add(struct rpc_out *out, struct blob *blob)
{
    if (blob->len == 0) {
        blob_unref(blob);
        return;
    }
    out->blobs = xgrow(out->blobs, &out->blobs_cap, out->blobs_len, sizeof(struct blob *));
    out->blobs[out->blobs_len++] = blob;
}

static void release_blobs(struct rpc_out *out)
{
    for (size_t i = 0; i < out->blobs_len; i++)
        blob_unref(out->blobs[i]);
    out->blobs_len = 0;
}

void rpc_begin_out(struct rpc *rpc, size_t len)
{
    rpc->out_len = len;
    rpc->out_us = loop_now_us(rpc->peer->server->loop);
    rpc->moved_us = rpc->out_us;
    rpc->sending = true;
    rpc->peer->pinned += len;
}

void rpc_not_late(struct rpc *rpc)
{
    rpc->peer->late -= rpc->late;
    rpc->peer->server->late -= rpc->late;
    rpc->late = 0;
}

void rpc_clear_out(struct rpc *rpc)
{
    rpc_not_late(rpc);
    rpc->peer->pinned -= rpc->out_len - rpc->out_off;
    rpc->out_len = 0;
    rpc->out_off = 0;
    rpc->blob_index = 0;
    rpc->blob_off = 0;
    rpc->sending = false;
    release_blobs(&rpc->out);
    buf_reset(&rpc->out.head);
    if (rpc->out.head.cap > HEAD_KEPT_MAX) {
        buf_done(&rpc->out.head);
        buf_init(&rpc->out.head, RPC_REPLY_MAX);
    }
}

static size_t out_len(const struct rpc_out *out)
{
    size_t len = out->head.len;

    for (size_t i = 0; i < out->blobs_len; i++)
        len += out->blobs[i]->len;
    return len;
}

/* Puts gzip in the place of `out`; false, and it stays plain, when that is longer than a message may be. */
static bool pack_out(struct rpc_out *out)
{
    struct str *parts = xmalloc((1 + out->blobs_len) * sizeof(*parts));
    struct buf packed = BUFFER_INIT(RPC_REPLY_MAX);
    enum code code;

    parts[0] = buf_str(&out->head);
    for (size_t i = 0; i < out->blobs_len; i++)
        parts[1 + i] = blob_str(out->blobs[i]);
    code = gzip_pack(parts, 1 + out->blobs_len, &packed, NULL);
    free(parts);
    if (code != CODE_OK) {
        buf_done(&packed);
        return false;
    }
    release_blobs(out);
    buf_done(&out->head);
    out->head = packed;
    return true;
}

/* Makes `out` the message in flight; false, and the call fails, when it is too large. */
static bool start_message(struct rpc *rpc)
{
    size_t len = out_len(&rpc->out);
    bool packed;

    if (len > RPC_REPLY_MAX || buf_failed(&rpc->out.head)) {
        rpc_clear_out(rpc);
        rpc_abort(
            rpc, CODE_RESOURCE_EXHAUSTED,
            "the answer is longer than %d bytes, which is all that gRPC clients take: ask for less",
            RPC_REPLY_MAX);
        return false;
    }
    packed = rpc->packs && rpc->offers_gzip && pack_out(&rpc->out);
    len = out_len(&rpc->out);
    message_prefix(rpc->prefix, len);
    if (packed)
        rpc->prefix[0] = MESSAGE_COMPRESSED;
    rpc->prefix_len = MESSAGE_PREFIX_SIZE;
    rpc_begin_out(rpc, MESSAGE_PREFIX_SIZE + len);
    return true;
}

bool rpc_pull(struct rpc *rpc)
{
    bool may = rpc->handler && rpc->handler->on_pull && (!rpc->finishing || rpc->code == CODE_OK);
    bool pulled = may && rpc->handler->on_pull(rpc, &rpc->out) && start_message(rpc);

    rpc->asked = !pulled;
    return pulled;
}

bool rpc_exhausted(const struct rpc *rpc)
{
    return rpc->finishing && (rpc->code != CODE_OK || !rpc->handler || !rpc->handler->on_pull);
}

void rpc_queue(struct rpc *rpc, enum rpc_wake wake)
{
    if (rpc->dead || rpc->trailing)
        return;
    if (list_empty(&rpc->ready_link))
        list_append(&rpc->peer->ready, &rpc->ready_link);
    peer_mark(rpc->peer, wake);
}

void rpc_wake(struct rpc *rpc, enum rpc_wake wake)
{
    rpc->asked = false;
    if (rpc_stalled(rpc) && rpc->responded && !rpc->finishing)
        return; /* it is asked again once its message is out */
    rpc_queue(rpc, wake);
}

void rpc_finish(struct rpc *rpc, enum code code, const char *message)
{
    char encoded[GRPC_STATUS_MESSAGE_MAX];

    if (rpc->dead || rpc->trailing)
        return;
    if (rpc->finishing && (rpc->code != CODE_OK || code == CODE_OK))
        return; /* the first error counts, and an error overrules OK */
    rpc->finishing = true;
    rpc->code = code;
    if (message && grpc_message_encode(message, encoded) > 0)
        rpc->message = xstrdup(encoded);
    rpc_wake(rpc, RPC_WAKE_ANSWER);
}

void rpc_abort(struct rpc *rpc, enum code code, const char *fmt, ...)
{
    struct err err = {0};
    va_list args;

    va_start(args, fmt);
    vsnprintf(err.msg, sizeof(err.msg), fmt, args);
    va_end(args);
    rpc_finish(rpc, code, err.msg);
}

void rpc_reply(struct rpc *rpc, const void *ptr, size_t len)
{
    if (rpc->dead || rpc->finishing)
        return;
    assert(!rpc->sending && !rpc->unwritten);
    (void)buf_append(&rpc->out.head, ptr, len);
    if (start_message(rpc))
        rpc_finish(rpc, CODE_OK, NULL);
}

void rpc_set_header(struct rpc *rpc, const char *name, const char *value)
{
    rpc->header_name = name;
    rpc->header_value = value;
}

void rpc_offer_gzip(struct rpc *rpc)
{
    rpc->offers_gzip = rpc->takes_gzip;
}

void rpc_pack(struct rpc *rpc, bool pack)
{
    rpc->packs = pack;
}

void rpc_set_trailer(struct rpc *rpc, const char *name, const char *value)
{
    rpc->trailer_name = name;
    rpc->trailer_value = value;
}

/* ---- what a handler may ask ---- */

void rpc_set_state(struct rpc *rpc, void *state)
{
    rpc->state = state;
}

const void *rpc_handler_ctx(const struct rpc *rpc)
{
    return rpc->handler->ctx;
}

bool rpc_was_packed(const struct rpc *rpc)
{
    return rpc->reader.prefix[0] == MESSAGE_COMPRESSED;
}

void *rpc_state(const struct rpc *rpc)
{
    return rpc->state;
}

void *rpc_server_ctx(const struct rpc *rpc)
{
    return rpc->peer->server->ctx;
}

const struct address *rpc_peer(const struct rpc *rpc)
{
    return conn_peer(rpc->peer->conn);
}

const struct service_account *rpc_account(const struct rpc *rpc)
{
    return rpc->account ? rpc->account : conn_account(rpc->peer->conn);
}

void *rpc_connection(const struct rpc *rpc)
{
    return rpc->peer->connection;
}

uint64_t rpc_id(const struct rpc *rpc)
{
    return rpc->id;
}

uint64_t rpc_opened_us(const struct rpc *rpc)
{
    return rpc->opened_us;
}

uint64_t rpc_bytes_sent(const struct rpc *rpc)
{
    return rpc->bytes_sent;
}

bool rpc_stalled(const struct rpc *rpc)
{
    return rpc->sending || rpc->unwritten;
}

struct str rpc_path(const struct rpc *rpc)
{
    return rpc->path;
}

enum rpc_agent rpc_agent(const struct rpc *rpc)
{
    return rpc->agent;
}
