#include "sim.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"

#define START_US (1000 * SIM_S)
#define WALL_US UINT64_C(1800000000000000)
#define TURNS_MAX 2000000 /* of one run: it does not come to rest */
#define TURN_COST_US 20
#define LINE_MAX_LEN 1024

struct sim sim;

/* Linked with --wrap: whoever asks for the time gets ours. */
uint64_t __wrap_clock_monotonic_us(void);
uint64_t __wrap_clock_wall_us(void);

/* Work takes time: now and then most of a turn's millisecond. */
uint64_t __wrap_clock_monotonic_us(void)
{
    sim.now_us += sim_rarely(sim.busy ? 2 : 8) ? sim_below(900) : sim_below(3);
    return sim.now_us;
}

uint64_t __wrap_clock_wall_us(void)
{
    return WALL_US + sim.now_us - sim.start_us;
}

/* ---- chance (splitmix64) ---- */

uint64_t sim_random(void)
{
    uint64_t value = sim.chance += UINT64_C(0x9E3779B97F4A7C15);

    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

uint64_t sim_below(uint64_t count)
{
    return sim_random() % count;
}

bool sim_rarely(uint64_t count)
{
    return sim_below(count) == 0;
}

void sim_reseed(uint64_t salt)
{
    sim.chance = salt;
    random_seed(salt);
}

/* ---- turns ---- */

void sim_start(bool talk)
{
    sim = (struct sim){.now_us = START_US, .start_us = START_US, .talk = talk};
    list_init(&sim.actors);
}

void sim_join(struct actor *actor)
{
    actor->idle_us = sim.now_us;
    list_append(&sim.actors, &actor->link);
}

void sim_leave(struct actor *actor)
{
    list_remove(&actor->link);
}

/* Also notes who is idle. *ret_next: when the next one is due, if nobody is now. */
static size_t count_ready(uint64_t *ret_next)
{
    size_t ready = 0;

    *ret_next = SIM_NEVER;
    list_for_each (link, &sim.actors) {
        struct actor *actor = container_of(link, struct actor, link);
        uint64_t due = actor->due(actor->ctx);

        if (due > sim.now_us)
            actor->idle_us = sim.now_us;
        due = max_u64(due, actor->stalled_until_us);
        ready += due <= sim.now_us;
        *ret_next = min_u64(*ret_next, due);
    }
    return ready;
}

static bool is_ready(const struct actor *actor)
{
    return actor->due(actor->ctx) <= sim.now_us && actor->stalled_until_us <= sim.now_us;
}

static struct actor *ready_actor(size_t index)
{
    list_for_each (link, &sim.actors) {
        struct actor *actor = container_of(link, struct actor, link);

        if (is_ready(actor) && index-- == 0)
            return actor;
    }
    return NULL;
}

static void take_turn(size_t ready)
{
    struct actor *actor = ready_actor(sim_below(ready));

    if (++sim.turns > TURNS_MAX)
        sim_fail("it does not come to rest: %d turns", TURNS_MAX);
    else
        actor->turn(actor->ctx);
    sim.now_us += sim_below(TURN_COST_US);
}

void sim_run(uint64_t until_us)
{
    uint64_t next;

    while (!sim_failed()) {
        size_t ready = count_ready(&next);

        if (ready == 0 && next < until_us)
            sim.now_us = next;
        else if (ready == 0 || sim.now_us >= until_us)
            break;
        else
            take_turn(ready);
    }
    sim.now_us = max_u64(sim.now_us, until_us);
}

/* ---- the account ---- */

void sim_trace(const char *fmt, ...)
{
    char line[LINE_MAX_LEN];
    uint64_t us = sim.now_us - sim.start_us;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    sim.trace = hash_mix(sim.trace + us,
                         hash_content(line, min_size((size_t)len, sizeof(line) - 1)));
    if (sim.talk)
        printf("%10.6f  %s\n", (double)us / 1e6, line);
}

void sim_fail(const char *fmt, ...)
{
    va_list args;

    if (sim_failed())
        return;
    va_start(args, fmt);
    vsnprintf(sim.failure, sizeof(sim.failure), fmt, args);
    va_end(args);
    sim_trace("FAILED: %s", sim.failure);
}
