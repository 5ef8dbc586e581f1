#include "controller/publish.h"

#include "base/log.h"
#include "controller/hosts.h"
#include "controller/refusal.h"
#include "controller/store_internal.h"
#include "model/name.h"

#define WINDOW_MIN_US (10 * 1000)
#define WINDOW_MAX_US (1000 * 1000)
#define FANOUTS_PER_WINDOW 4
/* While a hold is in force, which a change may end, changes are looked at more often. */
#define HELD_WINDOW_US (2 * 1000)

/* How many, and the first of them, which the next catalog has. */
struct tally {
    size_t len;
    const struct service *first;
};

struct publisher {
    struct controller_options options;
    struct store *store;
    struct controller_stats *stats;
    const struct catalog *catalog;
    const struct catalog *owners; /* of hosts, before there is a catalog of its own; borrowed */
    bool started;
    bool published; /* the first catalog is out */
    bool nodes_changed, hosts_changed;
    struct tally closed, opened; /* in this turn: Services that no client sees, or all do again */
    struct list now;   /* groups that go out at the end of the turn */
    struct list later; /* groups whose window has not passed, in no order */
    struct deferred flush;
    struct timer *timer;
    uint64_t timer_us; /* when it fires; UINT64_MAX: it does not */
};

/* ---- what ---- */

/* NULL: not published. */
static const struct service *find_published(const struct publisher *publisher,
                                            const struct group *group)
{
    return catalog_find(publisher->catalog, group->namespace_name, group->name);
}

const struct controller_options *publisher_options(const struct publisher *publisher)
{
    return &publisher->options;
}

bool publisher_publishes(const struct publisher *publisher, const struct group *group)
{
    const struct object *object = store_service(group);
    const struct object *policy = store_policy(group);
    enum publish_mode mode = publisher->options.mode;

    if (!object)
        return false;
    return mode == PUBLISH_ALL || (policy && value_is_accepted(policy->value)) ||
           (mode == PUBLISH_ANNOTATED && object->value.service->annotated);
}

static const struct policy *policy_of(const struct group *group)
{
    const struct object *object = store_policy(group);

    return object ? object->value.policy : policy_default();
}

/* From what is published, kept by a hold or not, endpoints keep their zones. */
static const struct service *build(const struct publisher *publisher, const struct group *group,
                                   const struct policy *policy)
{
    const struct object *object = store_service(group);
    CLEANUP(freep) const struct slice **slices = NULL;
    struct service_spec spec;
    size_t len = 0;

    if (!publisher_publishes(publisher, group))
        return NULL;
    slices = xmalloc((group->slices_len + 1) * sizeof(const struct slice *));
    list_for_each (link, &group->slices) {
        const struct value *value = &container_of(link, struct object, link)->value;

        for (size_t i = 0; i < value->slices_len; i++)
            slices[len++] = value->slices[i];
    }
    spec = object->value.service->spec;
    spec.received_us = group->received_us;
    spec.policy = policy;
    spec.now_us = loop_now_us(publisher->options.loop);
    return service_new(&spec, slices, len, find_published(publisher, group));
}

const struct service *publisher_build(const struct publisher *publisher, const struct group *group)
{
    const struct policy *policy = refusals_policy(group->refusals, policy_of(group));
    const struct service *service = build(publisher, group, policy);

    policy_unref(policy);
    return service;
}

static void count_announcement(struct publisher *publisher, bool was, bool is)
{
    struct counter *gauge = &publisher->stats->held[HOLD_ANNOUNCE];

    if (was != is)
        counter_set(gauge, counter_get(gauge) + is - was);
    if (!was && is)
        counter_add(&publisher->stats->holds_begun[HOLD_ANNOUNCE], 1);
}

