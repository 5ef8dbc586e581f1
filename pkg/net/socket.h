/*
 * What listener and conn share about sockets. Nobody else includes this header.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "net/address.h"

/* A system error in the words of our messages: "address already in use". By value, so that it needs
 * no buffer:  fail(err, code, "cannot bind: %s", errno_text(errno).text) */
struct errno_text {
    char text[64];
};
struct errno_text errno_text(int error);

/* The code that a caller can branch on; CODE_UNAVAILABLE for all that may pass. */
enum code socket_code(int error);

/* What finds dead peers and delays nothing, of TCP. Of a listening socket: all that it accepts inherit it (Linux), which saves seven system
 * calls for each. */
void socket_tune(int fd, const struct address *address);

/* A new stream socket of the address's family, non-blocking and close-on-exec; -1 and errno. */
int socket_open(const struct address *address) must_check;

/* An IPv4 peer of a dual-stack socket ("::ffff:127.0.0.1") becomes plain IPv4. */
void address_unmap(struct address *address);

#endif
