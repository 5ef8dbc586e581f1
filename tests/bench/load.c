/*
 * bench load HOST PORT CLIENTS: that many ADS streams on that many connections. Each asks for the Listener, Cluster and
 * ClusterLoadAssignment of one Service and acknowledges everything.
 *
 * Standard output: "ready" once every client has its list; then, whenever all have one list more, a line
 * "change FIRST LAST BYTES": monotonic microseconds of the first and the last client, and the message's length.
 * Standard input: "dump FILE" writes the newest ClusterLoadAssignment response; EOF ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "frame.h"
#include "wire/fields.h"
#include "wire/writer.h"

#define ADS_PATH "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
#define LISTENER_NAME "greeter.shop:8001"
#define CLUSTER_NAME "shop/greeter:8001"
#define EVENTS 512

struct client {
    int fd;
    struct buf in;      /* frames, not whole yet */
    struct buf message; /* gRPC message, not whole yet */
    struct buf out;
    int64_t window; /* what the server lets us send on the stream */
    bool blocked;   /* its socket took no more: waits for EPOLLOUT */
    uint64_t lists; /* ClusterLoadAssignment responses so far */
};

struct load {
    int epoll;
    struct client *clients;
    size_t count;
    size_t connected;
    uint64_t round;   /* lists that every client has */
    size_t missing;   /* clients without list round + 1 */
    uint64_t first_us;
    struct buf newest;
};

struct response {
    struct str version, type_url, nonce;
};

static struct response parse_response(struct str message)
{
    struct wire_reader reader = wire_reader(message);
    struct response response = {0};
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == DISCOVERY_RESPONSE_VERSION_INFO)
            response.version = field.bytes;
        else if (field.number == DISCOVERY_RESPONSE_TYPE_URL)
            response.type_url = field.bytes;
        else if (field.number == DISCOVERY_RESPONSE_NONCE)
            response.nonce = field.bytes;
    }
    return response;
}

static void put_request(struct client *client, struct response response, bool with_node)
{
    struct buf message = BUFFER_INIT(4096);
    bool listener = str_eq(response.type_url, STR(LISTENER_URL));

    if (with_node) {
        size_t mark = wire_open(&message, DISCOVERY_REQUEST_NODE);

        wire_put_bytes(&message, NODE_ID, STR("bench"));
        wire_put_bytes(&message, NODE_USER_AGENT_NAME, STR("gRPC Bench"));
        wire_close(&message, mark);
    }
    if (response.version.len)
        wire_put_bytes(&message, DISCOVERY_REQUEST_VERSION_INFO, response.version);
    wire_put_bytes(&message, DISCOVERY_REQUEST_RESOURCE_NAMES, listener ? STR(LISTENER_NAME) : STR(CLUSTER_NAME));
    wire_put_bytes(&message, DISCOVERY_REQUEST_TYPE_URL, response.type_url);
    if (response.nonce.len)
        wire_put_bytes(&message, DISCOVERY_REQUEST_RESPONSE_NONCE, response.nonce);
    frame_put_message(&client->out, 1, buf_str(&message));
    client->window -= (int64_t)message.len + 5;
    if (client->window < 0)
        bench_die("the server lets a client send no more");
    buf_done(&message);
}

/* ---- the HTTP/2 client ---- */

static void put_literal(struct buf *out, const char *head, size_t head_len, const char *value)
{
    buf_append(out, head, head_len);
    buf_add_char(out, (char)strlen(value));
    buf_append(out, value, strlen(value));
}

static void put_opening(struct client *client)
{
    /* INITIAL_WINDOW_SIZE 2^31-1, so that no window is ever opened again: the server's work is what counts. */
    static const char settings[] = {0, 4, 0x7f, (char)0xff, (char)0xff, (char)0xff};
    static const char window[] = {0x7f, (char)0xff, 0, 0};
    struct buf headers = BUFFER_INIT(1024);

    buf_append(&client->out, PREFACE, sizeof(PREFACE) - 1);
    frame_put(&client->out, FRAME_SETTINGS, 0, 0, str_make(settings, sizeof(settings)));
    frame_put(&client->out, FRAME_WINDOW_UPDATE, 0, 0, str_make(window, sizeof(window)));
    buf_append(&headers, "\x83\x86", 2);                       /* :method POST, :scheme http */
    put_literal(&headers, "\x04", 1, ADS_PATH);                /* :path */
    put_literal(&headers, "\x01", 1, "bench");                 /* :authority */
    put_literal(&headers, "\x0f\x10", 2, "application/grpc");  /* content-type */
    put_literal(&headers, "\x00\x02te", 4, "trailers");
    frame_put(&client->out, FRAME_HEADERS, 4, 1, buf_str(&headers));
    buf_done(&headers);
    put_request(client, (struct response){.type_url = STR(LISTENER_URL)}, true);
    put_request(client, (struct response){.type_url = STR(CLUSTER_URL)}, false);
    put_request(client, (struct response){.type_url = STR(CLUSTER_LOAD_ASSIGNMENT_URL)}, false);
}

static void flush(struct load *load, struct client *client)
{
    while (client->out.len) {
        ssize_t sent = write(client->fd, client->out.ptr, client->out.len);

        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            bench_die("writing to the server");
        buf_consume(&client->out, (size_t)sent);
    }
    if (client->blocked == (client->out.len > 0))
        return;
    client->blocked = client->out.len > 0;
    struct epoll_event event = {.events = EPOLLIN | (client->blocked ? EPOLLOUT : 0), .data.ptr = client};
    epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event);
}

