/*
 * One publisher that wakes its reader only for names that the reader heeds (serve/heed.h), while the reader takes names up and drops them: in the
 * end of each round it has the newest version of every name that it heeds, though nobody wakes it for the others.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "loop/latest.h"
#include "loop/thread.h"
#include "serve/heed.h"

#define NAMES 6u
#define ROUNDS 20000u
#define ROUNDS_AT_ONCE 4u
#define CHANGES_PER_TURN 8
#define HESITATION 2000u
#define PATIENCE_US (20 * 1000 * 1000)

/* Shared by nobody: one reader. */
struct value {
    unsigned versions[NAMES];
};

static const char *const names[NAMES] = {"a/a", "a/b", "a/c", "b/a", "b/b", "b/c"};
static struct heed heed;
static struct latest *mailbox;
static struct loop *loop;
static struct timer *turn;
static struct value *known; /* the reader's */
static bool heeds[NAMES];
static atomic_uint newest[NAMES], heeded_version[NAMES]; /* published; known, where it is heeded: ~0u where it is not */
static atomic_bool stop, failed;
static atomic_bool still, is_still; /* the reader is to take nothing up for now, and does not */
static unsigned random_state = 1;

static unsigned random_below(unsigned limit)
{
    random_state = random_state * 1103515245u + 12345u;
    return (random_state >> 16) % limit;
}

/* Where the other thread may come between two steps: that it does so needs more time than the steps take. */
static void hesitate(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    for (unsigned i = (*state >> 16) % HESITATION; i > 0; i--)
        atomic_thread_fence(memory_order_relaxed);
}

static void tell(unsigned name)
{
    atomic_store(&heeded_version[name], heeds[name] ? (known ? known->versions[name] : 0) : ~0u);
}

static void on_value(void *ctx unused_arg, void *value)
{
    free(known);
    known = value;
    for (unsigned i = 0; i < NAMES; i++)
        tell(i);
}

/* As a serving thread does it: what is there counts first, and is looked for once more behind. */
static void take_up(unsigned name)
{
    latest_take(mailbox);
    hesitate(&random_state);
    heeds[name] = true;
    heed_add(&heed, str_of(names[name]));
    latest_wake(mailbox);
    tell(name);
}

static void drop(unsigned name)
{
    heed_remove(&heed, str_of(names[name]));
    heeds[name] = false;
    tell(name);
}

static void change_something(void)
{
    unsigned name = random_below(NAMES);

    if (heeds[name])
        drop(name);
    else
        take_up(name);
}

static void on_turn(void *ctx unused_arg)
{
    bool rests = atomic_load(&still);

    for (int i = 0; i < CHANGES_PER_TURN && !rests; i++)
        change_something();
    atomic_store(&is_still, rests);
    if (atomic_load(&stop))
        loop_stop(loop);
    else
        timer_start(turn, 0);
}

static void run_reader(void *ctx unused_arg)
{
    loop_run(loop);
    timer_free(turn);
    latest_free(mailbox);
    free(known);
}

static void publish(unsigned name)
{
    static unsigned state = 3;
    struct value *value = xmalloc(sizeof(*value));
    struct str service = str_of(names[name]), namespace_name = str_cut(&service, '/');

    atomic_fetch_add(&newest[name], 1);
    for (unsigned i = 0; i < NAMES; i++)
        value->versions[i] = atomic_load(&newest[i]);
    latest_put(mailbox, value);
    hesitate(&state);
    if (heed_has(&heed, namespace_name, service))
        latest_wake(mailbox);
}

static bool is_settled(unsigned name)
{
    unsigned version = atomic_load(&heeded_version[name]);

    return version == ~0u || version == atomic_load(&newest[name]);
}

static bool wait_for(bool (*holds)(unsigned argument), unsigned argument)
{
    uint64_t end_us = clock_monotonic_us() + PATIENCE_US;

    while (!holds(argument)) {
        if (clock_monotonic_us() >= end_us)
            return false;
        sched_yield();
    }
    return true;
}

static bool reader_rests(unsigned rests)
{
    return atomic_load(&is_still) == (bool)rests;
}

/* Nothing is published or taken up any more: whatever is heeded is known, soon. */
static void expect_all_known(void)
{
    atomic_store(&still, true);
    if (!wait_for(reader_rests, true))
        atomic_store(&failed, true);
    for (unsigned i = 0; i < NAMES; i++) {
        if (!wait_for(is_settled, i) && !atomic_exchange(&failed, true))
            fprintf(stderr, "race-heed: %s is heeded, and its newest version is not known\n", names[i]);
    }
    atomic_store(&still, false);
    if (!wait_for(reader_rests, false))
        atomic_store(&failed, true);
}

int main(void)
{
    const struct latest_options options = {on_value, NULL, free};
    struct thread *thread;
    struct err err = {0};
    unsigned state = 7;

    if (loop_new(&loop, &err) != CODE_OK)
        return 1;
    mailbox = latest_new(loop, &options);
    turn = timer_new(loop, on_turn, NULL);
    timer_start(turn, 0);
    for (unsigned i = 0; i < NAMES; i++)
        atomic_store(&heeded_version[i], ~0u);
    if (thread_start("reader", run_reader, NULL, &thread, &err) != CODE_OK)
        return 1;
    for (unsigned round = 0; round < ROUNDS && !atomic_load(&failed); round++) {
        state = state * 1103515245u + 12345u;
        publish((state >> 16) % NAMES);
        if (round % ROUNDS_AT_ONCE == 0)
            expect_all_known();
    }
    atomic_store(&stop, true);
    thread_join(thread);
    loop_free(loop);
    return atomic_load(&failed) ? 1 : 0;
}
