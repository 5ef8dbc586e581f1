#include "model/endpoint.h"

int backend_cmp_address(const struct backend *a, const struct backend *b)
{
    const struct endpoint *left = a->endpoint;
    const struct endpoint *right = b->endpoint;
    int order = (left->family > right->family) - (left->family < right->family);

    if (order == 0)
        order = memcmp(left->bytes, right->bytes, sizeof(left->bytes));
    return order != 0 ? order : (a->port > b->port) - (a->port < b->port);
}

bool backend_is_ready(const struct backend *backend)
{
    return backend->endpoint->ready;
}

bool backend_is_draining(const struct backend *backend)
{
    const struct endpoint *endpoint = backend->endpoint;

    return !endpoint->ready && endpoint->serving && endpoint->terminating;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0 &&
           a->ready == b->ready && a->serving == b->serving && a->terminating == b->terminating &&
           str_eq(a->hostname, b->hostname) && str_eq(a->node, b->node) &&
           str_eq(a->zone, b->zone) && str_eq(a->pod, b->pod) && str_eq(a->uid, b->uid);
}
