/*
 * bench bare PORT STREAMS: the floor. An epoll loop that answers the requests of a new connection's STREAMS streams with just enough HTTP/2 and the
 * messages that it was given, and then writes the same bytes again when it is told; what clients send later is read and dropped.
 *
 * Standard output: "listening". Standard input:
 *   first SERVICE SLOT +N   N bytes of a DiscoveryResponse: what is answered to who asks for that Service
 *   push SERVICE +N         another for slot 2, to everybody who asked for it
 *   sync                    "synced"
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "frame.h"
#include "wire/fields.h"
#include "wire/reader.h"

#define EVENTS 512
#define CONNECTIONS_MAX 65536
#define SERVICES_MAX 65536
#define SLOTS 3
#define LISTENER_EVENT UINT64_MAX
#define CONTROL_EVENT (UINT64_MAX - 1)

/* One connection's name. */
struct interest {
    struct peer *peer;
    uint32_t stream;
};

struct service {
    struct buf messages[SLOTS]; /* DiscoveryResponses */
    struct interest *interests;
    size_t len, cap;
};

struct peer {
    int fd;
    bool greeted;
    uint32_t waiting; /* streams that have not asked for lists yet */
    struct buf in;
    struct buf *requests; /* DATA of each of those */
    struct buf out;       /* what its socket did not take */
};

struct bare {
    int epoll, listener;
    uint32_t streams;
    struct control control;
    struct service *services;
    uint64_t services_len; /* behind the last that anybody asked for */
};

/* ---- out ---- */

static void watch(struct bare *bare, int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    if (epoll_ctl(bare->epoll, operation, fd, &event) != 0)
        bench_die("epoll");
}

static void send_rest(struct bare *bare, struct peer *peer)
{
    ssize_t sent = write(peer->fd, peer->out.ptr, peer->out.len);

    if (sent > 0)
        buf_consume(&peer->out, (size_t)sent);
    if (peer->out.len > 0 && (sent > 0 || errno == EAGAIN))
        return;
    buf_done(&peer->out);
    watch(bare, EPOLL_CTL_MOD, peer->fd, EPOLLIN, (uintptr_t)peer);
}

/* Who has not read the last one gets no other. */
static void send_to(struct bare *bare, struct peer *peer, struct str bytes)
{
    ssize_t sent;

    if (peer->out.len > 0)
        return;
    sent = write(peer->fd, bytes.ptr, bytes.len);
    if (sent < 0 && errno != EAGAIN)
        return;
    if (sent == (ssize_t)bytes.len)
        return;
    buf_add_str(&peer->out, str_slice(bytes, sent > 0 ? (size_t)sent : 0, bytes.len));
    watch(bare, EPOLL_CTL_MOD, peer->fd, EPOLLIN | EPOLLOUT, (uintptr_t)peer);
}

static void push(struct bare *bare, uint32_t number, struct str message)
{
    struct service *service = &bare->services[number];
    struct buf *newest = &service->messages[SLOTS - 1];
    struct buf frames = BUFFER_INIT(FRAME_BUFFER_MAX);
    uint32_t stream = 0;

    buf_reset(newest);
    buf_add_str(newest, message);
    for (size_t i = 0; i < service->len; i++) {
        struct interest *interest = &service->interests[i];

        if (interest->stream != stream) {
            stream = interest->stream;
            buf_reset(&frames);
            frame_put_message(&frames, stream, buf_str(newest));
        }
        send_to(bare, interest->peer, buf_str(&frames));
    }
    buf_done(&frames);
}

/* ---- in ---- */

static void greet(struct buf *out)
{
    frame_put(out, FRAME_SETTINGS, 0, 0, FRAME_WIDE_STREAMS);
    frame_put(out, FRAME_SETTINGS, FRAME_ACK, 0, STR(""));
    frame_put(out, FRAME_WINDOW_UPDATE, 0, 0, FRAME_WIDE_CONNECTION);
}

