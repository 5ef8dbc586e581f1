/* loop/loop.h, loop/latest.h and loop/thread.h without time, descriptors and threads: every loop is an
 * actor, whose turn is libuv's: timers, then what came in, then the deferred calls. */
#include "fake_loop.h"

#include "loop/latest.h"
#include "loop/thread.h"

struct loop {
    struct actor actor;
    uint64_t now_us; /* of this turn; 0: between turns */
    struct list timers, posts, mailboxes, deferred, ios;
    void (*after_turn)(void); /* NULL: nothing */
    bool closed;
    char scratch[LOOP_SCRATCH_SIZE];
};

struct timer {
    struct list link; /* of those that run */
    struct loop *loop;
    void (*fn)(void *ctx);
    void *ctx;
    uint64_t due_us, every_us;
};

struct post {
    struct list link;
    void (*fn)(void *ctx);
    void *ctx;
};

struct latest {
    struct list link; /* of the loop's */
    struct latest_options options;
    void *value;
    bool woken;
};

struct thread {
    char unused; /* the loop that it would run is an actor */
};

/* ---- turns ---- */

static uint64_t inputs_due(const struct loop *loop)
{
    uint64_t due = SIM_NEVER;

    list_for_each (link, &loop->mailboxes) {
        if (container_of(link, struct latest, link)->woken)
            return 0;
    }
    list_for_each (link, &loop->ios) {
        const struct loop_io *io = container_of(link, struct loop_io, link);

        due = min_u64(due, io->due(io->ctx));
    }
    return due;
}

static uint64_t loop_due(void *ctx)
{
    const struct loop *loop = ctx;
    uint64_t due;

    if (!list_empty(&loop->posts) || !list_empty(&loop->deferred))
        return 0;
    due = inputs_due(loop);
    list_for_each (link, &loop->timers) {
        due = min_u64(due, container_of(link, struct timer, link)->due_us);
    }
    return due;
}

static struct timer *first_due(const struct loop *loop)
{
    struct timer *first = NULL;

    list_for_each (link, &loop->timers) {
        struct timer *timer = container_of(link, struct timer, link);

        if (timer->due_us <= loop->now_us && (!first || timer->due_us < first->due_us))
            first = timer;
    }
    return first;
}

static void run_timers(struct loop *loop)
{
    struct timer *timer;

    while ((timer = first_due(loop))) {
        if (timer->every_us)
            timer->due_us = loop->now_us + timer->every_us;
        else
            list_remove(&timer->link);
        timer->fn(timer->ctx);
    }
}

static void move_all(struct list *from, struct list *to)
{
    struct list *link;

    list_init(to);
    while ((link = list_pop(from)))
        list_append(to, link);
}

/* Those that are posted by posts run in the next turn. */
static void run_posts(struct loop *loop)
{
    struct list batch, *link;

    move_all(&loop->posts, &batch);
    while ((link = list_pop(&batch))) {
        struct post *post = container_of(link, struct post, link);
        void (*fn)(void *ctx) = post->fn;
        void *ctx = post->ctx;

        free(post);
        fn(ctx);
    }
}

static void run_mailboxes(struct loop *loop)
{
    list_for_each_safe (link, &loop->mailboxes) {
        struct latest *latest = container_of(link, struct latest, link);

        if (latest->woken)
            latest_take(latest);
        latest->woken = false;
    }
}

static void run_ios(struct loop *loop)
{
    list_for_each_safe (link, &loop->ios) {
        struct loop_io *io = container_of(link, struct loop_io, link);

        io->turn(io->ctx);
    }
}

static void run_deferred(struct loop *loop)
{
    struct list batch, *link;

    move_all(&loop->deferred, &batch);
    while ((link = list_pop(&batch))) {
        struct deferred *deferred = container_of(link, struct deferred, link);

        deferred->fn(deferred->ctx);
    }
}

/* Descriptors become ready in no order. */
static void run_inputs(struct loop *loop)
{
    static void (*const orders[][3])(struct loop *) = {
        {run_posts, run_mailboxes, run_ios}, {run_ios, run_posts, run_mailboxes},
        {run_mailboxes, run_ios, run_posts}, {run_ios, run_mailboxes, run_posts},
        {run_posts, run_ios, run_mailboxes}, {run_mailboxes, run_posts, run_ios},
    };
    size_t order = sim_below(ARRAY_LEN(orders));

    for (size_t i = 0; i < ARRAY_LEN(orders[order]); i++)
        orders[order][i](loop);
}

static void loop_take_turn(void *ctx)
{
    struct loop *loop = ctx;

    loop->now_us = sim.now_us;
    run_timers(loop);
    run_inputs(loop);
    run_deferred(loop);
    loop->now_us = 0;
    if (loop->after_turn)
        loop->after_turn();
}

/* ---- loops ---- */

