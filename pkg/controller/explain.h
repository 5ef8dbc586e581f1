/*
 * Why a list is as it is, for people and programs: the answer behind `lookasidectl explain`.
 *
 * controller_explain() writes, as members of an open JSON object:
 *   target, namespace, service, hostname, port_asked    how the name was read ("" where it does not say; of a host that nobody claims)
 *   form          by which rule it was read so: "two labels: Service greeter in namespace shop"
 *   rule          by which rule the port was found, or `problem`: why it was not
 *   summary       the answer in one sentence
 *   found         whether there is a Service object; malformed: its newest version is, and an earlier one counts; type, external_name ("" unless it is an ExternalName)
 *   ports         [{number, name, app_protocol}]: the Service's own that a name could mean
 *   port          {number, name, target, app_protocol, gone, by_place, local (in force), locality ("Service", "None", "PreferZone",
 *                 "PreferNode"), subset (how many of each priority a client gets; 0: all), waiting: [{zone, enough}] (zones that are not
 *                 preferred yet)}; absent: the name means none. Of an ExternalName: {number}
 *   cluster       the name of the Cluster that a Listener of this name leads to
 *   place         {zone, node, group (0: whole lists)} asked for, with the zone of the node where that is known; view: {ipv4, ipv6, group (0: the list
 *                 is not cut)}, the families each "all", "zone", "node", "local", "near-zone" or "near-node"; blind: the Service wants its node's endpoints only, and the place does not say the node
 *   hold          {name, since_ms (ago), until_ms (from now; absent: until another list agrees), doubted (objects that a list lacked), policy (true: not the list is kept, but what
 *                 a LookasideService asked for that was deleted)};
 *                 absent: none
 *   access        {open (everybody sees it), default ("all", "namespace", "none"), given (spec.access), namespaces: [...], serviceAccounts: [...], identifies (something
 *                 tells who clients are), seen (by the account that was asked about, apart from backends; absent: none was)}; absent: there is no Service
 *   resource      the Service's LookasideService as resource_write() has it (controller/resource.h), and in_force: at this port; absent: none
 *   listed        endpoints in the list that this name gets at this place
 *   ready, draining, total    of the port, wherever the client is
 *   slices        [{name, family ("IPv4", "IPv6"), source ("EndpointSlice", "Endpoints"), version, refused (why it is not in force, or
 *                 absent), doubted (a list lacked it), malformed, ports: [{name, number, protocol}], endpoints: [{address, port, pod, hostname, node,
 *                 zone, ready, serving, terminating, zone_hints, node_hints, in, priority (where it is not 0), reason, why}]}], by name; an endpoint once for every port
 *                 of its slice that counts
 *   kept          [{address, port, pod, reason, why}]: in the list, though no slice has them any more
 *   views         [{ipv4, ipv6, zone, node, endpoints, priorities: [endpoints of priority 0, 1, ...]}]: every distinct list that some place gets, that of an unknown place first; at most
 *                 EXPLAIN_VIEWS_MAX, and fewer of a large Service
 *   views_left_out
 *
 * `in` tells whether the endpoint is in the list that is published now for that place: it is looked up in that very list, so that it cannot
 * say otherwise. `reason` is one of explain_reason_name(), `why` its explain_reason_text().
 * Pure but for the controller that it reads.
 */
#ifndef CONTROLLER_EXPLAIN_H
#define CONTROLLER_EXPLAIN_H

#define EXPLAIN_VIEWS_MAX 64

enum explain_reason {
    EXPLAIN_READY,         /* in */
    EXPLAIN_DRAINING,      /* in: none is ready, it still serves */
    EXPLAIN_JOINED,        /* in: as the other address of the same pod */
    EXPLAIN_UNREADY,       /* in: none is ready, and whenNoneReady is All */
    EXPLAIN_BEHIND,        /* in: for when all that are nearer fail */
    EXPLAIN_KEPT,          /* in: by a hold */
    EXPLAIN_PROTECTED,     /* in: by the hold "protection" */
    EXPLAIN_LEAVING,       /* in: the change that takes it out is coalesced with others, within the second */
    EXPLAIN_LEFTOVER,      /* its slice belongs to an earlier Service */
    EXPLAIN_NO_SUCH_PORT,  /* its slice has no such TCP port */
    EXPLAIN_DUPLICATE,     /* the same address and port is in a newer version of a slice */
    EXPLAIN_NOT_READY,
    EXPLAIN_TERMINATING,   /* it shuts down, and others are ready */
    EXPLAIN_STOPPED,       /* it shuts down and serves no more */
    EXPLAIN_OTHER_ZONE,    /* hints give this zone others */
    EXPLAIN_OTHER_NODE,    /* hints give this node others */
    EXPLAIN_NOT_LOCAL,     /* internalTrafficPolicy: Local, and it is on another node */
    EXPLAIN_OTHER_GROUP,   /* the client's group gets others */
    EXPLAIN_NONE_SHOWN,    /* none is ready; it shuts down and still serves, but whenNoneReady is Empty */
    EXPLAIN_OTHER_POD,     /* the name means one pod, and it is another */
    EXPLAIN_HELD_BACK,     /* it would be in but for a hold */
    EXPLAIN_WAITING,       /* it will be in within the second: changes are coalesced */
    EXPLAIN_EXTERNAL,      /* the Service is an ExternalName */
    EXPLAIN_NO_SERVICE,    /* there is no Service object */
    EXPLAIN_NO_PORT,       /* the name means no port of the Service */
    EXPLAIN_REASONS,
};

/* A word for programs, and a sentence for people; static text. */
const char *explain_reason_name(enum explain_reason reason);
const char *explain_reason_text(enum explain_reason reason);

#endif
