/*
 * Holds: when a port's last list stays published although a newer one is known, by what name, and for how long at most.
 *
 *   settle          listed endpoints that were not terminating vanish, that is no slice in force has them any more in any condition: they may
 *                   be on their way from one slice to another: 10 ms, or 100 ms if the list would become empty
 *   service-change  a Service's own change (another port name, selector, type or UID) would empty a list until its slices follow: 2 s
 *   deletion        the Service object is gone (`kubectl replace --force` deletes and creates): the deletion grace; all of it stays
 *   protection      where the Service's policy asks for it: listed endpoints that were not terminating vanish or are not ready any more, so many
 *                   in one step that fewer than protection_percent would be left, with those that are new, and those that shut down in good
 *                   order counted as left: protection_us. Of what was listed when it began, all stays but what shuts down in good order; what is
 *                   ready is listed besides; of a port that is gone, or an ExternalName's, all stays. What was listed because nobody was
 *                   ready is not missed once somebody is
 *   relist          not a port's but an object's: controller/doubt.h
 *   announce        not a list's but a route's: controller/announce.h
 *
 * Everything else goes out at once, of the same Service too. In a headless Service a number that pods name for the first time is another port
 * than what was taken as given before: what it lists counts at once. Bounds count from the first hold of a kind at a port: a Service that is
 * deleted, created and changed without end keeps a list for deletion grace + 2 s. What an ExternalName means counts as a list.
 * Pure.
 */
#ifndef CONTROLLER_HOLD_H
#define CONTROLLER_HOLD_H

#include "model/service.h"

#define HOLD_SETTLE_US (10 * 1000)
#define HOLD_SETTLE_EMPTY_US (100 * 1000)
#define HOLD_SERVICE_CHANGE_US (2 * 1000 * 1000)
/* Ports that a Service no longer has and whose lists are kept, at a time; the lists of more go at once. */
#define HOLD_GONE_PORTS_MAX SERVICE_PORTS_MAX

/* By how long they last. */
enum hold { HOLD_NONE, HOLD_SETTLE, HOLD_ANNOUNCE, HOLD_SERVICE_CHANGE, HOLD_DELETION, HOLD_PROTECTION, HOLD_RELIST, HOLD_KINDS };

const char *hold_name(enum hold hold);

/* Since when a list is kept without a break, and for what; 0: not for that. A further change does not begin anew, so that Services that keep
 * changing cannot renew a hold. */
struct hold_since {
    uint16_t number;                     /* of the port */
    uint64_t settle_us, settle_empty_us; /* some of it, all of it */
    uint64_t changed_us, deleted_us;
    uint64_t protected_us;
    const struct service *protected; /* what was published when that began, a reference; NULL: it has not */
};

/* Of one Service. {0}-initialised. */
struct hold_state {
    struct hold_since whole; /* of the Service as a whole */
    struct hold_since *ports;
    size_t ports_len;
};

void hold_state_done(struct hold_state *state); /* {0} again */

struct hold_input {
    uint64_t changed_us; /* when the Service object changed or went last; 0: it never did */
    uint64_t touched_us; /* when the newest change came in of all that concerns the Service */
    uint64_t deletion_grace_us;
    uint64_t now_us;
};

/* What has to wait, of publishing one version in place of another. */
struct hold_verdict {
    enum hold hold; /* of those in force the one that ends last; HOLD_NONE: nothing waits */
    uint64_t since_us, until_us;
    uint64_t next_us; /* when the first one ends: to be judged again */
    bool saves;       /* a list would be empty without it */
    bool whole;       /* all of the earlier version stays */
    /* What stays of which port, by index in the earlier version; unless whole. Refers to the hold_state, until that is judged again. */
    struct service_keep *keep;
};

/* Publishing `after` (NULL: the Service is gone) in place of `before` (NULL: nothing is published). hold_verdict_done() afterwards. */
void hold_judge(struct hold_state *state, const struct service *before, const struct service *after, const struct hold_input *input,
                struct hold_verdict *ret_verdict);
void hold_verdict_done(struct hold_verdict *verdict);

#endif
