/*
 * YAML (and therefore JSON) files with several documents, as trees of base/json.h.
 *
 * Scalars follow YAML 1.2's core schema (null, true/false, int, float; quoted = string), with 1.1's
 * on/off/yes/no kept as strings, as Kubernetes' reader does for typed fields. Anchors and aliases work,
 * but the expanded document has at most YAML_NODES_MAX nodes. Duplicate keys, tags other than the
 * core schema's, and non-string keys are refused with line and column.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/json.h"

#define YAML_NODES_MAX 1000000
#define YAML_ALIAS_NODES_MAX 100000     /* of those, what aliases repeat */
#define YAML_ALIAS_BYTES_MAX (16 << 20) /* text that aliases repeat, per document */

/* Called for every document in order, with the line it starts at. The tree is the callee's to free.
 * Documents before a malformed one have been delivered. Empty documents are skipped. */
typedef void yaml_document_fn(void *ctx, struct json *document, size_t line);

/* The message names line and column: "line 12, column 3: did not find expected key". */
enum code yaml_parse(struct str text, yaml_document_fn *on_document, void *ctx,
                     struct err *err) must_check;

#endif