static void on_list(struct load *load, struct client *client, struct str message)
{
    uint64_t now = bench_now_us();

    if (++client->lists != load->round + 1)
        return; /* ahead of the slowest: counted when its turn comes */
    if (load->missing == load->count)
        load->first_us = now;
    if (--load->missing)
        return;
    buf_reset(&load->newest);
    buf_add_str(&load->newest, message);
    if (load->round++ == 0)
        printf("ready\n");
    else
        printf("change %llu %llu %zu\n", (unsigned long long)load->first_us, (unsigned long long)now, message.len);
    load->missing = 0;
    for (size_t i = 0; i < load->count; i++)
        load->missing += load->clients[i].lists <= load->round;
}

static void on_message(struct load *load, struct client *client, struct str message)
{
    struct response response = parse_response(message);

    put_request(client, response, false);
    if (str_eq(response.type_url, STR(CLUSTER_LOAD_ASSIGNMENT_URL)))
        on_list(load, client, message);
}

static void on_data(struct load *load, struct client *client, struct str payload)
{
    buf_add_str(&client->message, payload);
    while (client->message.len >= 5) {
        size_t len = frame_u32(client->message.ptr + 1);

        if (client->message.len < 5 + len)
            return;
        on_message(load, client, str_make(client->message.ptr + 5, len));
        buf_consume(&client->message, 5 + len);
    }
}

static void on_frame(struct load *load, struct client *client, const struct frame *frame)
{
    switch (frame->type) {
    case FRAME_DATA:
        on_data(load, client, frame->payload);
        break;
    case FRAME_SETTINGS:
        if (!(frame->flags & 1))
            frame_put(&client->out, FRAME_SETTINGS, 1, 0, STR(""));
        break;
    case FRAME_PING:
        if (!(frame->flags & 1))
            frame_put(&client->out, FRAME_PING, 1, 0, frame->payload);
        break;
    case FRAME_WINDOW_UPDATE:
        if (frame->stream)
            client->window += frame_u32(frame->payload.ptr);
        break;
    case FRAME_RST_STREAM:
    case FRAME_GOAWAY:
        errno = ECONNABORTED;
        bench_die("the server ended a stream");
    case FRAME_HEADERS:
        break;
    }
}

static void on_readable(struct load *load, struct client *client)
{
    static char chunk[256 * 1024];
    ssize_t got = read(client->fd, chunk, sizeof(chunk));
    struct frame frame;
    struct str bytes;

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        bench_die("the server closed a connection");
    bytes = str_make(chunk, (size_t)got);
    if (client->in.len) {
        buf_append(&client->in, chunk, (size_t)got);
        bytes = buf_str(&client->in);
    }
    while (frame_take(&bytes, &frame))
        on_frame(load, client, &frame);
    if (client->in.len)
        buf_consume(&client->in, client->in.len - bytes.len);
    else
        buf_add_str(&client->in, bytes);
    flush(load, client);
}

/* ---- life ---- */

static void connect_one(struct load *load, struct client *client, const struct sockaddr_in *server)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    int one = 1;

    buf_init(&client->in, FRAME_BUFFER_MAX);
    buf_init(&client->message, FRAME_BUFFER_MAX);
    buf_init(&client->out, FRAME_BUFFER_MAX);
    client->window = 65535;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (const struct sockaddr *)server, sizeof(*server)) != 0)
        bench_die("connecting");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
        bench_die("epoll");
    put_opening(client);
    flush(load, client);
    load->connected++;
}

static void on_command(struct load *load)
{
    char line[4096];
    FILE *file;

    if (!bench_command(line, sizeof(line)) || strncmp(line, "dump ", 5) != 0)
        return;
    file = fopen(line + 5, "we");
    if (!file || fwrite(load->newest.ptr, 1, load->newest.len, file) != load->newest.len || fclose(file) != 0)
        bench_die(line + 5);
    printf("dumped\n");
}

static void run(struct load *load)
{
    struct epoll_event events[EVENTS];
    struct epoll_event standard_input = {.events = EPOLLIN, .data.ptr = NULL};

    epoll_ctl(load->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &standard_input);
    for (;;) {
        int count = epoll_wait(load->epoll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                on_readable(load, events[i].data.ptr);
            else
                on_command(load);
        }
    }
}

int bench_load(int argc, char **argv)
{
    struct sockaddr_in server = {.sin_family = AF_INET};
    struct load load = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    uint64_t port, count;

    if (argc != 3 || inet_pton(AF_INET, argv[0], &server.sin_addr) != 1 ||
        !str_to_u64(str_of(argv[1]), 65535, &port) || !str_to_u64(str_of(argv[2]), 1000000, &count))
        return 2;
    server.sin_port = htons((uint16_t)port);
    buf_init(&load.newest, FRAME_BUFFER_MAX);
    load.clients = xcalloc(count, sizeof(*load.clients));
    load.count = load.missing = count;
    for (size_t i = 0; i < count; i++)
        connect_one(&load, &load.clients[i], &server);
    for (size_t i = 0; i < count; i++) {
        int flags = fcntl(load.clients[i].fd, F_GETFL);

        fcntl(load.clients[i].fd, F_SETFL, flags | O_NONBLOCK);
    }
    run(&load);
    return 0;
}
