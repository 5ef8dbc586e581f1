#include "shrink.h"

struct shrinking {
    struct schedule *schedule;
    struct result *result;
    size_t runs;
};

/* Takes over `candidate`: it replaces the schedule if it fails. */
static bool try(struct shrinking *shrinking, struct schedule *candidate)
{
    struct result result;

    shrinking->runs--;
    world_run(candidate, false, &result);
    if (!result.failed) {
        schedule_done(candidate);
        return false;
    }
    schedule_done(shrinking->schedule);
    *shrinking->schedule = *candidate;
    *shrinking->result = result;
    return true;
}

static bool try_without(struct shrinking *shrinking, size_t from, size_t len)
{
    struct schedule candidate;

    schedule_copy(shrinking->schedule, &candidate);
    candidate.len -= len;
    memmove(candidate.actions + from, candidate.actions + from + len,
            (candidate.len - from) * sizeof(*candidate.actions));
    return try(shrinking, &candidate);
}

static bool leave_out(struct shrinking *shrinking, size_t len)
{
    size_t from = shrinking->schedule->len;
    bool any = false;

    while (from > 0 && shrinking->runs > 0) {
        size_t piece = min_size(len, from);

        from -= piece;
        any = try_without(shrinking, from, piece) || any;
    }
    return any;
}

static void wait_less(struct shrinking *shrinking)
{
    for (size_t i = 0; i < shrinking->schedule->len && shrinking->runs > 0; i++) {
        struct schedule candidate;

        if (shrinking->schedule->actions[i].delay_us == 0)
            continue;
        schedule_copy(shrinking->schedule, &candidate);
        candidate.actions[i].delay_us = 0;
        (void)try(shrinking, &candidate);
    }
}

void shrink(struct schedule *schedule, size_t runs, struct result *result)
{
    struct shrinking shrinking = {schedule, result, runs};
    size_t piece = schedule->len / 2 + 1;

    while (shrinking.runs > 0) {
        if (leave_out(&shrinking, piece) && piece > 1)
            continue;
        if (piece == 1)
            break;
        piece = (piece + 1) / 2;
    }
    wait_less(&shrinking);
    while (shrinking.runs > 0 && leave_out(&shrinking, 1))
        ;
}
