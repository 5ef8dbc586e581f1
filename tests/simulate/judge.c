#include "base/hash.h"
#include "judge_internal.h"
#include "policies.h"

#define DUE_US (1200 * SIM_MS)  /* the longest coalescing, and what the loops take */
/* The longest of each hold, and all of them one after the other. */
#define DELETION_US (5000 * SIM_MS)
#define CHANGE_US (2000 * SIM_MS)
#define SETTLE_US (300 * SIM_MS) /* and what the loops take */
#define HOLDS_US (DELETION_US + CHANGE_US + SETTLE_US) /* but for protection */
#define VERSIONS_SIZE 16384
#define UNNAMED 1 /* a number that no port has */
#define PUBLICATIONS_MAX 512

static struct {
    struct hold_history holds[SERVICES];
    uint64_t stall_until_us, stall_us;
    uint64_t publications_us[PUBLICATIONS_MAX]; /* the newest, of all */
    size_t publications;
    struct {
        uint64_t key, value;
    } versions[VERSIONS_SIZE];
} state;

static uint64_t count;

void judge_start(void)
{
    memset(&state, 0, sizeof(state));
    judge_forget_answers();
}

uint64_t judge_count(void)
{
    return count;
}

/* When the newest change came in of all that concerns the Service: a hold that begins counts from it. */
static uint64_t touched_us(unsigned service)
{
    struct states now = judge_pair_at(sim.now_us);
    struct moments own = {0}, slices = {0};

    judge_service_moments(&own, service, now.service, now.service);
    judge_slices_moments(&slices, service, now.slices, now.slices);
    return max_u64(known_us(RESOURCE_SERVICES, own.items[0]),
                   known_us(RESOURCE_SLICES, slices.items[0]));
}

void judge_note_hold(unsigned service, bool held)
{
    struct hold_history *holds = &state.holds[service];
    struct hold_episode *last = holds->len > 0 ? &holds->episodes[holds->len - 1] : NULL;
    bool was = last && last->until_us == SIM_NEVER;

    if (was != held)
        sim_trace("%s lists of service %u", held ? "the controller keeps" : "no hold is left on",
                  service);
    if (was && !held)
        last->until_us = sim.now_us;
    if (was || !held)
        return;
    if (holds->len == EPISODES_MAX)
        sim_fail("more than %d holds of a Service", EPISODES_MAX);
    else
        holds->episodes[holds->len++] = (struct hold_episode){touched_us(service), SIM_NEVER};
}

void judge_note_publication(void)
{
    state.publications_us[state.publications++ % PUBLICATIONS_MAX] = sim.now_us;
}

bool judge_was_published(uint64_t from_us, uint64_t until_us)
{
    size_t len = min_size(state.publications, PUBLICATIONS_MAX);

    for (size_t i = state.publications; i-- > state.publications - len;) {
        uint64_t us = state.publications_us[i % PUBLICATIONS_MAX];

        if (us < from_us)
            return false;
        if (us < until_us)
            return true;
    }
    return len == PUBLICATIONS_MAX;
}

void judge_note_stall(uint64_t us)
{
    state.stall_until_us = sim.now_us + us;
    state.stall_us = us;
}

void judge_note_release(unsigned service)
{
    struct hold_history *holds = &state.holds[service];

    if (holds->releases_len < EPISODES_MAX)
        holds->releases_us[holds->releases_len++] = sim.now_us;
}

/* ---- which states may explain a list ---- */

static uint64_t back(uint64_t us, uint64_t by)
{
    return us > by ? us - by : 0;
}

/* What was told before that has to be in a list made at `at_us`, but for holds. */
static uint64_t due_us(uint64_t at_us)
{
    uint64_t due = back(at_us, DUE_US);

    return due <= state.stall_until_us ? back(due, state.stall_us) : due;
}

/* What had to be in a list by `due_us`, holds aside, may have been held back for so long: each hold counts once,
 * however often its cause came. */
static uint64_t held_us(unsigned service, uint64_t protection_us, uint64_t due_us, uint64_t at_us)
{
    size_t first = known_at(RESOURCE_SERVICES, back(due_us, HOLDS_US + protection_us));
    size_t last = known_at(RESOURCE_SERVICES, at_us);
    bool gone = false, changed = false;

    for (size_t i = first; i <= last; i++) {
        gone = gone || !known_object(service, i);
        changed = changed ||
                  (i > first && known_object(service, i) != known_object(service, i - 1));
    }
    return SETTLE_US + protection_us + (changed ? CHANGE_US : 0) + (gone ? DELETION_US : 0);
}

