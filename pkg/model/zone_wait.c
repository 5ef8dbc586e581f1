#include "model/zone_wait.h"

#include "model/view.h"

struct waiting {
    const struct service_port *port;
    uint64_t now_us;
    struct zone_wait waits[ZONE_WAITS_MAX];
    size_t len;
};

static void add(struct waiting *waiting, struct zone_wait wait)
{
    if (waiting->len < ZONE_WAITS_MAX)
        waiting->waits[waiting->len++] = wait;
}

static bool has_enough(const struct waiting *waiting, struct str zone)
{
    return view_ready_in(waiting->port, zone) >= view_zone_minimum(waiting->port);
}

static void add_fallen(struct waiting *waiting, const struct service_port *before)
{
    for (size_t i = 0; i < before->list.localities_len; i++) {
        const struct locality *locality = &before->list.localities[i];

        if (view_is_near(before, locality) && !has_enough(waiting, locality->zone))
            add(waiting, (struct zone_wait){locality->zone, false, waiting->now_us});
    }
}

static void add_waiting(struct waiting *waiting, const struct service_port *before)
{
    for (size_t i = 0; i < before->waits_len; i++) {
        struct zone_wait wait = before->waits[i];

        if (has_enough(waiting, wait.zone) != wait.enough) {
            wait.enough = !wait.enough;
            wait.since_us = waiting->now_us;
        }
        if (!wait.enough || waiting->now_us - wait.since_us < ZONE_WAIT_US)
            add(waiting, wait);
    }
}

static int cmp_wait(const void *a, const void *b)
{
    const struct zone_wait *left = a, *right = b;

    return str_cmp(left->zone, right->zone);
}

static bool prefers(const struct service_port *port)
{
    enum locality_mode mode = view_mode(port);

    return mode == LOCALITY_PREFER_ZONE || mode == LOCALITY_PREFER_NODE;
}

void zone_wait_make(struct service_port *port, const struct service_port *before, uint64_t now_us,
                    struct arena *arena)
{
    struct waiting waiting = {.port = port, .now_us = now_us};
    struct zone_wait *waits;

    port->waits = NULL;
    port->waits_len = 0;
    if (!before || !prefers(port) || !prefers(before))
        return;
    add_waiting(&waiting, before);
    add_fallen(&waiting, before);
    if (waiting.len == 0)
        return;
    qsort(waiting.waits, waiting.len, sizeof(*waiting.waits), cmp_wait);
    waits = arena_alloc(arena, waiting.len * sizeof(*waits));
    for (size_t i = 0; i < waiting.len; i++) {
        waits[i] = waiting.waits[i];
        waits[i].zone = arena_text(arena, waits[i].zone);
    }
    port->waits = waits;
    port->waits_len = waiting.len;
}

uint64_t zone_wait_due(const struct service_port *port)
{
    uint64_t due_us = 0;

    for (size_t i = 0; i < port->waits_len; i++) {
        uint64_t end_us = port->waits[i].since_us + ZONE_WAIT_US;

        if (port->waits[i].enough && (due_us == 0 || end_us < due_us))
            due_us = end_us;
    }
    return due_us;
}
