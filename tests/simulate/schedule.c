#include "schedule.h"

#include "sim.h"

#define KINDS_MAX 64
#define ACTIONS_MIN 40
#define ACTIONS_SPAN 90
#define REPEATS_SPAN 10
#define FIRST_ACTIONS 24 /* the cluster is filled before anything goes wrong */

struct mix {
    const struct action_kind *kinds[KINDS_MAX];
    unsigned weights[KINDS_MAX];
    size_t len;
    unsigned total;
};

/* Not every kind in every schedule: what is rare together hides what two kinds do to each other. */
static void mix_add(struct mix *mix, const struct action_kind *kinds, unsigned scale)
{
    for (; kinds->name; kinds++) {
        unsigned weight = kinds->weight * scale;

        if (sim_rarely(4))
            weight = 0;
        else if (sim_rarely(4))
            weight *= 4;
        mix->kinds[mix->len] = kinds;
        mix->weights[mix->len++] = weight;
        mix->total += weight;
    }
}

static const struct action_kind *mix_pick(const struct mix *mix)
{
    uint64_t at = sim_below(mix->total);
    size_t i = 0;

    for (; at >= mix->weights[i]; i++)
        at -= mix->weights[i];
    return mix->kinds[i];
}

/* From "at once" to "long after every hold": each in its order of magnitude. */
static uint64_t pick_delay(unsigned haste)
{
    static const uint64_t scales[] = {
        0,          0,           200,         2 * SIM_MS, 12 * SIM_MS,
        20 * SIM_MS, 120 * SIM_MS, 300 * SIM_MS, 1500 * SIM_MS, 3 * SIM_S,
        6 * SIM_S,  12 * SIM_S,  90 * SIM_S,
    };
    size_t scale = sim_below(ARRAY_LEN(scales));

    if (sim_below(4) < haste && scale > 5)
        scale = sim_below(6);
    return scales[scale] ? sim_below(scales[scale]) : 0;
}

struct setup schedule_setup(uint64_t seed)
{
    struct setup setup;

    sim_reseed(seed ^ UINT64_C(0x5EED));
    setup.clients = 3 + sim_below(4);
    setup.workers = 1 + (unsigned)sim_below(3);
    setup.page = sim_rarely(2) ? 500 : 1 + sim_below(4);
    setup.streams = sim_rarely(2);
    setup.portless = sim_rarely(2);
    setup.busy = sim_rarely(4);
    return setup;
}

/* Whoever does something once may do it again and again: before a list has settled, before a hold is over. */
static void repeat(const struct mix *mix, struct action *actions, size_t len)
{
    static const uint64_t paces[] = {30 * SIM_MS, 1900 * SIM_MS, 4500 * SIM_MS};
    const struct action_kind *kind = mix_pick(mix);
    uint32_t object = (uint32_t)sim_random();
    uint64_t pace = paces[sim_below(ARRAY_LEN(paces))];

    for (size_t i = 0; i < len; i++) {
        actions[i].kind = kind;
        actions[i].a = object;
        actions[i].delay_us = sim_below(pace);
    }
}

void schedule_make(uint64_t seed, struct schedule *ret_schedule)
{
    struct mix often = {0}, mix = {0};
    struct schedule schedule = {.seed = seed};
    unsigned haste, faults;

    sim_reseed(seed);
    mix_add(&often, cluster_actions, 1);
    mix_add(&mix, cluster_actions, 3);
    faults = (unsigned)sim_below(4);
    mix_add(&mix, world_actions, faults);
    haste = (unsigned)sim_below(4);
    schedule.len = FIRST_ACTIONS + ACTIONS_MIN + sim_below(ACTIONS_SPAN);
    schedule.actions = xcalloc(schedule.len, sizeof(*schedule.actions));
    for (size_t i = 0; i < schedule.len; i++) {
        bool begins = i < FIRST_ACTIONS;

        schedule.actions[i] = (struct action){
            .kind = begins ? &cluster_actions[i % 3] : mix_pick(&mix),
            .a = (uint32_t)sim_random(),
            .b = (uint32_t)sim_random(),
            .c = (uint32_t)sim_random(),
            .salt = sim_random(),
            .delay_us = begins ? 0 : pick_delay(haste),
        };
    }
    for (size_t i = sim_below(4); i > 0; i--) {
        size_t len = 3 + sim_below(REPEATS_SPAN);
        size_t from = FIRST_ACTIONS + sim_below(schedule.len - FIRST_ACTIONS - len);

        repeat(&often, &schedule.actions[from], len);
    }
    *ret_schedule = schedule;
}

void schedule_copy(const struct schedule *from, struct schedule *ret_schedule)
{
    *ret_schedule = *from;
    ret_schedule->actions = xmalloc((from->len + 1) * sizeof(*from->actions));
    if (from->len > 0)
        memcpy(ret_schedule->actions, from->actions, from->len * sizeof(*from->actions));
}

void schedule_done(struct schedule *schedule)
{
    free(schedule->actions);
    *schedule = (struct schedule){0};
}
