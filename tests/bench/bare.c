/*
 * bench bare HOST PORT MESSAGE-FILE: the floor. An epoll loop that answers each new connection with just enough HTTP/2 and one message, and on
 * "push" writes the same message to every connection; what clients send is read and dropped.
 *
 * Standard output: "listening". Standard input: "push"; EOF ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"

#define EVENTS 512
#define CONNECTIONS_MAX 65536

struct bare {
    int epoll;
    int listener;
    int fds[CONNECTIONS_MAX];
    bool opened[CONNECTIONS_MAX];
    size_t count;
    struct buf push;
};

/* The clients' kernels take everything: a push is a few KiB and they read. */
static void write_all(int fd, struct str bytes)
{
    while (bytes.len) {
        ssize_t sent = write(fd, bytes.ptr, bytes.len);

        if (sent < 0 && errno != EAGAIN)
            bench_die("writing to a client");
        if (sent > 0)
            bytes = str_slice(bytes, (size_t)sent, bytes.len);
    }
}

static void push_all(struct bare *bare)
{
    for (size_t i = 0; i < bare->count; i++)
        write_all(bare->fds[i], buf_str(&bare->push));
}

/* SETTINGS, its ACK, a wide window for the client's requests, ":status 200", and the first message. */
static void open_connection(struct bare *bare, size_t index)
{
    static const char window[] = {0x3f, (char)0xff, 0, 0};
    struct buf opening = BUFFER_INIT(FRAME_BUFFER_MAX);

    frame_put(&opening, FRAME_SETTINGS, 0, 0, STR(""));
    frame_put(&opening, FRAME_SETTINGS, 1, 0, STR(""));
    frame_put(&opening, FRAME_WINDOW_UPDATE, 0, 0, str_make(window, sizeof(window)));
    frame_put(&opening, FRAME_WINDOW_UPDATE, 0, 1, str_make(window, sizeof(window)));
    frame_put(&opening, FRAME_HEADERS, 4, 1, STR("\x88"));
    buf_add_str(&opening, buf_str(&bare->push));
    write_all(bare->fds[index], buf_str(&opening));
    buf_done(&opening);
    bare->opened[index] = true;
}

static void on_accept(struct bare *bare)
{
    int fd = accept4(bare->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = bare->count + 2};
    int one = 1;

    if (fd < 0)
        return;
    if (bare->count == CONNECTIONS_MAX || epoll_ctl(bare->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        bench_die("accepting");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    bare->fds[bare->count++] = fd;
}

static void on_readable(struct bare *bare, size_t index)
{
    static char chunk[64 * 1024];
    ssize_t got = read(bare->fds[index], chunk, sizeof(chunk));

    if (got > 0 && !bare->opened[index])
        open_connection(bare, index);
    if (got == 0)
        epoll_ctl(bare->epoll, EPOLL_CTL_DEL, bare->fds[index], NULL);
}

static void listen_on(struct bare *bare, const struct sockaddr_in *address)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1};
    int one = 1;

    bare->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(bare->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(bare->listener, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        listen(bare->listener, 4096) != 0)
        bench_die("listening");
    epoll_ctl(bare->epoll, EPOLL_CTL_ADD, bare->listener, &event);
    event.data.u64 = 0;
    epoll_ctl(bare->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    printf("listening\n");
}

static void read_message(struct bare *bare, const char *path)
{
    struct buf message = BUFFER_INIT(FRAME_BUFFER_MAX);
    char chunk[4096];
    FILE *file = fopen(path, "re");
    size_t got;

    if (!file)
        bench_die(path);
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_append(&message, chunk, got);
    fclose(file);
    buf_init(&bare->push, FRAME_BUFFER_MAX);
    frame_put_message(&bare->push, 1, buf_str(&message));
    buf_done(&message);
}

static void on_event(struct bare *bare, uint64_t what)
{
    char line[64];

    if (what == 1)
        on_accept(bare);
    else if (what >= 2)
        on_readable(bare, what - 2);
    else if (bench_command(line, sizeof(line)) && strcmp(line, "push") == 0)
        push_all(bare);
}

int bench_bare(int argc, char **argv)
{
    static struct bare bare;
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct epoll_event events[EVENTS];
    uint64_t port;

    if (argc != 3 || inet_pton(AF_INET, argv[0], &address.sin_addr) != 1 || !str_to_u64(str_of(argv[1]), 65535, &port))
        return 2;
    address.sin_port = htons((uint16_t)port);
    bare.epoll = epoll_create1(EPOLL_CLOEXEC);
    read_message(&bare, argv[2]);
    listen_on(&bare, &address);
    for (;;) {
        int count = epoll_wait(bare.epoll, events, EVENTS, -1);

        for (int i = 0; i < count; i++)
            on_event(&bare, events[i].data.u64);
    }
}
