/*
 * What the server's tests share: one loop, one server with a few methods, and raw HTTP/2
 * connections to it over socket pairs. Each test is a process of its own, so the world is one
 * global.
 */
#ifndef TESTS_UNIT_GRPC_WORLD_H
#define TESTS_UNIT_GRPC_WORLD_H

#include "grpc/client.h"
#include "grpc/server.h"
#include "loop/loop.h"

#define ECHO "/test.T/Echo"       /* unary: the message comes back */
#define SILENT "/test.T/Silent"   /* unary: no answer */
#define STREAM "/test.T/Stream"   /* pulled: world.next, world.ready times */
#define DENIED "/test.T/Denied"   /* ends in on_open */
#define REFUSED "/test.T/Refused" /* ends in on_message */

#define WAIT_MS 5000 /* at most, for anything */

struct world {
    struct loop *loop;
    struct grpc_server *server;
    struct grpc_limits limits; /* set before world_start() */
    const char *const *metadata; /* the same */

    unsigned adopted;  /* connections of raw_open() */
    unsigned released; /* of these, what they were adopted with */
    unsigned opens;
    unsigned closes;
    enum code closed; /* of the last on_close */
    unsigned messages;
    struct buf message; /* the last one */
    unsigned half_closes;
    unsigned pulls;
    unsigned written;
    struct buf
        order;       /* 'u' for a message of STREAM that is written, 'a' for an ECHO that is over */
    struct rpc *rpc; /* the newest that is open, or NULL */
    struct blob *next; /* what STREAM says; NULL: nothing */
    size_t head_len;   /* bytes that STREAM puts before it */
    unsigned ready;    /* messages that STREAM has left to say */
    bool one_each;     /* to one call after the other, not all to the first that asks */
    const struct rpc *served; /* then: the last one */
};

extern struct world world;

void world_start(void);
void world_stop(void);
/* What the server is to call with what a connection was adopted with. */
void world_release(void *connection);
/* A server's that nobody has to trust; the caller's to release. */
struct tls *world_tls(void);
/* Turns the loop until `done` (or for good, WAIT_MS); what `done` said last. */
bool world_until(bool (*done)(void *ctx), void *ctx);
/* Turns the loop while it has something to do. */
void world_settle(void);
const struct grpc_server_stats *world_stats(void);
/* What STREAM says: a blob of `len` bytes. */
void world_say(size_t len);

/* ---- a peer that speaks HTTP/2 by hand ---- */

struct raw {
    int fd;
    struct buf in; /* all that came */
    bool ended;
};

#define FRAME_DATA 0
#define FRAME_HEADERS 1
#define FRAME_PRIORITY 2
#define FRAME_RST 3
#define FRAME_SETTINGS 4
#define FRAME_PING 6
#define FRAME_GOAWAY 7
#define FRAME_WINDOW 8
#define FRAME_CONTINUATION 9
#define FLAG_END_STREAM 1
#define FLAG_ACK 1
#define FLAG_END_HEADERS 4

struct frame {
    uint32_t len;
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    const unsigned char *payload;
};

/* A connection without a byte on it. */
void raw_open(struct raw *raw);
/* The same, whose bytes reach the server over TLS: by way of a bridge, see there. */
void raw_open_tls(struct raw *raw, struct tls *tls, int plain, int wire);
/* Preface and SETTINGS. */
void raw_preface(struct raw *raw);
/* raw_open() and these. */
void raw_hello(struct raw *raw);
void raw_close(struct raw *raw);
void raw_write(struct raw *raw, const void *ptr, size_t len);
void raw_frame(struct raw *raw, uint8_t type, uint8_t flags, uint32_t stream, const void *ptr,
               size_t len);
/* HEADERS of a call, with one more header where `name` is not NULL. */
void raw_call(struct raw *raw, uint32_t stream, const char *path, const char *name,
              const char *value);
void raw_request(struct raw *raw, uint32_t stream, const char *method, const char *path,
                 const char *content_type);
/* DATA with one message. */
void raw_message(struct raw *raw, uint32_t stream, const void *ptr, size_t len, bool last);
/* Reads what there is. */
void raw_read(struct raw *raw);
/* The n-th frame of `type` on `stream` that came so far; false when there is none. */
bool raw_find(struct raw *raw, uint8_t type, uint32_t stream, unsigned n, struct frame *ret_frame);
/* Turns the loop until that frame is there, or the connection ended. */
bool raw_await(struct raw *raw, uint8_t type, uint32_t stream, struct frame *ret_frame);
/* Turns the loop until the server has closed the connection. */
bool raw_await_end(struct raw *raw);
/* The literal "name: value" is somewhere in what came (the server sends header values without
 * Huffman or with; compared after decoding by nghttp2). */
bool raw_header(struct raw *raw, uint32_t stream, const char *name, char *ret_value, size_t size);

#endif
