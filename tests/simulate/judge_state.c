#include "base/hash.h"
#include "judge_internal.h"

#define CACHE_SIZE 8192

static struct {
    uint64_t key, hash[2];
} cache[CACHE_SIZE];

void judge_forget_answers(void)
{
    memset(cache, 0, sizeof(cache));
}

/* ---- lists ---- */

uint64_t judge_hash(const struct answer *answer, bool native)
{
    uint64_t hash = answer->len;

    for (size_t i = 0; i < answer->len; i++) {
        const struct entry *entry = &answer->items[i];

        hash = hash_mix(hash, hash_content(entry->address, strlen(entry->address)));
        hash = hash_mix(hash, entry->port + entry->other_port * UINT64_C(65536));
        hash = hash_mix(hash, hash_content(entry->other, strlen(entry->other)));
        if (native)
            hash = hash_mix(hash, hash_content(entry->pod, sizeof(entry->pod)) + entry->draining);
    }
    return hash;
}

static uint64_t query_hash(const struct query *query)
{
    uint64_t hash = query->service * 8u + (unsigned)query->port;

    hash = hash_mix(hash, query->number * 2 + query->native);
    hash = hash_mix(hash, query->group);
    if (query->port == BY_NAME)
        hash = hash_mix(hash, hash_content(query->name, strlen(query->name)));
    return hash_mix(hash, (uint64_t)(query->pod + 1) << 16 | (uint64_t)(query->zone + 1) << 8 |
                              (uint64_t)(query->node + 1));
}

static const struct api_object *objects_of(unsigned service, struct states pair,
                                           const struct api_object *slices[SLICES])
{
    for (unsigned i = 0; i < SLICES; i++)
        slices[i] = known_object(slice_slot(service, i), pair.slices);
    return known_object(service, pair.service);
}

void judge_oracle(const struct query *query, struct states pair, struct answer *ret_answer)
{
    const struct api_object *slices[SLICES];
    const struct api_object *service = objects_of(query->service, pair, slices);

    oracle_list(service, slices, query, ret_answer);
}

bool judge_knows(const struct query *query, struct states pair, const struct entry *entry)
{
    const struct api_object *slices[SLICES];
    const struct api_object *service = objects_of(query->service, pair, slices);

    return oracle_knows(service, slices, query, entry);
}

bool judge_is_leaving(const struct query *query, struct states pair, const struct entry *entry)
{
    const struct api_object *slices[SLICES];
    const struct api_object *service = objects_of(query->service, pair, slices);

    return oracle_is_leaving(service, slices, query, entry);
}

bool judge_names(const struct query *query, struct states pair)
{
    const struct api_object *slices[SLICES];
    const struct api_object *service = objects_of(query->service, pair, slices);

    return oracle_names(service, slices, query->number);
}

uint64_t judge_expected(const struct query *query, struct states pair, bool native)
{
    const struct api_object *slices[SLICES];
    const struct api_object *service = objects_of(query->service, pair, slices);
    uint64_t key = hash_mix(query_hash(query), hash_content(slices, sizeof(slices)));
    struct answer answer;
    size_t at;

    key = hash_mix(key, (uintptr_t)service) | 1;
    at = key % CACHE_SIZE;
    if (cache[at].key != key) {
        oracle_list(service, slices, query, &answer);
        cache[at].key = key;
        cache[at].hash[false] = judge_hash(&answer, false);
        cache[at].hash[true] = judge_hash(&answer, true);
    }
    return cache[at].hash[native];
}

bool judge_is_empty(const struct query *query, struct states pair)
{
    static const struct answer empty;

    return judge_expected(query, pair, false) == judge_hash(&empty, false);
}

/* ---- states ---- */

struct states judge_pair_at(uint64_t us)
{
    return (struct states){known_at(RESOURCE_SERVICES, us), known_at(RESOURCE_SLICES, us)};
}

bool judge_step_back(struct states *pair, bool *ret_service)
{
    *ret_service = known_us(RESOURCE_SERVICES, pair->service) >
                   known_us(RESOURCE_SLICES, pair->slices);
    if (*ret_service)
        pair->service--;
    else if (pair->slices > 0)
        pair->slices--;
    else
        return false;
    return true;
}

static void add_moment(struct moments *moments, size_t index)
{
    if (moments->len == ARRAY_LEN(moments->items))
        sim_fail("more than %zu states to choose from", moments->len);
    else
        moments->items[moments->len++] = index;
}

/* The slots from..to differ between two states next to each other. */
static bool differ(unsigned from, unsigned to, size_t index)
{
    for (unsigned slot = from; slot < to; slot++) {
        if (known_object(slot, index) != known_object(slot, index - 1))
            return true;
    }
    return false;
}

static void add_moments(struct moments *moments, unsigned from, unsigned to, size_t low,
                        size_t high)
{
    while (low > 0 && !differ(from, to, low))
        low--;
    add_moment(moments, low);
    for (size_t index = low + 1; index <= high; index++) {
        if (differ(from, to, index))
            add_moment(moments, index);
    }
}

void judge_service_moments(struct moments *moments, unsigned service, size_t low, size_t high)
{
    add_moments(moments, service, service + 1, low, high);
}

void judge_slices_moments(struct moments *moments, unsigned service, size_t low, size_t high)
{
    add_moments(moments, slice_slot(service, 0), slice_slot(service, SLICES - 1) + 1, low, high);
}
