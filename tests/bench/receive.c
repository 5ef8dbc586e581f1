#include "load.h"

#include "base/hash.h"
#include "wire/fields.h"
#include "wire/reader.h"

struct response {
    struct str version, nonce;
    uint32_t slot;
};

static uint32_t slot_of(struct str url)
{
    uint32_t slot = 0;

    while (slot < SLOTS && !str_eq(url, str_of(slot_urls[slot])))
        slot++;
    return slot;
}

static bool parse_response(struct str message, struct response *response)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;

    *response = (struct response){.slot = SLOTS};
    while (wire_next(&reader, &field)) {
        if (field.number == DISCOVERY_RESPONSE_VERSION_INFO)
            response->version = field.bytes;
        else if (field.number == DISCOVERY_RESPONSE_TYPE_URL)
            response->slot = slot_of(field.bytes);
        else if (field.number == DISCOVERY_RESPONSE_NONCE)
            response->nonce = field.bytes;
    }
    return !reader.failed && response->slot < SLOTS;
}

static struct str bytes_of(struct str message, uint32_t number)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    struct str found = STR("");

    while (wire_next(&reader, &field))
        if (field.number == number)
            found = field.bytes;
    return found;
}

static uint32_t count_endpoints(struct str assignment)
{
    struct wire_reader reader = wire_reader(assignment);
    struct wire_field field, inner;
    uint32_t count = 0;

    while (wire_next(&reader, &field)) {
        struct wire_reader locality;

        if (field.number != CLUSTER_LOAD_ASSIGNMENT_ENDPOINTS)
            continue;
        locality = wire_reader(field.bytes);
        while (wire_next(&locality, &inner))
            count += inner.number == LOCALITY_LB_ENDPOINTS_LB_ENDPOINTS;
    }
    return count;
}

/* "shop/sNNNNN:8001" */
static bool service_of(struct str cluster, const struct plan *plan, uint32_t *ret_service)
{
    uint64_t number;

    if (!str_starts_with(cluster, STR("shop/s")) || !str_ends_with(cluster, STR(":8001")) ||
        !str_to_u64(str_slice(cluster, 6, cluster.len - 5), plan->services - 1, &number))
        return false;
    *ret_service = (uint32_t)number;
    return true;
}

/* Where the list of a name that the stream asked for is kept, or NULL. */
static uint32_t *list_slot(struct load *load, uint32_t stream_number, uint32_t service)
{
    const struct plan *plan = &load->plan;
    uint64_t first = (uint64_t)stream_number * plan->names;
    uint32_t index =
        (uint32_t)((service + plan->services - first % plan->services) % plan->services);

    return index < plan->names ? &load->lists[first + index] : NULL;
}

static void note(struct load *load, const struct arrival *arrival)
{
    load->log = xgrow(load->log, &load->log_cap, load->log_len, sizeof(*load->log));
    load->log[load->log_len++] = *arrival;
}

static void served_more(struct load *load, struct client *client, uint64_t now_us)
{
    if (--client->unserved == 0)
        load_served(load, now_us);
}

static void on_assignment(struct load *load, struct client *client, uint32_t stream,
                          struct str assignment, uint64_t now_us)
{
    uint32_t number = (uint32_t)(client - load->clients);
    struct arrival arrival = {.us = now_us,
                              .hash = hash_content(assignment.ptr, assignment.len),
                              .client = number,
                              .endpoints = count_endpoints(assignment),
                              .bytes = (uint32_t)assignment.len};
    struct str name = bytes_of(assignment, CLUSTER_LOAD_ASSIGNMENT_CLUSTER_NAME);
    uint32_t before, *list = NULL;

    if (service_of(name, &load->plan, &arrival.service))
        list = list_slot(load, number * load->plan.streams + stream, arrival.service);
    if (!list) {
        load_lose(load, client, "got a list that it did not ask for");
        return;
    }
    note(load, &arrival);
    before = *list;
    *list = arrival.endpoints;
    if (before == NO_LIST)
        served_more(load, client, now_us);
    load_listed(load, arrival.service, before, arrival.endpoints);
}

