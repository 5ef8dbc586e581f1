#include "serve/heed.h"

#include "base/hash.h"

struct places {
    size_t first, second;
};

static struct places places_of(struct str namespace_name, struct str service)
{
    uint64_t hash = hash_mix(hash_key(namespace_name), hash_key(service));

    return (struct places){(size_t)(hash % HEED_SLOTS), (size_t)((hash >> 32) % HEED_SLOTS)};
}

static struct places places_of_key(struct str key)
{
    struct str service = key, namespace_name = str_cut(&service, '/');

    return places_of(namespace_name, service);
}

void heed_add(struct heed *heed, struct str key)
{
    struct places places = places_of_key(key);

    atomic_fetch_add(&heed->slots[places.first], 1);
    atomic_fetch_add(&heed->slots[places.second], 1);
}

void heed_remove(struct heed *heed, struct str key)
{
    struct places places = places_of_key(key);

    atomic_fetch_sub(&heed->slots[places.first], 1);
    atomic_fetch_sub(&heed->slots[places.second], 1);
}

bool heed_set_all(struct heed *heed, bool all)
{
    if (atomic_load_explicit(&heed->all, memory_order_relaxed) == all)
        return false;
    atomic_store(&heed->all, all);
    return true;
}

bool heed_has(const struct heed *heed, struct str namespace_name, struct str service)
{
    struct places places = places_of(namespace_name, service);

    return atomic_load(&heed->all) || (atomic_load(&heed->slots[places.first]) > 0 &&
                                       atomic_load(&heed->slots[places.second]) > 0);
}
