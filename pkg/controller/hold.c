#include "controller/hold.h"

const char *hold_name(enum hold hold)
{
    static const char *const names[HOLD_KINDS] = {
        [HOLD_NONE] = "",
        [HOLD_DELETION] = "deletion",
        [HOLD_SERVICE_CHANGE] = "service-change",
    };

    return names[hold];
}

enum hold hold_judge(struct hold_state *state, const struct service *before,
                     const struct service *after, const struct hold_input *input,
                     uint64_t *ret_until_us)
{
    enum hold hold = after ? HOLD_SERVICE_CHANGE : HOLD_DELETION;
    uint64_t until_us;

    if (input->changed_us == 0 || !service_empties(before, after)) {
        *state = (struct hold_state){{0}};
        return HOLD_NONE;
    }
    if (state->since_us[hold] == 0)
        state->since_us[hold] = input->changed_us;
    until_us = state->since_us[hold] + (after ? HOLD_SERVICE_CHANGE_US : input->deletion_grace_us);
    if (input->now_us >= until_us) {
        *state = (struct hold_state){{0}};
        return HOLD_NONE;
    }
    *ret_until_us = until_us;
    return hold;
}
