#include <criterion/criterion.h>

#include "base/clock.h"
#include "fake_server.h"
#include "kube/budget.h"
#include "turn.h"

#define WRITERS 8

static struct world {
    struct loop *loop;
    struct budget *budget;
    struct budget_turn turns[WRITERS];
    size_t goes;
    char order[WRITERS * 4 + 1];
    uint64_t at_us[64];
    bool closed;
    bool keep; /* turns are not over at once */
} w;

static bool may(void *ctx unused_arg)
{
    return !w.closed;
}

static void go(void *ctx)
{
    const struct budget_turn *turn = ctx;

    w.order[w.goes] = (char)('a' + (turn - w.turns));
    w.at_us[w.goes++] = clock_monotonic_us();
    if (!w.keep)
        cr_assert_not(budget_done(w.budget, NULL));
}

static void world_make(void)
{
    memset(&w, 0, sizeof(w));
    cr_assert_eq(loop_new(&w.loop, NULL), CODE_OK);
    w.budget = budget_new(&(struct budget_options){.loop = w.loop, .per_second = 50, .may = may});
    for (size_t i = 0; i < WRITERS; i++)
        budget_turn_init(&w.turns[i], go, &w.turns[i]);
}

static void world_free(void)
{
    for (size_t i = 0; i < WRITERS; i++)
        budget_withdraw(&w.turns[i]);
    budget_free(w.budget);
    loop_free(w.loop);
}

TestSuite(budget, .init = world_make, .fini = world_free);

static void ask(const char *who, bool urgent)
{
    for (; *who; who++)
        budget_ask(w.budget, &w.turns[*who - 'a'], urgent);
}

Test(budget, spaces_turns_evenly_in_the_order_of_asking)
{
    uint64_t begin_us = clock_monotonic_us();

    ask("bcad", false);
    turn_until(w.loop, &w.goes, 4);
    cr_assert_str_eq(w.order, "bcad");
    cr_assert_lt(w.at_us[0] - begin_us, 15000);
    for (size_t i = 1; i < 4; i++)
        cr_assert_geq(w.at_us[i] - w.at_us[i - 1], 20000);
}

Test(budget, saves_nothing_up_while_nobody_asks)
{
    turn_for_ms(w.loop, 100);
    ask("ab", false);
    turn_until(w.loop, &w.goes, 2);
    cr_assert_geq(w.at_us[1] - w.at_us[0], 20000);
}

Test(budget, lets_the_urgent_go_first)
{
    ask("abc", false);
    ask("d", true);
    ask("c", true);
    turn_until(w.loop, &w.goes, 4);
    cr_assert_str_eq(w.order, "dcab");
}

Test(budget, counts_asking_twice_as_once)
{
    ask("aa", false);
    ask("a", true);
    ask("a", false);
    turn_until(w.loop, &w.goes, 1);
    turn_for_ms(w.loop, 60);
    cr_assert_eq(w.goes, 1);
}

Test(budget, lets_nobody_go_while_it_may_not)
{
    w.closed = true;
    ask("ab", true);
    turn_for_ms(w.loop, 60);
    cr_assert_eq(w.goes, 0);
    budget_withdraw(&w.turns[0]);
    w.closed = false;
    budget_wake(w.budget);
    turn_until(w.loop, &w.goes, 1);
    cr_assert_str_eq(w.order, "b");
}

Test(budget, has_few_under_way_at_a_time)
{
    w.keep = true;
    ask("abcdef", false);
    turn_for_ms(w.loop, 200);
    cr_assert_eq(w.goes, BUDGET_UNDER_WAY_MAX);
    cr_assert_not(budget_done(w.budget, &(struct kube_response){.code = CODE_OK}));
    turn_until(w.loop, &w.goes, BUDGET_UNDER_WAY_MAX + 1);
    w.keep = false;
}

Test(budget, waits_as_long_as_the_server_says)
{
    struct kube_response busy = {.code = CODE_RESOURCE_EXHAUSTED, .retry_after_ms = 700};
    uint64_t busy_us;

    w.keep = true;
    ask("a", false);
    turn_until(w.loop, &w.goes, 1);
    busy_us = clock_monotonic_us();
    cr_assert(budget_done(w.budget, &busy));
    ask("b", true);
    turn_until(w.loop, &w.goes, 2);
    cr_assert_geq(w.at_us[1] - busy_us, 700000);
}

Test(budget, tells_what_is_worth_another_try)
{
    static const struct {
        enum code code;
        bool again;
    } cases[] = {{CODE_OK, false},
                 {CODE_ABORTED, false},
                 {CODE_NOT_FOUND, false},
                 {CODE_FAILED_PRECONDITION, false},
                 {CODE_UNAVAILABLE, true},
                 {CODE_DEADLINE_EXCEEDED, true},
                 {CODE_PERMISSION_DENIED, false}};

    w.keep = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct budget *budget = budget_new(&(struct budget_options){.loop = w.loop});

        budget_ask(budget, &w.turns[0], false);
        turn_until(w.loop, &w.goes, i + 1);
        cr_assert_eq(budget_done(budget, &(struct kube_response){.code = cases[i].code}),
                     cases[i].again, "%s", code_name(cases[i].code));
        budget_free(budget);
    }
}
