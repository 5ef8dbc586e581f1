/*
 * What a name stands for in a catalog: its Service, its port, and the bytes that say so to clients with a certain view.
 *
 * Pure; equal input gives equal bytes. Everything inside lives as long as the catalog and the name's text.
 */
#ifndef SERVE_MEANING_H
#define SERVE_MEANING_H

#include "base/blob.h"
#include "model/catalog.h"
#include "model/client.h"
#include "model/route.h"
#include "model/view.h"
#include "serve/topic.h"

struct meaning {
    enum topic_kind kind;
    struct str text; /* the name as the client spelled it */
    bool plain; /* without what a client can refuse of a policy */
    unsigned faults; /* of a Cluster: those of the clients that it is for */
    struct name name;
    const struct service *service;   /* NULL: there is none */
    const struct service_port *port; /* NULL: the name means none, or the Service is an ExternalName */
    uint16_t number;                 /* that the names of resources carry; 0: as asked */
    const char *problem;             /* why every list is empty; a static text or NULL */
    const struct policy *policy;     /* in force there, plain or not; never NULL */
    struct route route;              /* of a Listener */
};

/* A name of that kind as its client means it, xdstp or not. INVALID_ARGUMENT says what is wrong with it. */
enum code meaning_parse(enum topic_kind kind, struct str text, const struct name_context *context, struct name *ret_name,
                        struct err *err) must_check;
/* `name`, `kind`, `text`, `plain` and `faults` are set: fills in the rest. */
void meaning_find(struct meaning *meaning, const struct catalog *catalog);
/* Whether what the name stands for depends on the client's place. */
bool meaning_by_place(const struct meaning *meaning);
/* The resource: one reference. *ret_problem is why its list is empty, or NULL; version is never 0. */
struct blob *meaning_encode(const struct meaning *meaning, const struct view *view, uint64_t *ret_version,
                            const char **ret_problem) must_check;
/* The Cluster of that name of a Service's port, with what a policy says of it. */
struct blob *meaning_encode_cluster(const struct service *service, struct str name, uint16_t number, const struct policy *policy) must_check;

#endif
