/* Shares of streams: single rounds, and hours of many clients behind a Service that gives connections to replicas at random. */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "base/random.h"
#include "controller/shares.h"

/* ---- single rounds ---- */

#define REPLICAS(...) ((const uint64_t[]){__VA_ARGS__}), sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)

/* Of the first of them. */
static struct shares_step next(struct shares *shares, const uint64_t *streams, size_t len)
{
    struct share all[16];

    for (size_t i = 0; i < len; i++)
        all[i] = (struct share){.replica = 100 + i, .streams = streams[i]};
    return shares_next(shares, all, len, 100);
}

Test(shares, of_a_surplus_a_part_is_shed_in_each_round)
{
    struct shares shares = {0};
    struct shares_step step = next(&shares, REPLICAS(333, 333, 334, 0));

    cr_assert_eq(step.mean, 250);
    cr_assert_eq(step.surplus, 83);
    cr_assert_eq(step.shed, 50);
    step = next(&shares, REPLICAS(252, 248, 250, 200));
    cr_assert_eq(step.surplus, 15);
    cr_assert_eq(step.shed, 9);
    for (int i = 0; i < SHARES_CALM; i++)
        cr_assert_eq(next(&shares, REPLICAS(238, 237, 237, 238)).shed, 0);
    cr_assert_eq(shares.state, SHARES_EVEN);
}

Test(shares, who_holds_its_share_or_less_sheds_nothing)
{
    struct shares shares = {0};

    cr_assert_eq(next(&shares, REPLICAS(250, 500, 250, 0)).shed, 0);
    cr_assert_eq(next(&shares, REPLICAS(0, 500, 500)).shed, 0);
    cr_assert_eq(shares.state, SHARES_MOVING, "it knows that others do");
}

Test(shares, one_replica_has_all)
{
    struct shares shares = {0};

    cr_assert_eq(next(&shares, REPLICAS(1000)).shed, 0);
    cr_assert_eq(next(&shares, REPLICAS(0)).shed, 0);
    cr_assert_eq(shares_next(&shares, NULL, 0, 100).shed, 0);
    cr_assert_eq(shares.state, SHARES_EVEN);
}

Test(shares, what_chance_makes_begins_nothing_and_once_begun_is_ended)
{
    struct shares shares = {0};

    cr_assert_eq(next(&shares, REPLICAS(250, 250, 250, 250)).shed, 0);
    cr_assert_eq(next(&shares, REPLICAS(280, 250, 240, 230)).shed, 0);
    cr_assert_eq(shares.state, SHARES_EVEN);
    cr_assert_gt(next(&shares, REPLICAS(290, 250, 230, 230)).shed, 0);
    cr_assert_gt(next(&shares, REPLICAS(280, 250, 240, 230)).shed, 0, "hysteresis");
    for (int i = 0; i < SHARES_CALM; i++)
        cr_assert_eq(next(&shares, REPLICAS(260, 250, 240, 250)).shed, 0);
    cr_assert_eq(next(&shares, REPLICAS(280, 250, 240, 230)).shed, 0);
}

/* What others have shed may be on its way. */
Test(shares, that_are_even_once_are_looked_at_again)
{
    struct shares shares = {0};

    cr_assert_gt(next(&shares, REPLICAS(290, 250, 230, 230)).shed, 0);
    cr_assert_eq(next(&shares, REPLICAS(260, 250, 240, 250)).shed, 0);
    cr_assert_eq(shares.state, SHARES_MOVING);
    cr_assert_gt(next(&shares, REPLICAS(280, 250, 240, 230)).shed, 0);
}

/* The others have asked before this one, and moved the most of it. */
Test(shares, of_other_replicas_need_not_be_beyond_chance)
{
    struct shares shares = {0};

    cr_assert_eq(next(&shares, REPLICAS(270, 250, 230)).shed, 0 + 9);
    for (int i = 0; i < SHARES_CALM; i++)
        cr_assert_eq(next(&shares, REPLICAS(250, 250, 250)).shed, 0);
    cr_assert_eq(next(&shares, REPLICAS(270, 250, 230)).shed, 0);
    cr_assert_gt(next(&shares, REPLICAS(270, 250, 240, 230)).shed, 0);
}

