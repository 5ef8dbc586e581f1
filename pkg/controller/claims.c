#include "controller/claims.h"

static struct claim *find(struct claims *claims, const char *key)
{
    struct claim *claim;

    HASH_FIND_STR(claims->table, key, claim);
    return claim;
}

static struct claim *find_or_add(struct claims *claims, const char *key)
{
    struct claim *claim = find(claims, key);

    if (claim)
        return claim;
    claim = xcalloc(1, sizeof(*claim));
    claim->key = xstrdup(key);
    HASH_ADD_KEYPTR(hh, claims->table, claim->key, strlen(claim->key), claim);
    return claim;
}

/* Where a claimant of that name is, or belongs. */
static size_t place_of(const struct claim *claim, const char *name)
{
    size_t low = 0, high = claim->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(claim->by[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void claim_free(struct claims *claims, struct claim *claim)
{
    HASH_DELETE(hh, claims->table, claim);
    free(claim->by);
    free(claim->key);
    free(claim);
}

bool claims_add(struct claims *claims, const char *key, struct claimant *by)
{
    struct claim *claim = find_or_add(claims, key);
    size_t at = place_of(claim, by->name);

    if (at < claim->len && claim->by[at] == by)
        return at == 0;
    claim->by = xgrow(claim->by, &claim->cap, claim->len, sizeof(*claim->by));
    memmove(claim->by + at + 1, claim->by + at, (claim->len - at) * sizeof(*claim->by));
    claim->by[at] = by;
    claim->len++;
    return at == 0;
}

bool claims_drop(struct claims *claims, const char *key, struct claimant *by,
                 struct claimant **ret_heir)
{
    struct claim *claim = find(claims, key);
    size_t at = claim ? place_of(claim, by->name) : 0;

    *ret_heir = NULL;
    if (!claim || at == claim->len || claim->by[at] != by)
        return false;
    memmove(claim->by + at, claim->by + at + 1, (claim->len - at - 1) * sizeof(*claim->by));
    if (--claim->len == 0)
        claim_free(claims, claim);
    else if (at == 0)
        *ret_heir = claim->by[0];
    return at == 0;
}

struct claimant *claims_owner(struct claims *claims, const char *key)
{
    struct claim *claim = find(claims, key);

    return claim ? claim->by[0] : NULL;
}

size_t claims_len(const struct claims *claims)
{
    return HASH_COUNT(claims->table);
}

void claims_done(struct claims *claims)
{
    struct claim *claim, *next;

    HASH_ITER(hh, claims->table, claim, next)
    {
        claim_free(claims, claim);
    }
}
