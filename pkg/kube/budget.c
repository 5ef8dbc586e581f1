#include "kube/budget.h"

#include <assert.h>

#define PAUSE_BASE_MS 1000
#define PAUSE_MAX_MS 30000

struct budget {
    struct budget_options options;
    struct list urgent, others;
    struct timer *timer;
    struct backoff backoff;
    uint64_t next_us; /* nobody goes before */
    unsigned under_way;
};

static uint64_t spacing_us(const struct budget *budget)
{
    return 1000000 / budget->options.per_second;
}

static void arm(struct budget *budget)
{
    uint64_t now_us = loop_update_now(budget->options.loop);
    uint64_t wait_us = budget->next_us > now_us ? budget->next_us - now_us : 0;

    if (list_empty(&budget->urgent) && list_empty(&budget->others))
        timer_stop(budget->timer);
    else if (budget->under_way < BUDGET_UNDER_WAY_MAX)
        timer_start(budget->timer, wait_us / 1000);
}

static void on_time(void *ctx)
{
    struct budget *budget = ctx;
    uint64_t now_us = loop_update_now(budget->options.loop);
    struct list *node;
    struct budget_turn *turn;

    if (budget->under_way >= BUDGET_UNDER_WAY_MAX ||
        (budget->options.may && !budget->options.may(budget->options.ctx)))
        return; /* budget_done() or budget_wake() goes on */
    if (now_us >= budget->next_us) {
        node = list_pop(&budget->urgent);
        if (!node)
            node = list_pop(&budget->others);
        if (!node)
            return;
        turn = container_of(node, struct budget_turn, link);
        budget->next_us = now_us + spacing_us(budget);
        budget->under_way++;
        turn->go(turn->ctx);
    }
    arm(budget);
}

struct budget *budget_new(const struct budget_options *options)
{
    struct budget *budget = xcalloc(1, sizeof(*budget));

    budget->options = *options;
    if (options->per_second == 0)
        budget->options.per_second = BUDGET_PER_SECOND;
    budget->backoff = (struct backoff){.base_ms = PAUSE_BASE_MS, .max_ms = PAUSE_MAX_MS};
    list_init(&budget->urgent);
    list_init(&budget->others);
    budget->timer = timer_new(options->loop, on_time, budget);
    return budget;
}

void budget_free(struct budget *budget)
{
    if (!budget)
        return;
    assert(list_empty(&budget->urgent) && list_empty(&budget->others));
    timer_free(budget->timer);
    free(budget);
}

void budget_turn_init(struct budget_turn *turn, void (*go)(void *ctx), void *ctx)
{
    list_init(&turn->link);
    turn->go = go;
    turn->ctx = ctx;
}

void budget_ask(struct budget *budget, struct budget_turn *turn, bool urgent)
{
    if (budget_waits(turn) && !urgent)
        return;
    list_remove(&turn->link);
    list_append(urgent ? &budget->urgent : &budget->others, &turn->link);
    arm(budget);
}

void budget_withdraw(struct budget_turn *turn)
{
    list_remove(&turn->link);
}

bool budget_waits(const struct budget_turn *turn)
{
    return !list_empty(&turn->link);
}

static bool is_passing(enum code code)
{
    return code == CODE_UNAVAILABLE || code == CODE_RESOURCE_EXHAUSTED ||
           code == CODE_DEADLINE_EXCEEDED || code == CODE_UNAUTHENTICATED;
}

bool budget_done(struct budget *budget, const struct kube_response *response)
{
    bool again = response && is_passing(response->code);
    uint64_t now_us = loop_update_now(budget->options.loop);

    assert(budget->under_way > 0);
    budget->under_way--;
    if (again)
        budget->next_us =
            max_u64(budget->next_us,
                    now_us + backoff_next_ms(&budget->backoff, response->retry_after_ms) * 1000);
    else if (response)
        backoff_reset(&budget->backoff);
    arm(budget);
    return again;
}

void budget_give_up(struct budget *budget, struct budget_turn *turn, struct kube_call *call)
{
    budget_withdraw(turn);
    if (!call)
        return;
    kube_call_free(call);
    (void)budget_done(budget, NULL);
}

void budget_wake(struct budget *budget)
{
    arm(budget);
}
