#include "model/endpoint.h"

#include <arpa/inet.h>

#include "base/hash.h"

int backend_cmp_at(const struct backend *a, const struct backend *b, uint16_t number)
{
    const struct endpoint *left = a->endpoint;
    const struct endpoint *right = b->endpoint;
    int order = (left->family > right->family) - (left->family < right->family);

    if (order == 0)
        order = memcmp(left->bytes, right->bytes, sizeof(left->bytes));
    return order != 0 ? order : backend_port_at(a, number) - backend_port_at(b, number);
}

int backend_cmp_address(const struct backend *a, const struct backend *b)
{
    return backend_cmp_at(a, b, 0);
}

uint64_t backend_hash(const struct backend *backend)
{
    const struct endpoint *endpoint = backend->endpoint;

    return hash_mix(hash_content(endpoint->bytes, sizeof(endpoint->bytes)),
                    (uint64_t)endpoint->family << 16 | backend->port);
}

uint16_t backend_port_at(const struct backend *backend, uint16_t number)
{
    return backend->port != 0 ? backend->port : number;
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

static bool texts_equal(const struct str *a, size_t a_len, const struct str *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len && a != b; i++) {
        if (!str_eq(a[i], b[i]))
            return false;
    }
    return true;
}

bool endpoint_same_zone_hints(const struct endpoint *a, const struct endpoint *b)
{
    return texts_equal(a->zone_hints, a->zone_hints_len, b->zone_hints, b->zone_hints_len);
}

bool endpoint_same_node_hints(const struct endpoint *a, const struct endpoint *b)
{
    return texts_equal(a->node_hints, a->node_hints_len, b->node_hints, b->node_hints_len);
}

bool endpoint_read_address(struct str text, enum address_family family, unsigned char ret_bytes[16])
{
    char copy[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(family == FAMILY_IPV4 ? AF_INET : AF_INET6, copy, ret_bytes) == 1;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0 &&
           a->ready == b->ready && a->serving == b->serving && a->terminating == b->terminating &&
           str_eq(a->hostname, b->hostname) && str_eq(a->node, b->node) &&
           str_eq(a->zone, b->zone) && str_eq(a->pod, b->pod) && str_eq(a->uid, b->uid) &&
           endpoint_same_zone_hints(a, b) && endpoint_same_node_hints(a, b);
}
