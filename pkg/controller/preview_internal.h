/*
 * What the files of the preview share; nobody else includes it.
 */
#ifndef CONTROLLER_PREVIEW_INTERNAL_H
#define CONTROLLER_PREVIEW_INTERNAL_H

#include "controller/preview.h"
#include "controller/publish.h"

struct preview_sources {
    const struct store *store;
    const struct publisher *publisher;
};

/* controller_preview(). */
enum code preview_write(const struct preview_sources *sources, const struct manifest *manifest, uint64_t now_us, struct json_writer *writer,
                        struct err *err) must_check;

/* ---- preview_diff.c ---- */

/* Members services, hosts and changes. */
void preview_write_diff(const struct catalog *now, const struct catalog *then, struct json_writer *writer);

#endif
