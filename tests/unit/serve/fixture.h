/*
 * Catalogs made of a few words, for the tests of this layer.
 */
#ifndef TESTS_SERVE_FIXTURE_H
#define TESTS_SERVE_FIXTURE_H

#include "model/catalog.h"

/* `base` (consumed; NULL: empty) with the Service shop/greeter at port 8001 "grpc" and one ready endpoint per address; no address: an empty list. */
const struct catalog *catalog_with_greeter(const struct catalog *base, const char *const *addresses, size_t len) must_check;
/* `base` (consumed) without shop/greeter. */
const struct catalog *catalog_without_greeter(const struct catalog *base) must_check;

#endif
