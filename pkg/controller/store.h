/*
 * What the sources said: objects by scope, and the same objects by the Service that they belong to.
 *
 * A list is applied whole when it ends: until then its objects wait beside those in force, and if it is aborted they are dropped. So what is
 * in force is always what some source held at one moment.
 *
 * Threads: the control loop. Tells the publisher which Services were touched; decides nothing about backends.
 */
#ifndef CONTROLLER_STORE_H
#define CONTROLLER_STORE_H

#include "controller/announce.h"
#include "controller/controller.h"
#include "controller/hold.h"
#include "controller/place_index.h"
#include "controller/refer_index.h"
#include "controller/value.h"

/* Before uthash.h, in every file that includes it. */
#define HASH_FUNCTION HASH_FUNCTION_SEEDED
#include "base/hash.h"
#include <uthash.h>

struct publisher;
struct refusals;
struct controller_scope;

/* A Service's name with all that concerns it, whether or not there is a Service object. */
struct group {
    UT_hash_handle hh;
    char *key; /* "namespace/name" */
    struct str namespace_name, name;
    struct list services; /* struct object.link; more than one only when sources overlap: the first counts */
    struct list slices;  /* the same, of objects with slices */
    struct list policies; /* as services */
    size_t slices_len;   /* of all those objects */
    uint64_t changed_us; /* when its Service object changed or went last; 0: never */
    struct refusals *refusals; /* of its policy (controller/refusal.h); owned; NULL: none */
    size_t doubted;      /* objects that a list lacked, or most of them, which is not believed yet */
    uint64_t doubted_us; /* since when there are some; 0: there are none */
    /* The publisher's. */
    enum hold hold; /* in force, that is longest */
    uint64_t hold_since_us, hold_until_us;
    bool hold_saves; /* a list from becoming empty */
    struct hold_state held;
    struct announcement announced;
    bool released;        /* by an operator, for the next publication */
    struct list pending;  /* in its list of what goes out now, or later */
    uint64_t received_us; /* of the oldest change that is not published; 0: none */
    uint64_t touched_us;  /* when the newest change came in */
    uint64_t published_us;
    uint64_t held_us; /* when a list was kept last */
    uint64_t due_us;
};

/* A version of an object that is not in force. */
struct rejection {
    uint64_t generation;
    char *uid;
};

struct object {
    UT_hash_handle hh;
    char *key;
    struct controller_scope *scope;
    struct value value;
    struct value next; /* of the list that is being read */
    bool has_next;
    struct value doubted; /* what a list that is not believed has in place of `value`; else {0} */
    uint64_t seen;       /* the list that named it last */
    uint64_t deleted;    /* the list during which a watch deleted it; 0: none */
    uint64_t doubted_us; /* since when a list lacks it, or most of it, that is not believed; 0: none does */
    uint64_t leaving_us; /* a LookasideService that was deleted: until then it stays in force; 0: it was not */
    struct group *group;
    struct list link;
    /* What is wrong with the newest version, and which that is; NULL: nothing. */
    char *fault;
    const char *consequence; /* of it, as the log has it; static text */
    uint64_t fault_version;
    struct rejection *rejection; /* of a LookasideService: NULL unless its last version could not be decoded */
    bool flawed; /* it counts nevertheless, but for what is wrong */
};

struct store {
    struct group *groups;
    struct list scopes;
    struct place_index places;
    struct refer_index referrers;
    struct publisher *publisher;
    struct controller_stats *stats;
};

struct controller_scope {
    struct list link;
    struct store *store;
    struct loop *loop;
    enum object_kind kind;
    char *label;
    struct object *objects;
    bool listing;
    uint64_t list; /* number of the current or last list */
    uint64_t list_began_us, list_received_us;
    size_t doubted; /* objects */
    struct timer *leave; /* to the next LookasideService whose grace ends; NULL: of other kinds */
    const char *file; /* where the object that is being read stands, borrowed; NULL: in no file */
    size_t line;
};

void store_init(struct store *store, struct publisher *publisher, struct controller_stats *stats);
/* All scopes must be gone. */
void store_done(struct store *store);
/* controller_scope_new(), controller_scope_free(). */
struct controller_scope *store_scope_new(struct store *store, struct loop *loop, enum object_kind kind, const char *label) must_check;
/* Takes over what is in force of an object of another store, unless the scope has one of that name. A Node is not copied. */
void store_copy(struct controller_scope *scope, const struct object *object);
/* NULL: never heard of, or all gone. */
struct group *store_group(const struct store *store, struct str namespace_name, struct str name);
/* The group's Service object; NULL: there is none. */
const struct object *store_service(const struct group *group);
/* The group's LookasideService: of several one that was accepted, else what is in force of one that was not (struct policy.partial); NULL: there is none. One that was deleted counts while its grace lasts. */
const struct object *store_policy(const struct group *group);
/* The LookasideService of that name, accepted or not; NULL: there is none. */
const struct object *store_resource(const struct store *store, struct str namespace_name, struct str name);
/* Every LookasideService, in no order. */
void store_each_resource(const struct store *store, void (*visit)(void *ctx, const struct object *object), void *ctx);
/* The hold in force that lasts longest; false: there is none. */
bool store_hold(const struct group *group, struct hold_info *ret_info);
/* It holds no object. */
bool store_group_is_empty(const struct group *group);
/* Frees the group if it holds no object. */
void store_drop_group(struct store *store, struct group *group);
/* Believes the lists that the group's objects are doubted for, and ends the grace of a LookasideService that was deleted. */
void store_release(struct group *group);
/* What all Node objects say, for catalog_set_nodes(); the caller frees the array. */
struct pair *store_nodes(const struct store *store, size_t *ret_len) must_check;

#endif
