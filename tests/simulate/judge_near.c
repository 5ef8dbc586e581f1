/* Who is near: priorities and sub_zones of a list whose backends are explained already. By the zones that it says, because an endpoint keeps
 * the one that it was seen first with. */
#include "judge_internal.h"
#include "policies.h"

#define WAIT_US (30 * SIM_S)
#define LEEWAY_US (8 * SIM_S) /* what the client saw may be as old */
#define FAR 2

struct scene {
    const struct query *query;
    const struct policy *policy;
    const struct answer *got, *want; /* the same backends in the same order */
    bool unready;                    /* listed because none is ready */
    bool node;                       /* some are on the client's node */
    bool enough;                     /* are in its zone, for it to come first */
};

static bool is_on_node(const struct scene *scene, size_t i)
{
    return scene->policy->locality == LOCALITY_PREFER_NODE && scene->query->node >= 0 &&
           scene->want->items[i].node == (unsigned)scene->query->node;
}

static bool is_in_zone(const struct scene *scene, size_t i)
{
    return scene->query->zone >= 0 &&
           strcmp(scene->got->items[i].zone, zone_name(scene->query->zone)) == 0;
}

static struct scene look(const struct query *query, const struct answer *got,
                         const struct answer *want)
{
    struct scene scene = {query, policies_of(query->service), got, want, false, false, false};
    bool by_zone = scene.policy->locality == LOCALITY_PREFER_ZONE;
    size_t in_zone = 0;

    for (size_t i = 0; i < got->len; i++) {
        scene.unready = scene.unready || !want->items[i].ready;
        scene.node = scene.node || is_on_node(&scene, i);
        in_zone += is_in_zone(&scene, i);
    }
    scene.enough = !scene.unready && in_zone > 0 &&
                   in_zone >= (by_zone ? scene.policy->minimum_per_zone : 1);
    return scene;
}

/* How far; `near`: its zone comes first, too. */
static unsigned distance(const struct scene *scene, size_t i, bool near)
{
    if (scene->unready)
        return 0;
    if (is_on_node(scene, i))
        return 0;
    return near && is_in_zone(scene, i) ? 1 : FAR;
}

/* The priorities follow from the distances, without gaps. */
static bool fits(const struct scene *scene, bool near)
{
    bool has[FAR + 1] = {false};

    for (size_t i = 0; i < scene->got->len; i++)
        has[distance(scene, i, near)] = true;
    for (size_t i = 0; i < scene->got->len; i++) {
        unsigned priority = 0;

        for (unsigned k = 0; k < distance(scene, i, near); k++)
            priority += has[k];
        if (scene->got->items[i].priority != priority)
            return false;
    }
    return true;
}

static void check_sub_zones(const struct scene *scene, const char *who)
{
    for (size_t i = 0; i < scene->got->len; i++) {
        char node[16];

        snprintf(node, sizeof(node), "node-%d", scene->query->node);
        if (!scene->query->native && *scene->got->items[i].address &&
            strcmp(scene->got->items[i].sub_zone, is_on_node(scene, i) ? node : "") != 0)
            sim_fail("%s: %s is in sub_zone '%s'", who, scene->got->items[i].address,
                     scene->got->items[i].sub_zone);
    }
}

/* Some are in a zone of their own, others not: the list tells whether it came first. */
static bool tells(const struct scene *scene)
{
    return scene->enough && !scene->node && fits(scene, true) != fits(scene, false);
}

/* With another Service all begins anew. */
static void begin_anew(struct near_account *near, unsigned service, uint64_t us)
{
    size_t now = known_at(RESOURCE_SERVICES, us);
    bool changed = false;

    for (size_t i = near->service; i < now; i++)
        changed = changed || known_object(service, i) != known_object(service, i + 1);
    if (changed)
        *near = (struct near_account){0};
    near->service = max_u64(near->service, now);
}

/* A zone that was first, and fell short, may not be first again before it has had enough for some time. */
static void check_wait(struct near_account *near, const struct scene *scene, uint64_t us,
                       const char *who)
{
    begin_anew(near, scene->query->service, us);
    if (near->was_first && !scene->enough)
        near->short_us = us;
    if (!tells(scene) || !fits(scene, true))
        return;
    if (near->short_us && us < near->short_us + WAIT_US - LEEWAY_US)
        sim_fail("%s: a zone comes first again %llu ms after it fell short", who,
                 (unsigned long long)((us - near->short_us) / SIM_MS));
    near->was_first = true;
    near->short_us = 0;
}

static bool has_places(const struct query *query, const struct answer *want)
{
    return query->pod < 0 && want->len > 0 && *want->items[0].pod &&
           policy_prefers(policies_of(query->service));
}

/* A ring stands in one locality, which has no zone. */
static void check_plain(const struct query *query, const struct answer *got, const char *who)
{
    bool ring = !query->native && policies_of(query->service)->lb == LB_RING_HASH;

    for (size_t i = 0; i < got->len; i++) {
        const struct entry *entry = &got->items[i];

        if (entry->priority != 0 || *entry->sub_zone || (ring && *entry->zone))
            sim_fail("%s: %s has a priority, a sub_zone, or a zone in a ring", who, entry->address);
    }
}

/* While a zone waits it does not come first. */
bool judge_near_fits(const struct query *query, const struct answer *got, const struct answer *want)
{
    struct scene scene;

    if (got->len != want->len || !has_places(query, want))
        return true;
    scene = look(query, got, want);
    return fits(&scene, scene.node || scene.enough) ||
           (scene.enough && !scene.node && fits(&scene, false));
}

void judge_near(struct near_account *near, const struct query *query, const struct answer *got,
                const struct answer *want, uint64_t us, const char *who)
{
    struct scene scene;

    if (!has_places(query, want)) {
        check_plain(query, got, who);
        return;
    }
    scene = look(query, got, want);
    check_sub_zones(&scene, who);
    if (!scene.unready)
        check_wait(near, &scene, us, who);
}

void judge_near_final(const struct query *query, const struct answer *got,
                      const struct answer *want, const char *who)
{
    struct scene scene;
    struct states now = judge_pair_at(SIM_NEVER);

    if (!has_places(query, want))
        return;
    scene = look(query, got, want);
    if (!fits(&scene, scene.node || scene.enough))
        judge_complain("another order of near and far at the end", query, got, now, now, who);
}
