/*
 * The rules for backends a second time: naive, slow, and without a line of the product's. It reads
 * like section 3 of the design.
 *
 * Pure. Takes objects as the API server holds them.
 */
#ifndef SIMULATE_ORACLE_H
#define SIMULATE_ORACLE_H

#include "cluster.h"

enum { ANSWER_MAX = SLICES * ENDPOINTS_MAX };

/* What a client asks for, and where it is. */
struct query {
    unsigned service; /* a slot */
    enum { BY_DEFAULT, BY_NUMBER, BY_NAME } port;
    unsigned number;
    const char *name;
    int pod;        /* of one StatefulSet pod; -1: all */
    int zone, node; /* of the client; -1: unknown */
    bool native;    /* gets an ExternalName as a backend; others get it as the Cluster's address */
};

struct entry {
    char address[TEXT];
    unsigned port;
    char other[TEXT]; /* the same pod in the other family */
    unsigned other_port;
    char zone[8];
    char pod[8];
    bool draining;
    bool terminating; /* not compared */
};

struct answer {
    size_t len;
    struct entry items[ANSWER_MAX]; /* sorted by address and port */
};

/* NULL for `service`: there is none. `slices` have SLICES entries, NULL where there is none. */
void oracle_list(const struct api_object *service, const struct api_object *const *slices,
                 const struct query *query, struct answer *ret_answer);
/* Whether the slices have that backend at the port, in any condition, and be it one that gives way to another. */
bool oracle_knows(const struct api_object *service, const struct api_object *const *slices,
                  const struct query *query, const struct entry *entry);
/* Whether a port of the Service has that number, or of a slice with endpoints: else it is taken as it is given. */
bool oracle_names(const struct api_object *service, const struct api_object *const *slices,
                  unsigned number);
/* The number of the port that is meant; 0: not known. */
unsigned oracle_number(const struct api_object *service, const struct query *query);
/* The Cluster that a Listener of this name leads to. */
void oracle_cluster(const struct api_object *service, const struct query *query,
                    char out[2 * TEXT]);
/* The host and port that a client of an ExternalName goes to; "" for other Services. */
void oracle_host(const struct api_object *service, const struct query *query, char out[TEXT],
                 unsigned *ret_port);
/* The numbers that a Service can be asked by, as the cluster has it now; returns how many. */
enum { ORACLE_PORTS_MAX = 8 };
size_t oracle_ports(unsigned service, unsigned out[ORACLE_PORTS_MAX]);
/* The same backends; zones aside, which stay as they were when an endpoint was seen first, and what xDS
 * does not say where one of them does not say it. */
bool answer_equal(const struct answer *a, const struct answer *b);
void answer_sort(struct answer *answer);

#endif
