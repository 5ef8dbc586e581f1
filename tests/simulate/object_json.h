/* Objects as the API server writes them. */
#ifndef SIMULATE_OBJECT_JSON_H
#define SIMULATE_OBJECT_JSON_H

#include "base/buf.h"
#include "cluster.h"

void object_write(struct buf *out, const struct api_object *object, uint64_t version);
/* One word or two for people: "greeter-2 {10.1.0.3:9090 ready, ...}". */
void object_describe(const struct api_object *object, char *out, size_t size);

#endif
