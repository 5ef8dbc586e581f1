/* What a topic says to whom: one content for each view that a subscriber has, encoded once. */
#include "base/clock.h"
#include "serve/topic_internal.h"

static struct topic_table *table_of(const struct topic_entry *entry)
{
    return entry->topic.table;
}

static const struct view view_all;

/* ---- the contents of a topic, by view ---- */

#define CONTENT_KEY_MAX (sizeof(void *) + sizeof(uint64_t) + 4 + 2 * PLACE_TEXT_MAX)

static unsigned content_key(const struct topic_entry *entry, const struct view *view,
                            uint64_t hidden, char out[CONTENT_KEY_MAX])
{
    char *at = out;

    str_put(&at, str_make(&entry, sizeof(entry)));
    str_put(&at, str_make(&hidden, sizeof(hidden)));
    *at++ = (char)view->ipv4;
    *at++ = (char)view->ipv6;
    *at++ = (char)view->group;
    str_put(&at, view->zone);
    *at++ = '\0';
    str_put(&at, view->node);
    return (unsigned)(at - out);
}

static struct content *find(const struct topic_entry *entry, const struct view *view,
                            uint64_t hidden)
{
    char key[CONTENT_KEY_MAX];
    unsigned len;
    struct content *content;

    if (view_is_all(view) && hidden == 0)
        return entry->all;
    len = content_key(entry, view, hidden, key);
    HASH_FIND(hh, table_of(entry)->contents, key, len, content);
    return content;
}

static void count(struct topic_table *table, size_t contents)
{
    table->contents_len = contents;
    if (table->options.stats)
        counter_set(&table->options.stats->views, contents);
}

static struct content *content_new(struct topic_entry *entry, const struct view *view,
                                   uint64_t hidden)
{
    char key[CONTENT_KEY_MAX];
    unsigned len = content_key(entry, view, hidden, key);
    struct content *content = xcalloc(1, sizeof(*content) + len);
    struct topic_table *table = table_of(entry);

    content->entry = entry;
    content->round = entry->round;
    content->attached = true;
    list_init(&content->old);
    memcpy(content->key, key, len);
    content->content.hidden = hidden;
    content->content.view = *view;
    content->content.view.node = str_make(content->key + len - view->node.len, view->node.len);
    content->content.view.zone =
        str_make(content->content.view.node.ptr - 1 - view->zone.len, view->zone.len);
    if (view_is_all(view) && hidden == 0) {
        entry->all = content;
    } else {
        entry->views++;
        HASH_ADD_KEYPTR(hh, table->contents, content->key, len, content);
    }
    count(table, table->contents_len + 1);
    return content;
}

/* Of the bytes of a part: those of old contents are counted elsewhere. */
static size_t part_len(const struct content *content)
{
    return content->attached && content->content.view.group != 0 && content->blob
               ? content->blob->len
               : 0;
}

static void detach(struct content *content)
{
    struct topic_entry *entry = content->entry;

    if (!content->attached)
        return;
    table_of(entry)->parts -= part_len(content);
    content->attached = false;
    content_age(content);
    if (entry->all == content) {
        entry->all = NULL;
        return;
    }
    HASH_DEL(table_of(entry)->contents, content);
    entry->views -= content->round == entry->round;
}

void content_set_blob(struct content *content, struct blob *blob)
{
    struct topic_table *table = table_of(content->entry);

    table->bytes += (blob ? blob->len : 0) - (content->blob ? content->blob->len : 0);
    table->parts -= part_len(content);
    if (table->options.stats)
        counter_set(&table->options.stats->bytes, table->bytes);
    blob_unref(content->blob);
    content->blob = blob;
    table->parts += part_len(content);
}

/* Takes over the reference. */
static void set_made(struct topic_table *table, const struct content *content, struct blob *blob)
{
    blob_unref(table->made);
    table->made = blob;
    table->made_for = content;
}

static void content_free(struct content *content)
{
    struct topic_table *table = table_of(content->entry);

    detach(content);
    count(table, table->contents_len - 1);
    if (table->made_for == content)
        set_made(table, NULL, NULL);
    content_forget(content);
    content_set_blob(content, NULL);
    policy_unref(content->content.policy);
    free(content);
}

/* ---- making ---- */

/* A topic being asked what it says. */
struct asking {
    struct topic_entry *entry;
    const struct meaning *meaning;
    uint64_t round;  /* of the table: for what it says to places */
    uint64_t hidden; /* what `meaning` is without */
    unsigned effort; /* since the clock was looked at */
};

/* Besides what is hidden: the Service itself is, from somebody who has had an answer before, which is never withdrawn. */
#define HIDDEN_ANSWERED (UINT64_C(1) << 63)

/* The clock is looked at after so many subscribers, and after what was encoded. */
#define EFFORT_MAX 64

/* Where unknown names are absent there is nothing until the Service appears; then there is. */
static bool is_absent(const struct asking *asking)
{
    const struct topic_entry *entry = asking->entry;
    bool answered = asking->hidden ? (asking->hidden & HIDDEN_ANSWERED) != 0 : entry->answered;

    return !asking->meaning->service && !answered && entry->topic.kind != TOPIC_NATIVE &&
           table_of(entry)->options.unknown_names == UNKNOWN_NAMES_ABSENT;
}

