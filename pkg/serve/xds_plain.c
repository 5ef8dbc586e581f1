#include "serve/xds_plain.h"

#include "base/hash.h"
#include "protocol/request.h"

#undef HASH_FUNCTION
#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_FUNCTION_SEEDED(keyptr, keylen, hashv)
#include <uthash.h>

struct xds_plain_entry {
    UT_hash_handle hh;
    const struct policy *policy; /* a reference */
    char name[];
};

static struct xds_plain_entry *find(const struct xds_plain *plain, struct str name)
{
    struct xds_plain_entry *entry;

    HASH_FIND(hh, plain->entries, name.ptr, name.len, entry);
    return entry;
}

bool xds_plain_has(const struct xds_plain *plain, struct str name, const struct policy *policy)
{
    const struct xds_plain_entry *entry = plain->entries ? find(plain, name) : NULL;

    return entry && policy_same_spec(entry->policy, policy);
}

bool xds_plain_add(struct xds_plain *plain, struct str name, const struct policy *policy)
{
    struct xds_plain_entry *entry = find(plain, name);

    if (entry && policy_same_spec(entry->policy, policy))
        return false;
    if (!entry) {
        if (HASH_COUNT(plain->entries) >= XDS_NAMES_MAX)
            return false;
        entry = xcalloc(1, sizeof(*entry) + name.len + 1);
        memcpy(entry->name, name.ptr, name.len);
        HASH_ADD_KEYPTR(hh, plain->entries, entry->name, name.len, entry);
    }
    policy_unref(entry->policy);
    entry->policy = policy_ref(policy);
    return true;
}

void xds_plain_done(struct xds_plain *plain)
{
    struct xds_plain_entry *entry, *next;

    HASH_ITER(hh, plain->entries, entry, next)
    {
        HASH_DEL(plain->entries, entry);
        policy_unref(entry->policy);
        free(entry);
    }
}
