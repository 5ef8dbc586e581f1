/*
 * What the files of the server share: the call, the connection, the server.
 *
 * The way of a call: nghttp2's callbacks (receive.c) only change what struct rpc knows and put it
 * on its connection's `ready` list; the connection goes on one of the server's two dirty lists. At
 * the end of the loop's turn the server flushes them (send.c): that is the only place that calls
 * nghttp2_session_mem_send() and conn_writev(). A call that ended is released (rpc_release) behind
 * mem_recv or mem_send, never inside: its memory is in the write.
 *
 * Threads: one loop.
 * Owns:    server → connections → calls.
 */
#ifndef GRPC_INTERNAL_H
#define GRPC_INTERNAL_H

#include "grpc/gather.h"
#include "grpc/memory.h"
#include "grpc/message.h"
#include "grpc/rate.h"
#include "grpc/rpc.h"
#include "grpc/server.h"
#include "grpc/wheel.h"
#include "net/conn.h"

/* Queued control frames of a peer that does not read: then we stop reading. */
#define PEER_OUTBOUND_MAX 256
/* How long a closed connection waits for the peer's end. */
#define PEER_LINGER_US 1000000
/* Between the two GOAWAYs, if the peer does not answer our ping. */
#define PEER_DRAIN_NOTICE_US 500000
/* A client that sends so many times the headers that it may is told nothing more. */
#define PEER_HEADER_LISTS_MAX 8
/* Of an unknown method, for its error message. */
#define PATH_KEPT_MAX 128

/* The words at which gRPC clients wait longer before they ping again. */
#define GRPC_TOO_MANY_PINGS "too_many_pings"

struct peer;

/* ---- one call ---- */

struct rpc {
    struct list link;         /* peer.calls or, once its stream is closed, peer.closed */
    struct list ready_link;   /* peer.ready */
    struct list written_link; /* peer.written, while it is `unwritten` */
    struct peer *peer;
    const struct rpc_handler *handler; /* NULL: refused before it was opened, or plain HTTP */
    struct str path;                   /* of the method, borrowed */
    void *state;
    uint64_t id;
    uint64_t opened_us;
    uint64_t bytes_sent;
    uint64_t messages_sent, messages_received;
    uint64_t sent_us, received_us; /* the last of these */
    uint64_t timeout_us; /* of grpc-timeout; 0: none */
    struct wheel_entry deadline;
    int32_t stream_id;
    uint32_t header_bytes;

    unsigned get : 1;         /* request: GET or HEAD */
    unsigned head : 1;        /* request: HEAD */
    unsigned post : 1;        /* request: POST */
    unsigned grpc : 1;        /* request: content-type application/grpc */
    unsigned healthz : 1;     /* request: /healthz */
    unsigned opened : 1;      /* handler->on_open() was called; on_close() is owed */
    unsigned half_closed : 1; /* the client will send no more */
    unsigned finishing : 1;   /* `code` is decided */
    unsigned responded : 1;   /* response headers are submitted */
    unsigned trailing : 1;    /* the end of the response is submitted */
    unsigned ended : 1;       /* the end of the response went out */
    unsigned dead : 1;        /* the stream is closed */
    unsigned sending : 1;     /* `out` holds a message that is not framed in full */
    unsigned unwritten : 1;   /* messages are framed, but not given to the kernel in full */
    unsigned asked : 1;       /* it had nothing to say when it was asked last, and was not woken since */
    unsigned blamed : 1;      /* what closes the stream is counted already, or the client's wish */
    unsigned takes_gzip : 1;  /* request: grpc-accept-encoding */
    unsigned offers_gzip : 1; /* its response says grpc-encoding: gzip */
    unsigned packs : 1;       /* messages from here on are gzip, if it offers that */

    enum rpc_agent agent;
    char *agent_text; /* cut at FACTS_AGENT_MAX; or NULL */
    enum code code;
    unsigned http_status; /* of a plain HTTP answer; 0: gRPC */
    char *message;        /* of the status, percent-encoded; or NULL */
    struct rpc_metadata *metadata;
    const char *header_name; /* one of the handler's; or NULL */
    const char *header_value;
    const char *trailer_name; /* the same */
    const char *trailer_value;
    char *authorization;  /* until it is opened; or NULL */
    struct service_account *account; /* of that; or NULL */
    char *unknown_path;   /* cut at PATH_KEPT_MAX; or NULL */
    struct message_reader reader;
    size_t partial; /* bytes in it, as counted in peer.partial and server.partial */