static bool is_current(const struct content *content)
{
    return content && content->round == content->entry->round;
}

/* Whoever listens to a plain topic waits for another policy. */
static bool says(const struct content *content, const struct meaning *meaning, uint64_t version)
{
    return content->content.version == version &&
           (!meaning->plain || policy_same_spec(content->content.policy, meaning->policy));
}

static bool is_kept(const struct asking *asking, const struct view *view, const struct blob *blob)
{
    if (view->ipv4 == VIEW_NEAR_NODE)
        return false;
    return view->group == 0 || table_of(asking->entry)->parts + blob->len <= TOPIC_PARTS_MAX;
}

static struct blob *encode(struct asking *asking, const struct view *view, uint64_t *ret_version,
                           const char **ret_problem)
{
    asking->effort = EFFORT_MAX;
    return meaning_encode(asking->meaning, view, ret_version, ret_problem);
}

static uint64_t whole_version(struct asking *asking)
{
    struct topic_entry *entry = asking->entry;
    const char *problem;

    if (is_current(entry->all))
        return entry->all->content.version;
    if (entry->whole_round != entry->round)
        blob_unref(encode(asking, &view_all, &entry->whole, &problem));
    entry->whole_round = entry->round;
    return entry->whole;
}

/* The version; *ret_blob only if it is to be kept. */
static uint64_t tell(struct asking *asking, const struct view *view, struct blob **ret_blob,
                     const char **ret_problem)
{
    struct blob *blob;
    uint64_t version;

    if (asking->hidden == 0 && meaning_is_told_apart(asking->meaning, view))
        return meaning_version(asking->meaning, view, whole_version(asking));
    blob = encode(asking, view, &version, ret_problem);
    if (is_kept(asking, view, blob))
        *ret_blob = blob;
    else
        blob_unref(blob);
    return version;
}

/* What the topic says to that view, now. Encodes once a round. */
static struct content *make(struct asking *asking, const struct view *view)
{
    struct topic_entry *entry = asking->entry;
    struct content *content = find(entry, view, asking->hidden);
    const char *problem = NULL;
    struct blob *blob = NULL;
    uint64_t version = 0;

    if (is_current(content))
        return content;
    if (!is_absent(asking)) {
        version = tell(asking, view, &blob, &problem);
        entry->answered = entry->answered || asking->hidden == 0;
    }
    if (content && says(content, asking->meaning, version)) {
        blob_unref(blob);
        content->round = entry->round;
        entry->views += content != entry->all;
    } else {
        if (content)
            detach(content);
        content = content_new(entry, view, asking->hidden);
        content_set_blob(content, blob);
        content->content.version = version;
        content->content.problem = problem;
    }
    policy_unref(content->content.policy);
    content->content.policy = policy_ref(asking->meaning->policy);
    content->content.received_us = entry->received_us;
    return content;
}

/* What a place gets that sees all that `asking` means. */
static struct content *make_seen(struct asking *asking, const struct topic_place *place,
                                 bool *ret_capped)
{
    struct view view = view_all;

    *ret_capped = false;
    if (meaning_by_place(asking->meaning))
        view = view_of(asking->meaning->port, &place->place);
    if (!view_is_all(&view) && asking->entry->views >= TOPIC_VIEWS_MAX &&
        !is_current(find(asking->entry, &view, asking->hidden))) {
        *ret_capped = true;
        view = view_all;
    }
    return make(asking, &view);
}

static enum default_access default_access(const struct asking *asking)
{
    return table_of(asking->entry)->options.default_access;
}

/* What is not answered for somebody who never was. */
static uint64_t hidden_from(const struct asking *asking, const struct subscriber *subscriber)
{
    uint64_t hidden =
        meaning_hidden(asking->meaning, default_access(asking), &subscriber->place->caller);
    bool answered = subscriber->content && subscriber->content->version != 0;

    if (hidden == TOPIC_HIDDEN_OWN && answered &&
        table_of(asking->entry)->options.unknown_names == UNKNOWN_NAMES_ABSENT)
        hidden |= HIDDEN_ANSWERED;
    return hidden;
}

static struct content *make_for(struct asking *asking, const struct subscriber *subscriber,
                                bool *ret_capped)
{
    struct meaning meaning;
    struct asking narrower = *asking;
    struct content *content;

    narrower.hidden = hidden_from(asking, subscriber);
    if (narrower.hidden == 0 ||
        !topic_find_meaning(&asking->entry->topic, &subscriber->place->caller, &meaning))
        return make_seen(asking, subscriber->place, ret_capped);
    narrower.meaning = &meaning;
    content = make_seen(&narrower, subscriber->place, ret_capped);
    asking->effort = narrower.effort;
    return content;
}

/* Not everybody gets the same. */
static bool is_apart(const struct topic_entry *entry, const struct meaning *meaning)
{
    return meaning_by_place(meaning) ||
           meaning_is_restricted(meaning, table_of(entry)->options.default_access);
}

