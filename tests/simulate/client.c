#include "client.h"

#include "base/hash.h"
#include "net/address.h"
#include "xds_read.h"

#define BACK_US (1 * SIM_S) /* a call that was ended comes back within */

const struct target targets[TARGETS] = {
    {"greeter.shop:8001", {0, BY_NUMBER, 8001, "", -1, -1, -1, 0, false}, NULL},
    {"greeter.shop:grpc", {0, BY_NAME, 0, "grpc", -1, -1, -1, 0, false}, NULL},
    {"greeter.shop", {0, BY_DEFAULT, 0, "", -1, -1, -1, 0, false}, NULL},
    {"Greeter.Shop.svc.cluster.local.:8001", {0, BY_NUMBER, 8001, "", -1, -1, -1, 0, false}, NULL},
    {"pod-1.greeter.shop:8001", {0, BY_NUMBER, 8001, "", 1, -1, -1, 0, false}, NULL},
    {"greeter.shop.svc:80", {0, BY_NUMBER, 80, "", -1, -1, -1, 0, false}, NULL},
    {"db.shop:8001", {1, BY_NUMBER, 8001, "", -1, -1, -1, 0, false}, NULL},
    {"db.shop:web", {1, BY_NAME, 0, "web", -1, -1, -1, 0, false}, NULL},
    {"db.shop", {1, BY_DEFAULT, 0, "", -1, -1, -1, 0, false}, NULL},
    {"greeter:8001", {2, BY_NUMBER, 8001, "", -1, -1, -1, 0, false}, "web"},
    {"greeter.web:grpc", {2, BY_NAME, 0, "grpc", -1, -1, -1, 0, false}, NULL},
    {"greeter.web.svc.cluster.local", {2, BY_DEFAULT, 0, "", -1, -1, -1, 0, false}, NULL},
    {"greeter.web:9090", {2, BY_NUMBER, 9090, "", -1, -1, -1, 0, false}, NULL},
    {"pod-1.greeter.web:9091", {2, BY_NUMBER, 9091, "", 1, -1, -1, 0, false}, NULL},
    {"late.web:8001", {3, BY_NUMBER, 8001, "", -1, -1, -1, 0, false}, NULL},
    {"late.web:9090", {3, BY_NUMBER, 9090, "", -1, -1, -1, 0, false}, NULL},
};

static struct client clients[CLIENTS_MAX];
static size_t clients_len;

struct client *client_at(size_t index)
{
    return &clients[index % clients_len];
}

struct query client_query(const struct client *client, struct query query)
{
    query.zone = client->zone;
    query.node = client->node;
    query.group = client->group;
    return query;
}

void client_who(const struct client *client, const char *name, char out[160])
{
    char node[16] = "";

    if (client->node >= 0)
        snprintf(node, sizeof(node), "node-%d", client->node);
    snprintf(out, 160, "client %u (%s%s%s%s%s), %s", client->index, client->ops->name,
             client->zone >= 0 ? ", " : "", zone_name(client->zone), *node ? ", " : "", node, name);
}

/* ---- calls ---- */

static void connect_now(struct client *client)
{
    struct address peer;
    struct err err;

    snprintf(client->peer, sizeof(client->peer), "192.0.2.%u:%u", client->index + 1,
             40000 + client->calls++);
    if (address_parse(str_of(client->peer), &peer, &err) != CODE_OK)
        abort(); /* it is one */
    client->call = call_open(&peer, str_of(client->ops->path));
    client->connect_us = client->call ? SIM_NEVER : sim.now_us + 1 + sim_below(BACK_US);
    if (!client->call)
        return;
    sim_trace("client %u (%s) connects", client->index, client->ops->name);
    client->opened_us = sim.now_us;
    client->closing = client->refused = false;
    client->ops->open(client);
}

static void forget_call(struct client *client)
{
    call_drop(TAKE(client->call));
    client->ops->close(client);
}

void client_drop(struct client *client, uint64_t back_us)
{
    if (client->call)
        forget_call(client);
    client->connect_us = sim.now_us + back_us;
}

void client_half_close(struct client *client)
{
    if (client->call && !client->closing)
        call_half_close(client->call);
    client->closing = true;
}

void client_want(struct client *client, unsigned target, bool want)
{
    unsigned bit = 1u << target % TARGETS;

    if (want == ((client->wants & bit) != 0))
        return;
    client->wants ^= bit;
    if (client->call && !client->closing)
        client->ops->ask(client);
}

/* ---- turns ---- */

