/*
 * bench load SERVER PORT CLIENTS [streams=N] [names=N] [services=N] [at-once=N] [only-endpoints] [tls]
 *
 * Standard input, and what is answered:
 *   open                        "ready BEGIN END" once every client is served (monotonic microseconds)
 *   close                       "closed": every connection is gone at once
 *   await SERVICE|* ENDPOINTS   "arrived" once every name of that Service has a list of exactly so many
 *   pause N, resume             "paused", "resumed": the first N clients read nothing
 *   log FILE                    "logged N": writes the arrivals since then, struct arrival each, and forgets them
 *   dump SLOT FILE              "dumped N": the first client's newest DiscoveryResponse of that type
 *   echo N                      "echo N": all that was said before was an answer to what came before
 *   bytes                       "bytes N" that came in so far, all together
 * And unasked "lost CLIENT WHY" whenever one loses its connection or a stream, and "note TEXT" for what could not be arranged.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define EVENTS 512
#define CHUNK (256 * 1024)
#define SOURCE_CLIENTS 4000 /* that share a source address */
#define LOSSES_TOLD 5
#define AT_ONCE 1024
#define CONTROL_EVENT UINT64_MAX

static void watch(struct load *load, struct client *client, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)(client - load->clients)};

    if (epoll_ctl(load->epoll, operation, client->link.fd, &event) != 0)
        bench_die("epoll");
}

static void release(struct load *load, struct client *client)
{
    for (uint32_t i = 0; i < load->plan.streams; i++) {
        buf_done(&client->streams[i].message);
        buf_done(&client->streams[i].held);
    }
    buf_done(&client->in);
    buf_done(&client->out);
    link_close(&client->link);
}

/* ---- lists ---- */

void load_listed(struct load *load, uint32_t service, uint32_t before, uint32_t now)
{
    if (load->missing == 0 ||
        (load->await_service != EVERY_SERVICE && load->await_service != service))
        return;
    load->missing += before == load->await_endpoints;
    load->missing -= now == load->await_endpoints;
    if (load->missing == 0)
        printf("arrived\n");
}

static uint64_t count_missing(const struct load *load)
{
    const struct plan *plan = &load->plan;
    uint64_t each = (uint64_t)plan->streams * plan->names;
    uint64_t missing = 0;

    for (uint64_t i = 0; i < each * plan->clients; i++) {
        if (load->clients[i / each].paused)
            continue;
        if (load->await_service == EVERY_SERVICE || i % plan->services == load->await_service)
            missing += load->lists[i] != load->await_endpoints;
    }
    return missing;
}

/* ---- connections ---- */

static void flush_out(struct load *load, struct client *client)
{
    bool blocked;

    while (client->out.len > 0) {
        ssize_t sent = link_write(&client->link, client->out.ptr, client->out.len);

        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            load_lose(load, client, strerror(errno));
            return;
        }
        buf_consume(&client->out, (size_t)sent);
    }
    blocked = client->out.len > 0;
    if (!blocked)
        buf_done(&client->out);
    if (blocked != client->blocked)
        watch(load, client, EPOLL_CTL_MOD, EPOLLIN | (blocked ? EPOLLOUT : 0));
    client->blocked = blocked;
}

static void client_open(struct load *load, struct client *client)
{
    client->state = CLIENT_OPEN;
    client->blocked = true; /* so that it is watched for what comes in only */
    ask_open(load, client);
    flush_out(load, client);
}

static void client_shake(struct load *load, struct client *client)
{
    int done = link_shake(&client->link);

    if (done < 0)
        load_lose(load, client, strerror(errno));
    else if (done > 0)
        client_open(load, client);
}

static void client_connected(struct load *load, struct client *client)
{
    int error = 0;
    socklen_t len = sizeof(error);

    (void)getsockopt(client->link.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        load_lose(load, client, strerror(error));
        return;
    }
    if (!load->plan.tls) {
        client_open(load, client);
        return;
    }
    client->state = CLIENT_SHAKING;
    watch(load, client, EPOLL_CTL_MOD, EPOLLIN);
    link_start_tls(&client->link);
    client_shake(load, client);
}

/* A descriptor on a source address of its share; the port is chosen when it connects. */
static int client_socket(const struct load *load, uint32_t index)
{
    struct sockaddr_in source = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1, narrow = 256 * 1024;

    if (fd < 0)
        bench_die("a client's socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    if (load->plan.narrow)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow));
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + ((1 + index / SOURCE_CLIENTS) << 8));
    if (load->plan.clients > SOURCE_CLIENTS &&
        bind(fd, (struct sockaddr *)&source, sizeof(source)) != 0 && index == 0)
        printf("note no source addresses 127.0.x.1: %s\n", strerror(errno));
    return fd;
}

