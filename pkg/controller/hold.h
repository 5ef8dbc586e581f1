/*
 * Holds: when the last list stays published although a newer one is known, by what name, and for how long at most.
 *
 *   deletion        the Service object is gone (`kubectl replace --force` deletes and creates): the deletion grace
 *   service-change  a Service's own change (another port name, selector or UID) would empty a list until its slices follow: 2 s
 *
 * Both only keep a list from becoming empty; whatever fills it again goes out at once.
 * Pure.
 */
#ifndef CONTROLLER_HOLD_H
#define CONTROLLER_HOLD_H

#include "model/service.h"

#define HOLD_SERVICE_CHANGE_US (2 * 1000 * 1000)

enum hold { HOLD_NONE, HOLD_DELETION, HOLD_SERVICE_CHANGE, HOLD_KINDS };

const char *hold_name(enum hold hold);

/* What publishing `after` (NULL: the Service is gone) in place of `before` has to wait for; `changed_us` is when the Service object changed or
 * went last, 0: it never did. *ret_until_us is set unless the answer is HOLD_NONE. */
enum hold hold_judge(const struct service *before, const struct service *after, uint64_t changed_us,
                     uint64_t deletion_grace_us, uint64_t now_us, uint64_t *ret_until_us) must_check;

#endif
