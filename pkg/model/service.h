/*
 * A Service with its backends: what the rules of the design's section 3 make of a Service object and all its slices.
 * Immutable and reference-counted; refers to its slices, copies nothing of them.
 *
 * Rules (service_new): slices whose owner is another Service object are leftovers and ignored; backends of all other slices are
 * merged per Service port (by port *name*, as kube-proxy does), de-duplicated by address and port (the slice with the higher
 * resource_version counts, then the greater slice name), and listed: all ready ones; if none is ready, those that are serving and
 * terminating; sorted by (zone, address, port), so that two replicas make the same bytes. Only TCP. Of a pod with both address families
 * the one that the Service names first (ipFamilies) is listed and carries the other, joined by targetRef.uid and target port. What a
 * client at a certain place gets of them: model/view.h. A zone stays with an endpoint for its life, whatever its slices say later.
 * A policy may say otherwise: what is listed when none is ready (none_ready); that everybody gets all (locality None) or those near first
 * (PreferZone, PreferNode); a part of it for each client (subset_size); with RingHash all stand in one locality, because clients multiply the
 * weights of localities and endpoints, which rules out near ones first, and every client must hash over the same, which rules out parts.
 *
 * Headless: DNS gave all addresses, and the client added a number. So the pods' own numbers are ports, too (enum port_origin), and a slice
 * that leaves ports open takes the number as it is given; at the same address, one with a port of its own comes first. Ports of one number
 * list the same.
 *
 * Threads: after service_new() any thread; ref and unref from any thread.
 */
#ifndef MODEL_SERVICE_H
#define MODEL_SERVICE_H

#include "model/policy.h"
#include "model/slice.h"

/* Backends of one zone, next to each other in a list. Fixed for an endpoint's life: clients rebuild connections when it changes. In order of
 * priority, zone and sub_zone, of which no two have the same zone and sub_zone, whatever their priority. */
struct locality {
    struct str zone;     /* empty: unknown, or no matter */
    struct str sub_zone; /* the client's own node, for those on it (PreferNode); else empty */
    unsigned priority;   /* 0: for all calls; others for when all before them fail. Without gaps */
    size_t first;
    size_t len; /* > 0; also the locality's load_balancing_weight, so that every endpoint gets the same share */
};

/* A backend in a list. */
struct listed {
    const struct backend *backend;
    const struct backend *other; /* the same pod's in the other address family, not listed by itself; or NULL */
    struct str zone;             /* the one that the endpoint had when it was seen first; the locality's, but with RingHash */
};

struct backend_list {
    size_t len;
    const struct listed *items;
    size_t localities_len;
    const struct locality *localities;
};

/* How long a zone that lost so many endpoints that it was no longer preferred has to have enough again before it is: short outages of
 * one then move its clients once, not back and forth. */
#define ZONE_WAIT_US (30 * 1000 * 1000)
/* Zones of one port that wait; more are preferred at once. */
#define ZONE_WAITS_MAX 64

/* A zone that was preferred and fell short (PreferZone, PreferNode). */
struct zone_wait {
    struct str zone;
    bool enough;       /* again */
    uint64_t since_us; /* enough, or short */
};

struct view_names;

/* Whose a port is, and by that which ports of slices are meant. */
enum port_origin {
    PORT_OWN,    /* the Service's: by name, whatever number slices give it */
    PORT_SLICES, /* of a headless Service without ports, whose ports are its slices': by number, whatever name slices give it */
    PORT_PODS,   /* of a headless Service with ports, none of which has this number, but its slices do: by number; only a number finds it */
};

struct service_port {
    struct str name; /* empty: unnamed */
    uint16_t number; /* what clients ask. 0, never PORT_OWN: any that nobody names, at slices and ports of slices that leave it open */
    enum port_origin origin;
    enum protocol protocol;
    struct str app_protocol;
    uint16_t target; /* the slices' number for it, where all that give one have the same; else 0 */
    struct backend_list list; /* what a client of unknown place gets */
    size_t ready, draining, total; /* backends by condition, before choosing */
    /* De-duplicated backends in any condition, sorted by backend_cmp_address; `other` is not filled: joining comes after choosing. */
    size_t all_len;
    const struct listed *all;
    bool by_place; /* lists differ by the client's place */
    const struct view_names *names; /* of view_of(); NULL unless by_place */
    size_t waits_len; /* zones that are not preferred yet; sorted by zone */
    const struct zone_wait *waits;
    bool local;    /* internalTrafficPolicy: Local, of a Service that is not headless; in force: view_is_local() */
    enum address_family prefers; /* of a pod with both; never 0 */
    bool carried; /* the list is an earlier version's, or some of it; where it says nothing new, service_equal() does not see it */
    bool gone; /* only carried: the Service no longer has this port, whoever asked for it keeps it */
    /* In force at this port, the Service's or policy_default(); never NULL. */
    const struct policy *policy;
    bool was_default; /* only carried: a name without a port meant this one, and does while the Service's own choice lists nothing */
};

