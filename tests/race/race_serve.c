/*
 * The serving side under TSan: catalogs published, clients of different places that connect, watch, move and leave, dumps, metrics, looks for streams to shed, a drain and a hard end, all at the
 * same time. The Service's hints come and go, and nodes change their zones. A third of the clients comes over TLS, whose certificate changes all the time.
 * Exit 0 when every client saw the last list of its zone; TSan reports races by itself.
 */
#include <stdio.h>
#include <unistd.h>

#include "../unit/net/certificates.h"
#include "base/clock.h"
#include "base/log.h"
#include "encode/xds.h"
#include "grpc/client.h"
#include "loop/thread.h"
#include "serve/serve.h"

#define WORKERS 4
#define CLIENTS 12
#define PUBLICATIONS 200
#define WATCH "/lookaside.v1.BackendDiscovery/Watch"
#define TARGET "\x0a\x11greeter.shop:8001"
/* The last addresses of zones a and b. */
#define LAST_A "10.9.9.1"
#define LAST_B "10.9.9.2"

/* How a client says where it is, and what it must see in the end: its zone's address, and not the other. */
static const struct manner {
    struct str first, then; /* requests; the second when the first answer is there */
    const char *expected, *other;
} manners[] = {
    {STR_INIT(TARGET "\x1a\x03\x0a\x01" "a"), STR_INIT(""), LAST_A, LAST_B},
    {STR_INIT(TARGET "\x1a\x03\x0a\x01" "a"), STR_INIT(TARGET "\x1a\x03\x0a\x01" "b"), LAST_B, LAST_A}, /* moves */
    {STR_INIT(TARGET "\x1a\x04\x12\x02" "n1"), STR_INIT(""), LAST_B, LAST_A},                            /* by its node */
    {STR_INIT(TARGET), STR_INIT(""), LAST_B, LAST_A},                                                     /* by its address */
};

struct client {
    struct loop *loop;
    struct thread *thread;
    struct address server;
    struct tls *tls; /* NULL: plaintext */
    const struct manner *manner;
    struct grpc_call *call;
    bool moved, seen;
};

static struct loop *control;
static struct serve *serve;
static struct client clients[CLIENTS];
static _Atomic unsigned waiting = CLIENTS;
static unsigned published, dumps;
static struct tls *certificates[2], *client_tls;
static const struct pod_table *pods;
static struct timer *ticker;

/* ---- a client: watches until the last list comes ---- */

static bool has(struct str message, const char *text)
{
    return memmem(message.ptr, message.len, text, strlen(text)) != NULL;
}

static void on_message(void *ctx, struct str message)
{
    struct client *client = ctx;

    if (!client->moved && client->manner->then.len > 0)
        grpc_call_send(client->call, client->manner->then.ptr, client->manner->then.len, false);
    client->moved = true;
    if (client->seen || !has(message, client->manner->expected) || has(message, client->manner->other))
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
    struct grpc_client_options options = {
        .server = &client->server, .authority = "race", .connect_timeout_ms = 5000, .tls = client->tls, .server_name = "localhost"};
    struct err err = {0};
    enum code code = loop_new(&client->loop, &err);

    options.loop = client->loop;
    if (code != CODE_OK || grpc_client_new(&options, &grpc, &err) != CODE_OK) {
        fprintf(stderr, "race_serve: %s\n", err.msg);
        return;
    }
    client->call = grpc_call_start(grpc, WATCH, 0, &handler, client);
    grpc_call_send(client->call, client->manner->first.ptr, client->manner->first.len, false);
    loop_run(client->loop);
    grpc_client_free(grpc);
    loop_free(client->loop);
}

/* ---- the control thread ---- */

static void add_endpoint(struct slice_builder *builder, const char *address, const struct str *zone, bool hinted)
{
    const struct endpoint endpoint = {
        .address = str_of(address), .ready = true, .serving = true, .zone = *zone, .zone_hints = zone, .zone_hints_len = hinted};

    if (slice_add_endpoint(builder, &endpoint, NULL) != CODE_OK)
        abort();
}

static const struct slice *make_slice(unsigned number, bool last)
{
    static const struct str zones[] = {STR_INIT("a"), STR_INIT("b")};
    struct slice_spec spec = {
        .namespace_name = STR("shop"), .name = STR("greeter-a"), .service = STR("greeter"), .family = FAMILY_IPV4};
    struct slice_port port = {.name = STR("grpc"), .number = 8001};
    struct slice_builder *builder = slice_builder_new(&spec);
    char address[32];

    if (slice_add_port(builder, &port, NULL) != CODE_OK)
        abort();
    for (unsigned i = 0; i < 2; i++) {
        snprintf(address, sizeof(address), "10.%u.%u.%u", i, number / 250, 1 + number % 250);
        add_endpoint(builder, last ? (i ? LAST_B : LAST_A) : address, &zones[i], last || number % 2);
    }
    return slice_finish(builder, encode_backend);
}

