/*
 * What the files of a connection share: conn.c carries bytes, conn_tls.c puts TLS in between. Nobody else includes it.
 *
 * Threads: the connection's loop.
 */
#ifndef NET_CONN_INTERNAL_H
#define NET_CONN_INTERNAL_H

#include <sys/uio.h>

#include "net/backlog.h"
#include "net/conn.h"
#include "net/tls_session.h"

#define CONN_REASON_MAX (ADDRESS_TEXT_MAX + 96)

/* They only ever go forward. */
enum conn_state {
    STATE_CONNECTING,
    STATE_SECURING, /* the TLS handshake */
    STATE_OPEN,
    STATE_BROKEN, /* a write failed; on_closed is still to come */
    STATE_ENDED,  /* on_closed has come */
};

struct conn {
    struct loop *loop;
    struct fd_watch *watch;
    const struct conn_handler *handler;
    void *ctx;
    struct backlog *backlog;  /* with TLS: of a write before the handshake was through */
    struct tls_session *tls;  /* NULL: plain. What it has for the wire is backlog, too */
    struct timer *connecting; /* NULL once connected */
    struct address peer;
    int fd;
    int error;     /* errno of STATE_BROKEN */
    uint8_t state; /* enum conn_state */
    bool paused;
    bool fin_wanted;
    bool in_event; /* conn_free() leaves the memory to the event that calls it */
    bool freed;
};

_Static_assert(sizeof(struct conn) <= 208, "there are ten thousand of these on a loop");

/* ---- conn.c ---- */

/* The two system calls that carry bytes; -1 and errno. */
ssize_t conn_send(const struct conn *conn, struct iovec *vector, size_t count);
ssize_t conn_receive(const struct conn *conn, char *ptr, size_t len);
void conn_set_state(struct conn *conn, enum conn_state state);
/* Watches for what its state and its backlog ask for. */
void conn_watch(struct conn *conn);
/* Nothing may follow but the user's conn_free(). */
void conn_end(struct conn *conn, enum code code, const char *reason);
void conn_end_with_error(struct conn *conn, int error);
/* The user is inside its own call: it hears from the loop. */
void conn_break_off(struct conn *conn, int error);
/* Nothing is left behind any more: tells the user. */
void conn_drained(struct conn *conn);
/* Behind every event: frees what was freed inside it. */
void conn_leave_event(struct conn *conn);

/* ---- conn_tls.c: of connections that have `tls` ---- */

/* The socket is connected: a client begins. */
void conn_tls_begin(struct conn *conn);
void conn_tls_read(struct conn *conn);  /* the socket is readable */
void conn_tls_flush(struct conn *conn); /* the socket is writable */
void conn_tls_write(struct conn *conn, const struct iovec *vector, size_t count);
/* Its last record is on the way. */
void conn_tls_shutdown(struct conn *conn);
/* The handshake waits its turn: nothing is to be read now. */
bool conn_tls_waits(const struct conn *conn);
/* The handshake is over, well or not; only the first time counts. */
void conn_tls_leave(struct conn *conn, enum tls_failure failure);

#endif
