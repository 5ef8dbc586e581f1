/*
 * Catalogs made of a few words, and a serving side of its own for each test of this layer.
 */
#ifndef TESTS_SERVE_FIXTURE_H
#define TESTS_SERVE_FIXTURE_H

#include "model/catalog.h"
#include "serve/serve.h"

/* NULL or "": it has none. */
struct fixture_endpoint {
    const char *address, *zone, *node, *for_zone, *for_node, *hostname;
    bool unready;
};

struct fixture_service {
    const char *name;
    const struct fixture_endpoint *endpoints;
    size_t len;
    const char *external; /* a Service of type ExternalName */
    bool local;           /* internalTrafficPolicy: Local */
    bool no_ports;
    bool portless_slices; /* headless */
    const struct policy *policy; /* borrowed; NULL: none */
};

/* `base` (consumed; NULL: empty) with that Service in namespace shop, at port 8001 "grpc", received at 7. */
const struct catalog *catalog_with(const struct catalog *base, const struct fixture_service *service) must_check;
/* The Service shop/greeter with one ready endpoint per address; no address: an empty list. */
const struct catalog *catalog_with_greeter(const struct catalog *base, const char *const *addresses, size_t len) must_check;
/* `base` (consumed) without shop/greeter. */
const struct catalog *catalog_without_greeter(const struct catalog *base) must_check;

/* A subscriber that counts what it is told. */
struct listener_fixture {
    struct subscriber subscriber;
    int changes;
};

void listener_on_changed(struct subscriber *subscriber);
/* Subscribes as a client in namespace shop at that place. */
void listener_join(struct topic_table *table, enum topic_kind kind, const char *name, struct place place,
                   struct listener_fixture *listener);
/* With all the work that it makes. */
void publish(struct topic_table *table, const struct catalog *catalog);
/* Whether the subscriber's content, as it was looked at last, has that text in it; what is not kept: as it is now. */
bool listener_has(struct listener_fixture *listener, const char *text);

/* A control loop, workers and a listener on a free port. */
struct serve_fixture {
    struct loop *loop;
    struct serve *serve;
};

/* The loop is made, clients are in namespace shop of cluster.local; the rest is as given. */
void serve_fixture_start(struct serve_fixture *fixture, struct serve_options options);
void serve_fixture_stop(struct serve_fixture *fixture);
/* Turns the loop until that is so; fails the test where it does not come within 10 s. */
void serve_fixture_wait(const struct serve_fixture *fixture, bool (*done)(const void *ctx), const void *ctx);

#endif