Test(shares, of_few_streams_one_more_or_less_is_even)
{
    struct shares shares = {0};

    cr_assert_eq(next(&shares, REPLICAS(2, 0)).shed, 0);
    cr_assert_eq(next(&shares, REPLICAS(1, 0, 0, 0)).shed, 0);
    cr_assert_eq(next(&shares, REPLICAS(4, 3, 3, 2)).shed, 0);
    cr_assert_eq(shares.state, SHARES_EVEN);
    cr_assert_eq(next(&shares, REPLICAS(4, 4, 4, 0)).shed, 1);
}

Test(shares, absurd_numbers_do_no_harm)
{
    struct shares shares = {0};
    struct shares_step step = next(&shares, REPLICAS(UINT64_MAX, UINT64_MAX, 0));

    cr_assert_leq(step.shed, step.surplus);
    cr_assert_leq(step.surplus, SHARES_STREAMS_MAX);
}

Test(shares, without_progress_it_gives_up_until_the_replicas_are_others)
{
    struct shares shares = {0};

    for (int i = 0; i < SHARES_PATIENCE; i++)
        cr_assert_gt(next(&shares, REPLICAS(400, 200, 200, 200)).shed, 0, "round %d", i);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(next(&shares, REPLICAS(400, 200, 200, 200)).shed, 0);
    cr_assert_eq(shares.state, SHARES_GIVEN_UP);
    cr_assert_gt(next(&shares, REPLICAS(400, 200, 200, 200, 0)).shed, 0);
}

Test(shares, that_became_even_after_all_count_anew)
{
    struct shares shares = {.state = SHARES_GIVEN_UP};

    for (int i = 0; i < SHARES_CALM; i++)
        cr_assert_eq(next(&shares, REPLICAS(250, 250, 250, 250)).shed, 0);
    cr_assert_gt(next(&shares, REPLICAS(400, 200, 200, 200)).shed, 0);
}

Test(shares, progress_buys_time)
{
    struct shares shares = {0};

    for (uint64_t surplus = 2000; surplus > 100; surplus -= surplus / 100 + 1)
        cr_assert_gt(next(&shares, REPLICAS(1000 + surplus, 1000, 1000, 1000)).shed, 0);
    cr_assert_eq(shares.state, SHARES_MOVING);
}

/* ---- hours, in steps of a quarter of a second ---- */

#define STEP_MS 250
#define SECONDS 1000
#define MINUTES (60 * SECONDS)
#define AGE_MS (2 * MINUTES)
#define TICK_MS (AGE_MS / 12) /* and three of them while shares are even: as the replicas do */
#define SPREAD_MS (TICK_MS * 3 / 4)
#define BACK_MS 1000 /* a client comes back within */
#define CLIENTS_MAX 2000
#define AWAY SIZE_MAX

static struct {
    struct client {
        size_t replica; /* AWAY: on its way back */
        size_t sticky;  /* where it lands, if the Service has affinity */
        uint64_t since, leaves, back; /* 0: it does not */
        unsigned moves;
        bool fixed; /* may not be moved */
    } clients[CLIENTS_MAX];
    struct replica {
        struct shares shares;
        uint64_t due;
    } replicas[16];
    size_t clients_len, replicas_len;
    uint64_t now, reconnects;
    bool affinity;
} sim;

static uint64_t held(size_t replica)
{
    uint64_t streams = 0;

    for (size_t i = 0; i < sim.clients_len; i++)
        streams += sim.clients[i].replica == replica;
    return streams;
}

static void land(struct client *client)
{
    client->replica = sim.affinity ? client->sticky : random_range(0, sim.replicas_len - 1);
    client->since = sim.now;
    client->back = 0;
}

static void start(uint64_t seed, size_t replicas, size_t clients)
{
    random_seed(seed);
    memset(&sim, 0, sizeof(sim));
    sim.now = 60 * MINUTES;
    sim.replicas_len = replicas;
    sim.clients_len = clients;
    for (size_t i = 0; i < replicas; i++)
        sim.replicas[i].due = sim.now + random_range(0, 3 * TICK_MS);
    for (size_t i = 0; i < clients; i++) {
        land(&sim.clients[i]);
        sim.clients[i].sticky = sim.clients[i].replica;
        sim.clients[i].since -= random_range(0, 30 * MINUTES);
    }
}

