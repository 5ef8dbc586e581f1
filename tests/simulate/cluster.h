/*
 * The truth: Services and EndpointSlices as the API server holds them, with their history.
 *
 * Every object has a slot of its own: SERVICES Services, and SLICES slices for each. A change is a step;
 * steps never go back, also when a restored etcd makes the resource versions do so.
 *
 * Owns: all versions of all objects, until cluster_done(): they are shared by pointer.
 */
#ifndef SIMULATE_CLUSTER_H
#define SIMULATE_CLUSTER_H

#include "base/base.h"

enum { SERVICES = 4, SLICES = 5, SLOTS = SERVICES * (1 + SLICES) };
enum { ENDPOINTS_MAX = 8, PORTS_MAX = 3 };
enum { CLUSTER_VERSION_FIRST = 100 };
enum { BAD_MAX = 2 }; /* malformed objects of one Service at a time */
enum { ZONES = 3, NODES = 6 }; /* node n is in zone n % ZONES */
enum { TEXT = 40 };

enum api_protocol { API_TCP, API_UDP };
enum nil_bool { NO, YES, NIL };

struct api_port {
    char name[16];
    unsigned number; /* 0: nil */
    enum api_protocol protocol;
    char app_protocol[24];
};

struct api_service {
    char uid[16];
    bool headless, local; /* clusterIP: None; internalTrafficPolicy: Local */
    char external_name[TEXT]; /* empty: no ExternalName */
    unsigned selector;
    int families[2]; /* 4, 6; 0: not said */
    size_t ports_len;
    struct api_port ports[PORTS_MAX];
};

struct api_endpoint {
    char address[TEXT];
    enum nil_bool ready, serving, terminating;
    unsigned pod; /* its name, UID and hostname */
    unsigned node; /* and by it the zone, unless `zone` says otherwise */
    int zone;      /* -1: none */
    unsigned zone_hints, node_hints; /* bits; 0: none */
};

struct api_slice {
    char owner_uid[16]; /* empty: no owner */
    int family;         /* 4, 6 */
    size_t ports_len, endpoints_len;
    struct api_port ports[PORTS_MAX];
    struct api_endpoint endpoints[ENDPOINTS_MAX];
};

enum resource { RESOURCE_SERVICES, RESOURCE_SLICES, RESOURCES };

struct api_object {
    unsigned slot;
    uint64_t version;
    bool bad; /* somewhat malformed on the wire: cannot be decoded */
    struct api_service service;
    struct api_slice slice;
};

/* A version of a slot; object NULL: there is none from that step on. */
struct api_version {
    size_t step;
    const struct api_object *object;
};

struct api_history {
    struct api_version *versions; /* oldest first; the first: step 0, NULL */
    size_t len, cap;
};

/* One entry of etcd's log. */
struct api_change {
    uint64_t version; /* resource version */
    size_t step;
    unsigned slot;
    const struct api_object *before, *after; /* NULL: created, deleted */
};

struct cluster {
    struct api_history slots[SLOTS];
    struct api_change *log; /* of the present etcd */
    size_t log_len, log_cap;
    uint64_t version;   /* the newest */
    uint64_t compacted; /* changes up to this version are no longer told */
    size_t step, epoch_step; /* the newest; the one at which etcd was restored last */
    struct api_object **objects;
    size_t objects_len, objects_cap;
    unsigned uids;
    bool portless; /* so are the slices of the Service without ports: whoever makes them, makes all alike */
};

extern struct cluster cluster;

void cluster_start(bool portless);
void cluster_done(void);

static inline enum resource slot_resource(unsigned slot)
{
    return slot < SERVICES ? RESOURCE_SERVICES : RESOURCE_SLICES;
}

/* The slots of a resource: from the first up to the end. */
static inline unsigned resource_first(enum resource resource)
{
    return resource == RESOURCE_SERVICES ? 0 : SERVICES;
}

static inline unsigned resource_end(enum resource resource)
{
    return resource == RESOURCE_SERVICES ? SERVICES : SLOTS;
}

static inline unsigned slice_slot(unsigned service, unsigned index)
{
    return SERVICES + service * SLICES + index;
}

/* Of a slice: the Service that its label names. */
static inline unsigned slot_service(unsigned slot)
{
    return slot < SERVICES ? slot : (slot - SERVICES) / SLICES;
}

/* "shop", "greeter", and of a slice "greeter-2". */
const char *slot_namespace(unsigned slot);
void slot_name(unsigned slot, char out[TEXT]);
const char *zone_name(int zone); /* "" for -1 */

/* NULL: there is none. */
const struct api_object *cluster_get(unsigned slot);
const struct api_object *cluster_at(unsigned slot, size_t step);
/* A Service's slices as they are now; NULL where there is none. */
void cluster_slices(unsigned service, const struct api_object *slices[SLICES]);
/* A copy of `object` becomes the newest version of its slot. */
const struct api_object *cluster_put(const struct api_object *object);
void cluster_delete(unsigned slot);
/* etcd is restored from a snapshot at that version: all that came later never was. */
void cluster_rewind(uint64_t version);
void cluster_new_uid(char out[16]);

#endif