    struct rpc_out out; /* the message that is in flight, behind those that the gather has in full */
    size_t out_len;     /* with its prefix */
    size_t out_off;     /* framed so far */
    size_t framed;      /* messages that are unwritten */
    size_t framed_len;  /* their bytes, but those of `out` */
    size_t late;        /* bytes of it that are counted in peer.late and server.late */
    uint64_t out_us;    /* in flight since */
    uint64_t moved_us;  /* some of it was framed last */
    size_t blob_index;  /* the blob at out_off, and how much of it is framed */
    size_t blob_off;
    unsigned char prefix[MESSAGE_PREFIX_SIZE];
    uint8_t prefix_len; /* 0 for plain HTTP */
};

struct rpc *rpc_new(struct peer *peer, int32_t stream_id);
/* Calls on_close where it is owed; frees. The call must be in no nghttp2 callback. */
void rpc_release(struct rpc *rpc);
/* Opens the call on its handler, or refuses it: the request's headers are complete. */
void rpc_start(struct rpc *rpc);
void rpc_half_close(struct rpc *rpc);
/* Frees what came of an unfinished message. */
void rpc_drop_partial(struct rpc *rpc);
/* metadata.c: keeps a header that the server's handlers ask for; the first of a name. */
void rpc_keep_metadata(struct rpc *rpc, struct str name, struct str value);
void rpc_drop_metadata(struct rpc *rpc);
void rpc_abort(struct rpc *rpc, enum code code, const char *fmt, ...) printf_like(3, 4);
/* Asks the handler for a message; true when there is one to send. */
bool rpc_pull(struct rpc *rpc);
/* `out` is in flight from here on: `len` bytes, with the prefix. */
void rpc_begin_out(struct rpc *rpc, size_t len);
/* It is late no longer. */
void rpc_not_late(struct rpc *rpc);
/* Releases the message that went out, or that goes on without it. */
void rpc_clear_out(struct rpc *rpc);
/* Puts the call on its connection's ready list, and the connection on a dirty one. */
void rpc_queue(struct rpc *rpc, enum rpc_wake wake);
/* Nothing is left to pull, and the call is to end. */
bool rpc_exhausted(const struct rpc *rpc);

/* ---- one connection ---- */

enum peer_state {
    PEER_SNIFFING, /* HTTP/2 or HTTP/1.1? */
    PEER_HTTP2,
    PEER_LINGERING, /* our end is closed; waits for the peer's */
};

enum peer_drain {
    DRAIN_NONE,
    DRAIN_WAITING, /* for its share of the spread */
    DRAIN_NOTICED, /* the first GOAWAY is out: no new streams, please */
    DRAIN_FINAL,   /* the second: streams from here on are not processed */
};

struct peer {
    struct list link;       /* server.peers */
    struct list dirty_link; /* server.dirty[] */
    struct grpc_server *server;
    struct conn *conn;
    nghttp2_session *session; /* NULL while sniffing */
    struct list calls;        /* oldest first */
    size_t calls_len;         /* with those that are closed */
    struct list ready;        /* calls that have something to say */
    struct list written;      /* calls with messages in this write */
    struct list closed;       /* calls to release */
    struct wheel_entry check;
    struct buf input; /* first bytes, while sniffing */

    void *connection; /* the handlers' */
    uint64_t opened_us;
    uint64_t heard_us;  /* last bytes from the peer */
    uint64_t pinged_us; /* our ping is out since; 0: none */
    uint64_t moved_us;  /* the backlog changed */
    uint64_t due_us;    /* next step of draining or lingering */
    uint64_t ends_us;   /* condemned: it is closed then, read or not; 0: it is not */
    size_t backlog;     /* as last seen */
    size_t pinned;      /* bytes of pulled messages that are not framed */
    size_t late;        /* bytes of messages that are in flight for too long, whole */
    size_t partial;     /* bytes of unfinished requests */
    size_t stalled;     /* its share of stats.stalled_bytes */
    uint64_t authority; /* of the header block that is being read: a fold of it, or 0 */
    int32_t newest;     /* stream of the client's; 0: none */
    int32_t over;       /* the stream that it has ended last, itself; 0: none */
    int32_t skipped_from, skipped_to; /* streams that it left out last: [from, to) */
    struct rate resets;
    struct rate pings;
    struct rate controls;

    uint32_t verdict; /* HTTP/2 error that ends the session behind this mem_recv; 0: none */
    const char *why;  /* of the verdict; static */
    enum peer_state state;
    enum peer_drain drain;
    enum rpc_wake dirty; /* the list that dirty_link is on */
    bool spoke;  /* we sent HEADERS or DATA since the peer's last ping: the next ping is free */
    bool paused; /* we stopped reading */
    bool greeted; /* something of ours is on its way */
    bool lean;    /* the client was told to keep no headers here */
    bool blamed; /* what ends the session is counted already */
    bool logged;
};

/* Owns fd and `connection`; `tls` may be NULL. */
void peer_new(struct grpc_server *server, int fd, const struct address *address, struct tls *tls,
              void *connection);
