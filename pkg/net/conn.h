/*
 * A connection as one byte pipe, whatever carries it: TCP and unix sockets, and TLS over either.
 *
 * Reading: on_data gets bytes in the loop's scratch memory, valid during the call. on_data may free the connection.
 * Writing: conn_writev() tries one sendmsg; what the kernel does not take stays behind as references and heads, never
 *          more than what was given, and goes out when the socket is writable; then on_drained is called once.
 *          While bytes are left behind (conn_backlog() > 0) the user gives no more. With TLS what stays behind is
 *          encrypted, and copied.
 * Threads: everything on the loop given at creation.
 * Owns:    the descriptor; references to blobs of a write that is not finished.
 * Errors:  on_closed comes once, with CODE_OK for the peer's orderly end and a reason otherwise, unless conn_free() came
 *          first: CODE_UNAUTHENTICATED for a TLS handshake that failed, CODE_DATA_LOSS for TLS that is broken later. The
 *          user then calls conn_free().
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/blob.h"
#include "loop/loop.h"
#include "net/account.h"
#include "net/address.h"
#include "net/tls.h"
#include "net/tls_gate.h"

#define CONN_READS_PER_TURN 4        /* then the neighbours get their turn */
#define CONN_SLICES_MAX 256          /* of one conn_writev() */

struct conn;

/* One piece of a write: bytes [off, off+len) of blob, or of ptr where blob is NULL (copied if the kernel does not take
 * them at once). */
struct conn_slice {
    struct blob *blob; /* borrowed; a reference is taken only when the write is short */
    const void *ptr;
    size_t off;
    size_t len;
};

/* Borrowed: lives as long as the connection (a static const). */
struct conn_handler {
    void (*on_data)(void *ctx, const void *ptr, size_t len);
    void (*on_drained)(void *ctx);
    void (*on_closed)(void *ctx, enum code code, const char *reason);
};

/* Owns fd from here on, also on failure. Reading starts at once. Its options are the listener's. */
enum code conn_new(struct loop *loop, int fd, const struct address *peer,
                   const struct conn_handler *handler, void *ctx, struct conn **ret_conn,
                   struct err *err) must_check;
/* Connects; on_data, on_closed or on_drained (= connected) come later. `timeout_ms` bounds connecting.
 * A write before that is kept; on_drained then comes once, for both. */
enum code conn_connect(struct loop *loop, const struct address *to, uint64_t timeout_ms,
                       const struct conn_handler *handler, void *ctx, struct conn **ret_conn,
                       struct err *err) must_check;
/* To be called right after one of these: TLS carries everything from the first byte on. A reference to `tls` is taken.
 * Of a server `server_name` is NULL, and its handshake waits its turn at `gate`, which outlives the connection, and counts
 * there. Of a client the certificate must be for `server_name`, and being connected includes the handshake. */
void conn_start_tls(struct conn *conn, struct tls *tls, const char *server_name,
                    struct tls_gate *gate);
/* Closes at once; no callback comes after it. NULL is fine. */
void conn_free(struct conn *conn);

/* Takes all slices (count <= CONN_SLICES_MAX) or fails for good (then on_closed follows from the loop, not from inside
 * this call). Legal only while conn_backlog() is 0. After a failure or on_closed, writes are dropped. */
void conn_writev(struct conn *conn, const struct conn_slice *slices, size_t count);
size_t conn_backlog(const struct conn *conn);
/* Sends FIN once the backlog is out; reading goes on until the peer ends or conn_free(). */
void conn_shutdown(struct conn *conn);
/* Stops and starts reading from the socket (the peer sends faster than we answer); what was read still comes. */
void conn_read_pause(struct conn *conn, bool pause);

/* Bytes pass; false while connecting, and during a TLS handshake. */
bool conn_is_open(const struct conn *conn);
/* No TLS has agreed on HTTP/1.1 instead. */
bool conn_may_http2(const struct conn *conn);
const struct address *conn_peer(const struct conn *conn);
/* Of a server: who the client is, as its certificate proves; NULL: nobody that is known. Lives as long as the connection. */
const struct service_account *conn_account(const struct conn *conn);

#endif