struct search {
    const struct query *query;
    const struct answer *answer;
    struct states low, high;         /* between these */
    bool held;                     /* a hold may have kept it */
    bool external;                 /* the Service was an ExternalName */
    struct protected_search protected; /* that hold may have been protection */
    const struct account *account; /* above its floors; NULL: no matter */
    uint64_t replaces_us;          /* the account's list then, as holds allow; 0: no matter */
};

static bool is_external(unsigned service, size_t index)
{
    const struct api_object *object = known_object(service, index);

    return object && *object->service.external_name;
}

/* Since when the Service was an ExternalName, if it was one between these states; SIM_NEVER: it was not. What
 * its assignments listed before stays: clients keep to it until they have resolved the host's name. */
static uint64_t external_since_us(unsigned service, struct states low, struct states high)
{
    uint64_t since = SIM_NEVER;

    for (size_t i = high.service; i > 0; i--) {
        if (is_external(service, i))
            since = known_us(RESOURCE_SERVICES, i);
        else if (i < low.service && known_object(service, i))
            break; /* an ordinary one before it; one that is gone may have been held */
    }
    return since;
}

/* `fresh_us`: what was due then is in it; `at_us`: and nothing from later. */
static struct search search_of(const struct query *query, const struct answer *answer,
                               uint64_t fresh_us, uint64_t at_us)
{
    uint64_t due = due_us(min_u64(fresh_us, at_us)), external;
    uint64_t protection_us = policies_of(query->service)->protection_us;
    bool held = judge_was_held(&state.holds[query->service], due, at_us);
    struct search search = {.query = query, .answer = answer, .held = held};

    search.protected = (struct protected_search){
        .base_us = back(due, held_us(query->service, protection_us, due, at_us)),
        .due_us = back(due, held_us(query->service, 0, due, at_us)),
        .at_us = at_us};
    due = held ? search.protected.due_us : due;
    search.low = judge_pair_at(due);
    search.high = judge_pair_at(at_us);
    external = external_since_us(query->service, search.low, search.high);
    search.external = external != SIM_NEVER;
    if (!query->native && search.external)
        search.low = judge_pair_at(min_u64(due, due_us(external)));
    return search;
}

bool judge_is_above(struct states pair, const struct account *account)
{
    for (size_t i = 0; i < account->floors_len; i++) {
        if (pair.service >= account->floors[i].service && pair.slices >= account->floors[i].slices)
            return true;
    }
    return account->floors_len == 0;
}

/* Keeps the oldest. */
static void add_floor(struct account *account, struct states pair)
{
    for (size_t i = 0; i < account->floors_len; i++) {
        if (account->floors[i].service <= pair.service && account->floors[i].slices <= pair.slices)
            return;
    }
    if (account->floors_len < FLOORS_MAX)
        account->floors[account->floors_len++] = pair;
}

static bool is_native(const struct answer *answer)
{
    return answer->len > 0 && *answer->items[0].pod;
}

/* The backends are; so is who is near. */
static bool places_fit(const struct search *search, struct states pair)
{
    struct answer want;

    if (!policy_prefers(policies_of(search->query->service)))
        return true;
    judge_oracle(search->query, pair, &want);
    return judge_near_fits(search->query, search->answer, &want);
}

static bool explains(const struct search *search, struct states pair)
{
    const struct hold_history *holds = &state.holds[search->query->service];
    bool native = is_native(search->answer);

    return judge_expected(search->query, pair, native) == judge_hash(search->answer, native) &&
           places_fit(search, pair) &&
           (!search->account || judge_is_above(pair, search->account)) &&
           (!search->replaces_us ||
            judge_may_replace(search->account, search->query, search->answer, search->replaces_us,
                              pair, holds));
}

/* The oldest pairs that explain the list become floors of `ret` (may be NULL); false: there is none. */
static bool find_of(const struct search *search, const struct moments *services,
                    struct account *ret)
{
    struct moments slices = {0};
    bool found = false;

    judge_slices_moments(&slices, search->query->service, search->low.slices, search->high.slices);
    for (size_t i = 0; i < services->len * slices.len; i++) {
        struct states pair = {services->items[i / slices.len], slices.items[i % slices.len]};

        if (!explains(search, pair))
            continue;
        found = true;
        if (ret)
            add_floor(ret, pair);
    }
    return found;
}

/* Protection keeps some of a list; then what was out when it began is the floor. */
static bool find_protected(const struct search *search, struct account *ret)
{
    struct protected_search protected = search->protected;
    unsigned service = search->query->service;
    struct states base;

    protected.account = search->account;
    if (policies_of(service)->protection_percent == 0 || search->query->port != BY_NUMBER ||
        !judge_is_protected(&protected, search->query, search->answer, &state.holds[service], &base))
        return false;
    if (ret)
        add_floor(ret, base);
    return true;
}

