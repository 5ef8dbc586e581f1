/*
 * Services made of endpoints that a test writes down, each in a slice of its own.
 */
#ifndef ENCODE_FIXTURE_H
#define ENCODE_FIXTURE_H

#include "encode/xds.h"

struct spot {
    const char *address;
    const char *zone;
    const char *pod;
    const char *node;
    const char *hostname;
    const char *uid; /* of the pod: one that has two addresses */
    uint16_t port; /* 0: 8001 */
    bool draining;
};

/* With a Service port "grpc" (80). */
const struct service *service_of(const struct spot *spots, size_t len);
/* The next version of one. */
const struct service *service_after(const struct service *before, const struct spot *spots, size_t len);
/* A headless Service without ports, whose slices have none either. */
const struct service *portless_service_of(const struct spot *spots, size_t len);

static inline const struct backend_list *list_of(const struct service *service)
{
    return &service->ports[0].list;
}

#define SERVICE(...)                                                                               \
    service_of((const struct spot[]){__VA_ARGS__},                                                 \
               sizeof((const struct spot[]){__VA_ARGS__}) / sizeof(struct spot))

#endif
