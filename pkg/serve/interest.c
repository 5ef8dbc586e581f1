#include "serve/heed.h"
#include "serve/topic_internal.h"

#define SERVICE_KEY_MAX (NAME_TEXT_MAX + 2)

static unsigned service_key(struct str namespace_name, struct str service,
                            char out[SERVICE_KEY_MAX])
{
    char *at = out;

    str_put(&at, str_slice(namespace_name, 0, NAME_TEXT_MAX));
    *at++ = '/';
    str_put(&at, str_slice(service, 0, (size_t)(out + SERVICE_KEY_MAX - at)));
    return (unsigned)(at - out);
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

/* Changes of hosts concern all. */
static bool is_of_host(const struct interest *interest)
{
    return interest->key[0] == '/';
}

static void begin_heeding(const struct topic_table *table, const struct interest *interest)
{
    if (!table->options.heed || is_of_host(interest))
        return;
    heed_add(table->options.heed, str_of(interest->key));
    table->options.heeded(table->options.heeded_ctx);
}

static void end_heeding(const struct topic_table *table, const struct interest *interest)
{
    if (table->options.heed && !is_of_host(interest))
        heed_remove(table->options.heed, str_of(interest->key));
}

static struct interest *interest_get(struct topic_table *table, struct str namespace_name,
                                     struct str service)
{
    struct interest *interest = interest_find(table, namespace_name, service);
    char key[SERVICE_KEY_MAX];
    unsigned len;

    if (interest)
        return interest;
    len = service_key(namespace_name, service, key);
    interest = xcalloc(1, sizeof(*interest) + len + 1);
    list_init(&interest->ties);
    memcpy(interest->key, key, len);
    HASH_ADD_KEYPTR(hh, table->interests, interest->key, len, interest);
    begin_heeding(table, interest);
    return interest;
}

static void untie(struct topic_table *table, struct interest_tie *ties, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct interest *interest = ties[i].interest;

        list_remove(&ties[i].link);
        if (!list_empty(&interest->ties))
            continue;
        HASH_DEL(table->interests, interest);
        end_heeding(table, interest);
        free(interest);
    }
    free(ties);
}

void interest_clear(struct topic_entry *entry)
{
    untie(entry->topic.table, entry->ties, entry->ties_len);
    entry->ties = NULL;
    entry->ties_len = 0;
}

/* ---- what a topic depends on ---- */

struct wanted {
    struct topic_table *table;
    size_t len;
    struct interest *interests[INTERESTS_MAX];
};

static void want(struct wanted *wanted, struct str namespace_name, struct str service)
{
    struct interest *interest = interest_get(wanted->table, namespace_name, service);

    for (size_t i = 0; i < wanted->len; i++)
        if (wanted->interests[i] == interest)
            return;
    wanted->interests[wanted->len++] = interest;
}

static void want_all(struct wanted *wanted, const struct meaning *meaning)
{
    const struct name *name = &meaning->name;
    const struct route *route = &meaning->route;

    if (name->form == NAME_HOST)
        want(wanted, STR(""), name->host);
    if (name->service.len > 0)
        want(wanted, name->namespace_name, name->service);
    if (!meaning_has_route(meaning->kind) || route->namespace_name.len == 0)
        return;
    for (size_t i = 0; i < route->len; i++)
        want(wanted, route->namespace_name, route->targets[i].service);
}

static bool has_all(const struct topic_entry *entry, const struct wanted *wanted)
{
    if (entry->ties_len != wanted->len)
        return false;
    for (size_t i = 0; i < wanted->len; i++)
        if (entry->ties[i].interest != wanted->interests[i])
            return false;
    return true;
}

/* New ties before the old ones go: an interest of both stays. */
void interest_set(struct topic_entry *entry, const struct meaning *meaning)
{
    struct topic_table *table = entry->topic.table;
    struct wanted wanted = {.table = table};
    struct interest_tie *before = entry->ties;
    size_t before_len = entry->ties_len;

    want_all(&wanted, meaning);
    if (has_all(entry, &wanted))
        return;
    entry->ties_len = wanted.len;
    entry->ties = xmalloc(wanted.len * sizeof(*entry->ties));
    for (size_t i = 0; i < wanted.len; i++) {
        struct interest_tie *tie = &entry->ties[i];

        *tie = (struct interest_tie){.interest = wanted.interests[i], .entry = entry};
        list_init(&tie->link);
        list_append(&tie->interest->ties, &tie->link);
    }
    untie(table, before, before_len);
}

/* ---- counting ---- */

static size_t listeners_of(const struct interest *interest)
{
    size_t listeners = 0;

    list_for_each (node, &interest->ties) {
        const struct topic_entry *entry = container_of(node, struct interest_tie, link)->entry;

        if (topic_is_list(entry->topic.kind))
            listeners += entry->subscribers;
    }
    return listeners;
}

/* Not of hosts, whose lists are those of their owners. */
void topic_each_listened(const struct topic_table *table,
                         void (*visit)(void *ctx, struct str service, size_t listeners), void *ctx)
{
    struct interest *interest, *next;

    HASH_ITER(hh, table->interests, interest, next)
    {
        size_t listeners = is_of_host(interest) ? 0 : listeners_of(interest);

        if (listeners > 0)
            visit(ctx, str_of(interest->key), listeners);
    }
}
