/*
 * What the API server sends, as far as a reflector must understand it: the metadata of an object, a
 * page of a list, a watch event.
 *
 * Owns:   values are borrowed from the tree, which the caller frees.
 * Errors: messages say what is wrong in the JSON, for a log.
 */
#ifndef KUBE_OBJECT_H
#define KUBE_OBJECT_H

#include "base/json.h"

/* Longer ones are refused as malformed; the API server's have 20 and some hundred bytes. */
#define RESOURCE_VERSION_MAX 128
#define CONTINUE_TOKEN_MAX 16384

/* Absent parts, and parts of a wrong type, are empty. */
struct object_meta {
    struct str namespace_name;
    struct str name;
    struct str version; /* resourceVersion */
};

struct object_meta object_meta_read(const struct json *object);

/* A server may not put us to sleep for longer. */
#define RETRY_AFTER_MAX_MS 300000

/* details.retryAfterSeconds of a Status; 0 if it has none. */
uint64_t status_retry_after_ms(const struct json *status);

struct list_page {
    struct str version;
    struct str next;          /* the continue token; empty: this was the last page */
    const struct json *items; /* an array, or NULL for "items": null */
};

/* Refuses what is not a complete list of the API: without kind, resourceVersion or items. */
enum code list_page_parse(struct str text, struct json **ret_tree, struct list_page *ret_page,
                          struct err *err) must_check;

enum watch_event_type { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK, WATCH_ERROR };

struct watch_event {
    enum watch_event_type type;
    const struct json *object; /* a Status for WATCH_ERROR */
    struct object_meta meta;
    bool initial_end; /* WATCH_BOOKMARK: a streamed list is complete */
    uint64_t error_code; /* WATCH_ERROR: like HTTP's */
    uint64_t retry_after_ms;
    struct str error_message;
};

/* Every event but WATCH_ERROR has a resourceVersion. */
enum code watch_event_parse(struct str line, struct json **ret_tree, struct watch_event *ret_event,
                            struct err *err) must_check;

#endif
