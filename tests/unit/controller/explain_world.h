/*
 * controller_explain() asked as /debug/explain does, of Service shop/greeter in the world of fixture.h.
 */
#ifndef TESTS_UNIT_CONTROLLER_EXPLAIN_WORLD_H
#define TESTS_UNIT_CONTROLLER_EXPLAIN_WORLD_H

#include "fixture.h"

#include "controller/explain.h"

extern struct json *answer; /* the newest */

/* With a Service greeter of port 8001. */
void explain_start(void);
void explain_stop(void);

enum code ask_at(const char *target, const char *zone, const char *node, struct err *err) must_check;
/* Once nothing is on its way any more. */
void ask_from(const char *target, const char *zone, const char *node);
void ask(const char *target);
/* Both empty: as who is nobody. */
void ask_as(const char *target, const char *namespace_name, const char *account);
/* Some endpoint of a slice, or one that is kept, has this reason. */
bool has_reason(const char *reason);
/* At any depth of slices: how many say that they are in. */
size_t count_in(void);
/* A text at a path of members. Static memory. */
const char *text_of(const struct json *json);
const char *member(const char *key);
/* "in ready", "out not-ready"; "" if it is in no slice. Of several the first, or of that slice. */
const char *fate_in(const char *address, const char *slice_name);
const char *fate(const char *address);
/* Of greeter. */
void put_slice(const char *name, int version, const char *endpoints);

#define SERVICE_WITH(text) "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{" text "}}"
/* Address, conditions as JSON, and more members. */
#define ENDPOINT(address, conditions, more)                                                        \
    "{'addresses':['" address "'],'conditions':{" conditions "}" more "}"
#define DRAINING "'ready':false,'serving':true,'terminating':true"
#define STOPPED "'ready':false,'serving':false,'terminating':true"

#endif