enum code loop_new(struct loop **ret_loop, struct err *err unused_arg)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));

    loop->actor = (struct actor){.due = loop_due, .turn = loop_take_turn, .ctx = loop};
    list_init(&loop->timers);
    list_init(&loop->posts);
    list_init(&loop->mailboxes);
    list_init(&loop->deferred);
    list_init(&loop->ios);
    sim_join(&loop->actor);
    *ret_loop = loop;
    return CODE_OK;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    if (!list_empty(&loop->timers) || !list_empty(&loop->posts) || !list_empty(&loop->deferred) ||
        !list_empty(&loop->mailboxes) || !list_empty(&loop->ios))
        sim_fail("a loop was freed while somebody still uses it");
    sim_leave(&loop->actor);
    free(loop);
}

void loop_set_after_turn(struct loop *loop, void (*after)(void))
{
    loop->after_turn = after;
}

struct actor *loop_actor(struct loop *loop)
{
    return &loop->actor;
}

void loop_io_join(struct loop *loop, struct loop_io *io)
{
    list_append(&loop->ios, &io->link);
}

void loop_io_leave(struct loop_io *io)
{
    list_remove(&io->link);
}

/* The simulator runs the loops. */
void loop_run(struct loop *loop unused_arg)
{
}

void loop_stop(struct loop *loop unused_arg)
{
}

uint64_t loop_now_us(const struct loop *loop)
{
    return loop->now_us ? loop->now_us : sim.now_us;
}

uint64_t loop_update_now(struct loop *loop)
{
    if (loop->now_us)
        loop->now_us = sim.now_us;
    return sim.now_us;
}

char *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

/* ---- posts ---- */

bool loop_post(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
    struct post *post;

    if (loop->closed)
        return false;
    post = xmalloc(sizeof(*post));
    *post = (struct post){.fn = fn, .ctx = ctx};
    list_append(&loop->posts, &post->link);
    return true;
}

void loop_close_posts(struct loop *loop)
{
    loop->closed = true;
    run_posts(loop);
}

/* ---- deferred calls ---- */

void deferred_init(struct deferred *deferred, void (*fn)(void *ctx), void *ctx)
{
    list_init(&deferred->link);
    deferred->fn = fn;
    deferred->ctx = ctx;
}

void deferred_schedule(struct loop *loop, struct deferred *deferred)
{
    if (list_empty(&deferred->link))
        list_append(&loop->deferred, &deferred->link);
}

void deferred_cancel(struct deferred *deferred)
{
    list_remove(&deferred->link);
}

/* ---- timers: never early, up to a millisecond late ---- */

struct timer *timer_new(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
    struct timer *timer = xcalloc(1, sizeof(*timer));

    list_init(&timer->link);
    timer->loop = loop;
    timer->fn = fn;
    timer->ctx = ctx;
    return timer;
}

void timer_free(struct timer *timer)
{
    if (!timer)
        return;
    list_remove(&timer->link);
    free(timer);
}

static void start(struct timer *timer, uint64_t delay_ms, uint64_t every_ms)
{
    list_remove(&timer->link);
    list_append(&timer->loop->timers, &timer->link);
    timer->due_us = sim.now_us + delay_ms * SIM_MS + 1 + sim_below(SIM_MS);
    timer->every_us = every_ms * SIM_MS;
}

void timer_start(struct timer *timer, uint64_t delay_ms)
{
    start(timer, delay_ms, 0);
}

void timer_repeat(struct timer *timer, uint64_t delay_ms, uint64_t every_ms)
{
    start(timer, delay_ms, every_ms);
}

void timer_stop(struct timer *timer)
{
    list_remove(&timer->link);
}

bool timer_active(const struct timer *timer)
{
    return !list_empty(&timer->link);
}

/* ---- mailboxes ---- */

struct latest *latest_new(struct loop *reader, const struct latest_options *options)
{
    struct latest *latest = xcalloc(1, sizeof(*latest));

    latest->options = *options;
    list_append(&reader->mailboxes, &latest->link);
    return latest;
}

void latest_free(struct latest *latest)
{
    if (!latest)
        return;
    if (latest->value)
        latest->options.unref(latest->value);
    list_remove(&latest->link);
    free(latest);
}

void latest_put(struct latest *latest, void *value)
{
    if (latest->value)
        latest->options.unref(latest->value);
    latest->value = value;
}

void latest_wake(struct latest *latest)
{
    latest->woken = latest->value != NULL;
}

void latest_take(struct latest *latest)
{
    if (latest->value)
        latest->options.on_value(latest->options.ctx, TAKE(latest->value));
}

void latest_publish(struct latest *latest, void *value)
{
    latest_put(latest, value);
    latest_wake(latest);
}

/* ---- threads ---- */

enum code thread_start(const char *name unused_arg, void (*fn)(void *ctx) unused_arg,
                       void *ctx unused_arg, struct thread **ret_thread,
                       struct err *err unused_arg)
{
    *ret_thread = xcalloc(1, sizeof(**ret_thread));
    return CODE_OK;
}

void thread_join(struct thread *thread)
{
    free(thread);
}
