/*
 * The serving side under TSan: catalogs published, clients that connect, watch and leave, dumps, metrics, a drain and a hard end, all at the same time.
 * Exit 0 when every client saw the last list; TSan reports races by itself.
 */
#include <stdio.h>

#include "base/log.h"
#include "encode/xds.h"
#include "grpc/client.h"
#include "loop/thread.h"
#include "serve/serve.h"

#define WORKERS 3
#define CLIENTS 12
#define PUBLICATIONS 200
#define WATCH "/lookaside.v1.BackendDiscovery/Watch"
#define REQUEST "\x0a\x11greeter.shop:8001"
#define LAST_ADDRESS "10.9.9.9"

struct client {
    struct loop *loop;
    struct thread *thread;
    struct address server;
    bool seen;
};

static struct loop *control;
static struct serve *serve;
static struct client clients[CLIENTS];
static _Atomic unsigned waiting = CLIENTS;
static unsigned published, dumps;
static struct timer *ticker;

/* ---- a client: watches until the last list comes ---- */

static void on_message(void *ctx, struct str message)
{
    struct client *client = ctx;

    if (client->seen || !memmem(message.ptr, message.len, LAST_ADDRESS, strlen(LAST_ADDRESS)))
        return;
    client->seen = true;
    atomic_fetch_sub(&waiting, 1);
    loop_stop(client->loop);
}

static void on_end(void *ctx, enum code code, const char *message)
{
    struct client *client = ctx;

    fprintf(stderr, "race_serve: a stream ended: %s %s\n", code_name(code), message ? message : "");
    loop_stop(client->loop);
}

static const struct grpc_call_handler handler = {.on_message = on_message, .on_end = on_end};

static void run_client(void *ctx)
{
    struct client *client = ctx;
    struct grpc_client *grpc;
    struct err err = {0};

    if (loop_new(&client->loop, &err) != CODE_OK ||
        grpc_client_new(client->loop, &client->server, "race", 5000, &grpc, &err) != CODE_OK) {
        fprintf(stderr, "race_serve: %s\n", err.msg);
        return;
    }
    grpc_call_send(grpc_call_start(grpc, WATCH, 0, &handler, client), REQUEST, sizeof(REQUEST) - 1, false);
    loop_run(client->loop);
    grpc_client_free(grpc);
    loop_free(client->loop);
}

/* ---- the control thread ---- */

static const struct catalog *make_catalog(const char *address)
{
    struct slice_spec slice_spec = {
        .namespace_name = STR("shop"), .name = STR("greeter-a"), .service = STR("greeter"), .family = FAMILY_IPV4};
    struct slice_port slice_port = {.name = STR("grpc"), .number = 8001};
    struct endpoint endpoint = {.address = str_of(address), .ready = true, .serving = true};
    struct service_spec_port port = {.name = STR("grpc"), .number = 8001};
    struct service_spec spec = {
        .namespace_name = STR("shop"), .name = STR("greeter"), .ports_len = 1, .ports = &port, .received_us = 1};
    struct slice_builder *builder = slice_builder_new(&slice_spec);
    const struct catalog *empty = catalog_new_empty(), *catalog;
    struct catalog_edit *edit = catalog_edit_new(empty);
    const struct slice *slice;

    if (slice_add_port(builder, &slice_port, NULL) != CODE_OK ||
        slice_add_endpoint(builder, &endpoint, NULL) != CODE_OK)
        abort();
    slice = slice_finish(builder, encode_backend);
    catalog_put(edit, service_new(&spec, &slice, 1, NULL));
    catalog = catalog_edit_finish(edit);
    catalog_unref(empty);
    slice_unref(slice);
    return catalog;
}

static void on_dump(void *ctx unused_arg, struct buf *json)
{
    dumps += !buf_failed(json);
}

static void on_drained(void *ctx unused_arg)
{
    loop_stop(control);
}

static void on_tick(void *ctx unused_arg)
{
    struct buf metrics = BUFFER_INIT(1024 * 1024);
    char address[32];

    if (published < PUBLICATIONS) {
        snprintf(address, sizeof(address), "10.0.%u.%u", published / 250, 1 + published % 250);
        serve_publish(serve, make_catalog(++published == PUBLICATIONS ? LAST_ADDRESS : address));
    }
    serve_write_metrics(serve, &metrics);
    buf_done(&metrics);
    serve_dump_streams(serve, &(struct stream_filter){0}, on_dump, NULL);
    if (waiting == 0) {
        timer_stop(ticker);
        serve_drain(serve, 20, 2000, on_drained, NULL);
    }
}

static void set_up(struct err *err)
{
    struct serve_options options = {.threads = WORKERS, .cluster_domain = "cluster.local", .default_namespace = "shop"};
    struct address any;

    if (loop_new(&control, err) != CODE_OK)
        return;
    options.loop = control;
    if (serve_new(&options, &serve, err) != CODE_OK || address_parse(STR("127.0.0.1:0"), &any, err) != CODE_OK ||
        serve_listen(serve, &any, err) != CODE_OK)
        return;
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i].server = *serve_address(serve, 0);
        if (thread_start("client", run_client, &clients[i], &clients[i].thread, err) != CODE_OK)
            return;
    }
}

int main(void)
{
    struct err err = {0};

    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    set_up(&err);
    if (err.code != CODE_OK) {
        fprintf(stderr, "race_serve: %s\n", err.msg);
        return 1;
    }
    ticker = timer_new(control, on_tick, NULL);
    timer_repeat(ticker, 1, 2);
    loop_run(control);
    for (size_t i = 0; i < CLIENTS; i++)
        thread_join(clients[i].thread);
    timer_free(ticker);
    loop_close_posts(control);
    serve_free(serve);
    loop_free(control);
    return waiting == 0 && dumps > 0 ? 0 : 1;
}