/* A hold keeps the lists of ports: a name that means another port now gets that port's, however old. */
static bool find_held(const struct search *search, const struct moments *services)
{
    struct states base = judge_pair_at(search->protected.base_us);
    struct search of_port = *search;
    struct query query = *search->query;
    struct moments named = {0};
    bool found = false;

    query.port = BY_NUMBER;
    of_port.query = &query;
    of_port.account = NULL;
    of_port.replaces_us = 0;
    judge_service_moments(&named, query.service, base.service, search->high.service);
    for (size_t i = 0; i < named.len && !found; i++) {
        query.number = oracle_number(known_object(query.service, named.items[i]), search->query);
        found = query.number &&
                (find_of(&of_port, services, NULL) || find_protected(&of_port, NULL));
    }
    return found;
}

/* The list of the backends whose ports are left open: what a number means that nobody names. */
static uint64_t open_hash(const struct query *query, struct states pair, bool native)
{
    struct query unnamed = *query;
    struct answer answer;

    unnamed.number = UNNAMED;
    judge_oracle(&unnamed, pair, &answer);
    for (size_t i = 0; i < answer.len; i++) {
        answer.items[i].port = query->number;
        answer.items[i].other_port = *answer.items[i].other ? query->number : 0;
    }
    return judge_hash(&answer, native);
}

/* A hold may keep that one while the number's own, where pods named it, is over. */
static bool find_open(const struct search *search)
{
    struct states base = judge_pair_at(search->protected.base_us);
    uint64_t hash = judge_hash(search->answer, is_native(search->answer));
    struct moments services = {0}, slices = {0};

    judge_service_moments(&services, search->query->service, base.service, search->high.service);
    judge_slices_moments(&slices, search->query->service, base.slices, search->high.slices);
    for (size_t i = 0; search->answer->len > 0 && i < services.len * slices.len; i++) {
        struct states pair = {services.items[i / slices.len], slices.items[i % slices.len]};

        if (open_hash(search->query, pair, is_native(search->answer)) == hash)
            return true;
    }
    return false;
}

static bool find(const struct search *search, struct account *ret)
{
    struct moments services = {0};
    bool found;

    judge_service_moments(&services, search->query->service, search->low.service,
                          search->high.service);
    found = find_of(search, &services, ret);
    if (!found && search->held)
        found = find_protected(search, ret);
    if (!found && search->held)
        found = search->query->port == BY_NUMBER ? find_open(search)
                                                 : find_held(search, &services);
    return found;
}

/* Which of the conditions it is that leaves nothing. */
static void explain_failure(struct search search, const char *who)
{
    const struct search asked = search;
    const char *what = NULL;

    search.replaces_us = 0;
    if (find(&search, NULL))
        what = search.answer->len ? "a shorter list than a hold allows"
                                  : "an empty list that a hold forbids";
    search.account = NULL;
    if (!what && find(&search, NULL))
        what = "a list older than the one before";
    search.low = (struct states){0, 0};
    if (!what && find(&search, NULL))
        what = "a list that was overtaken too long ago";
    if (!what)
        what = "a list that no state of the API explains";
    judge_complain(what, asked.query, asked.answer, asked.low, asked.high, who);
}

/* ---- zones: at a port, an endpoint keeps the one that it had when it was seen first ---- */

/* It was always there, since that state; and its port, if its number was not just taken as given. */
static bool lived_on(const struct query *query, const struct entry *entry, struct states since)
{
    struct states at = judge_pair_at(SIM_NEVER);
    bool service, named = judge_names(query, since);

    while (at.service > since.service || at.slices > since.slices) {
        if (!judge_knows(query, at, entry) || (named && !judge_names(query, at)))
            return false;
        if (!judge_step_back(&at, &service))
            break;
    }
    return true;
}

static void check_zone(const struct account *before, const struct query *query,
                       const struct entry *entry, const char *who)
{
    for (size_t i = 0; i < before->last.len; i++) {
        const struct entry *old = &before->last.items[i];

        if (old->port != entry->port || strcmp(old->address, entry->address) != 0 ||
            strcmp(old->zone, entry->zone) == 0)
            continue;
        if (before->floors_len > 0 && lived_on(query, entry, before->floors[0]))
            sim_fail("%s: %s moves from zone '%s' to '%s' while it lives", who, entry->address,
                     old->zone, entry->zone);
    }
}

