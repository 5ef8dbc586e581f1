#include "serve/topic.h"

#include <assert.h>

#include "base/clock.h"
#include "base/hash.h"
#include "encode/native.h"
#include "encode/xds.h"

#undef HASH_FUNCTION
#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_FUNCTION_SEEDED(keyptr, keylen, hashv)
#include <uthash.h>

/* All topics of one Service, known or not. Key: "namespace/service". */
struct interest {
    UT_hash_handle hh;
    struct list topics;
    struct list dirty;
    char key[];
};

struct topic_entry {
    UT_hash_handle hh;
    struct topic topic;
    struct topic_content content;
    char key[]; /* kind, the client's namespace if the text does not name one, 0, text */
};

struct topic_table {
    struct topic_table_options options;
    const struct catalog *catalog;
    struct topic_entry *entries;
    struct interest *interests;
    struct list dirty; /* interests whose Service changed */
    uint64_t clusters_version;
    uint64_t published_us;
};

struct topic_table *topic_table_new(const struct topic_table_options *options)
{
    struct topic_table *table = xcalloc(1, sizeof(*table));

    table->options = *options;
    table->catalog = catalog_new_empty();
    list_init(&table->dirty);
    return table;
}

void topic_table_free(struct topic_table *table)
{
    if (!table)
        return;
    assert(!table->entries && !table->interests);
    catalog_unref(table->catalog);
    free(table);
}

size_t topic_table_len(const struct topic_table *table)
{
    return HASH_COUNT(table->entries);
}

uint64_t topic_table_clusters_version(const struct topic_table *table)
{
    return table->clusters_version;
}

/* ---- interests ---- */

#define SERVICE_KEY_MAX (NAME_TEXT_MAX + 2)

static size_t service_key(struct str namespace_name, struct str service, char out[SERVICE_KEY_MAX])
{
    int len = snprintf(out, SERVICE_KEY_MAX, "%" STR_FMT "/%" STR_FMT, STR_ARG(namespace_name),
                       STR_ARG(service));

    return min_size((size_t)len, SERVICE_KEY_MAX - 1);
}

static struct interest *interest_find(struct topic_table *table, struct str namespace_name,
                                      struct str service)
{
    char key[SERVICE_KEY_MAX];
    size_t len = service_key(namespace_name, service, key);
    struct interest *interest;

    HASH_FIND(hh, table->interests, key, len, interest);
    return interest;
}

static struct interest *interest_get(struct topic_table *table, const struct name *name)
{
    char key[SERVICE_KEY_MAX];
    size_t len = service_key(name->namespace_name, name->service, key);
    struct interest *interest;

    HASH_FIND(hh, table->interests, key, len, interest);
    if (interest)
        return interest;
    interest = xcalloc(1, sizeof(*interest) + len + 1);
    list_init(&interest->topics);
    list_init(&interest->dirty);
    memcpy(interest->key, key, len);
    HASH_ADD_KEYPTR(hh, table->interests, interest->key, len, interest);
    return interest;
}

static void interest_put(struct topic_table *table, struct interest *interest)
{
    if (!list_empty(&interest->topics))
        return;
    list_remove(&interest->dirty);
    HASH_DEL(table->interests, interest);
    free(interest);
}

/* ---- content ---- */

/* What a name stands for in the table's catalog now. */
struct meaning {
    struct name name;
    const struct service *service;
    const struct service_port *port;
    const char *problem;
};

static struct str topic_namespace(const struct topic *topic)
{
    return str_of(topic->key.ptr + 1);
}

static enum code parse_topic_name(const struct topic_table *table, enum topic_kind kind,
                                  struct str text, struct str default_namespace, struct name *name,
                                  struct err *err)
{
    struct name_context context = {default_namespace, str_of(table->options.cluster_domain)};

    if (kind == TOPIC_CLUSTER || kind == TOPIC_ASSIGNMENT)
        return name_parse_cluster(text, name, err);
    return name_parse(text, &context, name, err);
}

/* NULL: it is not. */
static const char *why_empty(const struct service_port *port, struct str hostname)
{
    if (port->list.len == 0)
        return port->total ? "no endpoint is ready" : "no EndpointSlice has endpoints at this port";
    for (size_t i = 0; i < port->list.len; i++)
        if (hostname.len == 0 || str_eq(port->list.items[i].backend->endpoint->hostname, hostname))
            return NULL;
    return "no listed pod has this hostname";
}

static void resolve_meaning(const struct topic *topic, struct meaning *meaning)
{
    const struct topic_table *table = topic->table;

    meaning->service = NULL;
    meaning->port = NULL;
    meaning->problem = NULL;
    if (parse_topic_name(table, topic->kind, topic->text, topic_namespace(topic), &meaning->name,
                         NULL) != CODE_OK)
        return; /* cannot be: it was parsed when the topic was made */
    meaning->service =
        catalog_find(table->catalog, meaning->name.namespace_name, meaning->name.service);
    if (meaning->service)
        meaning->port = service_find_port(meaning->service, &meaning->name.port, &meaning->problem);
    else
        meaning->problem = "no such Service";
    if (meaning->port)
        meaning->problem = why_empty(meaning->port, meaning->name.hostname);
}

