/*
 * Which kinds of clients have refused a Service's policy.
 *
 * One client may be broken; when two different ones of a kind (user agent and version) refuse the same policy, the kind does: the policy is
 * published with it in refused_by, so that others of that kind get the plain form from the start. Every version of a policy (uid and
 * generation; in a directory, what it asks for) begins without refusals, and what was refused is forgotten when it is no longer in force.
 *
 * Threads: the control loop.
 * Limits:  REFUSAL_KINDS_MAX kinds and REFUSAL_PEERS_MAX clients of each; later ones are not counted.
 */
#ifndef CONTROLLER_REFUSAL_H
#define CONTROLLER_REFUSAL_H

#include "controller/controller.h"
#include "model/refusal.h"

#define REFUSAL_KINDS_MAX 16
#define REFUSAL_PEERS_MAX 64
#define REFUSAL_PEERS_ENOUGH 2 /* so many make it their kind's */
#define REFUSAL_MESSAGE_MAX 256 /* its end: clients say where first, and what at last */

struct refusals; /* NULL: none */

/* Of one kind of client; text is borrowed during the visit. */
struct refusal_info {
    const char *agent;   /* "gRPC Go 1.85.0" */
    const char *message; /* in the words of the first that refused */
    size_t peers;        /* how many did */
    bool plain;          /* they are enough: all clients of that kind begin with the plain form */
};

void refusals_free(struct refusals *refusals);
/* `policy` is in force now; NULL: none is. */
void refusals_keep(struct refusals **refusals, const struct policy *policy);
/* Of a policy that is in force. True: the policy has to be published again. */
bool refusals_add(struct refusals **refusals, const struct refusal *refusal);
/* `policy` with the kinds that refuse it: one reference. */
const struct policy *refusals_policy(const struct refusals *refusals, const struct policy *policy) must_check;
/* Those of `policy`, in no order; text is borrowed. */
void refusals_each(const struct refusals *refusals, const struct policy *policy,
                   void (*visit)(void *ctx, const struct refusal_info *info), void *ctx);

#endif
