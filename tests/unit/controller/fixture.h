/*
 * A loop with a controller on it, objects as short JSON (with ' for "), and what was published as text.
 *
 * Time:    from world_start() to world_stop() it passes in turn_*() only, so that what happens within some milliseconds does on any
 *          machine. After world_start_bare(), for tests with files and sockets, it passes by itself.
 * Owns: everything that world_start() makes; world_stop() frees it.
 */
#ifndef TESTS_UNIT_CONTROLLER_FIXTURE_H
#define TESTS_UNIT_CONTROLLER_FIXTURE_H

#include <criterion/criterion.h>

#include "base/json.h"
#include "controller/controller.h"

#define WAIT_MS 5000

struct world {
    struct loop *loop;
    struct controller *controller;
    struct controller_scope *services, *slices, *policies;
    const struct catalog *published; /* the newest; NULL: nothing yet */
    size_t publications;
    uint64_t published_us; /* loop time of the newest */
    uint64_t fanout_us;
    const char *watched, *part;       /* of what is published of that Service */
    size_t missed;                    /* publications of it without the part */
    size_t told;                      /* that the status of a LookasideService may have changed */
    char told_of[256];                /* the last one: "shop/greeter" */
    enum publish_mode mode;           /* as deletion_grace_ms */
    const char *const *host_suffixes; /* as deletion_grace_ms */
    bool identifies;                  /* as deletion_grace_ms */
    enum default_access default_access; /* as deletion_grace_ms */
    uint64_t deletion_grace_ms;       /* set it before world_start(); world_stop() clears it */
};

extern struct world world;

/* Without scopes of its own, for tests of sources; in real time. */
void world_start_bare(void);
/* With one scope for each kind, and synced; in time of its own. */
void world_start(void);
void world_stop(void);

/* The tree of `text`, in which ' stands for ". */
struct json *parse(const char *text) must_check;
/* printf, then the sink's function on the tree. */
void upsert(struct controller_scope *scope, const char *fmt, ...) printf_like(2, 3);
void list_object(struct controller_scope *scope, const char *fmt, ...) printf_like(2, 3);
void remove_object(struct controller_scope *scope, const char *name);
void list_begin(struct controller_scope *scope);
bool list_end(struct controller_scope *scope);
/* list_begin() as if that much time had passed since. */
void list_begin_after(struct controller_scope *scope, uint64_t ms);
void list_abort(struct controller_scope *scope);

/* Formats for upsert(): in namespace shop. Name and port; name, Service, version, addresses as "'10.0.0.1','10.0.0.2'" each. */
#define SERVICE_JSON(name, port)                                                                   \
    "{'metadata':{'namespace':'shop','name':'" name "'},'spec':{'ports':[{'port':" #port "}]}}"
#define SLICE_JSON(name, service, version, endpoints)                                              \
    "{'metadata':{'namespace':'shop','name':'" name "','resourceVersion':'" #version "','labels':" \
    "{'kubernetes.io/service-name':'" service "'}},'addressType':'IPv4','ports':[{'port':9001}],"  \
    "'endpoints':[" endpoints "]}"
/* In namespace shop: name, generation, spec. */
#define POLICY_JSON(name, generation, spec)                                                        \
    "{'metadata':{'namespace':'shop','name':'" name "','uid':'u-" name                             \
    "','generation':" #generation "},'spec':" spec "}"
#define READY(address) "{'addresses':['" address "']}"
#define NOT_READY(address) "{'addresses':['" address "'],'conditions':{'ready':false}}"

/* Turns the loop once, so that what is due goes out. Takes no time. */
void turn(void);
/* Turns until *count is at least `wanted`; fails the test after WAIT_MS. */
void turn_until(const size_t *count, size_t wanted);
/* Turns until the published text of the Service is `wanted`; fails the test after WAIT_MS, with what it was. */
void turn_until_published(const char *name, const char *wanted);
void turn_for_ms(uint64_t ms);
/* The same with the name of the Service's hold; "": none. */
void turn_until_hold(const char *name, const char *wanted);
const char *hold_of(const char *name);

/* What is published of shop/<name>: "8001: 10.0.0.1:9001,10.0.0.2:9001"; "none" if there is no such Service. Static memory. */
const char *published(const char *name);
const struct service *published_service(const char *name);

/* What was logged since the last call, from a file that stderr goes to. */
void log_capture(void);
const char *log_taken(void);
size_t log_count(const char *text, const char *part);

#endif
