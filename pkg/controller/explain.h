/*
 * Why a list is as it is, for people and programs: the answer behind `lookasidectl explain`.
 *
 * controller_explain() writes, as members of an open JSON object:
 *   target, namespace, service, hostname, port_asked    how the name was read ("" where it does not say)
 *   rule          by which rule the port was found, or `problem`: why it was not
 *   found         whether there is a Service object; type, external_name
 *   port          {number, name, target, app_protocol}
 *   cluster       the name of the Cluster that a Listener of this name leads to
 *   place         {zone, node} asked for; view: "all", "zone", "node" or "local" for each family; blind
 *   hold          {name, until_ms (from now), doubted (objects that a list lacked)}; absent: none
 *   listed, ready, draining, total
 *   slices        [{name, family, source ("EndpointSlice", "Endpoints"), refused (why it is not in force, or absent), ports:
 *                 [{name, number, protocol}], endpoints: [{address, port, pod, node, zone, ready, serving, terminating, zone_hints,
 *                 node_hints, in, reason}]}]
 *   kept          [{address, port, reason}]: published because of a hold, though no slice has them as listed
 *   views         [{view, zone, node, endpoints}]: every distinct list that some place gets
 *
 * `in` tells whether the endpoint is in the list that is published now for that place: it is looked up in that very list, so that it cannot
 * say otherwise. `reason` is one of the texts of explain_reason_text().
 * Pure but for the controller that it reads.
 */
#ifndef CONTROLLER_EXPLAIN_H
#define CONTROLLER_EXPLAIN_H

enum explain_reason {
    EXPLAIN_READY,         /* in */
    EXPLAIN_DRAINING,      /* in: none is ready, it still serves */
    EXPLAIN_JOINED,        /* in: as the other address of the same pod */
    EXPLAIN_KEPT,          /* in: by a hold */
    EXPLAIN_LEFTOVER,      /* its slice belongs to an earlier Service */
    EXPLAIN_NO_SUCH_PORT,  /* its slice has no such TCP port */
    EXPLAIN_DUPLICATE,     /* another slice has it in a newer version */
    EXPLAIN_NOT_READY,
    EXPLAIN_TERMINATING,   /* it shuts down, and others are ready */
    EXPLAIN_STOPPED,       /* it shuts down and serves no more */
    EXPLAIN_OTHER_ZONE,    /* hints give this zone others */
    EXPLAIN_OTHER_NODE,    /* hints give this node others */
    EXPLAIN_NOT_LOCAL,     /* internalTrafficPolicy: Local, and it is on another node */
    EXPLAIN_OTHER_POD,     /* the name means one pod, and it is another */
    EXPLAIN_HELD_BACK,     /* it would be in but for a hold */
    EXPLAIN_WAITING,       /* it will be in within the second: changes are coalesced */
    EXPLAIN_NO_SERVICE,    /* there is no Service object */
    EXPLAIN_NO_PORT,       /* the name means no port of the Service */
    EXPLAIN_REASONS,
};

/* A sentence for people; static text. */
const char *explain_reason_text(enum explain_reason reason);

#endif
