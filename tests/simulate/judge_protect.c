/*
 * Protection: how early a list may show what it keeps back, and which lists it makes meanwhile. The first from what the controller was told;
 * where the product may count from an earlier cause, so does this: it never forbids what protection allows.
 */
#include "judge_internal.h"
#include "policies.h"

#define PUBLISHED_US (1700 * SIM_MS) /* what has stood for so long is out, unless a hold keeps another */

static uint64_t back(uint64_t us, uint64_t by)
{
    return us > by ? us - by : 0;
}

/* ---- how early ---- */

static uint64_t begun_us(struct states state)
{
    return max_u64(known_us(RESOURCE_SERVICES, state.service),
                   known_us(RESOURCE_SLICES, state.slices));
}

/* It is not in the list of the first of these states any more, newest first, and that in good order, as far as `len` of them tell. */
static bool has_retired(const struct query *whole, const struct states *states, size_t len,
                        const struct answer *now, const struct entry *entry)
{
    bool left = len > 0 && entry->terminating;

    for (size_t i = 0; i < now->len; i++) {
        if ((now->items[i].port == entry->port &&
             strcmp(now->items[i].address, entry->address) == 0) ||
            (now->items[i].other_port == entry->port &&
             strcmp(now->items[i].other, entry->address) == 0))
            return false;
    }
    left = left || judge_is_leaving(whole, states[0], entry);
    for (size_t i = 1; i < len && !left; i++)
        left = judge_is_leaving(whole, states[i], entry);
    return left;
}

static bool has_ready(const struct answer *answer)
{
    bool ready = false;

    for (size_t i = 0; i < answer->len; i++)
        ready = ready || answer->items[i].ready;
    return ready;
}

/* Too little of that list would be left in the first of these states. What was listed because nobody was ready is not missed once somebody is. */
static bool leaves_too_little(const struct query *whole, const struct answer *before,
                              const struct states *states, size_t len)
{
    size_t percent = policies_of(whole->service)->protection_percent, left;
    struct answer now;

    judge_oracle(whole, states[0], &now);
    if (!has_ready(before) && has_ready(&now))
        return false;
    left = now.len;
    for (size_t i = 0; i < before->len; i++)
        left += has_retired(whole, states, len, &now, &before->items[i]);
    return left * 100 < before->len * percent;
}

/* Of what that state lists, too little is left in every newer one of these. */
static bool stays_protected(const struct query *whole, struct states state,
                            const struct states *newer, size_t len)
{
    struct answer before;

    judge_oracle(whole, state, &before);
    for (size_t i = 0; i < len; i++) {
        if (!leaves_too_little(whole, &before, &newer[i], len - i))
            return false;
    }
    return true;
}

/* So it is with whatever is out when states[i - 1] comes: states[i], or one that did not end long before. */
static bool drops(const struct query *whole, const struct states *states, size_t i, size_t len)
{
    uint64_t begin = begun_us(states[i - 1]);

    for (size_t out = i; out < len && stays_protected(whole, states[out], states, i); out++) {
        if (begun_us(states[out]) + PUBLISHED_US <= begin)
            return true;
    }
    return false;
}

/* On the way from `from` to `pair`: when so much vanished at once that what was out before stays for a time.
 * 0: it did not. */
static uint64_t dropped_us(const struct query *whole, struct states from, struct states pair,
                           const struct hold_history *holds)
{
    struct states states[STATES_MAX];
    size_t len;

    if (!judge_way_back(whole->service, from, pair, states, &len))
        return 0;
    for (size_t i = 1; i < len; i++) {
        uint64_t begin = begun_us(states[i - 1]);

        if (drops(whole, states, i, len) &&
            !judge_was_held(holds, back(begin, PUBLISHED_US), back(begin, EARLY_US)))
            return begin;
    }
    return 0;
}

bool judge_may_have_dropped(const struct account *account, const struct query *query, uint64_t us,
                            struct states pair, const struct hold_history *holds)
{
    const struct policy *policy = policies_of(query->service);
    struct query whole = judge_whole_of(query);

