/*
 * One gRPC call on the server side, as its handler sees it.
 *
 * Sending is pulled, never queued: a handler that has something to say calls rpc_wake(); when the
 * stream can take a message, on_pull is asked for one, and asked again until it returns false. What
 * it has then goes out in one write, and nothing is pulled before that is out, so a client that does
 * not read costs what it subscribed to and nothing more, and gets the newest state when it reads again.
 *
 * Threads: everything on the loop of the server.
 * Owns:    the call belongs to the server; on_close is the last callback, after which the pointer
 *          is dead.
 */
#ifndef GRPC_RPC_H
#define GRPC_RPC_H

#include "base/blob.h"
#include "base/buf.h"
#include "net/account.h"
#include "net/address.h"

#define RPC_MESSAGE_MAX (1024 * 1024)       /* of a request, after decompression */
#define RPC_REPLY_MAX (4 * 1024 * 1024 - 1) /* what gRPC clients accept by default */

struct rpc;

/* A message to send: `head` bytes (copied), then the blobs in order. The 5-byte gRPC prefix is
 * put in front by the server. References to blobs move to the server. Both arrays are emptied,
 * and their memory kept, by the server. */
struct rpc_out {
    struct buf head;
    struct blob **blobs;
    size_t blobs_len;
    size_t blobs_cap;
};

/* Takes over the caller's reference. */
void rpc_out_add(struct rpc_out *out, struct blob *blob);

struct rpc_handler {
    /* A new call; attach state with rpc_set_state(). May call rpc_finish(). NULL: nothing to set
     * up. */
    void (*on_open)(struct rpc *rpc);
    /* One whole message, decompressed, valid during the call. */
    void (*on_message)(struct rpc *rpc, struct str message);
    /* The client will send no more. NULL: the call ends with status OK once nothing is left to
     * pull. */
    void (*on_half_close)(struct rpc *rpc);
    /* Fill `out` and return true, or return false when there is nothing to say. NULL for
     * handlers that only rpc_reply(). */
    bool (*on_pull)(struct rpc *rpc, struct rpc_out *out);
    /* Of each message, in turn: it has been given to the kernel in full. May be NULL. */
    void (*on_written)(struct rpc *rpc);
    /* The call is over, whoever ended it. Free the state. NULL: there is none. */
    void (*on_close)(struct rpc *rpc, enum code code);
    /* Of handlers that share their functions: rpc_handler_ctx(). */
    const void *ctx;
};

struct rpc_method {
    struct str path; /* "/grpc.health.v1.Health/Check" */
    const struct rpc_handler *handler;
};

/* Updates may wait for the answers that a turn of the loop owes (first answers go before
 * updates). */
enum rpc_wake { RPC_WAKE_ANSWER, RPC_WAKE_UPDATE };

/* O(1), no allocation; waking twice is once. */
void rpc_wake(struct rpc *rpc, enum rpc_wake wake);
/* Ends the call with trailers once on_pull has nothing more to give (CODE_OK), or without asking
 * it any more (any other code). `message` is percent-encoded and cut; NULL for none. */
void rpc_finish(struct rpc *rpc, enum code code, const char *message);
/* Unary convenience: sends one message (copied), then finishes with OK. Not together with
 * on_pull. */
void rpc_reply(struct rpc *rpc, const void *ptr, size_t len);
/* One more header, before anything is answered (in on_open, of a handler with on_pull), and one more trailer, before the
 * call is finished; all are borrowed until it is closed. A name that ends with -bin has a value in base64. */
void rpc_set_header(struct rpc *rpc, const char *name, const char *value);
void rpc_set_trailer(struct rpc *rpc, const char *name, const char *value);
/* In on_open: messages of the answer may be gzip, if the client takes that. Those are that are made after rpc_pack(true);
 * without effect where it is not offered, or not taken. */
void rpc_offer_gzip(struct rpc *rpc);
void rpc_pack(struct rpc *rpc, bool pack);
/* In on_message: that message came compressed. */
bool rpc_was_packed(const struct rpc *rpc);
/* The value of a header of the request, NUL-terminated, the first of that name; one of those that the server was asked
 * to keep (struct grpc_server_options). NULL: it has none. Lives until the call is closed. */
const char *rpc_metadata(const struct rpc *rpc, const char *name);

void rpc_set_state(struct rpc *rpc, void *state);
void *rpc_state(const struct rpc *rpc);
const void *rpc_handler_ctx(const struct rpc *rpc);
/* The `ctx` of struct grpc_server_options. */
void *rpc_server_ctx(const struct rpc *rpc);
const struct address *rpc_peer(const struct rpc *rpc);
/* Who the client is, as its call proves, or else its certificate, or else what it connects from; NULL: nobody that is known. Borrowed from the call. */
const struct service_account *rpc_account(const struct rpc *rpc);
/* What the connection was adopted with: the handlers' own, shared by all its calls. */
void *rpc_connection(const struct rpc *rpc);
/* Unique in the process, for dumps. */
uint64_t rpc_id(const struct rpc *rpc);
uint64_t rpc_opened_us(const struct rpc *rpc);
/* Bytes of messages given to the kernel so far. */
uint64_t rpc_bytes_sent(const struct rpc *rpc);
/* A pulled message has not gone out in full yet: the client, or the network, is slow. */
bool rpc_stalled(const struct rpc *rpc);

/* The client's library, as its user-agent says. */
enum rpc_agent { RPC_AGENT_UNTOLD, RPC_AGENT_NODE, RPC_AGENT_OTHER };
enum rpc_agent rpc_agent(const struct rpc *rpc);

/* Ends the call's connection in `delay_ms`, as grpc_server_drain() ends all: the client is asked to
 * open no more calls on it, those that are pulled end with OK, the others finish by themselves.
 * Twice is once. */
void rpc_drain_connection(struct rpc *rpc, uint64_t delay_ms);
/* That is under way, or the whole server's drain. */
bool rpc_draining(const struct rpc *rpc);

#endif
