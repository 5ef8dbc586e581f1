/*
 * Coarse timeouts: one timer for all deadlines and idle checks of a server.
 *
 * A timeout fires up to WHEEL_TICK_US late and never early. One that may be later than that, and is
 * more than WHEEL_FAR_US ahead, up to WHEEL_FAR_TICK_US late: thousands of connections with nothing
 * to say share a few wakeups. Adding, moving and removing one costs O(1) and no allocation.
 *
 * Threads: belongs to its owner's loop. Pure: it is told the time.
 * Owns:    nothing; entries are embedded in their users, who remove them before their memory goes.
 */
#ifndef GRPC_WHEEL_H
#define GRPC_WHEEL_H

#include "base/list.h"

#define WHEEL_SLOTS 1000
#define WHEEL_TICK_US 20000 /* one revolution: 20 s; what is due later stays for more revolutions */
#define WHEEL_FAR_US 5000000
#define WHEEL_FAR_TICK_US 1000000 /* divides a revolution: who stays for more finds the same ticks */

struct wheel_entry {
    struct list link;
    uint64_t due_us;
    void (*fn)(struct wheel_entry *entry); /* may add, move and remove any entry */
};

struct wheel {
    uint64_t tick; /* all slots before it are done */
    size_t entries;
    struct list slots[WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, uint64_t now_us);
void wheel_entry_init(struct wheel_entry *entry, void (*fn)(struct wheel_entry *entry));
/* Adds, or moves an entry that is in the wheel. Both return when it fires, if nobody sleeps longer. */
uint64_t wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_us);
/* The same, for what may be late. */
uint64_t wheel_set_about(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_us, uint64_t now_us);
/* Removing what is not in the wheel is fine. */
void wheel_remove(struct wheel *wheel, struct wheel_entry *entry);
/* Calls fn of every entry that is due. */
void wheel_advance(struct wheel *wheel, uint64_t now_us);
/* When to advance again: there may be nothing due then, but nothing is before; UINT64_MAX: the wheel is empty. */
uint64_t wheel_next_us(const struct wheel *wheel);

#endif
