/* What happens to the API servers, the network, the product and the clients. */
#include "client.h"
#include "fake_kube.h"
#include "known.h"
#include "product.h"
#include "schedule.h"
#include "world.h"

#define REWOUND_MAX 12 /* changes */

static enum resource pick_resource(const struct action *action)
{
    return (enum resource)(action->a % (RESOURCES + 1));
}

static const char *resource_text(enum resource resource)
{
    static const char *const texts[] = {"Services", "slices", "everything"};

    return texts[resource];
}

/* ---- API servers ---- */

static void watch_cut(const struct action *action)
{
    bool orderly = action->b % 2;

    sim_trace("watches of %s are %s", resource_text(pick_resource(action)),
              orderly ? "ended" : "cut");
    api_cut(pick_resource(action), orderly);
}

static void watch_silence(const struct action *action)
{
    sim_trace("connections for %s fall silent", resource_text(pick_resource(action)));
    api_silence(pick_resource(action));
}

static void watch_garble(const struct action *action)
{
    sim_trace("the next event of %s is garbled", resource_text(action->a % RESOURCES));
    api_garble((enum resource)(action->a % RESOURCES));
}

static void server_lag(const struct action *action)
{
    unsigned server = action->a % API_SERVERS;
    bool lag = action->b % 3;

    sim_trace("API server %u %s", server, lag ? "lags behind" : "catches up");
    api_lag(server, lag);
}

static void server_prefer(const struct action *action)
{
    sim_trace("new connections go to API server %u", action->a % API_SERVERS);
    api_prefer(action->a % API_SERVERS);
}

static void server_down(const struct action *action)
{
    uint64_t us = action->a % 2 ? action->b % (20 * SIM_S) : action->b % SIM_S;

    sim_trace("the API servers are down for %llu ms", (unsigned long long)(us / SIM_MS));
    api_down(us, false);
}

static void server_slow(const struct action *action)
{
    uint64_t us = 1 + action->b % (action->a % 2 ? 2 * SIM_MS : 200 * SIM_MS);

    sim_trace("answers take up to %llu us", (unsigned long long)us);
    api_slow(us);
}

static void list_fail(const struct action *action)
{
    sim_trace("the next list fails: %u", 1 + action->a % (LIST_FAULTS - 1));
    api_fail_list((enum api_list_fault)(1 + action->a % (LIST_FAULTS - 1)));
}

/* A server that was behind may find that it cannot catch up: it reads everything anew, and ends its watches. */
static void compact(const struct action *action)
{
    bool end = action->a % 2;

    sim_trace("etcd is compacted at version %llu%s", (unsigned long long)cluster.version,
              end ? ", and watches are ended" : "");
    api_compact();
    if (end)
        api_cut(RESOURCES, true);
}

/* Controllers do again what got lost, in the same order, but not quite the same: versions come twice. */
static void redo(const unsigned *slots, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const struct api_object *now = cluster_get(slots[i]);
        struct api_object object;

        if (!now)
            continue;
        object = *now;
        if (object.slice.endpoints_len > 0)
            object.slice.endpoints[0].ready = object.slice.endpoints[0].ready == NO ? YES : NO;
        cluster_put(&object);
        sim_trace("step %zu, version %llu: done again, at slot %u", cluster.step,
                  (unsigned long long)cluster.version, slots[i]);
    }
}

/* While etcd is restored the API servers are down: if only for a moment, where every connection breaks; for longer than a source
 * resumes without listing, where they stop in order. */
static void rewind_etcd(const struct action *action)
{
    size_t changes = min_size(1 + action->a % REWOUND_MAX, cluster.log_len);
    bool orderly = action->c % 4 == 0;
    unsigned lost[REWOUND_MAX];

    for (size_t i = 0; i < changes; i++)
        lost[i] = cluster.log[cluster.log_len - changes + i].slot;
    api_restore(changes,
                orderly ? 5500 * SIM_MS + action->b % (8 * SIM_S) : action->b % (3 * SIM_S),
                orderly);
    sim_trace("etcd is restored, %zu changes back: step %zu, version %llu", changes, cluster.step,
              (unsigned long long)cluster.version);
    if (action->c / 4 % 2)
        redo(lost, changes);
}

/* ---- the product ---- */

static void stall(const struct action *action)
{
    product_stall(action->a, action->b % (action->c % 2 ? 30 * SIM_MS : 2 * SIM_S));
}

static void release(const struct action *action)
{
    unsigned service = action->a % SERVICES;

    if (!product_release(service))
        return;
    sim_trace("the holds of service %u are released", service);
    known_release(service);
    judge_note_release(service);
}

static void restart(const struct action *action unused_arg)
{
    sim_trace("the controller is restarted");
    world_restart();
}

static void dump(const struct action *action unused_arg)
{
    product_dump();
}

/* ---- clients ---- */

static void client_more(const struct action *action)
{
    client_want(client_at(action->a), action->b, true);
}

static void client_less(const struct action *action)
{
    client_want(client_at(action->a), action->b, false);
}

static void client_leave(const struct action *action)
{
    struct client *client = client_at(action->a);

    sim_trace("client %u is cut off", client->index);
    client_drop(client, action->b % (2 * SIM_S));
}

static void client_end(const struct action *action)
{
    client_half_close(client_at(action->a));
}

static void client_sleep(const struct action *action)
{
    struct client *client = client_at(action->a);

    client->paused = !client->paused;
    sim_trace("client %u %s", client->index, client->paused ? "stops reading" : "reads again");
}

static void client_refuse(const struct action *action)
{
    client_at(action->a)->refusals = 1 + action->b % 2;
}

const struct action_kind world_actions[] = {
    {"watch-cut", 4, watch_cut},
    {"watch-silence", 1, watch_silence},
    {"watch-garble", 1, watch_garble},
    {"server-lag", 2, server_lag},
    {"server-prefer", 2, server_prefer},
    {"server-down", 2, server_down},
    {"server-slow", 2, server_slow},
    {"list-fail", 2, list_fail},
    {"compact", 2, compact},
    {"rewind", 2, rewind_etcd},
    {"stall", 4, stall},
    {"release", 1, release},
    {"restart", 1, restart},
    {"dump", 3, dump},
    {"client-more", 6, client_more},
    {"client-less", 4, client_less},
    {"client-leave", 3, client_leave},
    {"client-end", 1, client_end},
    {"client-sleep", 4, client_sleep},
    {"client-refuse", 2, client_refuse},
    {0},
};