/* As publisher_build(), but backends that clients have not heard of are announced first. */
static const struct service *build_announced(struct publisher *publisher, struct group *group,
                                             uint64_t now)
{
    const struct policy *wanted = refusals_policy(group->refusals, policy_of(group));
    bool tells = !group->released && publisher_publishes(publisher, group);
    const struct service *published = tells ? find_published(publisher, group) : NULL;
    bool was = group->announced.until_us != 0;
    const struct policy *policy = announce_policy(&group->announced, published, wanted, now);
    const struct service *service = build(publisher, group, policy);

    count_announcement(publisher, was, group->announced.until_us != 0);
    policy_unref(policy);
    policy_unref(wanted);
    return service;
}

/* Of a Service with several ports: those of the port with most of them. */
static uint64_t endpoints_of(const struct service *service)
{
    size_t most = 0;

    for (size_t i = 0; service && i < service->ports_len; i++) {
        if (service->ports[i].list.len > most)
            most = service->ports[i].list.len;
    }
    return most;
}

/* One that keeps a list from becoming empty is part of an operator's history, others come by the
 * dozen. */
static void log_hold(const struct group *group, const char *message, bool saves)
{
    log_at(saves ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, LOG_CONTROLLER, message,
           KV_STR("service", group->key), KV_STR("hold", hold_name(group->hold)),
           KV_U64("ms", (group->hold_until_us - group->hold_since_us) / 1000));
}

static void end_hold(struct publisher *publisher, struct group *group, uint64_t now)
{
    struct counter *gauge = &publisher->stats->held[group->hold];

    if (group->hold == HOLD_NONE)
        return;
    group->hold_until_us = now;
    log_hold(group, "hold ended", group->hold_saves);
    counter_set(gauge, counter_get(gauge) - 1);
    group->hold = HOLD_NONE;
}

static void set_hold(struct publisher *publisher, struct group *group,
                     const struct hold_verdict *verdict, uint64_t now)
{
    bool begins = verdict->hold != group->hold;

    if (begins)
        end_hold(publisher, group, now);
    group->hold = verdict->hold;
    group->hold_since_us = verdict->since_us;
    group->hold_until_us = verdict->until_us;
    if (verdict->hold == HOLD_NONE || (!begins && group->hold_saves >= verdict->saves))
        return;
    group->hold_saves = verdict->saves;
    log_hold(group, "the last list stays", verdict->saves);
    if (!begins)
        return;
    counter_add(&publisher->stats->held[verdict->hold], 1);
    counter_add(&publisher->stats->holds_begun[verdict->hold], 1);
}

/* An operator's history: that a list became empty or is filled again at info, every change at
 * debug. */
static void log_change(const struct group *group, const struct service *before,
                       const struct service *after)
{
    uint64_t had = endpoints_of(before), has = endpoints_of(after);
    enum log_level level = had > 0 && has > 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;

    if (!before || had == has)
        level = LOG_LEVEL_DEBUG;
    log_at(level, LOG_CONTROLLER, "list changed", KV_STR("service", group->key),
           KV_U64("before", had), KV_U64("endpoints", has),
           KV_STR("state", !after                                 ? "the Service is gone"
                           : after->type == SERVICE_EXTERNAL_NAME ? "an ExternalName"
                           : has == 0                             ? "empty"
                                                                  : "ok"));
}

static bool hides(const struct service *service)
{
    return service && service->policy->access_given;
}

static void tally_add(struct tally *tally, const struct service *service)
{
    if (tally->len++ == 0)
        tally->first = service;
}

/* Where nobody can be identified, its resource closes a Service to all: hardly what it means. */
static void note_access(struct publisher *publisher, const struct service *before,
                        const struct service *after)
{
    if (hides(after) && !hides(before) && !publisher->options.identifies)
        tally_add(&publisher->closed, after);
    else if (hides(before) && after && !hides(after))
        tally_add(&publisher->opened, after);
}

/* Of all of a turn, in one line. A preview's are its own affair. */
static void log_tally(const struct publisher *publisher, struct tally *tally, const char *message,
                      const char *see)
{
    char name[NAME_TEXT_MAX];

    if (tally->len > 0 && publisher->options.publish) {
        snprintf(name, sizeof(name), "%" STR_FMT "/%" STR_FMT,
                 STR_ARG(tally->first->namespace_name), STR_ARG(tally->first->name));
        log_warn(LOG_CONTROLLER, message, KV_STR("service", name), KV_U64("services", tally->len),
                 KV_STR("see", see));
    }
    *tally = (struct tally){0};
}