    if (policy->protection_percent == 0 || query->port != BY_NUMBER || query->pod >= 0)
        return true;
    for (size_t i = 0; i < account->floors_len; i++) {
        uint64_t dropped = dropped_us(&whole, account->floors[i], pair, holds);

        if (dropped == 0 || judge_was_released(holds, dropped) ||
            us + EARLY_US >= dropped + policy->protection_us)
            return true;
    }
    return account->floors_len == 0;
}

/* ---- which lists: a second reading (oracle_protect.c) of what was out, and what came then ---- */

enum { CHAIN_MAX = 256 };

/* What the controller knew of the Service, one after the other, newest first. */
struct chain {
    size_t len;
    struct states states[CHAIN_MAX]; /* as moments name them */
    uint64_t begin_us[CHAIN_MAX], end_us[CHAIN_MAX];
    struct picture pictures[CHAIN_MAX];
};

static struct picture picture_at(unsigned service, struct states state)
{
    struct picture picture = {.service = known_object(service, state.service)};

    for (unsigned i = 0; i < SLICES; i++)
        picture.slices[i] = known_object(slice_slot(service, i), state.slices);
    return picture;
}

/* By the changes of what belongs to the Service. */
static struct states named(unsigned service, struct states state)
{
    struct moments services = {0}, slices = {0};

    judge_service_moments(&services, service, state.service, state.service);
    judge_slices_moments(&slices, service, state.slices, state.slices);
    return (struct states){services.items[0], slices.items[0]};
}

static void look_back(struct chain *chain, unsigned service, uint64_t from_us, uint64_t at_us)
{
    struct states state = judge_pair_at(at_us);
    uint64_t end_us = SIM_NEVER;
    bool by_service;

    chain->len = 0;
    do {
        struct picture picture = picture_at(service, state);
        bool same = chain->len > 0 && memcmp(&picture, &chain->pictures[chain->len - 1], sizeof(picture)) == 0;

        if (end_us < from_us || (!same && chain->len == CHAIN_MAX))
            break;
        if (!same)
            chain->end_us[chain->len++] = end_us;
        chain->pictures[chain->len - 1] = picture;
        chain->states[chain->len - 1] = named(service, state);
        chain->begin_us[chain->len - 1] = end_us = begun_us(state);
    } while (judge_step_back(&state, &by_service));
}

/* The list of chain[now], with what chain[out] listed: those between that were published count, or none does. */
static bool makes(const struct chain *chain, size_t out, size_t now, bool between,
                  const struct query *query, const struct answer *answer)
{
    const struct picture *pictures[CHAIN_MAX];
    bool native = answer->len > 0 && *answer->items[0].pod;
    struct answer want;
    size_t len = 0;

    pictures[len++] = &chain->pictures[out];
    for (size_t i = out - 1; i > now; i--) {
        if (between && judge_was_published(chain->begin_us[i], chain->end_us[i]))
            pictures[len++] = &chain->pictures[i];
    }
    pictures[len++] = &chain->pictures[now];
    oracle_list_protected(pictures, len, query, &want);
    return judge_hash(&want, native) == judge_hash(answer, native) &&
           (!policy_prefers(policies_of(query->service)) ||
            judge_near_fits(query, answer, &want));
}

static bool is_held_from(const struct chain *chain, size_t out, size_t now,
                         const struct query *query, const struct hold_history *holds)
{
    struct query whole = judge_whole_of(query);
    struct answer before;

    if (!judge_was_held(holds, chain->begin_us[out], chain->begin_us[now] + PUBLISHED_US))
        return false;
    judge_oracle(&whole, chain->states[out], &before);
    return leaves_too_little(&whole, &before, &chain->states[now], 0);
}

bool judge_is_protected(const struct protected_search *search, const struct query *query,
                        const struct answer *answer, const struct hold_history *holds,
                        struct states *ret_base)
{
    struct chain chain;

    look_back(&chain, query->service, search->base_us, search->at_us);
    for (size_t now = 0; now < chain.len && chain.end_us[now] >= search->due_us; now++) {
        if (search->account && !judge_is_above(chain.states[now], search->account))
            continue;
        for (size_t out = now + 1; out < chain.len; out++) {
            if (!is_held_from(&chain, out, now, query, holds) ||
                (!makes(&chain, out, now, true, query, answer) &&
                 !makes(&chain, out, now, false, query, answer)))
                continue;
            *ret_base = chain.states[out];
            return true;
        }
    }
    return false;
}