static void scale(size_t replicas)
{
    for (size_t i = sim.replicas_len; i < replicas; i++)
        sim.replicas[i] = (struct replica){.due = sim.now + random_range(0, 3 * TICK_MS)};
    sim.replicas_len = replicas;
}

/* The oldest that may go; NULL: none. */
static struct client *oldest(size_t replica)
{
    struct client *found = NULL;

    for (size_t i = 0; i < sim.clients_len; i++) {
        struct client *client = &sim.clients[i];

        if (client->replica == replica && !client->leaves && !client->fixed &&
            sim.now - client->since >= AGE_MS && (!found || client->since < found->since))
            found = client;
    }
    return found;
}

static void turn_replica(size_t index)
{
    struct replica *replica = &sim.replicas[index];
    struct share all[ARRAY_LEN(sim.replicas)];
    struct shares_step step;
    uint64_t before = held(index);

    for (size_t i = 0; i < sim.replicas_len; i++)
        all[i] = (struct share){.replica = 1000 + i, .streams = held(i)};
    step = shares_next(&replica->shares, all, sim.replicas_len, 1000 + index);
    cr_assert(step.shed == 0 || before - step.shed >= step.mean);
    for (uint64_t i = 0; i < step.shed; i++) {
        struct client *client = oldest(index);

        if (!client)
            break;
        client->leaves = sim.now + 1 + random_range(0, SPREAD_MS);
    }
    replica->due = sim.now + (replica->shares.state == SHARES_MOVING ? TICK_MS : 3 * TICK_MS);
}

static void turn_client(struct client *client)
{
    if (client->leaves && client->leaves <= sim.now) {
        client->leaves = 0;
        client->replica = AWAY;
        client->back = sim.now + random_range(0, BACK_MS);
        client->moves++;
        sim.reconnects++;
    } else if (client->replica == AWAY && client->back <= sim.now) {
        land(client);
    }
}

static void run(uint64_t ms)
{
    for (uint64_t end = sim.now + ms; sim.now < end; sim.now += STEP_MS) {
        for (size_t i = 0; i < sim.clients_len; i++)
            turn_client(&sim.clients[i]);
        for (size_t i = 0; i < sim.replicas_len; i++)
            if (sim.replicas[i].due <= sim.now)
                turn_replica(i);
    }
}

/* In percent of the share. */
static double farthest(void)
{
    double mean = (double)sim.clients_len / (double)sim.replicas_len, most = 0;

    for (size_t i = 0; i < sim.replicas_len; i++) {
        double off = (double)held(i) - mean;

        most = off > most ? off : -off > most ? -off : most;
    }
    return 100 * most / mean;
}

static unsigned most_moves(void)
{
    unsigned most = 0;

    for (size_t i = 0; i < sim.clients_len; i++)
        most = sim.clients[i].moves > most ? sim.clients[i].moves : most;
    return most;
}

/* Each hour by itself: what is even stays even, and rests. */
static void expect_rest(const char *what, uint64_t seed)
{
    uint64_t before = sim.reconnects;

    run(60 * MINUTES);
    cr_assert_eq(sim.reconnects, before, "%s, seed %" PRIu64 ": %" PRIu64 " more", what, seed,
                 sim.reconnects - before);
}

/* From 3 to 4, 1,000 clients: the bound that is promised, and its price. 250 clients have to move, and one in four that is shed does. */
Test(shares, of_three_and_one_more_are_even_within_five_minutes)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        start(seed, 3, 1000);
        run(10 * MINUTES);
        sim.reconnects = 0;
        scale(4);
        run(5 * MINUTES);
        cr_assert_leq(farthest(), 15, "seed %" PRIu64 ": %g %%", seed, farthest());
        run(5 * MINUTES);
        cr_assert_leq(farthest(), 7, "seed %" PRIu64 ": %g %%", seed, farthest());
        cr_assert_leq(sim.reconnects, 1400, "seed %" PRIu64 ": %" PRIu64, seed, sim.reconnects);
        cr_assert_leq(most_moves(), 5, "seed %" PRIu64 ": %u", seed, most_moves());
        expect_rest("from 3 to 4", seed);
    }
}

