/*
 * What a plain YAML scalar means under the core schema of YAML 1.2.
 *
 * Threads: any; pure.
 */
#ifndef BASE_YAML_SCALAR_H
#define BASE_YAML_SCALAR_H

#include "base/json.h"

struct yaml_scalar {
    enum json_type type; /* JSON_NULL, JSON_BOOL, JSON_NUMBER or JSON_STRING */
    bool truth;
    double number; /* may be infinite or no number: JSON cannot say those */
};

/* `text` is NUL-terminated behind its length. */
struct yaml_scalar yaml_scalar_resolve(struct str text);

#endif
