/*
 * A service's list as the `backends` of a lookaside.v1.WatchResponse, and what makes one such list of
 * another: the stream puts the other fields in front.
 *
 * Pure; equal input gives equal bytes.
 */
#ifndef ENCODE_NATIVE_H
#define ENCODE_NATIVE_H

#include "base/blob.h"
#include "model/service.h"

/* Arguments as encode_assignment(). The version is the hash of the bytes; never 0. */
struct blob *encode_native_list(const struct backend_list *list, uint16_t asked_port,
                                struct str hostname, uint64_t *ret_version) must_check;
/* One backend whose address is a host name (an ExternalName Service). */
struct blob *encode_native_host(struct str host, uint16_t port, uint64_t *ret_version) must_check;
/* `backends` and `removed`, which make the list `after` of the list `before`. NULL: they would be no
 * shorter than `after`. O(n), and O(n log n) between the first and the last difference. */
struct blob *encode_native_changes(struct str before, struct str after) must_check;

#endif
