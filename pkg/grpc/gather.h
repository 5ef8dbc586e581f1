/*
 * The pieces of one write: bytes that are copied (frame heads, headers), and references to blobs in
 * between.
 *
 * A loop has one; it is filled from one connection's session, written with one system call, and
 * emptied.
 *
 * Threads: belongs to one loop.
 * Owns:    its arena. Blobs and pointers are borrowed until gather_reset(), those of gather_keep() its own until then.
 */
#ifndef GRPC_GATHER_H
#define GRPC_GATHER_H

#include "net/conn.h"

#define GATHER_ARENA_SIZE (64 * 1024)
#define GATHER_FRAME_MAX (18 * 1024)  /* what one call of mem_send may add to the arena */
#define GATHER_BYTES_MAX (256 * 1024) /* of one write; the rest goes in the next turn */
#define GATHER_SLICES_MIN 16 /* room for at least so many slices before a frame is started */

struct gather {
    struct conn_slice slices[CONN_SLICES_MAX];
    size_t count;
    size_t bytes;
    size_t arena_len;
    struct blob *kept[CONN_SLICES_MAX];
    size_t kept_len;
    char arena[GATHER_ARENA_SIZE];
};

void gather_reset(struct gather *gather);
/* Another frame fits. */
bool gather_has_room(const struct gather *gather);
/* Slices that are left. */
size_t gather_slices_left(const struct gather *gather);
/* The caller has asked gather_has_room(). */
void gather_copy(struct gather *gather, const void *ptr, size_t len);
void gather_point(struct gather *gather, const void *ptr, size_t len);
void gather_blob(struct gather *gather, struct blob *blob, size_t off, size_t len);
/* Takes over the references. False, and nothing taken, if there is no room. */
bool gather_keep(struct gather *gather, struct blob *const *blobs, size_t len) must_check;

#endif
