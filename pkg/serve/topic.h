/*
 * What the streams of one serving loop listen to: a topic is one resource under one name (a Listener, its RouteConfiguration, a Cluster,
 * ClusterLoadAssignment, native list or grpclb list), made once from the catalog, encoded once, and shared by every subscription of the loop.
 *
 * Topics are found by their own key when a stream subscribes, and by what they depend on when the catalog changes, so a change costs O(those
 * who listen): a list or Cluster depends on its Service, a Listener or grpclb list on the Service that is dialled and on those of its backends,
 * and whatever is called by a host on whose that is.
 * It is brought to them a turn at a time; whoever asks before (topic_content) has it at once.
 * A topic lives while somebody subscribes. Where a Service's list depends on the client's place, its topics have one content for each
 * distinct view (model/view.h) that a subscriber has; all others have one. A Listener or Cluster has a plain twin for those clients that
 * refused what a policy makes of it. Who may not see a Service (model/access.h) shares a content with the others who may not, which says
 * what is said of one that does not exist; when that changes, so does what they have.
 * What is encoded is kept, but for nodes that are preferred (VIEW_NEAR_NODE), of which there may be many, each with a list as long as the
 * whole one, and for parts of lists (policy.subset_size) where these become too many. Of those the bytes are made when they are asked for.
 * All other views are few, or take no more together than a few whole lists.
 * A list that clients were sent and that has changed since is kept until the last of them has another one, so that they can be sent the
 * changes: made once for all that go from the one to the other. The oldest are dropped where such lists become too many.
 *
 * Threads: everything on one serving loop.
 * Limits:  TOPIC_VIEWS_MAX contents of one topic; TOPIC_PARTS_MAX bytes of all parts of lists, TOPIC_OLD_MAX of old lists; a zone or node of
 *          more than PLACE_TEXT_MAX bytes is none.
 */
#ifndef SERVE_TOPIC_H
#define SERVE_TOPIC_H

#include "base/blob.h"
#include "base/list.h"
#include "base/metric.h"
#include "model/access.h"
#include "model/catalog.h"
#include "model/name.h"
#include "model/place.h"
#include "model/view.h"

enum topic_kind {
    TOPIC_LISTENER,
    TOPIC_ROUTE,
    TOPIC_CLUSTER,
    TOPIC_ASSIGNMENT,
    TOPIC_NATIVE,
    TOPIC_GRPCLB,
    TOPIC_KINDS
};

/* The kinds that say where calls go, and nothing else. */
static inline bool topic_is_route(enum topic_kind kind)
{
    return kind == TOPIC_LISTENER || kind == TOPIC_ROUTE;
}

enum unknown_names { UNKNOWN_NAMES_EMPTY, UNKNOWN_NAMES_ABSENT };

struct interest;
struct topic_table;
struct topic_place; /* an interned struct place */

/* Of what is hidden: the Service itself. Else backends of its policy are. */
#define TOPIC_HIDDEN_OWN UINT64_C(1)

/* What a topic says to those places whose view is the same (model/view.h). Does not change but for received_us: whoever is to see something
 * else gets another one. */
struct topic_content {
    uint64_t version; /* hash of the content; 0: there is none (yet) */
    const char *problem;  /* why there is no list, or an empty one; a static text or NULL */
    const struct policy *policy; /* in force there, plain or not; a reference */
    uint64_t received_us; /* of the Service version that was told last; 0: none was */
    struct view view;
    uint64_t hidden; /* of what it depends on, from those who have it (meaning_hidden); 0: nothing */
    /* the table's own */
    size_t subscribers;
};

struct topic {
    enum topic_kind kind;
    bool plain;      /* for those who refuse what it says otherwise */
    unsigned faults; /* for those who have these (model/client.h): of a route or Cluster that is not plain */
    struct str text; /* the name as the client spelled it */
    /* the table's own */
    struct list subscribers; /* that have what is theirs as of the topic's last refresh */
    struct list stale;       /* the others: what they have may be from before */
    struct str key;
    struct topic_table *table;
};

/* One subscription's place in its topic; embedded by the services. */
struct subscriber {
    struct list link;
    struct topic *topic;
    /* As of when it was looked at last: topic_content() is what it is now. Never NULL while subscribed. */
    const struct topic_content *content;
    /* `content` says something else; of a plain topic also: the policy, which it does not say, is another one. */
    void (*changed)(struct subscriber *subscriber);
    /* It may not see something that its topic depends on, now: once until it may again. Inside topic_subscribe(), too. May be NULL. */
    void (*refused)(struct subscriber *subscriber);
    /* the table's own */
    const struct topic_content *sent; /* topic_set_sent(); NULL: it is not kept */
    struct topic_place *place; /* who asks, from where */
    uint64_t round;            /* of its topic, when it was looked at */
    bool blind, capped;        /* counted already */
    bool hidden;               /* told already */
};

