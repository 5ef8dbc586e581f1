#include "controller/shares.h"

#include <math.h>

/* All numbers of a round. */
struct round {
    double mean;
    double farthest; /* from the mean */
    double gap;      /* all surpluses together */
    uint64_t set;
};

static uint64_t streams_of(const struct share *share)
{
    return min_u64(share->streams, SHARES_STREAMS_MAX);
}

static struct round look(const struct share *all, size_t len)
{
    struct round round = {0};
    uint64_t total = 0;

    for (size_t i = 0; i < len; i++) {
        total += streams_of(&all[i]);
        round.set += all[i].replica * UINT64_C(0x9e3779b97f4a7c15); /* the order does not matter */
    }
    round.mean = (double)total / (double)len;
    for (size_t i = 0; i < len; i++) {
        double over = (double)streams_of(&all[i]) - round.mean;

        round.farthest = fmax(round.farthest, fabs(over));
        round.gap += fmax(over, 0);
    }
    return round;
}

static bool is_even(const struct round *round)
{
    return round->farthest <= fmax(round->mean * SHARES_END_PERCENT / 100, 1);
}

static bool is_beyond_chance(const struct round *round)
{
    double chance = fmin(SHARES_CHANCE * sqrt(round->mean), round->mean / 2);

    return round->farthest > fmax(round->mean * SHARES_BEGIN_PERCENT / 100, chance);
}

static void begin(struct shares *shares, const struct round *round)
{
    shares->state = SHARES_MOVING;
    shares->gap = (uint64_t)ceil(round->gap);
    shares->patience = SHARES_PATIENCE;
}

static void judge_progress(struct shares *shares, const struct round *round)
{
    if (round->gap * 5 <= (double)shares->gap * 4)
        begin(shares, round);
    else if (--shares->patience == 0)
        shares->state = SHARES_GIVEN_UP;
}

static void judge_uneven(struct shares *shares, const struct round *round, bool same)
{
    if (shares->state == SHARES_MOVING && same)
        judge_progress(shares, round);
    else if (!same || (shares->state == SHARES_EVEN && is_beyond_chance(round)))
        begin(shares, round);
}

static void judge(struct shares *shares, const struct round *round)
{
    bool same = shares->set == round->set;

    shares->set = round->set;
    shares->calm = is_even(round) ? shares->calm + 1 : 0;
    if (shares->calm == 0)
        judge_uneven(shares, round, same);
    else if (shares->calm >= SHARES_CALM)
        shares->state = SHARES_EVEN;
}

static uint64_t own_streams(const struct share *all, size_t len, uint64_t own)
{
    for (size_t i = 0; i < len; i++)
        if (all[i].replica == own)
            return streams_of(&all[i]);
    return 0;
}

struct shares_step shares_next(struct shares *shares, const struct share *all, size_t len,
                               uint64_t own)
{
    struct shares_step step = {0};
    struct round round;
    uint64_t streams = own_streams(all, len, own);

    if (len == 0)
        return step;
    round = look(all, len);
    judge(shares, &round);
    step.mean = (uint64_t)round.mean;
    if ((double)streams > round.mean)
        step.surplus = streams - step.mean;
    if (shares->state == SHARES_MOVING && shares->calm == 0)
        step.shed = min_u64(
            step.surplus,
            (uint64_t)ceil((double)(step.surplus * len) * SHARES_PACE_PERCENT / 100));
    return step;
}