static void log_access(struct publisher *publisher)
{
    log_tally(publisher, &publisher->closed,
              "no client sees Services whose resource has spec.access: nothing that tells who "
              "clients are is switched on",
              IDENTITY_WAYS);
    log_tally(publisher, &publisher->opened,
              "spec.access of Services is gone: who sees them is as the default says",
              "--default-access");
}

/* Puts the change into the edit; true if there is one. */
static bool put_change(struct publisher *publisher, const struct group *group,
                       struct catalog_edit *edit, const struct service *before,
                       const struct service *after)
{
    struct counter *endpoints = &publisher->stats->endpoints;

    if (before == after || (before && after && service_equal(before, after))) {
        service_unref(after);
        return false;
    }
    counter_set(endpoints, counter_get(endpoints) - endpoints_of(before) + endpoints_of(after));
    if (publisher->started && publisher->published)
        log_change(group, before, after);
    note_access(publisher, before, after);
    if (after)
        catalog_put(edit, after);
    else
        catalog_remove(edit, group->namespace_name, group->name);
    return true;
}

/* What goes out while a hold is in force. Takes over `after`'s reference. */
static const struct service *keep_lists(const struct service *before, const struct service *after,
                                        const struct hold_verdict *verdict, uint64_t now)
{
    const struct service *kept =
        verdict->whole ? service_ref(before) : service_carry(before, after, verdict->keep, now);

    service_unref(after);
    return kept;
}

/* 0: never. */
static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || b == 0 ? max_u64(a, b) : min_u64(a, b);
}

/* When to look again though nothing changes; 0: never. What a hold keeps as a whole is looked at when that ends. */
static uint64_t next_look_us(const struct group *group, const struct service *after,
                             const struct hold_verdict *verdict)
{
    uint64_t due_us = after && !verdict->whole ? after->due_us : 0;

    return sooner(sooner(due_us, verdict->next_us), group->announced.until_us);
}

/* Some list has become empty, or is no longer. */
static bool empties_or_fills(const struct service *before, const struct service *after)
{
    const struct service *both[] = {before, after};

    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        for (size_t k = 0; both[i] && k < both[i]->ports_len; k++) {
            uint16_t number = both[i]->ports[k].number;

            if ((service_listed(before, number) > 0) != (service_listed(after, number) > 0))
                return true;
        }
    }
    return !before != !after;
}

/* True if the edit got something. *ret_next_us: when a hold in force ends, or what is published changes by itself; 0: never. */
static bool publish_group(struct publisher *publisher, struct group *group,
                          struct catalog_edit *edit, uint64_t now, uint64_t *ret_next_us)
{
    const struct service *before = find_published(publisher, group);
    const struct service *after = build_announced(publisher, group, now);
    const struct hold_input input = {
        .changed_us = group->changed_us,
        .touched_us = group->touched_us,
        .deletion_grace_us = publisher->options.deletion_grace_ms * 1000,
        .now_us = now,
    };
    struct hold_verdict verdict = {0};

    if (after)
        counter_add(&publisher->stats->rebuilds, 1);
    if (group->released)
        hold_state_done(&group->held);
    else
        hold_judge(&group->held, before, after, &input, &verdict);
    group->released = false;
    set_hold(publisher, group, &verdict, now);
    if (verdict.hold != HOLD_NONE) {
        after = keep_lists(before, after, &verdict, now);
        group->held_us = now;
    }
    *ret_next_us = next_look_us(group, after, &verdict);
    hold_verdict_done(&verdict);
    if (empties_or_fills(before, after))
        store_tell_referrers(publisher->store, group);
    return put_change(publisher, group, edit, before, after);
}

static void put_nodes(struct publisher *publisher, struct catalog_edit *edit)
{
    size_t len;
    CLEANUP(freep) struct pair *nodes = NULL;

    if (!publisher->nodes_changed)
        return;
    nodes = store_nodes(publisher->store, &len);
    catalog_set_nodes(edit, nodes, len);
    publisher->nodes_changed = false;
}

