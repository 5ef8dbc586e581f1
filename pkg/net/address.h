/*
 * Addresses to listen on and to connect to: "127.0.0.1:18000", "[::1]:18000", ":18000" (all families,
 * dual-stack), "unix:/path" (also "unix:///path").
 *
 * Threads: any; a value.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/str.h"

#define ADDRESS_TEXT_MAX 128

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* A literal address with a port; names are not looked up (address_lookup does). */
enum code address_parse(struct str text, struct address *ret_address, struct err *err) must_check;
/* Blocking name lookup, for command-line tools: "host:port" or a literal; a leading "dns:///" is skipped.
 * IPv4 where a name has both families. */
enum code address_lookup(struct str text, struct address *ret_address, struct err *err) must_check;
/* "127.0.0.1:18000", "[::1]:18000", "unix:/path", "unix:" (an unnamed peer); always NUL-terminated. */
void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX]);
/* Loopback IP or a unix socket. */
bool address_is_local(const struct address *address);
bool address_is_unix(const struct address *address);
/* The IP's family, 4 or 6, and its bytes in network order: four or sixteen. An IPv4-mapped one is the
 * IPv4 one. 0: no IP (a unix socket). */
int address_ip(const struct address *address, unsigned char ret_bytes[16]);

#endif
