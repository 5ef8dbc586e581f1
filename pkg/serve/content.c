/* What a topic says to whom: one content for each view that a subscriber has, encoded once. */
#include <assert.h>

#include "serve/topic_internal.h"

static struct content *content_of(const struct topic_content *content)
{
    return (struct content *)(uintptr_t)container_of(content, const struct content, content);
}

static struct topic_table *table_of(const struct topic_entry *entry)
{
    return entry->topic.table;
}

/* ---- the contents of a topic, by view ---- */

#define CONTENT_KEY_MAX (sizeof(void *) + 4 + 2 * PLACE_TEXT_MAX)

static unsigned content_key(const struct topic_entry *entry, const struct view *view,
                            char out[CONTENT_KEY_MAX])
{
    struct str texts[] = {view->zone, STR_INIT("\0"), view->node};
    unsigned len = sizeof(entry);

    memcpy(out, &entry, sizeof(entry));
    out[len++] = (char)view->ipv4;
    out[len++] = (char)view->ipv6;
    out[len++] = (char)view->group;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].len > 0)
            memcpy(out + len, texts[i].ptr, texts[i].len);
        len += (unsigned)texts[i].len;
    }
    return len;
}

static struct content *find(const struct topic_entry *entry, const struct view *view)
{
    char key[CONTENT_KEY_MAX];
    unsigned len;
    struct content *content;

    if (view_is_all(view))
        return entry->all;
    len = content_key(entry, view, key);
    HASH_FIND(hh, table_of(entry)->contents, key, len, content);
    return content;
}

static void count(struct topic_table *table, size_t contents)
{
    table->contents_len = contents;
    if (table->options.stats)
        counter_set(&table->options.stats->views, contents);
}

static struct content *content_new(struct topic_entry *entry, const struct view *view)
{
    char key[CONTENT_KEY_MAX];
    unsigned len = content_key(entry, view, key);
    struct content *content = xcalloc(1, sizeof(*content) + len);
    struct topic_table *table = table_of(entry);

    content->entry = entry;
    content->round = entry->round;
    content->attached = true;
    memcpy(content->key, key, len);
    content->content.view = *view;
    content->content.view.node = str_make(content->key + len - view->node.len, view->node.len);
    content->content.view.zone =
        str_make(content->content.view.node.ptr - 1 - view->zone.len, view->zone.len);
    if (view_is_all(view)) {
        entry->all = content;
    } else {
        entry->views++;
        HASH_ADD_KEYPTR(hh, table->contents, content->key, len, content);
    }
    count(table, table->contents_len + 1);
    return content;
}

static void detach(struct content *content)
{
    struct topic_entry *entry = content->entry;

    if (!content->attached)
        return;
    content->attached = false;
    if (entry->all == content) {
        entry->all = NULL;
        return;
    }
    HASH_DEL(table_of(entry)->contents, content);
    entry->views -= content->round == entry->round;
}

static void content_free(struct content *content)
{
    struct topic_table *table = table_of(content->entry);

    detach(content);
    count(table, table->contents_len - 1);
    blob_unref(content->content.blob);
    free(content);
}

/* ---- making ---- */

/* A topic being asked what it says. */
struct asking {
    struct topic_entry *entry;
    const struct meaning *meaning;
    uint64_t received_us;
};

/* Where unknown names are absent there is nothing until the Service appears; then there is. */
static bool is_absent(const struct asking *asking)
{
    const struct topic_entry *entry = asking->entry;

    return !asking->meaning->service && !entry->answered && entry->topic.kind != TOPIC_NATIVE &&
           table_of(entry)->options.unknown_names == UNKNOWN_NAMES_ABSENT;
}

static bool is_current(const struct content *content)
{
    return content && content->round == content->entry->round;
}

/* What the topic says to that view, now. Encodes once a round. */
static struct content *make(const struct asking *asking, const struct view *view)
{
    struct topic_entry *entry = asking->entry;
    struct content *content = find(entry, view);
    const char *problem = NULL;
    struct blob *blob = NULL;
    uint64_t version = 0;

