/*
 * Where calls go, as a person reads it.
 * Pure.
 */
#ifndef CONTROLLER_ROUTE_TEXT_H
#define CONTROLLER_ROUTE_TEXT_H

#include "base/buf.h"
#include "model/route.h"

#define ROUTE_TEXT_MAX 4096

/* Whether its policy shares the calls out. */
bool route_is_split(const struct route *route);
/* Appends "greeter:8001", or "90% greeter:8001, 10% greeter-canary:8001". */
void route_add_text(struct buf *out, const struct route *route);

#endif