static void tell_claimant(void *ctx, struct str name)
{
    struct str namespace_name = str_cut(&name, '/');

    publisher_resource_changed(ctx, namespace_name, name);
}

static void put_hosts(struct publisher *publisher, struct catalog_edit *edit)
{
    const struct host_rules rules = {publisher->options.host_suffixes, tell_claimant, publisher};
    size_t len;
    CLEANUP(freep) struct pair *hosts = NULL;

    if (!publisher->hosts_changed)
        return;
    hosts = hosts_assign(publisher->store, &rules,
                         publisher->owners ? publisher->owners : publisher->catalog, &len);
    catalog_set_hosts(edit, hosts, len);
    publisher->hosts_changed = false;
    publisher->owners = NULL;
}

static void publish(struct publisher *publisher, const struct catalog *next)
{
    catalog_unref(publisher->catalog);
    publisher->catalog = next;
    publisher->published = true;
    counter_set(&publisher->stats->services, catalog_len(next));
    counter_add(&publisher->stats->publications, 1);
    if (publisher->options.publish)
        publisher->options.publish(publisher->options.ctx, catalog_ref(next));
}

/* ---- when ---- */

static uint64_t window_us(const struct publisher *publisher)
{
    const struct controller_options *options = &publisher->options;
    uint64_t fanout_us = options->fanout_us ? options->fanout_us(options->ctx) : 0;

    return max_u64(WINDOW_MIN_US,
                   FANOUTS_PER_WINDOW * min_u64(fanout_us, WINDOW_MAX_US / FANOUTS_PER_WINDOW));
}

static void start_timer(struct publisher *publisher, uint64_t due_us)
{
    uint64_t now = loop_now_us(publisher->options.loop);

    if (due_us >= publisher->timer_us)
        return;
    publisher->timer_us = due_us;
    timer_start(publisher->timer, due_us > now ? (due_us - now + 999) / 1000 : 0);
}

static void send_now(struct publisher *publisher, struct group *group)
{
    list_remove(&group->pending);
    list_append(&publisher->now, &group->pending);
    if (publisher->started)
        deferred_schedule(publisher->options.loop, &publisher->flush);
}

static void send_later(struct publisher *publisher, struct group *group, uint64_t due_us)
{
    list_remove(&group->pending);
    list_append(&publisher->later, &group->pending);
    group->due_us = due_us;
    start_timer(publisher, due_us);
}

static void on_timer(void *ctx)
{
    struct publisher *publisher = ctx;
    uint64_t now = loop_now_us(publisher->options.loop);
    uint64_t next = UINT64_MAX;

    list_for_each_safe (link, &publisher->later) {
        struct group *group = container_of(link, struct group, pending);

        if (group->due_us <= now)
            send_now(publisher, group);
        else
            next = min_u64(next, group->due_us);
    }
    publisher->timer_us = UINT64_MAX;
    if (next != UINT64_MAX)
        start_timer(publisher, next);
}

/* An empty group is kept until no window can depend on when it was published last. */
static void retire(struct publisher *publisher, struct group *group, uint64_t now)
{
    if (!store_group_is_empty(group))
        return;
    if (group->published_us == 0 || now - group->published_us >= WINDOW_MAX_US)
        store_drop_group(publisher->store, group);
    else
        send_later(publisher, group, group->published_us + WINDOW_MAX_US);
}

static void on_flush(void *ctx)
{
    struct publisher *publisher = ctx;
    struct catalog_edit *edit = catalog_edit_new(publisher->catalog);
    uint64_t now = loop_now_us(publisher->options.loop);
    const struct catalog *next;
    struct list *link;

    while ((link = list_pop(&publisher->now))) {
        struct group *group = container_of(link, struct group, pending);
        uint64_t next_us;

        if (publish_group(publisher, group, edit, now, &next_us))
            group->published_us = now;
        if (!list_empty(&group->policies))
            publisher_resource_changed(publisher, group->namespace_name, group->name);
        group->received_us = 0;
        if (next_us)
            send_later(publisher, group, next_us);
        else
            retire(publisher, group, now);
    }
    put_nodes(publisher, edit);
    put_hosts(publisher, edit);
    next = catalog_edit_finish(edit);
    log_access(publisher);
    if (next != publisher->catalog)
        publish(publisher, next);
    else
        catalog_unref(next);
}

