/*
 * A reflector, its sink and a server that plays a script, for the tests of the reflector.
 *
 * Threads: the loop's, which the test turns.
 * Owns:    everything in `w`, made and freed per test.
 */
#ifndef TESTS_UNIT_KUBE_REFLECTOR_WORLD_H
#define TESTS_UNIT_KUBE_REFLECTOR_WORLD_H

#include <criterion/criterion.h>

#include "fake_server.h"
#include "kube/reflector.h"
#include "turn.h"

/* What the server answers next, in order; when the script is over, watches stay open and silent. Streamed lists are refused unless the script
 * has them. */
struct step {
    const char *want; /* must be part of the request's path */
    int status;       /* 0: a stream that stays open; -1: reset at once */
    const char *extra;
    const char *body; /* complete answer, or first chunk of a stream; may be NULL */
    bool end;         /* of a stream */
    bool cut;         /* close the connection after the body */
};

struct world {
    struct loop *loop;
    struct fake_server server;
    struct kube_config config;
    struct kube_client *client;
    struct reflector_options options; /* a test may change them before it starts */
    struct reflector *refl;
    const struct step *steps;
    size_t steps_len;
    size_t step;
    uint64_t step_us[64];
    char url[64];
    char paths[64][512];
    struct fake_conn *conn; /* of the last request */
    char seen[2048];        /* every call of the sink */
    size_t calls;
    size_t synced;
    const char *newest; /* the server's version, told to probes beside the script; NULL: they are in it */
    size_t doubts; /* so many lists are doubted */
};

extern struct world w;

void world_make(void);
void world_free(void);
void start(const struct step *steps, size_t len);
/* Between a request and the one before it. */
uint64_t gap_ms(size_t request);
uint64_t stat_of(const struct counter *counter);

/* Plays the whole script, the following silent watch included. */
#define PLAY(steps)                                                                                \
    do {                                                                                           \
        start(steps, ARRAY_LEN(steps));                                                            \
        turn_until(w.loop, &w.server.requests, ARRAY_LEN(steps) + 1);                              \
        turn_for_ms(w.loop, 20);                                                                   \
    } while (0)

#define LIST(version, items)                                                                       \
    "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"" version                       \
    "\"},\"items\":[" items "]}"
#define PAGE(version, next, items)                                                                 \
    "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"" version                       \
    "\",\"continue\":\"" next "\"},\"items\":[" items "]}"
#define OBJECT(name, version)                                                                      \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" OBJECT(name, version) "}\n"
/* The end of a streamed list. */
#define STREAM_END(version)                                                                        \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version                   \
    "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define BOOKMARK(version)                                                                          \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version "\"}}}\n"

#endif
