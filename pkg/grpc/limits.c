#include "grpc/limits.h"

#include "grpc/rpc.h"
#include "net/tls_gate.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define SECOND UINT64_C(1000)
#define HOUR (3600 * SECOND)

#define FIELD(name) offsetof(struct grpc_limits, name)

/* The order is that of the help: connections, what goes over one, what it may cost, time. */
const struct limit grpc_limit_table[GRPC_LIMITS] = {
    [GRPC_LIMIT_CONNECTIONS] = {"connections", "of a serving thread; further ones are closed",
                                LIMIT_COUNT, FIELD(connections), 20000, 1, 1000000, false},
    [GRPC_LIMIT_STREAMS] = {"streams", "of a connection at a time; further ones are refused",
                            LIMIT_COUNT, FIELD(streams), 1000, 1, 1000000, false},
    [GRPC_LIMIT_HEADER_LIST] = {"header-list", "headers of a call, with 32 bytes for each",
                                LIMIT_BYTES, FIELD(header_list), 16 * KIB, 4 * KIB, MIB, false},
    [GRPC_LIMIT_MESSAGE] = {"message", "a request, unpacked", LIMIT_BYTES, FIELD(message),
                            RPC_MESSAGE_MAX, KIB, 64 * MIB, false},
    [GRPC_LIMIT_UNFINISHED] = {"unfinished", "of messages of which a part has come, on a connection",
                               LIMIT_BYTES, FIELD(unfinished), 4 * MIB, KIB, GIB, false},
    [GRPC_LIMIT_UNFINISHED_TOTAL] = {"unfinished-total", "and on all of a serving thread",
                                     LIMIT_BYTES, FIELD(unfinished_total), 64 * MIB, KIB, 64 * GIB,
                                     false},
    [GRPC_LIMIT_RESETS] = {"resets", "of streams by a client, or by its mistakes", LIMIT_PER_SECOND,
                           FIELD(resets_per_second), 200, 1, 1000000, false},
    [GRPC_LIMIT_PINGS] = {"pings", "but for one behind each message of ours", LIMIT_PER_SECOND,
                          FIELD(pings_per_second), 10, 1, 1000000, false},
    [GRPC_LIMIT_CONTROL_FRAMES] = {"control-frames", "SETTINGS, PRIORITY and empty DATA",
                                   LIMIT_PER_SECOND, FIELD(controls_per_second), 10, 1, 1000000,
                                   false},
    [GRPC_LIMIT_KEEPALIVE] = {"keepalive", "without a word of a client: it is pinged", LIMIT_MS,
                              FIELD(keepalive_ms), 60 * SECOND, SECOND, 24 * HOUR, true},
    [GRPC_LIMIT_KEEPALIVE_TIMEOUT] = {"keepalive-timeout", "and without an answer to that",
                                      LIMIT_MS, FIELD(keepalive_timeout_ms), 20 * SECOND, SECOND,
                                      HOUR, true},
    /* At most: before TCP_USER_TIMEOUT (net/socket.c), which would end the connection as a broken one. */
    [GRPC_LIMIT_STALLED] = {"stalled", "a client takes nothing of what there is for it; at most 2m",
                            LIMIT_MS, FIELD(stalled_ms), 120 * SECOND, SECOND, 120 * SECOND, false},
    [GRPC_LIMIT_PINNED] = {"pinned",
                           "of messages that a connection has not taken in a quarter of that",
                           LIMIT_BYTES, FIELD(pinned), 16 * MIB, KIB, 64 * GIB, false},
    [GRPC_LIMIT_PINNED_TOTAL] = {"pinned-total", "and all of a serving thread", LIMIT_BYTES,
                                 FIELD(pinned_total), 256 * MIB, KIB, 64 * GIB, false},
    [GRPC_LIMIT_HANDSHAKE] = {"handshake", "from connecting to HTTP/2, behind TLS where there is",
                              LIMIT_MS, FIELD(handshake_ms), 10 * SECOND, 100, HOUR, false},
    [GRPC_LIMIT_TLS_HANDSHAKES] = {"tls-handshakes",
                                   "unfinished, of a serving thread; further ones wait",
                                   LIMIT_COUNT, FIELD(tls_handshakes), TLS_GATE_MAX, 1, 100000,
                                   true},
};

void grpc_limits_fill(struct grpc_limits *limits)
{
    limits_fill(grpc_limit_table, GRPC_LIMITS, limits);
    limits->unfinished = max_u64(limits->unfinished, limits->message);
    limits->unfinished_total = max_u64(limits->unfinished_total, limits->message);
}
