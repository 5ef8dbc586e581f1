/*
 * From an address to the node and zone that it is in: over the endpoints of all slices that the store has, in force or not.
 *
 * Refers to objects, not to their content, so that a change of an object costs only the addresses that it adds and drops.
 *
 * Threads: one.
 * Owns:    its entries. {0}-initialised; empty once every object was dropped.
 * Limits:  about 130 bytes for every distinct address, and 8 for every further object with the same one.
 */
#ifndef CONTROLLER_PLACE_INDEX_H
#define CONTROLLER_PLACE_INDEX_H

#include "controller/value.h"
#include "model/place.h"

struct place_entry;
struct object; /* controller/store.h */

struct place_index {
    struct place_entry *entries;
};

/* The object's value is about to become `after`. */
void place_index_change(struct place_index *index, const struct object *object, struct value after);
/* Of several endpoints with that address: of each, node and zone, the one that is not empty in the newest slice (by resource version, then
 * by name). False: nobody knows either. Borrowed from the slices. */
bool place_index_find(const struct place_index *index, enum address_family family, const unsigned char bytes[16], struct place *ret_place);

#endif
