/*
 * The clients: gRPC's xDS client, one that asks for everything as Envoy does, and the native one. They
 * read what they are sent with protobuf-c, and hand every list to the judge.
 *
 * Each is an actor. One that loses its call comes back after a while and asks again for what it wants.
 */
#ifndef SIMULATE_CLIENT_H
#define SIMULATE_CLIENT_H

#include "base/json.h"
#include "judge.h"

enum { CLIENTS_MAX = 8, TARGETS = 16 };

/* A name as a client dials it, and what it means. */
struct target {
    const char *text;
    struct query query;
    const char *namespace_name; /* the client's, where the name has none; NULL: no matter */
};

extern const struct target targets[TARGETS];

enum client_kind { CLIENT_GRPC, CLIENT_ENVOY, CLIENT_NATIVE, CLIENT_KINDS };

struct client;

struct client_kind_ops {
    const char *name, *path;
    /* The call is new. */
    void (*open)(struct client *client);
    /* What it wants has changed. */
    void (*ask)(struct client *client);
    void (*receive)(struct client *client, const struct delivery *delivery);
    /* Every list it has, and `final`: every list it wants. */
    void (*check)(struct client *client, uint64_t at_us, bool final);
    /* The server's account of the same call, from its dump. */
    void (*compare)(const struct client *client, const struct json *stream);
    /* Forgets what belongs to the call. */
    void (*close)(struct client *client);
};

struct client {
    struct actor actor;
    const struct client_kind_ops *ops;
    unsigned index;
    int zone, node; /* as it says; -1: it does not */
    unsigned group;
    unsigned wants; /* bits of targets */
    struct call *call;
    unsigned calls;  /* so many until now */
    char peer[32];   /* the address that this one comes from */
    uint64_t connect_us; /* comes back; SIM_NEVER: it does not */
    uint64_t opened_us;
    bool paused;  /* does not read */
    bool closing; /* has said all that it will */
    unsigned refusals; /* responses it will refuse yet */
    bool refused;      /* some on this call */
    void *state;       /* the kind's, of a call */
    void *kept;        /* the kind's, over all calls; freed at the end */
};

extern const struct client_kind_ops grpc_client_ops, envoy_client_ops, native_client_ops;

void clients_start(size_t len);
void clients_done(void);
struct client *client_at(size_t index); /* any number */
void client_want(struct client *client, unsigned target, bool want);
void client_drop(struct client *client, uint64_t back_us);
void client_half_close(struct client *client);
/* Everybody reads, refuses nothing, and is connected. */
void clients_heal(void);
/* Clients with nothing on its way have what they should have now; `final`: all have it, and for ever. */
void clients_check(bool final);

/* What the server says of all calls: {"streams":[...]}. */
void clients_compare(struct str json);

/* ---- for the kinds ---- */

/* The query of a target, from where this client is. */
struct query client_query(const struct client *client, struct query query);
/* "client 2 (native), greeter.shop:8001" */
void client_who(const struct client *client, const char *name, char out[160]);
/* Of a dumped stream; absent: 0. */
uint64_t stream_u64(const struct json *stream, const char *key);

#endif
