/* What a connection costs, and what a push costs: pinned, so that neither grows unnoticed. */
#include <criterion/criterion.h>

#include "heap.h"
#include "tls_bridge.h"
#include "world.h"

#define PEERS 200
#define BYTES_PER_PEER_MAX (10 * 1024)
#define PUSHES 1000
#define TLS_PEERS 100
#define TLS_BYTES_PER_PEER_MAX (25 * 1024)

static struct raw raws[PEERS];

static void open_stream(struct raw *raw)
{
    raw_hello(raw);
    raw_call(raw, 1, STREAM, NULL, NULL);
    raw_message(raw, 1, "hello", 5, false);
}

/* Frees what the test itself keeps of a connection. */
static void forget(struct raw *raw)
{
    raw_read(raw);
    buf_done(&raw->in);
    buf_init(&raw->in, 1024 * 1024);
}

static void wake(void *ctx, struct rpc *rpc)
{
    enum rpc_wake *kind = ctx;

    rpc_wake(rpc, *kind);
}

static void push_to_all(unsigned peers)
{
    enum rpc_wake kind = RPC_WAKE_UPDATE;

    world.ready = peers;
    world.one_each = true;
    world.served = NULL;
    grpc_server_each_call(world.server, wake, &kind);
    world_settle();
}

Test(memory, a_connection_with_one_stream_takes_at_most_10_kib)
{
    size_t before;
    size_t each;

    world.limits.turn_us = 1000000;
    world_start();
    world_say(5000);
    open_stream(&raws[0]);
    world_settle();
    before = heap_bytes();
    for (int i = 1; i < PEERS; i++)
        open_stream(&raws[i]);
    world_settle();
    cr_assert_eq(world.messages, PEERS);
    push_to_all(PEERS);
    cr_assert_eq(world.written, PEERS);
    each = (heap_bytes() - before) / (PEERS - 1);
    cr_log_info("%zu bytes for each connection with one stream", each);
    cr_assert_leq(each, BYTES_PER_PEER_MAX, "%zu bytes", each);
    for (int i = 0; i < PEERS; i++)
        raw_close(&raws[i]);
    world_stop();
}

static bool all_heard(void *ctx)
{
    const unsigned *wanted = ctx;

    return world.messages >= *wanted;
}

static bool all_said(void *ctx)
{
    const unsigned *wanted = ctx;

    return world.written >= *wanted;
}

/* The same over TLS; the heap once all is quiet. */
static size_t open_over_tls(const struct bridge *bridge, struct tls *tls, unsigned from,
                            unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        raw_open_tls(&raws[i], tls, bridge->plain[i], bridge->wire[i]);
        raw_preface(&raws[i]);
        raw_call(&raws[i], 1, STREAM, NULL, NULL);
        raw_message(&raws[i], 1, "hello", 5, false);
    }
    cr_assert(world_until(all_heard, &to));
    push_to_all(to - from);
    cr_assert(world_until(all_said, &to));
    return heap_bytes();
}

Test(memory, a_connection_over_tls_takes_at_most_25_kib)
{
    struct tls *tls = world_tls();
    struct bridge bridge;
    size_t before, each;

    world.limits.turn_us = 1000000;
    bridge_start(&bridge, TLS_PEERS);
    world_start();
    world_say(500); /* should one stream take all, its window holds them */
    before = open_over_tls(&bridge, tls, 0, 1);
    each = (open_over_tls(&bridge, tls, 1, TLS_PEERS) - before) / (TLS_PEERS - 1);
    cr_log_info("%zu bytes for each connection with one stream over TLS", each);
    cr_assert_eq(counter_get(&world_stats()->tls.handshakes), TLS_PEERS);
    cr_assert_leq(each, TLS_BYTES_PER_PEER_MAX, "%zu bytes", each);
    for (int i = 0; i < TLS_PEERS; i++)
        raw_close(&raws[i]);
    world_stop();
    bridge_stop(&bridge);
    tls_unref(tls);
}

Test(memory, a_push_allocates_nothing)
{
    size_t before;
    char ack[64] = {0};
    struct raw raw;

    world_start();
    world_say(5000);
    world.head_len = 100;
    open_stream(&raw);
    raw_frame(&raw, FRAME_WINDOW, 0, 0, "\x3f\xff\x00\x00", 4);
    raw_frame(&raw, FRAME_WINDOW, 0, 1, "\x3f\xff\x00\x00", 4);
    push_to_all(1);
    forget(&raw);
    heap_allocations();
    push_to_all(1);
    raw_read(&raw); /* the buffer of the test grows here, and is not measured */
    before = heap_allocations();
    for (unsigned i = 0; i < PUSHES; i++) {
        raw.in.len = 0;
        push_to_all(1);
        raw_read(&raw);
        raw_frame(&raw, FRAME_DATA, 0, 1, ack, 5); /* an empty message: the ACK */
        world_settle();
    }
    cr_assert_eq(world.written, 2 + PUSHES);
    cr_assert_eq(heap_allocations() - before, 0, "%zu allocations for %d pushes",
                 heap_allocations() - before, PUSHES);
    raw_close(&raw);
    world_stop();
}