static void on_message(struct load *load, struct client *client, uint32_t stream,
                       struct str message, uint64_t now_us)
{
    struct response response;
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;

    if (!parse_response(message, &response)) {
        load_lose(load, client, "got what is no DiscoveryResponse of its types");
        return;
    }
    if (client == load->clients) {
        buf_reset(&load->newest[response.slot]);
        buf_add_str(&load->newest[response.slot], message);
    }
    ask_again(load, client, stream, response.slot, response.version, response.nonce);
    if (response.slot != ASSIGNMENT_SLOT) {
        uint32_t before = client->streams[stream].answered;

        client->streams[stream].answered |= 1u << response.slot;
        if (client->streams[stream].answered != before)
            served_more(load, client, now_us);
        return;
    }
    while (client->state == CLIENT_OPEN && wire_next(&reader, &field))
        if (field.number == DISCOVERY_RESPONSE_RESOURCES)
            on_assignment(load, client, stream, bytes_of(field.bytes, ANY_VALUE), now_us);
}

static void on_data(struct load *load, struct client *client, const struct frame *frame,
                    uint64_t now_us)
{
    uint32_t index = frame->stream / 2;
    struct buf *whole;
    struct str message;
    size_t at = 0;

    if (index >= load->plan.streams ||
        buf_add_str(&client->streams[index].message, frame->payload) != CODE_OK) {
        load_lose(load, client, "got DATA on no stream of its own, or without end");
        return;
    }
    whole = &client->streams[index].message;
    while (client->state == CLIENT_OPEN && frame_take_message(whole, &at, &message))
        on_message(load, client, index, message, now_us);
    if (client->state != CLIENT_OPEN)
        return;
    buf_consume(whole, at);
    if (whole->len == 0)
        buf_done(whole);
}

static void on_settings(struct load *load, struct client *client, const struct frame *frame)
{
    if (frame->flags & FRAME_ACK)
        return;
    for (size_t at = 0; at + 6 <= frame->payload.len; at += 6) {
        int64_t value = frame_u32(frame->payload.ptr + at + 2);

        if (frame_u16(frame->payload.ptr + at) != SETTING_INITIAL_WINDOW)
            continue;
        for (uint32_t i = 0; i < load->plan.streams; i++)
            client->streams[i].window += value - client->stream_window;
        client->stream_window = value;
    }
    frame_put(&client->out, FRAME_SETTINGS, FRAME_ACK, 0, STR(""));
    ask_drain(client, &load->plan);
}

static void on_window(struct load *load, struct client *client, const struct frame *frame)
{
    uint32_t more = frame->payload.len == 4 ? frame_u32(frame->payload.ptr) & 0x7fffffff : 0;

    if (frame->stream == 0)
        client->window += more;
    else if (frame->stream / 2 < load->plan.streams)
        client->streams[frame->stream / 2].window += more;
    ask_drain(client, &load->plan);
}

static void on_frame(struct load *load, struct client *client, const struct frame *frame,
                     uint64_t now_us)
{
    bool ends = (frame->type == FRAME_DATA || frame->type == FRAME_HEADERS) &&
                (frame->flags & FRAME_END_STREAM);

    if (frame->type == FRAME_DATA)
        on_data(load, client, frame, now_us);
    else if (frame->type == FRAME_SETTINGS)
        on_settings(load, client, frame);
    else if (frame->type == FRAME_PING && !(frame->flags & FRAME_ACK))
        frame_put(&client->out, FRAME_PING, FRAME_ACK, 0, frame->payload);
    else if (frame->type == FRAME_WINDOW_UPDATE)
        on_window(load, client, frame);
    if (ends || frame->type == FRAME_RST_STREAM || frame->type == FRAME_GOAWAY)
        load_lose(load, client, "the server ended a stream");
}

size_t receive_frames(struct load *load, struct client *client, struct str bytes, uint64_t now_us)
{
    struct frame frame;

    while (client->state == CLIENT_OPEN && frame_take(&bytes, &frame))
        on_frame(load, client, &frame, now_us);
    return bytes.len;
}
