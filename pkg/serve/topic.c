#include "serve/topic.h"

#include <assert.h>

#include "base/clock.h"
#include "serve/topic_internal.h"

struct topic_table *topic_table_new(const struct topic_table_options *options)
{
    struct topic_table *table = xcalloc(1, sizeof(*table));

    table->options = *options;
    table->catalog = catalog_new_empty();
    list_init(&table->dirty);
    list_init(&table->bare_places);
    list_init(&table->old);
    return table;
}

void topic_table_free(struct topic_table *table)
{
    if (!table)
        return;
    assert(!table->entries && !table->interests && !table->contents && !table->places);
    catalog_unref(table->catalog);
    free(table);
}

uint64_t topic_table_clusters_version(const struct topic_table *table)
{
    return table->clusters_version;
}

struct interest *topic_interest(const struct topic_table *table, struct str namespace_name,
                                struct str service)
{
    return interest_find(table, namespace_name, service);
}

/* ---- topics ---- */

static struct str topic_namespace(const struct topic *topic)
{
    return str_of(topic->key.ptr + 2);
}

static struct name_context context_in(const struct topic_table *table, struct str namespace_name)
{
    return (struct name_context){namespace_name, str_of(table->options.cluster_domain),
                                 table->options.host_suffixes};
}

/* The name was parsed when the topic was made. */
bool topic_find_meaning(const struct topic *topic, const struct caller *caller,
                        struct meaning *meaning)
{
    struct name_context context = context_in(topic->table, topic_namespace(topic));
    const struct sight sight = {topic->table->catalog, topic->table->options.default_access,
                                caller};

    meaning->kind = topic->kind;
    meaning->reports_load = topic->table->options.reports_load;
    meaning->plain = topic->plain;
    meaning->faults = topic->faults;
    meaning->names_missing = topic->table->options.unknown_names == UNKNOWN_NAMES_EMPTY;
    meaning->text = topic->text;
    if (meaning_parse(topic->kind, topic->text, &context, &meaning->name, NULL) != CODE_OK)
        return false;
    meaning_find(meaning, &sight);
    return true;
}

static bool find_meaning(const struct topic *topic, struct meaning *meaning)
{
    return topic_find_meaning(topic, NULL, meaning);
}

/* What a client asks for, and how. */
struct wish {
    enum topic_kind kind;
    bool plain;
    unsigned faults;
    struct str text;
    struct str default_namespace;
};

/* Two bytes, namespace, 0, text: unique, and the namespace can be read back. */
static void topic_key(const struct wish *wish, struct buf *out)
{
    buf_add_char(out, (char)((wish->plain ? 'A' : 'a') + (int)wish->kind));
    buf_add_char(out, (char)('0' + (int)wish->faults));
    buf_add_str(out, wish->default_namespace);
    buf_add_char(out, '\0');
    buf_add_str(out, wish->text);
}

/* The namespace that the name's meaning depends on: none for most, so that clients share topics. */
static enum code check_wish(const struct topic_table *table, struct wish *wish, struct err *err)
{
    struct name_context given = context_in(table, wish->default_namespace);
    struct name_context none = context_in(table, STR(""));
    struct name name;

    wish->default_namespace = STR("");
    if (meaning_parse(wish->kind, wish->text, &none, &name, err) == CODE_OK)
        return CODE_OK;
    wish->default_namespace = given.default_namespace;
    return meaning_parse(wish->kind, wish->text, &given, &name, err);
}

static void count_topics(const struct topic_table *table)
{
    if (table->options.stats)
        counter_set(&table->options.stats->topics, HASH_COUNT(table->entries));
}

static struct topic_entry *topic_new(struct topic_table *table, const struct wish *wish,
                                     struct str key)
{
    struct topic_entry *entry = xcalloc(1, sizeof(*entry) + key.len + 1);
    struct topic *topic = &entry->topic;

