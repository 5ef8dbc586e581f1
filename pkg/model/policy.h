/*
 * What a LookasideService (lookaside.dev/v1alpha1) asks for the Service of its name: how clients find it, share out their calls, and what
 * happens when backends fail. Immutable and reference-counted.
 *
 * Who reads what: the fields of a route (backends, hash header, max_call_us, retry) come from the policy of the Service that a client
 * dials; those of a Cluster and its list (lb, locality, subset_size, none_ready, circuit breaker, outlier detection, protection) from that
 * of the Service that the backends belong to; access from that of the Service that is to be seen, whatever its port. A resource with a port is in force at that port only: model/service.h puts it there.
 *
 * Every field has the default that a Service without a resource gets: policy_default(). Bounds are the schema's (crds/), checked when a
 * resource is decoded (controller/decode_policy.h); whoever reads a policy may rely on them.
 *
 * Threads: after policy_new() any thread; ref and unref from any thread.
 */
#ifndef MODEL_POLICY_H
#define MODEL_POLICY_H

#include "base/str.h"

#define POLICY_HOSTS_MAX 16
#define POLICY_BACKENDS_MAX 16
#define POLICY_ACCESS_MAX 64
#define POLICY_WEIGHT_MAX 1000000
#define POLICY_SUBSET_MAX 1000
#define POLICY_RING_MAX 8388608
#define POLICY_ZONE_MINIMUM_MAX 1000

/* How a port is named: by a client, or in a resource. */
enum port_kind { PORT_NONE, PORT_NUMBER, PORT_NAME };

struct port_ref {
    enum port_kind kind;
    uint16_t number;
    struct str name;
};

/* A share of the calls: a Service of the same namespace. */
struct policy_backend {
    struct str service;
    struct port_ref port; /* PORT_NONE: the port that was dialled, by number, where that Service has it, else its default port */
    uint32_t weight;      /* 0: no calls, but clients connect to it */
    bool fail_when_empty; /* its share fails where it has no endpoints; else the others take it over */
};

enum lb_policy { LB_ROUND_ROBIN, LB_WEIGHTED_ROUND_ROBIN, LB_LEAST_REQUEST, LB_RING_HASH, LB_PICK_FIRST, LB_POLICIES };

/* SERVICE: by the Service's own fields (model/view.h). OFF: everybody gets everything, whatever hints and internalTrafficPolicy say. PREFER_ZONE,
 * PREFER_NODE: those near the client first, the others behind them for when these fail. */
enum locality_mode { LOCALITY_SERVICE, LOCALITY_NONE, LOCALITY_PREFER_ZONE, LOCALITY_PREFER_NODE, LOCALITY_MODES };

/* What a list has when no endpoint is ready: those that shut down and still serve; nothing; every endpoint, whatever its condition. */
enum none_ready { NONE_READY_SERVING_TERMINATING, NONE_READY_EMPTY, NONE_READY_ALL, NONE_READY_KINDS };

/* Statuses of calls that are retried: bits. */
enum retry_on {
    RETRY_CANCELLED = 1,
    RETRY_DEADLINE_EXCEEDED = 2,
    RETRY_INTERNAL = 4,
    RETRY_RESOURCE_EXHAUSTED = 8,
    RETRY_UNAVAILABLE = 16,
};

/* Shared by the two ways of ejecting an endpoint that fails. */
struct policy_ejection {
    bool enabled;
    uint32_t threshold;       /* failurePercentage: percent of calls; successRate: standard deviations below the mean × 1000 */
    uint32_t minimum_hosts;   /* with at least request_volume calls in an interval */
    uint32_t request_volume;
};

struct policy_texts {
    size_t len;
    const struct str *items; /* sorted */
};

struct policy {
    struct str namespace_name, name; /* the resource's, and its Service's */
    struct str uid;
    uint64_t generation; /* 0 where the source has none */
    struct port_ref port; /* PORT_NONE: every port of the Service */

    size_t hosts_len;
    const struct str *hosts; /* lower case, without trailing dot, sorted */
    size_t backends_len;     /* 0: the Service itself */
    const struct policy_backend *backends;
    /* Clients are told of these, too, but no calls go there yet (controller/announce.h). */
    size_t announced_len;
    const struct policy_backend *announced;

    enum lb_policy lb;
    struct str hash_header; /* of LB_RING_HASH, lower case; empty: one place on the ring for every channel */
    uint32_t minimum_ring_size;
    enum locality_mode locality;
    uint32_t minimum_per_zone; /* ready endpoints without which a zone (PREFER_ZONE) is not preferred */
    uint32_t subset_size;      /* 0: a client gets all */
    enum none_ready none_ready;

    uint32_t protection_percent; /* 0: off. Of a list's endpoints, when fewer than so many would be left at once, */
    uint64_t protection_us;      /* those that it has stay for so long */

    uint64_t max_call_us;    /* 0: no bound */
    uint32_t retry_attempts; /* with the first; 0: no retries */
    unsigned retry_on;       /* enum retry_on */
    uint64_t retry_base_us, retry_max_us;
    uint32_t max_requests; /* at a time, to all backends together; 0: no bound */

    struct policy_ejection failure_percentage, success_rate;
    uint64_t outlier_interval_us, base_ejection_us, max_ejection_us;
    uint32_t max_ejection_percent;

    /* Who may see the Service: accounts of these namespaces, and these ("namespace/name"); if not given: the default (model/access.h). */
    bool access_given;
    bool partial;      /* the resource was never accepted: only its access is in force */
    bool access_fault; /* which cannot be read: nobody may see the Service */
    struct policy_texts access_namespaces, access_accounts;

    /* Kinds of clients that have refused this generation ("gRPC Go 1.85.0"): they get the plain form. Sorted. */
    size_t refused_by_len;
    const struct str *refused_by;
};

/* The policy of a Service without a resource; static. */
const struct policy *policy_default(void);
/* One reference; copies all that `fields` refers to. */
const struct policy *policy_new(const struct policy *fields) must_check;
const struct policy *policy_ref(const struct policy *policy); /* of the default too */
void policy_unref(const struct policy *policy);               /* NULL is fine */
/* The same for every client: all but generation and uid. */
bool policy_equal(const struct policy *a, const struct policy *b);
/* The same but for refused_by, announced, generation and uid. */
bool policy_same_spec(const struct policy *a, const struct policy *b);
/* Whether that kind of client ("<user agent> <version>") has refused it. */
bool policy_is_refused_by(const struct policy *policy, struct str agent);
bool port_ref_equal(const struct port_ref *a, const struct port_ref *b);
/* Some of them get calls; else the Service itself does. */
bool policy_splits(const struct policy_backend *backends, size_t len);

bool policy_is_port(const struct port_ref *ref, struct str name, uint16_t number);
/* As the resource has them: "RoundRobin", "PreferZone", "Empty". */
const char *lb_policy_name(enum lb_policy lb);
const char *locality_mode_name(enum locality_mode mode);
const char *none_ready_name(enum none_ready none_ready);

#endif
