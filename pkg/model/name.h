/*
 * Names that a client may ask for (design section 2), and the names of Clusters and ClusterLoadAssignments.
 *
 *   greeter.shop:8001  greeter.shop:grpc  greeter.shop  greeter.shop.svc[:port]  greeter.shop.svc.<domain>[:port]
 *   greeter[:port]     pod-0.greeter.shop[...]           all with an optional trailing dot, host without regard to case
 *   shop/greeter:8001  shop/greeter/pod-0:8001           Clusters and ClusterLoadAssignments
 *   greeter.example.com[:port]                           a host under one of the suffixes that an administrator allows
 *   /greeter.example.com:8001                            the Cluster of a host while nobody owns it
 *
 * Read in this order: the .svc and cluster-domain forms; hosts, which are never read as Services; labels. Whose a host is, the catalog
 * knows: until name_set_owner() its name has neither namespace nor Service.
 *
 * Pure. Text in the result is borrowed from a struct name's own buffer (lower case), so it is self-contained.
 */
#ifndef MODEL_NAME_H
#define MODEL_NAME_H

#include "base/err.h"
#include "model/service.h"

#define NAME_TEXT_MAX 512 /* a longer name is refused */

/* As what a name was read. */
enum name_form { NAME_ONE_LABEL, NAME_TWO_LABELS, NAME_THREE_LABELS, NAME_SVC, NAME_SVC_DOMAIN, NAME_HOST };

struct name {
    enum name_form form; /* of name_parse(); of a Cluster's name only NAME_HOST */
    struct str namespace_name;
    struct str service;
    struct str hostname; /* of one pod; empty: all */
    struct str host;     /* of NAME_HOST: lower case, without trailing dot */
    struct port_ref port;
    char text[NAME_TEXT_MAX + 1];
};

/* A DNS-1123 label, as the names of namespaces and Services are: lower case, 1 to 63 bytes. */
bool name_is_label(struct str text);
/* How many labels a domain name without a dot at its end has; 0: some is none. */
size_t name_count_labels(struct str text);

struct name_context {
    struct str default_namespace; /* of the client; empty: one-label names are refused */
    struct str cluster_domain;    /* "cluster.local" */
    /* Domains whose names are hosts, lower case, of two or more labels; NULL-terminated; NULL: none. */
    const char *const *host_suffixes;
};

/* That host (lower case) is one of the suffixes, or a name under one of them. */
bool name_is_under(struct str host, const char *const *suffixes);

/* A name as in xds:///NAME, that is a Listener's. INVALID_ARGUMENT says what is wrong with it. DNS-1123 labels and port names. A struct
 * name must not be moved by assignment after parsing: its strings point into itself. */
enum code name_parse(struct str text, const struct name_context *context, struct name *ret_name, struct err *err) must_check;
/* A Cluster's or ClusterLoadAssignment's name: "<namespace>/<service>[/<hostname>]:<port number, or port as asked, or empty>", or "/<host>:"
 * and the port. */
enum code name_parse_cluster(struct str text, struct name *ret_name, struct err *err) must_check;
/* The host of a NAME_HOST is the Service's "<namespace>/<name>" (borrowed); empty: it is nobody's. */
void name_set_owner(struct name *name, struct str owner);

#define NAME_CLUSTER_MAX (NAME_TEXT_MAX + 8) /* room for a Cluster's name */

/* The inverse of name_parse_cluster(), with `number` in place of the asked port when it is not 0. NUL-terminated; out has NAME_CLUSTER_MAX
 * bytes. A host that has an owner is called by its Service. */
void name_format_cluster(const struct name *name, uint16_t number, char *out);
/* The same of a Service, or of one pod of it where `hostname` is not empty. */
void name_format_target(struct str namespace_name, struct str service, struct str hostname, const struct port_ref *port, uint16_t number,
                        char *out);

#endif
