/*
 * Backends as a grpc.lb.v1.LoadBalanceResponse with a server_list, which clients walk through in its order, call by call.
 *
 * A backend gets more calls than another by standing there more often. What comes from one share is spread evenly over the list, and so are
 * the zones of a share. Of priorities, which grpclb does not have, only the first that lists somebody is in it. A pod's other address is left
 * out: clients would call it as another pod.
 *
 * Token: the pod's name; where it has none, its address and port. Of what is longer than GRPCLB_TOKEN_MAX, its end; what is no printable
 * ASCII becomes '_'. The same for all entries of a backend.
 *
 * Limits: of lists that are weighted, GRPCLB_ENTRIES_MIN entries or four times the backends, whichever is more; shares are within 1 % of
 *         their weights if that suffices, and whoever has endpoints has at least one entry for each.
 *
 * Pure; equal input gives equal bytes.
 */
#ifndef ENCODE_GRPCLB_H
#define ENCODE_GRPCLB_H

#include "base/blob.h"
#include "model/service.h"

#define GRPCLB_TOKEN_MAX 50
#define GRPCLB_ENTRIES_MIN 2000

/* A part of the calls. */
struct grpclb_share {
    const struct backend_list *list; /* NULL: it lists nobody */
    uint16_t asked_port; /* stands in for backends of port 0 */
    struct str hostname; /* of one pod; empty: all */
    uint32_t weight;     /* beside the other shares; all of a list's backends have the same part of it. 0: it has no entries */
    /* Where it lists nobody, its calls fail: by entries that drop, with this token. Empty: it has no entries then. Not where nobody lists anybody:
     * then the list is empty. */
    struct str drop_token;
};

/* *ret_version is the hash of the bytes; never 0. */
struct blob *encode_grpclb_list(const struct grpclb_share *shares, size_t len, uint64_t *ret_version) must_check;

#endif
