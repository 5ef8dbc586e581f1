#include "product.h"

#include "client.h"
#include "controller/source.h"
#include "fake_loop.h"
#include "serve/internal.h"

#define DELETION_GRACE_MS 5000
#define CONTROL_STALL_MAX_US (400 * SIM_MS)

static struct {
    struct product_options options;
    struct loop *loop;
    struct deferred begin;
    struct controller *controller;
    struct serve *serve;
    struct kube_client *client;
    struct source *source;
    bool listening;
} product;

static struct str service_name(unsigned service, char out[TEXT])
{
    slot_name(service, out);
    return str_of(out);
}

/* ---- holds, as the controller shows them ---- */

static void note_holds(void)
{
    for (unsigned service = 0; service < SERVICES; service++) {
        char name[TEXT];

        judge_note_hold(service,
                        controller_hold(product.controller, str_of(slot_namespace(service)),
                                        service_name(service, name)) != NULL);
    }
}

bool product_release(unsigned service)
{
    char name[TEXT];

    return controller_release(product.controller, str_of(slot_namespace(service)),
                              service_name(service, name));
}

/* ---- wiring ---- */

static void on_publish(void *ctx unused_arg, const struct catalog *catalog)
{
    sim_trace("catalog %llu is published", (unsigned long long)catalog_generation(catalog));
    judge_note_publication();
    serve_publish(product.serve, catalog);
    if (!product.listening)
        deferred_schedule(product.loop, &product.begin);
}

static void on_first_publication(void *ctx unused_arg)
{
    struct address address;
    struct err err;

    if (product.listening || address_parse(STR("127.0.0.1:18000"), &address, &err) != CODE_OK)
        return;
    product.listening = serve_listen(product.serve, &address, &err) == CODE_OK;
}

static uint64_t on_fanout_us(void *ctx unused_arg)
{
    return serve_fanout_us(product.serve);
}

void product_start(const struct product_options *options)
{
    struct controller_options controller = {
        .publish = on_publish,
        .fanout_us = on_fanout_us,
        .deletion_grace_ms = DELETION_GRACE_MS,
    };
    struct serve_options serve = {
        .threads = options->workers,
        .cluster_domain = "cluster.local",
        .default_namespace = "default",
    };
    struct source_kube_options source = {0};
    struct err err = {0};

    product.options = *options;
    product.listening = false;
    deferred_init(&product.begin, on_first_publication, NULL);
    if (loop_new(&product.loop, &err) != CODE_OK)
        return;
    loop_set_after_turn(product.loop, note_holds);
    controller.loop = serve.loop = product.loop;
    product.controller = controller_new(&controller);
    if (serve_new(&serve, &product.serve, &err) != CODE_OK ||
        kube_client_new(product.loop, NULL, &product.client, &err) != CODE_OK)
        sim_fail("cannot start: %s", err.msg);
    source.client = product.client;
    if (source_kube_new(product.loop, product.controller, &source, &product.source, &err) !=
        CODE_OK)
        sim_fail("cannot start: %s", err.msg);
}

void product_stop(void)
{
    for (unsigned service = 0; service < SERVICES; service++)
        judge_note_hold(service, false);
    loop_close_posts(product.loop);
    deferred_cancel(&product.begin);
    source_free(product.source);
    kube_client_free(product.client);
    serve_free(product.serve);
    controller_free(product.controller);
    loop_free(product.loop);
}

/* ---- faults ---- */

void product_stall(unsigned loop, uint64_t us)
{
    unsigned index = loop % (product.options.workers + 1);
    struct actor *actor =
        loop_actor(index == 0 ? product.loop : product.serve->workers[index - 1]->loop);

    if (index == 0)
        us = min_u64(us, CONTROL_STALL_MAX_US);
    if (index == 0)
        judge_note_stall(us);
    actor->stalled_until_us = sim.now_us + us;
    sim_trace("%s %u does nothing for %llu ms", index ? "worker" : "control loop", index,
              (unsigned long long)(us / SIM_MS));
}

/* ---- what must hold ---- */

static void on_dump(void *ctx unused_arg, struct buf *json)
{
    clients_compare(buf_str(json));
}

void product_dump(void)
{
    const struct stream_filter all = {{NULL, 0}, {NULL, 0}};

    serve_dump_streams(product.serve, &all, on_dump, NULL);
}


static void expect_zero(const char *what, uint64_t value)
{
    if (value != 0)
        sim_fail("%s: %llu are left", what, (unsigned long long)value);
}

void product_check_bare(void)
{
    for (unsigned i = 0; i < product.options.workers; i++) {
        const struct worker *worker = product.serve->workers[i];

        expect_zero("xds streams", counter_get(&worker->stats.streams_xds));
        expect_zero("native streams", counter_get(&worker->stats.streams_native));
        expect_zero("grpclb streams", counter_get(&worker->stats.streams_grpclb));
        expect_zero("subscriptions", counter_get(&worker->stats.subscriptions));
        expect_zero("topics", counter_get(&worker->stats.topics.topics));
        expect_zero("bytes of views", counter_get(&worker->stats.topics.bytes));
        expect_zero("views", counter_get(&worker->stats.topics.views));
    }
}

void product_check_quiet(void)
{
    const struct controller_stats *stats = controller_stats(product.controller);
    struct buf reason = BUFFER_INIT(512);
    uint64_t services = 0, slices = 0;

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        const struct api_object *object = cluster_get(slot);

        services += object && slot_resource(slot) == RESOURCE_SERVICES;
        slices += object && slot_resource(slot) == RESOURCE_SLICES;
    }
    if (!source_synced(product.source, &reason))
        sim_fail("the source is not synced: %s", buf_cstr(&reason));
    buf_done(&reason);
    if (counter_get(&stats->objects_services) != services ||
        counter_get(&stats->objects_slices) != slices)
        sim_fail("the store has %llu Services and %llu slices, there are %llu and %llu",
                 (unsigned long long)counter_get(&stats->objects_services),
                 (unsigned long long)counter_get(&stats->objects_slices),
                 (unsigned long long)services, (unsigned long long)slices);
    if (counter_get(&stats->services) != services)
        sim_fail("%llu Services are published, there are %llu",
                 (unsigned long long)counter_get(&stats->services), (unsigned long long)services);
    for (int hold = HOLD_NONE + 1; hold < HOLD_KINDS; hold++)
        expect_zero(hold_name((enum hold)hold), counter_get(&stats->held[hold]));
}