/* Of one topic: more distinct views than this share VIEW_ALL's list, and are counted. */
#define TOPIC_VIEWS_MAX 4096
/* Bytes of parts of lists, over all topics, that are kept. */
#define TOPIC_PARTS_MAX (32 * 1024 * 1024)
/* Bytes of lists that were sent and have changed, and of the changes, over all topics, that are kept. */
#define TOPIC_OLD_MAX (32 * 1024 * 1024)
/* Of each text of a place: neither the name of a node nor the value of a label is longer. */
#define PLACE_TEXT_MAX 253

struct topic_table_stats {
    struct counter topics;       /* gauge */
    struct counter views;        /* gauge: distinct contents over all topics */
    struct counter bytes;        /* gauge: of those, encoded, that are kept */
    struct counter changes;      /* made, from one list to another */
    struct counter views_capped; /* subscriptions that got VIEW_ALL's list because of TOPIC_VIEWS_MAX */
    struct counter places_blind; /* subscriptions to a Local Service from an unknown node (view_is_blind) */
};

struct topic_table_options {
    const char *cluster_domain;
    enum unknown_names unknown_names;
    struct topic_table_stats *stats; /* may be NULL */
    const char *const *host_suffixes; /* struct name_context's */
    bool reports_load; /* clients of Clusters do */
    enum default_access default_access;
    /* Counts the Services that topics depend on; after one has come, heeded() is called. NULL: nobody is to know. */
    struct heed *heed;
    void (*heeded)(void *ctx);
    void *heeded_ctx;
};

struct topic_table *topic_table_new(const struct topic_table_options *options) must_check;
/* All subscribers must be gone. */
void topic_table_free(struct topic_table *table);
/* Changes whenever the set of Cluster names may have changed (a Service or a port came or went). */
uint64_t topic_table_clusters_version(const struct topic_table *table);

/* The newest catalog (borrowed until the next call), taken at `now_us`; marks the topics of changed Services. Refreshing is
 * topic_table_work(). */
void topic_table_publish(struct topic_table *table, const struct catalog *catalog, uint64_t now_us);
/* Refreshes marked topics until `deadline_us` of the monotonic clock passes; tells subscribers whose content changed. True: more is left.
 * No kind goes before another: a stream orders what it says (xds_session_next), and asks for all of it then. */
bool topic_table_work(struct topic_table *table, uint64_t deadline_us);

/* Who subscribes: borrowed during the call. */
struct topic_client {
    struct str default_namespace;
    bool plain; /* of a Listener or Cluster: without what a client can refuse */
    unsigned faults; /* of the client: routes and Clusters come without what it cannot bear */
    struct place place; /* zone empty: that of the node, where and while the catalog knows it */
    struct caller caller; /* who may not see a Service is told what is told of one that does not exist */
};

/* Joins the topic of this name, making it if need be. False, and nothing joined, when the name is malformed for its kind. */
bool topic_subscribe(struct topic_table *table, enum topic_kind kind, struct str text, const struct topic_client *client,
                     struct subscriber *subscriber, struct err *err) must_check;
void topic_unsubscribe(struct subscriber *subscriber);
/* What the newest catalog says to the subscriber, who is told first if that is something else. Borrowed until the topic is asked again. */
const struct topic_content *topic_content(struct subscriber *subscriber);
/* And its bytes: one encoded resource; NULL where there is none. Borrowed until the table is asked again for anything. */
struct blob *topic_bytes(struct subscriber *subscriber);
/* Of a native list: the client has what topic_content() says. */
void topic_set_sent(struct subscriber *subscriber);
/* What makes the native list that topic_content() says of the one that the client has. NULL: that is not kept, or it would be no shorter
 * than the list. Borrowed as the bytes are. */
struct blob *topic_changes(struct subscriber *subscriber);

/* Those whom that Service concerns have this `interest`; NULL: nobody does. */
struct interest *topic_interest(const struct topic_table *table, struct str namespace_name, struct str service);
bool topic_is_of(const struct topic *topic, const struct interest *interest);
/* Every Service ("namespace/name") whose lists somebody subscribes to, and how many do. */
void topic_each_listened(const struct topic_table *table, void (*visit)(void *ctx, struct str service, size_t listeners), void *ctx);
/* The place as it counts here: with the node's zone where the catalog knows it. Borrowed from `place` and the table. */
struct place topic_table_place(const struct topic_table *table, const struct place *place);

/* What somebody who asks for every Cluster of the catalog is told: of each, plain where it is to be without what a client can refuse. */
struct topic_clusters {
    bool (*is_plain)(void *ctx, struct str name, const struct policy *policy); /* NULL: none is */
    /* Borrowed during the visit; NULL: none is made. */
    void (*visit)(void *ctx, struct str name, uint64_t version, struct blob *cluster);
    void *ctx;
    struct caller caller; /* who asks: what it may not see is not visited */
};
void topic_each_cluster(struct topic_table *table, const struct topic_clusters *clusters);
/* The Service (borrowed until the next publication) whose backends a Cluster of that name has, xdstp or not; NULL: there is none, or it is
 * hidden. */
const struct service *topic_service_of_cluster(const struct topic_table *table, struct str name, const struct caller *caller);
/* The policy (borrowed) that the Cluster of that name would be another one without; NULL: there is none, or it is hidden. */
const struct policy *topic_cluster_policy(const struct topic_table *table, struct str name, const struct caller *caller);

#endif
