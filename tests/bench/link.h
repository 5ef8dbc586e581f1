/*
 * A client's connection as read() and write() see it, plain or with TLS. The certificate is not checked: it is the bench's own, and both
 * servers are spared the same.
 *
 * Owns: descriptor and session, until link_close(). Errors: as read() and write(), EAGAIN for whatever TLS waits for.
 */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct link {
    int fd;
    void *tls;
};

/* Once, before the first link with TLS. */
void link_use_tls(void);
/* On a connected descriptor. */
void link_start_tls(struct link *link);
/* 1: done; 0: not yet; -1: failed. */
int link_shake(struct link *link);
ssize_t link_read(struct link *link, void *ptr, size_t len);
ssize_t link_write(struct link *link, const void *ptr, size_t len);
/* Whether bytes were decrypted that nobody has read. */
bool link_pending(const struct link *link);
/* At once, as a process that dies does, so that no port waits for its time. */
void link_close(struct link *link);

#endif
