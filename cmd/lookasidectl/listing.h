/*
 * A list of backends as text, to be compared: by the rules, or as a server sent it.
 *
 * Zones are left out: an endpoint keeps the zone that it had when it was seen first, so a server
 * that has run for long may rightly say another one than a fresh look.
 * Owns: its text; listing_done().
 */
#ifndef LOOKASIDECTL_LISTING_H
#define LOOKASIDECTL_LISTING_H

#include "base/buf.h"
#include "model/catalog.h"
#include "model/place.h"
#include "subscribe.h"

struct listing_entry {
    char *address;      /* "10.0.0.1:8001", "[fd00::1]:8001", "api.example.com:443" */
    const char *detail; /* "pod a, node b, draining, also [fd00::1]:8001"; behind the address */
};

/* Sorted by address. */
struct listing {
    struct listing_entry *items;
    size_t len, cap;
};

/* What a client at that place gets by the rules. */
void listing_by_rules(struct listing *listing, const struct catalog *catalog,
                      struct str namespace_name, struct str service, uint16_t port,
                      const struct place *place);
void listing_as_sent(struct listing *listing, const watch_response *response);
bool listing_equal(const struct listing *a, const struct listing *b);
void listing_done(struct listing *listing);

/* What `sent` lacks, has too much, or says otherwise than `ruled`: one call each, at most
 * LISTING_DIFFERENCES_MAX, and how many there are in all. */
#define LISTING_DIFFERENCES_MAX 10
size_t listing_differences(const struct listing *ruled, const struct listing *sent,
                           void (*visit)(void *ctx, const char *text), void *ctx);

#endif
