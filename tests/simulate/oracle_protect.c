/* "While protection holds: what was listed when it began, less those that left in good order, and all that is ready now." */
#include "oracle_internal.h"
#include "policies.h"

struct kept {
    struct candidate items[ANSWER_MAX];
    bool left[ANSWER_MAX]; /* in good order */
    size_t len;
};

/* An ExternalName has none. */
static bool has_ports(const struct picture *picture)
{
    return picture->service && !*picture->service->service.external_name;
}

static void collect(struct candidates *all, const struct picture *picture, const struct query *query)
{
    *all = (struct candidates){0};
    if (has_ports(picture))
        oracle_collect(all, picture->service, picture->slices, query);
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

static void begin(struct kept *kept, const struct picture *picture, const struct query *query)
{
    struct candidates all;

    kept->len = 0;
    collect(&all, picture, query);
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

/* A Service without ports has those of its slices, and be they empty. */
static bool names(const struct picture *picture, unsigned number)
{
    for (size_t i = 0; oracle_is_portless(&picture->service->service) && i < SLICES; i++) {
        const struct api_object *slice = picture->slices[i];

        if (!slice || !oracle_counts(slice, picture->service))
            continue;
        for (size_t k = 0; k < slice->slice.ports_len; k++) {
            if (slice->slice.ports[k].protocol == API_TCP && slice->slice.ports[k].number == number)
                return true;
        }
    }
    return oracle_names(picture->service, picture->slices, number);
}

/* What nobody names is taken as it is given. */
static bool takes_any(const struct picture *picture)
{
    bool portless = oracle_is_portless(&picture->service->service), some = false;

    for (size_t i = 0; i < SLICES; i++) {
        const struct api_object *slice = picture->slices[i];

        if (!slice || !oracle_counts(slice, picture->service))
            continue;
        if (slice->slice.ports_len == 0 && (portless || slice->slice.endpoints_len > 0))
            return true;
        some = true;
    }
    return portless && !some;
}

/* There is no such port any more, whatever the number is taken for without one. */
static bool is_gone(const struct picture *picture, const struct picture *first,
                    const struct query *query)
{
    if (!has_ports(picture))
        return true;
    if (names(picture, query->number))
        return false;
    return names(first, query->number) || !takes_any(picture);
}

/* Of a port that is gone, all stays. */
void oracle_list_protected(const struct picture *const *pictures, size_t len,
                           const struct query *query, struct answer *ret_answer)
{
    const struct picture *last = pictures[0];
    struct candidates now;
    struct kept kept;

    *ret_answer = (struct answer){0};
    if (!has_ports(last))
        return;
    begin(&kept, last, query);
    collect(&now, last, query);
    for (size_t i = 1; i < len; i++) {
        if (is_gone(pictures[i], pictures[0], query))
            continue;
        last = pictures[i];
        collect(&now, last, query);
        go_on(&kept, &now);
    }
    if (last != pictures[0])
        add_kept(&kept, &now);
    oracle_choose(&now, &last->service->service, query, ret_answer);
}
