/*
 * What a name stands for in a catalog: its Service, its port, and the bytes that say so to clients with a certain view.
 *
 * Pure; equal input gives equal bytes. Everything inside lives as long as the catalog and the name's text.
 */
#ifndef SERVE_MEANING_H
#define SERVE_MEANING_H

#include "base/blob.h"
#include "model/access.h"
#include "model/catalog.h"
#include "model/client.h"
#include "model/route.h"
#include "model/view.h"
#include "serve/topic.h"

struct meaning {
    enum topic_kind kind;
    struct str text; /* the name as the client spelled it */
    bool reports_load; /* of a Cluster: its clients do */
    bool plain; /* without what a client can refuse of a policy */
    bool names_missing; /* of a route: struct route's */
    unsigned faults; /* of a route or Cluster: those of the clients that it is for */
    struct name name;
    const struct service *service;   /* NULL: there is none */
    const struct service_port *port; /* NULL: the name means none, or the Service is an ExternalName */
    uint16_t number;                 /* that the names of resources carry; 0: as asked */
    const char *problem;             /* why every list is empty; a static text or NULL */
    const struct policy *policy;     /* in force there, plain or not; never NULL */
    struct route route;              /* where meaning_has_route() */
};

/* A name of that kind as its client means it, xdstp or not. INVALID_ARGUMENT says what is wrong with it. */
enum code meaning_parse(enum topic_kind kind, struct str text, const struct name_context *context, struct name *ret_name,
                        struct err *err) must_check;
/* `name`, `kind`, `text`, `reports_load`, `plain` and `faults` are set: fills in the rest, as somebody sees it. */
void meaning_find(struct meaning *meaning, const struct sight *sight);
/* Of what it depends on, what that caller may not see: bits, equal for those for whom it is the same. 0: it may see all. `meaning` is that of
 * somebody who sees all. */
uint64_t meaning_hidden(const struct meaning *meaning, enum default_access otherwise, const struct caller *caller);
/* Something that it depends on is not for everybody. */
bool meaning_is_restricted(const struct meaning *meaning, enum default_access otherwise);
/* The kinds that say where the calls go that dial the name. */
static inline bool meaning_has_route(enum topic_kind kind)
{
    return topic_is_route(kind) || kind == TOPIC_GRPCLB;
}
/* Whether what the name stands for depends on the client's place. */
bool meaning_by_place(const struct meaning *meaning);
/* The resource: one reference; NULL: there is none (of grpclb lists only). *ret_problem is why its list is empty, or NULL; version is never 0. */
struct blob *meaning_encode(const struct meaning *meaning, const struct view *view, uint64_t *ret_version,
                            const char **ret_problem) must_check;
/* The version of a resource that is told apart by its bytes. */
uint64_t meaning_hash(const struct blob *blob);
/* Whether what such a view gets needs not be encoded to be told apart: meaning_version() is its version then, not meaning_encode()'s. */
bool meaning_is_told_apart(const struct meaning *meaning, const struct view *view);
/* `whole`: the version of VIEW_ALL. */
uint64_t meaning_version(const struct meaning *meaning, const struct view *view, uint64_t whole);
/* The Cluster of that name of a Service's port, with what a policy says of it. */
struct blob *meaning_encode_cluster(const struct service *service, struct str name, uint16_t number, const struct policy *policy,
                                    bool reports_load) must_check;

/* Why that list of it is empty; a static text. NULL: it is not. */
const char *meaning_why_empty(const struct meaning *meaning, const struct backend_list *list);

/* ---- grpclb lists (meaning_grpclb.c) ---- */

/* The calls go to the backends of a policy, by weight. Then the list is the same for everybody, as routes are. */
bool meaning_splits(const struct meaning *meaning);
/* As meaning_encode(). NULL: the name means no Service, or no port of it, or no addresses (an ExternalName). */
struct blob *meaning_encode_grpclb(const struct meaning *meaning, const struct view *view, uint64_t *ret_version,
                                   const char **ret_problem) must_check;

#endif
