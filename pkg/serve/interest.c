#include "serve/topic_internal.h"

#define SERVICE_KEY_MAX (NAME_TEXT_MAX + 2)

static unsigned service_key(struct str namespace_name, struct str service,
                            char out[SERVICE_KEY_MAX])
{
    int len = snprintf(out, SERVICE_KEY_MAX, "%" STR_FMT "/%" STR_FMT, STR_ARG(namespace_name),
                       STR_ARG(service));

    return (unsigned)min_size((size_t)len, SERVICE_KEY_MAX - 1);
}

struct interest *interest_find(const struct topic_table *table, struct str namespace_name,
                               struct str service)
{
    char key[SERVICE_KEY_MAX];
    unsigned len = service_key(namespace_name, service, key);
    struct interest *interest;

    HASH_FIND(hh, table->interests, key, len, interest);
    return interest;
}

static void queue_init(struct topic_queue *queue)
{
    list_init(&queue->topics);
    list_init(&queue->stale);
}

static bool queue_empty(const struct topic_queue *queue)
{
    return list_empty(&queue->topics) && list_empty(&queue->stale);
}

static struct topic_queue *queue_of(struct interest *interest, const struct topic *topic)
{
    return topic->kind == TOPIC_LISTENER ? &interest->routes : &interest->lists;
}

struct interest *interest_get(struct topic_table *table, const struct name *name)
{
    char key[SERVICE_KEY_MAX];
    unsigned len = service_key(name->namespace_name, name->service, key);
    struct interest *interest;

    HASH_FIND(hh, table->interests, key, len, interest);
    if (interest)
        return interest;
    interest = xcalloc(1, sizeof(*interest) + len + 1);
    queue_init(&interest->lists);
    queue_init(&interest->routes);
    list_init(&interest->dirty);
    memcpy(interest->key, key, len);
    HASH_ADD_KEYPTR(hh, table->interests, interest->key, len, interest);
    return interest;
}

void interest_put(struct topic_table *table, struct interest *interest)
{
    if (!queue_empty(&interest->lists) || !queue_empty(&interest->routes))
        return;
    list_remove(&interest->dirty);
    HASH_DEL(table->interests, interest);
    free(interest);
}

void interest_add(struct interest *interest, struct topic *topic)
{
    topic->interest = interest;
    list_append(&queue_of(interest, topic)->topics, &topic->interest_link);
}

void interest_mark(struct topic_table *table, struct interest *interest)
{
    interest->marked = ++table->rounds;
    list_splice(&interest->lists.stale, &interest->lists.topics);
    list_splice(&interest->routes.stale, &interest->routes.topics);
    if (list_empty(&interest->dirty))
        list_append(&table->dirty, &interest->dirty);
}

struct topic *interest_next(const struct interest *interest)
{
    const struct list *stale = &interest->lists.stale;

    if (list_empty(stale))
        stale = &interest->routes.stale;
    return list_empty(stale) ? NULL : container_of(stale->next, struct topic, interest_link);
}

void interest_settle(struct topic *topic)
{
    list_remove(&topic->interest_link);
    interest_add(topic->interest, topic);
}

static bool has_by_place(const struct list *topics)
{
    list_for_each (node, topics)
        if (topic_entry_of(container_of(node, struct topic, interest_link))->by_place)
            return true;
    return false;
}

void interest_mark_by_place(struct topic_table *table)
{
    struct interest *interest, *next;

    HASH_ITER (hh, table->interests, interest, next) {
        if (has_by_place(&interest->lists.topics) || has_by_place(&interest->lists.stale))
            interest_mark(table, interest);
    }
}

void topic_each_listened(const struct topic_table *table,
                         void (*visit)(void *ctx, struct str service, size_t listeners), void *ctx)
{
    struct interest *interest, *next;

    HASH_ITER (hh, table->interests, interest, next)
        if (interest->listeners > 0)
            visit(ctx, str_of(interest->key), interest->listeners);
}
