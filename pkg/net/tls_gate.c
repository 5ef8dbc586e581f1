#include "net/tls_gate.h"

#include <assert.h>

struct tls_gate {
    struct loop *loop;
    struct tls_stats *stats;
    struct list fresh; /* not begun: they hold no memory to speak of */
    struct list begun; /* and want a step */
    /* Begun, whether they want a step or wait for their peer; the oldest is first. */
    struct list unfinished;
    size_t count; /* of those */
    size_t max;
    struct deferred work;
    struct timer *stalled; /* somebody may be given up */
};

const char *tls_failure_name(enum tls_failure failure)
{
    static const char *const names[TLS_FAILURES] = {
        [TLS_FAILURE_NONE] = "none",
        [TLS_FAILURE_ALPN] = "alpn",
        [TLS_FAILURE_VERSION] = "version",
        [TLS_FAILURE_CIPHER] = "cipher",
        [TLS_FAILURE_REFUSED] = "refused",
        [TLS_FAILURE_NO_TLS] = "no-tls",
        [TLS_FAILURE_CLIENT] = "client-certificate",
        [TLS_FAILURE_PROTOCOL] = "protocol",
        [TLS_FAILURE_CLOSED] = "closed",
        [TLS_FAILURE_GIVEN_UP] = "given-up",
        [TLS_FAILURE_STALLED] = "stalled",
    };

    return names[failure];
}

static bool has_begun(const struct tls_turn *turn)
{
    return !list_empty(&turn->unfinished);
}

static struct tls_turn *oldest(const struct tls_gate *gate)
{
    return container_of(gate->unfinished.next, struct tls_turn, unfinished);
}

/* How long until one more may begin. */
static uint64_t time_to_room(const struct tls_gate *gate)
{
    uint64_t now_us = loop_now_us(gate->loop);
    uint64_t due_us;

    if (gate->count < gate->max)
        return 0;
    due_us = oldest(gate)->begun_us + TLS_GATE_STALL_US;
    return due_us > now_us ? due_us - now_us : 0;
}

static void evict_oldest(struct tls_gate *gate)
{
    struct tls_turn *turn = oldest(gate);

    turn->handler->evict(turn->ctx);
    assert(gate->count < gate->max);
}

/* Of those that have begun nobody wants a step: what their peers sent is read. */
static struct tls_turn *begin_next(struct tls_gate *gate)
{
    struct list *link;
    struct tls_turn *turn;

    if (list_empty(&gate->fresh) || time_to_room(gate) > 0)
        return NULL;
    if (gate->count == gate->max)
        evict_oldest(gate);
    link = list_pop(&gate->fresh);
    if (!link)
        return NULL;
    turn = container_of(link, struct tls_turn, link);
    turn->begun_us = loop_now_us(gate->loop);
    list_append(&gate->unfinished, &turn->unfinished);
    gate->count++;
    return turn;
}

static struct tls_turn *next_turn(struct tls_gate *gate)
{
    struct list *link = list_pop(&gate->begun);

    return link ? container_of(link, struct tls_turn, link) : begin_next(gate);
}

static void schedule(struct tls_gate *gate)
{
    uint64_t wait_us;

    if (list_empty(&gate->begun) && list_empty(&gate->fresh))
        return;
    wait_us = list_empty(&gate->begun) ? time_to_room(gate) : 0;
    if (wait_us == 0)
        deferred_schedule(gate->loop, &gate->work);
    else if (!timer_active(gate->stalled))
        timer_start(gate->stalled, wait_us / 1000 + 1);
}

static void on_stalled(void *ctx)
{
    schedule(ctx);
}

static void on_work(void *ctx)
{
    struct tls_gate *gate = ctx;
    uint64_t end_us = loop_update_now(gate->loop) + TLS_GATE_TURN_US;
    struct tls_turn *turn;

    do {
        turn = next_turn(gate);
        if (turn)
            turn->handler->step(turn->ctx);
    } while (turn && loop_update_now(gate->loop) < end_us);
    schedule(gate);
}

struct tls_gate *tls_gate_new(struct loop *loop, size_t max, struct tls_stats *stats)
{
    struct tls_gate *gate = xcalloc(1, sizeof(*gate));

    gate->loop = loop;
    gate->max = max;
    gate->stats = stats;
    list_init(&gate->fresh);
    list_init(&gate->begun);
    list_init(&gate->unfinished);
    deferred_init(&gate->work, on_work, gate);
    gate->stalled = timer_new(loop, on_stalled, gate);
    return gate;
}

void tls_gate_free(struct tls_gate *gate)
{
    if (!gate)
        return;
    assert(gate->count == 0 && list_empty(&gate->fresh));
    deferred_cancel(&gate->work);
    timer_free(gate->stalled);
    free(gate);
}

void tls_turn_init(struct tls_turn *turn, const struct tls_turn_handler *handler, void *ctx)
{
    *turn = (struct tls_turn){.handler = handler, .ctx = ctx};
    list_init(&turn->link);
    list_init(&turn->unfinished);
}

void tls_gate_queue(struct tls_gate *gate, struct tls_turn *turn)
{
    if (list_empty(&turn->link))
        list_append(has_begun(turn) ? &gate->begun : &gate->fresh, &turn->link);
    schedule(gate);
}

void tls_gate_leave(struct tls_gate *gate, struct tls_turn *turn, enum tls_failure failure)
{
    struct counter *counter = failure ? &gate->stats->failures[failure] : &gate->stats->handshakes;

    list_remove(&turn->link);
    gate->count -= has_begun(turn);
    list_remove(&turn->unfinished);
    counter_add(counter, 1);
    schedule(gate);
}
