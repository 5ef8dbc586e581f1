/*
 * A server of grpc.testing.TestService, the calls of gRPC's interoperability tests, and of grpc.health.v1.
 *
 * Threads: the loop's. Limits: a response of RPC_REPLY_MAX bytes; ANSWERS_MAX answers that one call is owed.
 */
#ifndef TESTS_SUPPORT_TESTSERVER_H
#define TESTS_SUPPORT_TESTSERVER_H

#include "grpc/rpc.h"
#include "loop/loop.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define ECHO_INITIAL "x-grpc-test-echo-initial"
#define ECHO_TRAILING "x-grpc-test-echo-trailing-bin"

struct testserver {
    struct loop *loop;
    char id[32];   /* of the process */
    bool draining; /* what is pulled is asked once more, and then ends */
};

/* EchoStatus. */
struct echo_status {
    enum code code;
    char message[256]; /* cut */
};

/* What a client's metadata asks to be sent back; in on_open. */
void echo_metadata(struct rpc *rpc);
bool read_bool_value(struct str bytes);
struct echo_status read_status(struct str bytes);
/* False, and the call has failed: the request came otherwise. */
bool check_compressed(struct rpc *rpc, struct str expected);
/* False: no size of a payload that a message has room for. */
bool is_payload_size(uint64_t size) must_check;
/* `number` is a Payload of so many zeros, of which there is the head only. */
void put_payload_head(struct buf *out, uint32_t number, size_t size);

extern const struct rpc_handler empty_handler, unary_handler, input_handler;
/* stream.c; their ctx says which. */
extern const struct rpc_handler output_handler, full_duplex_handler, half_duplex_handler;
/* health.c */
extern const struct rpc_handler health_check_handler, health_watch_handler;

#endif
