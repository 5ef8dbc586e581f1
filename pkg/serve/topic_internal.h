/*
 * What the files of topics share: the table, its topics by key (topic.c), by Service (interest.c), what they say to whom (content.c),
 * what makes that of what they said before (content_old.c), and the places of those who listen (topic_place.c).
 *
 * Threads: one serving loop.
 */
#ifndef SERVE_TOPIC_INTERNAL_H
#define SERVE_TOPIC_INTERNAL_H

#include "base/hash.h"
#include "serve/meaning.h"
#include "serve/topic.h"

#undef HASH_FUNCTION
#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_FUNCTION_SEEDED(keyptr, keylen, hashv)
#include <uthash.h>

struct topic_table {
    struct topic_table_options options;
    const struct catalog *catalog;
    struct topic_entry *entries;
    struct interest *interests;
    struct content *contents; /* those that are not their topic's `all` */
    size_t contents_len;      /* with those */
    size_t bytes;             /* that they keep */
    size_t parts;             /* of these, those of parts of lists */
    struct list old;         /* contents that clients have and that are detached, the oldest first */
    size_t old_bytes;        /* that they keep, with the changes from them */
    /* What was made last of what is not kept, and whose it is. */
    struct blob *made;
    const struct content *made_for;
    struct topic_place *places;
    struct list bare_places; /* those whose zone is their node's */
    struct list dirty;        /* topics to refresh, first come, first served */
    uint64_t rounds;         /* counts marks, refreshes and what is given of them: which was later */
    uint64_t clusters_version;
    uint64_t published_us;
};

/* ---- by Service ---- */

/* Whom the change of one Service, known or not, concerns. Key: "namespace/service"; of a host and whose it is: "/host". */
struct interest {
    UT_hash_handle hh;
    struct list ties;
    char key[];
};

struct interest_tie {
    struct list link; /* the interest's */
    struct interest *interest;
    struct topic_entry *entry;
};

/* A Listener depends on the Service that is dialled, on those of its backends, and on whose its host is. */
#define INTERESTS_MAX (2 + ROUTE_TARGETS_MAX)

struct interest *interest_find(const struct topic_table *table, struct str namespace_name, struct str service);
/* The topic depends on what its meaning says now, and on nothing else. Interests go with their last topic. */
void interest_set(struct topic_entry *entry, const struct meaning *meaning);
void interest_clear(struct topic_entry *entry);

/* ---- topics ---- */

struct topic_entry {
    UT_hash_handle hh;
    struct topic topic;
    struct content *all;  /* of VIEW_ALL; NULL: nobody has it */
    size_t views;         /* contents besides, of this round */
    uint64_t whole, whole_round; /* the version of VIEW_ALL, and as of when */
    struct list dirty;    /* table's */
    uint64_t marked;      /* the round of the last change that concerns it */
    uint64_t changed_us;  /* when the oldest was received that it is not refreshed for; 0: no Service changed */
    size_t subscribers;
    size_t ties_len;
    struct interest_tie *ties;
    uint64_t round;       /* of the last refresh */
    uint64_t received_us; /* of what changed then; 0: no Service did */
    bool by_place;        /* as of then: not everybody gets the same; if not, whoever is not stale has `all` */
    bool answered;        /* there was a resource: it is never withdrawn */
    char key[];           /* kind, the client's namespace if the text does not name one, 0, text */
};

static inline struct topic_entry *topic_entry_of(const struct topic *topic)
{
    return (struct topic_entry *)(uintptr_t)container_of(topic, const struct topic_entry, topic);
}

/* The kinds that carry backends. */
static inline bool topic_is_list(enum topic_kind kind)
{
    return kind == TOPIC_ASSIGNMENT || kind == TOPIC_NATIVE || kind == TOPIC_GRPCLB;
}

/* What the topic means to that caller, NULL: to who sees all. False: cannot be. */
bool topic_find_meaning(const struct topic *topic, const struct caller *caller, struct meaning *ret_meaning);

/* ---- contents ---- */

/* A topic's content for one view. Lives while somebody has it. Once the topic says something else to that view it is detached. */
struct content {
    struct topic_content content;
    struct blob *blob; /* NULL: there is none, or it is not kept */
    struct topic_entry *entry;
    uint64_t round; /* in which it was made, or found to be right still */
    bool attached;
    size_t holders;       /* subscribers whose client was sent it last */
    struct list old;      /* the table's */
    struct blob *changes; /* from it to `changes_to`; NULL: they are no shorter */
    uint64_t changes_to;  /* a version; 0: none was looked at */
    UT_hash_handle hh;
    char key[]; /* the view, what is hidden, and whose */
};

static inline struct content *content_of(const struct topic_content *content)
{
    return (struct content *)(uintptr_t)container_of(content, const struct content, content);
}

/* Gives the subscriber, who has none, the content for its place. `meaning` is the topic's, now. */
void content_join(struct topic_entry *entry, const struct meaning *meaning, struct subscriber *subscriber);
/* The same where everybody gets the same and it is there; else false. */
bool content_join_all(struct topic_entry *entry, struct subscriber *subscriber);
void content_leave(struct subscriber *subscriber);
/* The bytes of what it has; NULL: they are not there. */
struct blob *content_bytes(const struct subscriber *subscriber);
/* Makes them. Borrowed until others are made. `meaning` is the topic's, as of which the subscriber is current. */
struct blob *content_make_bytes(struct subscriber *subscriber, const struct meaning *meaning);
/* It has been given what is its own in the topic's last refresh. */
bool content_is_current(const struct subscriber *subscriber);
/* Begins a refresh: all subscribers are stale, unless everybody gets what they have. To be followed by one of content_join() and
 * content_give*(): a content that nobody has taken belongs to nobody. */
void content_begin(struct topic_entry *entry, const struct meaning *meaning, uint64_t received_us);
/* Gives stale subscribers what is theirs, and tells those for whom it is something else, until `deadline_us` passes, but always one.
 * False: some are left. */
bool content_give(struct topic_entry *entry, const struct meaning *meaning, uint64_t deadline_us);
/* The same for one of them. */
void content_give_to(struct topic_entry *entry, const struct meaning *meaning, struct subscriber *subscriber);

/* Frees a content that nobody has and no client was sent last. */
void content_drop(struct content *content);
/* Its bytes. Takes over the reference. */
void content_set_blob(struct content *content, struct blob *blob);

/* ---- old contents ---- */

/* The subscriber's client has what its subscriber has, or, `content` NULL, nothing that is kept. */
void content_hold(struct subscriber *subscriber, const struct topic_content *content);
/* It has just been detached: kept while clients have it. */
void content_age(struct content *content);
/* It is old no longer: nobody has it, or it is too much. */
void content_forget(struct content *content);
/* topic_changes() of a subscriber that is current. */
struct blob *content_changes(const struct subscriber *subscriber);

/* ---- places ---- */

struct topic_place {
    UT_hash_handle hh;
    struct list bare_link;
    size_t subscribers;
    struct place place; /* as it counts: `zone` may be the node's */
    struct caller caller;
    char *zone;         /* owned: the node's; or NULL */
    /* What this place gets, within the content_give() of that round: between two, it may be gone with its last subscriber. */
    uint64_t round;
    struct content *content;
    bool capped;
    char key[]; /* zone, 0, node, group, the caller's namespace, '/', account */
};

struct topic_place *topic_place_get(struct topic_table *table, const struct place *place, const struct caller *caller);
void topic_place_put(struct topic_table *table, struct topic_place *place);
/* What is known of nodes has changed. True: so has some place. */
bool topic_places_update(struct topic_table *table);

#endif
