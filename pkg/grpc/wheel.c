#include "grpc/wheel.h"

void wheel_init(struct wheel *wheel, uint64_t now_us)
{
    wheel->tick = now_us / WHEEL_TICK_US;
    wheel->entries = 0;
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
}

void wheel_entry_init(struct wheel_entry *entry, void (*fn)(struct wheel_entry *entry))
{
    list_init(&entry->link);
    entry->due_us = 0;
    entry->fn = fn;
}

void wheel_remove(struct wheel *wheel, struct wheel_entry *entry)
{
    if (list_empty(&entry->link))
        return;
    list_remove(&entry->link);
    wheel->entries--;
}

/* On the first tick of `every_us` that is not before due_us. */
static uint64_t set(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_us,
                    uint64_t every_us)
{
    uint64_t tick = (due_us / every_us + 1) * (every_us / WHEEL_TICK_US);

    tick = max_u64(tick, wheel->tick);
    wheel_remove(wheel, entry);
    entry->due_us = due_us;
    list_append(&wheel->slots[tick % WHEEL_SLOTS], &entry->link);
    wheel->entries++;
    return tick * WHEEL_TICK_US;
}

uint64_t wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_us)
{
    return set(wheel, entry, due_us, WHEEL_TICK_US);
}

uint64_t wheel_set_about(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_us,
                         uint64_t now_us)
{
    bool far = due_us > now_us && due_us - now_us > WHEEL_FAR_US;

    return set(wheel, entry, due_us, far ? WHEEL_FAR_TICK_US : WHEEL_TICK_US);
}

/* The slot is emptied first, because entries may come back into it, or remove each other. */
static void run_slot(struct wheel *wheel, struct list *slot, uint64_t now_us)
{
    struct list pending;

    list_init(&pending);
    while (!list_empty(slot)) {
        struct list *node = list_pop(slot);

        list_append(&pending, node);
    }
    while (!list_empty(&pending)) {
        struct wheel_entry *entry = container_of(list_pop(&pending), struct wheel_entry, link);

        if (entry->due_us > now_us) {
            list_append(slot, &entry->link);
            continue;
        }
        wheel->entries--;
        entry->fn(entry);
    }
}

void wheel_advance(struct wheel *wheel, uint64_t now_us)
{
    uint64_t now = now_us / WHEEL_TICK_US;
    uint64_t steps = now < wheel->tick ? 0 : min_u64(now - wheel->tick + 1, WHEEL_SLOTS);
    uint64_t first = now + 1 - steps;

    for (uint64_t i = 0; i < steps; i++) {
        wheel->tick = first + i + 1;
        run_slot(wheel, &wheel->slots[(first + i) % WHEEL_SLOTS], now_us);
    }
}

uint64_t wheel_next_us(const struct wheel *wheel)
{
    uint64_t tick = wheel->tick;

    if (wheel->entries == 0)
        return UINT64_MAX;
    while (list_empty(&wheel->slots[tick % WHEEL_SLOTS]))
        tick++;
    return tick * WHEEL_TICK_US;
}
