/*
 * Names that a client may ask for (design section 2), and the names of Clusters and ClusterLoadAssignments.
 *
 *   greeter.shop:8001  greeter.shop:grpc  greeter.shop  greeter.shop.svc[:port]  greeter.shop.svc.<domain>[:port]
 *   greeter[:port]     pod-0.greeter.shop[...]           all with an optional trailing dot, host without regard to case
 *   shop/greeter:8001  shop/greeter/pod-0:8001           Clusters and ClusterLoadAssignments
 *
 * Pure. Text in the result is borrowed from a struct name's own buffer (lower case), so it is self-contained.
 */
#ifndef MODEL_NAME_H
#define MODEL_NAME_H

#include "base/err.h"
#include "model/service.h"

#define NAME_TEXT_MAX 512 /* a longer name is refused */

/* As what a name was read. */
enum name_form { NAME_ONE_LABEL, NAME_TWO_LABELS, NAME_THREE_LABELS, NAME_SVC, NAME_SVC_DOMAIN };

struct name {
    enum name_form form; /* of name_parse() */
    struct str namespace_name;
    struct str service;
    struct str hostname; /* of one pod; empty: all */
    struct port_ref port;
    char text[NAME_TEXT_MAX + 1];
};

/* A DNS-1123 label, as the names of namespaces and Services are: lower case, 1 to 63 bytes. */
bool name_is_label(struct str text);

struct name_context {
    struct str default_namespace; /* of the client; empty: one-label names are refused */
    struct str cluster_domain;    /* "cluster.local" */
};

/* A name as in xds:///NAME, that is a Listener's. INVALID_ARGUMENT says what is wrong with it. DNS-1123 labels and port names. A struct
 * name must not be moved by assignment after parsing: its strings point into itself. */
enum code name_parse(struct str text, const struct name_context *context, struct name *ret_name, struct err *err) must_check;
/* A Cluster's or ClusterLoadAssignment's name: "<namespace>/<service>[/<hostname>]:<port number, or port as asked, or empty>". */
enum code name_parse_cluster(struct str text, struct name *ret_name, struct err *err) must_check;
/* The inverse, with `number` in place of the asked port when it is not 0. NUL-terminated; out has NAME_TEXT_MAX + 8 bytes. */
void name_format_cluster(const struct name *name, uint16_t number, char *out);

#endif
