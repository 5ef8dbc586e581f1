/*
 * The load client's parts: load.c lives and obeys, ask.c says, receive.c hears.
 *
 * A client is a connection with `streams` ADS streams, each of which asks for the lists of `names` Services. Those are numbered: stream k of all
 * streams asks for `names` of them, from number k * names on, round and round. Every response is acknowledged at once.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>

#include "control.h"
#include "frame.h"
#include "link.h"

#define NO_LIST UINT32_MAX
#define EVERY_SERVICE UINT32_MAX
#define SLOTS 3 /* Listener, Cluster, ClusterLoadAssignment */
#define ASSIGNMENT_SLOT 2

struct plan {
    struct sockaddr_in server;
    uint32_t clients, streams, names, services;
    uint32_t at_once;    /* connections that are not served yet */
    bool only_endpoints; /* asks for no Listeners and Clusters */
    bool narrow;         /* its sockets hold little, however much the kernel would let them */
    bool tls;
};

enum client_state { CLIENT_CLOSED, CLIENT_CONNECTING, CLIENT_SHAKING, CLIENT_OPEN, CLIENT_LOST };

struct stream {
    struct buf message; /* DATA that is no whole message yet */
    struct buf held;    /* DATA that the windows do not let out yet */
    int64_t window;
    uint32_t answered; /* a bit for each slot */
};

struct client {
    struct link link;
    enum client_state state;
    bool paused;
    bool blocked;      /* its socket took no more: waits to be writable */
    uint32_t unserved; /* lists, and first answers of the other types, that it has not got */
    struct buf in;     /* frames, not whole yet */
    struct buf out;
    int64_t window, stream_window;
    struct stream *streams;
};

/* One ClusterLoadAssignment at one stream, as it is written to the log. */
struct arrival {
    uint64_t us;
    uint64_t hash; /* of the resource's bytes */
    uint32_t service, endpoints;
    uint32_t client, bytes; /* of the resource */
};

struct load {
    struct plan plan;
    struct control control;
    int epoll;
    struct client *clients;
    uint32_t *lists; /* endpoints that each name of each stream has, or NO_LIST */
    uint32_t next;   /* the client to be connected next */
    uint32_t pending, served, lost;
    uint64_t begin_us;
    uint64_t bytes_in;
    struct arrival *log;
    size_t log_len, log_cap;
    struct buf newest[SLOTS]; /* DiscoveryResponses of the first client */
    uint32_t await_service, await_endpoints;
    uint64_t missing; /* 0: nothing is awaited */
};

extern const char *const slot_urls[SLOTS];

/* What a new connection says first. */
void ask_open(struct load *load, struct client *client);
/* Acknowledges: version and nonce as they came. */
void ask_again(struct load *load, struct client *client, uint32_t stream, uint32_t slot,
               struct str version, struct str nonce);
/* Moves what the windows let out into client->out. */
void ask_drain(struct client *client, const struct plan *plan);

/* All frames of `bytes`; returns how many bytes are left. Calls load_lose() where the server ends something. */
size_t receive_frames(struct load *load, struct client *client, struct str bytes, uint64_t now_us);

void load_lose(struct load *load, struct client *client, const char *why);
/* A client has the last of its first lists. */
void load_served(struct load *load, uint64_t now_us);
/* A name has another list than before. */
void load_listed(struct load *load, uint32_t service, uint32_t before, uint32_t now);

#endif
