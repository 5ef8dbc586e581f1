/*
 * The content of one object, whatever its kind.
 *
 * Owns: what it refers to; value_done() releases it. {0} is no content.
 */
#ifndef CONTROLLER_VALUE_H
#define CONTROLLER_VALUE_H

#include "controller/controller.h"
#include "controller/decode.h"

/* By the object's kind; of an Endpoints object one slice for every subset and family. */
struct value {
    struct service_object *service;
    const struct slice **slices;
    size_t slices_len;
    struct node_object *node;
    const struct policy *policy; /* a reference */
    uint64_t created_us;         /* of a policy: since 1970; 0: not said */
};

const char *value_kind_name(enum object_kind kind); /* "EndpointSlice" */
enum code value_decode(enum object_kind kind, const struct json *json, const struct object_meta *meta, struct value *ret_value,
                       struct err *err) must_check;
struct value value_copy(struct value value) must_check; /* of any but a Node */
void value_done(struct value *value); /* {0} again */
bool value_is_empty(struct value value);
bool value_equal(struct value a, struct value b);
/* A LookasideService of which some version was accepted. */
bool value_is_accepted(struct value value);
size_t value_endpoints(struct value value);

#endif
