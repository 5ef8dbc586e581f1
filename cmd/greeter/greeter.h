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

/* `name` is copied. */
struct greeter *greeter_new(struct loop *loop, const char *name, uint64_t delay_ms) must_check;
void greeter_free(struct greeter *greeter); /* NULL is fine */
/* Health says NOT_SERVING from now on. */
void greeter_drain(struct greeter *greeter);
/* For a server whose ctx is the greeter. */
const struct rpc_method *greeter_methods(size_t *ret_len);

#endif
