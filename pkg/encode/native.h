/*
 * A service's list as a lookaside.v1.WatchResponse without its target field (which the stream puts
 * in front, in the client's spelling).
 *
 * Pure; equal input gives equal bytes.
 */
#ifndef ENCODE_NATIVE_H
#define ENCODE_NATIVE_H

#include "base/blob.h"
#include "model/service.h"

/* Arguments as encode_assignment(). The version field is filled with the hash of the rest; it is
 * also returned; never 0. */
struct blob *encode_native_list(const struct backend_list *list, uint16_t asked_port,
                                struct str hostname, uint64_t *ret_version) must_check;
/* One backend whose address is a host name (an ExternalName Service). */
struct blob *encode_native_host(struct str host, uint16_t port, uint64_t *ret_version) must_check;

#endif
