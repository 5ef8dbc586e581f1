/*
 * The TLS handshakes of one loop. Each costs up to a millisecond of work: they are made a few per turn, so that open
 * connections do not wait, and so many at a time, because an unfinished one holds memory. The others wait in order of
 * arrival; who has begun comes first. How long a handshake may take is up to the connections' user, but where others wait
 * and no more can begin, the oldest that is a second old makes room: peers that stall hold nobody up for longer.
 *
 * Threads: its loop, except reading stats.
 */
#ifndef NET_TLS_GATE_H
#define NET_TLS_GATE_H

#include "base/metric.h"
#include "loop/loop.h"

#define TLS_GATE_TURN_US 1000     /* no further step of a handshake behind this much work */
#define TLS_GATE_MAX 500          /* unfinished handshakes, of 45 KB each: a good maximum */
#define TLS_GATE_STALL_US 1000000 /* an unfinished one may be given up then */

/* Why there is no connection. */
enum tls_failure {
    TLS_FAILURE_NONE,
    TLS_FAILURE_ALPN,     /* the client does not offer h2 */
    TLS_FAILURE_VERSION,  /* it speaks only what is older than TLS 1.2 */
    TLS_FAILURE_CIPHER,   /* or no cipher, group or signature that we have */
    TLS_FAILURE_REFUSED,  /* it does not want us: most often it does not trust the certificate */
    TLS_FAILURE_CLIENT,   /* its certificate does not hold, or it has none and must have one */
    TLS_FAILURE_NO_TLS,   /* it speaks something else: HTTP, as a rule */
    TLS_FAILURE_PROTOCOL, /* or breaks the rules */
    TLS_FAILURE_CLOSED,   /* it goes away, as a check of the port does */
    TLS_FAILURE_STALLED,  /* we end it: the gate was full, and others waited */
    TLS_FAILURE_GIVEN_UP, /* or its time is over, or we stop */
    TLS_FAILURES,
};

struct tls_stats {
    struct counter handshakes; /* that succeeded */
    struct counter failures[TLS_FAILURES];
};

/* "alpn"; static. */
const char *tls_failure_name(enum tls_failure failure);

struct tls_gate;

struct tls_turn_handler {
    void (*step)(void *ctx);  /* its turn has come; it may leave, or queue again */
    void (*evict)(void *ctx); /* it is in the way of others, and must leave */
};

/* One connection at the gate; in its user's memory. */
struct tls_turn {
    struct list link;       /* it wants a step */
    struct list unfinished; /* it has begun */
    const struct tls_turn_handler *handler;
    void *ctx;
    uint64_t begun_us;
};

/* At most `max` of them, 1 or more, are unfinished at a time. `stats`, borrowed for life, are counted by those who come through. */
struct tls_gate *tls_gate_new(struct loop *loop, size_t max, struct tls_stats *stats) must_check;
/* All have left. NULL is fine. */
void tls_gate_free(struct tls_gate *gate);

void tls_turn_init(struct tls_turn *turn, const struct tls_turn_handler *handler, void *ctx);
/* Asks for a step; in a later turn of the loop, or at the end of this one. */
void tls_gate_queue(struct tls_gate *gate, struct tls_turn *turn);
/* It is through, or gone: counts. */
void tls_gate_leave(struct tls_gate *gate, struct tls_turn *turn, enum tls_failure failure);

#endif