static void client_connect(struct load *load, uint32_t index)
{
    struct client *client = &load->clients[index];
    const struct sockaddr_in *server = &load->plan.server;

    client->link = (struct link){.fd = client_socket(load, index)};
    client->state = CLIENT_CONNECTING;
    client->blocked = false;
    client->unserved =
        load->plan.streams * (load->plan.names + (load->plan.only_endpoints ? 0 : ASSIGNMENT_SLOT));
    client->window = client->stream_window = 65535;
    buf_init(&client->in, FRAME_BUFFER_MAX);
    buf_init(&client->out, FRAME_BUFFER_MAX);
    for (uint32_t i = 0; i < load->plan.streams; i++) {
        client->streams[i].window = client->stream_window;
        client->streams[i].answered = 0;
        buf_init(&client->streams[i].message, FRAME_BUFFER_MAX);
        buf_init(&client->streams[i].held, FRAME_BUFFER_MAX);
    }
    load->pending++;
    watch(load, client, EPOLL_CTL_ADD, EPOLLOUT);
    if (connect(client->link.fd, (const struct sockaddr *)server, sizeof(*server)) != 0 &&
        errno != EINPROGRESS)
        load_lose(load, client, strerror(errno));
}

static void connect_more(struct load *load)
{
    while (load->next < load->plan.clients && load->pending < load->plan.at_once)
        client_connect(load, load->next++);
}

void load_served(struct load *load, uint64_t now_us)
{
    load->pending--;
    if (++load->served == load->plan.clients)
        printf("ready %llu %llu\n", (unsigned long long)load->begin_us, (unsigned long long)now_us);
}

void load_lose(struct load *load, struct client *client, const char *why)
{
    if (client->state == CLIENT_LOST)
        return;
    if (client->unserved > 0)
        load->pending--;
    client->state = CLIENT_LOST;
    if (++load->lost <= LOSSES_TOLD)
        printf("lost %u %s\n", (unsigned)(client - load->clients), why);
    release(load, client);
}

static void on_readable(struct load *load, struct client *client)
{
    static char chunk[CHUNK];
    uint64_t now_us = bench_now_us();
    struct str bytes;
    ssize_t got;
    size_t left;

    do {
        got = link_read(&client->link, chunk, sizeof(chunk));
        if (got < 0 && errno == EAGAIN)
            break;
        if (got <= 0) {
            load_lose(load, client, got < 0 ? strerror(errno) : "the server closed the connection");
            return;
        }
        load->bytes_in += (uint64_t)got;
        bytes = str_make(chunk, (size_t)got);
        if (client->in.len > 0) {
            buf_append(&client->in, chunk, (size_t)got);
            bytes = buf_str(&client->in);
        }
        left = receive_frames(load, client, bytes, now_us);
        if (client->state != CLIENT_OPEN)
            return;
        if (client->in.len > 0)
            buf_consume(&client->in, client->in.len - left);
        else if (left > 0)
            buf_append(&client->in, bytes.ptr + bytes.len - left, left);
        if (client->in.len == 0)
            buf_done(&client->in);
    } while (got == (ssize_t)sizeof(chunk) || link_pending(&client->link));
    flush_out(load, client);
}

static void on_client(struct load *load, struct client *client, uint32_t events)
{
    if (client->state == CLIENT_CONNECTING)
        client_connected(load, client);
    else if (client->state == CLIENT_SHAKING)
        client_shake(load, client);
    else if (client->state == CLIENT_OPEN && (events & ~(uint32_t)EPOLLOUT))
        on_readable(load, client);
    else if (client->state == CLIENT_OPEN)
        flush_out(load, client);
}

/* ---- commands ---- */

static void do_open(struct load *load)
{
    load->begin_us = bench_now_us();
    load->next = load->pending = load->served = load->lost = 0;
}

static void do_close(struct load *load)
{
    const struct plan *plan = &load->plan;
    size_t lists = (size_t)plan->clients * plan->streams * plan->names;

    for (uint32_t i = 0; i < plan->clients; i++) {
        if (load->clients[i].state != CLIENT_CLOSED && load->clients[i].state != CLIENT_LOST)
            release(load, &load->clients[i]);
        load->clients[i].state = CLIENT_CLOSED;
    }
    for (size_t i = 0; i < lists; i++)
        load->lists[i] = NO_LIST;
    load->missing = 0;
    printf("closed\n");
}

static void do_pause(struct load *load, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < load->plan.clients; i++) {
        watch(load, &load->clients[i], EPOLL_CTL_DEL, 0);
        load->clients[i].paused = true;
    }
    printf("paused\n");
}

static void do_resume(struct load *load)
{
    for (uint32_t i = 0; i < load->plan.clients; i++) {
        struct client *client = &load->clients[i];

        if (client->paused)
            watch(load, client, EPOLL_CTL_ADD, EPOLLIN | (client->blocked ? EPOLLOUT : 0));
        client->paused = false;
    }
    printf("resumed\n");
}

static void do_await(struct load *load, const struct command *command)
{
    load->await_service =
        str_eq(command->words[1], STR("*")) ? EVERY_SERVICE : command_number(command, 1);
    load->await_endpoints = command_number(command, 2);
    load->missing = count_missing(load);
    if (load->missing == 0)
        printf("arrived\n");
}

