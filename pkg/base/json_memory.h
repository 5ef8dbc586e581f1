/*
 * The memory of one tree: a block, out of which cJSON's pieces are given in turn, and which is freed whole. A slice of 100 endpoints has
 * 3,000 of these; malloc() and free() of each took longer than reading it.
 *
 * Threads: any; a block belongs to one.
 * Owns:    json_memory_end()'s result is json_memory_free()'s. Trees that are made otherwise (base/yaml.h) have memory of malloc().
 */
#ifndef BASE_JSON_MEMORY_H
#define BASE_JSON_MEMORY_H

#include <cjson/cJSON.h>

#include "base/base.h"

/* What this thread's cJSON_Parse*() takes from here on is a block's, enough for `values` in a text of `len` bytes. */
void json_memory_begin(size_t values, size_t len);
/* The block ends with the tree `root`, whose it is now; NULL, and it is freed, when there is none. */
cJSON *json_memory_end(cJSON *root);
/* False: the tree's memory is of malloc(). */
bool json_memory_free(cJSON *root);

#endif
