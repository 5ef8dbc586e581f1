/*
 * Slices and services written as short text, and lists read back as text.
 *
 *   ports      "grpc=9001 udp:dns=53 =8080 any"       name=number[!appProtocol]; "=8080" unnamed; no '=': number nil
 *   endpoints  "10.0.0.1 10.0.0.2@a/d fd00::1@b/n"    address[@zone][%node][#uid][~zone hint,...][^node hint,...][/state];
 *                                                     no state: ready; n: not ready; d: serving and terminating;
 *                                                     t: terminating only
 */
#ifndef TESTS_UNIT_MODEL_FIXTURE_H
#define TESTS_UNIT_MODEL_FIXTURE_H

#include <criterion/criterion.h>

#include "model/catalog.h"
#include "model/view.h"

struct slice_text {
    const char *name;
    const char *ports;
    const char *endpoints;
    const char *owner_uid;
    uint64_t resource_version;
    enum address_family family; /* 0: IPv4 */
};

/* In namespace "shop", of service "greeter". Anything malformed fails the test. */
const struct slice *make_slice(const struct slice_text *text) must_check;

struct service_text {
    const char *name;  /* NULL: "greeter" */
    const char *ports; /* "grpc=8001 =9000 dns=53/UDP grpc=8001!kubernetes.io/h2c" */
    const char *uid;
    enum service_type type;
    const char *external_name;
    enum address_family prefers;
    bool local;
    const struct policy *policy; /* referenced by what is made; NULL: none */
    const struct service *before;
};

/* The time at which Services are made and carried. */
extern uint64_t text_now_us;

/* Consumes the slices' references. */
const struct service *make_service(const struct service_text *text, const struct slice **slices,
                                   size_t slices_len) must_check;

#define MAKE_SERVICE(text, ...)                                                                    \
    make_service(text, (const struct slice *[]){__VA_ARGS__},                                      \
                 sizeof((const struct slice *[]){__VA_ARGS__}) / sizeof(const struct slice *))
/* name, ports, endpoints; then further fields by name */
#define SLICE_TEXT(slice, port_text, ...)                                                          \
    make_slice(                                                                                    \
        &(struct slice_text){.name = (slice), .ports = (port_text), .endpoints = __VA_ARGS__})
#define SERVICE_TEXT(...) (&(struct service_text){__VA_ARGS__})

/* "10.0.0.1:9001,10.0.0.2:9001+[fd00::2]:9001@a | 10.0.0.3:9001@b%n1!1": backends by locality, with their other addresses; zone, sub_zone,
 * priority. Static memory, valid until the next call. */
const char *backends_text(const struct backend_list *list);
/* Of the list for a client of unknown place. */
const char *list_text(const struct service_port *port);
/* Of the list for a client there; NULL: unknown. */
const char *place_text(const struct service_port *port, const struct place *place);
const char *view_text(const struct service_port *port, const char *zone, const char *node);
/* ",": the port of that number; fails the test if there is none. */
const struct service_port *port_of(const struct service *service, uint16_t number);
/* service_carry() of the lists that would become empty. */
const struct service *carry_emptied(const struct service *before, const struct service *after);

/* A slice_wire_fn: "<address>:<port>;" */
void text_wire(struct buf *out, const struct endpoint *endpoint, uint16_t port);

#endif
