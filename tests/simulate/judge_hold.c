/*
 * How early a list may show what a hold keeps back. All of it from what the controller was told; where the
 * product may count from an earlier cause, so does this: it never forbids what the holds allow.
 */
#include "judge_internal.h"
#include "policies.h"

#define DELETION_US (5000 * SIM_MS)
#define CHANGE_US (2000 * SIM_MS)
#define SETTLE_US (10 * SIM_MS)
#define SETTLE_EMPTY_US (100 * SIM_MS)
#define COALESCED_US (1200 * SIM_MS)

static uint64_t back(uint64_t us, uint64_t by)
{
    return us > by ? us - by : 0;
}

bool judge_was_held(const struct hold_history *holds, uint64_t from_us, uint64_t until_us)
{
    for (size_t i = 0; i < holds->len; i++) {
        if (holds->episodes[i].from_us <= until_us && holds->episodes[i].until_us >= from_us)
            return true;
    }
    return false;
}

/* When the hold began that was in force at some time between; the first such. SIM_NEVER: there was none. */
static uint64_t held_from_us(const struct hold_history *holds, uint64_t from_us, uint64_t until_us)
{
    for (size_t i = 0; i < holds->len && holds->episodes[i].from_us <= until_us; i++) {
        if (holds->episodes[i].until_us >= from_us)
            return holds->episodes[i].from_us;
    }
    return SIM_NEVER;
}

bool judge_was_released(const struct hold_history *holds, uint64_t from_us)
{
    for (size_t i = 0; i < holds->releases_len; i++) {
        if (holds->releases_us[i] >= from_us)
            return true;
    }
    return false;
}

/* What a client of unknown place gets of the whole port; an ExternalName's host aside. */
struct query judge_whole_of(const struct query *query)
{
    struct query whole = *query;

    whole.zone = whole.node = whole.pod = -1;
    whole.group = 0;
    whole.native = false;
    return whole;
}

/* ---- service-change and deletion ---- */

static bool is_gone(unsigned service, size_t index)
{
    return !known_object(service, index);
}

/* What it says, not only its version. */
static bool has_changed(unsigned service, size_t index)
{
    const struct api_object *now = known_object(service, index);
    const struct api_object *before = known_object(service, index - 1);

    if (!now || !before)
        return now != before;
    return memcmp(&now->service, &before->service, sizeof(now->service)) != 0;
}

/* The first time at or after `from_us` at which the Service went (or changed otherwise). */
static uint64_t first_change(unsigned service, uint64_t from_us, bool gone)
{
    size_t last = known_at(RESOURCE_SERVICES, SIM_NEVER);

    for (size_t i = known_at(RESOURCE_SERVICES, from_us); i <= last; i++) {
        if (i > 0 && known_us(RESOURCE_SERVICES, i) >= from_us && has_changed(service, i) &&
            is_gone(service, i) == gone)
            return known_us(RESOURCE_SERVICES, i);
    }
    return SIM_NEVER;
}

/* Since when it lists nothing, up to `us`, and whether a change of that very Service did that. 0: it never
 * listed anything. What it listed between two publications, nobody was told of. */
static uint64_t empty_since(const struct query *whole, uint64_t us, bool *ret_by_service)
{
    struct states now = judge_pair_at(us);
    uint64_t since = us, begin;
    bool service = false;

    *ret_by_service = false;
    for (;;) {
        bool empty = judge_is_empty(whole, now);

        begin = max_u64(known_us(RESOURCE_SERVICES, now.service),
                        known_us(RESOURCE_SLICES, now.slices));
        if (!empty && begin < since && judge_was_published(begin, since))
            return since;
        since = empty ? begin : since;
        if (!judge_step_back(&now, &service))
            return 0;
        if (empty)
            *ret_by_service = service && has_changed(whole->service, now.service + 1);
    }
}

/* Whether by then the port's list may have been empty: while it listed nothing, some state of the Service
 * lasted for longer than the hold that forbids to say so. */
