/*
 * Kubernetes objects as JSON → values of the model. Strict about the types of what it reads, blind to the rest.
 *
 * Errors: name the object and the field: "shop/greeter-abc: endpoints[3].addresses: expected an array, found a string".
 * Pure.
 */
#ifndef CONTROLLER_DECODE_H
#define CONTROLLER_DECODE_H

#include "base/json.h"
#include "model/arena.h"
#include "model/pod_table.h"
#include "model/service.h"

#define OBJECT_NAME_MAX 253 /* of an object's name, and of a DNS name: bytes */

/* Borrowed from the JSON. */
struct object_meta {
    struct str namespace_name; /* "default" where the object does not say */
    struct str name;
    struct str uid;
    uint64_t resource_version; /* 0 where there is none */
};

enum code decode_meta(const struct json *object, struct object_meta *ret_meta, struct err *err) must_check;

/* What a Service object says, owning its text. */
struct service_object {
    struct service_spec spec; /* received_us is the store's to fill */
    bool annotated;           /* PUBLISH_ANNOTATION: "true" (controller.h) */
    uint64_t selector;        /* hash of spec.selector, whatever the order of its members; 0: none */
    struct arena arena;
};

enum code decode_service(const struct json *object, const struct object_meta *meta, struct service_object **ret_service,
                         struct err *err) must_check;
struct service_object *service_object_copy(const struct service_object *service) must_check;
void service_object_free(struct service_object *service);
bool service_object_equal(const struct service_object *a, const struct service_object *b);

/* *ret_slice is NULL for a slice whose addresses are names (FQDN): they are no backends.
 *
 * CODE_OK with a message in *err, to be logged: it is taken, but for something that no client could use: hints, or an endpoint whose address
 * nobody can call. An API server lets some of those through (a multicast address, 010.0.0.1, what an older version took), kube-proxy skips
 * them one by one, and to keep the slice as it was for their sake would be to list pods that are gone and to lack new ones. A value of a wrong
 * type no API server can hold: then nothing else of the object is believed either, and it is refused whole. */
enum code decode_slice(const struct json *object, const struct object_meta *meta, const struct slice **ret_slice,
                       struct err *err) must_check;

/* ---- v1 Endpoints, for clusters without slices, and Nodes ---- */

#define ENDPOINTS_SUBSETS_MAX 1000
#define ENDPOINTS_BACKENDS_MAX (SLICE_ENDPOINTS_MAX * SLICE_PORTS_MAX) /* addresses × ports, as one slice may have */

/* Every family of every subset is a slice of the Service that the object is named for; the first is called "<name>", the others "<name>/1",
 * "<name>/2", ...; more than SLICE_ENDPOINTS_MAX addresses are several. Without addresses there are none. The array is the caller's to free
 * with its references. CODE_OK with a message in *err: as of decode_slice(). */
enum code decode_endpoints(const struct json *object, const struct object_meta *meta, const struct slice ***ret_slices, size_t *ret_len,
                           struct err *err) must_check;
/* The API server cut the addresses off. */
bool decode_is_truncated(const struct json *object);

/* What a Node object says. */
struct node_object {
    struct str zone; /* label topology.kubernetes.io/zone; empty: none */
    struct str name;
    char text[];
};

enum code decode_node(const struct json *object, const struct object_meta *meta, struct node_object **ret_node, struct err *err) must_check;
bool node_object_equal(const struct node_object *a, const struct node_object *b);

/* ---- Pods, where clients are known by their addresses ---- */

#define POD_ADDRESSES_MAX 2 /* one of each family, as the API server's own validation has it */

/* What a Pod object says of who calls from its addresses. Borrowed from the JSON. */
struct pod_object {
    struct str account; /* of its namespace */
    size_t len;         /* 0: nobody does that is known: it has none yet, has ended, has no account, or has its node's */
    struct pod_address addresses[POD_ADDRESSES_MAX];
};

/* A pod that is being deleted runs until it has ended, or is gone. */
enum code decode_pod(const struct json *object, const struct object_meta *meta, struct pod_object *ret_pod, struct err *err) must_check;

/* ---- what they share; `path` as in base/json.h ---- */

/* What is left out of an object that is taken otherwise. {0}-initialised. */
struct decode_notes {
    struct err first;
    size_t len;
};

/* Where the next note goes: NULL, for all but the first. */
struct err *decode_note(struct decode_notes *notes);
/* Puts into *err what the notes say of the object, if they say something. */
void decode_tell(const struct decode_notes *notes, const struct object_meta *meta, struct err *err);

/* Room for any path that is made of the names of fields and of indices. */
#define DECODE_PATH_MAX 128
/* "endpoints", 3: "endpoints[3]"; and "endpoints[3]", "hints": "endpoints[3].hints". Made for every item, where printf is too slow. */
void decode_path_item(char out[DECODE_PATH_MAX], const char *base, size_t index);
void decode_path_member(char out[DECODE_PATH_MAX], const char *base, const char *name);

enum code decode_expect_object(const struct json *json, const char *path, struct err *err) must_check;
/* A port's protocol, TCP where it does not say. */
enum code decode_protocol(const struct json *port, const char *path, enum protocol *ret_protocol, struct err *err) must_check;
/* A port of a slice or subset, borrowing; its number is 0 where it does not say. */
enum code decode_backend_port(const struct json *json, const char *path, struct slice_port *ret_port, struct err *err) must_check;
/* The targetRef of an endpoint at `json`: its pod and uid. */
enum code decode_target(const struct json *json, const char *path, struct endpoint *endpoint, struct err *err) must_check;

#endif
