/*
 * Who may see a Service: as its policy says (LookasideService.spec.access, for the whole Service whatever port the policy is of), else as
 * the default is. Who may not sees a catalog without it.
 *
 * Pure.
 */
#ifndef MODEL_ACCESS_H
#define MODEL_ACCESS_H

#include "model/catalog.h"

/* Without spec.access: everybody; who is of its namespace; nobody. */
enum default_access { ACCESS_ALL, ACCESS_NAMESPACE, ACCESS_NONE };

const char *default_access_name(enum default_access access); /* "namespace" */

/* A service account, as is proven of a client; empty: nobody that is known. */
struct caller {
    struct str namespace_name, account;
};

/* Everybody may see it. */
bool access_is_open(const struct service *service, enum default_access otherwise);
bool access_allows(const struct service *service, enum default_access otherwise, const struct caller *caller);

/* A catalog as somebody sees it. */
struct sight {
    const struct catalog *catalog;
    enum default_access otherwise;
    const struct caller *caller; /* NULL: who sees all */
};

/* As catalog_find(); NULL also where it is hidden. */
const struct service *sight_find(const struct sight *sight, struct str namespace_name, struct str name);

#endif