static bool may_have_emptied(const struct query *whole, uint64_t us,
                             const struct hold_history *holds)
{
    unsigned service = whole->service;
    size_t last = known_at(RESOURCE_SERVICES, us);
    bool by_service;
    uint64_t from = empty_since(whole, us, &by_service);

    if (!by_service || judge_was_released(holds, from))
        return true;
    /* A hold that never ended counts from its first cause, at whatever port, which may be a change that came
     * some time before the list was empty. */
    from = min_u64(from, back(held_from_us(holds, from, us), COALESCED_US + CHANGE_US));
    for (size_t i = max_u64(known_at(RESOURCE_SERVICES, from), 1); i <= last; i++) {
        bool gone = is_gone(service, i);
        uint64_t begin = max_u64(from, known_us(RESOURCE_SERVICES, i));
        uint64_t end = i == last ? us : known_us(RESOURCE_SERVICES, i + 1);
        uint64_t over =
            first_change(service, from, gone) + (gone ? DELETION_US : CHANGE_US) - EARLY_US;

        if (max_u64(begin, over) <= end)
            return true;
    }
    return false;
}

static bool may_be_empty(const struct account *account, const struct query *query, uint64_t us,
                         struct states pair, const struct hold_history *holds)
{
    const struct api_object *service = known_object(query->service, pair.service);
    struct query whole = judge_whole_of(query);

    if (query->port != BY_NUMBER || query->pod >= 0)
        return true; /* holds keep the lists of ports, whatever they are called */
    if (service && *service->service.external_name)
        return true; /* its Cluster says where to go */
    if (query->native && !*account->last.items[0].pod)
        return true; /* an ExternalName's, kept only from a Service that lists nothing at all */
    /* Or else it is empty for that place only. */
    return !judge_is_empty(&whole, pair) || may_have_emptied(&whole, us, holds);
}

/* ---- settle ---- */

bool judge_way_back(unsigned service, struct states from, struct states pair,
                    struct states states[STATES_MAX], size_t *ret_len)
{
    size_t len = 0;
    bool changed = false, by_service;

    while (len < STATES_MAX && !changed) {
        states[len++] = pair;
        if (pair.service <= from.service && pair.slices <= from.slices)
            break;
        changed = pair.service > 0 && has_changed(service, pair.service);
        if (!judge_step_back(&pair, &by_service))
            break;
        changed = changed && by_service;
    }
    *ret_len = len;
    return !changed;
}

static bool lists(const struct answer *answer, const struct entry *entry)
{
    for (size_t i = 0; i < answer->len; i++) {
        const struct entry *other = &answer->items[i];

        if (other->port == entry->port && strcmp(other->address, entry->address) == 0)
            return !other->terminating;
        if (other->other_port == entry->port && strcmp(other->other, entry->address) == 0)
            return true;
    }
    return false;
}

static bool one_is_unknown(const struct query *whole, struct states state,
                           const struct answer *entries)
{
    for (size_t i = 0; i < entries->len; i++) {
        if (!judge_knows(whole, state, &entries->items[i]))
            return true;
    }
    return false;
}

/* Leaves those that are still listed, or not known any more. */
static void drop_unlisted(const struct query *whole, struct states state, struct answer *living)
{
    struct answer now;
    size_t kept = 0;

    judge_oracle(whole, state, &now);
    for (size_t i = 0; i < living->len; i++) {
        if (lists(&now, &living->items[i]) || !judge_knows(whole, state, &living->items[i]))
            living->items[kept++] = living->items[i];
    }
    living->len = kept;
}

/* What the port lists: what does not terminate, and all of it with the other addresses of the same pods. */
static void listed_at(const struct query *whole, struct states state, struct answer *living,
                      struct answer *all)
{
    struct answer listed;

