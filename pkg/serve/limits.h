/*
 * What clients may ask for at most, beside the limits of the gRPC server. Zero: as the table says.
 */
#ifndef SERVE_LIMITS_H
#define SERVE_LIMITS_H

#include "base/limit.h"

enum serve_limit {
    SERVE_LIMIT_CONNECTIONS_PER_ADDRESS,
    SERVE_LIMIT_NAMES,
    SERVE_LIMIT_SUBSCRIPTIONS,
    SERVE_LIMIT_SUBSCRIPTIONS_TOTAL,
    SERVE_LIMITS,
};

struct serve_limits {
    uint64_t connections_per_address; /* of one IPv4 address or IPv6 /64, on all serving threads */
    uint64_t names;                   /* of a stream */
    uint64_t subscriptions;           /* names of a connection */
    uint64_t subscriptions_total;     /* and of a serving thread: about 900 bytes each where every name is another */
};

extern const struct limit serve_limit_table[SERVE_LIMITS];

#endif
