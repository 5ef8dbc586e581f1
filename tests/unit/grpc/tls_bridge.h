/*
 * TLS clients in a process of their own, so that their memory is not the server's: what is written to a plain socket
 * comes out of another one encrypted, and back.
 */
#ifndef TESTS_UNIT_GRPC_TLS_BRIDGE_H
#define TESTS_UNIT_GRPC_TLS_BRIDGE_H

#include <sys/types.h>

#define BRIDGE_MAX 200

struct bridge {
    pid_t pid;
    unsigned count;
    int plain[BRIDGE_MAX]; /* the test's, non-blocking */
    int wire[BRIDGE_MAX];  /* the server's */
};

void bridge_start(struct bridge *bridge, unsigned count);
/* Both ends of each stay the caller's to close. */
void bridge_stop(struct bridge *bridge);

#endif
