#include "controller/hosts.h"

#include "model/name.h"

struct host_claim {
    struct str host, owner;
    uint64_t created_us;
};

struct host_claims {
    const char *const *suffixes;
    struct host_claim *items;
    size_t len, cap;
};

static void add_claims(void *ctx, const struct object *object)
{
    struct host_claims *claims = ctx;
    const struct policy *policy = object->value.policy;

    for (size_t i = 0; policy && i < policy->hosts_len; i++) {
        if (!name_is_under(policy->hosts[i], claims->suffixes))
            continue;
        claims->items = xgrow(claims->items, &claims->cap, claims->len, sizeof(*claims->items));
        claims->items[claims->len++] =
            (struct host_claim){policy->hosts[i], str_of(object->key), object->value.created_us};
    }
}

static int cmp_claim(const void *a, const void *b)
{
    const struct host_claim *left = a, *right = b;
    int order = str_cmp(left->host, right->host);

    if (order != 0)
        return order;
    if (left->created_us != right->created_us)
        return left->created_us < right->created_us ? -1 : 1;
    return str_cmp(left->owner, right->owner);
}

/* Of `len` claims to one host, in order: who has it stays, if it still claims it. */
static struct str choose_owner(const struct host_claim *claims, size_t len, struct str owner)
{
    for (size_t i = 0; i < len; i++) {
        if (str_eq(claims[i].owner, owner))
            return owner;
    }
    return claims[0].owner;
}

/* How many claims from the first on are to the same host. */
static size_t count_rivals(const struct host_claim *claims, size_t len)
{
    size_t count = 1;

    while (count < len && str_eq(claims[count].host, claims[0].host))
        count++;
    return count;
}

struct pair *hosts_assign(const struct store *store, const struct host_rules *rules,
                          const struct catalog *before, size_t *ret_len)
{
    struct host_claims claims = {.suffixes = rules->suffixes};
    struct pair *hosts;
    size_t len = 0, rivals;

    store_each_resource(store, add_claims, &claims);
    if (claims.len > 1)
        qsort(claims.items, claims.len, sizeof(*claims.items), cmp_claim);
    hosts = xmalloc((claims.len + 1) * sizeof(*hosts));
    for (size_t i = 0; i < claims.len; i += rivals) {
        const struct host_claim *first = &claims.items[i];
        struct str had = catalog_host(before, first->host), owner;

        rivals = count_rivals(first, claims.len - i);
        owner = choose_owner(first, rivals, had);
        hosts[len++] = (struct pair){first->host, owner};
        for (size_t k = 0; k < rivals && !str_eq(owner, had); k++)
            rules->concern(rules->ctx, first[k].owner);
    }
    free(claims.items);
    *ret_len = len;
    return hosts;
}
