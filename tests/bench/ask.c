#include "load.h"

#include "wire/fields.h"
#include "wire/writer.h"

#define ADS_PATH "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
#define NAME_MAX_LEN 64

const char *const slot_urls[SLOTS] = {LISTENER_URL, CLUSTER_URL, CLUSTER_LOAD_ASSIGNMENT_URL};

/* Each is kept in the server's table (RFC 7541, 6.2.1), as gRPC clients have it: by the first call; those of further ones point there. */
static const struct {
    struct str head; /* of the literal: the name */
    const char *value;
} kept[] = {
    {STR_INIT("\x44"), ADS_PATH},           /* :path */
    {STR_INIT("\x41"), "lookaside:18000"},  /* :authority */
    {STR_INIT("\x5f"), "application/grpc"}, /* content-type */
    {STR_INIT("\x7a"), "grpc-bench/1.0"},   /* user-agent */
    {STR_INIT("\x40\x02te"), "trailers"},
    {STR_INIT("\x40\x14grpc-accept-encoding"), "gzip"},
};

#define TABLE_FIRST 62 /* index of the newest */

static void put_kept(struct buf *out, size_t i, bool first)
{
    const char *value = kept[i].value;

    if (!first) {
        buf_add_char(out, (char)(0x80 | (TABLE_FIRST + ARRAY_LEN(kept) - 1 - i)));
        return;
    }
    buf_add_str(out, kept[i].head);
    buf_add_char(out, (char)strlen(value));
    buf_append(out, value, strlen(value));
}

static void put_call(struct buf *out, uint32_t stream, bool tls)
{
    struct buf headers = BUFFER_INIT(1024);

    buf_add_str(&headers, tls ? STR("\x83\x87") : STR("\x83\x86")); /* :method POST, :scheme */
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        put_kept(&headers, i, stream == 1);
    frame_put(out, FRAME_HEADERS, FRAME_END_HEADERS, stream, buf_str(&headers));
    buf_done(&headers);
}

/* As a gRPC client tells of itself. */
static void put_node(struct buf *message)
{
    size_t node = wire_open(message, DISCOVERY_REQUEST_NODE);
    size_t locality;

    wire_put_bytes(message, NODE_ID, STR("bench-7c4d9f6b5-2xkqp.shop"));
    locality = wire_open(message, NODE_LOCALITY);
    wire_put_bytes(message, LOCALITY_ZONE, STR("zone-a"));
    wire_close(message, locality);
    wire_put_bytes(message, NODE_USER_AGENT_NAME, STR("gRPC Bench"));
    wire_put_bytes(message, NODE_USER_AGENT_VERSION, STR("1.0"));
    wire_close(message, node);
}

static void put_names(const struct plan *plan, uint32_t stream, uint32_t slot, struct buf *message)
{
    char name[NAME_MAX_LEN];

    for (uint32_t i = 0; i < plan->names; i++) {
        uint32_t service = (uint32_t)(((uint64_t)stream * plan->names + i) % plan->services);
        int len = snprintf(name, sizeof(name), slot == 0 ? "s%05u.shop:8001" : "shop/s%05u:8001",
                           service);

        wire_put_bytes(message, DISCOVERY_REQUEST_RESOURCE_NAMES, str_make(name, (size_t)len));
    }
}

static void put_request(struct load *load, struct client *client, uint32_t stream, uint32_t slot,
                        struct str version, struct str nonce)
{
    struct buf message = BUFFER_INIT(FRAME_BUFFER_MAX);
    struct buf *held = &client->streams[stream].held;
    uint32_t number = (uint32_t)(client - load->clients) * load->plan.streams + stream;

    if (nonce.len == 0)
        put_node(&message);
    if (version.len > 0)
        wire_put_bytes(&message, DISCOVERY_REQUEST_VERSION_INFO, version);
    put_names(&load->plan, number, slot, &message);
    wire_put_bytes(&message, DISCOVERY_REQUEST_TYPE_URL, str_of(slot_urls[slot]));
    if (nonce.len > 0)
        wire_put_bytes(&message, DISCOVERY_REQUEST_RESPONSE_NONCE, nonce);
    frame_put_prefix(held, message.len);
    buf_add_str(held, buf_str(&message));
    buf_done(&message);
}

static void drain_stream(struct client *client, uint32_t index)
{
    struct stream *stream = &client->streams[index];

    while (stream->held.len > 0 && stream->window > 0 && client->window > 0) {
        int64_t most = stream->window < client->window ? stream->window : client->window;
        size_t len = min_size(min_size(stream->held.len, FRAME_PAYLOAD_MAX), (size_t)most);

        frame_put(&client->out, FRAME_DATA, 0, 2 * index + 1,
                  str_slice(buf_str(&stream->held), 0, len));
        buf_consume(&stream->held, len);
        stream->window -= (int64_t)len;
        client->window -= (int64_t)len;
    }
    if (stream->held.len == 0)
        buf_done(&stream->held);
}

void ask_drain(struct client *client, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->streams; i++)
        if (client->streams[i].held.len > 0)
            drain_stream(client, i);
}

void ask_open(struct load *load, struct client *client)
{
    const struct plan *plan = &load->plan;

    buf_append(&client->out, PREFACE, sizeof(PREFACE) - 1);
    frame_put(&client->out, FRAME_SETTINGS, 0, 0, FRAME_WIDE_STREAMS);
    frame_put(&client->out, FRAME_WINDOW_UPDATE, 0, 0, FRAME_WIDE_CONNECTION);
    for (uint32_t stream = 0; stream < plan->streams; stream++) {
        put_call(&client->out, 2 * stream + 1, plan->tls);
        for (uint32_t slot = plan->only_endpoints ? ASSIGNMENT_SLOT : 0; slot < SLOTS; slot++)
            put_request(load, client, stream, slot, STR(""), STR(""));
    }
    ask_drain(client, plan);
}

void ask_again(struct load *load, struct client *client, uint32_t stream, uint32_t slot,
               struct str version, struct str nonce)
{
    put_request(load, client, stream, slot, version, nonce);
    drain_stream(client, stream);
}