/* Ends every call with `code` (or its own, if it had one) and frees the connection. */
void peer_close(struct peer *peer, enum code code);
/* Half-closes; frees once the peer has ended too, or after PEER_LINGER_US. */
void peer_linger(struct peer *peer);
/* For nghttp2's callbacks: once mem_recv is through with its bytes, GOAWAY with an HTTP/2 error
 * and the reason (static) in words, and the end. Not at once: nghttp2 1.52 forgets a termination inside some callbacks, reads on
 * and then fails an assertion. */
void peer_condemn(struct peer *peer, uint32_t h2_error, struct counter *counter, const char *why);
/* Counts, and logs the first time; of many connections one a second. */
void peer_complain(struct peer *peer, struct counter *counter, const char *why);
/* Queues the connection for the flush at the end of the turn. */
void peer_mark(struct peer *peer, enum rpc_wake wake);
/* Releases the calls whose streams are closed; brings stats.stalled_bytes up to date. */
void peer_reap(struct peer *peer);
/* The first streaming call has begun: from here on the client's HPACK table, of up to 4 KiB, would only lie here. Not before, since who
 * forgets to say so in its next header block (RFC 7541, 4.2) loses its connection. */
void peer_grow_lean(struct peer *peer);
/* Plans the next look of the wheel. */
void peer_plan_check(struct peer *peer);
/* stall.c: something is left to send: looks again in time. O(1); never later than planned. */
void peer_watch(struct peer *peer);
/* When to look next at what is left to send. */
uint64_t peer_watch_due(const struct peer *peer, uint64_t now);
/* The written bytes have not moved for too long. */
bool peer_stuck(struct peer *peer, uint64_t now);
/* Resets the streams whose message does not move. False: the connection pins too much. */
bool peer_check_messages(struct peer *peer, uint64_t now);
void peer_start_drain(struct peer *peer, uint64_t due_us);
/* The peer answered our ping: the second GOAWAY, if one is due. */
void peer_ping_answered(struct peer *peer);
void peer_check_drain(struct peer *peer);
bool peer_finished(const struct peer *peer);

/* receive.c: bytes into the session. False: the connection is gone. */
bool peer_receive(struct peer *peer, const void *ptr, size_t len);
/* send.c: writes what the session has to say. False: the connection is gone. */
bool peer_flush(struct peer *peer);
/* What was gathered before is with the kernel now: tells the calls, asks them for more. `at_once`: in the turn in which it was gathered. */
void peer_after_write(struct peer *peer, bool at_once);
void receive_set_callbacks(nghttp2_session_callbacks *callbacks);
void send_set_callbacks(nghttp2_session_callbacks *callbacks);

/* ---- the server ---- */

struct grpc_server {
    struct loop *loop;
    const struct rpc_method *methods;
    size_t methods_len;
    void *ctx;
    const char *const *metadata;
    struct grpc_limits limits;
    const char *(*healthz)(void *ctx, unsigned *ret_status);
    enum code (*authenticate)(void *ctx, const struct rpc *rpc, struct str authorization,
                              struct service_account **ret_account, struct err *err);
    enum code (*identify)(void *ctx, const struct rpc *rpc, struct service_account **ret_account,
                          struct err *err);
    void (*release)(void *connection);
    struct grpc_server_stats stats;

    nghttp2_session_callbacks *callbacks;
    nghttp2_option *session_options;
    struct tls_gate *gate; /* of TLS handshakes */
    struct grpc_memory memory;
    struct gather gather;
    struct wheel wheel;
    struct timer *wheel_timer;
    uint64_t wheel_due_us; /* of that; UINT64_MAX: it is not set */
    struct list peers;
    struct list dirty[2]; /* by enum rpc_wake */
    struct deferred flush;
    uint64_t next_id;
    size_t partial; /* bytes of unfinished requests, of all connections */
    size_t late;    /* of peer.late, of all connections */
    struct rate complaints;  /* lines of the log about clients */
    uint64_t full_logged_us; /* the same, of a connection too many */
    uint64_t tls_logged_us; /* a handshake that failed; 0: never */

    bool draining;
    uint64_t drain_start_us;
    uint64_t drain_spread_us;
    struct timer *drain_timer;
    struct deferred drained;
    void (*on_drained)(void *ctx);
    void *drained_ctx;
};

void server_set_timeout(struct grpc_server *server, struct wheel_entry *entry, uint64_t due_us);
/* The same, for what may be a second late when it is far ahead. */
void server_set_check(struct grpc_server *server, struct wheel_entry *entry, uint64_t due_us);
const struct rpc_method *server_find_method(const struct grpc_server *server, struct str path);
const char *server_health(const struct grpc_server *server, unsigned *ret_status);
/* A connection is gone. */
void server_forget_peer(struct grpc_server *server);
/* What it was adopted with goes too. */
void server_release(const struct grpc_server *server, void *connection);

#endif