struct blob *content_bytes(const struct subscriber *subscriber)
{
    const struct content *content = content_of(subscriber->content);
    const struct topic_table *table = table_of(content->entry);

    return table->made_for == content ? table->made : content->blob;
}

struct blob *content_make_bytes(struct subscriber *subscriber, const struct meaning *meaning)
{
    const struct content *content = content_of(subscriber->content);
    struct topic_table *table = table_of(content->entry);
    struct meaning narrower;
    const char *problem;
    uint64_t version;

    if (content->content.hidden != 0 &&
        topic_find_meaning(subscriber->topic, &subscriber->place->caller, &narrower))
        meaning = &narrower;
    set_made(table, content, meaning_encode(meaning, &content->content.view, &version, &problem));
    return table->made;
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

/* Each time that something is hidden from it. */
static void note_hidden(struct subscriber *subscriber)
{
    bool hidden = subscriber->content->hidden != 0;

    if (hidden && !subscriber->hidden && subscriber->refused)
        subscriber->refused(subscriber);
    subscriber->hidden = hidden;
}

static void take(struct subscriber *subscriber, struct content *content)
{
    content->content.subscribers++;
    subscriber->content = &content->content;
}

/* It has what is its own. */
static void settle(struct subscriber *subscriber, struct topic_entry *entry)
{
    list_append(&entry->topic.subscribers, &subscriber->link);
    subscriber->round = entry->round;
}

void content_drop(struct content *content)
{
    if (content->content.subscribers == 0 && content->holders == 0)
        content_free(content);
}

static void leave(struct content *content)
{
    content->content.subscribers--;
    content_drop(content);
}

bool content_is_current(const struct subscriber *subscriber)
{
    const struct content *content = content_of(subscriber->content);

    /* A content that is right still may be another view's by now. */
    return content->entry->by_place ? subscriber->round == content->entry->round
                                    : is_current(content);
}

void content_join(struct topic_entry *entry, const struct meaning *meaning,
                  struct subscriber *subscriber)
{
    struct asking asking = {.entry = entry, .meaning = meaning};
    bool capped;

    entry->by_place = is_apart(entry, meaning);
    take(subscriber, make_for(&asking, subscriber, &capped));
    settle(subscriber, entry);
    note(subscriber, &asking, capped);
    note_hidden(subscriber);
}

bool content_join_all(struct topic_entry *entry, struct subscriber *subscriber)
{
    if (entry->by_place || !is_current(entry->all))
        return false;
    take(subscriber, entry->all);
    settle(subscriber, entry);
    return true;
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
    bool differs =
        before->content.version != content->content.version || content->entry->topic.plain;

    list_remove(&subscriber->link);
    settle(subscriber, content->entry);
    if (content == before)
        return;
    take(subscriber, content);
    leave(before);
    note_hidden(subscriber);
    if (differs)
        subscriber->changed(subscriber);
}

static void give_by_place(struct asking *asking, struct subscriber *subscriber)
{
    struct topic_place *place = subscriber->place;

    /* Of two that may not see it, one can have been answered before. */
    if (place->round != asking->round || (place->content->content.hidden & TOPIC_HIDDEN_OWN) != 0) {
        place->content = make_for(asking, subscriber, &place->capped);
        place->round = asking->round;
    }
    give(subscriber, place->content);
    note(subscriber, asking, place->capped);
}

/* ---- refreshing ---- */

void content_begin(struct topic_entry *entry, const struct meaning *meaning, uint64_t received_us)
{
    struct asking asking = {.entry = entry, .meaning = meaning};
    const struct content *before = entry->all;
    bool was_by_place = entry->by_place;

    entry->round = ++table_of(entry)->rounds;
    entry->views = 0;
    entry->received_us = received_us;
    entry->by_place = is_apart(entry, meaning);
    if (!was_by_place && !entry->by_place && make(&asking, &view_all) == before)
        return; /* and whoever is not stale has it */
    list_splice(&entry->topic.stale, &entry->topic.subscribers);
}

static bool time_is_up(struct asking *asking, uint64_t deadline_us)
{
    if (++asking->effort < EFFORT_MAX)
        return false;
    asking->effort = 0;
    return clock_monotonic_us() >= deadline_us;
}

static void look_at(struct asking *asking, struct subscriber *subscriber)
{
    if (asking->entry->by_place)
        give_by_place(asking, subscriber);
    else
        give(subscriber, make(asking, &view_all));
}

bool content_give(struct topic_entry *entry, const struct meaning *meaning, uint64_t deadline_us)
{
    struct asking asking = {.entry = entry, .meaning = meaning, .round = ++table_of(entry)->rounds};
    struct list *stale = &entry->topic.stale;

    while (!list_empty(stale)) {
        look_at(&asking, container_of(stale->next, struct subscriber, link));
        if (time_is_up(&asking, deadline_us))
            break;
    }
    return list_empty(stale);
}

void content_give_to(struct topic_entry *entry, const struct meaning *meaning,
                     struct subscriber *subscriber)
{
    struct asking asking = {.entry = entry, .meaning = meaning, .round = ++table_of(entry)->rounds};

    look_at(&asking, subscriber);
}