/* "shop/sNNNNN:8001" or "sNNNNN.shop:8001" */
static uint32_t service_number(struct str name)
{
    size_t from = str_starts_with(name, STR("shop/")) ? 6 : 1;
    uint64_t number;

    if (!str_to_u64(str_slice(name, from, from + 5), SERVICES_MAX - 1, &number))
        bench_die("a name that is none of the bench's");
    return (uint32_t)number;
}

static size_t slot_of(struct str type_url)
{
    if (str_eq(type_url, STR(LISTENER_URL)))
        return 0;
    return str_eq(type_url, STR(CLUSTER_URL)) ? 1 : 2;
}

/* All in one message: put behind each other, messages of one type are one with the fields of both. True for a request of lists. */
static bool answer(struct bare *bare, struct peer *peer, uint32_t stream, struct str request,
                   struct buf *out)
{
    struct wire_reader names = wire_reader(request), reader = names;
    struct buf whole = BUFFER_INIT(FRAME_BUFFER_MAX);
    struct wire_field field;
    size_t slot = 0;

    while (wire_next(&reader, &field))
        if (field.number == DISCOVERY_REQUEST_TYPE_URL)
            slot = slot_of(field.bytes);
    while (wire_next(&names, &field)) {
        struct service *service;

        if (field.number != DISCOVERY_REQUEST_RESOURCE_NAMES)
            continue;
        service = &bare->services[service_number(field.bytes)];
        buf_add_str(&whole, buf_str(&service->messages[slot]));
        if (slot < 2)
            continue;
        bare->services_len = max_u64(bare->services_len, (uint64_t)(service - bare->services) + 1);
        service->interests =
            xgrow(service->interests, &service->cap, service->len, sizeof(*service->interests));
        service->interests[service->len++] = (struct interest){peer, stream};
    }
    frame_put_message(out, stream, buf_str(&whole));
    buf_done(&whole);
    return slot == 2;
}

static void on_request_frame(struct bare *bare, struct peer *peer, const struct frame *frame,
                             struct buf *out)
{
    struct buf *whole;
    struct str message;
    size_t at = 0;

    if (frame->type == FRAME_HEADERS)
        frame_put(out, FRAME_HEADERS, FRAME_END_HEADERS, frame->stream,
                  STR("\x88")); /* :status 200 */
    if (frame->type != FRAME_DATA || frame->stream / 2 >= bare->streams)
        return;
    whole = &peer->requests[frame->stream / 2];
    buf_add_str(whole, frame->payload);
    while (frame_take_message(whole, &at, &message))
        if (answer(bare, peer, frame->stream, message, out) && --peer->waiting == 0)
            return;
    buf_consume(whole, at);
}

static void forget_requests(struct bare *bare, struct peer *peer)
{
    for (uint32_t i = 0; peer->requests && i < bare->streams; i++)
        buf_done(&peer->requests[i]);
    free(TAKE(peer->requests));
    buf_done(&peer->in);
}

static void on_opening(struct bare *bare, struct peer *peer, struct str chunk)
{
    struct buf out = BUFFER_INIT(FRAME_BUFFER_MAX);
    struct frame frame;
    struct str bytes;

    buf_add_str(&peer->in, chunk);
    if (!peer->greeted && peer->in.len >= sizeof(PREFACE) - 1) {
        buf_consume(&peer->in, sizeof(PREFACE) - 1);
        greet(&out);
        peer->greeted = true;
    }
    bytes = buf_str(&peer->in);
    while (peer->greeted && peer->waiting > 0 && frame_take(&bytes, &frame))
        on_request_frame(bare, peer, &frame, &out);
    if (peer->waiting == 0)
        forget_requests(bare, peer);
    else
        buf_consume(&peer->in, peer->in.len - bytes.len);
    send_to(bare, peer, buf_str(&out));
    buf_done(&out);
}

static void on_end(struct bare *bare, struct peer *peer)
{
    for (uint64_t i = 0; i < bare->services_len; i++) {
        struct service *service = &bare->services[i];
        size_t kept = 0;

        if (service->len == 0)
            continue;
        for (size_t j = 0; j < service->len; j++)
            if (service->interests[j].peer != peer)
                service->interests[kept++] = service->interests[j];
        service->len = kept;
    }
    forget_requests(bare, peer);
    buf_done(&peer->out);
    close(peer->fd);
    free(peer);
}

