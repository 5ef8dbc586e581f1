/*
 * What a peer of the server may do at most. Each limit has a name, by which it is set and counted.
 *
 * Rates are of one connection; ten seconds' worth may come at once. Zero: as the table says.
 */
#ifndef GRPC_LIMITS_H
#define GRPC_LIMITS_H

#include "base/limit.h"

enum grpc_limit {
    GRPC_LIMIT_CONNECTIONS,
    GRPC_LIMIT_STREAMS,
    GRPC_LIMIT_HEADER_LIST,
    GRPC_LIMIT_MESSAGE,
    GRPC_LIMIT_UNFINISHED,
    GRPC_LIMIT_UNFINISHED_TOTAL,
    GRPC_LIMIT_RESETS,
    GRPC_LIMIT_PINGS,
    GRPC_LIMIT_CONTROL_FRAMES,
    GRPC_LIMIT_KEEPALIVE,
    GRPC_LIMIT_KEEPALIVE_TIMEOUT,
    GRPC_LIMIT_STALLED,
    GRPC_LIMIT_PINNED,
    GRPC_LIMIT_PINNED_TOTAL,
    GRPC_LIMIT_HANDSHAKE,
    GRPC_LIMIT_TLS_HANDSHAKES,
    GRPC_LIMITS,
};

struct grpc_limits {
    uint64_t connections;          /* of this loop */
    uint64_t streams;              /* of a connection at a time */
    uint64_t header_list;          /* bytes, as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    uint64_t message;              /* bytes of a request, after decompression */
    uint64_t unfinished;           /* bytes of unfinished requests of a connection */
    uint64_t unfinished_total;     /* and of this loop */
    uint64_t resets_per_second;    /* RST_STREAM sent, or caused, by the peer */
    uint64_t pings_per_second;     /* those that follow no message of ours */
    uint64_t controls_per_second;  /* SETTINGS, PRIORITY and empty DATA */
    uint64_t keepalive_ms;         /* ping a connection that said nothing for so long */
    uint64_t keepalive_timeout_ms; /* close it when the ping stays unanswered */
    uint64_t stalled_ms;           /* close it when written bytes do not move, reset a stream
                                      when its message does not */
    /* Messages that have not gone out after a quarter of stalled_ms pin their blobs: so many bytes
     * of a connection, and of this loop, before the connection that pins too much is closed. */
    uint64_t pinned;
    uint64_t pinned_total;
    uint64_t handshake_ms;   /* no HTTP/2 preface, behind TLS if there is, within */
    uint64_t tls_handshakes; /* unfinished ones of this loop */
    uint64_t turn_us;        /* work of one flush turn; no limit of the table: 0 is 1,000 */
};

extern const struct limit grpc_limit_table[GRPC_LIMITS];

/* What is in force: those that are not set are as the table says, and one message of the largest gets through. */
void grpc_limits_fill(struct grpc_limits *limits);

#endif
