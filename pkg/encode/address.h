/*
 * Where a backend listens, as an Address message: shared by lists and by Clusters that name a host.
 */
#ifndef ENCODE_ADDRESS_H
#define ENCODE_ADDRESS_H

#include "wire/fields.h"
#include "wire/writer.h"

/* As field `number` of the message that is being written. The port is written even if it is 0: clients look for the oneof. */
static inline void encode_address(struct buf *out, uint32_t number, struct str host, uint16_t port)
{
    size_t address = wire_open(out, number);
    size_t socket = wire_open(out, ADDRESS_SOCKET_ADDRESS);

    wire_put_bytes(out, SOCKET_ADDRESS_ADDRESS, host);
    wire_put_varint(out, SOCKET_ADDRESS_PORT_VALUE, port);
    wire_close(out, socket);
    wire_close(out, address);
}

#endif
