#include "net/tls_gate.h"

#include <assert.h>

struct tls_gate {
    struct loop *loop;
    struct tls_stats *stats;
    struct list fresh; /* not begun: they hold no memory to speak of */
    struct list begun; /* and want a step */
    size_t unfinished; /* begun, whether they want a step or wait for their peer */
    struct deferred work;
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
    };

    return names[failure];
}

static struct tls_turn *next_turn(struct tls_gate *gate)
{
    struct list *link = list_pop(&gate->begun);
    struct tls_turn *turn;

    if (!link && gate->unfinished < TLS_GATE_MAX)
        link = list_pop(&gate->fresh);
    if (!link)
        return NULL;
    turn = container_of(link, struct tls_turn, link);
    gate->unfinished += !turn->begun;
    turn->begun = true;
    return turn;
}

static void schedule(struct tls_gate *gate)
{
    bool room = gate->unfinished < TLS_GATE_MAX;

    if (!list_empty(&gate->begun) || (room && !list_empty(&gate->fresh)))
        deferred_schedule(gate->loop, &gate->work);
}

static void on_work(void *ctx)
{
    struct tls_gate *gate = ctx;
    uint64_t end_us = loop_update_now(gate->loop) + TLS_GATE_TURN_US;
    struct tls_turn *turn;

    do {
        turn = next_turn(gate);
        if (turn)
            turn->step(turn->ctx);
    } while (turn && loop_update_now(gate->loop) < end_us);
    schedule(gate);
}

struct tls_gate *tls_gate_new(struct loop *loop, struct tls_stats *stats)
{
    struct tls_gate *gate = xcalloc(1, sizeof(*gate));

    gate->loop = loop;
    gate->stats = stats;
    list_init(&gate->fresh);
    list_init(&gate->begun);
    deferred_init(&gate->work, on_work, gate);
    return gate;
}

void tls_gate_free(struct tls_gate *gate)
{
    if (!gate)
        return;
    assert(gate->unfinished == 0 && list_empty(&gate->fresh));
    deferred_cancel(&gate->work);
    free(gate);
}

void tls_turn_init(struct tls_turn *turn, void (*step)(void *ctx), void *ctx)
{
    *turn = (struct tls_turn){.step = step, .ctx = ctx};
    list_init(&turn->link);
}

void tls_gate_queue(struct tls_gate *gate, struct tls_turn *turn)
{
    if (list_empty(&turn->link))
        list_append(turn->begun ? &gate->begun : &gate->fresh, &turn->link);
    schedule(gate);
}

void tls_gate_leave(struct tls_gate *gate, struct tls_turn *turn, enum tls_failure failure)
{
    struct counter *counter = failure ? &gate->stats->failures[failure] : &gate->stats->handshakes;

    list_remove(&turn->link);
    gate->unfinished -= turn->begun;
    turn->begun = false;
    counter_add(counter, 1);
    schedule(gate);
}
