/*
 * The control thread's heart: objects in, catalogs out.
 *
 * Keeps what the sources said (store), rebuilds a touched service from all its slices (never from the event), and publishes a new catalog to
 * every serving loop's mailbox. The first change of a service goes out at the end of the turn; one that keeps changing is coalesced:
 * clamp(10 ms, 4 × the time of the last fan-out, 1 s).
 *
 * Threads: everything on the control loop.
 * Owns:    store and current catalog. Nothing is published before controller_set_synced().
 */
#ifndef CONTROLLER_CONTROLLER_H
#define CONTROLLER_CONTROLLER_H

#include "base/metric.h"
#include "controller/hold.h"
#include "kube/sink.h"
#include "loop/loop.h"
#include "model/access.h"
#include "model/place.h"
#include "model/refusal.h"

struct controller;

/* Which Services are published: every one; those annotated PUBLISH_ANNOTATION: "true", and those with a LookasideService; only the latter. */
enum publish_mode { PUBLISH_ALL, PUBLISH_ANNOTATED, PUBLISH_RESOURCES };
#define PUBLISH_ANNOTATION "lookaside.dev/publish"

/* What tells who clients are. */
#define IDENTITY_WAYS "--tokens, --tls-client-ca, --unix-account, --identify-pods"

struct controller_options {
    struct loop *loop;
    enum publish_mode mode;
    bool reports_load; /* clients report their load */
    bool identifies;   /* something of IDENTITY_WAYS is switched on */
    enum default_access default_access;
    /* Gets one reference for the callee to keep. Called on the control loop for every published catalog. NULL: nobody is told. */
    void (*publish)(void *ctx, const struct catalog *catalog);
    void *ctx;
    /* How long a deleted Service's list stays published (hold "deletion"), and a deleted LookasideService in force; 0: not at all. */
    uint64_t deletion_grace_ms;
    /* Domains under which a LookasideService may claim hosts, lower case; NULL-terminated; NULL: none. */
    const char *const *host_suffixes;
    /* The status (controller/resource.h) of that LookasideService may have changed. May be NULL. */
    void (*resource_changed)(void *ctx, struct str namespace_name, struct str name);
    /* A LookasideService as its source delivers it, with its status; borrowed. May be NULL. */
    void (*resource_seen)(void *ctx, const struct json *object);
    /* How long the last fan-out took, asked when coalescing; may be NULL. */
    uint64_t (*fanout_us)(void *ctx);
};

struct controller_stats {
    struct counter objects_services, objects_slices, objects_endpoints, objects_nodes, objects_policies; /* gauges */
    struct counter services, endpoints;              /* gauges: published */
    struct counter bad_objects;
    struct counter rebuilds, publications;
    struct counter held[HOLD_KINDS];       /* gauges: Services whose last list is kept, by hold */
    struct counter holds_begun[HOLD_KINDS];
};

struct controller *controller_new(const struct controller_options *options) must_check;
void controller_free(struct controller *controller);

/* The kinds that the store takes. Every scope (a namespace, a file's directory, the whole cluster) has sinks of its own, so that a list
 * replaces only what that scope named. */
enum object_kind { OBJECT_SERVICE, OBJECT_SLICE, OBJECT_ENDPOINTS, OBJECT_NODE, OBJECT_POLICY, OBJECT_KINDS };
struct controller_scope;
struct controller_scope *controller_scope_new(struct controller *controller, enum object_kind kind, const char *label) must_check;
void controller_scope_free(struct controller_scope *scope);
/* Where in a file the objects stand that come next, for what is logged about them. `file` is borrowed until the next call; NULL: in none. */
void controller_scope_set_place(struct controller_scope *scope, const char *file, size_t line);
/* The sink's ctx is the scope. */
const struct kube_sink *controller_sink(void);

/* All sources have delivered their first full view: publish, now and from now on. */
void controller_set_synced(struct controller *controller);
const struct catalog *controller_catalog(const struct controller *controller); /* borrowed */
/* The name of the hold (controller/hold.h) while a list of that Service is kept on purpose; NULL: it is not. Static text. */
const char *controller_hold(const struct controller *controller, struct str namespace_name, struct str name);
/* The same with what else is known of it: of several holds the one that lasts longest. */
struct hold_info {
    enum hold hold;
    uint64_t since_us, until_us; /* until 0: as long as it takes */
    size_t doubted;              /* objects that a list lacks which is not believed */
    bool policy;                 /* not the list is kept, but what a LookasideService said that was deleted, or where one sent calls */
};
bool controller_hold_info(const struct controller *controller, struct str namespace_name, struct str name, struct hold_info *ret_info);
/* Ends the holds of that Service: what is known goes out at the end of the turn. False: there is none in force. */
bool controller_release(struct controller *controller, struct str namespace_name, struct str name);
/* Where the host of an address is, as the endpoints with that address say (of any Service, in any condition). False: unknown.
 * *ret_place is borrowed until the next change. */
bool controller_place_of(const struct controller *controller, enum address_family family, const unsigned char bytes[16],
                         struct place *ret_place);

/* ---- refusals ---- */

/* A client refused what that policy makes of a Listener or Cluster (controller/refusal.h). One that is no longer in force is no news. */
void controller_report_refusal(struct controller *controller, const struct refusal *refusal);

/* ---- explaining ---- */

struct explain_query {
    struct str target; /* as a client would dial it, without "xds:///" */
    struct str default_namespace;
    struct str cluster_domain;
    struct place place;
    bool asked; /* who sees it is asked of this client: */
    struct caller caller;
};

/* Why a client at that place gets the list that it gets: members of an open object (controller/explain.h says which). INVALID_ARGUMENT for a
 * target that is no name. */
enum code controller_explain(const struct controller *controller, const struct explain_query *query, struct json_writer *writer,
                             struct err *err) must_check;

/* ---- the rest ---- */

const struct controller_stats *controller_stats(const struct controller *controller);

#endif
