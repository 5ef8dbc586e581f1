/*
 * What the files of this layer share and others do not see.
 *
 * Threads: the control loop.
 */
#ifndef SERVE_INTERNAL_H
#define SERVE_INTERNAL_H

#include "net/listener.h"
#include "serve/serve.h"
#include "serve/worker.h"

struct serve {
    struct serve_options options;
    struct worker *workers[SERVE_THREADS_MAX];
    struct listener *listeners[SERVE_LISTENERS_MAX];
    size_t listeners_len;
    struct tls *tls; /* NULL: none given */
    const struct catalog *catalog; /* published last; NULL: none was */
    struct address_shares *shares;
    struct counter crowded; /* connections closed because their address has too many */
    uint64_t crowded_logged_us;
    struct list questions; /* that wait for workers (ask.c) */
    /* draining */
    unsigned undrained;
    void (*on_drained)(void *ctx);
    void *drained_ctx;
    uint64_t spread_ms;
    uint64_t deadline_ms;
};

#endif
