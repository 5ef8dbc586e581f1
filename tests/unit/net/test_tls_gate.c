/* Whose turn it is. */
#include "fixture.h"
#include "net/tls_gate.h"

#define TURNS 2000

static struct tls_stats stats;
static struct tls_gate *gate;
static struct tls_turn turns[TURNS];
static int order[4 * TURNS]; /* who had a step */
static int steps;
static uint64_t work_us; /* of a step */
static int evicted[TURNS];
static int evictions;

static void on_step(void *ctx)
{
    const struct tls_turn *turn = ctx;
    uint64_t end_us = clock_monotonic_us() + work_us;

    order[steps++] = (int)(turn - turns);
    while (clock_monotonic_us() < end_us)
        ;
}

static void on_evict(void *ctx)
{
    struct tls_turn *turn = ctx;

    evicted[evictions++] = (int)(turn - turns);
    tls_gate_leave(gate, turn, TLS_FAILURE_STALLED);
}

static const struct tls_turn_handler stay = {on_step, on_evict};

static void open_gate(void)
{
    make_loop();
    gate = tls_gate_new(loop, TLS_GATE_MAX, &stats);
    for (int i = 0; i < TURNS; i++)
        tls_turn_init(&turns[i], &stay, &turns[i]);
}

static void close_gate(void)
{
    for (int i = 0; i < TURNS; i++)
        tls_gate_leave(gate, &turns[i], TLS_FAILURE_GIVEN_UP);
    tls_gate_free(gate);
    free_loop();
}

TestSuite(tls_gate, .init = open_gate, .fini = close_gate, .timeout = 20);

static void queue(int from, int to)
{
    for (int i = from; i < to; i++)
        tls_gate_queue(gate, &turns[i]);
}

Test(tls_gate, in_order_of_arrival)
{
    queue(0, 5);
    turn_until(&steps, 5);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(order[i], i);
}

Test(tls_gate, asking_twice_is_one_step)
{
    queue(0, 1);
    queue(0, 1);
    turn_until(&steps, 1);
    loop_turn(loop, 10);
    cr_assert_eq(steps, 1);
}

/* A handshake is 400 us of work: the loop is back at its sockets after three of them. */
Test(tls_gate, a_turn_of_the_loop_makes_a_few)
{
    work_us = TLS_GATE_TURN_US * 2 / 5;
    queue(0, 20);
    for (int turn = 0; turn < 3; turn++) {
        int before = steps;

        loop_turn(loop, 0);
        cr_assert_leq(steps - before, 3);
        cr_assert_geq(steps - before, 1);
    }
    turn_until(&steps, 20);
}

Test(tls_gate, one_that_has_begun_goes_before_those_that_have_not)
{
    queue(0, 1);
    turn_until(&steps, 1);
    queue(1, 3);
    queue(0, 1);
    turn_until(&steps, 4);
    cr_assert_eq(order[1], 0);
    cr_assert_eq(order[2], 1);
}

Test(tls_gate, so_many_are_unfinished_and_no_more)
{
    queue(0, TLS_GATE_MAX + 10);
    turn_until(&steps, TLS_GATE_MAX);
    loop_turn(loop, 10);
    loop_turn(loop, 10);
    cr_assert_eq(steps, TLS_GATE_MAX);
    queue(3, 4); /* those go on */
    turn_until(&steps, TLS_GATE_MAX + 1);
    cr_assert_eq(order[steps - 1], 3);
    tls_gate_leave(gate, &turns[7], TLS_FAILURE_NONE);
    tls_gate_leave(gate, &turns[TLS_GATE_MAX], TLS_FAILURE_CLOSED); /* before its turn */
    turn_until(&steps, TLS_GATE_MAX + 2);
    loop_turn(loop, 10);
    cr_assert_eq(steps, TLS_GATE_MAX + 2, "one left, one came");
    cr_assert_eq(order[steps - 1], TLS_GATE_MAX + 1);
    cr_assert_eq(counter_get(&stats.handshakes), 1);
    cr_assert_eq(counter_get(&stats.failures[TLS_FAILURE_CLOSED]), 1);
}

static void leave_on_step(void *ctx)
{
    on_step(ctx);
    tls_gate_leave(gate, ctx, TLS_FAILURE_NONE);
}

static void turn_for(uint64_t us)
{
    uint64_t end_us = clock_monotonic_us() + us;

    while (clock_monotonic_us() < end_us)
        loop_turn(loop, 10);
}

/* One per newcomer, oldest first, and only when they are old enough. */
Test(tls_gate, who_stalls_makes_room)
{
    uint64_t begin_us = clock_monotonic_us();

    queue(0, TLS_GATE_MAX + 3);
    turn_until(&steps, TLS_GATE_MAX);
    tls_gate_leave(gate, &turns[1],
                   TLS_FAILURE_NONE); /* in time; the first newcomer comes for it */
    turn_until(&steps, TLS_GATE_MAX + 1);
    cr_assert_eq(evictions, 0);
    queue(0, 1); /* a step makes nobody younger */
    turn_until(&steps, TLS_GATE_MAX + 4);
    cr_assert_geq(clock_monotonic_us() - begin_us, TLS_GATE_STALL_US);
    cr_assert_eq(evictions, 2);
    cr_assert(evicted[0] == 0 && evicted[1] == 2);
    cr_assert_eq(order[steps - 1], TLS_GATE_MAX + 2);
    cr_assert_eq(counter_get(&stats.failures[TLS_FAILURE_STALLED]), 2);
}

Test(tls_gate, who_stalls_stays_while_nobody_waits)
{
    queue(0, TLS_GATE_MAX);
    turn_for(TLS_GATE_STALL_US * 5 / 4);
    cr_assert_eq(steps, TLS_GATE_MAX);
    cr_assert_eq(evictions, 0);
    queue(TLS_GATE_MAX, TLS_GATE_MAX + 1);
    turn_for(TLS_GATE_STALL_US / 4);
    cr_assert_eq(steps, TLS_GATE_MAX + 1, "at once");
    cr_assert(evictions == 1 && evicted[0] == 0);
}

Test(tls_gate, leaving_inside_the_step_lets_all_through)
{
    static const struct tls_turn_handler leave = {leave_on_step, on_evict};

    for (int i = 0; i < TURNS; i++)
        tls_turn_init(&turns[i], &leave, &turns[i]);
    queue(0, TURNS);
    turn_until(&steps, TURNS);
    cr_assert_eq(counter_get(&stats.handshakes), TURNS);
}

Test(tls_gate, every_failure_has_a_name)
{
    for (enum tls_failure failure = 0; failure < TLS_FAILURES; failure++)
        cr_assert_not_null(tls_failure_name(failure));
}
