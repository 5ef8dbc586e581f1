/*
 * Holds: when a port's last list stays published although a newer one is known, by what name, and for how long at most.
 *
 *   deletion        the Service object is gone (`kubectl replace --force` deletes and creates): the deletion grace
 *   service-change  a Service's own change (another port name, selector or UID) would empty a list until its slices follow: 2 s
 *
 * Both only keep a list from becoming empty; whatever fills it again, and what happens at other ports, goes out at once. Bounds count from
 * the first hold of a kind: a Service that is deleted, created and changed without end keeps a list for deletion grace + 2 s.
 * Pure.
 */
#ifndef CONTROLLER_HOLD_H
#define CONTROLLER_HOLD_H

#include "model/service.h"

#define HOLD_SERVICE_CHANGE_US (2 * 1000 * 1000)

enum hold { HOLD_NONE, HOLD_DELETION, HOLD_SERVICE_CHANGE, HOLD_KINDS };

const char *hold_name(enum hold hold);

/* Since when the lists of one Service are kept without a break, by hold; 0: not at all. {0}-initialised. A further change does not begin
 * anew, so that Services that keep changing cannot renew a hold. */
struct hold_state {
    uint64_t since_us[HOLD_KINDS];
};

struct hold_input {
    uint64_t changed_us; /* when the Service object changed or went last; 0: it never did */
    uint64_t deletion_grace_us;
    uint64_t now_us;
};

/* What publishing `after` (NULL: the Service is gone) in place of `before` has to wait for, of those lists that it would empty; everything
 * else goes out (service_carry). *ret_until_us is set unless the answer is HOLD_NONE. */
enum hold hold_judge(struct hold_state *state, const struct service *before, const struct service *after,
                     const struct hold_input *input, uint64_t *ret_until_us) must_check;

#endif
