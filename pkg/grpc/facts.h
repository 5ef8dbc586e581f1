/*
 * What a person wants to know of a call and of the connection that it is on, for dumps.
 *
 * Threads: on the loop of the server. Borrows: texts live until the call ends.
 * Times:   of loop_now_us(); 0: it has not happened.
 */
#ifndef GRPC_FACTS_H
#define GRPC_FACTS_H

#include "grpc/rpc.h"

#define FACTS_AGENT_MAX 128 /* bytes that are kept of a user-agent */

struct call_facts {
    struct str agent; /* as the client's user-agent says; "": it says nothing */
    uint64_t opened_us;
    uint64_t deadline_us;   /* the client gives up; 0: never */
    uint64_t messages_sent; /* given to the kernel in full */
    uint64_t messages_received;
    uint64_t bytes_sent;
    uint64_t sent_us, received_us; /* the last message */
    uint64_t flying_us;            /* a message has been on its way since */
    size_t flying;                 /* its bytes */
    size_t held;                   /* of these, those that wait for the client's window */
    size_t window;                 /* bytes that the client takes now */
    bool half_closed;              /* it will send no more */
};

struct connection_facts {
    uint64_t opened_us;
    uint64_t heard_us;  /* the last bytes of the peer */
    uint64_t pinged_us; /* our keepalive ping is unanswered since */
    size_t calls;
    size_t window;  /* bytes that the peer takes now, of all calls */
    size_t backlog; /* bytes that the kernel has not taken */
    bool draining;
    bool paused; /* we do not read, because the peer does not */
};

void rpc_facts(const struct rpc *rpc, struct call_facts *ret_facts);
void rpc_connection_facts(const struct rpc *rpc, struct connection_facts *ret_facts);

#endif