/* The port number that the resource names carry: the Service port's, or the asked one where the Service has no ports. */
static uint16_t published_number(const struct meaning *meaning)
{
    if (meaning->port && meaning->port->number)
        return meaning->port->number;
    return 0;
}

static struct blob *make_listener(const struct topic *topic, const struct meaning *meaning)
{
    char cluster[NAME_TEXT_MAX + 8];

    name_format_cluster(&meaning->name, published_number(meaning), cluster);
    return encode_listener(topic->text, str_of(cluster));
}

static struct blob *make_content(const struct topic *topic, const struct meaning *meaning,
                                 uint64_t *ret_version)
{
    const struct backend_list *list = meaning->port ? &meaning->port->list : NULL;
    struct blob *blob = NULL;

    switch (topic->kind) {
    case TOPIC_LISTENER:
        blob = make_listener(topic, meaning);
        break;
    case TOPIC_CLUSTER:
        blob = encode_cluster(topic->text);
        break;
    case TOPIC_ASSIGNMENT:
        blob =
            encode_assignment(topic->text, list, meaning->name.port.number, meaning->name.hostname);
        break;
    case TOPIC_NATIVE:
        return encode_native_list(list, meaning->name.port.number, meaning->name.hostname,
                                  ret_version);
    case TOPIC_KINDS:
        break;
    }
    *ret_version = hash_content(blob->bytes, blob->len) | 1; /* 0 means "none" */
    return blob;
}

/* A problem is content too: a client that sees "no such Service" must see it change to another problem. */
static uint64_t problem_version(uint64_t version, const char *problem)
{
    return problem ? hash_mix(version, hash_content(problem, strlen(problem))) | 1 : version;
}

static struct topic_content *content_of(struct topic *topic)
{
    return &container_of(topic, struct topic_entry, topic)->content;
}

/* Makes the content anew; true when it differs from what the topic had. */
static bool topic_refresh(struct topic *topic)
{
    const struct topic_table *table = topic->table;
    struct topic_content *content = content_of(topic);
    struct meaning meaning;
    struct blob *blob;
    uint64_t version = 0;
    bool changed;

    resolve_meaning(topic, &meaning);
    if (!meaning.service && !content->blob && topic->kind != TOPIC_NATIVE &&
        table->options.unknown_names == UNKNOWN_NAMES_ABSENT)
        return false;
    blob = make_content(topic, &meaning, &version);
    version = problem_version(version, topic->kind == TOPIC_NATIVE ? meaning.problem : NULL);
    changed = version != content->version;
    if (changed) {
        blob_unref(content->blob);
        content->blob = blob_ref(blob);
        content->version = version;
        content->problem = meaning.problem;
        /* A deletion was held back on purpose: what counts is the time since it was decided. */
        content->received_us = meaning.service ? meaning.service->received_us : table->published_us;
    }
    blob_unref(blob);
    return changed;
}

/* ---- topics ---- */

/* kind byte, namespace, 0, text: unique, and the namespace can be read back. */
static void topic_key(enum topic_kind kind, struct str namespace_name, struct str text,
                      struct buf *out)
{
    buf_add_char(out, (char)('0' + kind));
    buf_add_str(out, namespace_name);
    buf_add_char(out, '\0');
    buf_add_str(out, text);
}

/* The namespace that the name's meaning depends on: none for most, so that all clients share their topics. */
static enum code parse_subscribed(const struct topic_table *table, enum topic_kind kind,
                                  struct str text, struct str *namespace_name, struct name *name,
                                  struct err *err)
{
    struct str given = *namespace_name;

    *namespace_name = STR("");
    if (parse_topic_name(table, kind, text, STR(""), name, err) == CODE_OK)
        return CODE_OK;
    *namespace_name = given;
    return parse_topic_name(table, kind, text, given, name, err);
}

static void count_topics(const struct topic_table *table)
{
    if (table->options.stats)
        counter_set(&table->options.stats->topics, HASH_COUNT(table->entries));
}

static struct topic *topic_new(struct topic_table *table, enum topic_kind kind, struct str key,
                               size_t text_len, const struct name *name)
{
    struct topic_entry *entry = xcalloc(1, sizeof(*entry) + key.len + 1);
    struct topic *topic = &entry->topic;

    memcpy(entry->key, key.ptr, key.len);
    topic->kind = kind;
    topic->table = table;
    topic->key = str_make(entry->key, key.len);
    topic->text = str_make(entry->key + key.len - text_len, text_len);
    list_init(&topic->subscribers);
    list_init(&topic->interest_link);
    topic->interest = interest_get(table, name);
    list_append(&topic->interest->topics, &topic->interest_link);
    HASH_ADD_KEYPTR(hh, table->entries, entry->key, key.len, entry);
    count_topics(table);
    topic_refresh(topic);
    content_of(topic)->received_us = 0;
    return topic;
}

