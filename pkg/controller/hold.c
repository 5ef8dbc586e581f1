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

static size_t listed_at(const struct service *service, uint16_t number)
{
    size_t most = 0;

    for (size_t i = 0; service && i < service->ports_len; i++) {
        if (service->ports[i].number == number && service->ports[i].list.len > most)
            most = service->ports[i].list.len;
    }
    return most;
}

/* Some list that clients may hold would lose its last endpoint. */
static bool empties_a_list(const struct service *before, const struct service *after)
{
    for (size_t i = 0; before && i < before->ports_len; i++) {
        if (before->ports[i].list.len > 0 && listed_at(after, before->ports[i].number) == 0)
            return true;
    }
    return false;
}

enum hold hold_judge(const struct service *before, const struct service *after, uint64_t changed_us,
                     uint64_t deletion_grace_us, uint64_t now_us, uint64_t *ret_until_us)
{
    uint64_t until_us = changed_us + (after ? HOLD_SERVICE_CHANGE_US : deletion_grace_us);

    if (changed_us == 0 || now_us >= until_us || !empties_a_list(before, after))
        return HOLD_NONE;
    *ret_until_us = until_us;
    return after ? HOLD_SERVICE_CHANGE : HOLD_DELETION;
}