/* Nobody may be moved in the first two of the five. */
Test(shares, of_young_clients_are_even_within_five_minutes)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        start(seed, 3, 1000);
        for (size_t i = 0; i < sim.clients_len; i++)
            sim.clients[i].since = sim.now;
        scale(4);
        run(AGE_MS);
        cr_assert_eq(sim.reconnects, 0);
        run(5 * MINUTES - AGE_MS);
        cr_assert_leq(farthest(), 15, "seed %" PRIu64 ": %g %%", seed, farthest());
    }
}

Test(shares, of_other_numbers_become_even_too)
{
    static const struct {
        size_t from, to, clients;
    } scales[] = {{1, 2, 1000}, {1, 3, 1000}, {2, 3, 200}, {3, 4, 40}, {3, 4, 100}, {3, 6, 1000}, {9, 10, 2000}};

    for (size_t i = 0; i < ARRAY_LEN(scales); i++) {
        start(i, scales[i].from, scales[i].clients);
        run(10 * MINUTES);
        sim.reconnects = 0;
        scale(scales[i].to);
        run(5 * MINUTES);
        cr_assert_leq(farthest(), 15, "%zu to %zu of %zu: %g %%", scales[i].from, scales[i].to,
                      scales[i].clients, farthest());
        run(15 * MINUTES);
        cr_assert_leq(sim.reconnects, 2 * scales[i].clients, "%zu to %zu of %zu: %" PRIu64,
                      scales[i].from, scales[i].to, scales[i].clients, sim.reconnects);
        expect_rest("scaled", i);
    }
}

/* One after another is replaced, and its clients go to those that are there. */
Test(shares, of_a_roll_become_even)
{
    start(7, 4, 1000);
    for (size_t i = 0; i < sim.clients_len; i++)
        sim.clients[i].replica = i < 400 ? 0 : i < 700 ? 1 : i < 900 ? 2 : 3;
    run(6 * MINUTES);
    cr_assert_leq(farthest(), 15, "%g %%", farthest());
    run(20 * MINUTES);
    expect_rest("rolled", 7);
}

/* All clients come anew, to the same replicas: a roll of theirs. */
Test(shares, are_left_alone_as_chance_has_them)
{
    uint64_t reconnects = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        start(seed, 4, 1000);
        run(20 * MINUTES);
        for (size_t i = 0; i < sim.clients_len; i++)
            land(&sim.clients[i]);
        sim.reconnects = 0;
        run(20 * MINUTES);
        reconnects += sim.reconnects;
        expect_rest("nothing has changed", seed);
    }
    cr_assert_leq(reconnects, 20 * 1000 / 50, "%" PRIu64 " of 20,000", reconnects);
}

Test(shares, with_clients_that_may_not_move_are_as_even_as_can_be)
{
    start(3, 3, 1000);
    for (size_t i = 0; i < sim.clients_len; i++)
        sim.clients[i].fixed = i % 4 == 0;
    run(10 * MINUTES);
    scale(4);
    run(6 * MINUTES);
    cr_assert_leq(farthest(), 15, "%g %%", farthest());
    for (size_t i = 0; i < sim.clients_len; i++)
        cr_assert(!sim.clients[i].fixed || sim.clients[i].moves == 0);
    run(15 * MINUTES);
    expect_rest("some fixed", 3);
}

Test(shares, that_nobody_may_leave_are_left)
{
    start(3, 3, 1000);
    for (size_t i = 0; i < sim.clients_len; i++)
        sim.clients[i].fixed = true;
    scale(4);
    run(30 * MINUTES);
    cr_assert_eq(sim.reconnects, 0);
    cr_assert_eq(sim.replicas[0].shares.state, SHARES_GIVEN_UP);
}

Test(shares, under_session_affinity_are_given_up)
{
    start(3, 3, 1000);
    run(10 * MINUTES);
    sim.affinity = true;
    sim.reconnects = 0;
    scale(4);
    run(30 * MINUTES);
    cr_assert_eq(held(3), 0);
    cr_assert_leq(most_moves(), 5, "%u", most_moves());
    expect_rest("affinity", 3);
}