static uint64_t client_due(void *ctx)
{
    const struct client *client = ctx;

    if (!client->call)
        return client->connect_us;
    return client->paused ? SIM_NEVER : call_due(client->call);
}

static void client_turn(void *ctx)
{
    struct client *client = ctx;
    struct delivery delivery;

    if (!client->call) {
        connect_now(client);
        return;
    }
    if (!call_read(client->call, &delivery))
        return;
    if (!delivery.ended) {
        client->ops->receive(client, &delivery);
        return;
    }
    sim_trace("client %u (%s): the call ended with %s", client->index, client->ops->name,
              code_name(delivery.code));
    if (delivery.code != CODE_OK && delivery.code != CODE_UNAVAILABLE)
        sim_fail("client %u (%s): the call was refused with %s", client->index, client->ops->name,
                 code_name(delivery.code));
    client_drop(client, 1 + sim_below(BACK_US));
}

/* ---- all of them ---- */

/* By what it calls itself, which the native protocol has no word for, and its address. */
static unsigned group_of(const struct client *client)
{
    const char address[] = {(char)192, 0, 2, (char)(client->index + 1)};
    const char *id = client->ops == &native_client_ops ? "" : XDS_NODE_ID;
    uint64_t hash = hash_mix(hash_content(id, strlen(id)), hash_content(address, sizeof(address)));

    return 1 + (unsigned)(hash % 64);
}

static void place_client(struct client *client)
{
    unsigned node = (unsigned)sim_below(NODES);

    client->zone = client->node = -1;
    if (sim_rarely(3))
        return;
    client->zone = sim_rarely(3) ? -1 : (int)(node % ZONES);
    client->node = sim_rarely(3) ? -1 : (int)node;
}

void clients_start(size_t len)
{
    static const struct client_kind_ops *const kinds[CLIENT_KINDS] = {
        &grpc_client_ops, &envoy_client_ops, &native_client_ops};

    clients_len = len;
    for (size_t i = 0; i < len; i++) {
        struct client *client = &clients[i];

        *client = (struct client){.index = (unsigned)i, .connect_us = sim.now_us};
        client->ops = kinds[i < CLIENT_KINDS ? i : sim_below(CLIENT_KINDS)];
        client->actor = (struct actor){.due = client_due, .turn = client_turn, .ctx = client};
        place_client(client);
        client->group = group_of(client);
        client->wants = (unsigned)(sim_random() & sim_random()) % (1u << TARGETS);
        sim_join(&client->actor);
    }
}

void clients_done(void)
{
    for (size_t i = 0; i < clients_len; i++) {
        if (clients[i].call)
            forget_call(&clients[i]);
        free(TAKE(clients[i].kept));
        sim_leave(&clients[i].actor);
    }
    clients_len = 0;
    if (calls_open() > 0)
        sim_fail("%zu calls are left", calls_open());
}

void clients_heal(void)
{
    for (size_t i = 0; i < clients_len; i++) {
        struct client *client = &clients[i];

        client->paused = false;
        client->refusals = 0;
        if (!client->call || client->refused)
            client_drop(client, 0);
    }
}

/* ---- dumps ---- */

uint64_t stream_u64(const struct json *stream, const char *key)
{
    return (uint64_t)json_number(json_get(stream, key));
}

/* Of a call that is still open, and whose peer is the client's. */
static void compare(const struct json *stream)
{
    struct str peer = json_text(json_get(stream, "peer"));

    for (size_t i = 0; i < clients_len; i++) {
        const struct client *client = &clients[i];

        if (client->call && str_eq(peer, str_of(client->peer)))
            client->ops->compare(client, stream);
    }
}

void clients_compare(struct str text)
{
    CLEANUP(json_freep) struct json *json = NULL;
    struct err err = {0};

    if (json_parse(text, &json, &err) != CODE_OK) {
        sim_fail("a dump that is no JSON: %s", err.msg);
        return;
    }
    for (const struct json *stream = json_first(json_get(json, "streams")); stream;
         stream = json_next(stream))
        compare(stream);
}

void clients_check(bool final)
{
    for (size_t i = 0; i < clients_len && !sim_failed(); i++) {
        struct client *client = &clients[i];
        uint64_t fresh_us = sim.now_us;

        if (final && !client->call)
            sim_fail("client %u (%s) is not connected", client->index, client->ops->name);
        else if (final || (client->call && call_settled(client->call, &fresh_us)))
            client->ops->check(client, fresh_us, final);
    }
}
