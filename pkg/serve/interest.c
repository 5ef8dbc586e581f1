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

struct interest *interest_get(struct topic_table *table, const struct name *name)
{
    char key[SERVICE_KEY_MAX];
    unsigned len = service_key(name->namespace_name, name->service, key);
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

void interest_put(struct topic_table *table, struct interest *interest)
{
    if (!list_empty(&interest->topics))
        return;
    list_remove(&interest->dirty);
    HASH_DEL(table->interests, interest);
    free(interest);
}

void interest_mark(struct topic_table *table, struct interest *interest)
{
    if (list_empty(&interest->dirty))
        list_append(&table->dirty, &interest->dirty);
}

void interest_mark_by_place(struct topic_table *table)
{
    struct interest *interest, *next;

    HASH_ITER (hh, table->interests, interest, next) {
        list_for_each (node, &interest->topics)
            if (topic_entry_of(container_of(node, struct topic, interest_link))->by_place)
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
