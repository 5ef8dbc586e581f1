/*
 * xDS messages as a client writes and reads them, with protobuf-c's code.
 *
 * Every reader says with sim_fail() what no client would accept: a list without localities' rules, a
 * Listener without a route.
 */
#ifndef SIMULATE_XDS_READ_H
#define SIMULATE_XDS_READ_H

#include "answer.h"
#include "fake_grpc.h"
#include "query.h"

#define XDS_NODE_ID "simulated"
enum { XDS_TEXT = CLUSTER_TEXT };
enum xds_kind { XDS_LDS, XDS_CDS, XDS_EDS, XDS_KINDS };

const char *xds_kind_name(enum xds_kind kind);

struct xds_ask {
    enum xds_kind kind;
    const char *version, *nonce;
    const char *error; /* NULL: none */
    const char **names;
    size_t names_len;
    bool node; /* says who it is, and where */
    const char *agent;
    int zone, at_node;
};

/* As call_send(). */
size_t xds_ask_send(struct call *call, const struct xds_ask *ask);

struct xds_response_read {
    enum xds_kind kind;
    const char *version, *nonce;
    size_t len;
    void *message;
};

bool xds_response_open(struct str bytes, struct xds_response_read *ret_response) must_check;
void xds_response_close(struct xds_response_read *response);
/* The bytes of one resource. */
struct str xds_response_value(const struct xds_response_read *response, size_t index);

bool xds_read_name(enum xds_kind kind, struct str value, char out[XDS_TEXT]) must_check;
/* The Cluster that its route leads to. */
bool xds_read_listener(struct str value, const char *name, char out[XDS_TEXT],
                       const char *who) must_check;
/* Where it looks its one backend up; "": its backends come by EDS. */
bool xds_read_cluster(struct str value, const char *name, char out[XDS_TEXT], unsigned *ret_port,
                      const char *who) must_check;
bool xds_read_assignment(struct str value, const char *name, struct answer *ret_answer,
                         const char *who) must_check;

#endif