/* Hints, no hints, sometimes local, sometimes a host elsewhere. */
static const struct catalog *make_catalog(unsigned number, bool last)
{
    struct service_spec_port port = {.name = STR("grpc"), .number = 8001};
    struct service_spec spec = {
        .namespace_name = STR("shop"), .name = STR("greeter"), .ports_len = 1, .ports = &port, .received_us = 1};
    const struct pair node = {STR_INIT("n1"), last || number % 3 ? STR("b") : STR("a")};
    const struct catalog *empty = catalog_new_empty(), *catalog;
    struct catalog_edit *edit = catalog_edit_new(empty);
    const struct slice *slice = make_slice(number, last);

    spec.local = !last && number % 5 == 0;
    if (!last && number % 7 == 0) {
        spec.type = SERVICE_EXTERNAL_NAME;
        spec.external_name = STR("db.example.com");
    }
    catalog_put(edit, service_new(&spec, &slice, spec.type != SERVICE_EXTERNAL_NAME, NULL));
    catalog_set_nodes(edit, &node, 1);
    catalog = catalog_edit_finish(edit);
    catalog_unref(empty);
    slice_unref(slice);
    return catalog;
}

static bool on_place_of_peer(void *ctx unused_arg, const struct address *peer unused_arg, struct place *ret_place)
{
    *ret_place = (struct place){.zone = STR("b"), .node = STR("n2")};
    return true;
}

/* Of addresses that no client has. */
static void publish_pods(void)
{
    const unsigned char bytes[] = {10, 0, 0, (unsigned char)(1 + published % 50)};
    struct pod_address address = pod_address_of(FAMILY_IPV4, bytes);
    struct blob *account = blob_copy("shop/frontend", 13);
    struct pod_edit *edit = pod_edit_new(pods);

    if (published % 3)
        (void)!pod_edit_add(edit, &address, account);
    pod_table_unref(pods);
    pods = pod_edit_finish(edit);
    blob_unref(account);
    serve_set_pods(serve, pod_table_ref(pods));
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
    struct stream_filter filter = {STR(""), STR("")};

    if (published < PUBLICATIONS) {
        published++;
        serve_publish(serve, make_catalog(published, published == PUBLICATIONS));
    }
    if (published % 2)
        filter = (struct stream_filter){STR("shop"), STR("greeter")};
    serve_set_tls(serve, certificates[published % 2]);
    publish_pods();
    serve_write_metrics(serve, &metrics);
    buf_done(&metrics);
    serve_dump_streams(serve, &filter, on_dump, NULL);
    serve_shed(serve, &(struct serve_shed){.streams = 2, .most = 3, .min_age_ms = 3600 * 1000}); /* it looks at all, and takes none */
    if (waiting == 0) {
        timer_stop(ticker);
        serve_drain(serve, 20, 2000, on_drained, NULL);
    }
}

/* It asks clients for certificates, too. */
static struct tls *make_tls(const struct authority *authority, const char *folder, const char *ca, struct err *err)
{
    char cert[64], key[64];
    struct tls *tls = NULL;

    snprintf(cert, sizeof(cert), "%s/crt", folder);
    snprintf(key, sizeof(key), "%s/key", folder);
    authority_sign(authority, NULL, cert, key);
    if (tls_server_new(cert, key, clock_wall_us(), &tls, err) == CODE_OK)
        (void)!tls_ask_clients(tls, ca, true, err);
    unlink(cert);
    unlink(key);
    return tls;
}

static void show_account(const struct authority *authority, const char *folder, struct err *err)
{
    const struct certificate_spec spec = {.names = "URI:spiffe://cluster.local/ns/shop/sa/a", .usage = "clientAuth"};
    char cert[64], key[64];

    snprintf(cert, sizeof(cert), "%s/crt", folder);
    snprintf(key, sizeof(key), "%s/key", folder);
    authority_sign(authority, &spec, cert, key);
    (void)!tls_show_certificate(client_tls, cert, key, clock_wall_us(), err);
    unlink(cert);
    unlink(key);
}

static void set_up_tls(struct err *err)
{
    char folder[] = "/tmp/lookaside-race-XXXXXX", ca[64];
    struct authority *authority = authority_new();

    if (!mkdtemp(folder))
        abort();
    snprintf(ca, sizeof(ca), "%s/ca", folder);
    authority_write(authority, ca);
    for (size_t i = 0; i < ARRAY_LEN(certificates); i++)
        certificates[i] = make_tls(authority, folder, ca, err);
    if (tls_client_new(ca, false, &client_tls, err) == CODE_OK)
        show_account(authority, folder, err);
    unlink(ca);
    rmdir(folder);
    authority_free(authority);
}

static void set_up(struct err *err)
{
    struct serve_options options = {.threads = WORKERS, .cluster_domain = "cluster.local", .default_namespace = "shop",
                                    .place_of_peer = on_place_of_peer, .pods = true};
    struct address any;

    if (loop_new(&control, err) != CODE_OK)
        return;
    options.loop = control;
    if (serve_new(&options, &serve, err) != CODE_OK || address_parse(STR("127.0.0.1:0"), &any, err) != CODE_OK ||
        serve_listen(serve, &any, err) != CODE_OK || serve_listen_tls(serve, &any, err) != CODE_OK)
        return;
    set_up_tls(err);
    if (err->code != CODE_OK)
        return;
    serve_set_tls(serve, certificates[0]);
    pods = pod_table_new_empty();
    serve_set_pods(serve, pod_table_ref(pods));
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i].tls = i / ARRAY_LEN(manners) % 2 ? client_tls : NULL;
        clients[i].server = *serve_address(serve, clients[i].tls ? 1 : 0);
        clients[i].manner = &manners[i % ARRAY_LEN(manners)];
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
    for (size_t i = 0; i < ARRAY_LEN(certificates); i++)
        tls_unref(certificates[i]);
    tls_unref(client_tls);
    pod_table_unref(pods);
    loop_free(control);
    return waiting == 0 && dumps > 0 ? 0 : 1;
}