static void topic_free(struct topic *topic)
{
    struct topic_table *table = topic->table;
    struct topic_entry *entry = container_of(topic, struct topic_entry, topic);

    list_remove(&topic->interest_link);
    interest_put(table, topic->interest);
    HASH_DEL(table->entries, entry);
    count_topics(table);
    blob_unref(entry->content.blob);
    free(entry);
}

bool topic_subscribe(struct topic_table *table, enum topic_kind kind, struct str text,
                     const struct topic_client *client, struct subscriber *subscriber,
                     struct err *err)
{
    struct str default_namespace = client->default_namespace;
    struct topic_entry *entry;
    struct buf key = BUFFER_INIT(2 * NAME_TEXT_MAX + 2);
    struct name name;
    struct topic *topic = NULL;

    if (parse_subscribed(table, kind, text, &default_namespace, &name, err) != CODE_OK)
        return false;
    topic_key(kind, default_namespace, text, &key);
    if (buf_failed(&key)) {
        buf_done(&key);
        fail(err, CODE_INVALID_ARGUMENT, "name is too long");
        return false;
    }
    HASH_FIND(hh, table->entries, key.ptr, key.len, entry);
    topic = entry ? &entry->topic : topic_new(table, kind, buf_str(&key), text.len, &name);
    buf_done(&key);
    list_append(&topic->subscribers, &subscriber->link);
    subscriber->topic = topic;
    subscriber->content = content_of(topic);
    return true;
}

void topic_unsubscribe(struct subscriber *subscriber)
{
    struct topic *topic = subscriber->topic;

    list_remove(&subscriber->link);
    subscriber->topic = NULL;
    subscriber->content = NULL;
    if (list_empty(&topic->subscribers))
        topic_free(topic);
}

/* ---- publication ---- */

static bool same_ports(const struct service *a, const struct service *b)
{
    if (!a || !b || a->ports_len != b->ports_len)
        return false;
    for (size_t i = 0; i < a->ports_len; i++)
        if (a->ports[i].number != b->ports[i].number)
            return false;
    return true;
}

static void on_difference(void *ctx, const struct service *before, const struct service *after)
{
    struct topic_table *table = ctx;
    const struct service *service = after ? after : before;
    struct interest *interest = interest_find(table, service->namespace_name, service->name);

    if (!same_ports(before, after))
        table->clusters_version++;
    if (interest && list_empty(&interest->dirty))
        list_append(&table->dirty, &interest->dirty);
}

void topic_table_publish(struct topic_table *table, const struct catalog *catalog, uint64_t now_us)
{
    const struct catalog *before = table->catalog;

    table->published_us = now_us;
    table->catalog = catalog_ref(catalog);
    catalog_diff(before, catalog, on_difference, table);
    catalog_unref(before);
}

static void topic_tell(struct topic *topic)
{
    list_for_each_safe (node, &topic->subscribers) {
        struct subscriber *subscriber = container_of(node, struct subscriber, link);

        subscriber->changed(subscriber);
    }
}

bool topic_table_work(struct topic_table *table, uint64_t deadline_us)
{
    struct list *node;

    while ((node = list_pop(&table->dirty))) {
        struct interest *interest = container_of(node, struct interest, dirty);

        list_for_each_safe (link, &interest->topics) {
            struct topic *topic = container_of(link, struct topic, interest_link);

            if (topic_refresh(topic))
                topic_tell(topic);
        }
        if (clock_monotonic_us() >= deadline_us)
            break;
    }
    return !list_empty(&table->dirty);
}

/* ---- wildcard ---- */

struct cluster_visit {
    void (*visit)(void *ctx, struct str name);
    void *ctx;
};

static void visit_service(void *ctx, const struct service *service)
{
    struct cluster_visit *clusters = ctx;

    for (size_t i = 0; i < service->ports_len; i++) {
        char text[NAME_TEXT_MAX + 8];
        struct name name = {.namespace_name = service->namespace_name, .service = service->name};

        if (service->ports[i].number == 0)
            continue;
        name_format_cluster(&name, service->ports[i].number, text);
        clusters->visit(clusters->ctx, str_of(text));
    }
}

void topic_each_cluster(struct topic_table *table, void (*visit)(void *ctx, struct str name),
                        void *ctx)
{
    struct cluster_visit clusters = {visit, ctx};

    catalog_each(table->catalog, visit_service, &clusters);
}
