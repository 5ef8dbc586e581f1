/* Section 3 of the design, rule by rule. */
#include "oracle_internal.h"

#include <arpa/inet.h>

#include "base/hash.h"
#include "policies.h"

/* ---- "ready nil → true, serving nil → true, terminating nil → false" ---- */

bool oracle_is_ready(const struct candidate *candidate)
{
    return candidate->endpoint->ready != NO;
}

static bool is_draining(const struct candidate *candidate)
{
    const struct api_endpoint *endpoint = candidate->endpoint;

    return !oracle_is_ready(candidate) && endpoint->serving != NO && endpoint->terminating == YES;
}

/* "whenNoneReady: ServingTerminating | Empty | All". */
static bool is_listed_unready(const struct candidate *candidate, enum none_ready none_ready)
{
    if (none_ready == NONE_READY_EMPTY)
        return false;
    return none_ready == NONE_READY_ALL || is_draining(candidate);
}

/* "Ready → in the list. Ready none, but serving and terminating some → those." */
void oracle_keep_serving(struct candidates *all, enum none_ready none_ready)
{
    bool ready = false;

    for (size_t i = 0; i < all->len; i++)
        ready = ready || (!all->items[i].out && oracle_is_ready(&all->items[i]));
    for (size_t i = 0; i < all->len; i++) {
        struct candidate *candidate = &all->items[i];

        if (ready ? !oracle_is_ready(candidate) : !is_listed_unready(candidate, none_ready))
            candidate->out = true;
    }
}

/* ---- "follow the Service as kube-proxy does: hints per address family, before the join" ---- */

/* It is about the ClusterIP. */
static bool is_local(const struct api_service *service)
{
    return service->local && !service->headless;
}

/* "internalTrafficPolicy: Local: those of its node; client's node unknown → all." */
static void keep_local(struct candidates *all, int node)
{
    for (size_t i = 0; i < all->len && node >= 0; i++)
        all->items[i].out = all->items[i].endpoint->node != (unsigned)node;
}

static unsigned hints_of(const struct candidate *candidate, bool nodes)
{
    return nodes ? candidate->endpoint->node_hints : candidate->endpoint->zone_hints;
}

/* "If all ready endpoints carry hints and one names the client's place → those." */
static bool keep_hinted(struct candidates *all, int family, bool nodes, int place)
{
    bool named = false;

    if (place < 0)
        return false;
    for (size_t i = 0; i < all->len; i++) {
        const struct candidate *candidate = &all->items[i];

        if (candidate->family != family || !oracle_is_ready(candidate))
            continue;
        if (!hints_of(candidate, nodes))
            return false;
        named = named || hints_of(candidate, nodes) & 1u << place;
    }
    for (size_t i = 0; i < all->len && named; i++) {
        struct candidate *candidate = &all->items[i];

        if (candidate->family == family && oracle_is_ready(candidate))
            candidate->out = !(hints_of(candidate, nodes) & 1u << place);
    }
    return named;
}

/* Its node's; "else" its zone's; "else all". */
static void keep_near(struct candidates *all, const struct api_service *service,
                      const struct query *query)
{
    if (query->pod >= 0)
        return; /* one pod is meant from everywhere */
    if (policies_of(query->service)->locality != LOCALITY_SERVICE)
        return; /* its own fields say nothing */
    if (is_local(service)) {
        keep_local(all, query->node);
        return;
    }
    for (int family = 4; family <= 6; family += 2)
        if (!keep_hinted(all, family, true, query->node))
            (void)keep_hinted(all, family, false, query->zone);
}

/* ---- "one endpoint per pod, with the other family in additional_addresses" ---- */

/* The same pod at the same port in the other family; NULL: none. */
static const struct candidate *twin_of(const struct candidates *all,
                                       const struct candidate *candidate)
{
    for (size_t i = 0; i < all->len; i++) {
        const struct candidate *other = &all->items[i];

        if (!other->out && other->family != candidate->family && other->port == candidate->port &&
            other->endpoint->pod == candidate->endpoint->pod)
            return other;
    }
    return NULL;
}

