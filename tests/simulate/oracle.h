/*
 * The rules for backends a second time: naive, slow, and without a line of the product's. Of the design,
 * section 2 says which port a name means (oracle_port.c), section 3 which endpoints that port has
 * (oracle_members.c), and which of them a client gets (oracle.c); protection keeps some (oracle_protect.c).
 *
 * Pure. Takes objects as the API server holds them: NULL for a Service that there is none of, and SLICES
 * slices, NULL where there is none.
 */
#ifndef SIMULATE_ORACLE_H
#define SIMULATE_ORACLE_H

#include "answer.h"
#include "query.h"

/* ---- oracle_port.c ---- */

/* NULL: there is no such port, or none that is meant without saying so. */
const struct api_port *oracle_port(const struct api_service *service, const struct query *query);
/* Headless, and without ports: any number may be asked for. */
bool oracle_is_portless(const struct api_service *service);
/* The number of the port that is meant; 0: not known. */
unsigned oracle_number(const struct api_object *service, const struct query *query);
/* The Cluster that a Listener of this name leads to. */
void oracle_cluster(const struct api_object *service, const struct query *query,
                    char out[CLUSTER_TEXT]);
/* The host and port that a client of an ExternalName goes to; "" for other Services. */
void oracle_host(const struct api_object *service, const struct query *query, char out[TEXT],
                 unsigned *ret_port);
/* The numbers that a Service can be asked by; returns how many. */
enum { ORACLE_PORTS_MAX = 8 };
size_t oracle_ports(const struct api_object *service, const struct api_object *const *slices,
                    unsigned out[ORACLE_PORTS_MAX]);

/* Whether a port of the Service has that number, or of a slice with endpoints: else it is taken as it is given. */
bool oracle_names(const struct api_object *service, const struct api_object *const *slices,
                  unsigned number);

/* ---- oracle_members.c ---- */

/* The slice is no leftover of an earlier Service. */
bool oracle_counts(const struct api_object *slice, const struct api_object *service);
/* Whether the slices have that backend at the port, in any condition, and be it one that gives way to another. */
bool oracle_knows(const struct api_object *service, const struct api_object *const *slices,
                  const struct query *query, const struct entry *entry);
/* It shuts down: the slices have it so. */
bool oracle_is_leaving(const struct api_object *service, const struct api_object *const *slices,
                       const struct query *query, const struct entry *entry);

/* ---- oracle.c ---- */

void oracle_list(const struct api_object *service, const struct api_object *const *slices,
                 const struct query *query, struct answer *ret_answer);

/* ---- oracle_protect.c ---- */

struct picture {
    const struct api_object *service;
    const struct api_object *slices[SLICES];
};

/* The list while protection holds: pictures[0] was published when it began, the last is what counts now, and those between were published. */
void oracle_list_protected(const struct picture *const *pictures, size_t len,
                           const struct query *query, struct answer *ret_answer);

#endif