    memcpy(entry->key, key.ptr, key.len);
    topic->kind = wish->kind;
    topic->plain = wish->plain;
    topic->faults = wish->faults;
    topic->table = table;
    topic->key = str_make(entry->key, key.len);
    topic->text = str_make(entry->key + key.len - wish->text.len, wish->text.len);
    list_init(&topic->subscribers);
    list_init(&topic->stale);
    list_init(&entry->dirty);
    entry->round = ++table->rounds;
    HASH_ADD_KEYPTR(hh, table->entries, entry->key, key.len, entry);
    count_topics(table);
    return entry;
}

static void topic_free(struct topic_entry *entry)
{
    struct topic_table *table = entry->topic.table;

    interest_clear(entry);
    list_remove(&entry->dirty);
    HASH_DEL(table->entries, entry);
    count_topics(table);
    free(entry);
}

/* NULL: the name is malformed. */
static struct topic_entry *topic_get(struct topic_table *table, struct wish *wish, struct err *err)
{
    struct topic_entry *entry = NULL;
    struct buf key = BUFFER_INIT(4 * NAME_TEXT_MAX);

    if (check_wish(table, wish, err) != CODE_OK)
        return NULL;
    topic_key(wish, &key);
    if (buf_failed(&key)) {
        fail(err, CODE_INVALID_ARGUMENT, "name is too long");
    } else {
        HASH_FIND(hh, table->entries, key.ptr, key.len, entry);
        if (!entry)
            entry = topic_new(table, wish, buf_str(&key));
    }
    buf_done(&key);
    return entry;
}

/* ---- what a topic says now ---- */

/* Something that it depends on has changed since the last refresh. */
static bool is_behind(const struct topic_entry *entry)
{
    return entry->round < entry->marked;
}

/* Finds the meaning, and begins the refresh that is due. */
static bool catch_up(struct topic_entry *entry, struct meaning *ret_meaning)
{
    if (!find_meaning(&entry->topic, ret_meaning))
        return false;
    if (!is_behind(entry))
        return true;
    interest_set(entry, ret_meaning);
    content_begin(entry, ret_meaning, entry->changed_us);
    entry->changed_us = 0;
    return true;
}

const struct topic_content *topic_content(struct subscriber *subscriber)
{
    struct topic_entry *entry = topic_entry_of(subscriber->topic);
    struct meaning meaning;

    if ((is_behind(entry) || !content_is_current(subscriber)) && catch_up(entry, &meaning))
        content_give_to(entry, &meaning, subscriber);
    return subscriber->content;
}

struct blob *topic_bytes(struct subscriber *subscriber)
{
    bool exists = topic_content(subscriber)->version != 0;
    struct blob *bytes = content_bytes(subscriber);
    struct meaning meaning;

    if (exists && !bytes && find_meaning(subscriber->topic, &meaning))
        bytes = content_make_bytes(subscriber, &meaning);
    return bytes;
}

void topic_set_sent(struct subscriber *subscriber)
{
    content_hold(subscriber, topic_content(subscriber));
}

struct blob *topic_changes(struct subscriber *subscriber)
{
    (void)topic_content(subscriber);
    return content_changes(subscriber);
}

/* ---- subscribing ---- */

/* Those that make a difference: who has none of them shares a topic. */
static unsigned faults_of(enum topic_kind kind, const struct topic_client *client)
{
    unsigned all = kind == TOPIC_CLUSTER  ? CLIENT_FAULTS_OF_CLUSTERS
                   : topic_is_route(kind) ? CLIENT_FAULTS_OF_ROUTES
                                          : 0;

    return client->plain ? 0 : client->faults & all;
}

bool topic_subscribe(struct topic_table *table, enum topic_kind kind, struct str text,
                     const struct topic_client *client, struct subscriber *subscriber,
                     struct err *err)
{
    struct wish wish = {
        .kind = kind,
        .plain = client->plain,
        .faults = faults_of(kind, client),
        .text = text,
        .default_namespace = client->default_namespace,
    };
    static const struct place nowhere; /* of topics that are the same everywhere */
    struct topic_entry *entry = topic_get(table, &wish, err);
    struct meaning meaning;