    *living = *all = (struct answer){0};
    judge_oracle(whole, state, &listed);
    for (size_t i = 0; i < listed.len; i++) {
        const struct entry *entry = &listed.items[i];

        all->items[all->len++] = *entry;
        if (!entry->terminating)
            living->items[living->len++] = *entry;
        if (!*entry->other || all->len == ANSWER_MAX)
            continue;
        memcpy(all->items[all->len].address, entry->other, sizeof(entry->other));
        all->items[all->len++].port = entry->other_port;
    }
}

/* On the way to `pair`, where something has vanished that was listed until it did, and was not terminating:
 * when anything vanished for the first time that was listed in the beginning; coalescing may have hidden
 * what happened to it before. SIM_NEVER: nothing has, or the Service itself changed. *ret_empty: since then
 * nothing at all is listed. */
static uint64_t vanished_us(const struct query *whole, struct states from, struct states pair,
                            bool *ret_empty)
{
    struct states states[STATES_MAX];
    struct answer living, all;
    uint64_t first = SIM_NEVER;
    size_t len;

    *ret_empty = true;
    if (!judge_way_back(whole->service, from, pair, states, &len))
        return SIM_NEVER;
    listed_at(whole, states[len - 1], &living, &all);
    for (size_t i = len - 1; i-- > 0;) {
        drop_unlisted(whole, states[i], &living);
        if (first == SIM_NEVER && one_is_unknown(whole, states[i], &all))
            first = max_u64(known_us(RESOURCE_SERVICES, states[i].service),
                            known_us(RESOURCE_SLICES, states[i].slices));
        if (first != SIM_NEVER)
            *ret_empty = *ret_empty && judge_is_empty(whole, states[i]);
    }
    return one_is_unknown(whole, pair, &living) ? first : SIM_NEVER;
}

/* Whether something that the account's last list had is not known any more. */
static bool lacks_suddenly(const struct account *account, const struct query *whole,
                           const struct answer *answer, struct states pair)
{
    for (size_t i = 0; i < account->last.len; i++) {
        const struct entry *entry = &account->last.items[i];

        if (!lists(answer, entry) && !judge_knows(whole, pair, entry))
            return true;
    }
    return false;
}

/* A number that nobody named, and was taken as it is given, is another port once pods have it. */
static bool is_named_anew(const struct query *whole, struct states from, struct states pair)
{
    bool named = judge_names(whole, pair), anew = false, by_service;

    while (named && !anew && (pair.service > from.service || pair.slices > from.slices) &&
           judge_step_back(&pair, &by_service))
        anew = !judge_names(whole, pair);
    return anew;
}

static bool may_have_vanished(const struct account *account, const struct query *query,
                              const struct answer *answer, uint64_t us, struct states pair,
                              const struct hold_history *holds)
{
    struct query whole = judge_whole_of(query);

    if (query->port != BY_NUMBER || !lacks_suddenly(account, &whole, answer, pair))
        return true;
    for (size_t i = 0; i < account->floors_len; i++) {
        bool empty;
        uint64_t vanished = vanished_us(&whole, account->floors[i], pair, &empty);
        uint64_t bound = empty ? SETTLE_EMPTY_US : SETTLE_US;
        uint64_t held = held_from_us(holds, vanished, us);

        if (is_named_anew(&whole, account->floors[i], pair))
            return true;
        if (vanished == SIM_NEVER || judge_was_released(holds, vanished) ||
            us + EARLY_US >= min_u64(vanished, held) + bound)
            return true;
    }
    return account->floors_len == 0; /* only known to be held */
}

bool judge_may_replace(const struct account *account, const struct query *query,
                       const struct answer *answer, uint64_t us, struct states pair,
                       const struct hold_history *holds)
{
    if (account->last.len == 0)
        return true;
    if (answer->len == 0 && !may_be_empty(account, query, us, pair, holds))
        return false;
    return may_have_vanished(account, query, answer, us, pair, holds) &&
           judge_may_have_dropped(account, query, us, pair, holds);
}
