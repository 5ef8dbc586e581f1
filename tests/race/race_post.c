/*
 * Threads that post to a loop until it refuses: every accepted call runs once and in the order of
 * its thread, no refused one does.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "base/base.h"
#include "loop/thread.h"

#define POSTERS 4
#define STOP_AFTER 50000u /* then the loop closes its posts under the posters' feet */

struct order {
    struct poster *from;
    unsigned sequence;
};

struct poster {
    unsigned accepted; /* of the poster's thread, read after join */
    unsigned next;     /* of the loop's thread */
    unsigned ran;
};

static struct poster posters[POSTERS];
static struct loop *loop;
static unsigned total;
static atomic_bool failed;

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "race-post: %s\n", what);
        atomic_store(&failed, true);
    }
}

static void on_post(void *ctx)
{
    struct order *order = ctx;

    check(order->sequence >= order->from->next, "a thread's posts ran out of order");
    order->from->next = order->sequence + 1;
    order->from->ran++;
    free(order);
    if (++total == STOP_AFTER)
        loop_stop(loop);
}

static void run_poster(void *ctx)
{
    struct poster *poster = ctx;
    bool accepted = true;

    while (accepted) {
        struct order *order = xmalloc(sizeof(*order));

        *order = (struct order){poster, poster->accepted};
        accepted = loop_post(loop, on_post, order);
        if (accepted)
            poster->accepted++;
        else
            free(order);
    }
}

static void run_loop(void *ctx)
{
    loop_run(ctx);
    loop_close_posts(ctx);
}

int main(void)
{
    struct thread *reader, *threads[POSTERS];
    unsigned accepted = 0;
    struct err err = {0};

    check(loop_new(&loop, &err) == CODE_OK, err.msg);
    check(thread_start("loop", run_loop, loop, &reader, &err) == CODE_OK, err.msg);
    for (int i = 0; i < POSTERS; i++)
        check(thread_start("poster", run_poster, &posters[i], &threads[i], &err) == CODE_OK,
              err.msg);
    for (int i = 0; i < POSTERS; i++)
        thread_join(threads[i]);
    thread_join(reader);
    loop_free(loop);
    for (int i = 0; i < POSTERS; i++) {
        check(posters[i].ran == posters[i].accepted, "accepted and run differ");
        accepted += posters[i].accepted;
    }
    check(accepted >= STOP_AFTER, "too few were accepted");
    printf("race-post: %u posts of %d threads accepted and run\n", accepted, POSTERS);
    return atomic_load(&failed) ? 1 : 0;
}