    if (!entry)
        return false;
    subscriber->topic = &entry->topic;
    subscriber->sent = NULL;
    subscriber->blind = subscriber->capped = subscriber->hidden = false;
    entry->subscribers++;
    subscriber->place =
        topic_place_get(table, topic_is_list(kind) ? &client->place : &nowhere, &client->caller);
    if (!is_behind(entry) && content_join_all(entry, subscriber))
        return true;
    if (catch_up(entry, &meaning)) {
        content_join(entry, &meaning, subscriber);
        if (!entry->ties)
            interest_set(entry, &meaning);
    }
    return true;
}

void topic_unsubscribe(struct subscriber *subscriber)
{
    struct topic_entry *entry = topic_entry_of(subscriber->topic);

    list_remove(&subscriber->link);
    entry->subscribers--;
    content_hold(subscriber, NULL);
    content_leave(subscriber);
    topic_place_put(entry->topic.table, subscriber->place);
    subscriber->place = NULL;
    subscriber->topic = NULL;
    if (list_empty(&entry->topic.subscribers) && list_empty(&entry->topic.stale))
        topic_free(entry);
}

/* ---- publication ---- */

/* The first port from there on that wildcards are told of; ports_len: none. Those of one number are
 * one Cluster, and lie next to each other. Pods' own numbers come and go with them. */
static size_t next_cluster(const struct service *service, size_t from)
{
    for (; from < service->ports_len; from++) {
        const struct service_port *port = &service->ports[from];

        if (port->number != 0 && port->origin != PORT_PODS &&
            (from == 0 || port[-1].number != port->number))
            break;
    }
    return from;
}

/* Endpoints aside. */
static bool same_clusters(const struct service *a, const struct service *b)
{
    size_t i, k;

    if (!a || !b || a->type != b->type || !str_eq(a->external_name, b->external_name) ||
        !policy_same_spec(a->policy, b->policy))
        return false;
    i = next_cluster(a, 0);
    k = next_cluster(b, 0);
    while (i < a->ports_len && k < b->ports_len && a->ports[i].number == b->ports[k].number) {
        i = next_cluster(a, i + 1);
        k = next_cluster(b, k + 1);
    }
    return i == a->ports_len && k == b->ports_len;
}

static void queue(struct topic_entry *entry)
{
    list_append(&entry->topic.table->dirty, &entry->dirty);
}

/* `received_us`: of what changed; 0: no Service did. */
static void topic_mark(struct topic_entry *entry, uint64_t received_us)
{
    entry->marked = ++entry->topic.table->rounds;
    if (entry->changed_us == 0 || (received_us != 0 && received_us < entry->changed_us))
        entry->changed_us = received_us;
    if (list_empty(&entry->dirty))
        queue(entry);
}

static void interest_mark(struct topic_table *table, struct str namespace_name, struct str name,
                          uint64_t received_us)
{
    struct interest *interest = interest_find(table, namespace_name, name);

    if (!interest)
        return;
    list_for_each (node, &interest->ties)
        topic_mark(container_of(node, struct interest_tie, link)->entry, received_us);
}

/* A deletion was held back on purpose: what counts is the time since it was decided. */
static void on_difference(void *ctx, const struct service *before, const struct service *after)
{
    struct topic_table *table = ctx;
    const struct service *service = after ? after : before;

    if (!same_clusters(before, after))
        table->clusters_version++;
    interest_mark(table, service->namespace_name, service->name,
                  after ? after->received_us : table->published_us);
}

static void on_host(void *ctx, struct str host)
{
    struct topic_table *table = ctx;

    interest_mark(table, STR(""), host, table->published_us);
}

static void mark_by_place(struct topic_table *table)
{
    struct topic_entry *entry, *next;

    HASH_ITER(hh, table->entries, entry, next)
    {
        if (entry->by_place)
            topic_mark(entry, 0);
    }
}

void topic_table_publish(struct topic_table *table, const struct catalog *catalog, uint64_t now_us)
{
    const struct catalog *before = table->catalog;

    table->published_us = now_us;
    table->catalog = catalog_ref(catalog);
    catalog_diff(before, catalog, on_difference, table);
    catalog_diff_hosts(before, catalog, on_host, table);
    if (!catalog_same_nodes(before, catalog) && topic_places_update(table))
        mark_by_place(table);
    catalog_unref(before);
}

