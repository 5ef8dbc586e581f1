/*
 * What the files of topics share: the table, its topics by key (topic.c), by Service (interest.c), what they say to whom (content.c),
 * and the places of those who listen (topic_place.c).
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
    struct topic_place *places;
    struct list bare_places; /* those whose zone is their node's */
    struct list dirty;       /* interests to refresh */
    uint64_t rounds;         /* one for every refresh of a topic */
    uint64_t clusters_version;
    uint64_t published_us;
};

/* ---- by Service ---- */

/* All topics of one Service, known or not. Key: "namespace/service". */
struct interest {
    UT_hash_handle hh;
    struct list topics;
    struct list dirty;
    bool changed; /* the Service has: else what is known of nodes */
    char key[];
};

struct interest *interest_find(const struct topic_table *table, struct str namespace_name, struct str service);
/* Makes it if need be; goes with its last topic. */
struct interest *interest_get(struct topic_table *table, const struct name *name);
void interest_put(struct topic_table *table, struct interest *interest);
void interest_mark(struct topic_table *table, struct interest *interest);
/* Those with topics that depend on the client's place. */
void interest_mark_by_place(struct topic_table *table);

/* ---- topics ---- */

struct topic_entry {
    UT_hash_handle hh;
    struct topic topic;
    struct content *all; /* of VIEW_ALL; NULL: nobody has it */
    size_t views;        /* contents besides, of this round */
    uint64_t round;      /* of the last refresh */
    bool by_place;       /* since then, or as of then; if not, everybody has `all` */
    bool answered;       /* there was a resource: it is never withdrawn */
    char key[];          /* kind, the client's namespace if the text does not name one, 0, text */
};

static inline struct topic_entry *topic_entry_of(const struct topic *topic)
{
    return (struct topic_entry *)(uintptr_t)container_of(topic, const struct topic_entry, topic);
}

/* ---- contents ---- */

/* A topic's content for one view. Lives while somebody has it. Once the topic says something else to that view it is detached. */
struct content {
    struct topic_content content;
    struct topic_entry *entry;
    uint64_t round; /* in which it was made, or found to be right still */
    bool attached;
    UT_hash_handle hh;
    char key[]; /* the view, and whose */
};

/* Gives the subscriber, who has none, the content for its place. `meaning` is the topic's, now. */
void content_join(struct topic_entry *entry, const struct meaning *meaning, struct subscriber *subscriber);
/* For topics that are not by place, and have subscribers. */
void content_join_all(struct topic_entry *entry, struct subscriber *subscriber);
void content_leave(struct subscriber *subscriber);
/* Makes anew what the topic says, gives everybody what is theirs, and tells those for whom it is something else. `received_us` is that
 * of what changed. */
void content_refresh(struct topic_entry *entry, const struct meaning *meaning, uint64_t received_us);

/* ---- places ---- */

struct topic_place {
    UT_hash_handle hh;
    struct list bare_link;
    size_t subscribers;
    struct place place; /* as it counts: `zone` may be the node's */
    char *zone;         /* owned: the node's; or NULL */
    /* Of the refresh `round`: what this place gets. */
    uint64_t round;
    struct content *content;
    bool capped;
    char key[]; /* zone, 0, node, group */
};

struct topic_place *topic_place_get(struct topic_table *table, const struct place *place);
void topic_place_put(struct topic_table *table, struct topic_place *place);
/* What is known of nodes has changed. True: so has some place. */
bool topic_places_update(struct topic_table *table);

#endif
