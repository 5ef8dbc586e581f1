/*
 * How a service is made, between the files that make one: service.c and service_carry.c.
 */
#ifndef MODEL_SERVICE_BOX_H
#define MODEL_SERVICE_BOX_H

#include <stdatomic.h>

#include "model/arena.h"
#include "model/service.h"

struct service_box {
    struct service service;
    atomic_uint refs;
    struct arena arena;
};

static inline struct service_box *service_box_of(const struct service *service)
{
    return container_of(service, struct service_box, service);
}

/* What is in force at a port with its name and number set. */
const struct policy *service_policy_at(const struct service *service, const struct service_port *port);
/* Lists what is in port->all, as the port's policy has it, and what clients at different places get of it. `before` is the port in the
 * version before (NULL: there is none). */
void service_list_port(struct service_port *port, const struct service_port *before, uint64_t now_us, struct arena *arena);
/* service->due_us, of its ports. */
uint64_t service_due(const struct service *service);

/* For qsort. */
int service_cmp_slice_name(const void *a, const void *b); /* of const struct slice * */
int service_cmp_port(const void *a, const void *b);       /* of struct service_port: by number, then name */

#endif
