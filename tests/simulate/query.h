/* What a client asks for, and from where; and the names of Clusters, which say the first. */
#ifndef SIMULATE_QUERY_H
#define SIMULATE_QUERY_H

#include "cluster.h"

struct query {
    unsigned service; /* a slot */
    enum { BY_DEFAULT, BY_NUMBER, BY_NAME } port;
    unsigned number;
    const char *name;
    int pod;        /* of one StatefulSet pod; -1: all */
    int zone, node; /* of the client; -1: unknown */
    unsigned group; /* of the client; 0: gets lists whole */
    bool native;    /* gets an ExternalName as a backend; others get it as the Cluster's address */
};

enum { CLUSTER_TEXT = 2 * TEXT };

/* "shop/greeter/pod-1:8001"; with 0 for the number, the port is as it was asked for. */
void query_to_cluster(const struct query *query, unsigned number, char out[CLUSTER_TEXT]);
/* From nowhere; its `name` is a part of `text`. False: it is no Cluster's. */
bool query_from_cluster(const char *text, struct query *ret_query) must_check;

#endif