static void on_peer(struct bare *bare, struct peer *peer, uint32_t events)
{
    static char chunk[256 * 1024];
    ssize_t got;

    if (events & EPOLLOUT)
        send_rest(bare, peer);
    if (!(events & ~(uint32_t)EPOLLOUT))
        return;
    got = read(peer->fd, chunk, sizeof(chunk));
    if (got == 0 || (got < 0 && errno != EAGAIN))
        on_end(bare, peer);
    else if (got > 0 && peer->waiting > 0)
        on_opening(bare, peer, str_make(chunk, (size_t)got));
}

static void on_accept(struct bare *bare)
{
    int fd, one = 1;

    while ((fd = accept4(bare->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = xcalloc(1, sizeof(*peer));

        *peer = (struct peer){.fd = fd, .waiting = bare->streams};
        peer->requests = xcalloc(bare->streams, sizeof(*peer->requests));
        for (uint32_t i = 0; i < bare->streams; i++)
            buf_init(&peer->requests[i], FRAME_BUFFER_MAX);
        buf_init(&peer->in, FRAME_BUFFER_MAX);
        buf_init(&peer->out, FRAME_BUFFER_MAX);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        watch(bare, EPOLL_CTL_ADD, fd, EPOLLIN, (uintptr_t)peer);
    }
}

/* ---- life ---- */

static void obey(struct bare *bare, const struct command *command)
{
    if (command_is(command, "sync", 1)) {
        printf("synced\n");
        return;
    }
    if (command->count < 3 || command_number(command, 1) >= SERVICES_MAX) {
        errno = EINVAL;
        bench_die("a command");
    }
    if (command_is(command, "push", 3)) {
        push(bare, command_number(command, 1), command->payload);
    } else if (command_is(command, "first", 4) && command_number(command, 2) < SLOTS) {
        struct buf *message =
            &bare->services[command_number(command, 1)].messages[command_number(command, 2)];

        buf_reset(message);
        buf_add_str(message, command->payload);
    }
}

static void on_control(struct bare *bare)
{
    struct command command;

    control_read(&bare->control);
    while (control_next(&bare->control, &command)) {
        obey(bare, &command);
        control_drop(&bare->control, &command);
    }
}

static void listen_on(struct bare *bare, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bare->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(bare->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(bare->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(bare->listener, 4096) != 0)
        bench_die("listening");
    watch(bare, EPOLL_CTL_ADD, bare->listener, EPOLLIN, LISTENER_EVENT);
    watch(bare, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, CONTROL_EVENT);
    printf("listening\n");
}

static void bare_init(struct bare *bare)
{
    control_init(&bare->control);
    bare->epoll = epoll_create1(EPOLL_CLOEXEC);
    bare->services = xcalloc(SERVICES_MAX, sizeof(*bare->services));
    for (uint32_t i = 0; i < SERVICES_MAX; i++)
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            buf_init(&bare->services[i].messages[slot], FRAME_BUFFER_MAX);
}

int bench_bare(int argc, char **argv)
{
    struct bare bare = {.services = NULL};
    struct epoll_event events[EVENTS];
    uint64_t port, streams;

    if (argc != 2 || !str_to_u64(str_of(argv[0]), 65535, &port) ||
        !str_to_u64(str_of(argv[1]), 10000, &streams))
        return 2;
    bare.streams = (uint32_t)streams;
    bare_init(&bare);
    listen_on(&bare, (uint16_t)port);
    for (;;) {
        int count = epoll_wait(bare.epoll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == LISTENER_EVENT)
                on_accept(&bare);
            else if (events[i].data.u64 == CONTROL_EVENT)
                on_control(&bare);
            else
                on_peer(&bare, (struct peer *)(uintptr_t)events[i].data.u64, events[i].events);
        }
    }
}
