/*
 * What a greeter says: the handlers of helloworld.Greeter/SayHello and grpc.health.v1.Health/Check.
 *
 * Threads: one loop.
 * Owns:    answers that are delayed. The server that uses the handlers must be freed first.
 */
#ifndef GREETER_H
#define GREETER_H

#include "grpc/server.h"

struct greeter;

struct greeter_options {
    struct loop *loop;
    const char *name;      /* copied */
    uint64_t delay_ms;     /* before each reply; what fails, fails at once */
    uint32_t fail_percent; /* of the calls, evenly */
    enum code fail_code;
    uint32_t load_percent; /* told with each reply, as its own utilization (gRFC A51); 0: not told */
};

struct greeter *greeter_new(const struct greeter_options *options) must_check;
void greeter_free(struct greeter *greeter); /* NULL is fine */
/* Health says NOT_SERVING from now on. */
void greeter_drain(struct greeter *greeter);
/* For a server whose ctx is the greeter. */
const struct rpc_method *greeter_methods(size_t *ret_len);

#endif
