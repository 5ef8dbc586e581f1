#include "net/address_share.h"

#include <assert.h>
#include <pthread.h>

#define HASH_FUNCTION HASH_FUNCTION_SEEDED
#include "base/hash.h"
#include <uthash.h>

#define SUBNET_BYTES 8 /* of an IPv6 address that count: a /64 */

/* An IPv4 address never equals an IPv6 one: a mapped one is told as IPv4. */
struct address_key {
    unsigned char family;
    unsigned char ip[16];
};

struct address_share {
    UT_hash_handle hh;
    struct address_shares *shares;
    struct address_key key;
    uint64_t connections;
};

struct address_shares {
    pthread_mutex_t mutex;
    struct address_share *table;
};

struct address_shares *address_shares_new(void)
{
    struct address_shares *shares = xcalloc(1, sizeof(*shares));

    pthread_mutex_init(&shares->mutex, NULL);
    return shares;
}

void address_shares_free(struct address_shares *shares)
{
    if (!shares)
        return;
    assert(!shares->table);
    pthread_mutex_destroy(&shares->mutex);
    free(shares);
}

static struct address_share *share_of(struct address_shares *shares, const struct address_key *key)
{
    struct address_share *share;

    HASH_FIND(hh, shares->table, key, sizeof(*key), share);
    if (share)
        return share;
    share = xcalloc(1, sizeof(*share));
    share->shares = shares;
    share->key = *key;
    HASH_ADD(hh, shares->table, key, sizeof(*key), share);
    return share;
}

static struct address_key key_of(const struct address *address)
{
    struct address_key key = {0};

    key.family = (unsigned char)address_ip(address, key.ip);
    if (key.family == 6)
        memset(key.ip + SUBNET_BYTES, 0, sizeof(key.ip) - SUBNET_BYTES);
    return key;
}

bool address_share_join(struct address_shares *shares, const struct address *address, uint64_t max,
                        struct address_share **ret_share)
{
    const struct address_key key = key_of(address);
    struct address_share *share;
    bool room;

    if (key.family == 0) {
        *ret_share = NULL;
        return true;
    }
    pthread_mutex_lock(&shares->mutex);
    share = share_of(shares, &key);
    room = share->connections < max;
    share->connections += room;
    pthread_mutex_unlock(&shares->mutex);
    if (room)
        *ret_share = share;
    return room;
}

void address_share_leave(struct address_share *share)
{
    struct address_shares *shares;

    if (!share)
        return;
    shares = share->shares;
    pthread_mutex_lock(&shares->mutex);
    if (--share->connections == 0) {
        HASH_DEL(shares->table, share);
        free(share);
    }
    pthread_mutex_unlock(&shares->mutex);
}

uint64_t address_shares_most(struct address_shares *shares)
{
    uint64_t most = 0;

    pthread_mutex_lock(&shares->mutex);
    for (const struct address_share *share = shares->table; share; share = share->hh.next)
        most = max_u64(most, share->connections);
    pthread_mutex_unlock(&shares->mutex);
    return most;
}
