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
    size_t at = 0;

    while (at < claim->len && strcmp(claim->by[at]->name, by->name) < 0)
        at++;
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
    size_t at = 0;

    *ret_heir = NULL;
    while (claim && at < claim->len && claim->by[at] != by)
        at++;
    if (!claim || at == claim->len)
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
