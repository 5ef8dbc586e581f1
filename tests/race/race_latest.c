/*
 * One publisher, several reading loops, each behind its own slot: every reader sees growing
 * versions and in the end the newest, and every reference is given back once.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/base.h"
#include "loop/latest.h"
#include "loop/thread.h"

#define READERS 3
#define VERSIONS 50000u
#define BURST 5 /* then the publisher waits for a reader, so that slots are found empty as well */

/* Written before it is published, only read afterwards, shared by all readers. */
struct value {
    atomic_uint refs;
    unsigned version;
    unsigned twice;
};

struct reader {
    struct loop *loop;
    struct thread *thread;
    struct latest *latest;
    struct value *current;
    unsigned delivered;
};

static struct reader readers[READERS];
static atomic_uint live;
static atomic_uint seen; /* by the first reader */
static atomic_bool failed;

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "race-latest: %s\n", what);
        atomic_store(&failed, true);
    }
}

static void value_unref(void *ptr)
{
    struct value *value = ptr;

    if (value && atomic_fetch_sub_explicit(&value->refs, 1, memory_order_acq_rel) == 1) {
        free(value);
        atomic_fetch_sub(&live, 1);
    }
}

static void on_value(void *ctx, void *ptr)
{
    struct reader *reader = ctx;
    struct value *value = ptr;

    check(value->twice == 2 * value->version, "a value arrived half-written");
    check(!reader->current || value->version > reader->current->version, "versions went back");
    value_unref(reader->current);
    reader->current = value;
    reader->delivered++;
    if (reader == &readers[0])
        atomic_store_explicit(&seen, value->version, memory_order_relaxed);
    if (value->version == VERSIONS)
        loop_stop(reader->loop);
}

static void run_reader(void *ctx)
{
    struct reader *reader = ctx;

    loop_run(reader->loop);
    latest_free(reader->latest);
    value_unref(reader->current);
}

static void publish(unsigned version)
{
    struct value *value = xmalloc(sizeof(*value));

    *value = (struct value){.version = version, .twice = 2 * version};
    atomic_init(&value->refs, READERS);
    atomic_fetch_add(&live, 1);
    for (int i = 0; i < READERS; i++)
        latest_publish(readers[i].latest, value);
    while (version % BURST == 0 && atomic_load_explicit(&seen, memory_order_relaxed) < version)
        sched_yield();
}

static void start(struct reader *reader)
{
    const struct latest_options options = {on_value, reader, value_unref};
    struct err err = {0};

    check(loop_new(&reader->loop, &err) == CODE_OK, err.msg);
    reader->latest = latest_new(reader->loop, &options);
    check(thread_start("reader", run_reader, reader, &reader->thread, &err) == CODE_OK, err.msg);
}

int main(void)
{
    for (int i = 0; i < READERS; i++)
        start(&readers[i]);
    for (unsigned version = 1; version <= VERSIONS; version++)
        publish(version);
    for (int i = 0; i < READERS; i++) {
        thread_join(readers[i].thread);
        loop_free(readers[i].loop);
        check(readers[i].delivered > 0, "a reader saw nothing");
        printf("race-latest: reader %d saw %u of %u versions\n", i, readers[i].delivered, VERSIONS);
    }
    check(atomic_load(&live) == 0, "references were lost");
    return atomic_load(&failed) ? 1 : 0;
}
