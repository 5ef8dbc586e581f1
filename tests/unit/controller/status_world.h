/*
 * A status writer and its Events, what the controller has to say of some resources, and an API server that keeps the
 * statuses and Events.
 *
 * Threads: the loop's, which the test turns.
 */
#ifndef TESTS_UNIT_CONTROLLER_STATUS_WORLD_H
#define TESTS_UNIT_CONTROLLER_STATUS_WORLD_H

#include <criterion/criterion.h>

#include "../kube/fake_server.h"
#include "controller/status.h"

#define RESOURCES_MAX 32
#define PAUSE_MS 60
#define COUNTERS_MS 300

struct resource {
    char name[32];
    char uid[32];
    bool gone;
    struct resource_status status;
    char stored[8192]; /* the object as the API server has it; "": none was ever written */
    size_t patches;
};

struct status_world {
    struct loop *loop;
    struct fake_server server;
    struct kube_config config;
    struct kube_client *client;
    struct budget *budget;
    struct events *events;
    struct status_writer *writer;
    char url[64];
    struct resource resources[RESOURCES_MAX];
    size_t resources_len;
    uint64_t clients;
    double calls, failed; /* a second */
    const char *uncounted;
    bool may;
    /* the server */
    unsigned version;
    size_t patches;
    int answer;           /* HTTP status of what is patched; 0: as it should be; -1: none at all */
    const char *extra;    /* header lines of that */
    bool prunes;          /* its schema has no clients */
    char path[512], body[8192], head[1024]; /* of the last PATCH of a status */
    struct fake_conn *conn;
    int event_answer;
    size_t event_creates, event_patches;
    char event_path[512], event_body[8192]; /* of the last one */
    char reasons[1024];   /* of all that were created */
};

extern struct status_world sw;

void status_world_make(void);
void status_world_free(void);
/* A resource that is all well; touched, and seen without a status. */
struct resource *add(const char *name);
/* As its watch tells it. */
void observe(struct resource *resource);
void touch(struct resource *resource);
void set_condition(struct resource *resource, enum condition_kind kind, bool status, const char *reason,
                   const char *message);
/* Takes over, having watched the same objects. */
void another_replica(void);
/* Turns the loop until *count reaches `at_least`; fails the test after 10 s. */
void wait_for(const size_t *count, size_t at_least);
void pass_ms(uint64_t ms);
/* Nothing is written for so long. */
void expect_silence(uint64_t ms);

#endif
