#include "serve/origin.h"

/* Before uthash.h. */
#define HASH_FUNCTION HASH_FUNCTION_SEEDED
#include "base/hash.h"
#include <uthash.h>

struct origin_address {
    UT_hash_handle hh;
    struct pod_address address;
    struct list origins;
};

/* False: it has no IP. */
static bool address_of(const struct address *peer, struct pod_address *ret_address)
{
    unsigned char bytes[16];
    int family = address_ip(peer, bytes);

    if (family == 0)
        return false;
    *ret_address = pod_address_of(family == 4 ? FAMILY_IPV4 : FAMILY_IPV6, bytes);
    return true;
}

static struct origin_address *find(const struct origins *origins, const struct pod_address *address)
{
    struct origin_address *found;

    HASH_FIND(hh, origins->addresses, address, sizeof(*address), found);
    return found;
}

static struct origin_address *get(struct origins *origins, const struct pod_address *address)
{
    struct origin_address *found = find(origins, address);

    if (found)
        return found;
    found = xcalloc(1, sizeof(*found));
    found->address = *address;
    list_init(&found->origins);
    HASH_ADD(hh, origins->addresses, address, sizeof(found->address), found);
    return found;
}

void origin_join(struct origins *origins, struct origin *origin, const struct address *peer)
{
    struct pod_address address;

    if (!address_of(peer, &address))
        return;
    origin->origins = origins;
    origin->address = get(origins, &address);
    list_init(&origin->link);
    list_append(&origin->address->origins, &origin->link);
}

void origin_leave(struct origin *origin)
{
    struct origin_address *address = TAKE(origin->address);

    if (!address)
        return;
    list_remove(&origin->link);
    if (!list_empty(&address->origins))
        return;
    HASH_DELETE(hh, origin->origins->addresses, address);
    free(address);
}

enum pod_owner origin_find(const struct origins *origins, const struct address *peer,
                           struct str *ret_account)
{
    struct pod_address address;

    if (!address_of(peer, &address))
        return POD_OWNER_NONE;
    return pod_table_find(origins->pods, &address, ret_account);
}

struct pass {
    struct origins *origins;
    bool moved;
};

static void on_differing(void *ctx, const struct pod_address *address)
{
    struct pass *pass = ctx;
    struct origin_address *found = find(pass->origins, address);

    if (!found)
        return;
    list_for_each (node, &found->origins)
        container_of(node, struct origin, link)->moved = pass->origins->round;
    pass->moved = true;
}

bool origins_publish(struct origins *origins, const struct pod_table *pods)
{
    struct pass pass = {origins, false};

    origins->round++;
    if (origins->pods)
        pod_table_diff(origins->pods, pods, on_differing, &pass);
    pod_table_unref(origins->pods);
    origins->pods = pods;
    return pass.moved;
}

void origins_done(struct origins *origins)
{
    pod_table_unref(origins->pods);
    origins->pods = NULL;
}
