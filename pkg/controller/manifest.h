/*
 * The text of a manifest file → the objects in it that Lookaside reads.
 *
 * Taken are v1 Service, v1 Node, discovery.k8s.io/v1 EndpointSlice and lookaside.dev/v1alpha1 LookasideService, alone, in several documents, or as items of a List, ServiceList,
 * NodeList, EndpointSliceList or LookasideServiceList. Other kinds are counted, v1 Endpoints too: beside slices they would name the same pods twice.
 *
 * Errors: a document that is no Kubernetes object with a kind and a name, or has a key twice, makes the whole file malformed; the message
 *         has the line.
 * Limits: documents of other kinds are not kept, so what is held is that of the objects.
 */
#ifndef CONTROLLER_MANIFEST_H
#define CONTROLLER_MANIFEST_H

#include "base/json.h"
#include "controller/controller.h"
#include "controller/stamp.h"

/* Of the objects that are taken. */
extern const enum object_kind manifest_kinds[4];

struct manifest_object {
    enum object_kind kind;
    char *key;               /* "Service shop/greeter" */
    const struct json *json; /* borrowed from the manifest */
    size_t line;             /* of its document */
};

struct manifest {
    struct json **documents;
    size_t documents_len, documents_cap;
    struct manifest_object *objects;
    size_t len, cap;
    char **ignored; /* "apps/v1 Deployment", each once */
    size_t ignored_len, ignored_cap;
    size_t ignored_objects;
};

#define MANIFEST_BYTES_MAX (64 << 20)
#define MANIFEST_OBJECTS_MAX 100000
#define MANIFEST_IGNORED_MAX 64

/* `is_json`: one JSON document, else YAML. The caller calls manifest_done() in any case; {0}-initialised. */
enum code manifest_parse(struct str text, bool is_json, struct manifest *manifest, struct err *err) must_check;
/* The same for a file in the folder `dir`. NOT_FOUND: it does not exist. ABORTED: before the read or after it the file was not, or not any
 * more, as `stamp` says. */
enum code manifest_read(int dir, const char *name, const struct stamp *stamp, struct manifest *manifest, struct err *err) must_check;
/* Reads to the end of `fd`, whatever it is; a text that begins with { and is not named .yaml or .yml is JSON, too. */
enum code manifest_read_stream(int fd, const char *name, struct manifest *manifest, struct err *err) must_check;
/* Objects that do not name a namespace get this one in place of "default", as with kubectl -n. */
void manifest_set_namespace(struct manifest *manifest, struct str namespace_name);
void manifest_done(struct manifest *manifest);

/* For the sink's remove: an object with no more than this key's namespace and name. The caller frees it. */
struct json *manifest_tombstone(const char *key) must_check;
enum object_kind manifest_key_kind(const char *key);
/* Of one of manifest_kinds: "v1", "Service". */
const char *manifest_api(enum object_kind kind);
const char *manifest_kind_name(enum object_kind kind);

#endif