    if (is_current(content))
        return content;
    if (!is_absent(asking)) {
        blob = meaning_encode(asking->meaning, view, &version, &problem);
        entry->answered = true;
    }
    if (content && content->content.version == version) {
        blob_unref(blob);
        content->round = entry->round;
        entry->views += content != entry->all;
    } else {
        if (content)
            detach(content);
        content = content_new(entry, view);
        content->content.blob = blob;
        content->content.version = version;
        content->content.problem = problem;
    }
    content->content.received_us = asking->received_us;
    return content;
}

static struct content *make_for(const struct asking *asking, const struct topic_place *place,
                                bool *ret_capped)
{
    static const struct view all;
    struct view view = all;

    *ret_capped = false;
    if (meaning_by_place(asking->meaning))
        view = view_of(asking->meaning->port, &place->place);
    if (!view_is_all(&view) && asking->entry->views >= TOPIC_VIEWS_MAX &&
        !is_current(find(asking->entry, &view))) {
        *ret_capped = true;
        view = all;
    }
    return make(asking, &view);
}

/* ---- giving ---- */

/* Each of these once in a subscription's life. */
static void note(struct subscriber *subscriber, const struct asking *asking, bool capped)
{
    struct topic_table_stats *stats = table_of(asking->entry)->options.stats;
    bool blind = meaning_by_place(asking->meaning) &&
                 view_is_blind(asking->meaning->port, &subscriber->place->place);

    if (stats && capped && !subscriber->capped)
        counter_add(&stats->views_capped, 1);
    if (stats && blind && !subscriber->blind)
        counter_add(&stats->places_blind, 1);
    subscriber->capped |= capped;
    subscriber->blind |= blind;
}

static void take(struct subscriber *subscriber, struct content *content)
{
    content->content.subscribers++;
    subscriber->content = &content->content;
}

static void leave(struct content *content)
{
    if (--content->content.subscribers == 0)
        content_free(content);
}

void content_join(struct topic_entry *entry, const struct meaning *meaning,
                  struct subscriber *subscriber)
{
    struct asking asking = {entry, meaning, 0};
    bool capped;

    entry->by_place |= meaning_by_place(meaning);
    take(subscriber, make_for(&asking, subscriber->place, &capped));
    note(subscriber, &asking, capped);
}

void content_join_all(struct topic_entry *entry, struct subscriber *subscriber)
{
    take(subscriber, entry->all);
}

void content_leave(struct subscriber *subscriber)
{
    leave(content_of(subscriber->content));
    subscriber->content = NULL;
}

/* Tells the subscriber if that says something else. */
static void give(struct subscriber *subscriber, struct content *content)
{
    struct content *before = content_of(subscriber->content);
    bool differs = before->content.version != content->content.version;

    if (content == before)
        return;
    take(subscriber, content);
    leave(before);
    if (differs)
        subscriber->changed(subscriber);
}

static void give_by_place(const struct asking *asking, struct subscriber *subscriber)
{
    struct topic_place *place = subscriber->place;

    if (place->round != asking->entry->round) {
        place->content = make_for(asking, place, &place->capped);
        place->round = asking->entry->round;
    }
    give(subscriber, place->content);
    note(subscriber, asking, place->capped);
}

/* Everybody gets the same. */
static void give_all(const struct asking *asking)
{
    static const struct view all;
    struct topic_entry *entry = asking->entry;
    struct content *before = entry->all;
    struct content *content = make(asking, &all);

    if (content == before && !entry->by_place)
        return; /* and has it */
    list_for_each_safe (node, &entry->topic.subscribers)
        give(container_of(node, struct subscriber, link), content);
}

void content_refresh(struct topic_entry *entry, const struct meaning *meaning, uint64_t received_us)
{
    struct asking asking = {entry, meaning, received_us};
    bool by_place = meaning_by_place(meaning);

    entry->round = ++table_of(entry)->rounds;
    entry->views = 0;
    if (by_place) {
        list_for_each_safe (node, &entry->topic.subscribers)
            give_by_place(&asking, container_of(node, struct subscriber, link));
    } else {
        give_all(&asking);
    }
    entry->by_place = by_place;
}