/* By which lists are cut: a port that a slice leaves open is none. */
static uint64_t order_of(const struct candidate *candidate)
{
    bool six = candidate->family == 6;
    unsigned port = candidate->given ? 0 : candidate->port;
    unsigned char bytes[16] = {0};

    (void)inet_pton(six ? AF_INET6 : AF_INET, candidate->endpoint->address, bytes);
    return hash_mix(hash_content(bytes, sizeof(bytes)), (six ? 6u : 4u) << 16 | port);
}

static void write_entry(struct entry *entry, const struct candidate *candidate,
                        const struct candidate *twin)
{
    snprintf(entry->address, TEXT, "%s", candidate->endpoint->address);
    snprintf(entry->other, TEXT, "%s", twin ? twin->endpoint->address : "");
    snprintf(entry->zone, sizeof(entry->zone), "%s", zone_name(candidate->endpoint->zone));
    snprintf(entry->pod, sizeof(entry->pod), "pod-%u", candidate->endpoint->pod);
    entry->port = candidate->port;
    entry->other_port = twin ? twin->port : 0;
    entry->draining = is_draining(candidate);
    entry->terminating = candidate->endpoint->terminating == YES;
    entry->ready = oracle_is_ready(candidate);
    entry->node = candidate->endpoint->node;
    entry->order = order_of(candidate);
}

/* "Family preference from ipFamilies." */
static void join(const struct candidates *all, int preferred, int pod, struct answer *answer)
{
    for (size_t i = 0; i < all->len; i++) {
        const struct candidate *candidate = &all->items[i];
        const struct candidate *twin = twin_of(all, candidate);

        if (candidate->out || (twin && candidate->family != preferred))
            continue;
        if (pod < 0 || candidate->endpoint->pod == (unsigned)pod)
            write_entry(&answer->items[answer->len++], candidate, twin);
    }
}

/* ---- "a client gets one of at most 64 precomputed, evenly covering groups" ---- */

enum { GROUPS = 64 };

static int cmp_order(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;

    return (left->order > right->order) - (left->order < right->order);
}

/* What internalTrafficPolicy Local leaves, and what one pod has, is not cut. */
static bool is_cut(const struct api_service *service, const struct query *query,
                   const struct policy *policy)
{
    bool local = is_local(service) && policy->locality == LOCALITY_SERVICE && query->node >= 0;

    return policy->subset_size > 0 && policy->lb != LB_RING_HASH && query->group > 0 && !local &&
           query->pod < 0;
}

/* Group g of 64 begins at g·n/64, and has as many as asked for, or a 64th. */
static void cut(struct answer *answer, size_t size, unsigned group)
{
    size_t len = answer->len, share = (len + GROUPS - 1) / GROUPS;
    size_t most = share > size ? share : size, first = (group - 1) * len / GROUPS;
    struct answer whole = *answer;

    if (len <= most)
        return;
    qsort(whole.items, len, sizeof(*whole.items), cmp_order);
    answer->len = most;
    for (size_t i = 0; i < most; i++)
        answer->items[i] = whole.items[(first + i) % len];
}

/* ---- the list ---- */

/* "ExternalName: a LOGICAL_DNS cluster", but for those that have no Clusters. */
static void list_host(const struct api_object *service, const struct query *query,
                      struct answer *answer)
{
    struct entry *entry = &answer->items[0];

    oracle_host(service, query, entry->address, &entry->port);
    answer->len = query->native && *entry->address;
}

void oracle_choose(struct candidates *all, const struct api_service *service,
                   const struct query *query, struct answer *ret_answer)
{
    const struct policy *policy = policies_of(query->service);

    keep_near(all, service, query);
    oracle_keep_serving(all, policy->none_ready);
    join(all, service->families[0] == 6 ? 6 : 4, query->pod, ret_answer);
    if (is_cut(service, query, policy))
        cut(ret_answer, policy->subset_size, query->group);
    answer_sort(ret_answer);
}

void oracle_list(const struct api_object *service, const struct api_object *const *slices,
                 const struct query *query, struct answer *ret_answer)
{
    struct candidates all = {0};

    *ret_answer = (struct answer){0};
    if (!service)
        return;
    if (*service->service.external_name) {
        list_host(service, query, ret_answer);
        return;
    }
    oracle_collect(&all, service, slices, query);
    oracle_choose(&all, &service->service, query, ret_answer);
}
