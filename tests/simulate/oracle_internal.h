/* What the files of the oracle share: the endpoints that a port has, before anybody chooses. */
#ifndef SIMULATE_ORACLE_INTERNAL_H
#define SIMULATE_ORACLE_INTERNAL_H

#include "model/policy.h"
#include "oracle.h"

/* An endpoint of a slice, at one port. */
struct candidate {
    const struct api_object *slice;
    const struct api_endpoint *endpoint;
    int family;
    unsigned port;
    bool given; /* by the client or the Service: the slice leaves it open */
    bool out;   /* not for this client */
};

struct candidates {
    bool raw; /* with duplicates */
    size_t len;
    struct candidate items[ANSWER_MAX];
};

/* Those of all slices in force at the port that is meant; each once, unless `all` is to be raw. */
void oracle_collect(struct candidates *all, const struct api_object *service,
                    const struct api_object *const *slices, const struct query *query);

bool oracle_is_ready(const struct candidate *candidate);
/* Those that their conditions keep out become so. */
void oracle_keep_serving(struct candidates *all, enum none_ready none_ready);
/* Of all endpoints of the port the list of that client. */
void oracle_choose(struct candidates *all, const struct api_service *service,
                   const struct query *query, struct answer *ret_answer);

#endif
