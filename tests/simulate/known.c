#include "known.h"

#include "sim.h"

#define DOUBT_US (5 * SIM_S)

struct state {
    uint64_t us;
    const struct api_object *objects[SLOTS]; /* of the resource */
};

static struct {
    struct state *states;
    size_t len, cap;
    bool forgotten;
} known[RESOURCES];
static uint64_t doubted_us[SLOTS];                   /* since; 0: not doubted */
static const struct api_object *doubted_said[SLOTS]; /* what the list has that is not believed */

static bool is_of(enum resource resource, unsigned slot)
{
    return slot_resource(slot) == resource;
}

static struct state *newest(enum resource resource)
{
    return &known[resource].states[known[resource].len - 1];
}

static void append(enum resource resource, const struct state *state)
{
    known[resource].states = xgrow(known[resource].states, &known[resource].cap,
                                   known[resource].len, sizeof(struct state));
    known[resource].states[known[resource].len++] = *state;
    newest(resource)->us = sim.now_us;
}

void known_start(void)
{
    memset(doubted_us, 0, sizeof(doubted_us));
    for (size_t i = 0; i < RESOURCES; i++) {
        known[i].forgotten = false;
        append((enum resource)i, &(struct state){0});
        newest((enum resource)i)->us = 0;
    }
}

void known_done(void)
{
    for (size_t i = 0; i < RESOURCES; i++)
        free(known[i].states);
    memset(known, 0, sizeof(known));
}

/* ---- doubt ---- */

struct list_told {
    enum resource resource;
    size_t step;
    uint64_t began_us;
    const struct state *before;
};

static bool is_lacking(const struct list_told *list, unsigned slot)
{
    return is_of(list->resource, slot) && !cluster_at(slot, list->step);
}

/* It was doubted, and for long enough: its lack is believed. */
static bool is_over(const struct list_told *list, unsigned slot)
{
    return doubted_us[slot] && list->began_us >= doubted_us[slot] + DOUBT_US;
}

/* The object as it is with the list, lacking or not. */
static const struct api_object *listed(const struct list_told *list, unsigned slot)
{
    const struct api_object *object = cluster_at(slot, list->step);

    return object && object->bad ? list->before->objects[slot] : object;
}

/* Of a slice the list leaves less than half. */
static bool is_halved(const struct list_told *list, unsigned slot)
{
    const struct api_object *before = list->before->objects[slot], *after = listed(list, slot);

    return list->resource == RESOURCE_SLICES && is_of(list->resource, slot) && before && after &&
           2 * after->slice.endpoints_len < before->slice.endpoints_len;
}

static bool is_taken(const struct list_told *list, unsigned slot)
{
    return is_lacking(list, slot) || is_halved(list, slot);
}

static bool lists_endpoint(const struct list_told *list, unsigned service, const char *address)
{
    for (unsigned i = 0; i < SLICES; i++) {
        const struct api_object *slice = listed(list, slice_slot(service, i));

        for (size_t k = 0; slice && k < slice->slice.endpoints_len; k++) {
            if (strcmp(slice->slice.endpoints[k].address, address) == 0)
                return true;
        }
    }
    return false;
}

/* Of Services each, of slices each endpoint. */
static void count(const struct list_told *list, unsigned slot, size_t *total, size_t *removed)
{
    const struct api_object *object = list->before->objects[slot];

    if (list->resource == RESOURCE_SERVICES) {
        *total += 1;
        *removed += is_lacking(list, slot);
        return;
    }
    *total += object->slice.endpoints_len;
    for (size_t i = 0; i < object->slice.endpoints_len; i++)
        *removed +=
            !lists_endpoint(list, slot_service(slot), object->slice.endpoints[i].address);
}

static bool is_doubtful(const struct list_told *list)
{
    size_t total = 0, removed = 0;

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (is_of(list->resource, slot) && list->before->objects[slot] &&
            !(is_taken(list, slot) && is_over(list, slot)))
            count(list, slot, &total, &removed);
    }
    return 2 * removed > total;
}

bool known_doubts(unsigned service)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (slot_service(slot) == service && doubted_us[slot])
            return true;
    }
    return false;
}

/* ---- what is told ---- */

void known_list(enum resource resource, size_t step, uint64_t began_us)
{
    static const struct state nothing;
    const struct state before = known[resource].forgotten ? nothing : *newest(resource);
    const struct list_told list = {resource, step, began_us, &before};
    bool doubtful = is_doubtful(&list);
    struct state after = before;

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        bool stays = before.objects[slot] && (doubtful || doubted_us[slot]) && !is_over(&list, slot);

        if (!is_of(resource, slot))
            continue;
        if (!is_taken(&list, slot) || !stays) {
            after.objects[slot] = listed(&list, slot);
            doubted_us[slot] = 0;
        } else {
            doubted_us[slot] = doubted_us[slot] ? doubted_us[slot] : sim.now_us;
            doubted_said[slot] = listed(&list, slot);
        }
    }
    known[resource].forgotten = false;
    append(resource, &after);
    sim_trace("the controller has the list of %s at step %zu%s",
              resource == RESOURCE_SERVICES ? "Services" : "slices", step,
              doubtful ? ", a doubtful one" : "");
}

void known_event(unsigned slot, size_t step)
{
    enum resource resource = slot_resource(slot);
    const struct api_object *object = cluster_at(slot, step);
    struct state after = *newest(resource);

    doubted_us[slot] = 0;
    if (!object || !object->bad)
        after.objects[slot] = object;
    append(resource, &after);
    sim_trace("the controller knows step %zu", step);
}

void known_release(unsigned service)
{
    for (size_t i = 0; i < RESOURCES; i++) {
        struct state after = *newest((enum resource)i);

        for (unsigned slot = 0; slot < SLOTS; slot++) {
            if (slot_service(slot) != service || !is_of((enum resource)i, slot) ||
                !doubted_us[slot])
                continue;
            after.objects[slot] = doubted_said[slot];
            doubted_us[slot] = 0;
        }
        append((enum resource)i, &after);
    }
}

void known_forget(void)
{
    memset(doubted_us, 0, sizeof(doubted_us));
    for (size_t i = 0; i < RESOURCES; i++)
        known[i].forgotten = true;
}

/* ---- what is known ---- */

size_t known_at(enum resource resource, uint64_t us)
{
    size_t i = known[resource].len;

    while (known[resource].states[--i].us > us)
        ;
    return i;
}

uint64_t known_us(enum resource resource, size_t index)
{
    return known[resource].states[index].us;
}

const struct api_object *known_object(unsigned slot, size_t index)
{
    return known[slot_resource(slot)].states[index].objects[slot];
}