/* An ExternalName has the ports that it names, and no backends but those that are carried. */
enum service_type { SERVICE_CLUSTER_IP, SERVICE_HEADLESS, SERVICE_EXTERNAL_NAME };
const char *service_type_name(enum service_type type); /* "ClusterIP" */

struct service {
    struct str namespace_name;
    struct str name;
    struct str uid;
    enum service_type type;
    struct str external_name; /* of an ExternalName, lower case, without trailing dot; else empty */
    size_t ports_len;
    const struct service_port *ports; /* sorted by number, then name, then appProtocol; TCP only */
    size_t slices_len;
    const struct policy *policy; /* its LookasideService's, a reference; policy_default() where there is none */
    const struct slice **slices; /* in force, and those that carried lists refer to; sorted by name */
    /* Monotonic time at which the oldest object that this version brings was received; for the convergence histogram. */
    uint64_t received_us;
    uint64_t due_us; /* when a zone may be preferred again: the Service is to be made anew then; 0: no zone waits for a time */
};

struct service_spec_port {
    struct str name, app_protocol;
    uint16_t number;
    enum protocol protocol;
};

/* Borrowed during the call. */
struct service_spec {
    struct str namespace_name, name, uid;
    enum service_type type;
    struct str external_name;
    enum address_family prefers; /* ipFamilies[0]; 0: not said, that is IPv4 */
    bool local;                  /* internalTrafficPolicy: Local */
    const struct policy *policy; /* of its LookasideService; NULL: there is none */
    size_t ports_len;
    const struct service_spec_port *ports;
    uint64_t received_us;
    uint64_t now_us; /* monotonic; for ZONE_WAIT_US */
};

#define SERVICE_PORTS_MAX 1000

/* `slices` are borrowed; the service takes its own references on those in force. `before` is the last version (NULL: none), from which
 * endpoints that live on keep their zones. One reference. */
const struct service *service_new(const struct service_spec *spec, const struct slice *const *slices, size_t slices_len,
                                  const struct service *before) must_check;
/* Why a slice is not in force: a static text; NULL: it is. */
const char *service_refuses_slice(const struct service *service, const struct slice *slice);
const struct service *service_ref(const struct service *service);
void service_unref(const struct service *service); /* NULL is fine */

/* Whether that row of a slice holds the port's backends: see enum port_origin. A slice without ports is for any port, of a headless Service. */
bool service_port_takes(const struct service_port *port, enum service_type type, const struct slice *slice, size_t row);
/* The backend with that address among port->all; NULL: it is not there. */
const struct listed *service_port_find(const struct service_port *port, const struct backend *backend);
/* Which of `ports` is that port in another version of the Service: the first that has its number. NULL: none. */
const struct service_port *service_heir(const struct service_port *ports, size_t len, const struct service_port *port);
/* The length of the longest list at that port number; 0 for a service that is NULL. */
size_t service_listed(const struct service *service, uint16_t number);
/* The list of a port of an earlier version would lose its last backend: nothing is listed at its number in `after` (may be NULL). */
bool service_empties(const struct service_port *port, const struct service *after);
/* Whether it is chosen, by its condition, for the lists of the port, whose backend it is: all ready ones; where none is ready, as the policy has it. */
bool service_port_lists(const struct service_port *port, const struct backend *backend);

/* What stays of a port of an earlier version. */
struct service_keep {
    bool stays; /* its endpoints, as they were */
    /* Not NULL: only those that this version of the port listed and the earlier one still does, unless the new one has them as terminating, which
     * is to leave in good order; all else is as the new one has it. Borrowed. */
    const struct service_port *lost;
};

/* `after`, but before->ports[i] stays as keep[i] says, listed as the policy of `after` has it; a port that `after` does not have stays as one
 * that is gone. One reference; independent of both. */
const struct service *service_carry(const struct service *before, const struct service *after, const struct service_keep *keep,
                                    uint64_t now_us) must_check;

/* The same for every client: ports, lists and conditions; not received_us, nor since when a zone waits. */
bool service_equal(const struct service *a, const struct service *b);

/* While a list is carried: where none of the Service's own ports is meant, or one that lists nothing, what the name meant before counts.
 * The port that a name means: by number (of a headless Service else the pods' own number, else as it is given: that is what
 * dns:///greeter:8001 meant), by name, or the only TCP port, else the one named "grpc", else the only one with appProtocol "grpc" or
 * "kubernetes.io/h2c". NULL and a reason (static text, for explain) when there is none. */
const struct service_port *service_find_port(const struct service *service, const struct port_ref *ref, const char **ret_reason);

/* Where a client of an ExternalName is to go, which is service->external_name at *ret_port: any number that it asked for, whatever ports the
 * Service has, else that of the port that the name means (as service_find_port). False and a reason (static text) when no number can be told. */
bool service_external_target(const struct service *service, const struct port_ref *ref, uint16_t *ret_port, const char **ret_reason) must_check;

#endif
