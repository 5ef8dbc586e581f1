/*
 * A client of the serving side, with one stream: requests in bytes, and the newest message.
 */
#ifndef TESTS_SERVE_STREAM_CLIENT_H
#define TESTS_SERVE_STREAM_CLIENT_H

#include "fixture.h"
#include "grpc/client.h"
#include "protocol/xds.h"
#include "wire/fields.h"
#include "wire/writer.h"

#define ADS "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
#define WATCH "/lookaside.v1.BackendDiscovery/Watch"

struct stream_client {
    const struct serve_fixture *fixture;
    struct grpc_client *grpc;
    struct grpc_call *call;
    struct buf newest; /* message */
    char told[64];     /* the types of all messages of xDS: "LCE" */
};

/* Its end fails the test. */
void client_open(struct stream_client *client, const struct serve_fixture *fixture, const char *path);
void client_close(struct stream_client *client);
/* Sends the request (consumed); what has come before is forgotten. */
void client_send(struct stream_client *client, struct buf *request);
/* Waits for a message behind that. */
void client_wait(const struct stream_client *client);
/* Both. */
void client_ask(struct stream_client *client, struct buf *request);
/* Whether the newest message has that text in it. */
bool client_has(const struct stream_client *client, const char *text);

#endif