/* ---- judging ---- */

/* Where it is only known that a hold explains the list, nothing is known of places. */
static void check_near(struct account *account, const struct query *query,
                       const struct answer *answer, uint64_t us, const char *who)
{
    struct answer want;

    if (account->floors_len == 0)
        return;
    judge_oracle(query, account->floors[0], &want);
    if (answer_equal(&want, answer))
        judge_near(&account->near, query, answer, &want, us, who);
}

void judge_list(struct account *account, const struct query *query, const struct answer *answer,
                const struct delivery *delivery, const char *who)
{
    struct search search = search_of(query, answer, delivery->fresh_us, delivery->pulled_us);
    struct account next = {.answered = true, .last = *answer}, before = *account;

    count++;
    search.account = &before;
    search.replaces_us = delivery->pulled_us;
    if (search.held && search.external && query->native)
        before.floors_len = 0; /* what was carried besides an ExternalName may come back */
    if (!find(&search, &next)) {
        explain_failure(search, who);
        return;
    }
    for (size_t i = 0; i < answer->len && query->port == BY_NUMBER; i++)
        check_zone(account, query, &answer->items[i], who);
    next.near = account->near;
    check_near(&next, query, answer, delivery->pulled_us, who);
    *account = next;
}

void judge_standing(const struct account *account, const struct query *query, uint64_t at_us,
                    const char *who)
{
    struct search search = search_of(query, &account->last, at_us, at_us);

    if (account->answered && !find(&search, NULL))
        judge_complain("an old list: a newer one is overdue", query, &account->last, search.low,
                       search.high, who);
}

void judge_final(const struct account *account, const struct query *query, const char *who)
{
    const struct api_object *slices[SLICES];
    struct states now = judge_pair_at(SIM_NEVER);
    struct answer want;

    if (!query->native && is_external(query->service, now.service))
        return;
    cluster_slices(query->service, slices);
    oracle_list(cluster_get(query->service), slices, query, &want);
    if (!account->answered)
        sim_fail("%s: never answered", who);
    else if (!answer_equal(&want, &account->last))
        judge_complain("a wrong list at the end", query, &account->last, now, now, who);
    else
        judge_near_final(query, &account->last, &want, who);
}

/* The states of the Service that what was made then may follow from. */
static void service_window(const struct query *query, const struct delivery *delivery,
                           struct moments *moments)
{
    struct search search = search_of(query, NULL, delivery->fresh_us, delivery->pulled_us);

    if (search.held)
        search.low = judge_pair_at(search.protected.base_us);
    judge_service_moments(moments, query->service, search.low.service, search.high.service);
}

void judge_cluster(const struct query *query, const char *cluster_name,
                   const struct delivery *delivery, const char *who)
{
    struct moments moments = {0};
    char name[CLUSTER_TEXT] = "";

    service_window(query, delivery, &moments);
    for (size_t i = 0; i < moments.len; i++) {
        oracle_cluster(known_object(query->service, moments.items[i]), query, name);
        if (strcmp(name, cluster_name) == 0)
            return;
    }
    sim_fail("%s: the Listener leads to '%s', not to '%s'", who, cluster_name, name);
}

void judge_host(const struct query *query, const char *host, unsigned port,
                const struct delivery *delivery, const char *who)
{
    struct moments moments = {0};
    char name[TEXT] = "";
    unsigned number = 0;

    service_window(query, delivery, &moments);
    for (size_t i = 0; i < moments.len; i++) {
        oracle_host(known_object(query->service, moments.items[i]), query, name, &number);
        if (strcmp(name, host) == 0 && number == port)
            return;
    }
    sim_fail("%s: the Cluster is '%s:%u', not '%s:%u'", who, host, port, name, number);
}

/* ---- versions ---- */

static void remember(uint64_t key, uint64_t value, const char *what, struct str version,
                     const char *who)
{
    size_t at = key % VERSIONS_SIZE;

    if (state.versions[at].key == key && state.versions[at].value != value)
        sim_fail("%s: %s, version %" STR_FMT, who, what, STR_ARG(version));
    state.versions[at].key = key;
    state.versions[at].value = value;
}

void judge_version(const char *kind, struct str version, uint64_t content, const char *who)
{
    uint64_t of_kind = hash_content(kind, strlen(kind));
    uint64_t number = hash_content(version.ptr, version.len);

    remember(hash_mix(hash_mix(of_kind, 1), number), content,
             "the same version for another content", version, who);
    remember(hash_mix(hash_mix(of_kind, 2), content), number,
             "another version for the same content", version, who);
}