static void write_file(struct str path, const void *ptr, size_t len)
{
    CLEANUP(freep) char *name = str_dup(path);
    FILE *file = fopen(name, "we");

    if (!file || (len > 0 && fwrite(ptr, len, 1, file) != 1) || fclose(file) != 0)
        bench_die(name);
}

static void obey(struct load *load, const struct command *command)
{
    if (command_is(command, "open", 1)) {
        do_open(load);
    } else if (command_is(command, "close", 1)) {
        do_close(load);
    } else if (command_is(command, "await", 3)) {
        do_await(load, command);
    } else if (command_is(command, "pause", 2)) {
        do_pause(load, command_number(command, 1));
    } else if (command_is(command, "resume", 1)) {
        do_resume(load);
    } else if (command_is(command, "log", 2)) {
        write_file(command->words[1], load->log, load->log_len * sizeof(*load->log));
        printf("logged %zu\n", load->log_len);
        load->log_len = 0;
    } else if (command_is(command, "dump", 3) && command_number(command, 1) < SLOTS) {
        struct buf *newest = &load->newest[command_number(command, 1)];

        write_file(command->words[2], newest->ptr, newest->len);
        printf("dumped %zu\n", newest->len);
    } else if (command_is(command, "echo", 2)) {
        printf("echo %u\n", (unsigned)command_number(command, 1));
    } else if (command_is(command, "bytes", 1)) {
        printf("bytes %llu\n", (unsigned long long)load->bytes_in);
    } else {
        errno = EINVAL;
        bench_die("a command");
    }
}

static void on_control(struct load *load)
{
    struct command command;

    control_read(&load->control);
    while (control_next(&load->control, &command)) {
        obey(load, &command);
        control_drop(&load->control, &command);
    }
}

/* ---- life ---- */

static bool option_number(struct str word, const char *name, uint32_t *ret_number)
{
    struct str key = str_cut(&word, '=');
    uint64_t number;

    if (!str_eq(key, str_of(name)) || !str_to_u64(word, 10000000, &number) || number == 0)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool plan_option(struct plan *plan, const char *word)
{
    struct str text = str_of(word);

    if (str_eq(text, STR("tls")))
        plan->tls = true;
    else if (str_eq(text, STR("only-endpoints")))
        plan->only_endpoints = true;
    else if (str_eq(text, STR("narrow")))
        plan->narrow = true;
    else
        return option_number(text, "streams", &plan->streams) ||
               option_number(text, "names", &plan->names) ||
               option_number(text, "services", &plan->services) ||
               option_number(text, "at-once", &plan->at_once);
    return true;
}

static bool plan_read(int argc, char **argv, struct plan *plan)
{
    uint64_t port, clients;

    *plan = (struct plan){.streams = 1, .names = 1, .services = 1, .at_once = AT_ONCE};
    plan->server.sin_family = AF_INET;
    if (argc < 3 || inet_pton(AF_INET, argv[0], &plan->server.sin_addr) != 1 ||
        !str_to_u64(str_of(argv[1]), 65535, &port) ||
        !str_to_u64(str_of(argv[2]), 1000000, &clients) || clients == 0)
        return false;
    plan->server.sin_port = htons((uint16_t)port);
    plan->clients = (uint32_t)clients;
    for (int i = 3; i < argc; i++)
        if (!plan_option(plan, argv[i]))
            return false;
    return plan->names <= plan->services;
}

static void load_init(struct load *load)
{
    const struct plan *plan = &load->plan;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = CONTROL_EVENT};
    size_t lists = (size_t)plan->clients * plan->streams * plan->names;

    control_init(&load->control);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->next = plan->clients;
    load->clients = xcalloc(plan->clients, sizeof(*load->clients));
    for (uint32_t i = 0; i < plan->clients; i++)
        load->clients[i].streams = xcalloc(plan->streams, sizeof(*load->clients[i].streams));
    load->lists = xmalloc(lists * sizeof(*load->lists));
    for (size_t i = 0; i < lists; i++)
        load->lists[i] = NO_LIST;
    for (size_t i = 0; i < SLOTS; i++)
        buf_init(&load->newest[i], FRAME_BUFFER_MAX);
    if (plan->tls)
        link_use_tls();
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
}

int bench_load(int argc, char **argv)
{
    struct load load = {.log = NULL};
    struct epoll_event events[EVENTS];
    struct rlimit files;

    if (!plan_read(argc, argv, &load.plan))
        return 2;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < load.plan.clients + 16) {
        errno = EMFILE;
        bench_die("so many clients in one process");
    }
    load_init(&load);
    for (;;) {
        int count = epoll_wait(load.epoll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == CONTROL_EVENT)
                on_control(&load);
            else
                on_client(&load, &load.clients[events[i].data.u64], events[i].events);
        }
        connect_more(&load);
    }
}