void publisher_touch(struct publisher *publisher, struct group *group, uint64_t received_us)
{
    uint64_t now = loop_now_us(publisher->options.loop);
    uint64_t due_us = group->held_us + HELD_WINDOW_US;

    group->touched_us = now;
    if (group->received_us != 0)
        return;
    group->received_us = received_us;
    if (group->published_us != 0)
        due_us = max_u64(due_us, group->published_us + window_us(publisher));
    /* What waits is the end of a hold, which has a bound of its own. */
    if (!list_empty(&group->pending) &&
        (group->hold != HOLD_NONE || group->announced.until_us != 0))
        due_us = min_u64(due_us, group->due_us);
    if (due_us <= now)
        send_now(publisher, group);
    else
        send_later(publisher, group, due_us);
}

void publisher_touch_nodes(struct publisher *publisher)
{
    publisher->nodes_changed = true;
    if (publisher->started)
        deferred_schedule(publisher->options.loop, &publisher->flush);
}

static bool same_claims(const struct value *a, const struct value *b)
{
    size_t len = a->policy ? a->policy->hosts_len : 0;

    if (len != (b->policy ? b->policy->hosts_len : 0))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!str_eq(a->policy->hosts[i], b->policy->hosts[i]))
            return false;
    }
    return len == 0 || a->created_us == b->created_us;
}

void publisher_set_owners(struct publisher *publisher, const struct catalog *owners)
{
    publisher->owners = owners;
}

void publisher_touch_hosts(struct publisher *publisher, const struct value *before,
                           const struct value *after)
{
    if (same_claims(before, after))
        return;
    publisher->hosts_changed = true;
    if (publisher->started)
        deferred_schedule(publisher->options.loop, &publisher->flush);
}

void publisher_resource_changed(const struct publisher *publisher, struct str namespace_name,
                                struct str name)
{
    if (publisher->options.resource_changed)
        publisher->options.resource_changed(publisher->options.ctx, namespace_name, name);
}

void publisher_resource_seen(const struct publisher *publisher, const struct json *object)
{
    if (publisher->options.resource_seen)
        publisher->options.resource_seen(publisher->options.ctx, object);
}

void publisher_release(struct publisher *publisher, struct group *group)
{
    group->released = true;
    if (group->received_us == 0)
        group->received_us = loop_now_us(publisher->options.loop);
    send_now(publisher, group);
}

void publisher_untouch(struct group *group)
{
    list_remove(&group->pending);
    group->received_us = 0;
}

void publisher_start(struct publisher *publisher)
{
    const struct catalog *before = publisher->catalog;

    if (publisher->started)
        return;
    publisher->started = true;
    on_flush(publisher);
    /* Also an empty cluster is something to tell. */
    if (publisher->catalog == before)
        publish(publisher, catalog_ref(before));
}

const struct catalog *publisher_catalog(const struct publisher *publisher)
{
    return publisher->catalog;
}

/* ---- life ---- */

struct publisher *publisher_new(const struct controller_options *options, struct store *store,
                                struct controller_stats *stats)
{
    struct publisher *publisher = xcalloc(1, sizeof(*publisher));

    publisher->options = *options;
    publisher->store = store;
    publisher->stats = stats;
    publisher->catalog = catalog_new_empty();
    publisher->timer_us = UINT64_MAX;
    list_init(&publisher->now);
    list_init(&publisher->later);
    deferred_init(&publisher->flush, on_flush, publisher);
    publisher->timer = timer_new(options->loop, on_timer, publisher);
    return publisher;
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher)
        return;
    deferred_cancel(&publisher->flush);
    timer_free(publisher->timer);
    catalog_unref(publisher->catalog);
    free(publisher);
}
