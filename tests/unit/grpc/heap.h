/*
 * What the process has on its heap, and how often it asked for memory: with and without
 * AddressSanitizer.
 */
#ifndef TESTS_UNIT_GRPC_HEAP_H
#define TESTS_UNIT_GRPC_HEAP_H

#include <stddef.h>

size_t heap_bytes(void);
/* Calls of malloc, calloc and realloc since the first call of this. */
size_t heap_allocations(void);

#endif
