#include "serve/limits.h"

#include "protocol/request.h"

#define FIELD(name) offsetof(struct serve_limits, name)

const struct limit serve_limit_table[SERVE_LIMITS] = {
    /* A proxy's or a node's address stands for many clients; but one alone may not fill a serving thread (connections). */
    [SERVE_LIMIT_CONNECTIONS_PER_ADDRESS] = {"connections-per-address",
                                             "of an IPv4 address or an IPv6 /64, on all threads; "
                                             "further ones are closed",
                                             LIMIT_COUNT, FIELD(connections_per_address), 10000, 1,
                                             10000000, false},
    [SERVE_LIMIT_NAMES] = {"names", "that a stream asks for; can only be lowered", LIMIT_COUNT,
                           FIELD(names), XDS_NAMES_MAX, 1, XDS_NAMES_MAX, false},
    [SERVE_LIMIT_SUBSCRIPTIONS] = {"subscriptions", "names of all streams of a connection",
                                   LIMIT_COUNT, FIELD(subscriptions), 20000, 1, 10000000, false},
    [SERVE_LIMIT_SUBSCRIPTIONS_TOTAL] = {"subscriptions-total", "and of all of a serving thread",
                                         LIMIT_COUNT, FIELD(subscriptions_total), 1000000, 1,
                                         100000000, false},
};
