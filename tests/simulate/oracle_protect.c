/* "While protection holds: what was listed when it began, less those that left in good order, and all that is ready now." */
#include "oracle_internal.h"
#include "policies.h"

struct kept {
    struct candidate items[ANSWER_MAX];
    bool left[ANSWER_MAX]; /* in good order */
    size_t len;
};

/* An ExternalName has none. */
static bool has_ports(const struct picture *scene)
{
    return scene->service && !*scene->service->service.external_name;
}

static void collect(struct candidates *all, const struct picture *scene, const struct query *query)
{
    *all = (struct candidates){0};
    if (has_ports(scene))
        oracle_collect(all, scene->service, scene->slices, query);
}

static struct candidate *find(struct candidates *all, const struct candidate *wanted)
{
    for (size_t i = 0; i < all->len; i++) {
        if (all->items[i].port == wanted->port &&
            strcmp(all->items[i].endpoint->address, wanted->endpoint->address) == 0)
            return &all->items[i];
    }
    return NULL;
}

static bool is_terminating(const struct candidate *candidate)
{
    return candidate->endpoint->terminating == YES;
}

static void begin(struct kept *kept, const struct picture *scene, const struct query *query)
{
    struct candidates all;

    kept->len = 0;
    collect(&all, scene, query);
    oracle_keep_serving(&all, policies_of(query->service)->none_ready);
    for (size_t i = 0; i < all.len; i++) {
        if (all.items[i].out)
            continue;
        kept->left[kept->len] = is_terminating(&all.items[i]);
        kept->items[kept->len++] = all.items[i];
    }
}

/* What is ready is there, whatever it did before. */
static void go_on(struct kept *kept, struct candidates *now)
{
    for (size_t i = 0; i < kept->len; i++) {
        const struct candidate *found = find(now, &kept->items[i]);

        if (found && oracle_is_ready(found))
            kept->left[i] = false;
        else if (is_terminating(&kept->items[i]) || (found && is_terminating(found)))
            kept->left[i] = true;
        if (found && (oracle_is_ready(found) || !oracle_is_ready(&kept->items[i])))
            kept->items[i] = *found;
    }
}

static void add_kept(const struct kept *kept, struct candidates *now)
{
    for (size_t i = 0; i < kept->len; i++) {
        struct candidate *found = find(now, &kept->items[i]);

        if (kept->left[i])
            continue;
        if (found)
            *found = kept->items[i];
        else if (now->len < ANSWER_MAX)
            now->items[now->len++] = kept->items[i];
    }
}

void oracle_list_protected(const struct picture *const *scenes, size_t len, const struct query *query,
                           struct answer *ret_answer)
{
    const struct api_service *service = NULL;
    struct candidates now;
    struct kept kept;

    *ret_answer = (struct answer){0};
    begin(&kept, scenes[0], query);
    for (size_t i = 0; i < len; i++) {
        if (has_ports(scenes[i]))
            service = &scenes[i]->service->service;
        collect(&now, scenes[i], query);
        if (i > 0)
            go_on(&kept, &now);
    }
    if (!service)
        return;
    add_kept(&kept, &now);
    oracle_choose(&now, service, query, ret_answer);
}
