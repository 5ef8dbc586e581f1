/*
 * How many connections each client address has: an IPv4 address, or the /64 that an IPv6 address is of, since a host may have all of one
 * (RFC 4291, 2.5.4) and takes as many addresses of it as it likes (RFC 8981).
 *
 * Threads: any. A mutex is held while a connection comes, goes, or a scrape looks at all of them.
 */
#ifndef NET_ADDRESS_SHARE_H
#define NET_ADDRESS_SHARE_H

#include "net/address.h"

struct address_shares;
struct address_share; /* one address's */

struct address_shares *address_shares_new(void) must_check;
/* Every share was left. NULL is fine. */
void address_shares_free(struct address_shares *shares);

/* One more connection from there, unless it has `max` of them: false. *ret_share is to be left when
 * the connection is gone; NULL, which may be left, too: the address is no IP, and is not counted. */
bool address_share_join(struct address_shares *shares, const struct address *address, uint64_t max,
                        struct address_share **ret_share) must_check;
void address_share_leave(struct address_share *share);
/* What the address with the most connections has. */
uint64_t address_shares_most(struct address_shares *shares);

#endif