/* NULL: there is none. */
static struct topic_entry *next_dirty(const struct topic_table *table)
{
    const struct list *dirty = &table->dirty;

    return list_empty(dirty) ? NULL : container_of(dirty->next, struct topic_entry, dirty);
}

/* One, or as much of it as time allows: what takes long lets the others by. */
static void topic_work(struct topic_entry *entry, uint64_t deadline_us)
{
    struct meaning meaning;

    list_remove(&entry->dirty);
    if (catch_up(entry, &meaning) && !content_give(entry, &meaning, deadline_us))
        queue(entry);
}

bool topic_table_work(struct topic_table *table, uint64_t deadline_us)
{
    struct topic_entry *entry;

    while ((entry = next_dirty(table))) {
        topic_work(entry, deadline_us);
        if (clock_monotonic_us() >= deadline_us)
            break;
    }
    return next_dirty(table) != NULL;
}

bool topic_is_of(const struct topic *topic, const struct interest *interest)
{
    const struct topic_entry *entry = topic_entry_of(topic);

    for (size_t i = 0; i < entry->ties_len; i++)
        if (entry->ties[i].interest == interest)
            return true;
    return false;
}

/* ---- wildcard ---- */

struct cluster_visit {
    const struct topic_table *table;
    struct topic_clusters clusters;
};

static void visit_service(void *ctx, const struct service *service)
{
    const struct cluster_visit *visit = ctx;
    const struct topic_clusters *clusters = &visit->clusters;

    if (!access_allows(service, visit->table->options.default_access, &clusters->caller))
        return;

    for (size_t i = next_cluster(service, 0); i < service->ports_len;
         i = next_cluster(service, i + 1)) {
        struct name name = {.namespace_name = service->namespace_name, .service = service->name};
        const struct service_port *port = &service->ports[i];
        CLEANUP(blob_unrefp) struct blob *cluster = NULL;
        char text[NAME_TEXT_MAX + 8];
        bool plain;

        name_format_cluster(&name, port->number, text);
        plain = clusters->is_plain && clusters->is_plain(clusters->ctx, str_of(text), port->policy);
        if (!clusters->visit)
            continue;
        cluster = meaning_encode_cluster(service, str_of(text), port->number,
                                         plain ? policy_default() : port->policy,
                                         visit->table->options.reports_load);
        clusters->visit(clusters->ctx, str_of(text), meaning_hash(cluster), cluster);
    }
}

void topic_each_cluster(struct topic_table *table, const struct topic_clusters *clusters)
{
    struct cluster_visit visit = {table, *clusters};

    catalog_each(table->catalog, visit_service, &visit);
}

static uint64_t cluster_version(struct meaning *meaning, bool plain)
{
    const char *problem;
    uint64_t version;

    meaning->plain = plain;
    blob_unref(meaning_encode(meaning, NULL, &version, &problem));
    return version;
}

const struct service *topic_service_of_cluster(const struct topic_table *table, struct str name,
                                               const struct caller *caller)
{
    const struct sight sight = {table->catalog, table->options.default_access, caller};
    struct name_context context = context_in(table, STR(""));
    struct name cluster;

    if (meaning_parse(TOPIC_CLUSTER, name, &context, &cluster, NULL) != CODE_OK)
        return NULL;
    route_set_owner(&sight, &cluster);
    return sight_find(&sight, cluster.namespace_name, cluster.service);
}

const struct policy *topic_cluster_policy(const struct topic_table *table, struct str name,
                                          const struct caller *caller)
{
    const struct sight sight = {table->catalog, table->options.default_access, caller};
    struct name_context context = context_in(table, STR(""));
    struct meaning meaning = {
        .kind = TOPIC_CLUSTER, .text = name, .reports_load = table->options.reports_load};

    if (meaning_parse(TOPIC_CLUSTER, name, &context, &meaning.name, NULL) != CODE_OK)
        return NULL;
    meaning_find(&meaning, &sight);
    return cluster_version(&meaning, false) != cluster_version(&meaning, true) ? meaning.policy
                                                                               : NULL;
}
